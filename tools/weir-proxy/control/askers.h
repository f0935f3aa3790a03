/*
 * Connections whose request has not arrived. If there are more than IDLE_MAX,
 * the oldest connection is closed, so that silent clients do not keep others
 * out. A request must arrive within REQUEST_NS.
 */
#ifndef WEIR_PROXY_ASKERS_H
#define WEIR_PROXY_ASKERS_H

#include "tools/weir-proxy/runtime/proxy.h"

#include "weir/stream.h"

#define ASKERS_MAX 64
#define REQUEST_NS UINT64_C(5000000000)

/* Reads a request up to and including @end, in a task. Returns the length of
 * the request or a negative error. */
ssize_t askers_read(struct askers *askers, weir_reader *reader,
                    weir_writer *writer, const struct weir_separator *end,
                    char *ret, size_t size);

#endif
