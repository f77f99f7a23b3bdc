/* Entry of the bare-metal test guests: multiboot header, stack, for 64-bit guests long mode with the first 4 GiB identity-mapped by 2 MiB
 * pages open to user mode; exception stubs; guest_try. Runs inside the guest. */
        .set    MAGIC, 0x1badb002
        .set    FLAGS, 0

        .section .multiboot, "a"
        .align  4
        .long   MAGIC, FLAGS, -(MAGIC + FLAGS)

        .text
        .code32
        .globl  _start
_start: cli
        cld
        mov     $boot_stack_top, %esp
#ifndef __x86_64__
        call    guest_start
#else
        xor     %edx, %edx              /* 2048 entries of 2 MiB */
        mov     $boot_pd, %edi
1:      mov     %edx, %eax
        shl     $21, %eax
        or      $0x87, %eax             /* present, writable, user, large */
        mov     %eax, (%edi)
        add     $8, %edi
        inc     %edx
        cmp     $2048, %edx
        jb      1b
        mov     $boot_pd + 7, %eax
        mov     $boot_pdpt, %edi
        mov     $4, %ecx
2:      mov     %eax, (%edi)
        add     $4096, %eax
        add     $8, %edi
        loop    2b
        movl    $boot_pdpt + 7, boot_pml4
        mov     $boot_pml4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx
        rdmsr
        or      $0x901, %eax            /* LME, NXE, SCE */
        wrmsr
        mov     %cr0, %eax
        and     $0x9fffffff, %eax
        or      $0x80010001, %eax       /* PG, WP, PE */
        mov     %eax, %cr0
        lgdt    boot_gdtr
        ljmp    $8, $3f
        .code64
3:      mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        call    guest_start
#endif
4:      hlt
        jmp     4b

#ifdef __x86_64__
        .align  8
boot_gdt:
        .quad   0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdtr:
        .word   . - boot_gdt - 1
        .long   boot_gdt, 0
#endif

/* --- exceptions and interrupts: one stub of 16 bytes for each vector --- */
        .globl  stubs
        .align  16
stubs:  .set    v, 0
        .rept   256
        .align  16
        .if     !(v == 8 || (v >= 10 && v <= 14) || v == 17)
#ifdef __x86_64__
        pushq   $0
#else
        pushl   $0
#endif
        .endif
        .byte   0x68                    /* PUSH imm32 */
        .long   v
        jmp     common
        .set    v, v + 1
        .endr

common:
#ifdef __x86_64__
        push    %rax
        push    %rcx
        push    %rdx
        push    %rbx
        push    %rbp
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        cld
        mov     %rsp, %rdi
        mov     %rsp, %rbx
        and     $-16, %rsp
        call    guest_trap
        mov     %rbx, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rbp
        pop     %rbx
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $16, %rsp
        iretq
#else
        push    %ds
        push    %es
        push    %fs
        push    %gs
        pusha
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        cld
        mov     %esp, %eax
        push    %eax
        call    guest_trap
        pop     %eax
        popa
        pop     %gs
        pop     %fs
        pop     %es
        pop     %ds
        add     $8, %esp
        iret
#endif

/* --- int try_enter(fn, arg, user): -1, or what try_leave(vector) was called with --- */
        .globl  try_enter, try_leave, try_sp
try_enter:
#ifdef __x86_64__
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        pushfq
        mov     %rsp, try_sp
        test    %edx, %edx
        jz      5f
        mov     %rdi, %rax
        mov     %rsi, %rdi
        pushq   $0x23
        pushq   $user_stack_top - 8
        pushq   $2
        pushq   $0x2b
        push    %rax
        iretq
5:      mov     %rdi, %rax
        mov     %rsi, %rdi
        call    *%rax
        mov     $-1, %edi
try_leave:
        mov     %edi, %eax
        mov     try_sp, %rsp
        movq    $0, try_sp
        popfq
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret
#else
        push    %ebx
        push    %ebp
        push    %esi
        push    %edi
        pushf
        mov     %esp, try_sp
        mov     24(%esp), %eax
        mov     28(%esp), %ecx
        cmpl    $0, 32(%esp)
        je      5f
        mov     $user_stack_top - 8, %edx
        mov     %ecx, 4(%edx)           /* argument; the return address is never used */
        mov     $0x23, %ecx
        mov     %ecx, %ds
        mov     %ecx, %es
        pushl   $0x23
        push    %edx
        pushl   $2
        pushl   $0x1b
        push    %eax
        iret
5:      push    %ecx
        call    *%eax
        mov     $-1, %eax
        jmp     6f
try_leave:
        mov     4(%esp), %eax
6:      mov     try_sp, %esp
        movl    $0, try_sp
        mov     $0x10, %ecx
        mov     %ecx, %ds
        mov     %ecx, %es
        popf
        pop     %edi
        pop     %esi
        pop     %ebp
        pop     %ebx
        ret
#endif

        .bss
        .align  4096
#ifdef __x86_64__
        .globl  boot_pml4, boot_pdpt, boot_pd
boot_pml4:
        .skip   4096
boot_pdpt:
        .skip   4096
boot_pd:
        .skip   4 * 4096
#endif
        .skip   16384
boot_stack_top:
        .skip   8192
        .globl  user_stack_top
user_stack_top:
        .skip   16
        .align  8
try_sp: .skip   8
        .section .note.GNU-stack, "", @progbits
