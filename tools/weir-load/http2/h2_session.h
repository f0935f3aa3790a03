/*
 * What a connection of HTTP/2 is made of, for its parts: codec_h2.c, h2_conn.c
 * and h2_answers.c.
 *
 * No other file knows the library.
 */
#ifndef WEIR_LOAD_H2_SESSION_H
#define WEIR_LOAD_H2_SESSION_H

#include "h2_head.h"
#include "h2_memory.h"
#include "h2_streams.h"
#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/http1/http_load.h"

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What frames are put together in before they are written. */
#define H2_OUT_SIZE (64U << 10)

/* Fields that were found right are not looked at again: those in the table of
 * the other side come in the same memory each time. */
#define H2_KNOWN_COUNT 32U
#define H2_KNOWN_BYTES 512U

struct h2_conn;

struct h2_known {
    nghttp2_rcbuf *name;
    nghttp2_rcbuf *value;
    uint32_t bytes;
};

/* A head that all requests of a kind have. */
struct h2_fixed {
    char *text;
    char length[24];
    nghttp2_nv *fields;
    size_t count;
    size_t bytes;
};

/* What the connections of a thread share. */
struct h2_shared {
    struct http_load load;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    /* By the places of load.requests; without fields: it is not fixed. The
     * first thread's. */
    struct h2_fixed *fixed;
    bool owns_fixed;
    /* A head that is put together anew. */
    struct h2_head head;
    struct h2_memory memory;
    /* All that there were. */
    struct h2_conn *first_conn;
    /* Frames of the connection that is written to now. */
    size_t out_len;
    uint8_t out[H2_OUT_SIZE];
};

struct h2_conn {
    /* NULL: it was never begun. */
    struct h2_shared *shared;
    struct h2_conn *next;
    struct conn *conn;
    nghttp2_session *session;
    /* The first kind of its target, and what kinds are drawn from. */
    const struct http_request *request;
    bool is_tls;
    uint64_t random;
    uint64_t sent_count;
    /* How many under way belong to the warm-up. */
    uint32_t warmup_count;
    /* The server's SETTINGS are here. */
    bool has_settings;
    /* It took requests once: after SETTINGS there was room, and no GOAWAY. */
    bool was_ready;
    /* Fewer streams were allowed than are asked for, which was counted. */
    bool was_limited;
    /* A request has ended since new ones were sent last. */
    bool has_ended;
    /* It takes no further stream. */
    bool is_leaving;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* Frames wait until all is read. */
    bool is_reading;
    /* Since when no stream is allowed. */
    uint64_t shut_ns;
    /* When bytes came last; while some are read, now. */
    uint64_t received_ns;
    /* Why a write was refused; 0: none was. */
    int write_err;
    /* The connection broke the rules, as GOAWAY of ours said; 0: it did not. */
    uint32_t own_error;
    /* That of the connection. */
    struct h2_window window;
    /* Where the last answer with such a field leads to, and its stream. */
    char location[CODEC_LOCATION_SIZE];
    int32_t location_id;
    /* What the library said of it last. */
    char reason[128];
    /* What was looked for last, and found or not. */
    struct h2_stream *found;
    int32_t found_id;
    /* By their memory. */
    struct h2_known known[H2_KNOWN_COUNT];
    struct h2_streams streams;
    struct h2_stream places[];
};

/* The callbacks of a thread, and the options of its sessions. 0 or -ENOMEM. */
int h2_answers_prepare(struct h2_shared *shared);

/* The session has ended: give back the memory of its fields. */
void h2_answers_end(struct h2_conn *self);

/* The body of a request as the library asks for it. */
nghttp2_data_provider h2_answers_body(struct h2_stream *stream);

/* Write what was put together. 0 or the error of the write. */
int h2_answers_write_out(struct h2_conn *self);

/* A stream is over without an answer, for a code of errors.h. */
void h2_answers_fail(struct h2_conn *self, struct h2_stream *stream,
                     enum error_phase phase, int code, const char *detail);

/* It is not under way any more: its place is free. */
void h2_answers_release(struct h2_conn *self, struct h2_stream *stream);

#endif
