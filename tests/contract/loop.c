/*
 * Running a loop: run, run_until, stop, the time, and free.
 *
 * These are the rules of asyncio's loop about the loop itself. Other files test
 * what runs on it.
 */
#define UNIT_RUN with_loop
#include "tests/contract/loop_rig.h"

#include <weir/transport.h>

static void stop_and_add(void *arg)
{
    weir_loop_stop(loop);
    soon(note_number, arg);
}

UNIT(loop, stop_lets_the_turn_end_and_what_it_added_waits)
{
    soon(stop_and_add, number(3));
    soon(note_number, number(1));
    soon(note_number, number(2));

    run_until_stopped();

    expect_eq(event_count, 2, "the turn did not end as it should");
    one_turn();
    expect_eq(event_count, 3);
    expect_eq(events[2].number, 3);
}

UNIT(loop, runs_again_after_a_stop)
{
    for (int i = 0; i < 3; i++) {
        soon(note_number, number(i));
        later(1 * MS, stop_loop, NULL);
        run_until_stopped(); /* would end early if a stop were pending */
        expect_eq(event_count, i + 1);
    }
}

UNIT(loop, a_waiting_loop_makes_few_turns)
{
    one_turn();
    const struct weir_loop_statistics before = statistics();
    later(60 * MS, stop_loop, NULL);

    run_until_stopped();

    expect_leq(statistics().turns - before.turns, 4, "it spins");
    expect_leq(statistics().enters - before.enters, 6, "it spins");
}

static int conditions_asked;

static bool is_third_time(void *arg)
{
    return ++conditions_asked == 3;
}

static bool is_never(void *arg)
{
    return false;
}

static bool is_always(void *arg)
{
    return true;
}

static bool is_stopped_by_condition(void *arg)
{
    weir_loop_stop(loop);
    return *(bool *)arg;
}

static void call_again(void *arg)
{
    soon(call_again, arg);
}

UNIT(loop, run_until_asks_before_the_first_and_after_each_turn)
{
    expect_eq(weir_loop_run_until(loop, is_always, NULL), 0);
    expect_eq(turns(), 0, "it held before the first turn");
    soon(call_again, NULL);

    expect_eq(weir_loop_run_until(loop, is_third_time, NULL), 0);

    expect_eq(conditions_asked, 3);
    expect_eq(turns(), 2);
}

UNIT(loop, run_until_says_when_a_stop_came_first)
{
    bool holds = true;
    soon(stop_loop, NULL);
    expect_eq(weir_loop_run_until(loop, is_never, NULL), -ECANCELED);
    weir_loop_stop(loop);
    expect_eq(weir_loop_run_until(loop, is_never, NULL), -ECANCELED);

    /* Both happen at once: the condition holds, so the run returns 0. */
    expect_eq(weir_loop_run_until(loop, is_stopped_by_condition, &holds), 0);

    later(1 * MS, stop_loop, NULL);
    run_until_stopped();
}

UNIT(loop, run_until_needs_a_condition)
{
    expect_eq(weir_loop_run_until(loop, NULL, NULL), -EINVAL);
}

static void use_inside(void *arg)
{
    cr_assert(weir_loop_is_running(loop));
    expect_eq(weir_loop_run(loop), -EBUSY);
    expect_eq(weir_loop_run_until(loop, is_always, NULL), -EBUSY);
    expect_eq(weir_loop_free(loop), -EBUSY);
    note(1);
    weir_loop_stop(loop);
}

UNIT(loop, neither_runs_nor_ends_inside_itself)
{
    cr_assert_not(weir_loop_is_running(loop));
    soon(use_inside, NULL);

    run_until_stopped();

    cr_assert_not(weir_loop_is_running(loop));
    expect_eq(event_count, 1);
}

static void watch_time(void *arg)
{
    uint64_t *seen_ns = arg;
    const uint64_t before_ns = weir_loop_get_time(loop);
    expect_gt(before_ns, *seen_ns, "the time of the last turn");
    expect_leq(before_ns, clock_ns());
    spin(1 * MS);
    expect_eq(weir_loop_get_time(loop), before_ns, "read twice in a turn");
    *seen_ns = before_ns;
}

UNIT(loop, time_is_the_monotonic_clock_read_once_a_turn)
{
    uint64_t seen_ns = 0;

    for (int i = 0; i < 3; i++) {
        soon(watch_time, &seen_ns);
        one_turn();
    }

    const uint64_t outside_ns = weir_loop_get_time(loop);
    expect_geq(outside_ns, seen_ns + 1 * MS, "outside a run it goes on");
    expect_leq(outside_ns, clock_ns());
}

static CALLBACKS(keeping, STREAM, .connection_made = keep_connection);

/* Callbacks have an argument that is not const. */
static void *text(const char *constant)
{
    return (void *)(uintptr_t)constant;
}

static void write_and_stop(void *arg)
{
    weir_loop_stop(loop);
    expect_eq(weir_transport_write(connection, arg, strlen(arg)), 0);
}

struct pinging {
    int peer;
    int left;
};

static int ping_again(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct pinging *p = user;

    expect_eq(buf->len, 1);
    if (p->left-- > 0) {
        expect_eq(write(p->peer, "x", 1), 1);
    }
    return 0;
}

UNIT_IN(loop, a_loop_that_was_busy_and_falls_silent_wakes_for_its_timer,
        unit_alone, void)
{
    static CALLBACKS(pings, STREAM, .data_received = ping_again);
    struct pinging p = {.left = 0};
    open_loop(NULL);
    p.peer = adopt_pair(&pings, &p);
    one_turn();
    expect_eq(write(p.peer, "x", 1), 1);
    uint64_t start_ns;
    const uint64_t ops = statistics().ops_in_flight;
    do { /* again if the time was over before all pings were received */
        p.left = 200;
        start_ns = clock_ns();
        later(300 * MS, stop_loop, NULL);
        run_until_stopped();
    } while (p.left >= 0);

    expect_geq(clock_ns() - start_ns, 300 * MS);
    expect_eq(statistics().ops_in_flight, ops);
    expect_eq(weir_loop_free(loop), 1);
    close(p.peer);
}

static ssize_t receive_now(int fd, char *buf, size_t size)
{
    return recv(fd, buf, size, MSG_DONTWAIT);
}

UNIT_IN(loop, bytes_written_in_the_last_turn_are_sent_before_run_returns,
        unit_alone, void)
{
    char buf[16];
    open_loop(NULL);
    const int peer = adopt_pair(&keeping, NULL);
    one_turn();
    soon(write_and_stop, text("first"));
    run_until_stopped();
    expect_eq(receive_now(peer, buf, sizeof(buf)), 5);
    later(1 * MS, write_and_stop, text("second"));
    run_until_stopped();
    expect_eq(receive_now(peer, buf, sizeof(buf)), 6);

    expect_eq(weir_transport_write(connection, "third", 5), 0);
    expect_eq(receive_now(peer, buf, sizeof(buf)), -1);
    one_turn();

    expect_eq(receive_now(peer, buf, sizeof(buf)), 5);
    expect_eq(weir_loop_free(loop), 1);
    close(peer);
}

static bool write_in_condition(void *arg)
{
    expect_eq(weir_transport_write(connection, arg, strlen(arg)), 0);
    return true;
}

UNIT_IN(loop, bytes_that_the_condition_wrote_are_sent_before_run_until_returns,
        unit_alone, void)
{
    char buf[16];
    open_loop(NULL);
    const int peer = adopt_pair(&keeping, NULL);
    one_turn();

    expect_eq(weir_loop_run_until(loop, write_in_condition, text("last")), 0);

    expect_eq(receive_now(peer, buf, sizeof(buf)), 4);
    expect_eq(weir_loop_free(loop), 1);
    close(peer);
}

UNIT_IN(loop, free_ignores_null, unit_alone, void)
{
    expect_eq(weir_loop_free(NULL), 0);
}

UNIT_IN(loop, a_loop_that_never_ran_can_be_freed, unit_alone, void)
{
    struct test_allocator allocator;
    open_loop_from(&allocator);
    soon(note_number, number(1));

    close_loop();

    expect_eq(event_count, 0);
    allocator_check(&allocator);
}

static int lost_count;

static void lose(void *user, weir_transport *t, int err)
{
    lost_count++;
    expect_eq(err, 0);
    expect_eq(weir_transport_get_end(t), WEIR_END_ABORTED);
    expect_eq(weir_loop_call_soon(loop, note_number, user, NULL), -ESHUTDOWN);
    expect_eq(weir_loop_call_later(loop, 0, note_number, user, NULL),
              -ESHUTDOWN);
    expect_eq(weir_loop_run(loop), -EBUSY);
    expect_eq(weir_loop_free(loop), -EBUSY);
}

UNIT_IN(loop, free_says_how_many_were_alive_and_delivers_their_losses,
        unit_alone, void)
{
    static CALLBACKS(losing, STREAM, .connection_lost = lose);
    int peers[3];
    char byte;
    open_loop(NULL);
    for (int i = 0; i < 3; i++) {
        peers[i] = adopt_pair(&losing, number(1));
    }
    one_turn();
    one_turn();
    expect_eq(statistics().connections, 3);

    expect_eq(weir_loop_free(loop), 3);

    expect_eq(lost_count, 3);
    expect_eq(event_count, 0);
    for (int i = 0; i < 3; i++) {
        expect_eq(recv(peers[i], &byte, 1, MSG_DONTWAIT), 0, "left open");
        close(peers[i]);
    }
}

static weir_lease *kept_lease;

static int keep_lease(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct weir_buf *kept = user;
    *kept = *buf;
    expect_eq(weir_buf_ref(kept), 0);
    kept_lease = kept->lease;
    connection = weir_transport_ref(t);
    weir_loop_stop(loop);
    return 0;
}

UNIT_IN(loop, handles_and_leases_outlive_the_loop, unit_alone, void)
{
    static CALLBACKS(protocol, STREAM, .data_received = keep_lease);
    struct test_allocator allocator;
    struct weir_buf buf;
    open_loop_from(&allocator);
    const int peer = adopt_pair(&protocol, &buf);
    expect_eq(write(peer, "kept", 4), 4);
    run_until_stopped();

    expect_eq(weir_loop_free(loop), 1);

    expect_eq(memcmp(buf.data, "kept", 4), 0);
    expect_eq(weir_transport_get_end(connection), WEIR_END_ABORTED);
    cr_assert(weir_transport_is_closing(connection));
    expect_eq(weir_transport_get_socket(connection), -EBADF);
    expect_lt(weir_transport_write(connection, "x", 1), 0);
    expect_eq(weir_transport_close(connection), 0);
    expect_geq(weir_transport_get_read_buffer_size(connection), 4);
    weir_buf_unref(kept_lease);
    weir_transport_unref(connection);
    allocator_check(&allocator);
    close(peer);
}

struct runner {
    pthread_t thread;
    weir_loop *loop; /* made by another thread */
    int peer;
    uint64_t received;
    bool done;
};

enum { RUNNER_BYTES = 1 << 20 };

static int runner_received(void *user, weir_transport *t,
                           const struct weir_buf *buf)
{
    struct runner *runner = user;
    runner->received += buf->len;
    if (runner->received == RUNNER_BYTES) {
        runner->done = true;
    }
    return weir_transport_write(t, buf->data, buf->len);
}

static CALLBACKS(runner_protocol, STREAM, .data_received = runner_received);

static bool runner_is_done(void *arg)
{
    return ((struct runner *)arg)->done;
}

static void *run_runner(void *arg)
{
    struct runner *runner = arg;
    if (weir_loop_run_until(runner->loop, runner_is_done, runner) < 0 ||
        weir_loop_free(runner->loop) != 1) {
        return arg;
    }
    return NULL;
}

/* Echoes through both loops at once, in chunks small enough for the sockets. */
static void drive_runners(struct runner *runners)
{
    static char chunk[4096];
    static char back[4096];

    for (int sent = 0; sent < RUNNER_BYTES; sent += (int)sizeof(chunk)) {
        for (int i = 0; i < 2; i++) {
            memset(chunk, sent / (int)sizeof(chunk) + i, sizeof(chunk));
            expect_eq(write(runners[i].peer, chunk, sizeof(chunk)),
                      (ssize_t)sizeof(chunk));
            expect_eq(recv(runners[i].peer, back, sizeof(back), MSG_WAITALL),
                      (ssize_t)sizeof(back));
            expect_eq(memcmp(chunk, back, sizeof(back)), 0);
        }
    }
}

UNIT_IN(loop, two_loops_run_in_two_threads_that_did_not_make_them, unit_alone,
        void)
{
    static struct runner runners[2];
    void *failed;
    for (int i = 0; i < 2; i++) {
        open_loop(NULL);
        runners[i].loop = loop;
        runners[i].peer = adopt_pair(&runner_protocol, &runners[i]);
        expect_ok(
            pthread_create(&runners[i].thread, NULL, run_runner, &runners[i]));
    }

    drive_runners(runners);

    for (int i = 0; i < 2; i++) {
        expect_eq(pthread_join(runners[i].thread, &failed), 0);
        cr_assert_null(failed);
        close(runners[i].peer);
    }
}
