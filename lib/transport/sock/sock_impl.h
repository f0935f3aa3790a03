/*
 * Internals of stream sockets. A socket is a connection (connection.h). The
 * files of its device note what happened. At the end of a completion sock.c
 * continues to receive, or leaves the decision to the step. A file calls only
 * files after it in this list: sock_move.c, sock.c, sock_bulk.c, sock_send.c,
 * sock_recv.c, sock_linger.c, sock_state.c, sock_fds.c.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H

#include "lib/loop/loop.h"
#include "lib/transport/intake.h"
#include "lib/transport/socket.h"
#include "sock.h"
#include "uring/closer.h"
#include "weir/unix.h"

#include <string.h>

struct wr_sock;
struct wr_fd_batch;

struct wr_sock_fds {
    struct wr_fd_batch *first;
    struct wr_fd_batch *last;
    uint64_t taken_bytes; /* bytes taken by the kernel while batches wait */
    uint32_t waiting_count;
    struct wr_closer *closer; /* closes received descriptors; may be NULL */
};

/* Queues duplicates, sent with the next written byte. Returns 0, -EBADF,
 * -EMFILE, -ENOMEM, -EINVAL for an io_uring, or -ENOBUFS if too many wait. */
WEIR_MUST_USE int wr_sock_fds_push(struct wr_sock *s, const int *fds,
                                   size_t count);
/* Undoes wr_sock_fds_push(), because its byte was not written. */
void wr_sock_fds_take_back(struct wr_sock *s);
/* Returns the maximum number of bytes of the next send. */
uint64_t wr_sock_fds_reach(const struct wr_sock *s);
/* True if the next send must be wr_sock_fds_send(). */
bool wr_sock_fds_are_next(const struct wr_sock *s);
void wr_sock_fds_send(struct wr_sock *s, const struct iovec *piece);
void wr_sock_fds_took(struct wr_sock *s, uint64_t bytes);
void wr_sock_fds_drop(struct wr_sock *s);
/* Closes refused descriptors, in a thread, because the peer chose them. */
void wr_sock_fds_discard(weir_transport *t, const int *fds, size_t count);
/* True while received descriptors are being closed. The socket then receives
 * nothing, and the step is scheduled afterwards. */
WEIR_MUST_USE bool wr_sock_fds_rest(struct wr_sock *s);
void wr_sock_fds_close_own(struct wr_sock *s);
void wr_sock_fds_free(struct wr_sock *s);
void wr_sock_check_fds(const struct wr_sock *s);

_Static_assert(WEIR_FDS_MAX <= UINT8_MAX, "fd_limit has 8 bits");

enum wr_recv_state {
    WR_RECV_IDLE,
    WR_RECV_ARMED,      /* a receive or a poll is in flight */
    WR_RECV_CANCELLING, /* being cancelled, and may still receive bytes */
    WR_RECV_STATES,
};

/* Fields that few sockets use, made on first use: for lent memory of a buffered
 * protocol, splicing, addresses and descriptors. */
struct wr_sock_extra {
    /* The protocol that has lent memory or requested the splicing. */
    struct weir_protocol_binding binding;
    void *buf;  /* lent memory, or NULL */
    size_t len; /* received into buf and not reported */
    struct wr_splicing *splicing;
    struct wr_sock_names *names;
    struct wr_sock_fds *fds;
};

/* The clock of a socket, and its checks of the kernel's queue. */
struct wr_sock_clock {
    struct wr_clock clock;
    /* Start of lingering, or time when all was found acknowledged; or 0. */
    uint64_t linger_ns;
    uint64_t looked_ns;    /* time of the last check of the kernel's queue */
    uint64_t look_wait_ns; /* lingering: from looked_ns to the next check */
    /* Time of the start of a poll that watches the peer; 0 means never. */
    uint64_t watch_ns;
    /* Bytes in the kernel's queue at the last check, plus one; or 0. */
    int looked_bytes;
    bool is_acked; /* lingering: all bytes were found acknowledged */
};

struct wr_sock_names {
    struct weir_address peername;
    struct weir_address sockname;
    struct weir_peercred peercred; /* pid is 0 if unknown */
};

struct wr_sock {
    struct wr_connection c;
    enum wr_recv_state recv_state : 8; /* set by sock_recv_set_state() alone */
    /* Small receives in a row, while the socket moves bulk. */
    uint8_t small_receives;
    uint8_t unasked; /* full receives before the next SIOCINQ */
    /* Times in a row, at most 3, that the kernel had more bytes. */
    uint8_t yes_count;
    /* Maximum descriptors of one fds_received; 0 if they are refused. */
    uint8_t fd_limit;
    bool has_received : 1;
    bool armed_once : 1;    /* the receive ends with its first bytes */
    bool moves_bulk : 1;    /* see sock_bulk.c */
    bool always_polls : 1;  /* moves_bulk stays set */
    bool polls_bytes : 1;   /* recv_op is a poll */
    bool expects_bytes : 1; /* moves bulk, and the last receive left bytes */
    bool eof_doubted : 1;   /* set with eof_seen until the send has ended */
    bool recv_failed : 1;   /* a receive has returned an error */
    bool has_sent : 1;      /* set before the first bytes are sent */
    bool sends_file : 1;
    bool sends_fds : 1;
    bool sent_short : 1; /* the last send left bytes in the queue */
    bool hup_seen : 1;   /* set when no new watch is needed */
    bool fin_seen : 1;   /* set when a FIN ended a poll for space */
    bool has_waited : 1; /* set when a send waits for space */
    bool resets : 1;
    bool rests : 1; /* set while received descriptors are being closed */

    struct wr_op send_op; /* also the poll for space */
    struct wr_turn_end turn_end;

    struct wr_op recv_op;
    struct wr_op poll_op;

    struct wr_sock_extra *extra;
};

static inline struct wr_sock *wr_sock_of(const weir_transport *t)
{
    return (struct wr_sock *)(uintptr_t)t;
}

static inline struct wr_sock_clock *wr_sock_clock_of(const struct wr_sock *s)
{
    return (struct wr_sock_clock *)(uintptr_t)s->c.clock;
}

WEIR_MUST_USE struct wr_sock *
wr_sock_make(weir_loop *loop, int fd, const struct wr_sock_options *options);

bool wr_sock_holds_queue(const struct wr_connection *c);
bool wr_sock_is_in_flight(const struct wr_connection *c);
bool wr_sock_has_delivered_all(const struct wr_connection *c);

void wr_sock_remember_names(struct wr_sock *s);

bool wr_sock_is_kind(const weir_transport *t);

static inline bool wr_sock_is_unix(const weir_transport *t)
{
    return t->ops->send_fds != NULL;
}

int wr_sock_write(weir_transport *t, const void *data, size_t len);
int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count);
void wr_sock_queued(weir_transport *t, size_t len);
void wr_sock_file_begins(weir_transport *t);
void wr_sock_file_ended(weir_transport *t);
int64_t wr_sock_splice_file(weir_transport *t, struct wr_sendfile *file);
int wr_sock_send_part(weir_transport *t, const void *data, size_t len);
void wr_sock_file_went(weir_transport *t, int err);
bool wr_sock_withdraw_file(weir_transport *t);
void wr_sock_send_init(struct wr_sock *s);
/* Handles uncommon ends of a send or poll. False if the poll continues. */
WEIR_MUST_USE bool wr_sock_send_ended(struct wr_sock *s, int32_t res);
/* Like wr_sock_send_ended(), for a send or poll of a socket that opens. */
WEIR_MUST_USE bool wr_sock_send_ended_opening(struct wr_sock *s, int32_t res);
const struct wr_sendq *wr_sock_get_unoffered(const weir_transport *t);
/* Marks a socket that has sent bytes before, for example on another loop. */
void wr_sock_send_go_on_from(struct wr_sock *s);
void wr_sock_send_failed(struct wr_sock *s, int err);

/* Makes the first send connect the NEW socket. */
void wr_sock_opening_begin(struct wr_sock *s);

wr_account_over_fn wr_sock_account_over;
void wr_sock_update_recv(struct wr_connection *c);
/* Ends the receive in CLOSING, unless bytes must be dropped. */
void wr_sock_recv_stop(struct wr_connection *c);
void wr_sock_recv_ended(struct wr_sock *s);
void wr_sock_recv_failed(struct wr_sock *s, int err);
/* True if the protocol wants bytes and lends no memory for them. */
bool wr_sock_recv_may_fill(const struct wr_sock *s);
/* Returns a receive window, or 0 if the socket waits for it or for a buffer. */
WEIR_MUST_USE uint32_t wr_sock_recv_ask(struct wr_sock *s);
/* Handles a completion without bytes in the pool. */
void wr_sock_recv_other(struct wr_sock *s, int32_t res, uint32_t flags);
/* Cancels a receive into buffers of the pool, whose window is now too large.
 * Another receive follows. */
void wr_sock_recv_revoke(struct wr_sock *s);
/* From now on every receive is a poll and a system call. */
void wr_sock_recv_by_polls(struct wr_sock *s);
void wr_sock_end_recv(struct wr_sock *s);

void wr_sock_watched(struct wr_sock *s, int32_t res);

void wr_sock_bulk_polled(struct wr_sock *s, int32_t res);
/* Receives with a system call. Called from queue DUE of the budget. */
void wr_sock_bulk_receive(struct wr_sock *s);

int wr_sock_splice_to(weir_transport *t, struct wr_splicing *splicing);

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
/* Holds a copy in a lease with one reference; the step delivers it. */
void wr_sock_received_copy(struct wr_sock *s, weir_lease *lease);
/* Called when the send has ended that put the end of the stream in doubt. The
 * end is real unless the send got an error other than -EPIPE. With -EPIPE the
 * socket had no error, or an error after the peer's FIN. */
void wr_sock_confirm_eof(struct wr_sock *s);
void wr_sock_deliver_held(struct wr_connection *c);
/* Returns lent memory to the protocol, and holds a copy of its bytes: the
 * protocol may need the memory for older bytes. Returns false if the kernel
 * still uses the memory, or if bytes were lost for lack of memory. */
WEIR_MUST_USE bool wr_sock_take_back_lent(struct wr_sock *s);
/* Returns lent memory if nothing was received into it. */
void wr_sock_return_lent(struct wr_sock *s);
void wr_sock_drop_lent(struct wr_sock *s);

void wr_sock_view_time(const weir_transport *t, struct wr_clock_view *ret);
void wr_sock_time_expired(weir_transport *t, const struct wr_deadline *over);
uint64_t wr_sock_next_look_ns(const weir_transport *t);
bool wr_sock_look_at_queue(weir_transport *t);
/* Starts to linger if a close might destroy bytes, or a linger time is set. */
bool wr_sock_linger(struct wr_connection *c);
void wr_sock_shut(struct wr_sock *s);
/* True if the peer may not have all sent bytes. */
WEIR_MUST_USE bool wr_sock_linger_owes(const struct wr_sock *s);
/* Counts dropped bytes. May end lingering. */
void wr_sock_note_dropped(struct wr_sock *s, uint32_t bytes);
uint64_t wr_sock_get_unacknowledged(const weir_transport *t);

void wr_sock_check_invariants(const struct wr_connection *c);
void wr_sock_check_progress(const struct wr_connection *c);
void wr_sock_dump(const struct wr_connection *c, FILE *out);

/* Sends the queue at the iteration's end, or after the send in flight. */
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

/* Starts a poll for a hang-up of the peer. The poll stays armed when reading
 * resumes, which saves a submission at each pause. */
static inline void wr_sock_watch(struct wr_sock *s)
{
    if (!s->poll_op.in_flight && !s->hup_seen) {
        wr_prep_poll(&s->c.t.loop->uring, &s->poll_op, s->c.t.fd, 0, true);
    }
}

/* Returns the queued bytes that the kernel has no space for: a send or poll is
 * in flight, or the last send was short. Returns 0 in a close, which needs no
 * space for the bytes that it drops. */
static inline uint64_t wr_sock_stuck_bytes(const struct wr_sock *s)
{
    return (s->send_op.in_flight || s->sent_short) &&
                   s->c.t.state == WR_LIFE_OPEN
               ? s->c.outbox.queue.bytes
               : 0;
}

static inline bool wr_sock_lingers(const struct wr_sock *s)
{
    return s->c.t.state == WR_LIFE_LINGERING ||
           (s->c.t.state == WR_LIFE_CLOSING && s->c.clock &&
            wr_clock_get_limits(s->c.clock)->linger_ns != 0);
}

static inline struct wr_sock_fds *wr_sock_fds_of(const struct wr_sock *s)
{
    return s->extra ? s->extra->fds : NULL;
}

static inline bool wr_sock_has_lent(const struct wr_sock *s)
{
    return s->extra && s->extra->buf;
}

static inline bool wr_sock_has_kept(const struct wr_sock *s)
{
    return wr_delivery_has_held(&s->c.delivery) ||
           (s->extra && s->extra->len > 0);
}

/* True if a broken connection has no byte left in the kernel. Bytes that
 * arrived before a reset can be read; while reading is paused they wait
 * there. */
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
