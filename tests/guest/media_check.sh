#!/bin/sh
# Installation and rescue media from Debian's packages: GRUB's rescue floppy and CD-ROM, a kernel over the network by iPXE, the Debian
# installer's graphical pages through VNC. TAP; `make check-guests`. ONLY_CASE="floppy cdrom ipxe installer" chooses.
# timeout: 1800
. tests/lib/guest.sh

grub_shell() { # NAME DEVICE-IN-GRUB OPTION...
    name=$1 device=$2
    shift 2
    vm_start -m 512 -display none "$@"
    check "$name/menu" screen 120 'GNU GRUB' && type_keys c && check "$name/prompt" screen 30 'grub>' && type_keys l s ret && check "$name/ls" screen 30 "$device"
    vm_stop
}

floppy() {
    need /media/floppy fetch_tree grub-rescue-pc "$guests" || return
    grub_shell /media/floppy '(fd0)' -fda "$guests/grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-floppy.img"
}

cdrom() {
    need /media/cdrom fetch_tree grub-rescue-pc "$guests" || return
    grub_shell /media/cdrom '(cd)' -cdrom "$guests/grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
}

ipxe() {
    need /media/ipxe fetch_linux cloud || return
    mkdir "$tmp/tftp"
    printf 'echo NETBOOT-OK\npoweroff -f\n' | init_file "$tmp/init"
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/tftp/initrd.gz"
    cp "$guests/vmlinuz-cloud" "$tmp/tftp/linux"
    printf '#!ipxe\nkernel linux console=ttyS0 panic=-1\ninitrd initrd.gz\nboot\n' >"$tmp/tftp/boot.ipxe"
    for nic in e1000 virtio-net-pci; do
        vm_start -m 512 -display none -boot n -netdev "user,id=n0,tftp=$tmp/tftp,bootfile=boot.ipxe" -device $nic,netdev=n0
        check "/media/ipxe/$nic" shows 120 NETBOOT-OK
        check "/media/ipxe/$nic/power-off" vm_ends 30
    done
}

installer() {
    need /media/installer fetch_tree debian-installer-12-netboot-amd64 "$guests" || return
    drive=$BUILD/tests/guest/vnc_drive
    [ -e "$drive" ] || make --no-print-directory "$drive" >&2 || { skip /media/installer "libvncclient is not installed"; return; }
    display=20
    while port_used $((5900 + display)); do display=$((display + 1)); done
    vm_start -m 1024 -vnc "127.0.0.1:$display" -boot n -device e1000,netdev=n0 -netdev \
        "user,id=n0,tftp=$guests/debian-installer-12-netboot-amd64/usr/lib/debian-installer/images/12/amd64/gtk,bootfile=pxelinux.0"
    vnc="$drive 127.0.0.1:$((5900 + display))"
    # The boot menu; then its first entry: the graphical installer, whose first page asks for the language.
    check /media/installer/menu $vnc size 640x480 120 colours 50 30 2>"$tmp/err" &&
        check /media/installer/graphical $vnc key Return size 1280x800 240 colours 100 240 still 4 60 2>"$tmp/err" &&
        check /media/installer/select $vnc still 4 60 mark key Down changed 30 2>"$tmp/err" &&
        check /media/installer/next-page $vnc still 4 60 mark key Return changed 60 still 4 60 colours 100 60 2>"$tmp/err"
    [ -n "$SHOT" ] && $vnc colours 100 10 shot "$SHOT"
    vm_stop
}

for c in ${ONLY_CASE:-floppy cdrom ipxe installer}; do
    $c
done
tap_end
