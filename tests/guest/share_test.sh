#!/bin/sh
# One raw image on two disks of a Linux guest and on a disk of a second guest that runs beside it (share-rw=on): each sees what the others write.
# tests/guest/init-share is in them. TAP. Skipped without network, busybox or socat.
# timeout: 400
. tests/lib/guest.sh
need_tool /share-guests socat || tap_end
need /share-guests fetch_modules cloud "$guests" || tap_end
pick_modules cloud "$guests" "$tmp/modules" virtio_pci virtio_blk virtio_scsi sd_mod &&
    pack_initramfs "$guests/busybox-amd64" tests/guest/init-share "$tmp/initrd.gz" "$tmp/modules/lib" || exit 1

truncate -s 8M "$tmp/disk"
linux="-nodefaults -display none -no-reboot -m 256 -kernel $guests/vmlinuz-cloud -initrd $tmp/initrd.gz"
# shellcheck disable=SC2086
vm_start $linux -append "console=ttyS0 panic=-1 gemel.first" \
    -blockdev "driver=file,node-name=f,filename=$tmp/disk" -device virtio-blk-pci,drive=f,share-rw=on \
    -device virtio-scsi-pci -device scsi-hd,drive=f,share-rw=on
check /share-guests/two-disks shows "${GUEST_TIMEOUT:-120}" GUEST-WAITS
# shellcheck disable=SC2086
gemel_run "${GUEST_TIMEOUT:-120}" $linux -serial stdio -append "console=ttyS0 panic=-1" \
    -drive "file=$tmp/disk,if=none,id=d,format=raw" -device virtio-blk-pci,drive=d
check /share-guests/unshared-refused [ "$status" = 1 ]
check /share-guests/unshared-told grep -q 'Failed to get shared "write" lock' "$tmp/err"
# shellcheck disable=SC2086
gemel_run "${GUEST_TIMEOUT:-120}" $linux -serial stdio -append "console=ttyS0 panic=-1" \
    -drive "file=$tmp/disk,if=none,id=d,format=raw" -device virtio-blk-pci,drive=d,share-rw=on
check /share-guests/second grep -q GUEST-OK "$tmp/out" || grep -a GUEST-FAIL "$tmp/out" | sed 's/^/# /'
ended=no
vm_ends "${GUEST_TIMEOUT:-120}" && ended=yes
check /share-guests/first file_has "$tmp/console" GUEST-OK || grep -a GUEST-FAIL "$tmp/console" | sed 's/^/# /'
check /share-guests/power-off [ $ended = yes ]
tap_end
