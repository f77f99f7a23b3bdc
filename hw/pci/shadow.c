/* Shadow RAM of PCs, switched by the PAM registers of their host bridges, and SMRAM. Configuration writes of vCPU threads, machine lock
 * held. Intel 82441FX data sheet (290549), section 3.2.18; Intel 3 Series MCH data sheet (316966), section 5.1. */
#include "hw/pci/shadow.h"
#include "hw/core/machine.h"
#include "mmu/ram.h"

enum { PAM_RE = 1, PAM_WE = 2 };

static u64 shadow_read(void *opaque, u64 off, unsigned size)
{
    struct shadow_piece *s = opaque;
    u64 v = ~0ull;

    if (s->rom)
        memcpy(&v, s->rom + off, size);
    return zext(v, size);
}

static void shadow_write(void *opaque, u64 off, u64 val, unsigned size)
{
    struct shadow_piece *s = opaque;

    memcpy(s->host + off, &val, size);
}

static const struct region_ops shadow_ops = { shadow_read, shadow_write, 1, 8 };

/* PAM bits of piece i: 0 is the BIOS area 0xf0000 (PAM0's high nibble), then 16 KiB pieces from 0xc0000 up. */
static u8 pam_bits(const u8 *pam, unsigned i)
{
    if (i == 0)
        return pam[0] >> 4 & 3;
    return pam[1 + (i - 1) / 2] >> ((i - 1) % 2 * 4) & 3;
}

void shadow_update(struct pc_shadow *s, const u8 *pam, bool smram_open)
{
    region_txn_begin();
    for (unsigned i = 0; i < PC_SHADOW_PIECES; i++) {
        u8 bits = pam_bits(pam, i);
        region_set_enabled(&s->piece[i].ram, bits & PAM_RE);
        region_set_readonly(&s->piece[i].ram, !(bits & PAM_WE));
        region_set_enabled(&s->piece[i].write_only, bits == PAM_WE);
    }
    region_set_enabled(&s->smram, smram_open);
    region_txn_commit();
}

static void piece_init(struct shadow_piece *s, unsigned i, struct machine *m, struct ram_block *ram, struct ram_block *rom)
{
    s->base = i == 0 ? 0xf0000 : PC_SHADOW_BASE + (i - 1) * 0x4000;
    s->size = i == 0 ? 0x10000 : 0x4000;
    s->host = ram->host + s->base;
    if (rom && s->base >= 0xe0000 && 0x100000 - s->base <= rom->size)
        s->rom = rom->host + rom->size - (0x100000 - s->base);
    region_init_ram(&s->ram, "shadow-ram", ram, s->base, s->size);
    if (s->rom) /* a ROM with write hooks, so that code there runs at full speed */
        region_init_rom(&s->write_only, "shadow-write", rom, s->rom - rom->host, s->size, &shadow_ops, s, &m->lock);
    else
        region_init_io(&s->write_only, "shadow-write", s->size, &shadow_ops, s, &m->lock);
    s->ram.enabled = s->write_only.enabled = false;
    region_add(&m->mem_root, s->base, &s->ram, 1);
    region_add(&m->mem_root, s->base, &s->write_only, 1);
}

void shadow_init(struct pc_shadow *s, struct machine *m, struct ram_block *ram, struct ram_block *rom)
{
    region_txn_begin();
    for (unsigned i = 0; i < PC_SHADOW_PIECES; i++)
        piece_init(&s->piece[i], i, m, ram, rom);
    region_init_ram(&s->smram, "smram", ram, PC_LOW_HOLE, PC_SHADOW_BASE - PC_LOW_HOLE);
    s->smram.enabled = false;
    region_add(&m->mem_root, PC_LOW_HOLE, &s->smram, 1);
    region_txn_commit();
}

void shadow_fini(struct pc_shadow *s)
{
    region_del(&s->smram);
    for (unsigned i = 0; i < PC_SHADOW_PIECES; i++) {
        region_del(&s->piece[i].ram);
        region_del(&s->piece[i].write_only);
    }
}
