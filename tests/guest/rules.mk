# Bare-metal guests: tests/guest/NAME.S (and tests/fuzz/loader.S) becomes build/tests/guest/NAME.elf, a 32-bit multiboot image at 1 MiB. Included by the
# Makefile, which builds GUEST_IMAGES before it runs GUEST_CHECKS.
GUEST_SRC := $(sort $(wildcard tests/guest/*.S tests/fuzz/*.S))
GUEST_IMAGES += $(GUEST_SRC:%.S=$(BUILD)/%.elf)

$(BUILD)/tests/%.elf: tests/%.S tests/guest/guest.ld
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -I. -nostdlib -static -ffreestanding -fno-pie -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
	    -Wl,-z,max-page-size=4096 -Wl,-T,tests/guest/guest.ld -o $@ $<

# C guests: NAME_32.c and NAME_64.c with tests/lib/guest/, as 32-bit multiboot images both (a 64-bit one enters long mode by itself).
# tests/guest/guest_test.sh runs them as tests/guest/unittests.cfg says.
GUEST_C := $(sort $(wildcard tests/guest/*_32.c tests/guest/*_64.c))
GUEST_IMAGES += $(GUEST_C:%.c=$(BUILD)/%.elf)
GUEST_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Wshadow -Wno-unused-parameter -I. -ffreestanding -fno-pie -fno-stack-protector \
    -fcf-protection=none -fno-asynchronous-unwind-tables -fno-strict-aliasing -mno-red-zone -mgeneral-regs-only -MMD -MP
GUEST_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 -Wl,-T,tests/guest/guest.ld
GUEST_LIB := $(wildcard tests/lib/guest/*.c tests/lib/guest/*.S)

define GUEST_RULES
$(BUILD)/guest$(1)/%.o: %.c
	$$(call say,CC$(1),$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -m$(1) $$(GUEST_CFLAGS) -c -o $$@ $$<
$(BUILD)/guest$(1)/%.o: %.S
	$$(call say,AS$(1),$$<)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -m$(1) $$(GUEST_CFLAGS) -c -o $$@ $$<
$(BUILD)/tests/guest/%_$(1).elf: $(BUILD)/guest$(1)/tests/guest/%_$(1).o $$(patsubst %,$(BUILD)/guest$(1)/%.o,$$(basename $$(GUEST_LIB))) \
    tests/guest/guest.ld
	$$(call say,GUEST,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -m$(1) $$(GUEST_LDFLAGS) -o $$@ $$(filter %.o,$$^)
	$$(Q)objcopy -O elf32-i386 $$@
endef
$(eval $(call GUEST_RULES,32))
$(eval $(call GUEST_RULES,64))
-include $(wildcard $(BUILD)/guest*/tests/guest/*.d $(BUILD)/guest*/tests/lib/guest/*.d)
.SECONDARY: $(foreach m,32 64,$(patsubst %,$(BUILD)/guest$(m)/%.o,$(basename $(GUEST_LIB) $(filter %_$(m).c,$(GUEST_C)))))

# A static Linux program for the initramfs of linux_test.sh, which also runs it on the host and compares.
GUEST_IMAGES += $(BUILD)/tests/guest/userland
$(BUILD)/tests/guest/userland: tests/guest/userland.c
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Wno-unused-parameter -ffp-contract=off -fno-math-errno \
	    -static -pthread -o $@ $<

# A scripted VNC viewer for tests of guests with a screen; only where libvncclient is installed.
$(BUILD)/tests/guest/vnc_drive: tests/guest/vnc_drive.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARN) $$(pkg-config --cflags libvncclient) -o $@ $< $$(pkg-config --libs libvncclient)

# And one for perf_test.sh.
GUEST_IMAGES += $(BUILD)/tests/guest/perf_events
$(BUILD)/tests/guest/perf_events: tests/guest/perf_events.c
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -static -o $@ $<
