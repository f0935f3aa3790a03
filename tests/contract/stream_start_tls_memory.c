/*
 * start_tls of streams without memory: each allocation fails once.
 *
 * A refused call leaves the stream unchanged, with all bytes of its reader, and
 * can be made again. A handshake that runs out of memory ends the stream, and
 * its reader returns the same error. Nothing is left, neither the loop's memory
 * nor a reference to a context.
 */
#include "lib/tls/context/context_impl.h"
#include "tests/contract/starting_rig.h"

#include <weir/start_tls.h>
#include <weir/stream.h>
#include <weir/task.h>

struct world {
    weir_task_fn *body;
    weir_loop *loop;
    struct weir_tls_settings client_tls;
    struct weir_tls_settings server_tls;
    uint64_t limit_bytes; /* of readers; 0 means the default */
    unsigned refusals;
    int sockets[2];
    bool is_serving;
    int results[2];
};

static struct test_allocator memory;

struct end {
    weir_reader *reader;
    weir_writer *writer;
    int peer; /* -1 if it is another stream */
};

static void open_end(struct world *w, struct end *ret, int fd, int peer)
{
    struct weir_open_options options = {.size = sizeof(options),
                                        .limit_bytes = w->limit_bytes};
    ret->peer = peer;
    expect_ok(weir_open_connection_at(w->loop, weir_endpoint_fd(fd), &options,
                                      &ret->reader, &ret->writer));
}

static void open_pair(int ret[2])
{
    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret), 0);
    set_nonblocking(ret[0]);
    set_nonblocking(ret[1]);
}

static bool is_plain(const struct end *end, const weir_transport *plain)
{
    return weir_writer_get_transport(end->writer) == plain;
}

static void feed(struct world *w, struct end *end, const char *text)
{
    const size_t size = weir_reader_get_buffer_size(end->reader);
    expect_eq(send(end->peer, text, strlen(text), MSG_NOSIGNAL),
              (ssize_t)strlen(text));
    while (weir_reader_get_buffer_size(end->reader) == size) {
        expect_eq(weir_sleep(w->loop, RIG_MS), 0);
    }
}

static void expect_sent(struct world *w, struct end *end, const char *text)
{
    char buf[64];
    const size_t size = strlen(text);
    size_t len = 0;
    expect_eq(weir_writer_write(end->writer, text, size), 0);
    while (len < size) {
        const ssize_t got = recv(end->peer, buf + len, sizeof(buf) - len, 0);
        expect(got > 0 || (got < 0 && errno == EAGAIN));
        len += got > 0 ? (size_t)got : 0;
        expect_eq(weir_sleep(w->loop, RIG_MS), 0);
    }
    expect_eq(len, size);
    expect(memcmp(buf, text, size) == 0);
}

static void run_once(void *arg)
{
    struct world *w = arg;
    const struct weir_loop_options options = allocator_options(&memory);
    expect_eq(weir_run(&options, w->body, w), 0);
    expect_eq(w->client_tls.context->references, 1);
    expect_eq(w->server_tls.context->references, 1);
}

static void run_each(struct world *w)
{
    w->client_tls =
        (struct weir_tls_settings){.size = sizeof(w->client_tls),
                                   .context = tls_context_of(false, 0),
                                   .server_hostname = "localhost"};
    w->server_tls = (struct weir_tls_settings){
        .size = sizeof(w->server_tls), .context = tls_context_of(true, 0)};
    expect_geq(walk_allocations(&memory, run_once, w), 5);
    expect_gt(w->refusals, 1);
    weir_tls_context_unref(w->client_tls.context);
    weir_tls_context_unref(w->server_tls.context);
}

static void expect_as_before(struct world *w, struct end *end, bool was_reading)
{
    weir_transport *plain = weir_writer_get_transport(end->writer);
    expect(!weir_transport_is_closing(plain));
    expect_eq(weir_transport_get_error(plain), 0);
    expect_eq(weir_reader_get_exception(end->reader), 0);
    const size_t size = strlen("two\nthree\n");
    size_t at = 0;
    expect_eq(weir_reader_get_buffer_size(end->reader), size);
    while (at < size) {
        struct weir_buf buf;
        const size_t len = weir_reader_peek(end->reader, at, &buf);
        expect_gt(len, 0);
        expect(memcmp(buf.data, &"two\nthree\n"[at], len) == 0);
        at += len;
    }
    expect_sent(w, end, "plain");
    expect_eq(weir_transport_is_reading(plain), was_reading);
    w->refusals++;
}

static int start_with_pieces(weir_loop *loop, void *arg)
{
    struct world *w = arg;
    struct end end;
    char line[8];
    int fds[2];
    w->loop = loop;
    open_pair(fds);
    open_end(w, &end, fds[0], fds[1]);
    feed(w, &end, "one\n");
    feed(w, &end, "two\n");
    feed(w, &end, "three\n");
    expect_eq(weir_reader_readline(end.reader, line, sizeof(line)), 4);
    expect_eq(weir_sleep(loop, RIG_MS),
              0); /* the iteration of that call ends */
    weir_transport *plain = weir_writer_get_transport(end.writer);
    const bool was_reading = weir_transport_is_reading(plain);
    expect_eq(was_reading, w->limit_bytes == 0);

    walk_begin(&memory);
    int err = weir_writer_start_tls(end.writer, &w->server_tls);
    const bool has_failed = walk_end(&memory);
    if (is_plain(&end, plain)) {
        expect_eq(err, -ENOMEM);
        expect_as_before(w, &end, was_reading);
        err = weir_writer_start_tls(end.writer, &w->server_tls);
        expect_eq(err, WEIR_ETLSPROTOCOL);
    }
    expect(err == WEIR_ETLSPROTOCOL || (has_failed && err == -ENOMEM));
    char byte;
    expect_eq(weir_reader_read(end.reader, &byte, 1), err);
    weir_writer_close(end.writer);
    expect_eq(weir_writer_wait_closed(end.writer), err);
    weir_writer_unref(end.writer);
    close(fds[1]);
    return 0;
}

UNIT(stream_start_tls_memory, a_refusal_leaves_the_readers_bytes_where_they_are)
{
    run_each(&(struct world){.body = start_with_pieces});
}

UNIT(stream_start_tls_memory, a_refusal_leaves_a_full_reader_paused)
{
    run_each(&(struct world){.body = start_with_pieces, .limit_bytes = 4});
}

static int expect_line(struct end *end, const char *text)
{
    char line[32];
    const ssize_t len = weir_reader_readline(end->reader, line, sizeof(line));
    if (len < 0) {
        return (int)len;
    }
    expect_eq(len, (ssize_t)strlen(text));
    expect(memcmp(line, text, (size_t)len) == 0);
    return 0;
}

static int say(struct end *end, const char *text)
{
    const int err = weir_writer_write(end->writer, text, strlen(text));
    return err < 0 ? err : weir_writer_drain(end->writer);
}

static int start_once_more(struct world *w, struct end *end,
                           const struct weir_tls_settings *tls)
{
    weir_transport *plain = weir_writer_get_transport(end->writer);
    int err = weir_writer_start_tls(end->writer, tls);
    if (err == -ENOMEM && is_plain(end, plain) &&
        !weir_transport_is_closing(plain)) {
        w->refusals++;
        err = weir_writer_start_tls(end->writer, tls);
    }
    return err;
}

/* Drops the stream. Returns the first error that it got, or 0. Calls after the
 * loss report a broken connection, which is not informative. */
static int drop(struct end *end, int err)
{
    const weir_transport *t = weir_writer_get_transport(end->writer);
    const int broken = weir_transport_get_error(t);
    if (err == -EPIPE && broken < 0) {
        err = broken;
    }
    if (err < 0) {
        weir_writer_abort(end->writer);
    } else {
        weir_writer_close(end->writer);
    }
    const int end_err = weir_writer_wait_closed(end->writer);
    weir_writer_unref(end->writer);
    return err < 0 ? err : end_err;
}

static int serve(weir_loop *loop, void *arg)
{
    struct world *w = arg;
    struct end end;
    char byte;
    open_end(w, &end, w->sockets[1], -1);
    w->is_serving = true;
    int err = expect_line(&end, "STARTTLS\n");
    err = err < 0 ? err : start_once_more(w, &end, &w->server_tls);
    err = err < 0 ? err : expect_line(&end, "sealed\n");
    err = err < 0 ? err : say(&end, "so it is\n");
    err = err < 0 ? err : (int)weir_reader_read(end.reader, &byte, 1);
    const bool has_ended = err == 0;
    err = drop(&end, err);
    /* The client may close before the server's last record is sent. */
    w->results[1] = has_ended && err == -EPIPE ? 0 : err;
    return 0;
}

static int talk(weir_loop *loop, void *arg)
{
    struct world *w = arg;
    struct end end;
    weir_task *task;
    int result;
    w->loop = loop;
    w->is_serving = false;
    open_pair(w->sockets);
    open_end(w, &end, w->sockets[0], -1);
    expect_eq(weir_task_spawn(loop, serve, w, NULL, &task), 0);
    while (!w->is_serving) {
        expect_eq(weir_yield(loop), 0);
    }

    walk_begin(&memory);
    int err = say(&end, "STARTTLS\n");
    err = err < 0 ? err : start_once_more(w, &end, &w->client_tls);
    err = err < 0 ? err : say(&end, "sealed\n");
    err = err < 0 ? err : expect_line(&end, "so it is\n");
    w->results[0] = drop(&end, err);
    err = weir_task_join(task, &result);
    const bool has_failed = walk_end(&memory);

    expect_eq(err, 0);
    expect_eq(result, 0);
    if (w->results[0] < 0 || w->results[1] < 0) {
        expect(has_failed);
        cr_assert(w->results[0] == -ENOMEM || w->results[1] == -ENOMEM,
                  "%s, %s", weir_err_name(w->results[0]),
                  weir_err_name(w->results[1]));
    }
    return 0;
}

UNIT(stream_start_tls_memory, each_allocation_of_both_sides_may_fail)
{
    run_each(&(struct world){.body = talk});
}
