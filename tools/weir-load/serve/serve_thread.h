/*
 * The servers of one loop: they listen on every target, count what they serve,
 * and stop. `weir-load serve` has one for each thread.
 *
 * All functions and callbacks run on the loop's thread. The owner decides what
 * an error means and when the program ends.
 */
#ifndef WEIR_LOAD_SERVE_THREAD_H
#define WEIR_LOAD_SERVE_THREAD_H

#include "modes.h"
#include "serve_options.h"
#include "tools/common/target.h"

#include "weir/loop.h"
#include "weir/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The server's UDP sockets: each echoes its datagrams, or counts them.
 * Responses that cannot be sent are counted. */

#define SERVE_WHY_SIZE 256U

struct datagram_server;

typedef void datagram_server_fn(void *arg, int err,
                                struct datagram_server *server);

struct datagram_server {
    /* NULL before it is bound and after its end. */
    weir_transport *transport;
    /* Called when binding has succeeded or failed, and when the socket has
     * ended. */
    datagram_server_fn *on_bound;
    datagram_server_fn *on_ended;
    void *arg;
    const struct weir_protocol *protocol;
    /* The bind operation. Set until it has succeeded or failed. */
    weir_pending *pending;
    /* Buffer of SERVE_WHY_SIZE bytes for the address and the error if binding
     * fails. */
    char *why;
    /* Received datagrams. Their bytes are in counts->received_bytes. */
    uint64_t received;
    /* Responses that could not be sent. */
    uint64_t failed;
    struct mode_counts *counts;
    /* Other sockets are bound to the same address. */
    bool reuse_port;
};

bool datagram_server_has(const struct mode *mode);

/* Binds. The caller must set on_bound, on_ended, arg, why, counts and
 * reuse_port, and zero the rest. Returns 0 if on_bound will be called, or a
 * negative error. */
int datagram_server_start(struct datagram_server *server, weir_loop *loop,
                          const struct mode *mode, const struct target *target);

/* Ends the socket, after sending pending datagrams unless @at_once is true. */
void datagram_server_stop(struct datagram_server *server, bool at_once);

struct serve_thread;

struct serve_thread_ops {
    void (*listening)(struct serve_thread *thread);
    /* A target could not listen, or its socket has ended. The owner must
     * stop. */
    void (*failed)(struct serve_thread *thread, const struct target *target,
                   int err);
    /* Everything is closed after a stop. */
    void (*ended)(struct serve_thread *thread);
};

/* Counts of one or of several threads. */
struct serve_sums {
    struct mode_counts counts;
    uint64_t datagrams;
    uint64_t datagrams_failed;
};

struct serve_thread {
    const struct serve_thread_ops *ops;
    void *owner;
    weir_loop *loop;
    const struct serve_options *options;
    /* The targets of the options, or the addresses of the first thread. */
    const struct target *targets;
    size_t target_count;
    /* True except for the first thread, which alone serves Unix targets. */
    bool is_further;
    /* NULL if no target uses TLS. */
    weir_tls_context *tls;
    /* Indexed by target; NULL if the target uses UDP. */
    weir_server *servers[SERVE_ADDRESSES_MAX];
    /* Indexed by target; used if the target uses UDP. */
    struct datagram_server datagram_servers[SERVE_ADDRESSES_MAX];
    /* For each target that could not listen: the address and the reason, or
     * "". */
    char why[SERVE_ADDRESSES_MAX][SERVE_WHY_SIZE];
    /* Servers and sockets that do not listen yet. */
    size_t starting;
    /* Servers and sockets that have not ended. */
    size_t open;
    bool stopping;
    bool has_failed;
    struct mode_counts counts;
    /* Current second, and number of error messages printed in it. */
    uint64_t trouble_second;
    uint64_t trouble_count;
};

/* Listens on all targets. The fields up to tls must be set. Returns 0, or a
 * negative error and the target that failed. */
int serve_thread_listen(struct serve_thread *thread,
                        const struct target **ret_failed);

/* Writes the addresses of all targets to @ret. All servers must listen. The
 * caller must call names_forget() even after an error. Returns 0 or -ENOMEM. */
int serve_thread_get_places(const struct serve_thread *thread,
                            struct target *ret);

/* Stops all servers. ops->ended is called when they have ended. May be called
 * again with a shorter grace time. */
void serve_thread_stop(struct serve_thread *thread, uint64_t grace_ns);

void serve_thread_free_servers(struct serve_thread *thread);

void serve_thread_add(const struct serve_thread *thread,
                      struct serve_sums *sums);

/* The loop's exception handler. Its argument is the serve_thread. */
void serve_thread_report(void *arg, weir_loop *loop,
                         const struct weir_exception *exception);

#endif
