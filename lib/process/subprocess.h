/*
 * Child processes with transports. A call of weir/subprocess.h starts the
 * child, and connects its protocol in the next loop iteration. For a process
 * with streams, a task does both in one call.
 */
#ifndef WEIR_LIB_PROCESS_SUBPROCESS_H
#define WEIR_LIB_PROCESS_SUBPROCESS_H

#include "lib/loop/loop.h"
#include "uring/spawn.h"
#include "weir/base.h"
#include "weir/subprocess.h"

/*
 * A child process and its end.
 *
 *     NONE --spawn--> SPAWNED --watch--> WATCHED --its end--> EXITED, UNKNOWN
 *                                           |                    ^
 *                                           '--leave--> LEAVING -'
 *
 * A poll waits for the child's pidfd, and the child is reaped when the pidfd
 * reports its end. No other code of the library reaps it, so a signal reaches
 * the child or is refused, and never reaches another process. State UNKNOWN is
 * the end of a child that other code has reaped, or that cannot be waited for.
 *
 * A child that leads a process group keeps its pidfd after its end, until
 * wr_child_fini(), unless the kernel cannot signal a group through it: as long
 * as a process of the group lives, the pidfd names the group.
 */

enum wr_child_state {
    WR_CHILD_NONE,
    WR_CHILD_SPAWNED,
    WR_CHILD_WATCHED,
    WR_CHILD_LEAVING,
    WR_CHILD_EXITED,
    WR_CHILD_UNKNOWN,
    WR_CHILD_STATES,
};

struct wr_child {
    weir_loop *loop;
    struct wr_op op;      /* polls the pidfd */
    struct wr_timer rest; /* time until the child is polled again */
    /* Called from a completion when the child has ended. */
    void (*ended)(struct wr_child *child);
    enum wr_child_state state;
    /* Set by the spawn: the child leads a group that can be signalled. */
    bool leads;
    pid_t pid;
    int pidfd;      /* -1 without a child, or when it has ended and leads no
                     * group */
    int returncode; /* exit status of an EXITED child */
};

void wr_child_init(struct wr_child *child, weir_loop *loop,
                   void (*ended)(struct wr_child *child));
void wr_child_check_invariants(const struct wr_child *child);

/* Makes the child; returns like wr_spawn(). */
WEIR_MUST_USE int wr_child_spawn(struct wr_child *child,
                                 const struct wr_spawn *spawn,
                                 const char **ret_step);

void wr_child_watch(struct wr_child *child);

/* Stops waiting: ->ended is called soon. */
void wr_child_leave(struct wr_child *child);

/* The ring is closed: kills the child and reaps it. */
void wr_child_abandon(struct wr_child *child);

/* Frees a child that has ended, or was never made. */
void wr_child_fini(struct wr_child *child);

/* Returns 0, -ESRCH if the child has ended, or another error. */
WEIR_MUST_USE int wr_child_signal(const struct wr_child *child, int signum);

/* Signals the group that the child leads or led. Returns 0, -ESRCH if it is
 * empty, -EOPNOTSUPP if the kernel has no such call, or another error. */
WEIR_MUST_USE int wr_child_signal_group(const struct wr_child *child,
                                        int signum);

static inline bool wr_child_has_ended(const struct wr_child *child)
{
    return child->state >= WR_CHILD_EXITED;
}

/* Returns 0, -EAGAIN while the child lives, or WEIR_ENOSTATUS. */
WEIR_MUST_USE int wr_child_returncode(const struct wr_child *child, int *ret);

/*
 * The possible paths of a program, which a child tries one after the other.
 * They are found before the child is made, because the child may not allocate.
 * No file system access.
 */

struct wr_program {
    const char **paths; /* in order, NULL at the end; one piece of memory */
    size_t size;        /* bytes of the memory of paths */
};

/* Finds the paths of @file like execvp(): a name with a slash is the path; any
 * other name is looked up in the PATH of @env. Returns 0, -ENOENT for an empty
 * name, or -ENOMEM. */
WEIR_MUST_USE int wr_program_init(struct wr_program *program,
                                  const struct weir_allocator *allocator,
                                  const char *file, const char *const *env);
void wr_program_fini(struct wr_program *program,
                     const struct weir_allocator *allocator);

/*
 * The three standard descriptors of a child, before it is made. Each is a pipe
 * to the parent, /dev/null, a descriptor of the program, or the parent's
 * descriptor. All descriptors opened here are close-on-exec, so that no other
 * child gets them.
 */

struct wr_stdio {
    int ours[WR_STDIO_COUNT];   /* the parent's end of a pipe, or -1 */
    int theirs[WR_STDIO_COUNT]; /* for struct wr_spawn */
    /* theirs[i] was opened here, and must be closed. */
    bool is_opened[WR_STDIO_COUNT];
};

/* Checks the options. Returns 0, -EINVAL or -EBADF. */
WEIR_MUST_USE int wr_stdio_check(const struct weir_spawn_options *options);

/* Opens the descriptors. A failed call leaves none open. */
WEIR_MUST_USE int wr_stdio_open(struct wr_stdio *stdio,
                                const struct weir_spawn_options *options);

/* Closes the child's ends: the child has its own, or there is no child. */
void wr_stdio_close_theirs(struct wr_stdio *stdio);
void wr_stdio_close_ours(struct wr_stdio *stdio);

/* Reads the child's options, which are the last member of the struct @outer;
 * see options.h. */
WEIR_MUST_USE int wr_spawn_options_read(const void *outer,
                                        struct weir_spawn_options *spawn);

/* Makes the child and connects its protocol in this call, from a task: the
 * factory, connection_made and the sinks call no code of the program. A sink
 * that has a table is called for its pipe instead of the protocol. @options
 * were read. After an error there is no child, or a killed child that nothing
 * reports. */
WEIR_MUST_USE int
wr_subprocess_open(weir_loop *loop, const struct weir_factory *factory,
                   const char *const *argv,
                   const struct weir_spawn_options *options,
                   const struct weir_protocol_binding sinks[WR_STDIO_COUNT]);

#define WR_SHELL_ARGV(command)                                                 \
    (const char *const[])                                                      \
    {                                                                          \
        "/bin/sh", "-c", (command), NULL                                       \
    }

#endif
