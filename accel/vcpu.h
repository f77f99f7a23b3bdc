/* A vCPU's thread: waiting, kicks, queued work, and what the CPU core asks of its machine (cpu/platform.h). */
#ifndef ACCEL_VCPU_H
#define ACCEL_VCPU_H
#include <pthread.h>
#include "accel/accel.h"
#include "cpu/platform.h"
#include "mmu/access.h"
#include "util/clock.h"
#include "util/lock.h"

struct vcpu_work {
    void (*fn)(struct vcpu *v, void *arg);
    void *arg;
    struct vcpu_work *next;
    bool done;
};

struct vcpu {
    struct cpu *c;
    struct vm *vm;
    unsigned index;
    pthread_t thread;
    int tid;                   /* [atomic] set by the thread itself */
    bool started;
    struct lock lock;          /* RANK_VCPU: the fields down to `parked` */
    pthread_cond_t wake;       /* the thread waits here */
    pthread_cond_t done;       /* others wait here for `stopped` or for work */
    struct vcpu_work *work;
    bool stopped;              /* out of guest code because the VM is stopped */
    bool quit;
    bool parked;               /* after a triple fault: runs nothing until reset */
    bool in_code;              /* [atomic] inside emitted code or about to enter: see vcpu_exclusive_begin() */
    struct vcpu_mem_hooks hooks;
    struct vm_stop_info *watch_hit; /* set by an access that the debugger watches; points to watch_info */
    struct vm_stop_info watch_info;
    int step;                  /* debugger: run one instruction, then report */
    bool skip_bp;              /* the breakpoint at the current rip was reported: go on over it */
    unsigned pauses;
    struct timer pmu_timer;
    int schedstat;             /* what the host tells about the thread's waiting, -1: nothing; the thread's own */
    void *engine;              /* the engine's own state */
};

int vcpu_new(struct vm *vm, unsigned index, struct vcpu **out, struct err *e);
void vcpu_attach_clock(struct vcpu *v, struct clock *clock); /* once, before vcpu_start */
int vcpu_start(struct vcpu *v, struct err *e);
void vcpu_end(struct vcpu *v);  /* ends the thread; threads reach for each other, so all end before any is freed */
void vcpu_free(struct vcpu *v);
/* Makes the vCPU leave guest code soon and look at its requests; any thread, never blocks. */
void vcpu_kick(struct vcpu *v, u32 xreq);
/* Runs fn on the vCPU's thread at its next block boundary and waits for it; any other thread, no lock of rank >= RANK_VCPU held.
 * On the vCPU's own thread: at once. */
void vcpu_run_on(struct vcpu *v, void (*fn)(struct vcpu *, void *), void *arg);
/* The vCPU whose thread this is, or NULL. */
struct vcpu *vcpu_self(void);
/* True if the (halted) vCPU has a reason to wake. */
bool vcpu_has_event(struct vcpu *v);
/* Delivers pending INIT, SIPI, NMI and maskable interrupts as far as the state allows. vCPU thread, outside emitted code; may raise. */
void vcpu_take_events(struct vcpu *v);

/* A section in which no vCPU is inside emitted code: flushing the code cache. Called by a vCPU thread (itself outside emitted
 * code) or the main thread with the VM stopped. */
void vcpu_exclusive_begin(struct vm *vm);
void vcpu_exclusive_end(struct vm *vm);
/* Brackets emitted code; vcpu_code_enter waits while somebody is exclusive. */
void vcpu_code_enter(struct vcpu *v);
void vcpu_code_leave(struct vcpu *v);

extern const struct cpu_platform vcpu_platform;
extern const struct cpu_pins vcpu_pins;
extern const struct io_regs_ops vcpu_io_regs;

#endif
