/*
 * The requests of a run over HTTP, and the responses that it expects. A
 * response fails if its status is not expected, by default if it is 400 or
 * above. A response with an expected status fails if its body is not the
 * required one.
 */
#include "http1.h"

#include "tools/common/console.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void http_load_print_host(const struct target *target, char *text, size_t size)
{
    const uint16_t usual = target->is_tls ? 443 : 80;
    const bool is_inet6 = strchr(target->host, ':') != NULL;
    char port[16] = "";

    if (target->host[0] == '\0') {
        snprintf(text, size, "localhost");
        return;
    }
    if (target->port != usual) {
        snprintf(port, sizeof(port), ":%u", target->port);
    }
    const int len = (int)strcspn(target->host, is_inet6 ? "%" : "");
    snprintf(text, size, "%s%.*s%s%s", is_inet6 ? "[" : "", len, target->host,
             is_inet6 ? "]" : "", port);
}

/* Applies the settings of a kind, which override the options. Fields of -H are
 * kept unless the kind has a field of that name. */
static int take_kind(struct http_options *http, const struct request_kind *kind,
                     char *why)
{
    const struct http_options flags = *http;
    const char *header = kind->headers;

    http->method = kind->method;
    http->body = kind->body;
    if (kind->header_count == 0) {
        return 0;
    }
    http->field_count = kind->header_count;
    for (size_t i = 0; i < kind->header_count; i++) {
        http->fields[i] = header;
        header += strlen(header) + 1;
    }
    for (size_t i = 0; i < flags.field_count; i++) {
        const char *field = flags.fields[i];
        if (http_is_given(http, kind->header_count, field,
                          strcspn(field, ":"))) {
            continue;
        }
        if (http->field_count == HTTP_FIELDS_MAX) {
            return why_refuse(why, -E2BIG, "more than %u headers, including -H",
                              HTTP_FIELDS_MAX);
        }
        http->fields[http->field_count++] = field;
    }
    return 0;
}

int http_load_make(struct http_options *http, const struct target *target,
                   const struct request_kind *kind, size_t copies,
                   struct http_request *ret, char *why)
{
    char host[HTTP_HOST_SIZE];
    const char *path = target->path ? target->path : http->path;

    if (kind) {
        const int err = take_kind(http, kind, why);
        if (err < 0) {
            return err;
        }
        path = kind->path;
    }
    http_load_print_host(target, host, sizeof(host));
    return http_request_init(ret, http, host, path ? path : "/", copies, why);
}

/* Adds a request. If @kind is NULL, the options define it. */
static int add_request(struct http_load *self, const struct target *target,
                       const struct request_kind *kind, bool is_last)
{
    struct http_options http = self->options->http;
    char why[WHY_SIZE];

    http.is_last = is_last;
    struct http_request *request = &self->requests[self->request_count];
    const int err =
        http_load_make(&http, target, kind,
                       kind ? 1 : (size_t)self->options->depth, request, why);
    if (err < 0) {
        say("%s: %s", target->text, why);
        return err;
    }
    if (request->bytes && !self->is_v2) {
        template_fini(&request->head); /* the copies include the head */
    }
    self->request_count++;
    return 0;
}

bool http_load_announces_end(const struct run_options *options)
{
    bool closes = false;

    return options->requests_per_conn > 0 &&
           (!http_has_connection(&options->http, &closes) || closes);
}

static int make_requests(struct http_load *self)
{
    const struct run_options *options = self->options;
    const size_t kind_count = options->kinds ? options->kind_count : 1;
    const size_t count = options->target_count * kind_count;
    const bool has_end = !self->is_v2 && http_load_announces_end(options);
    const bool is_last = has_end && options->requests_per_conn_max == 1;
    const bool has_both = has_end && !is_last;

    self->owns_requests = true;
    self->last_offset = has_both ? count : 0;
    self->requests =
        calloc(has_both ? 2 * count : count, sizeof(*self->requests));
    if (!self->requests) {
        say("no memory for requests");
        return -ENOMEM;
    }
    for (size_t i = 0; i < (has_both ? 2 * count : count); i++) {
        const int err =
            add_request(self, &options->targets[i % count / kind_count],
                        options->kinds ? &options->kinds[i % kind_count] : NULL,
                        is_last || i >= count);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

int http_load_init(struct http_load *self, const struct run_options *options,
                   bool is_v2, const struct http_load *first)
{
    const char *wanted = options->http.wanted;
    char why[WHY_SIZE];

    *self = (struct http_load){
        .options = options,
        .is_v2 = is_v2,
        .is_varied = options->kinds != NULL,
    };
    int err = wanted ? wanted_parse(wanted, &self->wanted, why) : 0;
    if (err < 0) {
        say("--expect: %s", why);
    } else if (first) {
        self->requests = first->requests;
        self->request_count = first->request_count;
        self->last_offset = first->last_offset;
    } else {
        err = make_requests(self);
    }
    for (size_t i = 0; err == 0 && i < self->request_count; i++) {
        const size_t size = self->requests[i].size_max;
        self->scratch_size =
            size > self->scratch_size ? size : self->scratch_size;
    }
    self->scratch = err == 0 ? malloc(self->scratch_size) : NULL;
    if (err == 0 && !self->scratch) {
        say("no memory for a request");
        return -ENOMEM;
    }
    return err;
}

void http_load_fini(struct http_load *self)
{
    for (size_t i = 0; self->owns_requests && i < self->request_count; i++) {
        http_request_fini(&self->requests[i]);
    }
    wanted_fini(&self->wanted);
    if (self->owns_requests) {
        free(self->requests);
    }
    free(self->scratch);
}

const struct http_request *http_load_find(const struct http_load *self,
                                          const struct target *target)
{
    const struct run_options *options = self->options;
    const size_t index = (size_t)(target - options->targets);

    return &self->requests[index * (options->kinds ? options->kind_count : 1)];
}

void http_load_judge(const struct http_load *self, bool is_head_request,
                     uint64_t body_bytes, const struct wanted_reader *reader,
                     struct wanted_bytes echo, struct codec_answer *answer)
{
    const struct http_options *http = &self->options->http;
    const bool is_expected = http->has_expected
                                 ? http->expected[answer->status]
                                 : answer->status < HTTP_FAILURE_STATUS;

    answer->code = 0;
    if (!is_expected) {
        answer->code = ERROR_STATUS;
        snprintf(answer->detail, ERRORS_DETAIL_SIZE,
                 "status %u, a body of %llu bytes", answer->status,
                 LLU(body_bytes));
    } else if (self->wanted.kind != WANTED_ANY && !is_head_request) {
        answer->code = wanted_judge(&self->wanted, reader, echo, answer->detail,
                                    ERRORS_DETAIL_SIZE);
    }
}
