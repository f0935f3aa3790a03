/*
 * Streams on both ends of real sockets, on one loop: a server of tasks and the
 * tasks that connect to it.
 *
 * The kernel determines the order of events, and every test checks that no
 * descriptor is left.
 */
#include "tests/contract/maker.h"
#include "tests/task.h"

#include <weir/stream.h>

enum { CLIENTS = 50, LINES = 40 };

static weir_server *server;
static int handled;
static int reports;

static void hook(void *arg, weir_loop *loop, const struct weir_exception *told)
{
    if (told->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    reports++;
}

static int answer_lines(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct weir_buf line;
    ssize_t len;
    while ((len = weir_reader_readline_view(reader, &line)) > 0) {
        int err = weir_writer_write(writer, line.data, line.len);
        if (err < 0) {
            return err;
        }
    }
    handled++;
    return (int)len;
}

static int start(weir_loop *loop)
{
    return weir_start_server(loop, answer_lines, "127.0.0.1", 0, NULL, &server);
}

static int ask_lines(weir_loop *loop, void *arg)
{
    char line[LINES + 8];
    char answer[LINES + 8];
    weir_reader *reader;
    weir_writer *writer;
    int err = weir_open_connection(loop, "127.0.0.1", server_port(server), NULL,
                                   &reader, &writer);
    expect_eq(err, 0, "%s", weir_strerror(err));
    for (size_t i = 0; i < LINES; i++) {
        memset(line, 'a' + (int)(i % 26), i);
        line[i] = '\n';
        expect_eq(weir_writer_write(writer, line, i + 1), 0);
        expect_eq(weir_reader_readline(reader, answer, sizeof(answer)),
                  (ssize_t)i + 1);
        cr_assert_arr_eq(answer, line, i + 1);
    }
    expect_eq(weir_writer_write_eof(writer), 0);
    expect_eq(weir_reader_readline(reader, answer, sizeof(answer)), 0);
    weir_writer_close(writer);
    err = weir_writer_wait_closed(writer);
    weir_writer_unref(writer);
    return err;
}

static int serve(weir_loop *loop, void *arg)
{
    return weir_server_serve_forever(server);
}

static int serve_many(weir_loop *loop, void *arg)
{
    weir_task *clients[CLIENTS];
    weir_task *forever;
    int result;
    weir_loop_set_exception_handler(loop, hook, NULL);
    expect_eq(start(loop), 0);
    expect_eq(weir_task_spawn(loop, serve, NULL, NULL, &forever), 0);
    for (int i = 0; i < CLIENTS; i++) {
        expect_eq(weir_task_spawn(loop, ask_lines, NULL, NULL, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        expect_eq(weir_task_join(clients[i], &result), 0);
        expect_eq(result, 0);
    }
    weir_task_cancel(forever);
    expect_eq(weir_task_join(forever, &result), 0);
    expect_eq(result, -ECANCELED);
    expect_eq(handled, CLIENTS);
    expect_eq(reports, 0);
    expect_eq(weir_server_get_connection_count(server), 0);
    weir_server_free(server);
    return 7;
}

UNIT(stream_serve, clients_and_a_server_share_a_loop)
{
    expect_eq(weir_run(NULL, serve_many, NULL), 7);
}

UNIT_IN(stream_serve, a_refused_connection_says_so, task_run, weir_loop *loop)
{
    struct weir_open_options options = {
        .size = sizeof(options),
        .connect = {.size = sizeof(options.connect),
                    .timeout_ns = MAKER_FAILSAFE_S * 1000 * MS}};
    weir_writer *writer = NULL;
    struct weir_address address = peer_address("127.0.0.1", 0);
    /* A bound socket without a listener reserves the port. */
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect_eq(bind(fd, &address.storage.any, address.len), 0);
    expect_eq(getsockname(fd, &address.storage.any, &address.len), 0);
    expect_eq(weir_open_connection(loop, "127.0.0.1", address_port(&address),
                                   &options, NULL, &writer),
              -ECONNREFUSED);
    cr_assert_null(writer);
    close(fd);
}

static int open_one(weir_loop *loop, void *arg)
{
    weir_writer *writer;
    int err = weir_open_connection(loop, "127.0.0.1", server_port(server), NULL,
                                   NULL, &writer);
    if (err == 0) {
        weir_writer_unref(writer);
    }
    return err;
}

/* Cancels in every iteration of an attempt, with the real kernel's order of
 * events, and in later iterations if the kernel was slow. */
UNIT_IN(stream_serve, attempts_that_are_cancelled_leave_no_descriptor, task_run,
        weir_loop *loop)
{
    int ends[2] = {0, 0};
    expect_eq(start(loop), 0);
    for (int turns = 0; turns < 100 || ends[1] == 0; turns++) {
        weir_task *task;
        int result = 1;
        expect_eq(weir_task_spawn(loop, open_one, NULL, NULL, &task), 0);
        for (int i = 0; i < turns % 10 + turns / 100; i++) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(task);
        expect_eq(weir_task_join(task, &result), 0);
        cr_assert(result == 0 || result == -ECANCELED);
        ends[result == 0]++;
    }
    expect_gt(ends[0], 0);
    expect_gt(ends[1], 0);
    weir_server_close(server);
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
}

UNIT_IN(stream_serve, options_of_the_server_reach_it, task_run, weir_loop *loop)
{
    struct weir_start_server_options options = {
        .size = sizeof(options),
        .server = {.size = sizeof(options.server), .connection_limit = 1}};
    char byte;
    expect_ok(weir_start_server(loop, answer_lines, "127.0.0.1", 0, &options,
                                &server));
    struct weir_open_options small = {.size = sizeof(small), .limit_bytes = 1};
    weir_reader *readers[2];
    weir_writer *writers[2];
    for (int i = 0; i < 2; i++) {
        expect_ok(weir_open_connection(loop, "127.0.0.1", server_port(server),
                                       &small, &readers[i], &writers[i]));
        expect_eq(weir_writer_write(writers[i], "\n", 1), 0);
    }
    expect_eq(weir_reader_readexactly(readers[0], &byte, 1), 1);
    expect_eq(weir_server_get_connection_count(server), 1);
    weir_writer_unref(writers[0]);
    expect_eq(weir_reader_readexactly(readers[1], &byte, 1), 1,
              "the second comes in when the first has gone");
    weir_writer_unref(writers[1]);
    weir_server_free(server);
}
