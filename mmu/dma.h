/* A device's view of guest memory: RAM and ROM only, never another device's registers. Any thread, any lock held; with the space of a function
 * behind an IOMMU (struct pci_device's dma) the machine lock.
 * Writes tell mmu/codepage.h, so that translated code stays true. */
#ifndef MMU_DMA_H
#define MMU_DMA_H
#include "mmu/addr.h"

struct aspace;
struct ram_block;
/* 0, or -1 if some byte was not RAM (those read as 0xff, or are not written). */
int dma_read(struct aspace *as, gpa_t gpa, void *buf, u64 len);
int dma_write(struct aspace *as, gpa_t gpa, const void *buf, u64 len);
/* As dma_write but also into ROM: firmware and image loading before the machine starts. */
int dma_write_rom(struct aspace *as, gpa_t gpa, const void *buf, u64 len);
/* The host memory of up to *len bytes of RAM at gpa, contiguous on the host; *len is cut to what is. write: it will be written, and ROM will
 * not do. NULL if gpa is not RAM. Valid as long as the machine, whose RAM blocks outlive their devices. */
void *dma_map(struct aspace *as, gpa_t gpa, u64 *len, bool write);
/* After bytes were written through dma_map's pointer: translated code is told. What stays mapped while the machine lock is not held is told by
 * its address in the target (aspace_translate), because an IOMMU's tables may have changed. */
void dma_written(struct aspace *as, gpa_t gpa, u64 len);
/* Gives whole pages of RAM in [gpa, gpa + len) back to the host; they read as zeros from now on. -1 if some of it is not writable RAM. */
int dma_discard(struct aspace *as, gpa_t gpa, u64 len);

/* A stretch of RAM looked up once and used many times: for rings and the buffers they name, which mostly lie in the same RAM. All
 * zero: empty. Belongs to one thread at a time. */
struct dma_window {
    gpa_t start, end; /* end exclusive */
    u8 *host;         /* of start */
    struct ram_block *ram;
    u64 ram_off;      /* of start */
    u32 generation;   /* of the address space when it was looked up */
    bool readonly;
};
/* As dma_map, by way of the window. */
void *dma_window_map(struct aspace *as, struct dma_window *w, gpa_t gpa, u64 *len, bool write);
/* As dma_written, by way of the window. */
void dma_window_written(struct aspace *as, struct dma_window *w, gpa_t gpa, u64 len);

#endif
