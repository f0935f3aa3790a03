/**
 * @file systemd.h
 * The interface to a service manager, without libsystemd: sockets that it has
 * passed (sd_listen_fds), the state of the service (sd_notify), and the
 * watchdog (sd_watchdog_enabled).
 *
 * A server that uses the sockets of its socket unit:
 *
 * @code{.c}
 * struct weir_systemd_fd passed[8];
 * int count = weir_systemd_listen_fds(true, passed, 8);
 * for (int i = 0; i < count; i++) {
 *     error = weir_create_server_at(loop, &factory,
 *                                   weir_endpoint_fd(passed[i].fd), NULL, NULL,
 *                                   NULL, &servers[i]);
 * }
 * ...
 * error = weir_systemd_notify(false, "READY=1\nSTATUS=serving");
 * @endcode
 *
 * **The environment.** While one of these functions runs, no other thread may
 * change the environment, and with @p unset_environment no other thread may
 * read it. So call them before other threads are started.
 *
 * **Restart without a gap.** A server passes duplicates of its listening
 * sockets (weir_server_get_socket()) to its successor with
 * weir_transport_send_fds() or weir_writer_send_fds() (unix.h). When the
 * successor listens on them, stop the old server with weir_server_stop(). Its
 * options must have no_cleanup_socket if a Unix path is to remain. Connections
 * that wait to be accepted belong to the socket, so none is lost.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_SYSTEMD_H
#define WEIR_SYSTEMD_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Size of a buffer that is large enough for the name of a passed descriptor,
 * with the NUL. */
#define WEIR_SYSTEMD_NAME_SIZE 256

/** A descriptor that the service manager has passed. */
struct weir_systemd_fd {
    /** The descriptor. */
    int fd;
    /** The name of the descriptor (FileDescriptorName=), by default the name of
     * the socket unit; "unknown" if names were not passed. */
    char name[WEIR_SYSTEMD_NAME_SIZE];
};

/**
 * Get the descriptors that the service manager has passed to this process
 * (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and make them close-on-exec.
 *
 * If the variables have the process id of another process, they were set for a
 * parent, and are ignored. A second call returns the same descriptors again,
 * unless the first call has removed the variables; but each descriptor may be
 * used for only one server. The descriptors need not be listening sockets; the
 * functions that take them check that.
 *
 * @param unset_environment  true to remove the variables, so that child
 *                           processes do not get them. They are removed even if
 *                           the call fails, except after -ENOBUFS
 * @param ret        memory for the descriptors, which are given on success only
 * @param max_count  number of elements in @p ret
 * @return           number of descriptors, 0 if none was passed; or a negative
 *                   error
 * @retval -ENOBUFS  there are more than @p max_count descriptors
 * @retval -EINVAL   a variable is malformed, or the numbers of names and
 *                   descriptors differ
 * @retval -EBADF    one of the descriptors is not open
 */
WEIR_API WEIR_MUST_USE int weir_systemd_listen_fds(bool unset_environment,
                                                   struct weir_systemd_fd *ret,
                                                   size_t max_count);

/**
 * Report the state of this service to the service manager, as sd_notify(3)
 * does: one datagram to the path or abstract name in NOTIFY_SOCKET. The call
 * waits for the file system of the path, as in unix.h, but not for the service
 * manager.
 *
 * @param unset_environment  true to remove the variable, even if the call
 *                           fails, so that later calls and child processes
 *                           report nothing
 * @param state  lines like "READY=1", "STATUS=...", "STOPPING=1", "RELOADING=1"
 *               and "WATCHDOG=1"; borrowed
 * @return       1 if the state was sent, 0 if NOTIFY_SOCKET is not set; or a
 *               negative error, which may be an error of socket(2) or sendto(2)
 * @retval -EAGAIN        the service manager is slow, and nothing was sent;
 *                        another call may succeed
 * @retval -ECONNREFUSED, -ENOENT no socket has this name
 * @retval -EINVAL        @p state is empty
 * @retval -EAFNOSUPPORT  NOTIFY_SOCKET is neither an absolute path nor an
 *                        abstract name; it may be an address of AF_VSOCK
 * @retval -ENAMETOOLONG  NOTIFY_SOCKET is too long for a Unix address
 * @retval -EMSGSIZE      @p state is longer than a datagram
 */
WEIR_API WEIR_MUST_USE int weir_systemd_notify(bool unset_environment,
                                               const char *state);

/**
 * Get the interval in which the service manager expects "WATCHDOG=1"
 * (WATCHDOG_USEC, WATCHDOG_PID). Send it with weir_systemd_notify() every half
 * of the interval.
 *
 * @param unset_environment  true to remove the variables, even if the call
 *                           fails
 * @param ret_timeout_ns     the interval, written if the result is 1
 * @return                   1 if this process has a watchdog, 0 if not; or a
 *                           negative error
 * @retval -EINVAL  a variable is malformed, or the interval is 0 or too long
 */
WEIR_API WEIR_MUST_USE int weir_systemd_get_watchdog(bool unset_environment,
                                                     uint64_t *ret_timeout_ns);

WEIR_END_DECLS

#endif
