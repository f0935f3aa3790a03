/*
 * Connections on their way: streams, those with TLS among them, and endpoints
 * for datagrams, made as the command line has it.
 *
 * Who is to be connected, and what a failure means, is decided above
 * (client.h).
 */
#ifndef WEIR_LOAD_ATTEMPTS_H
#define WEIR_LOAD_ATTEMPTS_H

#include "conn.h"
#include "tools/weir-load/options/options.h"

#include "weir/loop.h"

#define ATTEMPTS_MAX 256U

/* err is 0 after connection_made; or text has what the library tells of it. */
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
    /* Borrowed; NULL where no target has TLS. */
    weir_tls_context *tls;
    /* Share of a handshake that has come together to resume the next session.
     */
    uint32_t resume_due;
    struct attempt *first_free;
    struct attempt all[ATTEMPTS_MAX];
};

/* The TLS context is borrowed; NULL where no target has TLS. */
void attempts_init(struct attempts *attempts, const struct run_options *options,
                   weir_tls_context *tls, attempt_done_fn *done,
                   void *done_arg);

/* The loop that all attempts are made on. */
void attempts_set_loop(struct attempts *attempts, weir_loop *loop);

/* Begin one of at most ATTEMPTS_MAX; 0 when done follows. */
int attempts_start(struct attempts *attempts, struct conn *conn,
                   const struct target *target);

#endif
