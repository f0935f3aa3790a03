/*
 * The next step of a connection's life, from a table of facts.
 *
 * The connection is a struct socket with the facts set: it has no descriptor,
 * loop or operation, and the decision needs none.
 */
#include "tests/unit.h"

#include "lib/transport/sock/sock_impl.h"

#include <signal.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum fact {
    FAILED = 1u << 0, /* the connection has an error */
    QUEUED = 1u << 1,
    SENDING = 1u << 2,
    RECEIVING = 1u << 3,
    POLLING = 1u << 4,
    EOF_SEEN = 1u << 5,
    EOF_PENDING = 1u << 6,
    RECV_FAILED = 1u << 7,
    HELD = 1u << 8, /* bytes in a lease */
    LENT = 1u << 9, /* bytes in memory of the protocol */
    PAUSED = 1u << 10,
    AWAITED = 1u << 11, /* the protocol waits for a shorter queue */
    FILED = 1u << 12,   /* a file is being sent */
    AWAY = 1u << 13,    /* it was offered to another loop */
    ALL_FACTS = (1u << 14) - 1,
};

static const struct {
    enum wr_life_state state;
    unsigned facts;
    enum wr_connection_next next;
} rows[] = {
    /* An open socket continues until it breaks. */
    {WR_LIFE_OPEN, 0, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, RECEIVING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, QUEUED | SENDING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, EOF_SEEN | POLLING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, PAUSED | AWAITED | HELD, WR_CONNECTION_RECEIVE},
    /* Bytes that arrived before it broke are read and delivered first. */
    {WR_LIFE_OPEN, FAILED, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | HELD, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | LENT, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | EOF_PENDING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | RECV_FAILED | RECEIVING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | PAUSED | HELD, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN, WR_CONNECTION_END},
    {WR_LIFE_OPEN, FAILED | RECV_FAILED | POLLING, WR_CONNECTION_END},
    {WR_LIFE_OPEN, FAILED | PAUSED, WR_CONNECTION_END},
    /* The queue is dropped once the kernel has released it. */
    {WR_LIFE_OPEN, FAILED | QUEUED, WR_CONNECTION_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | QUEUED | EOF_SEEN, WR_CONNECTION_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | QUEUED | SENDING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_OPEN, FAILED | FILED, WR_CONNECTION_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | PAUSED | AWAITED, WR_CONNECTION_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | PAUSED | AWAITED | HELD, WR_CONNECTION_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | AWAITED, WR_CONNECTION_END},
    /* A close sends queued bytes. */
    {WR_LIFE_CLOSING, QUEUED, WR_CONNECTION_RECEIVE},
    {WR_LIFE_CLOSING, QUEUED | SENDING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_CLOSING, FILED, WR_CONNECTION_RECEIVE},
    {WR_LIFE_CLOSING, 0, WR_CONNECTION_LINGER},
    {WR_LIFE_CLOSING, RECEIVING, WR_CONNECTION_LINGER},
    {WR_LIFE_CLOSING, EOF_SEEN, WR_CONNECTION_LINGER},
    {WR_LIFE_CLOSING, EOF_SEEN | QUEUED, WR_CONNECTION_RECEIVE},
    {WR_LIFE_CLOSING, FAILED, WR_CONNECTION_END},
    {WR_LIFE_CLOSING, FAILED | QUEUED, WR_CONNECTION_DROP_QUEUE},
    {WR_LIFE_CLOSING, FAILED | QUEUED | SENDING, WR_CONNECTION_END},
    {WR_LIFE_CLOSING, FAILED | PAUSED | AWAITED, WR_CONNECTION_END},
    /* Lingering ends with the peer's end, or after its time. */
    {WR_LIFE_LINGERING, RECEIVING, WR_CONNECTION_RECEIVE},
    {WR_LIFE_LINGERING, RECV_FAILED, WR_CONNECTION_RECEIVE},
    {WR_LIFE_LINGERING, EOF_SEEN, WR_CONNECTION_END},
    {WR_LIFE_LINGERING, FAILED, WR_CONNECTION_END},
    /* The connection waits for the last operation. */
    {WR_LIFE_ENDING, RECEIVING | FAILED, WR_CONNECTION_WAIT},
    {WR_LIFE_ENDING, POLLING, WR_CONNECTION_WAIT},
    {WR_LIFE_ENDING, SENDING | QUEUED, WR_CONNECTION_WAIT},
    {WR_LIFE_ENDING, FILED, WR_CONNECTION_WAIT},
    {WR_LIFE_ENDING, FAILED | QUEUED | EOF_SEEN, WR_CONNECTION_LOSE},
    /* A move waits for the last operation, and then for the other loop. */
    {WR_LIFE_MOVING, RECEIVING | QUEUED, WR_CONNECTION_WAIT},
    {WR_LIFE_MOVING, SENDING | FAILED, WR_CONNECTION_WAIT},
    {WR_LIFE_MOVING, POLLING, WR_CONNECTION_WAIT},
    {WR_LIFE_MOVING, AWAY | HELD, WR_CONNECTION_WAIT},
    {WR_LIFE_MOVING, QUEUED | HELD | PAUSED, WR_CONNECTION_HAND_OVER},
    {WR_LIFE_MOVING, FAILED, WR_CONNECTION_HAND_OVER},
    {WR_LIFE_ENDING, 0, WR_CONNECTION_LOSE},
};

/* Targets of the socket's pointers; none is followed further. */
static struct wr_chunk chunk;
static struct weir_lease lease;
static uint8_t byte;
static struct wr_sock_extra extra;
static struct wr_sender file;
static struct wr_leaving leaving;
static struct wr_sock sock;
static const struct wr_transport_ops ops = {
    .size = sizeof(struct wr_sock),
    .holds_queue = wr_sock_holds_queue,
    .is_in_flight = wr_sock_is_in_flight,
    .has_read_all = wr_sock_has_delivered_all,
};

static void arrange(enum wr_life_state state, unsigned facts)
{
    extra = (struct wr_sock_extra){.buf = &byte, .len = 1};
    memset(&sock, 0, sizeof(sock));
    sock.c.t.ops = &ops;
    sock.c.t.state = state;
    sock.c.t.fd = -1; /* nothing is left in the kernel */
    sock.c.t.error = facts & FAILED ? -ECONNRESET : 0;
    sock.c.t.must_notify = facts & AWAITED;
    sock.c.outbox.queue.head = facts & QUEUED ? &chunk : NULL;
    sock.send_op.in_flight = facts & SENDING;
    sock.recv_op.in_flight = facts & RECEIVING;
    sock.poll_op.in_flight = facts & POLLING;
    sock.c.t.eof_seen = facts & EOF_SEEN;
    sock.recv_failed = facts & RECV_FAILED;
    sock.c.delivery.held_head = facts & HELD ? &lease : NULL;
    sock.c.delivery.facts = (facts & EOF_PENDING ? WR_DELIVERY_END : 0) |
                            (facts & HELD ? WR_DELIVERY_HELD : 0) |
                            (facts & PAUSED ? WR_DELIVERY_PAUSED : 0) |
                            (state > WR_LIFE_OPEN ? WR_DELIVERY_SHUT : 0);
    sock.c.outbox.sender = facts & FILED ? &file : NULL;
    sock.extra = facts & LENT ? &extra : NULL;
    leaving.is_away = facts & AWAY;
    sock.c.leaving = state == WR_LIFE_MOVING ? &leaving : NULL;
}

UNIT(connection_state, the_next_step_follows_from_the_facts)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        arrange(rows[i].state, rows[i].facts);
        const enum wr_connection_next next = wr_connection_next_step(&sock.c);
        cr_assert_eq(next, rows[i].next, "row %zu: step %d, not %d", i,
                     (int)next, (int)rows[i].next);
    }
}

UNIT(connection_state, a_doomed_socket_ends_whatever_else_is_true)
{
    for (unsigned facts = 0; facts <= ALL_FACTS; facts++) {
        arrange(WR_LIFE_DOOMED, facts);
        expect_eq(wr_connection_next_step(&sock.c), WR_CONNECTION_END);
    }
}

UNIT(connection_state, before_its_birth_and_after_its_loss_there_is_no_step)
{
    for (unsigned facts = 0; facts <= ALL_FACTS; facts++) {
        arrange(WR_LIFE_NEW, facts);
        expect_eq(wr_connection_next_step(&sock.c), WR_CONNECTION_WAIT);
        arrange(WR_LIFE_LOST, facts);
        expect_eq(wr_connection_next_step(&sock.c), WR_CONNECTION_WAIT);
    }
}

UNIT(connection_state, the_decision_changes_nothing)
{
    static struct wr_sock before;

    for (int state = 0; state < WR_LIFE_STATES; state++) {
        for (unsigned facts = 0; facts <= ALL_FACTS; facts++) {
            arrange((enum wr_life_state)state, facts);
            memcpy(&before, &sock, sizeof(sock));
            wr_ignore(wr_connection_next_step(&sock.c) == WR_CONNECTION_WAIT);
            expect_eq(memcmp(&before, &sock, sizeof(sock)), 0);
        }
    }
}
