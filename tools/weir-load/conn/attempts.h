/*
 * Attempts to connect: TCP or Unix streams, with TLS if the target has it, and
 * connected datagram endpoints. The caller (client.h) decides which connections
 * to make and what a failure means.
 */
#ifndef WEIR_LOAD_ATTEMPTS_H
#define WEIR_LOAD_ATTEMPTS_H

#include "conn.h"
#include "tools/weir-load/options/options.h"

#include "weir/loop.h"

#define ATTEMPTS_MAX 256U

/* Called when an attempt has ended: @err is 0 after connection_made, else @text
 * has the library's description of the error. */
typedef void attempt_done_fn(void *arg, struct conn *conn, int err,
                             const char *text);

struct attempts;

struct attempt {
    struct attempts *attempts;
    struct conn *conn;
    struct attempt *next_free;
    weir_pending *pending;
    char text[ERRORS_DETAIL_SIZE];
};

struct attempts {
    weir_loop *loop;
    const struct run_options *options;
    attempt_done_fn *done;
    void *done_arg;
    /* Borrowed; NULL if no target has TLS. */
    weir_tls_context *tls;
    /* Sum of resume_share; a session is resumed when it reaches
     * TLS_RESUME_ALL. */
    uint32_t resume_due;
    struct attempt *first_free;
    struct attempt all[ATTEMPTS_MAX];
};

void attempts_init(struct attempts *attempts, const struct run_options *options,
                   weir_tls_context *tls, attempt_done_fn *done,
                   void *done_arg);

void attempts_set_loop(struct attempts *attempts, weir_loop *loop);

/* Starts an attempt; at most ATTEMPTS_MAX run at a time. Returns 0 if the done
 * callback will be called, else a negative error. */
int attempts_start(struct attempts *attempts, struct conn *conn,
                   const struct target *target);

#endif
