/* A fake machine with remapping hardware (intel-iommu) and two edu devices behind it, and the software's side of that: tables, registers, queue.
 * Used by one test thread. */
#ifndef TESTS_LIB_VTD_RIG_H
#define TESTS_LIB_VTD_RIG_H
#include "hw/pci/pci.h"
#include "tests/lib/fake_machine.h"

/* Where the tables are. RIG_FREE up to 1 MiB is for page tables, memory from 1 MiB on for data. */
enum { RIG_ROOT = 0x10000, RIG_CONTEXT = 0x11000, RIG_IRT = 0x12000, RIG_QUEUE = 0x13000, RIG_FREE = 0x20000 };
enum { RIG_R = 1, RIG_W = 2, RIG_PS = 1 << 7 };
#define RIG_SOURCE(n) ((u16)((3 + (n)) << 3)) /* of edu n */
#define RIG_TE (1u << 31)
#define RIG_SRTP (1u << 30)
#define RIG_QIE (1u << 26)
#define RIG_IRE (1u << 25)
#define RIG_SIRTP (1u << 24)
#define RIG_CFI (1u << 23)

struct vtd_rig {
    struct fake_machine *f;
    struct device *iommu;
    struct pci_device *edu[2]; /* at 00:03.0 and 00:04.0, bus masters */
    u64 next;                  /* free memory for tables */
    u32 tail;                  /* of the queue */
};

/* props: of the intel-iommu. The machine lock is not held. */
struct vtd_rig *rig_new(const char *props);
void rig_free(struct vtd_rig *x);
u32 rig_get(struct vtd_rig *x, u64 off);
u64 rig_get64(struct vtd_rig *x, u64 off);
void rig_set(struct vtd_rig *x, u64 off, u32 v);
void rig_set64(struct vtd_rig *x, u64 off, u64 v);
/* Memory as the CPU sees it. */
u64 rig_peek(struct vtd_rig *x, u64 gpa);
void rig_poke(struct vtd_rig *x, u64 gpa, u64 v);
/* GCMD with these bits on or off in addition to those on. */
void rig_command(struct vtd_rig *x, u32 on, u32 off);
/* Context entry of a source: type and address width field (1: 39 bits, 2: 48), a new empty page table; returns that. */
u64 rig_context(struct vtd_rig *x, u16 source, unsigned tt, unsigned width, u16 domain);
/* Enters [iova, + one page of `level`) into a page table with `levels` levels; returns where the entry is. */
u64 rig_map(struct vtd_rig *x, u64 table, unsigned levels, u64 iova, u64 gpa, unsigned level, unsigned perms);
/* Root table, translation on. */
void rig_on(struct vtd_rig *x);
/* Invalidates everything by register. */
void rig_flush(struct vtd_rig *x);
/* A transfer of edu n: true if all of it went through. */
bool rig_read(struct vtd_rig *x, unsigned n, u64 iova, void *buf, u64 len);
bool rig_write(struct vtd_rig *x, unsigned n, u64 iova, const void *buf, u64 len);
/* The fault recorded in register n: reason, and source, address and kind if wanted; 0: none. */
unsigned rig_fault(struct vtd_rig *x, unsigned n, u16 *source, u64 *addr, bool *read);
/* Clears every fault record, and PFO. */
void rig_clear_faults(struct vtd_rig *x);
/* Queued invalidation on, with a queue of 4 KiB << size. */
void rig_queue_on(struct vtd_rig *x, unsigned size);
/* Adds a descriptor and moves the tail. */
void rig_queue(struct vtd_rig *x, u64 low, u64 high);

#endif
