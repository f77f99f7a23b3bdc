#!/bin/sh
# Bare-metal guests under the translator's stress switches, the ones that take little time; `make check-stress` has all of both. TAP.
# timeout: 600
GUESTS="code_64 events_64 strings_64 smp_64" \
    ENGINES="dbt,stress-cache=256,stress-invalidate=20 dbt,stress-regs=on,stress-tlb=on,stress-cache=256,stress-invalidate=5" \
    exec tests/guest/guest_test.sh
