/* Copies of blocks' code that can be kept and placed elsewhere (struct code_image of accel/dbt/backend.h). Called by the translator with the code lock held.
 *
 * In a copy each field that depends on the place holds what is left without it: a rel32 its target's offset in common code or, with OTHER, in the block's
 * other part; a descriptor's address its low bits; fields that move with the PC what they are for the PC that the copy was made for. */
#include <glib.h>
#include "accel/dbt/x64/jit.h"

#define OTHER (1u << 31)
/* A word of the list: the field's offset in its part, whether that is the cold one, the kind. JC, JC_PLACE and TLB are followed by a word, reloc.pc. */
#define WORD_OFF MASK64(28)
#define WORD_COLD (1u << 28)
#define WORD_KIND 29
static bool has_pc(unsigned kind) { return kind >= RELOC_JC; }

u8 *image_put_relocs(struct jit *j, const u8 *hot, u8 *at)
{
    const struct relocs *rs = &j->relocs;
    u32 *w = (u32 *)at;
    _Static_assert(sizeof(j->map[0]) % 4 == 0, "they follow the map");
    j->out->n_relocs = 0;
    if (rs->lost || rs->n > RELOC_WORDS / 2)
        return at;
    for (unsigned i = 0; i < rs->n; i++) {
        const struct reloc *r = &rs->r[i];
        bool cold = r->site >= j->cold;
        *w++ = (u32)(r->site - (cold ? j->cold : hot)) | (cold ? WORD_COLD : 0) | (u32)r->kind << WORD_KIND;
        if (has_pc(r->kind))
            *w++ = (u32)r->pc;
    }
    j->out->reloc = (const u32 *)(at + j->e.rx);
    j->out->n_relocs = (u16)(w - (u32 *)at);
    return (u8 *)w;
}

static u32 map_at(const struct code_image *im) { return ALIGN_UP(im->hot + im->cold, 4u); }
static u32 bytes_of(const struct code_image *im)
{
    return map_at(im) + im->n_map * (u32)sizeof(struct compiled_insn) + im->n_relocs * 4u;
}

u32 backend_image_bytes(const struct compiled *k, struct code_image *im)
{
    if (!k->n_relocs)
        return 0;
    *im = (struct code_image){ .hot = (u32)(k->body + k->size - k->entry), .cold = k->cold_size, .body = (u16)(k->body - k->entry),
                               .n_exits = k->n_exits, .n_map = k->n_map, .n_relocs = k->n_relocs };
    for (unsigned i = 0; i < k->n_exits; i++) {
        if (!k->exit[i].site)
            continue;
        im->site[i] = (u32)(k->exit[i].site - k->entry);
        im->leave[i] = (u32)(k->exit[i].leave - k->cold);
    }
    return bytes_of(im);
}

/* The field's part and offset; NULL: it is outside. */
static u8 *field_at(const struct code_image *im, u32 word, u8 *hot, u8 *cold)
{
    u32 off = word & WORD_OFF, size = word & WORD_COLD ? im->cold : im->hot, field = word >> WORD_KIND == RELOC_TB ? 8 : 4;
    return off + field > size ? NULL : (word & WORD_COLD ? cold : hot) + off;
}

/* --- making a copy --- */
/* What the rel32 at `site` (executable address) leads to. */
static u32 target_out(const struct compiled *k, bool cold, const u8 *site, u32 rel)
{
    const u8 *common = codebuf_rx(&x64_cache, x64_cache.mem.rw), *target = site + 4 + (i32)rel;
    if (target < codebuf_rx(&x64_cache, x64_common.blocks))
        return (u32)(target - common);
    return (u32)(target - (cold ? k->entry : k->cold)) | OTHER;
}

/* As the block's entry was before backend_kill_block. */
static void image_entry(const struct compiled *k, u8 *out)
{
    struct enc e = { .p = out };
    if (k->rel)
        x64_note_page(&e, k->pc);
    else
        enc_nop(&e, X64_KILL_BYTES);
}

void backend_save(const struct compiled *k, const void *tb, const struct code_image *im, u8 *out)
{
    u8 *cold = out + im->hot;
    memcpy(out, k->entry, im->hot);
    image_entry(k, out);
    memcpy(cold, k->cold, im->cold);
    memset(cold + im->cold, 0, map_at(im) - im->hot - im->cold);
    for (unsigned i = 0; i < k->n_exits; i++)
        if (k->exit[i].site)
            st32(out + im->site[i], (u32)(k->exit[i].leave - (k->exit[i].site + 4)));
    for (const u32 *w = k->reloc; w < k->reloc + k->n_relocs; w += has_pc(*w >> WORD_KIND) ? 2 : 1) {
        u8 *f = field_at(im, *w, out, cold);
        bool in_cold = *w & WORD_COLD;
        if (*w >> WORD_KIND == RELOC_REL)
            st32(f, target_out(k, in_cold, (in_cold ? k->cold : k->entry) + (*w & WORD_OFF), ld32(f)));
        else if (*w >> WORD_KIND == RELOC_TB)
            st64(f, ld64(f) - (u64)tb);
    }
    u8 *map = out + map_at(im);
    memcpy(map, k->insn, k->n_map * sizeof(struct compiled_insn));
    memcpy(map + k->n_map * sizeof(struct compiled_insn), k->reloc, k->n_relocs * 4u);
}

bool backend_image_fits(const struct code_image *im, u32 bytes)
{
    if (im->hot > MiB || im->cold > MiB || bytes_of(im) != bytes || im->body > im->hot || im->n_exits > 2 || !im->n_map)
        return false;
    for (unsigned i = 0; i < im->n_exits; i++)
        if (im->site[i] + 4 > im->hot || im->leave[i] >= im->cold || im->site[i] > MiB)
            return false;
    return true;
}

/* --- placing it --- */
struct placing {
    const struct code_image *im;
    const struct image_place *at;
    u64 delta;       /* of the PC */
    u8 *hot, *cold;  /* where the bytes are */
    i64 hot_rx, cold_rx; /* what makes those the addresses that they are to run at */
    void *tb;
};

static u32 moved_index(const struct placing *p, unsigned kind, u64 a)
{
    u64 mask = tlb_mask(tlb_mode_of(p->at->mode), TLB_REGION_LOW);
    switch (kind) {
    case RELOC_JC: return (jc_index(a + p->delta) - jc_index(a)) * (u32)sizeof(struct jump_entry);
    case RELOC_JC_PLACE: return 2 * (jc_index(a + p->delta) - jc_index(a));
    default: return 8 * (tlb_index(mask, a + p->delta) - tlb_index(mask, a));
    }
}

/* True if the field could be made what it has to be here. */
static bool field_place(const struct placing *p, const u32 *w)
{
    u8 *f = field_at(p->im, *w, p->hot, p->cold);
    bool in_cold = *w & WORD_COLD;
    unsigned kind = *w >> WORD_KIND;
    if (!f)
        return false;
    if (kind == RELOC_REL) {
        u32 t = ld32(f);
        const u8 *common = codebuf_rx(&x64_cache, x64_cache.mem.rw);
        const u8 *other = in_cold ? p->hot + p->hot_rx : p->cold + p->cold_rx;
        const u8 *target = t & OTHER ? other + (t & ~OTHER) : common + t;
        st32(f, (u32)(target - (f + (in_cold ? p->cold_rx : p->hot_rx) + 4)));
        return (t & ~OTHER) < (t & OTHER ? in_cold ? p->im->hot : p->im->cold : (u32)(x64_common.blocks - x64_cache.mem.rw));
    }
    if (kind == RELOC_TB) {
        st64(f, ld64(f) + (u64)p->tb);
    } else if (p->delta) {
        u64 a = kind == RELOC_PC ? sext(ld32(f), 4) : p->at->old_pc + sext(w[1], 4);
        if (!ir_moving(a) || !ir_moving(a + p->delta))
            return false;
        st32(f, ld32(f) + (kind == RELOC_PC ? (u32)p->delta : moved_index(p, kind, a)));
    }
    return true;
}

static bool fields_place(const struct placing *p, const u32 *w)
{
    for (const u32 *end = w + p->im->n_relocs; w < end; w += has_pc(*w >> WORD_KIND) ? 2 : 1)
        if ((has_pc(*w >> WORD_KIND) && w + 1 == end) || !field_place(p, w))
            return false;
    return true;
}

/* The multiple of 16 bytes behind `at` (executable address) from which on no exit's rel32 straddles cache lines. */
static unsigned aligned_start(const struct code_image *im, u64 at)
{
    for (unsigned n = 0; n < 64; n += X64_ENTRY_ALIGN) {
        bool ok = true;
        for (unsigned i = 0; i < im->n_exits; i++)
            ok = ok && (!im->site[i] || ((at + n + im->site[i]) & 63) <= 60);
        if (ok)
            return n;
    }
    return 64; /* none */
}

static void describe(const struct code_image *im, const struct image_place *at, const struct placing *p, struct compiled *out)
{
    *out = (struct compiled){ .pc = at->pc, .rel = at->rel, .entry = p->hot + p->hot_rx, .cold = p->cold + p->cold_rx, .cold_size = im->cold,
                              .n_exits = im->n_exits, .n_map = im->n_map };
    out->body = out->entry + im->body;
    out->size = im->hot - im->body;
    for (unsigned i = 0; i < im->n_exits; i++) {
        out->exit[i].site = im->site[i] ? out->entry + im->site[i] : NULL;
        out->exit[i].leave = im->site[i] ? out->cold + im->leave[i] : NULL;
    }
}

int backend_load(const struct code_image *im, const u8 *bytes, const struct image_place *at, void *tb, struct compiled *out)
{
    u32 map_bytes = im->n_map * (u32)sizeof(struct compiled_insn);
    u8 *hot = codebuf_reserve(&x64_cache, CODE_HOT, im->hot + 64, X64_ENTRY_ALIGN);
    u8 *cold = codebuf_reserve(&x64_cache, CODE_COLD, im->cold + map_bytes + 8, 1);
    if (!hot || !cold)
        return IMAGE_FULL;
    i64 rx = codebuf_rx(&x64_cache, hot) - hot;
    hot += aligned_start(im, (u64)hot + (u64)rx);
    struct placing p = { im, at, at->pc - at->old_pc, hot, cold, rx, rx, tb };
    memcpy(hot, bytes, im->hot);
    memcpy(cold, bytes + im->hot, im->cold);
    if (!fields_place(&p, (const u32 *)(bytes + map_at(im) + map_bytes)))
        return IMAGE_UNFIT;
    describe(im, at, &p, out);
    u8 *map = (u8 *)ALIGN_UP((u64)cold + im->cold, 8);
    memcpy(map, bytes + map_at(im), map_bytes);
    out->insn = (const struct compiled_insn *)(map + rx);
    codebuf_commit(&x64_cache, CODE_HOT, hot + im->hot);
    codebuf_commit(&x64_cache, CODE_COLD, map + map_bytes);
    return 0;
}

u64 backend_identity(void)
{
    u64 h = 0xcbf29ce484222325ull;
    u64 host = (u64)x64_host.avx | (u64)x64_host.bmi2 << 1 | (u64)x64_host.zmm << 2;
    u8 *const *p = (u8 *const *)&x64_common;
    _Static_assert(sizeof(x64_common) % sizeof(u8 *) == 0, "pointers only");
    for (unsigned i = 0; i < sizeof(x64_common) / sizeof(u8 *); i++)
        h = (h ^ (p[i] ? (u64)(p[i] - x64_cache.mem.rw) : ~0ull)) * 0x100000001b3ull;
    return (h ^ host) * 0x100000001b3ull;
}

int backend_same(const struct compiled *k, const void *tb, u64 pc, u32 mode, const struct code_image *im, const u8 *bytes, u64 old_pc)
{
    u32 map_bytes = im->n_map * (u32)sizeof(struct compiled_insn);
    g_autofree u8 *copy = g_memdup2(bytes, im->hot + im->cold);
    struct image_place at = { pc, old_pc, mode, k->rel };
    struct placing p = { im, &at, pc - old_pc, copy, copy + im->hot, k->entry - copy, k->cold - (copy + im->hot), (void *)tb };
    struct compiled now;
    if (!fields_place(&p, (const u32 *)(bytes + map_at(im) + map_bytes)))
        return IMAGE_UNFIT;
    describe(im, &at, &p, &now);
    return now.body == k->body && now.size == k->size && now.cold_size == k->cold_size && now.n_exits == k->n_exits && now.n_map == k->n_map &&
           !memcmp(copy, k->entry, im->hot) && !memcmp(copy + im->hot, k->cold, im->cold) && !memcmp(now.exit, k->exit, sizeof(now.exit)) &&
           !memcmp(bytes + map_at(im), k->insn, map_bytes);
}
