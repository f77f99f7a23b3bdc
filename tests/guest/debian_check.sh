#!/bin/sh
# Debian 12 from disk images: amd64 in BIOS mode on IDE and in UEFI mode on virtio, i386 with the PAE kernel on IDE: login prompt, ssh through
# hostfwd, a download from the host, reboot, clean power-off by the power button. TAP; `make check-guests`.
# timeout: 3000
# ONLY_CASE="bios uefi i386" chooses.
. tests/lib/debian_guest.sh

# A host-side server: each connection gets one file by HTTP/1.0.
start_server() {
    seq 1 400000 >"$tmp/file"
    sum=$(sha256sum <"$tmp/file" | cut -c 1-64)
    server_port=$(free_port)
    printf 'HTTP/1.0 200 OK\r\nContent-Length: %s\r\n\r\n' "$(wc -c <"$tmp/file")" >"$tmp/reply"
    cat "$tmp/file" >>"$tmp/reply"
    socat "TCP-LISTEN:$server_port,bind=127.0.0.1,fork,reuseaddr" "SYSTEM:read -r line; cat $tmp/reply" 2>"$tmp/server" &
    background="$background $!"
}

downloads() {
    guest "curl -s http://10.0.2.2:$server_port/file | sha256sum" && grep -q "$sum" "$tmp/guest"
}

# machine_is NAME: what the kernel is built for.
machine_is() {
    guest uname -m && [ "$(cat "$tmp/guest")" = "$1" ]
}

# life NAME MACHINE: what every Debian must do once it was started.
life() {
    check "$1/login" shows 600 'gemel login:' || { vm_kill; return; }
    check "$1/ssh" guest_up || { vm_kill; return; }
    check "$1/kernel" machine_is "$2"
    check "$1/no-trouble" no_trouble
    check "$1/download" downloads
    check "$1/write" guest 'dd if=/dev/urandom of=/root/data bs=1M count=20 status=none && sync && sha256sum /root/data > /root/data.sum'
    guest reboot
    check "$1/reboot" shows 600 'gemel login:' 2 || { vm_kill; return; }
    check "$1/ssh-again" guest_up
    check "$1/data-kept" guest 'sha256sum -c --status /root/data.sum'
    monitor system_powerdown >/dev/null
    check "$1/power-button" vm_ends 240
}

bios() {
    image /debian/bios amd64 || return
    start -machine pc -snapshot -device e1000,netdev=n0 -drive "file=$images/debian-bios.img,format=raw,if=ide"
    life /debian/bios x86_64
}

i386() {
    image /debian/i386 i386 || return
    start -machine pc -snapshot -device e1000,netdev=n0 -drive "file=$images/debian-i386.img,format=raw,if=ide"
    life /debian/i386 i686
}

uefi() {
    image /debian/uefi amd64 || return
    for d in /usr/share/OVMF /usr/share/ovmf/x64; do
        [ -e $d/OVMF_CODE_4M.fd ] && ovmf=$d
    done
    [ -n "$ovmf" ] || { skip /debian/uefi "the package ovmf is not installed"; return; }
    cp "$ovmf/OVMF_VARS_4M.fd" "$tmp/vars.fd"
    start -machine q35 -device virtio-net-pci,netdev=n0 -smp 2 \
        -drive "if=pflash,unit=0,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.fd" \
        -drive "if=pflash,unit=1,format=raw,file=$tmp/vars.fd" \
        -drive "file=$images/debian-uefi.img,format=raw,if=virtio,snapshot=on"
    life /debian/uefi x86_64
}

need_tool /debian socat ssh || tap_end
start_server
for c in ${ONLY_CASE:-bios uefi i386}; do
    $c
done
tap_end
