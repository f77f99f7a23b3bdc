#!/bin/sh
# Boots the images of unittests.cfg with the translator, with the interpreter, on one CPU with both compared, and with the persistent cache checked, and passes their TAP on, names prefixed. A guest
# that ends without its plan, or late, is a failed test. GEMEL is the program, BUILD the build folder; GUESTS="a b" picks
# images, ENGINES="dbt dbt,interp=on" engines.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
GEMEL=${GEMEL:-./gemel}
ENGINES=${ENGINES:-dbt dbt,interp=on dbt,verify=on dbt,cache-check=on}
XDG_CACHE_HOME=$(mktemp -d) || exit 1 # what one run has translated is there for the next
export XDG_CACHE_HOME
trap 'rm -rf "$XDG_CACHE_HOME"' EXIT
out=$BUILD/tests/guest/log
mkdir -p "$out" || exit 1
n=0
bad=0

# verdict ok|not-ok TEXT
verdict() {
    n=$((n + 1))
    case $1 in ok) echo "ok $n - $2" ;; *) echo "not ok $n - $2"; bad=1 ;; esac
}

# run IMAGE CPUS SECONDS ENGINE OPTION...
run() {
    image=$1 cpus=$2 seconds=$3 engine=$4
    shift 4
    log=$out/$image.$engine
    label="$image $engine${1:+ $*}"
    rm -f "$log"
    timeout -k 5 "$seconds" "$GEMEL" -accel "$engine" -m 64 -smp "$cpus" -display none -serial none -monitor none -debugcon "file:$log" \
        -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=4 -kernel "$BUILD/tests/guest/$image.elf" "$@" </dev/null 2>"$log.err"
    status=$?
    [ -e "$log" ] || : >"$log"
    while IFS= read -r line; do
        case $line in
        "ok "*) verdict ok "$label: ${line#ok * - }" ;;
        "not ok "*) verdict not-ok "$label: ${line#not ok * - }" ;;
        "#"*) echo "$line" ;;
        esac
    done <"$log"
    if ! grep -q '^1\.\.' "$log"; then
        verdict not-ok "$label: did not finish (status $status)"
        sed 's/^/# /' "$log.err"
    elif [ $status -ne 1 ] && [ $status -ne 3 ]; then
        verdict not-ok "$label: ended with status $status"
    fi
    grep -q cache-check "$log.err" && verdict not-ok "$label: $(head -n 1 "$log.err")"
}

while read -r image cpus seconds options; do
    case $image in ''|'#'*) continue ;; esac
    case " ${GUESTS:-$image} " in *" $image "*) ;; *) continue ;; esac
    for engine in $ENGINES; do
        case $engine$cpus in *verify=on1) ;; *verify=on*) continue ;; esac
        # shellcheck disable=SC2086
        run "$image" "$cpus" "$seconds" "$engine" $options
    done
done <tests/guest/unittests.cfg
echo "1..$n"
exit $bad
