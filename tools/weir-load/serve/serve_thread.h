/*
 * The servers of one loop: they listen on every target, count what they serve,
 * and stop. `weir-load serve` has one of these, or one for each thread.
 *
 * All calls are made on the loop's thread, and so are the calls up to the
 * owner, who decides what an error means and when the program ends.
 */
#ifndef WEIR_LOAD_SERVE_THREAD_H
#define WEIR_LOAD_SERVE_THREAD_H

#include "modes.h"
#include "serve_datagrams.h"
#include "serve_options.h"
#include "serve_tell.h"

#include "weir/loop.h"
#include "weir/server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVE_WHY_SIZE 256U

struct serve_thread;

/* The calls up to the owner. */
struct serve_thread_ops {
    /* All targets listen. */
    void (*listening)(struct serve_thread *thread);
    /* A target could not listen, or its endpoint has ended. The owner stops. */
    void (*failed)(struct serve_thread *thread, const struct target *target,
                   int err);
    /* After a stop: nothing is open any more. */
    void (*ended)(struct serve_thread *thread);
};

struct serve_thread {
    const struct serve_thread_ops *ops;
    void *owner;
    weir_loop *loop;
    const struct serve_options *options;
    /* Where it listens: the options' targets, or where another thread does. */
    const struct target *targets;
    size_t target_count;
    /* Another thread listens already: Unix targets are left to it. */
    bool is_further;
    /* NULL where no target has TLS. */
    weir_tls_context *tls;
    /* Each target has one of the two; servers are NULL for UDP. */
    weir_server *servers[SERVE_ADDRESSES_MAX];
    struct datagram_server datagram_servers[SERVE_ADDRESSES_MAX];
    /* Of a target that could not listen: which of its addresses, and why. */
    char why[SERVE_ADDRESSES_MAX][SERVE_WHY_SIZE];
    /* Servers and endpoints that do not listen yet, and that are not over. */
    size_t starting;
    size_t open;
    bool stopping;
    bool has_failed;
    struct mode_counts counts;
    /* Lines of trouble in this second. */
    uint64_t trouble_second;
    uint64_t trouble_count;
};

/* Listens on all targets; the fields up to tls are set. 0, or a negative error
 * and the target that has it. */
int serve_thread_listen(struct serve_thread *thread,
                        const struct target **ret_failed);

/* When all targets listen: writes to @ret, which has room for all targets,
 * where they do. The addresses are freed by names_forget(), whatever is
 * returned; 0 or -ENOMEM. */
int serve_thread_get_places(const struct serve_thread *thread,
                            struct target *ret);

/* Of a target that could not listen; or an empty text. */
const char *serve_thread_why(const struct serve_thread *thread,
                             const struct target *target);

/* Stops; a further call shortens the time of grace. ops->ended follows. */
void serve_thread_stop(struct serve_thread *thread, uint64_t grace_ns);

/* Gives the servers back. */
void serve_thread_free_servers(struct serve_thread *thread);

/* Adds what the thread has served. */
void serve_thread_add(const struct serve_thread *thread,
                      struct serve_sums *sums);

/* The loop's exception handler, with the serve_thread. */
void serve_thread_report(void *arg, weir_loop *loop,
                         const struct weir_exception *exception);

#endif
