#!/bin/sh
# What a Linux guest sees when the host's disk is full, fails or goes away, with each werror= and rerror=, on virtio-blk, virtio-scsi, AHCI and IDE:
# the VM stops and says so by QMP, `cont` tries again, nothing is lost; or the guest gets its error. TAP. Needs nbdkit and a tmpfs of its own.
# timeout: 600
. tests/lib/tap.sh
guests=build/guests
FETCH_LIB=1
. tests/guest/fetch.sh
mkdir -p "$guests" || exit 1

# The tests run in a mount namespace of their own, in which $tmp/small is a file system of 24 MiB.
if [ -z "$DISK_ERRORS_INSIDE" ]; then
    for how in -m -rm; do
        unshare $how true 2>/dev/null && DISK_ERRORS_INSIDE=1 exec unshare $how sh "$0"
    done
    skip /disk-errors "no mount namespaces here"
    tap_end
    exit 0
fi
fetch_modules stock "$guests" 2>"$tmp/fetch"
case $? in
0) ;;
77) skip /disk-errors "$(tail -n 1 "$tmp/fetch")"; tap_end; exit 0 ;;
*) cp "$tmp/fetch" "$tmp/err"; check /disk-errors/fetch false; tap_end; exit 1 ;;
esac
emulator= servers=
cleanup() {
    kill -9 $emulator $servers 2>/dev/null
    umount "$tmp/small" 2>/dev/null
    rm -rf "$tmp"
}
trap cleanup EXIT
mkdir "$tmp/small" && mount -t tmpfs -o size=24M none "$tmp/small" || { skip /disk-errors "cannot mount a tmpfs"; tap_end; exit 0; }

# The guest does what it is told on its serial line and answers "@STATUS" when that has ended.
cat >"$tmp/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mkdir -p /proc /sys /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
exec </dev/ttyS0 >/dev/ttyS0 2>&1
stty -echo
modprobe -a virtio_pci virtio_blk virtio_scsi sd_mod ahci ata_piix
seq 1 900000 | head -c 4194304 >/tmp/data
by_size() { # the disk of that many MiB
    while :; do
        for d in /sys/block/*; do
            [ "$(cat "$d/size")" = $(($1 * 2048)) ] && echo "/dev/${d##*/}" && return
        done
        usleep 50000
    done
}
put() { dd if=/tmp/data of="$(by_size "$1")" bs=64k oflag=direct 2>/dev/null; }
get() { dd if="$(by_size "$1")" of=/tmp/got bs=64k count=64 iflag=direct 2>/dev/null; }
same() { get "$1" && cmp -s /tmp/got /tmp/data; }
echo GUEST-READY
while read -r line; do
    eval "$line"
    echo "@$?"
done
END
chmod +x "$tmp/init"
pick_modules stock "$guests" "$tmp/modules" virtio_pci virtio_blk virtio_scsi sd_mod ahci ata_piix &&
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz" "$tmp/modules/lib" || exit 1

# count FILE TEXT
count() {
    grep -acF -e "$2" "$1" 2>/dev/null
}

ended() {
    ! kill -0 "$emulator" 2>/dev/null
}

counted_or_ended() {
    [ "$(count "$1" "$2")" -ge "$3" ] || ended
}

# until_count FILE TEXT N: until TEXT is on N lines; at most a minute.
until_count() {
    until_true 60 counted_or_ended "$1" "$2" "$3" && [ "$(count "$1" "$2")" -ge "$3" ]
}

# boot OPTION...: QMP is fd 3 and $tmp/qmp, the guest's serial line fd 4 and $tmp/out.
boot() {
    rm -f "$tmp/qmp.in" "$tmp/serial.in" "$tmp/serial.out"
    mkfifo "$tmp/qmp.in" "$tmp/serial.in" "$tmp/serial.out"
    : >"$tmp/out"
    answers=0
    cat "$tmp/serial.out" >"$tmp/out" &
    servers="$servers $!"
    "$GEMEL" -nodefaults -display none -chardev "pipe,id=s,path=$tmp/serial" -serial chardev:s -qmp stdio -no-reboot -m 256 \
        -kernel "$guests/vmlinuz-stock" -initrd "$tmp/initrd.gz" -append 'console=ttyS0 quiet panic=-1' "$@" <"$tmp/qmp.in" >"$tmp/qmp" 2>"$tmp/err" &
    emulator=$!
    exec 3>"$tmp/qmp.in" 4>"$tmp/serial.in"
    qmp qmp_capabilities
    until_count "$tmp/out" GUEST-READY 1
}

qmp() {
    echo "{\"execute\":\"$1\"}" >&3
}

# tell COMMAND: the guest begins it. answered STATUS: it ends with that status.
tell() {
    answers=$((answers + 1))
    echo "$1" >&4
}

answered() {
    until_count "$tmp/out" @ $answers && [ "$(grep -a @ "$tmp/out" | tail -n 1 | tr -d '\r')" = "@$1" ]
}

guest() {
    tell "$1"
    answered 0
}

# stopped N: the VM has stopped N times for an error, and the guest waits.
stopped() {
    until_count "$tmp/qmp" '"STOP"' "$1" && qmp query-status && until_count "$tmp/qmp" '"io-error"' "$1" &&
        [ "$(count "$tmp/out" @)" -lt "$answers" ]
}

# event DEVICE OPERATION ACTION [NOSPACE]: such a BLOCK_IO_ERROR came.
event() {
    grep BLOCK_IO_ERROR "$tmp/qmp" | tr -d ' ' | grep -F "\"device\":\"$1\"" | grep -F "\"operation\":\"$2\"" |
        grep -F "\"action\":\"$3\"" | grep -qF "\"nospace\":${4:-false}"
}

end() {
    tell 'poweroff -f'
    until_true 30 ended
    kill -9 "$emulator" 2>/dev/null
    wait "$emulator"
    status=$?
    emulator=
    exec 3>&- 4>&-
    [ "$status" = 0 ]
}

# disk NAME MIB OPTIONS: an empty image on the small file system.
disk() {
    rm -f "$tmp/small/$1"
    case $3 in
    *qcow2*) "$GEMEL-img" create -q -f qcow2 "$tmp/small/$1" "$2M" ;;
    *) truncate -s "$2M" "$tmp/small/$1" ;;
    esac
}

fill() {
    dd if=/dev/zero of="$tmp/small/filler" bs=64k 2>/dev/null
    truncate -s -1M "$tmp/small/filler"
}

stops=0
# full NAME MIB: the guest's writes meet a full host disk; once there is space again they go on.
full() {
    name=/disk-errors/full/$1
    fill
    tell "put $2"
    stops=$((stops + 1))
    check "$name/stopped" stopped $stops || return
    check "$name/event" event "$1" write stop true
    qmp cont # there is no space yet: it stops again
    stops=$((stops + 1))
    check "$name/stopped-again" stopped $stops || return
    rm "$tmp/small/filler"
    qmp cont
    check "$name/went-on" answered 0
    check "$name/data" guest "same $2"
}

full_case() {
    disk vblk 30 && disk vscsi 31 && disk sata 32 && disk vqcow 33 qcow2
    boot -machine q35 -drive "if=none,id=vblk,format=raw,file=$tmp/small/vblk" -device virtio-blk-pci,drive=vblk \
        -drive "if=none,id=vscsi,format=raw,file=$tmp/small/vscsi,werror=stop" -device virtio-scsi-pci -device scsi-hd,drive=vscsi \
        -drive "if=none,id=sata,format=raw,file=$tmp/small/sata,werror=enospc" -device ide-hd,drive=sata \
        -drive "if=none,id=vqcow,format=qcow2,file=$tmp/small/vqcow" -device virtio-blk-pci,drive=vqcow
    for d in vblk:30 vscsi:31 sata:32 vqcow:33; do
        full ${d%:*} ${d#*:}
    done
    check /disk-errors/full/end end
    check /disk-errors/full/qcow2-check "$GEMEL-img" check -q -f qcow2 "$tmp/small/vqcow"
    rm -f "$tmp"/small/*
    stops=0
    disk ide 34 && disk told 35
    boot -machine pc -drive "if=ide,id=ide,format=raw,file=$tmp/small/ide" \
        -drive "if=none,id=told,format=raw,file=$tmp/small/told,werror=report" -device virtio-blk-pci,drive=told
    full ide 34
    fill
    tell 'put 35'
    check /disk-errors/full/report answered 1
    check /disk-errors/full/report-event event told write report true
    rm "$tmp/small/filler"
    check /disk-errors/full/report-then-works guest 'put 35 && same 35'
    check /disk-errors/full/ide-end end
    rm -f "$tmp"/small/*
}

# serve NAME MIB: an NBD server that fails everything while $tmp/broken exists.
serve() {
    nbdkit -f -U "$tmp/$1.sock" -P "$tmp/$1.pid" --filter=error memory "$2M" error=EIO error-rate=1 "error-file=$tmp/broken" 2>>"$tmp/nbdkit" &
    servers="$servers $!"
    wait_for "$tmp/$1.pid" ''
}

# nbd NAME: its drive
nbd() {
    echo "if=none,id=$1,format=raw,file=nbd+unix:///?socket=$tmp/$1.sock"
}

# fails NAME MIB put|same WORD: the host fails for a while; the VM waits for it.
fails() {
    name=/disk-errors/fails/$1/$4
    : >"$tmp/broken"
    tell "$3 $2"
    stops=$((stops + 1))
    check "$name/stopped" stopped $stops || return
    check "$name/event" event "$1" "$4" stop
    qmp cont
    stops=$((stops + 1))
    check "$name/stopped-again" stopped $stops || return
    rm "$tmp/broken"
    qmp cont
    check "$name/went-on" answered 0
}

fails_case() {
    command -v nbdkit >/dev/null || { skip /disk-errors/fails "nbdkit is not installed"; return; }
    stops=0
    serve vblk 30 && serve vscsi 31 && serve sata 32 && serve told 33 && serve deaf 34
    boot -machine q35 -drive "$(nbd vblk),werror=stop,rerror=stop" -device virtio-blk-pci,drive=vblk \
        -drive "$(nbd vscsi)" -device virtio-scsi-pci -device scsi-hd,drive=vscsi,werror=stop,rerror=stop \
        -drive "$(nbd sata)" -device ide-hd,drive=sata,werror=stop,rerror=stop \
        -drive "$(nbd told)" -device virtio-blk-pci,drive=told \
        -drive "$(nbd deaf)" -device virtio-blk-pci,drive=deaf,werror=ignore,rerror=ignore
    for d in vblk:30 vscsi:31 sata:32; do
        fails ${d%:*} ${d#*:} put write
        check "/disk-errors/fails/${d%:*}/data" guest "same ${d#*:}"
        fails ${d%:*} ${d#*:} same read
    done
    check /disk-errors/report/before guest 'put 33 && same 33'
    : >"$tmp/broken"
    tell 'put 33'
    check /disk-errors/report/write answered 1
    check /disk-errors/report/write-event event told write report
    tell 'get 33'
    check /disk-errors/report/read answered 1
    check /disk-errors/report/read-event event told read report
    check /disk-errors/ignore/write guest 'put 34'
    check /disk-errors/ignore/event event deaf write ignore
    rm "$tmp/broken"
    check /disk-errors/report/after guest 'same 33'
    kill "$(cat "$tmp/told.pid")"
    tell 'get 33'
    check /disk-errors/vanished/read answered 1
    check /disk-errors/vanished/others-live guest 'same 30'
    check /disk-errors/fails/end end
}

full_case
fails_case
tap_end
