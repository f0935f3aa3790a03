/*
 * Sums of the results of a run's threads.
 *
 * Each number of a thread is unique, so that a number that is left out or added
 * to another one is noticed.
 */
#define UNIT_RUN with_threads
#include "tools/weir-load/run/gather.c"

#include "tests/unit.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct run_options options;
static struct result result;
static struct worker workers[2];
static struct worker_row rows[2];
static struct histogram empty;

uint64_t client_count_unanswered(const struct client *client,
                                 uint64_t *ret_unseen)
{
    *ret_unseen += client->conn_count / 10;
    return client->conn_count;
}

static void with_threads(void (*body)(void))
{
    memset(&options, 0, sizeof(options));
    memset(&result, 0, sizeof(result));
    memset(workers, 0, sizeof(workers));
    memset(rows, 0, sizeof(rows));
    result.options = &options;
    histogram_clear(&empty);
    for (size_t i = 0; i < 2; i++) {
        workers[i].row = &rows[i];
        workers[i].client.connect_latency = &empty;
        workers[i].client.handshake_latency = &empty;
        record_init(&rows[i].record);
    }
    body();
}

/* Offsets of a number in a thread and in the result. */
struct sum {
    uint64_t *from[2];
    const uint64_t *to;
};

#define SUM(member, name)                                                      \
    {                                                                          \
        {&workers[0].member, &workers[1].member}, &result.name                 \
    }

static const struct sum sums[] = {
    SUM(client.traffic.measured.scheduled, measured.scheduled),
    SUM(client.traffic.measured.sent, measured.sent),
    SUM(client.traffic.measured.ok, measured.ok),
    SUM(client.traffic.measured.failed, measured.failed),
    SUM(client.traffic.measured.timeout, measured.timeout),
    SUM(client.traffic.measured.dropped, measured.dropped),
    SUM(client.traffic.warmup.scheduled, warmup.scheduled),
    SUM(client.traffic.waited, waited),
    SUM(client.traffic.events_without_request, events_without_request),
    SUM(client.traffic.measured_answers.late, answers.late),
    SUM(client.traffic.measured_answers.duplicate, answers.duplicate),
    SUM(client.traffic.measured_answers.reordered, answers.reordered),
    SUM(client.traffic.status[200], status[200]),
    SUM(client.traffic.status[999], status[999]),
    SUM(client.tls_facts.full, tls.full),
    SUM(client.tls_facts.resumed, tls.resumed),
    SUM(client.tls_facts.failed, tls.failed),
    SUM(client.traffic.connections.opened, connections.opened),
    SUM(client.traffic.connections.fast_opened, connections.fast_opened),
    SUM(client.traffic.connections.failed, connections.failed),
    SUM(client.traffic.connections.lost, connections.lost),
    SUM(client.traffic.connections.ended_idle, connections.ended_idle),
    SUM(client.traffic.connections.repeated, connections.repeated),
    SUM(client.traffic.connections.closed_first, connections.closed_first),
    SUM(client.traffic.connections.not_closed, connections.not_closed),
    SUM(client.traffic.shortages, shortages),
    SUM(client.conn_count, connections.never_answered),
    SUM(client.traffic.connections.open_at_begin, connections.open_at_begin),
    SUM(client.traffic.connections.open_at_end, connections.open_at_end),
    SUM(completed, completed),
    SUM(handshakes, tls.in_window),
    SUM(statistics.received_bytes, received_bytes),
    SUM(statistics.sent_bytes, sent_bytes),
    SUM(statistics.turns, loop.turns),
    SUM(statistics.enters, loop.enters),
    SUM(statistics.overflows, loop.overflows),
    SUM(statistics.starved, loop.starved),
    SUM(usage.user_ns, usage.user_ns),
    SUM(usage.system_ns, usage.system_ns),
    SUM(usage.run_queue_wait_ns, usage.run_queue_wait_ns),
};

UNIT(load_gather, each_count_of_a_thread_is_added_to_its_like)
{
    for (size_t i = 0; i < COUNT_OF(sums); i++) {
        *sums[i].from[0] = 10 + i;
        *sums[i].from[1] = 1000 * (10 + i);
    }
    gather_worker(&result, &workers[0]);
    gather_worker(&result, &workers[1]);

    for (size_t i = 0; i < COUNT_OF(sums); i++) {
        expect_eq(*sums[i].to, 1001 * (10 + i), "sum %zu", i);
    }
    expect_eq(result.thread_count, 2);
    expect_eq(result.threads[1].ok, workers[1].completed);
    expect_eq(result.threads[1].user_ns, workers[1].usage.user_ns);
    expect_eq(result.threads[1].system_ns, workers[1].usage.system_ns);
}

UNIT(load_gather, what_was_there_when_the_window_began_is_not_of_it)
{
    workers[0].begin_statistics =
        (struct weir_loop_statistics){.received_bytes = 1,
                                      .sent_bytes = 2,
                                      .turns = 3,
                                      .enters = 4,
                                      .overflows = 5,
                                      .starved = 6};
    workers[0].statistics = (struct weir_loop_statistics){.received_bytes = 11,
                                                          .sent_bytes = 22,
                                                          .turns = 33,
                                                          .enters = 44,
                                                          .overflows = 55,
                                                          .starved = 66};
    gather_worker(&result, &workers[0]);

    expect_eq(result.received_bytes, 10);
    expect_eq(result.sent_bytes, 20);
    expect_eq(result.loop.turns, 30);
    expect_eq(result.loop.enters, 40);
    expect_eq(result.loop.overflows, 50);
    expect_eq(result.loop.starved, 60);
}

UNIT(load_gather, what_is_under_way_is_of_the_warm_up_or_of_the_window)
{
    workers[0].client.traffic.warmup =
        (struct ledger){.sent = 100, .ok = 50, .failed = 20, .timeout = 10};
    workers[0].client.traffic.outstanding = 27;
    gather_worker(&result, &workers[0]);

    expect_eq(result.warmup.in_flight, 20);
    expect_eq(result.measured.in_flight, 7);
}

UNIT(load_gather, a_stall_is_what_all_threads_have_seen)
{
    workers[0].plan.window_ns = workers[1].plan.window_ns = 100;
    workers[0].client.traffic.stall_ns = 50;
    workers[0].client.traffic.stall_at_ns = 130;
    workers[1].client.traffic.stall_ns = 40;
    workers[1].client.traffic.stall_at_ns = 140;
    gather_worker(&result, &workers[0]);
    expect_eq(result.stall_ns, 50);
    expect_eq(result.stall_at_ns, 30);
    gather_worker(&result, &workers[1]);
    expect_eq(result.stall_ns, 40);
    expect_eq(result.stall_at_ns, 40);

    workers[1].client.traffic.stall_ns = 39;
    workers[1].client.traffic.stall_at_ns = 99;
    gather_worker(&result, &workers[1]);
    expect_eq(result.stall_at_ns, 0, "it began in the warm-up");
}

UNIT(load_gather, the_longest_window_and_the_greatest_memory_are_kept)
{
    workers[0].window_ns = 5;
    workers[1].window_ns = 4;
    workers[0].usage.max_rss_bytes = 6;
    workers[1].usage.max_rss_bytes = 7;
    workers[0].client.traffic.shortage = -5;
    gather_worker(&result, &workers[0]);
    gather_worker(&result, &workers[1]);

    expect_eq(result.window_ns, 5);
    expect_eq(result.usage.max_rss_bytes, 7);
    expect_eq(result.shortage, -5);
}

/* Gives each histogram of a record its own value. */
static void record_each(struct record *record, uint64_t value)
{
    struct histogram *const all[] = {&record->response,     &record->lateness,
                                     &record->own_lateness, &record->service,
                                     &record->ttfb,         &record->blocked,
                                     &record->reading};

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        histogram_record(all[i], value + i);
    }
}

static void expect_each(const struct histogram *const all[7], uint64_t count,
                        uint64_t max)
{
    for (size_t i = 0; i < 7; i++) {
        expect_eq(all[i]->count, count, "times %zu", i);
        expect_eq(all[i]->max, max + i, "times %zu", i);
    }
}

UNIT(load_gather, each_of_the_times_is_added_to_its_like)
{
    const struct record *record = &rows[0].record;
    const struct histogram *const of_row[] = {
        &record->response, &record->lateness, &record->own_lateness,
        &record->service,  &record->ttfb,     &record->blocked,
        &record->reading};
    const struct histogram *const of_run[] = {
        &result.times.response,     &result.times.lateness,
        &result.times.own_lateness, &result.times.service,
        &result.times.ttfb,         &result.times.blocked,
        &result.times.reading};

    record_each(&rows[0].record, 10);
    record_each(&rows[1].record, 100);
    gather_row(NULL, &rows[0], &rows[1]);
    expect_each(of_row, 2, 100);
    gather_times(&result, &rows[0]);
    expect_each(of_run, 2, 100);

    memset(&rows[0].record, 0, sizeof(rows[0].record));
    record_init(&rows[0].record);
    record_each(&rows[0].record, 1);
    expect_each(of_row, 1, 1);
}

UNIT(load_gather, an_answer_in_one_piece_has_both_its_times)
{
    struct record *record = &rows[0].record;

    histogram_record(&record->whole, 7);
    histogram_record(&record->service, 8);
    record_settle(record);

    expect_eq(record->service.count, 2);
    expect_eq(record->ttfb.count, 1);
    expect_eq(record->ttfb.max, 7);
    expect_eq(record->whole.count, 0);
}

UNIT(load_gather, a_row_is_the_sum_of_those_of_its_threads)
{
    struct interval *sum = &rows[0].row.counts;

    *sum = (struct interval){0, 5, 1, 2, 3, 4, 5, 0, 0, 0, 6, 7, 8, 9};
    rows[1].row.counts =
        (struct interval){0, 6, 10, 20, 30, 40, 50, 0, 0, 0, 60, 70, 80, 90};
    gather_row(NULL, &rows[0], &rows[1]);

    expect_eq(sum->end_ns, 6);
    expect_eq(sum->offered, 11);
    expect_eq(sum->ok, 22);
    expect_eq(sum->failed, 33);
    expect_eq(sum->timeout, 44);
    expect_eq(sum->dropped, 55);
    expect_eq(sum->in_flight, 66);
    expect_eq(sum->open, 77);
    expect_eq(sum->received_bytes, 88);
    expect_eq(sum->sent_bytes, 99);
    gather_row(NULL, &rows[1], &rows[0]);
    expect_eq(rows[1].row.counts.end_ns, 6);
}

UNIT(load_gather, percentiles_of_a_row_are_of_responses_where_there_are_some)
{
    for (uint64_t i = 1; i <= 100; i++) {
        histogram_record(&rows[0].record.service, i);
    }
    gather_quantiles(&rows[0]);
    expect_eq(rows[0].row.counts.p50_ns, 50);
    expect_eq(rows[0].row.counts.p99_ns, 99);
    expect_eq(rows[0].row.counts.max_ns, 100);

    histogram_record(&rows[0].record.response, 1000);
    gather_quantiles(&rows[0]);
    expect_eq(rows[0].row.counts.p50_ns, 1000);

    gather_histogram(&rows[1]);
    expect_eq(rows[1].row.hdr, NULL);
    gather_histogram(&rows[0]);
    cr_assert_not_null(rows[0].row.hdr);
    free(rows[0].row.hdr);
}

UNIT(load_gather, the_rate_of_an_open_loop_is_that_of_its_schedule)
{
    result.measured = (struct ledger){.scheduled = 500, .timeout = 3};
    result.window_ns = 2000000000;
    options.conn_count = 4;
    gather_finish(&result);
    expect_eq(result.connections.asked, 4);
    expect_eq(result.answers.lost, 3);
    cr_assert(result.offered_rate == 0, "a closed loop has none");

    result.model = RUN_MODEL_CONSTANT;
    gather_finish(&result);
    cr_assert(result.offered_rate == 250);
}

UNIT(load_gather, threads_of_one_cpu_share_it)
{
    static struct sharing_sample begin;
    static struct sharing_sample end;

    /* Two seconds of CPU 1 and CPU 2: half idle, and fully used. */
    begin.at_ns = 1000000000;
    end.at_ns = 3000000000;
    for (int cpu = 1; cpu <= 2; cpu++) {
        begin.cpus[cpu] = (struct sharing_cpu){.total = 1000, .idle = 500};
        end.cpus[cpu] =
            (struct sharing_cpu){.total = 1200, .idle = cpu == 1 ? 600 : 500};
    }
    result.window_ns = 2000000000;
    result.thread_count = 3;
    result.threads[0] = (struct result_thread){.cpu = 1, .user_ns = 200000000};
    result.threads[1] = (struct result_thread){.cpu = 2, .user_ns = 400000000};
    result.threads[2] =
        (struct result_thread){.cpu = 2, .system_ns = 600000000};
    gather_sharing(&result, &begin, &end);

    expect_eq(result.threads[0].sharing.thread_count, 1);
    cr_assert_float_eq(result.threads[0].sharing.idle, 0.5, 1e-9);
    cr_assert_float_eq(result.threads[0].sharing.others, 0.4, 1e-9);
    for (int i = 1; i <= 2; i++) {
        expect_eq(result.threads[i].sharing.thread_count, 2);
        cr_assert_float_eq(result.threads[i].sharing.others, 0.5, 1e-9);
    }

    /* Threads that are not bound have all CPUs of the client. */
    options.client_cpus = (struct cpus){.list = {1, 2}, .count = 2};
    result.thread_count = 1;
    result.threads[0].cpu = -1;
    gather_sharing(&result, &begin, &end);
    expect_eq(result.threads[0].sharing.cpu_count, 2);
    options.cpus.count = 1;
    gather_sharing(&result, &begin, &end);
    expect_eq(result.threads[0].sharing.cpu_count, 0, "it could not be bound");
}
