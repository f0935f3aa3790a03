/*
 * add_reader and add_writer: replaced, removed, refused, closed, many and
 * freed.
 *
 * There is one for each direction, and it is gone at once when it is removed.
 * Descriptors that the program closes while they are watched do no harm.
 */
#define UNIT_RUN with_watching
#include "tests/contract/watch_rig.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <weir/watch.h>

enum { MANY = 1000 };

UNIT(watch_remove, adding_again_replaces_and_leaves_no_call_of_the_old_one)
{
    struct watcher old = read_with(watch_ends[0], false);
    struct watcher young = read_with(watch_ends[0], false);
    add_reader(&old);
    send_byte(watch_ends[1]);
    make_turns(5);
    const int calls = old.calls;
    expect_geq(calls, 1);

    add_reader(&young);
    make_turns(5);

    expect_eq(old.calls, calls);
    expect_geq(young.calls, 3);
    cr_assert(weir_loop_remove_reader(loop, watch_ends[0]));
    cr_assert_not(weir_loop_remove_reader(loop, watch_ends[0]));
}

UNIT(watch_remove, a_reader_that_another_one_removes_is_not_called_any_more)
{
    int others[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
    struct watcher first = read_with(watch_ends[0], false);
    struct watcher second = read_with(others[0], false);
    first.remove_fd = others[0];
    second.remove_fd = watch_ends[0];
    add_reader(&first);
    add_reader(&second);
    send_byte(watch_ends[1]);
    send_byte(others[1]);

    make_turns(10);

    expect_eq(first.calls == 0, second.calls > 0, "one of them removed both");
    expect_geq(first.calls + second.calls, 5);
    weir_loop_remove_reader(loop, others[0]);
    close_ends(others);
}

UNIT(watch_remove, a_reader_that_removes_itself_is_called_once)
{
    struct watcher reader = read_with(watch_ends[0], false);
    reader.remove_fd = watch_ends[0];
    add_reader(&reader);
    send_byte(watch_ends[1]);

    make_turns(10);

    expect_eq(reader.calls, 1);
    cr_assert(reader.removed);
}

static void add_again(void *arg)
{
    struct watcher *watcher = (struct watcher *)arg;
    watched(watcher);
    expect_eq(weir_loop_add_reader(loop, watcher->fd, add_again, watcher), 0);
}

UNIT(watch_remove, a_reader_that_adds_itself_anew_is_called_in_later_turns)
{
    struct watcher reader = read_with(watch_ends[0], false);
    expect_eq(weir_loop_add_reader(loop, watch_ends[0], add_again, &reader), 0);
    send_byte(watch_ends[1]);

    make_turns(10);

    expect_geq(reader.calls,
               3); /* watched() has checked that no iteration had two */
}

UNIT(watch_remove, removing_needs_no_turn_and_costs_none)
{
    struct watcher reader = read_with(watch_ends[0], false);
    add_reader(&reader);
    cr_assert(weir_loop_remove_reader(loop, watch_ends[0]));
    send_byte(watch_ends[1]);

    make_turns(5);

    expect_eq(reader.calls, 0);
    cr_assert_not(weir_loop_remove_reader(loop, watch_ends[0]));
    cr_assert_not(weir_loop_remove_writer(loop, watch_ends[0]));
    cr_assert_not(weir_loop_remove_reader(loop, -1));
    cr_assert_not(weir_loop_remove_reader(loop, 1 << 30));
}

UNIT(watch_remove,
     the_peer_sees_the_end_of_a_socket_that_was_removed_and_closed)
{
    struct watcher reader = read_with(watch_ends[0], false);
    char byte;
    add_reader(&reader);
    make_turns(3);

    cr_assert(weir_loop_remove_reader(loop, watch_ends[0]));
    close(watch_ends[0]);
    one_turn();

    expect_eq(read(watch_ends[1], &byte, 1), 0);
    watch_ends[0] = dup(watch_ends[1]);
}

UNIT(watch_remove, what_is_no_descriptor_or_always_ready_is_refused)
{
    struct watcher none = {0};
    const int file = open("/proc/self/exe", O_RDONLY);
    const int directory = open("/", O_RDONLY);
    expect_eq(weir_loop_add_reader(loop, -1, watched, &none), -EBADF);
    expect_eq(weir_loop_add_writer(loop, 12345, watched, &none), -EBADF);
    expect_eq(weir_loop_add_reader(loop, file, watched, &none), -EPERM);
    expect_eq(weir_loop_add_reader(loop, directory, watched, &none), -EPERM);
    expect_eq(weir_loop_add_reader(loop, watch_ends[0], NULL, &none), -EINVAL);
    make_turns(3);

    expect_eq(none.calls, 0);
    close(file);
    close(directory);
}

static void add_when_lost(void *user, weir_transport *t, int err)
{
    struct watcher *watcher = (struct watcher *)user;
    watcher->calls =
        weir_loop_add_reader(loop, watch_ends[0], watched, watcher);
}

UNIT_IN(watch_remove, a_loop_that_is_being_freed_takes_no_more, unit_alone,
        void)
{
    const struct weir_protocol protocol = {sizeof(protocol),
                                           WEIR_PROTOCOL_STREAM,
                                           .connection_lost = add_when_lost};
    struct watcher watcher = {0};
    open_watching();
    const int peer = adopt_pair(&protocol, &watcher);
    make_turns(3);

    expect_eq(weir_loop_free(loop), 1);

    expect_eq(watcher.calls, -ESHUTDOWN);
    close(peer);
    close_ends(watch_ends);
}

UNIT(watch_remove,
     a_descriptor_that_was_closed_too_early_is_reported_and_removed)
{
    struct watcher reader = read_with(dup(watch_ends[0]), false);
    add_reader(&reader);
    close(reader.fd);
    make_turns(5);

    expect_eq(exception_count, 1);
    expect_eq(exception_err, -EBADF);
    expect_eq(reader.calls, 0);
    cr_assert_not(weir_loop_remove_reader(loop, reader.fd));
}

/* The poll in the kernel is for the old file, which it keeps open. */
UNIT(watch_remove, a_number_that_names_another_file_can_be_watched_anew)
{
    int others[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
    struct watcher reader = read_with(others[0], false);
    add_reader(&reader);
    make_turns(3);
    const int number = others[0];
    close(others[0]);
    expect_eq(dup2(watch_ends[0], number), number);

    struct watcher fresh = read_with(number, true);
    add_reader(&fresh);
    make_turns(3);
    expect_eq(send(others[1], "x", 1, MSG_NOSIGNAL), -1, "it is gone");
    expect_eq(errno, EPIPE);
    send_byte(watch_ends[1]);
    make_turns(5);

    expect_eq(reader.calls, 0);
    expect_eq(fresh.calls, 1);
    cr_assert(weir_loop_remove_reader(loop, number));
    close(number);
    close(others[1]);
}

UNIT_IN(watch_remove, a_thousand_are_called_beside_one_that_is_always_ready,
        unit_alone, void)
{
    static struct watcher readers[MANY];
    static int pairs[MANY][2];
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    open_watching();
    struct watcher busy = read_with(watch_ends[0], false);
    add_reader(&busy);
    send_byte(watch_ends[1]);
    for (int i = 0; i < MANY; i++) {
        expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        readers[i] = read_with(pairs[i][0], true);
        add_reader(&readers[i]);
    }
    make_turns(5);

    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < MANY; i++) {
            send_byte(pairs[i][1]);
        }
        const int before = busy.calls;
        make_turns(200);
        for (int i = 0; i < MANY; i++) {
            expect_eq(readers[i].calls, round);
        }
        expect_geq(busy.calls, before + 199);
    }

    for (int i = 0; i < MANY; i++) {
        cr_assert(weir_loop_remove_reader(loop, pairs[i][0]));
        close(pairs[i][0]);
        close(pairs[i][1]);
    }
    close_watching();
}

UNIT_IN(watch_remove, a_loop_is_freed_whatever_is_watched, unit_alone, void)
{
    int others[2];
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, others), 0);
    open_watching();
    struct watcher waiting = read_with(watch_ends[0], false);
    struct watcher busy = read_with(watch_ends[1], false);
    struct watcher removed = read_with(others[0], false);
    struct watcher added = read_with(others[1], false);
    add_reader(&waiting);
    add_writer(&busy);
    add_reader(&removed);
    make_turns(3);
    cr_assert(weir_loop_remove_reader(loop, others[0]));
    add_writer(&added);
    const int calls = busy.calls;

    close_watching();

    expect_eq(waiting.calls, 0);
    expect_eq(busy.calls, calls);
    expect_eq(added.calls, 0);
    close_ends(others);
}
