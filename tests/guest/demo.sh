#!/bin/sh
# `make demo`: boots Debian's cloud kernel to a busybox shell on the terminal; without a network, a small kernel of our own.
# GEMEL is the program and BUILD the build folder, set by make. If standard input is no terminal, the guest gets it when its shell
# is there (a serial port forgets what came earlier), and the end of it as Ctrl-d, which ends the shell and the guest.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
GEMEL=${GEMEL:-./gemel}
guests=build/guests

# run READY OPTION...: the emulator on a terminal, or on a file or pipe once READY was printed.
run() {
    ready=$1
    shift
    [ -t 0 ] && exec "$GEMEL" "$@"
    tmp=$(mktemp -d) || exit 1
    trap 'rm -rf "$tmp"' EXIT
    : >"$tmp/out"
    mkfifo "$tmp/in" || exit 1
    exec 3<&0
    {
        until grep -qF "$ready" "$tmp/out" || [ -e "$tmp/status" ]; do sleep 0.1; done
        cat <&3
        printf "$END"
    } >"$tmp/in" 2>/dev/null &
    {
        "$GEMEL" "$@" <"$tmp/in"
        echo $? >"$tmp/status"
    } | tee "$tmp/out"
    kill $! 2>/dev/null
    exit "$(cat "$tmp/status")"
}

FETCH_LIB=1
. tests/guest/fetch.sh
mkdir -p $guests || exit 1
if fetch_kernel cloud $guests && fetch_busybox amd64 $guests; then
    pack_initramfs $guests/busybox-amd64 tests/guest/init-shell $guests/demo.cpio.gz || exit 1
    echo "Starting Linux; Ctrl-a x ends the emulator, Ctrl-a h lists its keys." >&2
    END='\004'
    run "busybox shell inside" -nographic -m 512 -kernel $guests/vmlinuz-cloud -initrd $guests/demo.cpio.gz \
        -append 'console=ttyS0 quiet panic=-1'
fi
echo "Debian's kernel cannot be fetched; starting a bare-metal guest of our own instead." >&2
make --no-print-directory "$BUILD/tests/guest/demo.elf" >&2 || exit 1
END='exit\r'
run "demo> " -nographic -m 64 -kernel "$BUILD/tests/guest/demo.elf"
