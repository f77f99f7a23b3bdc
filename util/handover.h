/* Marks data that one thread hands to another through GLib (idle sources, thread pools, queues), whose own locks the thread sanitizer does not see: what
 * was written before handover_give(p) is seen behind handover_take(p). Any thread; nothing at all in other builds. */
#ifndef UTIL_HANDOVER_H
#define UTIL_HANDOVER_H

#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *p);
void __tsan_release(void *p);
static inline void handover_give(void *p) { __tsan_release(p); }
static inline void handover_take(void *p) { __tsan_acquire(p); }
#else
static inline void handover_give(void *p) {}
static inline void handover_take(void *p) {}
#endif

#endif
