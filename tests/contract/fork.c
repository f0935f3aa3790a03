/*
 * A callback that forks, and whose child returns from it: the child ends there.
 *
 * One scene has every kind of callback: a server and a client on one loop, a
 * buffered protocol, timers, posts, signals, tasks. In each round another kind
 * forks. The child returns from that callback; it must run no other one, and
 * end with a message and SIGABRT. The parent continues and completes the scene,
 * which shows that the child has disturbed nothing.
 */
#include "tests/bind.h"
#include "tests/ends.h"
#include "tests/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tests/have.h>
#include <weir/connect.h>
#include <weir/datagram.h>
#include <weir/embed.h>
#include <weir/resolver.h>
#include <weir/server.h>
#include <weir/task.h>
#include <weir/upstream.h>

enum kind {
    SERVER_DONE,
    FACTORY,
    MADE,
    CLIENT_DONE,
    DATA,
    GET_BUFFER,
    BUFFER_UPDATED,
    PAUSE,
    RESUME,
    RELEASE,
    END,
    LOST,
    SERVER_CLOSED,
    SOON,
    TIMER,
    POST,
    SIGNAL,
    HOOK,
    FUTURE_DONE,
    CONDITION,
    TASK_THAT_RETURNS,
    TASK_THAT_SUSPENDS,
    TASK_IN_A_GROUP,
    CANCEL_OF_A_FUTURE,
    LOST_IN_FREE,
    RESOLVER_START,
    RESOLVER_CANCEL,
    LOOKUP_DONE,
    ENDPOINT_DONE,
#if WR_TESTS_PROXY
    UPSTREAM_CHANGED,
    UPSTREAM_DONE,
#endif
    KINDS,
};

static const char *const kind_names[KINDS] = {
    "server done",
    "factory",
    "connection_made",
    "client done",
    "data_received",
    "get_buffer",
    "buffer_updated",
    "pause_writing",
    "resume_writing",
    "release",
    "eof_received",
    "connection_lost",
    "server closed",
    "call_soon",
    "call_later",
    "post",
    "signal",
    "hook",
    "future done",
    "condition",
    "a task that returns",
    "a task that suspends",
    "a task in a group",
    "cancel of a future",
    "connection_lost in free",
    "start of a resolver",
    "cancel of a resolver",
    "lookup done",
    "endpoint done",
#if WR_TESTS_PROXY
    "upstream changed",
    "upstream done",
#endif
};

enum { BYTES = 256 * 1024, SPARE_CALLS = 3 };
enum { SAW_A_CALLBACK = 1, CAME_BACK = 2 };

static weir_loop *loop;
static weir_server *server;
static enum kind forking;
static pid_t child;
static bool in_child;
static int messages[2];
static int call_count[KINDS];
static size_t received;
static size_t came_back;
static bool is_over;
static uint8_t memory[BYTES];
static uint8_t into[4096];

static void must(int result)
{
    if (result < 0) {
        abort();
    }
}

static void called(enum kind kind)
{
    if (in_child) {
        _exit(SAW_A_CALLBACK);
    }
    call_count[kind]++;
    if (kind != forking || child != 0) {
        return;
    }
    child = fork();
    if (child == 0) {
        static const struct rlimit none;

        in_child = true;
        must(setrlimit(RLIMIT_CORE, &none));
        must(dup2(messages[1], STDERR_FILENO));
    }
}

static void spare_soon(void *arg)
{
    called(SOON);
}

static void spare_timer(void *arg)
{
    called(TIMER);
}

static void spare_post(void *arg)
{
    called(POST);
}

static void add_spare_calls(void)
{
    for (int i = 0; i < SPARE_CALLS; i++) {
        must(weir_loop_call_soon(loop, spare_soon, NULL, NULL));
        must(weir_loop_call_later(loop, 0, spare_timer, NULL, NULL));
    }
}

static void on_signal(void *arg, int signum)
{
    called(SIGNAL);
}

static void on_exception(void *arg, weir_loop *on,
                         const struct weir_exception *exception)
{
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    called(HOOK);
}

static void made(void *user, weir_transport *t)
{
    called(MADE);
}

static void closed(void *arg, weir_server *of)
{
    called(SERVER_CLOSED);
    is_over = true;
}

static void lost(void *user, weir_transport *t, int err)
{
    called(is_over ? LOST_IN_FREE : LOST);
    if (call_count[LOST] == 2 && !in_child && !is_over) {
        weir_server_close(server);
        must(weir_server_add_closed_callback(server, closed, NULL));
    }
}

static int ended(void *user, weir_transport *t)
{
    called(END);
    return 0;
}

static int echo(void *user, weir_transport *t, const struct weir_buf *buf)
{
    called(DATA);
    received += buf->len;
    return weir_transport_write(t, buf->data, buf->len);
}

static void paused(void *user, weir_transport *t)
{
    called(PAUSE);
}

static void resumed(void *user, weir_transport *t)
{
    called(RESUME);
}

static void released(void *arg)
{
    called(RELEASE);
}

static void client_made(void *user, weir_transport *t)
{
    called(MADE);
    if (in_child) {
        return;
    }
    add_spare_calls();
    must(weir_transport_write_ref(t, memory, BYTES / 2, released, NULL));
    if (weir_transport_write(t, memory, BYTES / 2) < 0) {
        abort();
    }
}

static int offer(void *user, weir_transport *t, size_t hint, void **ret_buf,
                 size_t *ret_size)
{
    called(GET_BUFFER);
    *ret_buf = into;
    *ret_size = sizeof(into);
    return 0;
}

static int updated(void *user, weir_transport *t, size_t len)
{
    called(BUFFER_UPDATED);
    came_back += len;
    if (came_back == BYTES && forking == LOST_IN_FREE) {
        is_over = true;
    } else if (came_back == BYTES) {
        weir_transport_close(t);
    }
    return 0;
}

static CALLBACKS(server_protocol, STREAM, .connection_made = made,
                 .data_received = echo, .eof_received = ended,
                 .connection_lost = lost);

static CALLBACKS(client_protocol, BUFFERED, .connection_made = client_made,
                 .get_buffer = offer, .buffer_updated = updated,
                 .connection_lost = lost, .pause_writing = paused,
                 .resume_writing = resumed);

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    called(FACTORY);
    ret->protocol = arg;
    return 0;
}

static void connected(void *arg, int err, weir_transport *t)
{
    called(CLIENT_DONE);
    if (err < 0 && !in_child) {
        abort();
    }
}

static void server_done(void *arg, int err, weir_server *of)
{
    static const struct weir_factory client = {
        .create = make_protocol, .arg = (void *)(uintptr_t)&client_protocol};
    static const struct weir_connect_options options = {.size =
                                                            sizeof(options)};
    struct weir_address address;

    called(SERVER_DONE);
    if (in_child) {
        return;
    }
    must(err);
    must(weir_server_get_socket(of, 0, &address));
    must(weir_create_connection(loop, &client, "127.0.0.1",
                                ntohs(address.storage.inet.sin_port), &options,
                                connected, NULL, NULL));
}

static void future_done(void *arg, weir_future *future, int result)
{
    called(FUTURE_DONE);
}

static int return_at_once(weir_loop *on, void *arg)
{
    called(TASK_THAT_RETURNS);
    return -EIO;
}

static int suspend(weir_loop *on, void *arg)
{
    called(TASK_THAT_SUSPENDS);
    for (int i = 0; i < SPARE_CALLS; i++) {
        if (weir_sleep(on, 0) != (in_child ? -ECHILD : 0)) {
            abort();
        }
    }
    return 0;
}

static int sleep_shortly(weir_loop *on, void *arg)
{
    return weir_sleep(on, 1);
}

static int fork_in_a_group(weir_loop *on, void *arg)
{
    struct weir_task_group group;

    must(weir_task_group_begin(on, &group));
    must(weir_task_group_spawn(&group, sleep_shortly, NULL, NULL, NULL));
    called(TASK_IN_A_GROUP);
    if (weir_task_group_end(&group, 0) != (in_child ? -ECHILD : 0)) {
        abort();
    }
    return 0;
}

static int yield_on(weir_loop *on, void *arg)
{
    while (weir_yield(on) == 0) {
    }
    if (in_child) {
        _exit(SAW_A_CALLBACK);
    }
    return 0;
}

static void on_cancel(void *arg, weir_future *future)
{
    called(CANCEL_OF_A_FUTURE);
    if (weir_future_set_result(future, 0) != (in_child ? -ECHILD : 0)) {
        abort();
    }
}

static int await(weir_loop *on, void *arg)
{
    return weir_future_await(arg, NULL);
}

/* The callback runs on this task's stack while others are ready. */
static int cancel_a_future(weir_loop *on, void *arg)
{
    struct weir_task_group group;
    weir_future *future;

    must(weir_future_new(on, on_cancel, NULL, &future));
    must(weir_task_group_begin(on, &group));
    must(weir_task_group_spawn(&group, await, future, NULL, NULL));
    must(weir_sleep(on, 1));
    if (weir_task_group_end(&group, -EIO) != -EIO) {
        abort();
    }
    weir_future_unref(future);
    return 0;
}

/* Never answers, and is notified of the time-out. */
static int resolve(void *user, weir_lookup *lookup, const char *host,
                   int family, void **ret_data)
{
    called(RESOLVER_START);
    return 0;
}

static void forget(void *user, weir_lookup *lookup, void *data)
{
    called(RESOLVER_CANCEL);
}

static void looked_up(void *arg, int err, const struct weir_address *addresses,
                      size_t count)
{
    called(LOOKUP_DONE);
}

static void endpoint_done(void *arg, int err, weir_transport *t)
{
    called(ENDPOINT_DONE);
    if (t) {
        must(weir_transport_abort(t));
    }
}

static int refuse_endpoint(void *arg, weir_transport *t,
                           struct weir_protocol_binding *ret)
{
    return -EPROTO;
}

#if WR_TESTS_PROXY
static weir_upstreams *upstreams;

static void upstream_changed(void *arg, weir_upstream *upstream,
                             enum weir_upstream_state state, int err)
{
    called(UPSTREAM_CHANGED);
}

static void upstream_done(void *arg, int err,
                          const struct weir_upstreams_result *result)
{
    called(UPSTREAM_DONE);
}

/* The only upstream has no listener, and is ejected. */
static void start_upstreams(void)
{
    static const struct weir_upstreams_options options = {
        .size = sizeof(options), .changed = upstream_changed, .fail_limit = 1};
    const struct weir_upstream_options absent = {
        .size = sizeof(absent),
        .endpoint = weir_endpoint_unix("/nonexistent/weir")};
    static const struct weir_factory factory = {
        .create = make_protocol, .arg = (void *)(uintptr_t)&client_protocol};
    weir_upstream *upstream;

    must(weir_upstreams_new(loop, &options, &upstreams));
    must(weir_upstreams_add(upstreams, &absent, &upstream));
    must(weir_upstreams_connect(upstreams, &factory, NULL, upstream_done, NULL,
                                NULL));
}

static void free_upstreams(void)
{
    weir_upstreams_free(upstreams);
}
#else
static void start_upstreams(void)
{
}

static void free_upstreams(void)
{
}
#endif

static bool holds(void *arg)
{
    called(CONDITION);
    return is_over;
}

static void start_the_rest(void)
{
    weir_future *future;

    must(weir_future_new(loop, NULL, NULL, &future));
    must(weir_future_add_done_callback(future, future_done, NULL));
    must(weir_future_set_result(future, 1));
    weir_future_unref(future);
    must(weir_loop_add_signal_handler(loop, SIGUSR1, on_signal, NULL));
    must(raise(SIGUSR1));
    must(weir_task_spawn(loop, return_at_once, NULL, NULL, NULL));
    must(weir_task_spawn(loop, suspend, NULL, NULL, NULL));
    must(weir_task_spawn(loop, fork_in_a_group, NULL, NULL, NULL));
    if (forking == CANCEL_OF_A_FUTURE) {
        must(weir_task_spawn(loop, cancel_a_future, NULL, NULL, NULL));
        must(weir_task_spawn(loop, yield_on, NULL, NULL, NULL));
    }
    for (int i = 0; i < SPARE_CALLS; i++) {
        must(weir_loop_call_soon_threadsafe(loop, spare_post, NULL, NULL));
    }
    static const struct weir_resolver resolver = {
        .size = sizeof(resolver), .start = resolve, .cancel = forget};
    static const struct weir_getaddrinfo_options brief = {.size = sizeof(brief),
                                                          .timeout_ns = 1};

    must(weir_loop_set_resolver(loop, &resolver, NULL));
    must(weir_resolve_start(loop, "host.example", 80, &brief, looked_up, NULL,
                            NULL));
    /* Its factory makes no protocol, so done is its last callback. */
    static const struct weir_factory factory = {.create = refuse_endpoint};
    static const struct weir_datagram_options options = {
        .size = sizeof(options), .local_host = "127.0.0.1"};

    must(weir_create_datagram_endpoint(loop, &factory, &options, endpoint_done,
                                       NULL, NULL));
    start_upstreams();
    add_spare_calls();
}

static void play(void)
{
    static const struct weir_factory factory = {
        .create = make_protocol, .arg = (void *)(uintptr_t)&server_protocol};
    static const struct weir_server_options options = {.size = sizeof(options)};

    must(weir_loop_new(NULL, &loop));
    weir_loop_set_exception_handler(loop, on_exception, NULL);
    must(weir_create_server(loop, &factory, "127.0.0.1", 0, &options,
                            server_done, NULL, &server));
    start_the_rest();
    const int result = weir_loop_run_until(loop, holds, NULL);
    if (in_child) {
        _exit(CAME_BACK);
    }
    expect_eq(result, 0);
    free_upstreams();
    weir_server_free(server);
    const int alive = weir_loop_free(loop);
    if (in_child) {
        _exit(CAME_BACK);
    }
    expect_geq(alive, 0);
}

static void expect_child_told(void)
{
    char said[256];
    int status = -1;

    expect_eq(waitpid(child, &status, 0), child);
    expect_eq(close(messages[1]), 0);
    const ssize_t len = read(messages[0], said, sizeof(said) - 1);
    expect_geq(len, 0);
    said[len] = '\0';
    expect_eq(close(messages[0]), 0);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
              "%s: the child ended with %#x: %s", kind_names[forking],
              (unsigned)status, said);
    cr_assert(strstr(said, "weir: a forked child came back") == said, "%s: %s",
              kind_names[forking], said);
}

UNIT(fork, in_any_callback_ends_a_child_that_returns_before_another_callback)
{
    for (forking = 0; forking < KINDS; forking++) {
        child = 0;
        is_over = false;
        came_back = 0;
        received = 0;
        memset(call_count, 0, sizeof(call_count));
        must(pipe(messages));

        play();

        expect_gt(call_count[forking], 0, "%s", kind_names[forking]);
        expect_child_told();
        expect_eq(came_back, BYTES, "%s", kind_names[forking]);
        expect_eq(received, BYTES, "%s", kind_names[forking]);
    }
}

static int do_nothing(weir_loop *on, void *arg)
{
    return 0;
}

static void fork_and_run(void *arg)
{
    pid_t *forked = arg;
    *forked = fork();
    if (*forked == 0) {
        _exit(weir_run(NULL, do_nothing, NULL) == 0 ? 0 : 1);
    }
}

UNIT(fork, a_child_of_a_callback_may_run_a_loop_of_its_own)
{
    pid_t forked = -1;
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(weir_loop_call_soon(loop, fork_and_run, &forked, NULL), 0);

    expect_eq(weir_loop_run_once(loop), 0);

    expect_gt(forked, 0);
    expect_eq(end_of(forked), 0);
    expect_eq(weir_loop_free(loop), 0);
}
