/*
 * Connections that are asked for, and descriptors that are handed in: connected
 * sockets and pipes.
 *
 *     WAITING --ready item--> TRYING --completion--> ENDING --done--> freed
 *        |                                             ^
 *        +---------- adopted, or given up -------------+
 *
 * An attempt tries its candidates, the addresses that it was given, one after
 * the other; when none is left it fails with the error of the first.
 *
 * A Unix server whose queue is full refuses with -EAGAIN, and nothing tells
 * when there is room: the same candidate is tried again after a while, the
 * socket is kept. (A blocking connect would wait in a thread of the kernel's.)
 *
 * An attempt can be ended early by the program, the time-out and the end of the
 * loop. Each leaves its cause and asks the kernel to cancel; the attempt then
 * ends like any other, by its completion. The first cause is the error that
 * done gets, and a connection that was made in spite of it is closed.
 */
#include "connect.h"

#include "connect_plan.h"
#include "connect_socket.h"
#include "lib/base/options.h"
#include "lib/transport/pipe.h"
#include "lib/transport/sock.h"
#include "listener.h"

#include <string.h>
#include <weir/error.h>

#define RETRY_FIRST_NS (1u * 1000000u)
#define RETRY_LAST_NS  (64u * 1000000u)

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
    int candidate_err; /* of the first candidate that failed; 0: none did */
    bool is_adopted;   /* the program brought the descriptor */
    bool is_pipe;      /* which is one; adopted */
    enum wr_pipe_direction direction; /* of a pipe */
    struct wr_ready ready;
    struct wr_op op;
    struct wr_timer timer;
    struct wr_timer retry; /* after -EAGAIN of a Unix server */
    uint64_t retry_ns;     /* how long it rests the next time */
    struct weir_factory factory;
    weir_connect_done_fn *done;
    void *done_arg;
    uint64_t timeout_ns;
    struct weir_address local; /* len 0: any */
    uint16_t local_port;       /* where local is any; 0: any */
    struct weir_connection_options connection;
    size_t tried_count; /* candidates that were tried, or are */
    size_t candidate_count;
    /* The peer's, of an adopted socket; an empty one, of a pipe. */
    struct weir_address candidates[];
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

    wr_assert(connect->candidate_count > 0);
    wr_assert(connect->tried_count <= connect->candidate_count);
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
        wr_assert(connect->tried_count > 0);
        wr_assert(!connect->is_adopted);
        wr_assert(!is_timed || connect->timeout_ns > 0);
        wr_assert(!connect->op.in_flight ||
                  !wr_timer_is_armed(&connect->retry));
        break;
    case CONNECT_ENDING:
        wr_assert(connect->fd < 0);
        wr_assert(!is_timed);
        wr_assert(!wr_timer_is_armed(&connect->retry));
        wr_assert(!connect->op.in_flight);
        break;
    }
}

/* The candidate that is tried, or the first. */
static const struct weir_address *connect_get_peer(const weir_connect *connect)
{
    const size_t tried = connect->tried_count;
    return &connect->candidates[tried - (tried > 0)];
}

static size_t connect_get_size(size_t candidate_count)
{
    return sizeof(weir_connect) + candidate_count * sizeof(struct weir_address);
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
    wr_guard_free(&loop->counting, connect,
                  connect_get_size(connect->candidate_count));
    wr_loop_unpin(loop);
}

static void connect_close_socket(weir_connect *connect)
{
    wr_socket_refuse(connect->fd >= 0, connect->fd);
    connect->fd = -1;
}

static void connect_fail(weir_connect *connect, int err)
{
    wr_assert(err < 0);
    connect_set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
    wr_timer_cancel(&connect->loop->wheel, &connect->retry);
    connect_close_socket(connect);
    connect_finish(connect, err, NULL);
}

/* Makes the transport; takes @fd. */
static int connect_open(weir_connect *connect, int fd, weir_transport **ret)
{
    const struct wr_sock_options options = {
        .connection = &connect->connection,
        .family = connect_get_peer(connect)->storage.any.sa_family,
    };

    if (connect->is_pipe) {
        return wr_pipe_open(connect->loop, fd, connect->direction,
                            &connect->factory, &connect->connection, ret);
    }
    return wr_sock_open(connect->loop, fd, &connect->factory, &options, ret);
}

/* The socket is connected, or the pipe has always been. */
static void connect_establish(weir_connect *connect)
{
    const int fd = connect->fd;
    weir_transport *t = NULL;

    wr_assert(fd >= 0);
    wr_assert(connect->cause == 0);
    connect_set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
    connect->fd = -1;
    int err = connect_open(connect, fd, &t);
    wr_assert((err < 0) == !t);
    if (connect->cause < 0) { /* given up by its own callbacks */
        if (err >= 0) {
            weir_transport_abort(t);
        }
        err = connect->cause;
    }
    connect_finish(connect, err, err < 0 ? NULL : t);
}

/* Gives up the candidate that was tried last. */
static void connect_drop_candidate(weir_connect *connect, int err)
{
    wr_assert(err < 0);
    if (connect->candidate_err == 0) {
        connect->candidate_err = err;
    }
    connect_close_socket(connect);
}

static void connect_submit(weir_connect *connect)
{
    const struct weir_address *peer = connect_get_peer(connect);

    wr_assert(connect->state == CONNECT_TRYING);
    wr_assert(connect->cause == 0);
    wr_prep_connect(&connect->loop->uring, &connect->op, connect->fd,
                    &peer->storage.any, peer->len);
    connect_check_invariants(connect);
}

/* Rests, then tries the same candidate again. */
static void connect_rest(weir_connect *connect)
{
    weir_loop *loop = connect->loop;

    wr_assert(!connect->op.in_flight);
    wr_assert(connect->retry_ns >= RETRY_FIRST_NS);
    wr_timer_arm(&loop->wheel, &connect->retry,
                 wr_add_sat(loop->now_ns, connect->retry_ns));
    connect->retry_ns = wr_min_u64(connect->retry_ns * 2, RETRY_LAST_NS);
    connect_check_invariants(connect);
}

/* Connects to the next candidate, or fails when none is left. */
static void connect_try_next(weir_connect *connect)
{
    wr_assert(connect->state == CONNECT_TRYING);
    while (connect->tried_count < connect->candidate_count) {
        connect->tried_count++;
        connect->retry_ns = RETRY_FIRST_NS;
        int fd = wr_connect_socket_open(
            connect_get_peer(connect)->storage.any.sa_family, &connect->local,
            connect->local_port, &connect->connection);
        if (fd >= 0) {
            connect->fd = fd;
            connect_submit(connect);
            return;
        }
        connect_drop_candidate(connect, fd);
    }
    connect_fail(connect, connect->candidate_err);
}

static void connect_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    weir_connect *connect = wr_container_of(op, weir_connect, op);

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_TRYING);
    wr_check(!op->in_flight); /* a connect completes once */
    wr_check(!(flags & WR_CQE_MORE));
    const bool is_unix =
        connect_get_peer(connect)->storage.any.sa_family == AF_UNIX;
    if (res >= 0 && is_unix) {
        res = wr_sys_set_blocking(connect->fd);
    }
    if (connect->cause < 0) {
        connect_fail(connect, connect->cause);
    } else if (res == -EAGAIN && is_unix) {
        connect_rest(connect);
    } else if (res < 0) {
        connect_drop_candidate(connect, res);
        connect_try_next(connect);
    } else {
        connect_establish(connect);
    }
}

static void connect_retry_expired(struct wr_timer *timer)
{
    weir_connect *connect = wr_container_of(timer, weir_connect, retry);

    wr_assert(connect->state == CONNECT_TRYING);
    connect_submit(connect);
}

static void connect_give_up(weir_connect *connect, int cause)
{
    connect_check_invariants(connect);
    if (connect->cause == 0) {
        connect->cause = cause;
        if (wr_timer_is_armed(&connect->retry)) { /* no completion follows */
            wr_timer_cancel(&connect->loop->wheel, &connect->retry);
            wr_ready_push(&connect->loop->ready, &connect->ready);
        }
        wr_op_cancel(&connect->loop->uring, &connect->op);
    }
}

static void connect_timer_expired(struct wr_timer *timer)
{
    weir_connect *connect = wr_container_of(timer, weir_connect, timer);

    wr_assert(connect->state == CONNECT_TRYING);
    connect_give_up(connect, -ETIMEDOUT);
}

static void connect_ready(struct wr_ready *ready)
{
    weir_connect *connect = wr_container_of(ready, weir_connect, ready);
    weir_loop *loop = connect->loop;

    connect_check_invariants(connect);
    if (connect->cause < 0) {
        connect_fail(connect, connect->cause);
        return;
    }
    wr_assert(connect->state == CONNECT_WAITING);
    if (connect->is_adopted) {
        int err = wr_sock_configure(
            connect->fd, connect->candidates[0].storage.any.sa_family,
            &connect->connection);
        if (err < 0) {
            connect_fail(connect, err);
        } else {
            connect_establish(connect);
        }
        return;
    }
    connect_set_state(connect, CONNECT_TRYING);
    if (connect->timeout_ns > 0) {
        wr_timer_arm(&loop->wheel, &connect->timer,
                     wr_add_sat(loop->now_ns, connect->timeout_ns));
    }
    connect_try_next(connect);
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
            weir_address_format(connect_get_peer(connect), text, sizeof(text)),
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
    wr_timer_init(&connect->retry, connect_retry_expired);
}

static int connect_check_options(const struct weir_connect_options *options,
                                 const struct weir_factory *factory)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    return 0;
}

/* Makes an attempt that begins with the loop's next turn. */
static int connect_make(weir_loop *loop, const struct weir_factory *factory,
                        const struct weir_connect_options *options,
                        size_t candidate_count, weir_connect **ret)
{
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    weir_connect *connect =
        wr_guard_alloc(&loop->counting, connect_get_size(candidate_count));
    wr_require(connect, -ENOMEM);

    connect_init(connect, loop, factory, options);
    connect->candidate_count = candidate_count;
    wr_loop_add_member(loop, &connect->member);
    wr_loop_pin(loop);
    wr_ready_push(&loop->ready, &connect->ready);
    *ret = connect;
    return 0;
}

/* Makes an attempt; takes no socket when it fails. */
static int connect_start(weir_loop *loop, const struct weir_factory *factory,
                         const char *host, uint16_t port,
                         const struct weir_connect_options *options,
                         weir_connect **ret)
{
    struct wr_connect_plan plan;
    weir_connect *connect;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = connect_check_options(options, factory);
    wr_require(err >= 0, err);
    err = wr_connect_plan_read(&plan, host, port, options);
    wr_require(err >= 0, err);
    wr_require(!ret || options->done, -EINVAL); /* done ends the handle */
    err = connect_make(loop, factory, options, plan.candidate_count, &connect);
    wr_require(err >= 0, err);
    connect->local = plan.local;
    connect->local_port = plan.local_port;
    wr_connect_plan_copy(&plan, connect->candidates);
    connect_check_invariants(connect);
    if (ret) {
        *ret = connect;
    }
    return 0;
}

int wr_connect_pipe(weir_loop *loop, const struct weir_factory *factory,
                    enum wr_pipe_direction direction,
                    const struct weir_connect_options *options,
                    weir_connect **ret)
{
    weir_connect *connect;

    wr_assert(options->use_sock);
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    err = connect_check_options(options, factory);
    wr_require(err >= 0, err);
    wr_require(!ret || options->done, -EINVAL); /* done ends the handle */
    err = wr_pipe_check(options->sock, direction);
    wr_require(err >= 0, err);
    err = connect_make(loop, factory, options, 1, &connect);
    wr_require(err >= 0, err);
    connect->is_pipe = true;
    connect->direction = direction;
    memset(&connect->candidates[0], 0, sizeof(connect->candidates[0]));
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
