#!/bin/sh
# `make soak`: boots Debian's cloud kernel with two CPUs under all of the translator's stress switches, where tests/guest/init-soak works for SOAK_MINUTES (60) and
# checks itself: a third of that time each with blocks as usual, with one instruction a block, and with all loops compiled by the optimiser, which takes no random
# registers and slow paths (or halves, in a build without it). TAP. The host looks at the exit status, and that something is
# said at least every SOAK_STALL seconds (600). SOAK_ACCEL="A B" other engines, which share the time. Skipped without a network.
. tests/lib/guest.sh
. bench/real_root.sh
minutes=${SOAK_MINUTES:-60}
stall=${SOAK_STALL:-600}
stress=dbt,stress-regs=on,stress-tlb=on,tb-size=4,stress-invalidate=1000
grep -q 'HAVE_GCCJIT 1' config.h && tier=dbt,stress-tier=on,tb-size=16,stress-invalidate=1000
accels=${SOAK_ACCEL:-$stress $stress,one-insn-per-tb=on $tier}
need /soak fetch_linux cloud || tap_end
need /soak real_root "$guests" "$tmp/root" || tap_end
mkdir -p "$tmp/root/bench" || exit 1
cp tests/guest/init-soak "$tmp/root/init" && cp "$guests/busybox-amd64" "$tmp/root/busybox" || exit 1
find "$BUILD/bench/guest" -type f -executable ! -name agent -exec cp {} "$tmp/root/bench/" \;
(cd "$tmp/root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) >"$tmp/initrd" || exit 1
rm -rf "$tmp/root"

# console_moves: until the emulator has ended, or has said nothing for $stall seconds.
console_moves() {
    until gone "$emulator"; do
        said=$(wc -l <"$tmp/console")
        # one more line, or the emulator's end, which ends tail
        timeout "$stall" sh -c 'tail -n "+$1" -f --pid="$2" "$3" | head -n 1' - $((said + 1)) "$emulator" "$tmp/console" >"$tmp/line" ||
            { monitor 'info registers -a' >"$tmp/out"; return 1; }
    done
}

# soak ENGINE SECONDS
soak() {
    name=/soak/$1
    vm_start -accel "$1" -display none -vga none -no-reboot -m 1536 -smp 2 -cpu max -kernel "$guests/vmlinuz-cloud" -initrd "$tmp/initrd" \
        -append "console=ttyS0 quiet panic=-1 soak.seconds=$2"
    check "$name/goes-on" console_moves
    vm_ends 1
    console_text
    check "$name/start" grep -q SOAK-START "$tmp/text"
    check "$name/ok" eval 'grep -q SOAK-OK "$tmp/text" && ! grep -q SOAK-FAIL "$tmp/text"' || grep -B3 -A3 SOAK-FAIL "$tmp/text" | sed 's/^/# /'
    check "$name/status" [ "$status" = 0 ]
    echo "# $1: $(grep -c '^SOAK [12] [a-z]* [a-z]' "$tmp/text") programs, $(grep -c '^SOAK [12] round [0-9]' "$tmp/text") rounds"
    [ -z "$SOAK_LOG" ] || cp "$tmp/text" "$SOAK_LOG.$(echo "$1" | tr ',=' '--')"
}

# shellcheck disable=SC2086
set -- $accels
for accel in "$@"; do
    soak "$accel" $((minutes * 60 / $#))
done
tap_end
