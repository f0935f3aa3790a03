/*
 * add_reader and add_writer: when their callbacks run.
 *
 * They run once an iteration while the descriptor is ready, for any kind of
 * descriptor, and only then.
 */
#define UNIT_RUN with_watching
#include "tests/contract/watch_rig.h"

enum { CROWD = 200 };

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <weir/watch.h>

enum { ENOUGH_TURNS = 50 };

UNIT(watch, a_reader_is_called_when_there_is_something_to_read)
{
    struct watcher reader = read_with(watch_ends[0], true);
    reader.stops = true;
    add_reader(&reader);
    make_turns(5);
    expect_eq(reader.calls, 0);

    send_byte(watch_ends[1]);
    run_until_stopped();
    expect_eq(reader.calls, 1);
    make_turns(5);

    expect_eq(reader.calls, 1, "what was there is taken");
}

UNIT(watch, a_reader_is_called_once_a_turn_until_it_has_read)
{
    struct watcher reader = read_with(watch_ends[0], false);
    add_reader(&reader);
    send_byte(watch_ends[1]);
    make_turns(3); /* the poll is being submitted */
    const int before = reader.calls;

    make_turns(ENOUGH_TURNS);

    expect_eq(reader.calls, before + ENOUGH_TURNS);
    expect_leq(statistics().turns, (uint64_t)ENOUGH_TURNS + 10);
}

UNIT(watch, a_reader_sees_the_end_of_the_stream)
{
    struct watcher reader = read_with(watch_ends[0], true);
    reader.stops = true;
    add_reader(&reader);
    expect_eq(shutdown(watch_ends[1], SHUT_WR), 0);

    run_until_stopped();

    expect_eq(reader.calls, 1);
}

UNIT(watch, a_writer_is_called_while_there_is_room)
{
    struct watcher writer = read_with(watch_ends[0], false);
    add_writer(&writer);
    make_turns(3);
    const int before = writer.calls;

    make_turns(10);

    expect_geq(before, 1);
    expect_eq(writer.calls, before + 10);
}

UNIT(watch, a_writer_waits_for_room)
{
    struct watcher writer = read_with(watch_ends[0], false);
    writer.stops = true;
    fill(watch_ends[0]);
    add_writer(&writer);
    make_turns(10);
    expect_eq(writer.calls, 0);

    empty(watch_ends[1]);
    run_until_stopped();

    expect_eq(writer.calls, 1);
}

/* The kernel reports a FIN to every poll, requested or not. */
UNIT(watch, a_writer_without_room_does_not_spin_when_the_peer_half_closes)
{
    struct watcher writer = read_with(watch_ends[0], false);
    fill(watch_ends[0]);
    expect_eq(shutdown(watch_ends[1], SHUT_WR), 0);
    add_writer(&writer);
    const uint64_t before = turns();

    later(30 * MS, stop_loop, NULL);
    run_until_stopped();
    expect_eq(writer.calls, 0);
    expect_lt(turns(), before + 10);

    empty(watch_ends[1]);
    make_turns(10);
    expect_geq(writer.calls, 2, "once a turn, or two");
    fill(watch_ends[0]);
    make_turns(3);
    const int calls = writer.calls;
    make_turns(10);
    expect_eq(writer.calls, calls, "full again");
}

/* Readers that are ready in the same iteration, more than completions fit. */
struct watch_crowd {
    struct watcher readers[CROWD];
    int peers[CROWD];
};

static void open_crowd(struct watch_crowd *crowd)
{
    for (int i = 0; i < CROWD; i++) {
        int fds[2];
        expect_eq(pipe(fds), 0);
        crowd->readers[i] = read_with(fds[0], true);
        crowd->peers[i] = fds[1];
        add_reader(&crowd->readers[i]);
    }
}

static void close_crowd(struct watch_crowd *crowd)
{
    for (int i = 0; i < CROWD; i++) {
        expect_eq(weir_loop_remove_reader(loop, crowd->readers[i].fd), true);
        close(crowd->readers[i].fd);
        close(crowd->peers[i]);
    }
}

/* The kernel ends a poll that reports each change if the completion queue is
 * full; its last completion reports the FIN again. */
UNIT_IN(watch, a_writer_whose_peer_half_closed_survives_a_full_queue,
        unit_alone, void)
{
    const struct weir_loop_options options = {
        .size = sizeof(options), .sq_entries = 16, .cq_entries = 32};
    static struct watch_crowd crowd;
    open_watching();
    close_loop();
    open_loop(&options);
    struct watcher writer = read_with(watch_ends[0], false);
    fill(watch_ends[0]);
    expect_eq(shutdown(watch_ends[1], SHUT_WR), 0);
    add_writer(&writer);
    open_crowd(&crowd);
    make_turns(20);
    expect_eq(writer.calls, 0);

    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CROWD; i++) {
            send_byte(crowd.peers[i]);
        }
        expect_eq(shutdown(watch_ends[1], SHUT_WR), 0);
        make_turns(20);
    }
    expect_eq(writer.calls, 0);
    empty(watch_ends[1]);
    make_turns(10);

    expect_geq(writer.calls, 2);
    for (int i = 0; i < CROWD; i++) {
        expect_eq(crowd.readers[i].calls, 5);
    }
    close_crowd(&crowd);
    close_watching();
}

UNIT(watch, a_reader_and_a_writer_of_one_descriptor_are_called_apart)
{
    struct watcher reader = read_with(watch_ends[0], true);
    struct watcher writer = read_with(watch_ends[0], false);
    add_reader(&reader);
    add_writer(&writer);
    make_turns(5);
    expect_eq(reader.calls, 0);
    expect_geq(writer.calls, 3);

    cr_assert(weir_loop_remove_writer(loop, watch_ends[0]));
    const int writes = writer.calls;
    send_byte(watch_ends[1]);
    make_turns(5);

    expect_eq(reader.calls, 1);
    expect_eq(writer.calls, writes);
}

UNIT(watch, the_ends_of_a_pipe_are_told_of_the_other_ends_close)
{
    int in[2];
    int out[2];
    expect_eq(pipe(in), 0);
    expect_eq(pipe(out), 0);
    fcntl(out[1], F_SETFL, O_NONBLOCK);
    fill(out[1]);
    struct watcher reader = read_with(in[0], false);
    struct watcher writer = read_with(out[1], false);
    add_reader(&reader);
    add_writer(&writer);
    make_turns(3);
    expect_eq(reader.calls, 0);
    expect_eq(writer.calls, 0);

    close(in[1]);
    close(out[0]);
    make_turns(5);

    expect_geq(reader.calls, 1);
    expect_geq(writer.calls, 1);
    cr_assert(weir_loop_remove_reader(loop, in[0]));
    cr_assert(weir_loop_remove_writer(loop, out[1]));
    close(in[0]);
    close(out[1]);
}

static void stop_when_called(void *arg)
{
    const struct watcher *watchers = arg;

    if (watchers[0].calls > 0 && watchers[1].calls > 0 &&
        watchers[2].calls > 0) {
        stop_loop(NULL);
    } else {
        later(MS, stop_when_called, arg);
    }
}

UNIT(watch, whatever_can_be_polled_can_be_watched)
{
    const struct itimerspec soon_ns = {.it_value = {.tv_nsec = 1000000}};
    const int fds[] = {eventfd(1, 0), timerfd_create(CLOCK_MONOTONIC, 0),
                       epoll_create1(0)};
    struct epoll_event event = {.events = EPOLLIN};
    struct watcher watchers[3];
    expect_eq(timerfd_settime(fds[1], 0, &soon_ns, NULL), 0);
    expect_eq(epoll_ctl(fds[2], EPOLL_CTL_ADD, watch_ends[0], &event), 0);
    send_byte(watch_ends[1]);
    for (int i = 0; i < 3; i++) {
        watchers[i] = read_with(fds[i], false);
        add_reader(&watchers[i]);
    }

    later(MS, stop_when_called, watchers);
    run_until_stopped();

    for (int i = 0; i < 3; i++) {
        cr_assert(weir_loop_remove_reader(loop, fds[i]));
        close(fds[i]);
    }
}

UNIT_IN(watch, a_reader_that_was_added_before_the_first_run_is_called,
        unit_alone, void)
{
    open_loop(NULL);
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, watch_ends), 0);
    struct watcher reader = read_with(watch_ends[0], true);
    reader.stops = true;
    add_reader(&reader);
    send_byte(watch_ends[1]);

    run_until_stopped();

    expect_eq(reader.calls, 1);
    close_watching();
}
