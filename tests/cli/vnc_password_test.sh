#!/bin/sh
# Tests passwords of the VNC server with a viewer that others wrote (libvncclient): none set, a wrong one, the right one, and that a refused
# viewer is told so and does not disturb those who come after it. TAP.
. tests/lib/tap.sh
viewer=$BUILD/tests/guest/vnc_drive
make --no-print-directory "$viewer" >&2 || { skip /vnc-password "libvncclient is not installed"; tap_end; }
display=$(shuf -i 1000-9000 -n 1)

# view PASSWORD: connects and waits for the picture
view() {
    VNC_PASSWORD=$1 timeout 30 "$viewer" "127.0.0.1:$((5900 + display))" size 640x480 10 2>"$tmp/err"
    status=$?
}

refused() {
    view "$1"
    [ "$status" = 1 ] && grep -qi 'password check failed' "$tmp/err"
}

accepted() {
    view "$1"
    [ "$status" = 0 ]
}

# monitor COMMAND: until it has been carried out
monitor() {
    printf '%s\ninfo status\n' "$1" >&3
    asked=$((asked + 1))
    until_true 20 answered
}

answered() {
    [ "$(grep -c 'VM status' "$tmp/out")" = $asked ]
}

asked=0
mkfifo "$tmp/in"
exec 3<>"$tmp/in"
"$GEMEL" -m 16 -S -vnc "127.0.0.1:$display,password=on" -monitor stdio <&3 >"$tmp/out" 2>&1 &
pid=$!
background="$background $pid"
monitor ''
check /vnc-password/none-set refused any
monitor 'set_password vnc secret'
check /vnc-password/wrong refused wrong
check /vnc-password/right accepted secret
check /vnc-password/wrong-again refused Secret
monitor 'expire_password vnc now'
check /vnc-password/expired refused secret
printf 'quit\n' >&3
wait $pid
status=$?
check /vnc-password/quit [ "$status" = 0 ]
tap_end
