/*
 * The making of datagram endpoints, in a task of weir's own.
 *
 * Names are looked up first. Then a socket is made, bound and connected for one
 * address after the other until one works. An address that is in use is tried
 * again for a while, as that of a server is. The transport is made when the
 * task is gone, as its maker calls the program.
 */
#include "endpoint.h"

#include "endpoint_names.h"
#include "lib/net/serve/listener_file.h"
#include "lib/task/own_task.h"
#include "lib/transport/datagram/datagram.h"
#include "lib/transport/socket.h"

#include <string.h>

struct wr_endpoint_maker {
    struct wr_own_task own;
    struct wr_waiter waiter; /* for the names */
    bool is_asking;          /* the names were not all answered yet */
    bool is_cancelled;
    bool is_adopted;             /* the program brought the socket */
    int fd;                      /* -1: not made, closed, or the transport's */
    struct weir_pending pending; /* the program's handle, until done returns */
    weir_endpoint_done_fn *done;
    void *done_arg;
    struct weir_factory factory;
    struct weir_datagram_options options;
    struct wr_endpoint_plan plan;
    struct wr_endpoint_names names;
};

/* Calls done, and frees the maker. */
static void endpoint_finish(struct wr_endpoint_maker *endpoint, int err,
                            weir_transport *t)
{
    weir_loop *loop = endpoint->own.loop;

    wr_assert(endpoint->fd < 0);
    wr_assert((err < 0) == !t);
    if (endpoint->done) {
        endpoint->done(endpoint->done_arg, err, t);
        wr_loop_end_if_forked(loop);
    }
    wr_endpoint_names_fini(&endpoint->names);
    wr_free(&loop->counting, endpoint, sizeof(*endpoint));
    wr_loop_unpin(loop);
}

/* It becomes no endpoint. */
static void endpoint_close_socket(struct wr_endpoint_maker *endpoint)
{
    if (endpoint->fd >= 0) {
        wr_datagram_close_fd(endpoint->own.loop, endpoint->fd,
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
    int err = wr_datagram_configure(endpoint->own.loop, endpoint->fd, family,
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
    endpoint->fd = -1;
    int err = wr_datagram_open(endpoint->own.loop, &socket, &endpoint->factory,
                               &endpoint->options, ret);
    if (err >= 0 && endpoint->is_cancelled) { /* by its own callbacks */
        wr_ignore(weir_transport_abort(*ret) < 0);
        *ret = NULL;
        err = -ECANCELED;
    }
    return err;
}

/* ---- the steps ---- */

static void endpoint_names_done(struct wr_endpoint_names *names)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(names, struct wr_endpoint_maker, names);

    wr_assert(endpoint->is_asking);
    wr_assert(wr_own_task_is_running(&endpoint->own));
    endpoint->is_asking = false;
    if (endpoint->waiter.task) {
        wr_waiter_wake(&endpoint->waiter, 0);
    }
}

static void endpoint_names_give_up(struct wr_waiter *waiter)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(waiter, struct wr_endpoint_maker, waiter);

    wr_assert(endpoint->is_asking);
    wr_endpoint_names_cancel(&endpoint->names);
    if (waiter->task->waiter == waiter) { /* a resolver may get here again */
        wr_waiter_wake(waiter, -ECANCELED);
    }
}

static int endpoint_await_names(struct wr_endpoint_maker *endpoint)
{
    static const struct wr_wait_kind kind = {
        .name = "name lookup", .interrupt = endpoint_names_give_up};

    wr_assert(endpoint->own.task == endpoint->own.loop->current);
    endpoint->waiter.kind = &kind;
    int err = wr_task_enter(endpoint->own.loop);
    if (err == 0 && endpoint->is_asking) {
        err = wr_task_wait(endpoint->own.loop, &endpoint->waiter, NULL);
    }
    wr_assert(err < 0 || !endpoint->is_asking);
    return err;
}

static int endpoint_run(struct wr_own_task *own)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(own, struct wr_endpoint_maker, own);
    int err = endpoint_await_names(endpoint);

    for (uint32_t tries = 0; err == 0; tries++) {
        wr_assert((endpoint->fd >= 0) == endpoint->is_adopted);
        err = wr_endpoint_plan_has_names(&endpoint->plan)
                  ? endpoint_try_names(endpoint)
                  : endpoint_open_socket(endpoint);
        if (err >= 0) {
            return 0;
        }
        endpoint_close_socket(endpoint);
        if (err == -EADDRINUSE && !endpoint->is_adopted &&
            tries < WR_BIND_TRIES) {
            err = weir_sleep(own->loop, WR_BIND_RETRY_NS);
        }
    }
    wr_assert(err < 0);
    return err;
}

static void endpoint_ended(struct wr_own_task *own, int err)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(own, struct wr_endpoint_maker, own);
    weir_transport *t = NULL;

    wr_assert(err <= 0);
    wr_assert(err < 0 || endpoint->fd >= 0);
    err = endpoint->is_cancelled ? -ECANCELED : err;
    if (err >= 0) {
        err = endpoint_open_transport(endpoint, &t);
    }
    wr_endpoint_names_cancel(&endpoint->names);
    endpoint_close_socket(endpoint);
    endpoint_finish(endpoint, err, t);
}

/* The address of one side, or the name that has it. */
static const char *endpoint_name_side(const struct weir_address *address,
                                      const weir_lookup *lookup, char *text)
{
    return address->len == 0 && lookup->host[0] != '\0'
               ? lookup->host
               : weir_address_format(address, text, WEIR_ADDRESS_TEXT_SIZE);
}

static void endpoint_dump(const struct wr_own_task *own, FILE *out)
{
    const struct wr_endpoint_maker *endpoint =
        wr_container_of(own, struct wr_endpoint_maker, own);
    const struct wr_endpoint_plan *plan = &endpoint->plan;
    char local[WEIR_ADDRESS_TEXT_SIZE];
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, " %s -> %s",
            endpoint_name_side(&plan->local, &endpoint->names.own, local),
            endpoint_name_side(&plan->remote, &endpoint->names.peer, peer));
}

static void endpoint_cancel(struct weir_pending *pending)
{
    struct wr_endpoint_maker *endpoint =
        wr_container_of(pending, struct wr_endpoint_maker, pending);

    endpoint->is_cancelled = true;
    wr_own_task_cancel(&endpoint->own);
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

/* Looks the names up, if any, and starts the steps. */
static int endpoint_begin(struct wr_endpoint_maker *endpoint,
                          const struct wr_endpoint_call *call)
{
    endpoint->is_asking = wr_endpoint_plan_has_names(&endpoint->plan);
    int err =
        endpoint->is_asking
            ? wr_endpoint_names_start(&endpoint->names, &endpoint->plan, call)
            : 0;
    if (err >= 0) {
        err = wr_own_task_start(&endpoint->own, "datagram endpoint");
        if (err < 0) {
            wr_endpoint_names_cancel(&endpoint->names);
        }
    }
    return err;
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
    wr_own_task_init(&endpoint->own, loop, endpoint_run, endpoint_ended);
    endpoint->own.dump = endpoint_dump;
    endpoint->pending = (struct weir_pending){loop, endpoint_cancel, NULL};
    endpoint->done = call->done;
    endpoint->done_arg = call->done_arg;
    endpoint->factory = *factory;
    endpoint->options = *call->options;
    endpoint->plan = plan;
    endpoint->is_adopted = call->local.kind == WEIR_PLACE_FD;
    endpoint->fd = wr_place_get_fd(&call->local);
    wr_endpoint_names_init(&endpoint->names, loop, endpoint_names_done);
    err = endpoint_begin(endpoint, call);
    if (err < 0) {
        wr_endpoint_names_fini(&endpoint->names);
        wr_free(&loop->counting, endpoint, sizeof(*endpoint));
        return err;
    }
    wr_loop_pin(loop);
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
