/*
 * Callbacks of libnghttp2 that read responses and write frames. Connections are
 * given up only after the library has returned (h2_conn.c).
 *
 * Interim responses and trailers are header blocks too; the last status counts.
 * A response is gRPC if its content-type is, and then the grpc-status in its
 * header or trailers decides.
 */
#include "h2_session.h"

#include "tools/weir-load/http1/http1.h"
#include "tools/weir-load/measure/measure.h"

#include "weir/transport.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Limit of a request's header. The library's default is 64 KiB. */
#define HEADER_BLOCK_MAX (1U << 30)

#define FRAME_HEAD 9U

static struct h2_counts *counts_of(const struct h2_conn *self)
{
    return &self->conn->traffic->http2;
}

/* Returns the request of a stream, or NULL if its slot was freed or reused: the
 * library may still have the stream. The last result is cached, because frames
 * of one stream often arrive together. */
static struct h2_stream *find(struct h2_conn *self, int32_t id)
{
    if (self->found_id != id) {
        struct h2_stream *stream =
            nghttp2_session_get_stream_user_data(self->session, id);
        const bool is_its =
            stream && stream->state == H2_LIVE && stream->id == id;
        self->found = is_its ? stream : NULL;
        self->found_id = id;
    }
    return self->found;
}

static void forget(struct h2_conn *self, const struct h2_stream *stream)
{
    if (self->found == stream) {
        self->found = NULL;
    }
}

void h2_answers_release(struct h2_conn *self, struct h2_stream *stream)
{
    forget(self, stream);
    h2_window_go_on(&stream->window, counts_of(self), self->received_ns);
    stream->id = 0;
    self->warmup_count -= stream->is_warmup;
    self->has_ended = true;
    h2_streams_move(&self->streams, stream, H2_FREE, true);
}

void h2_answers_fail(struct h2_conn *self, struct h2_stream *stream,
                     enum error_phase phase, int code, const char *detail)
{
    char text[ERRORS_DETAIL_SIZE];

    snprintf(text, sizeof(text), "connection %u, stream %d%s%s",
             self->conn->index, stream->id, detail[0] ? ": " : "", detail);
    conn_fail_request(self->conn, &stream->flight, stream->is_warmup, phase,
                      &(struct codec_answer){.code = code, .detail = text});
    h2_answers_release(self, stream);
}

/* Checks the grpc-status of a response whose HTTP status is expected. */
static void judge_grpc(const struct h2_stream *stream,
                       struct codec_answer *answer)
{
    if (!stream->is_grpc || answer->code != 0 || stream->grpc_status == 0) {
        return;
    }
    if (stream->grpc_status == H2_NO_STATUS) {
        answer->code = h2_error_of_grpc(0);
        snprintf(answer->detail, ERRORS_DETAIL_SIZE,
                 "no grpc-status in header or trailers");
        return;
    }
    answer->code = h2_error_of_grpc(stream->grpc_status);
    snprintf(answer->detail, ERRORS_DETAIL_SIZE, "grpc-status %u",
             stream->grpc_status);
}

static void take_answer(struct h2_conn *self, struct h2_stream *stream)
{
    char detail[ERRORS_DETAIL_SIZE];
    struct codec_answer answer = {
        .is_complete = true, .status = stream->status, .detail = detail};

    if (self->location_id == stream->id) {
        answer.location = self->location;
    }
    http_load_judge(&self->shared->load, stream->request->is_head,
                    stream->body_bytes, &stream->reader,
                    (struct wanted_bytes){stream->body, stream->body_len},
                    &answer);
    judge_grpc(stream, &answer);
    const uint64_t now_ns = self->received_ns;
    const bool is_whole = stream->first_byte_ns == now_ns;

    traffic_note_quiet(self->conn->traffic, now_ns);
    conn_end_request(self->conn, &stream->flight, stream->is_warmup,
                     is_whole ? 0 : stream->first_byte_ns, &answer, now_ns);
    h2_answers_release(self, stream);
}

/* Queues a request again that the server has not processed (RFC 9113, section
 * 8.7), or fails it at its fourth refusal. A refusal because of a GOAWAY is not
 * counted if the connection has received an answer. */
static void refuse(struct h2_conn *self, struct h2_stream *stream)
{
    static const uint8_t most = 3;
    struct conn *conn = self->conn;

    counts_of(self)->refused++;
    if (!(self->is_leaving && conn->was_used)) {
        stream->refusals++;
    }
    if (stream->refusals > most) {
        h2_answers_fail(self, stream, PHASE_VALIDATE,
                        h2_error_of_reset(NGHTTP2_REFUSED_STREAM),
                        "refused again and again");
        return;
    }
    forget(self, stream);
    conn->traffic->connections.repeated++;
    h2_streams_move(&self->streams, stream, H2_WAITING, false);
}

/* Fails the request of a response that is not valid HTTP, and resets its
 * stream. The connection stays open. */
static void refuse_answer(struct h2_conn *self, struct h2_stream *stream,
                          const char *why, const struct h2_field *field)
{
    char detail[256];
    char name[64] = "";
    char value[64] = "";

    if (field) {
        http_quote(field->name, field->name_len, name, sizeof(name));
        http_quote(field->value, field->value_len, value, sizeof(value));
    }
    snprintf(detail, sizeof(detail), "%s%s%s%s%s", why, field ? ": " : "", name,
             field ? " " : "", value);
    nghttp2_submit_rst_stream(self->session, NGHTTP2_FLAG_NONE, stream->id,
                              NGHTTP2_PROTOCOL_ERROR);
    h2_answers_fail(self, stream, PHASE_VALIDATE, ERROR_HTTP2, detail);
}

static int on_begin_headers(nghttp2_session *session,
                            const nghttp2_frame *frame, void *arg)
{
    struct h2_conn *self = arg;
    struct h2_stream *stream = find(self, frame->hd.stream_id);

    if (stream) {
        h2_message_begin_block(&stream->message);
        if (stream->first_byte_ns == 0) {
            stream->first_byte_ns = self->received_ns;
        }
    }
    return 0;
}

static uint32_t read_number(const uint8_t *text, size_t len)
{
    uint32_t number = 0;

    for (size_t i = 0; i < len || i == 0; i++) {
        if (len == 0 || len > 9 || text[i] < '0' || text[i] > '9') {
            return UINT32_MAX - 1; /* no number: an unknown status */
        }
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    return number;
}

/* Returns true for gRPC. application/grpc-web and others have the same
 * prefix. */
static bool is_grpc_type(const uint8_t *value, size_t len)
{
    static const char grpc[] = "application/grpc";
    const size_t grpc_len = sizeof(grpc) - 1;

    return len >= grpc_len && memcmp(value, grpc, grpc_len) == 0 &&
           (len == grpc_len || memchr("+; \t", value[grpc_len], 4));
}

/* Stores a redirect's target. Ignores one that is too long or has invalid
 * bytes. */
static void take_location(struct h2_conn *self, const struct h2_stream *stream,
                          const uint8_t *value, size_t len)
{
    if (len >= sizeof(self->location)) {
        return;
    }
    for (size_t i = 0; i < len; i++) {
        if (value[i] <= ' ' || value[i] >= 0x7f) {
            return;
        }
    }
    memcpy(self->location, value, len);
    self->location[len] = '\0';
    self->location_id = stream->id;
}

/* Handles a field whose value is used. Returns false for other names. */
static bool take_field(struct h2_conn *self, struct h2_stream *stream,
                       const struct h2_field *field)
{
    const bool is_header = stream->message.block == H2_BLOCK_HEADER;

    if (H2_IS(field, "grpc-status")) {
        stream->grpc_status = read_number(field->value, field->value_len);
    } else if (H2_IS(field, "location")) {
        if (is_header) {
            take_location(self, stream, field->value, field->value_len);
        }
    } else if (H2_IS(field, "content-type")) {
        if (is_header) {
            stream->is_grpc = is_grpc_type(field->value, field->value_len);
        }
    } else {
        return false;
    }
    return true;
}

/* Remembers a valid field by the addresses of its buffers. References to the
 * buffers are kept, so that no other field gets these addresses. */
static void keep_known(struct h2_known *known, nghttp2_rcbuf *name,
                       nghttp2_rcbuf *value, size_t bytes)
{
    if (bytes > H2_KNOWN_BYTES) {
        return;
    }
    if (known->name) {
        nghttp2_rcbuf_decref(known->name);
        nghttp2_rcbuf_decref(known->value);
    }
    nghttp2_rcbuf_incref(name);
    nghttp2_rcbuf_incref(value);
    *known = (struct h2_known){name, value, (uint32_t)bytes};
}

void h2_answers_end(struct h2_conn *self)
{
    for (size_t i = 0; i < H2_KNOWN_COUNT; i++) {
        if (self->known[i].name) {
            nghttp2_rcbuf_decref(self->known[i].name);
            nghttp2_rcbuf_decref(self->known[i].value);
        }
        self->known[i].name = NULL;
    }
}

/* NOLINTNEXTLINE(readability-function-size): nghttp2 sets the parameters. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                     void *arg)
{
    struct h2_conn *self = arg;
    struct h2_stream *stream = find(self, frame->hd.stream_id);
    const uintptr_t at = (uintptr_t)value / 64;
    struct h2_known *known =
        &self->known[(at ^ at / H2_KNOWN_COUNT) % H2_KNOWN_COUNT];

    if (known->name == name && known->value == value && stream) {
        counts_of(self)->header_bytes_in += known->bytes;
        h2_message_known_field(&stream->message);
        return 0;
    }
    const nghttp2_vec names = nghttp2_rcbuf_get_buf(name);
    const nghttp2_vec values = nghttp2_rcbuf_get_buf(value);
    const struct h2_field field = {names.base, names.len, values.base,
                                   values.len};
    const size_t bytes = names.len + values.len;
    counts_of(self)->header_bytes_in += bytes;
    if (!stream) {
        return 0;
    }
    const char *why = h2_message_field(&stream->message, &field);
    if (why) {
        refuse_answer(self, stream, why, &field);
        return 0;
    }
    if (!take_field(self, stream, &field) && h2_message_is_known(&field)) {
        keep_known(known, name, value, bytes);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                   const uint8_t *data, size_t len, void *arg)
{
    struct h2_conn *self = arg;
    struct h2_stream *stream = find(self, id);
    const struct wanted *wanted = &self->shared->load.wanted;

    h2_window_go_on(&self->window, counts_of(self), self->received_ns);
    if (!stream) {
        return 0;
    }
    h2_window_go_on(&stream->window, counts_of(self), self->received_ns);
    stream->body_bytes += len;
    const char *why =
        h2_message_body(&stream->message, stream->body_bytes, false);
    if (why) {
        refuse_answer(self, stream, why, NULL);
        return 0;
    }
    if (wanted->kind != WANTED_ANY) {
        wanted_read(wanted, &stream->reader,
                    (struct wanted_bytes){stream->body, stream->body_len}, data,
                    len);
        wanted_keep(&stream->reader);
    }
    return 0;
}

/* Ends a request whose response is complete. If the body of the request is not
 * completely sent, resets the stream. */
static void take_end(struct h2_conn *self, struct h2_stream *stream)
{
    const char *why =
        h2_message_body(&stream->message, stream->body_bytes, true);

    if (why) {
        refuse_answer(self, stream, why, NULL);
        return;
    }
    if (stream->body_at < stream->body_len) {
        nghttp2_submit_rst_stream(self->session, NGHTTP2_FLAG_NONE, stream->id,
                                  NGHTTP2_NO_ERROR);
    }
    take_answer(self, stream);
}

/* Handles the end of a header block. */
static void take_block(struct h2_conn *self, const nghttp2_frame_hd *head)
{
    struct h2_stream *stream = find(self, head->stream_id);
    const bool is_last = head->flags & NGHTTP2_FLAG_END_STREAM;

    if (!stream) {
        return;
    }
    const char *why = h2_message_end_block(&stream->message, is_last,
                                           stream->request->is_head);
    if (why) {
        refuse_answer(self, stream, why, NULL);
        return;
    }
    if (stream->message.status > 0) {
        stream->status = stream->message.status;
    }
    if (stream->message.block == H2_BLOCK_NONE) {
        stream->is_grpc = false;
        stream->grpc_status = H2_NO_STATUS;
        if (self->location_id == stream->id) {
            self->location_id = 0;
        }
    }
    if (is_last) {
        take_end(self, stream);
    }
}

/* Applies the number of streams that the server allows. */
static void take_limit(struct h2_conn *self)
{
    struct conn *conn = self->conn;
    struct h2_counts *counts = counts_of(self);
    const uint32_t allowed = nghttp2_session_get_remote_settings(
        self->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    const uint32_t asked = conn->traffic->depth;

    self->has_settings = true;
    if (self->is_leaving) {
        return;
    }
    if (allowed < asked && allowed > 0) {
        counts->limited += !self->was_limited;
        self->was_limited = true;
        if (counts->allowed == 0 || allowed < counts->allowed) {
            counts->allowed = allowed;
        }
    }
    if (allowed == 0 && conn->depth > 0) {
        self->shut_ns = self->received_ns;
    }
    conn->depth = allowed < asked ? allowed : asked;
}

static void take_goaway(struct h2_conn *self, const nghttp2_goaway *goaway)
{
    struct conn *conn = self->conn;
    const char *text = (const char *)goaway->opaque_data;

    counts_of(self)->goaways += !self->is_leaving;
    self->is_leaving = true;
    conn->depth = 0;
    if (goaway->error_code == NGHTTP2_NO_ERROR) {
        return;
    }
    struct error_kind *first = conn_count_error(
        conn, PHASE_TRANSFER, h2_error_of_goaway(goaway->error_code), 0);
    char quoted[128];
    http_quote(goaway->opaque_data,
               goaway->opaque_data_len < HTTP_SHOWN_MAX
                   ? goaway->opaque_data_len
                   : HTTP_SHOWN_MAX,
               quoted, sizeof(quoted));
    conn_describe_error(conn, first, "connection %u, last stream %d%s%s",
                        conn->index, goaway->last_stream_id, text ? ": " : "",
                        text ? quoted : "");
}

/* Handles a complete DATA frame. The library does not report frames of
 * cancelled requests. self->window misses their bytes, and then no longer
 * detects that the server is blocked. */
static void take_data(struct h2_conn *self, const nghttp2_frame_hd *head)
{
    struct h2_stream *stream = find(self, head->stream_id);
    const bool is_last = head->flags & NGHTTP2_FLAG_END_STREAM;

    h2_window_receive(&self->window, head->length, is_last, self->received_ns);
    if (stream && is_last) {
        take_end(self, stream);
    } else if (stream) {
        h2_window_receive(&stream->window, head->length, false,
                          self->received_ns);
    }
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame,
                         void *arg)
{
    struct h2_conn *self = arg;
    struct h2_stream *stream = NULL;

    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        counts_of(self)->packed_bytes_in += frame->hd.length;
        take_block(self, &frame->hd);
        return 0;
    case NGHTTP2_DATA:
        take_data(self, &frame->hd);
        return 0;
    case NGHTTP2_RST_STREAM:
        stream = find(self, frame->hd.stream_id);
        if (stream) {
            stream->was_reset = true;
        }
        return 0;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
            take_limit(self);
        }
        return 0;
    case NGHTTP2_GOAWAY:
        take_goaway(self, &frame->goaway);
        return 0;
    default:
        return 0;
    }
}

/* Fails the request of a closed stream. After a complete response there is
 * none. */
static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
                           void *arg)
{
    struct h2_conn *self = arg;
    struct h2_stream *stream = find(self, id);

    if (!stream) {
        return 0;
    }
    if (code == NGHTTP2_REFUSED_STREAM) {
        refuse(self, stream);
    } else if (stream->was_reset) {
        counts_of(self)->resets++;
        h2_answers_fail(self, stream, PHASE_VALIDATE, h2_error_of_reset(code),
                        "");
    } else {
        h2_answers_fail(self, stream, PHASE_VALIDATE, ERROR_HTTP2,
                        self->reason[0] ? self->reason : h2_code_name(code));
    }
    return 0;
}

static int on_invalid_frame(nghttp2_session *session,
                            const nghttp2_frame *frame, int err, void *arg)
{
    struct h2_conn *self = arg;

    if (self->reason[0] == '\0') {
        snprintf(self->reason, sizeof(self->reason), "%s",
                 nghttp2_strerror(err));
    }
    return 0;
}

/* The text may have bytes from the server. */
static int on_reason(nghttp2_session *session, int err, const char *text,
                     size_t len, void *arg)
{
    struct h2_conn *self = arg;

    http_quote((const uint8_t *)text, len, self->reason, sizeof(self->reason));
    return 0;
}

int h2_answers_write_out(struct h2_conn *self)
{
    struct h2_shared *shared = self->shared;

    if (shared->out_len > 0 && self->write_err == 0) {
        self->write_err = weir_transport_write(self->conn->transport,
                                               shared->out, shared->out_len);
    }
    shared->out_len = 0;
    return self->write_err;
}

static ssize_t put(struct h2_conn *self, const uint8_t *bytes, size_t len)
{
    struct h2_shared *shared = self->shared;

    if (len > H2_OUT_SIZE - shared->out_len && h2_answers_write_out(self) < 0) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    const size_t room = H2_OUT_SIZE - shared->out_len;
    const size_t part = len < room ? len : room;
    memcpy(shared->out + shared->out_len, bytes, part);
    shared->out_len += part;
    return (ssize_t)part;
}

static ssize_t take_frame(nghttp2_session *session, const uint8_t *bytes,
                          size_t len, int flags, void *arg)
{
    struct h2_conn *self = arg;

    return self->writing_paused ? NGHTTP2_ERR_WOULDBLOCK
                                : put(self, bytes, len);
}

/* NOLINTNEXTLINE(readability-function-size): nghttp2 sets the parameters. */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf,
                         size_t len, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    const struct h2_stream *stream = source->ptr;
    const size_t left = stream->body_len - stream->body_at;

    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (left <= len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)(left < len ? left : len);
}

/* Writes the next @len bytes of a body. A large part of a body without
 * placeholders is written without a copy. */
static int write_body(struct h2_conn *self, struct h2_stream *stream,
                      size_t len)
{
    const char *bytes = stream->body + stream->body_at;
    weir_transport *t = self->conn->transport;

    stream->body_at += len;
    if (stream->body_at == stream->body_len && !stream->is_warmup &&
        self->received_ns > stream->opened_ns) {
        histogram_record(&self->conn->traffic->record->blocked,
                         self->received_ns - stream->opened_ns);
    }
    if (stream->body == stream->own_body || len < H2_OUT_SIZE / 16) {
        return put(self, (const uint8_t *)bytes, len) == (ssize_t)len
                   ? 0
                   : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (h2_answers_write_out(self) < 0) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    self->write_err = weir_transport_write_ref(t, bytes, len, NULL, NULL);
    return self->write_err < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

/* Writes a DATA frame. If it was delayed, its request may have ended, and its
 * slot may be free or reused. */
static int send_body(nghttp2_session *session, nghttp2_frame *frame,
                     const uint8_t *head, size_t len,
                     nghttp2_data_source *source, void *arg)
{
    struct h2_conn *self = arg;

    if (self->writing_paused) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (find(self, frame->hd.stream_id) != source->ptr) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    if (put(self, head, FRAME_HEAD) != FRAME_HEAD) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return write_body(self, source->ptr, len);
}

nghttp2_data_provider h2_answers_body(struct h2_stream *stream)
{
    return (nghttp2_data_provider){.source.ptr = stream,
                                   .read_callback = read_body};
}

/* Handles a WINDOW_UPDATE that this side sends. */
static void note_raise(struct h2_conn *self, const nghttp2_frame *frame)
{
    const int32_t id = frame->hd.stream_id;
    struct h2_stream *stream = id == 0 ? NULL : find(self, id);

    if (id == 0) {
        h2_window_raise(&self->window,
                        (uint64_t)frame->window_update.window_size_increment);
    } else if (stream) {
        h2_window_raise(&stream->window,
                        (uint64_t)frame->window_update.window_size_increment);
    }
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame,
                         void *arg)
{
    struct h2_conn *self = arg;

    if (frame->hd.type == NGHTTP2_HEADERS) {
        counts_of(self)->packed_bytes_out += frame->hd.length;
    } else if (frame->hd.type == NGHTTP2_WINDOW_UPDATE) {
        note_raise(self, frame);
    } else if (frame->hd.type == NGHTTP2_GOAWAY &&
               frame->goaway.error_code != NGHTTP2_NO_ERROR) {
        self->own_error = frame->goaway.error_code;
    }
    return 0;
}

/* Fails a request that the library cannot send. */
static int on_frame_not_send(nghttp2_session *session,
                             const nghttp2_frame *frame, int err, void *arg)
{
    struct h2_conn *self = arg;
    struct h2_stream *stream = h2_streams_first(&self->streams, H2_LIVE);

    if (frame->hd.type != NGHTTP2_HEADERS) {
        return 0;
    }
    while (stream && stream->id != frame->hd.stream_id) {
        stream = h2_streams_next(&self->streams, stream);
    }
    if (stream) {
        h2_answers_fail(self, stream, PHASE_WRITE, ERROR_HTTP2,
                        nghttp2_strerror(err));
    }
    return 0;
}

int h2_answers_prepare(struct h2_shared *shared)
{
    nghttp2_session_callbacks *callbacks = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) < 0) {
        return -ENOMEM;
    }
    shared->callbacks = callbacks;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks,
                                                            on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks,
                                                              on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                         on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                           on_stream_close);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_error_callback2(callbacks, on_reason);
    nghttp2_session_callbacks_set_send_callback(callbacks, take_frame);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks,
                                                         on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks,
                                                             on_frame_not_send);
    if (nghttp2_option_new(&shared->option) < 0) {
        return -ENOMEM;
    }
    nghttp2_option_set_max_send_header_block_length(shared->option,
                                                    HEADER_BLOCK_MAX);
    nghttp2_option_set_max_deflate_dynamic_table_size(
        shared->option, shared->load.options->http.table_bytes);
    /* h2_message.c checks the responses instead. */
    nghttp2_option_set_no_http_messaging(shared->option, 1);
    return 0;
}
