/*
 * The command line of `weir-load serve`.
 *
 * It is parsed and checked here.
 * Addresses are bound and certificates are read when the server starts.
 */
#ifndef WEIR_LOAD_SERVE_OPTIONS_H
#define WEIR_LOAD_SERVE_OPTIONS_H

#include "modes.h"
#include "tools/common/target.h"
#include "tools/weir-load/options/options.h"
#include "tools/weir-load/target/target.h"

#include "weir/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- serve_options ---- */

#define SERVE_ADDRESSES_MAX 16U

struct serve_options {
    const struct mode *mode;
    struct mode_settings settings;
    uint64_t grace_ns;
    /* Number of loops, each on its own thread; at least 1. */
    uint32_t thread_count;
    /* Accepts bytes in a SYN. */
    bool fast_open;
    bool stats;
    bool verbose;
    struct tls_flags tls;
    struct target targets[SERVE_ADDRESSES_MAX];
    size_t target_count;
};

/* Parses argv, starting at @first. *ret is written only if the result is
 * OPTIONS_READY. */
enum options_result serve_options_parse(int argc, char **argv, int first,
                                        struct serve_options *ret);

/* ---- serve_tell ---- */

/*
 * Output, exit code and signals of `weir-load serve`.
 *
 * They are the same for one loop in the main thread
 * and for several threads.
 */

/* Counts of one or of several threads. */
struct serve_sums {
    struct mode_counts counts;
    uint64_t datagrams;
    uint64_t datagrams_failed;
};

/* Prints an error of a target. @why has the address that failed, or is "". */
void serve_say_error(const struct target *target, int err, const char *why);

/* Prints the statistics; @loop_text describes one or all loops. */
void serve_print_statistics(const struct serve_sums *sums,
                            const char *loop_text);

/* Prints the addresses on which the server listens. */
void serve_print_places(const struct serve_options *options,
                        const struct target *places);

/* Handles SIGINT and SIGTERM, and SIGUSR1. Returns 0, or a negative error that
 * was printed. */
int serve_handle_signals(weir_loop *loop, weir_signal_fn *on_end,
                         weir_signal_fn *on_usr1, void *arg);

/* Returns the exit code. @err is 0 or the error of a target; @broke is the
 * error of the loop, which is printed here. */
int serve_exit_code(int err, int broke);

#endif
