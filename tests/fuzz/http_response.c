/*
 * libFuzzer's entry to the tools' reader of HTTP: the bytes of a connection, of
 * which the first two say how they are cut and whether the requests were HEAD.
 * Whole and in pieces, with a kept head and without, they are the same answers.
 * The bytes are also a request: one that is understood has no line that LF
 * alone ends, and no folded one.
 *
 *     ninja tests/fuzz/fuzz-http-response
 *     tests/fuzz/fuzz-http-response CORPUS
 */
#include "tests/fuzz/check.h"
#include "tools/weir-load/http1/http1.h"

#include <stdlib.h>
#include <string.h>

enum { ANSWERS_MAX = 16 };

/* What a connection has carried. */
struct seen {
    size_t count;
    ssize_t err;
    uint64_t sizes[ANSWERS_MAX];
    uint64_t bodies[ANSWERS_MAX];
    uint16_t statuses[ANSWERS_MAX];
    bool goes_on[ANSWERS_MAX];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(struct seen *seen, const struct http_response *response)
{
    check(response->body_bytes <= response->size_bytes);
    seen->sizes[seen->count] = response->size_bytes;
    seen->bodies[seen->count] = response->body_bytes;
    seen->statuses[seen->count] = http_response_status(response);
    seen->goes_on[seen->count] = http_response_may_go_on(response);
    check(seen->statuses[seen->count] >= 200);
    check(seen->statuses[seen->count] < 1000);
    seen->count++;
}

/* In pieces of so many bytes; 0: whole. */
static void read_all(const uint8_t *data, size_t size, size_t piece,
                     bool is_head, struct seen *seen)
{
    struct http_kept kept;
    struct http_response response;
    char text[HTTP_DESCRIPTION_SIZE];
    size_t used = 0;

    memset(seen, 0, sizeof(*seen));
    http_kept_init(&kept);
    http_response_init(&response, is_head);
    while (used < size && seen->count < ANSWERS_MAX) {
        const size_t left = size - used;
        const size_t len = piece > 0 && piece < left ? piece : left;
        const ssize_t part =
            http_response_read(&response, &kept, data + used, len);
        if (part < 0) {
            seen->err = part;
            check(http_error_name((int)part) != NULL);
            check(strlen(http_response_describe(&response, (int)part, text,
                                                sizeof(text))) > 20);
            return;
        }
        check(part > 0 && (size_t)part <= len);
        check((size_t)part == len || response.state == HTTP_COMPLETE);
        used += (size_t)part;
        if (response.state == HTTP_COMPLETE) {
            take(seen, &response);
        }
    }
    if (response.state != HTTP_COMPLETE && http_response_end(&response) == 0) {
        take(seen, &response);
    }
}

/* The bytes as a request's head. */
static void read_request(const uint8_t *data, size_t size)
{
    struct http_request_line line;
    const int status = http_request_read((const char *)data, size, &line);

    check(status == 0 || status == 400 || status == 431 || status == 505);
    if (status != 0) {
        return;
    }
    const uint8_t *at = (const uint8_t *)line.method;
    const uint8_t *const end = data + size;
    while (at[0] != '\r' || at[1] != '\n') { /* the empty line is the last */
        const uint8_t *feed = memchr(at, '\n', (size_t)(end - at));
        check(feed && feed > at && feed[-1] == '\r');
        at = feed + 1;
        check(end - at >= 2 && at[0] != ' ' && at[0] != '\t');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole;
    static struct seen pieces;

    if (size < 2) {
        return 0;
    }
    read_request(data + 2, size - 2);
    const bool is_head = data[1] % 2;
    read_all(data + 2, size - 2, 0, is_head, &whole);
    read_all(data + 2, size - 2, 1 + data[0] % 64, is_head, &pieces);
    check(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    read_all(data + 2, size - 2, 1, is_head, &pieces);
    check(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    return 0;
}
