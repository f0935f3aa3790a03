/*
 * The inside of a transport: what all kinds have in common.
 *
 * A kind (a stream socket, a pipe, TLS) embeds struct weir_transport as its
 * first field and has a table of operations. The public functions in
 * transport.c check the caller, handle the common part, and call the table. A
 * kind calls its protocol only by the wr_protocol_... functions here: they time
 * slow callbacks and use the current protocol.
 */
#ifndef WEIR_LIB_TRANSPORT_TRANSPORT_H
#define WEIR_LIB_TRANSPORT_TRANSPORT_H

#include "lib/base/sendq.h"
#include "lib/loop/loop.h"
#include "uring/tracepoint.h"
#include "weir/connect_options.h"
#include "weir/transport.h"

/* The state of a connection; see life.h. */
enum wr_life_state {
    WR_LIFE_NEW,         /* a factory may only query it */
    WR_LIFE_HANDSHAKING, /* TLS only; connection_made follows */
    WR_LIFE_MOVING,      /* on its way to another loop, or about to leave */
    WR_LIFE_OPEN,        /* connection_made was called, or is about to be */
    WR_LIFE_CLOSING,     /* sends the queue, delivers no more bytes */
    WR_LIFE_LINGERING,   /* waits until the peer has all sent bytes */
    WR_LIFE_DOOMED,      /* about to end: accepts and delivers no byte */
    WR_LIFE_ENDING,      /* waits for operations, or for the one below */
    WR_LIFE_LOST,        /* connection_lost was called, or is about to be */
    WR_LIFE_STATES,
};

struct wr_clock_view;
struct wr_connection;
struct wr_connection_set;
struct wr_deadline;
struct wr_handler;
struct wr_sendfile;
struct wr_splicing;

struct wr_connection_set_ops {
    /* Adds the connection to the set; before connection_made. */
    void (*adopt)(struct wr_connection_set *set, weir_transport *t);
    /* Removes a lost connection from the set. */
    void (*forget)(struct wr_connection_set *set, weir_transport *t);
    /* Adds a task that serves a connection, perhaps beyond its loss. */
    void (*add_handler)(struct wr_connection_set *set,
                        struct wr_handler *handler);
    /* Removes a task that serves no connection any more. */
    void (*remove_handler)(struct wr_connection_set *set,
                           struct wr_handler *handler);
    /* Called when the connection may be idle; see wr_transport_is_idle(). */
    void (*note_idle)(struct wr_connection_set *set, weir_transport *t);
};

struct wr_handler_ops {
    /* Cancels the task. */
    void (*cancel)(struct wr_handler *handler);
    /* True while the task waits for the next request. From the first call on,
     * note_idle is called each time the task begins this wait. */
    bool (*is_idle)(struct wr_handler *handler);
};

/* A task that serves a connection; embedded in the task's object. */
struct wr_handler {
    const struct wr_handler_ops *ops;
    struct wr_list link; /* in the set's list */
};

/* A wait for an empty queue; embedded in who waits. */
struct wr_flush {
    void (*flushed)(struct wr_flush *flush);
};

/* A set of connections; embedded in the maker that counts them. */
struct wr_connection_set {
    const struct wr_connection_set_ops *ops;
};

/* State that a transport takes over when it replaces another. */
struct wr_handover {
    struct weir_timeouts timeouts;
    bool is_paused; /* by its protocol */
    bool has_ended; /* its protocol knows of the end of the stream */
    bool is_new;    /* connection_made was not called yet, or a handshake has
                     * not ended */
};

/* The table of a kind. The first part is for all kinds. If an entry is NULL,
 * its public function returns -EOPNOTSUPP, false or nothing; the entries that
 * are never NULL are in wr_transport_check_ops(). The four writes are among
 * them, to save a test per message: a kind without writes has wr_refuse_write()
 * and its siblings.
 *
 * The other parts are for the kinds whose struct begins with a wr_connection:
 * the device, which moves the bytes, its files, and its limits of time. */
struct wr_transport_ops {
    const char *name; /* "tcp" */
    /* Sum of WR_PROTOCOL_BIT() of the kinds of protocols it accepts. */
    unsigned int protocol_kinds;
    bool can_write_eof;
    /* Bytes move one way: the end of the stream is the end of the connection,
     * even if the protocol would keep it. */
    bool is_one_way;
    size_t size; /* of a struct that begins with a wr_connection; 0: another */

    /* ---- all kinds ---- */

    int (*write)(weir_transport *t, const void *data, size_t len);
    int (*writelines)(weir_transport *t, const struct iovec *iov, size_t count,
                      size_t total);
    int (*write_ref)(weir_transport *t, const void *data, size_t len,
                     weir_release_fn *release, void *arg);
    int (*write_lease)(weir_transport *t, const struct weir_buf *buf);
    /* Closes descriptors that were not taken. NULL: it receives none. */
    void (*discard_fds)(weir_transport *t, const int *fds, size_t count);
    /* Called with 1 to WEIR_FDS_MAX descriptors and at least a byte. */
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
    /* The queue, if no byte of it was offered to the kernel; NULL: bytes were
     * offered, and the kernel may be full. */
    const struct wr_sendq *(*get_unoffered)(const weir_transport *t);
    /* The transport below; also works after the loss. */
    const weir_transport *(*get_below)(const weir_transport *t);
    /* NULL: no transport can be made on top of it. */
    void (*get_handover)(const weir_transport *t, struct wr_handover *ret);
    /* True if bytes have arrived that the protocol has not seen. */
    bool (*has_unread)(const weir_transport *t);
    /* True if bytes wait although the peer has emptied the kernel's buffer. */
    bool (*has_taken_all)(const weir_transport *t);
    /* Bytes that the kernel has taken and the peer's kernel has not
     * acknowledged, of a stream that may go on; a FIN counts as one. NULL: a
     * byte that was taken has arrived. */
    uint64_t (*get_unacknowledged)(const weir_transport *t);
    /* The marks were changed: pauses writing if the depth is too high. */
    void (*limits_changed)(weir_transport *t);
    void (*set_read_limit)(weir_transport *t, uint64_t limit_bytes);
    /* A queue of the loop's budget, which the connection has left, lets it
     * receive. For kinds with an intake; see intake.h. */
    void (*fed)(weir_transport *t, enum wr_demand_state queue);
    /* Bulk may go on to ->to without being delivered, while the present
     * protocol stays bound: 0; or an error, and all bytes are delivered. NULL:
     * they always are. See splicing.h. */
    int (*splice_to)(weir_transport *t, struct wr_splicing *splicing);
    /* An end of the stream below without TLS's own end is an end from now on.
     * NULL: the kind is no TLS. */
    void (*ignore_unexpected_eof)(weir_transport *t);
    int (*set_timeouts)(weir_transport *t,
                        const struct weir_timeouts *timeouts);
    int (*set_protocol)(weir_transport *t,
                        const struct weir_protocol_binding *binding,
                        const struct weir_buf *initial, size_t count);
    void (*close)(weir_transport *t);
    void (*abort)(weir_transport *t);
    /* Ends the connection soon; no byte is delivered any more. For kinds with a
     * delivery. */
    void (*doom)(weir_transport *t);
    void (*get_peername)(const weir_transport *t, struct weir_address *ret);
    void (*get_sockname)(const weir_transport *t, struct weir_address *ret);
    int (*get_socket)(const weir_transport *t);
    /* Gives information of this kind only: 0; -ENOENT, and the transport below
     * is asked; or -ENODATA, and it is not. */
    int (*get_extra_info)(const weir_transport *t, const char *name,
                          struct weir_extra_info *ret);
    /* The ring broke: ends operations in flight at once. */
    void (*abandon)(weir_transport *t);
    void (*dump)(const weir_transport *t, FILE *out);
    /* Asserts the invariants that hold between turns. */
    void (*check)(const weir_transport *t);
    /* Frees the transport: no reference and no lease is left. */
    void (*free)(weir_transport *t);

    /* ---- what a device does ---- */

    /* @len bytes were queued: sends them, but later than in this call. */
    void (*queued)(weir_transport *t, size_t len);
    /* Shows held bytes, in each step, also after the end is decided. NULL:
     * wr_delivery_show_held(). */
    void (*deliver)(struct wr_connection *c);
    /* Called in each step of an intact connection, before its decision: 0, or
     * the error that makes sending impossible. Callbacks may run. NULL: the
     * device sets the error itself. */
    int (*look)(struct wr_connection *c);
    /* Called after each decision until the end is decided: receives bytes, or
     * begins to, while wr_connection_wants() is true; otherwise stops, and
     * leaves the queue of the budget. */
    void (*receive)(struct wr_connection *c);
    /* The program has closed: stops receiving, before the last send. NULL: the
     * connection leaves the queue of the budget, which is enough. */
    void (*stop_receiving)(struct wr_connection *c);
    /* Everything is sent after write_eof. NULL: the peer sees the end when the
     * device is closed, as after a close alone. */
    void (*shut)(struct wr_connection *c);
    /* A close has sent everything. True: closing the device now might destroy
     * bytes, and it lingers until an error or the peer's end. NULL: false. */
    bool (*linger)(struct wr_connection *c);
    /* The program aborts: the peer shall see a broken connection. NULL: ->stop
     * is enough. */
    void (*reset)(struct wr_connection *c);
    /* The end is decided: cancels operations. If any was in flight, the device
     * calls wr_connection_push() or wr_connection_advance() after the last. */
    void (*stop)(struct wr_connection *c);
    /* The queue is about to be dropped, or connection_lost to be called: gives
     * back what the device has of the program. NULL: nothing. */
    void (*drop)(struct wr_connection *c);
    /* Called after connection_lost. NULL: there is nothing to close. */
    void (*close_device)(struct wr_connection *c);

    /* ---- what a connection decides by ---- */

    /* True while the kernel may use memory of the queue. */
    bool (*holds_queue)(const struct wr_connection *c);
    /* True while a closing connection with an empty queue must not end, because
     * the device has more to send. NULL: false. */
    bool (*is_sending)(const struct wr_connection *c);
    /* True while the kernel may use memory of the connection or its queue. */
    bool (*is_in_flight)(const struct wr_connection *c);
    /* True if a broken connection will receive nothing more. NULL: true. */
    bool (*has_read_all)(const struct wr_connection *c);
    /* True if bytes wait to be received. NULL: the kind does not receive. */
    bool (*has_arrived)(const struct wr_connection *c);
    /* Holds wherever code of the user may run; pure. */
    void (*check_device)(const struct wr_connection *c);
    /* Asserts, between turns without a pending step, that something will
     * continue each direction that is stopped. */
    void (*check_progress)(const struct wr_connection *c);
    /* Writes the device's facts for weir_loop_dump(). NULL: none. */
    void (*dump_device)(const struct wr_connection *c, FILE *out);

    /* ---- a file that is sent; see sender.h. A kind with ->splice has all that
     * stand behind it ---- */

    size_t part_bytes; /* the most that is read at once */
    /* wr_outbox_queue_file() and wr_outbox_end_file(), for the sender. */
    void (*queue_file)(weir_transport *t, struct wr_chunk *chunk, size_t len);
    void (*end_file)(weir_transport *t, int err);
    /* A file was begun; the device continues it at the end of the turn. A few
     * of its bytes may be queued next. */
    void (*file_begins)(weir_transport *t);
    /* The sender is about to be freed; what waited for it continues. */
    void (*file_ended)(weir_transport *t);
    /* For a device that takes bytes from the cache: sends the next bytes, at
     * the end of a turn, as wr_sendfile_offered() says; -EINTR: try in the next
     * turn. NULL: all bytes of a file are queued. */
    int64_t (*splice)(weir_transport *t, struct wr_sendfile *file);
    /* Begins to send @len bytes of a part beside the queue: 0, then
     * wr_sender_sent(); or an error. */
    int (*send_part)(weir_transport *t, const void *data, size_t len);
    /* The next bytes are sent in the next turn (0), or when there is room
     * (-EAGAIN); another error breaks the connection. */
    void (*file_went)(weir_transport *t, int err);
    /* Cancels the send in flight. False: wr_sender_sent() or
     * wr_sender_stopped() follows. True: no byte of the file is in flight, nor
     * in the queue unless the queue will be dropped. */
    bool (*withdraw)(weir_transport *t);

    /* ---- limits of time; see clock.h ---- */

    void (*view_time)(const weir_transport *t, struct wr_clock_view *ret);
    /* The limit has expired: ends the connection. */
    void (*time_expired)(weir_transport *t, const struct wr_deadline *over);
    /* The time of the next ->look_at_queue, at the kernel's; UINT64_MAX: never.
     * When bytes begin to be sent it comes no nearer than a WR_STALL_LOOKS-th
     * of the write-stall limit. ->look_at_queue returns true if a wait for the
     * peer is over and the connection can end. Both may be NULL. */
    uint64_t (*next_look_ns)(const weir_transport *t);
    bool (*look_at_queue)(weir_transport *t);
};

struct weir_transport {
    const struct wr_transport_ops *ops;
    weir_loop *loop;
    /* The thread that may call: the loop's, or none after another transport has
     * replaced this one. */
    const void *const volatile *owner;
    struct weir_protocol_binding binding;
    /* The protocol's function, or one that also checks; see
     * wr_protocol_bound(). */
    int (*data_received)(void *user, weir_transport *t,
                         const struct weir_buf *buf);
    struct wr_member member;       /* until the connection is lost */
    struct wr_ready step;          /* advances its life */
    struct wr_demand demand;       /* for memory to receive, with the account */
    struct wr_connection_set *set; /* of the server that made it; or NULL */
    struct wr_list set_link;       /* for the set */
    struct wr_handler *handler;    /* the task that serves it; or NULL */
    struct wr_evictable *evictable; /* of its reader, while it offers bytes */
    struct wr_flush *flush;         /* called at a depth of 0; or NULL */
    const char *error_what; /* what failed, static text; NULL: nothing */
    int error;              /* the first, sticky */
    int write_error;        /* of the first refused write, until returned */
    uint32_t refs;
    uint32_t high_bytes;
    uint32_t low_bytes;
    uint32_t hard_limit_bytes; /* WR_NO_LIMIT: none */
    uint32_t farewell_bytes;   /* the last bytes, whose loss is no error */
    int fd; /* of a connection's device that has one; -1: closed, after the
             * loss */
    uint16_t check_bytes; /* no mark or share is reached up to it */
    /* Of a connection: set before connection_made; set when everything is sent
     * and no byte follows; set when the device has received the end. */
    bool is_made;
    bool end_sent;
    bool eof_seen;
    enum weir_end end : 8;        /* the first, sticky */
    enum wr_life_state state : 8; /* set by wr_life_set_state() alone */
    bool writing_paused : 1; /* set and cleared around the protocol's callbacks
                              */
    bool has_dropped : 1;    /* set when written bytes are dropped, or refused
                              * during a close */
    bool is_busy : 1;        /* set by weir_transport_set_busy() */
    bool is_part : 1;    /* set by its part of weir: a pipe of a child or a side
                          * of a relay, which must stay its protocol */
    bool is_relayed : 1; /* set by a relay: error_received is called with the
                          * first error, before the last bytes and
                          * connection_lost, and pause_writing also when the
                          * peer takes nothing */
    bool is_below : 1;   /* set when another transport has replaced it */
    bool held_back : 1;  /* set when there was no credit or buffer, cleared by
                          * wr_intake_goes_on() */
    bool must_notify : 1; /* set while its writing is paused, or there is
                           * `flush` */
};

#define WR_HIGH_DEFAULT       (64u << 10)
#define WR_LOW_DEFAULT        (16u << 10)
#define WR_HARD_LIMIT_DEFAULT (64u << 20)
#define WR_READ_LIMIT_DEFAULT (1u << 20)

/* Each idle connection has its marks and its limit of written bytes, so they
 * have 32 bits. */
#define WR_NO_LIMIT UINT32_MAX

_Static_assert(WR_QUEUED_LEAST <= UINT16_MAX, "check_bytes has 16 bits");

/* True if the struct begins with a wr_connection. */
static inline bool wr_transport_is_connection(const weir_transport *t)
{
    return t->ops->size > 0;
}

/* Asserts that the table has what is called without a test; where a transport
 * is made, with -Dinvariants=true. */
void wr_transport_check_ops(const struct wr_transport_ops *ops);

/* Initialises the common part of a zeroed object; the library has a
 * reference. */
void wr_transport_init(weir_transport *t, weir_loop *loop,
                       const struct wr_transport_ops *ops);

/* The name of the alert by which the peer's TLS has refused,
 * static; NULL: by none. */
const char *wr_transport_get_alert(const weir_transport *t);

/* Adds a transport's part to the loop's statistics. */
void wr_transport_count(const struct wr_member *member,
                        struct weir_loop_statistics *ret);

/* @t, made on the open @below, replaces it for the loop, the set and
 * the serving task, and takes over the marks. */
void wr_transport_take_place(weir_transport *t, weir_transport *below);

/* The most that the kernel takes for keep_alive_idle_ns and
 * keep_alive_interval_ns, and for keep_alive_count. */
#define WR_KEEP_ALIVE_MAX_NS    WEIR_SECONDS(32767)
#define WR_KEEP_ALIVE_MAX_COUNT 127u

/* Checks the options of new connections in @outer, a struct that
 * wr_options_read() has filled. */
WEIR_MUST_USE int
wr_connection_options_read(const void *outer,
                           struct weir_connection_options *connection);

/* Reads the options of a call that makes connections into @known, of @size
 * bytes, which ends with @connection. An error closes @fd, which the call takes
 * in any case; -1: it takes none. */
WEIR_MUST_USE int
wr_connection_options_read_all(void *known, size_t size, const void *options,
                               struct weir_connection_options *connection,
                               int fd);

/* The slow half of wr_transport_enter(). */
WEIR_MUST_USE int wr_transport_enter_slowly(const weir_transport *t);

/* Begins a public call: 0, WEIR_EREPLACED, or an error of wr_loop_check(). */
WEIR_MUST_USE static inline int wr_transport_enter(const weir_transport *t)
{
    if (WR_LIKELY(*t->owner == wr_this_thread())) {
        return 0;
    }
    return wr_transport_enter_slowly(t);
}

/* Sets the marks without checking the depth. */
static inline void wr_transport_set_marks(weir_transport *t,
                                          uint64_t high_bytes,
                                          uint64_t low_bytes)
{
    wr_assert(low_bytes <= high_bytes);
    if (WR_UNLIKELY(high_bytes > WR_NO_LIMIT)) {
        high_bytes = WR_NO_LIMIT;
        low_bytes = wr_min_u64(low_bytes, WR_NO_LIMIT);
    }
    t->high_bytes = (uint32_t)high_bytes;
    t->low_bytes = (uint32_t)low_bytes;
    t->check_bytes = (uint16_t)wr_min_u64(high_bytes, WR_QUEUED_LEAST);
}

static inline void wr_transport_set_hard_limit(weir_transport *t,
                                               uint64_t bytes)
{
    wr_assert(bytes > 0);
    t->hard_limit_bytes =
        WR_LIKELY(bytes <= WR_NO_LIMIT) ? (uint32_t)bytes : WR_NO_LIMIT;
}

/* True if @len more bytes behind @depth are too many. */
static inline bool wr_transport_lacks_room(const weir_transport *t,
                                           uint64_t depth, uint64_t len)
{
    return t->hard_limit_bytes != WR_NO_LIMIT &&
           (len > t->hard_limit_bytes || depth > t->hard_limit_bytes - len);
}

/* weir_transport_unref() for the library. */
void wr_transport_unref(weir_transport *t);

/* Frees the transport if no reference and no lease is left. */
static inline void wr_transport_free_if_unused(weir_transport *t)
{
    weir_loop *loop = t->loop;

    if (t->refs == 0 && t->demand.account.lease_count == 0) {
        /* The transport of a child process does not use wr_life. */
        wr_assert(t->state == WR_LIFE_LOST || t->state == WR_LIFE_NEW);
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

/* True if the table is complete and @t accepts its kind. */
bool wr_protocol_fits(const weir_transport *t,
                      const struct weir_protocol_binding *binding);

/* The writes of a kind without writes: -EOPNOTSUPP. */
int wr_refuse_write(weir_transport *t, const void *data, size_t len);
int wr_refuse_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total);
int wr_refuse_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg);
int wr_refuse_write_lease(weir_transport *t, const struct weir_buf *buf);

/* Sets the limits of a new transport from its options; 0: the default. */
static inline void wr_transport_set_limits(weir_transport *t,
                                           uint64_t read_limit_bytes,
                                           uint64_t write_hard_limit_bytes)
{
    wr_assert(read_limit_bytes == 0 || read_limit_bytes >= WR_CREDIT_MIN);
    if (read_limit_bytes > 0) {
        t->demand.account.limit_bytes = read_limit_bytes;
    }
    if (write_hard_limit_bytes > 0) {
        wr_transport_set_hard_limit(t, write_hard_limit_bytes);
    }
}

/* Keep the first cause. */
void wr_transport_set_end(weir_transport *t, enum weir_end end);
void wr_transport_set_error(weir_transport *t, int err, const char *what);
/* Replaces the error by its cause, which arrived earlier but was read later. */
void wr_transport_correct_error(weir_transport *t, int err, const char *what);

/* True if neither the connection nor a write has failed. */
static inline bool wr_transport_can_write(const weir_transport *t)
{
    return (t->error | t->write_error) == 0;
}

/* Remembers that a write was refused with @err on an intact connection: later
 * writes are refused, too, until the program has taken the error. Returns the
 * first such error. */
WEIR_MUST_USE int wr_transport_refuse(weir_transport *t, int err);

/* Returns the error of the refused write and forgets it; or 0. */
WEIR_MUST_USE int wr_transport_take_write_error(weir_transport *t);

/* True if no request is being served, as far as weir knows. */
bool wr_transport_is_idle(weir_transport *t);

/* Counts bytes that have arrived, and bytes that the kernel, or the transport
 * below, has taken. */
static inline void wr_transport_count_received(weir_transport *t,
                                               uint64_t bytes)
{
    WR_TRACEPOINT(receive, t, bytes);
    t->loop->counts.received_bytes += bytes;
}

static inline void wr_transport_count_sent(weir_transport *t, uint64_t bytes)
{
    WR_TRACEPOINT(send, t, bytes);
    t->loop->counts.sent_bytes += bytes;
}

/* Tells the set, if any, that the connection may be idle. */
static inline void wr_transport_note_idle(weir_transport *t)
{
    if (t->set) {
        t->set->ops->note_idle(t->set, t);
    }
}

/* True if the bytes that the protocol keeps use up the credit: nothing is
 * received until some of them are released or moved out of the pool. */
bool wr_transport_lacks_credit(const weir_transport *t);

/* Calls pause_writing when the depth is above the high mark, resume_writing
 * when it is at most the low mark; the calls alternate. */
void wr_transport_pause(weir_transport *t);
void wr_transport_notify(weir_transport *t, uint64_t depth);

/* Calls @flush once, inside the completion that brings the depth to 0; NULL
 * cancels. For the bound protocol. */
void wr_transport_on_flushed(weir_transport *t, struct wr_flush *flush);

/* The present high mark: lower while all send queues together are large, but
 * never below the low mark. WR_NO_LIMIT: none. */
uint64_t wr_transport_high(const weir_transport *t);

static inline void wr_transport_check_high(weir_transport *t, uint64_t depth)
{
    if (t->writing_paused) {
        return;
    }
    const uint64_t high = wr_transport_high(t);
    if (WR_UNLIKELY(depth > high) && high != WR_NO_LIMIT) {
        wr_transport_pause(t);
    }
}

/* The depth at which a paused protocol, or `flush`, is called. */
static inline uint64_t wr_transport_awaited(const weir_transport *t)
{
    wr_debug_assert(t->must_notify);
    return t->writing_paused ? t->low_bytes : 0;
}

static inline void wr_transport_check_low(weir_transport *t, uint64_t depth)
{
    if (WR_UNLIKELY(t->must_notify) && depth <= wr_transport_awaited(t)) {
        wr_transport_notify(t, depth);
    }
}

/* True if a task may write above the high mark. The last written bytes are
 * under a lease, which takes no more memory, and one send covers all bytes; the
 * kernel may still have room for them. */
bool wr_transport_may_join(const weir_transport *t);

/* Chooses how data_received is called; t->binding was set. */
void wr_protocol_bound(weir_transport *t);

/* Asks the factory for a new transport's protocol: 0 or a negative error. */
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
/* True if the protocol has connection_moved, which the second calls. */
bool wr_protocol_may_move(const weir_transport *t);
void wr_protocol_moved(weir_transport *t);
void wr_protocol_pause(weir_transport *t);
void wr_protocol_resume(weir_transport *t);
WEIR_MUST_USE int wr_protocol_eof(weir_transport *t);
/* Calls get_buffer; WEIR_ENOBUFFER when it offers no memory. */
WEIR_MUST_USE int wr_protocol_get_buffer(weir_transport *t, size_t hint,
                                         void **ret_buf, size_t *ret_size);
WEIR_MUST_USE int wr_protocol_updated(weir_transport *t, size_t len);
/* Gives the memory of get_buffer back to the protocol of @from. */
void wr_protocol_give_back(weir_transport *t,
                           const struct weir_protocol_binding *from, void *buf);
/* True if the protocol has fds_received: wr_protocol_fds() may be called. */
bool wr_protocol_takes_fds(const weir_transport *t);
WEIR_MUST_USE int wr_protocol_fds(weir_transport *t, const int *fds,
                                  size_t count, bool lost);
WEIR_MUST_USE int wr_protocol_datagram(weir_transport *t,
                                       const struct weir_datagram *datagram);
void wr_protocol_error(weir_transport *t, int err,
                       const struct weir_address *peer);

/* For subprocesses; @fd is the child's descriptor. */
WEIR_MUST_USE int wr_protocol_pipe_data(weir_transport *t, int fd,
                                        const struct weir_buf *buf);
void wr_protocol_pipe_lost(weir_transport *t, int fd, int err);
void wr_protocol_exited(weir_transport *t);

/* False if a callback has switched the protocol since @from was bound. */
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
