#!/bin/sh
# Debian 12 from disk images (tests/guest/debian_image.sh), in BIOS mode on IDE and in UEFI mode on virtio: login prompt, ssh through
# hostfwd, a download from the host, reboot, clean power-off by the power button; and kills under write load. TAP; `make check-guests`.
# timeout: 3000
# KILLS=N: how often the machine is killed on each of FORMATS="raw qcow2" (3); ONLY_CASE="bios uefi kill_case" chooses.
. tests/lib/tap.sh
guests=build/guests/debian
server_port=0 emulator=

# cleanup: nothing that was started outlives the test.
cleanup() {
    [ -n "$emulator" ] && kill -9 "$emulator" 2>/dev/null
    [ -n "$server" ] && kill "$server" 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT

# A host-side server: each connection gets one file by HTTP/1.0.
start_server() {
    seq 1 400000 >"$tmp/file"
    sum=$(sha256sum <"$tmp/file" | cut -c 1-64)
    server_port=$(shuf -i 20000-40000 -n 1)
    printf 'HTTP/1.0 200 OK\r\nContent-Length: %s\r\n\r\n' "$(wc -c <"$tmp/file")" >"$tmp/reply"
    cat "$tmp/file" >>"$tmp/reply"
    socat "TCP-LISTEN:$server_port,bind=127.0.0.1,fork,reuseaddr" "SYSTEM:read -r line; cat $tmp/reply" 2>"$tmp/server" &
    server=$!
}

# start IMAGE OPTION...: a copy-on-write run of the image (or of $disk if that is set) with the network and the monitor.
start() {
    ssh_port=$(shuf -i 40001-60000 -n 1)
    : >"$tmp/console"
    rm -f "$tmp/monitor"
    "$GEMEL" -display none -m 1024 -serial "file:$tmp/console" -monitor "unix:$tmp/monitor,server=on,wait=off" \
        -netdev "user,id=n0,hostfwd=tcp:127.0.0.1:$ssh_port-:22" "$@" </dev/null >"$tmp/out" 2>"$tmp/err" &
    emulator=$!
}

monitor() {
    echo "$*" | socat -t 5 - "UNIX-CONNECT:$tmp/monitor" >"$tmp/monitor.out" 2>&1
}

# shows SECONDS TEXT [COUNT]: TEXT is on the console COUNT times within SECONDS.
shows() {
    for _ in $(seq $(($1 * 5))); do
        [ "$(grep -aFc -e "$2" "$tmp/console")" -ge "${3:-1}" ] && return 0
        kill -0 "$emulator" 2>/dev/null || break
        sleep 0.2
    done
    tail -n 15 "$tmp/console" >"$tmp/out"
    return 1
}

# guest COMMAND: runs it in the guest over ssh; the output in $tmp/guest.
guest() {
    timeout 120 ssh -q -i "$guests/debian-key" -p "$ssh_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
        -o ConnectTimeout=60 -o BatchMode=yes root@127.0.0.1 "$@" >"$tmp/guest" 2>"$tmp/guest.err" </dev/null
}

# guest_up: sshd answers.
guest_up() {
    for _ in $(seq 30); do
        guest true && return 0
        kill -0 "$emulator" 2>/dev/null || return 1
        sleep 1
    done
    return 1
}

# ends SECONDS: the emulator exits by itself with status 0.
ends() {
    for _ in $(seq $(($1 * 5))); do
        if ! kill -0 "$emulator" 2>/dev/null; then
            wait "$emulator"
            status=$?
            emulator=
            [ $status = 0 ]
            return
        fi
        sleep 0.2
    done
    tail -n 15 "$tmp/console" >"$tmp/out"
    kill -9 "$emulator"
    wait "$emulator" 2>/dev/null
    emulator=
    return 1
}

downloads() {
    guest "curl -s http://10.0.2.2:$server_port/file | sha256sum" && grep -q "$sum" "$tmp/guest"
}

no_trouble() {
    guest 'dmesg --level=emerg,alert,crit,err; systemctl --failed --no-legend; dmesg | grep -E "BUG:|Oops|WARNING:|Call Trace"'
    cp "$tmp/guest" "$tmp/out"
    ! [ -s "$tmp/guest" ]
}

# life NAME: what every Debian must do once it was started.
life() {
    check "$1/login" shows 240 'gemel login:' || { ends 0; return; }
    check "$1/ssh" guest_up || { ends 0; return; }
    check "$1/no-trouble" no_trouble
    check "$1/download" downloads
    check "$1/write" guest 'dd if=/dev/urandom of=/root/data bs=1M count=20 status=none && sync && sha256sum /root/data > /root/data.sum'
    guest reboot
    check "$1/reboot" shows 240 'gemel login:' 2 || { ends 0; return; }
    check "$1/ssh-again" guest_up
    check "$1/data-kept" guest 'sha256sum -c --status /root/data.sum'
    monitor system_powerdown
    check "$1/power-button" ends 90
}

bios() {
    start -machine pc -snapshot -device e1000,netdev=n0 -drive "file=$guests/debian-bios.img,format=raw,if=ide"
    life /debian/bios
}

uefi() {
    for d in /usr/share/OVMF /usr/share/ovmf/x64; do
        [ -e $d/OVMF_CODE_4M.fd ] && ovmf=$d
    done
    [ -n "$ovmf" ] || { skip /debian/uefi "the package ovmf is not installed"; return; }
    cp "$ovmf/OVMF_VARS_4M.fd" "$tmp/vars.fd"
    start -machine q35 -device virtio-net-pci,netdev=n0 -smp 2 \
        -drive "if=pflash,unit=0,format=raw,readonly=on,file=$ovmf/OVMF_CODE_4M.fd" \
        -drive "if=pflash,unit=1,format=raw,file=$tmp/vars.fd" \
        -drive "file=$guests/debian-uefi.img,format=raw,if=virtio,snapshot=on"
    life /debian/uefi
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
    raw) cp --sparse=always "$guests/debian-bios.img" "$disk" ;;
    *) "$GEMEL-img" convert -O "$1" "$guests/debian-bios.img" "$disk" ;;
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
        check "$name/login" shows 240 'gemel login:' && check "$name/ssh" guest_up || { ends 0; return; }
        [ "$n" = 1 ] || check "$name/kept" kept
        guest "rm -f /root/f*; sync; setsid sh -c '$load' >/dev/null 2>&1 </dev/null &"
        check "$name/load" shows 60 '/root/f5'
        sleep "0.$(shuf -i 0-9 -n 1)" # a random moment
        kill -9 "$emulator"
        wait "$emulator" 2>/dev/null
        cp "$tmp/console" "$tmp/told"
    done
    name=/debian/kill-$1/last
    kill_start "$1"
    check "$name/login" shows 240 'gemel login:'
    check "$name/ssh" guest_up && check "$name/kept" kept
    check "$name/no-trouble" no_trouble
    monitor system_powerdown
    check "$name/power-button" ends 90
    check "$name/clean" kill_clean "$1"
    rm -f "$tmp"/kill.*
}

kill_case() {
    for format in ${FORMATS:-raw qcow2}; do
        kill_format "$format"
    done
}

tests/guest/debian_image.sh "$guests" 2>"$tmp/err"
case $? in
0) ;;
77) skip /debian "$(tail -n 1 "$tmp/err")"; tap_end ;;
*) check /debian/image false; tap_end ;;
esac
start_server
for c in ${ONLY_CASE:-bios uefi kill_case}; do
    $c
done
tap_end
