/*
 * Sets the socket options of a new connection, below TLS if it has TLS. The
 * options were accepted before the run (options_settle.c), so a refusal here is
 * an error of this connection and names the flag.
 */
#include "conn.h"
#include "tools/weir-load/target/target.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

static bool set_socket(struct conn *conn)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    char why[WHY_SIZE] = "its socket";

    if (!sockets_has_any(&conn->traffic->options->sockets)) {
        return true;
    }

    int err = weir_transport_get_extra_info(conn->transport, "socket", &info);
    if (err >= 0) {
        err = sockets_set(&conn->traffic->options->sockets, info.fd, why);
    }
    if (err < 0) {
        conn_give_up(conn, PHASE_CONNECT, err, why);
    }
    return err >= 0;
}

void opening_look_at_syn(struct conn *conn)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    struct tcp_info tcp = {0};
    socklen_t len = sizeof(tcp);

    conn->knows_syn = true;
    if (weir_transport_get_extra_info(conn->transport, "socket", &info) >= 0 &&
        getsockopt(info.fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) == 0 &&
        (tcp.tcpi_options & TCPI_OPT_SYN_DATA)) {
        conn->traffic->connections.fast_opened++;
    }
}

bool opening_prepare(struct conn *conn)
{
    const int version = conn->traffic->options->proxy_version;

    if (!set_socket(conn)) {
        return false;
    }
    const int err =
        version == 0 ? 0 : proxy_header_write(conn->transport, version);
    if (err < 0) {
        conn_give_up(conn, PHASE_WRITE, err, "the PROXY header");
    }
    return err >= 0;
}
