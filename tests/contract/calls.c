/*
 * Whatever callbacks do, everything ends once.
 *
 * Every callback of every connection may call anything: on its own connection,
 * on another one, on the server and on the loop. Factories act and refuse,
 * releases write and abort, protocols are switched inside their callbacks,
 * leases and references are kept and given back late. Rounds end in calm, when
 * every connection must go once its peer has gone; or with the loop freed with
 * everything alive. Either way each connection is lost once, each release and
 * each completion callback comes once, callbacks come in the promised order,
 * and neither memory nor a descriptor is left.
 *
 * Each round has a seed of its own, one more than that of the round before;
 * WEIR_TEST_SEED is that of the first.
 */
#include "tests/contract/calls_act.h"
#include "tests/dump.h"
#include "tests/statistics.h"

#include <signal.h>
#include <weir/loop.h>
#include <weir/server.h>

#ifdef UNIT_HAS_LSAN
#define ROUNDS 60
#else
#define ROUNDS 120
#endif

/* ---- the protocols ---- */

static void enter(const struct calls_conn *conn, const weir_transport *t)
{
    check(conn->t == t);
    check(conn->made);
    check(conn->lost == 0);
    check(!calls.in_a_call); /* none is nested in another */
    calls.in_a_call = true;
}

static void leave(void)
{
    calls.in_a_call = false;
}

static void connection_made(void *user, weir_transport *t)
{
    struct calls_conn *conn = user;

    check(!conn->made);
    conn->made = true;
    conn->live = true;
    conn->t = t;
    enter(conn, t);
    do_a_few_things(conn);
    leave();
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct calls_conn *conn = user;

    enter(conn, t);
    check(weir_transport_get_error(t) == err);
    check(weir_transport_get_end(t) != WEIR_END_NONE);
    check(weir_transport_get_socket(t) >= 0);
    conn->lost++;
    do_a_few_things(conn);
    conn->live = false;
    while (conn->refs > 0 && calls_one_in(2)) {
        give_reference(conn);
    }
    leave();
}

static void pause_writing(void *user, weir_transport *t)
{
    struct calls_conn *conn = user;

    check(conn->t == t);
    check(conn->lost == 0);
    check(!conn->writing_paused);
    conn->writing_paused = true;
    do_a_few_things(conn);
}

static void resume_writing(void *user, weir_transport *t)
{
    struct calls_conn *conn = user;

    enter(conn, t);
    check(conn->writing_paused);
    conn->writing_paused = false;
    do_a_few_things(conn);
    leave();
}

static int eof_received(void *user, weir_transport *t)
{
    struct calls_conn *conn = user;

    enter(conn, t);
    check(!conn->eof);
    conn->eof = true;
    do_a_few_things(conn);
    leave();
    if (calls.calm) {
        return 0;
    }
    conn->half_closed = calls_one_in(2);
    return calls_one_in(10) ? -EPROTO : conn->half_closed;
}

/* True while bytes may be shown. */
static void check_reading(const struct calls_conn *conn)
{
    const enum weir_end end = weir_transport_get_end(conn->t);
    check(!conn->paused);
    check(!conn->eof);
    check(end != WEIR_END_CLOSED);
    check(end != WEIR_END_ABORTED);
}

/* Another protocol gets the second half of what this one was shown. */
static void switch_halfway(struct calls_conn *conn, const struct weir_buf *buf)
{
    const struct weir_protocol_binding binding =
        weir_transport_get_protocol(conn->t);
    const struct weir_buf rest = {.data = buf->data + buf->len / 2,
                                  .len = buf->len - buf->len / 2,
                                  .lease = buf->lease};

    if (weir_transport_set_protocol(conn->t, &binding, &rest, 1) < 0) {
        return; /* it is closing, or there is no memory */
    }
}

static void use_lease(struct calls_conn *conn, const struct weir_buf *buf)
{
    struct calls_conn *other = calls.conns[below(calls.conn_count)];

    if (calls_one_in(4) && calls.lease_count < LEASES_MAX) {
        struct weir_buf kept = *buf;
        if (weir_buf_ref(&kept) == 0) {
            calls.leases[calls.lease_count++] = kept.lease;
        }
    }
    if (calls_one_in(3)) {
        check_write(conn, weir_transport_write_buf(conn->t, buf));
    }
    if (calls_one_in(3) && other->live) {
        check_write(other, weir_transport_write_buf(other->t, buf));
    }
    if (calls_one_in(40)) {
        switch_halfway(conn, buf);
    }
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct calls_conn *conn = user;

    enter(conn, t);
    check_reading(conn);
    check_bytes(buf->data, buf->len);
    if (!calls.calm) {
        use_lease(conn, buf);
    }
    do_a_few_things(conn);
    leave();
    return !calls.calm && calls_one_in(200) ? -EBADMSG : 0;
}

/* Memory that is used only until get_buffer's bytes were told. */
static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    static uint8_t memory[8192];
    struct calls_conn *conn = user;

    enter(conn, t);
    check_reading(conn);
    do_a_few_things(conn);
    leave();
    *ret_buf = memory;
    *ret_size = 1 + below(sizeof(memory));
    return !calls.calm && calls_one_in(300) ? -ENOMEM : 0;
}

static int buffer_updated(void *user, weir_transport *t, size_t len)
{
    struct calls_conn *conn = user;

    enter(conn, t);
    check_reading(conn);
    check(len > 0);
    do_a_few_things(conn);
    leave();
    return !calls.calm && calls_one_in(200) ? -EBADMSG : 0;
}

/* Memory that the kernel may write into until it is given back. */
static int get_promised(void *user, weir_transport *t, size_t hint,
                        void **ret_buf, size_t *ret_size)
{
    struct calls_conn *conn = user;

    enter(conn, t);
    check(!conn->promised);
    do_a_few_things(conn);
    leave();
    if (!calls.calm && calls_one_in(300)) {
        return -ENOMEM;
    }
    conn->promised_size = 1 + below(8192);
    conn->promised = malloc(conn->promised_size);
    check(conn->promised);
    *ret_buf = conn->promised;
    *ret_size = conn->promised_size;
    return 0;
}

static int promised_updated(void *user, weir_transport *t, size_t len)
{
    struct calls_conn *conn = user;

    check(conn->promised);
    check(len <= conn->promised_size);
    check_bytes(conn->promised, len);
    free(conn->promised);
    conn->promised = NULL;
    return buffer_updated(user, t, len);
}

static void release_buffer(void *user, void *buf)
{
    struct calls_conn *conn = user;

    check(buf && buf == conn->promised);
    free(buf);
    conn->promised = NULL;
    do_a_few_things(conn);
}

#define COMMON_CALLBACKS                                                       \
    .size = sizeof(struct weir_protocol), .connection_made = connection_made,  \
    .connection_lost = connection_lost, .pause_writing = pause_writing,        \
    .resume_writing = resume_writing, .eof_received = eof_received

static const struct weir_protocol shown = {
    COMMON_CALLBACKS,
    .kind = WEIR_PROTOCOL_STREAM,
    .data_received = data_received,
};

static const struct weir_protocol copied = {
    COMMON_CALLBACKS,
    .kind = WEIR_PROTOCOL_BUFFERED,
    .get_buffer = get_buffer,
    .buffer_updated = buffer_updated,
};

static const struct weir_protocol in_place = {
    COMMON_CALLBACKS,
    .kind = WEIR_PROTOCOL_BUFFERED,
    .get_buffer = get_promised,
    .buffer_updated = promised_updated,
    .release_buffer = release_buffer,
};

struct weir_protocol_binding any_binding(struct calls_conn *conn)
{
    const struct weir_protocol *tables[] = {&shown, &shown, &copied, &in_place};
    return (struct weir_protocol_binding){tables[below(4)], conn};
}

/* Only looking is allowed here; whoever does more must do no harm. */
static void meddle(weir_transport *t)
{
    switch (below(12)) {
    case 0:
        weir_transport_pause_reading(t);
        break;
    case 1:
        weir_transport_write(t, bytes, 5);
        break;
    case 2:
        weir_transport_close(t);
        break;
    case 3:
        weir_transport_abort(t);
        break;
    default:
        break;
    }
}

int create_any(void *arg, weir_transport *t, struct weir_protocol_binding *ret)
{
    if (calls.conn_count == CONNS_MAX) {
        return -ENOSPC;
    }
    struct calls_conn *conn = calloc(1, sizeof(*conn));
    check(conn);
    conn->has_no_peer = arg != NULL;
    calls.conns[calls.conn_count++] = conn;
    *ret = any_binding(conn);
    if (!calls.calm) {
        meddle(t);
    }
    return !calls.calm && calls_one_in(12) ? -EACCES : 0;
}

/* ---- a round ---- */

static void hook(void *arg, weir_loop *loop,
                 const struct weir_exception *exception)
{
    check(loop == calls.loop);
    check(exception->message);
    if (calls_one_in(4)) {
        do_anything_anywhere();
    }
}

static void begin(uint64_t seed, bool runs_short)
{
    memset(&calls, 0, sizeof(calls));
    calls.random.state = seed;
    calls.seed = seed;
    calls.runs_short = runs_short;
    const struct weir_loop_options options = {
        .size = sizeof(options),
        .allocator = &world_allocator,
        .sq_entries = calls_one_in(2) ? 16 : 0,
        .cq_entries = calls_one_in(3) ? 64 : 0,
        .held_limit_bytes = calls_one_in(2) ? 1 << 20 : 0,
        .slow_callback_ns = calls_one_in(4) ? 1 : 0,
    };
    check(weir_loop_new(&options, &calls.loop) == 0);
    weir_loop_set_exception_handler(calls.loop, hook, NULL);

    const struct weir_factory factory = {.create = create_any};
    const char *const hosts[] = {"127.0.0.2"};
    const bool two = calls_one_in(2);
    const struct weir_server_options server_options = {
        .size = sizeof(server_options),
        .connection_limit = calls_one_in(2) ? below(6) : 0,
        .connection = any_stream(),
        .hosts = two ? hosts : NULL,
        .host_count = two ? 1 : 0,
    };
    check(weir_create_server(calls.loop, &factory, "127.0.0.1", 0,
                             &server_options, NULL, NULL, &calls.server) == 0);
}

static void set(void *arg)
{
    *(bool *)arg = true;
}

static bool is_set(void *arg)
{
    return *(bool *)arg;
}

/* Runs until a call stops the loop, or for a moment. */
static void run_for_a_moment(void)
{
    bool over = false;
    struct weir_handle fuse;

    check(weir_loop_call_later(calls.loop, MS / 5 + below(2 * MS), set, &over,
                               &fuse) == 0);
    calls.short_now = calls.runs_short;
    const int err = weir_loop_run_until(calls.loop, is_set, &over);
    calls.short_now = false;
    check(err == 0 || err == -ECANCELED);
    weir_handle_cancel(calls.loop, fuse);
}

static void rage(void)
{
    const size_t steps = 15 + below(30);

    for (size_t i = 0; i < steps; i++) {
        for (size_t count = below(4); count > 0; count--) {
            adopt();
        }
        for (size_t count = below(4); count > 0; count--) {
            connect_peer();
        }
        step_peers();
        do_anything_anywhere();
        run_for_a_moment();
        if (calls_one_in(20)) {
            expect_dumped(calls.loop, "loop");
        }
    }
}

/* Lets everything go that only the program holds; true when it has gone. */
static bool has_gone(void *arg)
{
    const bool *over = arg;

    give_leases(0);
    for (size_t i = 0; i < calls.conn_count; i++) {
        struct calls_conn *conn = calls.conns[i];
        if (!conn->live) {
            continue;
        }
        resume_reading(conn);
        if (conn->half_closed || conn->has_no_peer) {
            weir_transport_close(conn->t);
        }
    }
    return *over ||
           (count_live() == 0 && calls.attempts_done == calls.attempts);
}

/* All leases are back, all peers gone: every connection must go. */
static void calm_down(void)
{
    bool over = false;
    struct weir_handle fuse;

    calls.calm = true;
    end_all_peers();
    if (calls.server) {
        weir_server_close(calls.server);
    }
    weir_loop_stop(calls.loop);
    check(weir_loop_run(calls.loop) == 0);

    check(weir_loop_call_later(calls.loop, 60000 * MS, set, &over, &fuse) == 0);
    check(weir_loop_run_until(calls.loop, has_gone, &over) == 0);
    if (over) {
        weir_loop_dump(calls.loop, stderr);
    }
    check(!over);
    weir_handle_cancel(calls.loop, fuse);
    const struct weir_loop_statistics stats = statistics_of(calls.loop);
    check(stats.connections == 0);
    check(stats.leases == 0);
    check(stats.held_bytes == 0);
    check(stats.queued_bytes == 0);
}

static void free_loop(void)
{
    const size_t live = count_live();

    calls.ending = true;
    const int alive = weir_loop_free(calls.loop);
    check(alive >= 0);
    check((size_t)alive >= live);
    calls.ending = false;
    calls.calm = true;
    calls.loop = NULL;
}

/* Handles that are still kept answer when the loop has gone. */
static void use_what_is_kept(struct calls_conn *conn)
{
    if (conn->refs == 0) {
        return;
    }
    look(conn);
    check(weir_transport_get_socket(conn->t) == -EBADF);
    write_copy(conn);
    write_reference(conn);
    check(weir_transport_close(conn->t) == 0);
    while (conn->refs > 0) {
        give_reference(conn);
    }
}

static void end(void)
{
    free_loop();
    for (size_t i = 0; i < calls.conn_count; i++) {
        struct calls_conn *conn = calls.conns[i];
        check(conn->lost == conn->made);
        check(!conn->promised);
        use_what_is_kept(conn);
        free(conn);
    }
    give_leases(0);
    weir_server_free(calls.server);
    end_all_peers();
    check(calls.releases == calls.writes);
    check(calls.attempts_done == calls.attempts);
    check(calls.waits_done == calls.waits);
    check(calls.memory_bytes == 0);
}

/* A crash fails the test by a message, which says the round's seed. */
static void crashed(int signum)
{
    cr_assert_fail("signal %d in the round of WEIR_TEST_SEED=%llu", signum,
                   (unsigned long long)calls.seed);
}

static void tell_seed_on(int signum)
{
    const struct sigaction action = {.sa_handler = crashed,
                                     .sa_flags = SA_NODEFER};
    check(sigaction(signum, &action, NULL) == 0);
}

static void run_rounds(uint64_t count, bool runs_short)
{
    static struct unit_fds before;
    struct unit_random random;
    const uint64_t first = unit_random_seed(&random);

    tell_seed_on(SIGABRT);
#ifndef UNIT_HAS_LSAN /* which tells more */
    tell_seed_on(SIGSEGV);
#endif
    memset(bytes, 'x', sizeof(bytes));
    for (uint64_t round = 0; round < count; round++) {
        unit_fds_read(&before);
        begin(first + round, runs_short);
        rage();
        if (calls_one_in(2)) {
            calm_down();
        }
        end();
        check(unit_fds_wait_left(&before) < 0);
    }
}

UNIT(calls, whatever_callbacks_do_everything_ends_once)
{
    run_rounds(ROUNDS, false);
}

UNIT(calls, whatever_callbacks_do_while_memory_runs_out_everything_ends_once)
{
    run_rounds(ROUNDS / 2, true);
}
