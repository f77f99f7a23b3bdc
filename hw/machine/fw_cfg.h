/* The firmware configuration port: named and numbered items that the machine gives to firmware and guests.
 * Items are added on the main thread while the machine is built, and never change afterwards. */
#ifndef HW_MACHINE_FW_CFG_H
#define HW_MACHINE_FW_CFG_H
#include "hw/core/device.h"

struct fw_cfg;

enum fw_cfg_key {
    FW_CFG_SIGNATURE = 0x00,
    FW_CFG_ID = 0x01,
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05,
    FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
    FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_IRQ0_OVERRIDE = 0x8002,
};

/* Ports 0x510..0x51b; sets m->fw_cfg. */
struct device *fw_cfg_new(struct machine *m, struct err *e);
#define FW_CFG_NAME_MAX 55

/* The bytes are copied. */
void fw_cfg_add(struct fw_cfg *f, u16 key, const void *data, u32 len);
void fw_cfg_add_uint(struct fw_cfg *f, u16 key, u64 v, unsigned size);
/* name: at most 55 characters ("etc/e820"). */
void fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, u32 len);
bool fw_cfg_has_file(const struct fw_cfg *f, const char *name);
/* The n-th file and its length, for lists; NULL past the last. Borrowed. */
const char *fw_cfg_file_nth(const struct fw_cfg *f, unsigned n, u32 *len);
/* fn brings the file's contents, of unchanged length, up to date whenever the guest selects it. vCPU thread, machine lock. */
void fw_cfg_refresh(struct fw_cfg *f, const char *name, void (*fn)(void *opaque, u8 *data, u32 len), void *opaque);

#endif
