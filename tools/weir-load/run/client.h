/*
 * All connections of a run: they are made, made again at a bounded rate when
 * they are lost, watched for answers that do not come, and counted.
 *
 * At most ATTEMPTS_MAX attempts are under way at once, so that a
 * server's backlog is not the thing that is measured. A connection that fails
 * waits before it is made again, longer each time it fails without an answer
 * in between.
 */
#ifndef WEIR_LOAD_CLIENT_H
#define WEIR_LOAD_CLIENT_H

#include "pacing.h"
#include "tools/weir-load/conn/attempts.h"
#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/options/options.h"

#include "weir/loop.h"

enum client_event {
    /* Every connection has been open or has failed once. */
    CLIENT_SETTLED,
    /* Nothing more is to be sent, and no answer is outstanding. */
    CLIENT_DRAINED,
    /* All failed, again and again, and nothing ever succeeded. */
    CLIENT_HOPELESS,
};

typedef void client_event_fn(void *arg, enum client_event event);

/* A thread's part of a run. */
struct client_share {
    const struct run_options *options;
    /* Among the threads of all parts (part.h). */
    uint32_t thread_index;
    uint32_t thread_count;
    /* Its block of all connections. */
    uint64_t first_conn;
    uint64_t conn_count;
    /* Borrowed; NULL where no target has TLS. */
    weir_tls_context *tls;
    /* What the codecs of the first thread share; NULL for that one itself. */
    void *const *first_shared;
};

struct client {
    struct traffic traffic;
    weir_loop *loop;
    const struct run_options *options;
    struct client_share share;
    /* Of the run's connections, these are this thread's. */
    uint64_t first_conn;
    uint64_t conn_count;
    /* Used in open models. */
    struct pacing *pacing;
    client_event_fn *on_event;
    void *on_event_arg;
    struct conn *conns;
    /* Of all connections: what is under way and the codec's, or with UDP
     * slots. */
    struct flight *flights;
    uint8_t *codec_states;
    void *codec_shared[CODEC_WAYS];
    struct preamble_requests *preamble;
    /* Of all connections, by their names; NULL: no name was added. */
    struct template_value *named;
    struct track_slot *slots;
    struct payload *payload;
    uint8_t *scratch;
    /* Connections to be made: a ring of indices with room for all. */
    uint32_t *waiting;
    uint64_t waiting_head;
    uint64_t waiting_count;
    uint64_t connecting;
    struct attempts attempts;
    uint64_t settled;
    /* How many connections there are to be, the first ones; the most that there
     * were to be until now; and of the others those that are not to be made. */
    uint64_t wanted;
    uint64_t most_wanted;
    uint64_t parked;
    /* --conn-stages: the next look, the begin of the window, and which of the
     * others is to be looked at next. */
    struct weir_handle stage_look;
    uint64_t stages_ns;
    uint64_t next_above;
    /* The connection ledger. */
    uint64_t open_now;
    /* Errors of datagrams, of which the endpoint lives on. */
    uint64_t datagram_errors;
    struct histogram *connect_latency;
    struct tls_facts tls_facts;
    struct histogram *handshake_latency;
    struct weir_handle watch;
    /* --conn-rate: when the next connection may be made, and its timer. */
    uint64_t next_connect_ns;
    struct weir_handle pace;
    /* No new connections; set at the end. */
    bool stopping;
    /* Both ends have the same address: they share this machine. */
    bool same_machine;
    /* Lines that -v has printed; there is an end to them. */
    uint32_t lines;
};

/* Get all memory that the thread will need; a negative error has been told, and
 * client_fini() is called as well. */
int client_init(struct client *client, const struct client_share *share);

/* All memory of a client whose share is known; false: there is none. */
bool client_get_memory(struct client *client, uint32_t ring_size);

/* How many connections of this thread there are to be at a time of the window,
 * or at its begin. */
uint64_t client_count_wanted(const struct client *client, uint64_t time_ns);

/* The state in which a client with its memory begins. */
void client_prepare(struct client *client, uint32_t ring_size,
                    const struct conn_events *events);

/* Begin to connect, on the loop's thread; 0 or a negative error. */
int client_start(struct client *client, weir_loop *loop,
                 client_event_fn *on_event, void *arg);

/* Closed loop: all open connections send; new ones will. */
void client_send(struct client *client, bool measuring);

/* Open models: the schedule begins at begin_ns. Its requests are measured from
 * window_ns on, and it ends at end_ns. */
void client_send_scheduled(struct client *client, uint64_t begin_ns,
                           uint64_t window_ns, uint64_t end_ns);

/* How many connections stand, or are just made again because the server or the
 * load model has ended the one before. */
uint64_t client_count_present(const struct client *client);

/* This thread's part of a number that all threads share. */
uint64_t client_part(const struct client *client, uint64_t whole);

/* In modes crr and connect, connecting is measured: what it took during the
 * warm-up is forgotten. Without a warm-up the connections that stand carry the
 * first requests of the window, and their times are kept. */
void client_begin_window(struct client *client);

/* --conn-stages: from the begin of the window on there are as many connections
 * as their stages want. */
void client_follow_stages(struct client *client, uint64_t window_ns);

/* The window's time is over: what was to stand so long has. */
void client_end_window(struct client *client);

/* No more requests; CLIENT_DRAINED follows, perhaps at once. */
void client_stop_sending(struct client *client);

/* How many connections were tried and never had an answer; of those, how many
 * have no failure among what was measured. */
uint64_t client_count_unanswered(const struct client *client,
                                 uint64_t *ret_unseen);

/* No more events; connections stay as they are until the loop is freed. */
void client_stop(struct client *client);

/* After the loop is freed. */
void client_fini(struct client *client);

#endif
