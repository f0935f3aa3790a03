/*
 * Redis as a codec. Requests are commands (redis_command.c). An error reply
 * counts as a failure that is named by its first word; errors inside an array,
 * such as the reply to EXEC, are not counted.
 *
 * A connection begins with HELLO 3, AUTH and SELECT, if the target requires
 * them (redis_url.c). A command that never changes is in memory several times
 * in a row, so that a batch is one write without a copy.
 */
#include "tools/weir-load/codec/codec.h"

#include "resp.h"
#include "tools/common/console.h"
#include "tools/common/http_head.h"
#include "tools/load/payload.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/request.h"
#include "tools/weir-load/target/target.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limit in bytes of the copies of one command. */
#define COPIES_BYTES (64U << 10)

/* Size of HELLO or AUTH with user and password, and of SELECT. */
#define GREETING_SIZE REDIS_PLAIN_SIZE(10, 2 * REDIS_LOGIN_MAX + 64)

#define SHOWN_SIZE 512

struct request {
    struct redis_command command;
    /* Copies of a command that never changes, or NULL if it changes. */
    char *bytes;
    size_t len;
    uint32_t copies;
};

struct shared {
    const struct run_options *options;
    /* One request, or with --mix and --urls one for each kind. Owned by the
     * first thread; the others read them. */
    struct request *requests;
    size_t request_count;
    bool owns_requests;
    char *scratch;
};

struct redis_conn {
    struct resp_reader reader;
    const struct target *target;
    uint32_t conn_index;
    /* Number of commands of the greeting whose replies have not arrived. */
    uint32_t greetings;
    /* Only with --mix: seed from which the kind of each request is drawn. */
    uint64_t random;
    uint64_t sent_count;
};

static void codec_redis_close(void *arg)
{
    struct shared *shared = arg;

    for (size_t i = 0; shared->owns_requests && i < shared->request_count;
         i++) {
        redis_command_fini(&shared->requests[i].command);
        free(shared->requests[i].bytes);
    }
    if (shared->owns_requests) {
        free(shared->requests);
    }
    free(shared->scratch);
    free(shared);
}

/* Stores a command that never changes as often as a batch has requests, up to
 * COPIES_BYTES. */
static int make_copies(struct request *request, uint64_t depth)
{
    const struct template_values values = {0};
    const size_t size = request->command.size_max;

    if (!redis_command_is_fixed(&request->command)) {
        return 0;
    }
    const size_t fitting = COPIES_BYTES / size > 0 ? COPIES_BYTES / size : 1;
    request->copies = (uint32_t)(depth < fitting ? depth : fitting);
    request->bytes = malloc(size * (request->copies + 1));
    if (!request->bytes) {
        return -ENOMEM;
    }
    request->len =
        redis_command_render(&request->command, &values, request->bytes);
    for (uint32_t i = 1; i < request->copies; i++) {
        memcpy(request->bytes + i * request->len, request->bytes, request->len);
    }
    return 0;
}

static int make_requests(struct shared *shared, char *why)
{
    const struct run_options *options = shared->options;
    const size_t count = options->kinds ? options->kind_count : 1;
    int err = 0;

    shared->owns_requests = true;
    shared->requests = calloc(count, sizeof(*shared->requests));
    if (!shared->requests) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && err == 0; i++) {
        struct request *request = &shared->requests[i];
        err = redis_command_parse(options->kinds ? options->kinds[i].request
                                                 : options->http.body,
                                  &request->command, why);
        if (err == 0) {
            shared->request_count++;
            err = redis_command_bind(&request->command, options->data, why);
        }
        if (err == 0) {
            err = make_copies(request, options->kinds ? 1 : options->depth);
        }
    }
    return err;
}

static int add_requests(struct shared *shared, const struct shared *first,
                        char *why)
{
    size_t size_max = 1;

    if (first) {
        shared->requests = first->requests;
        shared->request_count = first->request_count;
    } else {
        const int err = make_requests(shared, why);
        if (err < 0) {
            return err;
        }
    }
    for (size_t i = 0; i < shared->request_count; i++) {
        const size_t size = shared->requests[i].command.size_max;
        size_max = size > size_max ? size : size_max;
    }
    shared->scratch = malloc(size_max);
    return shared->scratch ? 0 : -ENOMEM;
}

static int codec_redis_open(const struct codec_thread *thread,
                            void **ret_shared)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    char why[WHY_SIZE] = "no memory";

    if (!shared) {
        say("no memory for requests");
        return -ENOMEM;
    }
    shared->options = thread->options;
    const int err = add_requests(shared, thread->first, why);
    if (err < 0) {
        say("the command: %s", why);
        codec_redis_close(shared);
        return err;
    }
    *ret_shared = shared;
    return 0;
}

static void begin(void *arg, void *state, const struct codec_start *start)
{
    const struct shared *shared = arg;
    struct redis_conn *conn = state;

    *conn = (struct redis_conn){
        .target = start->target,
        .conn_index = start->conn_index,
        .random = payload_chance(shared->options->seed, start->conn_index,
                                 start->generation),
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
    const struct shared *shared = arg;
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

/* Returns the next request of a connection. @number is its number in the
 * run. */
static const struct request *choose(const struct shared *shared,
                                    const struct redis_conn *conn,
                                    uint64_t number)
{
    const struct run_options *options = shared->options;

    if (!options->kinds) {
        return &shared->requests[0];
    }
    return &shared->requests[options->urls
                                 ? urls_kind(options->urls, number)
                                 : mix_choose(options->mix,
                                              payload_mix(conn->random +
                                                          conn->sent_count))];
}

static int append_same(const struct request *request, uint32_t count,
                       struct codec_out *out)
{
    int err = 0;

    while (count > 0 && err == 0) {
        const uint32_t part = count < request->copies ? count : request->copies;
        err = codec_write_ref(out, request->bytes, part * request->len);
        count -= part;
    }
    return err;
}

static int append(void *arg, void *state, const struct codec_batch *batch,
                  struct codec_out *out)
{
    const struct shared *shared = arg;
    struct redis_conn *conn = state;
    int err = 0;

    if (!shared->options->kinds && shared->requests[0].bytes) {
        return append_same(&shared->requests[0], batch->count, out);
    }
    for (uint32_t i = 0; i < batch->count && err == 0; i++) {
        const struct template_values values = {
            .seq = batch->number + i * batch->stride,
            .conn = conn->conn_index,
            .seed = shared->options->seed,
        };
        const struct request *request = choose(shared, conn, values.seq);
        codec_tell_line(out, i, (size_t)(request - shared->requests));
        conn->sent_count++;
        if (request->bytes) {
            err = codec_write_ref(out, request->bytes, request->len);
            continue;
        }
        const size_t len =
            redis_command_render(&request->command, &values, shared->scratch);
        err = codec_write(out, shared->scratch, len);
    }
    return err;
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
                     "connection %u: %s, in %s", conn->conn_index,
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
    .open = codec_redis_open,
    .close = codec_redis_close,
    .begin = begin,
    .greet = greet,
    .welcome = welcome,
    .append = append,
    .consume = consume,
    .stray = stray,
};
