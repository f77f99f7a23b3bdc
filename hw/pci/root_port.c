/* A PCI Express root port with one hot-plug slot: bridge, slot registers, presence, attention button, power. Configuration writes of vCPU
 * threads and -device, device_add, device_del of the main thread, machine lock held.
 * PCI Express Base Specification 3.0, sections 6.7 and 7.8. */
#include "hw/core/machine.h"
#include "hw/pci/bridge.h"
#include "hw/pci/express.h"

enum { /* slot capabilities */
    CAP_BUTTON = 0x01, CAP_POWER = 0x02, CAP_ATTENTION_LED = 0x08, CAP_POWER_LED = 0x10, CAP_HOTPLUG = 0x40, CAP_NUMBER_SHIFT = 19,
};
enum { /* slot control; the enables of events have the bits of slot status */
    CTL_ENABLES = 0x100f, CTL_COMMAND_IE = 0x10, CTL_INTERRUPT = 0x20, CTL_ATTENTION_OFF = 0xc0, CTL_POWER_LED = 0x300, CTL_POWER_LED_ON = 0x100,
    CTL_POWER_LED_BLINK = 0x200, CTL_POWER_LED_OFF = 0x300, CTL_POWER_OFF = 0x400, CTL_WRITABLE = 0x17ff,
};
enum { /* slot status */
    STA_BUTTON = 0x001, STA_PRESENCE_CHANGED = 0x008, STA_COMMAND_DONE = 0x010, STA_PRESENT = 0x040, STA_LINK_CHANGED = 0x100,
    STA_EVENTS = 0x11f,
};
enum { LNKCAP_REPORTS_ACTIVE = 1 << 20, LNKCAP_PORT_SHIFT = 24, LNKSTA_ACTIVE = 1 << 13 };

struct root_port {
    struct pci_bridge bridge;
    u8 port, chassis;
    u16 slot;
    bool hotplug;
    u16 control;   /* slot control as of the last write */
    u8 irq_level;  /* of the condition that raises the port's interrupt */
};

static u8 *reg(struct root_port *p, unsigned off)
{
    return p->bridge.pci.config + p->bridge.pci.express_cap + off;
}

/* The interrupt: a message for each time that the condition becomes true, or the pin while it is. */
static void root_port_update_irq(struct root_port *p)
{
    u16 ctl = ld16(reg(p, PCI_EXP_SLTCTL)), sta = ld16(reg(p, PCI_EXP_SLTSTA));
    u16 enabled = (ctl & CTL_ENABLES) | ((ctl & CTL_COMMAND_IE) ? STA_COMMAND_DONE : 0);
    u8 level;

    if (enabled & 0x1000) /* data link layer state changed: enable bit 12, status bit 8 */
        enabled |= STA_LINK_CHANGED;
    level = (ctl & CTL_INTERRUPT) && (sta & enabled & STA_EVENTS);
    if (pci_msi_enabled(&p->bridge.pci)) {
        pci_set_intx(&p->bridge.pci, 0);
        if (level && !p->irq_level)
            pci_msi_send(&p->bridge.pci, 0);
    } else {
        pci_set_intx(&p->bridge.pci, level);
    }
    p->irq_level = level;
}

static void root_port_event(struct root_port *p, u16 events)
{
    st16(reg(p, PCI_EXP_SLTSTA), ld16(reg(p, PCI_EXP_SLTSTA)) | events);
    root_port_update_irq(p);
}

static bool root_port_occupied(const struct root_port *p)
{
    for (unsigned devfn = 0; devfn < 8; devfn++)
        if (p->bridge.sec.dev[devfn])
            return true;
    return false;
}

/* Presence and link follow what is in the slot and whether it has power. True if the link changed. */
static bool root_port_sync(struct root_port *p)
{
    u16 sta = ld16(reg(p, PCI_EXP_SLTSTA)), lnk = ld16(reg(p, PCI_EXP_LNKSTA));
    bool present = root_port_occupied(p), active = present && !(ld16(reg(p, PCI_EXP_SLTCTL)) & CTL_POWER_OFF);
    u16 now = active ? lnk | LNKSTA_ACTIVE : lnk & ~LNKSTA_ACTIVE;

    st16(reg(p, PCI_EXP_SLTSTA), present ? sta | STA_PRESENT : sta & ~STA_PRESENT);
    st16(reg(p, PCI_EXP_LNKSTA), now);
    return now != lnk;
}

/* -- hot plug ------------------------------------------------------------------------------------------------------- */

static struct root_port *port_of(struct bus *b)
{
    return container_of(b, struct root_port, bridge.sec.bus);
}

static int root_port_plugged(struct bus *b, struct device *d, struct err *e)
{
    struct root_port *p = port_of(b);

    if (!p->hotplug)
        return err_set(e, "Bus '%s' does not support hotplugging", b->name);
    if (PCI_FUNC(((struct pci_device *)d)->devfn))
        return 0; /* the guest looks when function 0 comes */
    root_port_sync(p);
    root_port_event(p, STA_PRESENCE_CHANGED | STA_BUTTON);
    return 0;
}

/* Everything in the slot that can go goes. */
static void root_port_eject(struct root_port *p)
{
    bool link;

    for (int devfn = 7; devfn >= 0; devfn--)
        if (p->bridge.sec.dev[devfn] && device_removable(&p->bridge.sec.dev[devfn]->dev))
            device_unplugged(&p->bridge.sec.dev[devfn]->dev);
    link = root_port_sync(p);
    root_port_event(p, STA_PRESENCE_CHANGED | (link ? STA_LINK_CHANGED : 0));
}

static int root_port_unplug_request(struct bus *b, struct device *d, struct err *e)
{
    struct root_port *p = port_of(b);
    u16 ctl = ld16(reg(p, PCI_EXP_SLTCTL));

    if (!p->hotplug)
        return err_set(e, "Bus '%s' does not support hotplugging", b->name);
    if ((ctl & CTL_POWER_LED) == CTL_POWER_LED_BLINK)
        return err_set(e, "Hot-unplug failed: guest is busy (power indicator blinking)");
    if (ctl & CTL_POWER_OFF)
        root_port_eject(p);
    else
        root_port_event(p, STA_BUTTON);
    return 0;
}

static const struct bus_ops root_port_bus_ops = { .attach = pci_bus_attach, .plugged = root_port_plugged, .unplug_request = root_port_unplug_request };

/* -- registers ------------------------------------------------------------------------------------------------------ */

/* A write to slot control is a command, done at once. Power off with the indicator off gives the device away. */
static void root_port_command(struct root_port *p)
{
    u16 old = p->control, ctl = ld16(reg(p, PCI_EXP_SLTCTL)), off = CTL_POWER_OFF | CTL_POWER_LED_OFF;
    bool link;

    p->control = ctl;
    link = root_port_sync(p);
    if (p->hotplug && (ctl & off) == off && (old & off) != off && root_port_occupied(p))
        root_port_eject(p);
    root_port_event(p, STA_COMMAND_DONE | (link ? STA_LINK_CHANGED : 0));
}

static void root_port_config_changed(struct pci_device *d, unsigned at, unsigned len)
{
    struct root_port *p = container_of(d, struct root_port, bridge.pci);
    unsigned ctl = d->express_cap + PCI_EXP_SLTCTL;

    pci_bridge_config_changed(d, at, len);
    if (len <= 4 && at < ctl + 2 && at + len > ctl)
        root_port_command(p);
    else
        root_port_update_irq(p);
}

static const struct pci_ops root_port_ops = { .config_changed = root_port_config_changed };

/* -- life ----------------------------------------------------------------------------------------------------------- */

static void root_port_init_slot(struct root_port *p)
{
    struct pci_device *d = &p->bridge.pci;
    unsigned number = p->slot ? p->slot : d->devfn;

    st32(reg(p, PCI_EXP_LNKCAP), ld32(reg(p, PCI_EXP_LNKCAP)) | LNKCAP_REPORTS_ACTIVE | (u32)p->port << LNKCAP_PORT_SHIFT);
    st32(reg(p, PCI_EXP_SLTCAP), (number & 0x1fff) << CAP_NUMBER_SHIFT |
                                     (p->hotplug ? CAP_BUTTON | CAP_POWER | CAP_ATTENTION_LED | CAP_POWER_LED | CAP_HOTPLUG : 0));
    st16(d->wmask + d->express_cap + PCI_EXP_SLTCTL, p->hotplug ? CTL_WRITABLE : CTL_ENABLES | CTL_COMMAND_IE | CTL_INTERRUPT);
    st16(d->w1cmask + d->express_cap + PCI_EXP_SLTSTA, STA_EVENTS);
    st16(d->wmask + d->express_cap + PCI_EXP_RTCTL, 0x001f);
    st32(d->w1cmask + d->express_cap + PCI_EXP_RTSTA, 0x10000);
}

static int root_port_realize(struct device *dev, struct err *e)
{
    struct root_port *p = (struct root_port *)dev;
    struct pci_device *d = &p->bridge.pci;
    static const struct pci_id id = { 0x1b36, 0x000c, 0x0604, 0, 0, 1, 0, 0 };
    struct pci_bus *bus = pci_bus_of(d);

    if (!bus || !bus->express || !pci_bus_is_root(bus))
        return err_set(e, "pcie-root-port: needs the root bus of a PCI Express machine (-machine q35)");
    if (pci_bridge_attach(&p->bridge, &id, true, &root_port_bus_ops, e) < 0)
        return -1;
    d->ops = &root_port_ops;
    pci_express_init(d, PCI_EXP_ROOT_PORT);
    pci_msi_init(d, 0);
    root_port_init_slot(p);
    return 0;
}

static void root_port_unrealize(struct device *d)
{
    pci_bridge_detach(&((struct root_port *)d)->bridge);
}

/* A device that is in the slot has power, an empty slot has none. */
static void root_port_reset(struct device *d)
{
    struct root_port *p = (struct root_port *)d;
    bool occupied = root_port_occupied(p) || !p->hotplug;

    pci_reset(&p->bridge.pci);
    p->control = CTL_ATTENTION_OFF | (occupied ? CTL_POWER_LED_ON : CTL_POWER_LED_OFF | CTL_POWER_OFF);
    st16(reg(p, PCI_EXP_SLTCTL), p->hotplug ? p->control : 0);
    st16(reg(p, PCI_EXP_SLTSTA), 0);
    root_port_sync(p);
    root_port_update_irq(p);
}

static void root_port_post_load(struct device *d)
{
    pci_post_load(&((struct root_port *)d)->bridge.pci);
}

static const struct prop root_port_props[] = {
    PCI_BRIDGE_PROPS,
    { "port", PROP_U8, offsetof(struct root_port, port), 0, NULL, "port number in the link capabilities" },
    { "chassis", PROP_U8, offsetof(struct root_port, chassis), 0, NULL, "number of the chassis; not used" },
    { "slot", PROP_U16, offsetof(struct root_port, slot), 0, NULL, "physical slot number; 0: made from the address" },
    { "hotplug", PROP_BOOL, offsetof(struct root_port, hotplug), 1, NULL, "devices can be added and removed while the guest runs" },
    PROP_DONE,
};
static const struct snap_field root_port_fields[] = {
    PCI_SNAP, SNAP_U(struct root_port, bridge.control), SNAP_U(struct root_port, control), SNAP_U(struct root_port, irq_level), SNAP_DONE
};

const struct dev_class pcie_root_port_class = {
    .name = "pcie-root-port",
    .desc = "PCI Express root port with a hot-plug slot",
    .bus_type = "PCI",
    .user_creatable = true,
    .state_size = sizeof(struct root_port),
    .props = root_port_props,
    .fields = root_port_fields,
    .snap_version = 1,
    .realize = root_port_realize,
    .reset = root_port_reset,
    .unrealize = root_port_unrealize,
    .post_load = root_port_post_load,
};
