/*
 * When requests are sent: the rate and its stages, the policy for what is late,
 * think time, the pace of connecting, and the begin of the run; and the threads
 * that do it.
 *
 * A run with a rate is an open model. Its stages begin with the warm-up, at the
 * rate with which the first one begins.
 */
#include "options_table.h"

#include "tools/common/console.h"
#include "tools/common/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)

#define IN_FLIGHT_MAX (UINT64_C(1) << 30)

enum {
    FLAG_ARRIVAL = OPTIONS_SYSTEM_FIRST,
    FLAG_STAGES,
    FLAG_LATE,
    FLAG_MAX_IN_FLIGHT,
    FLAG_LATENESS_LIMIT,
    FLAG_CONN_RATE,
    FLAG_THINK,
    FLAG_START_AT,
    FLAG_CPU,
    FLAG_SERVER_CPU,
    FLAG_FORCE,
};

static const struct option long_flags[] = {
    {"rate", required_argument, NULL, 'R'},
    {"qps", required_argument, NULL, 'R'},
    {"rps", required_argument, NULL, 'R'},
    {"arrival", required_argument, NULL, FLAG_ARRIVAL},
    {"stages", required_argument, NULL, FLAG_STAGES},
    {"late", required_argument, NULL, FLAG_LATE},
    {"max-inflight", required_argument, NULL, FLAG_MAX_IN_FLIGHT},
    {"lateness-limit", required_argument, NULL, FLAG_LATENESS_LIMIT},
    {"conn-rate", required_argument, NULL, FLAG_CONN_RATE},
    {"think", required_argument, NULL, FLAG_THINK},
    {"start-at", required_argument, NULL, FLAG_START_AT},
    {"threads", required_argument, NULL, 't'},
    {"cpu", required_argument, NULL, FLAG_CPU},
    {"server-cpu", required_argument, NULL, FLAG_SERVER_CPU},
    {"force", no_argument, NULL, FLAG_FORCE},
    {NULL, 0, NULL, 0},
};

static const char help[] =
    "\n"
    "When requests are sent:\n"
    "  -R, --rate RATE          open loop: requests a second, of all "
    "connections\n"
    "                           together (also --qps, --rps)\n"
    "      --arrival HOW        const: equal gaps; poisson: random ones "
    "(const)\n"
    "      --stages STAGES      30s@1k,2m@1k..20k: rates one after the other\n"
    "      --late HOW           queue: a request waits for a connection; "
    "skip:\n"
    "                           it is dropped (queue)\n"
    "      --max-inflight N     requests under way together, at most\n"
    "      --lateness-limit T|P%  how late the client may send before the run "
    "is\n"
    "                           invalid: a time, a share of each figure "
    "reported,\n"
    "                           or T,P% for the larger of both (1ms,10%)\n"
    "      --think TIME         closed loop: pause before the next request "
    "(0)\n"
    "      --conn-rate RATE     connections made in a second, at most\n"
    "      --start-at TIME      when sending begins: seconds since 1970, or\n"
    "                           2026-01-31T12:00:00Z\n"
    "  -t, --threads N          each has a part of the connections (1)\n"
    "      --cpu LIST           CPUs that threads are bound to, as 2-3,6\n"
    "      --server-cpu LIST    CPUs of this machine that the server has: "
    "those "
    "of\n"
    "                           the client must be others\n"
    "      --force              go on although they are not, or others use "
    "them\n";

const char *options_arrival_name(enum run_model model)
{
    static const char *const names[] = {
        [RUN_MODEL_CONSTANT] = "constant",
        [RUN_MODEL_POISSON] = "poisson",
        [RUN_MODEL_REPLAY] = "replay",
    };

    return names[model];
}

static bool read_rate(const char *flag, const char *value, double *ret)
{
    double rate = 0;

    if (schedule_parse_rate(value, &rate) < 0 || rate <= 0) {
        return options_refuse(flag, value, "a rate such as 500 or 20k");
    }
    *ret = rate;
    return true;
}

static bool read_stages(const char *value, struct run_options *options)
{
    char why[SCHEDULE_WHY_SIZE];

    if (schedule_parse(value, &options->schedule, why) < 0) {
        say("--stages: %s", why);
        return false;
    }
    return true;
}

static bool read_choice(const char *flag, const char *value,
                        const char *const words[2], bool *ret_is_second)
{
    char want[64];

    *ret_is_second = strcmp(value, words[1]) == 0;
    if (*ret_is_second || strcmp(value, words[0]) == 0) {
        return true;
    }
    snprintf(want, sizeof(want), "%s or %s", words[0], words[1]);
    return options_refuse(flag, value, want);
}

/* TIME, PERCENT% or both; what is not given is no limit of its own. */
static bool read_lateness(const char *value, struct run_options *options)
{
    const char *const want = "a time such as 2ms, a share such as 5%, or both "
                             "as 2ms,5%";
    char time[32] = "0";
    const char *comma = strchr(value, ',');
    const char *share = comma ? comma + 1 : value;

    options->lateness_limit_share = 0;
    if (comma || !strchr(value, '%')) {
        const size_t len = comma ? (size_t)(comma - value) : strlen(value);
        if (len == 0 || len >= sizeof(time)) {
            return options_refuse("--lateness-limit", value, want);
        }
        memcpy(time, value, len);
        time[len] = '\0';
        share = comma ? share : "0%";
    }
    if (units_parse_percent(share, &options->lateness_limit_share) < 0 ||
        options->lateness_limit_share > 1000000) {
        return options_refuse("--lateness-limit", value, want);
    }
    return options_read_time("--lateness-limit", time, 0,
                             &options->lateness_limit_ns);
}

/* Seconds since 1970 with a fraction, or a date and time of UTC. */
static bool read_start(const char *value, uint64_t *ret_ns)
{
    struct tm parts = {0};
    char *end = NULL;
    double seconds = strtod(value, &end);

    const char *rest = strptime(value, "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (rest && *rest == '\0') {
        seconds = (double)timegm(&parts);
    } else if (end == value || *end) {
        return options_refuse("--start-at", value,
                              "a time such as 2026-01-31T12:00:00Z");
    }
    if (!(seconds >= 1 && seconds < 1e10)) {
        return options_refuse("--start-at", value, "a time since 1970");
    }
    *ret_ns = (uint64_t)(seconds * 1e9);
    return true;
}

/* Has the client no CPU of the server's, or may it? */
static bool settle_cpus(struct run_options *options)
{
    struct cpus *client = &options->client_cpus;

    *client = options->cpus;
    if (client->count == 0) {
        cpus_of_process(client);
    }
    const int shared = cpus_find_common(client, &options->server_cpus);
    options->shares_cpus = shared >= 0;
    if (!options->shares_cpus || options->is_forced) {
        return true;
    }
    say("--server-cpu: CPU %d is one of the client's%s; --force goes on",
        shared,
        options->cpus.count > 0 ? "" : ", which --cpu can bind to others");
    return false;
}

static bool read_cpus(const char *flag, const char *value, struct cpus *ret)
{
    return cpus_parse(value, ret) ||
           options_refuse(flag, value, "a list of CPUs such as 0,2-3");
}

static bool read_system(int flag, const char *value,
                        struct run_options *options)
{
    switch (flag) {
    case 't':
        if (value[strcspn(value, "smhu")] != '\0') {
            say("-t: '%s' is not a count of threads; a time-out is --timeout "
                "TIME, a duration -d TIME",
                value);
            return false;
        }
        return options_read_count("-t", value, OPTIONS_THREADS_MAX,
                                  &options->thread_count);
    case FLAG_CPU:
        return read_cpus("--cpu", value, &options->cpus);
    case FLAG_SERVER_CPU:
        return read_cpus("--server-cpu", value, &options->server_cpus);
    case FLAG_FORCE:
        options->is_forced = true;
        return true;
    case FLAG_START_AT:
        return read_start(value, &options->start_at_ns);
    case FLAG_CONN_RATE:
        return read_rate("--conn-rate", value, &options->conn_rate);
    default:
        return options_read_time("--think", value, 1, &options->think_ns);
    }
}

static bool read_flag(int flag, const char *value, struct run_options *options,
                      struct options_given *given)
{
    static const char *const arrivals[] = {"const", "poisson"};
    static const char *const lates[] = {"queue", "skip"};

    switch (flag) {
    case 'R':
        given->rate = true;
        return read_rate("-R", value, &options->rate);
    case FLAG_STAGES:
        given->stages = true;
        return read_stages(value, options);
    case FLAG_ARRIVAL:
        given->open_flag = "--arrival";
        given->arrival = true;
        return read_choice("--arrival", value, arrivals,
                           &options->schedule.is_poisson);
    case FLAG_LATE:
        given->open_flag = "--late";
        return read_choice("--late", value, lates, &options->late_is_skipped);
    case FLAG_LATENESS_LIMIT:
        given->open_flag = "--lateness-limit";
        return read_lateness(value, options);
    case FLAG_MAX_IN_FLIGHT:
        given->open_flag = "--max-inflight";
        return options_read_count("--max-inflight", value, IN_FLIGHT_MAX,
                                  &options->max_in_flight);
    default:
        return read_system(flag, value, options);
    }
}

/* The stages of the command line, or one of -R, after one of the warm-up. */
static bool settle_stages(struct run_options *options,
                          const struct options_given *given)
{
    struct schedule_plan *plan = &options->schedule;

    if (plan->stage_count > 0 && given->rate) {
        say("-R: --stages has the rates");
        return false;
    }
    if (plan->stage_count > 0 && (given->duration || given->requests)) {
        say("%s: --stages says how long the run is",
            given->duration ? "-d" : "-n");
        return false;
    }
    if (plan->stage_count > 0) {
        options->duration_ns = schedule_duration(plan);
        if (!given->warmup) {
            options->warmup_ns = SECOND;
        }
    } else {
        plan->stages[plan->stage_count++] = (struct schedule_stage){
            .duration_ns =
                options->duration_ns > 0 ? options->duration_ns : UINT64_MAX,
            .from = options->rate,
            .to = options->rate,
        };
    }
    if (options->warmup_ns > 0) {
        if (plan->stage_count == SCHEDULE_STAGES_MAX) {
            say("--stages: at most %d stages after a warm-up",
                SCHEDULE_STAGES_MAX - 1);
            return false;
        }
        memmove(plan->stages + 1, plan->stages,
                plan->stage_count * sizeof(plan->stages[0]));
        plan->stages[0] = (struct schedule_stage){
            options->warmup_ns, plan->stages[1].from, plan->stages[1].from};
        plan->stage_count++;
    }
    plan->seed = options->seed;
    return true;
}

/* The schedule is that of the file. */
static void settle_replay(struct run_options *options)
{
    options->model = RUN_MODEL_REPLAY;
    options->request_count = options->replay->count;
    options->schedule.times_ns = options->replay->times_ns;
    options->schedule.time_count = options->replay->count;
}

static bool settle(struct run_options *options,
                   const struct options_given *given)
{
    if (options->thread_count > options->conn_count) {
        say("-t: %llu threads for %llu connections",
            (unsigned long long)options->thread_count,
            (unsigned long long)options->conn_count);
        return false;
    }
    if (!settle_cpus(options)) {
        return false;
    }
    if (!given->rate && !given->stages && !given->replay) {
        if (given->open_flag) {
            say("%s: there is no schedule to keep; give -R, --stages or "
                "--replay",
                given->open_flag);
        } else if (options->think_ns > 0 && options->depth > 1) {
            say("--think: with -p answers come while it thinks");
        } else {
            return true;
        }
        return false;
    }
    if (options->think_ns > 0) {
        say("--think: the schedule says when requests are sent");
        return false;
    }
    if (given->replay) {
        settle_replay(options);
        return true;
    }
    options->model =
        options->schedule.is_poisson ? RUN_MODEL_POISSON : RUN_MODEL_CONSTANT;
    return settle_stages(options, given);
}

const struct options_group options_pace = {
    .long_flags = long_flags,
    .short_flags = "R:t:",
    .read = read_flag,
    .settle = settle,
    .help = help,
};
