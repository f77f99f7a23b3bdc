/* Vector programs of `make bench`: SSE2, SSSE3, AVX2, FMA, AES and SHA instructions by intrinsics. A processor without them says so. Run by
 * bench/guest/main.c. */
#include "bench/guest/bench.h"
#include <immintrin.h>
#include <string.h>

#define TARGET(what) __attribute__((target(what), noinline))
enum { SIZE = 32768 };

static uint8_t *data(void)
{
    static uint8_t bytes[SIZE] __attribute__((aligned(64)));
    uint32_t seed = 161803;
    for (int i = 0; i < SIZE; i += 4) {
        uint32_t r = random_next(&seed);
        memcpy(bytes + i, &r, 4);
    }
    return bytes;
}

/* --- SSE2: pictures blended, their difference summed up, and a filter in single precision --- */
static TARGET("sse2") uint64_t sse2_pixels(const uint8_t *a, uint8_t *out)
{
    __m128i sum = _mm_setzero_si128(), zero = sum;
    for (int i = 0; i < SIZE - 16; i += 16) {
        __m128i x = _mm_load_si128((const __m128i *)(a + i)), y = _mm_loadu_si128((const __m128i *)(a + i + 1));
        __m128i low = _mm_mullo_epi16(_mm_unpacklo_epi8(x, zero), _mm_set1_epi16(77));
        __m128i high = _mm_mullo_epi16(_mm_unpackhi_epi8(x, zero), _mm_set1_epi16(77));
        __m128i mixed = _mm_packus_epi16(_mm_srli_epi16(low, 8), _mm_srli_epi16(high, 8));
        mixed = _mm_adds_epu8(_mm_avg_epu8(mixed, y), _mm_max_epu8(x, y));
        sum = _mm_add_epi64(sum, _mm_sad_epu8(mixed, x));
        _mm_store_si128((__m128i *)(out + i), _mm_xor_si128(mixed, _mm_cmpgt_epi8(x, y)));
    }
    return (uint64_t)_mm_cvtsi128_si64(sum) * 31 + (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sum, sum));
}

static TARGET("sse2") uint64_t sse2_floats(const uint8_t *a)
{
    __m128 state = _mm_set1_ps(1), limit = _mm_set1_ps(4096);
    for (int i = 0; i < SIZE; i += 16) {
        __m128 v = _mm_cvtepi32_ps(_mm_srai_epi32(_mm_load_si128((const __m128i *)(a + i)), 16));
        state = _mm_add_ps(_mm_mul_ps(state, _mm_set1_ps(0.75f)), _mm_mul_ps(v, _mm_set1_ps(0.25f)));
        state = _mm_min_ps(_mm_max_ps(state, _mm_sub_ps(_mm_setzero_ps(), limit)), limit);
        state = _mm_shuffle_ps(state, _mm_sqrt_ps(_mm_mul_ps(state, state)), _MM_SHUFFLE(2, 1, 0, 3));
    }
    return checksum(&state, sizeof(state));
}

static uint64_t sse2(void)
{
    static uint8_t out[SIZE] __attribute__((aligned(64)));
    const uint8_t *a = data();
    uint64_t sum = 0;
    for (int i = 0; i < 20; i++)
        sum = sum * 31 + (sse2_pixels(a, out) ^ sse2_floats(i % 2 ? a : out));
    return sum ^ checksum(out, 4096);
}

/* --- SSSE3: bytes to hexadecimal digits and back, and products of bytes --- */
static TARGET("ssse3") uint64_t ssse3_hex(const uint8_t *a)
{
    const __m128i digits = _mm_setr_epi8('0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f');
    const __m128i backwards = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), low = _mm_set1_epi8(15);
    __m128i sum = _mm_setzero_si128(), last = sum;
    for (int i = 0; i < SIZE; i += 16) {
        __m128i x = _mm_load_si128((const __m128i *)(a + i));
        __m128i h = _mm_shuffle_epi8(digits, _mm_and_si128(_mm_srli_epi16(x, 4), low)), l = _mm_shuffle_epi8(digits, _mm_and_si128(x, low));
        __m128i products = _mm_maddubs_epi16(h, _mm_sign_epi8(l, _mm_or_si128(x, _mm_set1_epi8(1))));
        sum = _mm_add_epi32(sum, _mm_hadd_epi16(products, _mm_abs_epi16(_mm_alignr_epi8(h, last, 5))));
        last = _mm_shuffle_epi8(_mm_xor_si128(l, sum), backwards);
    }
    sum = _mm_xor_si128(sum, last);
    return checksum(&sum, sizeof(sum));
}

static uint64_t ssse3(void)
{
    const uint8_t *a = data();
    uint64_t sum = 0;
    for (int i = 0; i < 30; i++)
        sum = sum * 31 + ssse3_hex(a);
    return sum;
}

/* --- AVX2: a hash of eight words side by side, sorted and looked up --- */
static TARGET("avx2") uint64_t avx2_hash(const uint8_t *a)
{
    const __m256i prime = _mm256_set1_epi32((int)2654435761u), turn = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 0);
    __m256i h = _mm256_setr_epi32(1, 2, 3, 4, 5, 6, 7, 8), shift = _mm256_setr_epi32(3, 5, 7, 11, 13, 15, 16, 1);
    for (int i = 0; i < SIZE; i += 32) {
        __m256i x = _mm256_load_si256((const __m256i *)(a + i));
        x = _mm256_mullo_epi32(_mm256_xor_si256(x, h), prime);
        h = _mm256_xor_si256(_mm256_srlv_epi32(x, shift), _mm256_permutevar8x32_epi32(h, turn));
        h = _mm256_add_epi32(h, _mm256_min_epu32(x, _mm256_shuffle_epi32(x, 0xb1)));
        h = _mm256_blendv_epi8(h, _mm256_unpackhi_epi16(x, h), _mm256_cmpgt_epi32(x, h));
    }
    return checksum(&h, sizeof(h));
}

static TARGET("avx2") uint64_t avx2_gather(const uint8_t *a)
{
    __m256i at = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), mask = _mm256_set1_epi32(SIZE / 4 - 1), sum = at;
    for (int i = 0; i < 512; i++) {
        __m256i x = _mm256_i32gather_epi32((const int *)a, at, 4);
        sum = _mm256_add_epi32(sum, x);
        at = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi32(x, 7), sum), mask);
    }
    return checksum(&sum, sizeof(sum));
}

static uint64_t avx2(void)
{
    const uint8_t *a = data();
    uint64_t sum = 0;
    for (int i = 0; i < 60; i++)
        sum = sum * 31 + (avx2_hash(a) ^ avx2_gather(a));
    return sum;
}

/* --- FMA: a polynomial for sixteen values at a time --- */
static TARGET("avx2,fma") uint64_t fma_polynomial(void)
{
    static const double coefficient[] = { 1, -0.5, 0.25, -0.125, 0.0625, 0.75, -0.375, 1.5 };
    __m256d sum = _mm256_setzero_pd(), x[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm256_setr_pd(0.1 + i, 0.2 + i, 0.3 + i, 0.4 + i);
    for (int n = 0; n < 6000; n++)
        for (int i = 0; i < 4; i++) {
            __m256d v = _mm256_set1_pd(coefficient[7]);
            for (int k = 6; k >= 0; k--)
                v = _mm256_fmadd_pd(v, x[i], _mm256_set1_pd(coefficient[k]));
            sum = _mm256_fnmadd_pd(sum, _mm256_set1_pd(0.5), v);
            x[i] = _mm256_fmsub_pd(x[i], _mm256_set1_pd(0.999), _mm256_set1_pd(1e-4));
        }
    return checksum(&sum, sizeof(sum));
}

/* --- AES-128 in counter mode (FIPS 197) --- */
#define AES_KEY(i, constant) do { \
        __m128i k = key[(i) - 1], t = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(k, constant), 0xff); \
        k = _mm_xor_si128(k, _mm_slli_si128(k, 4)); \
        k = _mm_xor_si128(k, _mm_slli_si128(k, 8)); \
        key[i] = _mm_xor_si128(k, t); \
    } while (0)

static TARGET("aes,sse2") void aes_expand(__m128i key[11], const uint8_t *user)
{
    key[0] = _mm_loadu_si128((const __m128i *)user);
    AES_KEY(1, 1);
    AES_KEY(2, 2);
    AES_KEY(3, 4);
    AES_KEY(4, 8);
    AES_KEY(5, 16);
    AES_KEY(6, 32);
    AES_KEY(7, 64);
    AES_KEY(8, 128);
    AES_KEY(9, 0x1b);
    AES_KEY(10, 0x36);
}

/* Four blocks side by side. */
static TARGET("aes,sse2") void aes_blocks(const __m128i key[11], __m128i b[4])
{
    for (int i = 0; i < 4; i++)
        b[i] = _mm_xor_si128(b[i], key[0]);
    for (int k = 1; k < 10; k++)
        for (int i = 0; i < 4; i++)
            b[i] = _mm_aesenc_si128(b[i], key[k]);
    for (int i = 0; i < 4; i++)
        b[i] = _mm_aesenclast_si128(b[i], key[10]);
}

static TARGET("aes,sse2") uint64_t aes(void)
{
    static const uint8_t user[16] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    static const uint8_t plain[16] = { 0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff };
    static const uint8_t cipher[16] = { 0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a };
    __m128i key[11], b[4], sum = _mm_setzero_si128();
    const uint8_t *a = data();
    aes_expand(key, user);
    for (int i = 0; i < 4; i++)
        b[i] = _mm_loadu_si128((const __m128i *)plain);
    aes_blocks(key, b);
    if (memcmp(&b[3], cipher, 16))
        return 0;
    for (int n = 0; n < 20; n++)
        for (int at = 0; at < SIZE; at += 64) {
            for (int i = 0; i < 4; i++)
                b[i] = _mm_set_epi64x(n, at / 16 + i);
            aes_blocks(key, b);
            for (int i = 0; i < 4; i++)
                sum = _mm_add_epi64(sum, _mm_xor_si128(b[i], _mm_load_si128((const __m128i *)(a + at + 16 * i))));
        }
    return checksum(&sum, sizeof(sum));
}

/* --- SHA-256 (FIPS 180-4); the state as the instructions want it: ABEF and CDGH --- */
static const uint32_t sha_k[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static TARGET("sha,ssse3,sse4.1") void sha_block(__m128i state[2], const uint8_t *p)
{
    const __m128i big_endian = _mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12);
    __m128i w[4], abef = state[0], cdgh = state[1];
    for (int i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(p + 16 * i)), big_endian);
    for (int i = 0; i < 16; i++) {
        __m128i now = w[i % 4], wk = _mm_add_epi32(now, _mm_load_si128((const __m128i *)(sha_k + 4 * i)));
        cdgh = _mm_sha256rnds2_epu32(cdgh, abef, wk);
        abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(wk, 0x0e));
        __m128i next = _mm_add_epi32(_mm_sha256msg1_epu32(now, w[(i + 1) % 4]), _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4));
        w[i % 4] = _mm_sha256msg2_epu32(next, w[(i + 3) % 4]);
    }
    state[0] = _mm_add_epi32(state[0], abef);
    state[1] = _mm_add_epi32(state[1], cdgh);
}

static TARGET("sha,ssse3,sse4.1") uint64_t sha(void)
{
    static const uint8_t abc[64] = { 'a', 'b', 'c', 0x80, [63] = 24 };
    const uint8_t *a = data();
    __m128i state[2] = { _mm_setr_epi32((int)0x9b05688c, 0x510e527f, (int)0xbb67ae85, 0x6a09e667),
                         _mm_setr_epi32(0x5be0cd19, 0x1f83d9ab, (int)0xa54ff53a, 0x3c6ef372) };
    sha_block(state, abc);
    if (_mm_extract_epi32(state[0], 3) != (int)0xba7816bf || _mm_cvtsi128_si32(state[1]) != (int)0xf20015ad)
        return 0;
    for (int n = 0; n < 20; n++)
        for (int at = 0; at < SIZE; at += 64)
            sha_block(state, a + at);
    return checksum(state, sizeof(state));
}

static bool no_ssse3(void) { return !__builtin_cpu_supports("ssse3"); }
static bool no_avx2(void) { return !__builtin_cpu_supports("avx2"); }
static bool no_fma(void) { return !__builtin_cpu_supports("fma") || no_avx2(); }
static bool no_aes(void) { return !__builtin_cpu_supports("aes"); }

static bool no_sha(void)
{
    uint32_t a = 7, b, c = 0, d;
    asm("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return !(b >> 29 & 1);
}

const struct program programs[] = {
    { "sse2", sse2, 0x51ab5bb20ac0e7ea, NULL },
    { "ssse3", ssse3, 0x3865a7f93fa98820, no_ssse3 },
    { "avx2", avx2, 0xd2bc64a8d83f4480, no_avx2 },
    { "fma", fma_polynomial, 0xaf293683f4a01329, no_fma },
    { "aes", aes, 0xc556d3210a04ac20, no_aes },
    { "sha", sha, 0x95c32574e45dec8d, no_sha },
    { NULL, NULL, 0, NULL },
};
