#!/bin/sh
# SeaBIOS starts a boot sector from virtio-blk and virtio-scsi: modern, legacy, on pc and q35, behind a PCI Express port. TAP. Skipped without SeaBIOS.
. tests/lib/tap.sh
image=$tmp/disk
# mov dx,3f8h; 'V' and a newline to it; mov dx,f4h; 10h to it: exit status 33.
printf '\272\370\003\260\126\356\260\012\356\272\364\000\260\020\356\364' >"$image"
truncate -s 510 "$image" && printf '\125\252' >>"$image" && truncate -s 1M "$image"

# start NAME OPTION...
start() {
    name=/virtio-boot/$1
    shift
    gemel_run 60 -display none -serial stdio -nodefaults -device isa-debug-exit,iobase=0xf4,iosize=4 "$@"
    if grep -q "bios" "$tmp/err" && ! grep -q . "$tmp/out"; then
        skip "$name" "$(head -n 1 "$tmp/err")"
        return
    fi
    check "$name" [ "$status" = 33 ]
}
disk="-drive file=$image,if=none,id=d0,format=raw"
start if-virtio -drive file="$image",if=virtio,format=raw
# shellcheck disable=SC2086
{
    start modern $disk -device virtio-blk-pci,drive=d0,disable-legacy=on
    start legacy $disk -device virtio-blk-pci,drive=d0,disable-modern=on
    start scsi $disk -device virtio-scsi-pci -device scsi-hd,drive=d0
    start q35 -machine q35 $disk -device virtio-blk-pci,drive=d0
    start root-port -machine q35 -device pcie-root-port,id=rp0 $disk -device virtio-blk-pci,drive=d0,bus=rp0
}
tap_end
