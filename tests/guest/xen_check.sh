#!/bin/sh
# Xen with a Debian kernel as dom0, started directly (multiboot, the kernel and its initramfs as modules): to dom0's shell and back
# off. TAP; `make check-guests`.
# timeout: 600
. tests/lib/tap.sh
guests=build/guests
FETCH_LIB=1
. tests/guest/fetch.sh
mkdir -p "$guests" || exit 1

fetch_xen() {
    [ -e "$guests/xen" ] && return 0
    apt_setup "$guests" amd64 && apt_update amd64 || return 77
    unpack_package xen-hypervisor-4.17-amd64 "$tmp/xen" || return 77
    gunzip -c "$tmp"/xen/boot/xen-4.17-amd64.gz >"$guests/xen.new" && mv "$guests/xen.new" "$guests/xen"
}

dom0_init() {
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sys /sys
echo "DOM0 type=$(/bin/busybox cat /sys/hypervisor/type) cpus=$(/bin/busybox grep -c ^processor /proc/cpuinfo)"
/bin/busybox dmesg | /bin/busybox grep -E 'BUG:|Oops|WARNING:' | /bin/busybox sed 's/^/TROUBLE /'
/bin/busybox poweroff -f
INIT
}

boot() {
    dom0_init >"$tmp/init"
    chmod +x "$tmp/init"
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz"
    timeout -k 5 240 "$GEMEL" -nographic -m 1024 -smp "$1" -kernel "$guests/xen" \
        -append "console=com1 com1=115200,8n1 loglvl=all dom0_mem=512M" \
        -initrd "$guests/vmlinuz-stock console=hvc0,$tmp/initrd.gz" </dev/null >"$tmp/out" 2>"$tmp/err"
    status=$?
    check "/xen/cpus-$1/dom0" grep -q "^DOM0 type=xen cpus=$1" "$tmp/out"
    check "/xen/cpus-$1/no-trouble" sh -c "! grep -qE 'TROUBLE|Xen BUG|Xen WARN' '$tmp/out'"
    check "/xen/cpus-$1/power-off" [ $status = 0 ]
}

{ fetch_kernel stock "$guests" && fetch_busybox amd64 "$guests" && fetch_xen; } 2>"$tmp/fetch"
case $? in
0) ;;
77) skip /xen "$(tail -n 1 "$tmp/fetch")"; tap_end ;;
*) cp "$tmp/fetch" "$tmp/err"; check /xen/fetch false; tap_end ;;
esac
for cpus in 1 2; do
    boot $cpus
done
tap_end
