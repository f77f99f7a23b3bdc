#!/bin/sh
# `make demo`: boots Debian's cloud kernel to a busybox shell on the terminal; without a network, a small kernel of our own.
# GEMEL is the program and BUILD the build folder, set by make. A command on standard input is run by the guest's shell.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
GEMEL=${GEMEL:-./gemel}
guests=build/guests

FETCH_LIB=1
. tests/guest/fetch.sh
mkdir -p $guests || exit 1
if fetch_kernel cloud $guests && fetch_busybox amd64 $guests; then
    pack_initramfs $guests/busybox-amd64 tests/guest/init-shell $guests/demo.cpio.gz || exit 1
    echo "Starting Linux; Ctrl-a x ends the emulator, Ctrl-a h lists its keys." >&2
    exec "$GEMEL" -nographic -m 512 -kernel $guests/vmlinuz-cloud -initrd $guests/demo.cpio.gz \
        -append 'console=ttyS0 quiet panic=-1'
fi
echo "Debian's kernel cannot be fetched; starting a bare-metal guest of our own instead." >&2
make --no-print-directory "$BUILD/tests/guest/demo.elf" >&2 || exit 1
exec "$GEMEL" -nographic -m 64 -kernel "$BUILD/tests/guest/demo.elf"
