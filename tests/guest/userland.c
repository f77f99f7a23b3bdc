/* A Linux program that works what a shell cannot: floating point in both units, threads, signals, faults, code made at run time.
 * linux_test.sh runs it on the host and, as part of the initramfs, in the guest; both must print the same. Two threads and up. */
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Only operations that IEEE 754 defines to the last bit: what the C library's functions use depends on the processor. */
static void floats(void)
{
    double s = 0, p = 1;
    long double e = 1, t = 1;
    float f = 0;
    for (int i = 1; i <= 100000; i++) {
        s += 1.0 / ((double)i * i);
        p *= 1 + 1 / (double)i / i / i;
        f += 1 / (float)i;
    }
    for (int i = 1; i < 30; i++) {
        t /= i;
        e += t;
    }
    printf("float %.17g %.17g %.9g %.21Lg %a\n", s, p, f, e, __builtin_sqrt(s));
    printf("int %d %lld %.17g\n", (int)(s * 1e8), (long long)(e * 1e15L), (double)0xfffffffffffffffful);
}

enum { THREADS = 4, ROUNDS = 20000 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long locked;
static _Atomic long atomically;
static _Thread_local long own;

static void *count(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        locked++;
        pthread_mutex_unlock(&mutex);
        atomically++;
        own++;
    }
    return (void *)own;
}

static void threads(void)
{
    pthread_t t[THREADS];
    long sum = 0;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, count, NULL);
    for (int i = 0; i < THREADS; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    printf("threads %ld %ld %ld\n", locked, (long)atomically, sum);
}

static volatile sig_atomic_t ticks, faults;
static sigjmp_buf back;
static void on_alarm(int sig) { ticks++; }
static void on_fault(int sig, siginfo_t *info, void *context)
{
    faults = faults * 10 + info->si_code;
    siglongjmp(back, sig);
}

static void handle(int sig, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(sig, &sa, NULL);
}

static void signals(void)
{
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { { 0, 0 }, { 0, 0 } };
    volatile double x = 1;
    volatile int zero = 0;
    char *volatile nowhere = (char *)16;
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &every, NULL);
    while (ticks < 20) /* a signal in the middle must not show in the registers */
        for (int i = 0; i < 1000; i++)
            x = x * 1.5 - x / 2;
    setitimer(ITIMER_REAL, &never, NULL);
    sigaltstack(&ss, NULL);
    handle(SIGSEGV, on_fault);
    handle(SIGFPE, on_fault);
    handle(SIGILL, on_fault);
    volatile int segv = sigsetjmp(back, 1), fpe = 0, ill = 0;
    if (!segv)
        *nowhere = 1;
    if (!(fpe = sigsetjmp(back, 1)))
        zero = 100 / zero;
    if (!(ill = sigsetjmp(back, 1)))
        __builtin_trap();
    printf("signals %g %d %d %d %d\n", x, segv, fpe, ill, (int)faults);
}

/* A function is written, called and overwritten, a thousand times. */
static void code(void)
{
    unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned long sum = 0;
    if (p == MAP_FAILED)
        return;
    for (unsigned i = 0; i < 1000; i++) {
        memcpy(p, "\xb8\0\0\0\0\xc3", 6); /* mov $i, %eax; ret */
        memcpy(p + 1, &i, 4);
        sum += ((unsigned (*)(void))(uintptr_t)p)();
    }
    printf("code %lu\n", sum);
}

/* A ring of processes passes a number on, which all of them increment. */
static void processes(void)
{
    enum { N = 8, LAPS = 50 };
    int ring[N][2], status, good = 0;
    long v = 0;
    for (int i = 0; i < N; i++)
        if (pipe(ring[i]))
            exit(1);
    fflush(stdout);
    for (int i = 1; i < N; i++) {
        if (fork() == 0) {
            for (int k = 0; k < LAPS && read(ring[i - 1][0], &v, sizeof(v)) == sizeof(v); k++) {
                v++;
                if (write(ring[i][1], &v, sizeof(v)) != sizeof(v))
                    break;
            }
            _exit(i);
        }
    }
    for (int k = 0; k < LAPS; k++) {
        v++;
        if (write(ring[0][1], &v, sizeof(v)) != sizeof(v) || read(ring[N - 1][0], &v, sizeof(v)) != sizeof(v))
            break;
    }
    while (wait(&status) > 0)
        good += WEXITSTATUS(status);
    printf("processes %ld %d\n", v, good);
}

/* --- AVX-512 --- */
enum { WIDE_BYTES = 1000, WIDE_ROUNDS = 4000 };

/* Sixteen sums over words, word by word. */
static uint32_t sum_narrow(const uint8_t *p, size_t n, uint32_t seed)
{
    uint32_t lane[16] = { 0 }, r = seed;
    for (size_t i = 0; i < n; i++)
        lane[i / 4 % 16] = (lane[i / 4 % 16] ^ (uint32_t)p[i] << i % 4 * 8);
    for (int i = 0; i < 16; i++)
        r = r * 31 + (lane[i] > 0x80000000u ? lane[i] : ~lane[i]);
    return r;
}

/* The same with registers, masks, masked loads and stores that only AVX-512 has. */
__attribute__((target("avx512f,avx512bw"))) static uint32_t sum_wide(const uint8_t *p, size_t n, uint32_t seed)
{
    __m512i lanes = _mm512_setzero_si512();
    uint32_t lane[16], r = seed;
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 k = n - i < 64 ? (1ull << (n - i)) - 1 : ~0ull;
        lanes = _mm512_xor_si512(lanes, _mm512_maskz_loadu_epi8(k, p + i));
    }
    __mmask16 big = _mm512_cmp_epu32_mask(lanes, _mm512_set1_epi32((int)0x80000000), _MM_CMPINT_NLE);
    lanes = _mm512_mask_xor_epi32(lanes, (__mmask16)~big, lanes, _mm512_set1_epi32(-1));
    _mm512_mask_storeu_epi32(lane, 0x5555, lanes);
    _mm512_mask_storeu_epi32(lane, 0xaaaa, lanes);
    for (int i = 0; i < 16; i++)
        r = r * 31 + lane[i];
    return r;
}

/* Copies that the C library makes with whatever registers it likes, up to the end of a mapping, and sums of them in both ways. */
static int wide_work(unsigned seed)
{
    uint8_t *room = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *from = malloc(WIDE_BYTES);
    int bad = 0, has = __builtin_cpu_supports("avx512bw") != 0;
    mprotect(room + 4096, 4096, PROT_NONE);
    for (int i = 0; i < WIDE_BYTES; i++)
        from[i] = (uint8_t)((seed = seed * 1103515245 + 12345) >> 16);
    for (unsigned i = 0; i < WIDE_ROUNDS; i++) {
        size_t n = (i * 37 + seed) % WIDE_BYTES;
        uint8_t *to = room + 4096 - n;
        memset(to, 0x55, n);
        memcpy(to, from, n);
        bad += memcmp(to, from, n) != 0;
        uint32_t narrow = sum_narrow(from, n, i);
        bad += narrow != (has ? sum_wide(to, n, i) : sum_narrow(to, n, i));
        if (i % 64 == 0)
            sched_yield();
    }
    free(from);
    munmap(room, 8192);
    return bad;
}

static void *wide_thread(void *seed) { return (void *)(intptr_t)wide_work((unsigned)(intptr_t)seed); }

/* Two processes of two threads each, which take turns with the registers. */
static void wide(void)
{
    int status = 0;
    fflush(stdout);
    pid_t pid = fork();
    pthread_t t;
    void *bad;
    pthread_create(&t, NULL, wide_thread, (void *)(intptr_t)(pid ? 1 : 2));
    int sum = wide_work(pid ? 3 : 4);
    pthread_join(t, &bad);
    sum += (int)(intptr_t)bad;
    if (!pid)
        _exit(sum != 0);
    waitpid(pid, &status, 0);
    printf("avx512 %d: %d different, child %d\n", __builtin_cpu_supports("avx512bw") != 0, sum, status);
}

int main(void)
{
    floats();
    threads();
    signals();
    code();
    processes();
    wide();
    return 0;
}
