/*
 * The inside of stream sockets, for their files. A socket is a connection
 * (connection.h), whose device has these files; calls go down only, from each
 * file to the files below it:
 *
 *     sock_open.c     making one of a descriptor
 *     sock.c          the device: completions, its end, what is told
 *     sock_write.c    writes on their way into the send queue
 *     sock_file.c     a file on its way to the kernel
 *     sock_send.c     the send queue on its way to the kernel
 *     sock_bulk.c     receiving much, one connection after the other
 *     sock_splice.c   bulk that goes on to another socket without a copy
 *     sock_fds.c      descriptors that go along with bytes of a Unix socket
 *     sock_recv.c     the receive state machine
 *     sock_watch.c    the poll that watches the peer
 *     sock_deliver.c  received bytes on their way to the protocol
 *     sock_linger.c   an end that waits until the peer has what was written
 *     sock_state.c    facts for the connection's decision, the invariants
 *     sock_name.c     addresses, the credentials of a Unix socket's peer
 *     sock_move.c     leaving a loop, and arriving on another (above sock.c)
 *
 * The files below sock.c note what happened; sock.c advances the connection at
 * the end of the completion, and so does the step.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H

#include "lib/transport/connection.h"
#include "lib/transport/socket.h"
#include "sock.h"
#include "sock_fds.h"
#include "weir/unix.h"

_Static_assert(WEIR_FDS_MAX <= UINT8_MAX, "fd_limit has 8 bits");

enum wr_recv_state {
    WR_RECV_IDLE,       /* nothing in the kernel */
    WR_RECV_ARMED,      /* a receive or a poll for bytes is in flight */
    WR_RECV_CANCELLING, /* and is being cancelled; may still bring bytes */
    WR_RECV_STATES,
};

/* Where received bytes go that do not go into buffers of the pool: memory that
 * a buffered protocol has lent, or another socket. */
struct wr_sock_into {
    struct weir_protocol_binding binding; /* of the protocol that has asked */
    void *buf;                            /* NULL: none is lent */
    size_t len; /* received into buf; the protocol does not know yet */
    struct wr_splicing *splicing; /* NULL: none was asked for */
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

    struct wr_op send_op; /* the send; the poll for room while it is stalled */
    struct wr_turn_end turn_end;

    struct wr_op recv_op;
    struct wr_op poll_op; /* watches for a hang-up */

    struct wr_sock_into *into;   /* made on first use */
    struct wr_sock_names *names; /* NULL: ask the kernel */
    struct wr_sock_fds *fds;     /* made on first use */
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
/* Adds the socket to the loop and its set. */
void wr_sock_begin(struct wr_sock *s);

/* True if @t is a stream socket. */
bool wr_sock_is_kind(const weir_transport *t);

/* sock_write.c */
int wr_sock_write(weir_transport *t, const void *data, size_t len);
/* weir_transport_send_fds(), with 1 to WEIR_FDS_MAX descriptors. */
int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count);
extern const struct wr_outbox_ops wr_sock_outbox_ops;

/* sock_send.c */
void wr_sock_send_init(struct wr_sock *s);
/* The slow half of a send's or poll's end; false: the poll continues. */
WEIR_MUST_USE bool wr_sock_send_ended(struct wr_sock *s, int32_t res);
/* While the socket opens: its first send has ended, or the poll for the answer
 * to the SYN. */
WEIR_MUST_USE bool wr_sock_send_ended_opening(struct wr_sock *s, int32_t res);
const struct wr_sendq *wr_sock_get_unoffered(const weir_transport *t);
/* Switches to sends that carry descriptors, because some wait. */
void wr_sock_send_fds_too(struct wr_sock *s);
/* The socket has sent before, on another loop. */
void wr_sock_send_go_on_from(struct wr_sock *s);
/* Sends the queue, or the next piece of the file, at the end of the turn. */
void wr_sock_send_file_later(struct wr_sock *s);
/* Cancels the operations in flight. */
void wr_sock_end_send(struct wr_sock *s);
/* Removes the file's bytes among the last @waiting bytes of the queue, which
 * will not be sent; leaves them if the whole queue will be dropped. */
void wr_sock_send_no_more_of_file(struct wr_sock *s, uint64_t waiting);
/* Polls for room, because the kernel's queue is full. */
void wr_sock_send_wait_for_room(struct wr_sock *s);
/* Handles a failed send; @err may break the connection. */
void wr_sock_send_failed(struct wr_sock *s, int err);

/* sock_opening.c */
/* The first send will connect the NEW socket. */
void wr_sock_opening_begin(struct wr_sock *s);
/* The poll for the answer to the SYN has ended with these @events: 0, or the
 * error of connecting. */
WEIR_MUST_USE int wr_sock_opening_ended(struct wr_sock *s, uint32_t events);

/* sock_file.c */
extern const struct wr_sender_ops wr_sock_sender_ops;
/* Sends the file when the queue is empty. */
void wr_sock_file_begins(weir_transport *t);
void wr_sock_file_ended(weir_transport *t);

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
/* Cancels the receive in flight if it fills buffers of the pool: its credit is
 * now more than the socket may use, or it may have missed the end. The next one
 * follows. */
void wr_sock_recv_revoke(struct wr_sock *s);
/* Cancels the operations in flight. */
void wr_sock_end_recv(struct wr_sock *s);

/* sock_watch.c */
/* Watches some time after the peer's end of stream, by the clock; without
 * memory for it, at once. */
void wr_sock_watch_later(struct wr_sock *s);
/* Lets a poll see the end that the receive may miss; that of a Unix socket
 * misses none. */
void wr_sock_watch_end(struct wr_sock *s);
/* The program closes a socket whose peer has ended, before a poll has begun to
 * watch the peer: a reset behind the end is known to the kernel alone. */
void wr_sock_ask_for_reset(struct wr_sock *s);
/* Handles a completion of the poll. */
void wr_sock_watched(struct wr_sock *s, int32_t res);

/* sock_bulk.c */
/* Handles the completion of the poll for bytes. */
void wr_sock_bulk_polled(struct wr_sock *s, int32_t res);
/* Receives, because the socket was due and is fed. */
void wr_sock_bulk_receive(struct wr_sock *s);

/* sock_splice.c */
/* True if the protocol has asked for a splicing that is possible now, and many
 * bytes may wait: the last receive has left some, the last bytes were spliced,
 * or @credit is as large. */
bool wr_sock_may_splice(const struct wr_sock *s, uint32_t credit);
/* Moves bulk to the other socket, if it may be spliced and enough waits: the
 * bytes that were taken from the kernel, 0: receive them. Those that the other
 * socket has not taken are in *ret_rest, in borrowed leases, to be delivered.
 * *ret_has_more: other bytes wait; written if bytes were taken. */
WEIR_MUST_USE uint32_t wr_sock_splice(struct wr_sock *s, weir_lease **ret_rest,
                                      bool *ret_has_more);
/* `splice_to` of the table. */
int wr_sock_splice_to(weir_transport *t, struct wr_splicing *splicing);

/* sock_deliver.c */
/* Makes `into`, unless there is one: 0 or -ENOMEM. */
WEIR_MUST_USE int wr_sock_make_into(struct wr_sock *s);
/* Delivers received bytes in a borrowed lease, and ends the borrow. */
void wr_sock_received(struct wr_sock *s, weir_lease *lease);
/* Holds received bytes that were copied, in a lease with one reference; the
 * step delivers them. */
void wr_sock_received_copy(struct wr_sock *s, weir_lease *lease);
/* Delivers bytes that were received into lent memory. */
void wr_sock_received_into(struct wr_sock *s, size_t len);
/* Handles a receive that returned 0. */
void wr_sock_received_eof(struct wr_sock *s);
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
void wr_sock_return_into(struct wr_sock *s);
/* Gives lent memory back, drops bytes in it, and frees `into`. */
void wr_sock_free_into(struct wr_sock *s);

/* sock_linger.c */
extern const struct wr_clock_ops wr_sock_clock_ops;
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

/* sock_state.c */
bool wr_sock_holds_queue(const struct wr_connection *c);
bool wr_sock_is_in_flight(const struct wr_connection *c);
bool wr_sock_has_delivered_all(const struct wr_connection *c);
void wr_sock_check_invariants(const struct wr_connection *c);
void wr_sock_check_progress(const struct wr_connection *c);
void wr_sock_dump(const struct wr_connection *c, FILE *out);

/* sock_name.c */
void wr_sock_get_peername(const weir_transport *t, struct weir_address *ret);
void wr_sock_get_sockname(const weir_transport *t, struct weir_address *ret);
int wr_sock_get_socket(const weir_transport *t);
/* Asks the kernel for the addresses and keeps them. */
void wr_sock_remember_names(struct wr_sock *s);
void wr_sock_forget_names(struct wr_sock *s);

int wr_unix_get_extra_info(const weir_transport *t, const char *name,
                           struct weir_extra_info *ret);
/* Asks for the credentials of a Unix socket's peer; the pid is 0 on an error or
 * for another socket. */
void wr_unix_ask_peercred(const struct wr_sock *s, struct weir_peercred *ret);

/* The smallest receive that starts bulk on any connection. */
#define WR_BULK_LEAST (64 << 10)

/* Starts bulk if a receive has ended with many bytes: enough for any
 * connection, or half of what this one may hold. A receive into a plain buffer
 * never starts it. */
static inline void wr_sock_bulk_look(struct wr_sock *s, int32_t res)
{
    wr_debug_assert(s->recv_state == WR_RECV_IDLE);
    if (WR_UNLIKELY(res > (int32_t)WR_POOL_PLAIN_SIZE) &&
        (res >= WR_BULK_LEAST ||
         (uint64_t)res >= s->c.t.demand.account.limit_bytes / 2)) {
        s->moves_bulk = true;
        s->small_receives = 0;
        s->unasked = 0;
        s->yes_count = 0;
    }
}

/* Sends the queue at the end of the turn, or after the send in flight. */
static inline void wr_sock_make_dirty(struct wr_sock *s)
{
    wr_debug_assert(!wr_sendq_is_empty(&s->c.outbox.queue));
    wr_debug_assert(s->c.t.state < WR_LIFE_DOOMED);
    if (!s->send_op.in_flight) {
        wr_loop_at_turn_end(s->c.t.loop, &s->turn_end);
    }
}

/* Lets a poll notice that the peer hangs up. It stays armed when reading
 * resumes: no submission at each pause. */
static inline void wr_sock_watch(struct wr_sock *s)
{
    if (!s->poll_op.in_flight && !s->hup_seen) {
        wr_prep_poll(&s->c.t.loop->uring, &s->poll_op, s->c.fd, 0, true);
    }
}

/* True on the fast path after a completion: open, no error, receive armed. */
static inline bool wr_sock_is_settled(const struct wr_sock *s)
{
    return s->c.t.state == WR_LIFE_OPEN && s->c.t.error == 0 &&
           s->recv_state == WR_RECV_ARMED;
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
            s->c.clock->limits.linger_ns != 0);
}

/* True if a socket that is not OPEN receives, and drops what comes. It lingers;
 * or its own bytes have had to wait for room, as those of a peer may that
 * closes as well and reads nothing: each would wait for the other for ever. */
static inline bool wr_sock_drops(const struct wr_sock *s)
{
    return wr_sock_lingers(s) ||
           (s->c.t.state == WR_LIFE_CLOSING && s->has_waited &&
            s->c.outbox.dropped_bytes < WR_END_DROP_BYTES);
}

/* True if the protocol has lent memory for receiving. */
static inline bool wr_sock_has_lent(const struct wr_sock *s)
{
    return s->into && s->into->buf;
}

/* True if bytes were received that the protocol has not seen. */
static inline bool wr_sock_has_kept(const struct wr_sock *s)
{
    return wr_delivery_has_held(&s->c.delivery) ||
           (s->into && s->into->len > 0);
}

/* True, in a broken connection, if no byte is left in the kernel. Bytes that
 * arrived before a reset can be read after it; while reading is paused they
 * stay in the kernel. */
static inline bool wr_sock_has_read_all(const struct wr_sock *s)
{
    return s->c.eof_seen || s->recv_failed ||
           (wr_delivery_is_paused(&s->c.delivery) && wr_sys_inq(s->c.fd) <= 0);
}

static inline void wr_sock_note_sent(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->c.clock != NULL)) {
        wr_clock_note_sent(s->c.clock);
        wr_sock_clock_of(s)->looked_bytes = 0;
    }
}

/* Handles the common end of a send: it took the whole queue of an intact
 * connection, and nothing waits for it except a close. Otherwise false, without
 * effect. */
static inline bool wr_sock_send_took_all(struct wr_sock *s, int32_t res)
{
    weir_loop *loop = s->c.t.loop;

    wr_debug_assert(s->c.t.state <= WR_LIFE_CLOSING && s->c.t.error == 0);
    if (WR_UNLIKELY(res <= 0 || s->c.t.notify_depth >= 0 || s->sends_file ||
                    s->sends_fds || s->sent_short ||
                    !wr_sendq_consume_all(&s->c.outbox.queue,
                                          &loop->send_memory, (uint32_t)res))) {
        return false;
    }
    wr_budget_unqueue(&loop->budget, (uint32_t)res);
    wr_transport_count_sent(&s->c.t, (uint32_t)res);
    wr_sock_note_sent(s);
    return true;
}

#endif
