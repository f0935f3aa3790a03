/*
 * A case is something that weir does over and over on the fake machine, in runs
 * of any length.
 *
 * count.c makes the machine and the loop and prints what can be counted exactly
 * without a tool; peers.c plays the clients of a server, all of which send at
 * once whenever the loop would sleep; the cases are in protocol.c, relay.c,
 * life.c, choose.c, queue.c, starved.c, stream.c, tasks.c and tls.c. Their own
 * instructions are not counted, and neither are those of the fake machine and
 * of wolfSSL.
 */
#ifndef WEIR_TESTS_COUNT_H
#define WEIR_TESTS_COUNT_H

#include "tests/fake/fake.h"
#include "weir/error.h"
#include "weir/protocol.h"
#include "weir/tls_connection.h"

#define COUNT_MESSAGE   128u /* bytes of an echoed message */
#define COUNT_LINE      40u  /* bytes of a line, its newline included */
#define COUNT_CONNS_MAX 64u
#define COUNT_DEPTH_MAX 1600u

struct count_case;

struct count {
    weir_loop *loop;
    const struct count_case *what;
    uint32_t conns; /* or tasks */
    uint32_t depth; /* messages that a peer sends at once */
    uint64_t turns_left;
    uint64_t done;      /* messages, lives: what all counts are divided by */
    uint64_t callbacks; /* how often the program was called or continued */
    uint32_t tasks;     /* that have not ended */
    uint32_t alive;     /* connections, in the cases of a life */
    bool has_asked;     /* likewise: the requests were sent */
    weir_server *server;
    const struct weir_tls_settings *tls; /* of the server; NULL: none */
    uint16_t port;                       /* of the server, once it listens */
    struct fake_peer *peers[COUNT_CONNS_MAX];
};

/* Bytes that each peer sends in a turn, and gets for that. */
struct count_traffic {
    uint32_t message_size;
    /* Bytes that answer this many messages, which begin with @first. */
    size_t (*answer)(uint32_t depth, uint8_t first, uint8_t *ret);
    bool has_lines; /* every message ends with a newline */
};

struct count_case {
    const char *name;
    void (*start)(struct count *c);
    /* The machine's idle hook: plays the peers; false when it was the last
     * time. NULL: there are none. */
    bool (*next_turn)(struct count *c);
    bool (*is_over)(const struct count *c);
    void (*end)(struct count *c); /* frees the peers; NULL: it need not */
    uint64_t held_limit_bytes;    /* of the loop; 0: the default */
    uint64_t read_limit_bytes;    /* of each connection; 0: the default */
    const struct count_traffic *traffic; /* for count_next_turn() */
    bool is_hosted;   /* another event loop waits, and makes the turns */
    bool server_ends; /* for count_next_step(): it does, behind its answer */
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

/* Ends the program when it does not hold. */
void count_require(bool holds, const char *what);

/* Starts the server of a case that has protocols. */
void count_serve(struct count *c,
                 int (*make_protocol)(void *arg, weir_transport *t,
                                      struct weir_protocol_binding *ret));

/* The server listens. */
void count_listening(struct count *c, weir_server *server);

/* The answer of an echo. */
size_t count_answer_echo(uint32_t depth, uint8_t first, uint8_t *ret);

/* Opens the connections of the peers. */
void count_connect(struct count *c);

/* The next turn of traffic; false when it was the last. */
bool count_next_turn(struct count *c);

/* True when all was answered. */
bool count_is_answered(const struct count *c);

/* The next step of the lives of all connections: connect, a message, whose
 * answer is read, and the end; false when it was the last. */
bool count_next_step(struct count *c);

/* True when all lives are over. */
bool count_have_all_ended(const struct count *c);

#endif
