# Common part of the tests that boot guests, sourced from the top of the tree: tests/lib/tap.sh, tests/guest/fetch.sh, and one emulator at a time in
# the background. Its console is its first serial port, a file; what is typed there goes to descriptor 3. Its monitor is a socket.
. tests/lib/tap.sh
FETCH_LIB=1
. tests/guest/fetch.sh
guests=build/guests
mkdir -p "$guests" || exit 1
emulator=

# fetch_linux FLAVOUR: a kernel and busybox in $guests, for need().
fetch_linux() {
    fetch_kernel "$1" "$guests" && fetch_busybox "$(flavour_arch "$1")" "$guests"
}

# init_file FILE: an executable /init from standard input, on busybox.
init_file() {
    {
        printf '#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin\nmkdir -p /proc /sys\n'
        printf 'mount -t proc proc /proc\nmount -t sysfs sys /sys\n'
        cat
    } >"$1"
    chmod 755 "$1"
}

# vm_start OPTION...: what is printed is in $tmp/console and $tmp/err.
vm_start() {
    rm -f "$tmp/monitor" "$tmp/keys"
    : >"$tmp/console"
    mkfifo "$tmp/keys" || exit 1
    exec 3<>"$tmp/keys"
    "$GEMEL" -serial stdio -monitor "unix:$tmp/monitor,server=on,wait=off" "$@" <"$tmp/keys" >"$tmp/console" 2>"$tmp/err" 3<&- &
    emulator=$!
    background="$background $emulator"
    until_true 20 vm_listens
}

vm_listens() {
    [ -S "$tmp/monitor" ] || gone "$emulator"
}

# monitor COMMAND: its answer.
monitor() {
    echo "$*" | socat -t 5 - "UNIX-CONNECT:$tmp/monitor" 2>/dev/null | tr -d '\r'
}

vm_reap() {
    wait "$emulator" 2>/dev/null
    status=$?
    forget "$emulator"
    emulator=
    exec 3<&-
}

vm_stop() {
    kill "$emulator" 2>/dev/null
    vm_reap
}

vm_kill() {
    kill -9 "$emulator" 2>/dev/null
    vm_reap
}

# vm_ends SECONDS: the emulator exits by itself with status 0. It is gone afterwards in any case.
vm_ends() {
    if until_true "$1" gone "$emulator"; then
        vm_reap
        [ "$status" = 0 ]
        return
    fi
    console_text
    vm_kill
    return 1
}

# console_text: the console without terminal control in $tmp/text, one line a movement of the cursor; its end in $tmp/out.
console_text() {
    sed 's/\x1b\[[0-9;?]*[A-Za-z]/\n/g' "$tmp/console" | grep -av '^ *$' >"$tmp/text"
    tail -n 15 "$tmp/text" >"$tmp/out"
}

# console_has TEXT COUNT: in so many lines.
console_has() {
    console_text
    [ "$(grep -aFc -e "$1" "$tmp/text")" -ge "$2" ]
}

# shows SECONDS TEXT [COUNT]: the console has TEXT, in COUNT lines, within SECONDS. False at once when the emulator has ended.
shows() {
    until_true "$1" vm_settled console_has "$2" "${3:-1}"
    console_has "$2" "${3:-1}"
}

# vm_settled COMMAND...: COMMAND succeeds, or never will.
vm_settled() {
    "$@" || gone "$emulator"
}

# screen_text: the text screen at 0xb8000, 80 by 25, in $tmp/out.
screen_text() {
    monitor 'xp /2000hx 0xb8000' | sed -n 's/^[0-9a-f]*b[89a-f][0-9a-f]*: *//p' | tr ' ' '\n' |
        awk '/^0x/ { c = substr($1, length($1) - 1); hex = "0123456789abcdef"
                     v = (index(hex, substr(c, 1, 1)) - 1) * 16 + index(hex, substr(c, 2, 1)) - 1
                     printf("%c", (v >= 32 && v < 127) ? v : 32)
                     if (++n % 80 == 0) print "" }' | sed 's/ *$//' >"$tmp/out"
}

screen_has() {
    screen_text
    file_has "$tmp/out" "$1"
}

# screen SECONDS TEXT: the text screen has it.
screen() {
    until_true "$1" vm_settled screen_has "$2"
    file_has "$tmp/out" "$2"
}

type_keys() {
    for k in "$@"; do
        monitor "sendkey $k" >/dev/null
    done
}

# -- guests with sshd: root by $ssh_key, at port $ssh_port of this host ----------------------------------------------------

# guest COMMAND: runs it in the guest; the output in $tmp/guest.
guest() {
    timeout 120 ssh -q -i "$ssh_key" -p "$ssh_port" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=60 \
        -o BatchMode=yes root@127.0.0.1 "$@" >"$tmp/guest" 2>"$tmp/guest.err" </dev/null
}

# guest_up: sshd answers.
guest_up() {
    until_true 30 vm_settled guest true
    guest true
}
