/*
 * weir-load's requests with times on the fake ring: its schedule, connections
 * and codec as they are, and its clock, which is the fake machine's. A server
 * of the test looks each millisecond at what has come, so that the times of
 * requests are exact.
 *
 * There is no second time for a request: one whose connection is lost has
 * failed, and the ones behind it keep their texts.
 */
#define UNIT_RUN with_machine

#include "tools/weir-load/conn.c"

#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/weir-load/options.h"
#include "tools/weir-load/pacing.h"
#include "tools/weir-load/replay.h"

#include "adopt.h"
#include "clock.h"
#include "uring/timer.h"

#include <stdlib.h>

#define MS UINT64_C(1000000)

enum {
    CONNS_MAX = 4,
    DEPTH = 2,
    LOG_SIZE = 4096,
};

/* A connection, and the server's end of it. */
struct end {
    struct conn conn;
    struct flight flights[DEPTH];
    struct fake_peer *peer;
    /* When the server answers what it has read; 0: at once. */
    uint64_t delay_ns;
    uint64_t due_ns;
    char read[64];
};

/* A thread of a run. */
struct share {
    struct traffic traffic;
    struct pacing pacing;
    struct end ends[CONNS_MAX];
    size_t end_count;
};

const char console_name[] = "load_replay";

static weir_loop *loop;
static struct run_options options;
static struct replay replay;
static struct record record;
static struct share shares[2];
static size_t share_count;
static char seen[LOG_SIZE];
static size_t drained_count;
static uint64_t begin_ns;

uint64_t clock_now_ns(void)
{
    return fake_now();
}

/* Nor has it a preamble. */
void conn_preamble_read(struct conn *conn, const uint8_t *bytes, size_t len)
{
    abort();
}

void conn_preamble_ended(struct conn *conn)
{
    abort();
}

void conn_preamble_broke(struct conn *conn, int err)
{
    abort();
}

void conn_preamble_drop(struct conn *conn)
{
}

void opening_look_at_syn(struct conn *conn)
{
    cr_assert(false, "connection %u has no fast open", conn->index);
}

/* ---- the server ---- */

static void answer(struct end *end)
{
    const size_t len = strlen(end->read);

    expect_eq(fake_peer_write(end->peer, end->read, len), (ssize_t)len);
    end->due_ns = 0;
}

/* Notes "MS:TEXT " for what has come of a connection, and answers the same. */
static void look_at(struct end *end)
{
    const size_t at = strlen(seen);

    if (end->due_ns > 0 && end->due_ns <= fake_now()) {
        answer(end);
    }
    const ssize_t len =
        fake_peer_read(end->peer, end->read, sizeof(end->read) - 1);
    if (len <= 0) {
        return;
    }
    end->read[len] = '\0';
    snprintf(seen + at, sizeof(seen) - at, "%llu:%s ",
             (unsigned long long)((fake_now() - begin_ns) / MS), end->read);
    end->due_ns = fake_now() + end->delay_ns;
    if (end->delay_ns == 0) {
        answer(end);
    }
}

/* In the middle of each millisecond, where no line is due. */
static void look_at_all(void *arg)
{
    for (size_t i = 0; i < share_count; i++) {
        for (size_t j = 0; j < shares[i].end_count; j++) {
            if (shares[i].ends[j].peer) {
                look_at(&shares[i].ends[j]);
            }
        }
    }
    fake_at(fake_now() + MS, look_at_all, NULL);
}

/* ---- the run ---- */

static void opened(void *arg, struct conn *conn)
{
    pacing_offer(conn, clock_now_ns());
}

static void lost(void *arg, struct conn *conn)
{
}

static void failed(void *arg, struct conn *conn, struct error_kind *first)
{
}

static void closed(void *arg, struct conn *conn, weir_transport *t)
{
}

static void drained(void *arg)
{
    drained_count++;
}

static const struct conn_events events = {
    .opened = opened,
    .failed = failed,
    .lost = lost,
    .closed = closed,
    .drained = drained,
};

static void with_machine(void (*body)(void))
{
    fake_start(&(struct fake_options){.seed = 1});
    expect_eq(weir_loop_new(NULL, &loop), 0);
    seen[0] = '\0';
    drained_count = 0;
    body();
    for (size_t i = share_count; i > 0; i--) {
        struct share *share = &shares[i - 1];
        pacing_stop(&share->pacing, fake_now());
        share->traffic.sending = false;
        for (size_t j = 0; j < share->end_count; j++) {
            share->ends[j].conn.state = CONN_LEAVING;
        }
    }
    weir_loop_free(loop);
    for (size_t i = share_count; i > 0; i--) {
        struct share *share = &shares[i - 1];
        codec_script.close(share->traffic.ways[0].shared);
        for (size_t j = 0; j < share->end_count; j++) {
            free(share->ends[j].conn.codec_state);
            if (share->ends[j].peer) {
                fake_peer_close(share->ends[j].peer);
            }
        }
    }
    share_count = 0;
    replay_fini(&replay);
    fake_stop();
}

static void open_end(struct end *end)
{
    conn_reset(&end->conn);
    conn_stream.prepare(&end->conn, NULL);
    adopt(loop, conn_stream.protocol, &end->conn, NULL, &end->peer);
}

static void add_share(uint32_t index, uint32_t count, size_t end_count)
{
    struct share *share = &shares[index];
    struct traffic *traffic = &share->traffic;
    const struct codec_thread thread = {
        .options = &options,
        .first = index > 0 ? shares[0].traffic.ways[0].shared : NULL,
    };

    *traffic = (struct traffic){
        .ways = {{.kind = &conn_stream, .codec = &codec_script}},
        .options = &options,
        .ready = pacing_offer,
        .pacing = &share->pacing,
        .loop = loop,
        .depth = (uint32_t)options.depth,
        .ring_mask = DEPTH - 1,
        .requests_per_conn = UINT32_MAX,
        .requests_per_conn_max = UINT32_MAX,
        .sending = true,
        .judging = true,
        .remaining = UINT64_MAX,
        .next_number = index,
        .number_stride = count,
        .record = &record,
        .events = &events,
    };
    expect_eq(codec_script.open(&thread, &traffic->ways[0].shared), 0);
    pacing_init(&share->pacing, traffic, &options.schedule, index, count);
    share->end_count = end_count;
    for (size_t i = 0; i < end_count; i++) {
        struct end *end = &share->ends[i];
        *end = (struct end){
            .conn = {.traffic = traffic,
                     .way = &traffic->ways[0],
                     .index = (uint32_t)(index * CONNS_MAX + i),
                     .flights = end->flights,
                     .codec_state =
                         calloc(1, codec_script.state_size +
                                       codec_script.more_size(&options))}};
        open_end(end);
    }
}

/* All threads of a run, which has not begun. */
static void prepare(const char *text, uint32_t threads, size_t end_count,
                    uint64_t depth)
{
    FILE *file = fmemopen((void *)text, strlen(text), "r");
    char why[REPLAY_WHY_SIZE];

    expect_eq(replay_parse(file, false, 1, &replay, why), 0, "%s", why);
    fclose(file);
    options = (struct run_options){
        .mode = RUN_MODE_SCRIPT,
        .model = RUN_MODEL_REPLAY,
        .depth = depth,
        .replay = &replay,
        .lines = &replay,
        .kinds = replay.kinds,
        .kind_count = replay.kind_count,
        .schedule = {.times_ns = replay.times_ns, .time_count = replay.count},
    };
    memset(&record, 0, sizeof(record));
    record_init(&record);
    for (uint32_t i = 0; i < threads; i++) {
        add_share(i, threads, end_count);
    }
    share_count = threads;
    clock_run_for(loop, MS);
}

static void begin(void)
{
    begin_ns = fake_now() + MS;
    for (size_t i = 0; i < share_count; i++) {
        pacing_start(&shares[i].pacing, loop, begin_ns, begin_ns, UINT64_MAX);
    }
    fake_at(begin_ns + MS / 2, look_at_all, NULL);
}

/* Run until a time after the begin. */
static void run_until(uint64_t ms)
{
    clock_run_for(loop, begin_ns + ms * MS - fake_now());
}

static void expect_ledger(uint64_t scheduled, uint64_t ok, uint64_t failed_,
                          uint64_t dropped)
{
    struct ledger sum = {0};

    for (size_t i = 0; i < share_count; i++) {
        const struct ledger *measured = &shares[i].traffic.measured;
        sum.scheduled += measured->scheduled;
        sum.sent += measured->sent;
        sum.ok += measured->ok;
        sum.failed += measured->failed;
        sum.dropped += measured->dropped;
    }
    expect_eq(sum.scheduled, scheduled);
    expect_eq(sum.sent, scheduled - dropped);
    expect_eq(sum.ok, ok);
    expect_eq(sum.failed, failed_);
    expect_eq(sum.dropped, dropped);
}

UNIT(load_replay, requests_are_sent_at_their_times)
{
    prepare("0 len:1 a\n0.002 len:1 b\n0.003 len:1 c\n0.005 len:1 a\n"
            "0.009 len:1 d",
            1, 2, 1);
    begin();

    run_until(9);
    expect_str_eq(seen, "0:a 2:b 3:c 5:a ");
    expect_eq(drained_count, 0);
    run_until(10);
    expect_str_eq(seen, "0:a 2:b 3:c 5:a 9:d ");
    expect_gt(drained_count, 0);
    expect_ledger(5, 5, 0, 0);
    expect_eq(record.lateness.count, 5);
    expect_leq(record.lateness.max, WR_TICK_NS);
    expect_eq(record.response.count, 5);
}

UNIT(load_replay, a_dropped_request_leaves_the_others_what_they_are)
{
    prepare("0 len:2 a{seq}\n0.001 delim:. b{seq}.\n0.002 len:2 c{seq}\n"
            "0.006 delim:; d{seq};\n0.011 len:2 e{seq}",
            1, 1, 1);
    shares[0].pacing.is_skipping = true;
    shares[0].ends[0].delay_ns = 3 * MS;
    begin();

    run_until(20);
    expect_str_eq(seen, "0:a0 6:d3; 11:e4 ");
    expect_ledger(5, 3, 0, 2);
}

UNIT(load_replay, a_late_request_counts_from_its_time)
{
    prepare("0 len:1 a\n0.001 len:1 b\n0.006 len:1 c", 1, 1, 1);
    shares[0].ends[0].delay_ns = 3 * MS;
    begin();

    run_until(20);
    expect_str_eq(seen, "0:a 4:b 8:c ");
    expect_ledger(3, 3, 0, 0);
    expect_eq(shares[0].traffic.waited, 2);
    /* The last one was sent when the answer before it came, at 7.5 ms, and
     * answered at 11.5 ms. */
    expect_eq(record.lateness.max, 2500000);
    record_settle(&record);
    expect_eq(record.service.max, 4 * MS);
    expect_eq(record.response.max, 6500000);
}

UNIT(load_replay, an_answer_ends_by_the_rule_of_its_line)
{
    prepare("0 len:2 ab\n0 delim:. c.\n0.003 delim:! d!\n0.003 len:3 efg", 1, 1,
            2);
    begin();

    run_until(5);
    expect_str_eq(seen, "0:abc. 3:d!efg ");
    expect_ledger(4, 4, 0, 0);
}

UNIT(load_replay, a_lost_connection_fails_what_was_on_it_alone)
{
    struct end *end = &shares[0].ends[0];

    prepare("0 len:1 a\n0 len:2 bb\n0.003 delim:. ccc.\n0.005 len:1 a", 1, 1,
            2);
    end->delay_ns = 10 * MS;
    begin();
    run_until(1);
    fake_peer_reset(end->peer);
    clock_run_for(loop, MS / 2);
    expect_ledger(2, 0, 2, 0);
    fake_peer_close(end->peer);
    end->delay_ns = end->due_ns = 0;
    open_end(end);

    run_until(7);
    expect_str_eq(seen, "0:abb 3:ccc. 5:a ");
    expect_ledger(4, 2, 2, 0);
}

UNIT(load_replay, threads_send_each_line_once)
{
    prepare("0 len:2 a{seq}\n0.001 len:1 b\n0.002 len:1 c\n0.002 len:1 b\n"
            "0.003 len:1 d\n0.004 len:2 e{seq}\n0.005 len:1 b",
            2, 2, 1);
    begin();

    run_until(7);
    expect_str_eq(seen, "0:a0 1:b 2:c 2:b 3:d 4:e5 5:b ");
    expect_eq(shares[0].traffic.measured.ok, 4);
    expect_eq(shares[1].traffic.measured.ok, 3);
    expect_ledger(7, 7, 0, 0);
}
