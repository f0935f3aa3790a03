/*
 * The inside of stream sockets, for their files. A socket is a connection
 * (connection.h), whose device has these files; calls go down only, from each
 * file to the files below it:
 *
 *     sock_move.c     leaving a loop, and arriving on another
 *     sock.c          the device and its making: completions, its end
 *     sock_send.c     writes and a file on their way to the kernel
 *     sock_bulk.c     receiving much, one connection after the other, and
 *                     bulk that goes on to another socket without a copy
 *     sock_fds.c      descriptors that go along with bytes of a Unix socket
 *     sock_recv.c     the receive state machine, and the way to the protocol
 *     sock_linger.c   an end that waits until the peer has what was written
 *     sock_state.c    what must hold, and a dump
 *
 * The files below sock.c note what happened; at the end of the completion
 * sock.c receives on, or leaves what is to be decided to the step.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H

#include "lib/transport/intake.h"
#include "lib/transport/socket.h"
#include "sock.h"
#include "sock_fds.h"
#include "weir/unix.h"

#include <string.h>

_Static_assert(WEIR_FDS_MAX <= UINT8_MAX, "fd_limit has 8 bits");

enum wr_recv_state {
    WR_RECV_IDLE,       /* nothing in the kernel */
    WR_RECV_ARMED,      /* a receive or a poll for bytes is in flight */
    WR_RECV_CANCELLING, /* and is being cancelled; may still bring bytes */
    WR_RECV_STATES,
};

/* Fields that few sockets have: made on first use, freed with it. The first
 * part says where received bytes go that do not go into buffers of the pool:
 * memory that a buffered protocol has lent, or another socket. */
struct wr_sock_extra {
    struct weir_protocol_binding binding; /* of the protocol that has asked */
    void *buf;                            /* NULL: none is lent */
    size_t len; /* received into buf; the protocol does not know yet */
    struct wr_splicing *splicing; /* NULL: none was asked for */
    struct wr_sock_names *names;  /* NULL: ask the kernel */
    struct wr_sock_fds *fds;      /* made on first use */
};

/* The clock of a socket, and its looks at the kernel's queue. */
struct wr_sock_clock {
    struct wr_clock clock;
    uint64_t linger_ns;    /* when lingering began, or all bytes were found
                            * acknowledged; 0: not lingering */
    uint64_t looked_ns;    /* time of the last look at the kernel's queue */
    uint64_t look_wait_ns; /* lingering: time from looked_ns to the next look */
    uint64_t watch_ns; /* when a poll is to watch the peer; 0: not to come */
    int looked_bytes;  /* in the queue then, and one; 0: not looked yet */
    bool is_acked;     /* lingering: set by the look that found it */
};

/* Addresses, kept because the kernel forgets them at the end. */
struct wr_sock_names {
    struct weir_address peername;
    struct weir_address sockname;
    struct weir_peercred peercred; /* pid 0: unknown */
};

struct wr_sock {
    struct wr_connection c;
    enum wr_recv_state recv_state : 8; /* set by sock_recv_set_state() alone */
    uint8_t small_receives;            /* in a row, while it moves bulk */
    uint8_t unasked;        /* full receives until the kernel is asked again */
    uint8_t yes_count;      /* answers in a row that it had more; at most 3 */
    uint8_t fd_limit;       /* descriptors for the protocol at a time */
    bool has_received : 1;  /* set by the first bytes */
    bool armed_once : 1;    /* the receive ends with the first bytes */
    bool moves_bulk : 1;    /* receives bulk; see sock_bulk.c */
    bool always_polls : 1;  /* moves bulk for ever; see sock_bulk.c */
    bool polls_bytes : 1;   /* the operation of recv_op is a poll */
    bool expects_bytes : 1; /* moves bulk, and the last receive left some */
    bool eof_doubted : 1;   /* set with eof_seen, until the send has ended */
    bool recv_failed : 1;   /* set by the receive that returned an error */
    bool has_sent : 1;      /* set before the first bytes are sent */
    bool write_shut : 1;    /* set when SHUT_WR was called */
    bool sends_file : 1;    /* set while there is a sender */
    bool sends_fds : 1;     /* set while descriptors wait to be sent */
    bool sent_short : 1;    /* set when a send or poll ends; see stuck_bytes */
    bool hup_seen : 1;      /* set when the watch need not be armed again */
    bool fin_seen : 1;      /* set by a poll for room that a FIN ended */
    bool has_waited : 1;    /* set when a send waits for room */
    bool resets : 1;        /* set when the peer shall see a reset */
    bool takes_fds : 1;     /* set by the maker: descriptors may arrive */
    bool rests : 1;         /* set while descriptors are being closed */
    bool closes_late : 1;   /* set a turn after its loss; see sock_close() */

    struct wr_op send_op; /* the send; the poll for room while it is stalled */
    struct wr_turn_end turn_end;

    struct wr_op recv_op;
    struct wr_op poll_op; /* watches for a hang-up */

    struct wr_sock_extra *extra; /* or NULL */
};

static inline struct wr_sock *wr_sock_of(const weir_transport *t)
{
    return (struct wr_sock *)(uintptr_t)t; /* its first field */
}

/* The socket's clock, if there is one. */
static inline struct wr_sock_clock *wr_sock_clock_of(const struct wr_sock *s)
{
    return (struct wr_sock_clock *)(uintptr_t)s->c.clock; /* its first field */
}

/* sock.c */

/* Makes a socket in state NEW; NULL without memory. */
WEIR_MUST_USE struct wr_sock *
wr_sock_make(weir_loop *loop, int fd, const struct wr_sock_options *options);

/* Facts for the connection's decision. */
bool wr_sock_holds_queue(const struct wr_connection *c);
bool wr_sock_is_in_flight(const struct wr_connection *c);
bool wr_sock_has_delivered_all(const struct wr_connection *c);

/* Asks the kernel for the addresses and keeps them. */
void wr_sock_remember_names(struct wr_sock *s);

/* True if @t is a stream socket. */
bool wr_sock_is_kind(const weir_transport *t);

/* sock_send.c */
int wr_sock_write(weir_transport *t, const void *data, size_t len);
/* weir_transport_send_fds(), with 1 to WEIR_FDS_MAX descriptors. */
int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count);
/* Entries of the table. */
void wr_sock_queued(weir_transport *t, size_t len);
void wr_sock_file_begins(weir_transport *t);
void wr_sock_file_ended(weir_transport *t);
int64_t wr_sock_splice_file(weir_transport *t, struct wr_sendfile *file);
int wr_sock_send_part(weir_transport *t, const void *data, size_t len);
void wr_sock_file_went(weir_transport *t, int err);
bool wr_sock_withdraw_file(weir_transport *t);
void wr_sock_send_init(struct wr_sock *s);
/* The slow half of a send's or poll's end; false: the poll continues. */
WEIR_MUST_USE bool wr_sock_send_ended(struct wr_sock *s, int32_t res);
/* While the socket opens: its first send has ended, or the poll for the answer
 * to the SYN. */
WEIR_MUST_USE bool wr_sock_send_ended_opening(struct wr_sock *s, int32_t res);
const struct wr_sendq *wr_sock_get_unoffered(const weir_transport *t);
/* The socket has sent before, on another loop. */
void wr_sock_send_go_on_from(struct wr_sock *s);
/* Handles a failed send; @err may break the connection. */
void wr_sock_send_failed(struct wr_sock *s, int err);

/* The first send will connect the NEW socket. */
void wr_sock_opening_begin(struct wr_sock *s);

/* sock_recv.c */
wr_account_over_fn wr_sock_account_over;
/* Arms or cancels the receive, or watches, by the table of actions. */
void wr_sock_update_recv(struct wr_connection *c);
/* Ends the receive of a socket that is not OPEN, unless it lingers. */
void wr_sock_recv_stop(struct wr_connection *c);
/* Handles the last completion of the receive or of the poll for bytes. */
void wr_sock_recv_ended(struct wr_sock *s);
/* Handles a failed receive or poll for bytes. */
void wr_sock_recv_failed(struct wr_sock *s, int err);
/* True if the protocol wants bytes and does not lend memory for them. */
bool wr_sock_recv_may_fill(const struct wr_sock *s);
/* Asks the budget for credit, at least WR_CREDIT_MIN; 0: the socket waits for
 * credit or a buffer. */
WEIR_MUST_USE uint32_t wr_sock_recv_ask(struct wr_sock *s);
/* Handles a completion without bytes in the pool. */
void wr_sock_recv_other(struct wr_sock *s, int32_t res, uint32_t flags);
/* Cancels the receive in flight if it fills buffers of the pool, as its credit
 * is now more than the socket may use. The next one follows. */
void wr_sock_recv_revoke(struct wr_sock *s);
/* From now on, every receive is a poll and a system call. */
void wr_sock_recv_by_polls(struct wr_sock *s);
/* Cancels the operations in flight. */
void wr_sock_end_recv(struct wr_sock *s);

/* Handles a completion of the poll. */
void wr_sock_watched(struct wr_sock *s, int32_t res);

/* sock_bulk.c */
/* Handles the completion of the poll for bytes. */
void wr_sock_bulk_polled(struct wr_sock *s, int32_t res);
/* Receives, because the socket was due and is fed. */
void wr_sock_bulk_receive(struct wr_sock *s);

/* `splice_to` of the table. */
int wr_sock_splice_to(weir_transport *t, struct wr_splicing *splicing);

/* Makes `extra`, unless there is one: 0 or -ENOMEM. */
WEIR_MUST_USE static inline int wr_sock_make_extra(struct wr_sock *s)
{
    if (!s->extra) {
        s->extra = wr_alloc(&s->c.t.loop->counting, sizeof(*s->extra));
        wr_require(s->extra, -ENOMEM);
        memset(s->extra, 0, sizeof(*s->extra));
    }
    return 0;
}

/* Delivers received bytes in a borrowed lease, and ends the borrow. */
void wr_sock_received(struct wr_sock *s, weir_lease *lease);
/* Holds received bytes that were copied, in a lease with one reference; the
 * step delivers them. */
void wr_sock_received_copy(struct wr_sock *s, weir_lease *lease);
/* Decides, after the end of a send, whether the stream has ended. */
void wr_sock_confirm_eof(struct wr_sock *s);
/* Delivers held bytes until the protocol takes no more. */
void wr_sock_deliver_held(struct wr_connection *c);
/* Gives lent memory back, and holds a copy of its bytes behind the held bytes:
 * a protocol lends one piece of memory at a time, and delivering held bytes may
 * need that piece. False: the kernel still uses the memory, or the bytes are
 * lost for want of memory. */
WEIR_MUST_USE bool wr_sock_take_back_lent(struct wr_sock *s);
/* Gives lent memory back if nothing was received into it. */
void wr_sock_return_lent(struct wr_sock *s);
/* Gives lent memory back, and drops bytes in it. */
void wr_sock_drop_lent(struct wr_sock *s);

/* sock_linger.c */
/* Entries of the table, for the limits of time. */
void wr_sock_view_time(const weir_transport *t, struct wr_clock_view *ret);
void wr_sock_time_expired(weir_transport *t, const struct wr_deadline *over);
uint64_t wr_sock_next_look_ns(const weir_transport *t);
bool wr_sock_look_at_queue(weir_transport *t);
/* In state CLOSING, when everything is sent: begins to linger if closing the
 * descriptor might destroy bytes, or the program has set a linger time. */
bool wr_sock_linger(struct wr_connection *c);
/* Sends a FIN, unless one was sent. */
void wr_sock_shut(struct wr_sock *s);
/* True if the peer may not have all sent bytes. */
WEIR_MUST_USE bool wr_sock_linger_owes(const struct wr_sock *s);
/* A socket that is not OPEN has received and dropped bytes; may end lingering.
 */
void wr_sock_note_dropped(struct wr_sock *s, uint32_t bytes);
/* `get_unacknowledged` of the table. */
uint64_t wr_sock_get_unacknowledged(const weir_transport *t);

/* sock_state.c: entries of the table. */
void wr_sock_check_invariants(const struct wr_connection *c);
void wr_sock_check_progress(const struct wr_connection *c);
void wr_sock_dump(const struct wr_connection *c, FILE *out);

/* Sends the queue at the end of the turn, or after the send in flight. */
static inline void wr_sock_make_dirty(struct wr_sock *s)
{
    wr_debug_assert(!wr_sendq_is_empty(&s->c.outbox.queue));
    wr_debug_assert(s->c.t.state < WR_LIFE_DOOMED);
    if (!s->send_op.in_flight) {
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
    }
}

static inline void wr_sock_begin_bulk(struct wr_sock *s)
{
    wr_debug_assert(s->c.t.state < WR_LIFE_LOST);
    s->moves_bulk = true;
    s->small_receives = 0;
    s->unasked = 0;
    s->yes_count = 0;
}

/* Lets a poll notice that the peer hangs up. It stays armed when reading
 * resumes: no submission at each pause. */
static inline void wr_sock_watch(struct wr_sock *s)
{
    if (!s->poll_op.in_flight && !s->hup_seen) {
        wr_prep_poll(&s->c.t.loop->uring, &s->poll_op, s->c.t.fd, 0, true);
    }
}

/* Bytes of the send queue that the kernel has no room for: a send or poll of an
 * earlier turn is in flight, or the last send was short. What a close receives
 * is dropped, and waits for no room. */
static inline uint64_t wr_sock_stuck_bytes(const struct wr_sock *s)
{
    return (s->send_op.in_flight || s->sent_short) &&
                   s->c.t.state == WR_LIFE_OPEN
               ? s->c.outbox.queue.bytes
               : 0;
}

/* True if the socket receives while it closes, because it lingers or will. */
static inline bool wr_sock_lingers(const struct wr_sock *s)
{
    return s->c.t.state == WR_LIFE_LINGERING ||
           (s->c.t.state == WR_LIFE_CLOSING && s->c.clock &&
            wr_clock_get_limits(s->c.clock)->linger_ns != 0);
}

/* The batches of descriptors to send; NULL: there was none yet. */
static inline struct wr_sock_fds *wr_sock_fds_of(const struct wr_sock *s)
{
    return s->extra ? s->extra->fds : NULL;
}

/* True if the protocol has lent memory for receiving. */
static inline bool wr_sock_has_lent(const struct wr_sock *s)
{
    return s->extra && s->extra->buf;
}

/* True if bytes were received that the protocol has not seen. */
static inline bool wr_sock_has_kept(const struct wr_sock *s)
{
    return wr_delivery_has_held(&s->c.delivery) ||
           (s->extra && s->extra->len > 0);
}

/* True, in a broken connection, if no byte is left in the kernel. Bytes that
 * arrived before a reset can be read after it; while reading is paused they
 * stay in the kernel. */
static inline bool wr_sock_has_read_all(const struct wr_sock *s)
{
    return s->c.t.eof_seen || s->recv_failed ||
           (wr_delivery_is_paused(&s->c.delivery) &&
            wr_sys_inq(s->c.t.fd) <= 0);
}

static inline void wr_sock_note_sent(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->c.clock != NULL)) {
        wr_clock_note_sent(s->c.clock);
        wr_sock_clock_of(s)->looked_bytes = 0;
    }
}

#endif
