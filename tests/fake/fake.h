/*
 * A simulated machine for tests: a ring, sockets, peers and a clock in one
 * process, without a kernel.
 *
 * It implements uring/ring.h and uring/sys.h. It interprets real submission
 * entries. Connections are pairs of byte pipes of finite size; datagrams pass a
 * network that may lose them; time passes only while the loop waits in
 * wr_ring_enter(). A test starts a machine, makes a loop on it, and plays the
 * peers: in the `entered` hook (before every enter), in the `idle` hook (the
 * loop would sleep), or at a given time with fake_at(). If a loop or
 * WEIR_ENGINE selects the engine on epoll, the ring lacks the same features.
 *
 * The seed decides everything, so a run can be repeated. The machine is strict:
 * an operation on a closed descriptor, a second send on a socket, a descriptor
 * that is closed during an operation and similar faults abort the program with
 * the seed and a line that names the fault. There is one machine per process,
 * for one thread.
 */
#ifndef WEIR_TESTS_FAKE_H
#define WEIR_TESTS_FAKE_H

#include "weir/base.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Random faults, each with a probability in thousandths. */
enum fake_fault {
    FAKE_SHORT_SEND,   /* a send takes less than there is space for */
    FAKE_SHORT_RECV,   /* a receive returns less than has arrived */
    FAKE_DELAY,        /* a possible completion comes later */
    FAKE_REORDER,      /* completions of different operations are swapped */
    FAKE_NO_BUFFER,    /* a receive ends with -ENOBUFS */
    FAKE_NO_FD,        /* accept and socket fail with -EMFILE */
    FAKE_INTERRUPT,    /* a wait or a sendfile() is interrupted */
    FAKE_CANCEL_RACE,  /* a cancelled operation completes anyway */
    FAKE_CANCEL_LOST,  /* a worker's operation of a pipe misses its cancel */
    FAKE_NO_SUBMIT,    /* an enter takes only some of the entries */
    FAKE_CONN_ABORTED, /* accept fails with -ECONNABORTED */
    FAKE_RETRIES_OVER, /* a waiting operation was woken too often */
    FAKE_VAIN_POLL,    /* a system call finds no bytes or space after all */
    FAKE_NO_TIMEOUT,   /* no memory for an operation that waits for time */
    FAKE_COLD,         /* a part of a file is not in the cache */
    FAKE_DISK_ERROR,   /* a file cannot be read: -EIO */
    FAKE_DISK_CANCEL,  /* the file system ends the read: -ECANCELED */
    FAKE_NO_MEMORY,    /* none for a datagram: -ENOBUFS, received: -ENOMEM */
    FAKE_LOSS,         /* the network loses a datagram, */
    FAKE_DUPLICATE,    /* delivers it twice, */
    FAKE_DETOUR,       /* or later than datagrams sent after it */
    FAKE_SLOW_CLOSE,   /* the close of a descriptor from a peer takes long */
    FAKE_NO_WORKER,    /* no thread can be made for a file operation */
    FAKE_FAULT_COUNT
};

struct fake_options {
    uint64_t seed;
    uint64_t variant; /* printed with the seed; not used by the machine */
    uint32_t missing; /* bits of enum wr_feature that this kernel lacks */
    uint32_t permille[FAKE_FAULT_COUNT];
    uint32_t send_size;    /* bytes of each socket's send queue; 0: 64 KiB */
    uint32_t recv_size;    /* bytes of each receive queue; 0: 64 KiB */
    uint32_t fd_limit;     /* limit of open descriptors; 0: none */
    uint32_t datagram_max; /* longer ones get -EMSGSIZE; 0: UDP's limit */
    uint32_t sq_max;       /* limit of the rings' entries, 0: as requested */
    uint32_t cq_max;
    int open_error; /* error of wr_ring_open(); 0: it succeeds */
    bool fresh_fds; /* numbers of closed descriptors are not used again */
    bool poison;    /* overwrites posted and armed memory before its use */
    bool trace;     /* records events as text, see fake_text() */
    void (*entered)(void *arg);
    bool (*idle)(void *arg); /* returns true if it did something */
    void *arg;
};

#define FAKE_FIRST_FD 1000
#define FAKE_START_NS 1000000000u

/* Counts since fake_start(). */
struct fake_stats {
    uint64_t submitted;
    uint64_t completions;
    uint64_t enters;
    uint64_t accepts;
    uint64_t connects;
    uint64_t sends;
    uint64_t receives;
    uint64_t cancels;
    uint64_t closes;
    uint64_t closes_waited; /* of descriptors from peers */
    uint64_t looks;         /* system calls that query the size of a queue */
    uint64_t polls;
    uint64_t reads;
    uint64_t timeouts;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    uint64_t no_buffers; /* receives that ended with -ENOBUFS */
    uint64_t overflows;  /* completions while the queue was full */
    /* Receives by a system call: with bytes; with bytes, but fewer than fit;
     * without bytes. */
    uint64_t call_receives;
    uint64_t call_receives_short;
    uint64_t call_receives_empty;
    uint64_t call_receives_left; /* of sockets that then use the ring again */
    /* sendfile() calls: all, those that took less than requested, and those
     * that found no space. */
    uint64_t sendfiles;
    uint64_t sendfiles_short;
    uint64_t sendfiles_full;
    uint64_t flag_changes;     /* sockets made non-blocking for sendfile() */
    uint64_t receives_refused; /* by non-blocking sockets, without bytes */
    uint64_t disk_reads;       /* by the ring, with bytes */
    /* Bytes of files that the cache was queried about. */
    uint64_t looked_up_bytes; /* by mincore() */
    uint64_t counted_bytes;   /* by cachestat() */
    /* Calls on pipes: reads with bytes, writes, writes without space, and
     * writes without a reader. */
    uint64_t fifo_reads;
    uint64_t fifo_writes;
    uint64_t fifo_full;
    uint64_t fifo_broken;
    uint64_t fifo_worked; /* reads and writes by workers */
    /* Operations that ended because no worker could be started, and how many of
     * them were also cancelled. */
    uint64_t workers_lacking;
    uint64_t workers_lacking_cancelled;
    uint64_t worked_here; /* calls on the loop's thread instead */
    /* Bytes spliced between sockets, pairs of sockets that were prepared, and
     * splices that left bytes in the pipe. */
    uint64_t spliced_bytes;
    uint64_t splices_prepared;
    uint64_t splices_short;
    /* datagrams of weir's sockets */
    uint64_t datagrams_sent;
    uint64_t datagrams_received;
    uint64_t datagrams_truncated;
    uint64_t datagrams_empty;
    /* Failed calls: sends and receives without memory, sends without space, and
     * sends with too many bytes. */
    uint64_t datagrams_short;
    uint64_t datagrams_no_memory;
    uint64_t datagrams_full;
    uint64_t datagrams_too_long;
    /* faults of the network */
    uint64_t datagrams_lost;
    uint64_t datagrams_doubled;
    uint64_t datagrams_delayed;
    uint64_t datagrams_dropped;
    uint64_t datagrams_refused;
};

/* ---- machine ---- */

void fake_start(const struct fake_options *options);

/* Fails if a descriptor is open or a ring was not closed. Frees the remaining
 * peers and their listeners. */
void fake_stop(void);

const struct fake_stats *fake_stats(void);
uint32_t fake_fd_count(void);
/* Does not count operations that only wait for time. */
uint32_t fake_ops_in_flight(void);
void fake_set_fault(enum fake_fault fault, uint32_t permille);
void fake_set_fd_limit(uint32_t limit);

/* Prints the message and the seed, and aborts. */
_Noreturn void fake_fail(const char *fmt, ...) WEIR_PRINTF(1, 2);

/* Returns a random number from 0 to @below - 1. */
uint64_t fake_random(uint64_t below);
/* Returns true with this probability, in thousandths. */
bool fake_chance(uint32_t permille);

/* ---- clock ---- */

uint64_t fake_now(void);

/* Lets time pass, like a slow callback. */
void fake_spend(uint64_t time_ns);

/* Calls @run at this time, while the loop waits. */
void fake_at(uint64_t when_ns, void (*run)(void *arg), void *arg);

/* ---- the process ---- */

/* Makes every later call of the ring fail with @err, which is negative. */
void fake_break_ring(int err);
/* Inverts these bits in the completion of the next receive that fills a
 * provided buffer, as a faulty kernel might. */
void fake_spoil_receive(uint32_t flags);
/* Returns the port at the other end of a descriptor, even after a reset. */
uint16_t fake_remote_port(int fd);
/* Returns how many bytes weir's sends on a connected descriptor have passed. */
uint64_t fake_taken_bytes(int fd);
/* Returns how many bytes weir's receives on a descriptor have returned. */
uint64_t fake_given_bytes(int fd);
/* Returns how many bytes a receive on the descriptor would return. */
size_t fake_waiting_bytes(int fd);
/* Returns how many bytes a send on the descriptor would accept. */
size_t fake_room_bytes(int fd);
/* Returns how many polls for space were ended by a FIN alone. */
uint64_t fake_fin_polls(int fd);
/* Returns true if weir has ended the descriptor's writing side. */
bool fake_has_shut(int fd);
/* Returns true if a receive would only return the end of the stream. */
bool fake_has_ended(int fd);
/* Returns an int option set with wr_sys_setsockopt(); -1 if never set. */
int fake_sockopt(int fd, int level, int name);

/* ---- files ---- */

/* Writes the bytes of a file from @offset on. */
typedef void fake_fill_fn(void *arg, void *buf, uint64_t offset, size_t len);

/* Returns true while the loop blocks SIGPIPE. */
bool fake_blocks_signals(void);
bool fake_is_nonblocking(int fd);

/* The state of a page of a file. */
enum fake_place {
    FAKE_READY,   /* in the cache, except with FAKE_COLD */
    FAKE_ABSENT,  /* not in the cache */
    FAKE_ARRIVING /* being read: mincore() counts it, but it is not ready */
};

/* Opens a regular file for reading. wr_sys_close() closes it. */
int fake_disk_open(uint64_t size, fake_fill_fn *fill, void *arg);
void fake_disk_truncate(int fd, uint64_t size);
/* Sets the state of @len bytes of the file; all others lose a state that was
 * set before. sendfile() must not touch arriving pages, because it would wait
 * for the device. */
void fake_disk_place(int fd, enum fake_place place, uint64_t offset,
                     uint64_t len);

/* ---- descriptors that are passed ---- */

/* Opens a descriptor that can only be passed. wr_sys_close() closes it. The
 * descriptor and its duplicates stand for @token, wherever they arrive. */
int fake_token_open(uint64_t token);
uint64_t fake_token(int fd);
/* With true, closes of descriptors from peers (uring/closer.h) wait from now
 * on. With false, the waiting closes end, and later closes do not wait. */
void fake_hold_closes(bool holds);
/* Returns how many of @count tokens have descriptors whose close waits. */
uint32_t fake_closing_tokens(uint64_t first, uint64_t count);

/* ---- children ---- */

/* Ends the child @pid. A negative @returncode is minus a signal. */
void fake_child_end(int pid, int returncode);
/* Makes other code reap the child when it has ended. */
void fake_child_steal(int pid);
/* Makes later signals to the child fail with @err; 0 lets them succeed. */
void fake_child_refuse(int pid, int err);
/* Makes the child's next poll report, once and wrongly, that it has ended. */
void fake_child_wake(int pid);
/* Makes the current poll of the child, or else the next one, fail with @err. */
void fake_child_fail_poll(int pid, int err);
/* Makes the child survive SIGKILL until the test ends it. */
void fake_child_hang(int pid);
/* Returns the last signal to the child, or 0. SIGKILL ends the child. */
int fake_child_signal(int pid);

/* ---- peers ---- */

/* The far end of a connection, which the test plays. */
struct fake_peer;
/* A listener of the test, to which weir connects. */
struct fake_listener;

/* FAKE_FULL answers -EAGAIN, like a Unix server whose queue is full. */
enum fake_answer { FAKE_ACCEPT, FAKE_REFUSE, FAKE_SILENT, FAKE_FULL };

struct fake_listener *fake_listen(const struct sockaddr *addr, socklen_t len);
/* Sets the answer to later connects, and its delay. */
void fake_listener_set(struct fake_listener *listener, enum fake_answer answer,
                       uint64_t delay_ns);
/* Returns a connection that weir made, or NULL. */
struct fake_peer *fake_listener_accept(struct fake_listener *listener);

/* Connects to a listener of weir. Returns NULL if there is none or its backlog
 * is full. Data may be written before weir has accepted. */
struct fake_peer *fake_connect(const struct sockaddr *addr, socklen_t len);

/* Returns a connected socket for weir, as if another program had made it. */
int fake_connected_fd(struct fake_peer **ret_peer);

/* Returns a Unix socket, which can pass descriptors. */
int fake_connected_unix_fd(struct fake_peer **ret_peer);
/* Write bytes, with descriptors of the tokens from @first on, which go with the
 * first byte; at most FAKE_TOKENS_MAX, as the kernel passes at once. Or read
 * bytes up to the second batch of descriptors, and set *ret_count. */
#define FAKE_TOKENS_MAX 253u
ssize_t fake_peer_write_tokens(struct fake_peer *peer, const void *buf,
                               size_t len, uint64_t first, uint32_t count);
ssize_t fake_peer_read_tokens(struct fake_peer *peer, void *buf, size_t len,
                              uint64_t *tokens, uint32_t *ret_count);

/* Like non-blocking read(2) and write(2), but return -errno on failure. */
ssize_t fake_peer_read(struct fake_peer *peer, void *buf, size_t len);
ssize_t fake_peer_write(struct fake_peer *peer, const void *buf, size_t len);
/* Returns how many bytes that the peer has written would be lost in a reset. */
size_t fake_peer_unacked(const struct fake_peer *peer);
/* Returns how many bytes the peer could read now. */
size_t fake_peer_readable(const struct fake_peer *peer);
/* Sends urgent bytes. No receive requests them, so each wakes waiting
 * operations without success. */
void fake_peer_urge(struct fake_peer *peer, uint32_t count);
/* Hides this peer's bytes and end of stream from all multishot receives of the
 * other side, current and later ones. The kernel may do so after an urgent byte
 * if the ring has a host. */
void fake_peer_deafen(struct fake_peer *peer);
void fake_peer_shutdown(struct fake_peer *peer);
void fake_peer_reset(struct fake_peer *peer);
/* Resets when a send of weir takes the error; the send then completes late. */
void fake_peer_reset_send(struct fake_peer *peer);
/* Returns true if weir has closed its end. */
bool fake_peer_is_alone(const struct fake_peer *peer);
/* Return the port of the peer, and the port of weir's end. */
uint16_t fake_peer_port(const struct fake_peer *peer);
uint16_t fake_peer_remote_port(const struct fake_peer *peer);
/* Closes the peer, with a reset if it has unread bytes, and frees it. */
void fake_peer_close(struct fake_peer *peer);

/* ---- pipes ---- */

/* A pipe between weir and the test. It is freed when both ends are closed, or
 * by fake_stop(). */
struct fake_fifo;

/* Sets *ret_fd to weir's end. With @by_name the pipe behaves like a FIFO that
 * was opened by its name. @size is at least a page. */
struct fake_fifo *fake_fifo_open(bool weir_reads, bool by_name, uint32_t size,
                                 int *ret_fd);
/* The test's end: like non-blocking read(2) and write(2). */
ssize_t fake_fifo_write(struct fake_fifo *fifo, const void *data, size_t len);
ssize_t fake_fifo_read(struct fake_fifo *fifo, void *data, size_t len);
void fake_fifo_close(struct fake_fifo *fifo);
/* Return the number of bytes in the pipe, and the space for more. */
uint32_t fake_fifo_len(const struct fake_fifo *fifo);
uint32_t fake_fifo_room(const struct fake_fifo *fifo);
/* Return how many bytes writes have put into the pipe, and reads have taken. */
uint64_t fake_fifo_taken(const struct fake_fifo *fifo);
uint64_t fake_fifo_given(const struct fake_fifo *fifo);

/* ---- datagrams ---- */

/* A datagram socket of the test with a name, UDP over IPv4 or Unix. fake_stop()
 * closes open boxes. */
struct fake_box;

struct fake_box *fake_box_open(int family);
void fake_box_close(struct fake_box *box);
socklen_t fake_box_name(const struct fake_box *box,
                        struct sockaddr_storage *ret);
/* Sends a datagram with the number @tag to weir's socket @fd. Returns false if
 * it cannot be sent. */
bool fake_box_send(struct fake_box *box, int fd, uint64_t tag, const void *data,
                   size_t len);
/* Returns the length, or -EAGAIN. *ret_is_copy: the network has doubled it. */
ssize_t fake_box_receive(struct fake_box *box, void *buf, size_t size,
                         bool *ret_is_copy);

/* Returns false if a send to the box would fail for lack of space, as to a Unix
 * socket that does not read. */
bool fake_box_has_place(const struct fake_box *box);

/* Return how many datagrams weir's receives have returned, and their tags. */
uint64_t fake_given_count(int fd);
uint64_t fake_given_tag(int fd, uint64_t index);
/* Returns how many datagrams weir's sends have passed. */
uint64_t fake_taken_datagrams(int fd);
/* Return how many stored errors receives, and sends, have reported. */
uint64_t fake_received_errors(int fd);
uint64_t fake_sent_errors(int fd);
/* Returns how many datagrams found the receive queue full. */
uint64_t fake_datagram_drops(int fd);
/* Returns true if a receive would return a datagram or an error. */
bool fake_has_datagrams(int fd);
/* Returns true if a poll would report space for a datagram. */
bool fake_has_datagram_room(int fd);

/* ---- trace ---- */

/* Adds a line if the options switch tracing on. */
void fake_trace(const char *fmt, ...) WEIR_PRINTF(1, 2);
const char *fake_text(void);
void fake_text_clear(void);

#endif
