/*
 * Redis as a codec. Requests are commands (redis_command.c). An error reply
 * counts as a failure that is named by its first word; errors inside an array,
 * such as the reply to EXEC, are not counted.
 *
 * A connection begins with HELLO 3, AUTH and SELECT, if the target requires
 * them (redis_url.c).
 */
#include "tools/weir-load/codec/codec.h"

#include "resp.h"
#include "tools/common/http_head.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/request.h"
#include "tools/weir-load/target/target.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* Size of HELLO or AUTH with user and password, and of SELECT. */
#define GREETING_SIZE REDIS_PLAIN_SIZE(10, 2 * REDIS_LOGIN_MAX + 64)

#define SHOWN_SIZE 512

struct redis_conn {
    struct codec_requests_conn requests;
    struct resp_reader reader;
    const struct target *target;
    /* Number of commands of the greeting whose replies have not arrived. */
    uint32_t greetings;
};

static void begin(void *arg, void *state, const struct codec_start *start)
{
    *(struct redis_conn *)state = (struct redis_conn){
        .requests = codec_requests_begin(arg, start),
        .target = start->target,
    };
}

/* Writes a command. Words that are NULL are left out. */
static size_t add_command(const char *const *words, size_t count, char *out,
                          uint32_t *greetings)
{
    const char *given[8];
    size_t given_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (words[i]) {
            given[given_count++] = words[i];
        }
    }
    (*greetings)++;
    return redis_command_write(given, given_count, out);
}

static bool selects(const struct redis_place *place)
{
    return place->number[strspn(place->number, "0")] != '\0';
}

static size_t write_greeting(const struct redis_options *login,
                             const struct redis_place *place, char *out,
                             uint32_t *greetings)
{
    const char *user = login->user[0] ? login->user : NULL;
    size_t len = 0;

    if (place->is_resp3) {
        const bool has_login = login->has_login;
        const char *const hello[] = {
            "HELLO",
            "3",
            has_login ? "AUTH" : NULL,
            !has_login ? NULL
            : user     ? user
                       : "default",
            has_login ? login->password : NULL,
        };
        len += add_command(hello, 5, out + len, greetings);
    } else if (login->has_login) {
        const char *const words[] = {"AUTH", user, login->password};
        len += add_command(words, 3, out + len, greetings);
    }
    if (selects(place)) {
        const char *const words[] = {"SELECT", place->number};
        len += add_command(words, 2, out + len, greetings);
    }
    return len;
}

static int greet(void *arg, void *state, struct codec_out *out)
{
    const struct codec_requests *shared = arg;
    struct redis_conn *conn = state;
    struct redis_place place;
    char bytes[GREETING_SIZE];

    if (redis_url_read_place(conn->target->path, &place)) {
        return 0; /* unreachable: such a URL is refused before the run */
    }
    const size_t len = write_greeting(&shared->options->redis, &place, bytes,
                                      &conn->greetings);
    assert(len <= sizeof(bytes));
    if (len == 0) {
        return 0;
    }
    const int err = codec_write(out, bytes, len);
    return err < 0 ? err : 1;
}

static size_t word_size(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len && text[at] > ' ' && text[at] < 0x7f) {
        at++;
    }
    return at;
}

/* Quotes a reply. Of a reply to the greeting only the first word is quoted:
 * servers repeat text that they do not understand, which may be the
 * password. */
static const char *quote(const struct redis_conn *conn, char *text)
{
    const struct resp_reader *reader = &conn->reader;
    const size_t len = conn->greetings > 0
                           ? word_size(reader->shown, reader->shown_len)
                           : reader->shown_len;

    return http_quote((const uint8_t *)reader->shown, len, text, SHOWN_SIZE);
}

/* Returns the text of an error like "-WRONGTYPE text" or "!21\r\nSYNTAX text",
 * without the type and the length. */
static const char *find_error(const struct resp_reader *reader, size_t *ret_len)
{
    const char *text = reader->shown + 1;
    size_t len = reader->shown_len - 1;

    if (reader->shown[0] == '!') {
        const char *feed = memchr(text, '\n', len);
        len = feed ? len - (size_t)(feed + 1 - text) : 0;
        text = feed ? feed + 1 : text;
    }
    *ret_len = len;
    return text;
}

/* Parses a reply or a part of it, and skips push messages. */
static ssize_t read_reply(struct redis_conn *conn, const uint8_t *bytes,
                          size_t len, struct codec_answer *answer)
{
    struct resp_reader *reader = &conn->reader;
    char shown[SHOWN_SIZE];
    size_t at = 0;

    while (at < len && !answer->is_complete) {
        if (reader->state == RESP_COMPLETE) {
            resp_reset(reader);
        }
        const ssize_t used = resp_read(reader, bytes + at, len - at);
        if (used < 0) {
            snprintf(answer->detail, ERRORS_DETAIL_SIZE,
                     "connection %u: %s, in %s", conn->requests.conn_index,
                     resp_fault_text(reader->fault), quote(conn, shown));
            return ERROR_RESP;
        }
        at += (size_t)used;
        answer->is_complete =
            reader->state == RESP_COMPLETE && reader->kind != RESP_PUSH;
    }
    answer->is_blank = reader->kind == RESP_PUSH; /* or bytes after a reply */
    if (answer->is_complete && reader->kind == RESP_ERROR) {
        size_t error_len = 0;
        const char *error = find_error(reader, &error_len);
        answer->code = redis_error_of(error, error_len);
        snprintf(answer->detail, ERRORS_DETAIL_SIZE, "%s", quote(conn, shown));
    }
    return (ssize_t)at;
}

/* Describes which command of the greeting was refused. The text of a refused
 * SELECT is shown, because it has no secret. */
static void describe_refusal(const struct redis_conn *conn,
                             struct codec_answer *answer)
{
    struct redis_place place;
    char shown[SHOWN_SIZE];
    size_t len = 0;
    const char *text = find_error(&conn->reader, &len);

    (void)redis_url_read_place(conn->target->path, &place);
    const bool is_select = conn->greetings == 1 && selects(&place);
    const bool is_hello = !is_select && place.is_resp3;
    const bool is_unknown = memmem(text, len, "unknown command", 15) ||
                            (len >= 7 && memcmp(text, "NOPROTO", 7) == 0);
    const char *end = is_select ? memchr(text, '\r', len) : NULL;
    const size_t part = end ? (size_t)(end - text) : word_size(text, len);
    snprintf(answer->detail, ERRORS_DETAIL_SIZE, "%s: %s%s",
             is_select  ? "SELECT"
             : is_hello ? "HELLO"
                        : "AUTH",
             http_quote((const uint8_t *)text, part, shown, sizeof(shown)),
             is_hello && is_unknown
                 ? "; the server has no HELLO 3; leave ?protocol=3 out"
                 : "");
}

static ssize_t welcome(void *arg, void *state, const uint8_t *bytes, size_t len,
                       struct codec_answer *answer)
{
    struct redis_conn *conn = state;
    size_t at = 0;

    while (at < len && conn->greetings > 0) {
        answer->is_complete = false;
        const ssize_t used = read_reply(conn, bytes + at, len - at, answer);
        if (used < 0) {
            return used;
        }
        if (answer->code < 0) {
            describe_refusal(conn, answer);
            return answer->code;
        }
        at += (size_t)used;
        conn->greetings -= answer->is_complete;
    }
    answer->is_complete = conn->greetings == 0;
    return (ssize_t)at;
}

static ssize_t consume(void *arg, void *state, const uint8_t *bytes, size_t len,
                       struct codec_answer *answer)
{
    return read_reply(state, bytes, len, answer);
}

/* Reads bytes while no request is in flight: push messages of RESP3 are
 * allowed, replies are not. */
static ssize_t stray(void *arg, void *state, const uint8_t *bytes, size_t len,
                     struct codec_answer *answer)
{
    const ssize_t used = read_reply(state, bytes, len, answer);
    if (used >= 0 && answer->is_complete) {
        return ERROR_SURPLUS;
    }
    return used;
}

const struct codec codec_redis = {
    .name = "redis",
    .state_size = sizeof(struct redis_conn),
    .open = codec_requests_open,
    .close = codec_requests_close,
    .begin = begin,
    .greet = greet,
    .welcome = welcome,
    .append = codec_requests_append,
    .consume = consume,
    .stray = stray,
};
