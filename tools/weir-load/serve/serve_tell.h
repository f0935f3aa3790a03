/*
 * What `weir-load serve` prints, how it ends, and which signals it handles.
 *
 * All of it is the same for one loop, which is that of the main thread, and for
 * several threads.
 */
#ifndef WEIR_LOAD_SERVE_TELL_H
#define WEIR_LOAD_SERVE_TELL_H

#include "modes.h"
#include "serve_options.h"

#include "weir/loop.h"

#include <stdint.h>

/* What was served, of one thread or of several. */
struct serve_sums {
    struct mode_counts counts;
    uint64_t datagrams;
    uint64_t datagrams_failed;
};

/* One line about a target: @why, which may be empty, tells the address. */
void serve_say_error(const struct target *target, int err, const char *why);

/* Prints the statistics: @loop_text is that of the loop, or of all loops. */
void serve_print_statistics(const struct serve_sums *sums,
                            const char *loop_text);

/* Prints the line of a server that listens at @places. */
void serve_print_places(const struct serve_options *options,
                        const struct target *places);

/* SIGINT and SIGTERM, and SIGUSR1. 0, or a negative error that was told. */
int serve_handle_signals(weir_loop *loop, weir_signal_fn *on_end,
                         weir_signal_fn *on_usr1, void *arg);

/* Of a server that ended with an error of a target or 0; broke is the error of
 * its loop, which is told here. */
int serve_exit_code(int err, int broke);

#endif
