#!/bin/sh
# Boots tests/guest/irq.S on each engine: every interrupt source of the PC, end to end. Exit status 33 of the guest is success,
# any other odd status is (step << 1) | 1 of the step that failed. GEMEL and BUILD come from the runner.
. tests/lib/tap.sh
for accel in dbt,interp=on dbt; do
    gemel_run 120 -nographic -m 64 -smp 2 -accel $accel -device isa-debug-exit,iobase=0xf4,iosize=4 -device pc-testdev \
        -kernel "$BUILD/tests/guest/irq.elf"
    check "/irq/$accel" [ "$status" = 33 ]
done
tap_end
