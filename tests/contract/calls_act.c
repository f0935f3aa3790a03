/*
 * Calls of the public API, chosen at random; see calls_act.h.
 *
 * Two tables hold them, for a connection and for the loop; an entry that stands
 * there several times is chosen that many times as often. Each call's result is
 * compared with those that it may have.
 */
#include "tests/contract/calls_act.h"
#include "tests/marks.h"

#include <weir/connect.h>
#include <weir/loop.h>
#include <weir/server.h>

static void do_anything(struct calls_conn *conn);

void do_anything_anywhere(void)
{
    if (calls.conn_count > 0) {
        do_anything(calls.conns[below(calls.conn_count)]);
    }
}

void do_a_few_things(struct calls_conn *conn)
{
    if (calls.depth > 3) {
        return;
    }
    calls.depth++;
    const size_t mood = below(8);
    if (mood > 5) {
        do_anything(conn);
    }
    if (mood > 6) {
        do_anything_anywhere();
    }
    calls.depth--;
}

/* ---- options ---- */

static uint64_t any_time(uint64_t bound, uint64_t time_ns)
{
    return calls_one_in(bound) ? time_ns : 0;
}

static struct weir_timeouts any_timeouts(void)
{
    return (struct weir_timeouts){
        .size = sizeof(struct weir_timeouts),
        .linger_ns = any_time(2, 20 * MS),
        .close_ns = any_time(3, 15 * MS),
        .idle_ns = any_time(4, 30 * MS),
        .write_stall_ns = any_time(4, 20 * MS),
        .read_ns = any_time(4, 30 * MS),
    };
}

struct weir_connection_options any_stream(void)
{
    struct weir_connection_options stream = {.size = sizeof(stream)};

    if (calls_one_in(3)) {
        stream.read_limit_bytes = UINT64_C(4096) << below(6);
    }
    if (calls_one_in(3)) {
        stream.write_hard_limit_bytes = 100000;
    }
    if (calls_one_in(3)) {
        stream.timeouts = any_timeouts();
    }
    return stream;
}

/* ---- on a connection ---- */

/* A refused write is remembered, even when memory is there again; release
 * callbacks may have told it, or have been refused, meanwhile. */
static bool is_refusal(int err)
{
    return err == -ENOBUFS || (err == -ENOMEM && calls.runs_short);
}

void check_write(const struct calls_conn *conn, int err)
{
    check(err == 0 || err == -ESHUTDOWN || err == -EPIPE || is_refusal(err));
    check(conn->live || err < 0);
    if (is_refusal(err) && calls_one_in(2)) {
        const int told = weir_transport_take_write_error(conn->t);
        check(told == 0 || is_refusal(told));
        check(weir_transport_take_write_error(conn->t) == 0);
    }
}

void release(void *arg)
{
    calls.releases++;
    check(calls.releases <= calls.writes);
    do_a_few_things((struct calls_conn *)arg);
}

void write_copy(struct calls_conn *conn)
{
    const size_t len = below(calls_one_in(2) ? 200 : 200000);
    check_write(conn, weir_transport_write(conn->t, bytes, len));
}

void write_reference(struct calls_conn *conn)
{
    calls.writes++;
    check_write(conn, weir_transport_write_ref(conn->t, bytes, below(100000),
                                               release, conn));
}

static void write_pieces(struct calls_conn *conn)
{
    const struct iovec iov[] = {
        {bytes, below(100)}, {bytes, below(10000)}, {bytes, below(3)}};
    check_write(conn, weir_transport_writelines(conn->t, iov, 3));
}

static void end_writing(struct calls_conn *conn)
{
    if (calls_one_in(3)) {
        const int err = weir_transport_write_eof(conn->t);
        check(err == 0 || is_refusal(err));
    }
}

static void close_gracefully(struct calls_conn *conn)
{
    const int err = weir_transport_close(conn->t);
    check(err == 0 || is_refusal(err));
    check(weir_transport_is_closing(conn->t));
}

static void close_or_abort(struct calls_conn *conn)
{
    switch (below(7)) {
    case 0:
    case 1:
        close_gracefully(conn);
        break;
    case 2:
        check(weir_transport_abort(conn->t) == 0);
        check(weir_transport_is_closing(conn->t));
        break;
    default:
        break;
    }
}

static void pause_reading(struct calls_conn *conn)
{
    check(weir_transport_pause_reading(conn->t) == 0);
    conn->paused = conn->live;
}

void resume_reading(struct calls_conn *conn)
{
    conn->paused = false;
    check(weir_transport_resume_reading(conn->t) == 0);
}

static void switch_protocol(struct calls_conn *conn)
{
    const struct weir_protocol_binding binding = any_binding(conn);
    const int err = weir_transport_set_protocol(conn->t, &binding, NULL, 0);
    check(err == 0 || err == -ESHUTDOWN || is_excused(err));
}

static void keep_reference(struct calls_conn *conn)
{
    check(weir_transport_ref(conn->t) == conn->t);
    conn->refs++;
}

void give_reference(struct calls_conn *conn)
{
    if (conn->refs > 0) {
        conn->refs--;
        weir_transport_unref(conn->t);
    }
}

static void set_limits(struct calls_conn *conn)
{
    const struct weir_timeouts timeouts = any_timeouts();
    const uint64_t read_limit =
        calls_one_in(2) ? 0 : UINT64_C(4096) << below(5);
    const int64_t high = calls_one_in(2) ? 0 : (int64_t)below(100000);

    switch (below(4)) {
    case 0:
        check(is_excused(weir_transport_set_timeouts(
            conn->t, calls_one_in(2) ? NULL : &timeouts)));
        break;
    case 1:
        check(weir_transport_set_read_buffer_limit(conn->t, read_limit) == 0);
        break;
    case 2:
        check(set_marks(conn->t, high, WEIR_DEFAULT) == 0);
        break;
    default:
        check(weir_transport_set_write_hard_limit(conn->t, below(1000000)) ==
              0);
    }
}

void look(struct calls_conn *conn)
{
    char text[200];
    struct weir_address address;
    const weir_transport *t = conn->t;

    weir_transport_get_sockname(t, &address);
    weir_transport_get_peername(t, &address);
    check(weir_transport_get_error_text(t, text, sizeof(text)) == text);
    check(strlen(text) < sizeof(text));
    check(!conn->live || weir_transport_get_socket(t) >= 0);
    check(conn->live || weir_transport_get_end(t) != WEIR_END_NONE);
    check(conn->live || weir_transport_get_write_buffer_size(t) == 0);
    check(!weir_transport_is_reading(t) || !conn->paused);
}

/* Often: what is often done. */
static void (*const calls_on_a_connection[])(struct calls_conn *) = {
    write_copy,      write_copy,     write_copy,     write_reference,
    write_pieces,    close_or_abort, end_writing,    pause_reading,
    pause_reading,   resume_reading, resume_reading, resume_reading,
    switch_protocol, keep_reference, give_reference, set_limits,
    set_limits,      set_limits,     look,
};

/* ---- on the loop and the server ---- */

static void attempt_done(void *arg, int err, weir_transport *t)
{
    check((err == 0) == (t != NULL));
    calls.attempts_done++;
    check(calls.attempts_done <= calls.attempts);
    calls.connect = NULL;
    do_anything_anywhere();
}

static void attempted(int err, weir_pending *connect)
{
    check(is_excused(err));
    if (err < 0) {
        return;
    }
    calls.attempts++;
    calls.connect = connect;
    if (calls_one_in(20)) {
        weir_pending_cancel(connect);
    }
}

void adopt(void)
{
    const struct weir_factory factory = {.create = create_any};
    const int fd = pair_with_peer();
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .connection = any_stream()};
    weir_pending *connect = NULL;

    if (fd >= 0) {
        const int err = weir_create_connection_at(
            calls.loop, &factory, weir_endpoint_fd(fd), &options, attempt_done,
            NULL, &connect);
        attempted(err, connect);
    }
}

/* A connection of which both ends are weir's. */
static void connect_to_server(void)
{
    const struct weir_factory factory = {.create = create_any, .arg = &calls};
    const struct weir_connect_options options = {.size = sizeof(options),
                                                 .connection = any_stream()};
    struct weir_address address;
    weir_pending *connect = NULL;

    if (find_server(&address)) {
        const uint16_t port = ntohs(address.storage.inet.sin_port);
        const int err =
            weir_create_connection(calls.loop, &factory, "127.0.0.1", port,
                                   &options, attempt_done, NULL, &connect);
        attempted(err, connect);
    }
}

static void make_connection(void)
{
    if (calls_one_in(3)) {
        adopt();
    } else if (calls_one_in(6)) {
        connect_to_server();
    }
}

static void cancel_attempt(void)
{
    if (calls.connect && calls_one_in(10)) {
        weir_pending_cancel(calls.connect);
    }
}

static void server_closed(void *arg, weir_server *server)
{
    calls.waits_done++;
    check(calls.waits_done <= calls.waits);
    do_anything_anywhere();
}

static void wait_for_server(int err)
{
    check(is_excused(err));
    calls.waits += err == 0;
}

static void call_server(void)
{
    weir_server *server = calls.server;

    switch (server ? below(200) : 200) {
    case 0:
        weir_server_close(server);
        break;
    case 1:
        weir_server_close_clients(server);
        break;
    case 2:
        weir_server_abort_clients(server);
        break;
    case 3:
        wait_for_server(
            weir_server_stop(server, below(2) * 5 * MS, server_closed, NULL));
        break;
    case 4:
        wait_for_server(
            weir_server_add_closed_callback(server, server_closed, NULL));
        break;
    case 5:
        calls.server = NULL;
        weir_server_free(server);
        break;
    default:
        break;
    }
}

static void called_by_loop(void *arg)
{
    do_anything_anywhere();
}

static void call_soon(void)
{
    check(is_excused(
        weir_loop_call_soon(calls.loop, called_by_loop, NULL, NULL)));
}

static void call_later(void)
{
    struct weir_handle handle;
    const int err = weir_loop_call_later(calls.loop, below(3 * MS),
                                         called_by_loop, NULL, &handle);
    check(is_excused(err));
    if (err == 0 && calls_one_in(3)) {
        check(weir_handle_cancel(calls.loop, handle));
        check(!weir_handle_cancel(calls.loop, handle));
    }
}

static void give_some_leases(void)
{
    give_leases(below(calls.lease_count + 1));
}

static void stop_loop(void)
{
    if (calls_one_in(3)) {
        weir_loop_stop(calls.loop);
    }
}

static void free_loop_inside(void)
{
    if (calls.ending || weir_loop_is_running(calls.loop)) {
        check(weir_loop_free(calls.loop) == -EBUSY);
    }
}

static void (*const calls_on_the_loop[])(void) = {
    give_some_leases, give_some_leases, give_some_leases, call_server,
    cancel_attempt,   call_soon,        call_later,       make_connection,
    make_connection,  stop_loop,        free_loop_inside,
};

static void do_anything(struct calls_conn *conn)
{
    const size_t on_a_connection =
        sizeof(calls_on_a_connection) / sizeof(calls_on_a_connection[0]);
    const size_t on_the_loop =
        sizeof(calls_on_the_loop) / sizeof(calls_on_the_loop[0]);

    if (calls.calm) {
        return;
    }
    const size_t choice = below(on_a_connection + on_the_loop);
    if (choice >= on_a_connection) {
        calls_on_the_loop[choice - on_a_connection]();
    } else if (is_usable(conn)) {
        calls_on_a_connection[choice](conn);
    }
}
