/*
 * Connections whose request has not come: one more than IDLE_MAX ends the
 * oldest, so that those which say nothing keep nobody else out, and each has
 * REQUEST_NS.
 */
#ifndef WEIR_PROXY_ASKERS_H
#define WEIR_PROXY_ASKERS_H

#include "proxy.h"

#include "weir/stream.h"

/* Connections of a server at once. */
#define ASKERS_MAX 64
#define REQUEST_NS UINT64_C(5000000000)

struct askers {
    struct list idle; /* of those whose request has not come */
    size_t idle_count;
};

/* Reads a request with its end, in a task; its length, or a negative error. */
ssize_t askers_read(struct askers *askers, weir_reader *reader,
                    weir_writer *writer, const struct weir_separator *end,
                    char *ret, size_t size);

#endif
