/*
 * The first receive of a connection, which ends with the first bytes or stays
 * armed: how many entries of the ring whole connections need, when the loop
 * changes its choice, and when kinds of connections alternate.
 *
 * The first kind needs one more entry if the connection continues, the second
 * kind if it is closed.
 */
#include "subject.h"
#include "tests/statistics.h"

enum how {
    PEER_ENDS,      /* the peer asks, gets its answer and ends */
    CLOSED_AT_ONCE, /* the program answers and closes in one call */
    CLOSED_LATER,   /* in a later turn, as a task does */
    CLOSED_UNASKED, /* it closes before any bytes */
    PEER_IS_SILENT, /* the peer ends before any bytes */
    HOWS,
};

enum { HABIT = 30 };

/* Entries of a life by a receive that ends, and by one that stays. */
static const int ending_costs[HOWS] = {4, 3, 5, 3, 2};
static const int staying_costs[HOWS] = {3, 4, 4, 3, 2};

static enum how how;

static int answer(void *user, weir_transport *t, const struct weir_buf *buf)
{
    const int err = weir_transport_write(t, buf->data, buf->len);

    return err < 0 || how != CLOSED_AT_ONCE ? err : weir_transport_close(t);
}

static CALLBACKS(answering, STREAM, .connection_made = note_made,
                 .data_received = answer, .eof_received = note_eof,
                 .connection_lost = note_lost);

/* Entries of the ring that a life takes. */
static int live(enum how kind)
{
    const uint64_t before = statistics_of(loop).submitted;
    const int lost_before = lost_count;
    struct fake_peer *client;
    char bytes[2];

    how = kind;
    adopt(loop, &answering, NULL, NULL, &client);
    clock_run_for(loop, MS);
    if (kind != CLOSED_UNASKED && kind != PEER_IS_SILENT) {
        expect_eq(fake_peer_write(client, "x", 1), 1);
        clock_run_for(loop, MS);
        expect_eq(fake_peer_read(client, bytes, sizeof(bytes)), 1);
    }
    if (kind == PEER_ENDS || kind == PEER_IS_SILENT) {
        fake_peer_shutdown(client);
    } else if (kind != CLOSED_AT_ONCE) {
        expect_eq(weir_transport_close(transport), 0);
    }
    clock_run_for(loop, MS);
    expect_eq(lost_count, lost_before + 1);
    fake_peer_close(client);
    clock_run_for(loop, MS);
    return (int)(statistics_of(loop).submitted - before);
}

static int live_often(enum how kind, int count)
{
    int entries = 0;

    for (int i = 0; i < count; i++) {
        entries += live(kind);
    }
    return entries;
}

static void start(void)
{
    lost_count = 0;
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
}

static void stop(void)
{
    expect_eq(weir_loop_free(loop), 0);
    fake_stop();
}

UNIT(first_receive, each_habit_is_found_out_and_left_again)
{
    static const enum how habits[] = {CLOSED_AT_ONCE, PEER_ENDS, CLOSED_AT_ONCE,
                                      PEER_ENDS};

    start();
    for (size_t i = 0; i < sizeof(habits) / sizeof(habits[0]); i++) {
        const bool stays = habits[i] != CLOSED_AT_ONCE;
        live_often(habits[i], HABIT);
        for (int kind = 0; kind < HOWS; kind++) {
            expect_eq(live((enum how)kind),
                      (stays ? staying_costs : ending_costs)[kind],
                      "kind %d behind habit %zu", kind, i);
        }
    }
    stop();
}

/* Whatever was before, it costs no more than either kind of receive would, but
 * for the connections by which a habit is found out. */
UNIT(first_receive, kinds_that_take_turns_cost_what_one_of_them_does)
{
    enum { ROUNDS = 20 };
    const int pair = ending_costs[PEER_ENDS] + ending_costs[CLOSED_AT_ONCE];

    for (int before = 0; before <= 20; before += 5) {
        for (int length = 1; length <= 8; length++) {
            int entries = 0;
            start();
            live_often(PEER_ENDS, before);
            for (int i = 0; i < ROUNDS; i++) {
                entries += live_often(PEER_ENDS, length);
                entries += live_often(CLOSED_AT_ONCE, length);
            }
            expect_leq(entries, ROUNDS * length * pair + length + 1,
                       "%d of each kind behind %d", length, before);
            stop();
        }
    }
}

/* Whether a receive that stays has saved anything is not known where the
 * program closes, so that the other kind is tried; it must not be tried often.
 */
UNIT(first_receive, a_program_that_closes_later_has_one_that_stays_most_often)
{
    enum { LIVES = 200 };

    start();
    live_often(CLOSED_AT_ONCE, HABIT);
    const int entries = live_often(CLOSED_LATER, LIVES);
    expect_geq(entries, LIVES * staying_costs[CLOSED_LATER]);
    expect_leq(entries, LIVES * staying_costs[CLOSED_LATER] + LIVES / 4);
    stop();
}

UNIT(first_receive, connections_without_bytes_are_no_habit)
{
    static const enum how habits[] = {PEER_ENDS, CLOSED_AT_ONCE};

    start();
    for (int i = 0; i < 2; i++) {
        const int *costs = i == 0 ? staying_costs : ending_costs;
        live_often(habits[i], HABIT);
        live_often(CLOSED_UNASKED, HABIT);
        expect_eq(live(habits[i]), costs[habits[i]]);
        live_often(PEER_IS_SILENT, HABIT);
        expect_eq(live(habits[i]), costs[habits[i]]);
    }
    live_often(PEER_ENDS, HABIT);
    for (int i = 0; i < HABIT; i++) {
        live_often(CLOSED_AT_ONCE, 1);
        live_often(PEER_IS_SILENT, 1);
    }
    expect_eq(live(CLOSED_AT_ONCE), ending_costs[CLOSED_AT_ONCE],
              "among others without bytes");
    stop();
}
