/*
 * The inside of a transport: what all kinds have in common.
 *
 * A kind (a stream socket, a pipe, TLS) embeds struct weir_transport
 * as its first field and brings a table of operations. The public functions in
 * transport.c check the caller, keep what is common, and call the table. A
 * kind calls its protocol only through the wr_protocol_... functions here, so
 * that slow callbacks are timed and the protocol of the moment is used.
 */
#ifndef WEIR_LIB_TRANSPORT_TRANSPORT_H
#define WEIR_LIB_TRANSPORT_TRANSPORT_H

#include "lib/base/sendq.h"
#include "lib/loop/loop.h"
#include "weir/error.h"
#include "weir/sendfile.h"
#include "weir/server.h"
#include "weir/transport.h"

/* Where a connection stands; see life.h. */
enum wr_life_state {
    WR_LIFE_UNBORN,      /* a factory may look at it, and do nothing more */
    WR_LIFE_HANDSHAKING, /* TLS, for which that comes at the end of this */
    WR_LIFE_OPEN,        /* connection_made was called, or is about to be */
    WR_LIFE_CLOSING,     /* sends what was written, and delivers no more */
    WR_LIFE_LINGERING,   /* all is sent: waits for the peer to have it */
    WR_LIFE_DOOMED,      /* about to end: nothing more is taken or delivered */
    WR_LIFE_ENDING,      /* waiting for the last operation, or the one below */
    WR_LIFE_LOST,        /* connection_lost was called, or is about to be */
    WR_LIFE_STATES,
};

struct wr_connection_set;
struct wr_device;
struct wr_handler;
struct wr_outbox_ops;
struct wr_sendfile;

struct wr_connection_set_ops {
    /* The connection joins the set; before connection_made. */
    void (*adopt)(struct wr_connection_set *set, weir_transport *t);
    /* The connection is lost and leaves the set. */
    void (*forget)(struct wr_connection_set *set, weir_transport *t);
    /* A task serves one of its connections, and may do so beyond the loss. */
    void (*add_handler)(struct wr_connection_set *set,
                        struct wr_handler *handler);
    /* The task serves no connection any more. */
    void (*remove_handler)(struct wr_connection_set *set,
                           struct wr_handler *handler);
    /* The connection may have become idle: see wr_transport_is_idle(). */
    void (*note_idle)(struct wr_connection_set *set, weir_transport *t);
};

struct wr_handler_ops {
    /* Cancels the task. */
    void (*cancel)(struct wr_handler *handler);
    /* True while the task waits for the next request. Otherwise note_idle is
     * called each time the task begins to wait from now on. */
    bool (*is_idle)(struct wr_handler *handler);
};

/* A task that serves a connection; embedded in what the task has. */
struct wr_handler {
    const struct wr_handler_ops *ops;
    struct wr_list link; /* in the set's list */
};

/* A maker that keeps count of its connections; embedded in it. */
struct wr_connection_set {
    const struct wr_connection_set_ops *ops;
};

/* Facts that a transport goes on with when it takes the place of another. */
struct wr_handover {
    struct weir_timeouts timeouts;
    bool is_paused; /* by its protocol */
    bool has_ended; /* its protocol was told of the end of the stream */
    bool is_new;    /* its protocol was not told of it yet */
};

/* The table of one kind. Where it has NULL the kind lacks that ability, and the
 * public function returns -EOPNOTSUPP, false or nothing. The four writes are
 * never NULL, since each message passes there; wr_refuse_write() and the others
 * stand in their place. */
struct wr_transport_ops {
    const char *name; /* "tcp" */
    /* Sum of WR_PROTOCOL_BIT() of the kinds that it can be bound to. */
    unsigned int protocol_kinds;
    bool can_write_eof;
    const struct wr_device *device; /* of a wr_connection; NULL: it is none */
    size_t delivery_offset; /* of its wr_delivery, in the struct; 0: none */
    const struct wr_outbox_ops *outbox; /* NULL: it has none */
    int (*write)(weir_transport *t, const void *data, size_t len);
    int (*writelines)(weir_transport *t, const struct iovec *iov, size_t count,
                      size_t total);
    int (*write_ref)(weir_transport *t, const void *data, size_t len,
                     weir_release_fn *release, void *arg);
    int (*write_lease)(weir_transport *t, const struct weir_buf *buf);
    /* Closes received descriptors that no one takes. NULL: it receives none. */
    void (*discard_fds)(weir_transport *t, const int *fds, size_t count);
    /* With 1 to WEIR_FDS_MAX descriptors and at least a byte. */
    int (*send_fds)(weir_transport *t, const void *data, size_t len,
                    const int *fds, size_t count);
    void (*write_eof)(weir_transport *t);
    int (*sendfile)(weir_transport *t, const struct wr_sendfile *part);
    void (*cancel_sendfile)(weir_transport *t);
    void (*pause_reading)(weir_transport *t);
    void (*resume_reading)(weir_transport *t);
    bool (*is_reading)(const weir_transport *t);
    bool (*is_closing)(const weir_transport *t);
    struct weir_depth (*get_depth)(const weir_transport *t);
    /* The queue, if the kernel was offered none of it; NULL: it was, and may
     * have no room. */
    const struct wr_sendq *(*get_unoffered)(const weir_transport *t);
    /* The transport that it stands on; it answers after its loss. */
    const weir_transport *(*get_below)(const weir_transport *t);
    /* NULL: no other transport can be made on it. */
    void (*get_handover)(const weir_transport *t, struct wr_handover *ret);
    /* True when bytes have arrived that the protocol was not shown. */
    bool (*has_unread)(const weir_transport *t);
    /* True when bytes wait to be sent although the peer has taken all that the
     * kernel had for it. */
    bool (*has_taken_all)(const weir_transport *t);
    /* The marks were changed: pauses writing if that is due now. */
    void (*limits_changed)(weir_transport *t);
    void (*set_read_limit)(weir_transport *t, uint64_t limit_bytes);
    /* A queue of the loop's budget, which it has left, lets it receive. Of
     * kinds with an intake; see intake.h. */
    void (*fed)(weir_transport *t, enum wr_demand_state queue);
    int (*set_timeouts)(weir_transport *t,
                        const struct weir_timeouts *timeouts);
    int (*set_protocol)(weir_transport *t,
                        const struct weir_protocol_binding *binding,
                        const struct weir_buf *initial, size_t count);
    void (*close)(weir_transport *t);
    void (*abort)(weir_transport *t);
    /* The connection is about to end: nothing more is delivered. Of kinds with
     * a delivery. */
    void (*doom)(weir_transport *t);
    void (*get_peername)(const weir_transport *t, struct weir_address *ret);
    void (*get_sockname)(const weir_transport *t, struct weir_address *ret);
    int (*get_socket)(const weir_transport *t);
    /* Information that this kind alone has: 0, or -ENOENT. */
    int (*get_extra_info)(const weir_transport *t, const char *name,
                          struct weir_extra_info *ret);
    /* The ring broke: operations in flight end now. */
    void (*abandon)(weir_transport *t);
    void (*dump)(const weir_transport *t, FILE *out);
    /* Asserts what must hold between two turns. */
    void (*check)(const weir_transport *t);
    /* Neither a reference nor a lease is left. */
    void (*free)(weir_transport *t);
};

struct weir_transport {
    const struct wr_transport_ops *ops;
    weir_loop *loop;
    /* The thread that may call: the loop's, or none once another transport has
     * taken the place of this one. */
    const void *const volatile *owner;
    struct weir_protocol_binding binding;
    /* The protocol's own, or one that does more; see wr_protocol_bound(). */
    int (*data_received)(void *user, weir_transport *t,
                         const struct weir_buf *buf);
    struct wr_member member;       /* until the connection is lost */
    struct wr_ready step;          /* goes on with its life */
    struct wr_demand demand;       /* of received bytes, and their account */
    struct wr_connection_set *set; /* that made it and counts it, or NULL */
    struct wr_list set_link;       /* for the set */
    struct wr_handler *handler;    /* the task that serves it, or NULL */
    uint64_t high_bytes;
    uint64_t low_bytes;
    uint64_t check_bytes; /* up to here no mark or share can be reached */
    uint64_t hard_limit_bytes;
    const char *error_what; /* what failed, static text; NULL: nothing */
    int error;              /* the first, sticky */
    int write_error; /* of the first write that was refused, until told */
    uint32_t refs;
    uint32_t farewell_bytes; /* the last ones sent, whose loss is not told */
    enum weir_end end : 8;   /* the first, sticky */
    enum wr_life_state state : 8; /* set by wr_life_set_state() alone */
    bool writing_paused; /* set and cleared around the protocol's callbacks */
    bool has_dropped;    /* set when bytes are dropped that were written, or
                          * that a close had no room for */
    bool is_busy;        /* the program says so */
    bool is_part;        /* set at birth: of another transport, which needs
                          * its protocol to be told of the loss */
    bool is_below;       /* set when another one has taken its place */
    bool held_back;      /* set when there was no credit or buffer, cleared by
                          * wr_intake_goes_on() */
    /* At this depth or less the protocol that was paused, or `flushed`, is
     * notified. -1: neither waits. */
    int64_t notify_depth;
    struct wr_evictable *evictable; /* of its reader, while that offers some */
    void (*flushed)(void *arg);     /* waits for a depth of 0, or NULL */
    void *flushed_arg;
};

#define WR_HIGH_DEFAULT       (64u << 10)
#define WR_LOW_DEFAULT        (16u << 10)
#define WR_HARD_LIMIT_DEFAULT (64u << 20)
#define WR_READ_LIMIT_DEFAULT (1u << 20)

/* Fills in the common part of an object whose memory is zeroed; one reference,
 * for the library. */
void wr_transport_init(weir_transport *t, weir_loop *loop,
                       const struct wr_transport_ops *ops);

/* place.c: @t is made on @below, which is open: with the loop, the set, the
 * task that serves the connection, and its protocol's marks, it stands in its
 * place from now on. */
void wr_transport_take_place(weir_transport *t, weir_transport *below);

/* Checks the options of new connections in @outer, a struct that
 * wr_options_read() has filled. */
WEIR_MUST_USE int
wr_connection_options_read(const void *outer,
                           struct weir_connection_options *connection);

/* The rest of wr_transport_enter(). */
WEIR_MUST_USE int wr_transport_enter_slowly(const weir_transport *t);

/* Begins a call of the program's: 0, WEIR_EREPLACED, or what wr_loop_check()
 * says. */
WEIR_MUST_USE static inline int wr_transport_enter(const weir_transport *t)
{
    if (WR_LIKELY(*t->owner == wr_this_thread())) {
        return 0;
    }
    return wr_transport_enter_slowly(t);
}

/* Fixes the marks without looking at the depth. */
static inline void wr_transport_set_marks(weir_transport *t,
                                          uint64_t high_bytes,
                                          uint64_t low_bytes)
{
    wr_assert(low_bytes <= high_bytes);
    t->high_bytes = high_bytes;
    t->low_bytes = low_bytes;
    t->check_bytes = wr_min_u64(high_bytes, WR_QUEUED_LEAST);
}

/* A reference or a lease was given back: the last of them keeps it. */
static inline void wr_transport_free_if_unused(weir_transport *t)
{
    weir_loop *loop = t->loop;

    if (t->refs == 0 && t->demand.account.lease_count == 0) {
        /* A child process has a life of its own. */
        wr_assert(t->state == WR_LIFE_LOST || t->state == WR_LIFE_UNBORN);
        t->ops->free(t);
        wr_loop_unpin(loop);
    }
}

/* Holds wherever code of the user may run; pure. */
void wr_transport_check_invariants(const weir_transport *t);

#define WR_PROTOCOL_BIT(kind) (1u << (kind))
#define WR_PROTOCOL_STREAMS                                                    \
    (WR_PROTOCOL_BIT(WEIR_PROTOCOL_STREAM) |                                   \
     WR_PROTOCOL_BIT(WEIR_PROTOCOL_BUFFERED))

/* True of a table that is complete and of a kind that @t can be bound to. */
bool wr_protocol_fits(const weir_transport *t,
                      const struct weir_protocol_binding *binding);

/* refuse.c: the writes of a kind that takes none; -EOPNOTSUPP. */
int wr_refuse_write(weir_transport *t, const void *data, size_t len);
int wr_refuse_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total);
int wr_refuse_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg);
int wr_refuse_write_lease(weir_transport *t, const struct weir_buf *buf);

/* The limits of a new transport, as its options have them; 0: the default. */
static inline void wr_transport_set_limits(weir_transport *t,
                                           uint64_t read_limit_bytes,
                                           uint64_t write_hard_limit_bytes)
{
    wr_assert(read_limit_bytes == 0 || read_limit_bytes >= WR_CREDIT_MIN);
    if (read_limit_bytes > 0) {
        t->demand.account.limit_bytes = read_limit_bytes;
    }
    if (write_hard_limit_bytes > 0) {
        t->hard_limit_bytes = write_hard_limit_bytes;
    }
}

/* Keep the first cause. */
void wr_transport_set_end(weir_transport *t, enum weir_end end);
void wr_transport_set_error(weir_transport *t, int err, const char *what);
/* The cause arrived before the error that is known, and was read after it. */
void wr_transport_correct_error(weir_transport *t, int err, const char *what);

/* True while neither the connection nor a write has failed. */
static inline bool wr_transport_can_write(const weir_transport *t)
{
    return (t->error | t->write_error) == 0;
}

/* Bytes were refused with @err on a connection that is whole: no later write
 * may take their place before the program was told. Returns the error that is
 * remembered, the first one. */
WEIR_MUST_USE int wr_transport_refuse(weir_transport *t, int err);

/* The error of the write that was refused, once; or 0. */
WEIR_MUST_USE int wr_transport_take_write_error(weir_transport *t);

/* True when no request is being served on it, as far as is known. */
bool wr_transport_is_idle(weir_transport *t);

/* The set, if there is one, may want to end a connection that is idle. */
static inline void wr_transport_note_idle(weir_transport *t)
{
    if (t->set) {
        t->set->ops->note_idle(t->set, t);
    }
}

/* True when the bytes that its protocol keeps use up its credit: it receives no
 * more before some of them are given back, or moved out of the pool. */
bool wr_transport_lacks_credit(const weir_transport *t);

/* pause_writing when the depth is above the high mark, resume_writing when it
 * is at most the low mark; strictly in turn. */
void wr_transport_pause(weir_transport *t);
void wr_transport_notify(weir_transport *t, uint64_t depth);

/* Calls @flushed once, from inside the completion that brings the depth to 0;
 * NULL: does not. For the protocol that is bound. */
void wr_transport_on_flushed(weir_transport *t, void (*flushed)(void *arg),
                             void *arg);

/* The high mark as things stand: lower while the send queues of all take much,
 * but never below the low mark. */
uint64_t wr_transport_high(const weir_transport *t);

static inline void wr_transport_check_high(weir_transport *t, uint64_t depth)
{
    if (!t->writing_paused && depth > wr_transport_high(t)) {
        wr_transport_pause(t);
    }
}

static inline void wr_transport_check_low(weir_transport *t, uint64_t depth)
{
    if (WR_UNLIKELY((int64_t)depth <= t->notify_depth)) {
        wr_transport_notify(t, depth);
    }
}

/* True when a task may write on above the high mark: the bytes written last are
 * under a lease, so they were held anyway, and all leave with one send; the
 * kernel will say whether it has room for it. */
bool wr_transport_may_join(const weir_transport *t);

/* The protocol in t->binding is new: chooses how its data_received is called.
 */
void wr_protocol_bound(weir_transport *t);

/* Asks the factory for the protocol of a new transport: 0 or a negative error.
 */
WEIR_MUST_USE static inline int
wr_protocol_find(weir_transport *t, const struct weir_factory *factory)
{
    wr_debug_assert(!t->binding.protocol);
    const int err = factory->create(factory->arg, t, &t->binding);

    wr_loop_end_if_forked(t->loop);
    wr_require(err >= 0, err);
    wr_require(wr_protocol_fits(t, &t->binding), -EINVAL);
    wr_protocol_bound(t);
    return 0;
}

/* Calling the protocol. A missing entry gives 0. */
void wr_protocol_made(weir_transport *t);
void wr_protocol_lost(weir_transport *t);
void wr_protocol_pause(weir_transport *t);
void wr_protocol_resume(weir_transport *t);
WEIR_MUST_USE int wr_protocol_eof(weir_transport *t);
/* Calls get_buffer; WEIR_ENOBUFFER when it offers no memory. */
WEIR_MUST_USE int wr_protocol_get_buffer(weir_transport *t, size_t hint,
                                         void **ret_buf, size_t *ret_size);
WEIR_MUST_USE int wr_protocol_updated(weir_transport *t, size_t len);
/* Tells the protocol of @from that memory which it gave is free again. */
void wr_protocol_give_back(weir_transport *t,
                           const struct weir_protocol_binding *from, void *buf);
/* True when the protocol has fds_received: wr_protocol_fds() gives it some. */
bool wr_protocol_takes_fds(const weir_transport *t);
WEIR_MUST_USE int wr_protocol_fds(weir_transport *t, const int *fds,
                                  size_t count, bool lost);
WEIR_MUST_USE int wr_protocol_datagram(weir_transport *t,
                                       const struct weir_datagram *datagram);
void wr_protocol_error(weir_transport *t, int err,
                       const struct weir_address *peer);

/* Of subprocesses; @fd is the child's descriptor. */
WEIR_MUST_USE int wr_protocol_pipe_data(weir_transport *t, int fd,
                                        const struct weir_buf *buf);
void wr_protocol_pipe_lost(weir_transport *t, int fd, int err);
void wr_protocol_exited(weir_transport *t);

/* False when a callback has switched the protocol since @from was bound. */
static inline bool
wr_protocol_is_bound(const weir_transport *t,
                     const struct weir_protocol_binding *from)
{
    return t->binding.protocol == from->protocol &&
           t->binding.user == from->user;
}

static inline int wr_protocol_data(weir_transport *t,
                                   const struct weir_buf *buf)
{
    const int ret = t->data_received(t->binding.user, t, buf);
    wr_loop_end_if_forked(t->loop);
    return ret;
}

#endif
