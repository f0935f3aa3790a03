/**
 * @file subprocess.h
 * Child processes with transports and protocols; asyncio's subprocess_exec.
 *
 * A child has a transport of the kind "subprocess", and a transport for each
 * standard descriptor that is a pipe. The protocol of the first is a table of
 * the kind WEIR_PROTOCOL_SUBPROCESS: it is called with the output of the child,
 * the ends of the pipes and the end of the child.
 *
 *     connection_made  [ pipe_data_received | pipe_connection_lost |
 *                        process_exited ]*  connection_lost
 *
 * Bytes of a descriptor are delivered before its pipe_connection_lost;
 * process_exited may be called before, between or after them. connection_lost
 * is called when the child has ended and all of its pipes are closed: a
 * grandchild that holds a pipe delays it, but not process_exited. pause_writing
 * and resume_writing are about the child's standard input.
 *
 * The end of a child is detected with its pidfd. weir installs no handler for
 * SIGCHLD and never waits for a process that it did not start. A child is
 * always reaped, even after its transport was closed, and when the loop is
 * freed, which aborts it.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_SUBPROCESS_H
#define WEIR_SUBPROCESS_H

#include "base.h"
#include "connect_options.h"
#include "pending.h"
#include "protocol.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/** Connections of a child's standard stream. */
enum weir_stdio_kind {
    /** A pipe in subprocess.h, the parent's descriptor in process.h. */
    WEIR_STDIO_DEFAULT = 0,
    /** A pipe to this program; asyncio's PIPE. */
    WEIR_STDIO_PIPE = 1,
    /** Inherit the parent's descriptor of the same number; asyncio's None. */
    WEIR_STDIO_INHERIT = 2,
    /** /dev/null; asyncio's DEVNULL. */
    WEIR_STDIO_DEVNULL = 3,
    /** A descriptor of the parent; the child gets a duplicate. */
    WEIR_STDIO_FD = 4,
    /** Standard error only: the same as standard output; asyncio's STDOUT. */
    WEIR_STDIO_STDOUT = 5,
};

/** A standard descriptor of a child. */
struct weir_stdio {
    /** The connection. */
    enum weir_stdio_kind kind;
    /** With WEIR_STDIO_FD the descriptor; borrowed. Otherwise 0. */
    int fd;
};

/** Options of a child. */
struct weir_spawn_options {
    size_t size;
    /** The child's descriptor 0. */
    struct weir_stdio in;
    /** The child's descriptor 1. */
    struct weir_stdio out;
    /** The child's descriptor 2. */
    struct weir_stdio err;
    /** The file of the program if it is not argv[0]; looked up in the same way.
     */
    const char *executable;
    /** The child's working directory; NULL means the parent's. */
    const char *cwd;
    /** The child's environment, "NAME=value" each and NULL at the end; NULL
     * means the parent's. The program is looked up in its PATH. */
    const char *const *env;
    /** Descriptors, at least 3, that the child inherits with the same numbers.
     * All others are closed, whether or not they are close-on-exec. */
    const int *pass_fds;
    /** Number of these descriptors. */
    size_t pass_fd_count;
    /** Run the child in a new session (setsid). */
    bool start_new_session;
    /** Put the child into process_group. */
    bool use_process_group;
    /** With use_process_group: the group; 0 makes one with the child's
     * number. */
    pid_t process_group;
    /** Give the child the mask in umask. */
    bool use_umask;
    /** With use_umask: the mask of file permissions. */
    mode_t umask;
    /** Time between the SIGTERM and the SIGKILL of weir_transport_close();
     * default 5 s. */
    uint64_t close_grace_ns;
    /** weir_transport_close() sends SIGKILL at once, as asyncio's does. */
    bool kill_at_close;
    /** If the child cannot be started, set to the failed step, such as "cwd" or
     * "program", a static text. May be NULL. */
    const char **ret_step;
};

/**
 * Start a program and connect its pipes to a protocol.
 *
 * When this returns the program runs, or the error of its execve() is returned.
 * The loop's thread sleeps until then, as in posix_spawn() and vfork(): for a
 * fraction of a millisecond, whatever the size of the parent; longer, at times
 * 100 ms and more, if the CPUs are busy, and while the program is looked up on
 * a slow file system. If a loop must not stop, start children on a loop of
 * another thread. The factory, the protocol's connection_made and then done are
 * called in the next loop iteration, before any other callback of the protocol.
 *
 * The program is looked up as execvp() does, in the PATH of the child's
 * environment, unless its name has a slash. A file without a known format fails
 * with -ENOEXEC; it is not run by the shell.
 *
 * The child has no signal blocked and no handler; signals that the parent
 * ignores stay ignored, except SIGPIPE and SIGXFSZ. To change the user run a
 * program such as setpriv(1): the child shares the parent's memory until
 * execve().
 *
 * @param factory  makes the protocol, of the kind WEIR_PROTOCOL_SUBPROCESS;
 *                 copied. If it fails the child is killed, and done is called
 *                 with the error once the child has ended.
 * @param argv     the program's arguments, name first, NULL at the end;
 *                 borrowed
 * @param options  borrowed with all that they point to; NULL for all defaults
 * @param done     called once: with 0 and the transport after connection_made,
 *                 or with an error after the child has ended, without a
 *                 protocol; may be NULL if no handle is wanted
 * @param ret      a handle for weir_pending_cancel(), which needs a @p done;
 *                 NULL if not wanted. Cancelling kills the child, and done
 *                 follows when it has ended; in a callback of the protocol,
 *                 before done, it also aborts the transport
 * @return         0
 * @retval -ENOENT     no such program, or no such directory as cwd
 * @retval -EACCES     the file may not be executed, or cwd may not be entered
 * @retval -ENOEXEC    the file is not a program
 * @retval -E2BIG      arguments and environment are too large, or the options
 *                     have an unknown field of a newer library
 * @retval -ENOTDIR    cwd is not a directory
 * @retval -EAGAIN     the user or the system has too many processes
 * @retval -EMFILE, -ENFILE too many open descriptors
 * @retval -EBADF      a descriptor for the child is not open
 * @retval -EINVAL     no argument, a WEIR_STDIO_... value that does not fit, a
 *                     descriptor below 3 in pass_fds, or a handle without done
 */
WEIR_API WEIR_MUST_USE int weir_subprocess_exec(
    weir_loop *loop, const struct weir_factory *factory,
    const char *const *argv, const struct weir_spawn_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Start a command of the shell: weir_subprocess_exec() of /bin/sh -c.
 *
 * @param factory  makes the protocol; copied
 * @param command  a command line that /bin/sh parses; borrowed. Quote untrusted
 *                 text in it.
 * @param options  as in weir_subprocess_exec()
 * @param done     as in weir_subprocess_exec()
 * @param ret      as in weir_subprocess_exec()
 * @return         as weir_subprocess_exec(); if a command is not found the
 *                 shell's exit status is 127
 */
WEIR_API WEIR_MUST_USE int weir_subprocess_shell(
    weir_loop *loop, const struct weir_factory *factory, const char *command,
    const struct weir_spawn_options *options, weir_connect_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * Get the child's process id. The id is the child's until the child is reaped,
 * which is before process_exited; weir_transport_send_signal() is always safe.
 *
 * @return   the number
 * @retval -EOPNOTSUPP  a transport of another kind
 */
WEIR_API pid_t weir_transport_get_pid(const weir_transport *t);

/**
 * Get the child's exit status.
 *
 * @param ret  its exit status from 0 to 255, or minus the number of the signal
 *             that ended it; written on success only
 * @retval -EAGAIN      the child has not ended, or weir has not detected it yet
 * @retval WEIR_ENOSTATUS  other code of this process has reaped the child, or
 *                         SIGCHLD is ignored, and the kernel (before Linux
 *                         6.15) no longer has its exit status
 * @retval -EOPNOTSUPP  a transport of another kind
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_returncode(const weir_transport *t, int *ret);

/**
 * Get the transport of one of the child's pipes. A write to the transport of
 * descriptor 0 is the child's standard input. Closing a transport closes only
 * its pipe. The protocols of these transports belong to weir.
 *
 * @param fd  0, 1 or 2: the child's descriptor
 * @return    the pipe's transport, borrowed and valid as long as @p t is; NULL
 *            if the descriptor is not a pipe, in the factory, and for a
 *            transport of another kind
 */
WEIR_API weir_transport *
weir_transport_get_pipe_transport(const weir_transport *t, int fd);

/**
 * Send a signal to the child.
 *
 * @param signum  the signal
 * @retval -ESRCH       the child has ended and was reaped
 * @retval -EPERM       the child runs as another user
 * @retval -EINVAL      no such signal
 * @retval -EOPNOTSUPP  a transport of another kind
 */
WEIR_API int weir_transport_send_signal(weir_transport *t, int signum);

/**
 * Send SIGTERM to the child.
 *
 * @return   as weir_transport_send_signal()
 */
WEIR_API int weir_transport_terminate(weir_transport *t);

/**
 * Send SIGKILL to the child.
 *
 * @return   as weir_transport_send_signal()
 */
WEIR_API int weir_transport_kill(weir_transport *t);

/**
 * Send a signal to the process group of the child, and so to its descendants
 * that have not left the group; killpg(2) without its race.
 *
 * The child must lead the group: start_new_session, or use_process_group with
 * process_group 0. Processes of the group that outlive the child are reached,
 * too, as long as there is a reference on @p t, even after connection_lost;
 * until then such a child holds a descriptor. Another group that got the number
 * meanwhile is never signalled.
 *
 * weir_transport_close() and weir_transport_abort() signal only the child.
 *
 * @param signum  the signal; 0 only checks whether there is a process
 * @return        0 if at least one process was signalled
 * @retval -ESRCH       no process is in a group that the child leads
 * @retval -EPERM       all of them run as other users
 * @retval -EINVAL      no such signal
 * @retval -EOPNOTSUPP  a transport of another kind, or a kernel before Linux
 *                      6.9, which cannot do it without a race
 */
WEIR_API int weir_transport_killpg(weir_transport *t, int signum);

WEIR_END_DECLS

#endif
