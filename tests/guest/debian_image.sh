#!/bin/sh
# Makes Debian 12 disk images from Debian's packages: debian_image.sh FOLDER. Called by tests/guest/debian_test.sh and the benchmarks.
#
# Leaves in FOLDER and keeps: debian-bios.img (MBR, GRUB for BIOS, ext4), debian-uefi.img (GPT, GRUB for UEFI, ext4), both raw with
# the same system: systemd, sshd, fio, iperf3; root without a password on the consoles, by key over ssh: FOLDER/debian-key.
# Exit status 77: no network, not root, or the tools are missing. Needs mmdebstrap, mtools, dosfstools, e2fsprogs, fdisk.

folder=${1:?usage: debian_image.sh FOLDER}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
packages=systemd-sysv,udev,linux-image-amd64,initramfs-tools,openssh-server,ifupdown,isc-dhcp-client,e2fsprogs,kmod,iproute2,\
iputils-ping,procps,fio,iperf3,curl,grub-pc-bin,grub-efi-amd64-bin,ca-certificates,dbus,libpam-systemd
root_label=gemel-root
size_mib=3072

say() {
    echo "debian_image: $*" >&2
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { say "$tool is not installed"; exit 77; }
    done
}

# The host's own package sources, in whichever format they are.
host_sources() {
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null
}

make_root() {
    [ -e "$folder/debian-root.tar" ] && return 0
    [ "$(id -u)" = 0 ] || { say "needs to be root for mmdebstrap"; exit 77; }
    say "installing Debian 12 from packages"
    host_sources | mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$folder/debian-root.tar.new" - \
        >"$folder/debian-root.log" 2>&1 || { say "mmdebstrap failed; see $folder/debian-root.log"; rm -f "$folder/debian-root.tar.new"; exit 77; }
    mv "$folder/debian-root.tar.new" "$folder/debian-root.tar"
}

grub_cfg() {
    cat <<'CFG'
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
set timeout=1
menuentry "Debian" {
    search --no-floppy --label gemel-root --set=root
    linux /vmlinuz root=LABEL=gemel-root ro net.ifnames=0 console=tty0 console=ttyS0,115200
    initrd /initrd.img
}
CFG
}

# What an installer would have asked.
configure_root() {
    r=$1
    echo gemel >"$r/etc/hostname"
    echo "LABEL=$root_label / ext4 errors=remount-ro 0 1" >"$r/etc/fstab"
    printf 'auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n' >"$r/etc/network/interfaces"
    sed -i 's/^root:[^:]*:/root::/' "$r/etc/shadow"
    mkdir -p "$r/root/.ssh" "$r/boot/grub"
    chmod 700 "$r/root/.ssh"
    cp "$folder/debian-key.pub" "$r/root/.ssh/authorized_keys"
    rm -f "$r"/var/cache/apt/archives/*.deb "$r/etc/resolv.conf"
    grub_cfg >"$r/boot/grub/grub.cfg"
    cp -r "$r/usr/lib/grub/i386-pc" "$r/boot/grub/"
    # In the image's own Debian, so that the host needs no GRUB.
    chroot "$r" grub-mkimage -O i386-pc -p '(hd0,msdos1)/boot/grub' -o /boot/core.img biosdisk part_msdos ext2 serial || return 1
    printf 'search --no-floppy --label %s --set=root\nset prefix=($root)/boot/grub\nconfigfile /boot/grub/grub.cfg\n' $root_label \
        >"$r/boot/early.cfg"
    chroot "$r" grub-mkimage -O x86_64-efi -p /EFI/BOOT -c /boot/early.cfg -o /boot/bootx64.efi part_gpt ext2 fat normal linux \
        serial terminal search search_label configfile echo test all_video gzio
}

# image NAME FIRST-SECTOR: an empty image with the root file system from that sector on.
root_image() {
    rm -f "$1"
    truncate -s ${size_mib}M "$1"
    mke2fs -q -F -t ext4 -L $root_label -d "$folder/root" -E offset=$(($2 * 512)) "$1" $((size_mib - $2 / 2048 - 2))M
}

bios_image() {
    out=$folder/debian-bios.img.new
    root_image "$out" 2048 || return 1
    echo '2048,,L,*' | sfdisk -q --no-tell-kernel "$out" || return 1
    # boot.img looks for core.img in the sector behind it; the partition table stays.
    dd if="$folder/root/usr/lib/grub/i386-pc/boot.img" of="$out" bs=440 count=1 conv=notrunc status=none &&
        dd if="$folder/root/boot/core.img" of="$out" bs=512 seek=1 conv=notrunc status=none &&
        mv "$out" "$folder/debian-bios.img"
}

uefi_image() {
    out=$folder/debian-uefi.img.new
    esp=$folder/esp.img
    first=133120 # behind 64 MiB of EFI system partition
    root_image "$out" $first || return 1
    printf 'label: gpt\n2048,131072,U\n%s,,L\n' $first | sfdisk -q --no-tell-kernel "$out" || return 1
    rm -f "$esp"
    truncate -s 64M "$esp" && mkfs.vfat -F 32 "$esp" >/dev/null && mmd -i "$esp" ::/EFI ::/EFI/BOOT &&
        mcopy -i "$esp" "$folder/root/boot/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI &&
        dd if="$esp" of="$out" bs=1M seek=1 conv=notrunc status=none && rm -f "$esp" && mv "$out" "$folder/debian-uefi.img"
}

[ -e "$folder/debian-bios.img" ] && [ -e "$folder/debian-uefi.img" ] && exit 0
need mmdebstrap mke2fs sfdisk mkfs.vfat mmd mcopy ssh-keygen
[ -e "$folder/debian-key" ] || ssh-keygen -q -t ed25519 -N '' -f "$folder/debian-key" || exit 1
make_root
say "making disk images"
rm -rf "$folder/root"
mkdir "$folder/root" && tar -xf "$folder/debian-root.tar" -C "$folder/root" && configure_root "$folder/root" && bios_image && uefi_image
status=$?
rm -rf "$folder/root"
exit $status
