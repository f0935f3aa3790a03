/*
 * Connections that wait to be served: those that were accepted while the server
 * has as many as its limit allows, and those that the program hands in. The
 * server's work opens them, the oldest first, so that nothing of the program is
 * called when it hands one in.
 */
#include "lib/transport/socket.h"
#include "server.h"

int wr_server_park(weir_server *server, int fd, int family, bool is_foreign)
{
    wr_assert(!wr_server_is_closed(server));
    struct wr_parked *parked =
        wr_alloc(&server->loop->counting, sizeof(*parked));
    wr_require(parked, -ENOMEM);
    *parked = (struct wr_parked){
        .fd = fd, .family = family, .is_foreign = is_foreign};
    wr_list_init(&parked->link);
    wr_list_push_back(&server->parked, &parked->link);
    server->parked_count++;
    return 0;
}

bool wr_server_take_parked(weir_server *server, struct wr_parked *ret)
{
    struct wr_list *link = wr_list_pop_front(&server->parked);

    wr_assert(!link == (server->parked_count == 0));
    if (!link) {
        return false;
    }
    struct wr_parked *parked = wr_container_of(link, struct wr_parked, link);
    server->parked_count--;
    *ret = *parked;
    wr_free(&server->loop->counting, parked, sizeof(*parked));
    return true;
}

void wr_server_close_parked(weir_server *server)
{
    struct wr_parked parked;

    wr_assert(wr_server_is_closed(server));
    while (wr_server_take_parked(server, &parked)) {
        wr_socket_turn_away(server->loop, parked.fd, parked.family);
    }
}

/* ---- connections that are handed in ---- */

/* The family of a connection, or the error of a descriptor that is none. */
static int server_park_check(const weir_server *server, int fd)
{
    struct weir_address peer;

    wr_server_check_invariants(server);
    wr_require(!wr_server_is_closed(server), -ESHUTDOWN);
    wr_require(server->factory.create, -EINVAL);
    const int family = wr_socket_check(fd, &peer);
    if (family == -EINVAL && wr_socket_get_option(fd, SO_ACCEPTCONN) == 0 &&
        wr_socket_get_option(fd, SO_TYPE) == SOCK_STREAM) {
        return -ENOTCONN;
    }
    return family;
}

int weir_server_adopt_connection(weir_server *server, int fd)
{
    int err = wr_loop_check(server->loop);
    const int family = err < 0 ? err : server_park_check(server, fd);

    err = family < 0 ? family : wr_server_park(server, fd, family, true);
    if (err < 0) {
        wr_socket_refuse(fd);
        return err;
    }
    wr_server_push_work(server);
    wr_server_check_invariants(server);
    return 0;
}
