/* A bare-metal guest that takes interrupts from every source of the PC: PIT and RTC through the 8259s, local APIC timer in
 * its three modes, I/O APIC edge and level pins, HPET messages, IPIs against TPR, NMI, SCI, and a second CPU by INIT and SIPI.
 * Ends through isa-debug-exit (iobase 0xf4): status 33 is success, else (step << 1) | 1. Run by tests/hw/irq_test.sh with
 * -smp 2 -device pc-testdev. 32-bit protected mode, no paging. */
    .set MAGIC, 0x1badb002
    .set EXIT_PORT, 0xf4
    .set LAPIC, 0xfee00000
    .set IOAPIC, 0xfec00000
    .set HPET, 0xfed00000
    .set PM1_STATUS, 0x600
    .set PM_TIMER, 0x608
    .set TRAMPOLINE, 0x8000
    .set AP_FLAG, 0x9000
    .set FIRST_VECTOR, 0x20
    .set VECTORS, 0x20

    .section .multiboot, "a"
    .align 4
    .long MAGIC, 0, -MAGIC

/* Port and APIC accesses with constants. */
    .macro PORT_WRITE port, val
    mov $\val, %al
    mov $\port, %dx
    outb %al, %dx
    .endm
    .macro APIC_WRITE reg, val
    movl $\val, LAPIC + \reg
    .endm
    .macro IOAPIC_WRITE reg, val
    movl $\reg, IOAPIC
    movl $\val, IOAPIC + 0x10
    .endm
    .macro STEP n
    movl $\n, step
    .endm
/* Sleeps until vector v has come n times. */
    .macro WAIT_FOR v, n
1:  cli
    cmpl $\n, counters + 4 * \v
    jae 2f
    sti
    hlt
    jmp 1b
2:  cli
    .endm
    .macro EXPECT v, n
    cmpl $\n, counters + 4 * \v
    jne fail
    .endm

    .text
    .code32
    .globl _start
_start:
    cli
    cld
    mov $stack_top, %esp
    lgdt gdt_pointer
    ljmp $8, $1f
1:  mov $16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    call make_idt
    lidt idt_pointer
    call init_pic
    call test_pit
    call test_rtc
    PORT_WRITE 0x21, 0xff
    PORT_WRITE 0xa1, 0xff
    APIC_WRITE 0xf0, 0x1ff
    call test_apic_timer
    call test_deadline
    call test_ioapic
    call test_level
    call test_hpet
    call test_tpr
    call test_nmi
    call test_keyboard_controller
    call test_second_cpu
    call test_sci
    movl $0x10, step
fail:
    mov step, %eax
    mov $EXIT_PORT, %dx
    outl %eax, %dx
1:  cli
    hlt
    jmp 1b

/* Gates for vectors 2 and 0x20..0x3f. */
make_idt:
    mov $nmi_stub, %eax
    mov $idt + 8 * 2, %edi
    call gate
    mov $stubs, %ebx
    mov $idt + 8 * FIRST_VECTOR, %edi
    mov $VECTORS, %ecx
1:  mov %ebx, %eax
    call gate
    add $8, %edi
    add $16, %ebx
    loop 1b
    ret
gate:
    mov %ax, (%edi)
    movw $8, 2(%edi)
    movw $0x8e00, 4(%edi)
    shr $16, %eax
    mov %ax, 6(%edi)
    ret

    .balign 16
stubs:
    .set v, FIRST_VECTOR
    .rept VECTORS
    .balign 16
    push $v
    jmp handler
    .set v, v + 1
    .endr
nmi_stub:
    push $2
handler:
    pusha
    mov 32(%esp), %eax
    incl counters(, %eax, 4)
    cmp $2, %eax
    je 3f
    cmp $0x30, %eax
    jae 2f
    cmp $0x28, %eax
    jb 1f
    mov $0x0c, %al          /* IRQ 8: the clock's flags are cleared by a read */
    outb %al, $0x70
    inb $0x71, %al
    mov $0x20, %al
    outb %al, $0xa0
1:  mov $0x20, %al
    outb %al, $0x20
    jmp 3f
2:  cmp $0x36, %eax         /* the level pin: taken back at the third interrupt */
    jne 4f
    cmpl $3, counters + 4 * 0x36
    jb 4f
    PORT_WRITE 0x2017, 0
4:  cmp $0x37, %eax         /* SCI: by the PM timer's overflow */
    jne 5f
    mov $PM1_STATUS, %dx
    mov $1, %ax
    outw %ax, %dx
5:  movl $0, LAPIC + 0xb0
3:  popa
    add $4, %esp
    iret

init_pic:
    PORT_WRITE 0x20, 0x11
    PORT_WRITE 0x21, 0x20
    PORT_WRITE 0x21, 0x04
    PORT_WRITE 0x21, 0x01
    PORT_WRITE 0xa0, 0x11
    PORT_WRITE 0xa1, 0x28
    PORT_WRITE 0xa1, 0x02
    PORT_WRITE 0xa1, 0x01
    PORT_WRITE 0x21, 0xff
    PORT_WRITE 0xa1, 0xff
    ret

/* 20 ticks of 1 ms take at least 19 ms by the PM timer. */
test_pit:
    STEP 1
    PORT_WRITE 0x43, 0x34
    PORT_WRITE 0x40, 0xa9
    PORT_WRITE 0x40, 0x04
    PORT_WRITE 0x21, 0xfe
    WAIT_FOR 0x20, 1
    mov $PM_TIMER, %dx
    inl %dx, %eax
    mov %eax, %ebx
    movl $0, counters + 4 * 0x20
    WAIT_FOR 0x20, 20
    mov $PM_TIMER, %dx
    inl %dx, %eax
    sub %ebx, %eax
    and $0xffffff, %eax
    cmp $19 * 3579, %eax
    jb fail
    PORT_WRITE 0x21, 0xff
    ret

test_rtc:
    STEP 2
    PORT_WRITE 0x70, 0x0b
    PORT_WRITE 0x71, 0x42         /* periodic, 24 hours */
    PORT_WRITE 0x70, 0x0c
    inb $0x71, %al
    PORT_WRITE 0x21, 0xfb
    PORT_WRITE 0xa1, 0xfe
    WAIT_FOR 0x28, 10
    PORT_WRITE 0x70, 0x0b
    PORT_WRITE 0x71, 0x02
    ret

test_apic_timer:
    STEP 3
    APIC_WRITE 0x3e0, 0x0b
    APIC_WRITE 0x320, 0x30
    APIC_WRITE 0x380, 1000000
    WAIT_FOR 0x30, 1
    cmpl $0, LAPIC + 0x390
    jne fail
    APIC_WRITE 0x320, 0x20031
    APIC_WRITE 0x380, 1000000
    WAIT_FOR 0x31, 5
    APIC_WRITE 0x380, 0
    EXPECT 0x30, 1
    ret

/* The interrupt must not come before its time. */
test_deadline:
    STEP 4
    mov $1, %eax
    cpuid
    bt $24, %ecx
    jnc 1f
    APIC_WRITE 0x320, 0x40032
    rdtsc
    add $2000000, %eax
    adc $0, %edx
    mov %eax, %esi
    mov %edx, %edi
    mov $0x6e0, %ecx
    wrmsr
    WAIT_FOR 0x32, 1
    rdtsc
    sub %esi, %eax
    sbb %edi, %edx
    js fail
    mov $0x6e0, %ecx
    rdmsr
    or %edx, %eax
    jnz fail
1:  ret

test_ioapic:
    STEP 5
    IOAPIC_WRITE 0x15, 0
    IOAPIC_WRITE 0x14, 0x33 /* pin 2: the PIT */
    WAIT_FOR 0x33, 5
    IOAPIC_WRITE 0x14, 0x10033
    ret

test_level:
    STEP 6
    IOAPIC_WRITE 0x3f, 0
    IOAPIC_WRITE 0x3e, 0x8036
    PORT_WRITE 0x2017, 1
    WAIT_FOR 0x36, 3
    sti
    nop
    nop
    cli
    EXPECT 0x36, 3
    movl $0x3e, IOAPIC
    mov IOAPIC + 0x10, %eax
    test $0x4000, %eax
    jnz fail
    ret

/* Timer 1, periodic, by messages. */
test_hpet:
    STEP 7
    cmpl $0, HPET + 4
    je fail
    movl $0x34, HPET + 0x130
    movl $LAPIC, HPET + 0x134
    movl $0x414c, HPET + 0x120
    movl $100000, HPET + 0x128
    movl $100000, HPET + 0x128
    movl $1, HPET + 0x10
    WAIT_FOR 0x34, 3
    movl $0, HPET + 0x10
    ret

test_tpr:
    STEP 8
    APIC_WRITE 0x80, 0x40
    APIC_WRITE 0x300, 0x44035
    sti
    nop
    nop
    cli
    EXPECT 0x35, 0
    APIC_WRITE 0x80, 0x20
    sti
    nop
    nop
    cli
    EXPECT 0x35, 1
    APIC_WRITE 0x80, 0
    ret

test_nmi:
    STEP 9
    APIC_WRITE 0x310, 0
    APIC_WRITE 0x300, 0x4400
    mov $100000, %ecx
1:  cmpl $1, counters + 4 * 2
    je 2f
    loop 1b
    jmp fail
2:  ret

test_keyboard_controller:
    STEP 10
    PORT_WRITE 0x64, 0xaa
1:  inb $0x64, %al
    test $1, %al
    jz 1b
    inb $0x60, %al
    cmp $0x55, %al
    jne fail
    ret

test_second_cpu:
    STEP 11
    mov $ap_start, %esi
    mov $TRAMPOLINE, %edi
    mov $ap_end - ap_start, %ecx
    rep movsb
    movl $0, AP_FLAG
    APIC_WRITE 0x310, 0x01000000
    APIC_WRITE 0x300, 0xc500
    APIC_WRITE 0x310, 0x01000000
    APIC_WRITE 0x300, 0x4600 + (TRAMPOLINE >> 12)
1:  pause
    cmpl $0x5a5a, AP_FLAG
    jne 1b
    ret

/* The PM timer's bit 23 changes at most 2.4 s from now. */
test_sci:
    STEP 12
    PORT_WRITE 0xb2, 0xf1
    mov $PM1_STATUS + 4, %dx
    inw %dx, %ax
    test $1, %al            /* SCI_EN */
    jz fail
    IOAPIC_WRITE 0x23, 0
    IOAPIC_WRITE 0x22, 0x8037
    mov $PM1_STATUS, %dx
    mov $0x00010001, %eax   /* clear and enable */
    outl %eax, %dx
    WAIT_FOR 0x37, 1
    EXPECT 0x37, 1
    mov $PM1_STATUS, %dx
    xor %eax, %eax
    outl %eax, %dx
    ret

    .code16
ap_start:
    cli
    xor %ax, %ax
    mov %ax, %ds
    movl $0x5a5a, AP_FLAG
1:  hlt
    jmp 1b
ap_end:
    .code32

    .data
    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
    .word . - gdt - 1
    .long gdt
idt_pointer:
    .word 64 * 8 - 1
    .long idt
step:
    .long 0

    .bss
    .balign 16
idt:
    .skip 64 * 8
counters:
    .skip 64 * 4
    .skip 4096
stack_top:
