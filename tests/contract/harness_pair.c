/*
 * The maker of an in-memory pair.
 *
 * The subject is one end. A relay on the rig's own loop has the other end, and
 * a socket whose peer is the rig's.
 */
#include "tests/contract/harness_relay.h"

#include <weir/connect.h>
#include <weir/pair.h>

struct bridge {
    struct relay_side end;
    struct relay_side socket;
    bool is_over;
};

static void bridge_over(void *arg)
{
    ((struct bridge *)arg)->is_over = true;
}

uint64_t rig_alive(const struct rig *rig)
{
    return rig_can(rig, RIG_IS_MEMORY) ? 3 : 1;
}

void rig_open_pair(struct rig *rig)
{
    struct bridge *bridge = calloc(1, sizeof(*bridge));
    struct weir_protocol_binding bindings[2] = {{.user = NULL}};
    const struct weir_pair_options options = {.size = sizeof(options),
                                              .connection = rig->connection};
    const struct weir_factory factory = {.create = relay_side_create,
                                         .arg = &bridge->socket};
    int fds[2];
    expect(bridge != NULL);
    rig->bridge = bridge;
    relay_sides_init(&bridge->end, &bridge->socket, bridge_over, bridge);
    bridge->socket.small_buffers = rig->small_buffers;
    rig_open_peer(rig, fds);
    rig->peer = fds[0];
    expect_ok(weir_create_connection_at(
        rig->loop, &factory, weir_endpoint_fd(fds[1]), NULL, NULL, NULL, NULL));
    expect_eq(relay_side_create(&bridge->end, NULL, &bindings[1]), 0);
    bindings[0].protocol = rig->protocol ? rig->protocol : &rig_protocol;
    bindings[0].user = rig;
    expect_eq(weir_transport_pair(rig->loop, bindings, &options, NULL), 0);
}

void rig_close_pair(struct rig *rig)
{
    struct bridge *bridge = rig->bridge;

    if (!bridge) {
        return;
    }
    if (rig->loop) {
        RUN_UNTIL(rig->loop, rig->bridge->is_over);
    }
    weir_transport_unref(bridge->end.t);
    weir_transport_unref(bridge->socket.t);
    free(bridge);
    rig->bridge = NULL;
}
