/*
 * Child processes with transports. weir_subprocess_exec() starts the child, and
 * connects its protocol in the next loop iteration. For a process with streams,
 * a task does both in one call.
 */
#ifndef WEIR_LIB_PROCESS_SUBPROCESS_H
#define WEIR_LIB_PROCESS_SUBPROCESS_H

#include "lib/loop/loop.h"
#include "uring/spawn.h"
#include "weir/base.h"
#include "weir/subprocess.h"

/*
 * A child process.
 *
 *     NONE --spawn--> SPAWNED --watch--> WATCHED --its end--> EXITED, UNKNOWN
 *                                           |                    ^
 *                                           '--leave--> LEAVING -'
 *
 * A poll of the pidfd waits for the end of the child, which is then reaped. No
 * other code of the library reaps it, so a signal never reaches another
 * process. UNKNOWN is the end of a child that other code has reaped, or that
 * the library does not wait for any longer. If the kernel can signal a group
 * through a pidfd, a child that leads a group keeps its pidfd until
 * wr_child_fini().
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
    struct wr_op op;
    struct wr_timer rest;
    void (*ended)(struct wr_child *child);
    enum wr_child_state state;
    /* The child leads a group that can be signalled through pidfd. */
    bool leads;
    pid_t pid;
    /* -1 without a child, or if it has ended and leads is false */
    int pidfd;
    int returncode;
};

void wr_child_init(struct wr_child *child, weir_loop *loop,
                   void (*ended)(struct wr_child *child));
void wr_child_check_invariants(const struct wr_child *child);

/* Returns like wr_spawn(). */
WEIR_MUST_USE int wr_child_spawn(struct wr_child *child,
                                 const struct wr_spawn *spawn,
                                 const char **ret_step);

void wr_child_watch(struct wr_child *child);

/* Stops waiting for the child. ->ended is called later. */
void wr_child_leave(struct wr_child *child);

/* Kills the child and reaps it. The ring must be closed. */
void wr_child_abandon(struct wr_child *child);

/* The child must have ended, or must not have been spawned. */
void wr_child_fini(struct wr_child *child);

/* Returns 0, -ESRCH if the child has ended, or another error. */
WEIR_MUST_USE int wr_child_signal(const struct wr_child *child, int signum);

/* Signals the group that the child leads or led. Returns 0, -ESRCH if it is
 * empty, -EOPNOTSUPP if the kernel cannot do this, or another error. */
WEIR_MUST_USE int wr_child_signal_group(const struct wr_child *child,
                                        int signum);

static inline bool wr_child_has_ended(const struct wr_child *child)
{
    return child->state >= WR_CHILD_EXITED;
}

/* Returns 0, -EAGAIN while the child lives, or WEIR_ENOSTATUS. */
WEIR_MUST_USE int wr_child_returncode(const struct wr_child *child, int *ret);

/* The possible paths of a program, which the child tries in order. They are
 * made before the child, because the child may not allocate. */

struct wr_program {
    const char **paths;
    size_t size;
};

/* Makes the paths of @file by the rules of execvp(), with the PATH of @env.
 * Does not access the file system. Returns 0, -ENOENT for an empty name, or
 * -ENOMEM. */
WEIR_MUST_USE int wr_program_init(struct wr_program *program,
                                  const struct weir_allocator *allocator,
                                  const char *file, const char *const *env);
void wr_program_fini(struct wr_program *program,
                     const struct weir_allocator *allocator);

/* The three standard descriptors of a child. Each is a pipe to the parent,
 * /dev/null, a descriptor of the program, or the parent's descriptor. Those
 * that are opened here are close-on-exec. */

struct wr_stdio {
    int ours[WR_STDIO_COUNT]; /* the parent's end of a pipe, or -1 */
    /* the child's descriptor, or -1 for the parent's */
    int theirs[WR_STDIO_COUNT];
    /* theirs[i] was opened by wr_stdio_open() */
    bool is_opened[WR_STDIO_COUNT];
};

/* Returns 0, -EINVAL or -EBADF. */
WEIR_MUST_USE int wr_stdio_check(const struct weir_spawn_options *options);

/* If it fails, all descriptors that it opened are closed. */
WEIR_MUST_USE int wr_stdio_open(struct wr_stdio *stdio,
                                const struct weir_spawn_options *options);

/* Called when the child has its copies, or was not made. */
void wr_stdio_close_theirs(struct wr_stdio *stdio);
void wr_stdio_close_ours(struct wr_stdio *stdio);

/* Reads options that are the last field of the struct @outer; see options.h. */
WEIR_MUST_USE int wr_spawn_options_read(const void *outer,
                                        struct weir_spawn_options *spawn);

/* Makes the child and connects its protocol in this call of a task. The
 * factory, connection_made and the sinks must not call the program. A sink with
 * a protocol is called for its pipe instead of the subprocess's protocol. If
 * this fails, there is no child, or the child is killed and its end is not
 * reported. */
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
