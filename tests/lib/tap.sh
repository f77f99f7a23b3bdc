# Shell tests' common part, sourced: TAP output and a temporary folder $tmp. GEMEL names the program, BUILD the build folder.
GEMEL=${GEMEL:-./gemel}
BUILD=${BUILD:-build}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
tap_n=0 tap_failed=0 status=-

# check NAME COMMAND...: a test that passes if COMMAND succeeds; on failure shows the status and the ends of $tmp/out and $tmp/err.
check() {
    tap_n=$((tap_n + 1))
    tap_name=$1
    shift
    if "$@"; then
        echo "ok $tap_n $tap_name"
        return 0
    fi
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_n $tap_name"
    echo "# status $status"
    for f in out err; do
        [ -e "$tmp/$f" ] && tail -n 15 "$tmp/$f" | sed "s/^/# $f: /"
    done
    return 1
}

# skip NAME REASON
skip() {
    tap_n=$((tap_n + 1))
    echo "ok $tap_n $1 # SKIP $2"
}

# wait_for FILE TEXT: until TEXT is in FILE; at most a minute.
wait_for() {
    for _ in $(seq 600); do
        grep -qF -e "$2" "$1" 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}

tap_end() {
    echo "1..$tap_n"
    [ "$tap_failed" = 0 ]
    exit
}
