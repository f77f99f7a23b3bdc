/* Tests ui/gdb.c and ui/gdb_packet.c: whole sessions over a unix socket against a fake VM. */
#include <glib.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "hw/backend/chr.h"
#include "tests/ui/fake_vm.h"
#include "ui/gdb.h"

struct peer {
    struct vm *vm;
    char *dir, *path;
    int fd;
    GString *in; /* raw bytes received */
    bool acks;
};

/* Lets the stub run and gathers what it sends, until `enough` is among it. Fails the test after 10 seconds. */
static void gather(struct peer *p, const char *enough, size_t min_len)
{
    gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;

    for (;;) {
        char buf[8192];
        ssize_t n;
        g_main_context_iteration(NULL, FALSE);
        n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n > 0)
            g_string_append_len(p->in, buf, n);
        if (enough ? strstr(p->in->str, enough) != NULL : p->in->len >= min_len)
            return;
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

static void send_bytes(struct peer *p, const char *s, size_t len)
{
    g_assert_cmpint(send(p->fd, s, len, 0), ==, len);
}

/* Waits for one packet, acknowledges it, returns its unescaped payload (valid until the next call). */
static char *receive(struct peer *p)
{
    static char out[1 << 16];
    char *start, *hash;
    unsigned n = 0, sum = 0;

    for (;;) {
        start = strchr(p->in->str, '$');
        hash = start ? strchr(start, '#') : NULL;
        if (hash && hash[1] && hash[2])
            break;
        gather(p, NULL, p->in->len + 1);
    }
    for (char *c = start + 1; c < hash; c++) {
        sum += (u8)*c;
        if (*c == '}') {
            c++;
            sum += (u8)*c;
            out[n++] = *c ^ 0x20;
        } else {
            out[n++] = *c;
        }
    }
    out[n] = 0;
    g_assert_cmpuint(sum & 0xff, ==, g_ascii_strtoull((char[]){ hash[1], hash[2], 0 }, NULL, 16));
    g_string_erase(p->in, 0, hash + 3 - p->in->str);
    if (p->acks)
        send_bytes(p, "+", 1);
    return out;
}

static void send_packet(struct peer *p, const char *payload, size_t len)
{
    GString *s = g_string_new("$");
    u8 sum = 0;

    for (size_t i = 0; i < len; i++)
        sum = (u8)(sum + (u8)payload[i]);
    g_string_append_len(s, payload, (gssize)len);
    g_string_append_printf(s, "#%02x", sum);
    send_bytes(p, s->str, s->len);
    g_string_free(s, TRUE);
}

static char *ask(struct peer *p, const char *payload)
{
    send_packet(p, payload, strlen(payload));
    return receive(p);
}

static struct peer *peer_new(unsigned cpus)
{
    struct peer *p = g_new0(struct peer, 1);
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    struct err e = { "" };
    char *spec;

    p->vm = fake_vm_new(cpus);
    p->dir = g_dir_make_tmp("gemel-test-XXXXXX", NULL);
    p->path = g_build_filename(p->dir, "gdb", NULL);
    spec = g_strconcat("unix:", p->path, NULL);
    g_assert_cmpint(gdb_start(&p->vm->ui, spec, &e), ==, 0);
    g_free(spec);
    p->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    g_strlcpy(sa.sun_path, p->path, sizeof(sa.sun_path));
    g_assert_cmpint(connect(p->fd, (void *)&sa, sizeof(sa)), ==, 0);
    p->in = g_string_new(NULL);
    p->acks = true;
    return p;
}

static void peer_free(struct peer *p)
{
    close(p->fd);
    gdb_stop(&p->vm->ui);
    chr_free_all();
    g_rmdir(p->dir);
    g_free(p->dir);
    g_free(p->path);
    g_string_free(p->in, TRUE);
    fake_vm_free(p->vm);
    g_free(p);
}

static void test_handshake(void)
{
    struct peer *p = peer_new(2);
    char *s = ask(p, "qSupported:swbreak+;hwbreak+;xmlRegisters=i386");

    g_assert_nonnull(strstr(s, "PacketSize=4000"));
    g_assert_nonnull(strstr(s, "qXfer:features:read+"));
    g_assert_nonnull(strstr(s, "swbreak+;hwbreak+"));
    g_assert_cmpuint(p->vm->stops, ==, 1); /* gdb finds the guest stopped */
    g_assert_cmpstr(ask(p, "?"), ==, "T05thread:01;");
    g_assert_cmpstr(ask(p, "vMustReplyEmpty"), ==, "");
    g_assert_cmpstr(ask(p, "qAttached"), ==, "1");
    g_assert_cmpstr(ask(p, "QStartNoAckMode"), ==, "OK");
    p->acks = false;
    g_string_truncate(p->in, 0);
    g_assert_cmpstr(ask(p, "qC"), ==, "QC01");
    peer_free(p);
}

static void test_bad_checksum(void)
{
    struct peer *p = peer_new(1);

    send_bytes(p, "$?#00", 5);
    gather(p, "-", 0);
    g_string_truncate(p->in, 0);
    g_assert_cmpstr(ask(p, "?"), ==, "T05thread:01;");
    send_bytes(p, "-", 1); /* again, please */
    g_assert_cmpstr(receive(p), ==, "T05thread:01;");
    peer_free(p);
}

static void test_threads(void)
{
    struct peer *p = peer_new(3);

    g_assert_cmpstr(ask(p, "qfThreadInfo"), ==, "m01,02,03");
    g_assert_cmpstr(ask(p, "qsThreadInfo"), ==, "l");
    g_assert_cmpstr(ask(p, "T3"), ==, "OK");
    g_assert_cmpstr(ask(p, "T4"), ==, "E22");
    p->vm->cpu[1]->halted = true;
    g_assert_cmpstr(ask(p, "qThreadExtraInfo,2"), ==, "4350552331205b68616c746564205d"); /* CPU#1 [halted ] */
    p->vm->cpu[2]->gpr[R_AX] = 0x1122;
    g_assert_cmpstr(ask(p, "Hg3"), ==, "OK");
    g_assert_cmpstr(ask(p, "p0"), ==, "2211000000000000");
    g_assert_cmpstr(ask(p, "Hg9"), ==, "E22");
    peer_free(p);
}

static void test_memory(void)
{
    struct peer *p = peer_new(1);

    memcpy(p->vm->mem + 0x100, "\x01\x02\xfe", 3);
    g_assert_cmpstr(ask(p, "m100,3"), ==, "0102fe");
    g_assert_cmpstr(ask(p, "M200,2:abcd"), ==, "OK");
    g_assert_cmpint(p->vm->mem[0x201], ==, 0xcd);
    send_packet(p, "X300,4:a}\x03}]z", 13);
    g_assert_cmpstr(receive(p), ==, "OK");
    g_assert_cmpint(memcmp(p->vm->mem + 0x300, "a#}z", 4), ==, 0);
    g_assert_cmpstr(ask(p, "m20000,4"), ==, "E14");
    g_assert_cmpstr(ask(p, "m1fffe,1001"), ==, "0000"); /* up to the end of the page */
    g_assert_cmpstr(ask(p, "M20000,1:00"), ==, "E14");
    g_assert_cmpstr(ask(p, "M100,8:00"), ==, "E22");
    g_assert_cmpstr(ask(p, "mzz"), ==, "E22");
    g_assert_cmpstr(ask(p, "X0,0:"), ==, "OK");
    peer_free(p);
}

static void test_registers(void)
{
    struct peer *p = peer_new(1);
    char *all, *copy;

    p->vm->cpu[0]->rip = 0x7c00;
    g_assert_cmpstr(ask(p, "p10"), ==, "007c000000000000");
    g_assert_cmpstr(ask(p, "P10=0010000000000000"), ==, "OK");
    g_assert_cmphex(p->vm->cpu[0]->rip, ==, 0x1000);
    g_assert_cmpuint(p->vm->regs_changes, ==, 1);
    g_assert_cmpstr(ask(p, "pffff"), ==, "E22");
    g_assert_cmpstr(ask(p, "P10=00"), ==, "E22");
    all = ask(p, "g");
    copy = g_strconcat("G", all, NULL);
    copy[1] = 'f';
    g_assert_cmpstr(ask(p, copy), ==, "OK");
    g_assert_cmphex(p->vm->cpu[0]->gpr[R_AX], ==, 0xf0);
    g_free(copy);
    peer_free(p);
}

static void test_breakpoints(void)
{
    struct peer *p = peer_new(2);
    struct vm_stop_info stop = { .state = VM_DEBUG, .cpu = 1, .why = STOP_BREAKPOINT };

    ask(p, "qSupported:swbreak+;hwbreak+");
    g_assert_cmpstr(ask(p, "Z0,1000,1"), ==, "OK");
    g_assert_cmpstr(ask(p, "Z1,2000,1"), ==, "OK");
    g_assert_cmpstr(ask(p, "Z2,3000,4"), ==, "OK");
    g_assert_cmpuint(p->vm->n_bp, ==, 3);
    g_assert_cmpint(p->vm->bp[2].kind, ==, BP_WATCH_WRITE);
    g_assert_cmpuint(p->vm->bp[2].len, ==, 4);
    g_assert_cmpstr(ask(p, "Z7,0,1"), ==, "");
    send_packet(p, "c", 1);
    gather(p, "+", 0);
    g_assert_cmpint(p->vm->state, ==, VM_RUNNING);
    p->vm->cpu[1]->rip = 0x1000;
    fake_vm_stop(p->vm, &stop);
    g_assert_cmpstr(receive(p), ==, "T05thread:02;swbreak:;");
    send_packet(p, "vCont;c", 7);
    gather(p, "+", 0);
    p->vm->cpu[1]->rip = 0x2000;
    fake_vm_stop(p->vm, &stop);
    g_assert_cmpstr(receive(p), ==, "T05thread:02;hwbreak:;");
    send_packet(p, "vCont;c:1;c", 11);
    gather(p, "+", 0);
    stop.why = STOP_WATCH_WRITE;
    stop.watch_addr = 0x3002;
    fake_vm_stop(p->vm, &stop);
    g_assert_cmpstr(receive(p), ==, "T05thread:02;watch:3002;");
    g_assert_cmpstr(ask(p, "z0,1000,1"), ==, "OK");
    g_assert_cmpstr(ask(p, "z0,1000,1"), ==, "E02");
    peer_free(p);
}

static void test_stepping(void)
{
    struct peer *p = peer_new(2);

    g_assert_cmpstr(ask(p, "vCont?"), ==, "vCont;c;C;s;S");
    g_assert_cmpstr(ask(p, "vCont;s:2;c"), ==, "T05thread:02;");
    g_assert_cmpuint(p->vm->step_cpu, ==, 1);
    g_assert_cmpstr(ask(p, "Hc1"), ==, "OK");
    g_assert_cmpstr(ask(p, "s"), ==, "T05thread:01;");
    g_assert_cmpstr(ask(p, "s500"), ==, "T05thread:01;");
    g_assert_cmphex(p->vm->cpu[0]->rip, ==, 0x501);
    g_assert_cmpstr(ask(p, "S05"), ==, "T05thread:01;");
    g_assert_cmpstr(ask(p, "vCont;x"), ==, "E22");
    g_assert_cmpuint(p->vm->steps, ==, 4);
    peer_free(p);
}

static void test_interrupt(void)
{
    struct peer *p = peer_new(1);

    send_packet(p, "c", 1);
    gather(p, "+", 0);
    send_bytes(p, "\003", 1);
    g_assert_cmpstr(receive(p), ==, "T02thread:01;");
    /* The monitor's short stops are not gdb's business. */
    send_packet(p, "c", 1);
    gather(p, "+", 0);
    p->vm->ui.transient = true;
    fake_vm_stop(p->vm, &(struct vm_stop_info){ .state = VM_PAUSED, .cpu = -1 });
    p->vm->ui.transient = false;
    vm_cont(p->vm);
    send_bytes(p, "\003", 1);
    g_assert_cmpstr(receive(p), ==, "T02thread:01;");
    peer_free(p);
}

static void test_monitor_command(void)
{
    struct peer *p = peer_new(1);

    /* "info status", answered by a console packet and OK */
    g_assert_cmpstr(ask(p, "qRcmd,696e666f20737461747573"), ==, "O564d207374617475733a207061757365640a");
    g_assert_cmpstr(receive(p), ==, "OK");
    g_assert_cmpstr(ask(p, "qRcmd,"), ==, "OK");
    peer_free(p);
}

static void test_detach_and_kill(void)
{
    struct peer *p = peer_new(1);

    ask(p, "Z0,1000,1");
    g_assert_cmpstr(ask(p, "D"), ==, "OK");
    g_assert_cmpuint(p->vm->n_bp, ==, 0);
    g_assert_cmpint(p->vm->state, ==, VM_RUNNING);
    g_assert_cmpstr(ask(p, "vKill;1"), ==, "OK");
    g_assert_true(p->vm->quit);
    peer_free(p);
}

static void test_exit(void)
{
    struct peer *p = peer_new(1);

    send_packet(p, "c", 1);
    gather(p, "+", 0);
    gdb_exit(&p->vm->ui, 3);
    g_assert_cmpstr(receive(p), ==, "W03");
    peer_free(p);
}

/* Anything may come in: bytes of all kinds, packets with nonsense, packets too long. */
static void test_garbage(void)
{
    struct peer *p = peer_new(2);
    static const char letters[] = "?gGpPmMXzZcsCSvDHTqQ0123456789abcdef,;:=-}";
    GString *long_one = g_string_new("M0,10:");

    for (unsigned i = 0; i < 2000; i++) {
        char packet[24];
        unsigned n = (unsigned)g_test_rand_int_range(0, sizeof(packet));
        for (unsigned k = 0; k < n; k++)
            packet[k] = letters[g_test_rand_int_range(0, sizeof(letters) - 1)];
        send_packet(p, packet, n);
        for (unsigned k = 0; k < 4; k++)
            g_main_context_iteration(NULL, FALSE);
        g_string_truncate(p->in, 0);
        while (recv(p->fd, (char[4096]){ 0 }, 4096, MSG_DONTWAIT) > 0)
            ;
    }
    while (long_one->len < 40000)
        g_string_append(long_one, "00");
    while (g_main_context_iteration(NULL, FALSE))
        ;
    while (recv(p->fd, (char[4096]){ 0 }, 4096, MSG_DONTWAIT) > 0)
        ;
    p->vm->state = VM_PAUSED;
    send_bytes(p, "$", 1);
    g_assert_cmpstr(ask(p, long_one->str), ==, "E22");
    g_string_free(long_one, TRUE);
    peer_free(p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gdb/handshake", test_handshake);
    g_test_add_func("/gdb/bad-checksum", test_bad_checksum);
    g_test_add_func("/gdb/threads", test_threads);
    g_test_add_func("/gdb/memory", test_memory);
    g_test_add_func("/gdb/registers", test_registers);
    g_test_add_func("/gdb/breakpoints", test_breakpoints);
    g_test_add_func("/gdb/stepping", test_stepping);
    g_test_add_func("/gdb/interrupt", test_interrupt);
    g_test_add_func("/gdb/monitor-command", test_monitor_command);
    g_test_add_func("/gdb/detach-and-kill", test_detach_and_kill);
    g_test_add_func("/gdb/exit", test_exit);
    g_test_add_func("/gdb/garbage", test_garbage);
    return g_test_run();
}
