/* carry_enter(struct carry_frame *f): runs one stub of cpu/help/carry.c on guest vector state, MXCSR, flags and GPR operands, and puts
 * everything back. vCPU thread, called by carry_exec. carry_landing is where carry_fixup sends a stub that raised a host signal: rbx still
 * holds f, rsp is reset. Offsets are checked against struct carry_frame in carry.c. */
        .text
        .globl  carry_enter
        .globl  carry_landing
        .hidden carry_landing
        .type   carry_enter, @function

#define F_VREG 0
#define F_STUB 8
#define F_GPR 16
#define F_MEM 24
#define F_RAX 32
#define F_RCX 40
#define F_RDX 48
#define F_FLAGS 56
#define F_RSP 64
#define F_MXCSR 72
#define F_HOST_MXCSR 76
#define F_AVX 80
#define F_ZMM 84
#define KREG 2048 /* behind vreg */

carry_enter:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_offset rbx, -16
        mov     %rdi, %rbx
        mov     %rsp, F_RSP(%rbx)
        stmxcsr F_HOST_MXCSR(%rbx)
        mov     F_VREG(%rbx), %rdi
        cmpl    $0, F_ZMM(%rbx)
        jne     5f
        cmpl    $0, F_AVX(%rbx)
        je      1f
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovdqa \n*64(%rdi), %ymm\n
        .endr
        jmp     2f
5:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        vmovdqa64 \n*64(%rdi), %zmm\n
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq   KREG+\n*8(%rdi), %k\n
        .endr
        jmp     2f
1:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movdqa  \n*64(%rdi), %xmm\n
        .endr
2:      ldmxcsr F_MXCSR(%rbx)
        mov     F_GPR(%rbx), %r8
        mov     F_MEM(%rbx), %r9
        mov     F_RAX(%rbx), %rax
        mov     F_RCX(%rbx), %rcx
        mov     F_RDX(%rbx), %rdx
        pushq   F_FLAGS(%rbx)
        popfq
        call    *F_STUB(%rbx)
carry_landing:
        pushfq
        popq    F_FLAGS(%rbx)
        cld
        mov     %r8, F_GPR(%rbx)
        mov     %rax, F_RAX(%rbx)
        mov     %rcx, F_RCX(%rbx)
        mov     %rdx, F_RDX(%rbx)
        stmxcsr F_MXCSR(%rbx)
        ldmxcsr F_HOST_MXCSR(%rbx)
        mov     F_VREG(%rbx), %rdi
        cmpl    $0, F_ZMM(%rbx)
        jne     6f
        cmpl    $0, F_AVX(%rbx)
        je      3f
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovdqa %ymm\n, \n*64(%rdi)
        .endr
        vzeroupper
        jmp     4f
6:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        vmovdqa64 %zmm\n, \n*64(%rdi)
        .endr
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7
        kmovq   %k\n, KREG+\n*8(%rdi)
        .endr
        vzeroupper
        jmp     4f
3:
        .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        movdqa  %xmm\n, \n*64(%rdi)
        .endr
4:      pop     %rbx
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_endproc
        .size   carry_enter, .-carry_enter
        .section .note.GNU-stack, "", @progbits
