/*
 * A codec for protocols in which one request has one answer. The request is a
 * template (template.c), and a rule defines where its answer ends (script.c).
 * codec_requests.c writes the requests.
 */
#include "codec.h"

#include "tools/common/http_head.h"

#include <stdio.h>

struct script_conn {
    struct codec_requests_conn requests;
    struct script_reader reader;
    /* The previous answer is complete. The reader keeps its start for
     * messages. */
    bool is_over;
    uint64_t answered_count;
    /* Memory of requests.numbers, only with --urls. */
    uint64_t numbers[];
};

static void begin(void *arg, void *state, const struct codec_start *start)
{
    const struct codec_requests *shared = arg;
    struct script_conn *conn = state;

    *conn = (struct script_conn){
        .requests = codec_requests_begin(shared, start),
    };
    if (shared->options->urls) {
        conn->requests.numbers = conn->numbers;
    }
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
    const struct codec_requests *shared = arg;
    struct script_conn *conn = state;
    const uint64_t place = conn->answered_count;
    const uint64_t number = shared->options->urls
                                ? conn->numbers[place % shared->options->depth]
                                : 0;
    const struct script_rule *rule =
        codec_requests_find(shared, &conn->requests, place, number)->rule;

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
    .open = codec_requests_open,
    .close = codec_requests_close,
    .begin = begin,
    .append = codec_requests_append,
    .consume = consume,
};
