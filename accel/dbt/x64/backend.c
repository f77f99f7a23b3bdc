/* The x64 backend as accel/dbt/backend.h describes it: the code cache, compiling a block into it, linking, killing, entering. Callers hold the
 * code lock except where backend.h says otherwise. */
#include <glib.h>
#include "accel/dbt/codebuf.h"
#include "accel/dbt/x64/jit.h"

#define COMMON_SIZE (64 * KiB)
#define ENTRY_ALIGN 16u
#define KILL_ROOM 16u      /* before each body: code that a killed block leads to */
#define NOTE_ROOM 16u      /* between that and the body: a relative block's entry */
#define OP_BYTES 224u      /* most that one op can take, out-of-line part included */

struct backend_stress backend_stress;
struct host_features x64_host;
struct common_code x64_common;
static struct codebuf cache;
static struct jit *jit;    /* code lock */

int backend_init(u64 cache_size, struct err *e)
{
    __builtin_cpu_init();
    x64_host.avx = __builtin_cpu_supports("avx");
    x64_host.bmi2 = __builtin_cpu_supports("bmi2");
    if (codebuf_init(&cache, cache_size, e) < 0)
        return -1;
    u8 *p = codebuf_reserve(&cache, COMMON_SIZE, 64, 0);
    if (!p)
        return err_set(e, "a code cache of %llu KiB is too small", (unsigned long long)(cache_size / KiB));
    struct enc enc = { p, codebuf_rx(&cache, p) - p };
    entry_emit(&enc, &x64_common);
    assert((size_t)(enc.p - p) <= COMMON_SIZE);
    codebuf_commit(&cache, enc.p);
    codebuf_keep(&cache);
    jit = g_new0(struct jit, 1);
    return 0;
}

void backend_fini(void)
{
    codebuf_fini(&cache);
    g_free(jit);
    jit = NULL;
}

void backend_flush(void)
{
    codebuf_reset(&cache);
}

/* Room before the entry: where backend_kill_block's jump goes. */
static void emit_kill_stub(struct jit *j)
{
    jit_load_pc(j, RDX, j->b->pc, 8);
    enc_jmp_to(&j->e, x64_common.lookup_out);
}

/* rdx: the block's PC. */
static void emit_note_page(struct jit *j)
{
    enc_lea(&j->e, 8, RDX, rm_mem(RDX, -(i32)(j->b->pc & (PAGE_SIZE - 1))));
    enc_store(&j->e, 8, CPU_RM(pc_page), RDX);
    enc_nop(&j->e, (unsigned)(j->body - j->e.p));
}

int backend_compile(const struct ir_block *b, void *tb, struct compiled *out)
{
    struct jit *j = jit;
    size_t map_bytes = 2 * b->n_insns * sizeof(j->map[0]);
    assert(((u64)tb & 15) == 0);
    u8 *p = codebuf_reserve(&cache, KILL_ROOM + NOTE_ROOM + 2 * (b->n_ops + 4) * OP_BYTES + map_bytes + 64, ENTRY_ALIGN, 0);
    if (!p)
        return -1;
    memset(j, 0, offsetof(struct jit, groups));
    memset(out, 0, sizeof(*out));
    j->e = (struct enc){ p, codebuf_rx(&cache, p) - p };
    j->b = b;
    j->out = out;
    j->tb = tb;
    u8 *entry = p + KILL_ROOM;
    j->body = entry + (b->rel ? NOTE_ROOM : 0);
    emit_kill_stub(j);
    assert(j->e.p <= entry);
    enc_nop(&j->e, (unsigned)(entry - j->e.p));
    if (b->rel)
        emit_note_page(j);
    enc_nop(&j->e, 5); /* becomes a jump to the stub */
    jit_block(j);
    out->pc = b->pc;
    out->rel = b->rel;
    out->entry = entry + j->e.rx;
    out->body = j->body + j->e.rx;
    out->size = (u32)(j->e.p - j->body);
    out->n_map = (u16)j->n_map;
    map_bytes = j->n_map * sizeof(j->map[0]);
    u8 *map = (u8 *)ALIGN_UP((u64)j->e.p, 8);
    memcpy(map, j->map, map_bytes);
    out->insn = (const struct compiled_insn *)(map + j->e.rx);
    codebuf_commit(&cache, map + map_bytes);
    return 0;
}

void backend_link(struct compiled *from, unsigned index, const struct compiled *k)
{
    u8 *site = from->exit[index].site;
    const u8 *to = k ? k->body : from->exit[index].stub;
    assert(site && index < from->n_exits);
    __atomic_store_n((u32 *)codebuf_rw(&cache, site), (u32)(to - (site + 4)), __ATOMIC_RELEASE);
}

void backend_kill_block(struct compiled *k)
{
    u8 *rw = codebuf_rw(&cache, k->body);
    u64 v = ld64(rw);
    u32 rel = (u32)-(i32)(KILL_ROOM + (k->body - k->entry) + 5);
    v = (v & ~MASK64(40)) | 0xe9 | (u64)rel << 8;
    __atomic_store_n((u64 *)rw, v, __ATOMIC_RELEASE);
}

bool backend_owns_pc(const void *pc)
{
    return exec_mem_owns(&cache.mem, pc) && (const u8 *)pc >= codebuf_rx(&cache, x64_common.blocks);
}

const u8 *x64_fault_entry(void)
{
    return codebuf_rx(&cache, x64_common.fault);
}

const struct compiled_insn *backend_insn_at(const struct compiled *k, const void *pc)
{
    u32 off = (u32)((const u8 *)pc - k->body);
    unsigned lo = 0, hi = k->n_map;
    while (hi - lo > 1) {
        unsigned mid = (lo + hi) / 2;
        if (k->insn[mid].off <= off)
            lo = mid;
        else
            hi = mid;
    }
    return &k->insn[lo];
}

u64 dbt_enter(struct cpu *c, const void *entry)
{
    u64 (*enter)(struct cpu *, const void *) = (void *)codebuf_rx(&cache, x64_common.enter);
    return enter(c, entry);
}
