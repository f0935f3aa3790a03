/*
 * Descriptors received over a Unix socket by a protocol that requests them:
 * each once, before the byte that it was sent with, and never more than
 * requested.
 */
#include "tests/contract/fds_rig.h"

#include "tests/unit/random.h"

#include <fcntl.h>
#include <sys/resource.h>

enum { BATCHES = 200, BATCH_MOST = 5 };

static struct {
    int fds[BATCHES * BATCH_MOST];
    size_t count;
    size_t calls;
    size_t most;
    size_t lost;
    size_t checked;
    bool closes;
    bool pauses;
    int result;
    void (*then)(struct rig *rig);
} got;

static int fds_received(void *user, weir_transport *t, const int *fds,
                        size_t count, bool lost)
{
    struct rig *rig = user;
    expect(t == rig->t);
    expect_eq(rig->depth, 0);
    expect_eq(rig->lost_count, 0);
    expect(count > 0 || lost);
    rig_record(rig, "fds");
    got.calls++;
    got.lost += lost;
    got.most = count > got.most ? count : got.most;
    for (size_t i = 0; i < count; i++) {
        expect(fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
        if (got.closes) {
            close(fds[i]);
        } else {
            got.fds[got.count++] = fds[i];
        }
    }
    if (got.pauses) {
        expect_eq(weir_transport_pause_reading(t), 0);
    }
    if (got.then) {
        got.then(rig);
    }
    return got.result;
}

static void forget(void)
{
    memset(&got, 0, sizeof(got));
}

static void taking_made(void *user, weir_transport *t)
{
    forget();
    rig_protocol.connection_made(user, t);
}

static struct weir_protocol taking;
static __attribute__((constructor)) void make_taking(void)
{
    taking = rig_protocol;
    taking.connection_made = taking_made;
    taking.fds_received = fds_received;
}

static void close_got(void)
{
    for (size_t i = 0; i < got.count; i++) {
        close(got.fds[i]);
    }
    got.count = 0;
}

#define TAKING(most)                                                           \
    .needs = RIG_BOTH_WAYS | RIG_IS_UNIX, .protocol = &taking,                 \
    .connection = {.fd_limit = (most)}

PAIRS(recv_fds, a_descriptor_arrives_and_works, rig, TAKING(4))
{
    int ends[2];
    char text[6];
    passed_pipe(ends);

    expect_eq(peer_send_fds(rig, 5, &ends[1], 1), 5);
    close(ends[1]);
    rig_wait_received(rig, 5);

    expect_events(rig, "made fds data");
    expect_eq(got.count, 1);
    expect_eq(write(got.fds[0], "hello", 5), 5);
    expect_eq(read(ends[0], text, sizeof(text)), 5);
    close_got();
    expect_pipe_closed(rig, ends[0]);
}

static void pass_message(struct rig *rig)
{
    int fds[WEIR_FDS_MAX];
    for (unsigned int i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = mark_open(i + 1);
    }

    expect_eq(peer_send_fds(rig, 1, fds, WEIR_FDS_MAX), 1);
    for (unsigned int i = 0; i < WEIR_FDS_MAX; i++) {
        close(fds[i]);
    }
    rig_wait_received(rig, 1);

    expect_eq(got.count, WEIR_FDS_MAX);
    expect_eq(got.lost, 0);
    for (unsigned int i = 0; i < WEIR_FDS_MAX; i++) {
        expect_eq(mark_close(got.fds[i]), i + 1);
    }
}

PAIRS(recv_fds, as_many_as_a_message_carries_arrive_in_order, rig,
      TAKING(WEIR_FDS_MAX))
{
    pass_message(rig);
}

PAIRS(recv_fds, what_else_a_socket_was_asked_for_takes_no_room, rig,
      TAKING(WEIR_FDS_MAX))
{
    const int before = fds_count_open();
    ask_for_everything(rig->t);

    pass_message(rig);
    expect_eq(fds_count_open(), before, "a pidfd was left");
}

static struct {
    uint64_t at[BATCHES];
    size_t fds_before[BATCHES + 1];
    size_t count;
} sent;

/* Checks that every batch whose byte has arrived has arrived, too. */
static int check_batches(struct rig *rig, const struct weir_buf *buf)
{
    while (got.checked < sent.count && rig->received > sent.at[got.checked]) {
        expect_geq(got.count, sent.fds_before[got.checked + 1]);
        got.checked++;
    }
    return 0;
}

static void peer_send_batch(struct rig *rig, struct unit_random *dice)
{
    int fds[BATCH_MOST];
    const size_t count = 1 + unit_random_below(dice, BATCH_MOST);
    const size_t len =
        1 + unit_random_below(dice, unit_random_below(dice, 4) ? 20 : 60000);
    const size_t before = sent.fds_before[sent.count];
    for (size_t i = 0; i < count; i++) {
        fds[i] = mark_open((unsigned int)(before + i + 1));
    }
    sent.at[sent.count] = rig->peer_sent;
    sent.fds_before[++sent.count] = before + count;
    while (peer_send_fds(rig, len, fds, count) < 0) {
        rig_turn(rig);
    }
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
    }
}

static void pass_many(struct rig *rig)
{
    struct unit_random dice;
    unit_random_seed(&dice);
    memset(&sent, 0, sizeof(sent));

    while (sent.count < BATCHES) {
        if (unit_random_below(&dice, 2) == 0) {
            rig_peer_send(rig, unit_random_below(&dice, 30000));
        }
        peer_send_batch(rig, &dice);
        if (unit_random_below(&dice, 8) == 0) {
            weir_transport_pause_reading(rig->t);
        }
        rig_turns(rig, (int)unit_random_below(&dice, 3));
        weir_transport_resume_reading(rig->t);
    }
    rig_wait_received(rig, rig->peer_sent);

    expect_eq(got.checked, BATCHES);
    expect_eq(got.count, sent.fds_before[BATCHES]);
    for (size_t i = 0; i < got.count; i++) {
        expect_eq(mark_close(got.fds[i]), i + 1);
    }
}

PAIRS(recv_fds, many_arrive_each_before_its_byte, rig, TAKING(BATCH_MOST),
      .hooks = {.data_received = check_batches})
{
    pass_many(rig);
}

PAIRS(recv_fds, what_comes_beyond_max_fds_is_closed_and_told, rig, TAKING(3))
{
    int fds[40];
    int ends[2];
    passed_pipe(ends);
    for (size_t i = 0; i < 40; i++) {
        fds[i] = ends[1];
    }

    expect_eq(peer_send_fds(rig, 1, fds, 3), 1);
    rig_wait_received(rig, 1);
    expect_eq(got.lost, 0);
    expect_eq(peer_send_fds(rig, 1, fds, 4), 1); /* the kernel discards none */
    rig_wait_received(rig, 2);
    expect_eq(got.lost, 1);
    expect_eq(peer_send_fds(rig, 1, fds, 40), 1); /* here it does */
    rig_wait_received(rig, 3);

    expect_eq(got.lost, 2);
    expect_eq(got.count, 9);
    expect_eq(got.most, 3);
    close(ends[1]);
    close_got();
    expect_pipe_closed(rig, ends[0]);
}

PAIRS(recv_fds, a_full_table_is_told_and_the_connection_goes_on, rig, TAKING(8))
{
    struct rlimit limit;
    const int fd = mark_open(1);
    const int fds[8] = {fd, fd, fd, fd, fd, fd, fd, fd};
    expect_eq(peer_send_fds(rig, 1, fds, 8), 1);
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t soft = limit.rlim_cur;
    const int highest = dup(fd);
    limit.rlim_cur = (rlim_t)highest + 3;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);

    rig_wait_received(rig, 1);

    limit.rlim_cur = soft;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_eq(got.lost, 1);
    expect_lt(got.count, 8);
    expect_eq(peer_send_fds(rig, 1, fds, 1), 1);
    rig_wait_received(rig, 2);
    expect_eq(got.lost, 1);
    close(highest);
    close(fd);
    close_got();
}

PAIRS(recv_fds, none_comes_while_reading_is_paused, rig, TAKING(WEIR_FDS_MAX))
{
    int fds[WEIR_FDS_MAX];
    const int fd = mark_open(1);
    for (size_t i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = fd;
    }
    weir_transport_pause_reading(rig->t);
    rig_turns(rig, 2);
    const int before = fds_count_open();

    while (peer_send_fds(rig, 1, fds, WEIR_FDS_MAX) == 1) {
        rig_turn(rig);
        expect_eq(fds_count_open(), before);
    }
    expect_gt(rig->peer_sent, 3);
    got.pauses = true; /* one call at a time */
    for (uint64_t i = 1; i <= 3; i++) {
        weir_transport_resume_reading(rig->t);
        rig_turns(rig, 5);
        expect_eq(got.calls, i);
        expect_eq(got.count, WEIR_FDS_MAX);
        expect_eq(rig->received, i - 1, "its byte waits for the next resume");
        close_got();
    }
    got.pauses = false;
    got.closes = true;
    weir_transport_resume_reading(rig->t);
    rig_wait_received(rig, rig->peer_sent);
    expect_eq(got.calls, rig->peer_sent);
    expect_eq(fds_count_open(), before);
    close(fd);
}

PAIRS(recv_fds, a_flood_holds_no_more_than_one_message, rig,
      TAKING(WEIR_FDS_MAX))
{
    int fds[WEIR_FDS_MAX];
    const int fd = mark_open(1);
    const int before = fds_count_open();
    for (size_t i = 0; i < WEIR_FDS_MAX; i++) {
        fds[i] = fd;
    }
    got.closes = true;

    for (int i = 0; i < 300; i++) {
        while (peer_send_fds(rig, 1, fds, WEIR_FDS_MAX) == 1) {
        }
        rig_turn(rig);
        expect_leq(fds_count_open(), before);
    }
    rig_wait_received(rig, rig->peer_sent);

    expect_eq(got.lost, 0);
    expect_eq(got.calls, rig->peer_sent);
    close(fd);
}

static void expect_none_taken(struct rig *rig)
{
    int ends[2];
    forget();
    passed_pipe(ends);

    expect_eq(peer_send_fds(rig, 3, &ends[1], 1), 3);
    close(ends[1]);
    rig_wait_received(rig, 3);

    expect_eq(got.calls, 0);
    expect_pipe_closed(rig, ends[0]);
}

PAIRS(recv_fds, a_protocol_without_the_entry_gets_none, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_UNIX, .connection = {.fd_limit = 8})
{
    expect_none_taken(rig);
}

PAIRS(recv_fds, the_entry_of_a_table_that_is_too_small_is_not_called, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_UNIX, .connection = {.fd_limit = 8})
{
    static struct weir_protocol small; /* used until the loss */
    const struct weir_protocol_binding binding = {.protocol = &small,
                                                  .user = rig};
    small = taking;
    small.size = offsetof(struct weir_protocol, fds_received);
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);

    expect_none_taken(rig);
}

PAIRS(recv_fds, those_that_come_after_a_close_are_closed, rig, TAKING(8),
      .small_buffers = true)
{
    int ends[2];
    passed_pipe(ends);
    rig_clog(rig);

    expect_eq(weir_transport_close(rig->t), 0);
    expect_eq(peer_send_fds(rig, 3, &ends[1], 1), 3);
    close(ends[1]);
    rig_turns(rig, 5);
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);

    expect_eq(got.calls, 0);
    rig_turn(rig);
    expect_pipe_closed(rig, ends[0]);
}

static void close_it(struct rig *rig)
{
    weir_transport_close(rig->t);
}

static void abort_it(struct rig *rig)
{
    weir_transport_abort(rig->t);
}

PAIRS(recv_fds, a_close_in_the_callback_drops_the_bytes, rig, TAKING(8))
{
    const int fd = mark_open(1);
    got.then = rig->round % 2 ? close_it : abort_it;

    expect_eq(peer_send_fds(rig, 3, &fd, 1), 3);
    rig_wait_lost(rig);

    expect_events(rig, "made fds lost");
    close(fd);
    close_got();
}

PAIRS(recv_fds, a_callback_that_fails_aborts_with_its_error, rig, TAKING(8))
{
    const int fd = mark_open(1);
    got.result = -EPROTO;

    expect_eq(peer_send_fds(rig, 3, &fd, 1), 3);
    rig_expect_lost(rig, -EPROTO);
    expect_eq(rig->exception_count, 1);
    expect_str_eq(rig->exception_callback, "fds_received");
    expect_events(rig, "made fds lost");
    close(fd);
    close_got();
}

static void switch_protocol(struct rig *rig)
{
    const struct weir_protocol_binding binding = {.protocol = &rig_protocol,
                                                  .user = rig};
    expect_eq(weir_transport_set_protocol(rig->t, &binding, NULL, 0), 0);
    got.then = NULL;
}

PAIRS(recv_fds, the_protocol_may_be_switched_in_the_callback, rig, TAKING(8))
{
    const int fd = mark_open(1);
    got.then = switch_protocol;

    expect_eq(peer_send_fds(rig, 3, &fd, 1), 3);
    rig_wait_received(rig, 3);
    expect_eq(peer_send_fds(rig, 3, &fd, 1), 3);
    rig_wait_received(rig, 6);

    expect_eq(got.calls, 1);
    close(fd);
    close_got();
}

PAIRS(recv_fds, the_last_ones_come_before_the_end, rig, TAKING(8))
{
    const int fd = mark_open(8);
    weir_transport_pause_reading(rig->t);
    rig_turns(rig, 2);
    expect_eq(peer_send_fds(rig, 3, &fd, 1), 3);
    close(fd);
    rig_peer_close(rig);
    expect_eq(rig_write(rig, 5), 0); /* fails: the connection is broken */
    rig_turns(rig, 5);

    weir_transport_resume_reading(rig->t);
    rig_wait_lost(rig);

    expect_eq(rig->received, 3);
    expect_eq(got.count, 1);
    expect_eq(mark_close(got.fds[0]), 8);
}

PAIRS(recv_fds, urgent_bytes_are_bytes_of_the_stream, rig, TAKING(8))
{
    enum { URGENT = 5, TURNS = 100 };
    const int fd = mark_open(1);
    rig_turns(rig, 2);
    const uint64_t before = rig_statistics(rig).completions;

    for (int i = 0; i < URGENT; i++) {
        uint8_t byte;
        rig_pattern(&byte, rig->peer_sent, 1);
        if (send(rig->peer, &byte, 1, MSG_OOB) < 0) {
            expect_eq(errno, EOPNOTSUPP); /* the kernel has none */
        } else {
            rig->peer_sent++;
        }
        rig_turns(rig, TURNS);
    }
    rig_wait_received(rig, rig->peer_sent);
    expect_lt(rig_statistics(rig).completions - before, 5 * URGENT);
    expect_eq(peer_send_fds(rig, 3, &fd, 1), 3);
    RUN_UNTIL(rig->loop, got.calls > 0);
    close(fd);
    close_got();
}

PAIRS(recv_fds, bulk_between_them_arrives_whole, rig, TAKING(8))
{
    const int fd = mark_open(1);
    got.closes = true;

    for (int i = 0; i < 20; i++) {
        rig_peer_send(rig, 300 << 10);
        while (peer_send_fds(rig, 100, &fd, 1) < 0) {
            rig_turn(rig);
        }
    }
    rig_wait_received(rig, rig->peer_sent);

    expect_eq(got.calls, 20);
    close(fd);
}

static uint8_t own_memory[1000];

static int get_buffer(void *user, weir_transport *t, size_t hint,
                      void **ret_buf, size_t *ret_size)
{
    *ret_buf = own_memory;
    *ret_size = sizeof(own_memory);
    return 0;
}

static int buffer_updated(void *user, weir_transport *t, size_t len)
{
    struct rig *rig = user;
    expect(rig_is_pattern(own_memory, rig->received, len));
    rig->received += len;
    return check_batches(rig, NULL);
}

static void release_buffer(void *user, void *buf)
{
    cr_assert_eq(buf, (void *)own_memory);
}

static struct weir_protocol taking_buffered;

static __attribute__((constructor)) void make_taking_buffered(void)
{
    taking_buffered = rig_protocol;
    taking_buffered.kind = WEIR_PROTOCOL_BUFFERED;
    taking_buffered.get_buffer = get_buffer;
    taking_buffered.buffer_updated = buffer_updated;
    taking_buffered.release_buffer = release_buffer;
    taking_buffered.fds_received = fds_received;
}

PAIRS(recv_fds, a_buffered_protocol_with_memory_gets_them_too, rig,
      .needs = RIG_BOTH_WAYS | RIG_IS_UNIX, .protocol = &taking_buffered,
      .connection = {.fd_limit = BATCH_MOST})
{
    forget();
    pass_many(rig);
}

PAIRS(recv_fds, more_than_a_message_carries_cannot_be_asked_for, rig,
      .needs = RIG_BOTH_WAYS)
{
    const struct weir_factory factory = {.create = rig_create, .arg = rig};
    struct weir_connect_options options = {
        .size = sizeof(options), .connection = {.fd_limit = WEIR_FDS_MAX + 1}};
    expect_eq(weir_create_unix_connection(rig->loop, &factory, "/nowhere",
                                          &options, NULL, NULL, NULL),
              -EINVAL);
}

PAIRS(recv_fds, other_sockets_are_as_they_were, rig,
      .connection = {.fd_limit = 3})
{
    rig_receive(rig, 100000);
}
