/*
 * The requests under way on a connection of HTTP/2: a place for each, as many
 * as --pipeline, which is found by its stream.
 *
 * A place is free, live (its stream is open), or waits to be sent again because
 * the server has not begun with it.
 */
#ifndef WEIR_LOAD_H2_STREAMS_H
#define WEIR_LOAD_H2_STREAMS_H

#include "h2_message.h"
#include "h2_window.h"
#include "tools/weir-load/conn/traffic.h"
#include "tools/weir-load/http1/wanted.h"
#include "tools/weir-load/request/http_request.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* No place: the end of a list. */
#define H2_NONE UINT32_MAX

/* No grpc-status was seen. */
#define H2_NO_STATUS UINT32_MAX

enum h2_stream_state {
    H2_FREE,
    H2_LIVE,
    H2_WAITING,
};

struct h2_stream {
    /* Neighbours in the list of its state. */
    uint32_t previous;
    uint32_t next;
    enum h2_stream_state state;
    struct flight flight;
    bool is_warmup;
    /* How often the server has refused it. */
    uint8_t refusals;
    const struct http_request *request;
    /* Its stream; 0: it has none yet. */
    int32_t id;
    /* The body; one that is not always the same is in memory of the place,
     * which stays for the next request. */
    const char *body;
    size_t body_len;
    size_t body_at;
    /* When its stream was opened. */
    uint64_t opened_ns;
    char *own_body;
    /* The answer. */
    struct h2_message message;
    uint64_t first_byte_ns;
    uint64_t body_bytes;
    uint16_t status;
    /* The server has sent RST_STREAM. */
    bool was_reset;
    bool is_grpc;
    uint32_t grpc_status;
    struct wanted_reader reader;
    struct h2_window window;
};

struct h2_list {
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

struct h2_streams {
    uint32_t depth;
    /* By their state. */
    struct h2_list lists[3];
    struct h2_stream *all;
};

/* Begin with all places free, which are borrowed and were all zero before the
 * first time. */
void h2_streams_init(struct h2_streams *self, struct h2_stream *places,
                     uint32_t depth);

/* Put a place into another state: at the end of that list, or at its head. */
void h2_streams_move(struct h2_streams *self, struct h2_stream *stream,
                     enum h2_stream_state state, bool at_head);

/* The first in a state; NULL: there is none. */
struct h2_stream *h2_streams_first(struct h2_streams *self,
                                   enum h2_stream_state state);

/* The one behind it in its list; or NULL. */
struct h2_stream *h2_streams_next(struct h2_streams *self,
                                  const struct h2_stream *stream);

static inline uint32_t h2_streams_count(const struct h2_streams *self,
                                        enum h2_stream_state state)
{
    return self->lists[state].count;
}

/* Free what places keep. */
void h2_streams_drop(struct h2_streams *self);

#endif
