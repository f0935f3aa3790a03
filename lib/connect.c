/*
 * Connections that are asked for, and sockets that are handed in connected.
 *
 *     WAITING --ready item--> TRYING --completion--> ENDING --done--> freed
 *        |                                             ^
 *        +---------- adopted, or given up -------------+
 *
 * Whoever ends an attempt early (the program, the time-out, the end of the
 * loop) leaves the cause and asks the kernel to cancel; the attempt then ends
 * like any other, by its completion. The first cause is what done is told,
 * and a connection that came about in spite of it is closed.
 */
#include "connect.h"

#include "address.h"
#include "listener.h"
#include "options.h"
#include "sock.h"

#include <string.h>
#include <weir/error.h>

enum connect_state {
    CONNECT_WAITING,
    CONNECT_TRYING,
    CONNECT_ENDING,
};

static const char *const state_names[] = {
    [CONNECT_WAITING] = "waiting",
    [CONNECT_TRYING] = "trying",
    [CONNECT_ENDING] = "ending",
};

struct weir_connect {
    weir_loop *loop;
    struct wr_alive alive;
    enum connect_state state;
    int cause; /* -ECANCELED or -ETIMEDOUT: given up */
    int fd;    /* -1 when there is none */
    int family;
    bool adopted;
    struct wr_ready ready;
    struct wr_op op;
    struct wr_timer timer;
    struct weir_factory factory;
    weir_connect_done_fn *done;
    void *done_arg;
    uint64_t timeout_ns;
    struct weir_address peer;
    struct weir_address local; /* len 0: any */
    struct weir_stream_options stream;
};

static void set_state(weir_connect *connect, enum connect_state state)
{
    static const bool allowed[][CONNECT_ENDING + 1] = {
        [CONNECT_WAITING] = {[CONNECT_TRYING] = true, [CONNECT_ENDING] = true},
        [CONNECT_TRYING] = {[CONNECT_ENDING] = true},
        [CONNECT_ENDING] = {false},
    };
    wr_assert(allowed[connect->state][state]);
    connect->state = state;
}

static void close_fd(weir_connect *connect)
{
    if (connect->fd >= 0) {
        wr_ignore(wr_sys_close(connect->fd)); /* nothing was sent on it */
        connect->fd = -1;
    }
}

/* Tells what came of it and frees. */
static void finish(weir_connect *connect, int err, weir_transport *t)
{
    weir_loop *loop = connect->loop;

    wr_assert(!connect->op.in_flight);
    wr_assert((err < 0) == !t);
    if (connect->done) {
        connect->done(connect->done_arg, err, t);
        wr_loop_leave_if_forked(loop);
    }
    wr_list_remove(&connect->alive.link);
    wr_guard_free(&loop->counting, connect, sizeof(*connect));
    wr_assert(loop->pinned_count > 0);
    loop->pinned_count--;
    wr_loop_release(loop);
}

static void fail(weir_connect *connect, int err)
{
    set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
    close_fd(connect);
    finish(connect, err, NULL);
}

/* The socket is connected. */
static void establish(weir_connect *connect)
{
    const struct wr_sock_options options = {
        .stream = &connect->stream,
        .peername = &connect->peer,
        .may_ask_sockname = true,
    };
    const int fd = connect->fd;
    weir_transport *t = NULL;

    set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
    connect->fd = -1;
    int err = wr_sock_open(connect->loop, fd, &connect->factory, &options, &t);
    if (connect->cause < 0) { /* given up by its own callbacks */
        if (err >= 0) {
            wr_ignore(weir_transport_abort(t)); /* right thread: cannot fail */
        }
        err = connect->cause;
    }
    finish(connect, err, err < 0 ? NULL : t);
}

static void connect_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    weir_connect *connect = wr_container_of(op, weir_connect, op);
    (void)flags; /* there is never more */

    if (connect->cause < 0) {
        fail(connect, connect->cause);
    } else if (res < 0) {
        fail(connect, res);
    } else {
        establish(connect);
    }
}

static void give_up(weir_connect *connect, int cause)
{
    if (connect->cause == 0) {
        connect->cause = cause;
        wr_op_cancel(&connect->loop->uring, &connect->op);
    }
}

static void timer_expired(struct wr_timer *timer)
{
    give_up(wr_container_of(timer, weir_connect, timer), -ETIMEDOUT);
}

static int bind_local(weir_connect *connect)
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
static int open_socket(weir_connect *connect)
{
    int fd = wr_sys_socket(connect->family, SOCK_STREAM, 0);
    if (fd < 0) {
        return fd;
    }
    connect->fd = fd;
    int err = wr_sock_configure(fd, connect->family, &connect->stream);
    return err < 0 ? err : bind_local(connect);
}

static void connect_ready(struct wr_ready *ready)
{
    weir_connect *connect = wr_container_of(ready, weir_connect, ready);
    weir_loop *loop = connect->loop;

    if (connect->cause < 0) {
        fail(connect, connect->cause);
        return;
    }
    int err = connect->adopted ? wr_sock_configure(connect->fd, connect->family,
                                                   &connect->stream)
                               : open_socket(connect);
    if (err < 0) {
        fail(connect, err);
        return;
    }
    if (connect->adopted) {
        establish(connect);
        return;
    }
    set_state(connect, CONNECT_TRYING);
    if (connect->timeout_ns > 0) {
        wr_timer_arm(&loop->wheel, &connect->timer,
                     wr_add_sat(loop->now_ns, connect->timeout_ns));
    }
    wr_prep_connect(&loop->uring, &connect->op, connect->fd,
                    &connect->peer.storage.any, connect->peer.len);
}

static void shutdown_alive(struct wr_alive *alive)
{
    weir_connect *connect = wr_container_of(alive, weir_connect, alive);

    give_up(connect, -ECANCELED);
}

static void dump_alive(const struct wr_alive *alive, FILE *out)
{
    const weir_connect *connect = wr_container_of(alive, weir_connect, alive);
    char text[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, "connect %s peer=%s fd=%d given-up=%s\n",
            state_names[connect->state],
            weir_address_format(&connect->peer, text, sizeof(text)),
            connect->fd,
            connect->cause < 0 ? weir_err_name(connect->cause) : "no");
}

static void abandon_alive(struct wr_alive *alive)
{
    weir_connect *connect = wr_container_of(alive, weir_connect, alive);

    wr_op_abandon(&connect->loop->uring, &connect->op);
}

static const struct wr_alive_ops alive_ops = {
    .shutdown = shutdown_alive, .abandon = abandon_alive, .dump = dump_alive};

/* ---- the public functions ---- */

/* Returns the family. */
static int check_adopted(const struct weir_connect_options *options,
                         const char *host, struct weir_address *ret_peer)
{
    wr_require(!host, -EINVAL);
    wr_require(!options->local_host && options->local_port == 0, -EINVAL);
    int family = wr_socket_check(options->sock, ret_peer);
    wr_require(family >= 0, family);
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    return family;
}

/* Reads the peer's and the own address; returns the family. */
static int parse_addresses(const struct weir_connect_options *options,
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
    connect->adopted = options->use_sock;
    connect->fd = options->use_sock ? options->sock : -1;
    connect->stream = options->stream;
    wr_list_init(&connect->alive.link);
    connect->alive.ops = &alive_ops;
    wr_ready_init(&connect->ready, connect_ready);
    wr_op_init(&connect->op, connect_completed);
    wr_timer_init(&connect->timer, timer_expired);
}

/* All that can be said without the network. */
static int check_options(const struct weir_connect_options *options,
                         const struct weir_factory *factory)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6,
               -EINVAL);
    return 0;
}

/* Takes no socket when it fails. */
static int start(weir_loop *loop, const struct weir_factory *factory,
                 const char *host, uint16_t port,
                 const struct weir_connect_options *options, weir_connect **ret)
{
    struct weir_address peer = {.len = 0};
    struct weir_address local = {.len = 0};

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = check_options(options, factory);
    wr_require(err >= 0, err);
    int family = options->use_sock
                     ? check_adopted(options, host, &peer)
                     : parse_addresses(options, host, port, &peer, &local);
    wr_require(family >= 0, family);
    wr_require(!ret || options->done, -EINVAL); /* done ends the handle */
    wr_require(!loop->closing, -ESHUTDOWN);
    weir_connect *connect = wr_guard_alloc(&loop->counting, sizeof(*connect));
    wr_require(connect, -ENOMEM);

    connect_init(connect, loop, factory, options);
    connect->family = family;
    connect->peer = peer;
    connect->local = local;
    wr_list_push_back(&loop->connects, &connect->alive.link);
    loop->pinned_count++;
    wr_ready_push(&loop->ready, &connect->ready);
    if (ret) {
        *ret = connect;
    }
    return 0;
}

int wr_connect_options_read(const void *outer,
                            struct weir_connect_options *connect)
{
    int err = wr_options_read_inner(outer, connect, sizeof(*connect));
    return err < 0 ? err : wr_stream_options_read(connect, &connect->stream);
}

void wr_connect_refuse(const struct weir_connect_options *options)
{
    if (options->use_sock) {
        wr_ignore(wr_sys_close(options->sock)); /* taken in any case */
    }
}

int wr_connect_start(weir_loop *loop, const struct weir_factory *factory,
                     const char *host, uint16_t port,
                     const struct weir_connect_options *options,
                     weir_connect **ret)
{
    int err = start(loop, factory, host, port, options, ret);
    if (err < 0) {
        wr_connect_refuse(options);
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
        err = wr_stream_options_read(&known, &known.stream);
    }
    if (err < 0) {
        wr_connect_refuse(&known);
        return err;
    }
    return wr_connect_start(loop, factory, host, port, &known, ret);
}

void weir_connect_cancel(weir_connect *connect)
{
    if (wr_loop_check(connect->loop) < 0) {
        return;
    }
    give_up(connect, -ECANCELED);
}
