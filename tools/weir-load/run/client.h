/*
 * The connections of one thread of a run. It reconnects lost ones at a bounded
 * rate, and checks for timeouts.
 *
 * At most ATTEMPTS_MAX attempts run at once, so that the run does not measure
 * the server's backlog. A connection that fails waits before the next attempt,
 * longer each time until it gets an answer.
 */
#ifndef WEIR_LOAD_CLIENT_H
#define WEIR_LOAD_CLIENT_H

#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/options/options.h"
#include "tools/weir-load/schedule/schedule.h"

#include "weir/loop.h"

/*
 * Sends by a schedule: each request is sent at its scheduled time if a
 * connection is free; otherwise it waits for one or is dropped.
 *
 * Waiting requests are not stored: the schedule stays at the oldest unsent
 * request, however late it is. So memory does not grow with lateness.
 */

struct pacing {
    weir_loop *loop;
    struct traffic *traffic;
    /* Position of the oldest unsent request. */
    struct schedule next;
    /* Position of the first request that was not due at the last call of
     * pacing_count_due(). */
    struct schedule due;
    /* Start of the schedule, start of the window, and end of the schedule. */
    uint64_t begin_ns;
    uint64_t window_ns;
    uint64_t end_ns;
    /* Scheduled time of the request at `next`, or UINT64_MAX at the end. */
    uint64_t next_ns;
    uint64_t in_flight_max;
    bool is_skipping;
    /* Due requests wait for a free connection. */
    bool is_blocked;
    /* When the first of them found no free connection. This program did not
     * cause the lateness from then on. */
    uint64_t blocked_ns;
    bool is_started;
    /* Queue of the connections that can send, the longest free first. */
    struct conn *first;
    struct conn *last;
    struct weir_handle timer;
};

/* @plan must outlive the pacing. */
void pacing_init(struct pacing *pacing, struct traffic *traffic,
                 const struct schedule_plan *plan, uint32_t thread_index,
                 uint32_t thread_count);

/* Starts to send at @begin_ns. Requests scheduled from @window_ns on are
 * measured. The schedule ends at @end_ns. */
void pacing_start(struct pacing *pacing, weir_loop *loop, uint64_t begin_ns,
                  uint64_t window_ns, uint64_t end_ns);

/* Implements traffic.ready in open models. Queues the connection if it can
 * send, and sends all due requests. */
void pacing_offer(struct conn *conn, uint64_t now_ns);

/* Returns how many requests have become due since the last call. */
uint64_t pacing_count_due(struct pacing *pacing, uint64_t now_ns);

/* Ends the schedule. Drops unsent requests that are due by @now_ns. */
void pacing_stop(struct pacing *pacing, uint64_t now_ns);

enum client_event {
    /* Every wanted connection was open or has failed once. Not all failed. */
    CLIENT_SETTLED,
    /* Nothing is left to send, and no answer is outstanding. */
    CLIENT_DRAINED,
    /* No request has succeeded, and either every connection failed to open or
     * connections keep failing. */
    CLIENT_HOPELESS,
};

typedef void client_event_fn(void *arg, enum client_event event);

struct client_share {
    const struct run_options *options;
    /* Index of the thread among the threads of all processes (part.c). */
    uint32_t thread_index;
    uint32_t thread_count;
    /* This thread's range of all connections. */
    uint64_t first_conn;
    uint64_t conn_count;
    /* NULL if no target has TLS. */
    weir_tls_context *tls;
    /* Shared codec state of the first thread, or NULL if this thread is the
     * first. */
    void *const *first_shared;
};

struct client {
    struct traffic traffic;
    weir_loop *loop;
    const struct run_options *options;
    struct client_share share;
    uint64_t conn_count;
    struct pacing pacing;
    client_event_fn *on_event;
    void *on_event_arg;
    struct conn *conns;
    /* Memory of all connections. Over UDP, `slots` replaces these two. */
    struct flight *flights;
    uint8_t *codec_states;
    void *codec_shared[CODEC_WAYS];
    struct preamble_requests *preamble;
    /* Captured values of all connections, or NULL if the run captures
     * nothing. */
    struct template_value *named;
    struct track_slot *slots;
    struct payload *payload;
    uint8_t *scratch;
    /* Connections to be made: a ring of indices with space for all. */
    uint32_t *waiting;
    uint64_t waiting_head;
    uint64_t waiting_count;
    uint64_t connecting;
    struct attempts attempts;
    uint64_t settled;
    /* Number of wanted connections. They are the first ones in `conns`. */
    uint64_t wanted;
    uint64_t most_wanted;
    uint64_t parked;
    /* --conn-stages: timer of the next check. */
    struct weir_handle stage_look;
    /* --conn-stages: start of the window. */
    uint64_t stages_ns;
    /* --conn-stages: index of the unwanted connection to check next. */
    uint64_t next_above;
    uint64_t open_now;
    uint64_t datagram_errors;
    struct histogram *connect_latency;
    struct tls_facts tls_facts;
    struct histogram *handshake_latency;
    struct weir_handle watch;
    /* --conn-rate: earliest time of the next connection. */
    uint64_t next_connect_ns;
    /* --conn-rate: timer of the next connection. */
    struct weir_handle pace;
    /* The run ends: no more connections are made. */
    bool stopping;
    bool same_machine;
    /* Number of lines printed for -v, at most LINES_MAX. */
    uint32_t lines;
};

/* Allocates the memory of all connections. Returns 0 or a negative error that
 * was printed. client_fini() must be called in both cases. */
int client_init(struct client *client, const struct client_share *share);

/* Returns false if out of memory. */
bool client_get_memory(struct client *client, uint32_t ring_size);

/* Returns the wanted number of this thread's connections @time_ns after the
 * start of the window. */
uint64_t client_count_wanted(const struct client *client, uint64_t time_ns);

void client_prepare(struct client *client, uint32_t ring_size,
                    const struct conn_events *events);

/* Starts to connect. Must be called on the loop's thread. Returns 0 or a
 * negative error. */
int client_start(struct client *client, weir_loop *loop,
                 client_event_fn *on_event, void *arg);

/* Closed loop: starts to send on all open connections, and on others once they
 * are open. */
void client_send(struct client *client, bool measuring);

/* Open models: starts the schedule at @begin_ns. Requests scheduled before
 * @window_ns are not measured. The schedule ends at @end_ns. */
void client_send_scheduled(struct client *client, uint64_t begin_ns,
                           uint64_t window_ns, uint64_t end_ns);

/* Returns the number of connections that are open, or are being made again
 * after a normal end. */
uint64_t client_count_present(const struct client *client);

/* Returns this thread's share of a number. */
uint64_t client_part(const struct client *client, uint64_t whole);

/* In modes crr and connect, discards the connect times of the warm-up. Without
 * a warm-up they are kept, because the connections carry the first requests of
 * the window. */
void client_begin_window(struct client *client);

/* --conn-stages: starts to follow the stages. */
void client_follow_stages(struct client *client, uint64_t window_ns);

/* Ends the requests of mode idle at the end of the window. */
void client_end_window(struct client *client);

/* CLIENT_DRAINED follows, perhaps before this function returns. */
void client_stop_sending(struct client *client);

/* Returns how many connections were tried and never had an answer. Sets
 * *ret_unseen to the number of these without a measured failure. */
uint64_t client_count_unanswered(const struct client *client,
                                 uint64_t *ret_unseen);

/* Stops all events. Connections stay open until the loop is freed. */
void client_stop(struct client *client);

/* Must be called after the loop is freed. */
void client_fini(struct client *client);

#endif
