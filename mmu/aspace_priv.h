/* What region.c tells aspace.c. Machine lock. */
#ifndef MMU_ASPACE_PRIV_H
#define MMU_ASPACE_PRIV_H

/* Renders and publishes the flat view of every address space again. */
void aspace_publish_all(void);

#endif
