/*
 * Sends preambles. A preamble's state is allocated only while it runs.
 *
 * If something is captured, the head is read byte by byte, to separate its
 * bytes from the body's. Details of errors do not show the requests, which may
 * have passwords: only their number and, over HTTP, method and path.
 */
#include "conn.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/weir-load/http1/http1.h"
#include "tools/weir-load/request/request.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    struct http_request http;
    struct template script;
};

struct preamble_requests {
    const struct run_options *options;
    const struct preamble *preamble;
    bool is_http;
    /* The run's data, but always with DATA_TURN: two connections share a row
     * only if there are fewer rows than connections. */
    struct data data;
    /* HTTP: all requests of the first target, then of the next one. Other
     * protocols: one list for all targets. */
    struct request *list;
    size_t count;
    char *scratch;
};

struct preamble_state {
    /* Index of the request that waits for an answer. */
    size_t line;
    uint64_t sent_ns;
    struct http_response response;
    struct script_reader script;
    /* Answers are stored, because values are captured from them. */
    bool keeps;
    bool is_too_large;
    char *head;
    size_t head_len;
    char *body;
    size_t body_len;
};

static const struct data *find_data(const struct preamble_requests *self)
{
    return self->options->data ? &self->data : NULL;
}

static int make_http(struct preamble_requests *self, size_t target, size_t line)
{
    struct request *request = &self->list[self->count];
    struct http_options http = self->options->http;
    char why[WHY_SIZE];

    size_t count = 0;
    for (size_t i = 0; i < http.field_count; i++) {
        if (!preamble_find_early(self->preamble, line, http.fields[i])) {
            http.fields[count++] = http.fields[i];
        }
    }
    http.field_count = count;
    http.data = find_data(self);
    const int err = http_load_make(&http, &self->options->targets[target],
                                   &self->preamble->lines[line].kind, 1,
                                   &request->http, why);
    if (err < 0) {
        say("--preamble: %s", why);
    }
    return err;
}

static int make_script(struct preamble_requests *self, size_t line)
{
    char why[WHY_SIZE];
    struct template *script = &self->list[self->count].script;

    int err = script_request_parse(self->preamble->lines[line].kind.request,
                                   script, why);
    if (err == 0) {
        err = template_bind(script, find_data(self), TEMPLATE_IN_BODY, why);
    }
    if (err < 0) {
        template_fini(script);
        say("--preamble: %s", why);
    }
    return err;
}

static int make_all(struct preamble_requests *self)
{
    const size_t line_count = self->preamble->line_count;
    const size_t count =
        self->is_http ? self->options->target_count * line_count : line_count;
    size_t size_max = 1;
    int err = 0;

    self->list = calloc(count, sizeof(*self->list));
    if (!self->list) {
        say("no memory for --preamble");
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && err == 0; i++) {
        err = self->is_http ? make_http(self, i / line_count, i % line_count)
                            : make_script(self, i);
        if (err == 0) {
            const struct request *request = &self->list[self->count++];
            const size_t size =
                request->http.size_max + request->script.size_max;
            size_max = size > size_max ? size : size_max;
        }
    }
    if (err == 0) {
        self->scratch = malloc(size_max);
        if (!self->scratch) {
            say("no memory for --preamble");
            err = -ENOMEM;
        }
    }
    return err;
}

int preamble_requests_new(const struct run_options *options,
                          struct preamble_requests **ret)
{
    *ret = NULL;
    if (!options->preamble) {
        return 0;
    }
    struct preamble_requests *self = calloc(1, sizeof(*self));
    if (!self) {
        say("no memory for --preamble");
        return -ENOMEM;
    }
    self->options = options;
    self->preamble = options->preamble;
    self->is_http = options->mode == RUN_MODE_HTTP;
    if (options->data) {
        self->data = *options->data;
        self->data.order = DATA_TURN;
    }
    *ret = self;
    return make_all(self);
}

void preamble_requests_free(struct preamble_requests *self)
{
    if (!self) {
        return;
    }
    for (size_t i = 0; i < self->count; i++) {
        if (self->is_http) {
            http_request_fini(&self->list[i].http);
        } else {
            template_fini(&self->list[i].script);
        }
    }
    free(self->list);
    free(self->scratch);
    free(self);
}

static void drop_bytes(struct preamble_state *state)
{
    free(state->head);
    free(state->body);
    state->head = NULL;
    state->body = NULL;
    state->head_len = 0;
    state->body_len = 0;
    state->is_too_large = false;
}

void conn_preamble_drop(struct conn *conn)
{
    if (conn->preamble) {
        drop_bytes(conn->preamble);
        free(conn->preamble);
        conn->preamble = NULL;
    }
}

void conn_preamble_forget(struct conn *conn)
{
    conn_preamble_drop(conn);
    for (size_t i = 0; conn->named && i < template_count_names(); i++) {
        free(conn->named[i].bytes);
        conn->named[i] = (struct template_value){NULL, 0};
    }
}

/* Writes "connection 3, --preamble 1 (POST /login): WHY". */
static void describe(const struct conn *conn, const char *why,
                     char detail[ERRORS_DETAIL_SIZE])
{
    const struct preamble_requests *requests = conn->traffic->preamble;
    const size_t line = conn->preamble->line;
    const struct request_kind *kind = &requests->preamble->lines[line].kind;

    if (requests->is_http) {
        snprintf(detail, ERRORS_DETAIL_SIZE,
                 "connection %u, --preamble %zu (%.16s %.*s): %.400s",
                 conn->index, line + 1, kind->method,
                 (int)strcspn(kind->path, "?"), kind->path, why);
    } else {
        snprintf(detail, ERRORS_DETAIL_SIZE,
                 "connection %u, --preamble %zu: %.400s", conn->index, line + 1,
                 why);
    }
}

static void give_up(struct conn *conn, int code, const char *why)
{
    char detail[ERRORS_DETAIL_SIZE];

    describe(conn, why, detail);
    conn->repeats = false;
    conn->traffic->connections.preambles_failed++;
    conn_give_up(conn, PHASE_PREAMBLE, code, detail);
}

void conn_preamble_ended(struct conn *conn)
{
    give_up(conn, ERROR_EOF, "the server ended the connection");
}

void conn_preamble_broke(struct conn *conn, int err)
{
    char detail[ERRORS_DETAIL_SIZE];
    const uint32_t requests = conn_drop_outstanding(conn);

    conn->repeats = false;
    conn->traffic->connections.preambles_failed++;
    describe(conn, "the connection broke", detail);
    conn_describe_error(conn,
                        conn_count_error(conn, PHASE_PREAMBLE, err, requests),
                        "%s", detail);
}

void conn_preamble_expire(struct conn *conn, uint64_t now_ns,
                          uint64_t timeout_ns)
{
    const uint64_t sent_ns = conn->preamble->sent_ns;

    if (now_ns > sent_ns && now_ns - sent_ns >= timeout_ns) {
        give_up(conn, ERROR_NO_ANSWER, "there is no answer");
    }
}

static void take_body(void *arg, const uint8_t *data, size_t len)
{
    struct preamble_state *state = arg;

    if (len > CAPTURE_BODY_MAX - state->body_len) {
        state->is_too_large = true;
        return;
    }
    if (!state->body) {
        state->body = malloc(CAPTURE_BODY_MAX);
    }
    if (!state->body) {
        state->is_too_large = true;
        return;
    }
    memcpy(state->body + state->body_len, data, len);
    state->body_len += len;
}

static void send_line(struct conn *conn, uint64_t now_ns)
{
    struct preamble_requests *requests = conn->traffic->preamble;
    const struct run_options *options = requests->options;
    const size_t target =
        (size_t)(options_target(options, conn->index) - options->targets);
    struct preamble_state *state = conn->preamble;
    const struct request *request =
        &requests
             ->list[requests->is_http
                        ? target * requests->preamble->line_count + state->line
                        : state->line];
    const struct template_values values = {
        .seq = conn->index,
        .conn = conn->index,
        .seed = options->seed,
        .named = conn->named,
    };
    const char *bytes = requests->scratch;
    size_t len = 0;

    drop_bytes(state);
    state->sent_ns = now_ns;
    state->keeps = requests->preamble->lines[state->line].capture_count > 0;
    state->script = (struct script_reader){.size_bytes = 0};
    http_response_init(&state->response, request->http.is_head);
    if (state->keeps) {
        state->response.take_body = take_body;
        state->response.take_arg = state;
    }
    if (request->http.bytes) {
        bytes = request->http.bytes;
        len = request->http.len;
    } else if (requests->is_http) {
        len = http_request_render(&request->http, &values, requests->scratch);
    } else {
        len = template_render(&request->script, &values, requests->scratch);
    }
    const int err = weir_transport_write(conn->transport, bytes, len);
    if (err < 0) {
        conn_write_refused(conn, err);
    }
}

void conn_preamble_begin(struct conn *conn, uint64_t now_ns)
{
    assert(conn->state == CONN_OPEN);
    conn->preamble = calloc(1, sizeof(*conn->preamble));
    if (!conn->preamble) {
        conn_give_up(conn, PHASE_PREAMBLE, -ENOMEM, "");
        return;
    }
    conn->state = CONN_PREAMBLE;
    send_line(conn, now_ns);
}

/* Reads and stores the head. The head of an interim answer is discarded.
 * Returns the number of bytes used, or a negative code. */
static ssize_t read_head(struct preamble_state *state, struct http_kept *kept,
                         const uint8_t *bytes, size_t len)
{
    size_t at = 0;

    while (at < len &&
           (state->response.state == HTTP_IN_HEAD ||
            (state->response.state == HTTP_COMPLETE && state->head_len == 0))) {
        if (!state->head) {
            state->head = malloc(HTTP_HEAD_MAX);
        }
        if (!state->head || state->head_len == HTTP_HEAD_MAX) {
            return -ENOMEM;
        }
        state->head[state->head_len++] = (char)bytes[at];
        const ssize_t used =
            http_response_read(&state->response, kept, bytes + at, 1);
        if (used < 0) {
            return used;
        }
        at += (size_t)used;
        if (state->response.state == HTTP_IN_HEAD &&
            state->response.reader.size_bytes == 0) {
            state->head_len = 0;
        }
    }
    return (ssize_t)at;
}

static ssize_t read_http(struct conn *conn, const uint8_t *bytes, size_t len,
                         char *why)
{
    struct preamble_state *state = conn->preamble;
    struct http_kept kept;
    ssize_t head = 0;

    http_kept_init(&kept);
    if (state->keeps) {
        head = read_head(state, &kept, bytes, len);
    }
    ssize_t used = 0;
    if (head >= 0 && (size_t)head < len &&
        (!state->keeps || state->response.state != HTTP_COMPLETE)) {
        used = http_response_read(&state->response, &kept, bytes + head,
                                  len - (size_t)head);
    }
    if (head < 0 || used < 0) {
        const int err = (int)(head < 0 ? head : used);
        http_response_describe(&state->response, err, why,
                               HTTP_DESCRIPTION_SIZE);
        return err;
    }
    return head + used;
}

static ssize_t read_script(struct conn *conn, const uint8_t *bytes, size_t len,
                           bool *ret_complete)
{
    struct preamble_state *state = conn->preamble;
    const struct script_rule *rule =
        conn->traffic->preamble->preamble->lines[state->line].kind.rule;

    const ssize_t used =
        script_read(rule, &state->script, bytes, len, ret_complete);
    if (used > 0 && state->keeps) {
        take_body(state, bytes, (size_t)used);
    }
    return used < 0 ? ERROR_LENGTH : used;
}

static int check_answer(const struct conn *conn, char *why)
{
    const struct preamble_state *state = conn->preamble;
    const struct preamble_requests *requests = conn->traffic->preamble;
    const struct request_kind *kind =
        &requests->preamble->lines[state->line].kind;
    char quoted[WHY_SIZE];

    if (!requests->is_http) {
        const size_t len = state->script.shown_len < HTTP_SHOWN_MAX
                               ? state->script.shown_len
                               : HTTP_SHOWN_MAX;
        snprintf(why, WHY_SIZE, "the answer begins with %.200s",
                 http_quote(state->script.shown, len, quoted, sizeof(quoted)));
        return script_is_good(kind->rule, &state->script) ? 0 : ERROR_ANSWER;
    }
    const unsigned status = http_response_status(&state->response);
    if (status >= HTTP_FAILURE_STATUS) {
        return why_refuse(why, ERROR_STATUS, "status %u, a body of %llu bytes",
                          status, LLU(state->response.body_bytes));
    }
    if (!http_response_may_go_on(&state->response)) {
        return why_refuse(
            why, ERROR_EOF,
            "the server closes the connection after the answer, status %u",
            status);
    }
    return 0;
}

static int take_captures(struct conn *conn, char *why)
{
    const struct preamble_state *state = conn->preamble;
    const struct preamble *preamble = conn->traffic->preamble->preamble;
    const struct preamble_line *line = &preamble->lines[state->line];
    const struct capture_answer answer = {
        .head = state->head,
        .head_len = state->head_len,
        .body = state->body,
        .body_len = state->body_len,
    };
    int err = 0;

    for (size_t i = 0; i < line->capture_count && err == 0; i++) {
        const struct capture *capture =
            &preamble->captures[line->first_capture + i];
        if (capture->kind == CAPTURE_JSON && state->is_too_large) {
            return why_refuse(why, ERROR_CAPTURE,
                              "%.100s: the body has more than %u bytes",
                              capture->text, CAPTURE_BODY_MAX);
        }
        err =
            capture_take(capture, &answer, &conn->named[capture->number], why);
    }
    return err == 0 ? 0 : ERROR_CAPTURE;
}

static void go_on(struct conn *conn, size_t left)
{
    struct traffic *traffic = conn->traffic;
    struct preamble_state *state = conn->preamble;

    if (left > 0) {
        give_up(conn, ERROR_SURPLUS, "there are bytes behind the answer");
        return;
    }
    if (state->line + 1 < traffic->preamble->preamble->line_count) {
        state->line++;
        send_line(conn, clock_now_ns());
        return;
    }
    conn_preamble_drop(conn);
    traffic->connections.preambles++;
    conn->state = CONN_OPEN;
    traffic->events->prepared(traffic->events_arg, conn);
}

void conn_preamble_read(struct conn *conn, const uint8_t *bytes, size_t len)
{
    const bool is_http = conn->traffic->preamble->is_http;
    char why[WHY_SIZE] = "";
    bool is_complete = false;

    assert(conn->state == CONN_PREAMBLE);
    conn->received_bytes += len;
    const ssize_t used = is_http ? read_http(conn, bytes, len, why)
                                 : read_script(conn, bytes, len, &is_complete);
    if (used < 0) {
        give_up(conn, (int)used, why);
        return;
    }
    if (is_http) {
        is_complete = conn->preamble->response.state == HTTP_COMPLETE;
    }
    if (!is_complete) {
        return;
    }
    int err = check_answer(conn, why);
    if (err == 0) {
        err = take_captures(conn, why);
    }
    if (err < 0) {
        give_up(conn, err, why);
    } else {
        go_on(conn, len - (size_t)used);
    }
}
