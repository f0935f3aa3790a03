/*
 * Listening sockets: making one, keeping accepts armed, closing in order. The
 * descriptor is closed only when the last accept has ended: otherwise another
 * file could have the same number when the kernel looks it up. The file of a
 * Unix socket is removed first, while the socket still holds its inode.
 */
#include "listener.h"

#include "lib/base/shortage.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"

#include <netinet/tcp.h>
#include <string.h>

/* ---- files of Unix sockets ----
 *
 * Connecting a datagram socket to a file shows which socket is bound to it, and
 * a server does not notice it. The connect fails with -ECONNREFUSED if no
 * socket is bound, and succeeds if a datagram socket is bound. It fails with
 * -EPROTOTYPE if a stream socket is bound, even if it does not listen yet or
 * its queue is full.
 *
 * Two servers that start at once could both find the same stale file, and the
 * slower server would remove the file that the faster one has bound meanwhile.
 * So a file is examined and removed under a lock on its directory; the lock
 * leaves no file and ends with the process. (A bind to another name and a
 * rename would need no lock, but the kernel would report the other name as the
 * socket's address.)
 *
 * Device and inode identify a file: no other file can get them while the socket
 * that is bound to the file is open. */

#define FILE_PATH_SIZE (sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1)

static bool listener_file_get_path(const struct weir_address *address,
                                   char path[FILE_PATH_SIZE])
{
    const size_t len = wr_address_get_path_len(address);

    wr_assert(len < FILE_PATH_SIZE);
    memcpy(path, address->storage.local.sun_path, len);
    path[len] = '\0';
    return len > 0;
}

/* Returns -ECONNREFUSED if no socket is bound to the file. */
static int listener_file_probe(const struct weir_address *address)
{
    wr_assert(address->storage.any.sa_family == AF_UNIX);
    int fd = wr_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) {
        return fd;
    }
    int err = wr_sys_connect(fd, &address->storage.any, address->len);
    wr_ignore(wr_sys_close(fd));
    return err;
}

/* Returns 0 if no file is left, or if there was none. */
static int listener_file_remove_stale(const struct weir_address *address,
                                      const char *path)
{
    struct stat before;
    struct stat after;

    wr_assert(path[0] != '\0');
    int err = wr_sys_lstat(path, &before);
    if (err < 0) {
        return err == -ENOENT ? 0 : -EADDRINUSE;
    }
    if (!S_ISSOCK(before.st_mode)) {
        return -EADDRINUSE;
    }
    err = listener_file_probe(address);
    if (err != -ECONNREFUSED) {
        return wr_err_is_shortage(err) ? err : -EADDRINUSE;
    }
    err = wr_sys_lstat(path, &after);
    if (err < 0 || before.st_ino != after.st_ino ||
        before.st_dev != after.st_dev) { /* replaced by another program */
        return -EADDRINUSE;
    }
    err = wr_sys_unlink(path);
    return err == -ENOENT ? 0 : err;
}

static int listener_file_clear(const struct weir_address *address,
                               const char *path)
{
    int lock = wr_sys_lock_directory(path);
    if (lock == -EAGAIN) {
        return -EADDRINUSE; /* the process with the lock may listen soon */
    }
    /* Without permission to lock the directory, continues without a lock. */
    int err = listener_file_remove_stale(address, path);
    if (lock >= 0) {
        wr_ignore(wr_sys_close(lock));
    }
    return err;
}

int wr_listener_file_bind(int fd, const struct weir_address *address,
                          uint32_t mode)
{
    char path[FILE_PATH_SIZE];
    struct stat file;

    wr_assert(fd >= 0);
    if (!listener_file_get_path(address, path)) {
        return wr_sys_bind(fd, &address->storage.any, address->len);
    }
    /* bind() creates the file with the socket's mode, less the umask, so the
     * file never has more permissions than requested. */
    int err = mode ? wr_sys_fchmod(fd, mode) : 0;
    if (err >= 0) {
        err = wr_sys_bind(fd, &address->storage.any, address->len);
    }
    if (err == -EADDRINUSE) {
        err = listener_file_clear(address, path);
        if (err >= 0) {
            err = wr_sys_bind(fd, &address->storage.any, address->len);
        }
    }
    if (err < 0 || mode == 0) {
        return err;
    }
    err = wr_sys_lstat(path, &file);
    if (err >= 0 && (file.st_mode & WR_MODE_BITS) != mode) {
        /* chmod() does not follow a link that has replaced the file. */
        err = wr_sys_chmod(path, mode);
    }
    if (err < 0) {
        wr_ignore(wr_sys_unlink(path));
    }
    return err;
}

/* Identifies the file, so that listener_remove_file() removes no other. */
static void listener_know_file(struct wr_listener *listener)
{
    char path[FILE_PATH_SIZE];
    struct stat file;

    wr_assert(!listener->has_file);
    if (!listener_file_get_path(&listener->address, path) ||
        wr_sys_lstat(path, &file) < 0 || !S_ISSOCK(file.st_mode)) {
        return;
    }
    wr_assert(listener->family == AF_UNIX);
    listener->has_file = true;
    listener->file_dev = file.st_dev;
    listener->file_ino = file.st_ino;
}

static void listener_remove_file(struct wr_listener *listener)
{
    char path[FILE_PATH_SIZE];
    struct stat file;

    wr_assert(listener->fd >= 0); /* the open socket keeps its inode in use */
    if (!listener->has_file) {
        return;
    }
    listener->has_file = false;
    const bool has_path = listener_file_get_path(&listener->address, path);
    wr_assert(has_path);
    if (wr_sys_lstat(path, &file) >= 0 && file.st_dev == listener->file_dev &&
        file.st_ino == listener->file_ino) {
        /* The file stays if the directory is not writable any more. */
        wr_ignore(wr_sys_unlink(path));
    }
}

static void listener_accept_completed(struct wr_op *op, int32_t res,
                                      uint32_t flags);

void wr_listener_check_invariants(const struct wr_listener *listener)
{
    wr_assert(listener->armed_count <= WR_ACCEPT_OPS);
    if (listener->fd < 0) {
        wr_assert(listener->armed_count == 0);
        wr_assert(!listener->is_closing);
        wr_assert(!listener->has_file);
    }
    if (listener->is_closing) {
        wr_assert(listener->armed_count > 0);
        wr_assert(!listener->has_file);
    }
    wr_assert(!listener->multishot || listener->multishot->op.in_flight);
    wr_debug_assert(wr_listener_count_accepts(listener) ==
                    listener->armed_count);
}

void wr_listener_init(struct wr_listener *listener, weir_loop *loop,
                      const struct wr_listener_ops *ops, void *owner)
{
    memset(listener, 0, sizeof(*listener));
    listener->ops = ops;
    listener->loop = loop;
    listener->owner = owner;
    listener->fd = -1;
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        wr_op_init(&listener->accepts[i].op, listener_accept_completed);
        listener->accepts[i].listener = listener;
    }
}

static void listener_close_descriptor(struct wr_listener *listener)
{
    wr_assert(listener->is_closing);
    wr_assert(listener->armed_count == 0);
    wr_uring_forget(&listener->loop->uring, listener->fd);
    wr_ignore(wr_sys_close(listener->fd));
    listener->fd = -1;
    listener->is_closing = false;
}

static void listener_accept_completed(struct wr_op *op, int32_t res,
                                      uint32_t flags)
{
    struct wr_accept *accept = wr_container_of(op, struct wr_accept, op);
    struct wr_listener *listener = accept->listener;

    wr_assert(listener->fd >= 0);
    wr_assert(listener->armed_count > 0);
    if (!(flags & WR_CQE_MORE)) {
        wr_assert(!op->in_flight);
        listener->armed_count--;
        if (listener->multishot == accept) {
            listener->multishot = NULL;
        }
    }
    if (listener->is_closing) {
        if (res >= 0) {
            listener->ops->accepted_late(listener, res);
        }
        /* No accept of this process waits any more. Another process that shares
         * the socket may wait. */
        if (listener->armed_count == 0) {
            wr_socket_wake_accepts(listener->fd);
            listener_close_descriptor(listener);
            listener->ops->closed(listener);
        }
        return;
    }
    wr_listener_check_invariants(listener);
    if (res < 0) {
        wr_socket_wake_accepts(listener->fd);
        listener->ops->failed(listener, res);
        return;
    }
    listener->ops->accepted(listener, res);
}

static int listener_set_flag(int fd, int level, int name)
{
    const int on = 1;
    return wr_sys_setsockopt(fd, level, name, &on, sizeof(on));
}

static int listener_set_bind_options(int fd, int family,
                                     const struct wr_listen_options *options)
{
    int err = 0;
    if (family == AF_UNIX) {
        return 0; /* a Unix socket has no port to share */
    }
    if (options->reuse_address) {
        err = listener_set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
    }
    if (err >= 0 && options->reuse_port) {
        err = listener_set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
    }
    if (err >= 0 && family == AF_INET6) {
        err = listener_set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    }
    return err;
}

static int listener_set_tcp_options(int fd,
                                    const struct wr_listen_options *options)
{
    int err = 0;

    if (options->defer_accept_ns > 0) {
        const int seconds = (int)wr_min_u64(
            (options->defer_accept_ns - 1) / WEIR_SECONDS(1) + 1, INT32_MAX);
        err = wr_sys_setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
                                sizeof(seconds));
    }
    if (err >= 0 && options->fast_open_limit > 0) {
        const int limit = (int)wr_min_u64(options->fast_open_limit, INT32_MAX);
        err = wr_sys_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &limit,
                                sizeof(limit));
    }
    return err;
}

/* Accepted sockets inherit these options. */
static int listener_configure(struct wr_listener *listener, int fd,
                              const struct wr_listen_options *options)
{
    int err = wr_sock_configure(listener->loop, fd, listener->family,
                                options->connection);
    if (err >= 0 && listener->family != AF_UNIX) {
        err = listener_set_tcp_options(fd, options);
    }
    if (err < 0) {
        return err;
    }
    return wr_socket_ask_sockname(fd, &listener->address);
}

/* Takes @fd. After an earlier error @err, only closes @fd. */
static int listener_finish_open(struct wr_listener *listener, int fd, int err,
                                const struct wr_listen_options *options)
{
    if (err >= 0) {
        err = listener_configure(listener, fd, options);
    }
    if (err >= 0 && !options->keeps_file) {
        listener_know_file(listener);
    }
    if (err < 0) {
        wr_ignore(wr_sys_close(fd));
        return err;
    }
    listener->fd = fd;
    wr_listener_check_invariants(listener);
    return 0;
}

int wr_listener_open(struct wr_listener *listener,
                     const struct weir_address *address,
                     const struct wr_listen_options *options)
{
    wr_assert(listener->fd < 0);
    listener->family = address->storage.any.sa_family;
    wr_assert(options->proto == 0 || listener->family != AF_UNIX);
    int fd = wr_sys_socket(listener->family, SOCK_STREAM, options->proto);
    if (fd < 0) {
        return fd;
    }
    int err = listener_set_bind_options(fd, listener->family, options);
    if (err >= 0) {
        err = listener->family == AF_UNIX
                  ? wr_listener_file_bind(fd, address, options->socket_mode)
                  : wr_sys_bind(fd, &address->storage.any, address->len);
    }
    return listener_finish_open(listener, fd, err, options);
}

int wr_listener_adopt(struct wr_listener *listener, int fd,
                      const struct wr_listen_options *options)
{
    wr_assert(listener->fd < 0);
    int family = wr_socket_get_option(fd, SO_DOMAIN);
    int listening = wr_socket_get_option(fd, SO_ACCEPTCONN);
    const bool has_options =
        wr_sock_is_configured(fd, family, options->connection);
    listener->family = family;
    listener->was_bare = listening > 0 && !has_options;
    return listener_finish_open(listener, fd, family < 0 ? family : 0, options);
}

int wr_listener_listen(struct wr_listener *listener, int backlog)
{
    wr_assert(listener->fd >= 0);
    wr_assert(!listener->is_closing);
    return wr_sys_listen(listener->fd, backlog);
}

void wr_listener_unlisten(struct wr_listener *listener)
{
    const struct weir_address *address = &listener->address;

    wr_assert(listener->fd >= 0);
    wr_assert(listener->armed_count == 0);
    if (listener->family == AF_UNIX) {
        return;
    }
    wr_ignore(wr_sys_shutdown(listener->fd, SHUT_RD));
    /* The shutdown frees a port that the kernel chose (Linux 6.18), so it is
     * bound again. Any other port is still bound, and the bind fails with
     * -EINVAL. */
    wr_ignore(wr_sys_bind(listener->fd, &address->storage.any, address->len));
}

static struct wr_accept *listener_find_free(struct wr_listener *listener)
{
    wr_assert(listener->fd >= 0);
    wr_assert(!listener->is_closing);
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        if (!listener->accepts[i].op.in_flight) {
            return &listener->accepts[i];
        }
    }
    return NULL;
}

static void listener_prepare(struct wr_listener *listener,
                             struct wr_accept *accept, bool is_multishot)
{
    wr_prep_accept(&listener->loop->uring, &accept->op, listener->fd,
                   is_multishot);
    listener->armed_count++;
}

void wr_listener_arm(struct wr_listener *listener, uint32_t goal)
{
    struct wr_accept *accept;

    while (listener->armed_count < goal &&
           (accept = listener_find_free(listener)) != NULL) {
        listener_prepare(listener, accept, false);
    }
}

void wr_listener_arm_multishot(struct wr_listener *listener)
{
    struct wr_accept *accept = listener_find_free(listener);

    if (accept && !listener->multishot) {
        listener->nofile = wr_sys_get_nofile();
        listener->multishot = accept;
        listener_prepare(listener, accept, true);
    }
}

void wr_listener_end_multishot(struct wr_listener *listener)
{
    struct wr_accept *accept = listener->multishot;

    if (accept) {
        listener->multishot = NULL;
        wr_op_cancel(&listener->loop->uring, &accept->op);
    }
}

void wr_listener_disarm(struct wr_listener *listener)
{
    listener->multishot = NULL;
    for (uint32_t i = 0; i < WR_ACCEPT_OPS && listener->armed_count > 0; i++) {
        struct wr_op *op = &listener->accepts[i].op;
        if (!op->is_cancelled) {
            wr_op_cancel(&listener->loop->uring, op);
        }
    }
}

void wr_listener_abandon(struct wr_listener *listener)
{
    for (uint32_t i = 0; i < WR_ACCEPT_OPS; i++) {
        wr_op_abandon(&listener->loop->uring, &listener->accepts[i].op);
    }
    wr_assert(listener->armed_count == 0);
    wr_assert(listener->fd < 0);
}

bool wr_listener_close(struct wr_listener *listener)
{
    wr_listener_check_invariants(listener);
    if (listener->fd < 0) {
        return true;
    }
    if (listener->is_closing) {
        return false;
    }
    listener->is_closing = true;
    listener_remove_file(listener);
    wr_listener_disarm(listener);
    if (listener->armed_count > 0) {
        return false;
    }
    listener_close_descriptor(listener);
    return true;
}
