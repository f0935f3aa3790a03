/*
 * Initialises a thread's traffic and connections from the options.
 * The memory is allocated (client_memory.c), and nothing is connected
 * yet.
 */
#include "client.h"

#include "tools/common/clock.h"

#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/http2/http2.h"

#include <sys/random.h>

/* Returns the number of answers per connection. @count 0 means no limit. */
static uint32_t find_quota(const struct run_options *options, uint32_t count)
{
    if (options_is_churn(options)) {
        return 1;
    }
    return count > 0 ? count : UINT32_MAX;
}

static const struct conn_kind *find_kind(const struct run_options *options,
                                         const struct codec *codec)
{
    switch (options->mode) {
    case RUN_MODE_STREAM:
        return &conn_flow;
    case RUN_MODE_CONNECT:
        return &conn_visit;
    case RUN_MODE_IDLE:
        return &conn_hold;
    case RUN_MODE_HTTP:
        return codec == &codec_h2 ? &conn_h2 : &conn_stream;
    default:
        return options->targets[0].is_datagram ? &exchange_kind : &conn_stream;
    }
}

static void prepare_ways(struct client *client)
{
    const struct run_options *options = client->options;

    for (size_t i = 0; i < CODEC_WAYS; i++) {
        const struct codec *codec = codec_find(options, i);
        if (i > 0 && !codec) {
            return;
        }
        client->traffic.ways[i] = (struct traffic_way){
            .kind = find_kind(options, codec),
            .codec = codec,
            .shared = client->codec_shared[i],
            .state_offset = codec_state_size(options, i),
            .announces_end =
                codec && codec->announces_end && codec->announces_end(options),
        };
    }
}

static void prepare_traffic(struct client *client, uint32_t ring_size,
                            const struct conn_events *events)
{
    const struct run_options *options = client->options;
    const bool is_open = options->model != RUN_MODEL_CLOSED;

    uint64_t nonce = 0; /* differs in every run, even with the same seed */
    if (getrandom(&nonce, sizeof(nonce), GRND_NONBLOCK) < 0) {
        nonce = clock_now_ns();
    }
    client->traffic = (struct traffic){
        .options = options,
        .preamble = client->preamble,
        .next_number = client->share.thread_index,
        .number_stride = client->share.thread_count,
        .ready = is_open ? pacing_offer : conn_think,
        .pacing = is_open ? &client->pacing : NULL,
        .scratch = client->scratch,
        .nonce = nonce,
        .size_bytes = (size_t)options->send.most,
        .depth = (uint32_t)options->depth,
        .ring_mask = ring_size - 1,
        .requests_per_conn = find_quota(options, options->requests_per_conn),
        .requests_per_conn_max =
            find_quota(options, options->requests_per_conn_max),
        .judging = true,
        .notes_ends = options->groups != NULL,
        .remaining = UINT64_MAX,
        .payload = client->payload,
        .events = events,
        .events_arg = client,
    };
    prepare_ways(client);
    if (is_open) {
        pacing_init(&client->pacing, &client->traffic, &options->schedule,
                    client->share.thread_index, client->share.thread_count);
    }
}

static void prepare_conns(struct client *client, uint32_t ring_size)
{
    const struct run_options *options = client->options;
    const size_t state_size = codec_state_size(options, CODEC_WAYS);

    for (uint32_t i = 0; i < client->conn_count; i++) {
        struct conn *conn = &client->conns[i];
        *conn = (struct conn){.traffic = &client->traffic,
                              .way = &client->traffic.ways[0],
                              .index = (uint32_t)client->share.first_conn + i};
        if (client->named) {
            conn->named = client->named + i * template_count_names();
        }
        if (options->targets[0].is_datagram) {
            conn->track.slots = client->slots + (size_t)(i * options->depth);
        } else {
            conn->flights = client->flights + (size_t)i * ring_size;
            conn->codec_state =
                state_size > 0 ? client->codec_states + (size_t)i * state_size
                               : NULL;
        }
        client->waiting[i] = i;
        conn->is_parked = i >= client->wanted;
        conn->settled = conn->is_parked;
    }
    client->waiting_count = client->wanted;
    client->parked = client->conn_count - client->wanted;
    client->settled = client->parked;
}

void client_prepare(struct client *client, uint32_t ring_size,
                    const struct conn_events *events)
{
    client->wanted = client_count_wanted(client, 0);
    client->most_wanted = client->wanted;
    prepare_traffic(client, ring_size, events);
    prepare_conns(client, ring_size);
}
