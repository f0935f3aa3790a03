/*
 * The making of datagram endpoints.
 *
 *     ASKING --looked up--> WAITING --ready item--> ENDING --done--> freed
 *                              |  ^
 *            its address in use|  |timer
 *                              v  |
 *                             RESTING
 *
 * Names are looked up first. Then a socket is made, bound and connected for one
 * address after the other until one works. A ready item does this, so that
 * callbacks come from the loop. An address that is in use is tried again for a
 * while, as that of a server is.
 */
#include "endpoint.h"

#include "endpoint_names.h"
#include "lib/net/serve/listener_file.h"
#include "lib/transport/datagram/datagram.h"
#include "lib/transport/socket.h"

#include <string.h>

enum endpoint_state {
    ENDPOINT_ASKING,
    ENDPOINT_WAITING,
    ENDPOINT_RESTING,
    ENDPOINT_ENDING,
    ENDPOINT_STATES,
};

struct wr_endpoint_maker {
    weir_loop *loop;
    struct wr_member member;
    enum endpoint_state state;
    int fd; /* -1: not made, closed, or the transport's */
    bool is_cancelled;
    bool is_adopted;             /* the program brought the socket */
    struct weir_pending pending; /* the program's handle, until done returns */
    weir_endpoint_done_fn *done;
    void *done_arg;
    struct wr_ready ready;
    struct wr_timer retry; /* armed while RESTING */
    uint32_t bind_tries;   /* of an address in use, after the first */
    struct weir_factory factory;
    struct weir_datagram_options options;
    struct wr_endpoint_plan plan;
    struct wr_endpoint_names names;
};

static void endpoint_set_state(struct wr_endpoint_maker *endpoint,
                               enum endpoint_state state)
{
    static const uint8_t allowed[ENDPOINT_STATES] = {
        [ENDPOINT_ASKING] = 1u << ENDPOINT_WAITING,
        [ENDPOINT_WAITING] = 1u << ENDPOINT_RESTING | 1u << ENDPOINT_ENDING,
        [ENDPOINT_RESTING] = 1u << ENDPOINT_WAITING,
    };

    wr_assert(allowed[endpoint->state] >> state & 1u);
    endpoint->state = state;
}

static void endpoint_check_invariants(const struct wr_endpoint_maker *endpoint)
{
    wr_assert(endpoint->state <= ENDPOINT_ENDING);
    wr_assert(endpoint->state == ENDPOINT_ENDING ||
              (endpoint->fd >= 0) == endpoint->is_adopted);
    wr_assert(endpoint->state != ENDPOINT_ENDING || endpoint->fd < 0);
    wr_assert(endpoint->state != ENDPOINT_ASKING ||
              wr_endpoint_plan_has_names(&endpoint->plan));
    wr_assert(wr_timer_is_armed(&endpoint->retry) ==
              (endpoint->state == ENDPOINT_RESTING));
    wr_debug_assert(wr_list_is_linked(&endpoint->member.link));
}

/* Calls done, and frees the maker. */
static void endpoint_finish(struct wr_endpoint_maker *endpoint, int err,
                            weir_transport *t)
{
    weir_loop *loop = endpoint->loop;

    endpoint_check_invariants(endpoint);
    wr_assert((err < 0) == !t);
    if (endpoint->done) {
        endpoint->done(endpoint->done_arg, err, t);
        wr_loop_end_if_forked(loop);
    }
    wr_loop_remove_member(loop, &endpoint->member);
    wr_endpoint_names_fini(&endpoint->names);
    wr_free(&loop->counting, endpoint, sizeof(*endpoint));
    wr_loop_unpin(loop);
}

/* It becomes no endpoint. */
static void endpoint_close_socket(struct wr_endpoint_maker *endpoint)
{
    if (endpoint->fd >= 0) {
        wr_datagram_close_fd(endpoint->loop, endpoint->fd,
                             endpoint->plan.family);
        endpoint->fd = -1;
    }
}

/* Binds and connects the socket. */
static int endpoint_name_socket(const struct wr_endpoint_maker *endpoint)
{
    const struct weir_address *local = &endpoint->plan.local;
    const struct weir_address *remote = &endpoint->plan.remote;

    wr_assert(endpoint->fd >= 0);
    if (local->len > 0) {
        int err = wr_listener_file_bind(endpoint->fd, local, 0);
        wr_require(err >= 0, err);
    }
    if (remote->len == 0 || endpoint->options.allow_broadcast) {
        return 0;
    }
    return wr_sys_connect(endpoint->fd, &remote->storage.any, remote->len);
}

/* Makes the socket, or uses the adopted one. */
static int endpoint_open_socket(struct wr_endpoint_maker *endpoint)
{
    const int family = endpoint->plan.family;

    if (!endpoint->is_adopted) {
        const int fd = wr_sys_socket(family, SOCK_DGRAM, 0);
        wr_require(fd >= 0, fd);
        endpoint->fd = fd;
    }
    wr_assert(endpoint->fd >= 0);
    int err = wr_datagram_configure(endpoint->loop, endpoint->fd, family,
                                    &endpoint->options);
    wr_require(err >= 0, err);
    return endpoint->is_adopted ? 0 : endpoint_name_socket(endpoint);
}

/* Tries the addresses of the names until a socket accepts one: 0, or the error
 * of the first address. */
static int endpoint_try_names(struct wr_endpoint_maker *endpoint)
{
    size_t index = 0;
    int first = 0;

    int err = wr_endpoint_names_get_result(&endpoint->names);
    wr_require(err >= 0, err);
    const struct wr_endpoint_plan known = endpoint->plan;
    wr_assert(endpoint->fd < 0);
    while (wr_endpoint_names_next(&endpoint->names, &index, &endpoint->plan)) {
        wr_assert(endpoint->plan.family != AF_UNSPEC);
        err =
            wr_endpoint_plan_choose_local(&endpoint->plan, &endpoint->options);
        if (err >= 0) {
            err = endpoint_open_socket(endpoint);
        }
        if (err >= 0) {
            return 0;
        }
        first = first < 0 ? first : err;
        endpoint_close_socket(endpoint);
        endpoint->plan = known;
    }
    return first < 0 ? first : -EINVAL; /* addresses of two families */
}

/* The socket belongs to the transport from now on. */
static int endpoint_open_transport(struct wr_endpoint_maker *endpoint,
                                   weir_transport **ret)
{
    const struct wr_datagram_socket socket = {
        .fd = endpoint->fd,
        .family = endpoint->plan.family,
        .remote = &endpoint->plan.remote,
    };

    wr_assert(socket.fd >= 0);
    wr_assert(endpoint->state == ENDPOINT_WAITING);
    endpoint->fd = -1;
    endpoint_set_state(endpoint, ENDPOINT_ENDING);
    int err = wr_datagram_open(endpoint->loop, &socket, &endpoint->factory,
                               &endpoint->options, ret);
    if (err >= 0 && endpoint->is_cancelled) { /* by its own callbacks */
        wr_ignore(weir_transport_abort(*ret) < 0);
        *ret = NULL;
        err = -ECANCELED;
    }
    return err;
}

/* True: the address is in use, perhaps by a process that has just died, and is
 * tried again later. */
static bool endpoint_rests(struct wr_endpoint_maker *endpoint, int err)
{
    weir_loop *loop = endpoint->loop;

    if (err != -EADDRINUSE || endpoint->is_adopted ||
        endpoint->bind_tries == WR_BIND_TRIES) {
        return false;
    }
    endpoint->bind_tries++;
    endpoint_set_state(endpoint, ENDPOINT_RESTING);
    wr_timer_arm(&loop->wheel, &endpoint->retry,
                 wr_add_sat(loop->now_ns, WR_BIND_RETRY_NS));
    return true;
}

static void endpoint_ready(struct wr_ready *ready)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(ready, struct wr_endpoint_maker, ready);
    weir_transport *t = NULL;

    endpoint_check_invariants(endpoint);
    wr_assert(endpoint->state == ENDPOINT_WAITING);
    int err = -ECANCELED;
    if (!endpoint->is_cancelled) {
        err = wr_endpoint_plan_has_names(&endpoint->plan)
                  ? endpoint_try_names(endpoint)
                  : endpoint_open_socket(endpoint);
    }
    if (err < 0) {
        endpoint_close_socket(endpoint);
    }
    if (endpoint_rests(endpoint, err)) {
        return;
    }
    if (err >= 0) {
        err = endpoint_open_transport(endpoint, &t);
    } else {
        endpoint_set_state(endpoint, ENDPOINT_ENDING);
    }
    endpoint_finish(endpoint, err, t);
}

/* Nothing more is waited for. */
static void endpoint_go_on(struct wr_endpoint_maker *endpoint)
{
    wr_assert(!wr_ready_is_pending(&endpoint->ready));
    endpoint_set_state(endpoint, ENDPOINT_WAITING);
    wr_ready_push(&endpoint->loop->ready, &endpoint->ready);
}

static void endpoint_retry_expired(struct wr_timer *timer)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(timer, struct wr_endpoint_maker, retry);

    wr_assert(endpoint->state == ENDPOINT_RESTING);
    endpoint_go_on(endpoint);
}

static void endpoint_names_done(struct wr_endpoint_names *names)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(names, struct wr_endpoint_maker, names);

    endpoint_check_invariants(endpoint);
    wr_assert(!endpoint->is_cancelled);
    endpoint_go_on(endpoint);
}

static void endpoint_give_up(struct wr_endpoint_maker *endpoint)
{
    endpoint_check_invariants(endpoint);
    endpoint->is_cancelled = true;
    if (endpoint->state == ENDPOINT_ASKING) {
        endpoint_go_on(endpoint); /* first: a resolver may get here again */
        wr_endpoint_names_cancel(&endpoint->names);
    } else if (endpoint->state == ENDPOINT_RESTING) {
        wr_timer_cancel(&endpoint->loop->wheel, &endpoint->retry);
        endpoint_go_on(endpoint);
    }
}

static void endpoint_shutdown_alive(struct wr_member *member)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(member, struct wr_endpoint_maker, member);

    wr_assert(wr_loop_is_closing(endpoint->loop));
    endpoint_give_up(endpoint);
}

static void endpoint_dump_alive(const struct wr_member *member, FILE *out)
{
    const struct wr_endpoint_maker *endpoint =
        wr_container_of(member, struct wr_endpoint_maker, member);
    char own[WEIR_ADDRESS_TEXT_SIZE];
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, "endpoint %s -> %s fd=%d asking=%s given-up=%s\n",
            weir_address_format(&endpoint->plan.local, own, sizeof(own)),
            weir_address_format(&endpoint->plan.remote, peer, sizeof(peer)),
            endpoint->fd, endpoint->state == ENDPOINT_ASKING ? "yes" : "no",
            endpoint->is_cancelled ? "yes" : "no");
}

static void endpoint_check_alive(const struct wr_member *member)
{
    const struct wr_endpoint_maker *endpoint =
        wr_container_of(member, struct wr_endpoint_maker, member);

    endpoint_check_invariants(endpoint);
    wr_assert(endpoint->state != ENDPOINT_WAITING ||
              wr_ready_is_pending(&endpoint->ready));
}

static const struct wr_member_ops endpoint_member_ops = {
    .stage = WR_STAGE_MAKERS,
    .shutdown = endpoint_shutdown_alive,
    .dump = endpoint_dump_alive,
    .check = endpoint_check_alive};

static void endpoint_cancel(struct weir_pending *pending)
{
    endpoint_give_up(
        wr_container_of(pending, struct wr_endpoint_maker, pending));
}

/* ---- beginning ---- */

static int endpoint_check_options(const struct weir_datagram_options *options,
                                  const struct weir_factory *factory)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->size_limit_bytes <= WEIR_DATAGRAM_SIZE_MAX, -EINVAL);
    wr_require(options->read_limit_bytes == 0 ||
                   options->read_limit_bytes >= WR_CREDIT_MIN,
               -EINVAL);
    return 0;
}

/* Checks a call, and makes a plan of it. */
static int endpoint_plan(weir_loop *loop, struct wr_endpoint_call *call,
                         const struct weir_factory *factory,
                         struct wr_endpoint_plan *ret)
{
    int err = endpoint_check_options(call->options, factory);
    wr_require(err >= 0, err);
    err = wr_endpoint_plan_read(loop, ret, call);
    wr_require(err >= 0, err);
    return wr_datagram_check_control(
        ret->family == AF_UNSPEC ? AF_INET6 : ret->family, call->options);
}

/* Looks the names up, if any, or goes on at once. */
static int endpoint_begin(struct wr_endpoint_maker *endpoint,
                          const struct wr_endpoint_call *call)
{
    wr_assert(endpoint->state == ENDPOINT_ASKING);
    wr_assert(!endpoint->is_cancelled);
    if (wr_endpoint_plan_has_names(&endpoint->plan)) {
        return wr_endpoint_names_start(&endpoint->names, &endpoint->plan, call);
    }
    endpoint_go_on(endpoint);
    return 0;
}

/* Makes a maker; takes no socket when it fails. */
static int endpoint_start(weir_loop *loop, const struct weir_factory *factory,
                          struct wr_endpoint_call *call, weir_pending **ret)
{
    struct wr_endpoint_plan plan;

    wr_require_loop(loop);
    int err = endpoint_plan(loop, call, factory, &plan);
    wr_require(err >= 0, err);
    wr_require(!ret || call->done, -EINVAL); /* done ends the handle */
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_endpoint_maker *endpoint =
        wr_alloc(&loop->counting, sizeof(*endpoint));
    wr_require(endpoint, -ENOMEM);

    memset(endpoint, 0, sizeof(*endpoint));
    endpoint->loop = loop;
    endpoint->pending = (struct weir_pending){loop, endpoint_cancel, NULL};
    endpoint->done = call->done;
    endpoint->done_arg = call->done_arg;
    endpoint->factory = *factory;
    endpoint->options = *call->options;
    endpoint->plan = plan;
    endpoint->is_adopted = call->local.kind == WEIR_PLACE_FD;
    endpoint->fd = wr_place_get_fd(&call->local);
    wr_member_init(&endpoint->member, &endpoint_member_ops);
    wr_ready_init(&endpoint->ready, endpoint_ready);
    wr_timer_init(&endpoint->retry, endpoint_retry_expired);
    wr_endpoint_names_init(&endpoint->names, loop, endpoint_names_done);
    err = endpoint_begin(endpoint, call);
    if (err < 0) {
        wr_endpoint_names_fini(&endpoint->names);
        wr_free(&loop->counting, endpoint, sizeof(*endpoint));
        return err;
    }
    wr_loop_add_member(loop, &endpoint->member);
    wr_loop_pin(loop);
    endpoint_check_invariants(endpoint);
    if (ret) {
        *ret = &endpoint->pending;
    }
    return 0;
}

static void endpoint_refuse_place(const weir_loop *loop,
                                  const struct weir_place *place)
{
    const int fd = wr_place_get_fd(place);
    const int family = fd >= 0 ? wr_socket_get_option(fd, SO_DOMAIN) : -EBADF;

    if (family >= 0) {
        wr_datagram_close_fd(loop, fd, family);
    } else {
        wr_socket_refuse(fd); /* it is no socket */
    }
}

void wr_endpoint_refuse(const weir_loop *loop,
                        const struct wr_endpoint_call *call)
{
    endpoint_refuse_place(loop, &call->local);
    endpoint_refuse_place(loop, &call->remote);
}

int wr_endpoint_start(weir_loop *loop, const struct weir_factory *factory,
                      struct wr_endpoint_call *call, weir_pending **ret)
{
    wr_assert(call->options->size > 0);
    int err = endpoint_start(loop, factory, call, ret);

    if (err < 0) {
        wr_endpoint_refuse(loop, call);
    }
    return err;
}
