/*
 * Children, pipes and datagram streams without memory.
 *
 * Each allocation fails once, from the creation of the loop to the end of the
 * operation. Operations that report success have succeeded, and neither memory,
 * descriptors nor processes are left.
 */
#include "tests/bind.h"
#include "tests/walk.h"

#include <errno.h>
#include <sys/wait.h>
#include <weir/datagram_stream.h>
#include <weir/error.h>
#include <weir/process.h>
#include <weir/task.h>

enum { INPUT = 300000 };

static struct test_allocator memory;
static weir_loop *loop;
static char input[INPUT];

static int count_fds(void)
{
    static struct unit_fds fds;
    unit_fds_read(&fds);
    return fds.count;
}

typedef int attempt_fn(void);

struct sweep {
    attempt_fn *attempt;
    int fds;
};

static void try_once(void *arg)
{
    const struct sweep *sweep = arg;
    const struct weir_loop_options options = allocator_options(&memory);
    walk_begin(&memory);
    int err = weir_loop_new(&options, &loop);
    if (err == 0) {
        err = sweep->attempt();
        cr_assert_geq(weir_loop_free(loop), 0);
    }
    cr_assert(err == 0 || walk_end(&memory));
    cr_assert_eq(count_fds(), sweep->fds, "allocation %d", (int)walk_round);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

static void sweep(attempt_fn *attempt)
{
    struct sweep each = {attempt, count_fds()};
    alarm(100);
    walk_allocations(&memory, try_once, &each);
}

static int run_task(weir_task_fn *body)
{
    int result = -1;
    const int err = weir_loop_run_task(loop, body, NULL, &result);
    return err < 0 ? err : result;
}

static const struct weir_stdio a_pipe = {WEIR_STDIO_PIPE, 0};

static int communicate(weir_loop *on, void *arg)
{
    const char *const argv[] = {"cat", NULL};
    const struct weir_process_options options = {
        .size = sizeof(options),
        .spawn = {.in = a_pipe, .out = a_pipe, .err = a_pipe},
    };
    struct weir_process_output output = {.size = 0};
    weir_process *process;

    int err = weir_create_subprocess_exec(on, argv, &options, &process);
    if (err < 0) {
        return err;
    }
    expect_eq(weir_process_communicate(process, input, INPUT, 0, &output),
              WEIR_EOPTIONSIZE);
    output.size = sizeof(output);
    err = weir_process_communicate(process, input, INPUT, 0, &output);
    if (err == 0) {
        expect_eq(output.out_len, INPUT);
        expect_eq(memcmp(output.out, input, INPUT), 0);
    }
    weir_process_free(process);
    return err;
}

static int try_process(void)
{
    return run_task(communicate);
}

UNIT(child_memory, processes)
{
    sweep(try_process);
}

static int lost_count;
static int done_count;
static int done_err;

static void made(void *user, weir_transport *t)
{
    weir_transport *in = weir_transport_get_pipe_transport(t, 0);
    if (weir_transport_write(in, "hello\n", 6) < 0) {
        weir_transport_abort(t);
        return;
    }
    weir_transport_close(in);
}

static void lost(void *user, weir_transport *t, int err)
{
    lost_count++;
}

static CALLBACKS(protocol, SUBPROCESS, .connection_made = made,
                 .connection_lost = lost);

static void done(void *arg, int err, weir_transport *t)
{
    done_count++;
    done_err = err;
}

static bool is_over(void *arg)
{
    return lost_count > 0 || (done_count > 0 && done_err < 0);
}

static int try_subprocess(void)
{
    const char *const argv[] = {"cat", NULL};
    const struct weir_factory factory = bind_to(&protocol, NULL);

    lost_count = 0;
    done_count = 0;
    int err =
        weir_subprocess_exec(loop, &factory, argv, NULL, done, NULL, NULL);
    if (err == 0) {
        err = weir_loop_run_until(loop, is_over, NULL);
        cr_assert_eq(done_count, 1);
    }
    return err < 0 ? err : done_err;
}

UNIT(child_memory, subprocesses)
{
    sweep(try_subprocess);
}

static int feed(weir_loop *on, void *arg)
{
    weir_writer *writer = arg;
    int err = weir_writer_write(writer, input, INPUT);
    if (err == 0) {
        err = weir_writer_drain(writer);
    }
    weir_writer_close(writer);
    return err;
}

static int move_through_pipe(weir_loop *on, void *arg)
{
    static char bytes[INPUT];
    weir_reader *reader;
    weir_writer *from = NULL;
    weir_writer *to = NULL;
    weir_task *task;
    int fds[2];
    ssize_t got = -ENOMEM;

    expect_eq(pipe(fds), 0);
    int err = weir_open_connection_at(on, weir_endpoint_read_pipe(fds[0]), NULL,
                                      &reader, &from);
    if (err < 0) {
        close(fds[1]);
        return err;
    }
    err = weir_open_connection_at(on, weir_endpoint_write_pipe(fds[1]), NULL,
                                  NULL, &to);
    if (err == 0) {
        err = weir_task_spawn(on, feed, to, NULL, &task);
    }
    if (err == 0) {
        int fed = 0;
        got = weir_reader_readexactly(reader, bytes, INPUT);
        weir_writer_close(from);
        err = weir_task_join(task, &fed);
        err = err < 0 ? err : fed;
    }
    if (err == 0 && got >= 0) {
        expect_eq(got, INPUT);
        expect_eq(memcmp(bytes, input, INPUT), 0);
    }
    weir_writer_unref(from);
    weir_writer_unref(to);
    return err < 0 ? err : got < 0 ? (int)got : 0;
}

static int try_pipe(void)
{
    return run_task(move_through_pipe);
}

UNIT(child_memory, pipes)
{
    sweep(try_pipe);
}

static int exchange(weir_loop *on, void *arg)
{
    struct weir_datagram_stream_options options = {
        .size = sizeof(options), .endpoint = {.local_host = "127.0.0.1"}};
    const struct weir_endpoint own = weir_endpoint_host("127.0.0.1", 0);
    weir_datagram_stream *server = NULL;
    weir_datagram_stream *client = NULL;
    struct weir_address address;
    char bytes[9000];
    ssize_t got = -ENOMEM;

    int err = weir_open_datagram_stream(on, &options, &server);
    if (err == 0) {
        weir_transport_get_sockname(weir_datagram_stream_get_transport(server),
                                    &address);
        err = weir_open_datagram_stream_at(
            on, own, weir_endpoint_addresses(&address, 1), NULL, &client);
    }
    if (err == 0) {
        err = weir_datagram_stream_send(client, input, 9000, NULL);
    }
    if (err == 0) {
        struct weir_timeout timeout;
        weir_timeout_begin(on, &timeout, 300000000u);
        got = weir_datagram_stream_recv(server, bytes, sizeof(bytes), &address);
        got = weir_timeout_end(&timeout, (int)got);
        err = got < 0 ? (int)got : 0;
    }
    if (err == 0) {
        expect_eq(got, 9000);
        expect_eq(memcmp(bytes, input, 9000), 0);
    }
    weir_datagram_stream_free(client);
    weir_datagram_stream_free(server);
    return err;
}

static int try_datagrams(void)
{
    return run_task(exchange);
}

UNIT(child_memory, datagram_streams)
{
    sweep(try_datagrams);
}
