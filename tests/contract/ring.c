/*
 * The running kernel's ring at its limits: a full submission queue, an
 * overflowing completion queue, and waits interrupted by signals.
 *
 * None of them may lose, duplicate or reorder a byte, and none may be an error.
 * The loop's statistics show that the tested situation has occurred.
 */
#include "tests/contract/asleep.h"
#include "tests/contract/loop_rig.h"
#include "tests/contract/need_uring.h"

#include <signal.h>
#include <sys/time.h>
#include <weir/transport.h>

enum { LINES_MAX = 300, CHUNK = 1000, PIECES_MAX = 10 };

struct line {
    int peer;
    uint64_t received;
    bool is_wrong;
    weir_transport *t;
};

static struct line lines[LINES_MAX];
static int line_count;
static uint64_t received_sum;
static uint64_t received_goal;

static uint8_t byte_of(const struct line *line, uint64_t position)
{
    return (uint8_t)(position * 7 + (position >> 8) +
                     (uint64_t)(line - lines) * 13);
}

static void line_made(void *user, weir_transport *t)
{
    ((struct line *)user)->t = t;
}

static int line_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct line *line = user;
    for (size_t i = 0; i < buf->len; i++) {
        if (buf->data[i] != byte_of(line, line->received + i)) {
            line->is_wrong = true;
        }
    }
    line->received += buf->len;
    received_sum += buf->len;
    if (received_sum >= received_goal) {
        weir_loop_stop(loop);
    }
    return weir_transport_write(t, buf->data, buf->len);
}

static CALLBACKS(line_protocol, STREAM, .connection_made = line_made,
                 .data_received = line_received);

static void open_lines(const struct weir_loop_options *options, int count)
{
    open_loop(options);
    received_sum = 0;
    line_count = count;
    for (int i = 0; i < count; i++) {
        lines[i] = (struct line){.peer = adopt_pair(&line_protocol, &lines[i])};
    }
    while (statistics().connections < (uint64_t)count) {
        one_turn();
    }
}

static void close_lines(void)
{
    expect_eq(weir_loop_free(loop), line_count);
    for (int i = 0; i < line_count; i++) {
        cr_assert_not(lines[i].is_wrong, "connection %d", i);
        close(lines[i].peer);
    }
}

static void peers_send(int round)
{
    uint8_t chunk[CHUNK];
    for (int i = 0; i < line_count; i++) {
        for (int j = 0; j < CHUNK; j++) {
            chunk[j] = byte_of(&lines[i], (uint64_t)(round * CHUNK + j));
        }
        expect_eq(write(lines[i].peer, chunk, CHUNK), CHUNK);
    }
}

/* An echo that had to wait for an earlier one is sent in a later iteration. */
static void peers_receive(int round)
{
    uint8_t chunk[CHUNK];
    for (int i = 0; i < line_count; i++) {
        ssize_t len = 0;
        for (int tries = 0; len < CHUNK; tries++) {
            ssize_t ret = recv(lines[i].peer, chunk + len,
                               (size_t)(CHUNK - len), MSG_DONTWAIT);
            expect_lt(tries, 10000, "connection %d has no answer", i);
            cr_assert(ret > 0 || errno == EAGAIN);
            len += ret > 0 ? ret : 0;
            if (ret < 0) {
                one_turn();
            }
        }
        for (int j = 0; j < CHUNK; j++) {
            expect_eq(chunk[j],
                      byte_of(&lines[i], (uint64_t)(round * CHUNK + j)));
        }
    }
}

static void echo_rounds(int rounds)
{
    received_goal = 0;
    for (int round = 0; round < rounds; round++) {
        received_goal += (uint64_t)line_count * CHUNK;
        peers_send(round);
        run_until_stopped();
        peers_receive(round);
    }
    expect_eq(received_sum, received_goal);
}

UNIT(ring, more_submissions_than_the_queue_has_entries)
{
    open_lines(SIZED(weir_loop_options, .sq_entries = 8, .cq_entries = 1024),
               200);

    echo_rounds(5);

    expect_gt(statistics().sq_full, 0, "it was never full");
    expect_eq(statistics().overflows, 0);
    close_lines();
}

UNIT(ring, a_queue_of_one_entry_is_enough)
{
    open_lines(SIZED(weir_loop_options, .sq_entries = 1, .cq_entries = 64), 20);

    echo_rounds(5);

    expect_gt(statistics().sq_full, 0);
    close_lines();
}

static void send_pieces(int count, size_t pieces)
{
    static uint8_t bytes[LINES_MAX][PIECES_MAX];
    uint8_t back[PIECES_MAX];
    open_lines(NULL, count);
    for (int i = 0; i < count; i++) {
        for (size_t j = 0; j < pieces; j++) {
            bytes[i][j] = byte_of(&lines[i], j);
            expect_ok(weir_transport_write_ref(lines[i].t, &bytes[i][j], 1,
                                               NULL, NULL));
        }
    }

    one_turn();

    for (int i = 0; i < count; i++) {
        expect_eq(recv(lines[i].peer, back, pieces, MSG_DONTWAIT),
                  (ssize_t)pieces);
        expect_eq(memcmp(back, bytes[i], pieces), 0);
    }
    close_lines();
}

UNIT(ring, more_vectors_in_a_turn_than_fit_into_the_scratch_memory)
{
    send_pieces(200, 10);
}

UNIT(ring, more_message_headers_in_a_turn_than_fit_into_the_scratch_memory)
{
    expect_eq(setenv("WEIR_FEATURES_MASK", "send_vectorized", 1), 0);
    send_pieces(300, 2);
}

/* epoll's queue has no limit. */
static const struct weir_loop_options tiny = {.size = sizeof(tiny),
                                              .sq_entries = 8,
                                              .cq_entries = 16,
                                              .engine = WEIR_ENGINE_URING};

UNIT(ring, an_overflow_loses_doubles_and_reorders_nothing)
{
    need_uring();
    open_lines(&tiny, 200);

    echo_rounds(10);

    expect_gt(statistics().overflows, 0, "it never overflowed");
    close_lines();
}

/* After an overflow a multishot has ended with valid data: it is armed again,
 * and bytes that arrived meanwhile follow. */
UNIT(ring, receives_that_an_overflow_ended_go_on)
{
    need_uring();
    enum { ROUNDS = 40 };
    open_lines(&tiny, 60);
    received_goal = UINT64_C(60) * ROUNDS * CHUNK;
    for (int round = 0; round < ROUNDS; round++) {
        peers_send(round);
        one_turn();
    }

    if (received_sum < received_goal) {
        run_until_stopped();
    }

    expect_eq(received_sum, received_goal);
    expect_gt(statistics().overflows, 0, "it never overflowed");
    for (int round = 0; round < ROUNDS; round++) {
        peers_receive(round);
    }
    close_lines();
}

static volatile sig_atomic_t signal_count;

static void count_signal(int signum)
{
    signal_count++;
}

static void take_signals(void)
{
    const struct sigaction action = {.sa_handler = count_signal};
    expect_eq(sigaction(SIGALRM, &action, NULL), 0);
}

static bool is_interrupted_and_due(void *arg)
{
    return signal_count >= 20 && event_count == 1 && turns() > 3;
}

UNIT_IN(ring, an_interrupted_wait_is_no_error_and_ends_on_time, with_loop, void)
{
    const uint64_t start_ns = weir_loop_get_time(loop);
    later(100 * MS, note_number, number(1));
    later(FAILSAFE_S * 1000 * MS, fail_late, NULL);
    const struct itimerval each_ms = {.it_interval = {.tv_usec = 1000},
                                      .it_value = {.tv_usec = 1000}};
    take_signals();
    expect_eq(setitimer(ITIMER_REAL, &each_ms, NULL), 0);

    expect_eq(weir_loop_run_until(loop, is_interrupted_and_due, NULL), 0);

    const struct itimerval never = {.it_value = {.tv_usec = 0}};
    expect_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    expect_geq(weir_loop_get_time(loop), start_ns + 100 * MS);
}

struct waiting {
    pthread_t thread;
    pid_t tid;
};

static void *interrupt_and_send(void *arg)
{
    const struct waiting *loops = arg;
    for (int i = 0; i < CHUNK; i++) {
        const uint8_t byte = byte_of(&lines[0], (uint64_t)i);
        uint8_t back = 0;
        if (!wait_until_asleep(loops->tid) ||
            pthread_kill(loops->thread, SIGALRM) != 0 ||
            write(lines[0].peer, &byte, 1) != 1 ||
            read(lines[0].peer, &back, 1) != 1 || back != byte) {
            return arg;
        }
    }
    return NULL;
}

UNIT(ring, interrupted_waits_lose_no_completion)
{
    struct waiting self = {.thread = pthread_self(), .tid = gettid()};
    pthread_t sender;
    void *failed;
    open_lines(NULL, 1);
    received_goal = CHUNK;
    take_signals();
    expect_eq(pthread_create(&sender, NULL, interrupt_and_send, &self), 0);

    run_until_stopped();

    expect_eq(pthread_join(sender, &failed), 0);
    cr_assert_null(failed);
    expect_eq(signal_count, CHUNK);
    close_lines();
}
