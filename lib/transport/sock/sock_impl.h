/*
 * The inside of a stream socket, shared by the files that make it up. Calls go
 * one way, from each file to those below it:
 *
 *     sock_open.c     making one of a descriptor
 *     sock.c          life: completions, decisions carried out, loss, freeing
 *     sock_write.c    writes on their way into the send queue
 *     sock_file.c     a file on its way to the kernel
 *     sock_send.c     the send queue on its way to the kernel
 *     sock_bulk.c     receiving much, one connection after the other
 *     sock_fds.c      descriptors that go along with bytes of a Unix socket
 *     sock_recv.c     the receive state machine
 *     sock_deliver.c  received bytes on their way to the protocol
 *     sock_time.c     time-outs
 *     sock_linger.c   an end that waits until the peer has what was written
 *     sock_state.c    the next step, what must always hold, the line of a dump
 *     sock_name.c     addresses, the credentials of a Unix socket's peer
 *
 * Life of a socket (life.h). close() leads from OPEN to CLOSING; abort(), a
 * broken connection, a time-out and a failed callback lead to DOOMED. Then
 * every operation is cancelled, and when the last one has ended the connection
 * is lost. The files below sock.c note what happened, and sock.c decides at the
 * end of the completion, or in the step.
 */
#ifndef WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H
#define WEIR_LIB_TRANSPORT_SOCK_SOCK_IMPL_H

#include "lib/transport/clock.h"
#include "lib/transport/delivery.h"
#include "lib/transport/intake.h"
#include "lib/transport/life.h"
#include "lib/transport/outbox.h"
#include "lib/transport/socket.h"
#include "sock.h"
#include "sock_fds.h"
#include "weir/unix.h"

_Static_assert(WEIR_FDS_MAX <= UINT8_MAX, "fd_limit has 8 bits");

/* The next step of a socket's life. */
enum wr_sock_next {
    WR_SOCK_WAIT,       /* nothing to do before an operation ends */
    WR_SOCK_RECEIVE,    /* the state stays: receive, or stop receiving */
    WR_SOCK_DROP_QUEUE, /* no byte of it will ever be sent */
    WR_SOCK_LINGER,     /* all is sent: wait for the peer, if need be */
    WR_SOCK_DOOM,       /* nothing is left to wait for */
    WR_SOCK_END,        /* cancel what is in flight */
    WR_SOCK_LOSE,       /* nothing is in flight: tell the protocol */
};

enum wr_recv_state {
    WR_RECV_IDLE,       /* nothing in the kernel */
    WR_RECV_ARMED,      /* a receive is in flight, or a poll for bytes */
    WR_RECV_CANCELLING, /* and was asked to end; may still bring data */
    WR_RECV_STATES,
};

/* Memory that a buffered protocol has lent to receive into. */
struct wr_sock_into {
    struct weir_protocol_binding binding; /* whose memory it is */
    void *buf;                            /* NULL: none is lent */
    size_t len; /* received into buf, and not told to the protocol yet */
};

struct wr_sock_times {
    struct wr_clock clock;
    uint64_t linger_ns;    /* when lingering began; 0: it did not */
    uint64_t looked_ns;    /* when the kernel's queue was last asked for */
    uint64_t look_wait_ns; /* lingering: from then to the next look */
    int unacked_bytes;     /* in it then; -1: not asked since sending began */
};

/* Addresses that the kernel has forgotten, or will in a moment. */
struct wr_sock_names {
    struct weir_address peername;
    struct weir_address sockname;
    struct weir_peercred peercred; /* pid 0: is not known */
};

struct wr_sock {
    weir_transport t;
    int fd;
    enum wr_recv_state recv_state : 8; /* set by sock_recv_set_state() alone */
    uint8_t small_receives;  /* one after the other, while it moves bulk */
    uint8_t fd_limit;        /* that the protocol is given at once */
    bool has_received : 1;   /* set by the first bytes */
    bool armed_once : 1;     /* the receive in flight ends with first bytes */
    bool moves_bulk : 1;     /* receives much at a time; see sock_bulk.c */
    bool polls_bytes : 1;    /* the operation of recv_op is a poll */
    bool eof_seen : 1;       /* set by the receive that returned 0 */
    bool eof_doubted : 1;    /* set then, cleared when the send has ended */
    bool recv_failed : 1;    /* set by the receive that returned an error */
    bool has_sent : 1;       /* set before the first bytes are sent */
    bool write_eof : 1;      /* set by write_eof and by lingering */
    bool sends_file : 1;     /* set while there is a sender; for quick looks */
    bool sends_fds : 1;      /* set while descriptors wait to be sent */
    bool write_shut : 1;     /* set when the kernel was told of write_eof */
    bool polls_for_room : 1; /* the operation of send_op is a poll */
    bool sent_short : 1;     /* set when a send or poll ends; see stuck_bytes */
    bool hup_seen : 1;       /* set when the watch has nothing more to see */
    bool fin_seen : 1;       /* set by a poll for room that a FIN ended */
    bool has_waited : 1;     /* set when a send waits for room */
    bool resets : 1;         /* set when the peer is to see a reset */
    bool takes_fds : 1;      /* set at birth: the peer can send descriptors */
    bool rests : 1;          /* set while its peer's are being closed */

    struct wr_op send_op; /* the send, or the poll for room; see above */
    struct wr_turn_end turn_end;
    struct wr_outbox outbox;

    struct wr_op recv_op;
    struct wr_op poll_op;        /* watches a peer that is not read from */
    struct wr_delivery delivery; /* shut from state CLOSING on */

    struct wr_sock_into *into;   /* made on first use */
    struct wr_sock_times *times; /* made on first use */
    struct wr_sock_names *names; /* NULL: the kernel tells them */
    struct wr_sock_fds *fds;     /* made on first use */
};

static inline struct wr_sock *wr_sock_of(const weir_transport *t)
{
    return (struct wr_sock *)(uintptr_t)t; /* its first field */
}

/* sock.c */

/* A socket in state UNBORN, or NULL without memory. */
WEIR_MUST_USE struct wr_sock *
wr_sock_make(weir_loop *loop, int fd, const struct wr_sock_options *options);
/* Takes back one whose protocol was never called. */
void wr_sock_unmake(struct wr_sock *s);
/* From now on the loop and the connection's set know of it. */
void wr_sock_bear(struct wr_sock *s);

/* sock_write.c */
int wr_sock_write(weir_transport *t, const void *data, size_t len);
/* weir_transport_send_fds(), with 1 to WEIR_FDS_MAX descriptors. */
int wr_sock_send_fds(weir_transport *t, const void *data, size_t len,
                     const int *fds, size_t count);
extern const struct wr_outbox_ops wr_sock_outbox_ops;

/* sock_send.c */
void wr_sock_send_init(struct wr_sock *s);
/* Another end of a send, or of a poll for room; false: the poll goes on. */
WEIR_MUST_USE bool wr_sock_send_ended(struct wr_sock *s, int32_t res);
void wr_sock_write_eof(weir_transport *t);
const struct wr_sendq *wr_sock_get_unoffered(const weir_transport *t);
/* The queue leaves by another way from now on: descriptors wait. */
void wr_sock_send_fds_too(struct wr_sock *s);
/* The next piece of a file, or the queue before it, leaves with the turn. */
void wr_sock_send_file_later(struct wr_sock *s);
/* Tells the kernel that no more will be sent, once everything is. */
void wr_sock_shut_when_sent(struct wr_sock *s);
/* Cancels what is in flight. */
void wr_sock_end_send(struct wr_sock *s);
void wr_sock_drop_queue(struct wr_sock *s);
/* The last @waiting bytes of the queue are not sent: those of a file leave it,
 * unless all of it will be dropped. */
void wr_sock_send_no_more_of_file(struct wr_sock *s, uint64_t waiting);
/* The kernel's queue is full: a poll for room. */
void wr_sock_send_wait_for_room(struct wr_sock *s);
/* A send has failed with @err, which may break the connection. */
void wr_sock_send_failed(struct wr_sock *s, int err);
/* Drops the queue of a broken connection, whose protocol may wait for it. */
void wr_sock_drop_broken_queue(struct wr_sock *s);

/* sock_file.c */
extern const struct wr_sender_ops wr_sock_sender_ops;
/* The file is sent once the queue is empty. */
void wr_sock_file_begins(weir_transport *t);
void wr_sock_file_ended(weir_transport *t);

/* sock_recv.c */
void wr_sock_recv_init(struct wr_sock *s);
/* Arms, cancels, watches or leaves alone, by the table of actions. */
void wr_sock_update_recv(struct wr_sock *s);
/* The last completion of the receive, or of the poll for bytes, has come. */
void wr_sock_recv_ended(struct wr_sock *s);
/* The receive, or the poll for bytes, has failed with @err. */
void wr_sock_recv_failed(struct wr_sock *s, int err);
/* True when the protocol wants bytes, and has no memory of its own for them. */
bool wr_sock_recv_may_fill(const struct wr_sock *s);
/* Asks the budget for credit, at least WR_CREDIT_MIN; 0: the socket waits for
 * it, or for a buffer. */
WEIR_MUST_USE uint32_t wr_sock_recv_ask(struct wr_sock *s);
/* A receive without bytes in the pool. */
void wr_sock_recv_other(struct wr_sock *s, int32_t res, uint32_t flags);
/* The poll that watches the peer has ended. */
void wr_sock_recv_watched(struct wr_sock *s, int32_t res);
/* Asks the receive in flight, if there is one, to end. */
void wr_sock_cancel_recv(struct wr_sock *s);
/* Asks it to end if it adds to what the pool holds: it has more credit. */
void wr_sock_recv_revoke(struct wr_sock *s);
/* Cancels what is in flight. */
void wr_sock_end_recv(struct wr_sock *s);
void wr_sock_pause_reading(weir_transport *t);
void wr_sock_resume_reading(weir_transport *t);
void wr_sock_set_read_limit(weir_transport *t, uint64_t bytes);

/* sock_bulk.c */
/* The poll for bytes has completed. */
void wr_sock_bulk_polled(struct wr_sock *s, int32_t res);
/* The socket was due and is fed. */
void wr_sock_bulk_receive(struct wr_sock *s);

/* sock_deliver.c */
/* A receive brought bytes, in a borrowed lease, whose borrow this ends. */
void wr_sock_received(struct wr_sock *s, weir_lease *lease);
/* A receive brought bytes that were copied, in a lease with one reference: the
 * step delivers them. */
void wr_sock_received_copy(struct wr_sock *s, weir_lease *lease);
/* A receive brought bytes into the memory that is lent. */
void wr_sock_received_into(struct wr_sock *s, size_t len);
/* A receive returned 0. */
void wr_sock_received_eof(struct wr_sock *s);
/* A send has ended, which tells whether that was the end of the stream. */
void wr_sock_confirm_eof(struct wr_sock *s);
/* Delivers the bytes that were held, as far as the protocol takes them. */
void wr_sock_deliver_held(struct wr_sock *s);
/* Gives lent memory back if nothing was received into it. */
void wr_sock_return_into(struct wr_sock *s);
/* Gives lent memory back, whatever was received into it, and frees `into`. */
void wr_sock_free_into(struct wr_sock *s);

/* sock_time.c */
/* The limits, and how the protocol stands. */
void wr_sock_get_handover(const weir_transport *t, struct wr_handover *ret);
WEIR_MUST_USE int wr_sock_set_limits(struct wr_sock *s,
                                     const struct weir_timeouts *timeouts);
int wr_sock_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts);
/* A fact that the time-outs depend on has changed. */
void wr_sock_times_changed(struct wr_sock *s);
/* There are times, without limits if there were none; or -ENOMEM. */
WEIR_MUST_USE int wr_sock_times_make(struct wr_sock *s);
void wr_sock_times_stop(struct wr_sock *s);
void wr_sock_times_free(struct wr_sock *s);

/* sock_linger.c */
/* In state CLOSING, when all is sent: true when a close of the descriptor might
 * destroy bytes, or the program wants the peer's end to be waited for. */
WEIR_MUST_USE bool wr_sock_linger_is_due(const struct wr_sock *s);
/* The state was entered. */
void wr_sock_linger_begin(struct wr_sock *s, uint64_t now_ns);
/* True when the peer may not have all the bytes that were sent. */
WEIR_MUST_USE bool wr_sock_linger_owes(const struct wr_sock *s);
/* True when a close destroys nothing any more. */
WEIR_MUST_USE bool wr_sock_linger_look(struct wr_sock *s, uint64_t now_ns);
uint64_t wr_sock_linger_next_look_ns(const struct wr_sock *s);
/* When the wait is given up. */
struct wr_deadline wr_sock_linger_deadline(const struct wr_sock *s);

/* sock_state.c */
/* Decides from the facts what comes next in the socket's life; pure. */
enum wr_sock_next wr_sock_next_step(const struct wr_sock *s);
/* Holds wherever code of the user may run; pure. */
void wr_sock_check_invariants(const struct wr_sock *s);
/* Holds besides between two turns of the loop: something will go on with every
 * socket that is not at its end. */
void wr_sock_check_progress(const struct wr_sock *s);
void wr_sock_dump(const weir_transport *t, FILE *out);

/* wr_sock_check_invariants() on the way of every message. */
static inline void wr_sock_debug_check(const struct wr_sock *s)
{
#ifdef WR_INVARIANTS
    wr_sock_check_invariants(s);
#else
    (void)s;
#endif
}

/* sock_name.c */
void wr_sock_get_peername(const weir_transport *t, struct weir_address *ret);
void wr_sock_get_sockname(const weir_transport *t, struct weir_address *ret);
int wr_sock_get_socket(const weir_transport *t);
/* The addresses can still be told when the descriptor has none any more. */
void wr_sock_remember_names(struct wr_sock *s);
void wr_sock_forget_names(struct wr_sock *s);

int wr_unix_get_extra_info(const weir_transport *t, const char *name,
                           struct weir_extra_info *ret);
/* Asks for the credentials of a Unix socket's peer; of another socket, or on an
 * error, the pid is 0. */
void wr_unix_ask_peercred(const struct wr_sock *s, struct weir_peercred *ret);

/* The least receive that is a sign of bulk, when it ends. One into a plain
 * buffer never does. */
#define WR_BULK_LEAST (64 << 10)

/* A receive has ended with @res bytes, or an error. */
static inline void wr_sock_bulk_look(struct wr_sock *s, int32_t res)
{
    wr_debug_assert(s->recv_state == WR_RECV_IDLE);
    if (WR_UNLIKELY(res >= WR_BULK_LEAST)) {
        s->moves_bulk = true;
        s->small_receives = 0;
    }
}

/* The queue is sent when the turn ends, or a send in flight does. */
static inline void wr_sock_make_dirty(struct wr_sock *s)
{
    wr_debug_assert(!wr_sendq_is_empty(&s->outbox.queue));
    wr_debug_assert(s->t.state < WR_LIFE_DOOMED);
    if (!s->send_op.in_flight) {
        wr_loop_at_turn_end(s->t.loop, &s->turn_end);
    }
}

/* True when the protocol may be called with received bytes. */
static inline bool wr_sock_is_reading(const struct wr_sock *s)
{
    return s->t.state == WR_LIFE_OPEN && wr_delivery_may_show(&s->delivery) &&
           !s->eof_seen && s->t.error == 0;
}

/* True when the socket goes on as it is after a completion. */
static inline bool wr_sock_is_settled(const struct wr_sock *s)
{
    return s->t.state == WR_LIFE_OPEN && s->t.error == 0 &&
           s->recv_state == WR_RECV_ARMED;
}

/* Bytes of the send queue that the kernel has no room for: it was asked in an
 * earlier turn and still is, or has taken only a part. */
static inline uint64_t wr_sock_stuck_bytes(const struct wr_sock *s)
{
    return s->send_op.in_flight || s->sent_short ? s->outbox.queue.bytes : 0;
}

/* True when bytes wait that the kernel has not taken. */
static inline bool wr_sock_has_unsent(const struct wr_sock *s)
{
    return !wr_sendq_is_empty(&s->outbox.queue) || s->sends_file;
}

/* True when a loss leaves a part of a file that the program did not give up; it
 * may have failed in this turn, and the program is not told yet. */
static inline bool wr_sock_file_is_torn(const struct wr_sock *s)
{
    const struct wr_sender *file = s->outbox.sender;
    const bool was_cancelled = file->err == -ECANCELED && s->t.error == 0;

    return wr_sender_is_active(file) || (file->err < 0 && !was_cancelled);
}

/* True when closing reads on: it waits for the peer, or will. */
static inline bool wr_sock_lingers(const struct wr_sock *s)
{
    return s->t.state == WR_LIFE_LINGERING ||
           (s->t.state == WR_LIFE_CLOSING && s->times &&
            s->times->clock.limits.linger_ns != 0);
}

static inline bool wr_sock_is_unix(const struct wr_sock *s)
{
    return s->t.ops->send_fds != NULL;
}

/* True when the protocol has lent memory to receive into. */
static inline bool wr_sock_has_lent(const struct wr_sock *s)
{
    return s->into && s->into->buf;
}

/* True when bytes were received that the protocol has not seen. */
static inline bool wr_sock_has_kept(const struct wr_sock *s)
{
    return wr_delivery_has_held(&s->delivery) || (s->into && s->into->len > 0);
}

/* Of a socket that closes: true when bytes may lie in the kernel because they
 * were not asked for. */
static inline bool wr_sock_withholds(const struct wr_sock *s)
{
    return wr_delivery_is_paused(&s->delivery) || s->moves_bulk ||
           s->t.held_back || s->has_waited;
}

/* Of a broken connection: true when no byte is left in the kernel. Bytes that
 * arrived before a reset can be read after it, and while reading is paused they
 * wait there. */
static inline bool wr_sock_has_read_all(const struct wr_sock *s)
{
    return s->eof_seen || s->recv_failed ||
           (wr_delivery_is_paused(&s->delivery) && wr_sys_inq(s->fd) <= 0);
}

/* Of a socket that has left the state OPEN: the receive ends, or lingers on. */
static inline void wr_sock_recv_stop(struct wr_sock *s)
{
    wr_debug_assert(s->t.state > WR_LIFE_OPEN);
    if (s->recv_state != WR_RECV_IDLE || wr_intake_is_queued(&s->t)) {
        wr_sock_update_recv(s);
    }
}

static inline void wr_sock_note_received(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->times != NULL)) {
        wr_clock_note_received(&s->times->clock);
    }
}

static inline void wr_sock_note_sent(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->times != NULL)) {
        wr_clock_note_sent(&s->times->clock);
        s->times->unacked_bytes = -1;
    }
}

/* A send of a whole connection took all that was queued, as it mostly does, and
 * nothing but a close waits for that; otherwise false, and nothing was changed.
 */
static inline bool wr_sock_send_took_all(struct wr_sock *s, int32_t res)
{
    weir_loop *loop = s->t.loop;

    wr_debug_assert(s->t.state <= WR_LIFE_CLOSING && s->t.error == 0);
    if (WR_UNLIKELY(res <= 0 || s->t.notify_depth >= 0 || s->write_eof ||
                    s->sends_file || s->sends_fds || s->polls_for_room ||
                    s->sent_short ||
                    !wr_sendq_consume_all(&s->outbox.queue, &loop->send_memory,
                                          (uint32_t)res))) {
        return false;
    }
    wr_budget_unqueue(&loop->budget, (uint32_t)res);
    loop->counts.sent_bytes += (uint32_t)res;
    wr_sock_note_sent(s);
    return true;
}

#endif
