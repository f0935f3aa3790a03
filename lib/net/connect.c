/*
 * Connections that are asked for, and sockets that are handed in connected.
 *
 *     WAITING --ready item--> TRYING --completion--> ENDING --done--> freed
 *        |                                             ^
 *        +---------- adopted, or given up -------------+
 *
 * An attempt can be ended early by the program, the time-out and the end of the
 * loop. Each leaves its cause and asks the kernel to cancel; the attempt then
 * ends like any other, by its completion. The first cause is the error that
 * done gets, and a connection that was made in spite of it is closed.
 */
#include "connect.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "lib/transport/sock.h"
#include "listener.h"

#include <string.h>
#include <weir/error.h>

enum connect_state {
    CONNECT_WAITING,
    CONNECT_TRYING,
    CONNECT_ENDING,
};

static const char *const connect_state_names[] = {
    [CONNECT_WAITING] = "waiting",
    [CONNECT_TRYING] = "trying",
    [CONNECT_ENDING] = "ending",
};

struct weir_connect {
    weir_loop *loop;
    struct wr_member member;
    enum connect_state state;
    int cause; /* why it was given up: -ECANCELED, -ETIMEDOUT, or 0: not */
    int fd;    /* -1: none yet, or closed, or the transport's */
    int family;
    bool is_adopted; /* the program brought the socket */
    struct wr_ready ready;
    struct wr_op op;
    struct wr_timer timer;
    struct weir_factory factory;
    weir_connect_done_fn *done;
    void *done_arg;
    uint64_t timeout_ns;
    struct weir_address peer;
    struct weir_address local; /* len 0: any */
    struct weir_connection_options connection;
};

static void connect_set_state(weir_connect *connect, enum connect_state state)
{
    static const bool allowed[][CONNECT_ENDING + 1] = {
        [CONNECT_WAITING] = {[CONNECT_TRYING] = true, [CONNECT_ENDING] = true},
        [CONNECT_TRYING] = {[CONNECT_ENDING] = true},
        [CONNECT_ENDING] = {false},
    };
    wr_assert(allowed[connect->state][state]);
    connect->state = state;
}

static void connect_check_invariants(const weir_connect *connect)
{
    const bool is_timed = wr_timer_is_armed(&connect->timer);

    wr_assert(connect->cause == 0 || connect->cause == -ECANCELED ||
              connect->cause == -ETIMEDOUT);
    wr_debug_assert(wr_list_is_linked(&connect->member.link));
    switch (connect->state) {
    case CONNECT_WAITING:
        wr_assert((connect->fd >= 0) == connect->is_adopted);
        wr_assert(!is_timed);
        wr_assert(!connect->op.in_flight);
        break;
    case CONNECT_TRYING:
        wr_assert(connect->fd >= 0);
        wr_assert(!connect->is_adopted);
        wr_assert(!is_timed || connect->timeout_ns > 0);
        break;
    case CONNECT_ENDING:
        wr_assert(connect->fd < 0);
        wr_assert(!is_timed);
        wr_assert(!connect->op.in_flight);
        break;
    }
}

/* Calls done, and frees the attempt. */
static void connect_finish(weir_connect *connect, int err, weir_transport *t)
{
    weir_loop *loop = connect->loop;

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_ENDING);
    wr_assert((err < 0) == !t);
    if (connect->done) {
        connect->done(connect->done_arg, err, t);
        wr_loop_leave_if_forked(loop);
    }
    wr_loop_remove_member(loop, &connect->member);
    wr_guard_free(&loop->counting, connect, sizeof(*connect));
    wr_loop_unpin(loop);
}

static void connect_fail(weir_connect *connect, int err)
{
    wr_assert(err < 0);
    connect_set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
    wr_socket_refuse(connect->fd >= 0, connect->fd);
    connect->fd = -1;
    connect_finish(connect, err, NULL);
}

/* The socket is connected. */
static void connect_establish(weir_connect *connect)
{
    const struct wr_sock_options options = {
        .connection = &connect->connection,
    };
    const int fd = connect->fd;
    weir_transport *t = NULL;

    wr_assert(fd >= 0);
    wr_assert(connect->cause == 0);
    connect_set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
    connect->fd = -1;
    int err = wr_sock_open(connect->loop, fd, &connect->factory, &options, &t);
    wr_assert((err < 0) == !t);
    if (connect->cause < 0) { /* given up by its own callbacks */
        if (err >= 0) {
            weir_transport_abort(t);
        }
        err = connect->cause;
    }
    connect_finish(connect, err, err < 0 ? NULL : t);
}

static void connect_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    weir_connect *connect = wr_container_of(op, weir_connect, op);

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_TRYING);
    wr_check(!op->in_flight); /* a connect completes once */
    wr_check(!(flags & WR_CQE_MORE));
    if (connect->cause < 0) {
        connect_fail(connect, connect->cause);
    } else if (res < 0) {
        connect_fail(connect, res);
    } else {
        connect_establish(connect);
    }
}

static void connect_give_up(weir_connect *connect, int cause)
{
    connect_check_invariants(connect);
    if (connect->cause == 0) {
        connect->cause = cause;
        wr_op_cancel(&connect->loop->uring, &connect->op);
    }
}

static void connect_timer_expired(struct wr_timer *timer)
{
    weir_connect *connect = wr_container_of(timer, weir_connect, timer);

    wr_assert(connect->state == CONNECT_TRYING);
    connect_give_up(connect, -ETIMEDOUT);
}

static int connect_bind_local(weir_connect *connect)
{
    const struct weir_address *local = &connect->local;
    const int on = 1;

    if (local->len == 0) {
        return 0;
    }
    if (wr_address_port(local) == 0) {
        /* Let the port be chosen when the peer is known too: a busy client
         * then has 28 000 of them for each peer. A kernel without this option
         * only has fewer. */
        wr_ignore(wr_sys_setsockopt(connect->fd, IPPROTO_IP,
                                    IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)));
    }
    return wr_sys_bind(connect->fd, &local->storage.any, local->len);
}

/* Makes the socket of a connection that is to be made. */
static int connect_open_socket(weir_connect *connect)
{
    wr_assert(connect->fd < 0);
    int fd = wr_sys_socket(connect->family, SOCK_STREAM, 0);
    if (fd < 0) {
        return fd;
    }
    connect->fd = fd;
    int err = wr_sock_configure(fd, connect->family, &connect->connection);
    return err < 0 ? err : connect_bind_local(connect);
}

static void connect_ready(struct wr_ready *ready)
{
    weir_connect *connect = wr_container_of(ready, weir_connect, ready);
    weir_loop *loop = connect->loop;

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_WAITING);
    if (connect->cause < 0) {
        connect_fail(connect, connect->cause);
        return;
    }
    int err = connect->is_adopted
                  ? wr_sock_configure(connect->fd, connect->family,
                                      &connect->connection)
                  : connect_open_socket(connect);
    if (err < 0) {
        connect_fail(connect, err);
        return;
    }
    if (connect->is_adopted) {
        connect_establish(connect);
        return;
    }
    connect_set_state(connect, CONNECT_TRYING);
    if (connect->timeout_ns > 0) {
        wr_timer_arm(&loop->wheel, &connect->timer,
                     wr_add_sat(loop->now_ns, connect->timeout_ns));
    }
    wr_prep_connect(&loop->uring, &connect->op, connect->fd,
                    &connect->peer.storage.any, connect->peer.len);
    connect_check_invariants(connect);
}

static void connect_shutdown_alive(struct wr_member *member)
{
    weir_connect *connect = wr_container_of(member, weir_connect, member);

    wr_assert(wr_loop_is_closing(connect->loop));
    connect_give_up(connect, -ECANCELED);
}

static void connect_dump_alive(const struct wr_member *member, FILE *out)
{
    const weir_connect *connect = wr_container_of(member, weir_connect, member);
    char text[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, "connect %s peer=%s fd=%d given-up=%s\n",
            connect_state_names[connect->state],
            weir_address_format(&connect->peer, text, sizeof(text)),
            connect->fd,
            connect->cause < 0 ? weir_err_name(connect->cause) : "no");
}

static void connect_abandon_alive(struct wr_member *member)
{
    weir_connect *connect = wr_container_of(member, weir_connect, member);

    wr_assert(connect->cause < 0); /* the loop has shut it down */
    wr_op_abandon(&connect->loop->uring, &connect->op);
}

static void connect_check_alive(const struct wr_member *member)
{
    const weir_connect *connect = wr_container_of(member, weir_connect, member);

    connect_check_invariants(connect);
    wr_assert(connect->state != CONNECT_WAITING ||
              wr_ready_is_pending(&connect->ready));
}

static const struct wr_member_ops connect_member_ops = {
    .stage = WR_STAGE_MAKERS,
    .shutdown = connect_shutdown_alive,
    .abandon = connect_abandon_alive,
    .dump = connect_dump_alive,
    .check = connect_check_alive};

/* ---- the public functions ---- */

/* Checks a socket that the program brings; returns its family. */
static int connect_check_adopted(const struct weir_connect_options *options,
                                 const char *host,
                                 struct weir_address *ret_peer)
{
    wr_require(!host, -EINVAL);
    wr_require(!options->local_host && options->local_port == 0, -EINVAL);
    int family = wr_socket_check(options->sock, ret_peer);
    wr_require(family >= 0, family);
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    return family;
}

/* Reads the peer's and the own address; returns their family. */
static int connect_parse_addresses(const struct weir_connect_options *options,
                                   const char *host, uint16_t port,
                                   struct weir_address *ret_peer,
                                   struct weir_address *ret_local)
{
    wr_require(host, -EINVAL);
    int err = weir_address_parse(host, port, ret_peer);
    wr_require(err >= 0, err);
    const int family = ret_peer->storage.any.sa_family;
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    if (!options->local_host && options->local_port == 0) {
        return family;
    }
    const char *own = options->local_host;
    err =
        own ? weir_address_parse(own, options->local_port, ret_local)
            : wr_address_passive(family, NULL, options->local_port, ret_local);
    wr_require(err >= 0, err);
    wr_require(ret_local->storage.any.sa_family == family, -EINVAL);
    return family;
}

static void connect_init(weir_connect *connect, weir_loop *loop,
                         const struct weir_factory *factory,
                         const struct weir_connect_options *options)
{
    memset(connect, 0, sizeof(*connect));
    connect->loop = loop;
    connect->state = CONNECT_WAITING;
    connect->factory = *factory;
    connect->done = options->done;
    connect->done_arg = options->done_arg;
    connect->timeout_ns = options->timeout_ns;
    connect->is_adopted = options->use_sock;
    connect->fd = options->use_sock ? options->sock : -1;
    connect->connection = options->connection;
    wr_member_init(&connect->member, &connect_member_ops);
    wr_ready_init(&connect->ready, connect_ready);
    wr_op_init(&connect->op, connect_completed);
    wr_timer_init(&connect->timer, connect_timer_expired);
}

static int connect_check_options(const struct weir_connect_options *options,
                                 const struct weir_factory *factory)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6,
               -EINVAL);
    return 0;
}

/* Makes an attempt; takes no socket when it fails. */
static int connect_start(weir_loop *loop, const struct weir_factory *factory,
                         const char *host, uint16_t port,
                         const struct weir_connect_options *options,
                         weir_connect **ret)
{
    struct weir_address peer = {.len = 0};
    struct weir_address local = {.len = 0};

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = connect_check_options(options, factory);
    wr_require(err >= 0, err);
    int family =
        options->use_sock
            ? connect_check_adopted(options, host, &peer)
            : connect_parse_addresses(options, host, port, &peer, &local);
    wr_require(family >= 0, family);
    wr_require(!ret || options->done, -EINVAL); /* done ends the handle */
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    weir_connect *connect = wr_guard_alloc(&loop->counting, sizeof(*connect));
    wr_require(connect, -ENOMEM);

    connect_init(connect, loop, factory, options);
    connect->family = family;
    connect->peer = peer;
    connect->local = local;
    wr_loop_add_member(loop, &connect->member);
    wr_loop_pin(loop);
    wr_ready_push(&loop->ready, &connect->ready);
    connect_check_invariants(connect);
    if (ret) {
        *ret = connect;
    }
    return 0;
}

int wr_connect_options_read(const void *outer,
                            struct weir_connect_options *connect)
{
    int err = wr_options_read_inner(outer, connect, sizeof(*connect));
    return err < 0 ? err
                   : wr_connection_options_read(connect, &connect->connection);
}

int wr_connect_start(weir_loop *loop, const struct weir_factory *factory,
                     const char *host, uint16_t port,
                     const struct weir_connect_options *options,
                     weir_connect **ret)
{
    int err = connect_start(loop, factory, host, port, options, ret);
    if (err < 0) {
        wr_socket_refuse(options->use_sock, options->sock);
    }
    return err;
}

int weir_create_connection(weir_loop *loop, const struct weir_factory *factory,
                           const char *host, uint16_t port,
                           const struct weir_connect_options *options,
                           weir_connect **ret)
{
    struct weir_connect_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_connection_options_read(&known, &known.connection);
    }
    if (err < 0) {
        wr_socket_refuse(known.use_sock, known.sock);
        return err;
    }
    return wr_connect_start(loop, factory, host, port, &known, ret);
}

void weir_connect_cancel(weir_connect *connect)
{
    if (wr_loop_check(connect->loop) < 0) {
        return;
    }
    connect_give_up(connect, -ECANCELED);
}
