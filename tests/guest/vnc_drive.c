/* A scripted VNC viewer for the tests of guests with a screen: connects, types, waits for the picture. Run by shell tests.
 *
 *   vnc_drive HOST:PORT COMMAND...
 *   size WxH SECONDS     until the screen has that size
 *   mark                 remember the picture
 *   changed SECONDS      until it differs from the mark by more than a blinking cursor
 *   still QUIET SECONDS  until the picture has not changed for QUIET seconds, or SECONDS are over
 *   colours N SECONDS    until the picture has at least N colours
 *   key NAME | type TEXT one key by X11 name (Return, Down, F1 ...), or characters
 *   shot FILE            write the picture as a PPM file
 *
 * The server's password, if it asks for one, comes from $VNC_PASSWORD.
 * Exit status: 0, or 1 after a line on stderr about the command that failed. */
#include <rfb/rfbclient.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
    u_int32_t *mark;
    int mark_w, mark_h;
    double last_update;
} view;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void on_update(rfbClient *c, int x, int y, int w, int h)
{
    view.last_update = now();
}

/* Serves the connection for at most `seconds`; false if it is gone. */
static bool pump(rfbClient *c, double seconds)
{
    int r = WaitForMessage(c, (unsigned)(seconds * 1e6));
    return r == 0 || (r > 0 && HandleRFBServerMessage(c));
}

static bool cmd_size(rfbClient *c, const char *arg, double until)
{
    int w, h;
    if (sscanf(arg, "%dx%d", &w, &h) != 2)
        return false;
    while (c->width != w || c->height != h)
        if (now() > until || !pump(c, 0.1))
            return false;
    return true;
}

static void cmd_mark(rfbClient *c)
{
    size_t n = (size_t)c->width * (size_t)c->height * 4;
    free(view.mark);
    view.mark = malloc(n);
    memcpy(view.mark, c->frameBuffer, n);
    view.mark_w = c->width;
    view.mark_h = c->height;
}

static bool differs(const rfbClient *c)
{
    const u_int32_t *p = (const void *)c->frameBuffer;
    int n = c->width * c->height, diff = 0;
    if (c->width != view.mark_w || c->height != view.mark_h)
        return true;
    for (int i = 0; i < n; i++)
        diff += p[i] != view.mark[i];
    return diff > n / 2000; /* a blinking cursor is no change */
}

static bool cmd_changed(rfbClient *c, double until)
{
    while (!differs(c))
        if (now() > until || !pump(c, 0.1))
            return false;
    return true;
}

static bool cmd_still(rfbClient *c, double quiet, double until)
{
    view.last_update = now();
    while (now() < until && now() - view.last_update < quiet)
        if (!pump(c, 0.1))
            return false;
    return true;
}

static int by_value(const void *a, const void *b)
{
    u_int32_t x = *(const u_int32_t *)a, y = *(const u_int32_t *)b;
    return x < y ? -1 : x > y;
}

static int count_colours(const rfbClient *c)
{
    int n = c->width * c->height, found = 1;
    u_int32_t *p = malloc((size_t)n * 4);
    memcpy(p, c->frameBuffer, (size_t)n * 4);
    qsort(p, (size_t)n, 4, by_value);
    for (int i = 1; i < n; i++)
        found += p[i] != p[i - 1];
    free(p);
    return found;
}

static bool cmd_colours(rfbClient *c, int least, double until)
{
    int found;
    while ((found = count_colours(c)) < least) {
        if (now() > until || !pump(c, 0.5)) {
            fprintf(stderr, "vnc_drive: %d colours\n", found);
            return false;
        }
    }
    return true;
}

static void press(rfbClient *c, u_int32_t sym)
{
    SendKeyEvent(c, sym, TRUE);
    pump(c, 0.02);
    SendKeyEvent(c, sym, FALSE);
    pump(c, 0.02);
}

static bool cmd_key(rfbClient *c, const char *name)
{
    static const struct { const char *name; u_int32_t sym; } keys[] = {
        { "Return", 0xff0d }, { "Escape", 0xff1b }, { "Tab", 0xff09 }, { "BackSpace", 0xff08 }, { "Up", 0xff52 }, { "Down", 0xff54 },
        { "Left", 0xff51 }, { "Right", 0xff53 }, { "F1", 0xffbe }, { "F2", 0xffbf }, { "F10", 0xffc7 }, { "F12", 0xffc9 },
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (!strcmp(keys[i].name, name)) {
            press(c, keys[i].sym);
            return true;
        }
    }
    return false;
}

static bool cmd_shot(const rfbClient *c, const char *path)
{
    FILE *f = fopen(path, "wb");
    const u_int8_t *p = c->frameBuffer;
    if (!f)
        return false;
    fprintf(f, "P6\n%d %d\n255\n", c->width, c->height);
    for (int i = 0; i < c->width * c->height; i++)
        fwrite(p + 4 * i, 1, 3, f);
    return fclose(f) == 0;
}

/* One command; *i is its word and moves behind its arguments. */
static bool run(rfbClient *c, int argc, char **argv, int *i)
{
    const char *cmd = argv[(*i)++], *a = *i < argc ? argv[*i] : "", *b = *i + 1 < argc ? argv[*i + 1] : "";
    if (!strcmp(cmd, "mark")) {
        cmd_mark(c);
        return true;
    }
    (*i)++;
    if (!strcmp(cmd, "size")) {
        (*i)++;
        return cmd_size(c, a, now() + atof(b));
    }
    if (!strcmp(cmd, "changed"))
        return cmd_changed(c, now() + atof(a));
    if (!strcmp(cmd, "still")) {
        (*i)++;
        return cmd_still(c, atof(a), now() + atof(b));
    }
    if (!strcmp(cmd, "colours")) {
        (*i)++;
        return cmd_colours(c, atoi(a), now() + atof(b));
    }
    if (!strcmp(cmd, "key"))
        return cmd_key(c, a);
    if (!strcmp(cmd, "shot"))
        return cmd_shot(c, a);
    if (!strcmp(cmd, "type")) {
        for (; *a; a++)
            press(c, (u_int8_t)*a);
        return true;
    }
    return false;
}

static char last_said[200];

/* The library's log: its last line explains why a connection failed. */
static void remember(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(last_said, sizeof(last_said), fmt, ap);
    va_end(ap);
    last_said[strcspn(last_said, "\n")] = 0;
}

static char *password(rfbClient *c)
{
    const char *p = getenv("VNC_PASSWORD");
    return strdup(p ? p : "");
}

int main(int argc, char **argv)
{
    rfbClient *c = rfbGetClient(8, 3, 4);
    char *host = argc > 2 ? strdup(argv[1]) : NULL, *port = host ? strrchr(host, ':') : NULL;
    if (!port) {
        fprintf(stderr, "usage: vnc_drive HOST:PORT COMMAND...\n");
        return 1;
    }
    *port++ = 0;
    rfbClientLog = rfbClientErr = remember;
    c->GetPassword = password;
    c->serverHost = host;
    c->serverPort = atoi(port);
    c->canHandleNewFBSize = TRUE;
    c->GotFrameBufferUpdate = on_update;
    if (!rfbInitClient(c, NULL, NULL)) {
        fprintf(stderr, "vnc_drive: cannot connect to %s: %s\n", argv[1], last_said);
        return 1;
    }
    pump(c, 0.5);
    for (int i = 2, at = 2; i < argc; at = i) {
        if (!run(c, argc, argv, &i)) {
            fprintf(stderr, "vnc_drive: failed: %s %s\n", argv[at], at + 1 < argc ? argv[at + 1] : "");
            return 1;
        }
    }
    rfbClientCleanup(c);
    return 0;
}
