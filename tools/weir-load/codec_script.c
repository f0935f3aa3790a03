/*
 * Any protocol in which one request has one answer, as a codec: the request is
 * a template (template.h), and a rule says where its answer ends (script.h).
 *
 * A request that is always the same lies in memory several times in a row, so
 * that a batch is one write without a copy.
 */
#include "codec.h"

#include "http_response.h"
#include "script.h"
#include "template.h"
#include "tools/common/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Copies in a row are at most so many bytes. */
#define COPIES_BYTES (64U << 10)

struct shared {
    const struct run_options *options;
    struct template request;
    /* One that is not always the same is put together here; else the copies. */
    char *bytes;
    size_t len;
    uint32_t copies;
    bool is_fixed;
};

struct script_conn {
    struct script_reader reader;
    uint32_t conn_index;
    /* The answer before is complete; the reader still shows it. */
    bool is_over;
};

/* ---- what connections share ---- */

static void codec_script_close(void *arg)
{
    struct shared *shared = arg;

    template_fini(&shared->request);
    free(shared->bytes);
    free(shared);
}

static int make_request(struct shared *shared, char *why)
{
    const char *text = shared->options->script.request;
    char *bytes = malloc(strlen(text) + 1);
    size_t at = 0;

    if (!bytes) {
        return -ENOMEM;
    }
    const ssize_t len = script_unescape(text, bytes, &at);
    const int err =
        len < 0 ? (int)len
                : template_parse(bytes, (size_t)len, &shared->request, why);
    free(bytes);
    return err;
}

/* The request as often as a batch may need it, where it is always the same. */
static int make_copies(struct shared *shared)
{
    const struct template_values values = {0};
    const size_t size = shared->request.size_max;
    const size_t fitting = COPIES_BYTES / size > 0 ? COPIES_BYTES / size : 1;
    const uint64_t depth = shared->options->depth;

    shared->is_fixed = template_is_fixed(&shared->request);
    shared->len = size;
    shared->copies = (uint32_t)(depth < fitting ? depth : fitting);
    shared->bytes = malloc(size * shared->copies);
    if (!shared->bytes) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < shared->copies && shared->is_fixed; i++) {
        template_render(&shared->request, &values, shared->bytes + i * size);
    }
    return 0;
}

static int codec_script_open(const struct codec_thread *thread,
                             void **ret_shared)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    char why[TEMPLATE_WHY_SIZE] = "no memory";

    if (!shared) {
        say("no memory for the request");
        return -ENOMEM;
    }
    shared->options = thread->options;
    int err = make_request(shared, why);
    if (err == 0) {
        err = make_copies(shared);
    }
    if (err < 0) {
        say("--request: %s", why);
        codec_script_close(shared);
        return err;
    }
    *ret_shared = shared;
    return 0;
}

/* ---- a connection ---- */

static void begin(void *arg, void *state, const struct codec_start *start)
{
    (void)arg;
    *(struct script_conn *)state =
        (struct script_conn){.conn_index = start->conn_index};
}

static int append_same(const struct shared *shared, uint32_t count,
                       struct codec_out *out)
{
    int err = 0;

    while (count > 0 && err == 0) {
        const uint32_t part = count < shared->copies ? count : shared->copies;
        err = codec_write_ref(out, shared->bytes, part * shared->len);
        count -= part;
    }
    return err;
}

static int append(void *arg, void *state, const struct codec_batch *batch,
                  struct codec_out *out)
{
    const struct shared *shared = arg;
    const struct script_conn *conn = state;
    int err = 0;

    if (shared->is_fixed) {
        return append_same(shared, batch->count, out);
    }
    for (uint32_t i = 0; i < batch->count && err == 0; i++) {
        const struct template_values values = {
            .seq = batch->number + i * batch->stride,
            .conn = conn->conn_index,
            .seed = shared->options->seed,
        };
        const size_t len =
            template_render(&shared->request, &values, shared->bytes);
        err = codec_write(out, shared->bytes, len);
    }
    return err;
}

static void tell(const struct script_conn *conn, const char *what,
                 struct codec_answer *answer)
{
    const struct script_reader *reader = &conn->reader;
    const size_t len =
        reader->shown_len < HTTP_SHOWN_MAX ? reader->shown_len : HTTP_SHOWN_MAX;
    char quoted[ERRORS_DETAIL_SIZE];

    snprintf(answer->detail, ERRORS_DETAIL_SIZE, "%s %.160s", what,
             http_quote(reader->shown, len, quoted, sizeof(quoted)));
}

static ssize_t consume(void *arg, void *state, const uint8_t *bytes, size_t len,
                       struct codec_answer *answer)
{
    const struct shared *shared = arg;
    const struct script_rule *rule = &shared->options->script.rule;
    struct script_conn *conn = state;

    if (conn->is_over) {
        conn->reader = (struct script_reader){.size_bytes = 0};
        conn->is_over = false;
    }
    const ssize_t used =
        script_read(rule, &conn->reader, bytes, len, &answer->is_complete);
    if (used < 0) {
        tell(conn, "the length field of", answer);
        return ERROR_LENGTH;
    }
    conn->is_over = answer->is_complete;
    if (answer->is_complete && !script_is_good(rule, &conn->reader)) {
        answer->code = ERROR_ANSWER;
        tell(conn, "it begins with", answer);
    }
    return used;
}

const struct codec codec_script = {
    .name = "script",
    .state_size = sizeof(struct script_conn),
    .open = codec_script_open,
    .close = codec_script_close,
    .begin = begin,
    .append = append,
    .consume = consume,
};
