/*
 * The fake machine's system calls and clock (uring/sys.h).
 *
 * Most socket options are only stored and returned. Options that change TCP's
 * behaviour (SO_LINGER, SO_REUSEPORT) have their effect.
 */
#include "uring/sys.h"

#include "tests/fake/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <string.h>
#include <sys/stat.h>

uint64_t wr_sys_now(void)
{
    return fake.now_ns;
}

/* Unix sockets made here are datagram sockets; tests make Unix streams. */
int wr_sys_socket(int family, int type, int protocol)
{
    const bool is_datagram = (type & 0xf) == SOCK_DGRAM;
    if ((family != AF_INET && family != AF_INET6 && family != AF_UNIX) ||
        (!is_datagram && (type & 0xf) != SOCK_STREAM)) {
        return -EAFNOSUPPORT;
    }
    if (protocol != 0 &&
        protocol != (is_datagram ? IPPROTO_UDP : IPPROTO_TCP)) {
        return -EPROTONOSUPPORT;
    }
    if (fake_chance(fake.options.permille[FAKE_NO_FD])) {
        return -EMFILE;
    }
    struct fake_file *file =
        fake_file_open(is_datagram ? FAKE_DATAGRAM : FAKE_SOCKET, family);
    if (file && is_datagram) {
        file->box = fake_box_new(family);
    }
    return file ? file->fd : -EMFILE;
}

int wr_sys_set_blocking(int fd)
{
    wr_ignore(!fake_file_get(fd, "set_blocking"));
    return 0;
}

int wr_sys_set_cloexec(int fd)
{
    return fake_file_get(fd, "set_cloexec") ? 0 : -EBADF;
}

/* There are no files. */
int wr_sys_lstat(const char *path, struct stat *ret)
{
    return -ENOENT;
}

int wr_sys_unlink(const char *path)
{
    return -ENOENT;
}

int wr_sys_chmod(const char *path, mode_t mode)
{
    return -ENOENT;
}

int wr_sys_fchmod(int fd, mode_t mode)
{
    wr_ignore(!fake_file_get(fd, "fchmod"));
    return 0;
}

int wr_sys_lock_directory(const char *path)
{
    return -ENOENT;
}

/* Returns true if a bound socket prevents the bind to @addr. */
static bool is_taken(const struct fake_file *self, const struct fake_addr *addr)
{
    for (uint32_t i = 0; i < fake.file_slots; i++) {
        const struct fake_file *file = fake.files[i];
        if (!file || file == self || file->local.len == 0 ||
            file->kind == FAKE_STREAM ||
            file->local.storage.ss_family != addr->storage.ss_family) {
            continue;
        }
        if (fake_addr_port(&file->local) == fake_addr_port(addr) &&
            !(file->reuse_port && self->reuse_port)) {
            return true;
        }
    }
    return false;
}

int wr_sys_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct fake_file *file = fake_file_get(fd, "bind");
    struct fake_addr local = fake_addr_of(addr, len);
    if (file->kind == FAKE_DATAGRAM) {
        return fake_box_bind(file->box, &local);
    }
    if (file->kind != FAKE_SOCKET || file->local.len != 0) {
        return -EINVAL;
    }
    if (fake_addr_port(&local) == 0) {
        struct fake_addr fresh = fake_addr_fresh(file->family);
        fake_addr_set_port(&local, fake_addr_port(&fresh));
    }
    if (is_taken(file, &local)) {
        return -EADDRINUSE;
    }
    file->local = local;
    return 0;
}

int wr_sys_listen(int fd, int backlog)
{
    struct fake_file *file = fake_file_get(fd, "listen");
    if (file->kind == FAKE_LISTENER) {
        file->listener->backlog = (uint32_t)backlog;
        return 0;
    }
    if (file->kind != FAKE_SOCKET) {
        return -EINVAL;
    }
    if (file->local.len == 0) {
        file->local = fake_addr_fresh(file->family);
    }
    file->listener = fake_listener_new(&file->local, file, (uint32_t)backlog);
    file->kind = FAKE_LISTENER;
    return 0;
}

static int give_addr(const struct fake_addr *from, struct sockaddr *addr,
                     socklen_t *len)
{
    socklen_t size = from->len < *len ? from->len : *len;
    memcpy(addr, &from->storage, size);
    *len = from->len;
    return 0;
}

int wr_sys_getsockname(int fd, struct sockaddr *addr, socklen_t *len)
{
    const struct fake_file *file = fake_file_get(fd, "getsockname");
    if (file->kind == FAKE_STREAM) {
        return give_addr(&file->end->local, addr, len);
    }
    const struct fake_addr *local =
        file->kind == FAKE_DATAGRAM ? &file->box->local : &file->local;
    if (local->len != 0) {
        return give_addr(local, addr, len);
    }
    struct fake_addr none = {.len = file->family == AF_INET6
                                        ? sizeof(struct sockaddr_in6)
                                        : sizeof(struct sockaddr_in)};
    none.storage.ss_family = (sa_family_t)file->family;
    return give_addr(&none, addr, len);
}

int wr_sys_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    const struct fake_file *file = fake_file_get(fd, "getpeername");
    if (file->kind != FAKE_STREAM || file->end->dead) {
        return -ENOTCONN;
    }
    return give_addr(&file->end->other->local, addr, len);
}

int wr_sys_getpeername_ever(int fd, struct sockaddr *addr, socklen_t *len)
{
    const struct fake_file *file = fake_file_get(fd, "getpeername_ever");
    if (file->kind == FAKE_DATAGRAM && file->box->remote.len != 0) {
        return give_addr(&file->box->remote, addr, len);
    }
    if (file->kind != FAKE_STREAM || file->end->unnamed) {
        return -ENOTCONN;
    }
    return give_addr(&file->end->other->local, addr, len);
}

static struct fake_sockopt_value *find_sockopt(struct fake_file *file,
                                               int level, int name)
{
    for (uint32_t i = 0; i < file->sockopt_count; i++) {
        if (file->sockopts[i].level == level &&
            file->sockopts[i].name == name) {
            return &file->sockopts[i];
        }
    }
    return NULL;
}

static void keep_sockopt(struct fake_file *file, int level, int name, int value)
{
    struct fake_sockopt_value *option = find_sockopt(file, level, name);
    if (!option) {
        wr_assert(file->sockopt_count < FAKE_SOCKOPT_MAX);
        option = &file->sockopts[file->sockopt_count++];
    }
    option->level = level;
    option->name = name;
    option->value = value;
}

int wr_sys_setsockopt(int fd, int level, int name, const void *value,
                      socklen_t len)
{
    struct fake_file *file = fake_file_get(fd, "setsockopt");
    if (file->kind > FAKE_LISTENER) {
        return -ENOTSOCK;
    }
    if (level == SOL_SOCKET && name == SO_LINGER) {
        struct linger linger;
        wr_assert(len == sizeof(linger));
        memcpy(&linger, value, sizeof(linger));
        file->reset_on_close = linger.l_onoff && linger.l_linger == 0;
        return 0;
    }
    if (len < sizeof(int)) {
        return -EINVAL;
    }
    int number;
    memcpy(&number, value, sizeof(number));
    if (level == SOL_SOCKET && name == SO_REUSEPORT) {
        file->reuse_port = number != 0;
    }
    keep_sockopt(file, level, name, number);
    return 0;
}

/* Answers options that the machine computes, whatever was set. */
static int query_sockopt(struct fake_file *file, int level, int name)
{
    const struct fake_sockopt_value *option = find_sockopt(file, level, name);
    if (level == SOL_SOCKET) {
        switch (name) {
        case SO_ERROR:
            if (file->end) {
                int err = file->end->err;
                file->end->err = 0;
                return err;
            }
            return file->box ? fake_box_take_error(file->box) : 0;
        case SO_TYPE:
            return file->box ? SOCK_DGRAM : SOCK_STREAM;
        case SO_DOMAIN:
            return file->family;
        case SO_PROTOCOL:
            return file->family == AF_UNIX ? 0
                   : file->box             ? IPPROTO_UDP
                                           : IPPROTO_TCP;
        case SO_ACCEPTCONN:
            return file->kind == FAKE_LISTENER;
        default:
            break;
        }
    }
    return option ? option->value : 0;
}

/* Sets only the number of drops. */
static int give_meminfo(const struct fake_file *file, void *value,
                        socklen_t *len)
{
    uint32_t counts[SK_MEMINFO_VARS] = {0};
    counts[SK_MEMINFO_DROPS] = file->box ? (uint32_t)file->box->drops : 0;
    wr_assert(*len >= sizeof(counts));
    memcpy(value, counts, sizeof(counts));
    *len = sizeof(counts);
    return 0;
}

int wr_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct fake_file *file = fake_file_get(fd, "getsockopt");
    if (file->kind > FAKE_LISTENER) {
        return -ENOTSOCK;
    }
    if (*len < sizeof(int)) {
        return -EINVAL;
    }
    if (level == SOL_SOCKET && name == SO_MEMINFO) {
        return give_meminfo(file, value, len);
    }
    int number = query_sockopt(file, level, name);
    memcpy(value, &number, sizeof(number));
    *len = sizeof(number);
    return 0;
}

int wr_sys_shutdown(int fd, int how)
{
    struct fake_file *file = fake_file_get(fd, "shutdown");
    if (file->kind == FAKE_LISTENER && how == SHUT_WR) {
        return 0; /* the accept of each listener checks the queue itself */
    }
    if (file->kind != FAKE_STREAM) {
        return -ENOTCONN;
    }
    int err = fake_end_shutdown(file->end, how);
    fake_trace("shutdown fd=%d how=%d = %d", fd, how, err);
    return err;
}

int wr_sys_disconnect(int fd)
{
    struct fake_file *file = fake_file_get(fd, "disconnect");
    if (file->kind != FAKE_STREAM || file->end->dead) {
        return -ENOTCONN;
    }
    if (fake_end_is_unix(file->end)) {
        return -EINVAL;
    }
    fake_trace("disconnect fd=%d", fd);
    fake_end_disconnect(file->end);
    return 0;
}

int wr_sys_close(int fd)
{
    struct fake_file *file = fake_file_get(fd, "close");
    if (fake.ring && fake_ring_names_fd(fake.ring, fd)) {
        fake_fail("descriptor %d is closed before an entry that names it was "
                  "submitted",
                  fd);
    }
    fake_trace("close fd=%d", fd);
    fake_file_close(file);
    return 0;
}

static void count_recv(struct fake_file *file, int32_t total, size_t room)
{
    file->receives_by_calls = true;
    fake.stats.received_bytes += (uint64_t)total;
    fake.stats.call_receives += total > 0;
    fake.stats.call_receives_short += total > 0 && (size_t)total < room;
    fake.stats.call_receives_empty += total == 0;
}

int32_t wr_sys_recv(int fd, struct iovec *iov, uint32_t count)
{
    struct fake_file *file = fake_file_get(fd, "recv");
    size_t most = 0;
    ssize_t taken = -EAGAIN;
    int32_t total = 0;

    if (file->kind != FAKE_STREAM || file->recv_count > 0) {
        fake_fail("a receive that does not wait, on descriptor %d", fd);
    }
    for (uint32_t i = 0; i < count; i++) {
        most += iov[i].iov_len;
    }
    if (fake_chance(fake.options.permille[FAKE_VAIN_POLL])) {
        count = 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t room = iov[i].iov_len;
        const bool is_short =
            fake_chance(fake.options.permille[FAKE_SHORT_RECV]);
        if (is_short) {
            room = 1 + (size_t)fake_random(room);
        }
        taken = fake_end_recv(file->end, iov[i].iov_base, room);
        total += taken > 0 ? (int32_t)taken : 0;
        if (taken < (ssize_t)iov[i].iov_len ||
            fake_end_readable(file->end) == 0) {
            break; /* the next call reports an error or the end after bytes */
        }
    }
    count_recv(file, total, most);
    fake_trace("recv fd=%d vectors=%u = %d", fd, count,
               total > 0 ? total : (int)taken);
    return total > 0 ? total : (int32_t)taken;
}

/* Streams stand for all files except pipes. */
int32_t wr_sys_read(int fd, struct iovec *iov, uint32_t count)
{
    const struct fake_file *file = fake_file_get(fd, "read");
    if (file->kind == FAKE_FIFO_READ) {
        return file->fifo->by_name ? -EOPNOTSUPP
               : fake_chance(fake.options.permille[FAKE_VAIN_POLL])
                   ? -EAGAIN
                   : fake_fifo_take(file->fifo, iov, count);
    }
    return wr_sys_recv(fd, iov, count);
}

int32_t wr_sys_send(int fd, const struct iovec *iov, uint32_t count)
{
    struct fake_file *file = fake_file_get(fd, "send");
    int32_t total = 0;

    if (file->kind != FAKE_STREAM) {
        fake_fail("a send that does not wait, on descriptor %d", fd);
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t len = iov[i].iov_len;
        if (fake_chance(fake.options.permille[FAKE_SHORT_SEND])) {
            len = 1 + (size_t)fake_random(len);
        }
        const ssize_t sent = fake_end_send(file->end, iov[i].iov_base, len);
        if (sent < 0 && total == 0) {
            total = (int32_t)sent;
        }
        total += sent > 0 ? (int32_t)sent : 0;
        if (sent < (ssize_t)iov[i].iov_len) {
            break;
        }
    }
    fake_trace("send-now fd=%d vectors=%u = %d", fd, count, total);
    return total;
}

int32_t wr_sys_write(int fd, const struct iovec *iov, uint32_t count,
                     bool has_nosignal)
{
    const struct fake_file *file = fake_file_get(fd, "write");
    if (file->kind == FAKE_FIFO_WRITE) {
        return file->fifo->by_name ? -EOPNOTSUPP
               : fake_chance(fake.options.permille[FAKE_VAIN_POLL])
                   ? -EAGAIN
                   : fake_fifo_put(file->fifo, iov, count);
    }
    return wr_sys_send(fd, iov, count);
}

int wr_sys_mode(int fd, mode_t *ret)
{
    const struct fake_file *file = fake_file_get(fd, "fstat");
    *ret = file->fifo                  ? S_IFIFO
           : file->kind == FAKE_STREAM ? S_IFSOCK
           : file->kind == FAKE_DISK   ? S_IFREG
                                       : 0;
    return 0;
}

int wr_sys_flags(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "flags");
    return file->kind == FAKE_FIFO_READ    ? O_RDONLY
           : file->kind == FAKE_FIFO_WRITE ? O_WRONLY
                                           : O_RDWR;
}

int wr_sys_outq(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "SIOCOUTQ");
    fake.stats.looks++;
    if (file->kind != FAKE_STREAM) {
        return -ENOTCONN;
    }
    return (int)fake_end_unacked(file->end);
}

int wr_sys_inq(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "SIOCINQ");
    fake.stats.looks++;
    if (file->fifo) {
        return (int)fake_fifo_len(file->fifo);
    }
    if (file->kind != FAKE_STREAM) {
        return -ENOTCONN;
    }
    return (int)fake_end_readable(file->end);
}

uint64_t wr_sys_get_nofile(void)
{
    const uint32_t limit = fake.options.fd_limit;
    return limit > 0 ? limit : UINT64_MAX;
}

/* Connects a datagram socket. */
int wr_sys_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    const struct fake_file *file = fake_file_get(fd, "connect");
    const struct fake_addr remote = fake_addr_of(addr, len);
    return file->kind == FAKE_DATAGRAM ? fake_box_connect(file->box, &remote)
                                       : -ENETUNREACH;
}

/* The calls that use these functions have no sockets here. */
int32_t wr_sys_recvfrom(int fd, void *buf, size_t size, struct sockaddr *addr,
                        socklen_t *len)
{
    (void)fake_file_get(fd, "recvfrom");
    return -EAGAIN;
}

int32_t wr_sys_sendto(int fd, const void *data, size_t size,
                      const struct sockaddr *addr, socklen_t len)
{
    (void)fake_file_get(fd, "sendto");
    return -EAGAIN;
}

uint64_t wr_sys_file_stamp(const char *path)
{
    return 0;
}

int wr_sys_eventfd(void)
{
    struct fake_file *file = fake_file_open(FAKE_EVENTFD, 0);
    return file ? file->fd : -EMFILE;
}

int wr_sys_eventfd_nonblock(void)
{
    return wr_sys_eventfd();
}

int wr_sys_eventfd_drain(int fd)
{
    fake_file_get(fd, "eventfd read")->event_count = 0;
    return 0;
}

int wr_sys_eventfd_write(int fd)
{
    struct fake_file *file = fake_file_get(fd, "eventfd write");
    wr_assert(file->kind == FAKE_EVENTFD);
    file->event_count++;
    return 0;
}

/* Children have no pipes here. */
int wr_sys_pipe(int ret[2])
{
    return -EMFILE;
}

int wr_sys_open_null(void)
{
    return -EMFILE;
}
