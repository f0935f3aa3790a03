/*
 * Servers: from the request to listen until the last connection is gone.
 *
 * A call that makes a server only checks its arguments; a ready item binds. A
 * start that has to wait, for names or for an address in use, continues in a
 * task of the library; a task of the program that starts a server does this
 * itself. The ready item reports the result of the start and the end of the
 * server, so that no callback runs inside a call.
 *
 * The TLS settings can be changed later: each accepted connection has its own
 * copy, with a reference to the context.
 */
#include "server.h"

#include "lib/base/options.h"
#include "lib/transport/sock/sock.h"
#include "lib/transport/socket.h"
#include "uring/sys.h"
#include "weir/unix.h"

#include <string.h>

#define GRACE_DEFAULT UINT64_C(30000000000)

struct closed_watch {
    struct wr_server_watch watch;
    weir_server_closed_fn *closed;
    void *arg;
};

/* Frees the server if it is over and the program has freed its handle. */
static void server_release_if_over(weir_server *server)
{
    weir_loop *loop = server->loop;

    if (server->pins > 0) { /* a client may still be added */
        return;
    }
    if (wr_server_is_quiet(server) && /* its handlers may still run */
        wr_list_is_linked(&server->member.link)) {
        wr_loop_remove_member(loop, &server->member);
    }
    wr_server_check_invariants(server);
    if (!server->is_freed || !wr_server_is_over(server) ||
        !wr_list_is_empty(&server->over_watches)) {
        return;
    }
    wr_assert(!wr_list_is_linked(&server->member.link));
    wr_ready_cancel(&server->work);
    wr_timer_cancel(&loop->wheel, &server->grace);
    wr_assert(wr_server_is_over(server));
    wr_listener_set_fini(&server->listeners);
    wr_secure_settings_drop(&server->tls);
    wr_free(&loop->counting, server, sizeof(*server));
    wr_loop_unpin(loop);
}

/* Calls all watches of a list. A watch may remove itself or add others. */
static void server_tell(weir_server *server, struct wr_list *watches)
{
    struct wr_list told;
    struct wr_list *link;

    wr_list_init(&told);
    wr_list_splice_back(&told, watches);
    while ((link = wr_list_pop_front(&told))) {
        struct wr_server_watch *watch =
            wr_container_of(link, struct wr_server_watch, link);
        watch->tell(watch, server);
    }
}

static void server_start_serving(weir_server *server)
{
    /* A queue can have one connection more than its backlog. */
    const uint64_t queued = ((uint64_t)server->listeners.options.backlog + 1) *
                            server->listeners.count;

    server->ample_count =
        server->connection_limit - wr_min_u64(server->connection_limit, queued);
    wr_server_set_state(server, SERVER_SERVING);
    wr_server_arm(server);
    /* weir_server_add_fd() may have been called before the start ended. */
    if (server->parked_count > 0) {
        wr_server_push_work(server);
    }
}

/* Must be called in a task that has called wr_task_enter(). */
static int server_listen(weir_server *server)
{
    struct wr_listener_set *set = &server->listeners;
    const bool may_retry = set->fd < 0;
    int err = wr_listener_set_resolve(set);

    for (uint32_t tries = 0; err == 0; tries++) {
        if (wr_server_is_closed(server)) { /* before the task ran again */
            return -ECANCELED;
        }
        err = wr_listener_set_open(set);
        if (err != -EADDRINUSE || !may_retry || tries == WR_BIND_TRIES) {
            break;
        }
        err = weir_sleep(server->loop, WR_BIND_RETRY_NS);
    }
    return err;
}

/* Called when the listeners are open, or with the error of the start. */
static void server_end_start(weir_server *server, int err)
{
    wr_assert(err <= 0);
    wr_assert(!server->has_reported);
    server->in_task = false;
    if (wr_server_is_closed(server)) {
        wr_assert(err < 0);
        return;
    }
    if (err < 0) {
        server->err = err;
        wr_server_set_state(server, SERVER_CLOSED);
        wr_server_close_parked(server);
        server_tell(server, &server->close_watches);
        return;
    }
    wr_assert(wr_listener_set_is_open(&server->listeners));
    wr_server_set_state(server, SERVER_BOUND);
    if (!server->listeners.options.bind_only) {
        server_start_serving(server);
    }
}

static int server_run(struct wr_own_task *own)
{
    weir_server *server = wr_container_of(own, weir_server, own);
    const int err = wr_task_enter(own->loop);

    wr_assert(server->in_task);
    wr_require(err >= 0, err);
    return server_listen(server);
}

static void server_ran(struct wr_own_task *own, int err)
{
    weir_server *server = wr_container_of(own, weir_server, own);

    wr_assert(server->in_task);
    server_end_start(server, err);
    wr_server_push_work(server);
}

static void server_begin(weir_server *server)
{
    struct wr_listener_set *set = &server->listeners;
    const bool may_retry = set->fd < 0;
    bool waits = wr_listener_set_has_names(set);
    int err = 0;

    wr_assert(server->state == SERVER_STARTING);
    if (!waits) {
        err = wr_listener_set_open(set);
        waits = err == -EADDRINUSE && may_retry;
    }
    if (waits) {
        err = wr_own_task_start(&server->own, "server start");
        server->in_task = err == 0;
    }
    if (!server->in_task) {
        server_end_start(server, err);
    }
}

static void server_report_start(weir_server *server)
{
    wr_assert(server->state != SERVER_STARTING);
    wr_assert(!server->has_reported);
    server->has_reported = true;
    wr_listener_set_tell(&server->listeners, server->err);
    if (server->done) {
        server->done(server->done_arg, server->err, server);
        wr_loop_end_if_forked(server->loop);
    }
}

/* Ends clients as earlier calls requested, but after the tasks that an
 * announced stop has woken, because they may write to the clients. */
static void server_end_clients_if_told(weir_server *server)
{
    if (wr_loop_tells_stop(server->loop)) {
        wr_server_push_work(server);
        return;
    }
    if (server->closes_clients) {
        server->closes_clients = false;
        wr_server_end_clients(server, weir_transport_close);
    }
    if (server->state == SERVER_STOPPING) {
        wr_server_end_idle(server);
    }
}

static void server_work(struct wr_ready *work)
{
    weir_server *server = wr_container_of(work, weir_server, work);

    wr_server_check_invariants(server);
    if (server->state == SERVER_STARTING && !server->in_task) {
        server_begin(server);
    }
    if (server->in_task) {
        return;
    }
    server->pins++;
    if (!server->has_reported) {
        server_report_start(server);
    }
    if (server->state == SERVER_SERVING) {
        wr_server_open_parked(server);
        wr_server_arm(server); /* refused clients leave space for others */
    }
    server_end_clients_if_told(server);
    if (wr_server_is_over(server)) {
        wr_timer_cancel(&server->loop->wheel, &server->grace);
        server_tell(server, &server->over_watches);
    }
    wr_assert(server->pins > 0);
    server->pins--;
    server_release_if_over(server);
}

static void server_retry_expired(struct wr_timer *timer)
{
    weir_server *server = wr_container_of(timer, weir_server, retry);

    wr_server_check_invariants(server);
    wr_assert(server->state == SERVER_SERVING);
    wr_server_arm(server);
}

static void server_end_grace(weir_server *server)
{
    wr_assert(!wr_timer_is_armed(&server->grace));
    wr_server_set_state(server, SERVER_ENDING);
    wr_server_end_clients(server, weir_transport_abort);
    wr_server_end_handlers(server);
}

static void server_grace_expired(struct wr_timer *timer)
{
    weir_server *server = wr_container_of(timer, weir_server, grace);

    wr_server_check_invariants(server);
    wr_assert(server->state == SERVER_STOPPING);
    server_end_grace(server);
}

static void server_close(weir_server *server)
{
    if (wr_server_is_closed(server)) {
        return;
    }
    if (!server->has_reported) {
        server->err = -ECANCELED;
    }
    wr_server_set_state(server, SERVER_CLOSED);
    wr_timer_cancel(&server->loop->wheel, &server->retry);
    wr_listener_set_close(&server->listeners);
    wr_server_close_parked(server);
    server_tell(server, &server->close_watches);
    wr_own_task_cancel(&server->own);
    wr_server_push_work(server);
}

static void server_shutdown_alive(struct wr_member *member)
{
    weir_server *server = wr_container_of(member, weir_server, member);

    wr_assert(wr_loop_is_closing(server->loop));
    server_close(server);
    wr_server_push_work(server);
    wr_server_check_invariants(server);
}

static void server_dump_alive(const struct wr_member *member, FILE *out)
{
    const weir_server *server = wr_container_of(member, weir_server, member);
    char text[WEIR_ADDRESS_TEXT_SIZE];

    fprintf(out, "server %s connections=%llu parked=%llu accepts=%llu",
            wr_server_get_state_name(server),
            (unsigned long long)server->client_count,
            (unsigned long long)server->parked_count,
            (unsigned long long)wr_listener_set_get_armed(&server->listeners));
    for (size_t i = 0; i < server->listeners.count; i++) {
        const struct wr_listener *listener = &server->listeners.all[i];
        if (listener->fd >= 0) {
            fprintf(
                out, " fd=%d address=%s", listener->fd,
                weir_address_format(&listener->address, text, sizeof(text)));
        }
    }
    fprintf(out, "%s%s\n", server->lacks_resources ? " out-of-resources" : "",
            server->state >= SERVER_STOPPING ? " stopping" : "");
}

static void server_abandon_alive(struct wr_member *member)
{
    weir_server *server = wr_container_of(member, weir_server, member);

    /* The listeners of a closed server do not call the exception hook. */
    wr_assert(wr_server_is_closed(server));
    for (size_t i = 0; i < server->listeners.count; i++) {
        wr_listener_abandon(&server->listeners.all[i]);
    }
    wr_server_check_invariants(server);
}

static void server_check_alive(const struct wr_member *member)
{
    const weir_server *server = wr_container_of(member, weir_server, member);

    wr_server_check_invariants(server);
    for (size_t i = 0; i < server->listeners.count; i++) {
        wr_listener_check_invariants(&server->listeners.all[i]);
    }
}

static const struct wr_member_ops server_member_ops = {
    .stage = WR_STAGE_MAKERS,
    .shutdown = server_shutdown_alive,
    .abandon = server_abandon_alive,
    .dump = server_dump_alive,
    .check = server_check_alive};

int wr_server_options_read(const void *outer,
                           struct weir_server_options *server)
{
    int err = wr_options_read_inner(outer, server, sizeof(*server));
    return err < 0 ? err
                   : wr_connection_options_read(server, &server->connection);
}

static int server_check_call(const struct wr_server_call *call,
                             const struct weir_factory *factory)
{
    const struct weir_server_options *options = call->options;
    const enum weir_endpoint_kind kind = call->endpoint.kind;
    const bool names_a_socket =
        kind != WEIR_ENDPOINT_HOST || call->endpoint.host ||
        call->endpoint.port != 0 || options->host_count > 0;

    wr_require((factory && factory->create) || options->accepted, -EINVAL);
    wr_require(options->family == AF_UNSPEC || options->family == AF_INET ||
                   options->family == AF_INET6 || options->family == AF_UNIX,
               -EINVAL);
    wr_require(!wr_endpoint_is_pipe(&call->endpoint), -EINVAL);
    wr_require(options->socket_mode <= WR_MODE_BITS, -EINVAL);
    wr_require(options->backlog >= 0, -EINVAL);
    wr_require(options->error_text || options->error_text_size == 0, -EINVAL);
    wr_require(wr_socket_is_proto(options->proto), -EINVAL);
    wr_require(options->proto == 0 || kind != WEIR_ENDPOINT_FD, -EINVAL);
    wr_require(options->host_count == 0 || kind == WEIR_ENDPOINT_HOST, -EINVAL);
    wr_require(!options->no_sockets || !names_a_socket, -EINVAL);
    if (kind == WEIR_ENDPOINT_FD) {
        int family = wr_socket_check(call->endpoint.fd, NULL);
        wr_require(family >= 0, family);
        wr_require(options->family == AF_UNSPEC || options->family == family,
                   -EINVAL);
    }
    return 0;
}

/* Takes no descriptor if it fails. */
static int server_make(weir_loop *loop, const struct wr_server_call *call,
                       weir_server **ret)
{
    const struct weir_server_options *options = call->options;
    weir_server *server = wr_alloc(&loop->counting, sizeof(*server));
    if (!server) {
        return -ENOMEM;
    }
    memset(server, 0, sizeof(*server));
    int err = wr_secure_settings_read(&server->tls, options->tls,
                                      WR_SECURE_SERVER, NULL);
    if (err >= 0) {
        err = wr_listener_set_init(&server->listeners, loop, call);
    }
    if (err < 0) {
        wr_secure_settings_drop(&server->tls);
        wr_free(&loop->counting, server, sizeof(*server));
        return err;
    }
    server->loop = loop;
    server->state = SERVER_STARTING;
    server->done = call->done;
    server->done_arg = call->done_arg;
    server->connection_limit =
        options->connection_limit > 0 ? options->connection_limit : UINT64_MAX;
    server->grace_ns =
        options->grace_ns > 0 ? options->grace_ns : GRACE_DEFAULT;
    server->accepted = options->accepted;
    server->accepted_arg = options->accepted_arg;
    server->connection = options->connection;
    server->listeners.ops = &wr_server_listener_ops;
    server->listeners.owner = server;
    server->listeners.options.connection = &server->connection;
    wr_list_init(&server->clients);
    wr_list_init(&server->parked);
    wr_list_init(&server->handlers);
    wr_list_init(&server->close_watches);
    wr_list_init(&server->over_watches);
    wr_member_init(&server->member, &server_member_ops);
    server->set.ops = &wr_server_set_ops;
    wr_ready_init(&server->work, server_work);
    wr_own_task_init(&server->own, loop, server_run, server_ran);
    wr_timer_init(&server->retry, server_retry_expired);
    wr_timer_init(&server->grace, server_grace_expired);
    *ret = server;
    return 0;
}

int wr_server_new(weir_loop *loop, const struct weir_factory *factory,
                  const struct wr_server_call *call, weir_server **ret)
{
    weir_server *server = NULL;

    int err = wr_loop_check(loop);
    if (err >= 0) {
        err = ret ? server_check_call(call, factory) : -EINVAL;
    }
    if (err >= 0 && wr_loop_is_closing(loop)) {
        err = -ESHUTDOWN;
    }
    if (err >= 0) {
        err = server_make(loop, call, &server);
    }
    if (err < 0) {
        wr_socket_refuse(wr_endpoint_get_fd(&call->endpoint));
        return err;
    }
    if (factory) {
        server->factory = *factory;
    }
    wr_loop_add_member(loop, &server->member);
    wr_loop_pin(loop);
    wr_server_check_invariants(server);
    *ret = server;
    return 0;
}

int wr_server_start(weir_server *server)
{
    wr_server_check_invariants(server);
    wr_assert(server->loop->current != NULL);
    wr_assert(!server->in_task);
    wr_assert(!server->done);
    server->in_task = true;
    server_end_start(server, server_listen(server));
    server_report_start(server);
    wr_server_push_work(server); /* frees the server if it is over */
    wr_server_check_invariants(server);
    return server->err;
}

int weir_create_server_at(weir_loop *loop, const struct weir_factory *factory,
                          struct weir_endpoint endpoint,
                          const struct weir_server_options *options,
                          weir_server_done_fn *done, void *done_arg,
                          weir_server **ret)
{
    struct weir_server_options known;
    const struct wr_server_call call = {.endpoint = endpoint,
                                        .options = &known,
                                        .done = done,
                                        .done_arg = done_arg};

    int err = wr_connection_options_read_all(&known, sizeof(known), options,
                                             &known.connection,
                                             wr_endpoint_get_fd(&endpoint));
    wr_require(err >= 0, err);
    wr_assert(known.size > 0);
    err = wr_server_new(loop, factory, &call, ret);
    if (err == 0) {
        wr_server_push_work(*ret); /* starts the server from the loop */
    }
    return err;
}

int weir_create_server(weir_loop *loop, const struct weir_factory *factory,
                       const char *host, uint16_t port,
                       const struct weir_server_options *options,
                       weir_server_done_fn *done, void *done_arg,
                       weir_server **ret)
{
    return weir_create_server_at(loop, factory, weir_endpoint_host(host, port),
                                 options, done, done_arg, ret);
}

int weir_create_unix_server(weir_loop *loop, const struct weir_factory *factory,
                            const char *path,
                            const struct weir_server_options *options,
                            weir_server_done_fn *done, void *done_arg,
                            weir_server **ret)
{
    return weir_create_server_at(loop, factory, weir_endpoint_unix(path),
                                 options, done, done_arg, ret);
}

static int server_enter(const weir_server *server)
{
    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    wr_server_check_invariants(server);
    return 0;
}

int weir_server_start_serving(weir_server *server)
{
    int err = server_enter(server);
    wr_require(err >= 0, err);
    wr_require(!wr_server_is_closed(server), -ESHUTDOWN);
    if (server->state == SERVER_BOUND) {
        err = wr_listener_set_listen(&server->listeners);
        wr_require(err >= 0, err);
        server_start_serving(server);
    }
    /* A start that still waits will listen, too. */
    server->listeners.options.bind_only = false;
    wr_server_check_invariants(server);
    return 0;
}

int weir_server_set_tls(weir_server *server,
                        const struct weir_tls_settings *settings)
{
    struct wr_secure_settings known = {.context = NULL};

    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    wr_server_check_invariants(server);
    wr_require(settings, -EINVAL);
    wr_require(!wr_server_is_closed(server), -ESHUTDOWN);
    wr_require(wr_secure_settings_are_set(&server->tls), -EINVAL);
    err = wr_secure_settings_read(&known, settings, WR_SECURE_SERVER, NULL);
    wr_require(err >= 0, err);
    wr_secure_settings_drop(&server->tls);
    server->tls = known;
    wr_assert(wr_secure_settings_are_set(&server->tls));
    return 0;
}

bool weir_server_is_serving(const weir_server *server)
{
    return server->state == SERVER_SERVING;
}

void weir_server_close(weir_server *server)
{
    if (wr_loop_admits(server->loop)) {
        wr_server_check_invariants(server);
        server_close(server);
        wr_server_check_invariants(server);
    }
}

void weir_server_close_clients(weir_server *server)
{
    if (wr_loop_admits(server->loop)) {
        wr_server_check_invariants(server);
        server->closes_clients = true;
        server_end_clients_if_told(server);
    }
}

void weir_server_abort_clients(weir_server *server)
{
    if (wr_loop_admits(server->loop)) {
        wr_server_check_invariants(server);
        wr_server_end_clients(server, weir_transport_abort);
    }
}

static void server_tell_closed(struct wr_server_watch *watch,
                               weir_server *server)
{
    struct closed_watch *closed_watch =
        wr_container_of(watch, struct closed_watch, watch);
    const struct closed_watch copy = *closed_watch;

    wr_assert(wr_server_is_over(server));
    wr_free(&server->loop->counting, closed_watch, sizeof(*closed_watch));
    copy.closed(copy.arg, server);
    wr_loop_end_if_forked(server->loop);
}

int weir_server_add_closed_callback(weir_server *server,
                                    weir_server_closed_fn *closed, void *arg)
{
    weir_loop *loop = server->loop;
    int err = server_enter(server);
    wr_require(err >= 0, err);
    wr_require(closed, -EINVAL);
    wr_require(!wr_loop_is_closed(loop), -ESHUTDOWN);
    struct closed_watch *watch = wr_alloc(&loop->counting, sizeof(*watch));
    wr_require(watch, -ENOMEM);

    *watch = (struct closed_watch){
        .watch = {.tell = server_tell_closed}, .closed = closed, .arg = arg};
    wr_list_init(&watch->watch.link);
    wr_list_push_back(&server->over_watches, &watch->watch.link);
    if (wr_server_is_over(server)) {
        if (!wr_list_is_linked(&server->member.link)) {
            wr_loop_add_member(loop, &server->member);
        }
        wr_server_push_work(server);
    }
    wr_server_check_invariants(server);
    return 0;
}

/* Starts the grace period, or shortens it. */
static void server_arm_grace(weir_server *server, uint64_t grace_ns)
{
    struct wr_timer *timer = &server->grace;

    wr_assert(server->state >= SERVER_STOPPING);
    if (server->state == SERVER_ENDING || wr_server_is_over(server)) {
        return;
    }
    if (grace_ns == 0) {
        wr_timer_cancel(&server->loop->wheel, timer);
        server_end_grace(server);
        return;
    }
    /* The time of a loop that does not run is old. */
    const uint64_t now_ns =
        wr_loop_is_running(server->loop) ? server->loop->now_ns : wr_sys_now();
    const uint64_t when_ns = wr_add_sat(now_ns, grace_ns);
    if (when_ns == UINT64_MAX ||
        (wr_timer_is_armed(timer) && timer->when_ns <= when_ns)) {
        return;
    }
    wr_timer_arm(&server->loop->wheel, timer, when_ns);
}

void wr_server_stop(weir_server *server, uint64_t grace_ns)
{
    server_close(server);
    if (server->state == SERVER_CLOSED) {
        wr_server_set_state(server, SERVER_STOPPING);
    }
    server_end_clients_if_told(server);
    server_arm_grace(server, grace_ns);
    wr_server_check_invariants(server);
}

int weir_server_stop(weir_server *server, uint64_t grace_ns,
                     weir_server_closed_fn *closed, void *arg)
{
    int err = server_enter(server);
    wr_require(err >= 0, err);
    if (closed) {
        err = weir_server_add_closed_callback(server, closed, arg);
        wr_require(err >= 0, err);
    }
    wr_server_stop(server, grace_ns);
    return 0;
}

int weir_server_get_attempt(const weir_server *server, size_t index,
                            struct weir_attempt *ret)
{
    const struct wr_listener_set *set = &server->listeners;
    int err = server_enter(server);

    wr_require(err >= 0, err);
    err = wr_answer_check(ret);
    wr_require(err >= 0, err);
    wr_require(index < set->attempt_count, -EINVAL);
    wr_answer_write(ret, &set->attempts[index], sizeof(*set->attempts));
    return 0;
}

size_t weir_server_get_socket_count(const weir_server *server)
{
    return wr_server_is_closed(server) ? 0 : server->listeners.count;
}

int weir_server_get_socket(const weir_server *server, size_t index,
                           struct weir_address *ret_address)
{
    int err = wr_loop_check(server->loop);
    wr_require(err >= 0, err);
    wr_require(index < weir_server_get_socket_count(server), -EINVAL);
    const struct wr_listener *listener = &server->listeners.all[index];
    wr_assert(listener->fd >= 0);
    if (ret_address) {
        *ret_address = listener->address;
    }
    return listener->fd;
}

uint64_t weir_server_get_connection_count(const weir_server *server)
{
    return server->client_count;
}

weir_loop *weir_server_get_loop(const weir_server *server)
{
    return server->loop;
}

void weir_server_free(weir_server *server)
{
    if (!server || !wr_loop_admits(server->loop)) {
        return;
    }
    wr_server_check_invariants(server);
    server_close(server);
    server->is_freed = true;
    server_release_if_over(server);
}
