/* Mappings that huge pages fit into. Called at start-up for guest memory (mmu/ram.c) and the code cache (util/exec_mem.c). */
#include "util/map.h"
#include <sys/mman.h>

#define HUGE (2 * MiB)

void *map_shared(int fd, size_t size, int prot)
{
    if (size < HUGE)
        return mmap(NULL, size, prot, MAP_SHARED | MAP_NORESERVE, fd, 0);
    u8 *room = mmap(NULL, size + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return MAP_FAILED;
    u8 *at = (u8 *)ALIGN_UP((u64)room, HUGE);
    void *p = mmap(at, size, prot, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
    if (p == MAP_FAILED) {
        int error = errno;
        munmap(room, size + HUGE);
        errno = error;
        return MAP_FAILED;
    }
    if (at > room)
        munmap(room, (size_t)(at - room));
    munmap(at + size, HUGE - (size_t)(at - room));
    madvise(p, size, MADV_HUGEPAGE); /* a wish: the host's settings decide */
    return p;
}
