/*
 * Redis replies: where each ends, however its bytes are split, its kind, and
 * what is refused.
 *
 * Random replies with known ends are read in random pieces.
 */
#include "tools/weir-load/redis/resp.c"

#include "random.h"

/* Reads one reply in pieces. Returns its size, 0 if it is incomplete, or the
 * error. */
static ssize_t read_in_pieces(struct resp_reader *reader, const char *bytes,
                              size_t len, size_t piece)
{
    size_t used = 0;

    memset(reader, 0, sizeof(*reader));
    while (used < len && reader->state != RESP_COMPLETE) {
        const size_t left = len - used;
        const ssize_t part = resp_read(reader, (const uint8_t *)bytes + used,
                                       piece < left ? piece : left);
        if (part < 0) {
            return part;
        }
        expect_gt(part, 0);
        used += (size_t)part;
    }
    return reader->state == RESP_COMPLETE ? (ssize_t)used : 0;
}

static void ends_at(const char *bytes, size_t len, ssize_t wanted,
                    enum resp_kind kind)
{
    struct resp_reader reader;

    for (size_t piece = 1; piece <= len; piece++) {
        expect_eq(read_in_pieces(&reader, bytes, len, piece), wanted,
                  "'%s' in pieces of %zu", bytes, piece);
        if (wanted > 0) {
            expect_eq(reader.kind, kind, "'%s'", bytes);
        }
    }
}

/* A reply, with two more bytes after it. */
#define IS(bytes, kind)                                                        \
    ends_at(bytes "+O", sizeof(bytes "+O") - 1, sizeof(bytes) - 1, kind)
#define IS_PART(bytes) ends_at(bytes, sizeof(bytes) - 1, 0, RESP_VALUE)

static void refused(const char *bytes, size_t len, enum resp_fault fault)
{
    struct resp_reader reader;

    for (size_t piece = 1; piece <= len; piece++) {
        expect_eq(read_in_pieces(&reader, bytes, len, piece), -EBADMSG,
                  "'%s' in pieces of %zu", bytes, piece);
        expect_eq(reader.fault, fault, "'%s'", bytes);
    }
    expect_gt(strlen(resp_fault_text(fault)), 10U);
}

#define REFUSED(bytes, fault) refused(bytes, sizeof(bytes) - 1, fault)

UNIT(load_resp, replies_of_the_second_version_end_where_they_say)
{
    IS("+OK\r\n", RESP_VALUE);
    IS("+\r\n", RESP_VALUE);
    IS("-ERR no\r\n", RESP_ERROR);
    IS(":-12\r\n", RESP_VALUE);
    IS("$5\r\na\r\nbc\r\n", RESP_VALUE);
    IS("$0\r\n\r\n", RESP_VALUE);
    IS("*2\r\n$1\r\nx\r\n:1\r\n", RESP_VALUE);
    IS("*0\r\n", RESP_VALUE);
    IS("*2\r\n*0\r\n*2\r\n+a\r\n*1\r\n$-1\r\n", RESP_VALUE);
}

UNIT(load_resp, nil_is_an_answer_of_either_version)
{
    IS("$-1\r\n", RESP_NIL);
    IS("*-1\r\n", RESP_NIL);
    IS("_\r\n", RESP_NIL);
    IS("*1\r\n$-1\r\n", RESP_VALUE);
}

UNIT(load_resp, replies_of_the_third_version_end_where_they_say)
{
    IS("#t\r\n", RESP_VALUE);
    IS(",1.5e-3\r\n", RESP_VALUE);
    IS(",-inf\r\n", RESP_VALUE);
    IS("(3492890328409238509324850943850943825024385\r\n", RESP_VALUE);
    IS("=7\r\ntxt:abc\r\n", RESP_VALUE);
    IS("!5\r\nERR x\r\n", RESP_ERROR);
    IS("%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n_\r\n", RESP_VALUE);
    IS("~2\r\n#t\r\n#f\r\n", RESP_VALUE);
    IS(">2\r\n+pubsub\r\n+x\r\n", RESP_PUSH);
    IS("%0\r\n", RESP_VALUE);
}

UNIT(load_resp, attributes_belong_to_the_value_behind_them)
{
    IS("|1\r\n+ttl\r\n:3\r\n+OK\r\n", RESP_VALUE);
    IS("|1\r\n+ttl\r\n:3\r\n-ERR\r\n", RESP_ERROR);
    IS("|0\r\n_\r\n", RESP_NIL);
    IS("*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n+x\r\n+y\r\n", RESP_VALUE);
    IS_PART("|1\r\n+ttl\r\n:3\r\n");
}

UNIT(load_resp, what_is_shown_begins_behind_the_attributes)
{
    static const char bytes[] = "|1\r\n+ttl\r\n:5\r\n|1\r\n+a\r\n*1\r\n:1\r\n"
                                "-LOADING now\r\n";
    struct resp_reader reader;

    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        expect_eq(read_in_pieces(&reader, bytes, sizeof(bytes) - 1, piece),
                  (ssize_t)sizeof(bytes) - 1);
        expect_eq(reader.kind, RESP_ERROR);
        expect_eq(reader.shown_len, 14U, "in pieces of %zu", piece);
        cr_assert(memcmp(reader.shown, "-LOADING now\r\n", 14) == 0);
    }
}

UNIT(load_resp, parts_of_replies_are_waited_for)
{
    IS_PART("$5\r\nabcde\r");
    IS_PART("*2\r\n+a\r\n");
    IS_PART("+OK\r");
}

UNIT(load_resp, what_is_no_reply_is_refused_by_name)
{
    REFUSED("HTTP/1.1 400\r\n", RESP_FAULT_TYPE);
    REFUSED("+OK\n", RESP_FAULT_LINE);
    REFUSED("+O\rK", RESP_FAULT_LINE);
    REFUSED("$1\r\nab\r\n", RESP_FAULT_LINE);
    REFUSED("$1\r\na\r\r", RESP_FAULT_LINE);
    REFUSED(":x\r\n", RESP_FAULT_VALUE);
    REFUSED(":\r\n", RESP_FAULT_VALUE);
    REFUSED("#\r\n", RESP_FAULT_VALUE);
    REFUSED("#x\r\n", RESP_FAULT_VALUE);
    REFUSED("#tt\r\n", RESP_FAULT_VALUE);
    REFUSED("_x\r\n", RESP_FAULT_VALUE);
    REFUSED("$\r\n", RESP_FAULT_LENGTH);
    REFUSED("$-2\r\n", RESP_FAULT_LENGTH);
    REFUSED("$1a\r\n", RESP_FAULT_LENGTH);
    REFUSED("%-1\r\n", RESP_FAULT_LENGTH);
    REFUSED("*99999999999999999999\r\n", RESP_FAULT_LENGTH);
    REFUSED("$9999999999\r\n", RESP_FAULT_STRING);
    REFUSED("$536870913\r\n", RESP_FAULT_STRING);
    REFUSED("*268435457\r\n", RESP_FAULT_COUNT);
    REFUSED("*1\r\n>1\r\n+x\r\n", RESP_FAULT_PLACE);
}

UNIT(load_resp, streamed_replies_are_refused_by_name)
{
    REFUSED("$?\r\n;4\r\nHell\r\n;0\r\n", RESP_FAULT_STREAMED);
    REFUSED("*?\r\n:1\r\n.\r\n", RESP_FAULT_STREAMED);
    REFUSED(".\r\n", RESP_FAULT_STREAMED);
    REFUSED("%?\r\n", RESP_FAULT_STREAMED);
}

UNIT(load_resp, nesting_has_a_limit)
{
    char bytes[4 * RESP_DEPTH_MAX + 8] = "";

    for (size_t i = 0; i < RESP_DEPTH_MAX; i++) {
        strcat(bytes, "*1\r\n");
    }
    strcat(bytes, ":1\r\n");
    ends_at(bytes, strlen(bytes), (ssize_t)strlen(bytes), RESP_VALUE);
    strcpy(bytes + 4 * RESP_DEPTH_MAX, "*1\r\n");
    refused(bytes, strlen(bytes), RESP_FAULT_DEPTH);
}

UNIT(load_resp, lines_and_replies_have_a_largest_size)
{
    static char line[RESP_LINE_MAX + 4];
    struct resp_reader reader;

    memset(line, 'x', sizeof(line));
    line[0] = '+';
    memcpy(line + RESP_LINE_MAX + 1, "\r\n", 2);
    expect_eq(read_in_pieces(&reader, line, RESP_LINE_MAX + 3, 4096),
              (ssize_t)RESP_LINE_MAX + 3);
    line[RESP_LINE_MAX + 1] = 'x';
    expect_eq(read_in_pieces(&reader, line, RESP_LINE_MAX + 2, 4096), -EBADMSG);
    expect_eq(reader.fault, RESP_FAULT_LONG_LINE);

    memset(&reader, 0, sizeof(reader));
    expect_eq(resp_read(&reader, (const uint8_t *)"*9\r\n", 4), 4);
    reader.total_bytes = RESP_REPLY_MAX;
    expect_eq(resp_read(&reader, (const uint8_t *)"+", 1), -EBADMSG);
    expect_eq(reader.fault, RESP_FAULT_SIZE);
}

struct text {
    char bytes[8192];
    size_t len;
};

static void put(struct text *text, const char *bytes)
{
    const size_t len = strlen(bytes);

    assert(text->len + len < sizeof(text->bytes));
    memcpy(text->bytes + text->len, bytes, len);
    text->len += len;
}

/* Makes a value; if the text is already long, few further ones follow. */
static void make_value(struct unit_random *chance, struct text *text,
                       uint32_t depth)
{
    static const char *const simple[] = {
        "+a b\r\n",           ":+7\r\n",        "#f\r\n",    "_\r\n", "$-1\r\n",
        "$4\r\n\r\n\r\n\r\n", "-ERR in it\r\n", ",3.14\r\n",
    };
    static const char types[] = "*~%|";
    char head[16];
    const uint32_t kind = (uint32_t)unit_random_below(chance, 12);

    if (kind < 8 || depth == 5 || text->len > 4000) {
        put(text, simple[kind % 8]);
        return;
    }
    const char type = types[kind - 8];
    const uint32_t count = (uint32_t)unit_random_below(chance, 4);
    snprintf(head, sizeof(head), "%c%u\r\n", type, count);
    put(text, head);
    const uint32_t values = type == '%' || type == '|' ? 2 * count : count;
    for (uint32_t i = 0; i < values + (type == '|'); i++) {
        make_value(chance, text, depth + 1);
    }
}

UNIT(load_resp, random_replies_end_with_their_last_byte)
{
    static struct text text;
    struct resp_reader reader;
    struct unit_random chance;

    unit_random_seed(&chance);
    for (int round = 0; round < 5000; round++) {
        text.len = 0;
        make_value(&chance, &text, 0);
        expect_eq(read_in_pieces(&reader, text.bytes, text.len,
                                 1 + unit_random_below(&chance, 40)),
                  (ssize_t)text.len, "'%.*s'", (int)text.len, text.bytes);
        expect_eq(read_in_pieces(&reader, text.bytes, text.len - 1, 7), 0);
    }
}
