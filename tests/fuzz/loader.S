/* Starts random guests: a multiboot kernel whose module (guest.h) holds processor states and memory. Takes the record whose number is in the
 * battery-backed memory, counts it up for the next reset, and enters the mode that the record describes. Runs inside the guest. */
#include "tests/fuzz/guest.h"
    .set MAGIC, 0x1badb002
    .set LAPIC_ICR, 0xfee00300
    .set TRAMPOLINE, 0x8000

    .section .multiboot, "a"
    .align 4
    .long MAGIC, 0, -MAGIC

    .text
    .code32
    .globl _start
_start:
    cli
    cld
    mov $stack_top, %esp
    mov 24(%ebx), %eax          /* the module's address */
    mov (%eax), %eax
    mov %eax, module
    mov $FUZZ_CMOS, %al
    outb %al, $0x70
    inb $0x71, %al
    movzbl %al, %ebx
    inc %eax
    outb %al, $0x71
    call find_record
    cmpl $0, FR_AP(%ebp)
    je enter
    mov $trampoline, %esi
    mov $TRAMPOLINE, %edi
    mov $(trampoline_end - trampoline), %ecx
    rep movsb
    lea 1(%ebx), %eax
    mov %eax, ap_record
    movl $0xc4500, LAPIC_ICR    /* INIT, then SIPI, to all but self */
    movl $0xc4600 + (TRAMPOLINE >> 12), LAPIC_ICR

/* EBP: the record. Memory first, then registers, then the mode. */
enter:
    lgdt gdt_pointer
    ljmp $8, $1f
1:  mov $16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    call copy_memory
    call write_msrs
    mov FR_DR + 0(%ebp), %eax
    mov %eax, %dr0
    mov FR_DR + 4(%ebp), %eax
    mov %eax, %dr1
    mov FR_DR + 8(%ebp), %eax
    mov %eax, %dr2
    mov FR_DR + 12(%ebp), %eax
    mov %eax, %dr3
    lidt FR_IDTR(%ebp)
    mov FR_CR4(%ebp), %eax
    mov %eax, %cr4
    mov FR_CR3(%ebp), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx
    mov FR_EFER(%ebp), %eax
    xor %edx, %edx
    wrmsr
    fninit
    cmpl $FUZZ_ENTRY_16, FR_ENTRY(%ebp)
    je enter_16
    mov FR_CR0(%ebp), %eax
    mov %eax, %cr0
    cmpl $FUZZ_ENTRY_64, FR_ENTRY(%ebp)
    je enter_64
    lgdt FR_GDTR(%ebp)
    lldt FR_LDTR(%ebp)
    ltr FR_TR(%ebp)
    lea -4(%esp), %esp
    .set i, 8                   /* the frame of IRETD, from GS to EIP */
    .rept 9
    pushl FR_FRAME + 8 * i(%ebp)
    .set i, i - 1
    .endr
    mov FR_DR7(%ebp), %eax
    mov %eax, %dr7
    mov FR_SEGS + 0(%ebp), %es
    mov FR_SEGS + 4(%ebp), %fs
    mov FR_SEGS + 6(%ebp), %gs
    push FR_SEGS + 2(%ebp)
    .set i, 7
    .rept 8
    pushl FR_GPR + 4 * i(%ebp)
    .set i, i - 1
    .endr
    popa
    pop %ds
    iret

enter_64:
    ljmp $24, $1f
    .code64
1:  mov %ebp, %ebp
    lgdt FR_GDTR(%rbp)
    lldt FR_LDTR(%rbp)
    ltr FR_TR(%rbp)
    mov %esp, %esp
    .set i, 4
    .rept 5
    pushq FR_FRAME + 8 * i(%rbp)
    .set i, i - 1
    .endr
    mov FR_DR7(%rbp), %eax
    mov %rax, %dr7
    mov FR_SEGS + 0(%rbp), %es
    mov FR_SEGS + 4(%rbp), %fs
    mov FR_SEGS + 6(%rbp), %gs
    mov FR_SEGS + 2(%rbp), %ds
    mov FR_GPR + 0(%rbp), %rdi
    mov FR_GPR + 8(%rbp), %rsi
    mov FR_GPR + 16(%rbp), %rbx
    mov FR_GPR + 24(%rbp), %rcx
    mov FR_GPR + 4(%rbp), %r8
    mov FR_GPR + 12(%rbp), %r9
    mov FR_GPR + 20(%rbp), %r12
    mov %rcx, %r13
    mov %rbx, %rbp
    iretq

    .code32
enter_16:
    mov FR_FRAME + 8(%ebp), %ax /* CS, then IP, of the far jump below */
    mov %ax, TRAMPOLINE + real_cs - trampoline
    mov FR_FRAME(%ebp), %ax
    mov %ax, TRAMPOLINE + real_ip - trampoline
    mov $16, %ax
    ljmp $32, $(TRAMPOLINE + to_real - trampoline)

/* EBX: number; EBP becomes the record's address. */
find_record:
    and $(FUZZ_RECORDS - 1), %ebx
    imul $FUZZ_RECORD_SIZE, %ebx, %ebp
    add module, %ebp
    ret

copy_memory:
    cmpl $FUZZ_ENTRY_16, FR_ENTRY(%ebp)
    jne 1f
    mov $trampoline, %esi
    mov $TRAMPOLINE, %edi
    mov $(trampoline_end - trampoline), %ecx
    rep movsb
1:  lea FR_COPY(%ebp), %ebx
    mov $FUZZ_COPIES, %edx
2:  mov (%ebx), %edi
    mov 4(%ebx), %esi
    add %ebp, %esi
    mov 8(%ebx), %ecx
    rep movsb
    add $12, %ebx
    dec %edx
    jnz 2b
    ret

write_msrs:
    lea FR_MSR(%ebp), %ebx
    mov $FUZZ_MSRS, %esi
1:  mov (%ebx), %ecx
    jecxz 2f
    mov 4(%ebx), %eax
    mov 8(%ebx), %edx
    wrmsr
2:  add $12, %ebx
    dec %esi
    jnz 1b
    ret

/* Copied to TRAMPOLINE: the second CPU's start, and the way to real mode. */
    .code16
trampoline:
    cli
    xor %ax, %ax
    mov %ax, %ds
    lgdtl TRAMPOLINE + gdt_copy_pointer - trampoline
    mov $0x11, %eax
    mov %eax, %cr0
    ljmpl $8, $ap_start
to_real:                        /* in a 16-bit code segment */
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov FR_CR0(%ebp), %eax
    mov FR_GPR(%ebp), %edi
    mov FR_GPR + 4(%ebp), %esi
    mov FR_GPR + 16(%ebp), %ebx
    mov FR_GPR + 20(%ebp), %edx
    mov FR_GPR + 24(%ebp), %ecx
    mov FR_SEGS(%ebp), %bp
    mov %eax, %cr0
    mov %bp, %es
    mov %bp, %ds
    mov %bp, %fs
    mov $0x7000, %sp
    mov %bp, %ss
    .byte 0xea
real_ip:
    .word 0
real_cs:
    .word 0
gdt_copy_pointer:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .code32
ap_start:
    mov $16, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $ap_stack_top, %esp
    mov ap_record, %ebx
    call find_record
    jmp enter

    .balign 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00af9b000000ffff, 0x00009b000000ffff
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .bss
    .balign 16
module:
    .long 0
ap_record:
    .long 0
    .space 2048
stack_top:
    .space 2048
ap_stack_top:
