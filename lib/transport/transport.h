/*
 * Internals that all kinds of transport share. A kind (a stream socket, a pipe,
 * TLS) embeds struct weir_transport as its first field and has a table of
 * operations. It calls its protocol only through the wr_protocol_...()
 * functions, which report slow callbacks.
 */
#ifndef WEIR_LIB_TRANSPORT_TRANSPORT_H
#define WEIR_LIB_TRANSPORT_TRANSPORT_H

#include "lib/base/sendq.h"
#include "lib/loop/loop.h"
#include "uring/tracepoint.h"
#include "weir/connect_options.h"
#include "weir/transport.h"

/* States of a connection; see life.h. */
enum wr_life_state {
    WR_LIFE_NEW,         /* the factory may only query the transport */
    WR_LIFE_HANDSHAKING, /* TLS only; connection_made follows */
    WR_LIFE_MOVING,      /* moves, or is about to move, to another loop */
    WR_LIFE_OPEN,        /* connection_made was called, or is about to be */
    WR_LIFE_CLOSING,     /* sends the queue, delivers no more bytes */
    WR_LIFE_LINGERING,   /* waits until the peer has received all sent bytes */
    WR_LIFE_DOOMED,      /* about to end: accepts and delivers no byte */
    WR_LIFE_ENDING,      /* waits for operations, or for the transport below */
    /* connection_lost or connection_moved was called, or is about to be. */
    WR_LIFE_LOST,
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
    void (*adopt)(struct wr_connection_set *set, weir_transport *t);
    void (*forget)(struct wr_connection_set *set, weir_transport *t);
    /* Adds a task that serves a connection, perhaps beyond its loss. */
    void (*add_handler)(struct wr_connection_set *set,
                        struct wr_handler *handler);
    void (*remove_handler)(struct wr_connection_set *set,
                           struct wr_handler *handler);
    void (*note_idle)(struct wr_connection_set *set, weir_transport *t);
};

struct wr_handler_ops {
    void (*cancel)(struct wr_handler *handler);
    /* True while the task waits for the next request. After the first call, the
     * task calls note_idle at each start of this wait. */
    bool (*is_idle)(struct wr_handler *handler);
};

struct wr_handler {
    const struct wr_handler_ops *ops;
    struct wr_list link;
};

struct wr_flush {
    void (*flushed)(struct wr_flush *flush);
};

struct wr_connection_set {
    const struct wr_connection_set_ops *ops;
};

/* State that a transport takes over when it replaces another. */
struct wr_handover {
    struct weir_timeouts timeouts;
    bool is_paused;
    bool has_ended; /* eof_received was called */
    bool is_new;    /* connection_made was not called */
};

/* The operations of a kind. If an entry for all kinds is NULL, its public
 * function returns -EOPNOTSUPP or a default such as false or 0, or does
 * nothing. wr_transport_check_ops() lists the entries that are never NULL. The
 * four writes are among them, which saves a test per message.
 *
 * The other parts are for kinds whose struct begins with a wr_connection. */
struct wr_transport_ops {
    const char *name;
    /* Accepted kinds of protocol; see WR_PROTOCOL_BIT(). */
    unsigned int protocol_kinds;
    bool can_write_eof;
    /* The end of the stream always ends the connection. */
    bool is_one_way;
    size_t size; /* size of a struct that begins with a wr_connection, else 0 */

    int (*write)(weir_transport *t, const void *data, size_t len);
    int (*writelines)(weir_transport *t, const struct iovec *iov, size_t count,
                      size_t total);
    int (*write_ref)(weir_transport *t, const void *data, size_t len,
                     weir_release_fn *release, void *arg);
    int (*write_lease)(weir_transport *t, const struct weir_buf *buf);
    /* Closes descriptors that were not taken; NULL if none are received. */
    void (*discard_fds)(weir_transport *t, const int *fds, size_t count);
    /* Called with 1 to WEIR_FDS_MAX descriptors and at least one byte. */
    int (*send_fds)(weir_transport *t, const void *data, size_t len,
                    const int *fds, size_t count);
    void (*write_eof)(weir_transport *t);
    int (*sendfile)(weir_transport *t, const struct wr_sendfile *part);
    void (*cancel_sendfile)(weir_transport *t);
    void (*pause_reading)(weir_transport *t);
    void (*resume_reading)(weir_transport *t);
    bool (*is_reading)(const weir_transport *t);
    bool (*is_closing)(const weir_transport *t);
    uint64_t (*get_depth)(const weir_transport *t);
    /* Returns the queue, or NULL while bytes of it are being sent or wait for
     * space in the kernel. */
    const struct wr_sendq *(*get_unoffered)(const weir_transport *t);
    const weir_transport *(*get_below)(const weir_transport *t);
    /* NULL if no transport can be made on top of this kind. */
    void (*get_handover)(const weir_transport *t, struct wr_handover *ret);
    /* True if bytes have arrived that the protocol has not received. */
    bool (*has_unread)(const weir_transport *t);
    /* True if bytes wait although the peer has emptied the kernel's buffer. */
    bool (*has_taken_all)(const weir_transport *t);
    /* Returns the number of bytes that the peer's kernel has not acknowledged;
     * a FIN counts as one. Returns 0 if the end is decided. NULL if bytes have
     * arrived as soon as the kernel has taken them. */
    uint64_t (*get_unacknowledged)(const weir_transport *t);
    void (*limits_changed)(weir_transport *t);
    void (*set_read_limit)(weir_transport *t, uint64_t limit_bytes);
    /* Called when the connection has left @queue of the loop's budget and may
     * receive (intake.h). */
    void (*fed)(weir_transport *t, enum wr_demand_state queue);
    /* Allows the kind to move bytes to splicing->to instead of delivering them
     * while the present protocol stays bound. Returns 0, or an error if all
     * bytes will be delivered. NULL if the kind always delivers. */
    int (*splice_to)(weir_transport *t, struct wr_splicing *splicing);
    /* From now on accepts an end of the stream without close_notify. */
    void (*ignore_unexpected_eof)(weir_transport *t);
    int (*set_timeouts)(weir_transport *t,
                        const struct weir_timeouts *timeouts);
    int (*set_protocol)(weir_transport *t,
                        const struct weir_protocol_binding *binding,
                        const struct weir_buf *initial, size_t count);
    void (*close)(weir_transport *t);
    void (*abort)(weir_transport *t);
    /* Ends the connection soon, and delivers no more bytes. */
    void (*doom)(weir_transport *t);
    void (*get_peername)(const weir_transport *t, struct weir_address *ret);
    void (*get_sockname)(const weir_transport *t, struct weir_address *ret);
    int (*get_socket)(const weir_transport *t);
    /* Writes information that only this kind has to @ret. Returns 0, -ENOENT to
     * query the transport below, or -ENODATA to query no other. */
    int (*get_extra_info)(const weir_transport *t, const char *name,
                          struct weir_extra_info *ret);
    /* Called when the ring has failed: ends operations in flight at once. */
    void (*abandon)(weir_transport *t);
    void (*dump)(const weir_transport *t, FILE *out);
    void (*check)(const weir_transport *t);
    void (*free)(weir_transport *t);

    /* ---- the device ---- */

    /* Called when @len bytes were queued. Must not send them in this call. */
    void (*queued)(weir_transport *t, size_t len);
    /* Delivers held bytes, in each step, even after the end is decided. NULL
     * means wr_delivery_show_held(). */
    void (*deliver)(struct wr_connection *c);
    /* Called in each step of an intact connection. Returns 0, or an error if
     * sending has become impossible. May run callbacks. May be NULL. */
    int (*look)(struct wr_connection *c);
    /* While wr_connection_wants() is true, receives or arms a receive.
     * Otherwise stops and leaves the budget's queue, except to read the last
     * bytes of a broken connection or to drop bytes during a close. */
    void (*receive)(struct wr_connection *c);
    /* Stops receiving in CLOSING, before the last send. If NULL, the connection
     * only leaves the budget's queue. */
    void (*stop_receiving)(struct wr_connection *c);
    /* Called when everything is sent after write_eof. NULL if the peer sees the
     * end only when the device is closed. */
    void (*shut)(struct wr_connection *c);
    /* Called when a close has sent everything. Returns true if closing the
     * device now might destroy bytes, or a linger time is set. The connection
     * then lingers until an error, the peer's end, ->look_at_queue or a time
     * limit. NULL means false. */
    bool (*linger)(struct wr_connection *c);
    /* Resets the connection, because the program aborts. May be NULL. */
    void (*reset)(struct wr_connection *c);
    /* Cancels operations. After the last one ends, the device calls
     * wr_connection_push() or wr_connection_advance(). */
    void (*stop)(struct wr_connection *c);
    /* Releases references to the program's memory, before the queue is dropped
     * and before connection_lost. May be NULL. */
    void (*drop)(struct wr_connection *c);
    /* Called after connection_lost. NULL if there is nothing to close. */
    void (*close_device)(struct wr_connection *c);

    /* True while the kernel may use the queue's memory. */
    bool (*holds_queue)(const struct wr_connection *c);
    /* True while the device of a closing connection has more to send, although
     * the queue is empty. NULL means false. */
    bool (*is_sending)(const struct wr_connection *c);
    /* True while the kernel may use memory of the connection or its queue. */
    bool (*is_in_flight)(const struct wr_connection *c);
    /* True if a broken connection receives no more. NULL means true. */
    bool (*has_read_all)(const struct wr_connection *c);
    /* True if bytes wait to be received. NULL if the kind does not receive. */
    bool (*has_arrived)(const struct wr_connection *c);
    void (*check_device)(const struct wr_connection *c);
    /* Asserts that stopped directions wait for events. No step is pending. */
    void (*check_progress)(const struct wr_connection *c);
    void (*dump_device)(const struct wr_connection *c, FILE *out);

    /* ---- sending files; see outbox.h; all are set if ->splice is ---- */

    size_t part_bytes; /* maximum bytes of one read */
    void (*queue_file)(weir_transport *t, struct wr_chunk *chunk, size_t len);
    void (*end_file)(weir_transport *t, int err);
    /* Called when a file was started: schedules a call of wr_sender_go_on(). */
    void (*file_begins)(weir_transport *t);
    /* Resumes operations that waited for the file. The sender is freed next. */
    void (*file_ended)(weir_transport *t);
    /* Sends the next bytes from the page cache, at the end of a loop iteration.
     * Returns the result of wr_sendfile_offered(), or -EINTR to be called again
     * in the next iteration. If NULL, all bytes of a file are queued. */
    int64_t (*splice)(weir_transport *t, struct wr_sendfile *file);
    /* Starts to send @len bytes of a part without the queue. Returns an error,
     * or 0 if wr_sender_sent() will be called. */
    int (*send_part)(weir_transport *t, const void *data, size_t len);
    /* Called after bytes of a file were sent or refused. @err is 0 to send more
     * in the next loop iteration, -EAGAIN to wait for space, or the
     * connection's error. */
    void (*file_went)(weir_transport *t, int err);
    /* Cancels the send in flight. Returns false if wr_sender_sent() or
     * wr_sender_stopped() follows, true if no byte of the file is in flight or
     * in a queue that will be sent. */
    bool (*withdraw)(weir_transport *t);

    /* ---- time limits; see clock.h ---- */

    void (*view_time)(const weir_transport *t, struct wr_clock_view *ret);
    void (*time_expired)(weir_transport *t, const struct wr_deadline *over);
    /* ->look_at_queue reads the kernel's queue, and returns true if a wait for
     * the peer is over. ->next_look_ns returns the time of its next call, or
     * UINT64_MAX; a new send brings it no nearer than 1/WR_STALL_LOOKS of the
     * write-stall limit. */
    uint64_t (*next_look_ns)(const weir_transport *t);
    bool (*look_at_queue)(weir_transport *t);
};

struct weir_transport {
    const struct wr_transport_ops *ops;
    weir_loop *loop;
    /* The loop's thread, or none if another transport has replaced this one. */
    const void *const volatile *owner;
    struct weir_protocol_binding binding;
    /* Chosen by wr_protocol_bound(). */
    int (*data_received)(void *user, weir_transport *t,
                         const struct weir_buf *buf);
    struct wr_member member;
    struct wr_ready step;
    struct wr_demand demand;
    struct wr_connection_set *set; /* the server's, or NULL */
    struct wr_list set_link;
    /* The task that serves the transport, or NULL. */
    struct wr_handler *handler;
    /* Received bytes that the reader could move out of the pool, or NULL. */
    struct wr_evictable *evictable;
    struct wr_flush *flush;
    const char *error_what; /* operation that failed, static text; or NULL */
    int error;              /* the first, sticky */
    /* Error of the first refused write, until the program takes it. */
    int write_error;
    uint32_t refs;
    uint32_t high_bytes;
    uint32_t low_bytes;
    uint32_t hard_limit_bytes; /* WR_NO_LIMIT if there is none */
    /* Bytes of the close_notify, whose loss is no error. */
    uint32_t farewell_bytes;
    /* Descriptor of the device, if any; -1 when closed, after the loss. */
    int fd;
    /* Up to this depth, neither the high mark nor the share is exceeded. */
    uint16_t check_bytes;
    /* is_made is set before connection_made, end_sent when everything is sent
     * after the last write, eof_seen when the peer's end was received. */
    bool is_made;
    bool end_sent;
    bool eof_seen;
    enum weir_end end : 8;        /* the first, sticky */
    enum wr_life_state state : 8; /* set by wr_life_set_state() alone */
    /* Set before pause_writing, cleared before resume_writing. */
    bool writing_paused : 1;
    /* Set when written bytes are dropped, or refused during a close. */
    bool has_dropped : 1;
    bool is_busy : 1;
    /* Pipe of a child or side of a relay: the protocol must stay. */
    bool is_part : 1;
    /* Set by a relay: error_received reports the first error at once, and
     * pause_writing is called when the peer takes nothing, even below the high
     * mark. */
    bool is_relayed : 1;
    bool is_below : 1; /* set when another transport has replaced it */
    /* Receiving has stopped for lack of a window or a buffer. */
    bool held_back : 1;
    bool must_notify : 1; /* writing_paused or flush is set */
};

#define WR_HIGH_DEFAULT       (64u << 10)
#define WR_LOW_DEFAULT        (16u << 10)
#define WR_HARD_LIMIT_DEFAULT (64u << 20)
#define WR_READ_LIMIT_DEFAULT (1u << 20)

/* 32 bits, because each idle connection stores its marks and limits. */
#define WR_NO_LIMIT UINT32_MAX

_Static_assert(WR_QUEUED_LEAST <= UINT16_MAX, "check_bytes has 16 bits");

static inline bool wr_transport_is_connection(const weir_transport *t)
{
    return t->ops->size > 0;
}

/* Asserts that the mandatory entries are set. Called with -Dinvariants=true. */
void wr_transport_check_ops(const struct wr_transport_ops *ops);

void wr_transport_init(weir_transport *t, weir_loop *loop,
                       const struct wr_transport_ops *ops);

const char *wr_transport_get_alert(const weir_transport *t);

void wr_transport_count(const struct wr_member *member,
                        struct weir_loop_statistics *ret);

/* Replaces the open transport @below by @t, which was made on top of it. @t
 * takes over the server, the task and the water marks of @below. */
void wr_transport_take_place(weir_transport *t, weir_transport *below);

/* The kernel's limits of TCP keep-alive times and of the number of probes. */
#define WR_KEEP_ALIVE_MAX_NS    WEIR_SECONDS(32767)
#define WR_KEEP_ALIVE_MAX_COUNT 127u

/* Checks the options in @outer, which wr_options_read() has filled. */
WEIR_MUST_USE int
wr_connection_options_read(const void *outer,
                           struct weir_connection_options *connection);

/* Reads options of @size bytes, which end with @connection, into @known. On
 * error closes @fd, because the call takes it in any case. @fd may be -1. */
WEIR_MUST_USE int
wr_connection_options_read_all(void *known, size_t size, const void *options,
                               struct weir_connection_options *connection,
                               int fd);

WEIR_MUST_USE int wr_transport_enter_slowly(const weir_transport *t);

/* Returns 0, WEIR_EREPLACED, or an error of wr_loop_check(). */
WEIR_MUST_USE static inline int wr_transport_enter(const weir_transport *t)
{
    if (WR_LIKELY(*t->owner == wr_this_thread())) {
        return 0;
    }
    return wr_transport_enter_slowly(t);
}

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

static inline bool wr_transport_lacks_room(const weir_transport *t,
                                           uint64_t depth, uint64_t len)
{
    return t->hard_limit_bytes != WR_NO_LIMIT &&
           (len > t->hard_limit_bytes || depth > t->hard_limit_bytes - len);
}

void wr_transport_unref(weir_transport *t);

static inline void wr_transport_free_if_unused(weir_transport *t)
{
    weir_loop *loop = t->loop;

    if (t->refs == 0 && t->demand.account.lease_count == 0) {
        /* The transport of a child process does not use life.h. */
        wr_assert(t->state == WR_LIFE_LOST || t->state == WR_LIFE_NEW);
        t->ops->free(t);
        wr_loop_unpin(loop);
    }
}

void wr_transport_check_invariants(const weir_transport *t);

#define WR_PROTOCOL_BIT(kind) (1u << (kind))
#define WR_PROTOCOL_STREAMS                                                    \
    (WR_PROTOCOL_BIT(WEIR_PROTOCOL_STREAM) |                                   \
     WR_PROTOCOL_BIT(WEIR_PROTOCOL_BUFFERED))

bool wr_protocol_fits(const weir_transport *t,
                      const struct weir_protocol_binding *binding);

int wr_refuse_write(weir_transport *t, const void *data, size_t len);
int wr_refuse_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total);
int wr_refuse_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg);
int wr_refuse_write_lease(weir_transport *t, const struct weir_buf *buf);

/* Sets the limits of a new transport from its options; 0 means the default. */
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

void wr_transport_set_end(weir_transport *t, enum weir_end end);
void wr_transport_set_error(weir_transport *t, int err, const char *what);
void wr_transport_correct_error(weir_transport *t, int err, const char *what);

static inline bool wr_transport_can_write(const weir_transport *t)
{
    return (t->error | t->write_error) == 0;
}

/* Records the error of a refused write; later writes fail until the program
 * takes the error. Returns the first such error. */
WEIR_MUST_USE int wr_transport_refuse(weir_transport *t, int err);

WEIR_MUST_USE int wr_transport_take_write_error(weir_transport *t);

/* True if no request is being served, as far as the library knows. */
bool wr_transport_is_idle(weir_transport *t);

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

static inline void wr_transport_note_idle(weir_transport *t)
{
    if (t->set) {
        t->set->ops->note_idle(t->set, t);
    }
}

/* True if the protocol keeps as many bytes as the receive window allows. */
bool wr_transport_lacks_credit(const weir_transport *t);

/* wr_transport_notify() calls resume_writing at the low mark, `flush` at 0. */
void wr_transport_pause(weir_transport *t);
void wr_transport_notify(weir_transport *t, uint64_t depth);

/* Calls @flush once, when the depth falls to 0 or the queue of a broken
 * connection is dropped. NULL cancels. */
void wr_transport_on_flushed(weir_transport *t, struct wr_flush *flush);

/* Returns the present high mark, or WR_NO_LIMIT. It is lower while all send
 * queues together are large, but never below the low mark. */
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

/* Returns the depth at which a paused protocol, or `flush`, is called. */
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

/* True if a task may write above the high mark: the queue is short, not offered
 * to the kernel, and ends with leased bytes, so one send will cover all. */
bool wr_transport_may_join(const weir_transport *t);

void wr_protocol_bound(weir_transport *t);

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

/* Call the protocol. Return 0 if the protocol's entry is NULL. */
void wr_protocol_made(weir_transport *t);
void wr_protocol_lost(weir_transport *t);
bool wr_protocol_may_move(const weir_transport *t);
void wr_protocol_moved(weir_transport *t);
void wr_protocol_pause(weir_transport *t);
void wr_protocol_resume(weir_transport *t);
WEIR_MUST_USE int wr_protocol_eof(weir_transport *t);
/* Calls get_buffer. Returns WEIR_ENOBUFFER if it offers no memory. */
WEIR_MUST_USE int wr_protocol_get_buffer(weir_transport *t, size_t hint,
                                         void **ret_buf, size_t *ret_size);
WEIR_MUST_USE int wr_protocol_updated(weir_transport *t, size_t len);
/* Returns the memory of get_buffer to the protocol of @from. */
void wr_protocol_give_back(weir_transport *t,
                           const struct weir_protocol_binding *from, void *buf);
bool wr_protocol_takes_fds(const weir_transport *t);
WEIR_MUST_USE int wr_protocol_fds(weir_transport *t, const int *fds,
                                  size_t count, bool lost);
WEIR_MUST_USE int wr_protocol_datagram(weir_transport *t,
                                       const struct weir_datagram *datagram);
void wr_protocol_error(weir_transport *t, int err,
                       const struct weir_address *peer);

/* @fd is the child's descriptor. */
WEIR_MUST_USE int wr_protocol_pipe_data(weir_transport *t, int fd,
                                        const struct weir_buf *buf);
void wr_protocol_pipe_lost(weir_transport *t, int fd, int err);
void wr_protocol_exited(weir_transport *t);

/* True unless a callback has switched the protocol since @from was bound. */
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
