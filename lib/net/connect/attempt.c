/*
 * One attempt to connect.
 *
 * wr_attempt_give_up() cancels the operation. If the socket was connected
 * nevertheless, it is closed with a reset: the peer, which may have accepted
 * it, must not read an empty stream with a regular end.
 *
 * If no socket listens on a port of this machine, the kernel may choose this
 * port as the local port, and the TCP socket is then connected to itself. Such
 * a connection counts as refused.
 *
 * A Unix server whose queue is full refuses with -EAGAIN, and the kernel does
 * not report when the queue has space. So the attempt keeps its socket and
 * tries again later. (A blocking connect would occupy a worker thread of the
 * kernel.)
 */
#include "race.h"

#include "lib/base/address.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"

#include <netinet/tcp.h>
#include <string.h>

#define RETRY_FIRST_NS (1u * 1000000u)
#define RETRY_LAST_NS  (64u * 1000000u)

void wr_attempt_check_invariants(const struct wr_attempt *attempt)
{
    const bool is_under_way = wr_attempt_is_under_way(attempt);

    wr_assert(is_under_way || !attempt->op.in_flight);
    wr_assert(is_under_way || !wr_timer_is_armed(&attempt->timer));
    wr_assert(is_under_way || !wr_timer_is_armed(&attempt->retry));
    wr_assert(!attempt->op.in_flight || !wr_timer_is_armed(&attempt->retry));
    wr_assert(attempt->cause == 0 || attempt->cause == -ECANCELED ||
              attempt->cause == -ETIMEDOUT);
}

static void attempt_end(struct wr_attempt *attempt, int err)
{
    wr_assert(err <= 0);
    wr_assert(!attempt->op.in_flight);
    wr_timer_cancel(&attempt->loop->wheel, &attempt->timer);
    wr_timer_cancel(&attempt->loop->wheel, &attempt->retry);
    if (err < 0 && attempt->fd >= 0) {
        wr_ignore(wr_socket_ask_sockname(attempt->fd, &attempt->own));
        wr_ignore(wr_sys_close(attempt->fd));
        attempt->fd = -1;
    }
    attempt->ended(attempt, err);
}

static void attempt_submit(struct wr_attempt *attempt)
{
    wr_assert(attempt->cause == 0);
    wr_prep_connect_new(&attempt->loop->uring, &attempt->op, attempt->fd,
                        &attempt->address.storage.any, attempt->address.len);
}

static void attempt_retry_expired(struct wr_timer *timer)
{
    struct wr_attempt *attempt =
        wr_container_of(timer, struct wr_attempt, retry);

    wr_assert(wr_attempt_is_under_way(attempt));
    if (attempt->cause < 0) {
        attempt_end(attempt, attempt->cause);
    } else {
        attempt_submit(attempt);
    }
}

static void attempt_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_attempt *attempt = wr_container_of(op, struct wr_attempt, op);
    const int family = attempt->address.storage.any.sa_family;
    const bool is_unix = family == AF_UNIX;

    wr_attempt_check_invariants(attempt);
    wr_assert(wr_attempt_is_under_way(attempt));
    wr_check(!op->in_flight);
    wr_check(!(flags & WR_CQE_MORE));
    res = wr_op_own_result(op, res);
    if (res >= 0 && wr_connects_non_blocking(&attempt->loop->uring, family)) {
        res = wr_sys_set_blocking(attempt->fd);
    }
    if (res >= 0 && !is_unix && attempt->cause == 0 &&
        wr_socket_is_own_peer(attempt->fd, &attempt->address)) {
        wr_socket_reset_on_close(attempt->fd); /* leaves no TIME_WAIT */
        res = -ECONNREFUSED;
    }
    if (attempt->cause < 0) {
        /* Even after a cancel the peer may have accepted: send it a reset. */
        wr_socket_reset_on_close(attempt->fd);
        if (res >= 0 && is_unix) { /* the peer may have sent descriptors */
            wr_socket_close(attempt->loop, attempt->fd, AF_UNIX);
            attempt->fd = -1;
        }
        attempt_end(attempt, attempt->cause);
    } else if (res == -EAGAIN && is_unix) {
        weir_loop *loop = attempt->loop;

        wr_assert(attempt->retry_ns >= RETRY_FIRST_NS);
        wr_timer_arm(&loop->wheel, &attempt->retry,
                     wr_add_sat(loop->now_ns, attempt->retry_ns));
        attempt->retry_ns = wr_min_u64(attempt->retry_ns * 2, RETRY_LAST_NS);
        wr_attempt_check_invariants(attempt);
    } else {
        attempt_end(attempt, res < 0 ? res : 0);
    }
}

void wr_attempt_give_up(struct wr_attempt *attempt, int cause)
{
    weir_loop *loop = attempt->loop;

    wr_attempt_check_invariants(attempt);
    wr_assert(wr_attempt_is_under_way(attempt));
    if (attempt->cause < 0) {
        return;
    }
    attempt->cause = cause;
    wr_op_cancel(&loop->uring, &attempt->op);
    /* No operation is in flight while the attempt waits to be repeated. */
    if (!attempt->op.in_flight) {
        wr_timer_arm(&loop->wheel, &attempt->retry, loop->now_ns);
    }
}

static void attempt_timer_expired(struct wr_timer *timer)
{
    wr_attempt_give_up(wr_container_of(timer, struct wr_attempt, timer),
                       -ETIMEDOUT);
}

void wr_attempt_init(struct wr_attempt *attempt, weir_loop *loop,
                     void (*ended)(struct wr_attempt *attempt, int err))
{
    wr_assert(ended != NULL);
    attempt->loop = loop;
    attempt->ended = ended;
    attempt->fd = -1;
    attempt->cause = 0;
    wr_op_init(&attempt->op, attempt_completed);
    wr_timer_init(&attempt->timer, attempt_timer_expired);
    wr_timer_init(&attempt->retry, attempt_retry_expired);
}

/* An empty @local means any address, or no bind if @local_port is 0, too. */
static int attempt_bind(int fd, int family, const struct weir_address *local,
                        uint16_t local_port)
{
    struct weir_address address = *local;
    const int on = 1;

    wr_assert(fd >= 0);
    wr_assert(local_port == 0 || family != AF_UNIX);
    if (address.len == 0 && local_port == 0) {
        return 0;
    }
    if (address.len == 0) {
        int err = wr_address_passive(family, NULL, local_port, &address);
        wr_assert(err == 0);
    }
    wr_assert(address.storage.any.sa_family == family);
    if (family != AF_UNIX && wr_address_port(&address) == 0) {
        /* The kernel chooses the port at the connect, when the peer is known
         * too, so a busy client has 28 000 ports for each peer. A failure only
         * means fewer ports. */
        wr_ignore(wr_sys_setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT,
                                    &on, sizeof(on)));
    }
    return wr_sys_bind(fd, &address.storage.any, address.len);
}

/* A Unix socket is non-blocking until it is connected, so that a connect to a
 * server with a full queue returns -EAGAIN. */
static int attempt_open(const weir_loop *loop, int family,
                        const struct wr_attempt_options *options)
{
    const struct weir_address *local = options->local;
    const int on = 1;

    wr_assert(local->len == 0 || local->storage.any.sa_family == family);
    wr_assert(options->proto == 0 || family != AF_UNIX);
    const int type =
        SOCK_STREAM |
        (wr_connects_non_blocking(&loop->uring, family) ? SOCK_NONBLOCK : 0);
    int fd = wr_sys_socket(family, type, options->proto);
    if (fd < 0) {
        return fd;
    }
    if (options->fast_open && family != AF_UNIX) {
        /* -EOPNOTSUPP means that the sysctl forbids it. */
        wr_ignore(wr_sys_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on,
                                    sizeof(on)) < 0);
    }
    int err = wr_sock_configure(loop, fd, family, options->connection);
    if (err >= 0) {
        err = attempt_bind(fd, family, local, options->local_port);
    }
    if (err < 0) {
        wr_ignore(wr_sys_close(fd));
        return err;
    }
    return fd;
}

int wr_attempt_start(struct wr_attempt *attempt,
                     const struct weir_address *address,
                     const struct wr_attempt_options *options)
{
    weir_loop *loop = attempt->loop;

    wr_attempt_check_invariants(attempt);
    wr_assert(address->len > 0);
    wr_assert(!wr_attempt_is_under_way(attempt));
    int fd = attempt_open(loop, address->storage.any.sa_family, options);
    if (fd < 0) {
        return fd;
    }
    attempt->fd = fd;
    attempt->cause = 0;
    attempt->retry_ns = RETRY_FIRST_NS;
    memcpy(&attempt->address.storage, &address->storage, address->len);
    attempt->address.len = address->len;
    if (options->timeout_ns > 0) {
        wr_timer_arm(&loop->wheel, &attempt->timer,
                     wr_add_sat(loop->now_ns, options->timeout_ns));
    }
    attempt_submit(attempt);
    return 0;
}

void wr_attempt_abandon(struct wr_attempt *attempt)
{
    wr_assert(attempt->cause < 0); /* the loop has shut its owner down */
    if (attempt->op.in_flight) {
        wr_op_abandon(&attempt->loop->uring, &attempt->op);
    } else {
        attempt_end(attempt, attempt->cause);
    }
}
