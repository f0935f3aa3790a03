/*
 * The internals of a running loop: statistics, their text, the table of kernel
 * features, and the dump for operators.
 *
 * Other suites check that each count is right at every moment.
 */
#include "tests/contract/maker.h"

#include <weir/connect.h>

MAKER(stats, a_struct_without_its_size_is_refused, m)
{
    struct weir_loop_statistics statistics = {.size = 0, .turns = 7};

    expect_eq(weir_loop_get_statistics(m->loop, &statistics), WEIR_EOPTIONSIZE);
    expect_eq(statistics.turns, 7);
}

UNIT(stats, bytes_and_connections_are_counted)
{
    struct maker m;
    char text[1000] = "";
    int fd = maker_serve_one(&m);

    expect_eq(send(fd, text, sizeof(text), 0), sizeof(text));
    RUN_UNTIL(m.loop,
              m.received == 1000 && statistics_of(m.loop).sent_bytes == 1000);

    struct weir_loop_statistics now = statistics_of(m.loop);
    expect_eq(now.connections, 1);
    expect_eq(now.received_bytes, sizeof(text));
    expect_eq(now.sent_bytes, sizeof(text));
    expect_eq(now.copied_by_write, sizeof(text));
    expect_eq(now.queued_bytes, 0);
    expect_eq(now.held_bytes, 0);
    expect_eq(now.leases, 0);
    expect_eq(now.overflows, 0);

    close(fd);
    maker_run(&m, maker_is_lost);
    expect_eq(statistics_of(m.loop).connections, 0);
    maker_close(&m);
}

MAKER(stats, timers_are_counted_while_they_are_armed, m)
{
    struct weir_handle handle;
    expect_ok(
        weir_loop_call_later(m->loop, 1000 * MS, maker_time_out, m, &handle));
    expect_eq(statistics_of(m->loop).timers, 1);
    cr_assert(weir_handle_cancel(m->loop, handle));

    expect_eq(statistics_of(m->loop).timers, 0);
}

static void count_down(void *arg)
{
    struct maker *m = arg;
    if (--m->received > 0) {
        expect_ok(weir_loop_call_soon(m->loop, count_down, m, NULL));
    }
}

static bool is_counted_down(const struct maker *m)
{
    return m->received == 0;
}

MAKER(stats, a_turn_that_has_nothing_for_the_kernel_does_not_ask_it, m)
{
    if (statistics_of(m->loop).poll_engines > 0) {
        cr_skip_test("epoll asks in each turn; runs with io_uring");
    }
    maker_run_for(m, 5 * MS); /* what the start has armed is submitted */
    const struct weir_loop_statistics before = statistics_of(m->loop);
    m->received = 1000;
    count_down(m);
    maker_run(m, is_counted_down);

    const struct weir_loop_statistics now = statistics_of(m->loop);
    expect_geq(now.turns - before.turns, 999);
    expect_leq(now.enters - before.enters, 100);
}

MAKER(stats, the_text_has_one_line_for_each_field, m)
{
    char text[2048];
    char expected[64];
    maker_run_for(m, 5 * MS);

    size_t len = weir_loop_format_statistics(m->loop, text, sizeof(text));
    struct weir_loop_statistics now = statistics_of(m->loop);

    expect_eq(len, strlen(text));
    snprintf(expected, sizeof(expected), "turns %llu\n",
             (unsigned long long)now.turns);
    expect_eq(strncmp(text, expected, strlen(expected)), 0);
    snprintf(expected, sizeof(expected), "\nmemory_bytes %llu\n",
             (unsigned long long)now.memory_bytes);
    cr_expect_not_null(strstr(text, expected));
    size_t lines = 0;
    for (const char *at = text; *at; at++) {
        lines += *at == '\n';
    }
    expect_eq(lines, (sizeof(now) - sizeof(now.size)) / sizeof(uint64_t));
}

MAKER(stats, texts_are_cut_and_terminated_when_there_is_no_room, m)
{
    char whole[2048];
    char part[20];
    size_t len = weir_loop_format_statistics(m->loop, whole, sizeof(whole));
    memset(part, 'x', sizeof(part));
    expect_eq(weir_loop_format_statistics(m->loop, part, sizeof(part)), len);
    expect_eq(strlen(part), sizeof(part) - 1);
    expect_eq(strncmp(part, whole, sizeof(part) - 1), 0);
    expect_eq(weir_loop_format_statistics(m->loop, NULL, 0), len);

    len = weir_loop_get_features_text(m->loop, whole, sizeof(whole));
    expect_eq(len, strlen(whole));
    memset(part, 'x', sizeof(part));
    expect_eq(weir_loop_get_features_text(m->loop, part, sizeof(part)), len);
    expect_eq(strlen(part), sizeof(part) - 1);
}

UNIT(stats, statistics_that_were_read_have_a_text_too)
{
    struct weir_loop_statistics statistics = {
        .size = sizeof(statistics), .turns = 3, .memory_bytes = 5};
    char text[2048];
    const int len = weir_statistics_format(&statistics, text, sizeof(text));
    expect_eq(len, (int)strlen(text));
    expect_eq(strncmp(text, "turns 3\n", 8), 0);
    cr_expect_not_null(strstr(text, "\nmemory_bytes 5\n"));

    statistics.size = offsetof(struct weir_loop_statistics, memory_bytes);
    expect_geq(weir_statistics_format(&statistics, text, sizeof(text)), 0);
    cr_expect_not_null(strstr(text, "\nmemory_bytes 0\n"), "not its own");
    statistics.size = 0;
    expect_eq(weir_statistics_format(&statistics, text, sizeof(text)),
              WEIR_EOPTIONSIZE);
    expect_eq(weir_statistics_format(NULL, text, sizeof(text)), -EINVAL);
}

static int write_metrics(const struct weir_loop_statistics *statistics,
                         FILE *out)
{
    cr_assert_not_null(out);
    const int err = weir_statistics_write_prometheus(statistics, out);
    fclose(out);
    return err;
}

UNIT(stats, metrics_are_a_family_of_prometheus_for_each_field)
{
    struct weir_loop_statistics statistics = {
        .size = sizeof(statistics), .turns = 3, .tasks = UINT64_MAX};
    char *text = NULL;
    size_t size = 0;

    expect_eq(write_metrics(&statistics, open_memstream(&text, &size)), 0);
    cr_expect_not_null(
        strstr(text, "# HELP weir_turns_total Turns of the loop.\n"
                     "# TYPE weir_turns_total counter\nweir_turns_total 3\n"));
    cr_expect_not_null(strstr(text, "# TYPE weir_tasks gauge\n"
                                    "weir_tasks 18446744073709551615\n"));
    size_t line_count = 0;
    for (const char *at = text; (at = strchr(at, '\n')); at++) {
        line_count++;
    }
    expect_eq(line_count,
              3 * (sizeof(statistics) - sizeof(size_t)) / sizeof(uint64_t));
    free(text);
}

UNIT(stats, metrics_that_cannot_be_written_say_why)
{
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};
    FILE *full = fopen("/dev/full", "w");

    cr_assert_not_null(full);
    setvbuf(full, NULL, _IONBF, 0);
    expect_eq(write_metrics(&statistics, full), -EIO);
    expect_eq(weir_statistics_write_prometheus(&statistics, NULL), -EINVAL);
    expect_eq(weir_statistics_write_prometheus(NULL, stderr), -EINVAL);
    statistics.size = 0;
    expect_eq(weir_statistics_write_prometheus(&statistics, stderr),
              WEIR_EOPTIONSIZE);
}

/* Opens a stream that sends each write(2) as its own message. */
static FILE *open_messages(int *ret_reader)
{
    int fds[2];

    expect_ok(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    FILE *out = fdopen(fds[1], "w");
    cr_assert_not_null(out);
    setvbuf(out, NULL, _IONBF, 0); /* like standard error */
    *ret_reader = fds[0];
    return out;
}

UNIT(stats, the_dump_has_a_line_for_each_thing_alive_and_comes_in_one_write)
{
    struct maker m;
    char text[8192];
    int reader;
    char port[32];
    int fd = maker_serve_one(&m);
    snprintf(port, sizeof(port), "127.0.0.1:%d", server_port(m.server));
    expect_ok(weir_create_connection(m.loop, &m.factory, "127.0.0.1", 1, NULL,
                                     NULL, NULL, NULL));

    FILE *out = open_messages(&reader);
    weir_loop_dump(m.loop, out);
    fclose(out);
    const ssize_t len = read(reader, text, sizeof(text) - 1);
    expect_gt(len, 0);
    text[len] = '\0';
    expect_eq(read(reader, text + len, 1), 0, "another write");
    close(reader);

    const char *server = strstr(text, "server serving connections=1 ");
    cr_assert_not_null(server, "%s", text);
    cr_assert_not_null(strstr(server, port));
    cr_assert_not_null(strstr(text, "connect waiting peer=127.0.0.1:1 "));
    expect_eq(strncmp(text, "loop idle turns=", 16), 0);
    size_t lines = 0;
    for (const char *at = text; *at; at++) {
        lines += *at == '\n';
    }
    expect_eq(lines, 4, "loop, server, attempt, connection: %s", text);
    close(fd);
    maker_close(&m);
}
