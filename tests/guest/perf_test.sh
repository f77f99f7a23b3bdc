#!/bin/sh
# Debian's cloud kernel with performance counters, those of AMD's and of Intel's processors: its drivers take them, tests/guest/perf_events.c counts and
# samples with them, the NMI watchdog runs. TAP. Skipped without network.
# timeout: 300
. tests/lib/guest.sh
program=$BUILD/tests/guest/perf_events
[ -e "$program" ] || make --no-print-directory "$program" >&2 || exit 1
need /perf fetch_linux cloud || tap_end
init_file "$tmp/init" <<'INIT'
echo GUEST-START
dmesg | grep -iE 'perf|nmi watchdog'
echo 0 >/proc/sys/kernel/perf_cpu_time_max_percent # a slow host is no reason to throttle
/perf_events

echo "GUEST-WATCHDOG $(cat /proc/sys/kernel/nmi_watchdog)"
echo "GUEST-NMI $(sed -n 's/^ *NMI: *\([0-9]*\).*/\1/p' /proc/interrupts)"
dmesg | grep -E 'BUG:|WARNING:|Oops|lockup|stall|Uhhuh' | sed 's/^/GUEST-FAIL /'
poweroff -f
INIT
pack_initramfs "$guests/busybox-amd64" "$tmp/init" "$tmp/initrd.gz" "$program" || exit 1

# boot NAME DRIVER CPU: DRIVER is how the kernel calls what it found.
boot() {
    name=/perf/$1
    gemel_run "${GUEST_TIMEOUT:-120}" ${ACCEL:+-accel "$ACCEL"} -nographic -no-reboot -m 512 -cpu "$3" -kernel "$guests/vmlinuz-cloud" \
        -initrd "$tmp/initrd.gz" -append "console=ttyS0 panic=-1 nmi_watchdog=1"
    check "$name/boot" grep -q GUEST-START "$tmp/out" || return
    check "$name/driver" grep -q "Performance Events: .*$2" "$tmp/out"
    check "$name/events" eval 'grep -q GUEST-PERF-DONE "$tmp/out" && ! grep -q GUEST-FAIL "$tmp/out"' || grep GUEST-FAIL "$tmp/out" | sed 's/^/# /'
    check "$name/watchdog" grep -q 'GUEST-WATCHDOG 1' "$tmp/out"
    check "$name/nmi" grep -qE 'GUEST-NMI [1-9]' "$tmp/out"
    check "$name/power-off" [ "$status" = 0 ]
}

boot amd "AMD PMU driver" max
boot intel "Haswell events" Haswell,pmu=on
tap_end
