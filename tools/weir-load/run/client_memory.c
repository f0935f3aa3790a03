/*
 * Allocates the memory of a thread's connections before the first one is made.
 * Its size does not depend on the number of requests. The state of a preamble
 * is allocated later (conn_preamble.c).
 */
#include "client.h"

#include "tools/weir-load/conn/conn.h"

#include <stdlib.h>

bool client_get_memory(struct client *client, uint32_t ring_size)
{
    const struct run_options *options = client->options;
    const size_t state_size = codec_state_size(options, CODEC_WAYS);
    size_t conn_count = (size_t)client->conn_count;
    size_t depth = (size_t)options->depth;

    client->conns = calloc(conn_count, sizeof(*client->conns));
    client->waiting = calloc(conn_count, sizeof(*client->waiting));
    client->connect_latency = calloc(1, sizeof(*client->connect_latency));
    client->handshake_latency = calloc(1, sizeof(*client->handshake_latency));
    if (!client->conns || !client->waiting || !client->connect_latency ||
        !client->handshake_latency) {
        return false;
    }
    if (options->targets[0].is_datagram || options->mode == RUN_MODE_STREAM) {
        client->payload = malloc(sizeof(*client->payload));
        if (!client->payload) {
            return false;
        }
    }
    if (options->targets[0].is_datagram) {
        client->slots = calloc(conn_count * depth, sizeof(*client->slots));
        client->scratch = malloc(EXCHANGE_SIZE_MAX);
        return client->slots && client->scratch;
    }
    client->flights = calloc(conn_count * ring_size, sizeof(*client->flights));
    if (template_count_names() > 0) {
        client->named =
            calloc(conn_count * template_count_names(), sizeof(*client->named));
        if (!client->named) {
            return false;
        }
    }
    if (!client->flights || state_size == 0) {
        return client->flights != NULL;
    }
    client->codec_states = calloc(conn_count, state_size);
    return client->codec_states != NULL;
}

void client_fini(struct client *client)
{
    for (uint64_t i = 0; client->conns && i < client->conn_count; i++) {
        tls_drop_session(client->conns[i].session);
        conn_preamble_forget(&client->conns[i]);
    }
    free(client->conns);
    free(client->named);
    preamble_requests_free(client->preamble);
    free(client->flights);
    for (size_t i = 0; i < CODEC_WAYS; i++) {
        if (client->codec_shared[i]) {
            codec_find(client->options, i)->close(client->codec_shared[i]);
        }
    }
    free(client->codec_states);
    free(client->slots);
    free(client->scratch);
    free(client->waiting);
    free(client->payload);
    free(client->connect_latency);
    free(client->handshake_latency);
}
