/*
 * Reads the file of --data. Parses the texts of requests that have "{csv:" and
 * binds them to the file's columns, as the run does later, so that errors are
 * found before the run and in a dry run.
 */
#include "command.h"

#include "tools/common/console.h"
#include "tools/weir-load/request/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Returns true if requests may have {csv:}. With --mix or --urls this is always
 * true, because their files are read later. */
static bool may_have_fields(const struct run_options *options,
                            const struct options_given *given)
{
    bool may = given->file != NULL;

    for (int i = 0; i < options->argc && !may; i++) {
        may = strstr(options->argv[i], "{csv:") &&
              !preamble_find_text(options->argv, i);
    }
    return may;
}

/* Applies "--data-order once": the run ends after the last row. */
static bool settle_once(struct run_options *options,
                        const struct options_given *given,
                        const struct data *data)
{
    if (!may_have_fields(options, given)) {
        return true;
    }
    if (given->duration || options->stages ||
        options_has_conn_stages(options)) {
        return option_say(
            given->data_order,
            "the run ends when the rows of --data are used up; omit %s",
            given->duration   ? "-d"
            : options->stages ? "--stages"
                              : "--conn-stages");
    }
    if (options->warmup_ns > 0) {
        return option_say(given->data_order,
                          "a warm-up would use up rows; omit -w");
    }
    if (options->request_count == 0) {
        options->request_count = data->row_count;
    }
    return true;
}

bool settle_data(struct run_options *options, const struct options_given *given)
{
    static struct data data;
    char why[WHY_SIZE];
    char *bytes = NULL;
    size_t len = 0;

    if (!given->data) {
        return true;
    }
    const int err =
        template_read_file(options->data_path, DATA_SIZE_MAX, &bytes, &len);
    if (err < 0) {
        return option_say(given->data, "%s: %s", options->data_path,
                          err == -EFBIG ? "more than 2G" : strerror(-err));
    }
    if (data_parse(bytes, len, &data, why) < 0) {
        return option_say(given->data, "%s: %s", options->data_path, why);
    }
    data.order = options->data_order;
    data.seed = options->seed;
    options->data = &data;
    options->http.data = &data;
    return data.order != DATA_ONCE || settle_once(options, given, &data);
}

/* Returns a placeholder that a body file has, written to @text, or NULL.
 * Unreadable files are refused elsewhere. */
static const char *find_field(const struct run_options *options,
                              const char *path, char *text, size_t size)
{
    struct stat status;
    char *bytes = NULL;
    size_t len = 0;
    bool found = false;

    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode) ||
        template_read_file(path, TEMPLATE_SIZE_MAX, &bytes, &len) < 0) {
        return NULL;
    }
    if (options->data) {
        snprintf(text, size, "{csv:");
        found = memmem(bytes, len, text, strlen(text)) != NULL;
    }
    for (size_t i = 0;
         !found && options->preamble && i < template_count_names(); i++) {
        snprintf(text, size, "{%s}", template_name(i));
        found = memmem(bytes, len, text, strlen(text)) != NULL;
    }
    free(bytes);
    return found ? text : NULL;
}

/* Refuses placeholders in a file that is sent unchanged. */
static bool check_file(const struct run_options *options, const char *body)
{
    char text[TEMPLATE_NAME_SIZE + 8];
    const char *field = body && body[0] == '@'
                            ? find_field(options, body + 1, text, sizeof(text))
                            : NULL;

    if (field) {
        say("%.200s: the file has %s%s, and its bytes are sent as they are; "
            "fields are replaced only in a body on the command line or in a "
            "line of a file",
            body, field,
            field[1] == 'c' && strchr(field, ':') ? "COLUMN}" : "");
    }
    return !field;
}

static bool check_text(const struct run_options *options, const char *text,
                       enum template_place place, size_t *ret_count)
{
    struct template template;
    char why[WHY_SIZE];

    if (!text || !strstr(text, "{csv:") || text[0] == '@') {
        return true;
    }
    int err = options->mode == RUN_MODE_SCRIPT
                  ? script_request_parse(text, &template, why)
                  : template_parse(text, strlen(text), &template, why);
    if (err == 0) {
        err = template_bind(&template, options->data, place, why);
        *ret_count += template_count(&template, TEMPLATE_CSV);
        template_fini(&template);
    }
    if (err < 0) {
        say("%.200s: %s", text, why);
    }
    return err == 0;
}

static bool check_kind(const struct run_options *options,
                       const struct request_kind *kind, size_t *ret_count)
{
    const char *header = kind->headers;
    bool is_good =
        check_text(options, kind->path, TEMPLATE_IN_HEAD, ret_count) &&
        check_text(options, kind->body, TEMPLATE_IN_BODY, ret_count) &&
        check_file(options, kind->body) &&
        check_text(options, kind->request, TEMPLATE_IN_BODY, ret_count);

    for (size_t i = 0; i < kind->header_count && is_good; i++) {
        is_good = check_text(options, header, TEMPLATE_IN_HEADER, ret_count);
        header += strlen(header) + 1;
    }
    return is_good;
}

static bool check_requests(const struct run_options *options, size_t *ret_count)
{
    const struct http_options *http = &options->http;
    bool is_good =
        check_text(options, http->path, TEMPLATE_IN_HEAD, ret_count) &&
        check_text(options, http->body, TEMPLATE_IN_BODY, ret_count) &&
        check_file(options, http->body) &&
        check_text(options, options->script.request, TEMPLATE_IN_BODY,
                   ret_count);

    for (size_t i = 0; i < options->target_count && is_good; i++) {
        is_good = check_text(options, options->targets[i].path,
                             TEMPLATE_IN_HEAD, ret_count);
    }
    for (size_t i = 0; i < http->field_count && is_good; i++) {
        is_good =
            check_text(options, http->fields[i], TEMPLATE_IN_HEADER, ret_count);
    }
    for (size_t i = 0; i < options->kind_count && is_good; i++) {
        is_good = check_kind(options, &options->kinds[i], ret_count);
    }
    return is_good;
}

/* Checks that there is a row for the preamble of each connection. */
static bool check_connections(const struct run_options *options,
                              const struct options_given *given)
{
    const uint64_t conn_count = options->whole_conn_count;
    const size_t row_count = options->data->row_count;

    if (conn_count <= row_count) {
        return true;
    }
    if (options->data_order == DATA_ONCE) {
        return option_say(
            given->data_order,
            "the preambles of %llu connections need as many rows; "
            "there are %zu; -c %zu uses each once",
            LLU(conn_count), row_count, row_count);
    }
    say("warning: the preambles of %llu connections share %zu rows of --data",
        LLU(conn_count), row_count);
    return true;
}

bool settle_fields(const struct run_options *options,
                   const struct options_given *given)
{
    const struct preamble *preamble = options->preamble;
    char names[200];
    size_t count = 0;
    size_t preamble_count = 0;

    bool is_good = check_requests(options, &count);
    for (size_t i = 0; preamble && i < preamble->line_count && is_good; i++) {
        is_good =
            check_kind(options, &preamble->lines[i].kind, &preamble_count);
    }
    if (!is_good) {
        return false;
    }
    if (!options->data) {
        return true;
    }
    if (count + preamble_count == 0) {
        return option_say(given->data, "no request has {csv:COLUMN} of %s",
                          data_list(options->data, names, sizeof(names)));
    }
    if (preamble_count > 0 && !check_connections(options, given)) {
        return false;
    }
    if (count > 0 && options->data_order == DATA_ONCE &&
        (options->request_count == 0 ||
         options->request_count > options->data->row_count)) {
        return option_say(given->data_order,
                          "%llu requests need as many rows; there are %zu; -n "
                          "%zu uses each once",
                          LLU(options->request_count), options->data->row_count,
                          options->data->row_count);
    }
    return true;
}
