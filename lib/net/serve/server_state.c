/*
 * The states of a server, and their invariants.
 *
 * A closed server accepts no more, but its connections continue. It is quiet
 * when all accepts have ended and all connections are lost. It is over when the
 * tasks that serve connections have ended, too.
 */
#include "server.h"

#define EDGE(state) (1u << (state))

static const uint8_t server_state_edges[] = {
    [SERVER_STARTING] = EDGE(SERVER_BOUND) | EDGE(SERVER_CLOSED),
    [SERVER_BOUND] = EDGE(SERVER_SERVING) | EDGE(SERVER_CLOSED),
    [SERVER_SERVING] = EDGE(SERVER_CLOSED),
    [SERVER_CLOSED] = EDGE(SERVER_STOPPING),
    [SERVER_STOPPING] = EDGE(SERVER_ENDING),
    [SERVER_ENDING] = 0,
};

static const char *const server_state_names[] = {
    [SERVER_STARTING] = "starting", [SERVER_BOUND] = "bound",
    [SERVER_SERVING] = "serving",   [SERVER_CLOSED] = "closed",
    [SERVER_STOPPING] = "closed",   [SERVER_ENDING] = "closed",
};

void wr_server_set_state(weir_server *server, enum server_state state)
{
    wr_assert(server_state_edges[server->state] & EDGE(state));
    server->state = state;
}

const char *wr_server_get_state_name(const weir_server *server)
{
    return server_state_names[server->state];
}

bool wr_server_is_quiet(const weir_server *server)
{
    return wr_server_is_closed(server) && server->has_reported &&
           server->client_count == 0 &&
           wr_listener_set_is_closed(&server->listeners);
}

bool wr_server_is_over(const weir_server *server)
{
    return wr_list_is_empty(&server->handlers) && wr_server_is_quiet(server);
}

static void server_state_check(const weir_server *server)
{
    switch (server->state) {
    case SERVER_STARTING:
        wr_assert(!server->has_reported);
        wr_assert(server->listeners.count == 0);
        wr_assert(!wr_timer_is_armed(&server->retry));
        break;
    case SERVER_BOUND:
        wr_assert(wr_listener_set_is_open(&server->listeners));
        wr_assert(!wr_timer_is_armed(&server->retry));
        wr_assert(!server->lacks_resources);
        wr_debug_assert(wr_listener_set_get_armed(&server->listeners) == 0);
        break;
    case SERVER_SERVING:
        wr_assert(wr_listener_set_is_open(&server->listeners));
        wr_assert(!server->listeners.options.bind_only);
        break;
    case SERVER_CLOSED:
    case SERVER_STOPPING:
    case SERVER_ENDING:
        wr_assert(!wr_timer_is_armed(&server->retry));
        wr_assert(server->parked_count == 0);
        wr_assert(wr_list_is_empty(&server->close_watches));
        break;
    }
}

void wr_server_check_invariants(const weir_server *server)
{
    server_state_check(server);
    wr_listener_set_check_invariants(&server->listeners);
    wr_assert(server->connection_limit > 0);
    wr_assert(server->client_count <= server->connection_limit);
    wr_assert((server->client_count == 0) ==
              wr_list_is_empty(&server->clients));
    wr_assert((server->parked_count == 0) == wr_list_is_empty(&server->parked));
    wr_assert(server->client_count == 0 || server->state >= SERVER_SERVING);
    wr_assert(server->err <= 0);
    wr_assert(server->in_task || !wr_own_task_is_running(&server->own));
    wr_assert(!server->in_task || !server->has_reported);
    if (!wr_server_is_closed(server)) {
        wr_assert(server->err == 0);
        wr_assert(!server->is_freed);
    }
    if (wr_timer_is_armed(&server->grace)) {
        wr_assert(server->state == SERVER_STOPPING);
    }
    wr_debug_assert(wr_list_count(&server->clients) == server->client_count);
    wr_debug_assert(wr_list_count(&server->parked) == server->parked_count);
    wr_debug_assert(wr_list_is_linked(&server->member.link) ||
                    wr_server_is_quiet(server));
}
