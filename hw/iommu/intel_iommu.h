/* What the ACPI tables say of `-device intel-iommu`. Main thread or the vCPU that fetches the tables, machine lock held. */
#ifndef HW_IOMMU_INTEL_IOMMU_H
#define HW_IOMMU_INTEL_IOMMU_H
#include "hw/core/device.h"

#define INTEL_IOMMU_BASE 0xfed90000ull

struct intel_iommu_info {
    u64 base;        /* of the registers */
    u8 address_bits; /* host address width */
    bool intremap, eim;
};
/* False if the machine has none. */
bool intel_iommu_find(const struct machine *m, struct intel_iommu_info *info);

#endif
