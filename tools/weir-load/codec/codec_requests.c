/*
 * Makes and writes the requests of the codecs script and redis. script.c and
 * redis_command.c parse them. The memory of a parsed request is freed when its
 * copies are made, because --urls may have a million of them.
 */
#include "codec.h"

#include "tools/common/console.h"
#include "tools/load/payload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Limit in bytes of the copies of one request. */
#define COPIES_BYTES (64U << 10)

void codec_requests_close(void *arg)
{
    struct codec_requests *shared = arg;

    for (size_t i = 0; shared->owns_list && i < shared->count; i++) {
        template_fini(&shared->list[i].script);
        redis_command_fini(&shared->list[i].command);
        free(shared->list[i].bytes);
    }
    if (shared->owns_list) {
        free(shared->list);
    }
    free(shared->scratch);
    free(shared);
}

static size_t size_of(const struct codec_request *request)
{
    return request->script.size_max + request->command.size_max;
}

static size_t render(const struct codec_request *request,
                     const struct template_values *values, char *out)
{
    return request->command.word_count > 0
               ? redis_command_render(&request->command, values, out)
               : template_render(&request->script, values, out);
}

/* Stores a request without placeholders as often as a batch has requests, up to
 * COPIES_BYTES. */
static int make_copies(struct codec_request *request, uint64_t depth)
{
    const struct template_values values = {0};
    const size_t size = size_of(request);
    const size_t fitting = COPIES_BYTES / size > 0 ? COPIES_BYTES / size : 1;

    if (!redis_command_is_fixed(&request->command) ||
        !template_is_fixed(&request->script)) {
        return 0;
    }
    request->copies = (uint32_t)(depth < fitting ? depth : fitting);
    request->bytes = malloc(size * request->copies);
    if (!request->bytes) {
        return -ENOMEM;
    }
    request->len = render(request, &values, request->bytes);
    for (uint32_t i = 1; i < request->copies; i++) {
        memcpy(request->bytes + i * request->len, request->bytes, request->len);
    }
    template_fini(&request->script);
    redis_command_fini(&request->command);
    return 0;
}

/* Makes a request. If @kind is NULL, the options define it. */
static int make_request(struct codec_requests *shared,
                        const struct request_kind *kind, char *why)
{
    const struct run_options *options = shared->options;
    struct codec_request *request = &shared->list[shared->count];
    int err = 0;

    if (options->mode == RUN_MODE_REDIS) {
        err = redis_command_parse(kind ? kind->request : options->http.body,
                                  &request->command, why);
    } else {
        err =
            script_request_parse(kind ? kind->request : options->script.request,
                                 &request->script, why);
        request->rule = kind ? kind->rule : &options->script.rule;
    }
    if (err < 0) {
        return err;
    }
    shared->count++;
    err = options->mode == RUN_MODE_REDIS
              ? redis_command_bind(&request->command, options->data, why)
              : template_bind(&request->script, options->data, TEMPLATE_IN_BODY,
                              why);
    return err < 0 ? err : make_copies(request, kind ? 1 : options->depth);
}

static int make_requests(struct codec_requests *shared, char *why)
{
    const struct run_options *options = shared->options;
    const size_t count = options->kinds ? options->kind_count : 1;
    int err = 0;

    shared->owns_list = true;
    shared->list = calloc(count, sizeof(*shared->list));
    if (!shared->list) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count && err == 0; i++) {
        err = make_request(shared, options->kinds ? &options->kinds[i] : NULL,
                           why);
    }
    return err;
}

static int add_requests(struct codec_requests *shared,
                        const struct codec_requests *first, char *why)
{
    size_t size_max = 1;
    int err = 0;

    if (first) {
        shared->list = first->list;
        shared->count = first->count;
    } else {
        err = make_requests(shared, why);
    }
    for (size_t i = 0; i < shared->count; i++) {
        const size_t size = size_of(&shared->list[i]);
        size_max = size > size_max ? size : size_max;
    }
    shared->scratch = malloc(size_max);
    return err < 0 || shared->scratch ? err : -ENOMEM;
}

int codec_requests_open(const struct codec_thread *thread, void **ret_shared)
{
    struct codec_requests *shared = calloc(1, sizeof(*shared));
    char why[WHY_SIZE] = "no memory";

    if (!shared) {
        say("no memory for requests");
        return -ENOMEM;
    }
    shared->options = thread->options;
    const int err = add_requests(shared, thread->first, why);
    if (err < 0) {
        say("%s: %s",
            shared->options->mode == RUN_MODE_REDIS
                ? "the command"
                : options_requests_flag(shared->options),
            why);
        codec_requests_close(shared);
        return err;
    }
    *ret_shared = shared;
    return 0;
}

struct codec_requests_conn
codec_requests_begin(const struct codec_requests *shared,
                     const struct codec_start *start)
{
    return (struct codec_requests_conn){
        .conn_index = start->conn_index,
        .named = start->named,
        .random = payload_chance(shared->options->seed, start->conn_index,
                                 start->generation),
    };
}

const struct codec_request *
codec_requests_find(const struct codec_requests *shared,
                    const struct codec_requests_conn *conn, uint64_t place,
                    uint64_t number)
{
    return &shared->list[options_choose_kind(
        shared->options, payload_mix(conn->random + place), number)];
}

int codec_requests_append(void *arg, void *state,
                          const struct codec_batch *batch,
                          struct codec_out *out)
{
    const struct codec_requests *shared = arg;
    struct codec_requests_conn *conn = state;
    const struct codec_request *request = &shared->list[0];
    int err = 0;

    if (shared->count == 1 && request->bytes) {
        conn->sent_count += batch->count;
        return codec_write_same(out, request->bytes, request->len,
                                request->copies, batch->count);
    }
    for (uint32_t i = 0; i < batch->count && err == 0; i++) {
        const struct template_values values = {
            .seq = batch->number + i * batch->stride,
            .conn = conn->conn_index,
            .seed = shared->options->seed,
            .named = conn->named,
        };
        if (conn->numbers) {
            conn->numbers[conn->sent_count % shared->options->depth] =
                values.seq;
        }
        request =
            codec_requests_find(shared, conn, conn->sent_count++, values.seq);
        codec_tell_line(out, i, (size_t)(request - shared->list));
        if (request->bytes) {
            err = codec_write_ref(out, request->bytes, request->len);
            continue;
        }
        const size_t len = render(request, &values, shared->scratch);
        err = codec_write(out, shared->scratch, len);
    }
    return err;
}
