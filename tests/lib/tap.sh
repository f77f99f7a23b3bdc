# Shell tests' common part, sourced: TAP output, a temporary folder $tmp, waiting, running the program. GEMEL names the program, BUILD the build
# folder. Tests that boot guests in the background source tests/lib/guest.sh instead, which has all of this, too.
GEMEL=${GEMEL:-./gemel}
BUILD=${BUILD:-build}
tmp=$(mktemp -d) || exit 1
export XDG_CACHE_HOME="$tmp/cache"
tap_n=0 tap_failed=0 status=-
background= # processes that must not outlive the test

tap_cleanup() {
    for p in $background; do
        kill -9 "$p" 2>/dev/null
    done
    rm -rf "$tmp"
}
trap tap_cleanup EXIT
trap 'exit 1' HUP INT TERM

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

# need NAME COMMAND...: gets what tests want. If COMMAND fails with status 77 they are skipped, its last line is the reason; otherwise
# that is a failed test. The caller returns then.
need() {
    tap_needed=$1
    shift
    "$@" 2>"$tmp/need"
    case $? in
    0) return 0 ;;
    77) skip "$tap_needed" "$(tail -n 1 "$tmp/need")" ;;
    *) cp "$tmp/need" "$tmp/err"; check "$tap_needed/needs" false ;;
    esac
    return 1
}

# need_tool NAME TOOL...: the same for programs.
need_tool() {
    tap_needed=$1
    shift
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { skip "$tap_needed" "$tool is not installed"; return 1; }
    done
}

# until_true SECONDS COMMAND...: until COMMAND succeeds. False if it does not within SECONDS.
until_true() {
    tap_end_time=$(($(date +%s) + $1))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$tap_end_time" ] || return 1
        sleep 0.1
    done
}

# file_has FILE TEXT
file_has() {
    grep -qaF -e "$2" "$1" 2>/dev/null
}

# wait_for FILE TEXT: until TEXT is in FILE; at most a minute.
wait_for() {
    until_true 60 file_has "$1" "$2"
}

# gone PROCESS
gone() {
    ! kill -0 "$1" 2>/dev/null
}

# forget PROCESS: it has ended, and its number may be another's.
forget() {
    background=$(for p in $background; do [ "$p" = "$1" ] || echo "$p"; done)
}

# gemel_run SECONDS ARG...: the program to its end, without input; $status, $tmp/out and $tmp/err.
gemel_run() {
    tap_limit=$1
    shift
    timeout -k 5 "$tap_limit" "$GEMEL" "$@" </dev/null >"$tmp/out" 2>"$tmp/err"
    status=$?
}

# tcp_listens PORT: somebody does, on this host.
tcp_listens() {
    cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q ":$(printf %04X "$1") [0-9A-F:]* 0A "
}

# port_used PORT: some socket of this host is bound to it, whatever its state.
port_used() {
    cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") "
}

# free_port: a port that nobody uses, from below those that the kernel gives to outgoing connections.
free_port() {
    tap_port=$(shuf -i 20000-32000 -n 1)
    while port_used "$tap_port"; do
        tap_port=$(shuf -i 20000-32000 -n 1)
    done
    echo "$tap_port"
}

tap_end() {
    echo "1..$tap_n"
    [ "$tap_failed" = 0 ]
    exit
}
