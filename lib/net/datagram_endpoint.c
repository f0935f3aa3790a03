/*
 * Datagram endpoints: their addresses, and how they are made.
 *
 * Each address of the peer is an attempt, with the first local address of its
 * family. If the peer has no name, each local address is an attempt. Attempts
 * are made one after the other until one works. If an address is in use, all
 * are repeated for a while, as for a server.
 *
 * The transport is made on the loop's stack, because its factory calls the
 * program.
 */
#include "datagram_endpoint.h"

#include "lib/base/options.h"
#include "lib/loop/pending.h"
#include "lib/names/lookups.h"
#include "lib/net/serve/listener.h"
#include "lib/task/own_task.h"
#include "lib/transport/datagram/datagram.h"
#include "lib/transport/socket.h"
#include "weir/datagram_stream.h"

#include <string.h>

struct datagram_endpoint_plan {
    int family;                 /* AF_UNSPEC until the names are known */
    struct weir_address local;  /* len 0 means not bound, or not known yet */
    struct weir_address remote; /* len 0 means none, or not known yet */
    /* Port to bind if only a port was given; 0 means any. */
    uint16_t local_port;
    bool is_local_name;
    bool is_remote_name;
};

struct endpoint {
    weir_loop *loop;
    int fd; /* the socket while this struct owns it, else -1 */
    bool is_adopted;
    bool is_given_up;
    struct weir_factory factory;
    struct weir_datagram_options options;
    /* The addresses of the current attempt. */
    struct datagram_endpoint_plan plan;
    struct wr_lookups names;
    const weir_lookup *own; /* NULL if the local host is not a name */
    const weir_lookup *peer;
    struct weir_attempt *attempts; /* NULL until the names are known */
    size_t attempt_count;
    size_t attempt_capacity;
};

static bool
datagram_endpoint_plan_has_names(const struct datagram_endpoint_plan *plan)
{
    return plan->is_local_name || plan->is_remote_name;
}

static void datagram_endpoint_check_invariants(const struct endpoint *endpoint)
{
    const struct datagram_endpoint_plan *plan = &endpoint->plan;

    wr_assert((endpoint->own != NULL) == plan->is_local_name);
    wr_assert((endpoint->peer != NULL) == plan->is_remote_name);
    wr_assert(!endpoint->is_adopted || !datagram_endpoint_plan_has_names(plan));
    wr_assert(endpoint->fd < 0 || plan->family != AF_UNSPEC);
    wr_assert(endpoint->attempt_count <= endpoint->attempt_capacity);
    wr_assert((endpoint->attempts != NULL) == (endpoint->attempt_capacity > 0));
}

/* Parses one side. Sets @ret to its address, with len 0 if there is none. */
static int
datagram_endpoint_plan_read_side(weir_loop *loop,
                                 const struct weir_endpoint *endpoint,
                                 struct weir_address *ret, bool *ret_is_name)
{
    struct wr_endpoint known;

    wr_assert(ret->len == 0);
    const int err = wr_endpoint_read(loop, endpoint, 1, &known);
    wr_require(err >= 0, err);
    wr_assert(known.count <= 1);
    wr_assert(!known.name || known.count == 0);
    *ret_is_name = known.name != NULL;
    if (known.count == 1) {
        *ret = known.addresses[0];
    }
    return 0;
}

static bool datagram_endpoint_plan_is_family(int family)
{
    return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/* Returns the common family of the options and addresses, or -EINVAL. */
static int
datagram_endpoint_plan_find_family(const struct datagram_endpoint_plan *plan,
                                   const struct weir_datagram_options *options)
{
    const int asked[] = {
        options->family,
        plan->local.len > 0 ? plan->local.storage.any.sa_family : AF_UNSPEC,
        plan->remote.len > 0 ? plan->remote.storage.any.sa_family : AF_UNSPEC,
    };
    int family = AF_UNSPEC;

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        if (asked[i] != AF_UNSPEC) {
            wr_require(family == AF_UNSPEC || family == asked[i], -EINVAL);
            family = asked[i];
        }
    }
    if (datagram_endpoint_plan_has_names(plan)) {
        wr_require(family != AF_UNIX, -EINVAL);
        if (family == AF_UNSPEC && options->allow_broadcast) {
            return AF_INET; /* IPv6 has no broadcasts */
        }
        return family == AF_UNSPEC || datagram_endpoint_plan_is_family(family)
                   ? family
                   : -EAFNOSUPPORT;
    }
    if (family == AF_UNSPEC && plan->local_port > 0) {
        family = AF_INET6;
    }
    wr_assert(family >= 0);
    wr_require(family != AF_UNSPEC, -EINVAL);
    return datagram_endpoint_plan_is_family(family) ? family : -EAFNOSUPPORT;
}

/* Sets a missing local address to any address with the local port. */
static int
datagram_endpoint_plan_choose_local(struct datagram_endpoint_plan *plan,
                                    const struct weir_datagram_options *options)
{
    const bool leads_to_peer =
        plan->remote.len > 0 && !options->allow_broadcast;

    wr_assert(plan->family != AF_UNSPEC);
    if (plan->local.len > 0) {
        return 0;
    }
    if (plan->family == AF_UNIX) {
        wr_require(plan->local_port == 0, -EINVAL);
        return 0;
    }
    if (leads_to_peer && plan->local_port == 0) {
        return 0; /* connecting chooses both address and port */
    }
    return wr_address_passive(plan->family, NULL, plan->local_port,
                              &plan->local);
}

static int datagram_endpoint_plan_check_socket(int fd)
{
    int type = 0;
    int family = 0;
    socklen_t len = sizeof(type);

    int err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
    if (err == -ENOTSOCK) {
        return -EINVAL;
    }
    wr_require(err >= 0, err);
    wr_require(type == SOCK_DGRAM, -EINVAL);
    len = sizeof(family);
    err = wr_sys_getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len);
    wr_require(err >= 0, err);
    return datagram_endpoint_plan_is_family(family) ? family : -EAFNOSUPPORT;
}

static int
datagram_endpoint_plan_adopt(struct datagram_endpoint_plan *plan,
                             const struct wr_datagram_endpoint_call *call)
{
    const struct weir_datagram_options *options = call->options;

    wr_require(plan->remote.len == 0 && !plan->is_remote_name, -EINVAL);
    int family = datagram_endpoint_plan_check_socket(call->local.fd);
    wr_require(family >= 0, family);
    wr_require(options->family == AF_UNSPEC || options->family == family,
               -EINVAL);
    plan->family = family;
    return 0;
}

/* Returns -EINVAL if the call and the options both have addresses. */
static int
datagram_endpoint_plan_choose_sides(struct wr_datagram_endpoint_call *call)
{
    const struct weir_datagram_options *options = call->options;

    if (call->has_sides) {
        return options->local_host || options->local_port != 0 ||
                       options->remote_host || options->remote_port != 0
                   ? -EINVAL
                   : 0;
    }
    call->local = weir_endpoint_host(options->local_host, options->local_port);
    call->remote =
        weir_endpoint_host(options->remote_host, options->remote_port);
    return 0;
}

static int datagram_endpoint_plan_read(weir_loop *loop,
                                       struct datagram_endpoint_plan *plan,
                                       struct wr_datagram_endpoint_call *call)
{
    *plan = (struct datagram_endpoint_plan){.family = AF_UNSPEC};
    int err = datagram_endpoint_plan_choose_sides(call);
    wr_require(err >= 0, err);
    wr_require(call->options->family != AF_UNIX ||
                   (!wr_endpoint_get_host(&call->local) &&
                    !wr_endpoint_get_host(&call->remote)),
               -EINVAL);
    wr_require(call->remote.kind != WEIR_ENDPOINT_FD, -EINVAL);
    wr_require(call->remote.kind != WEIR_ENDPOINT_HOST || call->remote.host ||
                   call->remote.port == 0,
               -EINVAL);
    plan->local_port = call->local.port;
    err = datagram_endpoint_plan_read_side(loop, &call->local, &plan->local,
                                           &plan->is_local_name);
    wr_require(err >= 0, err);
    err = datagram_endpoint_plan_read_side(loop, &call->remote, &plan->remote,
                                           &plan->is_remote_name);
    wr_require(err >= 0, err);
    if (call->local.kind == WEIR_ENDPOINT_FD) {
        return datagram_endpoint_plan_adopt(plan, call);
    }
    plan->family = datagram_endpoint_plan_find_family(plan, call->options);
    wr_require(plan->family >= 0, plan->family);
    return datagram_endpoint_plan_has_names(plan)
               ? 0
               : datagram_endpoint_plan_choose_local(plan, call->options);
}

static bool datagram_endpoint_find_own(const weir_lookup *own, int family,
                                       struct weir_address *ret)
{
    wr_assert(family == AF_INET || family == AF_INET6);
    wr_assert(wr_lookup_has_ended(own));
    for (size_t i = 0; i < own->count; i++) {
        if (own->addresses[i].storage.any.sa_family == family) {
            *ret = own->addresses[i];
            return true;
        }
    }
    return false;
}

/* Copies the addresses of the next possible attempt, from *@index on, into the
 * plan, and advances *@index. Returns false if no attempt is left. */
static bool datagram_endpoint_plan_attempt(struct endpoint *endpoint,
                                           size_t *index)
{
    struct datagram_endpoint_plan *plan = &endpoint->plan;
    const weir_lookup *lookup = endpoint->peer ? endpoint->peer : endpoint->own;
    bool found = false;

    if (!lookup) {
        return (*index)++ == 0;
    }
    wr_assert(wr_lookup_has_ended(lookup));
    wr_assert(*index <= lookup->count);
    while (!found && *index < lookup->count) {
        const struct weir_address *address = &lookup->addresses[(*index)++];
        plan->family = address->storage.any.sa_family;
        *(endpoint->peer ? &plan->remote : &plan->local) = *address;
        found = lookup == endpoint->own || !endpoint->own ||
                datagram_endpoint_find_own(endpoint->own, plan->family,
                                           &plan->local);
    }
    return found;
}

static void datagram_endpoint_close_socket(struct endpoint *endpoint)
{
    if (endpoint->fd >= 0) {
        wr_datagram_close_fd(endpoint->loop, endpoint->fd,
                             endpoint->plan.family);
        endpoint->fd = -1;
    }
}

static int datagram_endpoint_name_socket(const struct endpoint *endpoint)
{
    const struct weir_address *local = &endpoint->plan.local;
    const struct weir_address *remote = &endpoint->plan.remote;

    wr_assert(endpoint->fd >= 0);
    wr_assert(!endpoint->is_adopted);
    wr_assert(local->len == 0 ||
              local->storage.any.sa_family == endpoint->plan.family);
    wr_assert(remote->len == 0 ||
              remote->storage.any.sa_family == endpoint->plan.family);
    if (local->len > 0) {
        int err = wr_listener_file_bind(endpoint->fd, local, 0);
        wr_require(err >= 0, err);
    }
    if (remote->len == 0 || endpoint->options.allow_broadcast) {
        return 0;
    }
    return wr_sys_connect(endpoint->fd, &remote->storage.any, remote->len);
}

static int datagram_endpoint_open_socket(struct endpoint *endpoint)
{
    const int family = endpoint->plan.family;

    wr_assert((endpoint->fd >= 0) == endpoint->is_adopted);
    if (!endpoint->is_adopted) {
        int err = datagram_endpoint_plan_choose_local(&endpoint->plan,
                                                      &endpoint->options);
        wr_require(err >= 0, err);
        const int fd = wr_sys_socket(family, SOCK_DGRAM, 0);
        wr_require(fd >= 0, fd);
        endpoint->fd = fd;
    }
    wr_assert(endpoint->fd >= 0);
    int err = wr_datagram_configure(endpoint->loop, endpoint->fd, family,
                                    &endpoint->options);
    wr_require(err >= 0, err);
    return endpoint->is_adopted ? 0 : datagram_endpoint_name_socket(endpoint);
}

static int datagram_endpoint_attempt(struct endpoint *endpoint)
{
    struct weir_attempt *attempt =
        &endpoint->attempts[endpoint->attempt_count++];
    const int err = datagram_endpoint_open_socket(endpoint);

    wr_assert(endpoint->attempt_count <= endpoint->attempt_capacity);
    wr_assert(err < 0 || endpoint->fd >= 0);
    *attempt = (struct weir_attempt){.size = sizeof(*attempt),
                                     .address = endpoint->plan.remote,
                                     .own_address = endpoint->plan.local,
                                     .err = err};
    if (err >= 0) {
        wr_ignore(wr_socket_ask_sockname(endpoint->fd, &attempt->own_address));
    }
    if (attempt->address.len == 0) { /* an endpoint without a peer */
        attempt->address = attempt->own_address;
    }
    return err;
}

/* Returns 0 if an attempt has worked, or the error of the first attempt. */
static int datagram_endpoint_attempt_all(struct endpoint *endpoint)
{
    const struct datagram_endpoint_plan known = endpoint->plan;
    size_t index = 0;
    int first = 0;

    endpoint->attempt_count = 0;
    while (datagram_endpoint_plan_attempt(endpoint, &index)) {
        wr_assert(endpoint->plan.family != AF_UNSPEC);
        const int err = datagram_endpoint_attempt(endpoint);
        if (err >= 0) {
            return 0;
        }
        first = first < 0 ? first : err;
        datagram_endpoint_close_socket(endpoint);
        endpoint->plan = known;
    }
    /* -EINVAL means that no local address has the family of the peer. */
    return first < 0 ? first : -EINVAL;
}

static int datagram_endpoint_make_room(struct endpoint *endpoint)
{
    const weir_lookup *lookup = endpoint->peer ? endpoint->peer : endpoint->own;

    const size_t capacity = lookup ? lookup->count : 1;

    wr_assert(!endpoint->attempts);
    wr_assert(capacity > 0);
    endpoint->attempts = wr_alloc(&endpoint->loop->counting,
                                  capacity * sizeof(*endpoint->attempts));
    wr_require(endpoint->attempts, -ENOMEM);
    endpoint->attempt_capacity = capacity;
    return 0;
}

/* Must be called in a task that has called wr_task_enter(). */
static int datagram_endpoint_make_socket(struct endpoint *endpoint)
{
    const weir_lookup *failed;

    datagram_endpoint_check_invariants(endpoint);
    wr_assert(endpoint->attempt_count == 0);
    int err = wr_lookups_await(&endpoint->names, &failed);

    err = err < 0 ? err : datagram_endpoint_make_room(endpoint);
    for (uint32_t tries = 0; err == 0; tries++) {
        err = datagram_endpoint_attempt_all(endpoint);
        if (err != -EADDRINUSE || endpoint->is_adopted ||
            tries == WR_BIND_TRIES) {
            break;
        }
        err = weir_sleep(endpoint->loop, WR_BIND_RETRY_NS);
    }
    wr_assert(err < 0 || endpoint->fd >= 0);
    return err;
}

static int
datagram_endpoint_check_options(const struct weir_datagram_options *options,
                                const struct weir_factory *factory)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->size_limit_bytes <= WEIR_DATAGRAM_SIZE_MAX, -EINVAL);
    wr_require(options->read_limit_bytes == 0 ||
                   options->read_limit_bytes >= WR_CREDIT_MIN,
               -EINVAL);
    return 0;
}

static int datagram_endpoint_plan(weir_loop *loop,
                                  struct wr_datagram_endpoint_call *call,
                                  const struct weir_factory *factory,
                                  struct datagram_endpoint_plan *ret)
{
    int err = datagram_endpoint_check_options(call->options, factory);
    wr_require(err >= 0, err);
    err = datagram_endpoint_plan_read(loop, ret, call);
    wr_require(err >= 0, err);
    err = wr_datagram_check_control(
        ret->family == AF_UNSPEC ? AF_INET6 : ret->family, call->options);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    return 0;
}

static int
datagram_endpoint_look_up(struct endpoint *endpoint,
                          const struct wr_datagram_endpoint_call *call)
{
    const struct datagram_endpoint_plan *plan = &endpoint->plan;
    int err = 0;

    wr_assert(!endpoint->own);
    wr_assert(!endpoint->peer);
    if (plan->is_local_name) {
        err = wr_lookups_add(&endpoint->names, call->local.host,
                             call->local.port, plan->family, &endpoint->own);
    }
    if (err >= 0 && plan->is_remote_name) {
        err = wr_lookups_add(&endpoint->names, call->remote.host,
                             call->remote.port, plan->family, &endpoint->peer);
    }
    return err;
}

static void datagram_endpoint_fini(struct endpoint *endpoint)
{
    wr_lookups_fini(&endpoint->names);
    datagram_endpoint_close_socket(endpoint);
    wr_free(&endpoint->loop->counting, endpoint->attempts,
            endpoint->attempt_capacity * sizeof(*endpoint->attempts));
}

/* Takes no socket if it fails. */
static int datagram_endpoint_init(struct endpoint *endpoint, weir_loop *loop,
                                  const struct weir_factory *factory,
                                  const struct wr_datagram_endpoint_call *call,
                                  const struct datagram_endpoint_plan *plan)
{
    *endpoint =
        (struct endpoint){.loop = loop,
                          .fd = -1,
                          .is_adopted = call->local.kind == WEIR_ENDPOINT_FD,
                          .factory = *factory,
                          .options = *call->options,
                          .plan = *plan};
    wr_lookups_init(&endpoint->names, loop);
    const int err = datagram_endpoint_look_up(endpoint, call);
    if (err < 0) {
        datagram_endpoint_fini(endpoint);
        return err;
    }
    endpoint->fd = wr_endpoint_get_fd(&call->local);
    wr_assert((endpoint->fd >= 0) == endpoint->is_adopted);
    return 0;
}

/* Makes the transport, which takes the socket. Calls the program. */
static int datagram_endpoint_open_transport(struct endpoint *endpoint,
                                            weir_transport **ret)
{
    const struct wr_datagram_socket socket = {
        .fd = endpoint->fd,
        .family = endpoint->plan.family,
        .remote = &endpoint->plan.remote,
    };

    datagram_endpoint_check_invariants(endpoint);
    wr_assert(socket.fd >= 0);
    wr_assert(!endpoint->is_given_up);
    wr_assert(endpoint->attempt_count > 0);
    endpoint->fd = -1;
    int err = wr_datagram_open(endpoint->loop, &socket, &endpoint->factory,
                               &endpoint->options, ret);
    /* The program may have given the endpoint up in its own callbacks. */
    if (err >= 0 && endpoint->is_given_up) {
        wr_ignore(weir_transport_abort(*ret) < 0);
        *ret = NULL;
        err = -ECANCELED;
    }
    return err;
}

static void
datagram_endpoint_refuse_socket(const weir_loop *loop,
                                const struct weir_endpoint *endpoint)
{
    const int fd = wr_endpoint_get_fd(endpoint);
    const int family = fd >= 0 ? wr_socket_get_option(fd, SO_DOMAIN) : -EBADF;

    if (family >= 0) {
        wr_datagram_close_fd(loop, fd, family);
    } else {
        wr_socket_refuse(fd);
    }
}

void wr_datagram_endpoint_refuse(const weir_loop *loop,
                                 const struct wr_datagram_endpoint_call *call)
{
    datagram_endpoint_refuse_socket(loop, &call->local);
    datagram_endpoint_refuse_socket(loop, &call->remote);
}

struct endpoint_opening {
    struct wr_waiter waiter;
    struct wr_ready ready;
    struct endpoint endpoint;
    weir_transport *t;
};

static void datagram_endpoint_opening_ready(struct wr_ready *ready)
{
    struct endpoint_opening *opening =
        wr_container_of(ready, struct endpoint_opening, ready);

    wr_assert(!opening->t);
    wr_assert(!opening->endpoint.loop->current);
    const int err =
        datagram_endpoint_open_transport(&opening->endpoint, &opening->t);
    wr_assert((err < 0) == !opening->t);
    if (opening->t) {
        weir_transport_ref(opening->t);
    }
    wr_waiter_wake(&opening->waiter, err);
}

static void datagram_endpoint_opening_interrupt(struct wr_waiter *waiter)
{
    struct endpoint_opening *opening =
        wr_container_of(waiter, struct endpoint_opening, waiter);

    wr_assert(!opening->t);
    opening->endpoint.is_given_up = true;
    if (wr_ready_is_pending(&opening->ready)) { /* else ->ready is running */
        wr_ready_cancel(&opening->ready);
        wr_waiter_wake(waiter, -ECANCELED);
    }
}

static int datagram_endpoint_open(struct endpoint_opening *opening,
                                  weir_loop *loop,
                                  const struct weir_factory *factory,
                                  struct wr_datagram_endpoint_call *call)
{
    static const struct wr_wait_kind kind = {
        .name = "datagram endpoint",
        .interrupt = datagram_endpoint_opening_interrupt};
    struct datagram_endpoint_plan plan;

    int err = datagram_endpoint_plan(loop, call, factory, &plan);
    if (err >= 0) {
        err = datagram_endpoint_init(&opening->endpoint, loop, factory, call,
                                     &plan);
    }
    if (err < 0) {
        wr_datagram_endpoint_refuse(loop, call);
        return err;
    }
    err = datagram_endpoint_make_socket(&opening->endpoint);
    if (err >= 0) {
        opening->waiter.kind = &kind;
        wr_ready_init(&opening->ready, datagram_endpoint_opening_ready);
        wr_ready_push(&loop->ready, &opening->ready);
        err = wr_task_wait(loop, &opening->waiter, NULL);
    }
    datagram_endpoint_fini(&opening->endpoint);
    return err;
}

int wr_datagram_endpoint_open(weir_loop *loop,
                              const struct weir_factory *factory,
                              struct wr_datagram_endpoint_call *call,
                              weir_transport **ret)
{
    struct endpoint_opening opening = {.t = NULL};

    wr_assert(call->options->size > 0);
    const int err = datagram_endpoint_open(&opening, loop, factory, call);
    wr_assert((err < 0) == !opening.t);
    wr_require(err >= 0, err);
    *ret = opening.t;
    return 0;
}

static int
datagram_endpoint_open_with(weir_loop *loop, const struct weir_factory *factory,
                            struct wr_datagram_endpoint_call *call,
                            const struct weir_datagram_options *options,
                            weir_transport **ret)
{
    struct weir_datagram_options known;

    int err = wr_task_enter(loop);
    if (err == 0) {
        err = ret ? wr_options_read(&known, sizeof(known), options) : -EINVAL;
    }
    if (err < 0) {
        wr_datagram_endpoint_refuse(loop, call);
        return err;
    }
    call->options = &known;
    return wr_datagram_endpoint_open(loop, factory, call, ret);
}

int weir_open_datagram_endpoint(weir_loop *loop,
                                const struct weir_factory *factory,
                                const struct weir_datagram_options *options,
                                weir_transport **ret)
{
    struct wr_datagram_endpoint_call call = {.has_sides = false};

    return datagram_endpoint_open_with(loop, factory, &call, options, ret);
}

int weir_open_datagram_endpoint_at(weir_loop *loop,
                                   const struct weir_factory *factory,
                                   struct weir_endpoint local,
                                   struct weir_endpoint remote,
                                   const struct weir_datagram_options *options,
                                   weir_transport **ret)
{
    struct wr_datagram_endpoint_call call = {
        .has_sides = true, .local = local, .remote = remote};

    return datagram_endpoint_open_with(loop, factory, &call, options, ret);
}

struct endpoint_maker {
    struct wr_own_task own;
    struct endpoint endpoint;
    struct weir_pending pending; /* the program's handle, until done returns */
    weir_datagram_endpoint_done_fn *done;
    void *done_arg;
};

static int datagram_endpoint_maker_run(struct wr_own_task *own)
{
    struct endpoint_maker *maker =
        wr_container_of(own, struct endpoint_maker, own);

    wr_assert(own->task == own->loop->current);
    const int err = wr_task_enter(own->loop);
    wr_require(err >= 0, err);
    return datagram_endpoint_make_socket(&maker->endpoint);
}

static void datagram_endpoint_maker_ended(struct wr_own_task *own, int err)
{
    struct endpoint_maker *maker =
        wr_container_of(own, struct endpoint_maker, own);
    weir_loop *loop = own->loop;
    weir_transport *t = NULL;

    wr_assert(err <= 0);
    wr_assert(!wr_own_task_is_running(own));
    wr_assert(err < 0 || maker->endpoint.fd >= 0);
    err = maker->endpoint.is_given_up ? -ECANCELED : err;
    if (err >= 0) {
        err = datagram_endpoint_open_transport(&maker->endpoint, &t);
    }
    wr_assert((err < 0) == !t);
    if (maker->done) {
        maker->done(maker->done_arg, err, t);
        wr_loop_end_if_forked(loop);
    }
    datagram_endpoint_fini(&maker->endpoint);
    wr_free(&loop->counting, maker, sizeof(*maker));
    wr_loop_unpin(loop);
}

static const char *
datagram_endpoint_name_side(const struct weir_address *address,
                            const weir_lookup *lookup, char *text)
{
    return address->len == 0 && lookup && lookup->host[0] != '\0'
               ? lookup->host
               : weir_address_format(address, text, WEIR_ADDRESS_TEXT_SIZE);
}

static void datagram_endpoint_maker_dump(const struct wr_own_task *own,
                                         FILE *out)
{
    const struct endpoint_maker *maker =
        wr_container_of(own, struct endpoint_maker, own);
    const struct endpoint *endpoint = &maker->endpoint;
    const struct datagram_endpoint_plan *plan = &endpoint->plan;
    char local[WEIR_ADDRESS_TEXT_SIZE];
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, " %s -> %s",
            datagram_endpoint_name_side(&plan->local, endpoint->own, local),
            datagram_endpoint_name_side(&plan->remote, endpoint->peer, peer));
}

static void datagram_endpoint_maker_cancel(struct weir_pending *pending)
{
    struct endpoint_maker *maker =
        wr_container_of(pending, struct endpoint_maker, pending);

    datagram_endpoint_check_invariants(&maker->endpoint);
    maker->endpoint.is_given_up = true;
    wr_own_task_cancel(&maker->own);
}

static int
datagram_endpoint_maker_get_attempt(const struct weir_pending *pending,
                                    size_t index, struct weir_attempt *ret)
{
    const struct endpoint_maker *maker =
        wr_container_of(pending, struct endpoint_maker, pending);

    wr_require(index < maker->endpoint.attempt_count, -EINVAL);
    *ret = maker->endpoint.attempts[index];
    return 0;
}

/* Takes no socket if it fails. */
static int
datagram_endpoint_maker_start(struct endpoint_maker *maker,
                              const struct weir_factory *factory,
                              const struct wr_datagram_endpoint_call *call,
                              const struct datagram_endpoint_plan *plan)
{
    struct endpoint *endpoint = &maker->endpoint;

    int err =
        datagram_endpoint_init(endpoint, maker->own.loop, factory, call, plan);
    wr_require(err >= 0, err);
    err = wr_own_task_start(&maker->own, "datagram endpoint");
    if (err < 0) {
        endpoint->fd = -1; /* the caller still owns the socket */
        datagram_endpoint_fini(endpoint);
    }
    return err;
}

/* Takes no socket if it fails. */
static int datagram_endpoint_maker_new(weir_loop *loop,
                                       const struct weir_factory *factory,
                                       struct wr_datagram_endpoint_call *call,
                                       weir_datagram_endpoint_done_fn *done,
                                       void *done_arg, weir_pending **ret)
{
    struct datagram_endpoint_plan plan;

    wr_require_loop(loop);
    int err = datagram_endpoint_plan(loop, call, factory, &plan);
    wr_require(err >= 0, err);
    wr_require(!ret || done, -EINVAL); /* done ends the handle */
    struct endpoint_maker *maker = wr_alloc(&loop->counting, sizeof(*maker));
    wr_require(maker, -ENOMEM);
    maker->done = done;
    maker->done_arg = done_arg;
    maker->pending = (struct weir_pending){loop, datagram_endpoint_maker_cancel,
                                           datagram_endpoint_maker_get_attempt};
    wr_own_task_init(&maker->own, loop, datagram_endpoint_maker_run,
                     datagram_endpoint_maker_ended);
    maker->own.dump = datagram_endpoint_maker_dump;
    err = datagram_endpoint_maker_start(maker, factory, call, &plan);
    if (err < 0) {
        wr_free(&loop->counting, maker, sizeof(*maker));
        return err;
    }
    wr_loop_pin(loop);
    if (ret) {
        *ret = &maker->pending;
    }
    return 0;
}

static int datagram_endpoint_maker_begin(
    weir_loop *loop, const struct weir_factory *factory,
    struct wr_datagram_endpoint_call *call,
    const struct weir_datagram_options *options,
    weir_datagram_endpoint_done_fn *done, void *done_arg, weir_pending **ret)
{
    struct weir_datagram_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        call->options = &known;
        err = datagram_endpoint_maker_new(loop, factory, call, done, done_arg,
                                          ret);
    }
    if (err < 0) {
        wr_datagram_endpoint_refuse(loop, call);
    }
    return err;
}

int weir_create_datagram_endpoint(weir_loop *loop,
                                  const struct weir_factory *factory,
                                  const struct weir_datagram_options *options,
                                  weir_datagram_endpoint_done_fn *done,
                                  void *done_arg, weir_pending **ret)
{
    struct wr_datagram_endpoint_call call = {.has_sides = false};

    return datagram_endpoint_maker_begin(loop, factory, &call, options, done,
                                         done_arg, ret);
}

int weir_create_datagram_endpoint_at(
    weir_loop *loop, const struct weir_factory *factory,
    struct weir_endpoint local, struct weir_endpoint remote,
    const struct weir_datagram_options *options,
    weir_datagram_endpoint_done_fn *done, void *done_arg, weir_pending **ret)
{
    struct wr_datagram_endpoint_call call = {
        .has_sides = true, .local = local, .remote = remote};

    return datagram_endpoint_maker_begin(loop, factory, &call, options, done,
                                         done_arg, ret);
}
