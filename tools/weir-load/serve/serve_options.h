/*
 * The command line of `weir-load serve`. Addresses are bound
 * and certificates are read when the server starts, not
 * here.
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

#define SERVE_ADDRESSES_MAX 16U

struct serve_options {
    const struct mode *mode;
    struct mode_settings settings;
    uint64_t grace_ns;
    /* Number of loops, each on its own thread; at least 1. */
    uint32_t thread_count;
    /* Accept bytes in a SYN. */
    bool fast_open;
    bool stats;
    bool verbose;
    struct tls_flags tls;
    struct target targets[SERVE_ADDRESSES_MAX];
    size_t target_count;
};

/* Parses argv from index @first. Writes *ret only if the result is
 * OPTIONS_READY. */
enum options_result serve_options_parse(int argc, char **argv, int first,
                                        struct serve_options *ret);

#endif
