#!/bin/sh
# Makes Debian 12 disk images from Debian's packages: debian_image.sh FOLDER [amd64|i386]. Called by tests/guest/*_check.sh and the benchmarks.
#
# Leaves in FOLDER and keeps, all raw, with the same system: systemd, sshd; root without a password on the consoles, by key over ssh:
# FOLDER/debian-key.
# amd64 (the default): debian-bios.img (MBR, GRUB for BIOS, ext4), debian-uefi.img (GPT, GRUB for UEFI, ext4), with fio and iperf3.
# i386: debian-i386.img (MBR, GRUB for BIOS, ext4), with the PAE kernel.
# Exit status 77: no network, not root, or the tools are missing. Needs mmdebstrap, mtools, dosfstools, e2fsprogs, fdisk.

folder=${1:?usage: debian_image.sh FOLDER [amd64|i386]}
arch=${2:-amd64}
mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
packages=systemd-sysv,udev,initramfs-tools,openssh-server,ifupdown,isc-dhcp-client,e2fsprogs,kmod,iproute2,iputils-ping,procps,curl,grub-pc-bin,\
ca-certificates,dbus,libpam-systemd
case $arch in
amd64) packages=$packages,linux-image-amd64,grub-efi-amd64-bin,fio,iperf3 tar=$folder/debian-root.tar size_mib=3072 ;;
i386) packages=$packages,linux-image-686-pae tar=$folder/debian-root-i386.tar size_mib=2048 ;;
*) echo "debian_image: unknown architecture $arch; there are amd64 and i386" >&2; exit 1 ;;
esac
root_label=gemel-root

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

# The same without security updates, which not every mirror has whole.
main_sources() {
    host_sources | sed '/^deb .*-security/d' | awk 'BEGIN { RS = ""; ORS = "\n\n" } !/-security/'
}

install_root() {
    "$1" | mmdebstrap --format=tar --variant=minbase --architectures="$arch" --include="$packages" bookworm "$tar.new" - >>"$tar.log" 2>&1
}

make_root() {
    [ -e "$tar" ] && return 0
    [ "$(id -u)" = 0 ] || { say "needs to be root for mmdebstrap"; exit 77; }
    say "installing Debian 12 ($arch) from packages"
    rm -rf "$tar.new" "$tar.log"
    install_root host_sources || install_root main_sources || { rm -f "$tar.new"; say "mmdebstrap failed; see $tar.log"; exit 77; }
    mv "$tar.new" "$tar"
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
    [ "$arch" = amd64 ] || return 0
    printf 'search --no-floppy --label %s --set=root\nset prefix=($root)/boot/grub\nconfigfile /boot/grub/grub.cfg\n' $root_label \
        >"$r/boot/early.cfg"
    chroot "$r" grub-mkimage -O x86_64-efi -p /EFI/BOOT -c /boot/early.cfg -o /boot/bootx64.efi part_gpt ext2 fat normal linux \
        serial terminal search search_label configfile echo test all_video gzio
}

# root_image NAME FIRST-SECTOR: an empty image with the root file system from that sector on.
root_image() {
    rm -f "$1"
    truncate -s ${size_mib}M "$1"
    mke2fs -q -F -t ext4 -L $root_label -d "$root" -E offset=$(($2 * 512)) "$1" $((size_mib - $2 / 2048 - 2))M
}

# bios_image NAME
bios_image() {
    out=$folder/$1.new
    root_image "$out" 2048 || return 1
    echo '2048,,L,*' | sfdisk -q --no-tell-kernel "$out" || return 1
    # boot.img looks for core.img in the sector behind it; the partition table stays.
    dd if="$root/usr/lib/grub/i386-pc/boot.img" of="$out" bs=440 count=1 conv=notrunc status=none &&
        dd if="$root/boot/core.img" of="$out" bs=512 seek=1 conv=notrunc status=none &&
        mv "$out" "$folder/$1"
}

uefi_image() {
    out=$folder/debian-uefi.img.new
    esp=$folder/esp.img
    first=133120 # behind 64 MiB of EFI system partition
    root_image "$out" $first || return 1
    printf 'label: gpt\n2048,131072,U\n%s,,L\n' $first | sfdisk -q --no-tell-kernel "$out" || return 1
    rm -f "$esp"
    truncate -s 64M "$esp" && mkfs.vfat -F 32 "$esp" >/dev/null && mmd -i "$esp" ::/EFI ::/EFI/BOOT &&
        mcopy -i "$esp" "$root/boot/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI &&
        dd if="$esp" of="$out" bs=1M seek=1 conv=notrunc status=none && rm -f "$esp" && mv "$out" "$folder/debian-uefi.img"
}

# have_images: nothing is left to do.
have_images() {
    case $arch in
    amd64) [ -e "$folder/debian-bios.img" ] && [ -e "$folder/debian-uefi.img" ] ;;
    i386) [ -e "$folder/debian-i386.img" ] ;;
    esac
}

make_images() {
    case $arch in
    amd64) bios_image debian-bios.img && uefi_image ;;
    i386) bios_image debian-i386.img ;;
    esac
}

have_images && exit 0
# Tests that run side by side wait for each other here.
exec 9>"$folder/lock" && flock 9 || exit 1
have_images && exit 0
need mmdebstrap mke2fs sfdisk mkfs.vfat mmd mcopy ssh-keygen
[ -e "$folder/debian-key" ] || ssh-keygen -q -t ed25519 -N '' -f "$folder/debian-key" || exit 1
make_root
say "making disk images"
root=$folder/root-$arch
rm -rf "$root"
mkdir "$root" && tar -xf "$tar" -C "$root" && configure_root "$root" && make_images
status=$?
rm -rf "$root"
exit $status
