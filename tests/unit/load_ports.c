/*
 * How many ports a run is foreseen to keep, as a table over its options: rates,
 * counts, times and targets. The machine is made up, as what ports it has and
 * how long it keeps one; nothing is read from /proc.
 */
#include "tools/weir-load/ports.c"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000000)

static const struct ports slow = {28000, 14000, 60 * SECOND, false};
static const struct ports quick = {28000, 14000, SECOND, true};

struct foreseen {
    const char *what;
    const struct ports *ports;
    /* Requests a second, connections a second, requests, seconds. */
    double rate;
    double conn_rate;
    uint64_t count;
    uint64_t seconds;
    uint32_t per_conn;
    size_t target_count;
    uint64_t kept;
};

static const struct foreseen table[] = {
    {"a rate for longer than a port is kept", &slow, 500, 0, 0, 300, 1, 1,
     30000},
    {"a rate for ten seconds", &slow, 500, 0, 0, 10, 1, 1, 5000},
    {"ports that can be had again after a second", &quick, 500, 0, 0, 10, 1, 1,
     500},
    {"ten requests on each connection", &slow, 500, 0, 0, 10, 10, 1, 500},
    {"two targets", &slow, 500, 0, 0, 10, 1, 2, 2500},
    {"a closed loop at no more connections a second", &slow, 0, 300, 0, 10, 1,
     1, 3000},
    {"connections that are slower than the requests", &slow, 500, 100, 0, 10, 1,
     1, 1000},
    {"a count of a closed loop", &slow, 0, 0, 20000, 0, 1, 1, 20000},
    {"a count, of ports that can be had again: the rate is not known", &quick,
     0, 0, 20000, 0, 1, 1, 0},
    {"a count before the time is over", &slow, 500, 0, 1000, 10, 1, 1, 1000},
    {"a closed loop of a time: its rate is not known", &slow, 0, 0, 0, 10, 1, 1,
     0},
};

UNIT(load_ports, what_a_run_keeps_is_foreseen_from_its_options)
{
    static struct run_options options;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct foreseen *at = &table[i];
        options = (struct run_options){
            .model = at->rate > 0 ? RUN_MODEL_CONSTANT : RUN_MODEL_CLOSED,
            .conn_rate = at->conn_rate,
            .conn_count = 10,
            .request_count = at->count,
            .duration_ns = at->seconds * SECOND,
            .requests_per_conn = at->per_conn,
            .requests_per_conn_max = at->per_conn,
            .target_count = at->target_count,
        };
        turns_init(&options.turns, at->target_count);
        options.schedule.stage_count = at->rate > 0;
        options.schedule.stages[0] =
            (struct schedule_stage){options.duration_ns, at->rate, at->rate};

        expect_eq(ports_foresee(&options, at->ports), at->kept, "%s", at->what);
    }
}

UNIT(load_ports, the_advice_names_what_helps_this_machine)
{
    char text[PORTS_TEXT_SIZE];

    ports_advise(&slow, text);
    cr_assert(strstr(text, "60.0s") && strstr(text, "of 28000"), "%s", text);
    cr_assert(strstr(text, "--bind") && strstr(text, "tcp_tw_reuse=1"), "%s",
              text);
    ports_advise(&quick, text);
    cr_assert(!strstr(text, "tcp_tw_reuse"), "%s", text);
}
