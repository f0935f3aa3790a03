/*
 * Connections that the program makes: with attempts to connect, or from adopted
 * descriptors, which are connected sockets or pipes.
 *
 * connect_run() makes a socket and, for TLS, a transport, in a task of the
 * library, or in the calling task of the program. Without TLS, a single known
 * address or a descriptor needs no task. Then connect_settle(), on the loop's
 * stack, makes the transport of a socket without TLS, and calls done. Other
 * attempts may be in progress then, and keep the memory.
 *
 * The program, the time-out and the end of the loop can give a connection up.
 * done gets the first cause; a connection that was made nevertheless is closed.
 */
#include "connect.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "lib/names/lookup.h"
#include "lib/task/own_task.h"
#include "lib/transport/pipe/pipe.h"
#include "lib/transport/secure.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "weir/connect.h"
#include "weir/pipe.h"
#include "weir/unix.h"

#include <string.h>
#include <weir/error.h>

struct wr_connect {
    weir_loop *loop;
    struct weir_pending pending; /* the program's handle, until done returns */
    struct wr_member member;
    struct wr_ready ready;  /* starts a connection that needs no task */
    struct wr_own_task own; /* the task, if needed */
    bool is_direct;         /* made without a task */
    bool is_cancelled;      /* given up by the program or by the loop's end */
    bool was_told;          /* done was called, or the call has returned */
    enum weir_endpoint_kind kind;
    bool is_adopted; /* the program brought the descriptor */
    bool is_shaking; /* TLS will call connect_shaken() */
    struct weir_factory factory;
    weir_connect_done_fn *done;
    void *done_arg;
    uint64_t timeout_ns;
    struct weir_timeout limit; /* the time limit of the task */
    char *error_text;          /* memory of the program, or NULL */
    size_t error_text_size;
    struct weir_address local; /* len 0 means any */
    struct weir_connection_options connection;
    struct wr_secure_settings tls;
    weir_transport *secure;  /* TLS transport, a reference, or NULL */
    struct wr_waiter shaker; /* the task that waits for TLS */
    const char *alert;       /* sent by the peer's TLS to refuse, or NULL */
    struct wr_race race;     /* also has an adopted socket */
    size_t candidate_count;
    struct wr_candidate candidates[]; /* known when the call was made */
};

static void connect_check_invariants(const struct wr_connect *connect)
{
    wr_race_check_invariants(&connect->race);
    wr_assert(!connect->is_shaking || connect->secure);
    wr_assert(!connect->was_told || connect->race.fd < 0);
    wr_debug_assert(wr_list_is_linked(&connect->member.link));
}

static size_t connect_get_size(size_t candidate_count)
{
    return sizeof(struct wr_connect) +
           candidate_count * sizeof(struct wr_candidate);
}

static void connect_release(struct wr_connect *connect)
{
    weir_loop *loop = connect->loop;

    connect_check_invariants(connect);
    if (!connect->was_told || !wr_race_is_quiet(&connect->race) ||
        wr_own_task_is_running(&connect->own)) {
        return;
    }
    wr_loop_remove_member(loop, &connect->member);
    wr_race_fini(&connect->race);
    wr_secure_settings_drop(&connect->tls);
    weir_transport_unref(connect->secure);
    wr_guard_free(&loop->counting, connect,
                  connect_get_size(connect->candidate_count));
    wr_loop_unpin(loop);
}

static int connect_take_socket(struct wr_connect *connect)
{
    const int fd = connect->race.fd;

    wr_assert(fd >= 0);
    connect->race.fd = -1;
    return fd;
}

/* Closes a socket without a transport. The peer may have accepted it. */
static void connect_drop_socket(struct wr_connect *connect)
{
    if (connect->race.fd >= 0) {
        const int fd = connect_take_socket(connect);
        if (!connect->is_adopted) {
            wr_socket_reset_on_close(fd);
        }
        wr_socket_close(connect->loop, fd, connect->race.family);
    }
}

static struct wr_sock_options connect_options(const struct wr_connect *c)
{
    return (struct wr_sock_options){&c->connection, NULL, c->race.family,
                                    c->race.options.attempt.fast_open};
}

static int connect_open(struct wr_connect *connect, weir_transport **ret)
{
    const struct wr_sock_options options = connect_options(connect);
    const int fd = connect_take_socket(connect);

    wr_assert(!wr_secure_settings_are_set(&connect->tls));
    switch (connect->kind) {
    case WEIR_ENDPOINT_READ_PIPE:
        return wr_pipe_open(connect->loop, fd, WR_PIPE_READ, &connect->factory,
                            &connect->connection, ret);
    case WEIR_ENDPOINT_WRITE_PIPE:
        return wr_pipe_open(connect->loop, fd, WR_PIPE_WRITE, &connect->factory,
                            &connect->connection, ret);
    default:
        return wr_sock_open(connect->loop, fd, &connect->factory, &options,
                            ret);
    }
}

/* After an error @t is the transport that failed, or NULL. */
static void connect_tell(struct wr_connect *connect, int err, weir_transport *t)
{
    wr_assert(err < 0 || t);
    wr_assert(!connect->was_told);
    if (err == WEIR_ETLSALERT && t) {
        connect->alert = wr_transport_get_alert(t);
    }
    if (connect->error_text_size > 0) {
        wr_race_write_errors(&connect->race, err < 0 ? t : NULL, err,
                             connect->error_text, connect->error_text_size);
    }
    connect->was_told = true;
    if (connect->done) {
        connect->done(connect->done_arg, err, err < 0 ? NULL : t);
        wr_loop_end_if_forked(connect->loop);
    }
}

/* Makes the transport if @err is 0. Aborts it if the connection was cancelled
 * meanwhile, for example by the transport's own callbacks. */
static void connect_settle(struct wr_connect *connect, int err)
{
    weir_transport *t = connect->secure;

    connect_check_invariants(connect);
    if (err == 0 && !t) {
        err = connect_open(connect, &t);
    }
    if (connect->is_cancelled) {
        if (err >= 0) {
            t->ops->abort(t); /* also ends a transport above it */
        }
        err = -ECANCELED;
    }
    connect_drop_socket(connect);
    connect_tell(connect, err, t);
    connect_release(connect);
}

/* Reports success at once, before any other callback of the transport. */
static void connect_shaken(void *arg, int err, weir_transport *t)
{
    struct wr_connect *connect = arg;

    wr_assert(connect->is_shaking);
    wr_assert(t == connect->secure);
    connect->is_shaking = false;
    if (err == 0 && wr_own_task_is_running(&connect->own) &&
        !connect->is_cancelled) {
        connect_tell(connect, 0, t);
    }
    wr_waiter_wake(&connect->shaker, err);
}

/* Called when the task is interrupted: ends the handshake, and so the wait. */
static void connect_stop_shaking(struct wr_waiter *waiter)
{
    weir_transport_abort(
        wr_container_of(waiter, struct wr_connect, shaker)->secure);
}

/* The TLS transport takes the socket. Sets ->secure on success. */
static int connect_shake(struct wr_connect *connect)
{
    static const struct wr_wait_kind kind = {.name = "TLS handshake",
                                             .interrupt = connect_stop_shaking};
    const struct wr_sock_options options = connect_options(connect);
    const struct wr_secure_opener opener = {
        .factory = connect->factory, .opened = connect_shaken, .arg = connect};

    const int err =
        wr_secure_open(connect->loop, connect_take_socket(connect), &options,
                       &connect->tls, &opener, &connect->secure);
    wr_require(err >= 0, err);
    weir_transport_ref(connect->secure);
    connect->is_shaking = true;
    connect->shaker.kind = &kind;
    return wr_task_wait(connect->loop, &connect->shaker, NULL);
}

static int connect_make(struct wr_connect *connect)
{
    int err =
        connect->is_adopted
            ? wr_sock_configure(connect->loop, connect->race.fd,
                                connect->race.family, &connect->connection)
            : 0;

    if (err >= 0) {
        err = wr_race_run(&connect->race);
    }
    if (err >= 0 && wr_secure_settings_are_set(&connect->tls)) {
        err = connect_shake(connect);
    }
    return err;
}

/* Makes a socket or, with TLS, a transport, within the time limit. The first
 * cause counts: if the limit expired before a cancellation, this returns
 * -ETIMEDOUT, and the next call returns -ECANCELED. */
static int connect_run(struct wr_connect *connect)
{
    weir_task *task = connect->loop->current;
    const uint32_t requests = task->requests;
    const uint32_t expired = task->expired;
    int err = 0;

    if (connect->timeout_ns > 0) {
        err = weir_timeout_begin(connect->loop, &connect->limit,
                                 connect->timeout_ns);
    }
    wr_assert(err == 0);
    err = (int)weir_timeout_end(&connect->limit, connect_make(connect));
    if (err == -ECANCELED && weir_timeout_is_expired(&connect->limit) &&
        task->expired == expired) {
        err = -ETIMEDOUT;
        wr_task_request_again(task, requests);
    }
    wr_race_leave(&connect->race, err);
    return err;
}

static int connect_run_own(struct wr_own_task *own)
{
    return connect_run(wr_container_of(own, struct wr_connect, own));
}

static void connect_own_ended(struct wr_own_task *own, int err)
{
    struct wr_connect *connect = wr_container_of(own, struct wr_connect, own);

    if (connect->was_told) {
        connect_release(connect);
    } else {
        connect_settle(connect, err);
    }
}

static void connect_begin(struct wr_ready *ready)
{
    struct wr_connect *connect =
        wr_container_of(ready, struct wr_connect, ready);
    struct wr_race *race = &connect->race;
    int err = -ECANCELED;

    wr_assert(connect->is_direct);
    if (!connect->is_cancelled) {
        err = connect->is_adopted
                  ? wr_sock_configure(connect->loop, race->fd, race->family,
                                      &connect->connection)
                  : wr_race_try_only(race);
    }
    if (err < 0 || connect->is_adopted) {
        connect_settle(connect, err);
    }
}

/* Called when an attempt has ended and no task waits for it. */
static void connect_race_rested(struct wr_race *race)
{
    struct wr_connect *connect = wr_container_of(race, struct wr_connect, race);

    if (connect->is_direct && !connect->was_told) {
        connect_settle(connect, race->fd >= 0 ? 0 : wr_race_get_error(race));
    } else {
        connect_release(connect);
    }
}

static bool connect_is_late(const struct wr_connect *connect)
{
    return connect->is_direct ? connect->race.first.attempt.cause == -ETIMEDOUT
                              : weir_timeout_is_expired(&connect->limit);
}

static void connect_give_up(struct wr_connect *connect)
{
    const bool is_late = connect_is_late(connect);

    connect_check_invariants(connect);
    wr_race_leave(&connect->race, is_late ? -ETIMEDOUT : -ECANCELED);
    if (!is_late && !connect->was_told) {
        connect->is_cancelled = true;
        wr_own_task_cancel(&connect->own);
    }
}

static void connect_cancel(struct weir_pending *pending)
{
    connect_give_up(wr_container_of(pending, struct wr_connect, pending));
}

static int connect_get_attempt(const struct weir_pending *pending, size_t index,
                               struct weir_attempt *ret)
{
    const struct wr_connect *connect =
        wr_container_of(pending, const struct wr_connect, pending);

    return wr_race_get_attempt(&connect->race, index, ret);
}

static void connect_shutdown_alive(struct wr_member *member)
{
    struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

    wr_assert(wr_loop_is_closing(connect->loop));
    connect_give_up(connect);
}

static void connect_dump_alive(const struct wr_member *member, FILE *out)
{
    const struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

    fprintf(out, "connect %s",
            connect->was_told                      ? "ending"
            : connect->is_shaking                  ? "shaking"
            : wr_ready_is_pending(&connect->ready) ? "waiting"
                                                   : "trying");
    wr_race_dump(&connect->race, out);
    fprintf(out, " given-up=%s\n",
            connect_is_late(connect) ? "ETIMEDOUT"
            : connect->is_cancelled  ? "ECANCELED"
                                     : "no");
}

static void connect_abandon_alive(struct wr_member *member)
{
    struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

    wr_assert(connect->race.is_over);
    wr_race_abandon(&connect->race);
}

static void connect_check_alive(const struct wr_member *member)
{
    connect_check_invariants(
        wr_container_of(member, const struct wr_connect, member));
}

static const struct wr_member_ops connect_member_ops = {
    .stage = WR_STAGE_MAKERS,
    .shutdown = connect_shutdown_alive,
    .abandon = connect_abandon_alive,
    .dump = connect_dump_alive,
    .check = connect_check_alive};

static void connect_init(struct wr_connect *connect, weir_loop *loop,
                         const struct weir_factory *factory,
                         const struct wr_connect_call *call)
{
    const struct weir_connect_options *options = call->options;
    const struct wr_race_options race = {
        /* The time limit of the connection includes the lookup. */
        .lookup_timeout_ns =
            options->timeout_ns > 0 ? UINT64_MAX : WR_LOOKUP_TIMEOUT_NS,
        .eyeballs = {.delay_ns = options->happy_eyeballs_delay_ns,
                     .interleave = options->interleave,
                     .keeps_order = options->no_interleave},
        .attempt = {.local = &connect->local,
                    .local_port = options->local_port,
                    .proto = options->proto,
                    .fast_open = options->fast_open,
                    .timeout_ns = options->attempt_timeout_ns,
                    .connection = &connect->connection},
    };
    connect->loop = loop;
    connect->pending =
        (struct weir_pending){loop, connect_cancel, connect_get_attempt};
    connect->factory = *factory;
    connect->done = call->done;
    connect->done_arg = call->done_arg;
    connect->timeout_ns = options->timeout_ns;
    connect->error_text = options->error_text;
    connect->error_text_size = options->error_text_size;
    connect->kind = call->endpoint.kind;
    connect->is_adopted = wr_endpoint_is_open(&call->endpoint);
    connect->connection = options->connection;
    if (options->local_address) {
        connect->local = *options->local_address;
    }
    wr_race_init(&connect->race, loop, connect_race_rested, &race,
                 connect->candidates, connect->candidate_count);
    wr_member_init(&connect->member, &connect_member_ops);
    wr_ready_init(&connect->ready, connect_begin);
    wr_own_task_init(&connect->own, loop, connect_run_own, connect_own_ended);
}

static int connect_read(struct wr_connect *connect,
                        const struct wr_connect_call *call, int family,
                        const struct wr_endpoint *endpoint)
{
    const int err = wr_secure_settings_read(
        &connect->tls, call->options->tls,
        connect->is_adopted ? WR_SECURE_EITHER : WR_SECURE_CLIENT,
        wr_endpoint_get_host(&call->endpoint));

    wr_require(err >= 0, err);
    connect->race.family = family;
    return connect->is_adopted
               ? 0
               : wr_connect_fill_race(&connect->race, family, endpoint);
}

static void connect_discard(struct wr_connect *connect)
{
    connect->was_told = true;
    connect_release(connect);
}

/* Takes no descriptor if it fails. */
static int connect_new(weir_loop *loop, const struct weir_factory *factory,
                       const struct wr_connect_call *call,
                       struct wr_connect **ret)
{
    struct wr_endpoint endpoint;

    wr_require(factory && factory->create, -EINVAL);
    const int family = wr_connect_read_endpoint(loop, call, &endpoint);
    wr_require(family >= 0, family);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    const size_t size = connect_get_size(endpoint.count);
    struct wr_connect *connect = wr_guard_alloc(&loop->counting, size);
    wr_require(connect, -ENOMEM);
    memset(connect, 0, sizeof(*connect));
    connect->candidate_count = endpoint.count;
    connect_init(connect, loop, factory, call);
    wr_loop_add_member(loop, &connect->member);
    wr_loop_pin(loop);
    const int err = connect_read(connect, call, family, &endpoint);
    if (err < 0) {
        connect_discard(connect);
        return err;
    }
    *ret = connect;
    return 0;
}

static int connect_push(struct wr_connect *connect)
{
    struct wr_attempt_options *attempt = &connect->race.options.attempt;

    if (wr_secure_settings_are_set(&connect->tls) || connect->race.name ||
        connect->race.eyeballs.count > 1) {
        return wr_own_task_start(&connect->own, "connect");
    }
    if (connect->timeout_ns > 0 &&
        (attempt->timeout_ns == 0 ||
         attempt->timeout_ns > connect->timeout_ns)) {
        attempt->timeout_ns = connect->timeout_ns;
    }
    connect->is_direct = true;
    wr_ready_push(&connect->loop->ready, &connect->ready);
    return 0;
}

/* Takes no descriptor if it fails. */
static int connect_start(weir_loop *loop, const struct weir_factory *factory,
                         const struct wr_connect_call *call, weir_pending **ret)
{
    struct wr_connect *connect;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(!ret || call->done, -EINVAL); /* done ends the handle */
    err = connect_new(loop, factory, call, &connect);
    wr_require(err >= 0, err);
    err = connect_push(connect);
    if (err < 0) {
        connect_discard(connect);
        return err;
    }
    connect->race.fd = wr_endpoint_get_fd(&call->endpoint);
    if (ret) {
        *ret = &connect->pending;
    }
    return 0;
}

int wr_connect_start(weir_loop *loop, const struct weir_factory *factory,
                     const struct wr_connect_call *call, weir_pending **ret)
{
    wr_assert(call->options->size > 0);
    const int err = connect_start(loop, factory, call, ret);
    if (err < 0) {
        wr_socket_refuse(wr_endpoint_get_fd(&call->endpoint));
    }
    return err;
}
int wr_connect_await(weir_loop *loop, const struct weir_factory *factory,
                     const struct wr_connect_call *call, const char **ret_alert)
{
    struct wr_connect *connect;
    weir_transport *t;

    wr_assert(loop->current && !call->done);
    int err = connect_new(loop, factory, call, &connect);
    if (err < 0) {
        wr_socket_refuse(wr_endpoint_get_fd(&call->endpoint));
        return err;
    }
    connect->race.fd = wr_endpoint_get_fd(&call->endpoint);
    err = connect_run(connect);
    t = connect->secure;
    if (err == 0 && !t) {
        err = connect_open(connect, &t);
    }
    connect_drop_socket(connect);
    connect_tell(connect, err, t);
    *ret_alert = connect->alert;
    connect_release(connect);
    return err;
}

int wr_connect_options_read(const void *outer,
                            struct weir_connect_options *connect)
{
    int err = wr_options_read_inner(outer, connect, sizeof(*connect));
    return err < 0 ? err
                   : wr_connection_options_read(connect, &connect->connection);
}

int weir_create_connection_at(weir_loop *loop,
                              const struct weir_factory *factory,
                              struct weir_endpoint endpoint,
                              const struct weir_connect_options *options,
                              weir_connect_done_fn *done, void *done_arg,
                              weir_pending **ret)
{
    struct weir_connect_options known;
    const struct wr_connect_call call = {.endpoint = endpoint,
                                         .options = &known,
                                         .done = done,
                                         .done_arg = done_arg};

    int err = wr_connection_options_read_all(&known, sizeof(known), options,
                                             &known.connection,
                                             wr_endpoint_get_fd(&endpoint));
    wr_require(err >= 0, err);
    return wr_connect_start(loop, factory, &call, ret);
}

int weir_create_connection(weir_loop *loop, const struct weir_factory *factory,
                           const char *host, uint16_t port,
                           const struct weir_connect_options *options,
                           weir_connect_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    return weir_create_connection_at(loop, factory,
                                     weir_endpoint_host(host, port), options,
                                     done, done_arg, ret);
}

int weir_create_unix_connection(weir_loop *loop,
                                const struct weir_factory *factory,
                                const char *path,
                                const struct weir_connect_options *options,
                                weir_connect_done_fn *done, void *done_arg,
                                weir_pending **ret)
{
    return weir_create_connection_at(loop, factory, weir_endpoint_unix(path),
                                     options, done, done_arg, ret);
}

int weir_connect_read_pipe(weir_loop *loop, const struct weir_factory *factory,
                           int fd, const struct weir_connect_options *options,
                           weir_connect_done_fn *done, void *done_arg,
                           weir_pending **ret)
{
    return weir_create_connection_at(loop, factory, weir_endpoint_read_pipe(fd),
                                     options, done, done_arg, ret);
}

int weir_connect_write_pipe(weir_loop *loop, const struct weir_factory *factory,
                            int fd, const struct weir_connect_options *options,
                            weir_connect_done_fn *done, void *done_arg,
                            weir_pending **ret)
{
    return weir_create_connection_at(loop, factory,
                                     weir_endpoint_write_pipe(fd), options,
                                     done, done_arg, ret);
}

const char *weir_connect_get_tls_alert(const weir_pending *connect)
{
    return connect->give_up == connect_cancel
               ? wr_container_of(connect, const struct wr_connect, pending)
                     ->alert
               : NULL;
}
