/* The x64 backend as accel/dbt/backend.h describes it: the code cache, compiling a block into it, linking, killing, entering. Callers hold the
 * code lock except where backend.h says otherwise. */
#include <glib.h>
#include "accel/dbt/opt/object.h"
#include "accel/dbt/opt/region.h"
#include "accel/dbt/perfmap.h"
#include "accel/dbt/x64/jit.h"

#define COMMON_SIZE (64 * KiB)
#define NOTE_ROOM 16u      /* before the body: a relative block's entry */
#define OP_BYTES 224u      /* most that one op can take, out-of-line part included */

struct backend_stress backend_stress;
struct dbt_stopwatch *backend_watch;
struct host_features x64_host;
struct common_code x64_common;
struct codebuf x64_cache;
static struct jit *jit;    /* code lock */
static int place = -1;     /* backend_place */

/* Names of the common code, part by part, for -perfmap. */
static void name_common(const u8 *start)
{
    const struct common_code *k = &x64_common;
    const struct { const char *name; const u8 *at; } part[] = {
        { "registers", start }, { "enter", k->enter }, { "lookup", k->lookup_miss }, { "exit", k->lookup_out }, { "exit_next", k->exit_next },
        { "slow_probe", k->slow_probe }, { "x87_load", k->x87_load }, { "zmm_begin", k->zmm_begin }, { "fault", k->fault }, { "helper", k->helper[0] },
        { "light", k->light }, { "probe", k->probe[0][0] }, { NULL, k->blocks },
    };
    for (unsigned i = 0; part[i].name; i++)
        perfmap_common(part[i].name, codebuf_rx(&x64_cache, part[i].at), codebuf_rx(&x64_cache, part[i + 1].at));
}

int backend_init(u64 cache_size, struct err *e)
{
    __builtin_cpu_init();
    x64_host.avx = __builtin_cpu_supports("avx");
    x64_host.zmm = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl");
    x64_host.bmi2 = __builtin_cpu_supports("bmi2");
    if (codebuf_init(&x64_cache, cache_size, e) < 0)
        return -1;
    u8 *p = codebuf_reserve(&x64_cache, CODE_HOT, COMMON_SIZE, 64);
    if (!p)
        return err_set(e, "a code cache of %llu KiB is too small", (unsigned long long)(cache_size / KiB));
    struct enc enc = { .p = p, .rx = codebuf_rx(&x64_cache, p) - p };
    entry_emit(&enc, &x64_common);
    assert((size_t)(enc.p - p) <= COMMON_SIZE);
    codebuf_commit(&x64_cache, CODE_HOT, enc.p);
    codebuf_keep(&x64_cache);
    name_common(p);
    jit = g_new0(struct jit, 1);
    return 0;
}

void backend_usage(struct backend_usage *u)
{
    *u = jit->usage;
    u->hot = x64_cache.part[CODE_HOT].used - x64_cache.part[CODE_HOT].start;
    u->cold = x64_cache.part[CODE_COLD].used - x64_cache.part[CODE_COLD].start;
    u->size = x64_cache.mem.size;
}

void backend_place(int phase) { place = phase; }

void backend_fini(void)
{
    codebuf_fini(&x64_cache);
    g_free(jit);
    jit = NULL;
}

void backend_flush(void)
{
    codebuf_reset(&x64_cache);
}

/* Where backend_kill_block's jump goes: the first of the cold code. At a relative block's entry rdx has the PC. */
static void emit_kill_stub(struct jit *j)
{
    if (!j->b->rel) {
        enc_mov_ri(&j->e, RDX, j->b->pc);
        jit_moves(j, RELOC_PC, j->b->pc);
    }
    enc_jmp_to(&j->e, x64_common.lookup_out);
}

void x64_note_page(struct enc *e, u64 pc)
{
    enc_b(e, 0x48); /* LEA rdx, [rdx - offset] with four bytes for that in any case */
    enc_b(e, 0x8d);
    enc_b(e, 0x92);
    enc_d(e, -(u32)(pc & (PAGE_SIZE - 1)));
    enc_store(e, 8, CPU_RM(pc_page), RDX);
}

/* The table of where instructions begin, behind the cold code; returns its end. */
static u8 *put_map(struct jit *j, struct compiled *out)
{
    size_t bytes = j->n_map * sizeof(j->map[0]);
    u8 *map = (u8 *)ALIGN_UP((u64)j->e.p, 8);
    memcpy(map, j->map, bytes);
    out->n_map = (u16)j->n_map;
    out->insn = (const struct compiled_insn *)(map + j->e.rx);
    return map + bytes;
}

/* All has been emitted for j->b: describes it, and keeps the main line, whose entry is at `hot`. */
static void code_made(const struct jit *j, u8 *hot, struct compiled *out)
{
    out->pc = j->b->pc;
    out->rel = j->b->rel;
    out->entry = hot + j->e.rx;
    out->body = j->body + j->e.rx;
    out->size = j->hot_size;
    out->cold = j->cold + j->e.rx;
    out->cold_size = (u32)(j->e.p - j->cold);
    codebuf_commit(&x64_cache, CODE_HOT, j->body + j->hot_size);
}

int backend_compile(const struct ir_block *b, void *tb, struct compiled *out)
{
    struct jit *j = jit;
    size_t room = (b->n_ops + 4) * OP_BYTES + 64;
    assert(((u64)tb & 15) == 0);
    u8 *hot = codebuf_reserve(&x64_cache, CODE_HOT, NOTE_ROOM + 64 + room, place >= 0 ? 64 : X64_ENTRY_ALIGN);
    u8 *cold = codebuf_reserve(&x64_cache, CODE_COLD, 2 * room + 2 * b->n_insns * sizeof(j->map[0]) + RELOC_WORDS * 4, 1);
    if (!hot || !cold)
        return -1;
    if (place >= 0)
        hot += place;
    memset(j, 0, offsetof(struct jit, groups));
    memset(out, 0, sizeof(*out));
    j->e = (struct enc){ hot, codebuf_rx(&x64_cache, hot) - hot, &j->relocs, hot };
    j->relocs.n = 0;
    j->relocs.lost = b->fixed || b->mode & MODE_COUNT;
    j->b = b;
    j->out = out;
    j->tb = tb;
    j->cold = cold;
    if (b->rel)
        x64_note_page(&j->e, b->pc);
    j->body = j->e.p;
    if (!b->rel)
        enc_nop(&j->e, X64_KILL_BYTES); /* becomes a jump to the first of the cold code */
    jit_block(j);
    code_made(j, hot, out);
    codebuf_commit(&x64_cache, CODE_COLD, image_put_relocs(j, hot, put_map(j, out)));
    return 0;
}

void backend_begin_cold(struct jit *j)
{
    j->hot_size = (u32)(j->e.p - j->body);
    j->e.p = j->e.part = j->cold;
    emit_kill_stub(j);
}

void backend_link(struct compiled *from, unsigned index, const struct compiled *k)
{
    u8 *site = from->exit[index].site;
    const u8 *to = k ? k->body : from->exit[index].leave;
    assert(site && index < from->n_exits);
    __atomic_store_n((u32 *)codebuf_rw(&x64_cache, site), (u32)(to - (site + 4)), __ATOMIC_RELEASE);
}

void backend_kill_block(struct compiled *k)
{
    u8 *rw = codebuf_rw(&x64_cache, k->entry);
    u64 v = ld64(rw);
    u32 rel = (u32)(k->cold - (k->entry + 5));
    v = (v & ~MASK64(40)) | 0xe9 | (u64)rel << 8;
    __atomic_store_n((u64 *)rw, v, __ATOMIC_RELEASE);
}

/* --- regions --- */
bool backend_has_regions(void) { return x64_common.region_enter && !backend_stress.force_miss; }

/* The names that functions of regions call (accel/dbt/opt/gcc). */
static u64 region_symbol(void *opaque, const char *name)
{
    static const char probe[] = "gemel_probe_";
    const u8 *to = NULL;
    unsigned n = sizeof(probe) - 1;
    if (!strcmp(name, "gemel_flags"))
        to = x64_common.region_flags;
    else if (!strncmp(name, probe, n) && (name[n] == 'r' || name[n] == 'w') && name[n + 1] >= '0' && name[n + 1] < '0' + TLB_MODES && !name[n + 2])
        to = x64_common.region_probe[name[n + 1] - '0'][name[n] == 'w'];
    return to ? (u64)(uintptr_t)codebuf_rx(&x64_cache, to) : 0;
}

const u8 *backend_load_object(const struct object *o)
{
    u8 *rw = codebuf_reserve(&x64_cache, CODE_HOT, o->image, 64);
    if (!rw || object_load(o, rw, codebuf_rx(&x64_cache, rw), region_symbol, NULL))
        return NULL;
    codebuf_commit(&x64_cache, CODE_HOT, rw + o->image);
    return codebuf_rx(&x64_cache, rw);
}

int backend_region(const struct compiled *head, const u8 *function, unsigned entry, void *tb, u64 *entered, struct compiled *out)
{
    const struct ir_block b = { .pc = head->pc, .rel = head->rel };
    u8 *hot = codebuf_reserve(&x64_cache, CODE_HOT, 256, X64_ENTRY_ALIGN), *cold = codebuf_reserve(&x64_cache, CODE_COLD, 64, 1);
    if (!hot || !cold)
        return -1;
    struct jit *j = jit;
    memset(j, 0, offsetof(struct jit, groups));
    j->e = (struct enc){ hot, codebuf_rx(&x64_cache, hot) - hot, NULL, NULL };
    j->b = &b;
    j->cold = cold;
    memset(out, 0, sizeof(*out));
    if (b.rel)
        x64_note_page(&j->e, b.pc);
    j->body = j->e.p;
    if (!b.rel)
        enc_nop(&j->e, X64_KILL_BYTES);
    enc_mov_ri(&j->e, RAX, (u64)(uintptr_t)entered);
    enc_load(&j->e, 8, RCX, rm_mem(RAX, 0));
    enc_lea(&j->e, 8, RCX, rm_mem(RCX, 1));
    enc_store(&j->e, 8, rm_mem(RAX, 0), RCX);
    enc_mov_ri(&j->e, RAX, (u64)(uintptr_t)tb);
    enc_store(&j->e, 8, CPU_RM(region), RAX);
    enc_mov_ri(&j->e, RBX, (u64)(uintptr_t)function);
    enc_mov_ri(&j->e, RDX, entry);
    enc_call_to(&j->e, x64_common.region_enter);
    enc_jmp_to(&j->e, codebuf_rw(&x64_cache, head->body + (b.rel ? 0 : X64_KILL_BYTES))); /* behind what a kill has changed */
    backend_begin_cold(j);
    code_made(j, hot, out);
    codebuf_commit(&x64_cache, CODE_COLD, j->e.p);
    return 0;
}

bool backend_owns_pc(const void *pc)
{
    return exec_mem_owns(&x64_cache.mem, pc) && (const u8 *)pc >= codebuf_rx(&x64_cache, x64_common.blocks);
}

const u8 *x64_fault_entry(void)
{
    return codebuf_rx(&x64_cache, x64_common.fault);
}

bool backend_is_cold(const void *pc) { return codebuf_is_cold(&x64_cache, pc); }

const struct compiled_insn *backend_insn_at(const struct compiled *k, const void *pc)
{
    u32 off = backend_is_cold(pc) ? k->size + (u32)((const u8 *)pc - k->cold) : (u32)((const u8 *)pc - k->body);
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
    u64 (*enter)(struct cpu *, const void *) = (void *)codebuf_rx(&x64_cache, x64_common.enter);
    return enter(c, entry);
}
