/*
 * A line of weir-proxy's log in both formats, and the counts.
 *
 * Every field is in its place, bytes of peers are made harmless, and each
 * connection has one reason.
 */
#include "tools/weir-proxy/facts/record.h"

#include "tests/unit.h"
#include "tools/weir-proxy/base/keyed.h"
#include "tools/weir-proxy/facts/counts.h"
#include "tools/weir-proxy/facts/fields.h"

#include "weir/error.h"

#include <errno.h>
#include <search.h>

static char line[RECORD_TEXT_SIZE + 1];

static struct record make_record(void)
{
    struct record record = {.time_ns = UINT64_C(1700000000123456789),
                            .service = "db",
                            .queue_ns = 1500000,
                            .connect_ns = 250000,
                            .tls_ns = 2000000,
                            .first_byte_ns = 3000000,
                            .total_ns = 12345678,
                            .in_bytes = 10,
                            .out_bytes = 20,
                            .tries = 2,
                            .reason = END_TARGET_RESET,
                            .tls_version = "TLSv1.3",
                            .server_name = "db.example",
                            .alert = "unknown_ca",
                            .tried = "192.0.2.3:80: Connection refused",
                            .route = "*",
                            .target_name = "tcp://db.test:2222"};
    expect_eq(weir_address_parse("192.0.2.1", 1111, &record.client), 0);
    expect_eq(weir_address_parse("192.0.2.2", 2222, &record.target), 0);
    return record;
}

static void write_line(const struct record *record,
                       size_t (*write)(const struct record *record, char *buf))
{
    const size_t len = write(record, line);
    cr_assert(len <= RECORD_TEXT_SIZE);
    line[len] = '\0';
    expect_eq(line[len - 1], '\n');
    cr_assert_null(memchr(line, '\0', len), "a NUL in the line");
}

UNIT(proxy_record, a_line_of_text_has_all_fields_in_order)
{
    const struct record record = make_record();
    write_line(&record, record_write_text);
    cr_assert_str_eq(line, "2023-11-14T22:13:20.123Z 192.0.2.1:1111 db "
                           "192.0.2.2:2222 1.500 0.250 2.000 3.000 12.346 10 "
                           "20 2 target-reset TLSv1.3 db.example unknown_ca "
                           "192.0.2.3:80:_Connection_refused\n");
}

UNIT(proxy_record, a_line_of_json_has_all_fields)
{
    const struct record record = make_record();
    write_line(&record, record_write_json);
    cr_assert_str_eq(
        line,
        "{\"time\":\"2023-11-14T22:13:20.123Z\",\"client\":\"192.0.2.1:1111\","
        "\"service\":\"db\",\"target\":\"192.0.2.2:2222\",\"queue_ms\":1.500,"
        "\"connect_ms\":0.250,\"tls_ms\":2.000,\"first_byte_ms\":3.000,"
        "\"total_ms\":12.346,\"in_bytes\":10,\"out_bytes\":20,\"tries\":2,"
        "\"reason\":\"target-reset\",\"tls\":\"TLSv1.3\","
        "\"server_name\":\"db.example\",\"alert\":\"unknown_ca\","
        "\"tried\":\"192.0.2.3:80: Connection refused\",\"route\":\"*\","
        "\"target_name\":\"tcp://db.test:2222\"}\n");
}

UNIT(proxy_record, what_there_was_not_is_a_dash_or_left_out)
{
    const struct record record = {.service = "db", .reason = END_CLIENT_GONE};
    write_line(&record, record_write_text);
    cr_assert_str_eq(line, "1970-01-01T00:00:00.000Z - db - 0.000 0.000 0.000 "
                           "0.000 0.000 0 0 0 client-gone - - - -\n");
    write_line(&record, record_write_json);
    cr_assert_null(strstr(line, "client\""));
    cr_assert_null(strstr(line, "target\""));
    cr_assert_null(strstr(line, "tls\""));
    cr_assert_null(strstr(line, "server_name"));
    cr_assert_null(strstr(line, "alert"));
    cr_assert_null(strstr(line, "tried"));
}

UNIT(proxy_record, bytes_of_a_peer_break_no_line)
{
    struct record record = make_record();
    record.server_name = "a b\n\"c\"\\\x01\xff";
    write_line(&record, record_write_text);
    cr_assert_not_null(strstr(line, " a?b??c???? unknown_ca "), "%s", line);
    write_line(&record, record_write_json);
    cr_assert_not_null(strstr(line, "\"a?b??c????\",\"alert\""), "%s", line);
}

UNIT(proxy_record, names_with_spaces_are_one_field_each)
{
    static const char path[] = "\0me 192.0.2.9:1 db x\ny";
    struct record record = make_record();
    record.service = "d b";
    expect_eq(weir_address_parse_unix("/run/a b", &record.target), 0);
    record.client = record.target;
    record.client.len =
        offsetof(struct sockaddr_un, sun_path) + sizeof(path) - 1;
    memcpy(record.client.storage.local.sun_path, path, sizeof(path) - 1);
    write_line(&record, record_write_text);
    cr_assert_not_null(strstr(line, "Z unix:@me?192.0.2.9:1?db?x?x0ay d?b "
                                    "unix:/run/a?b 1.500 "),
                       "%s", line);
    write_line(&record, record_write_json);
    cr_assert_not_null(strstr(line, "\"unix:@me?192.0.2.9:1?db?x?x0ay\""), "%s",
                       line);
}

/* Returns a record with the longest text in each field. */
static struct record make_long_record(void)
{
    static char name[16384];
    struct record record = make_record();
    memset(name, 'x', sizeof(name) - 1);
    record.service = name;
    record.server_name = name;
    record.tried = name;
    record.route = name;
    record.target_name = NULL; /* the target is an address */
    record.client_cn = name;
    record.client.len = sizeof(record.client.storage.local);
    record.client.storage.local.sun_family = AF_UNIX;
    memset(record.client.storage.local.sun_path, 1,
           sizeof(record.client.storage.local.sun_path));
    record.target = record.client;
    record.queue_ns = record.connect_ns = record.tls_ns = UINT64_MAX;
    record.first_byte_ns = record.total_ns = UINT64_MAX;
    record.in_bytes = record.out_bytes = UINT64_MAX;
    record.tries = UINT32_MAX;
    record.reason = END_UNREACHABLE;
    return record;
}

UNIT(proxy_record, the_longest_names_take_no_other_field_away)
{
    struct record record = make_long_record();
    size_t words = 1;
    write_line(&record, record_write_text);
    for (const char *at = line; *at; at++) {
        words += *at == ' ';
    }
    expect_eq(words, 17);
    cr_assert_not_null(strstr(line, "x unknown_ca xxx"), "%s", line);
    cr_assert_str_eq(line + strlen(line) - 3, "xx\n");
    write_line(&record, record_write_json);
    cr_assert_not_null(
        strstr(line, "x\",\"alert\":\"unknown_ca\",\"tried\":\"xxx"), "%s",
        line);
    cr_assert_not_null(strstr(line, "x\",\"route\":\"xxx"), "%s", line);
    cr_assert_str_eq(line + strlen(line) - 5, "xx\"}\n");
    record.target_name = record.service;
    expect_eq(weir_address_parse("192.0.2.2", 2222, &record.target), 0);
    write_line(&record, record_write_json);
    cr_assert_str_eq(line + strlen(line) - 5, "xx\"}\n");
}

static size_t write_some(const struct record *record, char *buf)
{
    return record_write_names(
        record, "{client}\t{route} {{{tls}}} {tried} {left_out} {in_bytes}",
        buf);
}

UNIT(proxy_record, a_line_by_names_has_what_they_name)
{
    struct record record = make_record();
    write_line(&record, write_some);
    cr_assert_str_eq(line, "192.0.2.1:1111\t* {TLSv1.3} "
                           "192.0.2.3:80:_Connection_refused - 10\n");
    record.tls_version = record.tried = NULL;
    record.left_out = 3;
    write_line(&record, write_some);
    cr_assert_str_eq(line, "192.0.2.1:1111\t* {-} - 3 10\n");
}

UNIT(proxy_record, names_of_a_format_are_fields)
{
    static const struct {
        const char *format;
        const char *wrong; /* NULL if the format is valid */
    } all[] = {{"{time}{route}", NULL},
               {"a {{b}} \t", NULL},
               {"{time} {x} y", "{x} y"},
               {"{time} {", "{"},
               {"{} ", "{} "},
               {"a } b", "} b"},
               {"{time}\n{tls}", "\n{tls}"},
               {"{time }", "{time }"}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const char *wrong = NULL;
        expect_eq(record_check_names(all[i].format, &wrong), !all[i].wrong);
        if (all[i].wrong) {
            cr_assert_str_eq(wrong, all[i].wrong);
        }
    }
    for (size_t i = 0; fields[i].name; i++) {
        char format[64];
        const char *wrong;
        snprintf(format, sizeof(format), "{%s}", fields[i].name);
        cr_assert(record_check_names(format, &wrong), "%s", format);
    }
}

UNIT(proxy_record, every_reason_has_a_word_of_its_own)
{
    for (int i = 0; i < END_REASONS; i++) {
        const char *name = end_reason_names[i];
        cr_assert_not_null(name, "reason %d", i);
        for (int j = 0; j < i; j++) {
            cr_assert_str_neq(name, end_reason_names[j]);
        }
    }
}

#define A WEIR_RELAY_A
#define B WEIR_RELAY_B

/* Ends of a relay, whoever caused them. Only an answer counts for a target, and
 * none counts against it, because a client can cause each of them. */
static const struct {
    enum weir_relay_party by;
    enum weir_relay_cause cause;
    int err;
    enum end_reason reason;
} ends[] = {
    {A, WEIR_RELAY_EOF, 0, END_DONE},
    {B, WEIR_RELAY_EOF, 0, END_DONE},
    {A, WEIR_RELAY_RESET, -ECONNRESET, END_CLIENT_RESET},
    {B, WEIR_RELAY_RESET, -ECONNRESET, END_TARGET_RESET},
    {A, WEIR_RELAY_RESET, -EPIPE, END_CLIENT_RESET},
    {B, WEIR_RELAY_RESET, -EPIPE, END_TARGET_RESET},
    {A, WEIR_RELAY_TIMEOUT, WEIR_EWRITESTALL, END_CLIENT_STALL},
    {B, WEIR_RELAY_TIMEOUT, WEIR_EWRITESTALL, END_TARGET_STALL},
    {A, WEIR_RELAY_HELD_UP, WEIR_EWRITESTALL, END_CLIENT_STALL},
    {B, WEIR_RELAY_HELD_UP, WEIR_EWRITESTALL, END_CLIENT_STALL},
    {A, WEIR_RELAY_TIMEOUT, WEIR_ECLOSETIMEOUT, END_CLIENT_STALL},
    {B, WEIR_RELAY_TIMEOUT, WEIR_ECLOSETIMEOUT, END_TARGET_STALL},
    {A, WEIR_RELAY_TIMEOUT, -ETIMEDOUT, END_CLIENT_STALL},
    {B, WEIR_RELAY_TIMEOUT, -ETIMEDOUT, END_TARGET_STALL},
    {A, WEIR_RELAY_ERROR, WEIR_ETLSTRUNCATED, END_CLIENT_CUT},
    {B, WEIR_RELAY_ERROR, WEIR_ETLSTRUNCATED, END_TARGET_CUT},
    {A, WEIR_RELAY_ERROR, WEIR_ETLSALERT, END_CLIENT_ALERT},
    {B, WEIR_RELAY_ERROR, WEIR_ETLSALERT, END_TARGET_ALERT},
    {B, WEIR_RELAY_ERROR, -EHOSTUNREACH, END_TARGET_RESET},
    {WEIR_RELAY_LIMIT, WEIR_RELAY_IDLE, WEIR_EIDLE, END_IDLE},
    {WEIR_RELAY_LIMIT, WEIR_RELAY_HALF_CLOSED, WEIR_EIDLE, END_HALF_CLOSED},
    {WEIR_RELAY_LIMIT, WEIR_RELAY_LIFETIME, -ETIMEDOUT, END_LIFETIME},
    {WEIR_RELAY_PROGRAM, WEIR_RELAY_CANCELED, -ECANCELED, END_DRAIN},
};

UNIT(proxy_record, no_end_of_a_relay_speaks_against_its_target)
{
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct weir_relay_record end = {
            .ended_by = ends[i].by, .cause = ends[i].cause, .err = ends[i].err};
        cr_assert_eq(end_reason_of_relay(&end, true), ends[i].reason, "row %zu",
                     i);
        cr_assert_eq(end_verdict_of_relay(&end),
                     ends[i].err == 0 ? 0 : -ECANCELED, "row %zu", i);
        end.b_bytes = 1;
        cr_assert_eq(end_verdict_of_relay(&end), 0, "row %zu, answered", i);
    }
    expect_eq(end_verdict_of_tls(WEIR_ETLSEXPIRED), WEIR_ETLSEXPIRED);
    expect_eq(end_verdict_of_tls(WEIR_ETLSTRUNCATED), -ECANCELED);
    expect_eq(end_verdict_of_tls(-ECONNRESET), -ECANCELED);
}

UNIT(proxy_record, counts_of_threads_are_added_field_by_field)
{
    struct counts one = {.accepted = 2, .active = 2};
    struct counts sum = {.accepted = 5, .active = 1};
    struct record record = make_record();
    counts_end(&one, &record);
    record.reason = END_DONE;
    record.connect_ns = UINT64_C(60000000000);
    counts_end(&one, &record);
    expect_eq(one.active, 0);
    expect_eq(one.in_bytes, 20);
    expect_eq(one.out_bytes, 40);
    expect_eq(one.connects[0], 1);
    expect_eq(one.connects[COUNTS_BUCKETS], 1);
    expect_eq(one.queued, 2);
    counts_add(&sum, &one);
    expect_eq(sum.accepted, 7);
    expect_eq(sum.active, 1);
    expect_eq(sum.ended[END_DONE], 1);
    expect_eq(sum.ended[END_TARGET_RESET], 1);
    expect_eq(sum.connects[COUNTS_BUCKETS], 1);
}

static int longest; /* depth of the tree */

static void note_depth(const void *node, VISIT visit, int depth)
{
    longest = depth > longest ? depth : longest;
}

UNIT(proxy_record, many_targets_have_counts_that_are_found_in_few_steps)
{
    struct keyed_table table = {.tree = NULL};
    char name[32];

    for (size_t i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "tcp://127.0.0.1:%zu", i % 10000);
        struct target_tally *one = counts_find_target(&table, "a", "*", name);
        expect_eq(one->past.chosen, i < 10000 ? 0 : i - 10000);
        one->past.chosen = i;
    }
    twalk(table.tree, note_depth);
    cr_assert_leq(longest, 28); /* twice the logarithm */
    keyed_free(&table, NULL);
    cr_assert_null(table.tree);
}
