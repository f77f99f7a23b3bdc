#!/bin/sh
# Debian 12 from disk images (tests/guest/debian_image.sh): amd64 in BIOS mode on IDE and in UEFI mode on virtio, i386 with the PAE kernel on
# IDE: login prompt, ssh through hostfwd, a download from the host, reboot, clean power-off by the power button; and kills under write load.
# TAP; `make check-guests`.
# timeout: 3000
# KILLS=N: how often the machine is killed on each of FORMATS="raw qcow2" (3); ONLY_CASE="bios uefi i386 kill_case" chooses.
. tests/lib/guest.sh
images=$guests/debian
ssh_key=$images/debian-key

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

# start OPTION...: the machine with its network.
start() {
    ssh_port=$(free_port)
    vm_start -display none -m 1024 -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$ssh_port-:22" "$@"
}

downloads() {
    guest "curl -s http://10.0.2.2:$server_port/file | sha256sum" && grep -q "$sum" "$tmp/guest"
}

no_trouble() {
    guest 'dmesg --level=emerg,alert,crit,err; systemctl --failed --no-legend; dmesg | grep -E "BUG:|Oops|WARNING:|Call Trace"'
    cp "$tmp/guest" "$tmp/out"
    ! [ -s "$tmp/guest" ]
}

# machine_is NAME: what the kernel is built for.
machine_is() {
    guest uname -m && [ "$(cat "$tmp/guest")" = "$1" ]
}

# life NAME MACHINE: what every Debian must do once it was started.
life() {
    check "$1/login" shows 240 'gemel login:' || { vm_kill; return; }
    check "$1/ssh" guest_up || { vm_kill; return; }
    check "$1/kernel" machine_is "$2"
    check "$1/no-trouble" no_trouble
    check "$1/download" downloads
    check "$1/write" guest 'dd if=/dev/urandom of=/root/data bs=1M count=20 status=none && sync && sha256sum /root/data > /root/data.sum'
    guest reboot
    check "$1/reboot" shows 240 'gemel login:' 2 || { vm_kill; return; }
    check "$1/ssh-again" guest_up
    check "$1/data-kept" guest 'sha256sum -c --status /root/data.sum'
    monitor system_powerdown
    check "$1/power-button" vm_ends 90
}

# image NAME ARCH: the images are there, or a line of TAP says why not.
image() {
    need "$1" tests/guest/debian_image.sh "$images" "$2"
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

# Writes numbered files, each synced before its name is told on the console.
load='i=0; while :; do i=$((i+1)); head -c 200000 /dev/urandom >/root/f$i; sync /root/f$i /root; sha256sum /root/f$i >/dev/ttyS0; done'

# Every file that the guest said it had synced is there after the kill, and fsck has nothing to repair but the journal.
kept() {
    grep -aoE '^[0-9a-f]{64}  /root/f[0-9]+' "$tmp/told" | sort -u >"$tmp/sums"
    [ -s "$tmp/sums" ] || return 1
    guest 'sha256sum /root/f*' || return 1
    sort -u "$tmp/guest" >"$tmp/there"
    [ -z "$(comm -23 "$tmp/sums" "$tmp/there")" ]
}

# kill_disk FORMAT: the image in that format is $disk.
kill_disk() {
    disk=$tmp/kill.$1
    case $1 in
    raw) cp --sparse=always "$images/debian-bios.img" "$disk" ;;
    *) "$GEMEL-img" convert -O "$1" "$images/debian-bios.img" "$disk" ;;
    esac
}

# kill_clean FORMAT: image format and file system are sound.
kill_clean() {
    "$GEMEL-img" check -f "$1" "$disk" >"$tmp/out" 2>&1 || [ $? = 63 ] || return 1 # 63: nothing to check in that format
    [ "$1" = raw ] || { "$GEMEL-img" convert -O raw "$disk" "$tmp/kill.raw" && disk=$tmp/kill.raw; } || return 1
    e2fsck -fn "$disk?offset=1048576" >"$tmp/out" 2>&1
}

kill_start() {
    start -machine pc -device virtio-net-pci,netdev=n0 -drive "file=$disk,format=$1,if=virtio"
}

kill_format() {
    kill_disk "$1" || { check "/debian/kill-$1/disk" false; return; }
    for n in $(seq "${KILLS:-3}"); do
        name=/debian/kill-$1/$n
        kill_start "$1"
        check "$name/login" shows 240 'gemel login:' && check "$name/ssh" guest_up || { vm_kill; return; }
        [ "$n" = 1 ] || check "$name/kept" kept
        guest "rm -f /root/f*; sync; setsid sh -c '$load' >/dev/null 2>&1 </dev/null &"
        check "$name/load" shows 60 '/root/f5'
        sleep "0.$(shuf -i 0-9 -n 1)" # a random moment
        vm_kill
        cp "$tmp/console" "$tmp/told"
    done
    name=/debian/kill-$1/last
    kill_start "$1"
    check "$name/login" shows 240 'gemel login:'
    check "$name/ssh" guest_up && check "$name/kept" kept
    check "$name/no-trouble" no_trouble
    monitor system_powerdown
    check "$name/power-button" vm_ends 90
    check "$name/clean" kill_clean "$1"
    rm -f "$tmp"/kill.*
}

kill_case() {
    image /debian/kill amd64 || return
    for format in ${FORMATS:-raw qcow2}; do
        kill_format "$format"
    done
}

need_tool /debian socat ssh e2fsck || tap_end
start_server
for c in ${ONLY_CASE:-bios uefi i386 kill_case}; do
    $c
done
tap_end
