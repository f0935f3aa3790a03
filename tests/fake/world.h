/*
 * Internals of the fake machine; tests include fake.h. Calls go only down in
 * this list:
 *
 *     ring.c      queues, waiting, provided buffers     (uring/ring.h)
 *     sys.c       calls beside the ring                 (uring/sys.h)
 *     issue.c     how submission entries become operations
 *     op.c        the operations in flight
 *     closer.c    closes that wait                      (uring/closer.h)
 *     disk.c      regular files                         (uring/sys.h)
 *     pass.c      descriptors that are passed           (uring/sys.h)
 *     datagram.c  datagrams, and tests' queries         (uring/sys.h, fake.h)
 *     peer.c      peers, and tests' queries             (fake.h)
 *     fifo.c      pipes between weir and the test       (fake.h)
 *     stage.c     pipes with both ends in weir, splices (uring/sys.h)
 *     box.c       datagram sockets and the network
 *     conn.c      byte pipes, ends, listeners
 *     world.c     seed, clock, descriptors, trace
 */
#ifndef WEIR_TESTS_FAKE_WORLD_H
#define WEIR_TESTS_FAKE_WORLD_H

#include "tests/fake/fake.h"
#include "uring/list.h"
#include "uring/ring.h"

#include <liburing.h>
#include <netinet/in.h>

/* ---- world.c ---- */

enum fake_kind {
    FAKE_SOCKET, /* neither listening nor connected yet */
    FAKE_STREAM,
    FAKE_DATAGRAM,
    FAKE_LISTENER,
    FAKE_EVENTFD,
    FAKE_CLOCK, /* stands for no descriptor in operations that wait for time */
    FAKE_DISK,
    FAKE_PIDFD,
    FAKE_TOKEN,
    FAKE_FIFO_READ, /* weir's end of a pipe, from which it reads */
    FAKE_FIFO_WRITE,
    FAKE_STAGE /* an end of a pipe that weir has both ends of */
};

#define FAKE_SOCKOPT_MAX 24

struct fake_sockopt_value {
    int level;
    int name;
    int value;
};

struct fake_addr {
    socklen_t len; /* 0 without an address */
    struct sockaddr_storage storage;
};

struct fake_end;
struct fake_box;
struct fake_fifo;
struct fake_stage;

/* The child of a FAKE_PIDFD. */
struct fake_child {
    int pid;
    bool has_ended;
    bool is_stolen; /* other code has reaped it */
    bool is_woken;  /* the next poll reports wrongly that it has ended */
    int returncode;
    int signum;     /* the last signal to it, or 0 */
    int signal_err; /* error of signals; 0 lets them succeed */
    int poll_err;   /* error of the next poll, or 0 */
    bool hangs;     /* survives SIGKILL */
};

/* An open descriptor. */
struct fake_file {
    int fd;
    enum fake_kind kind;
    int family;
    uint32_t op_count; /* operations in flight on this descriptor */
    uint32_t send_count;
    uint32_t recv_count;
    bool receives_by_calls;   /* the last receive was a system call */
    uint64_t fin_polls;       /* polls for space that a FIN alone ended */
    struct fake_end *end;     /* FAKE_STREAM, and while connecting */
    struct fake_box *box;     /* FAKE_DATAGRAM */
    struct fake_fifo *fifo;   /* FAKE_FIFO_READ and FAKE_FIFO_WRITE */
    struct fake_stage *stage; /* FAKE_STAGE */
    bool connecting;
    bool reset_on_close; /* SO_LINGER with time 0 */
    bool reuse_port;
    bool is_nonblocking;
    struct fake_addr local; /* the bound address */
    struct fake_listener *listener;
    uint64_t event_count;
    uint64_t disk_size;
    enum fake_place place; /* state of bytes place_first to place_end */
    uint64_t place_first;
    uint64_t place_end;
    fake_fill_fn *fill; /* FAKE_DISK */
    void *fill_arg;
    uint64_t token; /* FAKE_TOKEN */
    struct fake_child child;
    struct fake_sockopt_value sockopts[FAKE_SOCKOPT_MAX];
    uint32_t sockopt_count;
};

struct fake_machine {
    struct fake_options options;
    struct fake_stats stats;
    bool running;
    bool blocks_signals; /* for a file */
    bool raised_signal;  /* while it was blocked */
    uint64_t random;
    uint64_t now_ns;
    struct fake_file clock;
    struct fake_file **files;
    uint32_t file_slots;
    uint32_t file_count;
    uint32_t port_next;
    uint32_t spoil_flags;
    struct wr_list events;
    struct wr_list conns;
    struct wr_list listeners;
    struct wr_list fifos;
    struct wr_list boxes;
    struct wr_list packets; /* datagrams on their way */
    uint64_t link_ns;       /* time at which the last datagram arrives */
    struct wr_list closers; /* closers with closes that wait */
    uint32_t closer_count;  /* number of all closers */
    bool holds_closes;      /* closes wait until the test lets them end */
    struct wr_ring *ring;
    char *text;
    size_t text_len;
    size_t text_size;
};

extern struct fake_machine fake;

/* Returns the open file. Otherwise fails with a message that names @what. */
struct fake_file *fake_file_get(int fd, const char *what);
/* Returns NULL if too many files are open. */
struct fake_file *fake_file_open(enum fake_kind kind, int family);
/* Frees the number. The caller has freed the object of the descriptor. */
void fake_file_drop(struct fake_file *file);
/* Returns the time of the next event, or UINT64_MAX without one. */
uint64_t fake_event_next(void);
void fake_events_run(void);

/* ---- closer.c ---- */

/* Ends all waiting closes, at the end of the machine. */
void fake_closers_end(void);

/* ---- disk.c ---- */

/* Like pread(2). */
int32_t fake_disk_read(const struct fake_file *file, void *buf, size_t len,
                       uint64_t offset);

/* ---- pass.c ---- */

struct fake_op;
/* Returns the descriptors of a send, or NULL. */
struct fake_batch *fake_batch_of(const struct fake_op *op);

/* ---- fifo.c ---- */

/* A pipe between weir and the test. */
struct fake_fifo {
    struct wr_list link;
    uint8_t *data;
    uint32_t size;
    uint32_t head;
    uint32_t len;
    bool by_name; /* refuses calls that do not wait */
    bool weir_gone;
    bool test_gone;
    uint64_t taken; /* bytes that writes have put into the pipe */
    uint64_t given; /* bytes that reads have returned */
};

/* Closes weir's end. */
void fake_fifo_leave(struct fake_fifo *fifo);
void fake_fifos_free(void);
/* Returns bits of poll(2). */
uint32_t fake_fifo_poll(const struct fake_file *file);
/* Like a read and a write that do not wait. */
int32_t fake_fifo_take(struct fake_fifo *fifo, const struct iovec *iov,
                       uint32_t count);
int32_t fake_fifo_put(struct fake_fifo *fifo, const struct iovec *iov,
                      uint32_t count);
/* Returns true if a worker's read or write of @len bytes need not wait. */
bool fake_fifo_may_work(const struct fake_file *file, size_t len);

/* ---- stage.c ---- */

/* Closes one of weir's two ends. */
void fake_stage_leave(struct fake_stage *stage);

/* ---- box.c ---- */

struct fake_box {
    struct wr_list link;
    int family;
    struct fake_addr local;  /* len is 0 without a name */
    struct fake_addr remote; /* len is 0 if it is not connected */
    struct wr_list queue;    /* datagrams that have arrived */
    uint32_t queue_bytes;
    uint32_t queue_len;
    uint32_t sent_bytes; /* bytes of its datagrams that occupy its queue */
    int err;             /* positive; reported once */
    uint64_t told_errors;
    uint64_t received_errors; /* errors that receives have reported */
    uint64_t refusals;        /* by ports without a socket */
    uint64_t drops;           /* datagrams that found its queue full */
    uint64_t taken;           /* datagrams that sends have passed */
    uint64_t *given;          /* tags of the datagrams that were received */
    uint64_t given_count;
};

struct fake_packet {
    struct wr_list link;     /* in flight, or in the receiver's queue */
    struct fake_box *sender; /* whose queue it occupies, or NULL */
    struct fake_addr from;
    struct fake_addr to;
    uint64_t tag;
    bool is_copy; /* made by the network */
    size_t len;
    uint8_t data[];
};

struct fake_box *fake_box_new(int family);
void fake_box_free(struct fake_box *box);
void fake_boxes_free(void);
int fake_box_bind(struct fake_box *box, const struct fake_addr *addr);
int fake_box_connect(struct fake_box *box, const struct fake_addr *addr);
/* Returns true if a send would find no space. */
bool fake_box_is_full(const struct fake_box *box);
/* Returns true if a poll would report space. */
bool fake_box_has_room(const struct fake_box *box);
/* Returns bits of poll(2). */
uint32_t fake_box_poll(const struct fake_box *box);
/* Returns the stored error, which is positive, and clears it. */
int fake_box_take_error(struct fake_box *box);
/* Removes and returns the first datagram in the queue. There must be one. */
struct fake_packet *fake_box_pop(struct fake_box *box);
struct fake_addr fake_box_fresh_name(int family);

/* Unix sockets accept one more datagram than this. */
#define FAKE_UNIX_QUEUE 10u

/* Makes a datagram that occupies its sender's queue. */
struct fake_packet *fake_packet_new(struct fake_box *box,
                                    const struct fake_addr *to,
                                    const struct iovec *iov, size_t count);
void fake_packet_free(struct fake_packet *packet);
/* Takes the datagram, even on failure. Returns 0 or an error. */
int fake_packet_send(struct fake_packet *packet, int family);

/* ---- conn.c ---- */

/* Bytes in flight in one direction. The first @recv_size bytes have arrived;
 * the others are in the sender's queue. */
struct fake_pipe {
    uint8_t *data;
    uint32_t size;
    uint32_t recv_size;
    uint32_t head;
    uint32_t len;
    bool fin;               /* the sender has ended its stream */
    uint64_t popped;        /* number of bytes read so far */
    struct wr_list batches; /* struct fake_batch, in the order of bytes */
};

/* Descriptors in flight, which belong to the byte at @at of a pipe's stream. */
struct fake_batch {
    struct wr_list link;
    uint64_t at;
    uint32_t count;
    uint64_t tokens[FAKE_TOKENS_MAX];
};

struct fake_end {
    struct fake_conn *conn;
    struct fake_end *other;
    struct fake_pipe in;
    uint64_t taken;    /* bytes that sends have passed */
    uint64_t given;    /* bytes that receives have returned */
    int err;           /* positive, reported once */
    uint32_t lost;     /* bytes and a FIN that a reset has dropped */
    bool err_is_taken; /* by the send in flight, which has not completed */
    bool dead;         /* the connection has ended */
    bool unnamed;      /* has no addresses, because its owner has reset it */
    bool read_shut;    /* by its owner */
    bool write_shut;   /* by its owner */
    bool gone;         /* closed by its owner */
    bool established;  /* false while connecting */
    bool is_deaf;      /* no multishot receive sees an event */
    struct fake_addr local;
};

struct fake_end *fake_conn_new(const struct fake_addr *local,
                               const struct fake_addr *remote);
ssize_t fake_end_recv(struct fake_end *end, void *buf, size_t len);
ssize_t fake_end_send(struct fake_end *end, const void *buf, size_t len);
/* Receives up to the second batch. Sets *ret to the first batch if its byte was
 * received, else to NULL. The caller frees it. A plain receive drops batches.
 */
ssize_t fake_end_recv_batch(struct fake_end *end, void *buf, size_t len,
                            struct fake_batch **ret);
/* The batch belongs to the first byte, if a byte is sent. */
ssize_t fake_end_send_batch(struct fake_end *end, const void *buf, size_t len,
                            struct fake_batch *batch);
bool fake_end_is_unix(const struct fake_end *end);
size_t fake_end_readable(const struct fake_end *end);
size_t fake_end_writable(const struct fake_end *end);
/* Returns true if a FIN has arrived and all bytes before it were read. */
bool fake_end_has_ended(const struct fake_end *end);
/* Returns bits of poll(2). */
uint32_t fake_end_poll(const struct fake_end *end);
uint32_t fake_end_unacked(const struct fake_end *end);
int fake_end_shutdown(struct fake_end *end, int how);
void fake_end_reset(struct fake_end *end);
/* Resets the connection for the owner, who sees the reset like any other. */
void fake_end_disconnect(struct fake_end *end);
/* Closes the owner's end: a FIN, or a reset if bytes are unread. */
void fake_end_close(struct fake_end *end, bool reset);
void fake_conns_free(void);

/* A listener of weir or of the test. */
struct fake_listener {
    struct wr_list link;
    struct fake_addr addr;
    struct fake_file *file; /* NULL for a listener of the test */
    uint32_t backlog;
    enum fake_answer answer;
    uint64_t delay_ns;
    uint64_t turn; /* order of listeners that share a port */
    struct fake_end **queue;
    uint32_t queue_len;
};

struct fake_listener *fake_listener_new(const struct fake_addr *addr,
                                        struct fake_file *file,
                                        uint32_t backlog);
struct fake_listener *fake_listener_find(const struct fake_addr *addr);
bool fake_listener_push(struct fake_listener *listener, struct fake_end *end);
struct fake_end *fake_listener_pop(struct fake_listener *listener);
void fake_listener_free(struct fake_listener *listener);

struct fake_addr fake_addr_of(const struct sockaddr *addr, socklen_t len);
uint16_t fake_addr_port(const struct fake_addr *addr);
void fake_addr_set_port(struct fake_addr *addr, uint16_t port);
/* Returns 127.0.0.1 or ::1 with an unused port. */
struct fake_addr fake_addr_fresh(int family);

/* ---- op.c ---- */

#define FAKE_IOV_MAX 1024u

/* A submission entry in flight. */
struct fake_op {
    struct wr_list link;
    struct wr_ring *ring;
    struct io_uring_sqe sqe;
    struct fake_file *file;
    struct iovec *iov; /* sends: the bytes, read at completion */
    uint32_t iov_count;
    const void *control; /* also read at completion */
    size_t control_len;
    struct fake_addr addr; /* connect: the destination */
    uint64_t ready_ns;     /* connect: time of the answer; timeout, or without a
                            * worker: the end */
    int answer;            /* connect: result */
    uint32_t told;         /* multishot poll: the events of the last report */
    uint32_t credit;       /* multishot receive: bytes left; 0: no limit */
    uint32_t wakes;        /* wakes without progress */
    uint8_t *worker_buf;   /* single receive in a worker: its buffer */
    uint32_t worker_room;
    uint32_t worker_flags; /* completion flags of the buffer */
    uint64_t held_to_tick; /* not tried before */
    bool judged;           /* chance has decided whether to hold it back */
    bool cancelled;        /* ends with -ECANCELED when it is run */
    bool exhausted;        /* woken too often: goes to a worker, or ends */
    bool in_worker;        /* waits there like a blocking call */
    bool lacks_worker;     /* ends with -ECANCELED: no thread can be started */
    bool multishot;
    bool credited;
    bool never_waits; /* a receive from a non-blocking socket */
};

/* Returns true if the operation can make progress now. */
bool fake_op_is_ready(const struct fake_op *op);
/* Makes progress. The operation may have been freed afterwards. */
void fake_op_run(struct fake_op *op);
void fake_op_end(struct fake_op *op, int32_t res, uint32_t flags);
/* Wakes the operation @count times without progress (fake_peer_urge()). */
void fake_op_wake(struct fake_op *op, uint32_t count);
/* Frees the operation without a completion, when the ring is closed. */
void fake_op_drop(struct fake_op *op);
/* Returns NULL for an entry that weir never makes. */
const char *fake_op_name(uint8_t opcode);
/* Returns the number of bytes of a send. */
size_t fake_op_bytes(const struct fake_op *op);
/* Sets the listener that answers a connect, the time and the result. */
void fake_op_ask(struct fake_op *op);

/* ---- issue.c ---- */

/* Starts an entry. Returns NULL if it is already complete. */
struct fake_op *fake_op_issue(struct wr_ring *ring,
                              const struct io_uring_sqe *sqe);
void fake_file_close(struct fake_file *file);

/* ---- ring.c ---- */

struct fake_slot {
    uint8_t *data;
    uint32_t len;
    uint16_t buf_id;
};

struct fake_backlog;

struct wr_ring {
    const struct weir_allocator *allocator;
    struct wr_features features;
    struct io_uring_sqe *sq;
    uint32_t sq_entries;
    uint32_t sq_len;
    struct wr_cqe *cq;
    uint32_t cq_entries;
    uint32_t cq_head;
    uint32_t cq_len;
    struct wr_cqe *backlog; /* completions that found the queue full */
    uint32_t backlog_len;
    uint32_t backlog_size;
    bool overflowed;
    bool enabled;
    bool incremental; /* a receive uses a part of a provided buffer */
    bool more;        /* work is left for another enter */
    bool has_worker;  /* a thread for files, which then stays */
    bool misses_ends; /* the ring has a host */
    int broken;
    struct wr_list ops;
    uint32_t op_count;
    uint64_t tick;
    struct fake_slot *slots;
    uint32_t slot_count;
    uint32_t slot_head;
    uint32_t slot_tail;   /* as the kernel sees it */
    uint32_t slot_staged; /* as weir has written it */
    struct wr_ring_stats stats;
};

/* Returns true for the ring of the engine on epoll. */
static inline bool fake_ring_polls(const struct wr_ring *ring)
{
    return ring->features.engine == WR_ENGINE_POLL;
}

/* Returns false if the queue is full: the completion is kept, but a multishot
 * operation ends. */
bool fake_ring_has_room(const struct wr_ring *ring);
void fake_ring_post(struct wr_ring *ring, const struct fake_op *op, int32_t res,
                    uint32_t flags);
/* Returns the buffer for the next receive, or NULL if there is none. */
struct fake_slot *fake_ring_slot(struct wr_ring *ring);
/* Uses @len bytes of the buffer. Returns the flags of the completion. */
uint32_t fake_ring_slot_use(struct wr_ring *ring, uint32_t len);
bool fake_ring_has(const struct wr_ring *ring, enum wr_feature feature);
/* Returns true while an entry with @fd waits to be submitted. */
bool fake_ring_names_fd(const struct wr_ring *ring, int fd);

#endif
