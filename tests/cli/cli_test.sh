#!/bin/sh
# Tests the program's command line from outside: what it prints where, and its exit status. TAP. GEMEL names the program.
. tests/lib/tap.sh

# The program said no: status 1, one line on standard error that names the option, nothing on standard output.
refuses() {
    [ "$status" = 1 ] && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" = 1 ] && grep -q '^gemel: ' "$tmp/err" &&
        grep -qF -e "$1" "$tmp/err"
}

# The program printed something with $1 in it on standard output and nothing else.
prints() {
    [ "$status" = 0 ] && [ ! -s "$tmp/err" ] && grep -qF -e "$1" "$tmp/out"
}

# Arguments (split at spaces), then what the message must contain. KERNEL is one that could be started.
kernel=$BUILD/tests/guest/demo.elf
while IFS='|' read -r args word; do
    # shellcheck disable=SC2046
    gemel_run 60 $(echo "$args" | sed "s|KERNEL|$kernel|")
    check "/cli/refuses $args" refuses "$word"
done <<'EOF'
|nothing to boot
-frobnicate|-frobnicate
--frobnicate=1|--frobnicate=1
-kernel|-kernel
-kernel /nonexistent|/nonexistent
/nonexistent.img|/nonexistent.img
-kernel /dev/null -m 0|-m 0
-kernel /dev/null -m 1T|-m 1T
-kernel /dev/null -m lots|-m lots
-kernel /dev/null -smp 0|-smp 0
-kernel /dev/null -smp 65|-smp 65
-kernel /dev/null -smp 2,sockets=3|-smp
-kernel /dev/null -accel warp|warp
-kernel /dev/null -machine zx81|zx81
-kernel /dev/null -cpu z80|z80
-kernel /dev/null -cpu max,+warp|warp
-kernel KERNEL -device flux-capacitor|flux-capacitor
-kernel KERNEL -device isa-debug-exit,iobase=banana|iobase
-kernel KERNEL -device isa-debug-exit,colour=red|colour
-kernel /dev/null -global flux-capacitor.x=1|flux-capacitor
-kernel /dev/null -serial telepathy|telepathy
-kernel /dev/null -serial stdio -serial stdio|stdio
-kernel /dev/null -serial file:/nonexistent/x|/nonexistent/x
-kernel /dev/null -monitor unix:/nonexistent/x|/nonexistent/x
-kernel /dev/null -chardev file,path=/dev/null|id=
-kernel /dev/null -serial chardev:none|chardev:none
-kernel /dev/null -d everything|everything
-kernel /dev/null -D /nonexistent/log|/nonexistent/log
-kernel KERNEL -gdb tcp:nowhere|-gdb
-kernel /dev/null -vga cirrus|-vga
-kernel /dev/null -display gtk|-display
-kernel /dev/null -rtc base=yesterday|yesterday
-drive file=/dev/null,format=raw,if=ide|/dev/null
-drive file=KERNEL,format=qcow2,readonly=on|qcow2
/dev/null /dev/zero|/dev/zero
-kernel KERNEL -initrd /nonexistent|/nonexistent
EOF
printf 'this is text, and neither kernel nor disk' >"$tmp/text"
gemel_run 60 -nographic -kernel "$tmp/text"
check "/cli/refuses a text file as kernel" refuses "$tmp/text"
gemel_run 60 -nographic "$tmp/text"
check "/cli/refuses a text file as image" refuses "$tmp/text"

while IFS='|' read -r args word; do
    # shellcheck disable=SC2086
    gemel_run 60 $args
    check "/cli/prints $args" prints "$word"
done <<'EOF'
-version|Gemel emulator version
--version|Gemel emulator version
-help|-kernel FILE
-h|-nographic
-machine help|pc
-M help|pc
-accel help|dbt
-cpu help|avx2
-device help|isa-debug-exit
-device isa-debug-exit,help|iobase
-d help|guest_errors
EOF
"$GEMEL" -help >/dev/full 2>/dev/null
status=$?
check "/cli/full disk under -help" [ "$status" = 1 ]
tap_end
