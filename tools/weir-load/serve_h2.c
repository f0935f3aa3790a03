/*
 * A stream has a record from its header to its end; those that are free are
 * kept for the next, so a connection has as many as there were streams at once,
 * and the limit is what SETTINGS say.
 *
 * While the transport is paused, the library is refused its frames
 * (NGHTTP2_ERR_WOULDBLOCK), and goes on when it is resumed. What a client may
 * have the server do in vain is limited: streams, bytes of a header, answers to
 * PING and SETTINGS, settings in a frame; and, where the library can,
 * CONTINUATION frames and how often streams are reset.
 */
#include "serve_h2.h"

#include "serve_http.h"
#include "tools/load/payload.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STREAMS_MAX           256U
#define HEADER_BYTES_MAX      (16U << 10)
#define ACKS_MAX              1000U
#define SETTINGS_IN_FRAME_MAX 32U

#define CONTINUATIONS_MAX 8U
#define RESETS_BURST      1000U
#define RESETS_A_SECOND   100U

/* A client may send so much of a body before it hears of it. */
#define WINDOW_BYTES (1 << 20)

#define FRAME_HEAD 9U
#define OUT_SIZE   (16U << 10)

static const char preface_line[] = "PRI * HTTP/2.0\r";

struct stream {
    struct stream *next_free;
    int32_t id;
    struct serve_http_wish wish;
    uint64_t header_bytes;
    /* Its answer is in the ring. */
    bool is_waiting;
    /* Of the body: what was sent, and what is to come. */
    uint64_t sent_bytes;
    uint64_t left_bytes;
};

struct serve_h2 {
    struct answers *answers;
    nghttp2_session *session;
    struct stream *first_free;
    /* All records that there are, for the end. */
    struct stream *all[STREAMS_MAX];
    uint32_t count;
    uint32_t open_count;
    /* A GOAWAY was written: the connection ends with the last stream. */
    bool is_leaving;
    int err;
    size_t out_len;
    uint8_t out[OUT_SIZE];
};

const char *serve_h2_protocols(void)
{
    return "h2,http/1.1";
}

bool serve_h2_is_preface(const char *line, size_t len)
{
    return len == sizeof(preface_line) - 1 &&
           memcmp(line, preface_line, len) == 0;
}

/* ---- streams ---- */

static struct stream *find(struct serve_h2 *self, int32_t id)
{
    return nghttp2_session_get_stream_user_data(self->session, id);
}

static struct stream *take(struct serve_h2 *self)
{
    struct stream *stream = self->first_free;

    if (stream) {
        self->first_free = stream->next_free;
        return stream;
    }
    if (self->count == STREAMS_MAX) {
        return NULL;
    }
    stream = malloc(sizeof(*stream));
    if (stream) {
        self->all[self->count++] = stream;
    }
    return stream;
}

static int on_begin_headers(nghttp2_session *session,
                            const nghttp2_frame *frame, void *arg)
{
    struct serve_h2 *self = arg;

    if (frame->hd.type != NGHTTP2_HEADERS ||
        frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        return 0; /* trailers */
    }
    struct stream *stream = take(self);
    if (!stream) { /* the client has not seen the limit yet */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE,
                                  frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    *stream = (struct stream){
        .id = frame->hd.stream_id,
        .wish = {.sizes = self->answers->counts->settings->answer,
                 .status = 200},
    };
    self->open_count++;
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

/* NOLINTNEXTLINE(readability-function-size): as the library calls it. */
static int on_header(nghttp2_session *session, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_len, const uint8_t *value,
                     size_t value_len, uint8_t flags, void *arg)
{
    struct stream *stream = find(arg, frame->hd.stream_id);

    (void)session;
    (void)flags;
    if (!stream) {
        return 0;
    }
    stream->header_bytes += name_len + value_len;
    if (stream->header_bytes > HEADER_BYTES_MAX) {
        stream->wish.status = 431;
    } else if (name_len == 5 && memcmp(name, ":path", 5) == 0 &&
               !serve_http_parse_path((const char *)value, value_len,
                                      &stream->wish)) {
        stream->wish.status = 400;
    } else if (name_len == 7 && memcmp(name, ":method", 7) == 0) {
        stream->wish.is_head_request =
            value_len == 4 && memcmp(value, "HEAD", 4) == 0;
    }
    return 0;
}

/* A request is here as a whole. */
static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame,
                         void *arg)
{
    struct serve_h2 *self = arg;
    struct stream *stream = find(self, frame->hd.stream_id);

    (void)session;
    if (!stream || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) {
        return 0;
    }
    const struct serve_http_wish *wish = &stream->wish;
    const uint64_t random = payload_mix(self->answers->counts->body_count++);
    const struct answer answer = {
        .size_bytes = sizes_draw(&wish->sizes, random),
        .status = wish->status,
        .is_head_request = wish->is_head_request,
        .stream_id = stream->id,
    };
    self->err = answers_add(self->answers, &answer, wish->delay_ns);
    stream->is_waiting = self->err == 0;
    return self->err < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code,
                           void *arg)
{
    struct serve_h2 *self = arg;
    struct stream *stream = find(self, id);

    (void)session;
    (void)code;
    if (stream) {
        if (stream->is_waiting) {
            answers_drop(self->answers, id);
        }
        stream->next_free = self->first_free;
        self->first_free = stream;
        self->open_count--;
    }
    return 0;
}

/* ---- writing ---- */

static int write_out(struct serve_h2 *self)
{
    if (self->out_len > 0 && self->err == 0) {
        self->err = weir_transport_write(self->answers->transport, self->out,
                                         self->out_len);
    }
    self->out_len = 0;
    return self->err;
}

static ssize_t take_frame(nghttp2_session *session, const uint8_t *bytes,
                          size_t len, int flags, void *arg)
{
    struct serve_h2 *self = arg;

    (void)session;
    (void)flags;
    if (self->answers->writing_paused) {
        return NGHTTP2_ERR_WOULDBLOCK;
    }
    if (len > OUT_SIZE - self->out_len && write_out(self) < 0) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    const size_t room = OUT_SIZE - self->out_len;
    const size_t part = len < room ? len : room;
    memcpy(self->out + self->out_len, bytes, part);
    self->out_len += part;
    return (ssize_t)part;
}

/* NOLINTNEXTLINE(readability-function-size): as the library calls it. */
static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buf,
                         size_t len, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
    const struct stream *stream = source->ptr;

    (void)session;
    (void)id;
    (void)buf;
    (void)arg;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->left_bytes <= len) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)stream->left_bytes;
    }
    return (ssize_t)len;
}

/* The bytes that HTTP/1.1 would have at this place of the body. */
static void write_text(struct serve_h2 *self, struct stream *stream, size_t len)
{
    size_t size = 0;
    const char *text = mode_chargen_text(&size);

    while (len > 0 && self->err == 0) {
        const size_t at = (size_t)(stream->sent_bytes % size);
        const size_t part = len < size - at ? len : size - at;
        self->err = weir_transport_write_ref(self->answers->transport,
                                             text + at, part, NULL, NULL);
        stream->sent_bytes += part;
        stream->left_bytes -= part;
        len -= part;
    }
}

static int send_body(nghttp2_session *session, nghttp2_frame *frame,
                     const uint8_t *head, size_t len,
                     nghttp2_data_source *source, void *arg)
{
    struct serve_h2 *self = arg;

    (void)frame;
    const ssize_t used = take_frame(session, head, FRAME_HEAD, 0, self);
    if (used < 0) {
        return (int)used;
    }
    if (write_out(self) == 0) {
        write_text(self, source->ptr, len);
    }
    return self->err < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

int serve_h2_flush(struct serve_h2 *self)
{
    const int err = nghttp2_session_send(self->session);

    write_out(self);
    if (self->err < 0) {
        return mode_judge_write(self->err);
    }
    if (err < 0) {
        return -EPROTO;
    }
    self->answers->has_unsent = nghttp2_session_want_write(self->session);
    self->answers->has_ended |= (self->is_leaving && self->open_count == 0) ||
                                (!nghttp2_session_want_read(self->session) &&
                                 !nghttp2_session_want_write(self->session));
    return 0;
}

/* A field whose texts stay until it is packed. */
static nghttp2_nv field_of(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
                        .value = (uint8_t *)(uintptr_t)value,
                        .namelen = strlen(name),
                        .valuelen = strlen(value),
                        .flags = NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

int serve_h2_write(struct serve_h2 *self, const struct answer *answer)
{
    const bool has_body = answer->status != 204 && answer->status != 304;
    struct stream *stream = find(self, answer->stream_id);
    char status[8];
    char length[24];

    if (!stream) {
        return 0; /* the client has reset it */
    }
    stream->is_waiting = false;
    snprintf(status, sizeof(status), "%u", answer->status);
    snprintf(length, sizeof(length), "%llu",
             (unsigned long long)answer->size_bytes);
    const nghttp2_nv fields[] = {field_of(":status", status),
                                 field_of("content-length", length)};
    const nghttp2_data_provider body = {.source.ptr = stream,
                                        .read_callback = read_body};
    stream->left_bytes =
        has_body && !answer->is_head_request ? answer->size_bytes : 0;
    const int err = nghttp2_submit_response(
        self->session, stream->id, fields, has_body ? 2 : 1,
        stream->left_bytes > 0 ? &body : NULL);
    if (stream->wish.closes && !self->is_leaving) {
        self->is_leaving = true;
        nghttp2_submit_goaway(
            self->session, NGHTTP2_FLAG_NONE,
            nghttp2_session_get_last_proc_stream_id(self->session),
            NGHTTP2_NO_ERROR, NULL, 0);
    }
    return err < 0 ? -ENOMEM : 0;
}

/* ---- life ---- */

int serve_h2_read(struct serve_h2 *self, const uint8_t *data, size_t len)
{
    const ssize_t used = nghttp2_session_mem_recv(self->session, data, len);

    if (self->err < 0) {
        return self->err;
    }
    return used < 0 ? -EPROTO : 0;
}

static nghttp2_option *make_option(void)
{
    nghttp2_option *option = NULL;

    if (nghttp2_option_new(&option) < 0) {
        return NULL;
    }
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, ACKS_MAX);
    nghttp2_option_set_max_settings(option, SETTINGS_IN_FRAME_MAX);
    nghttp2_option_set_max_reserved_remote_streams(option, 0);
#ifdef WR_NGHTTP2_HAS_MAX_CONTINUATIONS
    nghttp2_option_set_max_continuations(option, CONTINUATIONS_MAX);
#endif
#ifdef WR_NGHTTP2_HAS_RESET_LIMIT
    nghttp2_option_set_stream_reset_rate_limit(option, RESETS_BURST,
                                               RESETS_A_SECOND);
#endif
    return option;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *callbacks = NULL;

    if (nghttp2_session_callbacks_new(&callbacks) < 0) {
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks,
                                                            on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks,
                                                         on_frame_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks,
                                                           on_stream_close);
    nghttp2_session_callbacks_set_send_callback(callbacks, take_frame);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    return callbacks;
}

/* SETTINGS, and the line of the preface that was read already. */
static int begin_session(struct serve_h2 *self)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_BYTES_MAX},
    };
    nghttp2_option *option = make_option();
    nghttp2_session_callbacks *callbacks = make_callbacks();
    int err = -ENOMEM;

    if (option && callbacks) {
        err = nghttp2_session_server_new2(&self->session, callbacks, self,
                                          option);
    }
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    if (err < 0 ||
        nghttp2_submit_settings(self->session, NGHTTP2_FLAG_NONE, settings,
                                sizeof(settings) / sizeof(settings[0])) < 0) {
        return -ENOMEM;
    }
    const int grown = nghttp2_session_set_local_window_size(
        self->session, NGHTTP2_FLAG_NONE, 0, 4 * WINDOW_BYTES);
    err = serve_h2_read(self, (const uint8_t *)preface_line,
                        sizeof(preface_line) - 1);
    return grown < 0 || err < 0 ? -ENOMEM
                                : serve_h2_read(self, (const uint8_t *)"\n", 1);
}

struct serve_h2 *serve_h2_begin(struct answers *answers)
{
    struct serve_h2 *self = calloc(1, sizeof(*self));

    if (!self) {
        return NULL;
    }
    self->answers = answers;
    if (begin_session(self) < 0) {
        serve_h2_end(self);
        return NULL;
    }
    return self;
}

void serve_h2_end(struct serve_h2 *self)
{
    if (!self) {
        return;
    }
    nghttp2_session_del(self->session);
    for (uint32_t i = 0; i < self->count; i++) {
        free(self->all[i]);
    }
    free(self);
}
