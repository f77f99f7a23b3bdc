/* Host exceptions inside emitted code (#DE of a division, #GP of a misaligned SSE operand, #MF, #XM) become the guest's. The handler runs on the
 * vCPU thread that faulted, in signal context: it only redirects the interrupted code. dbt_host_fault then runs as ordinary C. */
#include <signal.h>
#include <ucontext.h>
#include "accel/dbt/tb.h"
#include "accel/dbt/x64/jit.h"
#include "cpu/fault.h"
#include "cpu/help/carry.h"

static const int signals[] = { SIGFPE, SIGSEGV, SIGBUS, SIGILL };
static struct sigaction old_action[ARRAY_LEN(signals)];

/* CMPXCHG8B/16B [rdi]: rdi is borrowed there (isel_cmpxchg2). */
static bool is_cmpxchg2(const u8 *pc)
{
    pc += *pc == 0xf0;
    pc += *pc == 0x48;
    return pc[0] == 0x0f && pc[1] == 0xc7 && pc[2] == 0x0f;
}

static bool fixup(greg_t *r)
{
    const u8 *pc = (const u8 *)r[REG_RIP];
    if (!backend_owns_pc(pc))
        return false;
    switch (r[REG_TRAPNO]) {
    case EXC_DE: case EXC_UD: case EXC_GP: case EXC_MF: case EXC_XM:
        break;
    default:
        return false;
    }
    struct cpu *c = (struct cpu *)(r[REG_RBP] - CPU_BIAS);
    if (is_cmpxchg2(pc))
        r[REG_RDI] = (greg_t)c->scratch[SLOT_RDI];
    r[REG_RDX] = (greg_t)pc;
    r[REG_RCX] = r[REG_TRAPNO];
    r[REG_RIP] = (greg_t)x64_fault_entry();
    return true;
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
    int error = errno;
    if (!carry_fixup(uc) && !fixup(((ucontext_t *)uc)->uc_mcontext.gregs)) { /* not the guest's: happens again with the action of before */
        for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
            if (signals[i] == sig)
                sigaction(sig, &old_action[i], NULL);
    }
    errno = error;
}

int dbt_signal_init(struct err *e)
{
    struct sigaction a = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
    sigemptyset(&a.sa_mask);
    for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
        if (sigaction(signals[i], &a, &old_action[i]) < 0)
            return err_set(e, "cannot catch signal %d: %s", signals[i], strerror(errno));
    return 0;
}

void dbt_host_fault(struct cpu *c, const void *host_pc, u32 trapno)
{
    const struct tb *tb = tb_by_host_pc(host_pc);
    assert(tb);
    const struct compiled *k = &tb->code;
    const struct compiled_insn *m = backend_insn_at(k, host_pc);
    c->rip = backend_pc(c, k) + m->pc_off;
    if (m->flags_kept)
        c->aflags = c->kept_aflags;
    tb_count_ahead(tb, c, m->pc_off);
    if (m->x87_insn) {
        c->x87_fip = backend_pc(c, k) + k->insn[m->x87_insn - 1].pc_off;
        c->x87_fop = m->x87_fop;
    }
    int vector = trapno == EXC_DE ? EXC_DE : carry_vector(c, trapno);
    assert(vector >= 0);
    if (vector == EXC_GP)
        cpu_raise_err(c, EXC_GP, 0);
    cpu_raise(c, vector);
}
