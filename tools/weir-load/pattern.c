/*
 * A pattern is compiled into a row of operations, which are run without
 * recursion; a group is
 *
 *     REPEAT  to behind AGAIN, if it is not wanted at all
 *     CHOOSE  one of the jumps below
 *     ...     an alternative, and a JUMP to AGAIN
 *     ...     the next one
 *     JUMP    to an alternative, for each
 *     AGAIN   to CHOOSE, as often as REPEAT has said
 *
 * and the whole pattern is a group that its brace closes. Whatever can only be
 * empty is refused. So what is repeated has bytes, and the steps of a run are
 * bounded as its bytes are.
 */
#include "pattern.h"

#include "tools/load/payload.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bytes that print; negated classes and the dot draw from these. */
#define PRINTABLE_FIRST ' '
#define PRINTABLE_LAST  '~'
#define ASCII_END       128

enum op_kind { OP_DRAW, OP_REPEAT, OP_CHOOSE, OP_JUMP, OP_AGAIN };

struct pattern_op {
    enum op_kind kind;
    /* OP_DRAW: the first of its bytes. Others: the operation that is gone to;
     * while a group is read, a JUMP has the one before in its group. */
    size_t to;
    /* Bytes of OP_DRAW, alternatives of OP_CHOOSE. */
    size_t count;
    /* OP_DRAW and OP_REPEAT: both are possible. */
    uint32_t low;
    uint32_t high;
};

/* A group that is being read. */
struct group {
    /* Its operation REPEAT, and its last JUMP; 0: none. */
    size_t repeat;
    size_t jump;
    /* The most bytes of the alternatives until now, and of the present one. */
    uint64_t size_max;
    uint64_t size;
    /* One of the alternatives until now may be empty; the present one may not.
     */
    bool may_be_empty;
    bool has_bytes;
};

struct reader {
    const char *text;
    size_t len;
    size_t at;
    /* Where what is read now begins, which is told if it is wrong. */
    size_t begin;
    char *why;
    struct pattern pattern;
    struct group groups[PATTERN_DEPTH_MAX + 1];
    /* Groups that are open, at least one. */
    size_t depth;
    /* What a quantifier repeats: its operation and its most bytes; 0: there is
     * nothing. */
    size_t item;
    uint64_t item_size;
    /* The alternative had bytes before it. */
    bool had_bytes;
};

/* ---- operations ---- */

static int refuse(const struct reader *reader, const char *reason)
{
    snprintf(reader->why, PATTERN_WHY_SIZE, "%s", reason);
    return -EINVAL;
}

static int add_op(struct pattern *pattern, const struct pattern_op *op)
{
    struct pattern_op *ops =
        realloc(pattern->ops, (pattern->op_count + 1) * sizeof(*ops));

    if (!ops) {
        return -ENOMEM;
    }
    ops[pattern->op_count++] = *op;
    pattern->ops = ops;
    return 0;
}

static struct group *get_group(struct reader *reader)
{
    return &reader->groups[reader->depth - 1];
}

static int add_size(struct reader *reader, uint64_t size)
{
    struct group *group = get_group(reader);

    group->size += size;
    return group->size > PATTERN_SIZE_MAX
               ? refuse(reader, "it may become more than 65536 bytes")
               : 0;
}

/* What a quantifier may follow. */
static int add_item(struct reader *reader, size_t op, uint64_t size,
                    bool has_bytes)
{
    struct group *group = get_group(reader);

    reader->item = op;
    reader->item_size = size;
    reader->had_bytes = group->has_bytes;
    group->has_bytes |= has_bytes;
    return add_size(reader, size);
}

/* One of some bytes, at least one. */
static int add_draw(struct reader *reader, const char *bytes, size_t count)
{
    struct pattern *pattern = &reader->pattern;
    const struct pattern_op op = {.kind = OP_DRAW,
                                  .to = pattern->len,
                                  .count = count,
                                  .low = 1,
                                  .high = 1};
    char *grown = realloc(pattern->bytes, pattern->len + count);

    if (!grown) {
        return -ENOMEM;
    }
    pattern->bytes = grown;
    memcpy(grown + pattern->len, bytes, count);
    pattern->len += count;
    const int err = add_op(pattern, &op);
    return err < 0 ? err : add_item(reader, pattern->op_count - 1, 1, true);
}

/* ---- classes ---- */

/* A set of bytes that print, or a tab. */
struct set {
    bool has[ASCII_END];
};

static void add_range(struct set *set, int first, int last)
{
    for (int byte = first; byte <= last; byte++) {
        set->has[byte] = true;
    }
}

/* What stands behind a backslash; false: nothing does. */
static bool add_escape(struct set *set, char name)
{
    const bool is_letter =
        (name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z');
    const bool is_digit = name >= '0' && name <= '9';

    switch (name) {
    case 'w':
        add_range(set, 'a', 'z');
        add_range(set, 'A', 'Z');
        add_range(set, '_', '_');
        add_range(set, '0', '9');
        return true;
    case 'd':
        add_range(set, '0', '9');
        return true;
    case 's':
        add_range(set, ' ', ' ');
        add_range(set, '\t', '\t');
        return true;
    default:
        if (name < PRINTABLE_FIRST || name > PRINTABLE_LAST || is_letter ||
            is_digit) {
            return false;
        }
        add_range(set, name, name);
        return true;
    }
}

static int add_set(struct reader *reader, const struct set *set)
{
    char bytes[ASCII_END];
    size_t count = 0;

    for (int byte = 0; byte < ASCII_END; byte++) {
        if (set->has[byte]) {
            bytes[count++] = (char)byte;
        }
    }
    return count > 0 ? add_draw(reader, bytes, count)
                     : refuse(reader, "the class has no bytes");
}

/* Is there another byte, and which; 0: there is none. */
static char peek(const struct reader *reader, size_t ahead)
{
    return ahead < reader->len - reader->at ? reader->text[reader->at + ahead]
                                            : '\0';
}

static int read_escape(struct reader *reader, struct set *set)
{
    if (!add_escape(set, peek(reader, 1))) {
        return refuse(reader, "write \\d, \\w, \\s, or a character that is "
                              "neither a letter nor a digit behind \\");
    }
    reader->at += 2;
    return 0;
}

/* A member of a class: a byte, a range, or an escape. */
static int read_member(struct reader *reader, struct set *set)
{
    const char first = peek(reader, 0);
    const char last = peek(reader, 2);

    if (first == '\\') {
        return read_escape(reader, set);
    }
    if (first < PRINTABLE_FIRST || first > PRINTABLE_LAST) {
        return refuse(reader, reader->at == reader->len
                                  ? "a ] is missing"
                                  : "a class has bytes of ASCII that print");
    }
    if (peek(reader, 1) != '-' || last == ']') {
        add_range(set, first, first);
        reader->at++;
        return 0;
    }
    if (last == '\\' || last < first || last > PRINTABLE_LAST) {
        return refuse(reader, "write a range as a-z");
    }
    add_range(set, first, last);
    reader->at += 3;
    return 0;
}

static int read_class(struct reader *reader)
{
    struct set set = {.has = {false}};
    const bool is_negated = peek(reader, 1) == '^';
    int err = 0;

    reader->at += is_negated ? 2 : 1;
    while (peek(reader, 0) != ']' && err == 0) {
        reader->begin = reader->at;
        err = read_member(reader, &set);
    }
    if (err < 0) {
        return err;
    }
    for (int byte = PRINTABLE_FIRST; byte <= PRINTABLE_LAST && is_negated;
         byte++) {
        set.has[byte] = !set.has[byte];
    }
    set.has['\t'] &= !is_negated;
    reader->at++;
    return add_set(reader, &set);
}

/* ---- quantifiers ---- */

/* Digits; false: there are none, or the number is too large. */
static bool take_count(struct reader *reader, uint32_t *ret)
{
    const size_t begin = reader->at;
    uint32_t count = 0;

    while (peek(reader, 0) >= '0' && peek(reader, 0) <= '9' &&
           count <= PATTERN_SIZE_MAX) {
        count = count * 10 + (uint32_t)(peek(reader, 0) - '0');
        reader->at++;
    }
    *ret = count;
    return reader->at > begin && count <= PATTERN_SIZE_MAX;
}

/* "{2}" or "{2,5}". */
static int read_counts(struct reader *reader, uint32_t *ret_low,
                       uint32_t *ret_high)
{
    reader->at++;
    bool is_good = take_count(reader, ret_low);
    *ret_high = *ret_low;
    if (is_good && peek(reader, 0) == ',') {
        reader->at++;
        is_good = take_count(reader, ret_high);
    }
    if (is_good && peek(reader, 0) == '}' && *ret_low <= *ret_high &&
        *ret_high > 0) {
        reader->at++;
        return 0;
    }
    return refuse(reader, "write {N} or {N,M}, with M from 1 to 65536");
}

static int read_quantifier(struct reader *reader)
{
    const char sign = peek(reader, 0);
    uint32_t low = sign == '+' ? 1 : 0;
    uint32_t high = sign == '?' ? 1 : PATTERN_REPEAT_MAX;

    if (reader->item == 0) {
        return refuse(reader, "write a character of ASCII, a class or a "
                              "group before it");
    }
    if (sign != '{') {
        reader->at++;
    } else if (read_counts(reader, &low, &high) < 0) {
        return -EINVAL;
    }
    struct pattern_op *op = &reader->pattern.ops[reader->item];
    op->low = low;
    op->high = high;
    if (low == 0) {
        get_group(reader)->has_bytes = reader->had_bytes;
    }
    reader->item = 0;
    return add_size(reader, reader->item_size * (high - 1));
}

/* ---- groups ---- */

static int open_group(struct reader *reader)
{
    const struct pattern_op repeat = {.kind = OP_REPEAT, .low = 1, .high = 1};
    const struct pattern_op choose = {.kind = OP_CHOOSE, .count = 1};

    if (reader->depth > PATTERN_DEPTH_MAX) {
        return refuse(reader, "more than 16 groups in each other");
    }
    reader->groups[reader->depth++] =
        (struct group){.repeat = reader->pattern.op_count};
    reader->item = 0;
    const int err = add_op(&reader->pattern, &repeat);
    return err < 0 ? err : add_op(&reader->pattern, &choose);
}

static int end_alternative(struct reader *reader)
{
    struct group *group = get_group(reader);
    const struct pattern_op jump = {.kind = OP_JUMP, .to = group->jump};

    group->jump = reader->pattern.op_count;
    if (group->size > group->size_max) {
        group->size_max = group->size;
    }
    group->size = 0;
    group->may_be_empty |= !group->has_bytes;
    group->has_bytes = false;
    reader->item = 0;
    return add_op(&reader->pattern, &jump);
}

/* Write the jumps to the alternatives, from the last one on, and join the ends
 * of these. */
static int close_group(struct reader *reader)
{
    struct pattern *pattern = &reader->pattern;
    const struct group *group = get_group(reader);
    const size_t choose = group->repeat + 1;
    const size_t table = pattern->op_count;
    const size_t end = table + pattern->ops[choose].count;
    const struct pattern_op again = {.kind = OP_AGAIN, .to = choose};
    size_t jump = group->jump;
    int err = 0;

    while (jump > 0 && err == 0) {
        const size_t before = pattern->ops[jump].to;
        const struct pattern_op entry = {
            .kind = OP_JUMP, .to = (before > 0 ? before : choose) + 1};
        pattern->ops[jump].to = end;
        jump = before;
        err = add_op(pattern, &entry);
    }
    pattern->ops[choose].to = table;
    pattern->ops[group->repeat].to = end + 1;
    return err < 0 ? err : add_op(pattern, &again);
}

static int read_end_of_group(struct reader *reader)
{
    const struct group group = *get_group(reader);
    const uint64_t size =
        group.size > group.size_max ? group.size : group.size_max;
    const bool may_be_empty = group.may_be_empty || !group.has_bytes;

    if (size == 0) {
        return refuse(reader, "what it closes has no bytes");
    }
    int err = end_alternative(reader);
    if (err == 0) {
        err = close_group(reader);
    }
    if (err < 0) {
        return err;
    }
    reader->depth--;
    if (reader->depth == 0) {
        reader->pattern.size_max = (size_t)size;
        reader->pattern.may_be_empty = may_be_empty;
        return 0;
    }
    reader->at++;
    return add_item(reader, group.repeat, size, !may_be_empty);
}

static int read_alternative(struct reader *reader)
{
    const size_t choose = get_group(reader)->repeat + 1;

    reader->pattern.ops[choose].count++;
    reader->at++;
    return end_alternative(reader);
}

/* ---- reading ---- */

/* A byte that stands for itself. */
static int read_byte(struct reader *reader)
{
    const char byte = peek(reader, 0);

    if (byte == '\0') {
        return refuse(reader, reader->at == reader->len
                                  ? "a } ends the pattern, which has 4096 "
                                    "bytes at most"
                                  : "a pattern has no byte of zero");
    }
    reader->at++;
    const int err = add_draw(reader, &byte, 1);
    if ((byte & 0x80) != 0) {
        reader->item = 0; /* a part of a character in UTF-8 */
    }
    return err;
}

static int read_set(struct reader *reader)
{
    struct set set = {.has = {false}};

    if (peek(reader, 0) == '\\') {
        const int err = read_escape(reader, &set);
        return err < 0 ? err : add_set(reader, &set);
    }
    add_range(&set, PRINTABLE_FIRST, PRINTABLE_LAST);
    reader->at++;
    return add_set(reader, &set);
}

static int read_next(struct reader *reader)
{
    switch (peek(reader, 0)) {
    case '\\':
    case '.':
        return read_set(reader);
    case '[':
        return read_class(reader);
    case '(':
        reader->at++;
        return open_group(reader);
    case '|':
        return read_alternative(reader);
    case ')':
        return reader->depth > 1 ? read_end_of_group(reader)
                                 : refuse(reader, "no ( stands before it");
    case '}':
        return reader->depth == 1 ? read_end_of_group(reader)
                                  : refuse(reader, "a ) is missing");
    case '*':
    case '+':
    case '?':
    case '{':
        return read_quantifier(reader);
    case '^':
    case '$':
        return refuse(reader, "there are no anchors; write \\^ or \\$");
    default:
        return read_byte(reader);
    }
}

int pattern_parse(const char *text, size_t len, struct pattern *ret,
                  size_t *ret_at, char *why)
{
    struct reader reader = {
        .text = text,
        .len = len < PATTERN_TEXT_MAX ? len : PATTERN_TEXT_MAX,
        .why = why,
    };
    int err = open_group(&reader);

    while (err == 0 && reader.depth > 0) {
        reader.begin = reader.at;
        err = read_next(&reader);
    }
    *ret_at = reader.begin;
    if (err < 0) {
        pattern_fini(&reader.pattern);
        return err;
    }
    *ret = reader.pattern;
    return 0;
}

/* ---- writing ---- */

/* The random numbers of a string, one after the other. */
static uint64_t draw(uint64_t *random, uint64_t count)
{
    return count > 1 ? payload_mix((*random)++) % count : 0;
}

size_t pattern_write(const struct pattern *self, uint64_t random, char *out)
{
    /* How often each of the open groups is still to be written. */
    uint64_t left[PATTERN_DEPTH_MAX + 1];
    size_t depth = 0;
    size_t len = 0;
    size_t at = 0;

    while (at < self->op_count) {
        const struct pattern_op *op = &self->ops[at++];
        uint64_t times = op->low + draw(&random, op->high - op->low + 1);
        switch (op->kind) {
        case OP_DRAW:
            for (; times > 0; times--) {
                out[len++] = self->bytes[op->to + draw(&random, op->count)];
            }
            break;
        case OP_REPEAT:
            left[depth] = times;
            depth += times > 0;
            at = times > 0 ? at : op->to;
            break;
        case OP_CHOOSE:
            at = op->to + draw(&random, op->count);
            break;
        case OP_JUMP:
            at = op->to;
            break;
        default:
            left[depth - 1]--;
            at = left[depth - 1] > 0 ? op->to : at;
            depth -= left[depth - 1] == 0;
            break;
        }
    }
    return len;
}

void pattern_fini(struct pattern *self)
{
    free(self->ops);
    free(self->bytes);
    *self = (struct pattern){.len = 0};
}
