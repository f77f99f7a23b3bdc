/* Executes one carried host instruction on the guest state in struct cpu: a stub of the instruction and RET, kept in a cache of the calling
 * vCPU thread, run by carry_enter (carry_run.S). Called by the interpreter; carry_fixup by the signal handler of that thread.
 *
 * Host exceptions: the handler finds the pc in the thread's arena and sends it to carry_landing, which saves the guest state exactly as
 * after a good run (an instruction that faults has changed nothing but MXCSR flags); carry_exec then raises. No state but rbx, which the
 * stub never touches, says which execution it was. */
#include <cpuid.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <ucontext.h>
#include "cpu/fault.h"
#include "cpu/help/carry.h"
#include "cpu/help/x87.h"
#include "util/exec_mem.h"

struct carry_frame { /* offsets: carry_run.S */
    void *vreg;
    void *stub;
    u64 gpr, mem, rax, rcx, rdx, flags, host_rsp;
    u32 mxcsr, host_mxcsr, avx, zmm;
    u32 trapno; /* host trap number + 1 after a host exception */
};
_Static_assert(offsetof(struct carry_frame, gpr) == 16 && offsetof(struct carry_frame, rdx) == 48, "carry_run.S");
_Static_assert(offsetof(struct carry_frame, flags) == 56 && offsetof(struct carry_frame, host_rsp) == 64, "carry_run.S");
_Static_assert(offsetof(struct carry_frame, mxcsr) == 72 && offsetof(struct carry_frame, zmm) == 84, "carry_run.S");
_Static_assert(offsetof(struct cpu, kreg) == offsetof(struct cpu, vreg) + 2048, "carry_run.S");
_Static_assert(sizeof(((struct cpu *)0)->vreg[0]) == 64, "carry_run.S");

void carry_enter(struct carry_frame *f);
extern const u8 carry_landing[];

/* The stub's operands live here. */
static const struct carry_place stub_place = { R_8, R_9, -1, 0 };

#define STUB_SIZE 16u /* CARRY_LEN_MAX bytes and a RET */
#define STUBS 4096u
#define SLOTS (2 * STUBS)

struct stub_cache { /* of one thread */
    struct exec_mem mem;
    unsigned used;
    bool reused;        /* dropped once: old bytes may still be in this core's pipeline */
    u16 slot[SLOTS];    /* stub number + 1; open addressing by the bytes */
};
static __thread struct stub_cache *stubs;
static pthread_key_t stubs_key;
static pthread_once_t stubs_once = PTHREAD_ONCE_INIT;
static bool host_avx;

static void stub_cache_free(void *p)
{
    struct stub_cache *s = p;
    exec_mem_fini(&s->mem);
    free(s);
}

static void stub_cache_once(void)
{
    int error = pthread_key_create(&stubs_key, stub_cache_free);
    assert(error == 0);
    host_avx = __builtin_cpu_supports("avx");
}

static struct stub_cache *stub_cache_new(struct err *e)
{
    pthread_once(&stubs_once, stub_cache_once);
    struct stub_cache *s = calloc(1, sizeof(*s));
    if (!s || exec_mem_init(&s->mem, STUBS * STUB_SIZE, NULL, e) < 0) {
        free(s);
        return NULL;
    }
    pthread_setspecific(stubs_key, s);
    stubs = s;
    return s;
}

int carry_probe(struct err *e)
{
    return stubs || stub_cache_new(e) ? 0 : -1;
}

static void core_serialize(void)
{
    unsigned a, b, c, d;
    __cpuid(0, a, b, c, d);
}

/* The executable address of the stub with these 16 bytes. */
static void *stub_get(const u8 *code)
{
    struct stub_cache *s = stubs;
    if (!s) {
        struct err e;
        s = stub_cache_new(&e);
        if (!s) { /* carry_probe has said so at start-up; nothing can be executed */
            err_report(&e);
            exit(1);
        }
    }
    u64 h = (ld64(code) * 0x9e3779b97f4a7c15ull) ^ (ld64(code + 8) * 0xc2b2ae3d27d4eb4full);
    for (unsigned i = (unsigned)(h >> 40); ; i++) {
        u16 *slot = &s->slot[i % SLOTS];
        if (*slot && memcmp(s->mem.rw + (*slot - 1u) * STUB_SIZE, code, STUB_SIZE) != 0) {
            continue;
        }
        if (!*slot && s->used == STUBS) {
            memset(s->slot, 0, sizeof(s->slot));
            s->used = 0;
            s->reused = true;
            slot = &s->slot[(h >> 40) % SLOTS];
        }
        if (!*slot) {
            memcpy(s->mem.rw + s->used * STUB_SIZE, code, STUB_SIZE);
            *slot = (u16)++s->used;
            if (s->reused) {
                core_serialize();
            }
        }
        return s->mem.rx + (*slot - 1u) * STUB_SIZE;
    }
}

bool carry_owns_pc(const void *pc)
{
    return stubs && exec_mem_owns(&stubs->mem, pc);
}

bool carry_fixup(void *ucontext)
{
    greg_t *r = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    if (!carry_owns_pc((const void *)r[REG_RIP])) {
        return false;
    }
    struct carry_frame *f = (struct carry_frame *)r[REG_RBX];
    f->trapno = (u32)r[REG_TRAPNO] + 1;
    r[REG_RIP] = (greg_t)carry_landing;
    r[REG_RSP] = (greg_t)f->host_rsp;
    return true;
}

int carry_vector(const struct cpu *c, u64 host_trapno)
{
    switch (host_trapno) {
    case EXC_UD:
    case EXC_GP:
    case EXC_MF:
        return (int)host_trapno;
    case EXC_XM:
        return c->cr4 & CR4_OSXMMEXCPT ? EXC_XM : EXC_UD;
    default:
        return -1;
    }
}

void carry_raise(struct cpu *c, u64 host_trapno)
{
    int vector = carry_vector(c, host_trapno);
    if (vector < 0) { /* a fault on our own memory: not the guest's doing */
        struct err e;
        err_set(&e, "host exception %u in a carried instruction at guest rip %#llx", (unsigned)host_trapno,
                (unsigned long long)c->rip);
        err_report(&e);
        abort();
    }
    if (vector == EXC_MF) {
        x87_raise_mf(c);
    }
    if (vector == EXC_GP) {
        cpu_raise_err(c, EXC_GP, 0);
    }
    cpu_raise(c, vector);
}

/* The guest number of the GPR operand, or -1; *written as the carry says. */
static int carry_gpr(const struct carry *k, bool *written)
{
    *written = k->reg_class == CC_GPR ? k->reg_gpr_w : k->rm_gpr_w;
    return k->reg_class == CC_GPR ? k->reg : k->rm_class == CC_GPR ? k->rm : -1;
}

static void carry_write_back(struct cpu *c, const struct carry *k, const struct carry_frame *f)
{
    bool written;
    int gpr = carry_gpr(k, &written);
    if (gpr >= 0 && written) {
        c->gpr[gpr] = f->gpr;
    }
    if (k->implicit & CI_W_CX) {
        c->gpr[R_CX] = f->rcx;
    }
    if (k->implicit & CI_W_AX) {
        c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffffull) | (f->rax & 0xffff);
    }
    if (k->fl_write) {
        cpu_set_arith(c, (u32)f->flags);
    }
    if (k->enc == 2 && !k->x87_is_ctl) {
        c->x87_fip = c->rip;
        c->x87_fop = k->fop;
    }
}

/* Unmasked invalid-operation, overflow and underflow exceptions, now pending, keep an x87 store from storing (SDM vol. 1 section 8.5).
 * None was pending before, for the instruction would have raised #MF. */
static bool x87_store_done(void)
{
    u16 fsw, fcw;
    __asm__ volatile("fnstsw %0\n\tfnstcw %1" : "=m"(fsw), "=m"(fcw));
    return !(fsw & ~fcw & 0x19);
}

bool carry_exec(struct cpu *c, const struct carry *k, void *mem)
{
    u8 code[STUB_SIZE] = { 0 };
    unsigned n = carry_encode(code, k, &stub_place);
    code[n] = 0xc3; /* RET */
    bool written;
    int gpr = carry_gpr(k, &written);
    c->zmm_live |= k->zmm;
    struct carry_frame f = {
        .vreg = c->vreg, .stub = stub_get(code), .gpr = gpr >= 0 ? c->gpr[gpr] : 0, .mem = (u64)mem,
        .rax = c->gpr[R_AX], .rcx = c->gpr[R_CX], .rdx = c->gpr[R_DX], .flags = 0x202 | cpu_arith(c),
        .mxcsr = c->mxcsr, .avx = host_avx, .zmm = c->zmm_live,
    };
    if (k->x87) {
        x87_load(c);
    }
    carry_enter(&f);
    c->mxcsr = f.mxcsr;
    if (f.trapno) {
        carry_raise(c, f.trapno - 1);
    }
    carry_write_back(c, k, &f);
    return !mem || k->enc != 2 || k->x87_is_ctl || x87_store_done();
}
