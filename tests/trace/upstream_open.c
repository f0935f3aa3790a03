/*
 * Requests for an upstream from a task, on the fake machine.
 *
 * However the call is interrupted, it returns when the request has ended,
 * either with a connection and its slot or with nothing. A released place can
 * be taken again.
 */
#define TASK_RUN without_listeners
#include "tests/tasks/moments_rig.h"

#include <weir/reader.h>
#include <weir/upstream.h>
#include <weir/writer.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PORT            80

enum { UPSTREAMS = 2 };

static weir_upstreams *set;
static weir_upstream *all[UPSTREAMS];
static struct fake_listener *listeners[UPSTREAMS];
static weir_upstream_slot *kept; /* it has the place of a set with one */
static struct weir_upstreams_result result;
static int made;
static int lost;

static void mute_made(void *user, weir_transport *t)
{
    made++;
}

static void mute_lost(void *user, weir_transport *t, int err)
{
    lost++;
}

static const struct weir_protocol mute = {.size = sizeof(mute),
                                          .kind = WEIR_PROTOCOL_STREAM,
                                          .connection_made = mute_made,
                                          .connection_lost = mute_lost};

static int create_mute(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    *ret = (struct weir_protocol_binding){&mute, arg};
    return 0;
}

static const struct weir_factory factory = {create_mute, NULL};

/* A set of @count upstreams, each of which takes @limit connections. */
static int make_set(weir_loop *on, const struct weir_upstreams_options *options,
                    size_t count, uint32_t limit)
{
    char host[] = "192.0.2.1";
    int err = weir_upstreams_new(on, options, &set);
    made = 0;
    lost = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        const struct weir_upstream_options upstream = {
            .size = sizeof(upstream),
            .endpoint = weir_endpoint_host(host, PORT),
            .connection_limit = limit};
        err = weir_upstreams_add(set, &upstream, &all[i]);
        host[sizeof(host) - 2]++;
    }
    return err;
}

/* There are none on a new machine. */
static void without_listeners(void (*body)(void))
{
    memset(listeners, 0, sizeof(listeners));
    kept = NULL;
    body();
}

/* Its upstreams answer so, after a while. */
static void listen_all(enum fake_answer answer, uint64_t after_ns)
{
    char host[] = "192.0.2.1";
    for (size_t i = 0; i < UPSTREAMS; i++) {
        struct weir_address address;
        expect_ok(weir_address_parse(host, PORT, &address));
        if (!listeners[i]) { /* else of the row before */
            listeners[i] = fake_listen(&address.storage.any, address.len);
        }
        fake_listener_set(listeners[i], answer, after_ns);
        host[sizeof(host) - 2]++;
    }
}

static void open_set(enum fake_answer answer, uint32_t limit)
{
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .seed = 1,
                                                   .queue_limit = 9,
                                                   .fail_limit = UINT32_MAX};
    listen_all(answer, 1 * MS);
    expect_ok(make_set(loop, &options, UPSTREAMS, limit));
    result = (struct weir_upstreams_result){.size = sizeof(result)};
}

static void close_peers(void)
{
    for (size_t i = 0; i < UPSTREAMS; i++) {
        struct fake_peer *peer;
        while ((peer = fake_listener_accept(listeners[i]))) {
            fake_peer_close(peer);
        }
    }
}

static void close_set(void)
{
    weir_upstreams_free(set);
    close_peers();
    settle();
}

/* Ends a connection that was asked for by open_transport(). */
static void leave(void)
{
    weir_transport_abort(result.transport);
    weir_transport_unref(result.transport);
    weir_upstream_slot_release(result.slot, 0);
}

/* No upstream has a connection, nor a request. */
static void expect_idle(void)
{
    struct weir_upstreams_statistics info = {.size = sizeof(info)};
    struct weir_upstream_statistics upstream = {.size = sizeof(upstream)};
    expect_ok(weir_upstreams_get_statistics(set, &info));
    expect_eq(info.connecting_count, 0);
    expect_eq(info.queued_count, 0);
    for (size_t i = 0; i < weir_upstreams_get_count(set); i++) {
        expect_ok(weir_upstream_get_statistics(all[i], &upstream));
        expect_eq(upstream.active_count, 0);
    }
}

TASK(upstream_open, a_task_is_given_a_transport_and_its_slot)
{
    open_set(FAKE_ACCEPT, 0);

    expect_ok(weir_upstreams_open_transport(set, &factory, NULL, &result));

    expect_eq(made, 1);
    expect_eq(result.try_count, 1);
    expect_eq(result.connect_ns, 1 * MS);
    cr_assert_eq(result.upstream, all[0]);
    cr_assert_eq(weir_upstream_slot_get_upstream(result.slot), all[0]);
    cr_assert(!weir_transport_is_closing(result.transport));
    leave();
    settle();
    expect_eq(lost, 1);
    expect_idle();
    close_set();
}

TASK(upstream_open, a_task_reads_and_writes_a_connection)
{
    weir_reader *reader;
    weir_writer *writer;
    char text[8] = "";
    open_set(FAKE_ACCEPT, 0);
    fake_listener_set(listeners[0], FAKE_REFUSE, 0);

    expect_ok(
        weir_upstreams_open_connection(set, NULL, &result, &reader, &writer));

    expect_eq(result.try_count, 2);
    cr_assert_eq(result.upstream, all[1]);
    cr_assert_eq(result.transport, weir_writer_get_transport(writer));
    struct fake_peer *peer = fake_listener_accept(listeners[1]);
    expect_ok(weir_writer_write(writer, "ping", 4));
    expect_ok(weir_writer_flush(writer));
    expect_eq(fake_peer_read(peer, text, sizeof(text)), 4);
    expect_str_eq(text, "ping");
    expect_eq(fake_peer_write(peer, "pong", 4), 4);
    expect_eq(weir_reader_readexactly(reader, text, 4), 4);
    expect_str_eq(text, "pong");
    weir_writer_unref(writer);
    weir_upstream_slot_release(result.slot, 0);
    fake_peer_close(peer);
    settle();
    expect_idle();
    close_set();
}

/* The limit is that of the reader: it is paused by twice as much. */
TASK(upstream_open, the_readers_limit_is_that_of_the_options)
{
    static const char bytes[100];
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .limit_bytes = 10};
    weir_reader *reader;
    weir_writer *writer;
    char line[200]; /* it has room for more than comes */
    open_set(FAKE_ACCEPT, 0);
    expect_ok(weir_upstreams_open_connection(set, &options, &result, &reader,
                                             &writer));
    struct fake_peer *peer = fake_listener_accept(listeners[0]);

    expect_eq(fake_peer_write(peer, bytes, sizeof(bytes)), sizeof(bytes));

    expect_eq(weir_reader_readline(reader, line, sizeof(line)), WEIR_ELIMIT);
    weir_writer_abort(writer);
    weir_writer_unref(writer);
    weir_upstream_slot_release(result.slot, 0);
    fake_peer_close(peer);
    close_set();
}

static int free_kept(weir_loop *on, void *arg)
{
    const int err = weir_sleep(on, 5 * MS);
    weir_upstream_slot_release(kept, 0);
    kept = NULL;
    return err;
}

TASK(upstream_open, a_task_waits_for_a_place_in_the_queue)
{
    open_set(FAKE_ACCEPT, 1);
    weir_upstream_remove(all[1]);
    expect_ok(weir_upstreams_open_transport(set, &factory, NULL, &result));
    kept = result.slot;
    weir_transport_abort(result.transport);
    weir_transport_unref(result.transport);
    weir_task *task = rig_spawn(free_kept, NULL);

    expect_ok(weir_upstreams_open_transport(set, &factory, NULL, &result));

    expect_eq(result.queue_ns / MS, 5);
    expect_eq(rig_join(task), 0);
    leave();
    close_set();
}

/* Its connection_made ends it. */
static void abort_at_once(void *user, weir_transport *t)
{
    weir_transport_abort(t);
}

static int create_aborting(void *arg, weir_transport *t,
                           struct weir_protocol_binding *ret)
{
    static const struct weir_protocol aborting = {.size = sizeof(aborting),
                                                  .kind = WEIR_PROTOCOL_STREAM,
                                                  .connection_made =
                                                      abort_at_once,
                                                  .connection_lost = mute_lost};
    *ret = (struct weir_protocol_binding){&aborting, arg};
    return 0;
}

TASK(upstream_open, a_transport_stays_though_its_connection_is_lost)
{
    const struct weir_factory aborting = {create_aborting, NULL};
    open_set(FAKE_ACCEPT, 0);

    expect_ok(weir_upstreams_open_transport(set, &aborting, NULL, &result));
    settle();

    expect_eq(lost, 1);
    cr_assert(weir_transport_is_closing(result.transport));
    weir_transport_unref(result.transport);
    weir_upstream_slot_release(result.slot, 0);
    expect_idle();
    close_set();
}

TASK(upstream_open, an_error_comes_with_what_was_tried)
{
    char text[256] = "";
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .connect = {.error_text = text, .error_text_size = sizeof(text)}};
    weir_reader *reader;
    weir_writer *writer = NULL;
    open_set(FAKE_REFUSE, 0);

    expect_eq(weir_upstreams_open_connection(set, &options, &result, &reader,
                                             &writer),
              -ECONNREFUSED);

    cr_assert_null(writer);
    cr_assert_null(result.slot);
    cr_assert_null(result.transport);
    cr_assert_null(result.error_text);
    cr_assert_eq(result.upstream, all[1]);
    expect_eq(result.try_count, 2);
    cr_assert_not_null(strstr(text, "Connection refused"));
    expect_eq(weir_upstreams_open_transport(set, &factory, NULL, &result),
              -ECONNREFUSED);
    cr_assert_null(result.error_text, "it has ended with the request");
    expect_idle();
    close_set();
}

static void remove_last(void *arg)
{
    weir_upstream_remove(all[0]);
}

/* The state is told before the request ends, and what it calls soon runs after
 * the end of the request, and before the task. */
static void eject_told(void *arg, weir_upstream *upstream,
                       enum weir_upstream_state state, int err)
{
    expect_eq(state, WEIR_UPSTREAM_EJECTED);
    expect_ok(weir_loop_call_soon(loop, remove_last, NULL, NULL));
}

TASK(upstream_open, an_upstream_that_was_removed_meanwhile_is_not_told)
{
    const struct weir_upstreams_options options = {
        .size = sizeof(options), .fail_limit = 1, .changed = eject_told};
    const struct weir_upstreams_connect_options once = {.size = sizeof(once),
                                                        .tries = 1};
    listen_all(FAKE_REFUSE, 1 * MS);
    expect_ok(make_set(loop, &options, 1, 0));
    result = (struct weir_upstreams_result){.size = sizeof(result)};

    expect_eq(weir_upstreams_open_transport(set, &factory, &once, &result),
              -ECONNREFUSED);

    expect_eq(result.try_count, 1);
    expect_eq(weir_upstreams_get_count(set), 0, "it was in time");
    cr_assert_null(result.upstream);
    close_set();
}

static int free_set(weir_loop *on, void *arg)
{
    weir_upstreams_free(set);
    return 0;
}

TASK(upstream_open, a_set_that_is_freed_ends_the_call)
{
    open_set(FAKE_SILENT, 0);
    weir_task *task = rig_spawn(free_set, NULL);

    expect_eq(weir_upstreams_open_transport(set, &factory, NULL, &result),
              -ECANCELED);

    cr_assert_null(result.upstream);
    expect_eq(rig_join(task), 0);
    close_peers();
}

static void ask_outside(void *arg)
{
    weir_writer *writer = NULL;
    expect_eq(weir_upstreams_open_transport(set, NULL, NULL, NULL),
              WEIR_ENOTTASK, "before the arguments are looked at");
    expect_eq(weir_upstreams_open_connection(set, NULL, &result, NULL, &writer),
              WEIR_ENOTTASK);
    *(bool *)arg = true;
}

TASK(upstream_open, calls_that_cannot_be_say_why)
{
    struct weir_upstreams_connect_options options = {.size = 0};
    struct weir_upstreams_result unsized = {.size = 0};
    const struct weir_address nowhere = {.len = 0};
    weir_writer *writer = NULL;
    bool was_called = false;
    open_set(FAKE_ACCEPT, 0);
    expect_eq(weir_upstreams_open_transport(set, &factory, NULL, NULL),
              -EINVAL);
    expect_eq(weir_upstreams_open_transport(set, &factory, NULL, &unsized),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_upstreams_open_transport(set, NULL, NULL, &result), -EINVAL);
    expect_eq(weir_upstreams_open_transport(set, &factory, &options, &result),
              WEIR_EOPTIONSIZE);
    expect_eq(
        weir_upstreams_open_connection(set, &options, &result, NULL, &writer),
        WEIR_EOPTIONSIZE);
    expect_eq(weir_upstreams_open_connection(set, NULL, &result, NULL, NULL),
              -EINVAL);
    expect_eq(weir_upstreams_open_connection(set, NULL, NULL, NULL, &writer),
              -EINVAL);
    options.size = sizeof(options);
    options.connect.size = 1;
    expect_eq(weir_upstreams_open_transport(set, &factory, &options, &result),
              -EINVAL);
    options.connect = (struct weir_connect_options){.local_address = &nowhere};
    expect_eq(weir_upstreams_open_transport(set, &factory, &options, &result),
              -EINVAL);
    options.connect.local_address = NULL;
    options.limit_bytes = UINT64_MAX;
    result.try_count = 77;
    expect_eq(
        weir_upstreams_open_connection(set, &options, &result, NULL, &writer),
        -EINVAL);
    expect_eq(result.try_count, 77, "nothing was tried");
    cr_assert_null(writer);
    expect_ok(weir_loop_call_soon(loop, ask_outside, &was_called, NULL));
    settle();
    cr_assert(was_called);
    expect_idle();
    close_set();
}

static void make_accepting(void)
{
    open_set(FAKE_ACCEPT, 0);
}

static void make_slow(void)
{
    open_set(FAKE_ACCEPT, 0);
    for (size_t i = 0; i < UPSTREAMS; i++) {
        fake_listener_set(listeners[i], FAKE_ACCEPT, 100 * MS);
    }
}

static void make_refusing(void)
{
    open_set(FAKE_REFUSE, 0);
}

static void make_full(void)
{
    open_set(FAKE_ACCEPT, 1);
    weir_upstream_remove(all[1]);
    expect_ok(weir_upstreams_open_transport(set, &factory, NULL, &result));
    kept = result.slot;
    weir_transport_abort(result.transport);
    weir_transport_unref(result.transport);
}

static void give_place(void)
{
    weir_upstream_slot_release(kept, 0);
    kept = NULL;
}

static void drop_set(void)
{
    weir_upstream_slot_release(kept, 0);
    kept = NULL;
    expect_idle();
    close_set();
}

static int call_transport(weir_loop *on)
{
    result = (struct weir_upstreams_result){.size = sizeof(result)};
    const int err = weir_upstreams_open_transport(set, &factory, NULL, &result);

    cr_assert((err == 0) == (result.transport != NULL));
    cr_assert((err == 0) == (result.slot != NULL));
    if (err == 0) {
        leave();
    }
    return err;
}

static int call_connection(weir_loop *on)
{
    weir_writer *writer = NULL;
    result = (struct weir_upstreams_result){.size = sizeof(result)};
    const int err =
        weir_upstreams_open_connection(set, NULL, &result, NULL, &writer);

    cr_assert((err == 0) == (writer != NULL));
    cr_assert((err == 0) == (result.slot != NULL));
    if (err == 0) {
        weir_writer_abort(writer);
        weir_writer_unref(writer);
        weir_upstream_slot_release(result.slot, 0);
    }
    return err;
}

static const struct row rows[] = {
    {"open_transport", make_accepting, call_transport, NULL, drop_set},
    {"open_transport that takes long", make_slow, call_transport, NULL,
     drop_set},
    {"open_transport that is refused", make_refusing, call_transport, NULL,
     drop_set},
    {"open_transport from the queue", make_full, call_transport, give_place,
     drop_set},
    {"open_connection", make_accepting, call_connection, NULL, drop_set},
    {"open_connection from the queue", make_full, call_connection, give_place,
     drop_set},
};

TASK(upstream_open, an_interruption_is_told_once_and_leaves_nothing)
{
    play_rows(rows, COUNT_OF(rows));
}

static int wait_for_silent(weir_loop *on, void *arg)
{
    int *err = arg;
    *err = weir_upstreams_open_transport(set, &factory, NULL, &result);
    return *err;
}

static int leave_a_request(weir_loop *on, void *arg)
{
    memset(listeners, 0, sizeof(listeners));
    open_set(FAKE_SILENT, 0);
    weir_task_unref(rig_spawn(wait_for_silent, arg));
    settle();
    return 0;
}

UNIT(upstream_open, the_loops_end_ends_a_request)
{
    int err = 1;
    rig_leave(leave_a_request, &err);
    expect_eq(err, -ECANCELED);
    weir_upstreams_free(set);
    fake_stop();
}

static int open_without_memory(weir_loop *on, void *arg)
{
    weir_writer *writer = NULL;
    struct weir_upstreams_result end = {.size = sizeof(end)};
    memset(listeners, 0, sizeof(listeners));
    listen_all(FAKE_ACCEPT, 0);
    expect_ok(make_set(on, NULL, 1, 0));
    walk_begin(&rig_memory);
    const int err =
        arg ? weir_upstreams_open_connection(set, NULL, &end, NULL, &writer)
            : weir_upstreams_open_transport(set, &factory, NULL, &end);
    expect_eq(err, walk_end(&rig_memory) ? -ENOMEM : 0);
    if (err == 0) {
        cr_assert(end.slot != NULL);
        weir_upstream_slot_release(end.slot, 0);
        weir_writer_unref(writer);
        if (!arg) {
            weir_transport_abort(end.transport);
            weir_transport_unref(end.transport);
        }
    }
    cr_assert_eq(writer == NULL, err < 0 || !arg);
    weir_upstreams_free(set);
    return 0;
}

UNIT(upstream_open, without_memory_they_say_so)
{
    int yes = 1;
    expect_geq(rig_walk(open_without_memory, NULL), 4);
    expect_geq(rig_walk(open_without_memory, &yes), 5);
}
