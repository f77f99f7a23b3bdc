/* gemel-img: makes, converts, checks and changes disk images, with qemu-img's commands, options, output and exit statuses. One thread, the
 * main one; each command is in a file of its own. */
#include <stdarg.h>
#include <string.h>
#include "config.h"
#include "img/img.h"

static const struct {
    const char *name;
    int (*fn)(int argc, char **argv);
    const char *usage;
} commands[] = {
    { "check", cmd_check, "[-f FMT] [--output=human|json] [-r leaks|all] [-q] [-U] FILE" },
    { "commit", cmd_commit, "[-f FMT] [-t CACHE] [-d] [-p] [-q] FILE" },
    { "compare", cmd_compare, "[-f FMT] [-F FMT] [-s] [-p] [-q] [-U] FILE1 FILE2" },
    { "convert", cmd_convert, "[-f FMT] [-O FMT] [-B BACKING [-F FMT]] [-c] [-o OPTIONS] [-l SNAPSHOT] [-n] [-p] [-q] [-S SIZE] [-m N] [-t CACHE] [-T CACHE] [-U] FILE... OUTPUT" },
    { "create", cmd_create, "[-f FMT] [-b BACKING [-F FMT]] [-u] [-o OPTIONS] [-q] FILE [SIZE]" },
    { "info", cmd_info, "[-f FMT] [--output=human|json] [--backing-chain] [-U] FILE" },
    { "map", cmd_map, "[-f FMT] [--output=human|json] [--start-offset=N] [--max-length=N] [-U] FILE" },
    { "rebase", cmd_rebase, "[-f FMT] [-u] [-p] [-q] -b BACKING [-F FMT] FILE" },
    { "resize", cmd_resize, "[-f FMT] [--preallocation=MODE] [--shrink] [-q] FILE [+|-]SIZE" },
    { "snapshot", cmd_snapshot, "[-f FMT] [-q] [-U] [-l | -a NAME | -c NAME | -d NAME] FILE" },
};

static void print_usage(void)
{
    printf("gemel-img version %s\nusage: gemel-img COMMAND [OPTION]...\n\nCommands:\n", GEMEL_VERSION);
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++)
        printf("  %s %s\n", commands[i].name, commands[i].usage);
    printf("\nSupported formats:");
    for (unsigned i = 0; driver_nth(i); i++)
        printf(" %s", driver_nth(i)->name);
    printf("\n");
}

int fail(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fprintf(stderr, "gemel-img: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    return 1;
}

int fail_usage(const char *fmt, ...)
{
    va_list ap;

    fprintf(stderr, "gemel-img: ");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\nTry 'gemel-img --help' for more information\n");
    return 1;
}

int main(int argc, char **argv)
{
    int r;

    if (argc < 2)
        return fail_usage("Not enough arguments");
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_usage();
        return 0;
    }
    if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        printf("gemel-img version %s\n", GEMEL_VERSION);
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcmp(argv[1], commands[i].name))
            continue;
        if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
            print_usage();
            return 0;
        }
        r = commands[i].fn(argc - 1, argv + 1);
        if (fflush(stdout) || ferror(stdout))
            return fail("cannot write the output");
        return r;
    }
    return fail_usage("Command not found: %s", argv[1]);
}
