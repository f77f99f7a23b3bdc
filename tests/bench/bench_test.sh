#!/bin/sh
# `make bench`'s driver with few rounds: the table, the JSON and SVG files, and that a program with a wrong result makes it fail. TAP. Skipped
# without network.
# timeout: 300
. tests/lib/guest.sh
need /bench fetch_kernel cloud "$guests" || tap_end

# bench GROUPS: one run; $status, $tmp/out and $tmp/err.
bench() {
    GEMEL=$GEMEL BUILD=$BUILD OUT=$tmp RUNS=1 DIVIDE=100 ONLY=$1 PEER= ENGINES=baseline timeout -k 5 200 bench/run >"$tmp/out" 2>"$tmp/err"
    status=$?
}

# has NAME PATTERN [FILE]
has() {
    check "/bench/$1" grep -qE -e "$2" "$tmp/${3:-out}"
}

bench "integer start"
check /bench/runs [ "$status" = 0 ]
has table/host '^ +host +gemel baseline'
has table/program '^  crc32 +[0-9.]+( +[0-9.]+){3} *$'
has table/mean '^  geometric mean( +[0-9.]+){3} *$'
has table/milliseconds '^  first instruction +-( +[0-9.]+){3} *$'
has table/target '^integer +<= +2 +[0-9.]+ (not )?met'
has table/not-measured '^OS +<= +5 +not measured'
check /bench/only sh -c '! grep -q getpid "$1"' - "$tmp/out"
has json/program '"name" : "crc32"' bench.json
has json/samples '"cpu_median" : [0-9.e-]+' bench.json
has json/slowdown '"slowdown" : [0-9.e+]+' bench.json
check /bench/json/results [ "$(grep -c '"machine" : "gemel baseline"' "$tmp/bench.json")" = 10 ]
has svg/dot '<circle.*gemel baseline [0-9.]+</title>' bench.svg
has svg/end '^</svg>' bench.svg

bench selftest
check /bench/wrong-result/fails [ "$status" = 1 ]
has wrong-result/host '^bench: host: selftest wrong: 0x2a is not 0x29$' err
has wrong-result/guest '^bench: gemel baseline: selftest wrong: 0x2a is not 0x29$' err
has wrong-result/table '^  wrong +wrong +wrong' out
has wrong-result/others-go-on '^  right +[0-9.]+ ' out

bench real/gzip
if [ "$status" = 77 ]; then
    skip /bench/real "$(tail -n 1 "$tmp/err")"
else
    check /bench/real/runs [ "$status" = 0 ]
    has real/program '^  gzip +[0-9.]+( +[0-9.]+){3} *$'
    check /bench/real/only sh -c '! grep -q sqlite3 "$1"' - "$tmp/out"
fi

bench nonesuch
check /bench/unknown-group [ "$status" = 1 ]
has unknown-group/said 'there is no group nonesuch' err
tap_end
