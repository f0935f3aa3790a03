/*
 * libFuzzer's entry to weir-load's reader of Redis' replies: the bytes of a
 * connection, of which the first says how they are cut. Whole, in pieces and
 * byte by byte, they are the same replies or the same fault. The bytes are also
 * a command: one that is understood is sent as a reply that ends with its last
 * byte, whatever its words are.
 *
 * Seeds: the replies of tests/unit/load_resp.c, one a file, behind a byte.
 *
 *     ninja tests/fuzz/fuzz-resp
 *     tests/fuzz/fuzz-resp CORPUS
 */
#include "tools/weir-load/redis/resp.h"
#include "tests/fuzz/check.h"
#include "tools/weir-load/request/request.h"

#include <stdlib.h>
#include <string.h>

enum { REPLIES_MAX = 16, COMMAND_MAX = 4096 };

struct seen {
    size_t count;
    size_t used;
    enum resp_fault fault;
    enum resp_kind kinds[REPLIES_MAX];
    uint64_t sizes[REPLIES_MAX];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(const uint8_t *data, size_t size, size_t piece,
                     struct seen *seen)
{
    struct resp_reader reader;

    memset(&reader, 0, sizeof(reader));
    memset(seen, 0, sizeof(*seen));
    while (seen->used < size && seen->count < REPLIES_MAX) {
        const size_t left = size - seen->used;
        const size_t len = piece < left ? piece : left;
        const ssize_t part = resp_read(&reader, data + seen->used, len);
        if (part < 0) {
            check(reader.fault != RESP_FAULT_NONE);
            check(strlen(resp_fault_text(reader.fault)) > 10);
            seen->fault = reader.fault;
            seen->used = 0;
            return;
        }
        check(part > 0 && (size_t)part <= len);
        check((size_t)part == len || reader.state == RESP_COMPLETE);
        check(reader.depth <= RESP_DEPTH_MAX);
        seen->used += (size_t)part;
        if (reader.state == RESP_COMPLETE) {
            check(reader.depth == 0 && reader.attributes == 0);
            seen->kinds[seen->count] = reader.kind;
            seen->sizes[seen->count++] = reader.total_bytes;
            resp_reset(&reader);
        }
    }
}

static void read_command(const uint8_t *data, size_t size)
{
    const struct template_values values = {.seq = 1, .seed = 2};
    char text[COMMAND_MAX + 1];
    char why[WHY_SIZE];
    struct redis_command command;
    struct seen seen;

    if (size > COMMAND_MAX || memchr(data, '{', size)) {
        return; /* a place may name a file */
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (redis_command_parse(text, &command, why) < 0) {
        check(why[0] != '\0');
        return;
    }
    char *out = malloc(command.size_max);
    check(out != NULL);
    const size_t len = redis_command_render(&command, &values, out);
    check(len <= command.size_max);
    read_all((const uint8_t *)out, len, len, &seen);
    check(seen.count == 1 && seen.used == len);
    free(out);
    redis_command_fini(&command);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct seen whole;
    static struct seen pieces;

    if (size < 2) {
        return 0;
    }
    read_command(data + 1, size - 1);
    read_all(data + 1, size - 1, size, &whole);
    read_all(data + 1, size - 1, 1U + data[0] % 64U, &pieces);
    check(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    read_all(data + 1, size - 1, 1, &pieces);
    check(memcmp(&whole, &pieces, sizeof(whole)) == 0);
    return 0;
}
