/* Light ways of helpers: the usual case of those that the kernel of a guest calls all the time, in code that leaves vector registers alone
 * and never leaves by cpu_raise(), so that a backend can call it with most of the guest's state in host registers. vCPU thread. */
#ifndef CPU_HELP_LIGHT_H
#define CPU_HELP_LIGHT_H
#include "cpu/help/help.h"

struct light {
    u64 value; /* the helper's result */
    u64 undone; /* not 0: nothing has changed, and the helper has to be called */
};
/* The arguments are the helper's; of one with HE_ENDS b is the PC behind the instruction. In struct cpu are rip, aflags, all that is no general or
 * vector register, and of those RAX, RCX, RDX, RBX, RSI and RDI. A block may go on behind a helper with HE_ENDS that was done. HELP_vgather finds the low
 * 32 bytes of its vector registers there, too, and leaves them there. */
typedef struct light light_fn(struct cpu *c, u64 a, u64 b, u64 d);
extern light_fn *const light_table[HELP_COUNT]; /* NULL: there is none */

/* n elements of size bytes from p on become the low bytes of v: the host's own instruction for that. */
static inline void host_fill(u8 *p, u64 v, unsigned size, u64 n)
{
    switch (size) {
    case 1: __asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(v) : "memory"); break;
    case 2: __asm__ volatile("rep stosw" : "+D"(p), "+c"(n) : "a"(v) : "memory"); break;
    case 4: __asm__ volatile("rep stosl" : "+D"(p), "+c"(n) : "a"(v) : "memory"); break;
    default: __asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(v) : "memory");
    }
}

#endif
