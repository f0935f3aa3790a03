/*
 * The parts of the fake machine see each other here; tests include fake.h.
 *
 *     ring.c   queues, waiting, provided buffers    (uring/ring.h)
 *     sys.c    calls beside the ring                (uring/sys.h)
 *     issue.c  submission entries become operations
 *     op.c     what operations do
 *     closer.c closes that wait                      (uring/closer.h)
 *     disk.c   regular files                         (uring/sys.h)
 *     pass.c   descriptors that are passed           (uring/sys.h)
 *     datagram.c  datagrams, and what tests ask of them (uring/sys.h, fake.h)
 *     peer.c   peers, and what tests ask of connections (fake.h)
 *     fifo.c   pipes                                 (fake.h)
 *     stage.c  pipes of weir alone, and splices      (uring/sys.h)
 *     box.c    boxes and the network between them
 *     conn.c   pipes, ends, listeners
 *     world.c  seed, clock, descriptors, trace
 *
 * Calls go down this list only.
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
    FAKE_STAGE /* an end of a pipe of which weir has both */
};

#define FAKE_SOCKOPT_MAX 24

struct fake_sockopt_value {
    int level;
    int name;
    int value;
};

struct fake_addr {
    socklen_t len; /* 0: none */
    struct sockaddr_storage storage;
};

struct fake_end;
struct fake_box;
struct fake_fifo;
struct fake_stage;

/* FAKE_PIDFD: a child that weir made. */
struct fake_child {
    int pid;
    bool has_ended;
    bool is_stolen; /* something else has reaped it */
    bool is_woken;  /* a poll says once that it has ended */
    int returncode;
    int signum;     /* the last that it got */
    int signal_err; /* refuses signals */
    int poll_err;   /* of the next poll; 0: it succeeds */
    bool hangs;     /* SIGKILL does not end it */
};

/* An open descriptor. */
struct fake_file {
    int fd;
    enum fake_kind kind;
    int family;
    uint32_t op_count; /* operations in flight that name it */
    uint32_t send_count;
    uint32_t recv_count;
    bool receives_by_calls;   /* the last receive was a system call */
    uint64_t fin_polls;       /* for room, which ended by a FIN alone */
    struct fake_end *end;     /* FAKE_STREAM, and while connecting */
    struct fake_box *box;     /* FAKE_DATAGRAM */
    struct fake_fifo *fifo;   /* FAKE_FIFO_READ and FAKE_FIFO_WRITE */
    struct fake_stage *stage; /* FAKE_STAGE */
    bool connecting;
    bool reset_on_close; /* SO_LINGER with no time */
    bool reuse_port;
    bool is_nonblocking;
    struct fake_addr local; /* bound to */
    struct fake_listener *listener;
    uint64_t event_count;
    uint64_t disk_size;
    enum fake_place place; /* of the bytes from here to there */
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
    uint64_t link_ns;       /* when the last of them arrives */
    struct wr_list closers; /* with closes that wait */
    uint32_t closer_count;  /* all */
    bool holds_closes;      /* until the test lets them end */
    struct wr_ring *ring;
    char *text;
    size_t text_len;
    size_t text_size;
};

extern struct fake_machine fake;

/* The open file, or a failure that names @what. */
struct fake_file *fake_file_get(int fd, const char *what);
/* NULL when there are too many. */
struct fake_file *fake_file_open(enum fake_kind kind, int family);
/* Frees the number; the caller has taken apart what it stood for. */
void fake_file_drop(struct fake_file *file);
/* Time of the next event, UINT64_MAX when there is none. */
uint64_t fake_event_next(void);
void fake_events_run(void);

/* ---- closer.c ---- */

/* The closes that wait end, as the machine does. */
void fake_closers_end(void);

/* ---- disk.c ---- */

/* As pread(2). */
int32_t fake_disk_read(const struct fake_file *file, void *buf, size_t len,
                       uint64_t offset);

/* ---- pass.c ---- */

struct fake_op;
/* The descriptors of a send, or NULL. */
struct fake_batch *fake_batch_of(const struct fake_op *op);

/* ---- fifo.c ---- */

/* A pipe of which weir has one end and the test the other one. */
struct fake_fifo {
    struct wr_list link;
    uint8_t *data;
    uint32_t size;
    uint32_t head;
    uint32_t len;
    bool by_name; /* calls that do not wait are refused */
    bool weir_gone;
    bool test_gone;
    uint64_t taken; /* bytes by writes */
    uint64_t given; /* and by reads */
};

/* weir lets go of its end. */
void fake_fifo_leave(struct fake_fifo *fifo);
void fake_fifos_free(void);
/* Bits of poll(2). */
uint32_t fake_fifo_poll(const struct fake_file *file);
/* As reads and writes that do not wait. */
int32_t fake_fifo_take(struct fake_fifo *fifo, const struct iovec *iov,
                       uint32_t count);
int32_t fake_fifo_put(struct fake_fifo *fifo, const struct iovec *iov,
                      uint32_t count);
/* A worker's read or write of @len bytes need not wait. */
bool fake_fifo_may_work(const struct fake_file *file, size_t len);

/* ---- stage.c ---- */

/* weir lets go of one of its two ends. */
void fake_stage_leave(struct fake_stage *stage);

/* ---- box.c ---- */

/* A datagram socket: weir's, or one that the test plays. */
struct fake_box {
    struct wr_list link;
    int family;
    struct fake_addr local;  /* len 0: it has no name */
    struct fake_addr remote; /* len 0: it is not connected */
    struct wr_list queue;    /* of what has arrived */
    uint32_t queue_bytes;
    uint32_t queue_len;
    uint32_t sent_bytes; /* of what was sent and is not out of its hands */
    int err;             /* positive, told once */
    uint64_t told_errors;
    uint64_t received_errors; /* of them, by receives */
    uint64_t refusals;        /* by ports without a socket */
    uint64_t drops;           /* for want of room in its queue */
    uint64_t taken;           /* datagrams by sends */
    uint64_t *given;          /* tags of those that receives have given */
    uint64_t given_count;
};

struct fake_packet {
    struct wr_list link;     /* on the way, or in the queue of its receiver */
    struct fake_box *sender; /* whose queue it fills; NULL: none */
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
/* A send would find no room. */
bool fake_box_is_full(const struct fake_box *box);
/* A poll would tell of room. */
bool fake_box_has_room(const struct fake_box *box);
/* Bits of poll(2). */
uint32_t fake_box_poll(const struct fake_box *box);
/* The error that is kept for it, positive; it is told now. */
int fake_box_take_error(struct fake_box *box);
/* The first datagram that has arrived, out of the queue; there is one. */
struct fake_packet *fake_box_pop(struct fake_box *box);
struct fake_addr fake_box_fresh_name(int family);

/* Unix sockets take one more than these. */
#define FAKE_UNIX_QUEUE 10u

/* One that fills its sender's queue. */
struct fake_packet *fake_packet_new(struct fake_box *box,
                                    const struct fake_addr *to,
                                    const struct iovec *iov, size_t count);
void fake_packet_free(struct fake_packet *packet);
/* Taken; 0 or an error. */
int fake_packet_send(struct fake_packet *packet, int family);

/* ---- conn.c ---- */

/* Bytes on their way in one direction. The first @recv_size of them have
 * arrived, the rest lie in the sender's queue. */
struct fake_pipe {
    uint8_t *data;
    uint32_t size;
    uint32_t recv_size;
    uint32_t head;
    uint32_t len;
    bool fin;               /* the sender will add nothing */
    uint64_t popped;        /* bytes so far */
    struct wr_list batches; /* of descriptors that go along */
};

/* Descriptors on their way, with the byte at @at of a pipe's stream. */
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
    uint64_t taken;    /* bytes that sends have handed over */
    uint64_t given;    /* and receives have given */
    int err;           /* positive, told once */
    uint32_t lost;     /* bytes and a FIN that a reset has kept from arriving */
    bool err_is_taken; /* by the send in flight, which has not completed */
    bool dead;         /* the connection is no more */
    bool unnamed;      /* and has no addresses: its owner has reset it */
    bool read_shut;    /* by its owner */
    bool write_shut;   /* by its owner */
    bool gone;         /* its owner has closed it */
    bool established;  /* false while connecting */
    bool is_deaf;      /* no multishot receive sees an event */
    struct fake_addr local;
};

struct fake_end *fake_conn_new(const struct fake_addr *local,
                               const struct fake_addr *remote);
ssize_t fake_end_recv(struct fake_end *end, void *buf, size_t len);
ssize_t fake_end_send(struct fake_end *end, const void *buf, size_t len);
/* Up to the second batch; *ret is the first one if its byte was among them, to
 * be freed, or NULL. A plain receive drops what it meets. */
ssize_t fake_end_recv_batch(struct fake_end *end, void *buf, size_t len,
                            struct fake_batch **ret);
/* The tokens go along with the first byte of what is sent, if one is. */
ssize_t fake_end_send_batch(struct fake_end *end, const void *buf, size_t len,
                            struct fake_batch *batch);
bool fake_end_is_unix(const struct fake_end *end);
size_t fake_end_readable(const struct fake_end *end);
size_t fake_end_writable(const struct fake_end *end);
/* A FIN has arrived and nothing is before it. */
bool fake_end_has_ended(const struct fake_end *end);
/* Bits of poll(2). */
uint32_t fake_end_poll(const struct fake_end *end);
uint32_t fake_end_unacked(const struct fake_end *end);
int fake_end_shutdown(struct fake_end *end, int how);
void fake_end_reset(struct fake_end *end);
/* A reset by the owner, who learns of it as of any other. */
void fake_end_disconnect(struct fake_end *end);
/* The owner lets go: a FIN, or a reset where bytes are unread. */
void fake_end_close(struct fake_end *end, bool reset);
void fake_conns_free(void);

/* Where connections arrive: weir's own listeners and the test's. */
struct fake_listener {
    struct wr_list link;
    struct fake_addr addr;
    struct fake_file *file; /* NULL: the test's */
    uint32_t backlog;
    enum fake_answer answer;
    uint64_t delay_ns;
    uint64_t turn; /* of those that share a port */
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
/* 127.0.0.1 or ::1 with a port of its own. */
struct fake_addr fake_addr_fresh(int family);

/* ---- op.c ---- */

#define FAKE_IOV_MAX 1024u

/* A submission entry that the machine works on. */
struct fake_op {
    struct wr_list link;
    struct wr_ring *ring;
    struct io_uring_sqe sqe;
    struct fake_file *file;
    struct iovec *iov; /* sends: where the bytes are, read at completion */
    uint32_t iov_count;
    const void *control; /* read at completion too */
    size_t control_len;
    struct fake_addr addr; /* connect: to whom */
    uint64_t ready_ns;     /* connect: when it is answered; timeout: its end;
                            * one that lacks a worker: its end */
    int answer;            /* connect: result */
    uint32_t told;         /* multishot poll: events told last */
    uint32_t credit;       /* multishot receive: bytes left, 0: no limit */
    uint32_t wakes;        /* by which nothing was gained */
    uint8_t *worker_buf;   /* single receive in a worker: its buffer, ... */
    uint32_t worker_room;
    uint32_t worker_flags; /* ... taken when it went there */
    uint64_t held_to_tick; /* not tried before */
    bool judged;           /* the dice for holding it were thrown */
    bool cancelled;        /* ends with -ECANCELED when it is its turn */
    bool exhausted;        /* woken too often: goes to a worker, or ends */
    bool in_worker;        /* waits there, as a blocking call does */
    bool lacks_worker;     /* ends with -ECANCELED: no thread can be made */
    bool multishot;
    bool credited;
    bool never_waits; /* a receive of a socket that was non-blocking */
};

/* Could it make progress now? */
bool fake_op_is_ready(const struct fake_op *op);
/* Makes progress; the operation may be gone afterwards. */
void fake_op_run(struct fake_op *op);
void fake_op_end(struct fake_op *op, int32_t res, uint32_t flags);
/* It was woken @count times and gained nothing; see fake_peer_urge(). */
void fake_op_wake(struct fake_op *op, uint32_t count);
/* Ends without a completion, when the ring goes. */
void fake_op_drop(struct fake_op *op);
/* NULL: weir makes no such entries. */
const char *fake_op_name(uint8_t opcode);
/* Bytes of a send. */
size_t fake_op_bytes(const struct fake_op *op);
/* Connect: who answers, when, and what? */
void fake_op_ask(struct fake_op *op);

/* ---- issue.c ---- */

/* Starts an entry; NULL when it is complete already. */
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
    bool incremental; /* a receive takes a part of a provided buffer */
    bool more;        /* work is left for another enter */
    bool has_worker;  /* a thread for files, of which the last stays */
    bool misses_ends; /* it has a host */
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

/* True where the ring is that of the engine on epoll. */
static inline bool fake_ring_polls(const struct wr_ring *ring)
{
    return ring->features.engine == WR_ENGINE_POLL;
}

/* False when the queue is full: the completion is kept, but a multishot
 * operation ends. */
bool fake_ring_has_room(const struct wr_ring *ring);
void fake_ring_post(struct wr_ring *ring, const struct fake_op *op, int32_t res,
                    uint32_t flags);
/* The buffer that the next receive goes to, NULL when there is none. */
struct fake_slot *fake_ring_slot(struct wr_ring *ring);
/* Takes @len bytes of it; returns the flags of the completion. */
uint32_t fake_ring_slot_use(struct wr_ring *ring, uint32_t len);
bool fake_ring_has(const struct wr_ring *ring, enum wr_feature feature);
/* True while an entry that names @fd waits to be submitted. */
bool fake_ring_names_fd(const struct wr_ring *ring, int fd);

#endif
