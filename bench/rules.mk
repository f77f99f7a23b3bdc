# `make bench`: the driver, and the static programs that run on the host and in guests. Included by the Makefile.
BENCH_DRIVER := $(BUILD)/bench/driver/driver
BENCH_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard bench/driver/*.c)))
BENCH_GROUPS := integer fp simd memory os codegen smp selftest
BENCH_GUEST := $(addprefix $(BUILD)/bench/guest/,agent $(BENCH_GROUPS))
BENCH_CFLAGS := -std=gnu11 -D_GNU_SOURCE -O2 $(WARN) -I. -ffp-contract=off -fno-math-errno -fno-tree-vectorize -fno-tree-loop-distribute-patterns -static

$(BENCH_DRIVER): $(BENCH_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)
-include $(BENCH_OBJ:.o=.d)

# A group is its file, the main program, and in integer's case the interpreters.
$(BUILD)/bench/guest/integer: bench/guest/bytecode.c bench/guest/bytecode.h
$(addprefix $(BUILD)/bench/guest/,$(BENCH_GROUPS)): bench/guest/main.c
$(BENCH_GUEST): $(BUILD)/bench/guest/%: bench/guest/%.c bench/guest/bench.h bench/rules.mk
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^) -pthread

$(BUILD)/bench/guest/rom.bin: bench/guest/rom.S
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -c -o $(@:.bin=.o) $< && objcopy -O binary -j .text $(@:.bin=.o) $@

# RUNS=N ONLY="integer os" PEER='qemu-system-x86_64 -accel tcg,thread=multi -cpu max': see docs/bench.md.
BENCH_PROGRAMS := $(BENCH_DRIVER) $(BENCH_GUEST) $(BUILD)/bench/guest/rom.bin
GUEST_IMAGES += $(BENCH_PROGRAMS)
bench: $(PROGRAM) $(BENCH_PROGRAMS)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' RUNS='$(RUNS)' ONLY='$(ONLY)' PEER='$(PEER)' bench/run
.PHONY: bench
