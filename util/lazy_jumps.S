/* An entry for each function of util/lazy.def under the function's own name: a jump through lazy_slot[], which leads to lazy_find() the first time. Any thread;
 * see util/lazy.h. Source: System V ABI, AMD64 supplement, 3.2.3 (which registers hold arguments). */
#include "config.h"

    .text
    .macro entry name
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 4
\name:
    .cfi_startproc
    jmp *lazy_slot+8*\@(%rip)
.Lfirst\@:
    push $\@
    .cfi_adjust_cfa_offset 8
    jmp first
    .cfi_endproc
    .size \name, . - \name
    .section .data.lazy, "aw"
    .quad .Lfirst\@
    .text
    .endm

    .section .data.lazy, "aw"
    .p2align 3
    .globl lazy_slot
    .hidden lazy_slot
    .type lazy_slot, @object
lazy_slot:
    .text

#define F(lib, name) entry name;
#include "util/lazy.def"

/* The row's number is on the stack above the return address; the registers hold arguments. */
first:
    .cfi_startproc
    .cfi_def_cfa_offset 16
    push %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    mov %rsp, %rbp
    .cfi_def_cfa_register %rbp
    and $-16, %rsp
    sub $192, %rsp
    mov %rdi, (%rsp)
    mov %rsi, 8(%rsp)
    mov %rdx, 16(%rsp)
    mov %rcx, 24(%rsp)
    mov %r8, 32(%rsp)
    mov %r9, 40(%rsp)
    mov %rax, 48(%rsp)
    movaps %xmm0, 64(%rsp)
    movaps %xmm1, 80(%rsp)
    movaps %xmm2, 96(%rsp)
    movaps %xmm3, 112(%rsp)
    movaps %xmm4, 128(%rsp)
    movaps %xmm5, 144(%rsp)
    movaps %xmm6, 160(%rsp)
    movaps %xmm7, 176(%rsp)
    mov 8(%rbp), %edi
    call lazy_find
    mov %rax, %r11
    mov (%rsp), %rdi
    mov 8(%rsp), %rsi
    mov 16(%rsp), %rdx
    mov 24(%rsp), %rcx
    mov 32(%rsp), %r8
    mov 40(%rsp), %r9
    mov 48(%rsp), %rax
    movaps 64(%rsp), %xmm0
    movaps 80(%rsp), %xmm1
    movaps 96(%rsp), %xmm2
    movaps 112(%rsp), %xmm3
    movaps 128(%rsp), %xmm4
    movaps 144(%rsp), %xmm5
    movaps 160(%rsp), %xmm6
    movaps 176(%rsp), %xmm7
    leave
    .cfi_def_cfa %rsp, 16
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    jmp *%r11
    .cfi_endproc

    .section .note.GNU-stack, "", @progbits
