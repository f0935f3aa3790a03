/*
 * What the server does with a connection: echo, discard or chargen.
 *
 * Each mode is a protocol table. All of them hold a bounded amount of memory
 * for a connection, whatever its peer does or leaves undone.
 */
#ifndef WEIR_LOAD_MODES_H
#define WEIR_LOAD_MODES_H

#include "weir/protocol.h"

#include <stdint.h>

/* What connections of a server have in common. */
struct mode_counts {
    uint64_t opened;
    uint64_t open_now;
    uint64_t broken;
    uint64_t received_bytes;
};

struct mode {
    const char *name;
    weir_factory_fn *create;
};

/* By name; NULL when there is none. The factories' argument is a struct
 * mode_counts. */
const struct mode *mode_find(const char *name);

#endif
