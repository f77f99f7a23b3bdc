/* Virtio over PCI: what a device's file needs to define its classes. Main thread, machine lock held. */
#ifndef HW_VIRTIO_VIRTIO_PCI_H
#define HW_VIRTIO_VIRTIO_PCI_H
#include "hw/virtio/virtio.h"

enum virtio_kind { VIRTIO_PCI_GENERIC, VIRTIO_PCI_TRANSITIONAL, VIRTIO_PCI_NON_TRANSITIONAL, VIRTIO_ON_BUS };

/* dev_class.data of every virtio class. */
struct virtio_class {
    const struct virtio_type *type;
    enum virtio_kind kind;
};

int virtio_pci_realize(struct device *d, struct err *e);
void virtio_pci_unrealize(struct device *d);
void virtio_pci_reset(struct device *d);
void virtio_pci_pre_save(struct device *d);
void virtio_pci_post_load(struct device *d);
/* virtio_mmio.c: devices on the bus of a virtio-mmio transport. */
int virtio_bus_realize(struct device *d, struct err *e);
void virtio_bus_unrealize(struct device *d);
void virtio_bus_reset(struct device *d);
void virtio_bus_pre_save(struct device *d);
void virtio_bus_post_load(struct device *d);

#define VIRTIO_PCI_PROPS \
    { "disable-legacy", PROP_AUTO, offsetof(struct virtio, pt.disable_legacy), AUTO_AUTO, NULL, "on: no legacy interface; auto: as the bus says" }, \
    { "disable-modern", PROP_BOOL, offsetof(struct virtio, pt.disable_modern), 0, NULL, "on: the legacy interface only" }, \
    { "ioeventfd", PROP_BOOL, offsetof(struct virtio, pt.ioeventfd), 1, NULL, "accepted: notifications are handled where they arrive" }, \
    { "page-per-vq", PROP_BOOL, offsetof(struct virtio, pt.page_per_vq), 0, NULL, "a page of the notification area for each queue" }, \
    { "vectors", PROP_U32, offsetof(struct virtio, pt.vectors), VIRTIO_VECTORS_AUTO, NULL, "MSI-X vectors; 0: none" }
#define VIRTIO_VECTORS_AUTO 0xffffffffull

/* The four classes of a type: NAME-pci, NAME-pci-transitional, NAME-pci-non-transitional, NAME-device. props: rows of the type's property
 * table; fields: of its saved-field table; PCI_PROPS_: PCI's own rows. */
#define VIRTIO_PCI_CLASS(sym, name_, desc_, state_, fw_name_, props_, fields_) \
    const struct dev_class sym = { \
        .name = name_, .desc = desc_, .state_size = sizeof(struct state_), .user_creatable = true, .bus_type = "PCI", .props = props_, \
        .fields = fields_, .snap_version = 1, .realize = virtio_pci_realize, .reset = virtio_pci_reset, \
        .unrealize = virtio_pci_unrealize, .pre_save = virtio_pci_pre_save, .post_load = virtio_pci_post_load, \
        .fw_name = fw_name_, .data = &sym##_kind, \
    }
#define VIRTIO_CLASSES(sym, type_, name_, desc_, state_, fw_name_, pci_rows_, props_, fields_) \
    static const struct prop sym##_pci_props[] = { pci_rows_, VIRTIO_PCI_PROPS, VIRTIO_PROPS, props_, PROP_DONE }; \
    static const struct prop sym##_device_props[] = { VIRTIO_PROPS, props_, PROP_DONE }; \
    static const struct snap_field sym##_pci_fields[] = { PCI_SNAP, VIRTIO_SNAP, fields_, SNAP_DONE }; \
    static const struct snap_field sym##_device_fields[] = { VIRTIO_SNAP, fields_, SNAP_DONE }; \
    static const struct virtio_class sym##_pci_class_kind = { &type_, VIRTIO_PCI_GENERIC }; \
    static const struct virtio_class sym##_pci_transitional_class_kind = { &type_, VIRTIO_PCI_TRANSITIONAL }; \
    static const struct virtio_class sym##_pci_non_transitional_class_kind = { &type_, VIRTIO_PCI_NON_TRANSITIONAL }; \
    static const struct virtio_class sym##_device_class_kind = { &type_, VIRTIO_ON_BUS }; \
    VIRTIO_PCI_CLASS(sym##_pci_class, name_ "-pci", desc_, state_, fw_name_, sym##_pci_props, sym##_pci_fields); \
    VIRTIO_PCI_CLASS(sym##_pci_transitional_class, name_ "-pci-transitional", desc_ ", transitional", state_, fw_name_, \
                     sym##_pci_props, sym##_pci_fields); \
    VIRTIO_PCI_CLASS(sym##_pci_non_transitional_class, name_ "-pci-non-transitional", desc_ ", modern only", state_, fw_name_, \
                     sym##_pci_props, sym##_pci_fields); \
    const struct dev_class sym##_device_class = { \
        .name = name_ "-device", .desc = desc_ " for a virtio-mmio transport", .state_size = sizeof(struct state_), \
        .user_creatable = true, .bus_type = "virtio-bus", .props = sym##_device_props, .fields = sym##_device_fields, \
        .snap_version = 1, .realize = virtio_bus_realize, .reset = virtio_bus_reset, .unrealize = virtio_bus_unrealize, \
        .pre_save = virtio_bus_pre_save, .post_load = virtio_bus_post_load, .data = &sym##_device_class_kind, \
    }

#endif
