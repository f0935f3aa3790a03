/*
 * Thousands of random schedules; see sim.h.
 *
 * WEIR_SIM_COUNT is the number of seeds (10 000; 1 000 with sanitizers),
 * WEIR_SIM_FIRST the first one (1). WEIR_SIM_SEED runs one seed, and prints a
 * trace if it fails. WEIR_SIM_FAIL_AT makes its n-th allocation fail, as
 * allocation.c does (a failure prints it as the variant); every third seed
 * there has bulk transfers, as with WEIR_SIM_BULK=1. Two of eight shares of the
 * seeds have the features of the engine on epoll; with WEIR_ENGINE=poll all
 * have.
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
}

/* Each of these paths is taken once in as many runs, at least. */
static void check_paths(const struct sim_result *total, uint64_t count)
{
    static const uint32_t runs[SIM_COUNTS] = {
        [SIM_DATAGRAMS_SHOWN] = 1,
        [SIM_DATAGRAMS_TRUNCATED] = 10,
        [SIM_DATAGRAMS_EMPTY] = 10,
        [SIM_DATAGRAMS_KEPT] = 10,
        [SIM_DATAGRAMS_ARRIVED] = 1,
        [SIM_DATAGRAM_PAUSES] = 10,
        [SIM_DATAGRAM_HELD_UP] = 100,
        [SIM_DATAGRAM_CLOSES_LATER] = 100,
        [SIM_DATAGRAM_ABORTS] = 100,
        [SIM_DATAGRAM_CLEAN_ENDS] = 10,
        [SIM_DATAGRAM_BROKEN_ENDS] = 200,
        [SIM_DATAGRAM_CLOSE_TIMEOUTS] = 800,
        [SIM_DATAGRAM_REFUSALS] = 100,
        [SIM_DATAGRAM_TIMEOUTS] = 400, /* many of one seed, none of most */
        [SIM_DATAGRAM_TOO_LONG] = 10,
        [SIM_DATAGRAM_NO_ROOM] = 10,
        [SIM_DATAGRAM_NO_MEMORY] = 10,
        [SIM_DATAGRAM_RECV_NO_MEMORY] = 10,
        [SIM_DATAGRAM_LOST] = 10,
        [SIM_DATAGRAM_DOUBLED] = 10,
        [SIM_DATAGRAM_DELAYED] = 10,
        [SIM_DATAGRAM_DROPPED] = 100,
        [SIM_DATAGRAM_CANCELS] = 100,
        [SIM_PIPE_READ_ENDS] = 100,
        [SIM_PIPE_WRITE_ENDS] = 100,
        [SIM_PIPE_BROKEN] = 200,
        [SIM_PIPE_CLOSES_LATER] = 100,
        [SIM_PIPE_ABORTS] = 100,
        [SIM_PIPE_PAUSES] = 100,
        [SIM_PIPE_FULL] = 400,
        [SIM_PIPE_PEER_GONE] = 400,
        [SIM_PIPE_WORKERS] = 20,
        [SIM_WORKERS_LACKING] = 8,
        [SIM_WORKERS_CANCELS] = 100,
        [SIM_WORKED_HERE] = 8,
    };
    static const uint32_t file_runs[SIM_COUNTS] = {
        [SIM_FILES_WHOLE] = 4,         [SIM_FILES_ENDED] = 8,
        [SIM_FILES_CANCELLED] = 150,   [SIM_FILES_FAILED] = 100,
        [SIM_FILES_LOST] = 50,         [SIM_FILES_CLOSING] = 150,
        [SIM_FILES_TORN] = 150,        [SIM_FILES_BUSY] = 4,
        [SIM_FILES_FIN_POLLS] = 600,   [SIM_FILES_CUT_SHORT] = 4,
        [SIM_FILES_WITHOUT_ROOM] = 50, [SIM_FILES_READ] = 4,
        [SIM_FDS_ARRIVED] = 4,         [SIM_FDS_DROPPED] = 150,
        [SIM_FDS_REFUSED] = 150,       [SIM_FDS_RECEIVED] = 4,
        [SIM_FDS_LOST] = 20,           [SIM_FDS_CLOSED] = 20,
        [SIM_FDS_WAITED] = 50,         [SIM_FDS_RESTED] = 125,
        [SIM_FDS_BROKEN] = 250,        [SIM_FDS_CLOSING] = 250,
    };
    for (int i = 0; i < SIM_COUNTS; i++) {
        expect_geq(total->counts[i], count / (runs[i] + file_runs[i]),
                   "path %d", i);
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
    expect_geq(total->call_receives_left, count / 160);
    expect_geq(total->put_off, count / 400);
    check_paths(total, count);
}

/* One share of the seeds; a single seed belongs to the first. */
static void run_share(uint64_t share, enum weir_engine engine)
{
    struct sim_options options = {.seed = number_from("WEIR_SIM_SEED", 0),
                                  .engine = engine};
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
    run_share(0, WEIR_ENGINE_AUTO);
}

UNIT(simulation, keeps_every_promise_share_2)
{
    run_share(1, WEIR_ENGINE_AUTO);
}

UNIT(simulation, keeps_every_promise_share_3)
{
    run_share(2, WEIR_ENGINE_AUTO);
}

UNIT(simulation, keeps_every_promise_share_4)
{
    run_share(3, WEIR_ENGINE_AUTO);
}

UNIT(simulation, keeps_every_promise_share_5)
{
    run_share(4, WEIR_ENGINE_AUTO);
}

UNIT(simulation, keeps_every_promise_share_6)
{
    run_share(5, WEIR_ENGINE_AUTO);
}

UNIT(simulation, keeps_every_promise_on_epoll_share_7)
{
    run_share(6, WEIR_ENGINE_POLL);
}

UNIT(simulation, keeps_every_promise_on_epoll_share_8)
{
    run_share(7, WEIR_ENGINE_POLL);
}
