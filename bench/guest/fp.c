/* Scalar floating point programs of `make bench`: n bodies, the Mandelbrot set, a spectral norm, x87's long double. Only operations that IEEE 754
 * defines to the last bit, and without contraction: every compiler's result is the same. Run by bench/guest/main.c. */
#include "bench/guest/bench.h"

/* --- n bodies: the sun and four planets (AU, years, solar masses) --- */
struct body {
    double x[3], v[3], mass;
};

static double energy(const struct body *b, int n)
{
    double e = 0;
    for (int i = 0; i < n; i++) {
        e += 0.5 * b[i].mass * (b[i].v[0] * b[i].v[0] + b[i].v[1] * b[i].v[1] + b[i].v[2] * b[i].v[2]);
        for (int k = i + 1; k < n; k++) {
            double dx = b[i].x[0] - b[k].x[0], dy = b[i].x[1] - b[k].x[1], dz = b[i].x[2] - b[k].x[2];
            e -= b[i].mass * b[k].mass / __builtin_sqrt(dx * dx + dy * dy + dz * dz);
        }
    }
    return e;
}

static void advance(struct body *b, int n, double dt)
{
    for (int i = 0; i < n; i++)
        for (int k = i + 1; k < n; k++) {
            double dx = b[i].x[0] - b[k].x[0], dy = b[i].x[1] - b[k].x[1], dz = b[i].x[2] - b[k].x[2];
            double d2 = dx * dx + dy * dy + dz * dz, mag = dt / (d2 * __builtin_sqrt(d2));
            b[i].v[0] -= dx * b[k].mass * mag;
            b[i].v[1] -= dy * b[k].mass * mag;
            b[i].v[2] -= dz * b[k].mass * mag;
            b[k].v[0] += dx * b[i].mass * mag;
            b[k].v[1] += dy * b[i].mass * mag;
            b[k].v[2] += dz * b[i].mass * mag;
        }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < 3; k++)
            b[i].x[k] += dt * b[i].v[k];
}

static uint64_t nbody(void)
{
    struct body b[5] = {
        { { 0, 0, 0 }, { 0, 0, 0 }, 39.478 },
        { { 4.841, -1.160, -0.1036 }, { 0.606, 2.812, -0.0252 }, 0.03769 },
        { { 8.343, 4.125, -0.4035 }, { -1.011, 1.826, 0.0084 }, 0.01129 },
        { { 12.894, -15.111, -0.2233 }, { 1.083, 0.8687, -0.0108 }, 0.001724 },
        { { 15.379, -25.919, 0.1793 }, { 0.979, 0.595, -0.0347 }, 0.002034 },
    };
    for (int i = 0; i < 20000; i++)
        advance(b, 5, 0.01);
    double e = energy(b, 5);
    return checksum(b, sizeof(b)) ^ checksum(&e, sizeof(e));
}

/* --- the Mandelbrot set --- */
static uint64_t mandelbrot(void)
{
    enum { SIZE = 128, LIMIT = 200 };
    uint64_t sum = 0;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            double cr = 3.0 * x / SIZE - 2.25, ci = 2.5 * y / SIZE - 1.25, r = 0, i = 0, r2 = 0, i2 = 0;
            int n = 0;
            for (; n < LIMIT && r2 + i2 <= 4; n++) {
                i = 2 * r * i + ci;
                r = r2 - i2 + cr;
                r2 = r * r;
                i2 = i * i;
            }
            sum = sum * 3 + (uint64_t)n;
        }
    return sum;
}

/* --- the largest singular value of the infinite matrix 1 / ((i + j) (i + j + 1) / 2 + i + 1), cut at N --- */
enum { NORM_N = 160 };

static double element(int i, int k)
{
    return 1.0 / ((i + k) * (i + k + 1) / 2 + i + 1);
}

static void times(const double *v, double *out, bool transposed)
{
    for (int i = 0; i < NORM_N; i++) {
        out[i] = 0;
        for (int k = 0; k < NORM_N; k++)
            out[i] += (transposed ? element(k, i) : element(i, k)) * v[k];
    }
}

static uint64_t spectral(void)
{
    double u[NORM_N], v[NORM_N], t[NORM_N], uv = 0, vv = 0;
    for (int i = 0; i < NORM_N; i++)
        u[i] = 1;
    for (int i = 0; i < 10; i++) {
        times(u, t, false), times(t, v, true);
        times(v, t, false), times(t, u, true);
    }
    for (int i = 0; i < NORM_N; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    double norm = __builtin_sqrt(uv / vv);
    return norm > 1.2742 && norm < 1.2743 ? checksum(&norm, sizeof(norm)) : 0;
}

/* --- single precision: a wave on a string, and conversions --- */
static uint64_t wave(void)
{
    enum { N = 512 };
    float now[N], before[N], after[N];
    uint64_t sum = 0;
    for (int i = 0; i < N; i++)
        before[i] = now[i] = i < N / 2 ? (float)i / N : 1 - (float)i / N;
    for (int step = 0; step < 2000; step++) {
        after[0] = after[N - 1] = 0;
        for (int i = 1; i < N - 1; i++)
            after[i] = 2 * now[i] - before[i] + 0.25f * (now[i + 1] - 2 * now[i] + now[i - 1]);
        for (int i = 0; i < N; i++) {
            before[i] = now[i];
            now[i] = after[i];
        }
        sum = sum * 31 + (uint64_t)(int64_t)(now[step % N] * 65536);
    }
    return sum;
}

/* --- x87: e, pi by Machin's formula, square roots, a polynomial --- */
static long double arctan_inverse(int x)
{
    long double power = 1.0L / x, sum = power;
    for (int n = 3, sign = -1; power > 1e-22L; n += 2, sign = -sign) {
        power /= x * x;
        sum += sign * power / n;
    }
    return sum;
}

static uint64_t x87(void)
{
    long double sum = 0, pi = 0;
    for (int i = 0; i < 2000; i++)
        pi = 16 * arctan_inverse(5) - 4 * arctan_inverse(239);
    if (!(pi > 3.14159265358979323L && pi < 3.14159265358979325L))
        return 0;
    for (int i = 1; i < 100000; i++) {
        long double x = (long double)i / 100000, y = (((x * 0.125L - 0.5L) * x + 1.75L) * x - 2.25L) * x + pi;
        sum += __builtin_sqrtl(y * y + x) / (x + 1);
    }
    uint8_t bytes[10];
    __builtin_memcpy(bytes, &sum, 10);
    return checksum(bytes, 10);
}

const struct program programs[] = {
    { "nbody", nbody, 0x58a167696023d4f1, NULL },
    { "mandelbrot", mandelbrot, 0x337539c2b60ded8c, NULL },
    { "spectral", spectral, 0x936664f429b8e73b, NULL },
    { "wave", wave, 0xfdfd52510f8d44ed, NULL },
    { "x87", x87, 0x8b3bd1d46445bbb9, NULL },
    { NULL, NULL, 0, NULL },
};
