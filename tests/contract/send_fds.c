/*
 * Descriptors that weir sends over a Unix socket: each arrives once, with its
 * byte, whatever space the kernel has, and none stays open in this process.
 *
 * unix_fds.c and recv_fds.c test received descriptors.
 */
#define PAIRS_NEED RIG_BOTH_WAYS | RIG_IS_UNIX
#include "tests/contract/fds_rig.h"

#include "tests/no_fd.h"
#include "tests/unit/random.h"

#include <liburing.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <weir/sendfile.h>

PAIRS(send_fds, a_descriptor_works_at_the_other_end, rig)
{
    struct peer_message message;
    int ends[2];
    char text[6];
    passed_pipe(ends);

    expect_eq(rig_send_fds(rig, 5, &ends[1], 1), 0);
    close(ends[1]);
    peer_receive(rig, 100, &message);

    expect_eq(message.len, 5);
    expect_eq(message.count, 1);
    expect_eq(write(message.fds[0], "hello", 5), 5);
    expect_eq(read(ends[0], text, sizeof(text)), 5);
    close(message.fds[0]);
    expect_pipe_closed(rig, ends[0]);
}

PAIRS(send_fds, as_many_as_a_message_carries_are_sent_in_order, rig)
{
    struct peer_message message;
    int fds[WEIR_FDS_MAX];
    for (unsigned int i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = mark_open(i + 1);
    }

    expect_eq(rig_send_fds(rig, 1, fds, WEIR_FDS_MAX), 0);
    for (unsigned int i = 0; i < WEIR_FDS_MAX; i++) {
        close(fds[i]);
    }
    peer_receive(rig, 100, &message);

    expect_eq(message.count, WEIR_FDS_MAX);
    for (unsigned int i = 0; i < WEIR_FDS_MAX; i++) {
        expect_eq(mark_close(message.fds[i]), i + 1);
    }
}

PAIRS(send_fds, they_go_behind_bytes_that_were_written_before, rig)
{
    struct peer_message message;
    const int fd = mark_open(7);

    expect_eq(rig_write(rig, 100), 0);
    expect_eq(rig_send_fds(rig, 10, &fd, 1), 0);
    expect_eq(rig_write(rig, 50), 0);
    close(fd);
    rig_turns(rig, 5);
    peer_receive(rig, 60, &message);
    expect_eq(message.count, 0, "not with the first bytes");
    peer_receive(rig, 60, &message);

    expect_eq(message.count, 1);
    expect_leq(message.at, 100);
    expect_gt(message.at + message.len, 100);
    expect_eq(mark_close(message.fds[0]), 7);
    rig_peer_read(rig, 160 - rig->peer_received);
}

struct sent_batch {
    uint64_t at;
    unsigned int first;
    unsigned int count;
};

enum { BATCHES = 200, BATCH_MOST = 5 };

static void expect_batch(const struct peer_message *message,
                         const struct sent_batch *batch)
{
    expect_eq(message->count, batch->count);
    expect_leq(message->at, batch->at);
    expect_gt(message->at + message->len, batch->at);
    for (size_t i = 0; i < message->count; i++) {
        expect_eq(mark_close(message->fds[i]), batch->first + i);
    }
}

static bool send_batch(struct rig *rig, struct unit_random *dice,
                       struct sent_batch *batch, unsigned int first)
{
    int fds[BATCH_MOST];
    const size_t len =
        1 + unit_random_below(dice, unit_random_below(dice, 4) ? 20 : 90000);
    *batch = (struct sent_batch){
        .at = rig->written,
        .first = first,
        .count = 1 + (unsigned int)unit_random_below(dice, BATCH_MOST)};
    for (unsigned int i = 0; i < batch->count; i++) {
        fds[i] = mark_open(first + i);
    }
    int err = rig_send_fds(rig, len, fds, batch->count);
    for (unsigned int i = 0; i < batch->count; i++) {
        close(fds[i]);
    }
    expect(err == 0 || err == -ENOBUFS);
    return err == 0;
}

static void pass_many(struct rig *rig, struct unit_random *dice)
{
    static struct sent_batch sent[BATCHES];
    struct peer_message message;
    unsigned int pushed = 0;
    unsigned int got = 0;
    unsigned int number = 1;

    while (got < BATCHES) {
        if (pushed < BATCHES && unit_random_below(dice, 3) > 0) {
            if (unit_random_below(dice, 2) == 0) {
                expect_eq(rig_write(rig, unit_random_below(dice, 30000)), 0);
            }
            if (send_batch(rig, dice, &sent[pushed], number)) {
                number += sent[pushed++].count;
            }
            rig_turns(rig, (int)unit_random_below(dice, 3));
        }
        if (rig->written == rig->peer_received) {
            continue;
        }
        peer_receive(rig, 1 + unit_random_below(dice, 65536), &message);
        if (message.count > 0) {
            expect_batch(&message, &sent[got++]);
        }
    }
    rig_peer_read(rig, rig->written - rig->peer_received);
}

PAIRS(send_fds, many_arrive_each_with_its_byte, rig)
{
    struct unit_random dice;
    unit_random_seed(&dice);
    pass_many(rig, &dice);
}

PAIRS(send_fds, many_arrive_where_the_kernel_has_little_room, rig,
      .small_buffers = true)
{
    struct unit_random dice;
    unit_random_seed(&dice);
    pass_many(rig, &dice);
}

PAIRS(send_fds, they_wait_for_room_together_with_their_bytes, rig,
      .small_buffers = true)
{
    struct peer_message message = {.count = 0};
    const int fd = mark_open(9);
    rig_clog(rig);
    const uint64_t at = rig->written;

    expect_eq(rig_send_fds(rig, 100000, &fd, 1), 0);
    close(fd);
    rig_turn_for(rig, 5 * RIG_MS);
    while (message.count == 0) {
        peer_receive(rig, 65536, &message);
    }

    expect_leq(message.at, at);
    expect_gt(message.at + message.len, at);
    expect_eq(mark_close(message.fds[0]), 9);
    rig_peer_read(rig, rig->written - rig->peer_received);
}

static void file_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct rig *rig = arg;
    expect(t == rig->t);
    expect_eq(err, 0);
    rig->bytes += sent;
}

PAIRS(send_fds, they_go_before_a_file_and_behind_it, rig)
{
    enum { FILE_BYTES = 70000 };
    static uint8_t bytes[FILE_BYTES];
    struct peer_message message;
    const int fds[2] = {mark_open(5), mark_open(6)};
    FILE *file = tmpfile();
    expect(file != NULL);
    rig_pattern(bytes, 10, FILE_BYTES);
    expect_eq(fwrite(bytes, 1, FILE_BYTES, file), FILE_BYTES);
    expect_eq(fflush(file), 0);

    expect_eq(rig_send_fds(rig, 10, &fds[0], 1), 0);
    expect_ok(weir_transport_sendfile(rig->t, fileno(file), 0, FILE_BYTES,
                                      file_done, rig));
    expect_eq(rig_send_fds(rig, 10, &fds[1], 1), -EBUSY);
    rig->written += FILE_BYTES;
    peer_receive(rig, 10, &message);
    expect_eq(message.count, 1);
    expect_eq(mark_close(message.fds[0]), 5);
    rig_peer_read(rig, FILE_BYTES);
    RUN_UNTIL(rig->loop, rig->bytes > 0);
    expect_eq(rig_send_fds(rig, 10, &fds[1], 1), 0);
    peer_receive(rig, 10, &message);

    expect_eq(message.count, 1);
    expect_eq(mark_close(message.fds[0]), 6);
    close_ends(fds);
    fclose(file);
}

static void send_from_release(void *arg)
{
    struct rig *rig = arg;
    const int fd = mark_open(3);
    expect_eq(rig_send_fds(rig, 10, &fd, 1), 0);
    close(fd);
}

PAIRS(send_fds, a_release_callback_may_send_some, rig)
{
    static uint8_t bytes[40000];
    struct peer_message message;
    const int fd = mark_open(2);
    expect_eq(rig_send_fds(rig, 20, &fd, 1), 0);
    close(fd);
    rig_pattern(bytes, rig->written, sizeof(bytes));
    rig->written += sizeof(bytes);
    expect_ok(weir_transport_write_ref(rig->t, bytes, sizeof(bytes),
                                       send_from_release, rig));
    expect_eq(rig_write(rig, 100), 0);

    peer_receive(rig, 20, &message);
    expect_eq(message.count, 1);
    expect_eq(mark_close(message.fds[0]), 2);
    rig_peer_read(rig, sizeof(bytes) + 99);
    rig_turns(rig, 5);
    peer_receive(rig, 100, &message);

    expect_eq(message.count, 1);
    expect_eq(message.at + message.len, rig->written);
    expect_eq(mark_close(message.fds[0]), 3);
}

PAIRS(send_fds, a_close_sends_those_that_wait, rig, .small_buffers = true)
{
    struct peer_message message = {.count = 0};
    const int fd = mark_open(4);
    rig_clog(rig);
    expect_eq(rig_send_fds(rig, 10, &fd, 1), 0);
    close(fd);

    expect_eq(weir_transport_close(rig->t), 0);
    while (message.count == 0) {
        peer_receive(rig, 65536, &message);
    }

    expect_eq(mark_close(message.fds[0]), 4);
    expect_eq(rig_peer_read_end(rig), 0);
    rig_expect_lost(rig, 0);
}

PAIRS(send_fds, an_abort_closes_those_that_wait, rig, .small_buffers = true)
{
    int ends[2];
    passed_pipe(ends);
    rig_clog(rig);
    expect_eq(rig_send_fds(rig, 10, &ends[1], 1), 0);
    expect_eq(rig_send_fds(rig, 10, &ends[1], 1), 0);
    close(ends[1]);

    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);

    expect_pipe_closed(rig, ends[0]);
}

PAIRS(send_fds, a_peer_that_goes_leaves_none_open, rig, .small_buffers = true)
{
    int ends[2];
    passed_pipe(ends);
    expect_eq(rig_send_fds(rig, 10, &ends[1], 1), 0);
    rig_clog(rig);
    expect_eq(rig_send_fds(rig, 10, &ends[1], 1), 0);
    close(ends[1]);

    rig_peer_close(rig);
    rig_wait_lost(rig);

    expect_pipe_closed(rig, ends[0]);
}

PAIRS(send_fds, too_many_at_once_are_refused, rig)
{
    int fds[WEIR_FDS_MAX + 1];
    const int fd = mark_open(1);
    for (size_t i = 0; i <= WEIR_FDS_MAX; i++) {
        fds[i] = fd;
    }
    const int before = fds_count_open();

    expect_eq(rig_send_fds(rig, 1, fds, WEIR_FDS_MAX + 1), -EINVAL);
    expect_eq(rig_send_fds(rig, 0, fds, 1), -EINVAL);
    expect_eq(weir_transport_send_fds(rig->t, "x", 1, NULL, 1), -EINVAL);
    expect_eq(fds_count_open(), before);

    expect_eq(rig_send_fds(rig, 3, NULL, 0), 0, "a write");
    rig_peer_read(rig, 3);
    close(fd);
}

PAIRS(send_fds, a_peer_that_does_not_read_cannot_fill_the_table, rig,
      .small_buffers = true)
{
    struct peer_message message;
    const int fd = mark_open(1);
    rig_clog(rig);
    const int before = fds_count_open();
    size_t waiting = 0;

    while (rig_send_fds(rig, 1, &fd, 1) == 0) {
        expect_leq(++waiting, WEIR_FDS_MAX);
    }
    expect_eq(waiting, WEIR_FDS_MAX);
    expect_eq(rig_send_fds(rig, 1, &fd, 1), -ENOBUFS);
    expect_eq(fds_count_open(), before + WEIR_FDS_MAX);
    expect_dumped(rig->loop, "fds=253 ");
    expect_eq(rig_write(rig, 1), 0, "the refusal was not of bytes");

    for (size_t got = 0; got < waiting; got += message.count) {
        peer_receive(rig, 65536, &message);
        for (size_t i = 0; i < message.count; i++) {
            close(message.fds[i]);
        }
    }
    rig_peer_read(rig, rig->written - rig->peer_received);
    rig_turns(rig, 2);
    expect_eq(fds_count_open(), before);
    expect_eq(rig_send_fds(rig, 1, &fd, 1), 0, "there is room again");
    peer_receive(rig, 1, &message);
    expect_eq(message.count, 1);
    close(message.fds[0]);
    close(fd);
}

PAIRS(send_fds, one_that_is_not_open_is_refused_with_all_of_its_call, rig)
{
    const int fd = mark_open(1);
    const int fds[3] = {fd, -1, fd};
    const int before = fds_count_open();

    expect_eq(rig_send_fds(rig, 1, fds, 3), -EBADF);
    rig_turn(rig);

    expect_eq(fds_count_open(), before);
    expect_eq(rig_pending(rig), 0);
    expect_eq(rig_write(rig, 5), 0);
    rig_peer_read(rig, 5);
    close(fd);
}

PAIRS(send_fds, without_room_for_duplicates_nothing_is_taken, rig)
{
    const int fd = mark_open(1);
    const int fds[8] = {fd, fd, fd, fd, fd, fd, fd, fd};
    const int before = fds_count_open();
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t soft = limit.rlim_cur;
    int highest = dup(fd);
    limit.rlim_cur = (rlim_t)highest + 3;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

    int err = rig_send_fds(rig, 1, fds, 8);

    limit.rlim_cur = soft;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    close(highest);
    rig_turn(rig);
    expect_eq(err, -EMFILE);
    expect_eq(fds_count_open(), before);
    expect_eq(rig_write(rig, 5), 0);
    rig_peer_read(rig, 5);
    close(fd);
}

/* If descriptors run out, the program may need the call's duplicates at
 * once. */
PAIRS(send_fds, duplicates_of_a_call_that_fails_are_closed_when_it_returns, rig)
{
    const int fds[2] = {mark_open(1), mark_open(2)};
    struct peer_message message;
    const int last = dup(STDERR_FILENO);
    const struct rlimit before = use_up_descriptors();
    close(last);

    const int both = rig_send_fds(rig, 1, fds, 2);
    const int one = rig_send_fds(rig, 1, fds, 1);

    give_descriptors(&before);
    expect_eq(both, -EMFILE);
    expect_eq(one, 0);
    peer_receive(rig, 1, &message);
    expect_eq(message.count, 1);
    expect_eq(mark_close(message.fds[0]), 1);
    close(fds[0]);
    close(fds[1]);
}

PAIRS(send_fds, bytes_beyond_the_hard_limit_take_their_descriptors_back, rig)
{
    const int fd = mark_open(1);
    const int before = fds_count_open();
    expect_eq(weir_transport_set_write_hard_limit(rig->t, 10), 0);

    expect_eq(rig_send_fds(rig, 11, &fd, 1), -ENOBUFS);

    rig_turn(rig);
    expect_eq(fds_count_open(), before);
    expect_eq(rig_write(rig, 1), -ENOBUFS, "bytes are missing");
    expect_eq(weir_transport_take_write_error(rig->t), -ENOBUFS);
    expect_eq(rig_write(rig, 1), 0);
    rig_peer_read(rig, 1);
    close(fd);
}

PAIRS(send_fds, none_is_sent_after_the_end, rig)
{
    const int fd = mark_open(1);
    const int before = fds_count_open();

    expect_eq(weir_transport_write_eof(rig->t), 0);
    expect_eq(rig_send_fds(rig, 1, &fd, 1), -ESHUTDOWN);
    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(rig_send_fds(rig, 1, &fd, 1), -ESHUTDOWN);
    expect_eq(fds_count_open(), before);
    rig_wait_lost(rig);
    expect_eq(rig_send_fds(rig, 1, &fd, 1), -ESHUTDOWN);
    close(fd);
}

PAIRS(send_fds, other_sockets_refuse_them, rig, .needs = RIG_BOTH_WAYS)
{
    const int fd = mark_open(1);
    if (!rig_can(rig, RIG_IS_UNIX)) {
        expect_eq(rig_send_fds(rig, 1, &fd, 1), -EOPNOTSUPP);
        expect_eq(rig_send_fds(rig, 1, NULL, 0), -EOPNOTSUPP);
        expect_eq(rig_pending(rig), 0);
    }
    close(fd);
}

/* The kernel does not pass the descriptor of a ring. */
PAIRS(send_fds, an_instance_of_io_uring_is_refused, rig)
{
    struct io_uring ring;
    const int err = io_uring_queue_init(1, &ring, 0);
    if (err == -ENOSYS) {
        cr_skip_test("no io_uring; runs where the kernel allows it");
    }
    expect_eq(err, 0);
    const int fds[2] = {mark_open(1), ring.ring_fd};
    const int before = fds_count_open();

    expect_eq(rig_send_fds(rig, 1, fds, 2), -EINVAL);

    rig_turn(rig);
    expect_eq(fds_count_open(), before);
    close(fds[0]);
    io_uring_queue_exit(&ring);
}

PAIRS(send_fds, too_many_on_their_way_break_the_connection, rig)
{
    int ends[2];
    passed_pipe(ends);
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    if (geteuid() == 0) {
        expect_eq(setresuid(65534, 65534, 65534), 0);
        expect_eq(prctl(PR_SET_DUMPABLE, 1), 0); /* for /proc/self/fd */
    }

    for (int i = 0; i < 200 && rig->lost_count == 0; i++) {
        int err = rig_send_fds(rig, 1, &ends[1], 1);
        expect(err == 0 || err == -EPIPE || err == -ESHUTDOWN);
        rig_turns(rig, 2);
    }
    close(ends[1]);
    rig_expect_lost(rig, -ETOOMANYREFS);
    rig_peer_close(rig);
    expect_pipe_closed(rig, ends[0]);
}
