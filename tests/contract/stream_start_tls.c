/*
 * start_tls of streams: reader and writer move together, and bytes that the
 * reader had are not read afterwards.
 *
 * Each test runs a server and a client on one loop, over TCP and over a Unix
 * socket.
 */
#include "tests/contract/starting_rig.h"
#include "tests/task.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <weir/start_tls.h>
#include <weir/stream.h>

static struct weir_tls_settings client_tls;
static struct weir_tls_settings server_tls;
static weir_server *server;
static weir_client_connected_fn *handler;
static int server_result;
static char path[64];
static bool over_unix;
static int end_result;
static bool from_the_start; /* with TLS in the options */

static int expect_line(weir_reader *reader, const char *text)
{
    char line[128];
    const ssize_t len = weir_reader_readline(reader, line, sizeof(line));
    if (len < 0) {
        return (int)len;
    }
    expect_eq(len, (ssize_t)strlen(text));
    expect(memcmp(line, text, (size_t)len) == 0);
    return 0;
}

static int say(weir_writer *writer, const char *text)
{
    int err = weir_writer_write(writer, text, strlen(text));
    return err < 0 ? err : weir_writer_drain(writer);
}

/* The plain transport no longer belongs to the reader, which would pause it. */
static int expect_pausing(weir_reader *reader, weir_writer *writer)
{
    char bytes[1024];
    size_t left = 1u << 20;
    expect_ok(weir_transport_set_read_buffer_limit(
        weir_writer_get_transport(writer), 0));
    while (left > 0) {
        const size_t part = left < sizeof(bytes) ? left : sizeof(bytes);
        const ssize_t len = weir_reader_read(reader, bytes, part);
        if (len <= 0) {
            return len < 0 ? (int)len : WEIR_EINCOMPLETE;
        }
        left -= (size_t)len;
    }
    return expect_line(reader, "end\n");
}

static int serve(void *arg, weir_reader *reader, weir_writer *writer)
{
    int err = expect_line(reader, "STARTTLS\n");
    err = err < 0 ? err : say(writer, "220 go ahead\n");
    err = err < 0 ? err : weir_writer_start_tls(writer, &server_tls);
    err = err < 0 ? err : expect_line(reader, "sealed\n");
    err = err < 0 ? err : say(writer, "250 so it is\n");
    err = err < 0 ? err : expect_pausing(reader, writer);
    server_result = err;
    return err == -ECANCELED ? err : 0;
}

static int talk(weir_reader *reader, weir_writer *writer)
{
    static char bulk[1 << 20];
    struct weir_extra_info info = {.size = sizeof(info)};
    weir_transport *plain = weir_writer_get_transport(writer);
    int err = say(writer, "STARTTLS\n");
    err = err < 0 ? err : expect_line(reader, "220 go ahead\n");
    weir_transport_ref(plain);
    err = err < 0 ? err : weir_writer_start_tls(writer, &client_tls);
    expect_eq(weir_transport_write(plain, "x", 1), WEIR_EREPLACED);
    weir_transport_unref(plain);
    if (err < 0) {
        return err;
    }
    expect(weir_writer_get_transport(writer) != plain);
    expect_eq(weir_writer_get_extra_info(writer, "tls_version", &info), 0);
    err = say(writer, "sealed\n");
    err = err < 0 ? err : expect_line(reader, "250 so it is\n");
    err = err < 0 ? err : weir_writer_write(writer, bulk, sizeof(bulk));
    err = err < 0 ? err : say(writer, "end\n");
    return err < 0 ? err : (int)weir_reader_read(reader, bulk, 1);
}

static int start(weir_loop *loop)
{
    struct weir_start_server_options options = {.size = sizeof(options)};
    if (from_the_start) {
        options.server.tls = &server_tls;
    }
    return over_unix
               ? weir_start_unix_server(loop, handler, path, &options, &server)
               : weir_start_server(loop, handler, "127.0.0.1", 0, &options,
                                   &server);
}

static int open_client(weir_loop *loop, weir_reader **ret_reader,
                       weir_writer **ret_writer)
{
    struct weir_open_options options = {.size = sizeof(options)};
    struct weir_address address;
    options.connect.tls = from_the_start ? &client_tls : NULL;
    if (over_unix) {
        return weir_open_unix_connection(loop, path, &options, ret_reader,
                                         ret_writer);
    }
    expect(weir_server_get_socket(server, 0, &address) >= 0);
    return weir_open_connection(loop, "127.0.0.1",
                                ntohs(address.storage.inet.sin_port), &options,
                                ret_reader, ret_writer);
}

static void run(weir_client_connected_fn *serving, task_body_fn *body)
{
    static int count;
    for (int i = 0; i < 2; i++) {
        over_unix = i > 0;
        handler = serving;
        server_result = 1;
        snprintf(path, sizeof(path), "@weir-start-tls-%d-%d", (int)getpid(),
                 count++);
        client_tls =
            (struct weir_tls_settings){.size = sizeof(client_tls),
                                       .context = tls_context_of(false, 0),
                                       .server_hostname = "localhost"};
        server_tls = (struct weir_tls_settings){
            .size = sizeof(server_tls), .context = tls_context_of(true, 0)};
        task_run(body);
        weir_tls_context_unref(client_tls.context);
        weir_tls_context_unref(server_tls.context);
    }
}

static void end(weir_loop *loop, weir_writer *writer)
{
    weir_writer_close(writer);
    end_result = weir_writer_wait_closed(writer);
    weir_writer_unref(writer);
    while (weir_server_get_connection_count(server) > 0) {
        expect_eq(weir_sleep(loop, RIG_MS), 0);
    }
    weir_server_free(server);
}

UNIT_OF(stream_start_tls, complaint_33__both_sides_move_to_the_new_transport,
        run, serve, weir_loop *loop)
{
    weir_reader *reader;
    weir_writer *writer;
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, &reader, &writer), 0);
    expect_eq(talk(reader, writer), 0);
    end(loop, writer);
    expect_eq(server_result, 0);
}

static void talk_sealed(weir_loop *loop)
{
    struct weir_extra_info info = {.size = sizeof(info)};
    weir_reader *reader;
    weir_writer *writer;
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, &reader, &writer), 0);
    expect_eq(weir_writer_get_extra_info(writer, "tls_version", &info), 0);
    expect_eq(talk(reader, writer), 0);
    end(loop, writer);
    expect_eq(server_result, 0);
}

UNIT(stream_start_tls, r43__streams_of_tls_upgrade_as_well)
{
    from_the_start = true;
    run(serve, talk_sealed);
}

static int start_blindly(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    int err = expect_line(reader, "STARTTLS\n");
    err = err < 0 ? err : weir_writer_start_tls(writer, &server_tls);
    server_result = err;
    expect_eq(weir_reader_read(reader, &byte, 1), err);
    return 0;
}

/* The injected command arrives in the same packet, so the reader already has
 * it. */
UNIT_OF(stream_start_tls, complaint_35__an_injected_command_fails_the_handshake,
        run, start_blindly, weir_loop *loop)
{
    static const char text[] = "STARTTLS\nMAIL FROM:<x@example>\n";
    weir_reader *reader;
    weir_writer *writer;
    char byte;
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, &reader, &writer), 0);
    expect_eq(weir_writer_write(writer, text, sizeof(text) - 1), 0);
    while (weir_reader_read(reader, &byte, 1) > 0) {
    }
    end(loop, writer);
    expect_eq(server_result, WEIR_ETLSPROTOCOL);
}

static int start_late(void *arg, weir_reader *reader, weir_writer *writer)
{
    expect_eq(expect_line(reader, "STARTTLS\n"), 0);
    expect_eq(weir_sleep(weir_writer_get_loop(writer), 20 * RIG_MS), 0);
    expect_eq(weir_writer_start_tls(writer, &server_tls), 0);
    return say(writer, "sealed\n");
}

UNIT_OF(stream_start_tls,
        complaint_34__a_client_hello_that_the_reader_has_is_used, run,
        start_late, weir_loop *loop)
{
    weir_reader *reader;
    weir_writer *writer;
    char line[64];
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, &reader, &writer), 0);
    expect_eq(weir_writer_write(writer, "STARTTLS\n", 9), 0);
    expect_eq(weir_writer_start_tls(writer, &client_tls), 0);
    expect_eq(weir_reader_readline(reader, line, sizeof(line)), 7);
    end(loop, writer);
}

static int serve_silently(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    while (weir_reader_read(reader, &byte, 1) > 0) {
    }
    return 0;
}

static int read_one(weir_loop *loop, void *arg)
{
    char byte;
    return (int)weir_reader_read(arg, &byte, 1);
}

UNIT_OF(stream_start_tls, a_reader_that_is_in_use_cannot_move, run,
        serve_silently, weir_loop *loop)
{
    weir_reader *reader;
    weir_writer *writer;
    weir_task *task;
    int result;
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, &reader, &writer), 0);
    expect_eq(weir_writer_start_tls(writer, NULL), -EINVAL);
    expect_eq(weir_task_spawn(loop, read_one, reader, NULL, &task), 0);
    expect_eq(weir_yield(loop), 0);
    expect_eq(weir_writer_start_tls(writer, &client_tls), -EBUSY);
    weir_task_cancel(task);
    expect_eq(weir_task_join(task, &result), 0);
    expect_eq(result, -ECANCELED);
    expect_eq(weir_writer_write_eof(writer), 0);
    expect_eq(weir_writer_start_tls(writer, &client_tls), -ESHUTDOWN);
    end(loop, writer);
}

static int start_as_task(weir_loop *loop, void *arg)
{
    return weir_writer_start_tls(arg, &client_tls);
}

UNIT_OF(stream_start_tls, a_cancelled_handshake_ends_the_connection, run,
        serve_silently, weir_loop *loop)
{
    for (int turns = 0; turns < 8; turns++) {
        weir_writer *writer;
        weir_task *task;
        int result;
        expect_eq(start(loop), 0);
        expect_eq(open_client(loop, NULL, &writer), 0);
        expect_eq(weir_task_spawn(loop, start_as_task, writer, NULL, &task), 0);
        for (int i = 0; i < turns; i++) {
            expect_eq(weir_yield(loop), 0);
        }
        weir_task_cancel(task);
        expect_eq(weir_task_join(task, &result), 0);
        expect_eq(result, -ECANCELED);
        end(loop, writer);
        expect_eq(end_result, turns == 0 ? 0 : -ECONNABORTED);
    }
}

static int serve_a_byte(void *arg, weir_reader *reader, weir_writer *writer)
{
    char byte;
    expect_eq(weir_reader_read(reader, &byte, 1), 1);
    expect_eq(weir_writer_write_eof(writer), 0);
    return serve_silently(arg, reader, writer);
}

UNIT_OF(stream_start_tls, the_error_of_the_handshake_is_that_of_the_stream, run,
        serve_a_byte, weir_loop *loop)
{
    weir_reader *reader;
    weir_writer *writer;
    char byte;
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, &reader, &writer), 0);
    expect_eq(weir_writer_write(writer, "x", 1), 0);
    expect_eq(weir_writer_start_tls(writer, &client_tls), WEIR_ETLSTRUNCATED);
    expect_eq(weir_reader_read(reader, &byte, 1), WEIR_ETLSTRUNCATED);
    end(loop, writer);
    expect_eq(end_result, WEIR_ETLSTRUNCATED);
}

static int serve_deafly(void *arg, weir_reader *reader, weir_writer *writer)
{
    expect_ok(weir_transport_pause_reading(weir_writer_get_transport(writer)));
    return weir_sleep(weir_writer_get_loop(writer), RIG_WAIT_NS);
}

/* TCP holds bytes of which none is in flight: the peer has no space. Over a
 * Unix socket bytes reach the peer at once, so none is ever in flight. */
static bool is_stuck(int fd)
{
    if (over_unix) {
        return true;
    }
    int held = 0;
    expect_eq(ioctl(fd, SIOCOUTQ, &held), 0);
    return held > 0 && !rig_is_under_way(fd);
}

static void abort_the_close(weir_loop *loop)
{
    weir_writer *writer;
    expect_eq(start(loop), 0);
    expect_eq(open_client(loop, NULL, &writer), 0);
    /* Writes until the peer has no space, the kernel neither, and bytes are
     * left, in three checks, because an acknowledgement may have arrived right
     * before one. A full kernel buffer alone may have segments in flight. */
    static const char bytes[4096];
    const int fd = weir_transport_get_socket(weir_writer_get_transport(writer));
    set_socket_option(fd, SOL_SOCKET, SO_SNDBUF, 16384);
    for (int stuck = 0; stuck < 3;) {
        if (weir_writer_get_write_buffer_size(writer) == 0) {
            expect_eq(weir_writer_write(writer, bytes, sizeof(bytes)), 0);
        }
        expect_eq(weir_sleep(loop, RIG_MS), 0);
        const bool is_full = weir_writer_get_write_buffer_size(writer) > 0;
        stuck = is_full && is_stuck(fd) ? stuck + 1 : 0;
    }
    weir_writer_close(writer);
    expect_eq(weir_sleep(loop, RIG_MS), 0);
    weir_writer_abort(writer);
    expect_eq(weir_writer_wait_closed(writer), -ECONNABORTED);
    weir_server_abort_clients(server);
    end(loop, writer);
}

UNIT(stream_start_tls, a_close_that_is_aborted_has_not_sent_what_was_sealed)
{
    from_the_start = true;
    run(serve_deafly, abort_the_close);
}
