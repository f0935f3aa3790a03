/*
 * The state of HTTP/2 connections.
 *
 * It is for codec_h2.c, h2_conn.c and h2_answers.c. These are the only files
 * that use libnghttp2.
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

/* Head of a kind of requests, if it is the same in all requests. */
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
    /* First kind of its target. */
    const struct http_request *request;
    bool is_tls;
    uint64_t random;
    uint64_t sent_count;
    /* Number of pending requests of the warm-up. */
    uint32_t warmup_count;
    /* The server's SETTINGS have arrived. */
    bool has_settings;
    /* It could send requests at some time: SETTINGS allowed streams, and no
     * GOAWAY had arrived. */
    bool was_ready;
    /* The server allows fewer streams than needed, which was counted. */
    bool was_limited;
    /* A request has ended since new requests were last sent. */
    bool has_ended;
    /* No more streams are opened. */
    bool is_leaving;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* Set while received bytes are processed; frames are written afterwards. */
    bool is_reading;
    /* Since when the server has allowed no stream. */
    uint64_t shut_ns;
    /* Time of the last received bytes. */
    uint64_t received_ns;
    /* Error of a write, or 0. */
    int write_err;
    /* Error code of a GOAWAY that we sent, or 0. */
    uint32_t own_error;
    /* The connection's window. */
    struct h2_window window;
    /* Location field of the last response with one, and the response's
     * stream. */
    char location[CODEC_LOCATION_SIZE];
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

/* Ends a request without a response, with a code of errors.h. */
void h2_answers_fail(struct h2_conn *self, struct h2_stream *stream,
                     enum error_phase phase, int code, const char *detail);

void h2_answers_release(struct h2_conn *self, struct h2_stream *stream);

#endif
