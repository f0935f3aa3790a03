/**
 * @file subprocess.h
 * Child processes with transports and protocols; asyncio's subprocess_exec.
 *
 * A child has a transport of its own, of the kind "subprocess", and one for
 * each of its standard descriptors that is a pipe. The protocol of the first is
 * a table of the kind WEIR_PROTOCOL_SUBPROCESS: it is called with what the
 * child writes, with the ends of the pipes and with the child's end.
 *
 *     connection_made  [ pipe_data_received | pipe_connection_lost |
 *                        process_exited ]*  connection_lost
 *
 * For each descriptor bytes come before its pipe_connection_lost;
 * process_exited may come before, between or after them. connection_lost comes
 * when the child has ended and all of its pipes are closed: a grandchild that
 * holds a pipe delays it, and process_exited does not wait for that.
 * pause_writing and resume_writing speak of the child's standard input.
 *
 * The child's end is seen by its pidfd. weir installs no handler for SIGCHLD
 * and never waits for a process that it did not make. A child is reaped in any
 * case, also after its transport was closed, and when the loop is freed, which
 * aborts it.
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

/** Where a standard descriptor of a child leads. */
enum weir_stdio_kind {
    /** A pipe in subprocess.h, the parent's own descriptor in process.h. */
    WEIR_STDIO_DEFAULT = 0,
    /** A pipe to this program; asyncio's PIPE. */
    WEIR_STDIO_PIPE = 1,
    /** The parent's descriptor of the same number; asyncio's None. */
    WEIR_STDIO_INHERIT = 2,
    /** /dev/null; asyncio's DEVNULL. */
    WEIR_STDIO_DEVNULL = 3,
    /** A descriptor of the parent; the child gets a duplicate. */
    WEIR_STDIO_FD = 4,
    /** Standard error only: where standard output leads; asyncio's STDOUT. */
    WEIR_STDIO_STDOUT = 5,
};

/** A standard descriptor of a child. */
struct weir_stdio {
    /** Where it leads. */
    enum weir_stdio_kind kind;
    /** With WEIR_STDIO_FD: the descriptor; borrowed. Otherwise 0. */
    int fd;
};

/** The making of a child and its treatment. */
struct weir_spawn_options {
    size_t size;
    /** The child's descriptor 0. */
    struct weir_stdio in;
    /** The child's descriptor 1. */
    struct weir_stdio out;
    /** The child's descriptor 2. */
    struct weir_stdio err;
    /** The file of the program, if that is not argv[0]; looked up as that is.
     */
    const char *executable;
    /** The child's working directory; NULL: the parent's. */
    const char *cwd;
    /** The child's environment, "NAME=value" each and NULL at the end; NULL:
     * the parent's. Its PATH is the one in which the program is looked up. */
    const char *const *env;
    /** Descriptors from 3 on that the child has with the same numbers. It has
     * no others, whether or not they are close-on-exec. */
    const int *pass_fds;
    /** How many they are. */
    size_t pass_fd_count;
    /** Run the child in a session of its own (setsid). */
    bool start_new_session;
    /** Put the child into process_group. */
    bool use_process_group;
    /** With use_process_group: the group; 0 is a new one, with the child's
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
    /** Written when the call fails while it makes the child: the step that
     * failed, "cwd", "program" and others; a static text. May be NULL. */
    const char **ret_step;
};

/**
 * Start a program and connect its pipes to a protocol.
 *
 * The program runs when this returns, or the error of its execve() is returned:
 * the loop's thread sleeps until then, as in posix_spawn() and vfork(), for a
 * fraction of a millisecond, whatever the size of the parent, and longer while
 * the child waits for a CPU: beside busy ones some milliseconds, at times 100
 * and more, or while the program is looked up on a file system that does not
 * answer. A loop that must not stand still leaves children to a loop on
 * another thread. The factory, the
 * protocol's connection_made and then done are called in the loop's next turn,
 * before any other callback of the protocol.
 *
 * The program is looked up as execvp() does, in the PATH of the child's
 * environment, unless its name has a slash. A file without a known format is
 * -ENOEXEC and no script for the shell.
 *
 * The child has no signal blocked and no handler; what the parent ignores stays
 * ignored, SIGPIPE and SIGXFSZ excepted. Changing the user is left to programs
 * that are made for it, such as setpriv(1): the child shares the parent's
 * memory until it is another program.
 *
 * @param factory  makes the protocol, of the kind WEIR_PROTOCOL_SUBPROCESS;
 *                 copied. If it fails the child is killed, and done is called
 *                 with the error once the child has ended.
 * @param argv     the program's arguments, its name first and NULL at the end;
 *                 borrowed
 * @param options  borrowed with all that they name; NULL for all defaults
 * @param done     called once, after connection_made, with err 0 and the
 *                 transport, or with a negative error when the child has ended
 *                 again and no protocol is connected; may be NULL when no
 *                 handle is asked for
 * @param ret      a handle for weir_pending_cancel(), which needs a @p done;
 *                 NULL when none is wanted. Cancelling kills the child, and
 *                 done follows when it has ended; in a callback of the
 *                 protocol, before done, the transport is aborted too
 * @return         0
 * @retval -ENOENT     no such program, or no such directory as cwd
 * @retval -EACCES     the file may not be executed, or cwd not entered
 * @retval -ENOEXEC    the file is no program
 * @retval -E2BIG      arguments and environment are too large, or the options
 *                     are of a newer library with an unknown field set
 * @retval -ENOTDIR    cwd is no directory
 * @retval -EAGAIN     the user or the system has too many processes
 * @retval -EMFILE, -ENFILE  too many open descriptors
 * @retval -EBADF      a descriptor that is to be the child's is not open
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
 * @param command  a command line that /bin/sh parses; borrowed. Text from
 *                 elsewhere must not get into it unquoted.
 * @param options  as in weir_subprocess_exec()
 * @param done     as in weir_subprocess_exec()
 * @param ret      as in weir_subprocess_exec()
 * @return         as weir_subprocess_exec(); that a command is not found is the
 *                 shell's exit status 127
 */
WEIR_API WEIR_MUST_USE int weir_subprocess_shell(
    weir_loop *loop, const struct weir_factory *factory, const char *command,
    const struct weir_spawn_options *options, weir_connect_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * The child's process number.
 *
 * It belongs to the child until that was reaped, which is before
 * process_exited; weir_transport_send_signal() is safe at all times.
 *
 * @return   the number
 * @retval -EOPNOTSUPP  a transport of another kind
 */
WEIR_API pid_t weir_transport_get_pid(const weir_transport *t);

/**
 * How the child has ended.
 *
 * @param ret  its exit status from 0 to 255, or minus the number of the signal
 *             that ended it; written on success only
 * @retval -EAGAIN      it has not ended, or weir has not seen it yet
 * @retval WEIR_ENOSTATUS  other code of this process has reaped it, or SIGCHLD
 * is ignored, and the kernel (before Linux 6.15) cannot tell its exit status
 * any more
 * @retval -EOPNOTSUPP  a transport of another kind
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_returncode(const weir_transport *t, int *ret);

/**
 * The transport of one of the child's pipes.
 *
 * Writing to the child's standard input is writing to the transport of
 * descriptor 0. Closing one of them closes that pipe alone. Their protocol
 * belongs to weir.
 *
 * @param fd  0, 1 or 2: the child's descriptor
 * @return    the pipe's transport, borrowed and valid as long as @p t is; NULL
 *            when that descriptor is no pipe, in the factory, and for a
 *            transport of another kind
 */
WEIR_API weir_transport *
weir_transport_get_pipe_transport(const weir_transport *t, int fd);

/**
 * Send a signal to the child.
 *
 * @param signum  the signal
 * @retval -ESRCH       it has ended and was reaped
 * @retval -EPERM       it runs as another user
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
 * Send a signal to the process group of the child, and so to the processes that
 * it has made, if they have not left the group; killpg(2) without its race.
 *
 * The child must lead the group: start_new_session, or use_process_group with
 * process_group 0. Those of the group that outlive the child are reached too,
 * as long as there is a reference on @p t, also after connection_lost; until
 * then such a child holds a descriptor. A number that another group got
 * meanwhile is never signalled.
 *
 * weir_transport_close() and weir_transport_abort() signal the child alone.
 *
 * @param signum  the signal; 0 sends none, and says whether there is a process
 * @return        0 when one process at least was signalled
 * @retval -ESRCH       no process is in a group that the child leads
 * @retval -EPERM       all of them run as other users
 * @retval -EINVAL      no such signal
 * @retval -EOPNOTSUPP  a transport of another kind, or a kernel before Linux
 *                      6.9, where every way to do it has a race
 */
WEIR_API int weir_transport_killpg(weir_transport *t, int signum);

WEIR_END_DECLS

#endif
