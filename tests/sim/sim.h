/*
 * The simulation: one random schedule, with every promise checked.
 *
 * A run is a loop with a server and some clients on the fake machine, some runs
 * also with datagram endpoints (datagram.h) and pipes (pipe.c). Each connection
 * has two sides that keep account of each other: a protocol on weir's side
 * (side.c), which echoes or sends in every way that the API offers, and a peer
 * (peer.c), which writes, reads, stalls, half-closes, closes and resets. The
 * machine adds its faults. The seed decides everything; a broken promise ends
 * in fake_fail(), which prints the seed.
 */
#ifndef WEIR_TESTS_SIM_SIM_H
#define WEIR_TESTS_SIM_SIM_H

#include "tests/allocator.h"
#include "tests/fake/fake.h"
#include "weir/buffer.h"
#include "weir/loop.h"
#include "weir/server.h"

#include <netinet/in.h>

struct sim_options {
    uint64_t seed;
    uint64_t fail_at; /* this allocation fails; 0: none */
    bool fail_after;  /* and so do all later ones */
    bool bulk;        /* connections that move much, whatever the seed says */
    bool trace;
    enum weir_engine engine; /* that the machine stands for */
};

/* Paths of datagram endpoints, pipes, files and descriptors; simulation.c has
 * how often they are taken. */
enum sim_count {
    SIM_DATAGRAMS_SHOWN,
    SIM_DATAGRAMS_TRUNCATED,
    SIM_DATAGRAMS_EMPTY,
    SIM_DATAGRAMS_KEPT,        /* by the program */
    SIM_DATAGRAMS_ARRIVED,     /* at their box */
    SIM_DATAGRAM_PAUSES,       /* of writing */
    SIM_DATAGRAM_HELD_UP,      /* they came, and reading was paused */
    SIM_DATAGRAM_CLOSES_LATER, /* with datagrams in the queue */
    SIM_DATAGRAM_ABORTS,       /* with some as well */
    SIM_DATAGRAM_CLEAN_ENDS,   /* after a close */
    SIM_DATAGRAM_BROKEN_ENDS,  /* by a callback that failed */
    SIM_DATAGRAM_CLOSE_TIMEOUTS,
    SIM_DATAGRAM_REFUSALS,  /* told: a port without a socket, */
    SIM_DATAGRAM_TIMEOUTS,  /* a Unix peer that does not read, */
    SIM_DATAGRAM_TOO_LONG,  /* one that is too long */
    SIM_DATAGRAM_NO_ROOM,   /* sends that found no room, */
    SIM_DATAGRAM_NO_MEMORY, /* and no memory */
    SIM_DATAGRAM_RECV_NO_MEMORY,
    SIM_DATAGRAM_LOST, /* by the network, */
    SIM_DATAGRAM_DOUBLED,
    SIM_DATAGRAM_DELAYED,
    SIM_DATAGRAM_DROPPED,  /* by a queue that was full */
    SIM_PIPE_READ_ENDS,    /* clean ends of read ends, */
    SIM_PIPE_WRITE_ENDS,   /* and of write ends */
    SIM_PIPE_BROKEN,       /* the reader went before it had all */
    SIM_PIPE_CLOSES_LATER, /* with bytes in the queue */
    SIM_PIPE_ABORTS,
    SIM_PIPE_PAUSES,      /* of writing */
    SIM_PIPE_FULL,        /* writes without room */
    SIM_PIPE_PEER_GONE,   /* writes without a reader */
    SIM_PIPE_WORKERS,     /* reads and writes by a worker */
    SIM_WORKERS_LACKING,  /* operations for which there was no worker, */
    SIM_WORKERS_CANCELS,  /* of these such as were cancelled too, */
    SIM_WORKED_HERE,      /* and calls in the place of the others */
    SIM_DATAGRAM_CANCELS, /* of an endpoint that was being made */
    /* Files: each ended in one of the first five ways. */
    SIM_FILES_WHOLE,     /* as many bytes as were asked for */
    SIM_FILES_ENDED,     /* the file had fewer */
    SIM_FILES_CANCELLED, /* after some bytes, and not yet all */
    SIM_FILES_FAILED,    /* the file could not be read */
    SIM_FILES_LOST,      /* with their connection */
    SIM_FILES_CLOSING,   /* whole ones, before an end of the writing */
    SIM_FILES_TORN,      /* which broke a connection that was closing */
    SIM_FILES_BUSY,      /* writes that were refused meanwhile */
    SIM_FILES_FIN_POLLS, /* cancelled: a FIN ended the wait for room */
    SIM_FILES_CUT_SHORT, /* calls that took a part; see fake_stats */
    SIM_FILES_WITHOUT_ROOM,
    SIM_FILES_READ, /* parts, into memory */
    /* Batches of descriptors. */
    SIM_FDS_ARRIVED,  /* at the peer */
    SIM_FDS_DROPPED,  /* accepted, and waiting when the end came */
    SIM_FDS_REFUSED,  /* although bytes would have been accepted */
    SIM_FDS_RECEIVED, /* by weir's side */
    SIM_FDS_LOST,     /* some of these came without all descriptors */
    SIM_FDS_CLOSED,   /* that nothing was to receive */
    SIM_FDS_WAITED,   /* closes that waited, of single ones */
    SIM_FDS_RESTED,   /* connections that rested for these, */
    SIM_FDS_BROKEN,   /* after they had broken, */
    SIM_FDS_CLOSING,  /* and while they closed */
    SIM_COUNTS
};

struct sim_result {
    uint64_t counts[SIM_COUNTS];
    uint64_t allocations;
    uint64_t failed; /* allocations */
    uint64_t connections;
    uint64_t received_bytes;
    uint64_t clean_ends;  /* connections that ended without an error */
    uint64_t broken_ends; /* and with one */
    /* Receives by a system call; see struct fake_stats. */
    uint64_t call_receives;
    uint64_t call_receives_short;
    uint64_t call_receives_empty;
    uint64_t call_receives_left;
    uint64_t put_off; /* turns that ended with a send for the next one */
};

/* Runs one schedule from start to end. */
void sim_run(const struct sim_options *options, struct sim_result *ret);

/* ---- the inside ---- */

#define SIM_CONN_MAX 12
#define SIM_HELD_MAX 32

/* What either side sends at most where connections move bulk. */
#define SIM_BULK_BYTES (2u << 20)

/* How weir's side makes what it sends. */
enum sim_mode { SIM_ECHO, SIM_SOURCE };

/* How the peer ends. */
enum sim_peer_end {
    SIM_PEER_FIN,   /* half-close after the last byte, read to the end */
    SIM_PEER_WAIT,  /* leave the end to weir's side */
    SIM_PEER_CLOSE, /* close after the last byte, whatever is unread */
    SIM_PEER_RESET  /* reset somewhere on the way */
};

enum sim_limit {
    SIM_LIMIT_IDLE = 1,
    SIM_LIMIT_READ = 2,
    SIM_LIMIT_STALL = 4,
    SIM_LIMIT_CLOSE = 8
};

enum sim_state { SIM_NONE, SIM_MADE, SIM_LOST };

/* What a file that is read takes of the send queues' memory at most. */
#define SIM_BLOCK_BYTES 65536u

/* A file that weir's side sends, with bytes of its own stream. */
struct sim_file {
    int fd;          /* 0: none is being sent */
    uint64_t at;     /* place of its first byte in the stream */
    uint64_t offset; /* and in the file */
    uint64_t count;  /* of bytes, as asked for */
    uint64_t least;  /* that it had at some time */
    uint64_t most;
    uint64_t cancelled_ns; /* when it was cancelled; 0: it was not */
    bool waited;           /* for room at that time, and had seen no FIN */
};

/* Batches on their way at most, and those that are remembered. */
#define SIM_PASS_MAX  64u
#define SIM_PASS_ROOM 128u

/* Descriptors on their way: @count of them, which stand for @first and the
 * tokens behind it, with the byte at @at. */
struct sim_pass {
    uint64_t at;
    uint64_t first;
    uint32_t count;
};

/* All batches that have not arrived. */
struct sim_passes {
    struct sim_pass queue[SIM_PASS_ROOM];
    uint32_t head;
    uint32_t tail;
    uint64_t next; /* token */
};

struct sim_conn {
    uint32_t id;
    bool is_client;
    bool adopts;  /* a client that is handed a connected socket, ... */
    bool is_unix; /* ... of this kind */
    uint32_t fd_limit;
    bool skips_fds;  /* a protocol that takes none was bound */
    bool has_rested; /* while its peer's descriptors were being closed, */
    bool has_rested_broken;
    bool has_rested_closing;
    struct sim_passes passed_out;
    struct sim_passes passed_in;
    enum sim_mode mode;

    /* weir's side */
    enum sim_state state;
    weir_transport *t;
    weir_pending *connect;
    struct weir_timeouts timeouts;
    bool refuses;            /* its factory fails */
    bool minds_marks;        /* stops reading while writing is paused */
    bool started;            /* a client has begun to connect */
    bool done;               /* the maker's callback was called */
    bool cancelled;          /* the maker was asked to give up */
    enum fake_answer answer; /* of the peer's listener */
    uint64_t connect_timeout_ns;
    bool writing_paused; /* between pause_writing and resume_writing */
    bool reading_paused;
    bool eof;
    bool close_asked;
    bool abort_asked;
    bool write_ended;
    bool was_switched;   /* bytes in a protocol's memory may have moved */
    bool end_when_empty; /* close once what is held was echoed */
    int callback_err;    /* what a callback returned, negative */
    int lost_err;
    int refused_err;      /* of a write while it was closing */
    bool no_memory_given; /* get_buffer offered nothing */
    uint32_t limits_seen; /* bits of enum sim_limit that were ever set */
    uint64_t received;
    uint64_t written;
    uint64_t plan_written; /* SIM_SOURCE */
    uint64_t close_ns;     /* when weir's side ends it at the latest */
    uint32_t acts_left;
    struct weir_handle act;
    struct weir_buf held[SIM_HELD_MAX]; /* received, not echoed yet */
    uint64_t held_at[SIM_HELD_MAX];     /* their offsets in the stream */
    uint32_t held_count;
    bool marks_moved;    /* since pause_writing */
    uint32_t idle_beats; /* time in which it could have moved bytes */
    uint64_t moved;      /* bytes in both directions at the last beat */
    uint64_t moved_ns;   /* when they changed, or limits did */
    uint64_t idle_ns;    /* the limits that are set; 0: none */
    uint64_t close_limit_ns;
    uint64_t limits_ns;  /* when they were set */
    uint64_t closing_ns; /* when close was asked for */
    uint64_t act_due_ns; /* when its timer should come */
    int first_err;       /* as the transport told it first */
    uint32_t refs_out;   /* write_ref without its release */
    bool buffered;
    bool promises;    /* keeps the memory until release_buffer */
    uint8_t *lent[2]; /* memory that weir may write to; [1] as promised */
    size_t lent_size[2];
    uint32_t lent_count; /* blocks of it */
    uint64_t write_limit;
    struct sim_file file;
    uint64_t fin_polls; /* that are counted; see fake_fin_polls() */
    int file_err;       /* of a file, while it was closing */
    bool file_torn;     /* the end of the connection left a part of one */

    /* the peer */
    struct fake_peer *peer;
    enum sim_peer_end peer_end;
    uint16_t port;
    uint64_t plan_sent;
    uint64_t sent;
    uint64_t got;
    uint64_t reset_at; /* count of sent bytes at which it resets */
    uint64_t stalled_to_ns;
    bool sends_little; /* for the time being, where connections move bulk */
    bool never_reads;
    bool fin_sent;
    bool was_reset; /* the peer reset, or closed with bytes unread */
    bool peer_gone;
};

struct sim {
    struct sim_options options;
    struct test_allocator alloc;
    weir_loop *loop;
    weir_server *server;
    uint16_t port;
    struct fake_listener *listener;
    struct sim_conn conns[SIM_CONN_MAX];
    uint32_t conn_count;
    struct fake_peer *strangers[SIM_CONN_MAX]; /* not matched yet */
    uint32_t stranger_count;
    uint64_t held_limit;
    uint64_t uncounted_bytes; /* of memory: what the loop itself takes */
    uint64_t read_limit;
    uint32_t unit;    /* bytes that pieces are about as large as */
    uint64_t late_ns; /* how late a timer may come */
    bool heavy;       /* many bytes, little room for them */
    bool bulk;        /* many bytes at a time, and then few */
    bool disk_fails;  /* now and then */
    bool detours;     /* datagrams may overtake each other */
    bool datagrams_lack_memory;
    uint32_t datagram_max; /* longer ones do not leave; 0: no such limit */
    bool fds_fail;         /* there is no room for a descriptor */
    bool in_api;           /* inside a call of weir's */
    bool in_write;         /* which may call pause_writing */
    bool in_callback;
    uint64_t posted_ns;
    bool posted; /* a post from outside has not run yet */
    bool serving;
    bool closes_server; /* which may come before its start has ended */
    bool server_closed;
    uint64_t stop_ns;       /* when the loop is stopped, whatever is alive */
    uint64_t refused_count; /* by factories of the server */
    uint64_t reported_count;
    uint64_t lost_count;
    uint64_t made_count;
    struct sim_result result;
};

extern struct sim sim;

#define SIM_MS           UINT64_C(1000000)
#define SIM_S            UINT64_C(1000000000)
#define SIM_END_NS       (400 * SIM_S) /* nothing takes longer than this */
#define SIM_BEAT_NS      (5 * SIM_MS)
#define SIM_IDLE_BEATS   200 /* a second without any progress is too long */
#define SIM_CALLBACK_ERR (-4999)

/* Fails if one of the bytes is not what the stream has there; @own: weir's own
 * stream. */
void sim_check_bytes(const struct sim_conn *conn, bool own, uint64_t offset,
                     const uint8_t *data, size_t len);
void sim_fill(const struct sim_conn *conn, bool own, uint64_t offset,
              uint8_t *data, size_t len);

/* A size: often about the run's unit, sometimes 1, sometimes much more. */
size_t sim_size(void);

/* Around every call of the API that a callback must not come out of. */
static inline void sim_enter_api(bool may_pause)
{
    sim.in_api = true;
    sim.in_write = may_pause;
}

static inline void sim_leave_api(void)
{
    sim.in_api = false;
    sim.in_write = false;
}

/* plan.c */
void sim_plan(const struct sim_options *options, void (*entered)(void *arg),
              bool (*idle)(void *arg));

/* side.c: the protocol */
/* Around every callback of a connection; @what names it. */
void sim_begin(const struct sim_conn *conn, const weir_transport *t,
               const char *what);
void sim_end(void);
#define SIM_PROTOCOLS 4u
extern const struct weir_protocol sim_protocols[SIM_PROTOCOLS];
/* Chooses one of them for the connection, and notes what that means. */
uint32_t sim_choose_protocol(void);
void sim_note_protocol(struct sim_conn *conn, uint32_t which);
int sim_factory(void *arg, weir_transport *t,
                struct weir_protocol_binding *ret);
void sim_side_plan(struct sim_conn *conn);
void sim_side_check(const struct sim_conn *conn);

/* watch.c: weir's side, from outside */
/* Between the steps of the loop: flow control. */
void sim_side_watch(struct sim_conn *conn);
/* Now and then: bytes that could move do move. */
void sim_side_beat(struct sim_conn *conn);

/* act.c: what weir's side does of its own accord */
void sim_act_soon(struct sim_conn *conn, uint64_t delay_ns);
void sim_connect(struct sim_conn *conn);
void sim_close(struct sim_conn *conn);
void sim_abort(struct sim_conn *conn);
void sim_limit(struct sim_conn *conn);
void sim_switch(struct sim_conn *conn);

/* write.c: writing in every way there is */
bool sim_flush_held(struct sim_conn *conn);
void sim_write_own(struct sim_conn *conn);
/* Keeps the last bytes that were received. */
void sim_hold(struct sim_conn *conn, const struct weir_buf *buf);
void sim_drop_held(struct sim_conn *conn);
/* Echoes; what weir does not take now is held, or the connection aborted. */
void sim_echo(struct sim_conn *conn, const struct weir_buf *buf);
void sim_echo_copy(struct sim_conn *conn, const uint8_t *data, size_t len);

/* True when @err is a right answer to a write of @len bytes. */
bool sim_may_refuse(const struct sim_conn *conn, int err, size_t len,
                    uint64_t depth);

/* file.c: files that leave between the writes */
void sim_file_send(struct sim_conn *conn);
/* While one is being sent: cancels it, cuts it, lets it grow, tries a write. */
void sim_file_disturb(struct sim_conn *conn);
/* The peer has sent bytes: it may end its stream behind them. */
void sim_file_end_peer(struct sim_conn *conn);
/* The protocol was given bytes. */
void sim_file_note_bytes(struct sim_conn *conn);
void sim_file_beat(const struct sim_conn *conn);

/* pass.c: descriptors that go along with bytes */
void sim_pass_plan(struct sim_conn *conn);
/* Should the next write take some along? */
bool sim_pass_is_due(const struct sim_conn *conn);
/* As weir_transport_write(), with or without descriptors. */
int sim_pass_write(struct sim_conn *conn, const uint8_t *data, size_t len);
ssize_t sim_pass_peer_write(struct sim_conn *conn, const uint8_t *data,
                            size_t len);
/* The peer has read @len bytes more and descriptors with them. */
void sim_pass_arrived(struct sim_conn *conn, size_t len, const uint64_t *tokens,
                      uint32_t count);
/* weir's side was given some, or has been shown bytes. */
void sim_pass_received(struct sim_conn *conn, const int *fds, size_t count,
                       bool lost);
void sim_pass_shown(struct sim_conn *conn);
void sim_pass_lost(const struct sim_conn *conn);
/* True while closes wait of descriptors that its peer has sent. */
bool sim_pass_rests(const struct sim_conn *conn);

/* endpoint.c: datagram endpoints; see datagram.h */
void sim_endpoints_plan(void);
void sim_endpoints_start(void);
/* A step of their boxes; false when there is none to make now. */
bool sim_endpoints_step(void);
/* Returns the bytes that they have queued. */
uint64_t sim_endpoints_watch(void);
void sim_endpoints_beat(void);
bool sim_endpoints_are_over(void);
/* The loop is about to be freed. */
void sim_endpoints_end(void);
void sim_endpoints_check(void);

/* pipe.c: read ends and write ends of pipes; as the endpoints */
void sim_pipes_plan(void);
void sim_pipes_start(void);
bool sim_pipes_step(void);
uint64_t sim_pipes_watch(void);
void sim_pipes_beat(void);
bool sim_pipes_are_over(void);
void sim_pipes_end(void);
void sim_pipes_check(void);

/* peer.c */
void sim_peer_plan(struct sim_conn *conn);
/* Makes one step; false when there is none to make now. */
bool sim_peer_step(struct sim_conn *conn);
void sim_peer_check(const struct sim_conn *conn);

#endif
