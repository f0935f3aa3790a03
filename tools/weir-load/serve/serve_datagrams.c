/*
 * The server for udp:// targets. Echo stops reading while its pending responses
 * exceed a mark. The kernel then drops datagrams, and memory stays bounded.
 *
 * A socket for all addresses responds from the address that received the
 * request, because a client with a connected socket ignores other addresses.
 */
#include "serve_thread.h"

#include "tools/common/tried.h"

#include "weir/datagram.h"

#include <string.h>

/* Large enough for bursts of clients. The kernel may grant less. */
#define RECEIVE_BUFFER_BYTES (4U << 20)

static void connection_made(void *user, weir_transport *t)
{
    struct datagram_server *server = user;

    server->transport = t;
    weir_transport_set_write_buffer_limits(
        t, (struct weir_water_marks){.high_bytes = ECHO_HIGH_BYTES,
                                     .low_bytes = ECHO_LOW_BYTES});
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct datagram_server *server = user;

    server->transport = NULL;
    server->on_ended(server->arg, err, server);
}

static void count(struct datagram_server *server,
                  const struct weir_datagram *datagram)
{
    server->received++;
    server->counts->received_bytes += datagram->buf.len;
}

/* Counts an error, such as a response that a closed client refuses. */
static void error_received(void *user, weir_transport *t, int err,
                           const struct weir_address *peer)
{
    struct datagram_server *server = user;

    server->failed++;
}

static int echo_received(void *user, weir_transport *t,
                         const struct weir_datagram *datagram)
{
    struct datagram_server *server = user;
    const struct weir_buf *buf = &datagram->buf;
    struct weir_ancillary source = {.size = sizeof(source),
                                    .has = WEIR_ANCILLARY_LOCAL};
    struct weir_message answer = {
        .size = sizeof(answer),
        .data = buf->data,
        .len = buf->len,
        .address = &datagram->peer,
        .lease = buf->len >= ECHO_REFERENCE_MIN ? buf->lease : NULL,
    };

    count(server, datagram);
    if (datagram->ancillary &&
        (datagram->ancillary->has & WEIR_ANCILLARY_LOCAL) != 0) {
        source.local = datagram->ancillary->local;
        answer.ancillary = &source;
    }
    server->failed += weir_transport_sendmsg(t, &answer) < 0;
    return 0;
}

static const struct weir_protocol echo_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_DATAGRAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .pause_writing = mode_pause_echo,
    .resume_writing = mode_resume_echo,
    .datagram_received = echo_received,
    .error_received = error_received,
};

static int discard_received(void *user, weir_transport *t,
                            const struct weir_datagram *datagram)
{
    count(user, datagram);
    return 0;
}

static const struct weir_protocol discard_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_DATAGRAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .datagram_received = discard_received,
    .error_received = error_received,
};

static const struct weir_protocol *find_protocol(const struct mode *mode)
{
    if (strcmp(mode->name, "echo") == 0) {
        return &echo_protocol;
    }
    return strcmp(mode->name, "discard") == 0 ? &discard_protocol : NULL;
}

bool datagram_server_has(const struct mode *mode)
{
    return find_protocol(mode) != NULL;
}

static int create_protocol(void *arg, weir_transport *t,
                           struct weir_protocol_binding *ret)
{
    const struct datagram_server *server = arg;

    *ret = (struct weir_protocol_binding){server->protocol, arg};
    return 0;
}

static void bound(void *arg, int err, weir_transport *t)
{
    struct datagram_server *server = arg;

    if (err < 0) {
        tried_write(server->pending, server->why, SERVE_WHY_SIZE);
    }
    server->on_bound(server->arg, err, server);
}

int datagram_server_start(struct datagram_server *server, weir_loop *loop,
                          const struct mode *mode, const struct target *target)
{
    const bool has_address = target->address.len > 0;
    struct weir_factory factory = {create_protocol, server};
    struct weir_datagram_options options = {.size = sizeof(options),
                                            .reuse_port = server->reuse_port,
                                            .receive_buffer_bytes =
                                                RECEIVE_BUFFER_BYTES};

    server->protocol = find_protocol(mode);
    if (!has_address) {
        options.family = AF_INET6;
        options.ancillary = WEIR_ANCILLARY_LOCAL;
    }
    return weir_create_datagram_endpoint_at(
        loop, &factory,
        has_address ? weir_endpoint_addresses(&target->address, 1)
                    : weir_endpoint_host(NULL, target->port),
        weir_endpoint_none(), &options, bound, server, &server->pending);
}

void datagram_server_stop(struct datagram_server *server, bool at_once)
{
    if (server->transport && at_once) {
        weir_transport_abort(server->transport);
    } else if (server->transport) {
        weir_transport_close(server->transport);
    }
}
