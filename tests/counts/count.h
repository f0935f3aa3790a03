/*
 * A case is an action that weir repeats on the fake machine, in runs of any
 * length.
 *
 * count.c makes the machine and the loop, and prints the counts that need no
 * tool. peers.c plays the clients of a server, which all send at once whenever
 * the loop would sleep. The cases are in protocol.c, relay.c, life.c, choose.c,
 * queue.c, starved.c, stream.c, tasks.c and tls.c. Instructions of the cases,
 * of the fake machine and of wolfSSL are not counted.
 */
#ifndef WEIR_TESTS_COUNT_H
#define WEIR_TESTS_COUNT_H

#include "tests/fake/fake.h"
#include "weir/error.h"
#include "weir/protocol.h"
#include "weir/tls_connection.h"

#define COUNT_MESSAGE   128u /* bytes of an echoed message */
#define COUNT_LINE      40u  /* bytes of a line, including its newline */
#define COUNT_CONNS_MAX 64u
#define COUNT_DEPTH_MAX 1600u

struct count_case;

struct count {
    weir_loop *loop;
    const struct count_case *what;
    uint32_t conns; /* or tasks */
    uint32_t depth; /* messages that a peer sends at once */
    uint64_t turns_left;
    uint64_t done;      /* messages or lives, by which all counts are divided */
    uint64_t callbacks; /* times that the program was called or continued */
    uint32_t tasks;     /* tasks that have not ended */
    uint32_t alive;     /* connections, in the cases of a life */
    bool has_asked;     /* in the cases of a life: the requests were sent */
    weir_server *server;
    const struct weir_tls_settings *tls; /* of the server; NULL without TLS */
    uint16_t port;                       /* of the server, once it listens */
    struct fake_peer *peers[COUNT_CONNS_MAX];
};

/* Bytes that each peer sends in a turn, and the bytes of the answer. */
struct count_traffic {
    uint32_t message_size;
    /* Writes the answer to @depth messages that begin with @first. Returns its
     * size. */
    size_t (*answer)(uint32_t depth, uint8_t first, uint8_t *ret);
    bool has_lines; /* every message ends with a newline */
};

struct count_case {
    const char *name;
    void (*start)(struct count *c);
    /* The machine's idle hook, which plays the peers. Returns false after the
     * last turn. NULL without peers. */
    bool (*next_turn)(struct count *c);
    bool (*is_over)(const struct count *c);
    void (*end)(struct count *c); /* frees the peers; may be NULL */
    uint64_t held_limit_bytes;    /* of the loop; 0: the default */
    uint64_t read_limit_bytes;    /* of each connection; 0: the default */
    const struct count_traffic *traffic; /* for count_next_turn() */
    bool is_hosted;   /* another event loop waits, and runs the iterations */
    bool server_ends; /* count_next_step(): the server ends after its answer */
};

extern const struct count_case count_protocol;
extern const struct count_case count_hosted;
extern const struct count_case count_reference;
extern const struct count_case count_relay;
extern const struct count_case count_relay_life;
extern const struct count_case count_life;
extern const struct count_case count_life_closes;
extern const struct count_case count_starved_few;
extern const struct count_case count_starved_many;
extern const struct count_case count_queue_none;
extern const struct count_case count_queue_few;
extern const struct count_case count_queue_many;
extern const struct count_case count_queue_kinds;
extern const struct count_case count_keys_few;
extern const struct count_case count_keys_many;
extern const struct count_case count_places_few;
extern const struct count_case count_places_many;
extern const struct count_case count_stream;
extern const struct count_case count_lines;
extern const struct count_case count_copied_lines;
extern const struct count_case count_tls;
extern const struct count_case count_yield;
extern const struct count_case count_spawn;
extern const struct count_case count_burst;

/* Ends the program with @what unless @holds is true. */
void count_require(bool holds, const char *what);

/* Starts the server of a case with protocols. */
void count_serve(struct count *c,
                 int (*make_protocol)(void *arg, weir_transport *t,
                                      struct weir_protocol_binding *ret));

/* Called when the server listens. */
void count_listening(struct count *c, weir_server *server);

/* Writes the answer of an echo. */
size_t count_answer_echo(uint32_t depth, uint8_t first, uint8_t *ret);

/* Opens the connections of the peers. */
void count_connect(struct count *c);

/* Plays the next turn of traffic. Returns false after the last one. */
bool count_next_turn(struct count *c);

/* Returns true if all messages were answered. */
bool count_is_answered(const struct count *c);

/* Plays the next step in the lives of all connections: connect, send a message
 * and read the answer, or end. Returns false after the last step. */
bool count_next_step(struct count *c);

/* Returns true if all lives are over. */
bool count_have_all_ended(const struct count *c);

#endif
