#!/bin/sh
# Debian 12 from a disk image on virtio-blk, killed at random moments under write load, raw and qcow2: each boot that follows finds all that was
# synced, and in the end fsck finds nothing wrong. TAP; `make check-guests`.
# timeout: 3000
# KILLS=N: how often on each of FORMATS="raw qcow2" (10).
. tests/lib/debian_guest.sh
KILLS=${KILLS:-10}

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

# kill_clean FORMAT: image format and file system are sound. A cluster that was about to be used when the process was killed has a reference count and no
# reference yet (status 3): it can be given back, and after that the image is as good as new.
kill_clean() {
    "$GEMEL-img" check -f "$1" "$disk" >"$tmp/out" 2>&1
    case $? in
    0 | 63) ;; # 63: nothing to check in that format
    3) "$GEMEL-img" check -r leaks -f "$1" "$disk" >>"$tmp/out" 2>&1 && "$GEMEL-img" check -f "$1" "$disk" >>"$tmp/out" 2>&1 || return 1 ;;
    *) return 1 ;;
    esac
    [ "$1" = raw ] || { "$GEMEL-img" convert -O raw "$disk" "$tmp/kill.raw" && disk=$tmp/kill.raw; } || return 1
    e2fsck -fn "$disk?offset=1048576" >"$tmp/out" 2>&1
}

kill_start() {
    start -machine pc -device virtio-net-pci,netdev=n0 -drive "file=$disk,format=$1,if=virtio"
}

kill_format() {
    kill_disk "$1" || { check "/kill/$1/disk" false; return; }
    for n in $(seq "$KILLS"); do
        name=/kill/$1/$n
        kill_start "$1"
        check "$name/login" shows 600 'gemel login:' && check "$name/ssh" guest_up || { vm_kill; return; }
        [ "$n" = 1 ] || check "$name/kept" kept
        guest "rm -f /root/f*; sync; setsid sh -c '$load' >/dev/null 2>&1 </dev/null &"
        check "$name/load" shows 60 '/root/f5'
        sleep "0.$(shuf -i 0-9 -n 1)" # a random moment
        vm_kill
        cp "$tmp/console" "$tmp/told"
    done
    name=/kill/$1/last
    kill_start "$1"
    check "$name/login" shows 600 'gemel login:'
    check "$name/ssh" guest_up && check "$name/kept" kept
    check "$name/no-trouble" no_trouble
    monitor system_powerdown >/dev/null
    check "$name/power-button" vm_ends 240
    check "$name/clean" kill_clean "$1"
    rm -f "$tmp"/kill.*
}

need_tool /kill socat ssh e2fsck || tap_end
image /kill amd64 || tap_end
for format in ${FORMATS:-raw qcow2}; do
    kill_format "$format"
done
tap_end
