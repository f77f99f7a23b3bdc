#!/bin/sh
# Tests -daemonize and -pidfile from outside: the program goes on in the background, answers there, and ends in order. TAP.
. tests/lib/tap.sh

kernel=$(realpath "$BUILD/tests/guest/demo.elf")
gemel=$(realpath "$GEMEL")

# Relative paths: the background has another working folder.
(cd "$tmp" && exec timeout 60 "$gemel" -daemonize -pidfile pid -display none -S -kernel "$kernel" -qmp unix:qmp,server=on,wait=off \
    >out 2>err </dev/null)
status=$?
check /daemon/starts [ "$status" = 0 ]
check /daemon/pidfile kill -0 "$(cat "$tmp/pid")"
gemel_run 60 -pidfile "$tmp/pid" -display none -S -kernel "$kernel"
check "/daemon/pidfile of another" [ "$status" = 1 ]
check "/daemon/pidfile of another is named" grep -q "$tmp/pid" "$tmp/err"
printf '{"execute":"qmp_capabilities"}{"execute":"query-status"}{"execute":"quit"}' | timeout 20 socat -,ignoreeof "unix:$tmp/qmp" >"$tmp/out" 2>&1
check /daemon/answers grep -q '"status": "prelaunch"' "$tmp/out"
check "/daemon/says why it ends" grep -q host-qmp-quit "$tmp/out"
check "/daemon/removes its files" until_true 10 test ! -e "$tmp/pid"
check "/daemon/removes its sockets" [ ! -e "$tmp/qmp" ]
gemel_run 60 -daemonize -display none -kernel /nonexistent
check "/daemon/tells of failure" [ "$status" = 1 ]
check "/daemon/tells the cause" grep -q /nonexistent "$tmp/err"
[ ! -e "$tmp/pid" ] || kill "$(cat "$tmp/pid")"
tap_end
