/*
 * The table of all fields, and how their values are read.
 *
 * Names in the log and of metrics are stable: the manual lists them, and a test
 * compares the two.
 */
#include "fields.h"

static const char *const directions[] = {"in", "out"};
static const char *const results[] = {"full", "resumed", "failed"};
static const char *const errors[COUNTS_ERRORS] = {"EMFILE", "ENFILE", "ENOBUFS",
                                                  "ENOMEM", "other"};

#define LOGGED(field)                                                          \
    .offset = offsetof(struct record, field), .of = OF_CONNECTION
#define PROGRAM(field)                                                         \
    .offset = offsetof(struct program_facts, field), .of = OF_PROGRAM
#define SERVICE(field)                                                         \
    .offset = offsetof(struct service_facts, field), .of = OF_SERVICE
#define TARGET(field)                                                          \
    .offset = offsetof(struct target_facts, field), .of = OF_TARGET
#define ADDRESS(field)                                                         \
    .offset = offsetof(struct address_facts, field), .of = OF_ADDRESS

const struct field fields[] = {
    {"time", FIELD_TIME, LOGGED(time_ns)},
    {"client", FIELD_ADDRESS, LOGGED(client), CONNECTION_CLIENT},
    {"service", FIELD_NAME, LOGGED(service), CONNECTION_SERVICE},
    {"target", FIELD_ADDRESS, LOGGED(target), CONNECTION_TARGET},
    {"queue_ms", FIELD_MS, LOGGED(queue_ns)},
    {"connect_ms", FIELD_MS, LOGGED(connect_ns)},
    {"tls_ms", FIELD_MS, LOGGED(tls_ns)},
    {"first_byte_ms", FIELD_MS, LOGGED(first_byte_ns)},
    {"total_ms", FIELD_MS, LOGGED(total_ns), CONNECTION_AGE_MS},
    {"in_bytes", FIELD_COUNT, LOGGED(in_bytes), CONNECTION_IN},
    {"out_bytes", FIELD_COUNT, LOGGED(out_bytes), CONNECTION_OUT},
    {"tries", FIELD_SMALL, LOGGED(tries)},
    {"reason", FIELD_REASON, LOGGED(reason)},
    {"tls", FIELD_NAME, LOGGED(tls_version)},
    {"server_name", FIELD_NAME, LOGGED(server_name)},
    {"alert", FIELD_NAME, LOGGED(alert)},
    {"left_out", FIELD_SMALL_IF_1, LOGGED(left_out)},
    {"tried", FIELD_TRIED, LOGGED(tried)},
    {"route", FIELD_NAME, LOGGED(route)},
    {"client_cn", FIELD_NAME, LOGGED(client_cn)},
    {"tls_group", FIELD_NAME, LOGGED(tls_group)},
    {"target_name", FIELD_NAME, LOGGED(target_name)},
    {NULL, FIELD_NAME, LOGGED(state), .status = CONNECTION_STATE},

    {NULL, FIELD_COUNT, PROGRAM(threads), .status = PROXY_THREADS},
    {NULL, FIELD_NAME, PROGRAM(state), .status = PROXY_STATE},
    {NULL, FIELD_COUNT, PROGRAM(received_bytes), .status = PROXY_RECEIVED},
    {NULL, FIELD_COUNT, PROGRAM(sent_bytes), .status = PROXY_SENT},

    {NULL, FIELD_NAME, SERVICE(names[0]), .status = SERVICE_NAME},
    {NULL, FIELD_COUNT, SERVICE(counts.accepted), .metric = "connections_total",
     .status = SERVICE_TOTAL, .help = "Connections that were accepted."},
    {NULL, FIELD_COUNT, SERVICE(counts.active), .metric = "connections_active",
     .status = SERVICE_ACTIVE, .help = "Connections that have not ended."},
    {NULL, FIELD_COUNT, SERVICE(counts.ended), .metric = "close_total",
     .label = "reason", .values = end_reason_names, .count = END_REASONS,
     .help = "Connections that ended, by reason."},
    {NULL, FIELD_COUNT, SERVICE(counts.accept_errors),
     .metric = "accept_errors_total", .label = "errno", .values = errors,
     .count = COUNTS_ERRORS,
     .help = "Failures to accept or set up connections, by error; running out "
             "of descriptors or memory counts once until it is over."},
    {NULL, FIELD_COUNT, SERVICE(counts.in_bytes), .metric = "bytes_total",
     .label = "dir", .values = directions, .count = 2,
     .help = "Bytes of connections that ended, by direction."},
    {NULL, FIELD_COUNT, SERVICE(counts.full_handshakes),
     .metric = "tls_handshakes_total", .label = "result", .values = results,
     .count = 3, .help = "TLS handshakes with clients, by result."},
    {NULL, FIELD_HISTOGRAM, SERVICE(counts.connects),
     .metric = "connect_seconds",
     .help = "Time to connect to a target, of connections that ended."},
    {NULL, FIELD_COUNT, SERVICE(queued), .metric = "queue_length",
     .status = SERVICE_QUEUED, .help = "Connections that wait for a target."},
    {NULL, FIELD_COUNT, SERVICE(counts.queued), .metric = "queued_total",
     .help = "Connections that ended and had waited for a target."},
    {NULL, FIELD_MS, SERVICE(counts.queue_ns), .metric = "queue_seconds_total",
     .help = "Time that ended connections had waited for a target."},
    {NULL, FIELD_COUNT, SERVICE(errors), .status = SERVICE_ERRORS},

    {NULL, FIELD_NAME, TARGET(names[0]), .status = TARGET_SERVICE, .ctl = "%/"},
    {NULL, FIELD_NAME, TARGET(short_name), .ctl = "%"},
    {NULL, FIELD_NAME, TARGET(state), .status = TARGET_STATE, .ctl = " %"},
    {NULL, FIELD_COUNT, TARGET(weight), .ctl = ", weight %"},
    {NULL, FIELD_NAME, TARGET(names[1]), .status = TARGET_ROUTE,
     .ctl = ", route %"},
    {NULL, FIELD_NAME, TARGET(names[2]), .status = TARGET_NAME},
    {NULL, FIELD_COUNT, TARGET(sum.is_up), .metric = "upstream_up",
     .status = TARGET_UP, .help = "1 if the target is up, else 0."},
    {NULL, FIELD_COUNT, TARGET(sum.addresses), .metric = "upstream_addresses",
     .help = "Addresses of the target."},
    {NULL, FIELD_COUNT, TARGET(sum.active), .metric = "upstream_active",
     .status = TARGET_ACTIVE, .ctl = ", % connections",
     .help = "Connections to the target."},
    {NULL, FIELD_COUNT, TARGET(sum.counters.chosen),
     .metric = "upstream_chosen_total", .status = TARGET_TOTAL,
     .ctl = ", % in all", .help = "Times the target was chosen."},
    {NULL, FIELD_COUNT, TARGET(sum.counters.connect_errors),
     .metric = "upstream_connect_errors_total",
     .help = "Connects to the target that failed."},
    {NULL, FIELD_COUNT, TARGET(sum.counters.reported_errors),
     .metric = "upstream_errors_total",
     .help = "TLS handshakes after a PROXY header that failed."},
    {NULL, FIELD_COUNT, TARGET(errors), .status = TARGET_ERRORS},
    {NULL, FIELD_COUNT, TARGET(sum.counters.ejections),
     .metric = "upstream_ejections_total",
     .help = "Times the target was ejected."},
    {NULL, FIELD_COUNT, TARGET(sum.counters.checks),
     .metric = "upstream_checks_total", .help = "Checks that succeeded."},
    {NULL, FIELD_COUNT, TARGET(sum.counters.check_errors),
     .metric = "upstream_checks_failed_total", .help = "Checks that failed."},
    {NULL, FIELD_COUNT, TARGET(sum.counters.checks_skipped),
     .metric = "upstream_checks_skipped_total",
     .help = "Checks that could not be made because this machine ran out of a "
             "resource."},
    {NULL, FIELD_COUNT, TARGET(sum.in_use), .metric = "upstream_in_use",
     .help = "1 if balance first uses the target, else 0."},
    {NULL, FIELD_MS_IF_1, TARGET(sum.in_use_ns), .status = TARGET_IN_USE_MS},
    {NULL, FIELD_ERROR, TARGET(sum.last_err), .metric = "upstream_last_error",
     .help = "1 for the last error of the target and the status of its last "
             "check."},

    {NULL, FIELD_NAME, ADDRESS(names[3]), .ctl = "  %"},
    {NULL, FIELD_NAME, ADDRESS(state), .ctl = " %"},
    {NULL, FIELD_COUNT_IF, ADDRESS(priority), .ctl = ", priority %"},
    {NULL, FIELD_COUNT_IF, ADDRESS(weight), .ctl = ", weight %"},
    {NULL, FIELD_COUNT, ADDRESS(is_up), .metric = "upstream_address_up",
     .help = "1 if the address of the target's name is up, else 0."},

    {NULL, FIELD_COUNT, PROGRAM(buffer_bytes), .metric = "buffer_bytes",
     .status = PROXY_BUFFERS,
     .help = "Bytes that were received or wait to be sent, in all "
             "connections."},
    {NULL, FIELD_COUNT, PROGRAM(memory_limit_bytes),
     .metric = "memory_limit_bytes", .status = PROXY_MEMORY_LIMIT,
     .help = "Limit of buffer_bytes (--memory-limit)."},
    {NULL, FIELD_COUNT, PROGRAM(memory_bytes), .metric = "memory_bytes",
     .status = PROXY_MEMORY, .help = "Memory of the loops."},
    {NULL, FIELD_COUNT, PROGRAM(lost_lines), .metric = "log_lines_lost_total",
     .help = "Lines of the log that could not be written."},
    {NULL, FIELD_COUNT, PROGRAM(is_reloaded), .metric = "reload_done",
     .help = "0 if the last reload was refused, else 1."},
};

const size_t fields_count = sizeof(fields) / sizeof(fields[0]);

const void *field_value(const struct field *field, const void *object)
{
    return (const char *)object + field->offset;
}

const char *field_text(const struct field *field, const void *object)
{
    return *(const char *const *)field_value(field, object);
}

bool field_is_number(const struct field *field)
{
    return field->kind >= FIELD_MS;
}

uint64_t field_number(const struct field *field, const void *object)
{
    return field->kind == FIELD_SMALL || field->kind == FIELD_SMALL_IF_1
               ? *(const uint32_t *)field_value(field, object)
               : *(const uint64_t *)field_value(field, object);
}

bool field_has_value(const struct field *field, const void *object)
{
    switch (field->kind) {
    case FIELD_ADDRESS:
        return ((const struct weir_address *)field_value(field, object))->len >
               0;
    case FIELD_NAME:
    case FIELD_TRIED:
        return field_text(field, object) && field_text(field, object)[0];
    case FIELD_MS_IF_1:
    case FIELD_SMALL_IF_1:
    case FIELD_ERROR:
        return field_number(field, object) > 0;
    case FIELD_COUNT_IF:
        return field_number(field, object) != FIELD_NONE;
    case FIELD_TIME:
    case FIELD_REASON:
    case FIELD_MS:
    case FIELD_COUNT:
    case FIELD_SMALL:
    case FIELD_HISTOGRAM:
    default:
        return true;
    }
}
