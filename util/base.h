/* Integer types and small macros that every file uses; no code that runs on its own, any thread. */
#ifndef UTIL_BASE_H
#define UTIL_BASE_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t i8;
typedef int16_t i16;
typedef int32_t i32;
typedef int64_t i64;
typedef unsigned __int128 u128;
typedef __int128 i128;

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define BIT(n) (1u << (n))
#define BIT64(n) (1ull << (n))
#define MASK64(n) ((n) >= 64 ? ~0ull : (1ull << (n)) - 1)
#define KiB 1024ull
#define MiB (1024ull * KiB)
#define GiB (1024ull * MiB)
#define NS_PER_SEC 1000000000ll

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
#define MIN_OF(a, b) ((a) < (b) ? (a) : (b))
#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_UP(x, a) (((x) + (a) - 1) & ~((u64)(a) - 1))
#define ALIGN_DOWN(x, a) ((x) & ~((u64)(a) - 1))

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NORETURN __attribute__((noreturn))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Unaligned little-endian access to host memory (guest and host are both little-endian). */
static inline u16 ld16(const void *p) { u16 v; memcpy(&v, p, 2); return v; }
static inline u32 ld32(const void *p) { u32 v; memcpy(&v, p, 4); return v; }
static inline u64 ld64(const void *p) { u64 v; memcpy(&v, p, 8); return v; }
static inline void st16(void *p, u16 v) { memcpy(p, &v, 2); }
static inline void st32(void *p, u32 v) { memcpy(p, &v, 4); }
static inline void st64(void *p, u64 v) { memcpy(p, &v, 8); }

/* Sign-extends the low `bytes` (1, 2, 4, 8) bytes of v. */
static inline u64 sext(u64 v, unsigned bytes)
{
    unsigned sh = 64 - bytes * 8;
    return (u64)((i64)(v << sh) >> sh);
}
/* Truncates v to its low `bytes` (1, 2, 4, 8) bytes. */
static inline u64 zext(u64 v, unsigned bytes) { return v & MASK64(bytes * 8); }

#endif
