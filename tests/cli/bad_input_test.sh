#!/bin/sh
# Tests that files, sockets and values which cannot be used are refused from outside: status 1, one line on standard error that names what is
# wrong, nothing on standard output, nothing written or removed. TAP. GEMEL names the program, BUILD the build folder.
. tests/lib/tap.sh
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
kernel=$BUILD/tests/guest/demo.elf
mkdir "$tmp/work"
cd "$tmp/work" || exit 1

inventory() {
    find . -type f -exec cksum {} + | sort
    find . | sort
}

# refused ARG...: the program says no.
refused() {
    inventory >"$tmp/before"
    gemel_run 60 "$@"
    inventory >"$tmp/after"
    [ "$status" = 1 ] && [ ! -s "$tmp/out" ] && [ "$(wc -l <"$tmp/err")" = 1 ] && grep -q '^gemel: ' "$tmp/err" &&
        cmp -s "$tmp/before" "$tmp/after"
}

# no WORD ARG...: the program says no, and WORD why.
no() {
    word=$1
    shift
    said() { refused "$@" && grep -qF -e "$word" "$tmp/err"; }
    check "/bad-input/$(echo "$*" | sed "s|$BUILD/||g" | cut -c1-90)" said "$@"
}

: >empty
printf 'this is text, and neither kernel nor disk' >text
head -c 70000 /dev/urandom | tr '\001-\177' 'a' >noise
head -c 100 "$kernel" >cut-header
head -c 4500 "$kernel" >cut-segment
mkdir folder
ln -s loop loop
mkfifo fifo
printf 'secret' >unreadable
chmod 0 unreadable

for f in empty text noise cut-header cut-segment folder loop fifo missing /dev/null /dev/zero; do
    no "$f" -kernel $f
    no "$f" -bios $f
done
for f in empty text folder loop fifo missing /dev/null /dev/zero; do
    no "$f" $f
    no "$f" -hda $f
    no "$f" -drive file=$f,format=raw,readonly=on
    no -drive -kernel "$kernel" -drive file=$f,format=raw,readonly=on
done
for f in empty folder loop fifo missing /dev/null /dev/zero; do
    no "$f" -kernel "$kernel" -initrd $f
done
# Root reads everything, so it runs a copy as somebody else.
program=$GEMEL
if [ "$(id -u)" = 0 ]; then
    cp "$GEMEL" "$tmp/copy" && chmod 755 "$tmp" "$tmp/copy"
    printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups %s/copy "$@"\n' "$tmp" >"$tmp/nobody"
    chmod 755 "$tmp/nobody"
    GEMEL=$tmp/nobody
fi
cp "$kernel" readable
no unreadable -kernel unreadable
no unreadable -bios unreadable
no unreadable unreadable
no unreadable -kernel readable -initrd unreadable
rm readable
GEMEL=$program

# Values that are missing or out of range.
no -kernel -kernel ''
no 'No such file' ''
no -bios -bios ''
no -initrd -kernel "$kernel" -initrd ''
no -smp -kernel "$kernel" -smp ''
no -cpu -kernel "$kernel" -cpu ''
no -machine -kernel "$kernel" -machine ''
no -accel -kernel "$kernel" -accel ''
no -device -kernel "$kernel" -device ''
no -m -kernel "$kernel" -m ''
no -m -kernel "$kernel" -m 0
no -m -kernel "$kernel" -m -1
no -m -kernel "$kernel" -m 1K
no -m -kernel "$kernel" -m 1T
no -m -kernel "$kernel" -m nan
no -m -kernel "$kernel" -m 99999999999999G
no -smp -kernel "$kernel" -smp 0
no -smp -kernel "$kernel" -smp -1
no -smp -kernel "$kernel" -smp 2x
no -smp -kernel "$kernel" -smp 65
no -smp -kernel "$kernel" -smp 99999999999999999999999
no -smp -kernel "$kernel" -smp 3,sockets=1,cores=64,threads=64
no tb-size -kernel "$kernel" -accel dbt,tb-size=0
no cache-size -kernel "$kernel" -accel dbt,cache-size=0
no cache-check -kernel "$kernel" -accel dbt,cache-check=maybe
no stress-cache -kernel "$kernel" -accel dbt,stress-cache=255
no stress-invalidate -kernel "$kernel" -accel dbt,stress-invalidate=0
no frob -kernel "$kernel" -accel dbt,frob=on
no verify -kernel "$kernel" -accel dbt,verify=on -smp 2
no "opt cannot" -kernel "$kernel" -accel dbt,opt=on,verify=on
no "stress-tier cannot" -kernel "$kernel" -accel dbt,stress-tier=on,stress-tlb=on
no family -kernel "$kernel" -cpu max,family=banana
no iobase -kernel "$kernel" -device isa-debug-exit,iobase=-1
no iobase -kernel "$kernel" -device isa-debug-exit,iobase=0x10000
no iosize -kernel "$kernel" -device isa-debug-exit,iosize=99
no chardev -kernel "$kernel" -device isa-debugcon
no frob -kernel "$kernel" -global isa-debug-exit.frob=1
no frob -kernel "$kernel" -machine pc,frob=on
no frob -kernel "$kernel" -chardev null,id=x,frob=1
no "'x'" -kernel "$kernel" -chardev null,id=x -chardev null,id=x
no frob -kernel "$kernel" -d frob
no -rtc -kernel "$kernel" -rtc base=2020-13-45

# Places where nothing can be written or listened at.
no folder -kernel "$kernel" -D folder -d int
no nowhere/log -kernel "$kernel" -D nowhere/log -d int
no folder -kernel "$kernel" -serial file:folder
no nowhere -kernel "$kernel" -serial pipe:nowhere
no text -kernel "$kernel" -serial pipe:text
no nowhere -kernel "$kernel" -serial unix:nowhere
no nowhere/s -kernel "$kernel" -serial unix:nowhere/s,server,nowait
no folder -kernel "$kernel" -serial unix:folder,server,nowait
no 'no socket' -kernel "$kernel" -serial unix:text,server,nowait
no 'no socket' -kernel "$kernel" -monitor unix:text,server,nowait
no 'no socket' -kernel "$kernel" -gdb unix:text
no 65535 -kernel "$kernel" -gdb tcp::99999
no 65535 -kernel "$kernel" -serial tcp:127.0.0.1:65536,server,nowait
no 'cannot connect' -kernel "$kernel" -serial tcp:127.0.0.1:1
no stdio -kernel "$kernel" -serial stdio -gdb stdio

# A program that has the port and the path already.
mkfifo held
port=$(free_port)
"$GEMEL" -m 16 -kernel "$kernel" -S -display none -gdb tcp:127.0.0.1:$port -serial unix:taken,server,nowait -monitor stdio \
    >"$tmp/first.out" 2>"$tmp/first.err" <held &
pid=$!
exec 3>held
check /bad-input/first-program wait_for "$tmp/first.out" 'monitor'
no 'in use' -kernel "$kernel" -gdb tcp:127.0.0.1:$port
no 'in use' -kernel "$kernel" -serial tcp:127.0.0.1:$port,server,nowait
no 'another program' -kernel "$kernel" -serial unix:taken,server,nowait
echo quit >&3
wait $pid
status=$?
check /bad-input/first-program-unharmed [ "$status" = 0 ]
exec 3>&-

# The socket that a killed program left behind is taken over.
"$GEMEL" -m 16 -kernel "$kernel" -S -display none -serial unix:stale,server,nowait -monitor stdio >"$tmp/first.out" 2>&1 <held &
pid=$!
exec 3>held
wait_for "$tmp/first.out" 'monitor'
kill -KILL $pid
wait $pid
exec 3>&-
echo quit | timeout 60 "$GEMEL" -m 16 -kernel "$kernel" -display none -serial unix:stale,server,nowait -monitor stdio >"$tmp/out" 2>"$tmp/err"
status=$?
check /bad-input/stale-socket [ "$status" = 0 ]
cd /
tap_end
