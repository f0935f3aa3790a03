/*
 * Servers: from the request to listen until the last connection is gone.
 *
 *     STARTING --binds--> BOUND --listens--> SERVING
 *         |                 |                   |
 *         +-----------------+------ close ------+--> CLOSED
 *
 * Nothing touches the network before the loop runs: the maker only looks at
 * its arguments, and a ready item does the rest. The same item tells the
 * program what came of it and that all is over, so that no callback is ever
 * called from inside a call.
 */
#include "server.h"

#include "options.h"
#include "sock.h"
#include "task.h"

#include <string.h>

#define BIND_RETRY_NS (10u * 1000000u)
#define BIND_PATIENCE (200u * 1000000u)
#define GRACE_DEFAULT UINT64_C(30000000000)

struct waiter {
    struct wr_list link;
    weir_server_closed_fn *closed;
    void *arg;
};

static const char *const state_names[] = {
    [SERVER_STARTING] = "starting",
    [SERVER_BOUND] = "bound",
    [SERVER_SERVING] = "serving",
    [SERVER_CLOSED] = "closed",
};

static void server_work(struct wr_ready *work);

static void set_state(weir_server *server, enum server_state state)
{
    static const bool allowed[][SERVER_CLOSED + 1] = {
        [SERVER_STARTING] = {[SERVER_BOUND] = true, [SERVER_CLOSED] = true},
        [SERVER_BOUND] = {[SERVER_SERVING] = true, [SERVER_CLOSED] = true},
        [SERVER_SERVING] = {[SERVER_CLOSED] = true},
        [SERVER_CLOSED] = {false},
    };
    wr_assert(allowed[server->state][state]);
    server->state = state;
}

void wr_server_push_work(weir_server *server)
{
    wr_ready_push(&server->loop->ready, &server->work);
}

/* The turn's time; between runs that of the last turn would be old. */
static uint64_t time_now(const weir_loop *loop)
{
    return loop->running ? loop->now_ns : wr_sys_now();
}

bool wr_server_is_quiet(const weir_server *server)
{
    return server->state == SERVER_CLOSED && server->told &&
           server->client_count == 0 && wr_listen_is_closed(&server->listen);
}

bool wr_server_is_over(const weir_server *server)
{
    return wr_list_is_empty(&server->holders) && wr_server_is_quiet(server);
}

/* It stays while anybody can still ask it something. */
void wr_server_release_if_over(weir_server *server)
{
    weir_loop *loop = server->loop;

    if (wr_server_is_quiet(server)) { /* handlers the loop knows as tasks */
        wr_list_remove(&server->alive.link);
    }
    if (server->pins > 0 || !wr_server_is_over(server) ||
        !wr_list_is_empty(&server->waiters) ||
        !wr_list_is_empty(&server->joiners)) {
        return;
    }
    if (!server->freed) {
        return;
    }
    wr_ready_cancel(&server->work);
    wr_timer_cancel(&loop->wheel, &server->grace);
    wr_listen_fini(&server->listen);
    wr_free(&loop->counting, server, sizeof(*server));
    wr_assert(loop->pinned_count > 0);
    loop->pinned_count--;
    wr_loop_release(loop);
}

static void start_serving(weir_server *server)
{
    set_state(server, SERVER_SERVING);
    wr_server_arm(server);
}

/* Returns false when it is to be tried again. */
static bool try_to_listen(weir_server *server)
{
    weir_loop *loop = server->loop;
    const bool may_retry = server->listen.fd < 0;

    if (server->bind_until_ns == 0) {
        server->bind_until_ns = wr_add_sat(loop->now_ns, BIND_PATIENCE);
    }
    int err = wr_listen_open(&server->listen);
    if (err == -EADDRINUSE && may_retry &&
        loop->now_ns < server->bind_until_ns) {
        wr_timer_arm(&loop->wheel, &server->retry,
                     wr_add_sat(loop->now_ns, BIND_RETRY_NS));
        return false;
    }
    if (err < 0) {
        server->err = err;
        set_state(server, SERVER_CLOSED);
        return true;
    }
    set_state(server, SERVER_BOUND);
    if (!server->listen.options.bind_only) {
        start_serving(server);
    }
    return true;
}

static void tell_done(weir_server *server)
{
    server->told = true;
    if (server->done) {
        server->done(server->done_arg, server->err, server);
        wr_loop_leave_if_forked(server->loop);
    }
}

static void tell_waiters(weir_server *server)
{
    weir_loop *loop = server->loop;
    struct wr_list waiters;
    struct wr_list *link;

    wr_list_init(&waiters);
    wr_list_splice_back(&waiters, &server->waiters);
    while ((link = wr_list_pop_front(&waiters))) {
        struct waiter *waiter = wr_container_of(link, struct waiter, link);
        const struct waiter copy = *waiter;
        wr_free(&loop->counting, waiter, sizeof(*waiter));
        copy.closed(copy.arg, server);
        wr_loop_leave_if_forked(loop);
    }
    wr_waiters_wake_all(&server->joiners, 0);
}

static void server_work(struct wr_ready *work)
{
    weir_server *server = wr_container_of(work, weir_server, work);

    if (server->state == SERVER_STARTING && !try_to_listen(server)) {
        return;
    }
    server->pins++;
    if (!server->told) {
        tell_done(server);
    }
    if (server->state == SERVER_SERVING) {
        wr_server_open_parked(server);
        wr_server_arm(server); /* some may have been refused */
    }
    if (wr_server_is_over(server)) {
        wr_timer_cancel(&server->loop->wheel, &server->grace);
        tell_waiters(server);
    }
    server->pins--;
    wr_server_release_if_over(server);
}

static void retry_expired(struct wr_timer *timer)
{
    weir_server *server = wr_container_of(timer, weir_server, retry);

    if (server->state == SERVER_STARTING) {
        wr_server_push_work(server);
    } else {
        wr_server_arm(server);
    }
}

static void end_grace(weir_server *server)
{
    server->grace_over = true;
    wr_server_end_clients(server, weir_transport_abort);
    wr_server_end_handlers(server);
}

static void grace_expired(struct wr_timer *timer)
{
    weir_server *server = wr_container_of(timer, weir_server, grace);
    end_grace(server);
}

static void close_server(weir_server *server)
{
    if (server->state == SERVER_CLOSED) {
        return;
    }
    if (!server->told) {
        server->err = -ECANCELED;
    }
    set_state(server, SERVER_CLOSED);
    wr_timer_cancel(&server->loop->wheel, &server->retry);
    wr_ignore(
        wr_listen_close(&server->listen)); /* wr_server_is_over() looks again */
    wr_server_close_parked(server);
    wr_waiters_wake_all(&server->runners, -ESHUTDOWN);
    wr_server_push_work(server);
}

static void shutdown_alive(struct wr_alive *alive)
{
    weir_server *server = wr_container_of(alive, weir_server, alive);

    close_server(server);
    wr_server_push_work(server);
}

static void dump_alive(const struct wr_alive *alive, FILE *out)
{
    const weir_server *server = wr_container_of(alive, weir_server, alive);
    char text[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, "server %s connections=%llu parked=%llu accepts=%llu",
            state_names[server->state],
            (unsigned long long)server->client_count,
            (unsigned long long)server->parked_count,
            (unsigned long long)wr_listen_armed(&server->listen));
    for (size_t i = 0; i < server->listen.count; i++) {
        const struct wr_listener *listener = &server->listen.listeners[i];
        if (listener->fd >= 0) {
            fprintf(
                out, " fd=%d address=%s", listener->fd,
                weir_address_format(&listener->address, text, sizeof(text)));
        }
    }
    fprintf(out, "%s%s\n", server->exhausted ? " out-of-resources" : "",
            server->stopping ? " stopping" : "");
}

static void abandon_alive(struct wr_alive *alive)
{
    weir_server *server = wr_container_of(alive, weir_server, alive);

    server->pins++;
    for (size_t i = 0; i < server->listen.count; i++) {
        wr_listener_abandon(&server->listen.listeners[i]);
    }
    server->pins--;
}

static const struct wr_alive_ops alive_ops = {
    .shutdown = shutdown_alive, .abandon = abandon_alive, .dump = dump_alive};

/* ---- the public functions ---- */

static int check_options(const struct weir_server_options *options,
                         const struct weir_factory *factory, const char *host)
{
    wr_require(factory && factory->create, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6,
               -EINVAL);
    wr_require(options->backlog >= 0, -EINVAL);
    if (options->use_sock) {
        wr_require(!host && options->host_count == 0, -EINVAL);
        int family = wr_socket_check(options->sock, NULL);
        wr_require(family >= 0, family);
        wr_require(options->family == AF_UNSPEC || options->family == family,
                   -EINVAL);
    }
    return 0;
}

/* Takes no descriptor when it fails. */
static int make_server(weir_loop *loop, const char *host, uint16_t port,
                       const struct weir_server_options *options,
                       weir_server **ret)
{
    weir_server *server = wr_alloc(&loop->counting, sizeof(*server));
    if (!server) {
        return -ENOMEM;
    }
    memset(server, 0, sizeof(*server));
    int err = wr_listen_init(&server->listen, loop, host, port, options);
    if (err < 0) {
        wr_free(&loop->counting, server, sizeof(*server));
        return err;
    }
    server->loop = loop;
    server->state = SERVER_STARTING;
    server->done = options->done;
    server->done_arg = options->done_arg;
    server->connection_limit =
        options->connection_limit > 0 ? options->connection_limit : UINT64_MAX;
    server->grace_ns =
        options->grace_ns > 0 ? options->grace_ns : GRACE_DEFAULT;
    server->stream = options->stream;
    server->listen.ops = &wr_server_listener_ops;
    server->listen.owner = server;
    server->listen.options.stream = &server->stream;
    wr_list_init(&server->clients);
    wr_list_init(&server->parked);
    wr_list_init(&server->waiters);
    wr_list_init(&server->joiners);
    wr_list_init(&server->holders);
    wr_list_init(&server->runners);
    wr_list_init(&server->alive.link);
    server->alive.ops = &alive_ops;
    server->owner.ops = &wr_server_owner_ops;
    wr_ready_init(&server->work, server_work);
    wr_timer_init(&server->retry, retry_expired);
    wr_timer_init(&server->grace, grace_expired);
    *ret = server;
    return 0;
}

int wr_server_options_read(const void *outer,
                           struct weir_server_options *server)
{
    int err = wr_options_read_inner(outer, server, sizeof(*server));
    return err < 0 ? err : wr_stream_options_read(server, &server->stream);
}

void wr_server_refuse(const struct weir_server_options *options)
{
    if (options->use_sock) {
        wr_ignore(wr_sys_close(options->sock)); /* taken in any case */
    }
}

int wr_server_create(weir_loop *loop, const struct weir_factory *factory,
                     const char *host, uint16_t port,
                     const struct weir_server_options *options,
                     weir_server **ret)
{
    weir_server *server = NULL;

    int err = wr_loop_check(loop);
    if (err >= 0) {
        err = ret ? check_options(options, factory, host) : -EINVAL;
    }
    if (err >= 0 && loop->closing) {
        err = -ESHUTDOWN;
    }
    if (err >= 0) {
        err = make_server(loop, host, port, options, &server);
    }
    if (err < 0) {
        wr_server_refuse(options);
        return err;
    }
    server->factory = *factory;
    wr_list_push_back(&loop->servers, &server->alive.link);
    loop->pinned_count++;
    wr_server_push_work(server);
    *ret = server;
    return 0;
}

int weir_create_server(weir_loop *loop, const struct weir_factory *factory,
                       const char *host, uint16_t port,
                       const struct weir_server_options *options,
                       weir_server **ret)
{
    struct weir_server_options known;

    int err = wr_options_read(&known, sizeof(known), options);
    if (err == 0) {
        err = wr_stream_options_read(&known, &known.stream);
    }
    if (err < 0) {
        wr_server_refuse(&known);
        return err;
    }
    return wr_server_create(loop, factory, host, port, &known, ret);
}

int weir_server_start_serving(weir_server *server)
{
    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    wr_require(server->state != SERVER_CLOSED, -ESHUTDOWN);
    if (server->state == SERVER_BOUND) {
        err = wr_listen_start(&server->listen);
        wr_require(err >= 0, err);
        start_serving(server);
    }
    server->listen.options.bind_only = false;
    return 0;
}

bool weir_server_is_serving(const weir_server *server)
{
    return server->state == SERVER_SERVING;
}

void weir_server_close(weir_server *server)
{
    if (wr_loop_check(server->loop) < 0) {
        return;
    }
    close_server(server);
}

void weir_server_close_clients(weir_server *server)
{
    if (wr_loop_check(server->loop) < 0) {
        return;
    }
    wr_server_end_clients(server, weir_transport_close);
}

void weir_server_abort_clients(weir_server *server)
{
    if (wr_loop_check(server->loop) < 0) {
        return;
    }
    wr_server_end_clients(server, weir_transport_abort);
}

int weir_server_wait_closed(weir_server *server, weir_server_closed_fn *closed,
                            void *arg)
{
    weir_loop *loop = server->loop;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(closed, -EINVAL);
    wr_require(!loop->closed, -ESHUTDOWN);
    struct waiter *waiter = wr_alloc(&loop->counting, sizeof(*waiter));
    wr_require(waiter, -ENOMEM);

    *waiter = (struct waiter){.closed = closed, .arg = arg};
    wr_list_init(&waiter->link);
    wr_list_push_back(&server->waiters, &waiter->link);
    if (wr_server_is_over(server)) {
        if (!wr_list_is_linked(&server->alive.link)) {
            wr_list_push_back(&loop->servers, &server->alive.link);
        }
        wr_server_push_work(server);
    }
    return 0;
}

/* Calling again can only shorten what is left. */
static void arm_grace(weir_server *server, uint64_t grace_ns)
{
    struct wr_timer *timer = &server->grace;

    if (server->grace_over || wr_server_is_over(server)) {
        return;
    }
    if (grace_ns == 0) {
        wr_timer_cancel(&server->loop->wheel, timer);
        end_grace(server);
        return;
    }
    const uint64_t when_ns = wr_add_sat(time_now(server->loop), grace_ns);
    if (when_ns == UINT64_MAX ||
        (wr_timer_is_armed(timer) && timer->when_ns <= when_ns)) {
        return;
    }
    wr_timer_arm(&server->loop->wheel, timer, when_ns);
}

void wr_server_stop(weir_server *server, uint64_t grace_ns)
{
    server->stopping = true;
    close_server(server);
    wr_server_end_idle(server);
    arm_grace(server, grace_ns);
}

int weir_server_stop(weir_server *server, uint64_t grace_ns,
                     weir_server_closed_fn *closed, void *arg)
{
    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    if (closed) {
        err = weir_server_wait_closed(server, closed, arg);
        wr_require(err >= 0, err);
    }
    wr_server_stop(server, grace_ns);
    return 0;
}

size_t weir_server_socket_count(const weir_server *server)
{
    return server->state == SERVER_CLOSED ? 0 : server->listen.count;
}

int weir_server_get_socket(const weir_server *server, size_t index,
                           struct weir_address *ret_address)
{
    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    wr_require(index < weir_server_socket_count(server), -EINVAL);
    const struct wr_listener *listener = &server->listen.listeners[index];
    if (ret_address) {
        *ret_address = listener->address;
    }
    return listener->fd;
}

uint64_t weir_server_connection_count(const weir_server *server)
{
    return server->client_count;
}

weir_loop *weir_server_get_loop(const weir_server *server)
{
    return server->loop;
}

void weir_server_free(weir_server *server)
{
    if (!server || wr_loop_check(server->loop) < 0) {
        return;
    }
    server->freed = true;
    close_server(server);
    wr_server_release_if_over(server);
}
