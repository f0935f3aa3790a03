/*
 * Streams over Unix sockets: a client and a server on one loop that meet at a
 * path, calls that fail, and an interrupted start that leaves no file.
 *
 * Other suites test streams over any transport.
 */
#include "tests/contract/place.h"
#include "tests/task.h"

#include <weir/stream.h>

static struct place here;
static weir_server *server;
static int handled;

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    char text[64];
    ssize_t len;
    expect_eq(*(int *)arg, 7);
    while ((len = weir_reader_read(reader, text, sizeof(text))) > 0) {
        weir_writer_write(writer, text, (size_t)len);
        if ((len = weir_writer_drain(writer)) < 0) {
            break;
        }
    }
    handled++;
    return (int)len;
}

static int start(weir_loop *loop, const char *path)
{
    static int seven = 7;
    const struct weir_start_server_options options = {.size = sizeof(options),
                                                      .arg = &seven};
    return weir_start_unix_server(loop, echo, path, &options, &server);
}

static void run(task_body_fn *body)
{
    server = NULL;
    handled = 0;
    place_open(&here);
    task_run(body);
    place_close(&here);
}

UNIT_IN(stream_unix, a_client_and_a_server_meet_at_a_path, run, weir_loop *loop)
{
    weir_reader *reader;
    weir_writer *writer;
    char text[8];
    expect_eq(start(loop, here.path), 0);
    expect_ok(
        weir_open_unix_connection(loop, here.path, NULL, &reader, &writer));
    expect_eq(weir_writer_write(writer, "hello", 5), 0);
    expect_eq(weir_reader_readexactly(reader, text, 5), 5);
    expect_eq(memcmp(text, "hello", 5), 0);
    expect_eq(weir_writer_write_eof(writer), 0);
    expect_eq(weir_reader_read(reader, text, sizeof(text)), 0);
    weir_writer_close(writer);
    expect_eq(weir_writer_wait_closed(writer), 0);
    weir_writer_unref(writer);
    weir_server_close(server);
    cr_assert(!place_exists(&here));
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
    expect_eq(handled, 1);
}

UNIT_IN(stream_unix, what_cannot_be_says_why, run, weir_loop *loop)
{
    weir_writer *writer = NULL;
    char path[200];
    memset(path, 'p', sizeof(path));
    path[199] = '\0';
    expect_eq(start(loop, path), -ENAMETOOLONG);
    expect_eq(start(loop, NULL), -EINVAL);
    expect_eq(weir_open_unix_connection(loop, path, NULL, NULL, &writer),
              -ENAMETOOLONG);
    expect_eq(weir_open_unix_connection(loop, NULL, NULL, NULL, &writer),
              -EINVAL);
    expect_eq(weir_open_unix_connection(loop, here.path, NULL, NULL, &writer),
              -ENOENT);
    place_litter(&here);
    expect_eq(weir_open_unix_connection(loop, here.path, NULL, NULL, &writer),
              -ECONNREFUSED);
    unlink(here.path);
    int live = place_bind(&here, SOCK_STREAM, 4);
    expect_eq(start(loop, here.path), -EADDRINUSE);
    close(live);
    unlink(here.path);
    const int lonely = socket(AF_UNIX, SOCK_STREAM, 0);
    expect_eq(weir_open_connection_at(loop, weir_endpoint_fd(lonely), NULL,
                                      NULL, &writer),
              -EINVAL);
    cr_assert(wait_closed(lonely));
    cr_assert_null(writer);
    cr_assert_null(server);
}

static int start_in_task(weir_loop *loop, void *arg)
{
    return start(loop, here.path);
}

static void wait_for_retry(weir_loop *loop)
{
    struct weir_loop_statistics now = {.size = sizeof(now)};
    do {
        expect_eq(weir_yield(loop), 0);
        expect_eq(weir_loop_get_statistics(loop, &now), 0);
    } while (now.timers == 0);
}

UNIT_IN(stream_unix, a_start_that_is_cancelled_leaves_no_file, run,
        weir_loop *loop)
{
    weir_task *task;
    int result = 0;
    int live = place_bind(&here, SOCK_STREAM, 4);
    expect_eq(weir_task_spawn(loop, start_in_task, NULL, NULL, &task), 0);
    wait_for_retry(loop); /* a longer wait may be the last */
    weir_task_cancel(task);
    close(live);
    unlink(here.path);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, -ECANCELED);
    cr_assert_null(server);
    expect_eq(weir_sleep(loop, 20 * MS), 0);
    cr_assert(!place_exists(&here));
}
