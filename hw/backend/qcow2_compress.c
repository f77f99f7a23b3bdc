/* qcow2: compressed clusters, by zlib (raw deflate) or zstd. Called by worker threads and tools without the image's lock. */
#include "config.h"
#include <zlib.h>
#if HAVE_ZSTD
#include <zstd.h>
#endif
#include "hw/backend/qcow2.h"

enum { COMPRESSION_ZLIB, COMPRESSION_ZSTD };

/* -- the two methods; out is one cluster ------------------------------------------------------------------------------- */

static int zlib_decompress(const u8 *in, u64 in_len, u8 *out, u64 out_len)
{
    z_stream z = { .next_in = (u8 *)in, .avail_in = in_len, .next_out = out, .avail_out = out_len };
    int r;

    if (inflateInit2(&z, -15) != Z_OK)
        return -ENOMEM;
    r = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return r == Z_STREAM_END || (r == Z_BUF_ERROR && z.avail_out == 0) ? z.avail_out ? -EIO : 0 : -EIO;
}

/* The length, or 0 if it would not become smaller. */
static u64 zlib_compress(const u8 *in, u64 len, u8 *out)
{
    z_stream z = { .next_in = (u8 *)in, .avail_in = len, .next_out = out, .avail_out = len - 1 };
    int r;

    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -12, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    r = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    return r == Z_STREAM_END ? z.total_out : 0;
}

#if HAVE_ZSTD
static int zstd_decompress(const u8 *in, u64 in_len, u8 *out, u64 out_len)
{
    ZSTD_inBuffer i = { in, in_len, 0 };
    ZSTD_outBuffer o = { out, out_len, 0 };
    ZSTD_DCtx *d = ZSTD_createDCtx();
    size_t r = 0;

    while (d && o.pos < o.size) { /* the input is padded, and may be several frames */
        size_t before = i.pos + o.pos;
        r = ZSTD_decompressStream(d, &o, &i);
        if (ZSTD_isError(r) || i.pos + o.pos == before)
            break;
    }
    ZSTD_freeDCtx(d);
    return d && !ZSTD_isError(r) && o.pos == o.size ? 0 : -EIO;
}

static u64 zstd_compress(const u8 *in, u64 len, u8 *out)
{
    size_t r = ZSTD_compress(out, len - 1, in, len, ZSTD_CLEVEL_DEFAULT);

    return ZSTD_isError(r) ? 0 : r;
}
#else
static int zstd_decompress(const u8 *in, u64 in_len, u8 *out, u64 out_len) { return -ENOTSUP; }
static u64 zstd_compress(const u8 *in, u64 len, u8 *out) { return 0; }
#endif

/* -- reading ---------------------------------------------------------------------------------------------------------- */

static int load_cluster(struct qcow2 *s, u64 entry)
{
    u64 off, len;
    u8 *raw;
    int r;

    qcow2_compressed_range(s, entry, &off, &len);
    raw = g_malloc(len);
    s->comp_entry = 0;
    r = node_read(s->n->file, off, raw, len);
    if (!r)
        r = s->h.compression == COMPRESSION_ZSTD ? zstd_decompress(raw, len, s->comp_data, s->cluster_size)
                                                 : zlib_decompress(raw, len, s->comp_data, s->cluster_size);
    g_free(raw);
    if (!r)
        s->comp_entry = entry;
    return r;
}

int qcow2_read_compressed(struct qcow2 *s, u64 entry, u64 in, const struct iovec *iov, unsigned n_iov, u64 skip, u64 len)
{
    int r = 0;

    pthread_mutex_lock(&s->comp_lock);
    if (!s->comp_data)
        s->comp_data = g_malloc(s->cluster_size);
    if (s->comp_entry != entry)
        r = load_cluster(s, entry);
    if (!r)
        iov_write(iov, n_iov, skip, s->comp_data + in, len);
    pthread_mutex_unlock(&s->comp_lock);
    return r;
}

/* -- writing ---------------------------------------------------------------------------------------------------------- */

/* Room for len bytes, packed behind the last compressed cluster where possible. Lock held. */
static int alloc_bytes(struct qcow2 *s, u64 len, u64 *off)
{
    u64 used = in_cluster(s, s->comp_off), room = used ? s->cluster_size - used : 0, count = 0, fresh, got;
    int r = 0;

    if (room)
        r = qcow2_refcount_get(s, s->comp_off >> s->h.cluster_bits, &count);
    if (r < 0)
        return r;
    if (room && count >= s->refcount_max)
        room = 0;
    if (room < len) {
        r = qcow2_alloc(s, 1, 1, &fresh, &got);
        if (r < 0)
            return r;
        s->file_end = MAX_OF(s->file_end, fresh + s->cluster_size);
        if (!room || fresh != ALIGN_UP(s->comp_off, s->cluster_size)) {
            s->comp_off = fresh; /* len is less than a cluster: all of it is here */
            room = 0;
        }
    }
    if (room) /* the cluster that was begun by others counts us, too */
        r = qcow2_refcount_add(s, s->comp_off, 1, 1);
    *off = s->comp_off;
    s->comp_off += len;
    return r;
}

static int write_packed(struct qcow2 *s, u64 guest, const u8 *data, u64 len)
{
    u64 off = 0, sectors, x = 62 - (s->h.cluster_bits - 8);
    struct qcow2_table *t;
    int r;

    lock_acquire(&s->lock);
    r = qcow2_l2_for_write(s, guest, &t);
    if (!r)
        r = alloc_bytes(s, len, &off);
    if (!r && off + len > MASK64(x))
        r = -EFBIG;
    if (!r)
        r = qcow2_check_data(s, off, len);
    lock_release(&s->lock);
    if (!r)
        r = node_write(s->n->file, off, data, len);
    if (r < 0)
        return r;
    pthread_mutex_lock(&s->comp_lock);
    s->comp_entry = 0; /* it may have been another's in the same place */
    pthread_mutex_unlock(&s->comp_lock);
    sectors = ((off + len - 1) >> 9) - (off >> 9);
    lock_acquire(&s->lock);
    r = qcow2_l2_for_write(s, guest, &t);
    if (!r) {
        u64 old = qcow2_l2_get(s, t, guest);
        qcow2_l2_set(s, t, guest, OFLAG_COMPRESSED | off | sectors << x);
        qcow2_free_entry(s, old);
    }
    lock_release(&s->lock);
    return r;
}

int qcow2_write_compressed(struct blk_node *n, u64 off, const void *buf, u64 len)
{
    struct qcow2 *s = n->s;
    u8 *in = NULL, *out;
    u64 packed;
    int r;

    if (in_cluster(s, off) || len > s->cluster_size)
        return -EINVAL;
    if (len < s->cluster_size) { /* the end of the image */
        in = g_malloc0(s->cluster_size);
        memcpy(in, buf, len);
    }
    out = g_malloc(s->cluster_size);
    packed = s->h.compression == COMPRESSION_ZSTD ? zstd_compress(in ? in : buf, s->cluster_size, out)
                                                  : zlib_compress(in ? in : buf, s->cluster_size, out);
    r = packed ? write_packed(s, off, out, packed) : node_write(n, off, buf, len);
    g_free(out);
    g_free(in);
    return r;
}
