/*
 * The next step of a socket's life, from a table of facts.
 *
 * The socket is a struct with the facts written into it: it has no descriptor,
 * no loop and no operation, and the decision asks for none of them.
 */
#include "tests/unit.h"

#include "lib/transport/sock/sock_impl.h"

#include <signal.h>

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
    LINGERS = 1u << 12, /* a linger time is set */
    SENT = 1u << 13,    /* some bytes have left */
    ALL_FACTS = (1u << 14) - 1,
};

static const struct {
    enum wr_life_state state;
    unsigned facts;
    enum wr_sock_next next;
} rows[] = {
    /* An open socket goes on until it breaks. */
    {WR_LIFE_OPEN, 0, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, RECEIVING, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, QUEUED | SENDING, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, EOF_SEEN | POLLING, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, PAUSED | AWAITED | HELD, WR_SOCK_RECEIVE},
    /* What arrived before it broke is read and delivered first. */
    {WR_LIFE_OPEN, FAILED, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | HELD, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | LENT, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | EOF_PENDING, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | RECV_FAILED | RECEIVING, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | PAUSED | HELD, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN, WR_SOCK_DOOM},
    {WR_LIFE_OPEN, FAILED | RECV_FAILED | POLLING, WR_SOCK_DOOM},
    {WR_LIFE_OPEN, FAILED | PAUSED, WR_SOCK_DOOM},
    /* Its queue is dropped as soon as the kernel has let go of it. */
    {WR_LIFE_OPEN, FAILED | QUEUED, WR_SOCK_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | QUEUED | EOF_SEEN, WR_SOCK_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | QUEUED | SENDING, WR_SOCK_RECEIVE},
    {WR_LIFE_OPEN, FAILED | PAUSED | AWAITED, WR_SOCK_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | PAUSED | AWAITED | HELD, WR_SOCK_DROP_QUEUE},
    {WR_LIFE_OPEN, FAILED | EOF_SEEN | AWAITED, WR_SOCK_DOOM},
    /* A close sends what is queued. */
    {WR_LIFE_CLOSING, QUEUED, WR_SOCK_RECEIVE},
    {WR_LIFE_CLOSING, QUEUED | SENDING | LINGERS, WR_SOCK_RECEIVE},
    {WR_LIFE_CLOSING, 0, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, RECEIVING, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, LINGERS, WR_SOCK_LINGER},
    {WR_LIFE_CLOSING, SENT, WR_SOCK_LINGER},
    {WR_LIFE_CLOSING, SENT | QUEUED, WR_SOCK_RECEIVE},
    {WR_LIFE_CLOSING, SENT | EOF_SEEN, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, SENT | FAILED, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, LINGERS | EOF_SEEN, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, LINGERS | FAILED, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, FAILED | QUEUED, WR_SOCK_DROP_QUEUE},
    {WR_LIFE_CLOSING, FAILED | QUEUED | SENDING, WR_SOCK_DOOM},
    {WR_LIFE_CLOSING, FAILED | PAUSED | AWAITED, WR_SOCK_DOOM},
    /* Lingering ends with the peer's end, or its time. */
    {WR_LIFE_LINGERING, LINGERS | RECEIVING, WR_SOCK_RECEIVE},
    {WR_LIFE_LINGERING, SENT | RECEIVING, WR_SOCK_RECEIVE},
    {WR_LIFE_LINGERING, SENT | RECV_FAILED, WR_SOCK_DOOM},
    {WR_LIFE_LINGERING, LINGERS | EOF_SEEN, WR_SOCK_DOOM},
    {WR_LIFE_LINGERING, LINGERS | FAILED, WR_SOCK_DOOM},
    /* The last operation is waited for. */
    {WR_LIFE_ENDING, RECEIVING | FAILED, WR_SOCK_WAIT},
    {WR_LIFE_ENDING, POLLING, WR_SOCK_WAIT},
    {WR_LIFE_ENDING, SENDING | QUEUED, WR_SOCK_WAIT},
    {WR_LIFE_ENDING, FAILED | QUEUED | EOF_SEEN, WR_SOCK_LOSE},
    {WR_LIFE_ENDING, 0, WR_SOCK_LOSE},
};

/* What the pointers of the socket point to; none is followed further. */
static struct wr_chunk chunk;
static struct weir_lease lease;
static uint8_t byte;
static struct wr_sock_into into;
static struct wr_sock_times times;
static struct wr_sock sock;
static const struct wr_transport_ops ops = {
    .delivery_offset = offsetof(struct wr_sock, delivery)};

static void arrange(enum wr_life_state state, unsigned facts)
{
    into = (struct wr_sock_into){.buf = &byte, .len = 1};
    times.clock.limits.linger_ns = facts & LINGERS ? 1 : 0;
    memset(&sock, 0, sizeof(sock));
    sock.t.ops = &ops;
    sock.t.state = state;
    sock.fd = -1; /* nothing is left in the kernel */
    sock.t.error = facts & FAILED ? -ECONNRESET : 0;
    sock.t.notify_depth = facts & AWAITED ? 0 : -1;
    sock.outbox.queue.head = facts & QUEUED ? &chunk : NULL;
    sock.send_op.in_flight = facts & SENDING;
    sock.recv_op.in_flight = facts & RECEIVING;
    sock.poll_op.in_flight = facts & POLLING;
    sock.eof_seen = facts & EOF_SEEN;
    sock.recv_failed = facts & RECV_FAILED;
    sock.has_sent = facts & SENT;
    sock.delivery.held_head = facts & HELD ? &lease : NULL;
    sock.delivery.facts = (facts & EOF_PENDING ? WR_DELIVERY_END : 0) |
                          (facts & HELD ? WR_DELIVERY_HELD : 0) |
                          (facts & PAUSED ? WR_DELIVERY_PAUSED : 0) |
                          (state > WR_LIFE_OPEN ? WR_DELIVERY_SHUT : 0);
    sock.into = facts & LENT ? &into : NULL;
    sock.times = &times;
}

UNIT(sock_state, the_next_step_follows_from_the_facts)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        arrange(rows[i].state, rows[i].facts);
        const enum wr_sock_next next = wr_sock_next_step(&sock);
        cr_assert_eq(next, rows[i].next, "row %zu: step %d, not %d", i,
                     (int)next, (int)rows[i].next);
    }
}

UNIT(sock_state, a_doomed_socket_ends_whatever_else_is_true)
{
    for (unsigned facts = 0; facts <= ALL_FACTS; facts++) {
        arrange(WR_LIFE_DOOMED, facts);
        expect_eq(wr_sock_next_step(&sock), WR_SOCK_END);
    }
}

UNIT(sock_state, before_its_birth_and_after_its_loss_there_is_no_step)
{
    for (unsigned facts = 0; facts <= ALL_FACTS; facts++) {
        arrange(WR_LIFE_NEW, facts);
        expect_eq(wr_sock_next_step(&sock), WR_SOCK_WAIT);
        arrange(WR_LIFE_LOST, facts);
        expect_eq(wr_sock_next_step(&sock), WR_SOCK_WAIT);
    }
}

UNIT(sock_state, the_decision_changes_nothing)
{
    static struct wr_sock before;

    for (int state = 0; state < WR_LIFE_STATES; state++) {
        for (unsigned facts = 0; facts <= ALL_FACTS; facts++) {
            arrange((enum wr_life_state)state, facts);
            memcpy(&before, &sock, sizeof(sock));
            wr_ignore(wr_sock_next_step(&sock) == WR_SOCK_WAIT);
            expect_eq(memcmp(&before, &sock, sizeof(sock)), 0);
        }
    }
}
