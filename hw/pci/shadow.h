/* Shadow RAM: the switchable pieces of [0xc0000, 1 MiB) and SMRAM, of the host bridges of PCs. Embedded in them; machine lock. */
#ifndef HW_PCI_SHADOW_H
#define HW_PCI_SHADOW_H
#include "mmu/region.h"

struct machine;

#define PC_LOW_HOLE 0xa0000ull     /* video memory, then shadow RAM up to 1 MiB */
#define PC_SHADOW_BASE 0xc0000ull
#define PC_PAM_REGS 7
#define PC_SHADOW_PIECES 13

/* One piece: at most one of its two regions is enabled; with neither, the PCI side (ROM or nothing) is seen. */
struct shadow_piece {
    u32 base, size;
    struct region ram;        /* reads from RAM: read-only or not as PAM.WE says */
    struct region write_only; /* reads from the ROM, writes to RAM */
    u8 *host;                 /* of base, in RAM */
    const u8 *rom;            /* of base, or NULL */
};

struct pc_shadow {
    struct shadow_piece piece[PC_SHADOW_PIECES];
    struct region smram;      /* the RAM behind the video memory, while it is open */
};

/* ram: from address 0 of the guest up. rom: its last 128 KiB lie behind the shadow RAM at 0xe0000; NULL: nothing does. */
void shadow_init(struct pc_shadow *s, struct machine *m, struct ram_block *ram, struct ram_block *rom);
void shadow_fini(struct pc_shadow *s);
/* pam: PAM0..6, each with RE and WE for two pieces (PAM0 only the high half: 0xf0000). */
void shadow_update(struct pc_shadow *s, const u8 *pam, bool smram_open);

#endif
