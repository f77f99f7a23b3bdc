/* The native half of the instruction oracle; see host_insn.h. The parent fills shared cases; the child lives in a signal handler that turns
 * each signal frame into the result of one case and the start of the next. Test thread, one child process. */
#include "tests/lib/host_insn.h"
#include <asm/ldt.h>
#include <cpuid.h>
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define FLAG_TF 0x100
#define XSAVE_BV 512
#define XSAVE_YMMH 576
#define XSAVE_ZMM 0xe0
#define XSTATE_MAX 16384
#define STEPS_MAX 4096

struct shared {
    struct hi_case c[HI_BATCH];
    u8 image[HI_DATA_SIZE];
    volatile unsigned done;
};

struct host_insn {
    unsigned bits;
    struct shared *sh;
    pid_t child;
    int to_child, from_child;
};

/* --- both sides --- */
void hi_change_find(struct hi_change *ch, const u8 *before, const u8 *after)
{
    u32 lo = 0, hi = HI_DATA_SIZE;
    ch->lo = ch->len = 0;
    if (!memcmp(before, after, HI_DATA_SIZE))
        return;
    while (before[lo] == after[lo])
        lo++;
    while (before[hi - 1] == after[hi - 1])
        hi--;
    ch->lo = lo;
    ch->len = hi - lo;
    memcpy(ch->bytes, after + lo, MIN_OF(ch->len, sizeof(ch->bytes)));
}

void hi_state_init(struct hi_state *s)
{
    memset(s, 0, sizeof(*s));
    st16(s->fx, 0x37f);
    st32(s->fx + 24, 0x1f80);
    s->flags = 2;
}

u64 host_insn_pc(unsigned bits) { return bits == 16 ? HI_PC - HI_CODE : HI_PC; }

/* Where AVX-512's components lie in an XSAVE area: k, upper halves, zmm16-31. */
static unsigned zmm_at[3];

bool host_insn_has_zmm(void)
{
    static int known = -1; /* in a virtual machine CPUID is dear */
    unsigned a, b, c, d, n = 0;
    if (known >= 0)
        return known;
    known = 0;
    if (!__builtin_cpu_supports("avx512bw"))
        return false;
    for (unsigned i = 0; i < 3; i++) {
        if (!__get_cpuid_count(0xd, 5 + i, &a, &b, &c, &d))
            return false;
        zmm_at[i] = b;
        n += a;
    }
    known = n == 64 + 512 + 1024;
    return known;
}

/* --- the child --- */
#define CS32 0x23 /* Linux: __USER32_CS */
#define SS_FLAT 0x2b
#define LDT_CODE 0x07
#define LDT_DATA 0x0f
#define UC_SS 6   /* the frame's SS counts, as it is */

static struct {
    unsigned bits;
    struct shared *sh;
    unsigned n, at, steps;
    bool zmm;
    ucontext_t home;
    u8 home_fp[XSTATE_MAX];
    size_t fp_size;
} kid;

static const u8 greg_of[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static void case_start(ucontext_t *uc)
{
    struct hi_case *k = &kid.sh->c[kid.at];
    u8 *fp = (u8 *)uc->uc_mcontext.fpregs;
    memcpy((void *)HI_PC, k->code, k->len);
    memset((void *)(HI_PC + k->len), 0xcc, 16);
    for (unsigned i = 0; i < 16; i++)
        uc->uc_mcontext.gregs[greg_of[i]] = (greg_t)k->in.gpr[i];
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)k->in.rip;
    if (kid.bits != 64) {
        uc->uc_flags |= UC_SS;
        uc->uc_mcontext.gregs[REG_CSGSFS] = kid.bits == 32 ? CS32 | (greg_t)SS_FLAT << 48 : LDT_CODE | (greg_t)LDT_DATA << 48;
    }
    uc->uc_mcontext.gregs[REG_EFL] = (greg_t)(k->in.flags | FLAG_TF | 0x202);
    memcpy(fp, k->in.fx, 416); /* beyond it lies the kernel's description of the frame */
    st64(fp + XSAVE_BV, ld64(fp + XSAVE_BV) | 7);
    memcpy(fp + XSAVE_YMMH, k->in.ymmh, sizeof(k->in.ymmh));
    if (kid.zmm) {
        st64(fp + XSAVE_BV, ld64(fp + XSAVE_BV) | XSAVE_ZMM);
        memcpy(fp + zmm_at[0], k->in.k, sizeof(k->in.k));
        memcpy(fp + zmm_at[1], k->in.zmmh, sizeof(k->in.zmmh));
        memcpy(fp + zmm_at[2], k->in.zmm16, sizeof(k->in.zmm16));
    }
    kid.steps = 0;
}

static void case_end(const ucontext_t *uc, int vector)
{
    struct hi_case *k = &kid.sh->c[kid.at];
    const u8 *fp = (const u8 *)uc->uc_mcontext.fpregs;
    u64 bv = ld64(fp + XSAVE_BV);
    for (unsigned i = 0; i < 16; i++)
        k->out.gpr[i] = (u64)uc->uc_mcontext.gregs[greg_of[i]];
    k->out.rip = (u64)uc->uc_mcontext.gregs[REG_RIP];
    k->out.flags = (u64)uc->uc_mcontext.gregs[REG_EFL];
    memset(k->out.fx, 0, sizeof(k->out.fx));
    memset(k->out.ymmh, 0, sizeof(k->out.ymmh));
    memcpy(k->out.fx, fp, 416);
    if (!(bv & 2))
        memset(k->out.fx + 160, 0, 256);
    if (bv & 4)
        memcpy(k->out.ymmh, fp + XSAVE_YMMH, sizeof(k->out.ymmh));
    memset(k->out.k, 0, sizeof(k->out.k));
    memset(k->out.zmmh, 0, sizeof(k->out.zmmh));
    memset(k->out.zmm16, 0, sizeof(k->out.zmm16));
    if (kid.zmm && bv & 1 << 5)
        memcpy(k->out.k, fp + zmm_at[0], sizeof(k->out.k));
    if (kid.zmm && bv & 1 << 6)
        memcpy(k->out.zmmh, fp + zmm_at[1], sizeof(k->out.zmmh));
    if (kid.zmm && bv & 1 << 7)
        memcpy(k->out.zmm16, fp + zmm_at[2], sizeof(k->out.zmm16));
    k->vector = vector;
    k->error = (u64)uc->uc_mcontext.gregs[REG_ERR];
    k->cr2 = (u64)uc->uc_mcontext.gregs[REG_CR2];
    hi_change_find(&k->mem, kid.sh->image, (const u8 *)HI_DATA);
    if (k->mem.len)
        memcpy((u8 *)HI_DATA + k->mem.lo, kid.sh->image + k->mem.lo, k->mem.len);
}

static void handler(int sig, siginfo_t *si, void *opaque)
{
    ucontext_t *uc = opaque;
    if (sig == SIGUSR1) {
        const u8 *fp = (const u8 *)uc->uc_mcontext.fpregs;
        kid.fp_size = ld32(fp + 464 + 4); /* struct _fpx_sw_bytes.extended_size */
        if (kid.fp_size < XSAVE_YMMH + 256 || kid.fp_size > XSTATE_MAX)
            _exit(3);
        memcpy(kid.home_fp, fp, kid.fp_size);
        kid.home = *uc;
        case_start(uc);
        return;
    }
    struct hi_case *k = &kid.sh->c[kid.at];
    bool step = sig == SIGTRAP && uc->uc_mcontext.gregs[REG_TRAPNO] == 1;
    if (step && k->rep && (u64)uc->uc_mcontext.gregs[REG_RIP] == k->in.rip && ++kid.steps < STEPS_MAX)
        return;
    case_end(uc, step ? -1 : (int)uc->uc_mcontext.gregs[REG_TRAPNO]);
    kid.sh->done = ++kid.at;
    if (kid.at < kid.n) {
        case_start(uc);
        return;
    }
    memcpy(uc->uc_mcontext.gregs, kid.home.uc_mcontext.gregs, sizeof(uc->uc_mcontext.gregs));
    memcpy(uc->uc_mcontext.fpregs, kid.home_fp, kid.fp_size);
}

static void map_fixed(u64 at, size_t size, int prot)
{
    void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);
    if (p != (void *)at)
        _exit(4);
    if (at == HI_CODE)
        memset(p, 0xcc, size);
    else
        memcpy(p, kid.sh->image + (at - HI_DATA), size);
    mprotect(p, size, prot);
}

/* Segments of the 16- and 32-bit modes; the C code of the child, being 64-bit, does not mind. */
static void segments_set(unsigned bits)
{
    struct user_desc code = { .entry_number = 0, .base_addr = HI_CODE, .limit = 0xffff, .contents = 2, .useable = 1 };
    struct user_desc data = { .entry_number = 1, .base_addr = HI_DATA, .limit = HI_DATA_SIZE - 1, .contents = 0, .useable = 1 };
    if (bits == 64) {
        syscall(SYS_arch_prctl, ARCH_SET_GS, HI_GS_BASE);
        return;
    }
    if (bits == 16 && (syscall(SYS_modify_ldt, 1, &code, sizeof(code)) || syscall(SYS_modify_ldt, 1, &data, sizeof(data))))
        _exit(5);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %0, %%gs" : : "r"(bits == 32 ? SS_FLAT : LDT_DATA));
}

static NORETURN void child_main(struct shared *sh, unsigned bits, int in, int out)
{
    static const int sigs[] = { SIGUSR1, SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE };
    static u8 stack[256 * 1024];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction sa = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    kid.sh = sh;
    kid.bits = bits;
    kid.zmm = host_insn_has_zmm();
    map_fixed(HI_CODE, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    map_fixed(HI_DATA, HI_DATA_PAGES * 4096, PROT_READ | PROT_WRITE);
    map_fixed(HI_RO, 4096, PROT_READ);
    sigaltstack(&ss, NULL);
    sigfillset(&sa.sa_mask);
    for (unsigned i = 0; i < ARRAY_LEN(sigs); i++)
        sigaction(sigs[i], &sa, NULL);
    segments_set(bits);
    for (;;) {
        u8 n;
        if (read(in, &n, 1) != 1)
            _exit(0);
        kid.n = n;
        kid.at = 0;
        sh->done = 0;
        raise(SIGUSR1);
        if (write(out, &n, 1) != 1)
            _exit(0);
    }
}

/* --- the parent --- */
static void child_start(struct host_insn *h)
{
    int a[2], b[2];
    fflush(NULL);
    if (pipe2(a, 0) || pipe2(b, 0))
        abort();
    h->child = fork();
    if (h->child < 0)
        abort();
    if (!h->child) {
        close(a[1]);
        close(b[0]);
        child_main(h->sh, h->bits, a[0], b[1]);
    }
    close(a[0]);
    close(b[1]);
    h->to_child = a[1];
    h->from_child = b[0];
}

static void child_stop(struct host_insn *h)
{
    if (h->child <= 0)
        return;
    kill(h->child, SIGKILL);
    waitpid(h->child, NULL, 0);
    close(h->to_child);
    close(h->from_child);
    h->child = 0;
}

struct host_insn *host_insn_new(const u8 *image, unsigned bits)
{
    struct host_insn *h = calloc(1, sizeof(*h));
    h->bits = bits;
    h->sh = mmap(NULL, sizeof(*h->sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert(h->sh != MAP_FAILED);
    memcpy(h->sh->image, image, HI_DATA_SIZE);
    signal(SIGPIPE, SIG_IGN);
    return h;
}

void host_insn_free(struct host_insn *h)
{
    child_stop(h);
    munmap(h->sh, sizeof(*h->sh));
    free(h);
}

struct hi_case *host_insn_cases(struct host_insn *h) { return h->sh->c; }

unsigned host_insn_run(struct host_insn *h, unsigned n)
{
    u8 b = (u8)n;
    if (!h->child)
        child_start(h);
    h->sh->done = 0;
    if (write(h->to_child, &b, 1) == 1 && read(h->from_child, &b, 1) == 1)
        return n;
    child_stop(h);
    return h->sh->done;
}
