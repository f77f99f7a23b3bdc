# One non-recursive makefile: build/libgemel.a of everything but main.c, the program, the tests.
# `make`, `make check`, `make check-long`, `make check-boots`, `make bench`, `make bench-quick`, `make demo`, `make install`, `make lint`,
# `make outline`, `make clean`; `make fuzz`; SANITIZE=1 builds and checks a second tree with ASan and UBSan below build/sanitize.
all: gemel-bin

ifeq ($(filter clean distclean,$(MAKECMDGOALS)),)
include config.mk
endif

# Missing or older than configure: run it again with the options of the last time.
config.mk: configure VERSION
	./configure $(CONFIGURE_ARGS)
config.h: config.mk ;

# --- what is built where ---
SANITIZE ?= $(CONFIG_SANITIZE)
ifeq ($(SANITIZE),1)
BUILD := build/sanitize
PROGRAM := $(BUILD)/gemel
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
BUILD := build/thread
PROGRAM := $(BUILD)/gemel
SAN_FLAGS := -fsanitize=thread -Wno-tsan -fno-omit-frame-pointer
else ifeq ($(SANITIZE),fuzz)
BUILD := build/fuzz
PROGRAM := $(BUILD)/gemel
SAN_FLAGS := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -fsanitize-coverage=trace-pc
else ifeq ($(SANITIZE),libfuzzer)
BUILD := build/libfuzzer
PROGRAM := $(BUILD)/gemel
CC := clang
SAN_FLAGS := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -fno-omit-frame-pointer
else
BUILD := build
PROGRAM := gemel
SAN_FLAGS :=
endif
V ?= 0
ifeq ($(V),0)
Q := @
say = @printf '  %-6s %s\n' '$1' '$2'
else
Q :=
say =
endif

WARN := -Wall -Wextra -Wshadow -Wimplicit-fallthrough -Wmissing-prototypes -Wno-unused-parameter
BASE_FLAGS := -std=gnu11 -D_GNU_SOURCE $(OPT_FLAGS) -fno-strict-aliasing $(WARN) -I. $(SAN_FLAGS)
ALL_CFLAGS = $(BASE_FLAGS) $(LIB_CFLAGS) $(EXTRA_CFLAGS)
# rfbPeekExactTimeout: libvncserver is to use ours (ui/vnc_server.c).
ALL_LDFLAGS = $(SAN_FLAGS) -Wl,--as-needed -Wl,-z,noexecstack -Wl,--export-dynamic-symbol=rfbPeekExactTimeout $(EXTRA_LDFLAGS)
ALL_LIBS = $(LIBS) -lpthread -lm
# What util/lazy.c loads: tests call more of it.
TEST_LIBS = $(LAZY_LIBS) $(ALL_LIBS)

FOLDERS := $(wildcard util mmu cpu accel hw ui disas)
# The optimiser's worker is a program of its own: nothing else is linked with libgccjit.
OPT_SRC := $(wildcard accel/dbt/opt/gcc/*.c)
OPT_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(OPT_SRC))
OPT_PROGRAM := $(if $(filter 1,$(CONFIG_GCCJIT)),$(PROGRAM)-opt)
LIB_SRC := $(sort $(filter-out $(OPT_SRC),$(shell find $(FOLDERS) -name '*.c' -o -name '*.S')))
LIB_OBJ := $(patsubst %,$(BUILD)/%.o,$(basename $(LIB_SRC)))
IMG_PROGRAM := $(PROGRAM)-img
IMG_OBJ := $(patsubst %.c,$(BUILD)/%.o,$(sort $(wildcard img/*.c)))
TESTLIB_SRC := $(sort $(wildcard tests/lib/*.c tests/lib/*.S))
TESTLIB_OBJ := $(patsubst %,$(BUILD)/%.o,$(basename $(TESTLIB_SRC)))
TEST_SRC := $(sort $(shell find tests -name '*_test.c'))
TEST_OBJ := $(TEST_SRC:%.c=$(BUILD)/%.o)
TEST_BIN := $(TEST_SRC:%.c=$(BUILD)/%)
TEST_SH := $(sort $(shell find tests -name '*_test.sh'))
# Fuzz targets (tests/fuzz/fuzz.h), each a program of its own with the driver; FUZZ_WITH_NAME: objects of other tests that it needs.
FUZZ_SRC := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZ_OBJ := $(FUZZ_SRC:%.c=$(BUILD)/%.o)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(BUILD)/%)
FUZZ_WITH_gdb := tests/ui/fake_vm
FUZZ_WITH_monitor := tests/ui/fake_vm
FUZZ_WITH_qmp := tests/ui/fake_vm
# tests/guest/rules.mk adds what it builds to GUEST_IMAGES and what it wants run to GUEST_CHECKS.
GUEST_IMAGES :=
GUEST_CHECKS :=
# Seconds for one test; sanitizers make it longer.
TIMEOUT ?= $(if $(SANITIZE),1200,300)
# Substrings of test paths: make check ONLY="hw/timer cli" runs the tests that contain one of them.
ONLY ?=

gemel-bin: $(PROGRAM) $(IMG_PROGRAM) $(OPT_PROGRAM)

$(PROGRAM): $(BUILD)/main.o $(BUILD)/libgemel.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(IMG_PROGRAM): $(IMG_OBJ) $(BUILD)/libgemel.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(ALL_LIBS)

$(PROGRAM)-opt: $(OPT_OBJ)
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ -lgccjit

$(BUILD)/libgemel.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/libtest.a: $(TESTLIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/%.o: %.c config.h $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S config.h $(BUILD)/flags
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# While they run the guest's vector registers are in the host's.
$(BUILD)/accel/dbt/jumps.o $(BUILD)/accel/dbt/opt/flags.o $(BUILD)/cpu/help/light.o $(BUILD)/util/clock_light.o: ALL_CFLAGS += -mgeneral-regs-only -fno-sanitize=all

# Changes when the flags do, and then everything is built anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' >$@

# A test is linked with the other files of its folder, which may stand in for parts of libgemel.a, and with tests/lib.
TEST_HELP := $(filter-out $(TEST_OBJ) $(TESTLIB_OBJ) $(FUZZ_OBJ) $(BUILD)/tests/fuzz/driver.o,$(patsubst %.c,$(BUILD)/%.o,$(sort $(shell find tests -name '*.c'))))
in_folder = $(foreach o,$(TEST_HELP),$(if $(filter $1/,$(dir $o)),$o))
.SECONDEXPANSION:
$(TEST_BIN): $(BUILD)/%: $(BUILD)/%.o $$(call in_folder,$$(@D)) $(BUILD)/libtest.a $(BUILD)/libgemel.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(TEST_LIBS)

ifeq ($(SANITIZE),libfuzzer)
FUZZ_MAIN := -fsanitize=fuzzer
else
FUZZ_MAIN := $(BUILD)/tests/fuzz/driver.o
endif
$(FUZZ_BIN): $(BUILD)/tests/fuzz/%_fuzz: $(BUILD)/tests/fuzz/%_fuzz.o $(filter %.o,$(FUZZ_MAIN)) $$(addprefix $(BUILD)/,$$(addsuffix .o,$$(FUZZ_WITH_$$*))) \
    $(BUILD)/libtest.a $(BUILD)/libgemel.a
	$(call say,LINK,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) $(filter -%,$(FUZZ_MAIN)) -o $@ $^ $(TEST_LIBS)

-include $(wildcard tests/guest/rules.mk bench/rules.mk)
-include $(wildcard $(LIB_OBJ:.o=.d) $(TESTLIB_OBJ:.o=.d) $(TEST_OBJ:.o=.d) $(TEST_HELP:.o=.d) $(FUZZ_OBJ:.o=.d) \
    $(BUILD)/tests/fuzz/driver.d $(BUILD)/main.d $(IMG_OBJ:.o=.d) $(OPT_OBJ:.o=.d))
.SECONDARY: $(TEST_OBJ) $(TEST_HELP) $(FUZZ_OBJ)

# --- checks ---
tests: $(TEST_BIN) $(FUZZ_BIN) $(GUEST_IMAGES)

check: $(PROGRAM) $(IMG_PROGRAM) $(OPT_PROGRAM) $(TEST_BIN) $(FUZZ_BIN) $(GUEST_IMAGES)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' ONLY='$(ONLY)' TIMEOUT='$(TIMEOUT)' \
	    tests/run tests/lint $(TEST_BIN) $(FUZZ_BIN) $(TEST_SH) $(GUEST_CHECKS)

# The fuzz targets for FUZZ_SECONDS each, with sanitizers and coverage: by our driver, or FUZZER=clang by libFuzzer.
FUZZ_SECONDS ?= 60
FUZZER ?= gcc
fuzz:
	$(Q)$(MAKE) SANITIZE=$(if $(filter clang,$(FUZZER)),libfuzzer,fuzz) fuzz-run

fuzz-run: $(FUZZ_BIN)
ifeq ($(SANITIZE),libfuzzer)
	$(Q)for t in $(FUZZ_BIN); do BUILD='$(BUILD)' FUZZ_SECONDS='$(FUZZ_SECONDS)' tests/fuzz/libfuzzer $$t || exit 1; done
else
	$(Q)BUILD='$(BUILD)' ONLY='$(ONLY)' FUZZ_SECONDS='$(FUZZ_SECONDS)' TIMEOUT=$$(($(FUZZ_SECONDS) + 120)) tests/run $(FUZZ_BIN)
endif

# Every unit test that builds, even while some part of the tree does not.
check-unit:
	$(Q)$(MAKE) -k tests SANITIZE=$(SANITIZE) || true
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' ONLY='$(ONLY)' tests/run $(TEST_BIN)

# What takes too long for `make check`: memtest86+'s first pass over 64 MiB; Debian's cloud kernel 50 times in a row.
check-long: $(PROGRAM)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' LONG=1 tests/run tests/guest/firmware_test.sh

check-boots: $(PROGRAM) $(GUEST_IMAGES)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' BOOTS=50 FLAVOURS=cloud CPUS=2 tests/run tests/guest/linux_test.sh

# Whole systems, unmodified, from Debian's packages: the longest first.
GUEST_SYSTEMS := $(addprefix tests/guest/,kill_check.sh debian_check.sh media_check.sh link_check.sh firmware_test.sh xen_check.sh)
check-guests: $(PROGRAM) $(IMG_PROGRAM)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' tests/guest/must_run $(GUEST_SYSTEMS)

bench-io: $(PROGRAM) $(BUILD)/tests/guest/vnc_drive
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' bench/io

# The bare-metal guests and a kernel with two CPUs under the translator's stress switches.
STRESS_OPT := dbt,stress-tier=on dbt,stress-tier=on,stress-cache=512 dbt,stress-tier=on,stress-invalidate=20
STRESS := dbt,stress-regs=on dbt,stress-tlb=on dbt,stress-regs=on,stress-tlb=on,tb-size=1 dbt,one-insn-per-tb=on \
    dbt,stress-cache=256 dbt,stress-invalidate=20 dbt,stress-regs=on,stress-tlb=on,stress-cache=256,stress-invalidate=5
STRESS_TIER := $(if $(OPT_PROGRAM),$(STRESS_OPT))
check-stress: $(PROGRAM) $(GUEST_IMAGES)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' ENGINES='$(STRESS) $(STRESS_TIER)' TIMEOUT=1200 tests/run tests/guest/guest_test.sh
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' FLAVOURS=cloud CPUS=2 ACCEL=dbt,stress-regs=on,stress-tlb=on,tb-size=4,stress-invalidate=1000 \
	    tests/run tests/guest/linux_test.sh
	$(if $(OPT_PROGRAM),$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' FLAVOURS=cloud CPUS=2 ACCEL=$(word 3,$(STRESS_OPT)) tests/run tests/guest/linux_test.sh)

# SOAK_MINUTES=60 of work that checks itself, with two CPUs under all stress switches.
SOAK_MINUTES ?= 60
soak: $(PROGRAM) $(GUEST_IMAGES)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' SOAK_MINUTES='$(SOAK_MINUTES)' TIMEOUT=$$(($(SOAK_MINUTES) * 60 + 3600)) tests/run tests/guest/soak.sh

# Boot time, a loop in the guest and resident memory, compared with QEMU's translator where that is installed.
bench-quick: $(PROGRAM) $(BUILD)/bench/loop
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' bench/quick

# Disk speed in a guest, compared in the same way.
bench-disk: $(PROGRAM) $(BUILD)/bench/guest_disk
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' bench/disk

$(BUILD)/bench/%: bench/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARN) -static -o $@ $<

lint:
	$(Q)tests/lint -v

# docs/qmp.md is made from the schema, whose text is a part of the program.
qmp-doc:
	$(Q)tests/qmp-doc >docs/qmp.md
	@echo wrote docs/qmp.md

$(BUILD)/ui/qmp_schema_text.o: ui/qmp.schema

outline:
	$(Q)tests/outline >docs/outline.md
	@echo wrote docs/outline.md

# --- the demonstration ---
demo: $(PROGRAM) $(GUEST_IMAGES)
	$(Q)GEMEL='$(CURDIR)/$(PROGRAM)' BUILD='$(BUILD)' tests/guest/demo.sh

# --- installation ---
install: $(PROGRAM) $(IMG_PROGRAM) $(OPT_PROGRAM)
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/share/doc/gemel'
	install -m 755 $(PROGRAM) '$(DESTDIR)$(PREFIX)/bin/gemel'
	install -m 755 $(IMG_PROGRAM) '$(DESTDIR)$(PREFIX)/bin/gemel-img'
	$(if $(OPT_PROGRAM),install -m 755 $(OPT_PROGRAM) '$(DESTDIR)$(PREFIX)/bin/gemel-opt')
	install -m 644 README.md $(wildcard docs/*.md) '$(DESTDIR)$(PREFIX)/share/doc/gemel'

clean:
	rm -rf build gemel gemel-img gemel-opt

distclean: clean
	rm -f config.h config.mk config.log

FORCE:
.PHONY: all gemel-bin tests check fuzz fuzz-run check-unit check-long check-boots check-stress soak check-guests bench-quick bench-io lint outline demo install clean distclean FORCE
