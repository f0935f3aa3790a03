/*
 * The tables, and what walks them.
 *
 * A count that is not in its table is in no result: a new one is its member of
 * the struct, its row here, its line in result.schema.json and its word in the
 * manual.
 */
#include "fields.h"

#include "json_part.h"
#include "result.h"

#define FIELD(type, name, member)                                              \
    {                                                                          \
        name, offsetof(struct type, member), FIELD_SUM                         \
    }
#define END                                                                    \
    {                                                                          \
        NULL, 0, FIELD_SUM                                                     \
    }

const struct field fields_ledger[] = {
    FIELD(ledger, "offered", scheduled),
    FIELD(ledger, "sent", sent),
    FIELD(ledger, "ok", ok),
    FIELD(ledger, "failed", failed),
    FIELD(ledger, "timeout", timeout),
    FIELD(ledger, "dropped", dropped),
    END,
};

const struct field fields_answers[] = {
    FIELD(track_counts, "late", late),
    FIELD(track_counts, "duplicate", duplicate),
    FIELD(track_counts, "reordered", reordered),
    END,
};

const struct field fields_handshakes[] = {
    FIELD(tls_facts, "full", full),
    FIELD(tls_facts, "resumed", resumed),
    FIELD(tls_facts, "failed", failed),
    END,
};

const struct field fields_connections[] = {
    FIELD(connection_counts, "open_at_begin", open_at_begin),
    FIELD(connection_counts, "open_at_end", open_at_end),
    FIELD(connection_counts, "opened", opened),
    FIELD(connection_counts, "failed", failed),
    FIELD(connection_counts, "lost", lost),
    FIELD(connection_counts, "never_answered", never_answered),
    FIELD(connection_counts, "fast_open", fast_opened),
    FIELD(connection_counts, "ended_idle", ended_idle),
    FIELD(connection_counts, "requests_repeated", repeated),
    FIELD(connection_counts, "closed_first", closed_first),
    FIELD(connection_counts, "not_closed", not_closed),
    END,
};

const struct field fields_row[] = {
    FIELD(result_row, "offered", offered),
    FIELD(result_row, "ok", ok),
    FIELD(result_row, "failed", failed),
    FIELD(result_row, "timeout", timeout),
    FIELD(result_row, "dropped", dropped),
    FIELD(result_row, "in_flight", in_flight),
    FIELD(result_row, "open", open),
    FIELD(result_row, "bytes_in", received_bytes),
    FIELD(result_row, "bytes_out", sent_bytes),
    {"end_ns", offsetof(struct result_row, end_ns), FIELD_GREATEST},
    END,
};

const struct field fields_usage[] = {
    FIELD(host_usage, "cpu_user_ns", user_ns),
    FIELD(host_usage, "cpu_system_ns", system_ns),
    FIELD(host_usage, "run_queue_wait_ns", run_queue_wait_ns),
    {"max_rss_bytes", offsetof(struct host_usage, max_rss_bytes),
     FIELD_GREATEST},
    END,
};

const struct field fields_loop[] = {
    FIELD(result_loop, "turns", turns),
    FIELD(result_loop, "enters", enters),
    FIELD(result_loop, "overflows", overflows),
    FIELD(result_loop, "starved", starved),
    END,
};

/* These structs have counts alone, each of which has its row. */
#define ALL_HAVE_ROWS(type, table)                                             \
    _Static_assert(sizeof(struct type) / sizeof(uint64_t) ==                   \
                       sizeof(table) / sizeof((table)[0]) - 1,                 \
                   "a count of struct " #type " has no row in " #table)

ALL_HAVE_ROWS(ledger, fields_ledger);
ALL_HAVE_ROWS(track_counts, fields_answers);
ALL_HAVE_ROWS(connection_counts, fields_connections);
ALL_HAVE_ROWS(host_usage, fields_usage);
ALL_HAVE_ROWS(result_loop, fields_loop);

static uint64_t value_of(const struct field *field, const void *from)
{
    return *(const uint64_t *)((const char *)from + field->offset);
}

void fields_merge(const struct field *fields, void *to, const void *from)
{
    for (; fields->name; fields++) {
        uint64_t *value = (uint64_t *)((char *)to + fields->offset);
        const uint64_t other = value_of(fields, from);
        if (fields->merge == FIELD_SUM) {
            *value += other;
        } else if (other > *value) {
            *value = other;
        }
    }
}

void fields_write(const struct field *fields, const void *from, json_t *into)
{
    for (; fields->name; fields++) {
        json_object_set_new(
            into, fields->name,
            json_integer(json_integer_of(value_of(fields, from))));
    }
}

json_t *fields_json(const struct field *fields, const void *from)
{
    json_t *object = json_object();

    fields_write(fields, from, object);
    return object;
}
