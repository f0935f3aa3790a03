/*
 * A codec for protocols in which one request has one answer. The request is a
 * template (template.c), and a rule defines where its answer ends (script.c).
 *
 * A request without placeholders is stored several times in a row, so that a
 * batch is one write without a copy.
 */
#include "codec.h"

#include "tools/common/console.h"
#include "tools/common/http_head.h"
#include "tools/load/payload.h"
#include "tools/weir-load/request/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limit in bytes of the copies of one request. */
#define COPIES_BYTES (64U << 10)

struct request {
    struct template template;
    const struct script_rule *rule;
    /* Copies of a request without placeholders, or NULL if it has some. */
    char *bytes;
    size_t len;
    uint32_t copies;
};

struct shared {
    const struct run_options *options;
    /* One request, or one for each kind. Owned by the first thread; the others
     * read them. */
    struct request *requests;
    size_t request_count;
    bool owns_requests;
    /* Buffer for one request with its placeholders replaced. */
    char *scratch;
};

struct script_conn {
    struct script_reader reader;
    uint32_t conn_index;
    const struct template_value *named;
    /* The previous answer is complete. The reader keeps its start for
     * messages. */
    bool is_over;
    /* Only with --mix: seed from which the kind of each request is drawn. */
    uint64_t random;
    uint64_t sent_count;
    uint64_t answered_count;
    /* Only with --urls: numbers of the requests in flight, a ring of --pipeline
     * elements indexed by sent_count. */
    uint64_t numbers[];
};

static void codec_script_close(void *arg)
{
    struct shared *shared = arg;

    for (size_t i = 0; shared->owns_requests && i < shared->request_count;
         i++) {
        template_fini(&shared->requests[i].template);
        free(shared->requests[i].bytes);
    }
    if (shared->owns_requests) {
        free(shared->requests);
    }
    free(shared->scratch);
    free(shared);
}

/* Stores a fixed request as often as a batch has requests, up to
 * COPIES_BYTES. */
static int make_copies(struct request *request, uint64_t depth)
{
    const struct template_values values = {0};
    const size_t size = request->template.size_max;
    const size_t fitting = COPIES_BYTES / size > 0 ? COPIES_BYTES / size : 1;

    if (!template_is_fixed(&request->template)) {
        return 0;
    }
    request->len = size;
    request->copies = (uint32_t)(depth < fitting ? depth : fitting);
    request->bytes = malloc(size * request->copies);
    if (!request->bytes) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < request->copies; i++) {
        template_render(&request->template, &values, request->bytes + i * size);
    }
    template_fini(&request->template);
    return 0;
}

static int make_request(struct shared *shared, const struct request_kind *kind,
                        char *why)
{
    const struct run_options *options = shared->options;
    struct request *request = &shared->requests[shared->request_count];

    int err =
        script_request_parse(kind ? kind->request : options->script.request,
                             &request->template, why);
    if (err < 0) {
        return err;
    }
    shared->request_count++;
    err =
        template_bind(&request->template, options->data, TEMPLATE_IN_BODY, why);
    if (err < 0) {
        return err;
    }
    request->rule = kind ? kind->rule : &options->script.rule;
    return make_copies(request, kind ? 1 : options->depth);
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
        err = make_request(shared, options->kinds ? &options->kinds[i] : NULL,
                           why);
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
        const size_t size = shared->requests[i].template.size_max;
        size_max = size > size_max ? size : size_max;
    }
    shared->scratch = malloc(size_max);
    return shared->scratch ? 0 : -ENOMEM;
}

static int codec_script_open(const struct codec_thread *thread,
                             void **ret_shared)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    char why[WHY_SIZE] = "no memory";

    if (!shared) {
        say("no memory for requests");
        return -ENOMEM;
    }
    shared->options = thread->options;
    int err = add_requests(shared, thread->first, why);
    if (err < 0) {
        say("%s: %s", options_requests_flag(shared->options), why);
        codec_script_close(shared);
        return err;
    }
    *ret_shared = shared;
    return 0;
}

static void begin(void *arg, void *state, const struct codec_start *start)
{
    const struct shared *shared = arg;

    *(struct script_conn *)state = (struct script_conn){
        .conn_index = start->conn_index,
        .named = start->named,
        .random = payload_chance(shared->options->seed, start->conn_index,
                                 start->generation),
    };
}

/* Returns the connection's request with index @place. With --urls it must be in
 * flight. */
static const struct request *find_request(const struct shared *shared,
                                          const struct script_conn *conn,
                                          uint64_t place)
{
    const struct run_options *options = shared->options;

    if (!options->kinds) {
        return &shared->requests[0];
    }
    return &shared
                ->requests[options->urls
                               ? urls_kind(
                                     options->urls,
                                     conn->numbers[place % options->depth])
                               : mix_choose(options->mix,
                                            payload_mix(conn->random + place))];
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
    struct script_conn *conn = state;
    int err = 0;

    if (shared->request_count == 1 && shared->requests[0].bytes) {
        conn->sent_count += batch->count;
        return append_same(&shared->requests[0], batch->count, out);
    }
    for (uint32_t i = 0; i < batch->count && err == 0; i++) {
        const uint64_t number = batch->number + i * batch->stride;
        if (shared->options->urls) {
            conn->numbers[conn->sent_count % shared->options->depth] = number;
        }
        const struct request *request =
            find_request(shared, conn, conn->sent_count++);
        codec_tell_line(out, i, (size_t)(request - shared->requests));
        if (request->bytes) {
            err = append_same(request, 1, out);
            continue;
        }
        const struct template_values values = {
            .seq = number,
            .conn = conn->conn_index,
            .seed = shared->options->seed,
            .named = conn->named,
        };
        const size_t len =
            template_render(&request->template, &values, shared->scratch);
        err = codec_write(out, shared->scratch, len);
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
    struct script_conn *conn = state;
    const struct script_rule *rule =
        find_request(shared, conn, conn->answered_count)->rule;

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
    conn->answered_count += answer->is_complete;
    if (answer->is_complete && !script_is_good(rule, &conn->reader)) {
        answer->code = ERROR_ANSWER;
        tell(conn, "it begins with", answer);
    }
    return used;
}

static size_t more_size(const struct run_options *options)
{
    return options->urls ? (size_t)options->depth * sizeof(uint64_t) : 0;
}

const struct codec codec_script = {
    .name = "script",
    .state_size = sizeof(struct script_conn),
    .more_size = more_size,
    .open = codec_script_open,
    .close = codec_script_close,
    .begin = begin,
    .append = append,
    .consume = consume,
};
