/*
 * Thousands of schedules, each from a seed of its own; see sim.h.
 *
 * WEIR_SIM_COUNT is how many seeds are run altogether (10 000; 1 000 under
 * sanitizers), WEIR_SIM_FIRST the first of them (1). WEIR_SIM_SEED runs that
 * one alone, with a trace that is printed when it fails; WEIR_SIM_FAIL_AT
 * makes its n-th allocation fail, as allocation.c does (what a failure prints
 * as the variant); every third seed there moves bulk, as with WEIR_SIM_BULK=1.
 */
#include "tests/sim/sim.h"
#include "tests/unit.h"

#define SHARES 8u

#ifdef UNIT_HAS_LSAN
#define COUNT_DEFAULT 1000u
#else
#define COUNT_DEFAULT 10000u
#endif

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void add_files(struct sim_result *total, const struct sim_result *one)
{
    total->files_whole += one->files_whole;
    total->files_ended += one->files_ended;
    total->files_cancelled += one->files_cancelled;
    total->files_failed += one->files_failed;
    total->files_lost += one->files_lost;
    total->files_closing += one->files_closing;
    total->files_torn += one->files_torn;
    total->files_busy += one->files_busy;
    total->files_fin_polls += one->files_fin_polls;
    total->files_cut_short += one->files_cut_short;
    total->files_without_room += one->files_without_room;
    total->files_read += one->files_read;
}

static void add_fds(struct sim_result *total, const struct sim_result *one)
{
    total->fds_arrived += one->fds_arrived;
    total->fds_dropped += one->fds_dropped;
    total->fds_refused += one->fds_refused;
    total->fds_received += one->fds_received;
    total->fds_lost += one->fds_lost;
    total->fds_closed += one->fds_closed;
    total->fds_waited += one->fds_waited;
    total->fds_rested += one->fds_rested;
    total->fds_broken += one->fds_broken;
    total->fds_closing += one->fds_closing;
}

static void add(struct sim_result *total, const struct sim_result *one)
{
    total->connections += one->connections;
    total->received_bytes += one->received_bytes;
    total->clean_ends += one->clean_ends;
    total->broken_ends += one->broken_ends;
    total->call_receives += one->call_receives;
    total->call_receives_short += one->call_receives_short;
    total->call_receives_empty += one->call_receives_empty;
    total->call_receives_left += one->call_receives_left;
    total->put_off += one->put_off;
    for (int i = 0; i < SIM_COUNTS; i++) {
        total->counts[i] += one->counts[i];
    }
    add_files(total, one);
    add_fds(total, one);
}

static void check_files(const struct sim_result *total, uint64_t count)
{
    expect_gt(total->files_whole, count / 4);
    expect_gt(total->files_ended, count / 8);
    expect_geq(total->files_cancelled, count / 150);
    expect_gt(total->files_failed, count / 50);
    expect_gt(total->files_lost, count / 50);
    expect_geq(total->files_closing, count / 150);
    expect_geq(total->files_torn, count / 150);
    expect_gt(total->files_busy, count / 4);
    expect_geq(total->files_fin_polls, count / 600);
    expect_gt(total->files_cut_short, count / 4);
    expect_gt(total->files_without_room, count / 50);
    expect_gt(total->files_read, count / 4);
}

static void check_fds(const struct sim_result *total, uint64_t count)
{
    expect_gt(total->fds_arrived, count / 4);
    expect_geq(total->fds_dropped, count / 150);
    expect_geq(total->fds_refused, count / 150);
    expect_gt(total->fds_received, count / 4);
    expect_gt(total->fds_lost, count / 20);
    expect_gt(total->fds_closed, count / 20);
    expect_gt(total->fds_waited, count / 50);
    expect_geq(total->fds_rested, count / 125);
    expect_geq(total->fds_broken, count / 250);
    expect_geq(total->fds_closing, count / 250);
}

/* Each of these paths is taken once in as many runs, at least. */
static void check_paths(const struct sim_result *total, uint64_t count)
{
    static const uint32_t runs[SIM_COUNTS] = {
        [SIM_DATAGRAMS_SHOWN] = 1,        [SIM_DATAGRAMS_TRUNCATED] = 10,
        [SIM_DATAGRAMS_EMPTY] = 10,       [SIM_DATAGRAMS_KEPT] = 10,
        [SIM_DATAGRAMS_ARRIVED] = 1,      [SIM_DATAGRAM_PAUSES] = 10,
        [SIM_DATAGRAM_HELD_UP] = 100,     [SIM_DATAGRAM_CLOSES_LATER] = 100,
        [SIM_DATAGRAM_ABORTS] = 100,      [SIM_DATAGRAM_CLEAN_ENDS] = 10,
        [SIM_DATAGRAM_BROKEN_ENDS] = 200, [SIM_DATAGRAM_CLOSE_TIMEOUTS] = 800,
        [SIM_DATAGRAM_REFUSALS] = 100,    [SIM_DATAGRAM_TIMEOUTS] = 100,
        [SIM_DATAGRAM_TOO_LONG] = 10,     [SIM_DATAGRAM_NO_ROOM] = 10,
        [SIM_DATAGRAM_NO_MEMORY] = 10,    [SIM_DATAGRAM_RECV_NO_MEMORY] = 10,
        [SIM_DATAGRAM_LOST] = 10,         [SIM_DATAGRAM_DOUBLED] = 10,
        [SIM_DATAGRAM_DELAYED] = 10,      [SIM_DATAGRAM_DROPPED] = 100,
        [SIM_DATAGRAM_CANCELS] = 100,     [SIM_PIPE_READ_ENDS] = 100,
        [SIM_PIPE_WRITE_ENDS] = 100,      [SIM_PIPE_BROKEN] = 100,
        [SIM_PIPE_CLOSES_LATER] = 100,    [SIM_PIPE_ABORTS] = 100,
        [SIM_PIPE_PAUSES] = 100,          [SIM_PIPE_FULL] = 400,
        [SIM_PIPE_PEER_GONE] = 400,       [SIM_PIPE_WORKERS] = 20,
    };
    for (int i = 0; i < SIM_COUNTS; i++) {
        expect_geq(total->counts[i], count / runs[i], "path %d", i);
    }
}

/* A run in which little happens proves little. @count: of seeds. */
static void check_total(const struct sim_result *total, uint64_t count)
{
    expect_gt(total->connections, count);
    expect_gt(total->clean_ends, count / 2);
    expect_gt(total->broken_ends, count / 4);
    expect_gt(total->received_bytes, count * 1000);
    /* Few of the runs have connections that move bulk. */
    expect_gt(total->call_receives, count / 8);
    expect_gt(total->call_receives_short, count / 16);
    expect_gt(total->call_receives_empty, count / 80);
    expect_gt(total->call_receives_left, count / 160);
    expect_geq(total->put_off, count / 400);
    check_paths(total, count);
    check_files(total, count);
    check_fds(total, count);
}

/* One share of the seeds; a single seed belongs to the first. */
static void run_share(uint64_t share)
{
    struct sim_options options = {.seed = number_from("WEIR_SIM_SEED", 0)};
    struct sim_result total = {0};
    struct sim_result one;
    if (options.seed != 0) {
        options.trace = true;
        options.fail_at = number_from("WEIR_SIM_FAIL_AT", 0);
        options.bulk = number_from("WEIR_SIM_BULK", 0) != 0;
        if (share == 0) {
            sim_run(&options, &one);
        }
        return;
    }
    uint64_t count = number_from("WEIR_SIM_COUNT", COUNT_DEFAULT);
    uint64_t first = number_from("WEIR_SIM_FIRST", 1);
    for (uint64_t i = share; i < count; i += SHARES) {
        options.seed = first + i;
        sim_run(&options, &one);
        add(&total, &one);
    }
    if (count >= COUNT_DEFAULT) {
        check_total(&total, count / SHARES);
    }
}

UNIT(simulation, keeps_every_promise_share_1)
{
    run_share(0);
}

UNIT(simulation, keeps_every_promise_share_2)
{
    run_share(1);
}

UNIT(simulation, keeps_every_promise_share_3)
{
    run_share(2);
}

UNIT(simulation, keeps_every_promise_share_4)
{
    run_share(3);
}

UNIT(simulation, keeps_every_promise_share_5)
{
    run_share(4);
}

UNIT(simulation, keeps_every_promise_share_6)
{
    run_share(5);
}

UNIT(simulation, keeps_every_promise_share_7)
{
    run_share(6);
}

UNIT(simulation, keeps_every_promise_share_8)
{
    run_share(7);
}
