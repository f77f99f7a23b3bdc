#!/bin/sh
# Tests the gdb stub with gdb itself against the bare-metal demonstration guest. TAP; skipped without gdb.
. tests/lib/tap.sh
kernel=$BUILD/tests/guest/demo.elf
need_tool /gdb-session gdb || tap_end

cat >"$tmp/script" <<EOF
set pagination off
set confirm off
target remote $tmp/gdb
printf "start %#x\n", \$eip
break puts
continue
printf "in puts %d\n", (\$eip == (int)&puts)
x/2i \$pc
stepi
printf "stepped %d\n", \$eip - (int)&puts
delete
hbreak read_line
continue
printf "in read_line %d\n", (\$eip == (int)&read_line)
delete
watch *(unsigned char *)&line
continue
printf "line is %c\n", *(char *)&line
delete
monitor info status
set var \$ebx = 0x12345678
printf "ebx %#x\n", \$ebx
set var *(int *)&stack_top = 0x55aa
printf "memory %#x\n", *(int *)&stack_top
info threads
break power_off
continue
printf "in power_off %d\n", (\$eip == (int)&power_off)
delete
continue
EOF
printf 'a\rexit\r' >"$tmp/in"
# A CPU without long mode, so that gdb takes the 32-bit kernel's symbols and the 32-bit registers together.
timeout -k 5 120 "$GEMEL" -cpu max,-lm -m 16 -nographic -kernel "$kernel" -S -gdb "unix:$tmp/gdb" \
    <"$tmp/in" >"$tmp/guest" 2>"$tmp/err" &
pid=$!
until_true 30 test -S "$tmp/gdb"
timeout -k 5 120 gdb -nx -q -batch -x "$tmp/script" "$kernel" >"$tmp/out" 2>&1
wait $pid
status=$?

has() {
    grep -qE -e "$1" "$tmp/out"
}
check /gdb-session/start has '^start 0x1000[0-9a-f]+'
check /gdb-session/breakpoint has '^in puts 1'
check /gdb-session/disassembly has '=> 0x.*lods'
check /gdb-session/step has '^stepped 1'
check /gdb-session/hardware-breakpoint has '^in read_line 1'
check /gdb-session/watchpoint has '^line is a'
check /gdb-session/monitor has 'VM status: paused'
check /gdb-session/register-write has '^ebx 0x12345678'
check /gdb-session/memory-write has '^memory 0x55aa'
check /gdb-session/threads has 'CPU#0'
check /gdb-session/second-breakpoint has '^in power_off 1'
check /gdb-session/exit has 'exited normally'
check /gdb-session/guest-was-not-disturbed grep -q 'you said: a' "$tmp/guest"
check /gdb-session/status [ "$status" = 0 ]
tap_end
