/* KVM's paravirtual EOI: a word in guest memory whose bit 0 tells the guest that it may end the interrupt in service by clearing it there,
 * without a write of the EOI register. The guest's instruction is not a locked one, so only the vCPU's own thread (between blocks) touches
 * the word; others reckon with an EOI that may have happened (lapic_update) and leave it to that thread to look, when it acknowledges. Machine lock held.
 * Source: the published KVM MSR interface (MSR_KVM_PV_EOI_EN). */
#include "hw/core/machine.h"
#include "hw/intc/lapic_state.h"
#include "util/log.h"

#define PV_EOI_ENABLE 1ull
#define PV_EOI_RESERVED 2ull
#define PV_EOI_PENDING 1u

static u32 *word(struct lapic *s)
{
    u64 len = 4;
    void *p = dma_window_map(s->dev.m->mem, &s->pv_eoi_window, s->pv_eoi & ~3ull, &len, true);

    return p && len == 4 ? p : NULL;
}

static void word_written(struct lapic *s)
{
    dma_window_written(s->dev.m->mem, &s->pv_eoi_window, s->pv_eoi & ~3ull, 4);
}

void lapic_pv_eoi_offer(struct lapic *s, u8 vector)
{
    u32 *w;

    if (!(s->pv_eoi & PV_EOI_ENABLE) || (s->tmr[vector >> 5] >> (vector & 31) & 1) || !(w = word(s)))
        return;
    __atomic_fetch_or(w, PV_EOI_PENDING, __ATOMIC_SEQ_CST);
    word_written(s);
    __atomic_store_n(&s->pv_eoi_set, true, __ATOMIC_SEQ_CST);
}

bool lapic_pv_eoi_settle(struct lapic *s)
{
    u32 *w, old;

    if (!s->pv_eoi_set)
        return false;
    lapic_pv_eoi_forget(s);
    w = word(s);
    if (!w)
        return false;
    old = __atomic_fetch_and(w, ~PV_EOI_PENDING, __ATOMIC_SEQ_CST);
    word_written(s);
    return !(old & PV_EOI_PENDING);
}

void lapic_pv_eoi_forget(struct lapic *s)
{
    __atomic_store_n(&s->pv_eoi_set, false, __ATOMIC_SEQ_CST);
}

bool lapic_pv_eoi_write(struct lapic *s, u64 val)
{
    if (val & PV_EOI_RESERVED)
        return false;
    s->pv_eoi = val;
    if ((val & PV_EOI_ENABLE) && !word(s)) {
        GUEST_ERROR("lapic %u: the word for EOIs at %llx is not in RAM", s->cpu, (unsigned long long)val & ~3ull);
        s->pv_eoi = 0;
    }
    return true;
}
