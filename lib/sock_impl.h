/*
 * A stream socket's inside, shared by the files that make it up:
 *
 *     sock.c       life: making, closing, losing, freeing; the table of ops
 *     sock_recv.c  the receive state machine
 *     sock_deliver.c  what was received, on its way to the protocol
 *     sock_send.c  the send queue on its way to the kernel
 *     sock_time.c  time-outs
 *
 * Life of a socket. close() leads from OPEN to CLOSING, abort() and a broken
 * connection to ENDING; there every operation is cancelled, and when the last
 * one has ended the connection is lost.
 *
 *     OPEN -> CLOSING -> LINGERING -> ENDING -> LOST
 *       \________\_____________________/
 *
 * Calls of the user never run callbacks of the life cycle: they change the
 * state and push `step`, and wr_sock_advance() does the rest from the loop.
 */
#ifndef WEIR_LIB_SOCK_IMPL_H
#define WEIR_LIB_SOCK_IMPL_H

#include "sendq.h"
#include "sock.h"

enum wr_sock_state {
    WR_SOCK_OPEN,
    WR_SOCK_CLOSING,   /* sending what waits, reading no more */
    WR_SOCK_LINGERING, /* all sent; reading and dropping until the end */
    WR_SOCK_ENDING,    /* waiting for the last operation to end */
    WR_SOCK_LOST,      /* connection_lost was called, the descriptor closed */
    WR_SOCK_UNBORN,    /* shown to the factory, which may only look at it */
    WR_SOCK_STATES,
};

enum wr_recv_state {
    WR_RECV_IDLE,       /* nothing in the kernel */
    WR_RECV_ARMED,      /* a receive is in flight */
    WR_RECV_CANCELLING, /* and was asked to end; may still bring data */
    WR_RECV_STARVED,    /* no buffer or no budget: in the loop's queue */
    WR_RECV_STATES,
};

/* Which it is follows from send_op: its being in flight, and whom it tells. */
enum wr_send_state {
    WR_SEND_IDLE,    /* nothing in the kernel */
    WR_SEND_SENDING, /* a send is in flight */
    WR_SEND_WAITING, /* a poll is, for room in the kernel's queue */
    WR_SEND_STATES,
};

/* Receiving into the memory of a buffered protocol. */
struct wr_sock_into {
    struct weir_protocol_binding binding; /* whose memory it is */
    void *buf;                            /* NULL: none out */
    size_t len; /* received into buf, not told to the protocol yet */
};

struct wr_sock_times {
    struct wr_timer timer;
    struct wr_sock *sock;
    struct weir_timeouts limits;
    uint64_t received_ns; /* last byte in, or when reading began */
    uint64_t sent_ns;     /* last byte out, or when the queue began to fill */
    uint64_t closing_ns;  /* when close was called; 0: it was not */
    uint64_t linger_ns;   /* when lingering began; 0: it did not */
    uint64_t looked_ns;   /* when the kernel's queue was last asked for */
    int unacked_bytes;    /* in it then; -1: not since sending began */
};

struct wr_sock {
    weir_transport t;
    int fd;
    enum wr_sock_state state;
    enum wr_recv_state recv_state;
    bool paused : 1;         /* set and cleared by pause and resume_reading */
    bool has_received : 1;   /* set by the first bytes */
    bool armed_once : 1;     /* the receive in flight ends with first bytes */
    bool eof_seen : 1;       /* set by the receive that returned 0 */
    bool recv_failed : 1;    /* set by the receive that returned an error */
    bool eof_pending : 1;    /* eof_seen, not told yet; cleared when told */
    bool wants_credit : 1;   /* set when it waits for its own leases */
    bool held_back : 1;      /* set when an arm found no credit or buffer */
    bool waits_unstuck : 1;  /* starved until its send queue is shorter */
    bool write_eof : 1;      /* set by write_eof */
    bool write_shut : 1;     /* set when the kernel was told */
    bool in_resume : 1;      /* set around resume_writing */
    bool resets : 1;         /* set when the peer is to see a reset */
    bool hup_seen : 1;       /* the watch has nothing more to see */
    bool fin_seen : 1;       /* set by a wait for room that a FIN ended */
    bool sockname_known : 1; /* sockname below is right */

    struct wr_op send_op; /* the send, or the poll that waits for room */
    struct wr_sender sender;
    struct wr_sendq sendq;

    struct wr_op recv_op;
    struct wr_op poll_op; /* watches a peer that is not read from */
    struct wr_account account;
    weir_lease *held_head; /* received, not delivered: paused */
    weir_lease *held_tail;

    struct wr_ready step;
    struct wr_sock_into *into;   /* made on first use */
    struct wr_sock_times *times; /* made on first use */
    struct weir_address sockname;
};

static inline struct wr_sock *wr_sock_of(const weir_transport *t)
{
    return (struct wr_sock *)(uintptr_t)t; /* its first field */
}

/* sock.c */

/* Brings the state machine as far as it goes; only from the loop, and the last
 * thing that a handler does: the socket may be freed. */
void wr_sock_advance(struct wr_sock *s);

/* Drops everything and waits for the last operation; the loss comes later. */
void wr_sock_end(struct wr_sock *s);

/* The same at the end of a completion after which, mostly, nothing changes. */
static inline bool wr_sock_is_settled(const struct wr_sock *s)
{
    return s->state == WR_SOCK_OPEN && s->t.error == 0 &&
           s->recv_state == WR_RECV_ARMED;
}

static inline void wr_sock_settle(struct wr_sock *s)
{
    if (WR_UNLIKELY(!wr_sock_is_settled(s))) {
        wr_sock_advance(s);
    }
}

/* The connection is broken: remembers why. The end comes with advance. */
void wr_sock_fail(struct wr_sock *s, int err, const char *what);

/* What was received cannot be kept, or is not known for sure: nothing that
 * comes after the gap may be delivered. */
void wr_sock_lose_bytes(struct wr_sock *s, int err);

/* A callback returned an error: reports it and fails. */
void wr_sock_fail_callback(struct wr_sock *s, int err, const char *callback);

/* Frees when nobody refers to it any more. */
void wr_sock_free_if_unused(struct wr_sock *s);

/* sock_recv.c */
void wr_sock_recv_init(struct wr_sock *s);
/* Arms, cancels or leaves alone, by the state table. */
void wr_sock_update_recv(struct wr_sock *s);
/* The kernel took bytes that were to be sent: credit may have waited for that.
 */
void wr_sock_sent_some(struct wr_sock *s);
/* Asks an armed receive to end. */
void wr_sock_cancel_recv(struct wr_sock *s);
/* Cancels what is in flight; true when nothing is. */
bool wr_sock_end_recv(struct wr_sock *s);
void wr_sock_pause_reading(weir_transport *t);
void wr_sock_resume_reading(weir_transport *t);
bool wr_sock_is_reading(const weir_transport *t);
void wr_sock_set_read_limit(weir_transport *t, uint64_t bytes);
const char *wr_sock_recv_state_name(const struct wr_sock *s);

/* sock_deliver.c */

/* A receive brought bytes: in a borrowed lease, whose borrow it ends, or in
 * `into`. */
void wr_sock_received(struct wr_sock *s, weir_lease *lease);
void wr_sock_received_into(struct wr_sock *s, size_t len);
/* A receive brought the end of the stream. */
void wr_sock_received_eof(struct wr_sock *s);
/* What was kept while paused. */
void wr_sock_deliver_held(struct wr_sock *s);
void wr_sock_drop_held(struct wr_sock *s);
/* Tells a buffered protocol that memory of its own is free again. */
void wr_sock_give_buffer_back(struct wr_sock *s,
                              const struct weir_protocol_binding *from,
                              void *buf);
/* Gives memory that nothing came into back to its protocol. */
void wr_sock_return_into(struct wr_sock *s);
/* The same whatever came, and frees. */
void wr_sock_free_into(struct wr_sock *s);
int wr_sock_set_protocol(weir_transport *t,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count);

/* sock_send.c */
void wr_sock_send_init(struct wr_sock *s);
int wr_sock_write(weir_transport *t, const void *data, size_t len);
int wr_sock_writelines(weir_transport *t, const struct iovec *iov, size_t count,
                       size_t total);
int wr_sock_write_ref(weir_transport *t, const void *data, size_t len,
                      weir_release_fn *release, void *arg);
int wr_sock_write_lease(weir_transport *t, const struct weir_buf *buf);
void wr_sock_write_eof(weir_transport *t);
void wr_sock_limits_changed(weir_transport *t);
/* Tells the kernel that no more will be sent, once everything is. */
void wr_sock_shut_when_sent(struct wr_sock *s);
/* Cancels what is in flight; true when nothing is. */
bool wr_sock_end_send(struct wr_sock *s);
const char *wr_sock_send_state_name(const struct wr_sock *s);
void wr_sock_drop_queue(struct wr_sock *s);
/* The same on a broken connection, whose protocol may wait for the queue. */
void wr_sock_drop_broken_queue(struct wr_sock *s);

/* sock_time.c */
int wr_sock_set_timeouts(weir_transport *t,
                         const struct weir_timeouts *timeouts);
/* Something that the time-outs depend on has changed. */
void wr_sock_times_changed(struct wr_sock *s);
void wr_sock_times_stop(struct wr_sock *s);
void wr_sock_times_free(struct wr_sock *s);

/* Bytes of the send queue that the kernel has no room for: it was asked in an
 * earlier turn, and a poll waits for room. */
static inline uint64_t wr_sock_stuck_bytes(const struct wr_sock *s)
{
    return s->send_op.in_flight ? s->sendq.bytes : 0;
}

/* Does closing wait for the peer's end? */
static inline bool wr_sock_lingers(const struct wr_sock *s)
{
    return (s->state == WR_SOCK_CLOSING || s->state == WR_SOCK_LINGERING) &&
           s->times && s->times->limits.linger_ns != 0;
}

/* A callback may have switched the protocol; its memory is still its own. */
static inline bool wr_sock_is_bound_to(const struct wr_sock *s,
                                       const struct weir_protocol_binding *from)
{
    return s->t.binding.protocol == from->protocol &&
           s->t.binding.user == from->user;
}

/* Were bytes received that the protocol has not seen? */
static inline bool wr_sock_has_kept(const struct wr_sock *s)
{
    return s->held_head || (s->into && s->into->len > 0);
}

/* On a broken connection: is there nothing more to be had? What arrived before
 * a reset can be read after it; while reading is paused it waits in the kernel.
 */
static inline bool wr_sock_has_read_all(const struct wr_sock *s)
{
    return s->eof_seen || s->recv_failed ||
           (s->paused && wr_sys_inq(s->fd) <= 0);
}

static inline void wr_sock_note_received(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->times != NULL)) {
        s->times->received_ns = weir_loop_time(s->t.loop);
    }
}

static inline void wr_sock_note_sent(struct wr_sock *s)
{
    if (WR_UNLIKELY(s->times != NULL)) {
        s->times->sent_ns = weir_loop_time(s->t.loop);
        s->times->unacked_bytes = -1;
    }
}

#endif
