#!/bin/sh
# Tests tests/run: what counts as passed, failed and skipped, and that nothing is left of an item's temporary files. TAP.
. tests/lib/tap.sh

# item NAME LINE: a script of one line
item() {
    printf '#!/bin/sh\n%s\n' "$2" >"$tmp/$1"
    chmod +x "$tmp/$1"
}

# run NAME...: what the runner says about these items
run() {
    items=
    for name in "$@"; do
        items="$items $tmp/$name"
    done
    # shellcheck disable=SC2086
    TMPDIR=$tmp/temporary ONLY='' RESULTS=$tmp/results tests/run $items >"$tmp/out" 2>&1
    status=$?
}

mkdir "$tmp/temporary"
item good 'exit 0'
item bad 'exit 3'
item skipped 'exit 77'
item tap 'printf "ok 1 /a\nnot ok 2 /b\nok 3 /c # SKIP\n"'
item untidy "mkdir -p \"\$TMPDIR/x/y\" && chmod 0 \"\$TMPDIR/x\" && echo \"\$TMPDIR\" >$tmp/where && mktemp && exit 1"

run good skipped
check /runner/passes [ "$status" = 0 ]
check /runner/sums-up grep -qx '1 passed, 0 failed, 1 skipped' "$tmp/out"
run good bad tap
check /runner/fails [ "$status" = 1 ]
check /runner/counts-tests grep -qx '2 passed, 2 failed, 1 skipped' "$tmp/out"
check /runner/names-status grep -q 'FAIL .*(exit status 3)' "$tmp/out"
run untidy
check /runner/own-folder grep -q "^$tmp/temporary/." "$tmp/where"
check /runner/nothing-left [ -z "$(ls -A "$tmp/temporary")" ]
tap_end
