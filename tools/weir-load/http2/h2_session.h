/*
 * The state of HTTP/2 connections.
 *
 * Only files of this folder include this header. No other file of the program
 * uses libnghttp2.
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

/* ---- h2_window ---- */

/*
 * Detects that an HTTP/2 server is blocked by our receive window of a stream or
 * of a connection.
 *
 * A blocked server cuts its frame at the window's end. A DATA frame without
 * END_STREAM that ends exactly at the window's end therefore shows that the
 * server is blocked until the next frame. The ends that the window had earlier
 * count, too, because a WINDOW_UPDATE may not have reached the server in time.
 * At most three ends are needed, because the library raises a window when half
 * of it is used.
 *
 * Frames that are not cut have 16 KiB or a smaller power of two. If a window's
 * size is a multiple of such a size, these frames end at the window's end by
 * chance. Such a window is therefore made one byte smaller.
 */

#define H2_WINDOW_FRAME 16384U
#define H2_WINDOW_ENDS  3U

struct h2_window {
    /* Bytes of DATA frames so far. */
    uint64_t received;
    /* Ends of the window, as offsets in the received bytes: the current one
     * first, then earlier ones. */
    uint64_t ends[H2_WINDOW_ENDS];
    /* Time since which the server is blocked, or 0. */
    uint64_t stopped_ns;
};

/* Returns the window size to use for a requested size. */
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
    if (self->received == 0) { /* the server could not use the old window yet */
        h2_window_begin(self, self->ends[0] + bytes);
        return;
    }
    self->ends[2] = self->ends[1];
    self->ends[1] = self->ends[0];
    self->ends[0] += bytes;
}

/* Handles a DATA frame. is_last is true for the last frame of a stream, which
 * was not cut. */
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

/* Ends a stop: the server continues, or no more bytes are expected from it. */
static inline void h2_window_go_on(struct h2_window *self,
                                   struct h2_counts *counts, uint64_t now_ns)
{
    if (self->stopped_ns > 0) {
        counts->window_stops += now_ns > self->stopped_ns;
        counts->window_stopped_ns += now_ns - self->stopped_ns;
        self->stopped_ns = 0;
    }
}

/* ---- h2_message ---- */

/*
 * Rules for HTTP/2 responses above frames (RFC 9113, 8.1 to 8.3): header blocks
 * begin with a status, names and values have valid characters, and the body's
 * length matches content-length.
 *
 * The library's own checks are off: they took a fifth of the instructions of a
 * request.
 */

/* Value of length without content-length. */
#define H2_NO_LENGTH UINT64_MAX

enum h2_block {
    H2_BLOCK_NONE,     /* nothing, or only interim responses */
    H2_BLOCK_HEADER,   /* in the block of a final or interim response */
    H2_BLOCK_READ,     /* the header is complete; a body may follow */
    H2_BLOCK_TRAILERS, /* in the block after the body */
};

/* Must be initialised with h2_message_begin(). */
struct h2_message {
    uint64_t length;
    enum h2_block block;
    /* :status of the block, or 0. */
    uint16_t status;
    /* Fields other than pseudo-fields have begun. */
    bool has_fields;
};

/* A field; its bytes belong to the library. */
struct h2_field {
    const uint8_t *name;
    size_t name_len;
    const uint8_t *value;
    size_t value_len;
};

void h2_message_begin(struct h2_message *self);

void h2_message_begin_block(struct h2_message *self);

/* The following functions return NULL, or one line that describes an error. */

const char *h2_message_field(struct h2_message *self,
                             const struct h2_field *field);

/* Returns true if a field that is valid in one response is valid in all
 * responses. h2_message_known_field() then replaces h2_message_field(). */
bool h2_message_is_known(const struct h2_field *field);

static inline void h2_message_known_field(struct h2_message *self)
{
    self->has_fields = true;
}

/* Ends a header block. is_last is true if the response ends with the block.
 * has_no_body is true for a response to HEAD, whatever its content-length. */
const char *h2_message_end_block(struct h2_message *self, bool is_last,
                                 bool has_no_body);

/* Checks the number of body bytes so far; is_last is true if no more bytes
 * follow. */
const char *h2_message_body(const struct h2_message *self, uint64_t bytes,
                            bool is_last);

/* ---- h2_memory ---- */

/*
 * Allocator for the library's sessions of one thread: freed blocks are cached
 * by size, because each request allocates and frees the same few sizes.
 *
 * The number of blocks of a size never exceeds the number that was in use at
 * the same time.
 */

/* Blocks up to H2_MEMORY_SIZES steps are cached, by size in steps. */
#define H2_MEMORY_STEP  64U
#define H2_MEMORY_SIZES 32U

struct h2_block_head;

/* Must be zero-initialised. */
struct h2_memory {
    nghttp2_mem functions;
    struct h2_block_head *kept[H2_MEMORY_SIZES];
};

/* Returns the library's interface. The object must not move any more. */
nghttp2_mem *h2_memory_of(struct h2_memory *self);

/* Must be called after the sessions were deleted. */
void h2_memory_fini(struct h2_memory *self);

/* ---- h2_head ---- */

/*
 * The head of a request as HTTP/2 fields.
 *
 * The fields are parsed from the head for HTTP/1.1 (http_request.c): the first
 * line and Host become pseudo-fields, names become lower case, and
 * connection-specific fields are dropped (RFC 9113, 8.2.2).
 */

/* Largest number of fields: from -H, built-in ones, and pseudo-fields. */
#define H2_FIELDS_MAX (HTTP_FIELDS_MAX + 16U)

struct h2_head {
    /* First field and number of fields. */
    nghttp2_nv *first;
    size_t count;
    /* Bytes of names and values. */
    size_t bytes;
    nghttp2_nv fields[H2_FIELDS_MAX];
    char length[24];
};

/* Parses a head. Modifies the text, and the fields point into it. length is the
 * body's length, or SIZE_MAX without content-length. If is_kept is true, the
 * text must stay until the session ends, and is not copied. */
void h2_head_read(struct h2_head *self, char *text, size_t len, bool is_tls,
                  size_t length, bool is_kept);

/* ---- h2_streams ---- */

/*
 * Pending requests of an HTTP/2 connection: --pipeline slots, found by their
 * streams.
 *
 * A slot is free, live (its stream is open), or waiting to be sent again
 * because the server has not processed its request.
 */

/* End of a list. */
#define H2_NONE UINT32_MAX

/* Value of grpc_status without grpc-status. */
#define H2_NO_STATUS UINT32_MAX

enum h2_stream_state {
    H2_FREE,
    H2_LIVE,
    H2_WAITING,
};

struct h2_stream {
    /* Neighbours in the list of all slots in the same state. */
    uint32_t previous;
    uint32_t next;
    enum h2_stream_state state;
    struct flight flight;
    bool is_warmup;
    /* Number of refusals by the server. */
    uint8_t refusals;
    const struct http_request *request;
    /* Number of the HTTP/2 stream, or 0. */
    int32_t id;
    /* The request's body. A body that varies is in own_body, which stays
     * allocated for the next request. */
    const char *body;
    size_t body_len;
    size_t body_at;
    uint64_t opened_ns;
    char *own_body;
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
    /* Indexed by state. */
    struct h2_list lists[3];
    struct h2_stream *all;
};

/* Initialises with @depth free slots, which are borrowed and must be zeroed
 * before the first call. */
void h2_streams_init(struct h2_streams *self, struct h2_stream *places,
                     uint32_t depth);

/* Moves a slot to the end, or the head, of another state's list. */
void h2_streams_move(struct h2_streams *self, struct h2_stream *stream,
                     enum h2_stream_state state, bool at_head);

/* Returns the first slot in a state, or NULL. */
struct h2_stream *h2_streams_first(struct h2_streams *self,
                                   enum h2_stream_state state);

/* Returns the next slot in the same list, or NULL. */
struct h2_stream *h2_streams_next(struct h2_streams *self,
                                  const struct h2_stream *stream);

static inline uint32_t h2_streams_count(const struct h2_streams *self,
                                        enum h2_stream_state state)
{
    return self->lists[state].count;
}

void h2_streams_drop(struct h2_streams *self);

/* ---- h2_session ---- */

/* Buffer in which frames are collected before they are written. */
#define H2_OUT_SIZE (64U << 10)

/* Valid fields are recognised by their addresses: entries of the dynamic table
 * have the same address each time. */
#define H2_KNOWN_COUNT 32U
#define H2_KNOWN_BYTES 512U

struct h2_conn;

struct h2_known {
    nghttp2_rcbuf *name;
    nghttp2_rcbuf *value;
    uint32_t bytes;
};

/* Header fields of a request that is the same each time it is sent. */
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
    /* Indexed like load.requests; fields is NULL if the head varies. Owned by
     * the first thread. */
    struct h2_fixed *fixed;
    bool owns_fixed;
    /* The head being rendered. */
    struct h2_head head;
    struct h2_memory memory;
    /* List of all connections that have been made. */
    struct h2_conn *first_conn;
    /* Frames of the connection that is being written. */
    size_t out_len;
    uint8_t out[H2_OUT_SIZE];
};

struct h2_conn {
    /* NULL before the connection's first start. */
    struct h2_shared *shared;
    struct h2_conn *next;
    struct conn *conn;
    nghttp2_session *session;
    /* The first kind of requests of the connection's target. */
    const struct http_request *request;
    bool is_tls;
    uint64_t random;
    uint64_t sent_count;
    /* Number of pending requests of the warm-up. */
    uint32_t warmup_count;
    /* The server's SETTINGS have arrived. */
    bool has_settings;
    /* The connection could send requests at some time: SETTINGS allowed
     * streams, and no GOAWAY had arrived. */
    bool was_ready;
    /* The server allows fewer streams than needed, and this has been
     * counted. */
    bool was_limited;
    /* A request has ended since new requests were last sent. */
    bool has_ended;
    /* No more streams are opened. */
    bool is_leaving;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* Set while received bytes are processed; frames are written afterwards. */
    bool is_reading;
    /* When the server stopped allowing streams. */
    uint64_t shut_ns;
    /* Time of the last received bytes. */
    uint64_t received_ns;
    /* Error of a write, or 0. */
    int write_err;
    /* Error code of a GOAWAY that we sent, or 0. */
    uint32_t own_error;
    /* The connection's window. */
    struct h2_window window;
    /* Location field of the last response that had one. */
    char location[CODEC_LOCATION_SIZE];
    /* Stream of the response with `location`. */
    int32_t location_id;
    /* The library's last error text. */
    char reason[128];
    /* Last result of find(), or NULL. */
    struct h2_stream *found;
    int32_t found_id;
    /* Indexed by address. */
    struct h2_known known[H2_KNOWN_COUNT];
    struct h2_streams streams;
    struct h2_stream places[];
};

/* Makes the callbacks and options of a thread. Returns 0 or -ENOMEM. */
int h2_answers_prepare(struct h2_shared *shared);

/* Releases the session's cached fields after its end. */
void h2_answers_end(struct h2_conn *self);

/* Returns a data provider, by which libnghttp2 reads the body of a request. */
nghttp2_data_provider h2_answers_body(struct h2_stream *stream);

/* Writes the collected frames. Returns 0 or the error of the write. */
int h2_answers_write_out(struct h2_conn *self);

/* Ends a request without a response, with a code of measure.h. */
void h2_answers_fail(struct h2_conn *self, struct h2_stream *stream,
                     enum error_phase phase, int code, const char *detail);

void h2_answers_release(struct h2_conn *self, struct h2_stream *stream);

#endif
