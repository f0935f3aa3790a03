/*
 * The sockets of c-ares, polled with the ring.
 *
 * Each socket has one one-shot poll for the events that c-ares wants: c-ares
 * reads the available bytes, and the next poll finds the rest. A socket that
 * c-ares closes during its poll is kept until the poll has ended, so that the
 * kernel does not reuse its number earlier.
 */
#include "cares.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>

/* Length before each message over TCP (RFC 1035, 4.2.2). */
#define DNS_LENGTH_SIZE 2
#define DNS_HEADER_SIZE 12
#define DNS_TRUNCATED   0x02 /* flag in the header's third byte */
#define DNS_UDP_MAX     512  /* largest answer without EDNS, in bytes */
#define EMPTY_MAX       64u

struct cares_socket {
    struct wr_list link;
    struct cares *cares;
    struct wr_op op;
    int fd;
    bool is_datagram;
    uint32_t wanted; /* events that c-ares waits for */
    uint32_t armed;  /* events of the poll in flight */
    bool is_closing; /* c-ares has closed the socket */
    bool is_used;    /* c-ares is working on the socket */
    /* Over TCP: the start of the message that is being received, and the number
     * of its bytes received so far. */
    uint8_t head[DNS_LENGTH_SIZE + DNS_HEADER_SIZE];
    size_t arrived;
};

static void cares_socket_check_invariants(const struct cares_socket *socket)
{
    wr_assert(socket->fd >= 0);
    wr_assert(!socket->op.in_flight || socket->armed != 0);
    wr_debug_assert(wr_list_is_linked(&socket->link));
}

static struct cares_socket *cares_socket_find(struct cares *cares, int fd)
{
    for (struct wr_list *link = cares->sockets.next; link != &cares->sockets;
         link = link->next) {
        struct cares_socket *socket =
            wr_container_of(link, struct cares_socket, link);
        if (socket->fd == fd && !socket->is_closing) {
            return socket;
        }
    }
    return NULL;
}

static void cares_socket_release(struct cares_socket *socket)
{
    if (!socket->is_closing || socket->op.in_flight || socket->is_used) {
        return;
    }
    cares_socket_check_invariants(socket);
    wr_uring_forget(&socket->cares->loop->uring, socket->fd);
    wr_ignore(wr_sys_close(socket->fd));
    wr_list_remove(&socket->link);
    wr_guard_free(&socket->cares->loop->counting, socket, sizeof(*socket));
}

static void cares_socket_arm(struct cares_socket *socket)
{
    struct wr_uring *uring = &socket->cares->loop->uring;

    cares_socket_check_invariants(socket);
    if (socket->is_closing || socket->wanted == 0) {
        return;
    }
    if (socket->op.in_flight) {
        if (socket->wanted & ~socket->armed) {
            /* When this poll has ended, the next one is armed. */
            wr_op_cancel(uring, &socket->op);
        }
        return;
    }
    wr_assert(!socket->is_used);
    socket->armed = socket->wanted;
    wr_prep_poll(uring, &socket->op, socket->fd, socket->armed, false);
}

static void cares_socket_forget_answer(struct cares *cares)
{
    cares->rcode = 0;
    cares->is_truncated = false;
    cares->has_records = false;
}

/* Lets c-ares read or write a ready socket. After an error c-ares does both, as
 * far as it wants, because each finds the error. */
static void cares_socket_process(struct cares_socket *socket, uint32_t events)
{
    struct cares *cares = socket->cares;
    const uint32_t error = POLLERR | POLLHUP;
    const uint32_t wanted = socket->wanted;
    const bool can_read = (wanted & POLLIN) && (events & (POLLIN | error));
    const bool can_write = (wanted & POLLOUT) && (events & (POLLOUT | error));

    wr_assert(!socket->is_used);
    wr_assert(!socket->is_closing);
    wr_assert(events != 0);
    socket->is_used = true;
    const ares_socket_t in = can_read ? socket->fd : ARES_SOCKET_BAD;
    const ares_socket_t out = can_write ? socket->fd : ARES_SOCKET_BAD;
    ares_process_fd(socket->is_datagram ? cares->dns : cares->tcp, in, out);
    if (cares->udp6) { /* a channel ignores sockets of other channels */
        cares_socket_forget_answer(cares);
        ares_process_fd(cares->udp6, in, out);
    }
    socket->is_used = false;
    cares_socket_forget_answer(cares);
    wr_cares_push_work(cares);
}

/* A poll that fails for good is not repeated; the queries time out. */
static void cares_socket_polled(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct cares_socket *socket = wr_container_of(op, struct cares_socket, op);

    cares_socket_check_invariants(socket);
    wr_check(!op->in_flight);
    wr_check(!(flags & WR_CQE_MORE));
    if (socket->is_closing) {
        cares_socket_release(socket);
        return;
    }
    if (res > 0) {
        cares_socket_process(socket, (uint32_t)res);
    }
    if (socket->is_closing) {
        cares_socket_release(socket);
    } else if (res >= 0 || wr_res_is_transient(res)) {
        cares_socket_arm(socket);
    }
}

void wr_cares_socket_changed(void *arg, ares_socket_t fd, int readable,
                             int writable)
{
    struct cares *cares = arg;
    struct cares_socket *socket = cares_socket_find(cares, fd);

    wr_assert(socket != NULL);
    socket->wanted = (readable ? POLLIN : 0u) | (writable ? POLLOUT : 0u);
    if (!socket->is_used) { /* else cares_socket_polled() arms it */
        cares_socket_arm(socket);
    }
}

/* ---- the functions that c-ares calls instead of system calls ---- */

static ares_ssize_t cares_socket_result(int64_t ret)
{
    if (ret < 0) {
        errno = (int)-ret;
        return -1;
    }
    return (ares_ssize_t)ret;
}

static int cares_socket_make(struct cares *cares, int family, int type,
                             int protocol)
{
    const int on = 1;
    struct cares_socket *socket =
        wr_guard_alloc(&cares->loop->counting, sizeof(*socket));
    wr_require(socket, -ENOMEM);
    memset(socket, 0, sizeof(*socket));
    socket->fd = wr_sys_socket(family, type | SOCK_NONBLOCK, protocol);
    if (socket->fd < 0) {
        const int err = socket->fd;
        wr_guard_free(&cares->loop->counting, socket, sizeof(*socket));
        return err;
    }
    if (type == SOCK_STREAM) { /* saves a round trip */
        wr_ignore(wr_sys_setsockopt(socket->fd, IPPROTO_TCP, TCP_NODELAY, &on,
                                    sizeof(on)));
    }
    socket->cares = cares;
    socket->is_datagram = type == SOCK_DGRAM;
    wr_op_init(&socket->op, cares_socket_polled);
    wr_list_init(&socket->link);
    wr_list_push_back(&cares->sockets, &socket->link);
    return socket->fd;
}

static ares_socket_t cares_socket_open(int family, int type, int protocol,
                                       void *arg)
{
    struct cares *cares = arg;
    const int fd = cares_socket_make(cares, family, type, protocol);

    cares->socket_err = fd < 0 ? fd : 0;
    return (ares_socket_t)cares_socket_result(fd);
}

static int cares_socket_close(ares_socket_t fd, void *arg)
{
    struct cares *cares = arg;
    struct cares_socket *socket = cares_socket_find(cares, fd);

    wr_assert(socket != NULL);
    wr_assert(socket->cares == cares);
    socket->is_closing = true;
    wr_op_cancel(&cares->loop->uring, &socket->op);
    cares_socket_release(socket);
    return 0;
}

/* Adds the zone, because c-ares before 1.24 does not support zones, and a
 * link-local address cannot be reached without one. */
static int cares_socket_connect(ares_socket_t fd, const struct sockaddr *addr,
                                ares_socklen_t len, void *arg)
{
    const struct cares *cares = arg;
    struct sockaddr_in6 inet6;

    wr_assert(cares_socket_find(arg, fd) != NULL);
    if (addr->sa_family == AF_INET6 && len >= sizeof(inet6)) {
        memcpy(&inet6, addr, sizeof(inet6));
        if (inet6.sin6_scope_id == 0) {
            inet6.sin6_scope_id =
                wr_name_servers_get_zone(&cares->system.servers, &inet6);
        }
        return (int)cares_socket_result(
            wr_sys_connect(fd, (struct sockaddr *)&inet6, sizeof(inet6)));
    }
    return (int)cares_socket_result(wr_sys_connect(fd, addr, len));
}

static void cares_socket_note_answer(struct cares *cares, const uint8_t *answer)
{
    wr_assert(answer != NULL);
    const uint8_t rcode = answer[3] & 0xf;
    cares->rcode = rcode == CARES_SERVFAIL || rcode == CARES_NOTIMP ||
                           rcode == CARES_REFUSED
                       ? rcode
                       : 0;
    cares->has_records = (answer[3] & 0xf) == 0 && (answer[6] | answer[7]) != 0;
}

/* Returns the size of the message being received, as far as it is known. */
static size_t cares_socket_get_size(const struct cares_socket *socket)
{
    return socket->arrived < DNS_LENGTH_SIZE
               ? DNS_LENGTH_SIZE
               : DNS_LENGTH_SIZE +
                     (size_t)(socket->head[0] << 8 | socket->head[1]);
}

/* Finds the DNS messages in a TCP stream, and records the last one's header. */
static void cares_socket_note_stream(struct cares_socket *socket,
                                     const uint8_t *data, size_t len)
{
    while (len > 0) {
        const size_t missing = cares_socket_get_size(socket) - socket->arrived;
        const size_t part = len < missing ? len : missing;
        wr_assert(part > 0);
        for (size_t i = 0; i < part; i++) {
            if (socket->arrived + i < sizeof(socket->head)) {
                socket->head[socket->arrived + i] = data[i];
            }
        }
        socket->arrived += part;
        data += part;
        len -= part;
        if (socket->arrived < cares_socket_get_size(socket)) {
            continue;
        }
        if (socket->arrived >= sizeof(socket->head)) {
            cares_socket_note_answer(socket->cares,
                                     socket->head + DNS_LENGTH_SIZE);
        }
        socket->arrived = 0;
    }
}

/* NOLINTNEXTLINE(readability-function-size): c-ares sets the parameters */
static ares_ssize_t cares_socket_recvfrom(ares_socket_t fd, void *buf,
                                          size_t size, int flags,
                                          struct sockaddr *addr,
                                          ares_socklen_t *len, void *arg)
{
    struct cares *cares = arg;

    wr_assert(flags == 0);
    int32_t got = wr_sys_recvfrom(fd, buf, size, addr, len);
    for (uint32_t i = 0; got == 0 && addr && i < EMPTY_MAX; i++) {
        /* Newer versions of c-ares would take an empty datagram for an end of
         * stream. */
        got = wr_sys_recvfrom(fd, buf, size, addr, len);
    }
    if (got == 0 && addr) {
        got = -EAGAIN; /* the next poll finds more datagrams */
    }
    cares_socket_forget_answer(cares);
    if (got > 0 && addr) {
        const uint8_t *answer = buf;
        if (got >= DNS_HEADER_SIZE) {
            cares_socket_note_answer(cares, answer);
            /* The query must be repeated over TCP. */
            cares->is_truncated =
                (answer[2] & DNS_TRUNCATED) || got > DNS_UDP_MAX;
        }
    } else if (got > 0) {
        cares_socket_note_stream(cares_socket_find(cares, fd), buf,
                                 (size_t)got);
    }
    return cares_socket_result(got);
}

static ares_ssize_t cares_socket_sendv(ares_socket_t fd,
                                       const struct iovec *iov, int count,
                                       void *arg)
{
    const struct cares_socket *socket = cares_socket_find(arg, fd);

    wr_assert(socket != NULL);
    wr_assert(count > 0);
    int32_t sent = wr_sys_send(fd, iov, (uint32_t)count);
    if (sent == -ECONNREFUSED && socket->is_datagram) {
        /* An earlier datagram caused the error, and this one was not sent. */
        sent = wr_sys_send(fd, iov, (uint32_t)count);
    }
    if ((sent == -EAGAIN || sent == -ENOBUFS) && socket->is_datagram) {
        /* If the send buffer is full, the query counts as lost and is sent
         * again after its time-out. If it failed here, c-ares would retry at
         * once, and after the last try report that there is no server. */
        size_t total = 0;

        for (int i = 0; i < count; i++) {
            total += iov[i].iov_len;
        }
        return (ares_ssize_t)total;
    }
    return cares_socket_result(sent);
}

void wr_cares_use_sockets(struct cares *cares, ares_channel channel)
{
    static const struct ares_socket_functions functions = {
        .asocket = cares_socket_open,
        .aclose = cares_socket_close,
        .aconnect = cares_socket_connect,
        .arecvfrom = cares_socket_recvfrom,
        .asendv = cares_socket_sendv,
    };
    /* Newer versions of c-ares have another table, but accept this one. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    ares_set_socket_functions(channel, &functions, cares);
#pragma GCC diagnostic pop
}

void wr_cares_abandon_sockets(struct cares *cares)
{
    struct wr_list *link = cares->sockets.next;

    while (link != &cares->sockets) {
        struct cares_socket *socket =
            wr_container_of(link, struct cares_socket, link);
        link = link->next; /* the socket is freed */
        wr_assert(socket->is_closing);
        wr_op_abandon(&cares->loop->uring, &socket->op);
    }
}
