/*
 * HTTP/1.1 as a codec. http_load.c has the requests and the expected responses,
 * and http_response.c parses responses. All connections of a thread share the
 * cached head, because targets mostly send the same head.
 */
#include "tools/weir-load/codec/codec.h"

#include "http1.h"
#include "tools/common/console.h"
#include "tools/load/payload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Status with which a server that waited too long for a request closes the
 * connection. */
#define WAITED_OUT_STATUS 408U

/* A response with this status or a higher one may be a redirect. */
#define REDIRECT_STATUS 300U

/* Status of TLS servers for requests in plain text (RFC 9110, section
 * 15.5.1). */
#define WRONG_SCHEME_STATUS 400

struct http_conn;

struct shared {
    struct http_load load;
    struct http_kept kept;
    /* List of all connections, whose readers own memory. */
    struct http_conn *first_conn;
    /* The body of request number echo_number, rendered again to compare the
     * response with it. */
    char *echo;
    size_t echo_len;
    uint64_t echo_number;
    /* Connections store the numbers of pending requests, for --urls and
     * WANTED_ECHO. */
    bool keeps_numbers;
    char location[CODEC_LOCATION_SIZE];
};

struct http_conn {
    struct http_response response;
    /* The first kind of the connection's target. */
    const struct http_request *request;
    uint32_t conn_index;
    const struct template_value *named;
    /* Only with --mix: seed from which the kind of each request is drawn. */
    uint64_t random;
    /* Counted only if requests differ. */
    uint64_t sent_count;
    uint64_t answered_count;
    /* NULL before the connection is first made. */
    struct shared *shared;
    struct http_conn *next;
    struct wanted_reader reader;
    /* A CR before a response was skipped. An LF must follow. */
    bool awaits_feed;
    /* Only if keeps_numbers is set: numbers of pending requests, a ring of
     * --pipeline elements indexed by sent_count. */
    uint64_t numbers[];
};

static void codec_http_close(void *arg)
{
    struct shared *shared = arg;

    for (struct http_conn *conn = shared->first_conn; conn; conn = conn->next) {
        wanted_drop(&conn->reader);
    }
    http_load_fini(&shared->load);
    free(shared->echo);
    free(shared);
}

static int codec_http_open(const struct codec_thread *thread, void **ret_shared)
{
    const struct shared *first = thread->first;
    struct shared *shared = calloc(1, sizeof(*shared));

    if (!shared) {
        say("no memory for requests");
        return -ENOMEM;
    }
    http_kept_init(&shared->kept);
    int err = http_load_init(&shared->load, thread->options, false,
                             first ? &first->load : NULL);
    shared->keeps_numbers =
        thread->options->urls || shared->load.wanted.kind == WANTED_ECHO;
    shared->echo_number = UINT64_MAX;
    if (err == 0 && shared->load.wanted.kind == WANTED_ECHO) {
        shared->echo = malloc(shared->load.scratch_size);
        if (!shared->echo) {
            say("no memory for a request");
            err = -ENOMEM;
        }
    }
    if (err < 0) {
        codec_http_close(shared);
        return err;
    }
    *ret_shared = shared;
    return 0;
}

/* Returns the number in the run of a pending request. @place is its index on
 * the connection. */
static uint64_t get_number(const struct shared *shared,
                           const struct http_conn *conn, uint64_t place)
{
    return conn->numbers[place % shared->load.options->depth];
}

/* Returns the connection's request with index @place. With --urls it must be
 * pending. */
static const struct http_request *find_request(const struct shared *shared,
                                               const struct http_conn *conn,
                                               uint64_t place)
{
    const struct run_options *options = shared->load.options;

    return &conn->request[options_choose_kind(
        options, payload_mix(conn->random + place),
        options->urls ? get_number(shared, conn, place) : 0)];
}

/* Sets whether the next response answers a HEAD request. With --urls this is
 * unknown until the request is sent. */
static void await_answer(const struct shared *shared, struct http_conn *conn)
{
    if (!shared->load.options->urls ||
        conn->answered_count < conn->sent_count) {
        conn->response.is_head_request =
            find_request(shared, conn, conn->answered_count)->is_head;
    }
}

/* Returns the body of the oldest pending request. Empty except for
 * WANTED_ECHO. */
static struct wanted_bytes get_echo(struct shared *shared,
                                    const struct http_conn *conn)
{
    if (shared->load.wanted.kind != WANTED_ECHO) {
        return (struct wanted_bytes){NULL, 0};
    }
    const struct http_request *request =
        find_request(shared, conn, conn->answered_count);
    const struct template_values values = {
        .seq = get_number(shared, conn, conn->answered_count),
        .conn = conn->conn_index,
        .seed = shared->load.options->seed,
        .named = conn->named,
    };

    if (template_is_fixed(&request->body)) {
        return (struct wanted_bytes){request->body.bytes, request->body.len};
    }
    if (shared->echo_number != values.seq) {
        shared->echo_number = values.seq;
        shared->echo_len =
            template_render(&request->body, &values, shared->echo);
    }
    return (struct wanted_bytes){shared->echo, shared->echo_len};
}

static void take_body(void *arg, const uint8_t *data, size_t len)
{
    struct http_conn *conn = arg;
    struct shared *shared = conn->shared;

    wanted_read(&shared->load.wanted, &conn->reader, get_echo(shared, conn),
                data, len);
}

static void begin(void *arg, void *state, const struct codec_start *start)
{
    struct shared *shared = arg;
    const struct run_options *options = shared->load.options;
    struct http_conn *conn = state;

    conn->request = http_load_find(&shared->load, start->target);
    conn->conn_index = start->conn_index;
    conn->named = start->named;
    if (start->repeat_count > 0) { /* unanswered requests are sent again */
        conn->sent_count -= conn->sent_count > 0 ? start->repeat_count : 0;
    } else {
        conn->random =
            payload_chance(options->seed, start->conn_index, start->generation);
        conn->sent_count = 0;
    }
    conn->answered_count = conn->sent_count;
    conn->awaits_feed = false;
    http_response_init(&conn->response, false);
    await_answer(shared, conn);
    if (!conn->shared) {
        conn->shared = shared;
        conn->next = shared->first_conn;
        shared->first_conn = conn;
    }
    wanted_begin(&conn->reader);
    if (shared->load.wanted.kind != WANTED_ANY) {
        conn->response.take_body = take_body;
        conn->response.take_arg = conn;
    }
}

static int append(void *arg, void *state, const struct codec_batch *batch,
                  struct codec_out *out)
{
    const struct shared *shared = arg;
    struct http_conn *conn = state;
    int err = 0;

    if (conn->request->bytes && !shared->load.is_varied) {
        const uint32_t last = batch->has_last && shared->load.last_offset > 0;
        const struct http_request *request = conn->request;
        err = codec_write_same(out, request->bytes, request->len,
                               request->copies, batch->count - last);
        if (last == 0 || err < 0) {
            return err;
        }
        request += shared->load.last_offset;
        return codec_write_ref(out, request->bytes, request->len);
    }
    for (uint32_t i = 0; i < batch->count && err == 0; i++) {
        const bool is_last = batch->has_last && i + 1 == batch->count;
        const uint64_t number = batch->number + i * batch->stride;
        if (shared->keeps_numbers) {
            conn->numbers[conn->sent_count % shared->load.options->depth] =
                number;
            if (conn->sent_count == conn->answered_count) {
                conn->response.is_head_request =
                    find_request(shared, conn, conn->sent_count)->is_head;
            }
        }
        const struct http_request *request =
            find_request(shared, conn, conn->sent_count);
        codec_tell_line(out, i, (size_t)(request - conn->request));
        request += is_last ? shared->load.last_offset : 0;
        conn->sent_count++;
        if (request->bytes) {
            err = codec_write_ref(out, request->bytes, request->len);
            continue;
        }
        const struct template_values values = {
            .seq = number,
            .conn = conn->conn_index,
            .seed = shared->load.options->seed,
            .named = conn->named,
        };
        const size_t len =
            http_request_render(request, &values, shared->load.scratch);
        err = codec_write(out, shared->load.scratch, len);
    }
    return err;
}

static void judge(struct shared *shared, struct http_conn *conn,
                  struct codec_answer *answer)
{
    answer->is_complete = true;
    answer->status = http_response_status(&conn->response);
    answer->ends_connection = !http_response_may_go_on(&conn->response);
    answer->code = 0;
    if (!http_load_takes_any(&shared->load, answer->status)) {
        http_load_judge(&shared->load, conn->response.is_head_request,
                        conn->response.body_bytes, &conn->reader,
                        get_echo(shared, conn), answer);
        answer->is_waited_out = answer->code == ERROR_STATUS &&
                                answer->status == WAITED_OUT_STATUS &&
                                answer->ends_connection;
        wanted_begin(&conn->reader);
    }
}

static const char *find_value(const char *head, const char *end,
                              const char *name)
{
    const size_t len = strlen(name);
    const char *at = memchr(head, '\n', (size_t)(end - head));

    while (at) {
        at++;
        if ((size_t)(end - at) > len && strncasecmp(at, name, len) == 0) {
            return at + len;
        }
        at = memchr(at, '\n', (size_t)(end - at));
    }
    return NULL;
}

/* Returns the value of the Location field in the cached head, or NULL. Lines
 * may end with LF alone. Bytes that a URL must not have become '?'. */
static const char *find_location(struct shared *shared)
{
    const struct http_kept *kept = &shared->kept;
    const char *head = (const char *)kept->bytes;
    const char *end = head + kept->len;
    const char *at = find_value(head, end, "Location:");
    size_t len = 0;

    while (at && at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (at && at < end && !strchr("\r\n \t", *at)) {
        if (len + 1 == sizeof(shared->location)) {
            return NULL;
        }
        shared->location[len++] = *at > ' ' && *at < 0x7F ? *at : '?';
        at++;
    }
    shared->location[len] = '\0';
    return at ? shared->location : NULL;
}

/* Returns true if the bytes contain a server's hint to use TLS. */
static bool says_tls(const uint8_t *bytes, size_t len)
{
    /* Texts of nginx, Go, Apache and Tomcat. */
    static const char *const words[] = {"sent to HTTPS port", "an HTTPS server",
                                        "SSL-enabled server", "requires TLS"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (memmem(bytes, len, words[i], strlen(words[i]))) {
            return true;
        }
    }
    return false;
}

/* Checks a response for a redirect or for a hint to use TLS. */
static void look_elsewhere(struct shared *shared, const uint8_t *bytes,
                           size_t len, struct codec_answer *answer)
{
    if (answer->status / 100 == 3 &&
        shared->kept.head.status == answer->status) {
        answer->location = find_location(shared);
        if (answer->code == ERROR_STATUS && answer->location) {
            const size_t len_now = strlen(answer->detail);
            snprintf(answer->detail + len_now, ERRORS_DETAIL_SIZE - len_now,
                     ", which leads to %.400s", answer->location);
        }
    } else if (answer->status == WRONG_SCHEME_STATUS &&
               answer->code == ERROR_STATUS && says_tls(bytes, len)) {
        answer->code = ERROR_WANTS_TLS;
    }
}

/* Skips line ends after a body, which some servers add but do not count. */
static size_t skip_blank_lines(struct http_conn *conn, const uint8_t *bytes,
                               size_t len)
{
    size_t at = 0;

    if (conn->response.state != HTTP_COMPLETE) {
        return 0;
    }
    while (at < len && bytes[at] == (conn->awaits_feed ? '\n' : '\r')) {
        conn->awaits_feed = !conn->awaits_feed;
        at++;
    }
    return at;
}

static ssize_t consume(void *arg, void *state, const uint8_t *bytes, size_t len,
                       struct codec_answer *answer)
{
    struct shared *shared = arg;
    struct http_conn *conn = state;

    const size_t blank = skip_blank_lines(conn, bytes, len);
    if (blank == len) {
        answer->is_blank = true;
        return (ssize_t)len;
    }
    const ssize_t used = http_response_read(&conn->response, &shared->kept,
                                            bytes + blank, len - blank);
    if (used < 0) {
        http_response_describe(&conn->response, (int)used, answer->detail,
                               ERRORS_DETAIL_SIZE);
    } else if (conn->response.state == HTTP_COMPLETE) {
        judge(shared, conn, answer);
        if (answer->status >= REDIRECT_STATUS) {
            look_elsewhere(shared, bytes, len, answer);
        }
        conn->answered_count++;
        if (shared->load.is_varied) {
            await_answer(shared, conn);
        }
    } else {
        wanted_keep(&conn->reader);
    }
    return used < 0 ? used : used + (ssize_t)blank;
}

/* Reads bytes while no request is pending: interim responses are skipped, and
 * 408 announces the end of the connection (RFC 9110, section 15.5.9). */
static ssize_t stray(void *arg, void *state, const uint8_t *bytes, size_t len,
                     struct codec_answer *answer)
{
    struct shared *shared = arg;
    struct http_conn *conn = state;

    const size_t blank = skip_blank_lines(conn, bytes, len);
    if (blank == len) {
        return (ssize_t)len;
    }
    const ssize_t used = http_response_read(&conn->response, &shared->kept,
                                            bytes + blank, len - blank);
    if (used < 0 || conn->response.state != HTTP_COMPLETE) {
        wanted_keep(&conn->reader);
        return used < 0 ? used : (ssize_t)len;
    }
    answer->is_complete = true;
    answer->ends_connection = !http_response_may_go_on(&conn->response);
    return http_response_status(&conn->response) == WAITED_OUT_STATUS &&
                   answer->ends_connection
               ? (ssize_t)len
               : ERROR_SURPLUS;
}

static bool may_repeat(const void *arg, const void *state, uint32_t count)
{
    const struct shared *shared = arg;
    const struct http_conn *conn = state;

    if (!shared->load.is_varied) {
        return conn->request->is_idempotent;
    }
    for (uint32_t i = 1; i <= count; i++) {
        if (!find_request(shared, conn, conn->sent_count - i)->is_idempotent) {
            return false;
        }
    }
    return true;
}

static bool end(void *arg, void *state, struct codec_answer *answer)
{
    struct shared *shared = arg;
    struct http_conn *conn = state;

    if (http_response_end(&conn->response) < 0) {
        return false;
    }
    judge(shared, conn, answer);
    if (answer->status >= REDIRECT_STATUS) {
        look_elsewhere(shared, conn->response.shown, 0, answer);
    }
    return true;
}

static size_t more_size(const struct run_options *options)
{
    const char *wanted = options->http.wanted;

    return options->urls || (wanted && strcmp(wanted, "echo") == 0)
               ? (size_t)options->depth * sizeof(uint64_t)
               : 0;
}

const struct codec codec_http = {
    .name = "http",
    .state_size = sizeof(struct http_conn),
    .more_size = more_size,
    .open = codec_http_open,
    .close = codec_http_close,
    .begin = begin,
    .append = append,
    .consume = consume,
    .stray = stray,
    .may_repeat = may_repeat,
    .announces_end = http_load_announces_end,
    .end = end,
};
