/**
 * @file process.h
 * Child processes in tasks; asyncio's create_subprocess_exec and Process.
 *
 * A process is a child with a writer for its standard input and readers for its
 * outputs, if these are pipes. weir_process_wait() waits only for the end of
 * the child, weir_process_communicate() also for the end of its output.
 * subprocess.h describes how children are started and reaped.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_PROCESS_H
#define WEIR_PROCESS_H

#include "base.h"
#include "stream.h"
#include "subprocess.h"

WEIR_BEGIN_DECLS

/** A child process. */
typedef struct weir_process weir_process;

/** Options of weir_create_subprocess_exec(). */
struct weir_process_options {
    size_t size;
    /** The limit of each reader; default WEIR_STREAM_LIMIT. */
    uint64_t limit_bytes;
    /** Options of the child. WEIR_STDIO_DEFAULT means the parent's
     * descriptor. */
    struct weir_spawn_options spawn;
};

/**
 * Start a program. Other tasks run once before the program is started, because
 * a start blocks the loop (weir_subprocess_exec()).
 *
 * @param argv     the program's arguments, with its name first and NULL at the
 *                 end; borrowed
 * @param options  the options; borrowed with everything that they point to;
 *                 NULL for all defaults
 * @return         0 if the program runs, or an error of weir_subprocess_exec()
 * @retval -EINVAL     limit_bytes is above INT64_MAX, or another cause that
 *                     weir_subprocess_exec() lists
 * @retval -ECANCELED  the task was interrupted before the start; no child was
 *                     made
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_create_subprocess_exec(weir_loop *loop, const char *const *argv,
                            const struct weir_process_options *options,
                            weir_process **ret);

/**
 * Start a shell command: weir_create_subprocess_exec() with /bin/sh -c.
 *
 * @param command  a command line that /bin/sh parses; borrowed. Untrusted text
 *                 in it must be quoted
 * @param options  as in weir_create_subprocess_exec()
 * @param ret      the process, given
 * @return         as weir_create_subprocess_exec()
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_create_subprocess_shell(weir_loop *loop, const char *command,
                             const struct weir_process_options *options,
                             weir_process **ret);

/**
 * Get the writer of the child's standard input. Close it to end the input.
 *
 * @return the writer, borrowed; NULL if standard input is not a pipe
 */
WEIR_API weir_writer *weir_process_get_stdin(const weir_process *process);

/**
 * Get the reader of the child's standard output.
 *
 * @return the reader, borrowed; NULL if it is not a pipe
 */
WEIR_API weir_reader *weir_process_get_stdout(const weir_process *process);

/**
 * Get the reader of the child's standard error.
 *
 * @return the reader, borrowed; NULL if it is not a pipe
 */
WEIR_API weir_reader *weir_process_get_stderr(const weir_process *process);

/** Get the transport of the child, of the kind "subprocess". */
WEIR_API weir_transport *
weir_process_get_transport(const weir_process *process);

/**
 * Get the child's process id.
 *
 * @return the id; see weir_transport_get_pid()
 */
WEIR_API pid_t weir_process_get_pid(const weir_process *process);

/**
 * Get the child's exit status; asyncio's returncode.
 *
 * @param ret  set to the exit status, or to minus the number of the signal that
 *             has ended the child
 * @return     as weir_transport_get_returncode()
 * @retval -EAGAIN  the child has not ended
 */
WEIR_API WEIR_MUST_USE int
weir_process_get_returncode(const weir_process *process, int *ret);

/**
 * Wait until the child has ended, but not until its output has ended. The
 * output may be unread then, and a grandchild may still have the pipes open. A
 * child that fills an unread pipe does not end.
 *
 * @param ret  as weir_process_get_returncode(); may be NULL
 * @retval -ECANCELED      the task was interrupted; the child continues
 * @retval WEIR_ENOSTATUS  the child has ended, but its exit status is unknown
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int weir_process_wait(weir_process *process, int *ret);

/** The output of a child; the bytes belong to the weir_process. */
struct weir_process_output {
    size_t size;
    /** Standard output, followed by a zero byte; NULL if it is not a pipe. */
    const char *out;
    /** Number of bytes at out, without the zero byte. */
    size_t out_len;
    /** Standard error, followed by a zero byte; NULL if it is not a pipe. */
    const char *err;
    /** Number of bytes at err, without the zero byte. */
    size_t err_len;
};

/**
 * Write the child's standard input and end it, collect all output, and wait for
 * the end of the output and of the child.
 *
 * A child that does not read its input is not an error. If the call fails, the
 * collected output is kept. After a cancellation or a time-out the program may
 * call this again with the same input, and the call continues where the first
 * call has ended. Between the calls the program must not use the readers.
 *
 * @param input      bytes for standard input; held; NULL if standard input is
 *                   not a pipe
 * @param len        number of bytes in @p input
 * @param max_bytes  the limit of each output in bytes; 0 means 64 MiB
 * @param ret        set to the output that was collected until now, even after
 *                   an error, unless the call was refused because of misuse;
 *                   valid until the next call or weir_process_free(); may be
 *                   NULL
 * @return           0 if the child has ended and all output was collected
 * @retval -ECANCELED  the task was interrupted; the child continues
 * @retval WEIR_ELIMIT  an output has more than @p max_bytes; the rest was not
 *                      read
 * @retval -EINVAL     there is input but no pipe for it, or less input than an
 *                     earlier call has sent
 * @retval -EBUSY      another task is in this call
 * @retval -ESHUTDOWN  the program has closed the writer, so the rest of @p
 *                     input was not sent. The call also returns all other
 *                     errors of weir_writer_write() and weir_writer_drain()
 * @retval -ENOMEM     no memory; no output is lost
 * @suspends yes
 */
WEIR_API WEIR_MUST_USE int
weir_process_communicate(weir_process *process, const void *input, size_t len,
                         size_t max_bytes, struct weir_process_output *ret);

/**
 * Send a signal to the child.
 *
 * @param signum  the signal
 * @return        as weir_transport_send_signal()
 * @retval -ESRCH  the child has ended
 */
WEIR_API int weir_process_send_signal(weir_process *process, int signum);

/**
 * Send SIGTERM to the child.
 *
 * @return as weir_transport_send_signal()
 */
WEIR_API int weir_process_terminate(weir_process *process);

/**
 * Send SIGKILL to the child.
 *
 * @return as weir_transport_send_signal()
 */
WEIR_API int weir_process_kill(weir_process *process);

/**
 * Send a signal to the process group that the child leads. This works even
 * after the child's end, because other processes may still be in the group. A
 * child that leads a group holds one descriptor (a pidfd) until the
 * weir_process is freed.
 *
 * @param signum  the signal
 * @return        as weir_transport_killpg()
 * @retval -ESRCH  no process is in the group, or the child leads no group
 * @retval -EOPNOTSUPP  the kernel is older than Linux 6.9
 */
WEIR_API int weir_process_killpg(weir_process *process, int signum);

/** Close the pipes and free the process. A running child gets SIGTERM, and
 * SIGKILL after close_grace_ns, as by weir_transport_close(); it is always
 * reaped. */
WEIR_API void weir_process_free(weir_process *process);

WEIR_END_DECLS

#endif
