#!/bin/sh
# Tests the running program from outside, with the bare-metal demonstration guest: console, monitor keys, stopped starts,
# signals, exit statuses. TAP.
. tests/lib/tap.sh
kernel=$BUILD/tests/guest/demo.elf

# guest INPUT OPTION...: runs the guest with INPUT (a printf format) on standard input; sets status, fills out and err.
guest() {
    # shellcheck disable=SC2059
    printf "$1" >"$tmp/in"
    shift
    timeout -k 5 60 "$GEMEL" -m 16 -kernel "$kernel" "$@" <"$tmp/in" >"$tmp/out" 2>"$tmp/err"
    status=$?
}

said() {
    [ "$status" = 0 ] && grep -qF -e "$1" "$tmp/out"
}

silent_err() {
    [ "$status" = 0 ] && [ ! -s "$tmp/err" ]
}

guest 'hello\rexit\r' -nographic
check /run/echo said 'you said: hello'
check /run/stderr-is-empty silent_err
guest 'typed\b\b\b\b\bback\rexit\r' -display none -serial mon:stdio
check /run/console said 'you said: back'
unset DISPLAY WAYLAND_DISPLAY
guest 'quit\n' -monitor stdio
check /run/vnc-by-default grep -q '^VNC server running on .*:59[0-9][0-9]$' "$tmp/err"
guest 'screendump '"$tmp"'/s.ppm\nquit\n' -monitor stdio -display none
check /run/screendump grep -aq '^P6' "$tmp/s.ppm"
guest '\001cinfo status\nstop\ninfo status\ncont\n\001cexit\r' -nographic
check /run/monitor said 'VM status: running'
check /run/monitor-stop said 'VM status: paused'
guest '\001cinfo registers\nx/2i $pc\ninfo mtree\ninfo qtree\ninfo pic\nquit\n' -nographic -S
check /run/monitor-quit said 'EIP=001000'
check /run/monitor-devices said 'isa-serial'
guest '\001cc\n\001cexit\r' -nographic -S
check /run/start-stopped said 'power off'
guest '\001x' -nographic
check /run/exit-key grep -q '^gemel: terminated' "$tmp/err"
guest '\001h\001x' -nographic
check /run/help-key said 'switch between console and monitor'

guest 'by id\rexit\r' -chardev stdio,id=con,mux=on,signal=off -serial chardev:con
check /run/chardev said 'you said: by id'
guest 'exit\r' -serial stdio -debugcon "file:$tmp/debug" -monitor none -D "$tmp/log" -d cpu_reset,guest_errors
check /run/log-file [ -e "$tmp/log" ]
check /run/debugcon [ -e "$tmp/debug" ]
guest '\001cquit\n' -serial mon:stdio -serial file:/dev/full
check /run/two-ports said '(gemel) quit'

# Bytes that come at once are all taken: a line longer than any FIFO, and many lines.
long=$(seq 1 400 | sed 's/.*/line & of many\\r/' | tr -d '\n')
guest "${long}exit\\r" -nographic
check /run/much-input said 'you said: line 400 of many'
check /run/no-byte-lost [ "$(grep -c 'you said: line [0-9]* of many' "$tmp/out")" = 400 ]

guest 'c\nquit\n' -display none -serial "file:$tmp/serial" -monitor stdio
check /run/monitor-on-stdio said 'monitor - type'
rm -f "$tmp/out" # what the one before has said must not be taken for this one's
timeout 60 "$GEMEL" -m 16 -kernel "$kernel" -nographic >"$tmp/out" 2>"$tmp/err" </dev/null &
pid=$!
check /run/dev-null-as-input wait_for "$tmp/out" 'demo>'
kill -TERM $pid
wait $pid
status=$?
check /run/sigterm-status [ "$status" = 0 ]

# By process id of the program itself, not of `timeout`.
rm -f "$tmp/out"
"$GEMEL" -m 16 -kernel "$kernel" -nographic >"$tmp/out" 2>"$tmp/err" </dev/null &
pid=$!
wait_for "$tmp/out" 'demo>'
kill -TERM $pid
wait $pid
status=$?
check /run/sigterm-message grep -q '^gemel: terminating on signal 15' "$tmp/err"

"$GEMEL" -m 16 -kernel "$kernel" -display none -serial "unix:$tmp/sock,server,nowait" -monitor none \
    >"$tmp/out" 2>"$tmp/err" </dev/null &
pid=$!
if need_tool /run/socket socat; then
    until_true 20 test -S "$tmp/sock"
    printf 'over a socket\rexit\r' | timeout 60 socat -t 60 - "UNIX-CONNECT:$tmp/sock" >"$tmp/sock.out"
    wait $pid
    status=$?
    check /run/socket grep -q 'you said: over a socket' "$tmp/sock.out"
    check /run/socket-status [ "$status" = 0 ]
else
    kill $pid
    wait $pid
fi
# -no-shutdown: the program stays, and the monitor still answers.
gemel_run 60 -m 16 -kernel "$kernel" -no-shutdown -serial "pipe:$tmp/serial" -monitor "pipe:$tmp/monitor"
check /run/pipes-that-are-missing [ "$status" = 1 ]
mkfifo "$tmp/serial.in" "$tmp/serial.out" "$tmp/monitor.in" "$tmp/monitor.out"
cat "$tmp/serial.out" >"$tmp/serial.log" &
cat "$tmp/monitor.out" >"$tmp/monitor.log" &
"$GEMEL" -m 16 -kernel "$kernel" -no-shutdown -serial "pipe:$tmp/serial" -monitor "pipe:$tmp/monitor" \
    >"$tmp/out" 2>"$tmp/err" </dev/null &
pid=$!
printf 'exit\r' >"$tmp/serial.in"
wait_for "$tmp/serial.log" 'power off'
# The guest's last act is a moment behind its last word.
stays() {
    printf 'info status\n' >"$tmp/monitor.in"
    file_has "$tmp/monitor.log" '(shutdown)'
}
until_true 20 stays
check /run/no-shutdown grep -q 'VM status: paused (shutdown)' "$tmp/monitor.log"
printf 'system_reset\ncont\n' >"$tmp/monitor.in"
check /run/no-shutdown-then-reset wait_for "$tmp/monitor.log" 'cont'
printf 'quit\n' >"$tmp/monitor.in"
wait $pid
status=$?
check /run/quit-status [ "$status" = 0 ]
wait
tap_end
