/*
 * A connection's session exists from connection_made to connection_lost. Only
 * this file calls libnghttp2 to read and write, and checks the connection's
 * state afterwards.
 *
 * A request that the server has not processed is sent again: on a new stream
 * or, after a GOAWAY, on the next connection once all other requests are
 * answered. Its times are kept.
 */
#include "http2.h"

#include "h2_session.h"
#include "tools/common/clock.h"
#include "tools/weir-load/measure/measure.h"

#include "weir/error.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most streams of a connection: stream ids are odd and have 31 bits. */
#define STREAMS_MAX (UINT32_C(1) << 30)

static struct h2_conn *self_of(const struct conn *conn)
{
    return conn->codec_state;
}

static void give_up(struct h2_conn *self, enum error_phase phase, int code,
                    const char *what)
{
    char detail[ERRORS_DETAIL_SIZE];

    snprintf(detail, sizeof(detail), "connection %u after %llu bytes%s%s",
             self->conn->index, LLU(self->conn->received_bytes),
             what[0] ? ": " : "", what);
    conn_give_up(self->conn, phase, code, detail);
}

/* Writes all pending frames. Returns false if the connection was given up or
 * will be lost. */
static bool flush(struct h2_conn *self)
{
    int err = nghttp2_session_send(self->session);

    h2_answers_write_out(self);
    if (self->write_err < 0) {
        conn_write_refused(self->conn, self->write_err);
        return false;
    }
    if (err < 0) {
        give_up(self, PHASE_WRITE, ERROR_HTTP2, nghttp2_strerror(err));
        return false;
    }
    if (self->own_error != NGHTTP2_NO_ERROR) {
        give_up(self, PHASE_VALIDATE, ERROR_HTTP2,
                self->reason[0] ? self->reason : h2_code_name(self->own_error));
        return false;
    }
    return true;
}

/* Sends a GOAWAY, unless the server has sent one. Returns false if the
 * connection was given up or will be lost. */
static bool terminate(struct h2_conn *self)
{
    if (self->is_leaving) {
        return true;
    }
    nghttp2_session_terminate_session(self->session, NGHTTP2_NO_ERROR);
    return flush(self);
}

/* Ends a connection whose requests are answered or wait for the next
 * connection. It is an error if the server never allowed a request. */
static void finish(struct h2_conn *self)
{
    struct conn *conn = self->conn;

    if (!self->was_ready) {
        give_up(self, PHASE_EOF, ERROR_EOF, "GOAWAY before the first request");
        return;
    }
    conn->repeats = h2_streams_count(&self->streams, H2_WAITING) > 0;
    if (terminate(self)) {
        conn->ended_new += !conn->was_used;
        conn_finish(conn);
    }
}

static int fill_body(const struct h2_shared *shared, struct h2_stream *stream,
                     const struct template_values *values)
{
    const struct template *body = &stream->request->body;

    stream->body = body->bytes;
    stream->body_len = body->len;
    if (template_is_fixed(body)) {
        return 0;
    }
    if (!stream->own_body) {
        stream->own_body = malloc(shared->load.scratch_size);
    }
    if (!stream->own_body) {
        return -ENOMEM;
    }
    stream->body = stream->own_body;
    stream->body_len = template_render(body, values, stream->own_body);
    return 0;
}

static const nghttp2_nv *fill_head(struct h2_conn *self,
                                   const struct h2_stream *stream,
                                   const struct template_values *values,
                                   size_t *ret_count)
{
    struct h2_shared *shared = self->shared;
    const struct http_request *request = stream->request;
    const struct h2_fixed *fixed =
        &shared->fixed[request - shared->load.requests];
    struct h2_counts *counts = &self->conn->traffic->http2;
    struct h2_head *head = &shared->head;

    if (fixed->fields) {
        counts->header_bytes_out += fixed->bytes;
        *ret_count = fixed->count;
        return fixed->fields;
    }
    const size_t len =
        template_render(&request->head, values, shared->load.scratch);
    h2_head_read(head, shared->load.scratch, len, self->is_tls,
                 request->has_body && !request->is_chunked ? stream->body_len
                                                           : SIZE_MAX,
                 false);
    counts->header_bytes_out += head->bytes;
    *ret_count = head->count;
    return head->first;
}

static int submit(struct h2_conn *self, struct h2_stream *stream)
{
    const uint64_t sent_ns = stream->flight.sent_ns;
    const struct template_values values = {
        .seq = stream->flight.number,
        .conn = self->conn->index,
        .seed = self->shared->load.options->seed,
    };
    size_t count = 0;

    stream->body_at = 0;
    stream->opened_ns =
        self->received_ns > sent_ns ? self->received_ns : sent_ns;
    stream->body_bytes = 0;
    stream->first_byte_ns = 0;
    stream->status = 0;
    stream->was_reset = false;
    stream->is_grpc = false;
    stream->grpc_status = H2_NO_STATUS;
    h2_window_begin(
        &stream->window,
        h2_window_size(self->shared->load.options->http.window_bytes));
    wanted_begin(&stream->reader);
    h2_message_begin(&stream->message);
    if (fill_body(self->shared, stream, &values) < 0) {
        return NGHTTP2_ERR_NOMEM;
    }
    const nghttp2_nv *fields = fill_head(self, stream, &values, &count);
    const nghttp2_data_provider body = h2_answers_body(stream);
    self->found = NULL;
    self->found_id = 0;
    stream->id =
        nghttp2_submit_request(self->session, NULL, fields, count,
                               stream->body_len > 0 ? &body : NULL, stream);
    return stream->id < 0 ? stream->id : 0;
}

/* Takes a free slot for a request and chooses its kind. */
static struct h2_stream *take_place(struct h2_conn *self, bool is_warmup,
                                    const struct flight *flight,
                                    enum h2_stream_state state)
{
    const struct traffic *traffic = self->conn->traffic;
    struct h2_stream *stream = h2_streams_first(&self->streams, H2_FREE);

    stream->flight = *flight;
    stream->is_warmup = is_warmup;
    stream->refusals = 0;
    stream->request =
        self->request +
        options_choose_kind(self->shared->load.options,
                            payload_mix(self->random + self->sent_count),
                            flight->number);
    if (traffic->kinds) {
        stream->flight.kind =
            traffic->options->groups->places[stream->request - self->request];
    }
    self->sent_count++;
    self->warmup_count += is_warmup;
    h2_streams_move(&self->streams, stream, state, false);
    return stream;
}

static void note_reached(const struct h2_conn *self)
{
    struct h2_counts *counts = &self->conn->traffic->http2;
    const uint32_t live = h2_streams_count(&self->streams, H2_LIVE);

    counts->reached = live > counts->reached ? live : counts->reached;
}

static void send_requests(struct conn *conn, uint32_t count, uint64_t meant_ns,
                          uint64_t now_ns)
{
    struct h2_conn *self = self_of(conn);
    struct traffic *traffic = conn->traffic;
    const bool is_warmup = conn->outstanding_warmup > self->warmup_count;
    int err = 0;

    for (uint32_t i = 0; i < count && err == 0; i++) {
        const struct flight flight = {
            .meant_ns = meant_ns,
            .sent_ns = now_ns,
            .number = traffic->next_number,
            .late_ns = traffic->late_ns,
        };
        traffic->next_number += traffic->number_stride;
        err = submit(self, take_place(self, is_warmup, &flight, H2_LIVE));
    }
    if (err < 0) { /* the library can only have run out of memory */
        give_up(self, PHASE_WRITE, ERROR_HTTP2, nghttp2_strerror(err));
        return;
    }
    note_reached(self);
    if (!self->is_reading) {
        flush(self);
    }
}

/* Sends requests again that the server has not processed. Returns false if the
 * connection was given up. */
static bool send_waiting(struct h2_conn *self)
{
    struct h2_streams *streams = &self->streams;
    int err = 0;

    while (h2_streams_count(streams, H2_WAITING) > 0 && err == 0 &&
           h2_streams_count(streams, H2_LIVE) < self->conn->depth) {
        struct h2_stream *stream = h2_streams_first(streams, H2_WAITING);
        h2_streams_move(streams, stream, H2_LIVE, true);
        err = submit(self, stream);
    }
    if (err < 0) {
        give_up(self, PHASE_WRITE, ERROR_HTTP2, nghttp2_strerror(err));
        return false;
    }
    note_reached(self);
    return true;
}

/* Ends a connection with GOAWAY, even if no SETTINGS have arrived. */
static void end(struct conn *conn)
{
    if (terminate(self_of(conn))) {
        conn_finish(conn);
    }
}

/* Lets go_on() repeat the requests of the previous connection, once SETTINGS
 * have arrived. */
static void repeat_requests(struct conn *conn)
{
    conn->repeats = false;
}

/* Sends requests instead of the ended ones, after --think. Other free slots are
 * filled at once, unless the connection is in --think. */
static void send_new(struct h2_conn *self, uint64_t now_ns)
{
    struct conn *conn = self->conn;
    const bool has_ended = self->has_ended;

    self->has_ended = false;
    if (has_ended || conn->traffic->options->think_ns == 0) {
        conn->traffic->ready(conn, now_ns);
    } else if (conn->thought.index == 0 && conn->thought.generation == 0) {
        conn_fill(conn, now_ns);
    }
}

/* Continues after all received bytes are processed. */
static void go_on(struct h2_conn *self, uint64_t now_ns)
{
    struct conn *conn = self->conn;

    if (self->is_leaving ? h2_streams_count(&self->streams, H2_LIVE) == 0
                         : conn->quota == 0) {
        if (flush(self)) {
            finish(self);
        }
        return;
    }
    if (!self->is_leaving &&
        !nghttp2_session_check_request_allowed(self->session)) {
        flush(self); /* the library has found an error and ends the session */
        return;
    }
    self->was_ready |= conn->depth > 0;
    self->is_reading = true;
    if (send_waiting(self)) {
        send_new(self, now_ns);
    }
    self->is_reading = false;
    if (conn->state == CONN_OPEN) {
        flush(self);
    }
}

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct conn *conn = user;
    struct h2_conn *self = self_of(conn);

    if (conn->state != CONN_OPEN) {
        return 0;
    }
    const uint64_t now_ns = clock_now_ns();
    conn->received_bytes += buf->len;
    self->received_ns = now_ns;
    if (!self->has_settings && self->conn->received_bytes == buf->len &&
        buf->len >= 5 && memcmp(buf->data, "HTTP/", 5) == 0) {
        give_up(self, PHASE_VALIDATE, ERROR_NOT_HTTP2, "it speaks HTTP/1");
        return 0;
    }
    const ssize_t used =
        nghttp2_session_mem_recv(self->session, buf->data, buf->len);
    if (used < 0) {
        flush(self);
    }
    if (used < 0 && conn->state == CONN_OPEN) {
        give_up(self, PHASE_VALIDATE, ERROR_HTTP2, nghttp2_strerror((int)used));
    } else if (used >= 0) {
        go_on(self, now_ns);
    }
    return 0;
}

/* Fails the requests in a list that have timed out. All are checked, because
 * repeated requests are not in order. */
static uint32_t expire_list(struct h2_conn *self, enum h2_stream_state state,
                            uint64_t before_ns, uint64_t now_ns)
{
    struct h2_stream *stream = h2_streams_first(&self->streams, state);
    uint32_t late = 0;

    while (stream) {
        struct h2_stream *next = h2_streams_next(&self->streams, stream);
        if (stream->flight.sent_ns > before_ns) {
            stream = next;
            continue;
        }
        if (state == H2_LIVE) {
            nghttp2_submit_rst_stream(self->session, NGHTTP2_FLAG_NONE,
                                      stream->id, NGHTTP2_CANCEL);
        }
        conn_miss_answer(self->conn, &stream->flight, stream->is_warmup,
                         now_ns);
        self->conn->quota--;
        h2_answers_release(self, stream);
        late++;
        stream = next;
    }
    return late;
}

/* Cancels streams that have timed out. Gives up the connection if nothing was
 * received within the time-out. */
static void expire(struct conn *conn, uint64_t now_ns, uint64_t timeout_ns)
{
    struct h2_conn *self = self_of(conn);
    const uint64_t before_ns = now_ns > timeout_ns ? now_ns - timeout_ns : 0;
    const uint64_t earlier = conn->traffic->measured.timeout;

    if (conn->depth == 0 && !self->is_leaving && self->shut_ns <= before_ns) {
        give_up(self, PHASE_TIMEOUT,
                self->has_settings ? ERROR_NO_STREAM : ERROR_NO_SETTINGS, "");
        return;
    }
    const uint32_t late = expire_list(self, H2_LIVE, before_ns, now_ns) +
                          expire_list(self, H2_WAITING, before_ns, now_ns);
    if (late == 0) {
        return;
    }
    conn_report_late(conn, late, conn->traffic->measured.timeout - earlier,
                     self->received_ns <= before_ns);
    if (conn->state == CONN_OPEN) {
        go_on(self, now_ns);
    }
    conn_tell_drained(conn->traffic);
}

/* Returns true if a request may be repeated although the server may have
 * processed it. */
static bool may_repeat(const struct conn *conn, const struct h2_stream *stream)
{
    return conn->was_used && stream->request->is_idempotent &&
           stream->first_byte_ns == 0 && !stream->flight.is_repeated;
}

/* Implements conn_kind.keep. If no SETTINGS have arrived, the end of the
 * connection is an error. */
static bool keep(struct conn *conn, int err)
{
    struct h2_conn *self = self_of(conn);
    struct h2_streams *streams = &self->streams;
    const enum error_phase phase =
        err == ERROR_EOF ? PHASE_EOF : PHASE_TRANSFER;
    struct h2_stream *stream = h2_streams_first(streams, H2_LIVE);
    bool is_all_lost =
        stream != NULL && h2_streams_count(streams, H2_WAITING) == 0;

    for (; stream; stream = h2_streams_next(streams, stream)) {
        is_all_lost &= !may_repeat(conn, stream);
    }
    if (!self->has_settings || is_all_lost) {
        return false;
    }
    while ((stream = h2_streams_first(streams, H2_LIVE))) {
        if (may_repeat(conn, stream)) {
            stream->flight.is_repeated = true;
            conn->traffic->connections.repeated++;
            h2_streams_move(streams, stream, H2_WAITING, false);
        } else {
            h2_answers_fail(self, stream, phase, err, "");
        }
    }
    conn->repeats = h2_streams_count(streams, H2_WAITING) > 0;
    return true;
}

/* Appends the requests of the warm-up, or of the run, to the ring. */
static uint32_t hand_over_part(struct h2_conn *self, bool is_warmup,
                               uint32_t count)
{
    struct conn *conn = self->conn;
    struct h2_stream *stream = h2_streams_first(&self->streams, H2_WAITING);

    for (; stream; stream = h2_streams_next(&self->streams, stream)) {
        if (stream->is_warmup == is_warmup) {
            conn->flights[count & conn->traffic->ring_mask] = stream->flight;
            count++;
        }
    }
    return count;
}

static void hand_over(struct conn *conn)
{
    struct h2_conn *self = self_of(conn);
    uint32_t count = hand_over_part(self, true, 0);

    assert(count == conn->outstanding_warmup);
    count = hand_over_part(self, false, count);
    assert(count == conn->outstanding);
    conn->head = 0;
}

/* Takes over requests of another protocol. With --mix their kinds are drawn
 * again. */
static void take_over(struct conn *conn)
{
    struct h2_conn *self = self_of(conn);

    for (uint32_t i = 0; i < conn->outstanding; i++) {
        take_place(self, i < conn->outstanding_warmup, conn_flight(conn, i),
                   H2_WAITING);
    }
}

static void note_lost(const struct conn *conn, uint64_t now_ns)
{
    static const enum h2_stream_state states[] = {H2_LIVE, H2_WAITING};
    struct h2_streams *streams = &self_of(conn)->streams;

    for (size_t i = 0; i < 2; i++) {
        const struct h2_stream *stream = h2_streams_first(streams, states[i]);
        for (; stream; stream = h2_streams_next(streams, stream)) {
            if (!stream->is_warmup) {
                conn_note_lost(conn, &stream->flight, now_ns);
            }
        }
    }
}

static bool check_alpn(struct h2_conn *self)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    char what[128];

    if (!self->is_tls) {
        return true;
    }
    const int err =
        weir_transport_get_extra_info(self->conn->transport, "alpn", &info);
    if (err >= 0 && info.len == 2 && memcmp(info.text, "h2", 2) == 0) {
        return true;
    }
    snprintf(what, sizeof(what), "the server chose %.*s by ALPN",
             err >= 0 && info.len > 0 ? (int)info.len : 11,
             err >= 0 && info.len > 0 ? info.text : "no protocol");
    give_up(self, PHASE_TLS, ERROR_NOT_HTTP2, what);
    return false;
}

static int begin_session(struct h2_conn *self)
{
    const struct http_options *http = &self->shared->load.options->http;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
         h2_window_size(http->window_bytes)},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, (uint32_t)http->frame_bytes},
        {NGHTTP2_SETTINGS_HEADER_TABLE_SIZE, (uint32_t)http->table_bytes},
    };

    h2_window_begin(&self->window, NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE);
    int err = nghttp2_session_client_new3(
        &self->session, self->shared->callbacks, self, self->shared->option,
        h2_memory_of(&self->shared->memory));
    if (err == 0) {
        err =
            nghttp2_submit_settings(self->session, NGHTTP2_FLAG_NONE, settings,
                                    sizeof(settings) / sizeof(settings[0]));
    }
    if (err == 0) {
        err = nghttp2_session_set_local_window_size(
            self->session, NGHTTP2_FLAG_NONE, 0,
            (int32_t)h2_window_size(http->conn_window_bytes));
    }
    return err;
}

static void made(void *user, weir_transport *t)
{
    struct conn *conn = user;
    struct h2_conn *self = self_of(conn);

    self->received_ns = clock_now_ns();
    self->shut_ns = self->received_ns;
    conn_made(conn, t);
    if (conn->state != CONN_OPEN || !check_alpn(self)) {
        return;
    }
    const int err = begin_session(self);
    if (err < 0) {
        give_up(self, PHASE_WRITE, ERROR_HTTP2, nghttp2_strerror(err));
        return;
    }
    flush(self);
}

static void lost(void *user, weir_transport *t, int err)
{
    struct conn *conn = user;
    struct h2_conn *self = self_of(conn);

    conn_lost(conn, t, err);
    nghttp2_session_del(self->session);
    h2_answers_end(self);
    self->session = NULL;
}

static void pause_writing(void *user, weir_transport *t)
{
    self_of(user)->writing_paused = true;
}

static void resume_writing(void *user, weir_transport *t)
{
    struct conn *conn = user;
    struct h2_conn *self = self_of(conn);

    self->writing_paused = false;
    if (conn->state == CONN_OPEN) {
        flush(self);
    }
}

static void prepare(struct conn *conn, const struct target *target)
{
    const struct traffic_way *way = conn->way;
    const struct codec_start start = {
        .target = target,
        .conn_index = conn->index,
        .generation = conn->generation,
        .repeat_count = conn->repeats ? conn->outstanding : 0,
    };

    self_of(conn)->conn = conn;
    conn->quota = conn->quota < STREAMS_MAX ? conn->quota : STREAMS_MAX;
    conn->depth = 0;
    way->codec->begin(way->shared, conn->codec_state, &start);
}

static const struct weir_protocol protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = made,
    .connection_lost = lost,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .data_received = data_received,
    .eof_received = conn_ended,
};

const struct conn_kind conn_h2 = {
    .protocol = &protocol,
    .prepare = prepare,
    .send = send_requests,
    .expire = expire,
    .repeat = repeat_requests,
    .keep = keep,
    .end = end,
    .hand_over = hand_over,
    .take_over = take_over,
    .note_lost = note_lost,
};
