/*
 * The three standard descriptors of a child, before it is made. Each is a pipe
 * to the parent, /dev/null, a descriptor of the program, or the parent's
 * descriptor. All descriptors opened here are close-on-exec, so that no other
 * child gets them.
 */
#ifndef WEIR_LIB_PROCESS_STDIO_H
#define WEIR_LIB_PROCESS_STDIO_H

#include "uring/spawn.h"
#include "weir/subprocess.h"

struct wr_stdio {
    int ours[WR_STDIO_COUNT];       /* the parent's end of a pipe, or -1 */
    int theirs[WR_STDIO_COUNT];     /* for struct wr_spawn */
    bool is_opened[WR_STDIO_COUNT]; /* theirs was opened here */
};

/* Checks the options. Returns 0, -EINVAL or -EBADF. */
WEIR_MUST_USE int wr_stdio_check(const struct weir_spawn_options *options);

/* Opens the descriptors. A failed call leaves none open. */
WEIR_MUST_USE int wr_stdio_open(struct wr_stdio *stdio,
                                const struct weir_spawn_options *options);

/* Closes the child's ends: the child has its own, or there is no child. */
void wr_stdio_close_theirs(struct wr_stdio *stdio);
void wr_stdio_close_ours(struct wr_stdio *stdio);

#endif
