/*
 * A state machine for RESP: the type of a value, its first line, and the bytes
 * or elements that the line announces. Each element is a value again. Open
 * aggregates are counters on a stack, and the bytes of strings are skipped.
 */
#include "resp.h"

#include "tools/weir-load/base/base.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define FAULT_TEXT(name, text) text,

static ssize_t refuse(struct resp_reader *reader, enum resp_fault fault)
{
    reader->fault = fault;
    return -EBADMSG;
}

static bool is_aggregate(char type)
{
    return type == '*' || type == '~' || type == '%' || type == '>' ||
           type == '|';
}

static bool is_string(char type)
{
    return type == '$' || type == '=' || type == '!';
}

/* Ends a value, and all aggregates whose last element it is. Stops after an
 * attribute, because the value that it describes follows. */
static void end_value(struct resp_reader *reader)
{
    reader->state = RESP_AT_TYPE;
    while (reader->depth > 0) {
        const uint32_t top = reader->depth - 1;
        const uint32_t bit = UINT32_C(1) << top;
        assert(reader->left[top] > 0);
        if (--reader->left[top] > 0) {
            return;
        }
        reader->depth = top;
        if (reader->attributes & bit) {
            reader->attributes &= ~bit;
            return;
        }
    }
    reader->state = RESP_COMPLETE;
}

/* Sets the kind of the reply from the type of its outermost value. */
static void note_kind(struct resp_reader *reader)
{
    if (reader->depth > 0) {
        return;
    }
    switch (reader->type) {
    case '-':
    case '!':
        reader->kind = RESP_ERROR;
        break;
    case '_':
        reader->kind = RESP_NIL;
        break;
    case '>':
        reader->kind = RESP_PUSH;
        break;
    default:
        break;
    }
}

static ssize_t begin_value(struct resp_reader *reader, char type)
{
    if (type == '\0' || !strchr("+-:,(#_$=!*~%>|", type)) {
        return refuse(reader, type == ';' || type == '.' ? RESP_FAULT_STREAMED
                                                         : RESP_FAULT_TYPE);
    }
    if (type == '>' && reader->depth > 0) {
        return refuse(reader, RESP_FAULT_PLACE);
    }
    reader->type = type;
    reader->is_negative = false;
    reader->has_digits = false;
    reader->line_len = 0;
    reader->number = 0;
    reader->state = RESP_IN_LINE;
    note_kind(reader);
    return 0;
}

static ssize_t take_length_byte(struct resp_reader *reader, char byte)
{
    if (byte == '?' && reader->line_len == 0) {
        return refuse(reader, RESP_FAULT_STREAMED);
    }
    if (byte == '-' && reader->line_len == 0) {
        reader->is_negative = true;
        return 0;
    }
    if (byte < '0' || byte > '9' || reader->number > RESP_REPLY_MAX) {
        return refuse(reader, RESP_FAULT_LENGTH);
    }
    reader->number = reader->number * 10 + (uint64_t)(byte - '0');
    reader->has_digits = true;
    return 0;
}

static ssize_t take_line_byte(struct resp_reader *reader, char byte)
{
    bool is_right = true;

    switch (reader->type) {
    case '#':
        is_right = reader->line_len == 0 && (byte == 't' || byte == 'f');
        break;
    case '_':
        is_right = false;
        break;
    case ':':
    case '(':
        is_right = (byte >= '0' && byte <= '9') ||
                   (reader->line_len == 0 && (byte == '-' || byte == '+'));
        reader->has_digits |= byte >= '0' && byte <= '9';
        break;
    case ',': /* such as inf, nan and 1.5e-3 */
        is_right = byte && strchr("0123456789+-.eEinfaINFA", byte);
        break;
    default:
        break;
    }
    return is_right ? 0 : refuse(reader, RESP_FAULT_VALUE);
}

static ssize_t begin_string(struct resp_reader *reader)
{
    if (reader->number > RESP_STRING_MAX) {
        return refuse(reader, RESP_FAULT_STRING);
    }
    reader->left_bytes = reader->number > 0 ? reader->number : 2;
    reader->state = reader->number > 0 ? RESP_IN_STRING : RESP_AT_STRING_END;
    return 0;
}

static ssize_t begin_aggregate(struct resp_reader *reader)
{
    const bool has_pairs = reader->type == '%' || reader->type == '|';

    if (reader->number > RESP_COUNT_MAX) {
        return refuse(reader, RESP_FAULT_COUNT);
    }
    if (reader->number == 0) {
        if (reader->type == '|') {
            reader->state = RESP_AT_TYPE;
        } else {
            end_value(reader);
        }
        return 0;
    }
    if (reader->depth == RESP_DEPTH_MAX) {
        return refuse(reader, RESP_FAULT_DEPTH);
    }
    if (reader->type == '|') {
        reader->attributes |= UINT32_C(1) << reader->depth;
    }
    reader->left[reader->depth++] =
        (uint32_t)reader->number * (has_pairs ? 2 : 1);
    reader->state = RESP_AT_TYPE;
    return 0;
}

/* Parses RESP2's nil: "$-1" or "*-1". */
static ssize_t take_negative(struct resp_reader *reader)
{
    if (reader->number != 1 || (reader->type != '$' && reader->type != '*')) {
        return refuse(reader, RESP_FAULT_LENGTH);
    }
    if (reader->depth == 0) {
        reader->kind = RESP_NIL;
    }
    end_value(reader);
    return 0;
}

static ssize_t end_line(struct resp_reader *reader)
{
    const char type = reader->type;

    if (is_string(type) || is_aggregate(type)) {
        if (!reader->has_digits) {
            return refuse(reader, RESP_FAULT_LENGTH);
        }
        return reader->is_negative ? take_negative(reader)
               : is_string(type)   ? begin_string(reader)
                                   : begin_aggregate(reader);
    }
    if ((type == '#' || type == ',') && reader->line_len == 0) {
        return refuse(reader, RESP_FAULT_VALUE);
    }
    if ((type == ':' || type == '(') && !reader->has_digits) {
        return refuse(reader, RESP_FAULT_VALUE);
    }
    end_value(reader);
    return 0;
}

static ssize_t take_byte(struct resp_reader *reader, char byte)
{
    ssize_t err = 0;

    switch (reader->state) {
    case RESP_AT_TYPE:
        return begin_value(reader, byte);
    case RESP_IN_LINE:
        if (byte == '\r') {
            reader->state = RESP_AT_FEED;
            return 0;
        }
        if (byte == '\n') {
            return refuse(reader, RESP_FAULT_LINE);
        }
        err = is_string(reader->type) || is_aggregate(reader->type)
                  ? take_length_byte(reader, byte)
                  : take_line_byte(reader, byte);
        reader->line_len++;
        return err == 0 && reader->line_len > RESP_LINE_MAX
                   ? refuse(reader, RESP_FAULT_LONG_LINE)
                   : err;
    case RESP_AT_FEED:
        return byte == '\n' ? end_line(reader)
                            : refuse(reader, RESP_FAULT_LINE);
    default:
        assert(reader->state == RESP_AT_STRING_END);
        if (byte != (reader->left_bytes == 2 ? '\r' : '\n')) {
            return refuse(reader, RESP_FAULT_LINE);
        }
        if (--reader->left_bytes == 0) {
            end_value(reader);
        }
        return 0;
    }
}

static size_t skip_string(struct resp_reader *reader, size_t len)
{
    const size_t part = len < reader->left_bytes ? len : reader->left_bytes;

    reader->left_bytes -= part;
    if (reader->left_bytes == 0) {
        reader->state = RESP_AT_STRING_END;
        reader->left_bytes = 2;
    }
    return part;
}

ssize_t resp_read(struct resp_reader *reader, const uint8_t *bytes, size_t len)
{
    size_t at = 0;
    size_t shown_from = 0;
    ssize_t err = 0;

    assert(reader->state != RESP_COMPLETE);
    while (at < len && err == 0 && reader->state != RESP_COMPLETE) {
        if (reader->state == RESP_AT_TYPE && reader->depth == 0) {
            reader->shown_len = 0; /* the bytes so far were an attribute */
            shown_from = at;
        }
        if (reader->state == RESP_IN_STRING) {
            at += skip_string(reader, len - at);
        } else {
            err = take_byte(reader, (char)bytes[at]);
            at++;
        }
    }
    reader->shown_len = (uint32_t)shown_add(
        reader->shown, sizeof(reader->shown), reader->shown_len,
        bytes + shown_from, at - shown_from);
    reader->total_bytes += at;
    if (err == 0 && reader->total_bytes > RESP_REPLY_MAX) {
        err = refuse(reader, RESP_FAULT_SIZE);
    }
    return err < 0 ? err : (ssize_t)at;
}

const char *resp_fault_text(enum resp_fault fault)
{
    static const char *const texts[] = {"", RESP_FAULTS(FAULT_TEXT)};

    return texts[fault];
}
