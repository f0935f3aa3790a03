/*
 * Adds up the results of the threads. Some values are not sums: the window is
 * the longest of all threads, for example, and a stall is the shortest of the
 * threads' longest stalls, because a stall of the server affects all threads.
 */
#include "worker.h"

#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/result/result.h"

#include <string.h>

void gather_row(const struct kinds *kinds, struct worker_row *sum,
                const struct worker_row *from)
{
    fields_merge(fields_interval, &sum->row.counts, &from->row.counts);
    errors_add_counts(&sum->row.errors, &from->row.errors);
    record_merge(&sum->record, &from->record);
    if (sum->kinds) {
        fields_add_kinds(kinds, sum->kinds, from->kinds);
    }
}

void gather_quantiles(struct worker_row *sum)
{
    const struct histogram *times = record_times(&sum->record);
    struct interval *counts = &sum->row.counts;

    counts->p50_ns = histogram_quantile(times, HISTOGRAM_WHOLE / 2);
    counts->p99_ns = histogram_quantile(times, 99 * HISTOGRAM_WHOLE / 100);
    counts->max_ns = times->max;
}

void gather_histogram(struct worker_row *sum)
{
    const struct histogram *times = record_times(&sum->record);

    if (times->count > 0) {
        sum->row.hdr = hdr_encode_coarse(times);
    }
}

void gather_times(struct result *result, const struct worker_row *row)
{
    record_merge(&result->times, &row->record);
    if (result->kinds) {
        fields_add_kinds(result->options->groups, result->kinds, row->kinds);
    }
}

static void add_traffic(struct result *result, const struct worker *worker)
{
    const struct traffic *traffic = &worker->client.traffic;
    const struct ledger *warmup = &traffic->warmup;
    const uint64_t warmup_in_flight =
        warmup->sent - warmup->ok - warmup->failed - warmup->timeout;

    fields_merge(fields_ledger, &result->measured, &traffic->measured);
    fields_merge(fields_ledger, &result->warmup, warmup);
    result->warmup.in_flight += warmup_in_flight;
    result->measured.in_flight += traffic->outstanding - warmup_in_flight;
    result->waited += traffic->waited;
    result->events_without_request += traffic->events_without_request;
    fields_merge(fields_answers, &result->answers, &traffic->measured_answers);
    for (size_t i = 0; i < TRAFFIC_STATUS_COUNT; i++) {
        result->status[i] += traffic->status[i];
    }
    errors_merge(&result->errors, &traffic->errors);
    if (result->thread_count == 0 || traffic->stall_ns < result->stall_ns) {
        result->stall_ns = traffic->stall_ns;
        result->stall_at_ns =
            traffic->stall_at_ns > worker->plan.window_ns
                ? traffic->stall_at_ns - worker->plan.window_ns
                : 0;
    }
}

static void add_connections(struct result *result, const struct client *client)
{
    uint64_t unseen = 0;

    histogram_merge(&result->connect, client->connect_latency);
    histogram_merge(&result->handshake, client->handshake_latency);
    if (!result->tls.version[0]) {
        memcpy(result->tls.version, client->tls_facts.version,
               sizeof(result->tls.version));
        memcpy(result->tls.cipher, client->tls_facts.cipher,
               sizeof(result->tls.cipher));
        memcpy(result->tls.group, client->tls_facts.group,
               sizeof(result->tls.group));
        memcpy(result->tls.alpn, client->tls_facts.alpn,
               sizeof(result->tls.alpn));
    }
    fields_merge(fields_handshakes, &result->tls, &client->tls_facts);
    fields_merge(fields_connections, &result->connections,
                 &client->traffic.connections);
    fields_merge(fields_http2, &result->http2, &client->traffic.http2);
    if (!result->location[0]) {
        memcpy(result->location, client->traffic.location,
               sizeof(result->location));
    }
    result->shortages += client->traffic.shortages;
    if (client->traffic.shortage < 0) {
        result->shortage = client->traffic.shortage;
    }
    result->connections.never_answered +=
        client_count_unanswered(client, &unseen);
    result->unseen_failures += unseen;
    result->same_machine |= client->same_machine;
}

static void add_window(struct result *result, const struct worker *worker)
{
    const struct weir_loop_statistics *begin = &worker->begin_statistics;
    const struct weir_loop_statistics *end = &worker->statistics;

    result->window_ns = worker->window_ns > result->window_ns
                            ? worker->window_ns
                            : result->window_ns;
    result->completed += worker->completed;
    result->tls.in_window += worker->handshakes;
    result->received_bytes += end->received_bytes - begin->received_bytes;
    result->sent_bytes += end->sent_bytes - begin->sent_bytes;
    const struct result_loop loop = {
        .turns = end->turns - begin->turns,
        .enters = end->enters - begin->enters,
        .overflows = end->overflows - begin->overflows,
        .starved = end->starved - begin->starved,
    };
    fields_merge(fields_loop, &result->loop, &loop);
    fields_merge(fields_usage, &result->usage, &worker->usage);
}

void gather_worker(struct result *result, const struct worker *worker)
{
    add_traffic(result, worker);
    add_connections(result, &worker->client);
    add_window(result, worker);
    gather_times(result, worker->row);
    result->threads[result->thread_count++] = (struct result_thread){
        .cpu = worker->cpu,
        .conn_count = worker->client.conn_count,
        .ok = worker->completed,
        .user_ns = worker->usage.user_ns,
        .system_ns = worker->usage.system_ns,
        .run_queue_wait_ns = worker->usage.run_queue_wait_ns,
    };
}

/* Gets the CPUs of a thread. @ret is empty if pinning the thread has failed. */
static void find_cpus(const struct result *result,
                      const struct result_thread *thread, struct cpus *ret)
{
    const struct run_options *options = result->options;

    ret->count = 0;
    if (thread->cpu >= 0) {
        ret->list[ret->count++] = thread->cpu;
    } else if (options->cpus.count == 0) {
        *ret = options->client_cpus;
    }
}

void gather_sharing(struct result *result, const struct sharing_sample *begin,
                    const struct sharing_sample *end)
{
    struct cpus cpus;

    for (size_t i = 0; i < result->thread_count; i++) {
        struct result_thread *thread = &result->threads[i];
        size_t thread_count = 0;
        uint64_t own_ns = 0;
        for (size_t k = 0; k < result->thread_count; k++) {
            const struct result_thread *other = &result->threads[k];
            if (other->cpu == thread->cpu) {
                thread_count++;
                own_ns += other->user_ns + other->system_ns;
            }
        }
        find_cpus(result, thread, &cpus);
        thread->sharing =
            sharing_find(begin, end, &cpus, thread_count,
                         (double)own_ns / (double)result->window_ns);
    }
}

void gather_finish(struct result *result)
{
    result->connections.asked = result->options->conn_count;
    result->answers.lost = result->measured.timeout;
    if (result->model != RUN_MODEL_CLOSED && result->window_ns > 0) {
        result->offered_rate = (double)result->measured.scheduled * 1e9 /
                               (double)result->window_ns;
    }
}
