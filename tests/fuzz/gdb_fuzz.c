/* Fuzz target: gdb's remote protocol, from the bytes on the line to the packets, on a VM without engine (tests/ui/fake_vm.h). */
#include "tests/fuzz/fuzz.h"
#include <glib.h>
#include "hw/backend/chr_impl.h"
#include "tests/ui/fake_vm.h"
#include "ui/gdb.h"
#include "util/err.h"
#include "util/log.h"

/* One packet with its frame. */
static void deliver_packet(struct chr *c, const u8 *p, size_t len)
{
    g_autoptr(GString) s = g_string_new("+$");
    u8 sum = 0;
    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + p[i]);
    g_string_append_len(s, (const char *)p, (gssize)len);
    g_string_append_printf(s, "#%02x", sum);
    chr_deliver(c, (const u8 *)s->str, (unsigned)s->len);
}

static void guest_stops(struct vm *vm, u8 what)
{
    struct vm_stop_info i = { .state = what & 1 ? VM_DEBUG : VM_PAUSED, .cpu = what & 2 ? 1 : -1, .why = what >> 2 & 7, .watch_addr = what };
    if (i.why <= STOP_WATCH_ACCESS && vm->state == VM_RUNNING)
        fake_vm_stop(vm, &i);
}

/* Lines; each begins with what it is: a raw piece of the byte stream (!), a stop of the guest (%), else the payload of a packet. */
static void run_line(struct vm *vm, const u8 *p, size_t len)
{
    struct chr *c = chr_find("gdb");
    if (!c || !len)
        return;
    if (*p == '!')
        chr_deliver(c, p + 1, (unsigned)len - 1);
    else if (*p == '%')
        guest_stops(vm, len > 1 ? p[1] : 0);
    else
        deliver_packet(c, p, len);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    struct vm *vm = fake_vm_new(2);
    struct err e;
    g_autofree char *text = g_ascii_strdown((const char *)data, (gssize)size);
    if (g_strstr_len(text, (gssize)size, "737464696f")) { /* monitor commands that would take "stdio" */
        fake_vm_free(vm);
        return 0;
    }
    g_assert_cmpint(gdb_start(&vm->ui, "null", &e), ==, 0);
    chr_send_event(chr_find("gdb"), CHR_OPENED);
    fuzz_allow_files(false);
    for (size_t at = 0; at < size && !vm->quit;) {
        const u8 *nl = memchr(data + at, '\n', size - at);
        size_t len = nl ? (size_t)(nl - data) - at : size - at;
        run_line(vm, data + at, len);
        at += len + 1;
    }
    fuzz_allow_files(true);
    gdb_stop(&vm->ui);
    log_parse("none", &e);
    while (g_main_context_iteration(NULL, FALSE))
        ;
    fake_vm_free(vm);
    return 0;
}
