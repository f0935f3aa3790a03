/*
 * The state of HTTP/2 connections. Only files of
 * this folder include this header and use
 * libnghttp2.
 */
#ifndef WEIR_LOAD_H2_SESSION_H
#define WEIR_LOAD_H2_SESSION_H

#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/http1/http1.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/request.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Detects that our receive window, of a stream or of a connection, blocks an
 * HTTP/2 server.
 *
 * A blocked server cuts its frame at the window's end. So a DATA frame without
 * END_STREAM that ends exactly there shows that the server is blocked until its
 * next frame. The window's previous ends count too, because a WINDOW_UPDATE may
 * not have reached the server in time. Three ends are enough, because the
 * library raises a window when half of it is used.
 *
 * Frames that are not cut have 16 KiB or a smaller power of two. They could end
 * at the window's end by chance if its size were a multiple of theirs, so
 * h2_window_size() makes such a window one byte smaller.
 */

#define H2_WINDOW_FRAME 16384U
#define H2_WINDOW_ENDS  3U

struct h2_window {
    /* Bytes of DATA frames so far. */
    uint64_t received;
    /* The window's end and its two previous ends, as offsets in the received
     * bytes. */
    uint64_t ends[H2_WINDOW_ENDS];
    /* When the server became blocked, or 0. */
    uint64_t stopped_ns;
};

static inline uint32_t h2_window_size(uint64_t bytes)
{
    return (uint32_t)(bytes - (bytes % H2_WINDOW_FRAME == 0));
}

static inline void h2_window_begin(struct h2_window *self, uint64_t bytes)
{
    *self = (struct h2_window){.ends = {bytes, bytes, bytes}};
}

static inline void h2_window_raise(struct h2_window *self, uint64_t bytes)
{
    if (self->received == 0) { /* the server has sent nothing up to the old
                                * end */
        h2_window_begin(self, self->ends[0] + bytes);
        return;
    }
    self->ends[2] = self->ends[1];
    self->ends[1] = self->ends[0];
    self->ends[0] += bytes;
}

/* Handles a DATA frame. A stream's last frame (@is_last) was not cut. */
static inline void h2_window_receive(struct h2_window *self, uint64_t bytes,
                                     bool is_last, uint64_t now_ns)
{
    self->received += bytes;
    for (uint32_t i = 0; i < H2_WINDOW_ENDS && !is_last; i++) {
        if (self->received == self->ends[i]) {
            self->stopped_ns = now_ns;
        }
    }
}

/* The server is no longer blocked: it has sent a frame, or the stream has
 * ended. */
static inline void h2_window_go_on(struct h2_window *self,
                                   struct h2_counts *counts, uint64_t now_ns)
{
    if (self->stopped_ns > 0) {
        counts->window_stops += now_ns > self->stopped_ns;
        counts->window_stopped_ns += now_ns - self->stopped_ns;
        self->stopped_ns = 0;
    }
}

/*
 * Rules for HTTP/2 responses (RFC 9113, sections 8.1 to 8.3): a response begins
 * with a status, names and values have valid characters, and the body's length
 * matches content-length. The library's own checks took a fifth of the
 * instructions of a request, so they are off.
 */

/* Value of `length` if there is no content-length. */
#define H2_NO_LENGTH UINT64_MAX

enum h2_block {
    H2_BLOCK_NONE,     /* no header block, or only blocks of interim
                        * responses */
    H2_BLOCK_HEADER,   /* in the header block of a final or interim response */
    H2_BLOCK_READ,     /* the final header block is complete; a body may
                        * follow */
    H2_BLOCK_TRAILERS, /* in the header block after the body */
};

struct h2_message {
    uint64_t length;
    enum h2_block block;
    /* :status of the current block, or 0. */
    uint16_t status;
    /* The block has had a field that is no pseudo-field. */
    bool has_fields;
};

/* The bytes belong to libnghttp2. */
struct h2_field {
    const uint8_t *name;
    size_t name_len;
    const uint8_t *value;
    size_t value_len;
};

/* Returns true if the field has this name, a literal. */
#define H2_IS(field, text)                                                     \
    ((field)->name_len == sizeof(text) - 1 &&                                  \
     memcmp((field)->name, text, sizeof(text) - 1) == 0)

void h2_message_begin(struct h2_message *self);

void h2_message_begin_block(struct h2_message *self);

/* These functions return NULL, or one line about an error. */

const char *h2_message_field(struct h2_message *self,
                             const struct h2_field *field);

/* Returns true if a field that is valid once is valid in every response. For
 * such a field h2_message_known_field() may be called instead of
 * h2_message_field(). */
bool h2_message_is_known(const struct h2_field *field);

static inline void h2_message_known_field(struct h2_message *self)
{
    self->has_fields = true;
}

/* Ends a header block. @is_last is true if the response ends here. @has_no_body
 * is true for a response to HEAD, whose content-length does not count. */
const char *h2_message_end_block(struct h2_message *self, bool is_last,
                                 bool has_no_body);

/* Checks the number of body bytes so far. @is_last is true if no more bytes
 * follow. */
const char *h2_message_body(const struct h2_message *self, uint64_t bytes,
                            bool is_last);

/*
 * An allocator for the libnghttp2 sessions of a thread. Freed blocks are cached
 * by size, because each request allocates and frees the same few sizes. The
 * cache of a size has at most as many blocks as were in use at the same time.
 */

/* Blocks of up to H2_MEMORY_SIZES * H2_MEMORY_STEP bytes are cached. */
#define H2_MEMORY_STEP  64U
#define H2_MEMORY_SIZES 32U

struct h2_block_head;

/* Must be zero-initialised. */
struct h2_memory {
    nghttp2_mem functions;
    struct h2_block_head *kept[H2_MEMORY_SIZES];
};

/* Returns libnghttp2's interface. @self must not move any more. */
nghttp2_mem *h2_memory_of(struct h2_memory *self);

/* Must be called after the sessions are deleted. */
void h2_memory_fini(struct h2_memory *self);

/*
 * The head of a request as HTTP/2 fields, converted from the head for HTTP/1.1
 * (http_request.c). The first line and Host become pseudo-fields, names become
 * lower case, and connection-specific fields are dropped (RFC 9113, section
 * 8.2.2).
 */

/* The fields of -H, the default fields, and the pseudo-fields. */
#define H2_FIELDS_MAX (HTTP_FIELDS_MAX + 16U)

struct h2_head {
    nghttp2_nv *first;
    size_t count;
    /* Bytes of all names and values. */
    size_t bytes;
    nghttp2_nv fields[H2_FIELDS_MAX];
    char length[24];
};

/* Converts a head. Modifies @text; the fields point to it. @length is the
 * body's length, or SIZE_MAX without content-length. If @is_kept is true,
 * libnghttp2 does not copy the text, which must then outlive the session. */
void h2_head_read(struct h2_head *self, char *text, size_t len, bool is_tls,
                  size_t length, bool is_kept);

/*
 * Pending requests of an HTTP/2 connection: --pipeline slots. A slot is free,
 * live (its stream is open), or waiting to be sent again because the server has
 * not processed its request.
 */

/* End of a list. */
#define H2_NONE UINT32_MAX

/* Value of grpc_status if there is no grpc-status. */
#define H2_NO_STATUS UINT32_MAX

enum h2_stream_state {
    H2_FREE,
    H2_LIVE,
    H2_WAITING,
};

struct h2_stream {
    /* Neighbours in the list of the slots in the same state. */
    uint32_t previous;
    uint32_t next;
    enum h2_stream_state state;
    struct flight flight;
    bool is_warmup;
    /* How often the server refused the request. */
    uint8_t refusals;
    const struct http_request *request;
    int32_t id;
    /* The request's body. A body with placeholders is in own_body, which stays
     * allocated for the slot's next request. */
    const char *body;
    size_t body_len;
    size_t body_at;
    uint64_t opened_ns;
    char *own_body;
    struct h2_message message;
    uint64_t first_byte_ns;
    uint64_t body_bytes;
    uint16_t status;
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
    /* Indexed by enum h2_stream_state. */
    struct h2_list lists[3];
    struct h2_stream *all;
};

/* Makes all @depth slots free. They must be zeroed before the first call, and
 * must outlive @self. */
void h2_streams_init(struct h2_streams *self, struct h2_stream *places,
                     uint32_t depth);

/* Moves a slot to the end of another state's list, or to its head. */
void h2_streams_move(struct h2_streams *self, struct h2_stream *stream,
                     enum h2_stream_state state, bool at_head);

struct h2_stream *h2_streams_first(struct h2_streams *self,
                                   enum h2_stream_state state);

struct h2_stream *h2_streams_next(struct h2_streams *self,
                                  const struct h2_stream *stream);

static inline uint32_t h2_streams_count(const struct h2_streams *self,
                                        enum h2_stream_state state)
{
    return self->lists[state].count;
}

void h2_streams_drop(struct h2_streams *self);

/* Size of the buffer in which frames are collected before they are written. */
#define H2_OUT_SIZE (64U << 10)

/* Fields already found valid are recognised by the addresses of their buffers.
 * An entry of HPACK's dynamic table has the same address in every response. */
#define H2_KNOWN_COUNT 32U
#define H2_KNOWN_BYTES 512U

struct h2_conn;

struct h2_known {
    nghttp2_rcbuf *name;
    nghttp2_rcbuf *value;
    uint32_t bytes;
};

/* Fields of a request without placeholders. */
struct h2_fixed {
    char *text;
    char length[24];
    nghttp2_nv *fields;
    size_t count;
    size_t bytes;
};

/* State shared by the connections of a thread. */
struct h2_shared {
    struct http_load load;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    /* Indexed like load.requests. Its `fields` is NULL if the head has
     * placeholders. Owned by the first thread; the others read it. */
    struct h2_fixed *fixed;
    bool owns_fixed;
    /* The head that is being converted. */
    struct h2_head head;
    struct h2_memory memory;
    /* All connections that have been made. */
    struct h2_conn *first_conn;
    /* Frames of the connection that is being written. */
    size_t out_len;
    uint8_t out[H2_OUT_SIZE];
};

struct h2_conn {
    /* NULL before the connection is first made. */
    struct h2_shared *shared;
    struct h2_conn *next;
    struct conn *conn;
    nghttp2_session *session;
    /* The first kind of the connection's target. */
    const struct http_request *request;
    bool is_tls;
    uint64_t random;
    uint64_t sent_count;
    /* Number of pending requests of the warm-up. */
    uint32_t warmup_count;
    bool has_settings;
    /* The connection was able to send requests: SETTINGS allowed streams, and
     * no GOAWAY had arrived. */
    bool was_ready;
    /* The server allows fewer streams than --pipeline, and this was counted. */
    bool was_limited;
    /* A request has ended since new requests were last sent. */
    bool has_ended;
    /* A GOAWAY was received: no more streams are opened. */
    bool is_leaving;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* Set while received bytes are processed. Frames are written afterwards. */
    bool is_reading;
    /* When the server last stopped allowing streams. */
    uint64_t shut_ns;
    uint64_t received_ns;
    int write_err;
    /* Error code of a GOAWAY that this side sent, or 0. */
    uint32_t own_error;
    struct h2_window window;
    /* Location field of the last response that had one. */
    char location[CODEC_LOCATION_SIZE];
    /* Stream of the response with `location`, or 0. */
    int32_t location_id;
    /* The library's last error text. */
    char reason[128];
    /* Cached result of find() for found_id. May be NULL. */
    struct h2_stream *found;
    int32_t found_id;
    /* Indexed by a hash of the value's address. */
    struct h2_known known[H2_KNOWN_COUNT];
    struct h2_streams streams;
    struct h2_stream places[];
};

/* Makes the callbacks and options of a thread. Returns 0 or -ENOMEM. */
int h2_answers_prepare(struct h2_shared *shared);

/* Releases the fields in `known`. Called after the session has ended. */
void h2_answers_end(struct h2_conn *self);

/* Returns the source from which libnghttp2 reads the body of a request. */
nghttp2_data_provider h2_answers_body(struct h2_stream *stream);

/* Writes the collected frames. Returns 0 or the error of the write. */
int h2_answers_write_out(struct h2_conn *self);

/* Fails a request, with a code of measure.h, and frees its slot. */
void h2_answers_fail(struct h2_conn *self, struct h2_stream *stream,
                     enum error_phase phase, int code, const char *detail);

void h2_answers_release(struct h2_conn *self, struct h2_stream *stream);

#endif
