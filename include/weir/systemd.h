/**
 * @file systemd.h
 * The interface to a service manager, without libsystemd: passed sockets
 * (sd_listen_fds), the state of the service (sd_notify), and the watchdog
 * (sd_watchdog_enabled).
 *
 * A server with or without a socket unit:
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
 * **The environment.** While these functions run no other thread may change the
 * environment, and with @p unset_environment no other thread may read it. It is
 * best to call them before other threads are started.
 *
 * **Restart without a gap.** A server passes its listening sockets
 * (weir_server_get_socket()) to its successor by weir_transport_send_fds() or
 * weir_writer_send_fds() (unix.h), which send duplicates. When the successor
 * has adopted them the server is stopped with weir_server_stop(), with
 * no_cleanup_socket in its options to keep a Unix path. Connections that wait
 * to be accepted are in the socket, and stay.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread any
 * @suspends no
 */
#ifndef WEIR_SYSTEMD_H
#define WEIR_SYSTEMD_H

#include "base.h"

WEIR_BEGIN_DECLS

/** Size of a buffer for the name of a passed descriptor, with the NUL. */
#define WEIR_SYSTEMD_NAME_SIZE 256

/** A descriptor that the service manager has passed. */
struct weir_systemd_fd {
    /** The descriptor. */
    int fd;
    /** Its name (FileDescriptorName=), by default the name of the socket unit;
     * "unknown" if names were not passed. */
    char name[WEIR_SYSTEMD_NAME_SIZE];
};

/**
 * Get the descriptors that the service manager has passed to this process
 * (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES), and make them close-on-exec.
 *
 * Variables that name another process were set for a parent, and are ignored. A
 * second call returns the same descriptors again, unless the first one has
 * removed the variables: adopt each descriptor only once. They need not be
 * listening sockets; the calls that adopt them check that.
 *
 * @param unset_environment  removes the variables, so that child processes do
 *                           not get them; even if the call fails, except with
 *                           -ENOBUFS
 * @param ret        the descriptors, given on success only
 * @param max_count  size of @p ret
 * @return           number of descriptors, 0 if none was passed; or an error
 * @retval -ENOBUFS  there are more than @p max_count
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
 * @param unset_environment  removes the variable, even if the call fails, so
 *                           that later calls and child processes report nothing
 * @param state  lines like "READY=1", "STATUS=...", "STOPPING=1", "RELOADING=1"
 *               and "WATCHDOG=1"; borrowed
 * @return       1 if it was sent, 0 if NOTIFY_SOCKET is not set; or a negative
 *               error, including errors of socket(2) and sendto(2)
 * @retval -EAGAIN        the service manager is slow, and nothing was sent;
 *                        another call may succeed
 * @retval -ECONNREFUSED, -ENOENT no socket has this name
 * @retval -EINVAL        @p state is empty
 * @retval -EAFNOSUPPORT  NOTIFY_SOCKET is neither an absolute path nor an
 *                        abstract name, for example of AF_VSOCK
 * @retval -ENAMETOOLONG  NOTIFY_SOCKET is too long for a Unix address
 * @retval -EMSGSIZE      @p state is longer than a datagram
 */
WEIR_API WEIR_MUST_USE int weir_systemd_notify(bool unset_environment,
                                               const char *state);

/**
 * Get the interval within which the service manager expects "WATCHDOG=1"
 * (WATCHDOG_USEC, WATCHDOG_PID). Send it at half of that interval.
 *
 * @param unset_environment  removes the variables, even if the call fails
 * @param ret_timeout_ns     the interval, written if the result is 1
 * @return                   1 if this process has a watchdog, 0 if not; or a
 *                           negative error
 * @retval -EINVAL  a variable is malformed, or the interval is 0 or too long
 */
WEIR_API WEIR_MUST_USE int weir_systemd_get_watchdog(bool unset_environment,
                                                     uint64_t *ret_timeout_ns);

WEIR_END_DECLS

#endif
