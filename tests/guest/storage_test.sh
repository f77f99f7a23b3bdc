#!/bin/sh
# Debian's stock kernel on each storage controller: IDE, AHCI on both machines, floppy. tests/guest/init-storage reads and writes; then the images
# are looked at from here, and a second boot finds what the first one wrote. TAP. Skipped without network.
# timeout: 900
. tests/lib/guest.sh
need /storage fetch_modules stock "$guests" || tap_end
pick_modules stock "$guests" "$tmp/modules" ata_piix ahci sd_mod sr_mod floppy ext4 crc32c_generic &&
    pack_initramfs "$guests/busybox-amd64" tests/guest/init-storage "$tmp/initrd.gz" "$tmp/modules/lib" || exit 1
seq 1 400000 >"$tmp/pattern"
kib=$(($(stat -c %s "$tmp/pattern") / 1024))

# region FILE OFFSET-KIB KIB
region() {
    dd if="$1" bs=1k skip="$2" count="$3" 2>/dev/null | md5sum | cut -c 1-32
}

fresh_images() {
    seq 1 700000 >"$tmp/disk" && truncate -s 64M "$tmp/disk"
    rm -f "$tmp/disk2" && truncate -s 40M "$tmp/disk2"
    seq 5 900000 | head -c 5000192 | head -c $((2048 * 2400)) >"$tmp/cd"
    seq 9 400000 | head -c 1474560 >"$tmp/fd"
    sums="gemel.disk=$(region "$tmp/disk" 0 4096) gemel.cd=$(region "$tmp/cd" 0 4800) gemel.cdkib=4800"
    floppy="gemel.fd=$(region "$tmp/fd" 0 720)"
}

# boot NAME APPEND OPTION...
boot() {
    name=/storage/$1 append=$2
    shift 2
    gemel_run "${GUEST_TIMEOUT:-240}" -nodefaults -display none -serial stdio -no-reboot -m 512 -smp 2 -kernel "$guests/vmlinuz-stock" \
        -initrd "$tmp/initrd.gz" -append "console=ttyS0 panic=-1 $append" "$@"
    check "$name/guest" grep -q GUEST-OK "$tmp/out" || grep -a 'GUEST-FAIL\|ata[0-9].*:' "$tmp/out" | sed 's/^/# /'
    check "$name/power-off" [ "$status" = 0 ]
}

raw() {
    echo "file=$tmp/$1,format=raw"
}

fresh_images
boot ide "$sums $floppy" -drive "$(raw disk),index=0" -drive "$(raw disk2),index=1" -drive "$(raw cd),index=2,media=cdrom" -drive "$(raw fd),if=floppy"
check /storage/ide/image [ "$(region "$tmp/disk" 8192 "$kib")" = "$(region "$tmp/pattern" 0 "$kib")" ]
check /storage/floppy/image [ "$(region "$tmp/fd" 1000 64)" = "$(region "$tmp/pattern" 0 64)" ]
boot ide-again "$sums $floppy gemel.second=1" -drive "$(raw disk),index=0" -drive "$(raw disk2),index=1" -drive "$(raw cd),index=2,media=cdrom" \
    -drive "$(raw fd),if=floppy,readonly=on" -snapshot
fresh_images
boot ahci "$sums" -drive "$(raw disk),if=none,id=a" -drive "$(raw disk2),if=none,id=b" -drive "$(raw cd),if=none,id=c,readonly=on" -device ahci,id=sata \
    -device ide-hd,drive=a,bus=sata.0 -device ide-hd,drive=b,bus=sata.1,write-cache=off -device ide-cd,drive=c,bus=sata.4
check /storage/ahci/image [ "$(region "$tmp/disk" 8192 "$kib")" = "$(region "$tmp/pattern" 0 "$kib")" ]
fresh_images
boot q35 "$sums $floppy" -machine q35 -drive "$(raw disk),index=0" -drive "$(raw disk2),index=1" -drive "$(raw cd),index=2,media=cdrom" -drive "$(raw fd),if=floppy"
boot q35-again "$sums $floppy gemel.second=1" -machine q35 -drive "$(raw disk),index=0" -drive "$(raw disk2),index=1" \
    -drive "$(raw cd),index=2,media=cdrom" -drive "$(raw fd),if=floppy"
tap_end
