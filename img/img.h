/* gemel-img: what its commands share. One thread, except where a command starts workers of its own. */
#ifndef IMG_IMG_H
#define IMG_IMG_H
#include <getopt.h>
#include <glib.h>
#include <stdio.h>
#include "hw/backend/blk_int.h"

#define PIECE (2 * MiB)

/* Each command gets argv[0] = its name; the result is the exit status. */
int cmd_create(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_resize(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_commit(int argc, char **argv);
int cmd_rebase(int argc, char **argv);
int cmd_compare(int argc, char **argv);

/* "gemel-img: TEXT" on standard error; returns 1. */
int fail(const char *fmt, ...) PRINTF(1, 2);
int fail_usage(const char *fmt, ...) PRINTF(1, 2); /* with a hint at --help */

/* The options that most commands have. */
struct image_options {
    const char *format, *cache;
    bool share, image_opts, quiet, progress;
    bool json, bad_output;   /* --output= */
};
/* Long options of all commands. */
enum { OPT_OUTPUT = 256, OPT_BACKING_CHAIN, OPT_SHRINK, OPT_PREALLOCATION, OPT_IMAGE_OPTS, OPT_TARGET_IS_ZERO, OPT_SALVAGE, OPT_START, OPT_MAX_LENGTH };
extern const struct option img_long_options[];
/* Takes what `opt` of getopt means if it is one of the shared ones; false if not. */
bool image_option(struct image_options *o, int opt, const char *arg);
/* The same for commands that have --output=. */
bool output_option(struct image_options *o, int opt, const char *arg);
int check_output(const struct image_options *o); /* 1, having said so, after a wrong one */

/* NULL, having said why, if it cannot be opened. */
struct blk_node *image_open(const char *name, const struct image_options *o, unsigned flags);
/* cache= as flags; -1, having said so, for an unknown word. */
int cache_flags(const char *cache, unsigned *flags);
/* Makes an image: -o's option list may be NULL. Says what it does unless quiet. 0 or 1. */
int image_create(const char *format, const char *name, i64 size, const char *options, const char *backing, const char *backing_format,
                 bool unchecked, bool quiet);
/* Like node_status, through all layers; *depth: the layer that answered, *layer its node. */
int chain_status(struct blk_node *n, u64 off, u64 len, struct blk_extent *x, unsigned *depth, struct blk_node **layer);
/* cmd_info.c */
void print_snapshots(const struct blk_node *n);
void progress_show(bool on, u64 done, u64 all);
void progress_end(bool on);

/* -- JSON output ------------------------------------------------------------------------------------------------------------ */

struct json_out {
    unsigned depth;
    bool first;
};
void json_open(struct json_out *j, const char *name, char bracket);
void json_close(struct json_out *j, char bracket);
void json_str(struct json_out *j, const char *name, const char *value);
void json_int(struct json_out *j, const char *name, u64 value);
void json_bool(struct json_out *j, const char *name, bool value);

#endif
