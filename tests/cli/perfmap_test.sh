#!/bin/sh
# Tests -perfmap with the bare-metal demonstration guest: the map file has the blocks of the guest's program, and no place of anybody else's
# is written to. TAP.
. tests/lib/tap.sh
kernel=$BUILD/tests/guest/demo.elf

# The process is told its number before it becomes the program: $tmp/pid, and a command that may use it first.
mapped() {
    printf 'exit\r' >"$tmp/in"
    timeout -k 5 60 sh -c 'echo $$ >"$1"; map=/tmp/perf-$$.map; eval "$2"; shift 2; exec "$@"' - "$tmp/pid" "$1" \
        "$GEMEL" -m 16 -kernel "$kernel" -nographic -perfmap <"$tmp/in" >"$tmp/out" 2>"$tmp/err"
    status=$?
    map=/tmp/perf-$(cat "$tmp/pid").map
}

# The lines are: address, length, name; both hexadecimal, and the names those of the guest's code, which lies at 1 MiB, or of Gemel's.
lines_good() {
    ! grep -qvE '^[0-9a-f]+ [0-9a-f]+ (gemel:[a-z0-9_]+|(kernel|user):[0-9a-f]+(\(cold\))?)$' "$map"
}

mapped ':'
check /perfmap/runs [ "$status" = 0 ]
check /perfmap/common grep -q ' gemel:slow_probe$' "$map"
check /perfmap/blocks grep -qE ' kernel:10[0-9a-f]{4}$' "$map"
check /perfmap/cold grep -qE ' kernel:10[0-9a-f]{4}\(cold\)$' "$map"
check /perfmap/form lines_good
rm -f "$map"

echo mine >"$tmp/victim"
mapped "ln -s $tmp/victim \$map"
check /perfmap/link-is-replaced [ "$status" = 0 ] && check /perfmap/link-kept [ "$(cat "$tmp/victim")" = mine ]
check /perfmap/own-file [ ! -h "$map" ]
rm -f "$map"
mapped 'mkdir $map'
check /perfmap/refused [ "$status" = 1 ]
check /perfmap/says-why grep -q '^gemel: -perfmap: /tmp/perf-' "$tmp/err"
rmdir "$map"
tap_end
