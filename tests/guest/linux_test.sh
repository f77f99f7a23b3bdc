#!/bin/sh
# Boots Debian's kernels (amd64 cloud, amd64 stock, i386 with PAE) to a busybox userland that tests itself and powers off. TAP.
# timeout: 1500
# Skipped without network; FLAVOURS="cloud" and CPUS="1 2" choose what is run. `make check-boots` sets BOOTS=50: each that often.
. tests/lib/guest.sh
userland=$BUILD/tests/guest/userland
[ -e "$userland" ] || make --no-print-directory "$userland" >&2 || exit 1
program=$("$userland" | sha256sum | cut -c 1-64)
sum=$(seq 1 20000 | sha256sum | cut -c 1-64)

# boot FLAVOUR CPUS COUNT: tests boot, userland and power-off, the COUNT-th time.
boot() {
    name=/linux/$1/cpus-$2${BOOTS:+/$3}
    arch=$(flavour_arch "$1")
    need "$name" fetch_linux "$1" || return
    # Our own program is a 64-bit one.
    case $arch in amd64) with=$userland ;; *) with= ;; esac
    pack_initramfs "$guests/busybox-$arch" tests/guest/init-test "$tmp/initrd.gz" $with
    gemel_run "${GUEST_TIMEOUT:-240}" ${ACCEL:+-accel "$ACCEL"} -nographic -no-reboot -m 512 -smp "$2" -kernel "$guests/vmlinuz-$1" \
        -initrd "$tmp/initrd.gz" -append "console=ttyS0 panic=-1 gemel.sum=$sum gemel.cpus=$2 gemel.program=$program"
    check "$name/boot" grep -q GUEST-START "$tmp/out" || return
    check "$name/userland" grep -q GUEST-OK "$tmp/out" || grep GUEST-FAIL "$tmp/out" | sed 's/^/# /'
    check "$name/power-off" [ "$status" = 0 ]
}

for flavour in ${FLAVOURS:-cloud stock 686}; do
    for cpus in ${CPUS:-1 2 4}; do
        for count in $(seq "${BOOTS:-1}"); do
            boot "$flavour" "$cpus" "$count"
        done
    done
done
tap_end
