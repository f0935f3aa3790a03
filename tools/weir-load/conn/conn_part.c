/*
 * Parting: the server or the last request has announced the end of the
 * connection, so the server should close first. If a server leaves the first
 * such connection open, the client closes all later ones after their answers
 * (RFC 9112, section 9.6).
 *
 * With TLS the server's end of stream is its close_notify. The server may then
 * wait for the client's close_notify before it closes the socket. The client
 * sends it and polls the TCP state (RFC 9293, CLOSE-WAIT), because the library
 * reports nothing after the end of the stream.
 */
#include "conn.h"

#include "tools/common/clock.h"

#include "weir/transport.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

/* How long a server gets to close. UNPROVEN_NS applies until it has closed one
 * connection: a server that will close does so together with its answer. */
#define FAREWELL_NS UINT64_C(1000000000)
#define UNPROVEN_NS UINT64_C(50000000)

/* With TLS: first and longest time between two checks. It doubles each time. */
#define STEP_FIRST_NS UINT64_C(100000)
#define STEP_LAST_NS  UINT64_C(16000000)

static void farewell_cb(void *arg);

/* Returns true if the server has closed its socket, or if this is unknown
 * because the socket is not TCP. */
static bool has_server_closed(const struct conn *conn)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    struct tcp_info tcp = {0};
    socklen_t len = sizeof(tcp);

    if (weir_transport_get_extra_info(conn->transport, "socket", &info) < 0 ||
        getsockopt(info.fd, IPPROTO_TCP, TCP_INFO, &tcp, &len) < 0) {
        return true;
    }
    return tcp.tcpi_state != TCP_ESTABLISHED;
}

static bool wait_on(struct conn *conn, uint64_t time_ns)
{
    return weir_loop_call_later(conn->traffic->loop, time_ns, farewell_cb, conn,
                                &conn->farewell) >= 0;
}

static uint64_t find_farewell(const struct traffic *traffic)
{
    return traffic->server_parts ? FAREWELL_NS : UNPROVEN_NS;
}

static void close_first(struct conn *conn)
{
    conn->traffic->server_stays = !conn->traffic->server_parts;
    conn->traffic->connections.not_closed++;
    conn->traffic->connections.closed_first++;
    weir_transport_close(conn->transport);
}

static void farewell_cb(void *arg)
{
    struct conn *conn = arg;

    if (conn->state != CONN_PARTING) {
        return;
    }
    if (conn->part_step_ns > 0 && has_server_closed(conn)) {
        weir_transport_close(conn->transport);
        return;
    }
    if (conn->part_step_ns == 0 ||
        clock_now_ns() - conn->parted_ns >= find_farewell(conn->traffic)) {
        close_first(conn);
        return;
    }
    if (conn->part_step_ns < STEP_LAST_NS) {
        conn->part_step_ns *= 2;
    }
    if (!wait_on(conn, conn->part_step_ns)) {
        close_first(conn);
    }
}

void conn_part(struct conn *conn)
{
    struct traffic *traffic = conn->traffic;

    if (traffic->server_stays && !traffic->server_parts) {
        traffic->connections.not_closed++;
        conn_finish(conn);
        return;
    }
    if (!wait_on(conn, find_farewell(traffic))) {
        conn_finish(conn);
        return;
    }
    conn->state = CONN_PARTING;
    traffic->reading.taken_ns = 0;
    conn->parted_ns = clock_now_ns();
    conn->part_step_ns = 0;
    conn->traffic->parting++;
    conn_tell_drained(conn->traffic);
}

int conn_part_at_end(struct conn *conn)
{
    conn->traffic->server_parts = true;
    if (!has_server_closed(conn) &&
        weir_transport_write_eof(conn->transport) >= 0) {
        weir_handle_cancel(conn->traffic->loop, conn->farewell);
        conn->part_step_ns = STEP_FIRST_NS;
        if (wait_on(conn, STEP_FIRST_NS)) {
            return 1;
        }
    }
    return 0;
}
