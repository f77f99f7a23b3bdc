/* Executes single instructions on the host in a child process that survives whatever they do: fixed code and data pages, all of the
 * user-visible state loaded and captured through signal frames, single-stepped by TF. Used by one test thread. */
#ifndef TESTS_LIB_HOST_INSN_H
#define TESTS_LIB_HOST_INSN_H
#include "util/base.h"

#define HI_CODE 0x100000ull       /* one page, filled with INT3; the instruction is at HI_PC */
#define HI_PC (HI_CODE + 0x800)
#define HI_DATA 0x110000ull       /* writable pages, then one that is read-only; nothing else is mapped around */
#define HI_DATA_PAGES 4
#define HI_RO (HI_DATA + HI_DATA_PAGES * 4096)
#define HI_DATA_SIZE ((HI_DATA_PAGES + 1) * 4096)

struct hi_state {
    u64 gpr[16];
    u64 rip, flags;
    u8 fx[512];              /* FXSAVE64 image: x87, MXCSR, XMM */
    u8 ymmh[16][16];
    u8 zmmh[16][32];         /* these three only where host_insn_has_zmm() */
    u8 zmm16[16][64];
    u64 k[8];
};
/* What changed in the data pages: everything outside [lo, lo + len) is as before. len > sizeof(bytes): too much to tell. */
struct hi_change {
    u32 lo, len;
    u8 bytes[1024];
};
struct hi_case {
    u8 code[16];
    u8 len;
    bool rep;                /* step until rip moves on */
    struct hi_state in, out;
    struct hi_change mem;
    int vector;              /* exception, or -1 */
    u64 error, cr2;
};
#define HI_BATCH 64
#define HI_GS_BASE 0x7000ull

struct host_insn;
/* image: contents of the data pages before each case, HI_DATA_SIZE bytes. bits 64, or 32: compatibility mode with flat segments, or 16:
 * CS has base HI_CODE, the other segments base HI_DATA and limit HI_DATA_SIZE - 1 . GS is like DS, in 64-bit
 * mode with base HI_GS_BASE; FS must not be used. */
struct host_insn *host_insn_new(const u8 *image, unsigned bits);
/* The host has AVX-512 state, which is loaded and captured too. */
bool host_insn_has_zmm(void);
/* What hi_case.in.rip must be. */
u64 host_insn_pc(unsigned bits);
void host_insn_free(struct host_insn *h);
/* HI_BATCH cases in shared memory, to be filled in and read. */
struct hi_case *host_insn_cases(struct host_insn *h);
/* Executes the first n. Returns how many were: fewer if the child died at one, whose result is lost; the next call starts a new child. */
unsigned host_insn_run(struct host_insn *h, unsigned n);
/* Describes the difference between a page image before and after. */
void hi_change_find(struct hi_change *ch, const u8 *before, const u8 *after);
/* A state with x87 and MXCSR as after reset. */
void hi_state_init(struct hi_state *s);

#endif
