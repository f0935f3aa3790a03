/*
 * Counted: a stream with a task. For every message the echo reads a view,
 * writes a copy of it and drains. Lines are read as views, or into the task's
 * memory; the last line of a receive is answered with the number of lines.
 *
 * A turn's messages are together in one receive, so the echo takes 128 bytes
 * per read, whatever their number.
 */
#include "tests/counts/count.h"

#include <string.h>
#include <weir/stream.h>
#include <weir/task.h>

static int serve_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct count *c = arg;
    struct weir_buf buf;
    ssize_t len;

    while ((len = weir_reader_read_view(reader, COUNT_MESSAGE, &buf)) > 0) {
        c->callbacks++;
        int err = weir_writer_write(writer, buf.data, buf.len);
        err = err < 0 ? err : weir_writer_drain(writer);
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

typedef ssize_t read_line_fn(weir_reader *reader);

static ssize_t view_line(weir_reader *reader)
{
    struct weir_buf line;

    return weir_reader_readline_view(reader, &line);
}

static ssize_t copy_line(weir_reader *reader)
{
    uint8_t line[COUNT_LINE];

    return weir_reader_readline(reader, line, sizeof(line));
}

static int serve_lines_by(struct count *c, weir_reader *reader,
                          weir_writer *writer, read_line_fn *read_line)
{
    uint32_t lines = 0;
    ssize_t len;

    while ((len = read_line(reader)) > 0) {
        c->callbacks++;
        count_require(len == COUNT_LINE, "a line was cut");
        if (++lines < c->depth) {
            continue;
        }
        int err = weir_writer_write(writer, &lines, sizeof(lines));
        err = err < 0 ? err : weir_writer_drain(writer);
        if (err < 0) {
            return err;
        }
        lines = 0;
    }
    return (int)len;
}

static int serve_lines(void *arg, weir_reader *reader, weir_writer *writer)
{
    return serve_lines_by(arg, reader, writer, view_line);
}

static int serve_copied_lines(void *arg, weir_reader *reader,
                              weir_writer *writer)
{
    return serve_lines_by(arg, reader, writer, copy_line);
}

static size_t answer_lines(uint32_t depth, uint8_t first, uint8_t *ret)
{
    memcpy(ret, &depth, sizeof(depth));
    return sizeof(depth);
}

static int listen_for(struct count *c, weir_client_connected_fn *serve)
{
    const struct weir_start_server_options options = {.size = sizeof(options),
                                                      .arg = c};
    int err =
        weir_start_server(c->loop, serve, "127.0.0.1", 0, &options, &c->server);
    count_require(err == 0, "no server");
    count_listening(c, c->server);
    return 0;
}

static int listen_for_echo(weir_loop *loop, void *arg)
{
    return listen_for(arg, serve_echo);
}

static int listen_for_lines(weir_loop *loop, void *arg)
{
    return listen_for(arg, serve_lines);
}

static int listen_for_copied_lines(weir_loop *loop, void *arg)
{
    return listen_for(arg, serve_copied_lines);
}

static void start_with(struct count *c, weir_task_fn *listen)
{
    count_require(weir_task_spawn(c->loop, listen, c, NULL, NULL) == 0,
                  "no task");
}

static void start_echo(struct count *c)
{
    start_with(c, listen_for_echo);
}

static void start_lines(struct count *c)
{
    start_with(c, listen_for_lines);
}

static void start_copied_lines(struct count *c)
{
    start_with(c, listen_for_copied_lines);
}

static const struct count_traffic echo_traffic = {.message_size = COUNT_MESSAGE,
                                                  .answer = count_answer_echo};
const struct count_case count_stream = {.name = "stream",
                                        .start = start_echo,
                                        .next_turn = count_next_turn,
                                        .is_over = count_is_answered,
                                        .traffic = &echo_traffic};

static const struct count_traffic lines_traffic = {
    .message_size = COUNT_LINE, .answer = answer_lines, .has_lines = true};
const struct count_case count_lines = {.name = "lines",
                                       .start = start_lines,
                                       .next_turn = count_next_turn,
                                       .is_over = count_is_answered,
                                       .traffic = &lines_traffic};
const struct count_case count_copied_lines = {.name = "copied_lines",
                                              .start = start_copied_lines,
                                              .next_turn = count_next_turn,
                                              .is_over = count_is_answered,
                                              .traffic = &lines_traffic};
