#!/bin/sh
# share-rw= of disk devices from outside: two programs with one raw image refuse each other unless both devices share it, Gemel and, where it is
# installed, QEMU in either order. TAP.
. tests/lib/tap.sh
gemel=$(realpath "$GEMEL")
qemu=qemu-system-x86_64
cd "$tmp" || exit 1
truncate -s 4M raw
"$gemel-img" create -q -f qcow2 qcow2 1M

# vm PROGRAM OPTIONS...: a stopped machine that gets its monitor's input from the caller.
vm() {
    vm_program=$1
    shift
    exec timeout -k 5 60 "$vm_program" -S -nodefaults -display none -monitor stdio "$@"
}

# pair NAME FIRST SECOND ERROR DEVICE1 DEVICE2: the second machine's device meets the first one's; ERROR: what it says, or "" if both run.
pair() {
    rm -f held && mkfifo held
    vm "$2" -drive if=none,id=d,file=raw,format=raw -device "$5" <held >first.out 2>&1 &
    pid=$!
    background="$background $pid"
    exec 3>held
    check "/share/$1/first" wait_for first.out monitor
    (echo quit | vm "$3" -drive if=none,id=d,file=raw,format=raw -device "$6") >out 2>err
    status=$?
    if [ "$4" ]; then
        check "/share/$1/refused" [ "$status" = 1 ]
        check "/share/$1/told" grep -qF "$4" err
        check "/share/$1/image" grep -qF "Is another process using the image [raw]?" err
    else
        check "/share/$1/both" [ "$status" = 0 ]
    fi
    echo quit >&3
    exec 3>&-
    wait "$pid"
    status=$?
    forget "$pid"
    check "/share/$1/first-ends" [ "$status" = 0 ]
}

# pairs NAME FIRST SECOND
pairs() {
    pair "$1/none" "$2" "$3" 'Failed to get "write" lock' virtio-blk-pci,drive=d ide-hd,drive=d
    pair "$1/second" "$2" "$3" 'Failed to get "write" lock' virtio-blk-pci,drive=d virtio-blk-pci,drive=d,share-rw=on
    pair "$1/first" "$2" "$3" 'Failed to get shared "write" lock' ide-hd,drive=d,share-rw=on virtio-blk-pci,drive=d
    pair "$1/all" "$2" "$3" "" ide-hd,drive=d,share-rw=on virtio-blk-pci,drive=d,share-rw=on
}

pairs gemel "$gemel" "$gemel"
if need_tool /share/qemu "$qemu"; then
    pairs gemel-qemu "$gemel" "$qemu"
    pairs qemu-gemel "$qemu" "$gemel"
fi

# In one machine: by a node that two devices have, and by a file that two drives have.
# one NAME STATUS TEXT OPTIONS...
one() {
    one_name=$1 one_status=$2 one_text=$3
    shift 3
    (echo quit | vm "$gemel" "$@") >out 2>err
    status=$?
    check "/share/one/$one_name" [ "$status" = "$one_status" ]
    [ "$one_text" ] && check "/share/one/$one_name/told" grep -qF "$one_text" err
}
node='-blockdev driver=file,filename=raw,node-name=f'
file='-drive if=none,id=d,file=raw,format=raw -drive if=none,id=e,file=raw,format=raw'
for class in virtio-blk-pci ide-hd scsi-hd; do
    [ $class = scsi-hd ] && node="$node -device virtio-scsi-pci" file="$file -device virtio-scsi-pci"
    # shellcheck disable=SC2086
    one "$class/node" 0 "" $node -device $class,drive=f,share-rw=on -device $class,drive=f,share-rw=on
    # shellcheck disable=SC2086
    one "$class/node-refused" 1 "Permission conflict on node 'f'" $node -device $class,drive=f,share-rw=on -device $class,drive=f
    # shellcheck disable=SC2086
    one "$class/file" 0 "" $file -device $class,drive=d,share-rw=on -device $class,drive=e,share-rw=on
    # shellcheck disable=SC2086
    one "$class/file-refused" 1 'Failed to get "write" lock' $file -device $class,drive=d -device $class,drive=e,share-rw=on
done
one same-drive 1 'used by another device' -drive if=none,id=d,file=raw,format=raw -device virtio-blk-pci,drive=d,share-rw=on \
    -device virtio-blk-pci,drive=d,share-rw=on
one shorthand 1 'Failed to get "write" lock' -drive file=raw,format=raw -drive file=raw,format=raw
one flash 1 'flash memory, unit 1: Failed to get "write" lock' -drive if=pflash,file=raw,format=raw -drive if=pflash,unit=1,file=raw,format=raw
one qcow2 1 'Failed to get "write" lock' -drive if=none,id=d,file=qcow2 -drive if=none,id=e,file=qcow2
tap_end
