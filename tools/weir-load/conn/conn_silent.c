/*
 * Connections without requests: in mode connect each is closed once
 * established, in mode idle each stays open until the run ends or until
 * --conn-stages wants fewer.
 *
 * The ledger counts each connection as a request. In mode connect this request
 * lasts from the start of the attempt until the connection and its TLS
 * handshake are complete. In mode idle it lasts from the start of the window,
 * or from a reconnect, until the end.
 */
#include "conn.h"

static const struct codec_answer stands = {.is_complete = true};

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *conn = user;

    conn->received_bytes += buf->len;
    return 0;
}

static void prepare(struct conn *conn, const struct target *target)
{
}

static void visit(struct conn *conn, uint32_t count, uint64_t meant_ns,
                  uint64_t now_ns)
{
    *conn_flight(conn, 0) = (struct flight){.meant_ns = conn->connect_began_ns,
                                            .sent_ns = conn->connect_began_ns};
    traffic_note_quiet(conn->traffic, now_ns);
    conn_take_answer(conn, &stands, conn->connected_ns);
    conn_finish(conn);
}

static void hold(struct conn *conn, uint32_t count, uint64_t meant_ns,
                 uint64_t now_ns)
{
    *conn_flight(conn, 0) =
        (struct flight){.meant_ns = meant_ns, .sent_ns = now_ns};
}

static void expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns)
{
}

void conn_end_hold(struct conn *conn, uint64_t now_ns)
{
    if (conn->state == CONN_OPEN && conn->outstanding > 0) {
        conn_take_answer(conn, &stands, now_ns);
    }
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = conn_made,
    .connection_lost = conn_lost,
    .data_received = data_received,
    .eof_received = conn_ended,
};

const struct conn_kind conn_visit = {
    .protocol = &protocol,
    .prepare = prepare,
    .send = visit,
    .expire = expire,
    .end = conn_finish,
};

const struct conn_kind conn_hold = {
    .protocol = &protocol,
    .prepare = prepare,
    .send = hold,
    .expire = expire,
    .end = conn_finish,
};
