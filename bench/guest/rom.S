/* Firmware for `make bench` that does nothing but say on the debug console, port 0xe9, that it runs: the time from the start of an emulator to
 * the guest's first instructions. 64 KiB, real mode, loaded by -bios. */
    .code16
    .org 0xfff0                 /* the reset vector */
    movb $'!', %al
    outb %al, $0xe9
1:  hlt
    jmp 1b
    .org 0x10000
