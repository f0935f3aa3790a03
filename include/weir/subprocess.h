/**
 * @file subprocess.h
 * Child processes with transports and protocols; asyncio's subprocess_exec.
 *
 * A child has a transport of the kind "subprocess", and a transport for each
 * standard descriptor that is a pipe. The protocol of the "subprocess"
 * transport, of the kind WEIR_PROTOCOL_SUBPROCESS, is called with the output of
 * the child, the ends of the pipes and the end of the child.
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
 * SIGCHLD and never waits for a process that it did not start. weir always
 * reaps a child: even after its transport was closed, and when the loop is
 * freed, which aborts the transport.
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

/** Kinds of standard descriptors of a child. */
enum weir_stdio_kind {
    /** The calls of this header make a pipe; with the calls of process.h the
     * child inherits the parent's descriptor. */
    WEIR_STDIO_DEFAULT = 0,
    /** A pipe to this program; asyncio's PIPE. */
    WEIR_STDIO_PIPE = 1,
    /** Inherit the parent's descriptor of the same number; asyncio's None. */
    WEIR_STDIO_INHERIT = 2,
    /** /dev/null; asyncio's DEVNULL. */
    WEIR_STDIO_DEVNULL = 3,
    /** A descriptor of the parent, of which the child gets a duplicate. */
    WEIR_STDIO_FD = 4,
    /** For standard error only: the same as standard output; asyncio's
     * STDOUT. */
    WEIR_STDIO_STDOUT = 5,
};

/** A standard descriptor of a child. */
struct weir_stdio {
    /** The kind of the descriptor. */
    enum weir_stdio_kind kind;
    /** With WEIR_STDIO_FD the parent's descriptor; borrowed. Otherwise 0. */
    int fd;
};

/** Options of a child. */
struct weir_spawn_options {
    size_t size;
    /** Standard input, the child's descriptor 0. */
    struct weir_stdio in;
    /** Standard output, the child's descriptor 1. */
    struct weir_stdio out;
    /** Standard error, the child's descriptor 2. */
    struct weir_stdio err;
    /** The file of the program, if it is not argv[0]. It is looked up like
     * argv[0]. May be NULL. */
    const char *executable;
    /** The child's working directory; NULL means the parent's. */
    const char *cwd;
    /** The child's environment: strings "NAME=value", with NULL at the end. The
     * program is looked up in its PATH. NULL means the parent's environment. */
    const char *const *env;
    /** Descriptors that the child inherits with the same numbers, each 3 or
     * more. All other descriptors are closed, whether or not they are
     * close-on-exec. */
    const int *pass_fds;
    /** Number of descriptors in pass_fds. */
    size_t pass_fd_count;
    /** Run the child in a new session (setsid). */
    bool start_new_session;
    /** Put the child into the process group process_group. */
    bool use_process_group;
    /** With use_process_group: the group. 0 makes a new group with the child's
     * process id. */
    pid_t process_group;
    /** Set the child's umask to the field umask. */
    bool use_umask;
    /** With use_umask: the mask of file permissions. */
    mode_t umask;
    /** Time from the SIGTERM to the SIGKILL of weir_transport_close(), in
     * nanoseconds; default 5 s. */
    uint64_t close_grace_ns;
    /** Let weir_transport_close() send SIGKILL at once, as asyncio does. */
    bool kill_at_close;
    /** Set to the step that has failed if the child cannot be started, such as
     * "cwd" or "program"; a static string. May be NULL. */
    const char **ret_step;
};

/**
 * Start a program and connect its pipes to a protocol.
 *
 * When the call returns, either the program runs, or the error of its execve()
 * is returned. The loop's thread sleeps until then, as in posix_spawn() and
 * vfork(). This takes a fraction of a millisecond, whatever the size of the
 * parent. It takes longer, at times 100 ms and more, if the CPUs are busy or
 * the program is looked up on a slow file system. If a loop must not stop for
 * that time, start children on a loop of another thread.
 *
 * In the next loop iteration the factory, the protocol's connection_made and
 * then @p done are called, before any other callback of the protocol.
 *
 * The program is looked up as execvp() does, in the PATH of the child's
 * environment, unless its name has a slash. A file without a known format fails
 * with -ENOEXEC; it is not run by the shell.
 *
 * The child has no signal blocked and no handler. Signals that the parent
 * ignores stay ignored, except SIGPIPE and SIGXFSZ. weir cannot change the user
 * of the child, because the child shares the parent's memory until execve();
 * run a program such as setpriv(1) for that.
 *
 * @param factory  makes the protocol, of the kind WEIR_PROTOCOL_SUBPROCESS;
 *                 copied. If it fails, the child is killed, and @p done is
 *                 called with the error when the child has ended
 * @param argv     the program's arguments, with its name first and NULL at the
 *                 end; borrowed
 * @param options  the options; borrowed with everything that they point to;
 *                 NULL for all defaults
 * @param done     called once: after connection_made with 0 and the transport;
 *                 or, if the factory has failed or the start was cancelled,
 *                 with an error when the child has ended. May be NULL if @p ret
 *                 is NULL
 * @param ret      set to a handle for weir_pending_cancel(), which kills the
 *                 child; @p done is called when the child has ended. If a
 *                 callback of the protocol cancels before @p done was called,
 *                 the transport is aborted, too. May be NULL
 * @return         0
 * @retval -ENOENT     the program or the directory cwd does not exist
 * @retval -EACCES     the file may not be executed, or cwd may not be entered
 * @retval -ENOEXEC    the file is not a program
 * @retval -E2BIG      arguments and environment are too large, or the options
 *                     have an unknown field of a newer library
 * @retval -ENOTDIR    cwd is not a directory
 * @retval -EAGAIN     the user or the system has too many processes
 * @retval -EMFILE, -ENFILE the process or the system has too many open
 *                          descriptors
 * @retval -EBADF      a descriptor for the child is not open
 * @retval -EINVAL     argv is empty; a WEIR_STDIO_... value is invalid for its
 *                     descriptor; pass_fds has a descriptor below 3; or @p ret
 *                     is given without @p done
 */
WEIR_API WEIR_MUST_USE int weir_subprocess_exec(
    weir_loop *loop, const struct weir_factory *factory,
    const char *const *argv, const struct weir_spawn_options *options,
    weir_connect_done_fn *done, void *done_arg, weir_pending **ret);

/**
 * Start a shell command: weir_subprocess_exec() with /bin/sh -c.
 *
 * @param factory  makes the protocol; copied
 * @param command  a command line that /bin/sh parses; borrowed. Untrusted text
 *                 in it must be quoted
 * @param options  as in weir_subprocess_exec()
 * @param done     as in weir_subprocess_exec()
 * @param ret      as in weir_subprocess_exec()
 * @return         as weir_subprocess_exec(). If a command is not found, the
 *                 call succeeds, and the shell's exit status is 127
 */
WEIR_API WEIR_MUST_USE int weir_subprocess_shell(
    weir_loop *loop, const struct weir_factory *factory, const char *command,
    const struct weir_spawn_options *options, weir_connect_done_fn *done,
    void *done_arg, weir_pending **ret);

/**
 * Get the child's process id. The child is reaped before process_exited is
 * called; after that another process may get the same id.
 * weir_transport_send_signal() never signals another process.
 *
 * @return   the process id
 * @retval -EOPNOTSUPP  @p t is a transport of another kind
 */
WEIR_API pid_t weir_transport_get_pid(const weir_transport *t);

/**
 * Get the child's exit status.
 *
 * @param ret  set to the exit status from 0 to 255, or to minus the number of
 *             the signal that has ended the child; written on success only
 * @retval -EAGAIN      the child has not ended, or weir has not detected it yet
 * @retval WEIR_ENOSTATUS  other code of this process has reaped the child, or
 *                         SIGCHLD is ignored, and the kernel (before Linux
 *                         6.15) no longer has its exit status
 * @retval -EOPNOTSUPP  @p t is a transport of another kind
 */
WEIR_API WEIR_MUST_USE int
weir_transport_get_returncode(const weir_transport *t, int *ret);

/**
 * Get the transport of one of the child's pipes. Bytes that are written to the
 * transport of descriptor 0 are the child's standard input. Closing such a
 * transport closes only its pipe. The protocols of these transports belong to
 * weir.
 *
 * @param fd  0, 1 or 2: the child's descriptor
 * @return    the pipe's transport, borrowed; valid as long as @p t. NULL if the
 *            descriptor is not a pipe, if the factory calls this, and if @p t
 *            is a transport of another kind
 */
WEIR_API weir_transport *
weir_transport_get_pipe_transport(const weir_transport *t, int fd);

/**
 * Send a signal to the child.
 *
 * @param signum  the signal
 * @retval -ESRCH       the child has ended and was reaped
 * @retval -EPERM       the child runs as another user
 * @retval -EINVAL      the signal does not exist
 * @retval -EOPNOTSUPP  @p t is a transport of another kind
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
 * The child must lead the group: start_new_session is set, or use_process_group
 * with process_group 0. Processes of the group that outlive the child get the
 * signal, too, even after connection_lost, as long as the program has a
 * reference to @p t. A child that leads a group takes a descriptor (a pidfd)
 * until the last reference to @p t is released. A later group that gets the
 * same number is never signalled.
 *
 * weir_transport_close() and weir_transport_abort() signal only the child.
 *
 * @param signum  the signal; 0 only checks whether the group has a process
 * @return        0 if at least one process was signalled
 * @retval -ESRCH       the child leads no group, or no process is in the group
 * @retval -EPERM       all processes of the group run as other users
 * @retval -EINVAL      the signal does not exist
 * @retval -EOPNOTSUPP  @p t is a transport of another kind; or the kernel is
 *                      older than Linux 6.9, which cannot do this without a
 *                      race
 */
WEIR_API int weir_transport_killpg(weir_transport *t, int signum);

WEIR_END_DECLS

#endif
