#!/bin/sh
# Tests `info jit` and QMP's x-query-jit with a ROM of a few instructions, ten of which store across a page. TAP.
. tests/lib/tap.sh
mkfifo "$tmp/in" || exit 1
# mov $10,%cx; 1: mov %ax,0xfff; loop 1b; mov $'!',%al; out %al,$0xe9; hlt; jmp -3
{ head -c 65520 /dev/zero && printf '\271\012\000\243\377\017\342\373\260!\346\351\364\353\375\000'; } >"$tmp/rom"
timeout -k 5 60 "$GEMEL" -m 16 -display none -nodefaults -bios "$tmp/rom" -debugcon "file:$tmp/said" -qmp stdio <"$tmp/in" >"$tmp/out" 2>"$tmp/err" &
pid=$!
background=$pid
exec 3>"$tmp/in"
echo '{"execute":"qmp_capabilities"}' >&3
wait_for "$tmp/said" '!'
echo '{"execute":"x-query-jit","id":"jit"}{"execute":"human-monitor-command","arguments":{"command-line":"info jit"}}{"execute":"quit"}' >&3
wait "$pid"
status=$?
forget "$pid"
grep -o '"human-readable-text": *"[^"]*"' "$tmp/out" | sed 's/.*: *"//; s/\\n/\n/g' >"$tmp/jit"
grep 'return.*translated' "$tmp/out" | grep -v human-readable | sed 's/\\n/\n/g; s/\\r//g' >"$tmp/monitor"

# number LABEL: the first number of a line.
number() {
    sed -n "s/^$1  *\([0-9]*\).*/\1/p" "$tmp/jit"
}

# An instruction is interpreted for the reason that it crosses a page.
crossings_good() {
    [ "$(number interpreted)" -ge 10 ] && grep -qE '^interpreted .*[:,] 10 page crossing' "$tmp/jit"
}

check /jit/status [ "$status" = 0 ]
for label in blocks translated 'code cache' probes invalidated 'cache flushes' 'links made' time speed 'block look-ups' exits interpreted 'TLB fills'; do
    check "/jit/line/$label" grep -q "^$label  *[0-9]" "$tmp/jit"
done
check /jit/translated [ "$(number translated)" -ge 3 ]
check /jit/probes [ "$(number probes)" -ge 1 ]
check /jit/crossings crossings_good
check /jit/phases grep -qE '^time .* ms: lifting [0-9.]+, passes [0-9.]+, emission [0-9.]+, publishing [0-9.]+; look-ups' "$tmp/jit"
check /jit/monitor grep -q 'interpreted .* 10 page crossing' "$tmp/monitor"
tap_end
