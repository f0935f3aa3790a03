/*
 * WebSocket as a codec: a request is a message, which the server echoes. The
 * payload is from codec_payload.c or the command line. Every byte of a response
 * is compared in the receive buffer.
 *
 * Messages are masked, as RFC 6455 requires from clients, so they are copied.
 * Pings are answered and counted. A close by the server is an error while
 * requests are pending. Text messages consist of letters, because text must be
 * UTF-8.
 */
#include "tools/weir-load/codec/codec.h"

#include "tools/common/console.h"
#include "tools/weir-load/http1/http1.h"
#include "ws_frame.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SCRATCH_SIZE (32U << 10)

struct shared {
    const struct run_options *options;
    struct codec_payload *payload;
    /* Value of -b, or NULL if messages are from the payload stream. */
    const char *body;
    size_t body_len;
    enum ws_opcode opcode;
    char *protocols;
    uint8_t scratch[SCRATCH_SIZE];
};

struct ws_conn {
    const struct target *target;
    struct codec_out *out;
    uint32_t conn_index;
    struct codec_place place;
    /* Number of masks made; the next mask is computed from it. */
    uint64_t frames;
    /* Bytes of the current response so far, and the offset in the payload
     * stream of its next byte. */
    uint64_t partial_bytes;
    uint32_t receive_at;
    char key[WS_KEY_SIZE];
    /* The reader is used after the handshake. */
    union {
        struct ws_handshake handshake;
        struct ws_reader reader;
    };
};

static void codec_ws_close(void *arg)
{
    struct shared *shared = arg;

    codec_payload_close(shared->payload);
    free(shared->protocols);
    free(shared);
}

/* Joins the values of all Sec-WebSocket-Protocol fields with commas. Returns 0
 * or -ENOMEM. */
static int list_protocols(const struct http_options *http, char **ret)
{
    static const char name[] = "Sec-WebSocket-Protocol:";
    size_t len = 0;
    FILE *file = NULL;

    for (size_t i = 0; i < http->field_count; i++) {
        if (strncasecmp(http->fields[i], name, sizeof(name) - 1) != 0) {
            continue;
        }
        file = file ? file : open_memstream(ret, &len);
        if (!file) {
            return -ENOMEM;
        }
        fprintf(file, "%s,", http->fields[i] + sizeof(name) - 1);
    }
    return !file || fclose(file) == 0 ? 0 : -ENOMEM;
}

static int codec_ws_open(const struct codec_thread *thread, void **ret_shared)
{
    const struct run_options *options = thread->options;
    struct shared *shared = calloc(1, sizeof(*shared));
    void *payload = NULL;

    if (!shared) {
        say("no memory for messages");
        return -ENOMEM;
    }
    if (list_protocols(&options->http, &shared->protocols) < 0) {
        say("no memory for messages");
        codec_ws_close(shared);
        return -ENOMEM;
    }
    const int err = codec_payload_open(thread, &payload);
    if (err < 0) {
        codec_ws_close(shared);
        return err;
    }
    shared->options = options;
    shared->payload = payload;
    shared->body = options->http.body;
    shared->body_len = shared->body ? strlen(shared->body) : 0;
    shared->opcode = options->ws_is_text ? WS_TEXT : WS_BINARY;
    if (options->ws_is_text) {
        for (size_t i = 0; i < sizeof(shared->payload->stream.bytes); i++) {
            shared->payload->stream.bytes[i] =
                (uint8_t)('a' + (shared->payload->stream.bytes[i] & 15));
        }
    }
    *ret_shared = shared;
    return 0;
}

static void begin(void *arg, void *state, const struct codec_start *start)
{
    const struct shared *shared = arg;
    struct ws_conn *conn = state;
    const struct codec_place place =
        codec_payload_begin(shared->payload, start);

    *conn = (struct ws_conn){
        .target = start->target,
        .conn_index = start->conn_index,
        .place = place,
        .receive_at = place.send_at,
        .handshake.protocols = shared->protocols,
    };
}

static void write_request(const struct shared *shared, struct ws_conn *conn,
                          FILE *file)
{
    const struct http_options *http = &shared->options->http;
    const struct target *target = conn->target;
    char host[HTTP_HOST_SIZE];
    bool has_host = false;

    fprintf(file,
            "GET %s HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
            target->path ? target->path : "/", conn->key);
    for (size_t i = 0; i < http->field_count; i++) {
        const char *colon = strchr(http->fields[i], ':');
        has_host |= strncasecmp(http->fields[i], "Host:", 5) == 0;
        if (colon && colon[1 + strspn(colon + 1, " \t")]) {
            fprintf(file, "%s\r\n", http->fields[i]);
        }
    }
    if (!has_host) {
        http_load_print_host(target, host, sizeof(host));
        fprintf(file, "Host: %s\r\n", host);
    }
    fputs("\r\n", file);
}

static int greet(void *arg, void *state, struct codec_out *out)
{
    const struct shared *shared = arg;
    struct ws_conn *conn = state;
    char *bytes = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&bytes, &len);

    conn->out = out;
    if (!file) {
        return -ENOMEM;
    }
    ws_make_key(payload_mix(conn->place.random + 1),
                payload_mix(conn->place.random + 2), conn->key);
    write_request(shared, conn, file);
    int err = fclose(file) == 0 ? 0 : -ENOMEM;
    if (err == 0) {
        err = codec_write(out, bytes, len);
    }
    free(bytes);
    return err < 0 ? err : 1;
}

static ssize_t welcome(void *arg, void *state, const uint8_t *bytes, size_t len,
                       struct codec_answer *answer)
{
    struct ws_conn *conn = state;
    struct ws_handshake *handshake = &conn->handshake;

    const ssize_t used = ws_handshake_read(handshake, bytes, len);
    if (used >= 0 && !handshake->is_over) {
        return used;
    }
    const char *fault = used < 0 ? "it is no answer of HTTP"
                                 : ws_handshake_judge(handshake, conn->key);
    if (fault && handshake->status != 0 && handshake->status != 101) {
        snprintf(answer->detail, ERRORS_DETAIL_SIZE,
                 "connection %u: status %u in place of 101", conn->conn_index,
                 handshake->status);
    } else if (fault) {
        snprintf(answer->detail, ERRORS_DETAIL_SIZE, "connection %u: %s",
                 conn->conn_index, fault);
    }
    if (fault) {
        return ERROR_NO_WEBSOCKET;
    }
    conn->reader = (struct ws_reader){.fault = WS_FAULT_NONE};
    answer->is_complete = true;
    return used;
}

/* Masks are computed from the seed, so that a run can be repeated. */
static void make_mask(struct ws_conn *conn, uint8_t ret[4])
{
    const uint64_t random =
        payload_mix(conn->place.random ^ payload_mix(++conn->frames));

    memcpy(ret, &random, 4);
}

static size_t message_size(const struct shared *shared,
                           const struct ws_conn *conn, uint64_t number)
{
    return shared->body
               ? shared->body_len
               : codec_payload_send_size(shared->payload, &conn->place, number);
}

/* Bytes in the scratch buffer that are not written yet. */
struct filling {
    struct codec_out *out;
    size_t len;
};

static int flush(struct shared *shared, struct filling *filling)
{
    const size_t len = filling->len;

    filling->len = 0;
    return len > 0 ? codec_write(filling->out, shared->scratch, len) : 0;
}

static int append_message(struct shared *shared, struct ws_conn *conn,
                          struct filling *filling)
{
    const size_t size = message_size(shared, conn, conn->place.sent_count++);
    uint8_t mask[4];
    int err = 0;

    if (filling->len + WS_HEAD_MAX > SCRATCH_SIZE) {
        err = flush(shared, filling);
    }
    make_mask(conn, mask);
    filling->len += ws_write_head(shared->opcode, true, size, mask,
                                  shared->scratch + filling->len);
    for (size_t at = 0; at < size && err == 0;) {
        const size_t room = SCRATCH_SIZE - filling->len;
        const size_t part = size - at < room ? size - at : room;
        ws_mask(shared->scratch + filling->len,
                shared->body
                    ? (const uint8_t *)shared->body + at
                    : shared->payload->stream.bytes + conn->place.send_at,
                part, mask, at);
        conn->place.send_at = payload_after(conn->place.send_at, part);
        filling->len += part;
        at += part;
        err = filling->len == SCRATCH_SIZE ? flush(shared, filling) : 0;
    }
    return err;
}

static int append(void *arg, void *state, const struct codec_batch *batch,
                  struct codec_out *out)
{
    struct shared *shared = arg;
    struct filling filling = {.out = out};
    int err = 0;

    for (uint32_t i = 0; i < batch->count && err == 0; i++) {
        err = append_message(shared, state, &filling);
    }
    return err < 0 ? err : flush(shared, &filling);
}

static int write_control(struct ws_conn *conn, enum ws_opcode opcode,
                         const uint8_t *data, size_t len)
{
    uint8_t bytes[WS_CONTROL_SIZE];
    uint8_t mask[4];

    make_mask(conn, mask);
    return codec_write(conn->out, bytes,
                       ws_write_control(opcode, data, len, mask, bytes));
}

static int farewell(void *arg, void *state, struct codec_out *out)
{
    static const uint8_t code[] = {WS_CODE_NORMAL >> 8, WS_CODE_NORMAL & 0xff};

    return write_control(state, WS_CLOSE, code, sizeof(code));
}

static ssize_t refuse_echo(const struct ws_conn *conn, const char *what,
                           struct codec_answer *answer)
{
    snprintf(answer->detail, ERRORS_DETAIL_SIZE,
             "connection %u, message %llu: %s", conn->conn_index,
             LLU(conn->place.answered_count), what);
    return ERROR_WRONG_ECHO;
}

static ssize_t compare(const struct shared *shared, struct ws_conn *conn,
                       const struct ws_piece *piece,
                       struct codec_answer *answer)
{
    const size_t size = message_size(shared, conn, conn->place.answered_count);
    char what[96];

    if (piece->len > size - conn->partial_bytes) {
        return refuse_echo(conn, "the answer is longer than what was sent",
                           answer);
    }
    const uint8_t *body = (const uint8_t *)shared->body;
    size_t good = 0;
    if (body) {
        const uint8_t *wanted = body + conn->partial_bytes;
        while (good < piece->len && piece->data[good] == wanted[good]) {
            good++;
        }
    } else {
        good = payload_match(&shared->payload->stream, conn->receive_at,
                             piece->data, piece->len);
    }
    if (good < piece->len) {
        snprintf(what, sizeof(what), "byte %llu is 0x%02x, which was not sent",
                 LLU(conn->partial_bytes + good), piece->data[good]);
        return refuse_echo(conn, what, answer);
    }
    conn->partial_bytes += piece->len;
    conn->receive_at = payload_after(conn->receive_at, piece->len);
    return 0;
}

static ssize_t end_message(const struct shared *shared, struct ws_conn *conn,
                           struct codec_answer *answer)
{
    if (conn->partial_bytes <
        message_size(shared, conn, conn->place.answered_count)) {
        return refuse_echo(conn, "the answer is shorter than what was sent",
                           answer);
    }
    conn->partial_bytes = 0;
    conn->place.answered_count++;
    answer->is_complete = true;
    return 0;
}

static void describe_close(const struct ws_conn *conn,
                           const struct ws_piece *piece,
                           struct codec_answer *answer)
{
    char reason[WS_CONTROL_MAX + 1] = "";

    for (size_t i = 2; i < piece->len; i++) {
        const uint8_t byte = piece->data[i];
        reason[i - 2] = byte >= ' ' && byte < 0x7f ? (char)byte : '?';
    }
    snprintf(answer->detail, ERRORS_DETAIL_SIZE, "connection %u: code %u%s%s",
             conn->conn_index, ws_close_code(piece->data, piece->len),
             reason[0] ? ", " : "", reason);
}

/* Handles a control frame. A close is answered and ends the connection. It is
 * an error if a response is pending (@is_idle is false). */
static ssize_t take_control(struct ws_conn *conn, const struct ws_piece *piece,
                            bool is_idle, struct codec_answer *answer)
{
    int err = 0;

    if (conn->reader.opcode == WS_PING) {
        err = write_control(conn, WS_PONG, piece->data, piece->len);
        codec_count_ping(conn->out);
    } else if (conn->reader.opcode == WS_CLOSE) {
        err =
            write_control(conn, WS_CLOSE, piece->data, piece->len < 2 ? 0 : 2);
        describe_close(conn, piece, answer);
        if (!is_idle &&
            conn->place.sent_count > conn->place.answered_count + 1) {
            return ERROR_WEBSOCKET_CLOSE; /* all pending requests fail */
        }
        answer->is_complete = true;
        answer->ends_connection = true;
        answer->code = is_idle ? 0 : ERROR_WEBSOCKET_CLOSE;
    }
    (void)err; /* if the write fails, the connection is lost anyway */
    return 0;
}

static ssize_t take_frame(const struct shared *shared, struct ws_conn *conn,
                          const struct ws_piece *piece,
                          struct codec_answer *answer)
{
    if (conn->reader.message_opcode != shared->opcode) {
        return refuse_echo(conn,
                           shared->opcode == WS_TEXT
                               ? "the answer is binary, and text was sent"
                               : "the answer is text, and binary was sent",
                           answer);
    }
    return piece->ends_message ? end_message(shared, conn, answer) : 0;
}

static ssize_t take_piece(const struct shared *shared, struct ws_conn *conn,
                          const struct ws_piece *piece,
                          struct codec_answer *answer)
{
    ssize_t err = 0;

    switch (piece->found) {
    case WS_FOUND_FRAME:
        return take_frame(shared, conn, piece, answer);
    case WS_FOUND_DATA:
        err = compare(shared, conn, piece, answer);
        return err == 0 && piece->ends_message
                   ? end_message(shared, conn, answer)
                   : err;
    case WS_FOUND_CONTROL:
        return take_control(conn, piece, false, answer);
    default:
        return 0;
    }
}

static ssize_t refuse_frame(const struct ws_conn *conn,
                            struct codec_answer *answer)
{
    snprintf(answer->detail, ERRORS_DETAIL_SIZE, "connection %u: %s",
             conn->conn_index, ws_fault_text(conn->reader.fault));
    return ERROR_WEBSOCKET;
}

static ssize_t consume(void *arg, void *state, const uint8_t *bytes, size_t len,
                       struct codec_answer *answer)
{
    const struct shared *shared = arg;
    struct ws_conn *conn = state;
    size_t at = 0;

    while (at < len && !answer->is_complete) {
        struct ws_piece piece;
        const ssize_t used =
            ws_read(&conn->reader, bytes + at, len - at, &piece);
        if (used < 0) {
            return refuse_frame(conn, answer);
        }
        at += (size_t)used;
        const ssize_t err = take_piece(shared, conn, &piece, answer);
        if (err < 0) {
            return err;
        }
    }
    answer->is_blank = !answer->is_complete && conn->partial_bytes == 0;
    return (ssize_t)at;
}

/* Reads bytes while no request is pending: control frames are allowed, messages
 * are not. */
static ssize_t stray(void *arg, void *state, const uint8_t *bytes, size_t len,
                     struct codec_answer *answer)
{
    struct ws_conn *conn = state;
    size_t at = 0;

    while (at < len && !answer->is_complete) {
        struct ws_piece piece;
        const ssize_t used =
            ws_read(&conn->reader, bytes + at, len - at, &piece);
        if (used < 0 || piece.found == WS_FOUND_FRAME) {
            return used < 0 ? refuse_frame(conn, answer) : ERROR_SURPLUS;
        }
        at += (size_t)used;
        if (piece.found == WS_FOUND_CONTROL) {
            take_control(conn, &piece, true, answer);
        }
    }
    return (ssize_t)len;
}

const struct codec codec_ws = {
    .name = "ws",
    .state_size = sizeof(struct ws_conn),
    .open = codec_ws_open,
    .close = codec_ws_close,
    .begin = begin,
    .greet = greet,
    .welcome = welcome,
    .farewell = farewell,
    .append = append,
    .consume = consume,
    .stray = stray,
};
