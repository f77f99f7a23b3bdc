/* Files that come with the host or with this program: firmware and option ROMs. Main thread. */
#ifndef HW_CORE_DATAFILE_H
#define HW_CORE_DATAFILE_H

struct machine;

/* The path of `name`: itself if it can be read, else in the -L directories, then in those where distributions put firmware and ROMs. The
 * caller frees it; NULL: nowhere. */
char *datafile_find(const struct machine *m, const char *name);

#endif
