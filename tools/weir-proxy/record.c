/*
 * The two forms of a log line have the same fields in the same order. Bytes of
 * peers stand in the server's name and in addresses of Unix sockets; no name,
 * be it a peer's or of the configuration, ends its field, or is so long that
 * the fields behind it have no room.
 */
#include "record.h"

#include "tools/common/tried.h"

#include "weir/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *const reason_names[END_REASONS] = {
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
    [END_UNTRUSTED] = "untrusted",
    [END_CLIENT_DENIED] = "client-denied",
    [END_CLIENT_LIMIT] = "client-limit",
    [END_CLIENT_RATE] = "client-rate",
    [END_NO_ROUTE] = "no-route",
    [END_INTERNAL] = "internal",
};

const char *end_reason_name(enum end_reason reason)
{
    return reason_names[reason];
}

enum end_reason end_reason_of_relay(const struct weir_relay_record *end,
                                    bool is_draining)
{
    const bool by_client = end->ended_by == WEIR_RELAY_A;

    switch (end->cause) {
    case WEIR_RELAY_EOF:
        return END_DONE;
    case WEIR_RELAY_TIMEOUT:
        return by_client ? END_CLIENT_STALL : END_TARGET_STALL;
    case WEIR_RELAY_IDLE:
        return END_IDLE;
    case WEIR_RELAY_HALF_CLOSED:
        return END_HALF_CLOSED;
    case WEIR_RELAY_LIFETIME:
        return END_LIFETIME;
    case WEIR_RELAY_CANCELED:
        return is_draining ? END_DRAIN : END_INTERNAL;
    case WEIR_RELAY_RESET:
    case WEIR_RELAY_ERROR:
    default:
        if (end->err == WEIR_ETLSTRUNCATED) {
            return by_client ? END_CLIENT_CUT : END_TARGET_CUT;
        }
        if (end->err == WEIR_ETLSALERT) {
            return by_client ? END_CLIENT_ALERT : END_TARGET_ALERT;
        }
        return by_client ? END_CLIENT_RESET : END_TARGET_RESET;
    }
}

/* weir's own codes stand in groups of a hundred (weir/error.h). */
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

/* Of the last target that was tried. */
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

/* A target may have been tried before the queue. */
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

/* ---- facts ---- */

const char *record_alert_of(const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    return weir_transport_get_extra_info(t, "tls_alert", &info) == 0 ? info.text
                                                                     : NULL;
}

/* Of a longer name the first bytes are written. A host's name has no more. */
#define NAME_LEN 255

/* ---- pieces ---- */

/* Appends to a line; what does not fit is left out. */
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

/* "2026-01-31T23:59:59.123Z" */
static void add_time(struct line *line, uint64_t time_ns)
{
    const time_t seconds = (time_t)(time_ns / 1000000000u);
    struct tm tm;
    char text[32];

    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    add(line, "%s.%03uZ", text, (unsigned)(time_ns / 1000000u % 1000u));
}

static double milliseconds(uint64_t ns)
{
    return (double)ns / 1e6;
}

/* At most @most bytes of a text. Spaces become @space, and other bytes that are
 * not plain letters '?'. */
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

static void add_name(struct line *line, const char *name)
{
    add_plain(line, name, NAME_LEN);
}

static void add_address(struct line *line, const struct weir_address *address)
{
    char text[WEIR_ADDRESS_TEXT_SIZE];

    add_plain(line, weir_address_format(address, text, sizeof(text)),
              sizeof(text));
}

/* ---- the two forms ---- */

static void add_text(struct line *line, const struct record *record)
{
    add_time(line, record->time_ns);
    add(line, " ");
    add_address(line, &record->client);
    add(line, " ");
    add_name(line, record->service);
    add(line, " ");
    add_address(line, &record->target);
    add(line, " %.3f %.3f %.3f %.3f %.3f %llu %llu %u %s %s ",
        milliseconds(record->queue_ns), milliseconds(record->connect_ns),
        milliseconds(record->tls_ns), milliseconds(record->first_byte_ns),
        milliseconds(record->total_ns), (unsigned long long)record->in_bytes,
        (unsigned long long)record->out_bytes, record->tries,
        end_reason_name(record->reason),
        record->tls_version ? record->tls_version : "-");
    add_name(line, record->server_name && record->server_name[0]
                       ? record->server_name
                       : "-");
    add(line, " ");
    add_name(line, record->alert ? record->alert : "-");
    add(line, " ");
    if (record->left_out > 0) {
        add(line, "+%u", record->left_out);
    } else {
        add_words(line, record->tried ? record->tried : "-", TRIED_SIZE, '_');
    }
}

static void add_json(struct line *line, const struct record *record)
{
    add(line, "{\"time\":\"");
    add_time(line, record->time_ns);
    add(line, "\",\"client\":\"");
    add_address(line, &record->client);
    add(line, "\",\"service\":\"");
    add_name(line, record->service);
    add(line, "\",\"target\":\"");
    add_address(line, &record->target);
    add(line,
        "\",\"queue_ms\":%.3f,\"connect_ms\":%.3f,\"tls_ms\":%.3f,"
        "\"first_byte_ms\":%.3f,\"total_ms\":%.3f,\"in_bytes\":%llu,"
        "\"out_bytes\":%llu,\"tries\":%u,\"reason\":\"%s\"",
        milliseconds(record->queue_ns), milliseconds(record->connect_ns),
        milliseconds(record->tls_ns), milliseconds(record->first_byte_ns),
        milliseconds(record->total_ns), (unsigned long long)record->in_bytes,
        (unsigned long long)record->out_bytes, record->tries,
        end_reason_name(record->reason));
    if (record->tls_version) {
        add(line, ",\"tls\":\"%s\"", record->tls_version);
    }
    if (record->server_name && record->server_name[0]) {
        add(line, ",\"server_name\":\"");
        add_name(line, record->server_name);
        add(line, "\"");
    }
    if (record->alert) {
        add(line, ",\"alert\":\"");
        add_name(line, record->alert);
        add(line, "\"");
    }
    if (record->left_out > 0) {
        add(line, ",\"left_out\":%u", record->left_out);
    }
    if (record->tried) {
        add(line, ",\"tried\":\"");
        add_words(line, record->tried, TRIED_SIZE, ' ');
        add(line, "\"");
    }
    add(line, "}");
}

/* Every line ends, also one that was cut. */
static size_t finish(struct line *line)
{
    if (line->len > RECORD_TEXT_SIZE - 1) {
        line->len = RECORD_TEXT_SIZE - 1;
    }
    line->buf[line->len++] = '\n';
    return line->len;
}

size_t record_write_text(const struct record *record, char *buf)
{
    struct line line = {.buf = buf};

    add_text(&line, record);
    return finish(&line);
}

size_t record_write_json(const struct record *record, char *buf)
{
    struct line line = {.buf = buf};

    add_json(&line, record);
    return finish(&line);
}
