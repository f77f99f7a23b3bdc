#!/bin/sh
# Boots tests/guest/irq.S on each engine: every interrupt source of the PC, end to end. Exit status 33 of the guest is success,
# any other odd status is (step << 1) | 1 of the step that failed. GEMEL and BUILD come from the runner.
n=0
failed=0
for accel in dbt,interp=on dbt; do
    n=$((n + 1))
    timeout 120 "$GEMEL" -nographic -m 64 -smp 2 -accel $accel -device isa-debug-exit,iobase=0xf4,iosize=4 \
        -device pc-testdev -kernel "$BUILD/tests/guest/irq.elf"
    status=$?
    if [ $status = 33 ]; then
        echo "ok $n /irq/$accel"
    else
        echo "not ok $n /irq/$accel"
        echo "# exit status $status"
        failed=1
    fi
done
echo "1..$n"
exit $failed
