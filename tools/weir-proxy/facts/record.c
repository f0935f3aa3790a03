/*
 * JSON has all fields that have a value, the text format only the first ones
 * (record_write_text()), and LOG_NAMES the fields that its format names. Server
 * names and Unix socket addresses contain bytes from peers. They are cut, and
 * bytes that would end the field are replaced.
 */
#include "record.h"

#include "fields.h"
#include "tools/common/tried.h"

#include "weir/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *const end_reason_names[END_REASONS] = {
    [END_DONE] = "done",
    [END_CLIENT_RESET] = "client-reset",
    [END_CLIENT_GONE] = "client-gone",
    [END_TARGET_RESET] = "target-reset",
    [END_CLIENT_CUT] = "client-cut",
    [END_TARGET_CUT] = "target-cut",
    [END_TARGET_DOWN] = "target-down",
    [END_CLIENT_ALERT] = "client-alert",
    [END_TARGET_ALERT] = "target-alert",
    [END_CLIENT_STALL] = "client-stall",
    [END_TARGET_STALL] = "target-stall",
    [END_IDLE] = "idle",
    [END_HALF_CLOSED] = "half-closed",
    [END_LIFETIME] = "lifetime",
    [END_DRAIN] = "drain",
    [END_NO_TARGET] = "no-target",
    [END_CONNECT] = "connect",
    [END_REFUSED] = "connect-refused",
    [END_TIMEOUT] = "connect-timeout",
    [END_UNREACHABLE] = "connect-unreachable",
    [END_LOOKUP] = "connect-lookup",
    [END_TARGET_TLS] = "connect-tls",
    [END_QUEUE_FULL] = "queue-full",
    [END_QUEUE_TIMEOUT] = "queue-timeout",
    [END_LIMIT] = "limit",
    [END_HANDSHAKE] = "handshake",
    [END_HELLO] = "hello",
    [END_HEADER] = "header",
    [END_CLIENT_NAME] = "client-name",
    [END_UNTRUSTED] = "untrusted",
    [END_CLIENT_DENIED] = "client-denied",
    [END_CLIENT_LIMIT] = "client-limit",
    [END_CLIENT_RATE] = "client-rate",
    [END_NAME_DENIED] = "name-denied",
    [END_NO_ROUTE] = "no-route",
    [END_INTERNAL] = "internal",
};

enum end_reason end_reason_of_relay(const struct weir_relay_record *end,
                                    bool is_draining)
{
    /* If the target, or the client, has ended the relay. */
    static const enum end_reason reasons[][2] = {
        [WEIR_RELAY_EOF] = {END_DONE, END_DONE},
        [WEIR_RELAY_RESET] = {END_TARGET_RESET, END_CLIENT_RESET},
        [WEIR_RELAY_ERROR] = {END_TARGET_RESET, END_CLIENT_RESET},
        [WEIR_RELAY_TIMEOUT] = {END_TARGET_STALL, END_CLIENT_STALL},
        /* The client does not read. */
        [WEIR_RELAY_HELD_UP] = {END_CLIENT_STALL, END_CLIENT_STALL},
        [WEIR_RELAY_IDLE] = {END_IDLE, END_IDLE},
        [WEIR_RELAY_HALF_CLOSED] = {END_HALF_CLOSED, END_HALF_CLOSED},
        [WEIR_RELAY_LIFETIME] = {END_LIFETIME, END_LIFETIME},
        [WEIR_RELAY_CANCELED] = {END_INTERNAL, END_INTERNAL},
    };
    const bool by_client = end->ended_by == WEIR_RELAY_A;
    const bool has_failed =
        end->cause == WEIR_RELAY_RESET || end->cause == WEIR_RELAY_ERROR;

    if (has_failed && end->err == WEIR_ETLSTRUNCATED) {
        return by_client ? END_CLIENT_CUT : END_TARGET_CUT;
    }
    if (has_failed && end->err == WEIR_ETLSALERT) {
        return by_client ? END_CLIENT_ALERT : END_TARGET_ALERT;
    }
    return end->cause == WEIR_RELAY_CANCELED && is_draining
               ? END_DRAIN
               : reasons[end->cause][by_client];
}

int end_verdict_of_relay(const struct weir_relay_record *end)
{
    return end->err == 0 || end->b_bytes > 0 ? 0 : -ECANCELED;
}

/* weir's error codes are in groups of a hundred (weir/error.h). */
static enum end_reason reason_of_group(int err)
{
    switch (err / 100) {
    case WEIR_ETLSFILE / 100:
        return END_TARGET_TLS;
    case WEIR_EDNSNOTFOUND / 100:
        return END_LOOKUP;
    default:
        return END_CONNECT;
    }
}

int end_verdict_of_tls(int err)
{
    return reason_of_group(err) == END_TARGET_TLS && err != WEIR_ETLSTRUNCATED
               ? err
               : -ECANCELED;
}

static enum end_reason reason_of_try(int err)
{
    switch (err) {
    case -ECONNREFUSED:
    case -ENOENT: /* no such Unix socket */
        return END_REFUSED;
    case -EHOSTUNREACH:
    case -ENETUNREACH:
    case -ENETDOWN:
        return END_UNREACHABLE;
    default:
        return reason_of_group(err);
    }
}

/* Returns the reason of a failed connect. A target may have been tried before
 * the connection was queued. */
enum end_reason
end_reason_of_connect(int err, const struct weir_upstreams_result *result,
                      uint64_t queue_timeout_ns)
{
    switch (err) {
    case -ENOBUFS:
        return END_QUEUE_FULL;
    case -ETIMEDOUT:
        return result->queue_ns >= queue_timeout_ns ? END_QUEUE_TIMEOUT
                                                    : END_TIMEOUT;
    case -EHOSTDOWN:
        return result->try_count == 0 ? END_NO_TARGET : END_UNREACHABLE;
    default:
        return reason_of_try(err);
    }
}

const char *record_ask(const weir_transport *t, const char *name)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    return weir_transport_get_extra_info(t, name, &info) == 0 ? info.text
                                                              : NULL;
}

/* Longer names are cut. Host names are never longer. */
#define NAME_LEN 255

struct line {
    char *buf;
    size_t len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *line,
                                                      const char *format, ...)
{
    const size_t room = RECORD_TEXT_SIZE - line->len;
    va_list args;

    va_start(args, format);
    const int len = vsnprintf(line->buf + line->len, room, format, args);
    va_end(args);
    if (len > 0) {
        line->len += (size_t)len < room ? (size_t)len : room - 1;
    }
}

/* Adds at most @most bytes of a text. Spaces become @space, and control,
 * non-ASCII and quoting characters '?'. */
static void add_words(struct line *line, const char *text, size_t most,
                      char space)
{
    for (; *text && most > 0 && line->len < RECORD_TEXT_SIZE - 1; text++) {
        const char c = *text == ' ' ? space : *text;
        line->buf[line->len++] =
            c >= ' ' && c < 127 && c != '"' && c != '\\' ? c : '?';
        most--;
    }
}

static void add_plain(struct line *line, const char *text, size_t most)
{
    add_words(line, text, most, '?');
}

static void add_decimal(struct line *line, uint64_t number, unsigned digits)
{
    char text[24];
    size_t at = sizeof(text) - 1;
    unsigned done = 0;

    text[at] = '\0';
    do {
        if (digits > 0 && done == digits) {
            text[--at] = '.';
        }
        text[--at] = (char)('0' + number % 10);
        number /= 10;
        done++;
    } while (number > 0 || done <= digits);
    add_plain(line, text + at, sizeof(text));
}

static void add_address(struct line *line, const struct weir_address *address)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];

    add_plain(line, weir_address_format(address, text, sizeof(text)),
              sizeof(text));
}

static void add_field(struct line *line, const struct record *record,
                      const struct field *field, char space)
{
    char time[RECORD_TIME_SIZE];

    switch (field->kind) {
    case FIELD_TIME:
        record_format_time(record->time_ns, time);
        add(line, "%s", time);
        break;
    case FIELD_ADDRESS:
        add_address(line, field_value(field, record));
        break;
    case FIELD_NAME:
        add_plain(line, field_text(field, record), NAME_LEN);
        break;
    case FIELD_TRIED:
        add_words(line, field_text(field, record), TRIED_SIZE, space);
        break;
    case FIELD_REASON:
        add_plain(line, end_reason_names[record->reason], NAME_LEN);
        break;
    case FIELD_MS:
    case FIELD_MS_IF_1:
        add_decimal(line,
                    field_number(field, record) / 1000 +
                        (field_number(field, record) % 1000 >= 500),
                    3);
        break;
    case FIELD_COUNT:
    case FIELD_COUNT_IF:
    case FIELD_SMALL:
    case FIELD_SMALL_IF_1:
    case FIELD_HISTOGRAM:
    case FIELD_ERROR:
    default:
        add_decimal(line, field_number(field, record), 0);
        break;
    }
}

static void add_or_dash(struct line *line, const struct record *record,
                        const struct field *field)
{
    if (field_has_value(field, record)) {
        add_field(line, record, field, '_');
    } else {
        add_plain(line, "-", 1);
    }
}

static const struct field *find_field(const char *text, size_t len)
{
    const struct field *field = fields;

    while (field->name && (strlen(field->name) != len ||
                           memcmp(field->name, text, len) != 0)) {
        field++;
    }
    return field->name ? field : NULL;
}

/* Parses the next piece of a format: either sets *ret_field to a field, or sets
 * *ret_field to NULL and *ret_byte to a byte. Returns the length of the piece,
 * or 0 if the piece is invalid. */
static size_t take_piece(const char *format, const struct field **ret_field,
                         char *ret_byte)
{
    const bool is_brace = format[0] == '{' || format[0] == '}';

    *ret_field = NULL;
    *ret_byte = format[0];
    if (!is_brace || format[1] == format[0]) {
        return is_brace ? 2 : 1;
    }
    const char *end = format[0] == '{' ? strchr(format, '}') : NULL;
    *ret_field =
        end ? find_field(format + 1, (size_t)(end - format) - 1) : NULL;
    return *ret_field ? (size_t)(end - format) + 1 : 0;
}

bool record_check_names(const char *format, const char **ret_wrong)
{
    const struct field *field;
    char byte;
    size_t used = 1;

    while (*format && used > 0) {
        used = take_piece(format, &field, &byte);
        if (!field && byte != '\t' && (unsigned char)byte < ' ') {
            used = 0;
        }
        *ret_wrong = format;
        format += used;
    }
    return used > 0;
}

/* Every line ends with a newline, even if it was cut. */
static size_t finish(struct line *line)
{
    line->buf[line->len++] = '\n';
    return line->len;
}

/* If left_out is not 0, it is the last field, with a "+"; otherwise the next
 * field is the last one. */
size_t record_write_text(const struct record *record, char *buf)
{
    struct line line = {.buf = buf};
    const struct field *field = fields;

    for (; field->kind != FIELD_SMALL_IF_1; field++) {
        add_or_dash(&line, record, field);
        add_words(&line, " ", 1, ' ');
    }
    if (record->left_out > 0) {
        add(&line, "+%u", record->left_out);
    } else {
        add_or_dash(&line, record, field + 1);
    }
    return finish(&line);
}

size_t record_write_json(const struct record *record, char *buf)
{
    struct line line = {.buf = buf};
    char before = '{';

    for (const struct field *field = fields; field->name; field++) {
        const char *quote = field_is_number(field) ? "" : "\"";
        if (field_has_value(field, record)) {
            add(&line, "%c\"%s\":%s", before, field->name, quote);
            add_field(&line, record, field, ' ');
            add(&line, "%s", quote);
            before = ',';
        }
    }
    add(&line, "}");
    return finish(&line);
}

size_t record_write_names(const struct record *record, const char *format,
                          char *buf)
{
    struct line line = {.buf = buf};
    const struct field *field;
    char byte;

    while (*format) {
        format += take_piece(format, &field, &byte);
        if (!field) {
            add(&line, "%c", byte);
        } else {
            add_or_dash(&line, record, field);
        }
    }
    return finish(&line);
}

void record_format_time(uint64_t time_ns, char *ret_text)
{
    const time_t seconds = (time_t)(time_ns / 1000000000u);
    struct tm tm;
    char text[32];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text, RECORD_TIME_SIZE, "%s.%03uZ", text,
             (unsigned)(time_ns / 1000000u % 1000u));
}
