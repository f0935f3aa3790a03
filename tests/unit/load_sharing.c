/*
 * Use of the client's CPUs by other programs: what two texts of /proc/stat show
 * for the time between them, and the resulting verdict.
 *
 * All numbers are made by hand; only the length of a tick comes from this
 * machine.
 */
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/measure/sharing.c"
#include "tools/weir-load/result/verdict.c"

#include "tests/unit.h"

#define SECOND UINT64_C(1000000000)

static struct sharing_sample begin;
static struct sharing_sample end;

static void read_text(const char *text, uint64_t at_ns,
                      struct sharing_sample *ret)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

    cr_assert_not_null(file);
    sharing_read(file, at_ns, ret);
    fclose(file);
}

/* Returns the result for two seconds from one text to the other: 200 ticks of
 * 10 ms. */
static struct sharing find(const char *first, const char *second,
                           const char *list, size_t thread_count,
                           double own_cpus)
{
    struct cpus cpus;

    expect_eq(sysconf(_SC_CLK_TCK), 100);
    cr_assert(cpus_parse(list, &cpus));
    read_text(first, SECOND, &begin);
    read_text(second, 3 * SECOND, &end);
    return sharing_find(&begin, &end, &cpus, thread_count, own_cpus);
}

/* Returns a share of a CPU in thousandths. */
static long thousandths(double share)
{
    return (long)(share * 1000 + 0.5);
}

/* CPU 0: 200 ticks, of which 180 idle. CPU 1: nothing idle. */
static const char at_first[] = "cpu  2 0 2 2000 2 0 0 0 0 0\n"
                               "cpu0 1 0 1 1000 1 0 0 0 0 0\n"
                               "cpu1 1 0 1 1000 1 0 0 0 0 0\n"
                               "intr 91219009 0 0 0\n"
                               "cpu2 9 9 9 9 9 9 9 9 9 9\n";
static const char at_last[] = "cpu  9 0 9 9000 9 9 9 9 0 0\n"
                              "cpu0 11 0 11 1170 11 0 0 0 0 0\n"
                              "cpu1 121 0 61 1000 1 5 5 10 0 0\n"
                              "intr 91219999 0 0 0\n";

UNIT(load_sharing, what_is_neither_idle_nor_the_clients_was_used_by_others)
{
    const struct sharing one = find(at_first, at_last, "0", 1, 0.04);
    expect_eq(one.cpu_count, 1);
    expect_eq(thousandths(one.idle), 900);
    expect_eq(thousandths(one.others), 60);
    expect_eq(thousandths(one.stolen), 0);

    /* 120 by a program, 60 by the system, 10 by interrupts, 10 stolen. */
    const struct sharing other = find(at_first, at_last, "1", 1, 0.25);
    expect_eq(thousandths(other.idle), 0);
    expect_eq(thousandths(other.others), 700);
    expect_eq(thousandths(other.stolen), 50);

    const struct sharing both = find(at_first, at_last, "0-1", 2, 0.05);
    expect_eq(both.cpu_count, 2);
    expect_eq(thousandths(both.idle), 900);
    expect_eq(thousandths(both.others), 1000);
    expect_eq(thousandths(sharing_idle_part(&both)), 450);
    expect_eq(thousandths(sharing_others_part(&both)), 500);
}

UNIT(load_sharing,
     a_client_that_has_measured_more_than_all_ticks_leaves_nothing)
{
    const struct sharing one = find(at_first, at_last, "0", 1, 0.2);

    expect_eq(one.cpu_count, 1);
    cr_assert(one.others == 0);
}

UNIT(load_sharing, a_thread_needs_one_idle_cpu_of_many)
{
    const struct sharing one = find(at_first, at_last, "0-1", 1, 0.05);

    expect_eq(thousandths(sharing_idle_part(&one)), 900);
}

UNIT(load_sharing, threads_that_share_a_cpu_need_that_one)
{
    const struct sharing one = find(at_first, at_last, "0", 4, 0.05);

    expect_eq(thousandths(sharing_idle_part(&one)), 900);
}

/* Texts two seconds apart that show nothing about CPU 1. */
static const struct {
    const char *what;
    const char *first;
    const char *second;
} unknown[] = {
    {"no file", "", ""},
    {"the CPU went offline", at_first, "cpu0 11 0 11 1170 11 0 0 0 0 0\n"},
    {"it came online", "cpu0 1 0 1 1000 1 0 0 0 0 0\n", at_last},
    {"a sum of all CPUs that is like a line of CPU 1",
     "cpu  1 1 0 1 1000 1 0 0 0 0 0\n", "cpu  1 11 0 11 1170 11 0 0 0 0 0\n"},
    {"counters that stand still, as gVisor's", at_first, at_first},
    {"counters that are 0", "cpu1 0 0 0 0 0 0 0 0 0 0\n",
     "cpu1 0 0 0 0 0 0 0 0 0 0\n"},
    {"idle time that went back", "cpu1 1 0 1 1000 1 0 0 0 0 0\n",
     "cpu1 201 0 1 990 1 0 0 0 0 0\n"},
    {"counters of a longer time", "cpu1 1 0 1 1000 1 0 0 0 0 0\n",
     "cpu1 401 0 1 1000 1 0 0 0 0 0\n"},
    {"fewer columns than Linux has had since 2.6.11", "cpu1 1 0 1 1000\n",
     "cpu1 201 0 1 1000\n"},
};

UNIT(load_sharing, from_counters_that_do_not_go_as_the_time_nothing_follows)
{
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        const struct sharing found =
            find(unknown[i].first, unknown[i].second, "1", 1, 0);
        expect_eq(found.cpu_count, 0, "%s", unknown[i].what);
    }
    /* One unknown CPU of two is enough. */
    expect_eq(find(at_first, at_last, "1-2", 1, 0).cpu_count, 0);
    expect_eq(find(at_first, at_last, "1023", 1, 0).cpu_count, 0);
}

UNIT(load_sharing, idle_time_that_is_rounded_back_by_a_tick_is_none)
{
    const struct sharing found =
        find("cpu1 1 0 1 1000 1 0 0 0 0 0\n", "cpu1 201 0 1 999 1 0 0 0 0 0\n",
             "1", 1, 0);

    expect_eq(found.cpu_count, 1);
    expect_eq(thousandths(found.others), 1000);
}

UNIT(load_sharing, a_time_of_a_few_ticks_says_nothing)
{
    const struct cpus cpus = {.list = {1}, .count = 1};

    read_text("cpu1 1 0 1 1000 1 0 0 0 0 0\n", SECOND, &begin);
    read_text("cpu1 51 0 1 1000 1 0 0 0 0 0\n", 3 * SECOND / 2, &end);
    expect_eq(sharing_find(&begin, &end, &cpus, 1, 0).cpu_count, 1);
    end.at_ns--;
    expect_eq(sharing_find(&begin, &end, &cpus, 1, 0).cpu_count, 0);
    begin.at_ns = 0;
    expect_eq(sharing_find(&begin, &end, &cpus, 1, 0).cpu_count, 0);
}

static struct run_options options;
static struct result result;

/* A run with a kept schedule, in time, with the usual limits. */
static void make_good(void)
{
    options = (struct run_options){
        .conn_count = 2,
        .warmup_ns = SECOND,
        .lateness_limit_ns = SECOND / 1000,
        .client_cpus = {.list = {3}, .count = 1},
    };
    memset(&result, 0, sizeof(result));
    result.options = &options;
    result.model = RUN_MODEL_CONSTANT;
    result.measured_began = true;
    result.window_ns = SECOND;
    result.connections.open_at_begin = 2;
    result.thread_count = 1;
    result.threads[0].cpu = -1;
    result.measured.scheduled = 100;
    result.measured.sent = 100;
    result.measured.ok = 100;
    result.completed = 100;
    for (int i = 0; i < 100; i++) {
        histogram_record(&result.times.response, SECOND / 1000);
        histogram_record(&result.times.own_lateness, SECOND / 100000);
        histogram_record(&result.times.lateness, SECOND / 100000);
    }
}

/* Idle time of the CPUs that the threads had together. */
struct sharing_case {
    const char *what;
    struct sharing sharing;
    /* The reason in the objection, or NULL if there is none. */
    const char *text;
};

static const struct sharing_case cases[] = {
    {"it is not known", {0, 0, 0, 0, 0}, NULL},
    {"nor how much of it others used", {0, 1, 0, 0.97, 0}, NULL},
    {"an idle CPU", {1, 1, 0.95, 0.01, 0}, NULL},
    {"a busy loop, and a client that uses 2 %",
     {1, 1, 0, 0.97, 0},
     "; other programs used 97 % of CPU 3, the only one that the client may "
     "use, and 0 % was left idle"},
    {"a busy loop, and a client that uses its half of the CPU",
     {1, 1, 0, 0.5, 0},
     "other programs used 50 %"},
    {"a client that uses nearly all itself", {1, 1, 0.02, 0.05, 0}, NULL},
    {"a server that uses 30 % of the only CPU", {1, 1, 0.6, 0.3, 0}, NULL},
    {"one that uses 80 %", {1, 1, 0.15, 0.8, 0}, NULL},
    {"one that leaves a tenth idle", {1, 1, 0.1, 0.85, 0}, NULL},
    {"one that uses 85 %", {1, 1, 0.08, 0.85, 0}, NULL},
    {"a server on two CPUs that are half idle", {2, 1, 1.0, 0.7, 0}, NULL},
    {"one CPU of two is used up by others", {2, 1, 0.95, 1.0, 0}, NULL},
    {"a server that leaves nothing of two CPUs",
     {2, 1, 0.02, 1.2, 0},
     "other programs used 60 % of the 2 CPUs that the client may use, and 1 % "
     "was left idle"},
    {"half a CPU is left of 64", {64, 1, 0.5, 63, 0}, NULL},
    {"too little for four threads",
     {64, 4, 0.15, 60, 0},
     "other programs used 94 % of the 64 CPUs"},
    {"other machines on the same CPU",
     {1, 1, 0.01, 0.6, 0.55},
     "other virtual machines used 60 %"},
};

UNIT(load_sharing, who_used_the_cpus_is_a_reason_and_no_objection)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct sharing_case *at = &cases[i];
        make_good();
        result.threads[0].sharing = at->sharing;
        verdict_reach(&result);
        expect_eq(result.exit, LOAD_OK, "%s", at->what);
        expect_eq(result.warnings.count, 0, "%s", at->what);

        histogram_record(&result.times.own_lateness, SECOND);
        verdict_reach(&result);

        const char *line = result.invalid.lines[0];
        expect_eq(result.invalid.count, 1, "%s: %s", at->what, line);
        cr_assert(strstr(line, at->text ? at->text : "--lateness-limit)"),
                  "%s: %s", at->what, line);
        cr_assert(at->text || !strstr(line, " used "), "%s: %s", at->what,
                  line);
    }
}

/* A busy loop on the client's only CPU. */
static const struct sharing used_up = {1, 1, 0, 0.97, 0};

/* How long a run waited for a CPU, in hundredths of its window for each thread,
 * and the verdict. */
static const struct {
    const char *what;
    enum run_model model;
    uint64_t percent;
    /* Responses took 2 ms and were read this late; 0 means no samples. */
    uint64_t late_us;
    const char *slo;
    enum load_exit exit;
    /* Part of the objection or the warning, or NULL if there is none. */
    const char *text;
    bool is_forced;
    double idle; /* CPUs of two */
} waits[] = {
    {"a closed loop that did not wait", RUN_MODEL_CLOSED, 1, 0, NULL, LOAD_OK,
     NULL, false, 0},
    {"one that hardly did", RUN_MODEL_CLOSED, 20, 0, NULL, LOAD_OK,
     "waited 20.0 % of the time for a CPU", false, 0},
    {"one that waited for a fourth of the time", RUN_MODEL_CLOSED, 25, 0, NULL,
     LOAD_INVALID,
     "waited 25.0 % of the time for a CPU, which adds to the latencies, and "
     "costs a closed loop up to 25 % of its rate",
     false, 0},
    {"one whose answers lay in the socket for a tenth of their time",
     RUN_MODEL_CLOSED, 25, 200, NULL, LOAD_INVALID, "up to 10 % of its rate",
     false, 0},
    {"one that waited often, and for little beside what an answer takes",
     RUN_MODEL_CLOSED, 60, 80, NULL, LOAD_OK, "60.0 %", false, 0},
    {"one that waited little, and then with all its answers", RUN_MODEL_CLOSED,
     4, 200, NULL, LOAD_OK, "4.0 %", false, 0},
    {"one that was woken, as a CPU was idle", RUN_MODEL_CLOSED, 25, 200, NULL,
     LOAD_OK, "25.0 %", false, 0.5},
    {"one that waited for more", RUN_MODEL_CLOSED, 25, 200, NULL, LOAD_INVALID,
     "up to 10 % of its rate", false, 0.4},
    {"the reason is named", RUN_MODEL_CLOSED, 25, 0, NULL, LOAD_INVALID,
     "other programs used 97 % of CPU 3", false, 0},
    {"that is allowed", RUN_MODEL_CLOSED, 25, 0, NULL, LOAD_OK, "25.0 %", true,
     0},
    {"an objective that holds in spite of it", RUN_MODEL_CLOSED, 25, 0,
     "rate>1", LOAD_OK, "25.0 %", false, 0},
    {"one that does not", RUN_MODEL_CLOSED, 25, 0, "rate>1000", LOAD_INVALID,
     "25.0 %", false, 0},
    {"an open loop, whose requests and answers were in time",
     RUN_MODEL_CONSTANT, 60, 0, NULL, LOAD_OK, "60.0 %", false, 0},
};

UNIT(load_sharing, a_closed_loop_is_judged_by_its_waits_for_a_cpu)
{
    struct slo_error error;

    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        make_good();
        result.model = waits[i].model;
        result.thread_count = 2;
        result.threads[0].sharing = used_up;
        if (waits[i].idle > 0) {
            result.threads[0].sharing =
                (struct sharing){2, 2, waits[i].idle, 0.4, 0};
            result.threads[1].sharing = result.threads[0].sharing;
        }
        result.usage.run_queue_wait_ns =
            waits[i].percent * 2 * result.window_ns / 100;
        for (uint64_t k = 0; waits[i].late_us > 0 && k < 1000; k++) {
            histogram_record(&result.times.service, 2000000);
            histogram_record(&result.times.reading, waits[i].late_us * 1000);
        }
        options.is_forced = waits[i].is_forced;
        if (waits[i].slo) {
            expect_eq(slo_parse(waits[i].slo, &options.slo, &error), 0);
        }

        verdict_reach(&result);

        const struct remarks *told =
            waits[i].exit == LOAD_INVALID ? &result.invalid : &result.warnings;
        expect_eq(result.exit, waits[i].exit, "%s", waits[i].what);
        expect_eq(told->count, waits[i].text ? 1 : 0, "%s", waits[i].what);
        cr_assert(!waits[i].text || strstr(told->lines[0], waits[i].text),
                  "%s: %s", waits[i].what, told->lines[0]);
    }
}

UNIT(load_sharing, the_cpus_of_a_thread_are_named)
{
    /* Threads that are not bound have all CPUs, a bound thread has the only
     * one. */
    make_good();
    options.client_cpus = (struct cpus){.list = {5, 7}, .count = 2};
    result.threads[0].sharing = (struct sharing){2, 1, 0, 1.9, 0};
    histogram_record(&result.times.own_lateness, SECOND);
    verdict_reach(&result);
    cr_assert(strstr(result.invalid.lines[0], "95 % of the 2 CPUs that"), "%s",
              result.invalid.lines[0]);

    make_good();
    result.threads[0].cpu = 3;
    result.threads[0].sharing = used_up;
    histogram_record(&result.times.own_lateness, SECOND);
    verdict_reach(&result);
    cr_assert(strstr(result.invalid.lines[0], "of CPU 3, the only one"), "%s",
              result.invalid.lines[0]);
}

UNIT(load_sharing, of_bound_threads_the_one_without_idle_time_is_named)
{
    make_good();
    options.client_cpus = (struct cpus){.list = {5, 7}, .count = 2};
    result.thread_count = 2;
    result.threads[0].cpu = 5;
    result.threads[0].sharing = (struct sharing){1, 1, 0.9, 0.05, 0};
    result.threads[1].cpu = 7;
    result.threads[1].sharing = used_up;
    histogram_record(&result.times.own_lateness, SECOND);

    verdict_reach(&result);

    expect_eq(result.exit, LOAD_INVALID);
    cr_assert(strstr(result.invalid.lines[0],
                     "97 % of CPU 7, to which a thread is bound"),
              "%s", result.invalid.lines[0]);
}
