/*
 * A server on weir's streams: a task for each connection, which reads, writes
 * and drains like asyncio's example. An echo sends the bytes from their receive
 * buffer; with --echo copy it writes a copy. Lines are read in place.
 *
 * It serves echo and lines. SIGUSR1 prints the loop's statistics, a line
 * "name value" for each, and an empty line; SIGTERM ends the server. Because a
 * writer drains, a peer that does not read stops reading at 1 MiB.
 */
#include "bench/bench.h"
#include "bench/lines.h"
#include "weir/inspect.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/error.h>
#include <weir/stream.h>
#include <weir/task.h>

#define HIGH_MARK (1024 * 1024)

static struct bench_options options;
static weir_server *server;

static void check(const char *what, int64_t err)
{
    if (err < 0) {
        fprintf(stderr, "%s: %s\n", what, weir_strerror((int)err));
        exit(1);
    }
}

/* Reads as the command line requires. The caller ends *taken unless it is NULL.
 */
static ssize_t read_some(weir_reader *reader, struct weir_buf *ret,
                         weir_lease **taken)
{
    ssize_t len;

    *taken = NULL;
    if (options.echo != BENCH_BY_TAKE) {
        return weir_reader_read_view(reader, SIZE_MAX, ret);
    }
    len = weir_reader_take(reader, SIZE_MAX, ret);
    *taken = len > 0 ? ret->lease : NULL;
    return len;
}

static int send_back(weir_writer *writer, const struct weir_buf *buf)
{
    return options.echo == BENCH_BY_COPY
               ? weir_writer_write(writer, buf->data, buf->len)
               : weir_writer_write_buf(writer, buf);
}

static int serve_echo(weir_reader *reader, weir_writer *writer)
{
    struct weir_buf buf;
    weir_lease *taken;
    ssize_t len;

    while ((len = read_some(reader, &buf, &taken)) > 0) {
        int err = send_back(writer, &buf);

        weir_buf_unref(taken);
        err = err < 0 ? err : weir_writer_drain(writer);
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

static int serve_lines(weir_reader *reader, weir_writer *writer)
{
    struct lines_answer sum = {0};
    struct weir_buf line;
    ssize_t len;

    while ((len = weir_reader_readline_view(reader, &line)) > 0) {
        int err = 0;

        if (lines_take(&sum, line.data, line.len)) {
            err = weir_writer_write(writer, &sum, sizeof(sum));
            err = err < 0 ? err : weir_writer_drain(writer);
            sum = (struct lines_answer){0};
        }
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    weir_transport *t = weir_writer_get_transport(writer);

    (void)arg;
    check("limits",
          weir_transport_set_write_buffer_limits(
              t, (struct weir_water_marks){.high_bytes = HIGH_MARK,
                                           .low_bytes = WEIR_DEFAULT}));
    return options.mode == BENCH_ECHO ? serve_echo(reader, writer)
                                      : serve_lines(reader, writer);
}

static int start(weir_loop *loop, void *arg)
{
    (void)arg;
    char name[BENCH_UNIX_NAME_SIZE];
    bench_unix_name(&options, name);
    check("listen",
          options.is_unix
              ? weir_start_unix_server(loop, serve, name, NULL, &server)
              : weir_start_server(loop, serve, "127.0.0.1", options.port, NULL,
                                  &server));
    bench_serving(&options);
    return 0;
}

static void on_terminate(void *arg, int signum)
{
    (void)signum;
    weir_loop_stop(arg);
}

static void print_statistics(void *arg, int signum)
{
    static char text[8192];

    (void)signum;
    weir_loop_format_statistics(arg, text, sizeof(text));
    printf("%s\n", text);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    weir_loop *loop = NULL;

    options = bench_parse(argc, argv, "A server on weir's streams.");
    if (options.mode != BENCH_ECHO && options.mode != BENCH_LINES) {
        bench_die_err("this server has echo and lines", EINVAL);
    }
    check("weir_loop_new", weir_loop_new(NULL, &loop));
    check("SIGTERM",
          weir_loop_add_signal_handler(loop, SIGTERM, on_terminate, loop));
    check("SIGUSR1",
          weir_loop_add_signal_handler(loop, SIGUSR1, print_statistics, loop));
    check("weir_task_spawn", weir_task_spawn(loop, start, NULL, NULL, NULL));
    check("weir_loop_run", weir_loop_run(loop));
    weir_server_free(server);
    check("weir_loop_free", weir_loop_free(loop));
    return 0;
}
