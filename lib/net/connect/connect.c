/*
 * Connections of the program: attempts to connect, and descriptors that are
 * adopted, which are connected sockets or pipes.
 *
 *     WAITING --ready item--> TRYING --race is over--> ENDING --> freed
 *        |                       \__ SHAKING ____________/^
 *        +---------- adopted, or given up -----^---------+
 *
 * SHAKING waits for the handshake of TLS, if there is one.
 *
 * race.c finds a connected socket: it looks names up and runs several attempts,
 * the first of which wins. This file makes a transport of the socket and calls
 * done; attempts that lost may keep the memory for some time longer.
 *
 * The program, the time-out and the end of the loop can give a connection up.
 * done gets the first cause; a connection that was made all the same is closed.
 */
#include "connect.h"

#include "lib/base/address.h"
#include "lib/base/options.h"
#include "lib/transport/pipe/pipe.h"
#include "lib/transport/secure.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "race.h"

#include <string.h>
#include <weir/error.h>

#define LOOKUP_TIMEOUT_NS UINT64_C(10000000000)

enum connect_state {
    CONNECT_WAITING,
    CONNECT_TRYING,
    CONNECT_SHAKING,
    CONNECT_ENDING, /* done is called, or was */
};

static const char *const connect_state_names[] = {
    [CONNECT_WAITING] = "waiting",
    [CONNECT_TRYING] = "trying",
    [CONNECT_SHAKING] = "shaking",
    [CONNECT_ENDING] = "ending",
};

struct wr_connect {
    weir_loop *loop;
    struct weir_pending pending; /* the program's handle, until done returns */
    struct wr_member member;
    enum connect_state state;
    int cause;       /* -ECANCELED or -ETIMEDOUT once it is given up */
    int fd;          /* of the program; -1: none, or taken */
    int family;      /* of the socket, once it is there */
    bool is_adopted; /* the program brought the descriptor */
    bool is_pipe;    /* the descriptor is a pipe */
    bool was_told;   /* done was called */
    enum wr_pipe_direction direction; /* of a pipe */
    struct wr_ready ready;
    struct wr_timer timer;
    struct weir_factory factory;
    weir_connect_done_fn *done;
    void *done_arg;
    uint64_t timeout_ns;
    char *error_text; /* memory of the program; NULL: none */
    size_t error_text_size;
    struct weir_address local; /* len 0: any */
    struct weir_connection_options connection;
    struct wr_secure_settings tls;
    weir_transport *shaking; /* in state SHAKING */
    struct wr_race race;     /* stays idle if a descriptor is adopted */
    size_t candidate_count;
    struct wr_candidate candidates[]; /* those that are known at the call */
};

static void connect_set_state(struct wr_connect *connect,
                              enum connect_state state)
{
    static const bool allowed[][CONNECT_ENDING + 1] = {
        [CONNECT_WAITING] = {[CONNECT_TRYING] = true,
                             [CONNECT_SHAKING] = true,
                             [CONNECT_ENDING] = true},
        [CONNECT_TRYING] = {[CONNECT_SHAKING] = true, [CONNECT_ENDING] = true},
        [CONNECT_SHAKING] = {[CONNECT_ENDING] = true},
        [CONNECT_ENDING] = {false},
    };
    wr_assert(allowed[connect->state][state]);
    connect->state = state;
}

static void connect_check_invariants(const struct wr_connect *connect)
{
    const bool is_timed = wr_timer_is_armed(&connect->timer);

    wr_race_check_invariants(&connect->race);
    wr_assert(connect->cause == 0 || connect->cause == -ECANCELED ||
              connect->cause == -ETIMEDOUT);
    wr_debug_assert(wr_list_is_linked(&connect->member.link));
    switch (connect->state) {
    case CONNECT_WAITING:
        wr_assert((connect->fd >= 0) == connect->is_adopted);
        wr_assert(!is_timed);
        wr_assert(connect->race.state == WR_RACE_IDLE);
        break;
    case CONNECT_TRYING:
        wr_assert(!connect->is_adopted);
        wr_assert(!is_timed || connect->timeout_ns > 0);
        break;
    case CONNECT_SHAKING:
        wr_assert(connect->fd < 0 && connect->shaking);
        wr_assert(connect->race.state != WR_RACE_RUNNING);
        break;
    case CONNECT_ENDING:
        wr_assert(connect->fd < 0 && !connect->shaking);
        wr_assert(!is_timed);
        wr_assert(connect->race.state != WR_RACE_RUNNING);
        break;
    }
}

static size_t connect_get_size(size_t candidate_count)
{
    return sizeof(struct wr_connect) +
           candidate_count * sizeof(struct wr_candidate);
}

/* Frees a connection if its done was called and its last attempt has ended. */
static void connect_release(struct wr_connect *connect)
{
    weir_loop *loop = connect->loop;

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_ENDING);
    if (!connect->was_told || !wr_race_is_quiet(&connect->race)) {
        return;
    }
    wr_loop_remove_member(loop, &connect->member);
    wr_race_fini(&connect->race);
    wr_secure_settings_drop(&connect->tls);
    wr_guard_free(&loop->counting, connect,
                  connect_get_size(connect->candidate_count));
    wr_loop_unpin(loop);
}

/* Calls done, and frees the connection when no attempt is left. With an error
 * @t is the transport that broke, or NULL. */
static void connect_finish(struct wr_connect *connect, int err,
                           weir_transport *t)
{
    wr_assert(connect->state == CONNECT_ENDING);
    wr_assert(err < 0 || t);
    wr_assert(!connect->was_told);
    if (err < 0 || connect->error_text) {
        wr_race_note_errors(&connect->race, err < 0 ? t : NULL, err,
                            connect->error_text, connect->error_text_size);
    }
    if (connect->done) {
        connect->done(connect->done_arg, err, err < 0 ? NULL : t);
        wr_loop_end_if_forked(connect->loop);
    }
    connect->was_told = true;
    connect_release(connect);
}

static void connect_end(struct wr_connect *connect)
{
    connect_set_state(connect, CONNECT_ENDING);
    wr_timer_cancel(&connect->loop->wheel, &connect->timer);
}

static void connect_fail(struct wr_connect *connect, int err)
{
    wr_assert(err < 0 && (connect->cause == 0 || err == connect->cause));
    connect_end(connect);
    wr_socket_close(connect->loop, connect->fd, connect->family);
    connect->fd = -1;
    connect_finish(connect, err, NULL);
}

static struct wr_sock_options connect_options(const struct wr_connect *c)
{
    return (struct wr_sock_options){&c->connection, NULL, c->family,
                                    c->race.options.attempt.fast_open};
}

/* Makes the transport; takes @fd. */
static int connect_open(struct wr_connect *connect, int fd,
                        weir_transport **ret)
{
    const struct wr_sock_options options = connect_options(connect);

    if (connect->is_pipe) {
        return wr_pipe_open(connect->loop, fd, connect->direction,
                            &connect->factory, &connect->connection, ret);
    }
    return wr_sock_open(connect->loop, fd, &connect->factory, &options, ret);
}

/* The connection was made, or has failed. If it was given up meanwhile, by its
 * own callbacks for example, it is aborted. */
static void connect_settle(struct wr_connect *connect, int err,
                           weir_transport *t)
{
    wr_assert(err < 0 || t);
    if (connect->cause < 0) {
        if (err >= 0) {
            t->ops->abort(t); /* one that stands on it ends too */
        }
        err = connect->cause;
    }
    connect_finish(connect, err, t);
}

static void connect_shaken(void *arg, int err, weir_transport *t)
{
    struct wr_connect *connect = arg;

    wr_assert(connect->state == CONNECT_SHAKING);
    connect->shaking = NULL;
    connect_end(connect);
    connect_settle(connect, err, t);
}

/* Begins the handshake; takes @fd. */
static void connect_shake(struct wr_connect *connect, int fd)
{
    const struct wr_sock_options options = connect_options(connect);
    const struct wr_secure_opener opener = {
        .factory = connect->factory, .opened = connect_shaken, .arg = connect};

    const int err = wr_secure_open(connect->loop, fd, &options, &connect->tls,
                                   &opener, &connect->shaking);
    wr_assert(connect->cause == 0);
    if (err < 0) {
        connect_end(connect);
        connect_settle(connect, err, NULL);
    } else {
        connect_set_state(connect, CONNECT_SHAKING);
    }
}

/* Makes a transport of @fd, a connected socket or a pipe; takes it. */
static void connect_establish(struct wr_connect *connect, int fd)
{
    weir_transport *t = NULL;

    wr_assert(fd >= 0);
    wr_assert(connect->cause == 0);
    if (wr_secure_settings_are_set(&connect->tls)) {
        connect_shake(connect, fd);
        return;
    }
    connect_end(connect);
    const int err = connect_open(connect, fd, &t);
    connect_settle(connect, err, t);
}

static void connect_race_ended(struct wr_race *race, int err, int fd)
{
    struct wr_connect *connect = wr_container_of(race, struct wr_connect, race);

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_TRYING);
    if (err < 0) {
        connect_fail(connect, err);
    } else if (connect->cause < 0) { /* its resolver has given it up */
        wr_socket_reset_on_close(fd);
        wr_socket_close(connect->loop, fd, race->winner_family);
        connect_fail(connect, connect->cause);
    } else {
        connect->family = race->winner_family;
        connect_establish(connect, fd);
    }
}

static void connect_race_quiet(struct wr_race *race)
{
    connect_release(wr_container_of(race, struct wr_connect, race));
}

static const struct wr_race_ops connect_race_ops = {
    .ended = connect_race_ended, .quiet = connect_race_quiet};

static void connect_give_up(struct wr_connect *connect, int cause)
{
    connect_check_invariants(connect);
    if (connect->cause == 0) {
        connect->cause = cause;
        if (connect->state == CONNECT_TRYING) {
            wr_race_give_up(&connect->race, cause);
        } else if (connect->state == CONNECT_SHAKING) {
            weir_transport_abort(connect->shaking);
        }
    }
}

static void connect_cancel(struct weir_pending *pending)
{
    connect_give_up(wr_container_of(pending, struct wr_connect, pending),
                    -ECANCELED);
}

static int connect_get_attempt(const struct weir_pending *pending, size_t index,
                               struct weir_attempt *ret)
{
    const struct wr_connect *connect =
        wr_container_of(pending, const struct wr_connect, pending);

    return wr_race_get_attempt(&connect->race, index, ret);
}

static void connect_timer_expired(struct wr_timer *timer)
{
    struct wr_connect *connect =
        wr_container_of(timer, struct wr_connect, timer);

    wr_assert(connect->state == CONNECT_TRYING ||
              connect->state == CONNECT_SHAKING);
    connect_give_up(connect, -ETIMEDOUT);
}

/* Opens the descriptor that the program brought. */
static void connect_adopt(struct wr_connect *connect)
{
    const int fd = connect->fd;
    const int err = wr_sock_configure(connect->loop, fd, connect->family,
                                      &connect->connection);

    wr_assert(fd >= 0);
    wr_assert(!connect->is_pipe || connect->family == AF_UNSPEC);
    if (err < 0) {
        connect_fail(connect, err);
        return;
    }
    connect->fd = -1;
    connect_establish(connect, fd);
}

static void connect_ready(struct wr_ready *ready)
{
    struct wr_connect *connect =
        wr_container_of(ready, struct wr_connect, ready);
    weir_loop *loop = connect->loop;

    connect_check_invariants(connect);
    wr_assert(connect->state == CONNECT_WAITING);
    if (connect->cause < 0) {
        connect_fail(connect, connect->cause);
        return;
    }
    if (connect->timeout_ns > 0) {
        wr_timer_arm(&loop->wheel, &connect->timer,
                     wr_add_sat(loop->now_ns, connect->timeout_ns));
    }
    if (connect->is_adopted) { /* the handshake of TLS may take long */
        connect_adopt(connect);
        return;
    }
    connect_set_state(connect, CONNECT_TRYING);
    wr_race_start(&connect->race);
}

static void connect_shutdown_alive(struct wr_member *member)
{
    struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

    wr_assert(wr_loop_is_closing(connect->loop));
    connect_give_up(connect, -ECANCELED);
}

static void connect_dump_alive(const struct wr_member *member, FILE *out)
{
    const struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

    fprintf(out, "connect %s", connect_state_names[connect->state]);
    wr_race_dump(&connect->race, out);
    fprintf(out, " given-up=%s\n",
            connect->cause < 0 ? weir_err_name(connect->cause) : "no");
}

static void connect_abandon_alive(struct wr_member *member)
{
    struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

    /* The loop has shut it down, or it had ended. */
    wr_assert(connect->cause < 0 || connect->state == CONNECT_ENDING);
    wr_race_abandon(&connect->race);
}

static void connect_check_alive(const struct wr_member *member)
{
    const struct wr_connect *connect =
        wr_container_of(member, struct wr_connect, member);

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

/* ---- beginning ---- */

static void connect_init(struct wr_connect *connect, weir_loop *loop,
                         const struct weir_factory *factory,
                         const struct wr_connect_call *call)
{
    const struct weir_connect_options *options = call->options;
    const struct wr_race_options race = {
        /* The limit of the whole attempt includes the lookup. */
        .lookup_timeout_ns =
            options->timeout_ns > 0 ? UINT64_MAX : LOOKUP_TIMEOUT_NS,
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
    connect->state = CONNECT_WAITING;
    connect->factory = *factory;
    connect->done = call->done;
    connect->done_arg = call->done_arg;
    connect->timeout_ns = options->timeout_ns;
    connect->error_text = options->error_text;
    connect->error_text_size = options->error_text_size;
    connect->is_adopted = call->place.kind == WEIR_PLACE_FD;
    connect->is_pipe = call->is_pipe;
    connect->direction = call->direction;
    connect->fd = wr_place_get_fd(&call->place);
    connect->connection = options->connection;
    if (options->local_address) {
        connect->local = *options->local_address;
    }
    wr_race_init(&connect->race, loop, &connect_race_ops, &race,
                 connect->candidates, connect->candidate_count);
    wr_member_init(&connect->member, &connect_member_ops);
    wr_ready_init(&connect->ready, connect_ready);
    wr_timer_init(&connect->timer, connect_timer_expired);
}

/* Makes an attempt; connect_begin() follows. */
static int connect_make(weir_loop *loop, const struct weir_factory *factory,
                        const struct wr_connect_call *call,
                        size_t candidate_count, struct wr_connect **ret)
{
    const size_t size = connect_get_size(candidate_count);

    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_connect *connect = wr_guard_alloc(&loop->counting, size);
    wr_require(connect, -ENOMEM);
    memset(connect, 0, sizeof(*connect));
    connect->candidate_count = candidate_count;
    connect_init(connect, loop, factory, call);
    *ret = connect;
    return 0;
}

static void connect_begin(struct wr_connect *connect, weir_pending **ret)
{
    weir_loop *loop = connect->loop;

    wr_loop_add_member(loop, &connect->member);
    wr_loop_pin(loop);
    wr_ready_push(&loop->ready, &connect->ready);
    connect_check_invariants(connect);
    if (ret) {
        *ret = &connect->pending;
    }
}

/* Takes no descriptor when it fails. */
static int connect_ask(weir_loop *loop, const struct weir_factory *factory,
                       const struct wr_connect_call *call, weir_pending **ret)
{
    struct wr_place place;
    struct wr_connect *connect;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(factory && factory->create, -EINVAL);
    wr_require(!ret || call->done, -EINVAL); /* done ends the handle */
    const int family = wr_connect_read_place(loop, call, &place);
    wr_require(family >= 0, family);
    err = connect_make(loop, factory, call, place.count, &connect);
    wr_require(err >= 0, err);
    connect->family = family;
    err = wr_secure_settings_read(&connect->tls, call->options->tls,
                                  connect->is_adopted ? WR_SECURE_EITHER
                                                      : WR_SECURE_CLIENT,
                                  wr_place_get_host(&call->place));
    if (err == 0 && !connect->is_adopted) {
        err = wr_connect_fill_race(&connect->race, family, &place);
    }
    if (err < 0) {
        wr_secure_settings_drop(&connect->tls);
        wr_race_fini(&connect->race);
        wr_guard_free(&loop->counting, connect,
                      connect_get_size(connect->candidate_count));
        return err;
    }
    connect_begin(connect, ret);
    return 0;
}

int wr_connect_start(weir_loop *loop, const struct weir_factory *factory,
                     const struct wr_connect_call *call, weir_pending **ret)
{
    wr_assert(call->options->size > 0);
    wr_assert(!call->is_pipe || call->place.kind == WEIR_PLACE_FD);
    const int err = connect_ask(loop, factory, call, ret);
    if (err < 0) {
        wr_socket_refuse(wr_place_get_fd(&call->place));
    }
    return err;
}

const struct wr_race *wr_connect_get_race(const weir_pending *pending)
{
    return pending->give_up == connect_cancel
               ? &wr_container_of(pending, const struct wr_connect, pending)
                      ->race
               : NULL;
}
