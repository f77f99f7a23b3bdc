/* Writes the guest's screen to a PNG (libpng) or PPM file. Main thread, for the monitor and QMP; takes the machine lock while it copies the
 * picture. PNG specification 1.2; netpbm's ppm(5). */
#include "ui/screendump.h"
#include <glib.h>
#include <stdio.h>
#include <unistd.h>
#include "config.h"
#include "hw/core/console.h"
#include "hw/core/machine.h"
#if HAVE_PNG
#include <png.h>
#endif

struct picture {
    u32 *data; /* x8r8g8b8, rows without gaps */
    int width, height;
};

static int take(struct machine *m, const char *device, struct picture *p, struct err *e)
{
    struct console *c;
    struct device *d = NULL;
    const struct surface *s;

    lock_acquire(&m->lock);
    if (device && !(d = device_find(m, device))) {
        lock_release(&m->lock);
        return err_set(e, "Device '%s' not found", device);
    }
    c = d ? console_of(m, d) : console_first(m);
    if (!c) {
        lock_release(&m->lock);
        return err_set(e, device ? "Device '%s' has no display" : "There is no console to take a screendump from", device);
    }
    s = console_snapshot(c);
    *p = (struct picture){ g_new(u32, (gsize)s->width * s->height), s->width, s->height };
    for (int y = 0; y < s->height; y++)
        memcpy(p->data + (size_t)y * s->width, s->data + (size_t)y * s->stride, 4 * (size_t)s->width);
    lock_release(&m->lock);
    return 0;
}

/* A row as bytes of red, green, blue. */
static void row_rgb(const struct picture *p, int y, u8 *out)
{
    const u32 *row = p->data + (size_t)y * p->width;

    for (int x = 0; x < p->width; x++) {
        *out++ = row[x] >> 16;
        *out++ = row[x] >> 8;
        *out++ = row[x];
    }
}

static int write_ppm(const struct picture *p, FILE *f)
{
    u8 *row = g_malloc(3 * (size_t)p->width);

    fprintf(f, "P6\n%d %d\n255\n", p->width, p->height);
    for (int y = 0; y < p->height; y++) {
        row_rgb(p, y, row);
        fwrite(row, 3, p->width, f);
    }
    g_free(row);
    return ferror(f) ? -1 : 0;
}

#if HAVE_PNG
static int write_png(const struct picture *p, FILE *f)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    u8 *row = g_malloc(3 * (size_t)p->width);

    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        g_free(row);
        return -1;
    }
    png_init_io(png, f);
    png_set_IHDR(png, info, p->width, p->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3);
    png_write_info(png, info);
    for (int y = 0; y < p->height; y++) {
        row_rgb(p, y, row);
        png_write_row(png, row);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    g_free(row);
    return 0;
}
#endif

static int choose(const char *path, const char *format, bool *png, struct err *e)
{
    *png = format ? !strcmp(format, "png") : g_str_has_suffix(path, ".png");
    if (format && !*png && strcmp(format, "ppm"))
        return err_set(e, "screendump: '%s' is not a format; there are png and ppm", format);
    if (*png && !HAVE_PNG)
        return err_set(e, "screendump: this build has no PNG (libpng was missing); use ppm");
    return 0;
}

int screendump(struct machine *m, const char *path, const char *format, const char *device, struct err *e)
{
    struct picture p = { 0 };
    bool png, existed = !access(path, F_OK);
    FILE *f;
    int r;

    if (choose(path, format, &png, e) < 0 || take(m, device, &p, e) < 0)
        return -1;
    f = fopen(path, "wbe");
    if (!f) {
        g_free(p.data);
        return err_set(e, "failed to open file '%s': %s", path, strerror(errno));
    }
#if HAVE_PNG
    r = png ? write_png(&p, f) : write_ppm(&p, f);
#else
    r = write_ppm(&p, f);
#endif
    r |= fclose(f);
    g_free(p.data);
    if (r) {
        err_set(e, "screendump: '%s' cannot be written: %s", path, strerror(errno));
        if (!existed)
            unlink(path);
        return -1;
    }
    return 0;
}
