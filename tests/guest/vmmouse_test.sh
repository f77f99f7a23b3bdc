#!/bin/sh
# VMware's pointer with Debian's stock kernel: psmouse finds it by itself, positions and buttons arrive, it goes and comes back with the driver; and with
# -machine vmport=off, or for a guest that never asks for it, the mouse is a PS/2 one. TAP. Skipped without network or socat.
# timeout: 400
. tests/lib/guest.sh

# What the guest does: it says which mice it has, and each event of them as TYPE CODE VALUE; at the middle button it gives the driver up, the first time
# for another try.
init_file "$tmp/init" <<'END'
mount -t devtmpfs dev /dev
mouse=
# VMware's is two devices: one for positions, one for movements and the wheel.
mice() {
    case $(cat /sys/class/input/event*/device/name) in *VMMouse*VMMouse* | *PS/2?Gen* | *ImEx*) ;; *) return 1 ;; esac
    mouse=$(grep -l Mouse /sys/class/input/event*/device/name | sed 's:.*/\(event[0-9]*\)/.*:\1:')
    for m in $mouse; do
        [ -e "/dev/input/$m" ] || return 1
    done
}
events() {
    exec <"/dev/input/$1"
    echo >/open
    while event=$(dd bs=24 count=1 2>/dev/null | hexdump -v -e '16/1 "%02x" " " 1/2 "%u " 1/2 "%u " 1/4 "%d\n"') && [ "$event" ]; do
        echo "GUEST-EVENT ${event#* }"
        case $event in *" 1 274 1") echo >/middle ;; esac
    done
}
modprobe evdev
mkfifo /open
for try in 1 2; do
    modprobe psmouse
    mkfifo /middle
    exec 9<>/middle # a writer does not wait for the reader
    until mice; do
        usleep 100000
    done
    for m in $mouse; do
        events "$m" &
        read -r line </open
        echo "GUEST-MOUSE $(cat "/sys/class/input/$m/device/name")"
    done
    echo GUEST-READY
    read -r line <&9
    rmmod psmouse
    wait
    exec 9<&-
    rm /middle
    echo GUEST-GIVEN-UP
done
poweroff -f
END

# boot OPTION...
boot() {
    vm_start -display none -nodefaults -m 256 "$@" -kernel "$guests/vmlinuz-stock" -initrd "$tmp/initrd.gz" -append console=ttyS0
}

pointer_is() {
    monitor 'info mice' | grep -q "^\* Mouse #.*: $1"
}

no_event() {
    ! console_has "GUEST-EVENT $1" 1
}

qmp_answered() {
    [ "$(grep -c return "$tmp/qmp.out")" = "$1" ]
}

# qmp_point AXIS VALUE
qmp_point() {
    : >"$tmp/qmp.out"
    {
        printf '%s\n' '{"execute": "qmp_capabilities"}' '{"execute": "input-send-event", "arguments": {"events": [' \
            "{\"type\": \"abs\", \"data\": {\"axis\": \"$1\", \"value\": $2}}]}}"
        until_true 20 qmp_answered 2
    } | socat - "UNIX-CONNECT:$tmp/qmp" >>"$tmp/qmp.out"
}

# gives EVENT COUNT COMMAND...: what the monitor is told becomes the guest's EVENT; so often in all.
gives() {
    event=$1 event_count=$2
    shift 2
    monitor "$*" >/dev/null
    shows 20 "GUEST-EVENT $event" "$event_count"
}

absolute() {
    boot -qmp "unix:$tmp/qmp,server=on,wait=off" "$@"
    for count in 1 2; do
        shows 60 GUEST-READY "$count"
        check "$name/found-$count" console_has 'GUEST-MOUSE VirtualPS/2 VMware VMMouse' $((2 * count)) || { vm_kill; return; }
        check "$name/absolute-$count" pointer_is 'vmmouse (absolute)'
        x=$((1234 * count)) # the button that is let go below may already have told the new driver where the pointer was
        check "$name/x-$count" gives "3 0 $((2 * x))" 1 mouse_move "$x" 4321
        check "$name/y-$count" gives '3 1 65534' "$count" mouse_move "$x" 32767
        check "$name/wheel-$count" gives '2 8 1' "$count" mouse_move "$x" 32767 1
        qmp_point x $((x + 1))
        check "$name/qmp-x-$count" shows 20 "GUEST-EVENT 3 0 $((2 * x + 2))"
        check "$name/left-$count" gives '1 272 1' "$count" mouse_button 1
        check "$name/left-up-$count" gives '1 272 0' "$count" mouse_button 0
        check "$name/right-$count" gives '1 273 1' "$count" mouse_button 4
        check "$name/middle-$count" gives '1 274 1' "$count" mouse_button 2
        check "$name/y-stays-$count" no_event '3 1 0'
        check "$name/given-up-$count" shows 20 GUEST-GIVEN-UP "$count"
        monitor mouse_button 0 >/dev/null
    done
    check "$name/power-off" vm_ends 30
}

relative() {
    boot "$@"
    shows 60 GUEST-READY
    check "$name/found" console_has 'GUEST-MOUSE ImExPS/2' 1 || { vm_kill; return; }
    check "$name/ps2" pointer_is 'PS/2 mouse'
    check "$name/x" gives '2 0 12' 1 mouse_move 12 0
    check "$name/y" gives '2 1 -7' 1 mouse_move 0 -7
    check "$name/wheel" gives '2 8 1' 1 mouse_move 0 0 1
    check "$name/left" gives '1 272 1' 1 mouse_button 1
    check "$name/left-up" gives '1 272 0' 1 mouse_button 0
    check "$name/still-ps2" pointer_is 'PS/2 mouse'
    vm_stop
}

need_tool /vmmouse socat || tap_end
need /vmmouse fetch_linux stock && need /vmmouse fetch_modules stock "$guests" || tap_end
pick_modules stock "$guests" "$tmp/modules" psmouse evdev &&
    pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz" "$tmp/modules/lib" || exit 1
name=/vmmouse/auto
absolute
name=/vmmouse/q35-on
absolute -machine q35,vmport=on
name=/vmmouse/off
relative -machine vmport=off
name=/vmmouse/unasked # Linux looks for it where it knows the hypervisor
relative -cpu max,kvm=off
tap_end
