#!/bin/sh
# Installation and rescue media from Debian's packages: GRUB's rescue floppy and CD-ROM, a kernel over the network by iPXE, the Debian
# installer's graphical pages through VNC. TAP; `make check-guests`. ONLY_CASE="floppy cdrom ipxe installer" chooses.
# timeout: 1800
. tests/lib/tap.sh
guests=build/guests
FETCH_LIB=1
. tests/guest/fetch.sh
mkdir -p "$guests" || exit 1
emulator=
trap '[ -n "$emulator" ] && kill -9 "$emulator" 2>/dev/null; rm -rf "$tmp"' EXIT

# fetch_media PACKAGE: unpacked in $guests/PACKAGE.
fetch_media() {
    [ -e "$guests/$1" ] && return 0
    apt_setup "$guests" amd64 && apt_update amd64 && unpack_package "$1" "$guests/$1.new" && mv "$guests/$1.new" "$guests/$1"
}

# need NAME PACKAGE: false, after a line of TAP, if the package cannot be had.
need() {
    fetch_media "$2" 2>"$tmp/fetch" && return 0
    skip "$1" "$(tail -n 1 "$tmp/fetch")"
    return 1
}

start() {
    rm -f "$tmp/monitor"
    : >"$tmp/console"
    "$GEMEL" -m 512 -serial "file:$tmp/console" -monitor "unix:$tmp/monitor,server=on,wait=off" "$@" </dev/null >"$tmp/out" 2>"$tmp/err" &
    emulator=$!
    for _ in $(seq 50); do
        [ -S "$tmp/monitor" ] && return
        sleep 0.1
    done
}

stop() {
    kill "$emulator" 2>/dev/null
    wait "$emulator" 2>/dev/null
    emulator=
}

monitor() {
    echo "$*" | socat -t 2 - "UNIX-CONNECT:$tmp/monitor" 2>/dev/null
}

# The text screen at 0xb8000, 80 by 25, into $tmp/out.
screen_text() {
    monitor 'xp /2000hx 0xb8000' | tr -d '\r' | sed -n 's/^[0-9a-f]*b[89a-f][0-9a-f]*: *//p' | tr ' ' '\n' |
        awk '/^0x/ { c = substr($1, length($1) - 1); hex = "0123456789abcdef"
                     v = (index(hex, substr(c, 1, 1)) - 1) * 16 + index(hex, substr(c, 2, 1)) - 1
                     printf("%c", (v >= 32 && v < 127) ? v : 32)
                     if (++n % 80 == 0) print "" }' | sed 's/ *$//' >"$tmp/out"
}

# screen SECONDS TEXT
screen() {
    for _ in $(seq "$1"); do
        screen_text
        grep -qF -e "$2" "$tmp/out" && return 0
        kill -0 "$emulator" 2>/dev/null || return 1
        sleep 1
    done
    return 1
}

type_keys() {
    for k in "$@"; do
        monitor "sendkey $k" >/dev/null
    done
}

grub_shell() { # NAME DEVICE-IN-GRUB OPTION...
    name=$1 device=$2
    shift 2
    start -display none "$@"
    check "$name/menu" screen 120 'GNU GRUB' && type_keys c && check "$name/prompt" screen 30 'grub>' && type_keys l s ret && check "$name/ls" screen 30 "$device"
    stop
}

floppy() {
    need /media/floppy grub-rescue-pc || return
    grub_shell /media/floppy '(fd0)' -fda "$guests/grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-floppy.img"
}

cdrom() {
    need /media/cdrom grub-rescue-pc || return
    grub_shell /media/cdrom '(cd)' -cdrom "$guests/grub-rescue-pc/usr/lib/grub-rescue/grub-rescue-cdrom.iso"
}

# shows SECONDS TEXT: on the serial console.
shows() {
    for _ in $(seq $(($1 * 5))); do
        grep -aqF -e "$2" "$tmp/console" && return 0
        kill -0 "$emulator" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 15 "$tmp/console" >"$tmp/out"
    return 1
}

ipxe() {
    { fetch_kernel cloud "$guests" && fetch_busybox amd64 "$guests"; } 2>"$tmp/fetch" || { skip /media/ipxe "$(tail -n 1 "$tmp/fetch")"; return; }
    mkdir "$tmp/tftp"
    printf '#!/bin/busybox sh\necho NETBOOT-OK\n/bin/busybox poweroff -f\n' >"$tmp/init"
    chmod +x "$tmp/init"
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/tftp/initrd.gz"
    cp "$guests/vmlinuz-cloud" "$tmp/tftp/linux"
    printf '#!ipxe\nkernel linux console=ttyS0 panic=-1\ninitrd initrd.gz\nboot\n' >"$tmp/tftp/boot.ipxe"
    for nic in e1000 virtio-net-pci; do
        start -display none -boot n -netdev "user,id=n0,tftp=$tmp/tftp,bootfile=boot.ipxe" -device $nic,netdev=n0
        check "/media/ipxe/$nic" shows 120 NETBOOT-OK
        stop
    done
}

installer() {
    need /media/installer debian-installer-12-netboot-amd64 || return
    drive=$BUILD/tests/guest/vnc_drive
    [ -e "$drive" ] || make --no-print-directory "$drive" >&2 || { skip /media/installer "libvncclient is not installed"; return; }
    display=$(shuf -i 20-90 -n 1)
    start -m 1024 -vnc "127.0.0.1:$display" -boot n -device e1000,netdev=n0 -netdev \
        "user,id=n0,tftp=$guests/debian-installer-12-netboot-amd64/usr/lib/debian-installer/images/12/amd64/gtk,bootfile=pxelinux.0"
    vnc="$drive 127.0.0.1:$((5900 + display))"
    # The boot menu; then its first entry: the graphical installer, whose first page asks for the language.
    check /media/installer/menu $vnc size 640x480 120 colours 50 30 2>"$tmp/err" &&
        check /media/installer/graphical $vnc key Return size 1280x800 240 colours 100 240 still 4 60 2>"$tmp/err" &&
        check /media/installer/select $vnc still 4 60 mark key Down changed 30 2>"$tmp/err" &&
        check /media/installer/next-page $vnc still 4 60 mark key Return changed 60 still 4 60 colours 100 60 2>"$tmp/err"
    [ -n "$SHOT" ] && $vnc colours 100 10 shot "$SHOT"
    stop
}

for c in ${ONLY_CASE:-floppy cdrom ipxe installer}; do
    $c
done
tap_end
