/* intel-iommu: remapping hardware for DMA and interrupts as of Intel VT-d, legacy mode; the device, its properties and its place in the machine.
 * hw/iommu/vtd_regs.c has the registers, vtd_dma.c, vtd_inv.c, vtd_fault.c and vtd_intr.c do the rest. Register accesses of vCPU threads, requests
 * of devices on any thread, machine lock held. Intel Virtualization Technology for Directed I/O, Architecture Specification. */
#include "hw/iommu/intel_iommu.h"
#include "hw/iommu/vtd.h"

enum { MMIO_SIZE = 4096 };

static int vtd_check(struct vtd *s, struct err *e)
{
    const struct { const char *name; bool given; } absent[] = {
        { "device-iotlb=on", s->device_iotlb }, { "snoop-control=on", s->snoop_control }, { "dma-drain=on", s->dma_drain },
        { "x-scalable-mode=on", s->scalable },  { "x-pasid-mode=on", s->pasid },          { "x-buggy-eim=on", s->buggy_eim },
        { "dma-translation=off", !s->dma_translation },
    };

    for (unsigned i = 0; i < ARRAY_LEN(absent); i++)
        if (absent[i].given)
            return err_set(e, "intel-iommu: %s: not available", absent[i].name);
    if (s->aw_bits != 39 && s->aw_bits != 48)
        return err_set(e, "intel-iommu: aw-bits=%u: there are 39 and 48", s->aw_bits);
    s->intremap = s->intremap_prop != AUTO_OFF;
    if (s->eim_prop == AUTO_ON && !s->intremap)
        return err_set(e, "intel-iommu: eim=on needs intremap=on");
    s->eim = s->eim_prop != AUTO_OFF && s->intremap;
    return 0;
}

static const struct device *vtd_first(const struct machine *m)
{
    const struct device *d = m->devices;

    while (d && strcmp(d->cls->name, "intel-iommu"))
        d = d->next;
    return d;
}

static int vtd_realize(struct device *d, struct err *e)
{
    struct vtd *s = container_of(d, struct vtd, dev);
    struct pci_iommu iommu = { vtd_space_new, vtd_space_free, s };

    if (!d->m->pci || !d->m->pci->express)
        return err_set(e, "intel-iommu: only the machine q35 can have one");
    if (vtd_first(d->m))
        return err_set(e, "intel-iommu: the machine has one already");
    if (vtd_check(s, e) < 0)
        return -1;
    region_init_io(&s->mmio, "intel-iommu", MMIO_SIZE, &vtd_region_ops, s, &d->m->lock);
    region_add(&d->m->mem_root, INTEL_IOMMU_BASE, &s->mmio, 1);
    vtd_regs_reset(s);
    s->out = d->m->msi;
    if (s->intremap)
        d->m->msi = (struct msi_sink){ vtd_message, s };
    pci_set_iommu(d->m->pci, &iommu);
    return 0;
}

static void vtd_unrealize(struct device *d)
{
    struct vtd *s = container_of(d, struct vtd, dev);

    pci_set_iommu(d->m->pci, NULL);
    d->m->msi = s->out;
    region_del(&s->mmio);
}

static void vtd_reset(struct device *d)
{
    vtd_regs_reset(container_of(d, struct vtd, dev));
}

static void vtd_post_load(struct device *d)
{
    struct vtd *s = container_of(d, struct vtd, dev);

    s->fault_next %= VTD_FAULTS;
    s->irt_entries = MIN_OF(s->irt_entries, 65536u);
    vtd_tlb_flush(s, &(struct vtd_scope){ 0 });
}

bool intel_iommu_find(const struct machine *m, struct intel_iommu_info *info)
{
    const struct device *d = vtd_first(m);
    const struct vtd *s = (const struct vtd *)d;

    if (s)
        *info = (struct intel_iommu_info){ INTEL_IOMMU_BASE, s->aw_bits, s->intremap, s->eim };
    return s;
}

static const struct prop vtd_props[] = {
    { "aw-bits", PROP_U8, offsetof(struct vtd, aw_bits), 39, NULL, "address width of DMA: 39 or 48" },
    { "intremap", PROP_AUTO, offsetof(struct vtd, intremap_prop), AUTO_AUTO, NULL, "interrupt remapping" },
    { "eim", PROP_AUTO, offsetof(struct vtd, eim_prop), AUTO_AUTO, NULL, "32-bit destinations of interrupts, for x2APIC mode" },
    { "caching-mode", PROP_BOOL, offsetof(struct vtd, caching_mode), 0, NULL, "software announces new mappings, too" },
    { "pt", PROP_BOOL, offsetof(struct vtd, pass_through), 1, NULL, "offer pass-through translation" },
    { "dma-translation", PROP_BOOL, offsetof(struct vtd, dma_translation), 1, NULL, "DMA remapping: only on" },
    { "device-iotlb", PROP_BOOL, offsetof(struct vtd, device_iotlb), 0, NULL, "translation caches in devices: only off" },
    { "snoop-control", PROP_BOOL, offsetof(struct vtd, snoop_control), 0, NULL, "only off" },
    { "dma-drain", PROP_BOOL, offsetof(struct vtd, dma_drain), 0, NULL, "only off" },
    { "x-scalable-mode", PROP_BOOL, offsetof(struct vtd, scalable), 0, NULL, "only off" },
    { "x-pasid-mode", PROP_BOOL, offsetof(struct vtd, pasid), 0, NULL, "only off" },
    { "x-buggy-eim", PROP_BOOL, offsetof(struct vtd, buggy_eim), 0, NULL, "only off" },
    PROP_DONE,
};

static const struct snap_field vtd_fields[] = {
    SNAP_B(struct vtd, reg),
    SNAP_U(struct vtd, root),
    SNAP_U(struct vtd, irt),
    SNAP_U(struct vtd, irt_entries),
    SNAP_U(struct vtd, eime),
    SNAP_U(struct vtd, fault_next),
    SNAP_DONE,
};

const struct dev_class intel_iommu_class = {
    .name = "intel-iommu",
    .desc = "DMA and interrupt remapping (Intel VT-d)",
    .state_size = sizeof(struct vtd),
    .user_creatable = true,
    .no_hotplug = true,
    .props = vtd_props,
    .fields = vtd_fields,
    .snap_version = 1,
    .realize = vtd_realize,
    .reset = vtd_reset,
    .unrealize = vtd_unrealize,
    .post_load = vtd_post_load,
};
