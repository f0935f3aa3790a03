/*
 * `weir-load serve --threads`: several loops that serve at the same addresses.
 *
 * They are controlled by the loop of the main thread, which serves nothing: it
 * handles the signals, and says when all listen and what has failed.
 */
#ifndef WEIR_LOAD_SERVE_THREADS_H
#define WEIR_LOAD_SERVE_THREADS_H

#include "serve_options.h"

#include "weir/loop.h"
#include "weir/tls_connection.h"

/* Serves until a signal or an error; returns the exit code. The loop is that of
 * the main thread; tls is NULL where no target has TLS. */
int serve_threads_run(weir_loop *loop, const struct serve_options *options,
                      weir_tls_context *tls);

#endif
