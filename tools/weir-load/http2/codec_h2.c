/*
 * HTTP/2 as a codec: the requests of a thread. Heads without placeholders are
 * converted once. conn_h2 of h2_conn.c sends and receives instead of the
 * codec.
 */
#include "h2_session.h"

#include "http2.h"
#include "tools/common/console.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool h2_is_built(void)
{
    return true;
}

static void close_shared(void *arg)
{
    struct h2_shared *shared = arg;

    for (struct h2_conn *conn = shared->first_conn; conn; conn = conn->next) {
        nghttp2_session_del(conn->session);
        h2_answers_end(conn);
        h2_streams_drop(&conn->streams);
    }
    for (size_t i = 0; shared->owns_fixed && i < shared->load.request_count;
         i++) {
        free(shared->fixed[i].text);
        free(shared->fixed[i].fields);
    }
    if (shared->owns_fixed) {
        free(shared->fixed);
    }
    nghttp2_session_callbacks_del(shared->callbacks);
    nghttp2_option_del(shared->option);
    http_load_fini(&shared->load);
    h2_memory_fini(&shared->memory);
    free(shared);
}

/* Returns the content-length, or SIZE_MAX if it varies or is not sent. */
static size_t length_of(const struct http_request *request)
{
    return request->has_body && !request->is_chunked ? request->body.len
                                                     : SIZE_MAX;
}

static int fix_head(struct h2_shared *shared,
                    const struct http_request *request, bool is_tls,
                    struct h2_fixed *ret)
{
    static const struct template_values none;
    struct h2_head *head = &shared->head;

    ret->text = malloc(request->head.size_max + 1);
    if (!ret->text) {
        return -ENOMEM;
    }
    const size_t len = template_render(&request->head, &none, ret->text);
    h2_head_read(head, ret->text, len, is_tls, length_of(request), true);
    ret->count = head->count;
    ret->bytes = head->bytes;
    ret->fields = malloc(head->count * sizeof(*ret->fields));
    if (!ret->fields) {
        return -ENOMEM;
    }
    memcpy(ret->fields, head->first, head->count * sizeof(*ret->fields));
    if (length_of(request) != SIZE_MAX) { /* content-length is the last field */
        memcpy(ret->length, head->length, sizeof(ret->length));
        ret->fields[ret->count - 1].value = (uint8_t *)ret->length;
    }
    return 0;
}

static int fix_heads(struct h2_shared *shared, const struct h2_shared *first)
{
    const struct run_options *options = shared->load.options;
    const size_t kinds = options->kinds ? options->kind_count : 1;
    int err = 0;

    if (first) {
        shared->fixed = first->fixed;
        return 0;
    }
    shared->fixed = calloc(shared->load.request_count, sizeof(*shared->fixed));
    shared->owns_fixed = shared->fixed != NULL;
    for (size_t i = 0; shared->fixed && i < shared->load.request_count; i++) {
        const struct http_request *request = &shared->load.requests[i];
        if (request->bytes && err == 0) {
            err = fix_head(shared, request, options->targets[i / kinds].is_tls,
                           &shared->fixed[i]);
        }
    }
    return shared->fixed ? err : -ENOMEM;
}

static int open_shared(const struct codec_thread *thread, void **ret_shared)
{
    const struct h2_shared *first = thread->first;
    struct h2_shared *shared = calloc(1, sizeof(*shared));

    if (!shared) {
        say("no memory for requests");
        return -ENOMEM;
    }
    int err = http_load_init(&shared->load, thread->options, true,
                             first ? &first->load : NULL);
    if (err == 0) {
        err = fix_heads(shared, first);
        err = err < 0 ? err : h2_answers_prepare(shared);
        if (err < 0) {
            say("no memory for HTTP/2");
        }
    }
    if (err < 0) {
        close_shared(shared);
        return err;
    }
    *ret_shared = shared;
    return 0;
}

static size_t more_size(const struct run_options *options)
{
    return (size_t)options->depth * sizeof(struct h2_stream);
}

static void begin(void *arg, void *state, const struct codec_start *start)
{
    struct h2_shared *shared = arg;
    struct h2_conn *self = state;
    const uint32_t depth = (uint32_t)shared->load.options->depth;

    self->request = http_load_find(&shared->load, start->target);
    self->is_tls = start->target->is_tls;
    if (!self->shared) {
        self->shared = shared;
        self->next = shared->first_conn;
        shared->first_conn = self;
    }
    if (start->repeat_count == 0) {
        self->random = payload_chance(shared->load.options->seed,
                                      start->conn_index, start->generation);
        self->sent_count = 0;
        self->warmup_count = 0;
        h2_streams_init(&self->streams, self->places, depth);
    }
    self->has_settings = false;
    self->was_ready = false;
    self->was_limited = false;
    self->has_ended = false;
    self->location_id = 0;
    self->found = NULL;
    self->found_id = 0;
    self->writing_paused = false;
    self->is_leaving = false;
    self->write_err = 0;
    self->own_error = 0;
    self->reason[0] = '\0';
}

const struct codec codec_h2 = {
    .name = "http",
    .state_size = sizeof(struct h2_conn),
    .more_size = more_size,
    .open = open_shared,
    .close = close_shared,
    .begin = begin,
};
