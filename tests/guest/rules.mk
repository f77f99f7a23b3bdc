# Bare-metal guests: tests/guest/NAME.S becomes build/tests/guest/NAME.elf, a 32-bit multiboot image at 1 MiB. Included by the
# Makefile, which builds GUEST_IMAGES before it runs GUEST_CHECKS.
GUEST_SRC := $(sort $(wildcard tests/guest/*.S))
GUEST_IMAGES += $(GUEST_SRC:%.S=$(BUILD)/%.elf)

$(BUILD)/tests/guest/%.elf: tests/guest/%.S tests/guest/guest.ld
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -m32 -I. -nostdlib -static -ffreestanding -fno-pie -no-pie -Wl,--build-id=none -Wl,-z,noexecstack \
	    -Wl,-z,max-page-size=4096 -Wl,-T,tests/guest/guest.ld -o $@ $<
