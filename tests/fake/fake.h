/*
 * The fake machine: a ring, sockets, peers and a clock inside one process.
 *
 * The promises of uring/ring.h and uring/sys.h are kept here without a kernel.
 * Submission entries are the real ones and are interpreted; connections are
 * pairs of byte pipes of finite size; datagrams pass a network that may lose
 * them; time stands still except while the loop waits in wr_ring_enter(). A
 * test starts a machine, makes a loop on it, and plays the peers: from the
 * `entered` hook (before every enter), from the `idle` hook (the loop would
 * sleep), or at a given time with fake_at(). Where a loop or WEIR_ENGINE asks
 * for it the ring is as that of the engine on epoll: it lacks the same
 * features.
 *
 * Everything is decided by the seed, so a run can be repeated. The machine is
 * strict: an operation on a descriptor that is closed, a second send on a
 * socket, a descriptor closed under a live operation and the like end the
 * program at once with the seed and a line that names the fault. It is one
 * machine for each process, and for one thread.
 */
#ifndef WEIR_TESTS_FAKE_H
#define WEIR_TESTS_FAKE_H

#include "weir/base.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Faults that come by chance, each with a probability in thousandths. */
enum fake_fault {
    FAKE_SHORT_SEND,   /* a send takes less than there is room for */
    FAKE_SHORT_RECV,   /* a receive takes less than there is */
    FAKE_DELAY,        /* a completion that could be there comes later */
    FAKE_REORDER,      /* completions of different operations change places */
    FAKE_NO_BUFFER,    /* a receive ends with -ENOBUFS */
    FAKE_NO_FD,        /* accept and socket fail with -EMFILE */
    FAKE_INTERRUPT,    /* a wait, or the sending of a file, is interrupted */
    FAKE_CANCEL_RACE,  /* a cancelled operation completes all the same */
    FAKE_CANCEL_LOST,  /* a worker's operation of a pipe misses its cancel */
    FAKE_NO_SUBMIT,    /* an enter takes only some of the entries */
    FAKE_CONN_ABORTED, /* accept fails with -ECONNABORTED */
    FAKE_RETRIES_OVER, /* an operation that waits was woken too often */
    FAKE_VAIN_POLL,    /* a system call finds nothing, or no room, after all */
    FAKE_NO_TIMEOUT,   /* there is no memory for an operation of time */
    FAKE_COLD,         /* a part of a file is not in the cache */
    FAKE_DISK_ERROR,   /* a file cannot be read: -EIO */
    FAKE_DISK_CANCEL,  /* its file system ends the read: -ECANCELED */
    FAKE_NO_MEMORY,    /* a datagram has none: -ENOBUFS, received: -ENOMEM */
    FAKE_LOSS,         /* the network loses a datagram, */
    FAKE_DUPLICATE,    /* delivers it twice, */
    FAKE_DETOUR,       /* or later than others that were sent after it */
    FAKE_SLOW_CLOSE,   /* that of a descriptor that a peer has sent waits */
    FAKE_NO_WORKER,    /* no thread can be made for an operation of a file */
    FAKE_FAULT_COUNT
};

struct fake_options {
    uint64_t seed;
    uint64_t variant; /* printed with the seed; means nothing here */
    uint32_t missing; /* bits of enum wr_feature that this kernel lacks */
    uint32_t permille[FAKE_FAULT_COUNT];
    uint32_t send_size;    /* bytes of each socket's send queue, 0: 64 KiB */
    uint32_t recv_size;    /* and of its receive queue, 0: 64 KiB */
    uint32_t fd_limit;     /* descriptors open at once, 0: no limit */
    uint32_t datagram_max; /* longer ones: -EMSGSIZE; 0: as UDP has it */
    uint32_t sq_max;       /* entries of the rings at most, 0: as asked for */
    uint32_t cq_max;
    int open_error; /* of wr_ring_open(); 0: it works */
    bool fresh_fds; /* a number is never used again */
    bool poison;    /* posted and armed memory is overwritten first */
    bool trace;     /* write what happens as text, see fake_text() */
    void (*entered)(void *arg);
    bool (*idle)(void *arg); /* true: did something, look again */
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
    uint64_t closes_waited; /* of what peers have chosen */
    uint64_t looks;         /* system calls that ask how long a queue is */
    uint64_t polls;
    uint64_t reads;
    uint64_t timeouts;
    uint64_t sent_bytes;
    uint64_t received_bytes;
    uint64_t no_buffers; /* receives that ended with -ENOBUFS */
    uint64_t overflows;  /* completions that found the queue full */
    /* Receives by a system call: those that brought bytes, of these the ones
     * with fewer than there was memory for, and those that found nothing. */
    uint64_t call_receives;
    uint64_t call_receives_short;
    uint64_t call_receives_empty;
    uint64_t call_receives_left; /* by sockets that use the ring again */
    /* System calls that send a file: all, those that took less than was asked
     * for, and those that found no room. */
    uint64_t sendfiles;
    uint64_t sendfiles_short;
    uint64_t sendfiles_full;
    uint64_t flag_changes;     /* sockets made non-blocking for one */
    uint64_t receives_refused; /* by such sockets, as nothing was there */
    uint64_t disk_reads;       /* by the ring, with bytes */
    /* Of files, in what the cache was asked of. */
    uint64_t looked_up_bytes; /* by mincore() */
    uint64_t counted_bytes;   /* by cachestat() */
    /* Of pipes: reads with bytes, writes, those without room, and those
     * without a reader. */
    uint64_t fifo_reads;
    uint64_t fifo_writes;
    uint64_t fifo_full;
    uint64_t fifo_broken;
    uint64_t fifo_worked; /* reads and writes by workers */
    /* Operations that ended because there was no worker, and those of them that
     * were cancelled too. */
    uint64_t workers_lacking;
    uint64_t workers_lacking_cancelled;
    uint64_t worked_here; /* calls on the loop's thread in their place */
    /* From socket to socket; how often two sockets were prepared for that, and
     * splices that left bytes in the pipe. */
    uint64_t spliced_bytes;
    uint64_t splices_prepared;
    uint64_t splices_short;
    /* Datagrams of weir's sockets, */
    uint64_t datagrams_sent;
    uint64_t datagrams_received;
    uint64_t datagrams_truncated;
    uint64_t datagrams_empty;
    /* calls that found no memory, and sends without room or too long, */
    uint64_t datagrams_short;
    uint64_t datagrams_no_memory;
    uint64_t datagrams_full;
    uint64_t datagrams_too_long;
    /* and the fate of all, on their way and at the end of it. */
    uint64_t datagrams_lost;
    uint64_t datagrams_doubled;
    uint64_t datagrams_delayed;
    uint64_t datagrams_dropped;
    uint64_t datagrams_refused;
};

/* ---- machine ---- */

void fake_start(const struct fake_options *options);

/* Fails when a descriptor is open or a ring was not closed. Peers and their
 * listeners that were not freed are freed. */
void fake_stop(void);

const struct fake_stats *fake_stats(void);
uint32_t fake_fd_count(void);
/* Without those that wait for nothing but time. */
uint32_t fake_ops_in_flight(void);
void fake_set_fault(enum fake_fault fault, uint32_t permille);
void fake_set_fd_limit(uint32_t limit);

/* Reports what is wrong together with the seed, and aborts. */
_Noreturn void fake_fail(const char *fmt, ...) WEIR_PRINTF(1, 2);

/* Random numbers of the machine: 0 to @below - 1; true with a chance. */
uint64_t fake_random(uint64_t below);
bool fake_chance(uint32_t permille);

/* ---- clock ---- */

uint64_t fake_now(void);

/* Lets time pass, as a callback does that takes long. */
void fake_spend(uint64_t time_ns);

/* Runs @run when the time has come and the loop waits. */
void fake_at(uint64_t when_ns, void (*run)(void *arg), void *arg);

/* ---- the process ---- */

/* The ring fails for good with @err, a negative number. */
void fake_break_ring(int err);
/* The flags of the next receive that fills a provided buffer are told wrong:
 * with these bits turned over. */
void fake_spoil_receive(uint32_t flags);
/* The port at the other end of a connected descriptor, even after a reset. */
uint16_t fake_remote_port(int fd);
/* Bytes that sends on a connected descriptor have handed over so far. */
uint64_t fake_taken_bytes(int fd);
/* Bytes that receives on it have given. */
uint64_t fake_given_bytes(int fd);
/* Bytes that a receive on it would give now, and that a send would take. */
size_t fake_waiting_bytes(int fd);
size_t fake_room_bytes(int fd);
/* Polls for room on it that have ended, and told of a FIN alone. */
uint64_t fake_fin_polls(int fd);
/* True when its writing side was ended. */
bool fake_has_shut(int fd);
/* True when a receive on it has only the end of the stream to give. */
bool fake_has_ended(int fd);
/* Value of an int option set with wr_sys_setsockopt(); -1: never set. */
int fake_sockopt(int fd, int level, int name);

/* ---- files ---- */

/* Makes bytes of a file, from @offset on. */
typedef void fake_fill_fn(void *arg, void *buf, uint64_t offset, size_t len);

/* True while the loop holds SIGPIPE blocked. */
bool fake_blocks_signals(void);
bool fake_is_nonblocking(int fd);

/* Where a page of a file is. */
enum fake_place {
    FAKE_READY,   /* in the cache, subject to FAKE_COLD */
    FAKE_ABSENT,  /* not in the cache */
    FAKE_ARRIVING /* its read has begun: counted, and not ready */
};

/* A regular file that is open for reading; closed by wr_sys_close(). */
int fake_disk_open(uint64_t size, fake_fill_fn *fill, void *arg);
/* Makes it shorter, or longer. */
void fake_disk_truncate(int fd, uint64_t size);
/* Where @len bytes of it are, which all others are not: sendfile() must not
 * touch pages that are on their way, as it would wait for the device. */
void fake_disk_place(int fd, enum fake_place place, uint64_t offset,
                     uint64_t len);

/* ---- descriptors that are passed ---- */

/* A descriptor of no use but to be passed, closed by wr_sys_close(). It stands
 * for @token, and so do its duplicates, wherever they arrive. */
int fake_token_open(uint64_t token);
uint64_t fake_token(int fd);
/* True: from now on closes of what peers have chosen (uring/closer.h) wait.
 * False: those that wait end, and later ones do not wait. */
void fake_hold_closes(bool holds);
/* Tokens from @first on, of @count, with descriptors whose closes wait. */
uint32_t fake_closing_tokens(uint64_t first, uint64_t count);

/* ---- children ---- */

/* The child of this number ends; a returncode below 0 is minus a signal. */
void fake_child_end(int pid, int returncode);
/* Other code reaps it when it has ended. */
void fake_child_steal(int pid);
/* Later signals to it fail with @err; 0: they reach it. */
void fake_child_refuse(int pid, int err);
/* What polls it is told once that it has ended, although it has not. */
void fake_child_wake(int pid);
/* The poll of it that waits, or else the next one, fails with @err. */
void fake_child_fail_poll(int pid, int err);
/* SIGKILL reaches it, and does not end it before the test does. */
void fake_child_hang(int pid);
/* The last signal that it got; 0: none. SIGKILL ends it. */
int fake_child_signal(int pid);

/* ---- peers ---- */

/* The far end of a connection, played by the test. */
struct fake_peer;
/* A listener of the test's, for weir to connect to. */
struct fake_listener;

/* FAKE_FULL: -EAGAIN, as that of a Unix server whose queue is full. */
enum fake_answer { FAKE_ACCEPT, FAKE_REFUSE, FAKE_SILENT, FAKE_FULL };

struct fake_listener *fake_listen(const struct sockaddr *addr, socklen_t len);
/* Sets the answer to later attempts, and its delay. */
void fake_listener_set(struct fake_listener *listener, enum fake_answer answer,
                       uint64_t delay_ns);
/* A connection that weir made, or NULL. */
struct fake_peer *fake_listener_accept(struct fake_listener *listener);

/* Connects to a listener of weir's; NULL when there is none or its backlog is
 * full. Data may be written before weir has accepted. */
struct fake_peer *fake_connect(const struct sockaddr *addr, socklen_t len);

/* A connected socket for weir, as another program would hand it over. */
int fake_connected_fd(struct fake_peer **ret_peer);

/* A Unix socket, which can pass descriptors. */
int fake_connected_unix_fd(struct fake_peer **ret_peer);
/* Writes bytes and descriptors of the tokens from @first on along with the
 * first byte, as many as the kernel passes at once at most; or reads up to the
 * next ones but one, and *ret_count of them. */
#define FAKE_TOKENS_MAX 253u
ssize_t fake_peer_write_tokens(struct fake_peer *peer, const void *buf,
                               size_t len, uint64_t first, uint32_t count);
ssize_t fake_peer_read_tokens(struct fake_peer *peer, void *buf, size_t len,
                              uint64_t *tokens, uint32_t *ret_count);

/* As read(2) and write(2) without blocking: -EAGAIN, 0 at the end ... */
ssize_t fake_peer_read(struct fake_peer *peer, void *buf, size_t len);
ssize_t fake_peer_write(struct fake_peer *peer, const void *buf, size_t len);
/* Bytes that it has written and that a reset would keep from arriving. */
size_t fake_peer_unacked(const struct fake_peer *peer);
/* Bytes that a read would give. */
size_t fake_peer_readable(const struct fake_peer *peer);
/* Urgent bytes, which no receive asks for: each wakes what waits in vain. */
void fake_peer_urge(struct fake_peer *peer, uint32_t count);
/* A peer whose bytes and end no multishot receive of the other side sees from
 * now on, whether it is armed or submitted later. In a ring for a host the
 * kernel may treat a peer so that has sent an urgent byte. */
void fake_peer_deafen(struct fake_peer *peer);
void fake_peer_shutdown(struct fake_peer *peer);
void fake_peer_reset(struct fake_peer *peer);
/* Resets at the moment in which a send takes the error: it completes late. */
void fake_peer_reset_send(struct fake_peer *peer);
/* True when weir's side has closed its descriptor. */
bool fake_peer_is_alone(const struct fake_peer *peer);
/* The peer's own port, and that of weir's side. */
uint16_t fake_peer_port(const struct fake_peer *peer);
uint16_t fake_peer_remote_port(const struct fake_peer *peer);
/* Closes (a reset when bytes are unread) and frees. */
void fake_peer_close(struct fake_peer *peer);

/* ---- pipes ---- */

/* A pipe, of which the test has one end. It is freed with its second end, or by
 * fake_stop(). */
struct fake_fifo;

/* *ret_fd is weir's end. @by_name: as a FIFO that was opened by its name. @size
 * is a page at least. */
struct fake_fifo *fake_fifo_open(bool weir_reads, bool by_name, uint32_t size,
                                 int *ret_fd);
/* The test's end: as read(2) and write(2) without blocking. */
ssize_t fake_fifo_write(struct fake_fifo *fifo, const void *data, size_t len);
ssize_t fake_fifo_read(struct fake_fifo *fifo, void *data, size_t len);
void fake_fifo_close(struct fake_fifo *fifo);
/* Bytes in it, and room for more. */
uint32_t fake_fifo_len(const struct fake_fifo *fifo);
uint32_t fake_fifo_room(const struct fake_fifo *fifo);
/* Bytes that writes have taken and reads given. */
uint64_t fake_fifo_taken(const struct fake_fifo *fifo);
uint64_t fake_fifo_given(const struct fake_fifo *fifo);

/* ---- datagrams ---- */

/* A datagram socket of the test's, with a name of its own; UDP over IPv4 or a
 * Unix one. Those that are left open are closed by fake_stop(). */
struct fake_box;

struct fake_box *fake_box_open(int family);
void fake_box_close(struct fake_box *box);
socklen_t fake_box_name(const struct fake_box *box,
                        struct sockaddr_storage *ret);
/* Sends to weir's socket @fd a datagram that is told by its @tag; false when it
 * does not leave. */
bool fake_box_send(struct fake_box *box, int fd, uint64_t tag, const void *data,
                   size_t len);
/* Its length, or -EAGAIN; @size must do. *ret_is_copy: the network made it. */
ssize_t fake_box_receive(struct fake_box *box, void *buf, size_t size,
                         bool *ret_is_copy);

/* False while a send to it would fail for want of room: a Unix one that does
 * not read. */
bool fake_box_has_place(const struct fake_box *box);

/* How many datagrams receives on a descriptor have given, and their tags. */
uint64_t fake_given_count(int fd);
uint64_t fake_given_tag(int fd, uint64_t index);
/* How many sends have taken. */
uint64_t fake_taken_datagrams(int fd);
/* Errors that were kept for it and told to a receive, or to a send. */
uint64_t fake_received_errors(int fd);
uint64_t fake_sent_errors(int fd);
/* How many found its queue full. */
uint64_t fake_datagram_drops(int fd);
/* True when a receive would give one or an error; when a poll tells of room. */
bool fake_has_datagrams(int fd);
bool fake_has_datagram_room(int fd);

/* ---- trace ---- */

/* Adds a line; nothing when tracing is off. */
void fake_trace(const char *fmt, ...) WEIR_PRINTF(1, 2);
/* All lines so far. */
const char *fake_text(void);
void fake_text_clear(void);

#endif
