/*
 * A server that chooses nothing, and a connection without TLS, speak HTTP/1.1.
 *
 * The connection was prepared for what it spoke before. Where that is something
 * else now, it is prepared once more.
 */
#include "agreed.h"

#include "weir/transport.h"

#include <string.h>

enum { WAY_HTTP1, WAY_HTTP2 };

static bool is_http2(const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    return weir_transport_get_extra_info(t, "alpn", &info) >= 0 &&
           info.len == 2 && memcmp(info.text, "h2", 2) == 0;
}

static void change_way(struct conn *conn, const struct traffic_way *to)
{
    const struct traffic_way *from = conn->way;
    const struct target *target =
        options_target(conn->traffic->options, conn->index);
    const bool repeats = conn->repeats;

    if (repeats && from->kind->hand_over) {
        from->kind->hand_over(conn);
    }
    conn->way = to;
    conn->codec_state =
        (uint8_t *)conn->codec_state - from->state_offset + to->state_offset;
    conn->depth = conn->traffic->depth;
    conn->repeats = false; /* for the other protocol it is a new one */
    to->kind->prepare(conn, target);
    conn->repeats = repeats;
    if (repeats && to->kind->take_over) {
        to->kind->take_over(conn);
    }
}

void agreed_choose(struct conn *conn, const weir_transport *t)
{
    struct traffic *traffic = conn->traffic;
    const bool is_v2 = is_http2(t);
    const struct traffic_way *to =
        &traffic->ways[is_v2 ? WAY_HTTP2 : WAY_HTTP1];

    traffic->connections.http2 += is_v2;
    traffic->connections.http1 += !is_v2;
    if (conn->way != to) {
        change_way(conn, to);
    }
}
