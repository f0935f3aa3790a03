/*
 * Two ends of one connection that are closed at once, with unsent bytes in both
 * directions.
 *
 * Neither program reads any more, and the kernel has no space for either's
 * bytes, so without a rule each end would wait for the other forever. Both ends
 * are transports of one loop, and each must be lost. The first has no error:
 * its bytes were all accepted, or it stops waiting for a close_notify. The
 * other has no error, or is told that the first one has gone. TLS is started on
 * every kind of connection, and inside TLS.
 */
#include "tests/contract/harness.h"
#include "tests/tls/rig.h"

#include <sys/socket.h>
#include <weir/connect.h>
#include <weir/pair.h>
#include <weir/start_tls.h>
#include <weir/tls.h>

enum { MUCH = 8 << 20 };

struct end {
    weir_transport *t;
    uint64_t received;
    int lost_count;
    int lost_err;
};

static weir_loop *loop;
static struct end ends[2];
static int first_err;
static bool waits_for_notify;

static void end_made(void *user, weir_transport *t)
{
    ((struct end *)user)->t = weir_transport_ref(t);
}

static int end_received(void *user, weir_transport *t,
                        const struct weir_buf *buf)
{
    ((struct end *)user)->received += buf->len;
    return 0;
}

static void end_lost(void *user, weir_transport *t, int err)
{
    struct end *end = user;

    if (ends[0].lost_count + ends[1].lost_count == 0) {
        first_err = err;
    }
    end->lost_count++;
    end->lost_err = err;
}

static CALLBACKS(end_protocol, STREAM, .connection_made = end_made,
                 .data_received = end_received, .connection_lost = end_lost);

static void adopt(struct end *end, int fd, const struct weir_tls_settings *tls)
{
    const struct weir_factory factory = bind_to(&end_protocol, end);

    expect_ok(weir_create_connection_at(loop, &factory, weir_endpoint_fd(fd),
                                        SIZED(weir_connect_options, .tls = tls),
                                        NULL, NULL, NULL));
}

static void open_tcp(void)
{
    int fds[2];

    tcp_pair(fds, 0, 0);
    adopt(&ends[0], fds[0], NULL);
    adopt(&ends[1], fds[1], NULL);
}

static void open_unix(void)
{
    int fds[2];

    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    adopt(&ends[0], fds[0], NULL);
    adopt(&ends[1], fds[1], NULL);
}

static void open_tls_that_waits(uint64_t shutdown_timeout_ns)
{
    int fds[2];

    waits_for_notify = shutdown_timeout_ns > 0;
    tcp_pair(fds, 0, 0);
    for (int i = 0; i < 2; i++) {
        const struct weir_tls_settings tls = {
            .size = sizeof(tls),
            .context = tls_context_of(i == 0, 13),
            .server_hostname = i == 0 ? NULL : "localhost",
            .shutdown_timeout_ns = shutdown_timeout_ns};
        adopt(&ends[i], fds[i], &tls);
        weir_tls_context_unref(tls.context);
    }
}

static void open_tls(void)
{
    open_tls_that_waits(0);
}

static void open_tls_with_a_shutdown(void)
{
    open_tls_that_waits(RIG_WAIT_NS / 2);
}

static int shaken_count;

static void end_shaken(void *arg, int err, weir_transport *t)
{
    expect_eq(err, 0, "%s", weir_err_name(err));
    shaken_count++;
}

static void start_tls(void)
{
    RUN_UNTIL(loop, ends[0].t && ends[1].t);
    shaken_count = 0;
    waits_for_notify = true;
    for (int i = 0; i < 2; i++) {
        const struct weir_tls_settings tls = {
            .size = sizeof(tls),
            .context = tls_context_of(i == 0, 13),
            .server_hostname = i == 0 ? NULL : "localhost",
            .shutdown_timeout_ns = RIG_WAIT_NS / 2};
        weir_transport *old = ends[i].t;
        expect_ok(weir_transport_start_tls(old, &tls, NULL, end_shaken, NULL,
                                           &ends[i].t));
        weir_transport_ref(ends[i].t);
        weir_transport_unref(old);
        weir_tls_context_unref(tls.context);
    }
    RUN_UNTIL(loop, shaken_count == 2);
}

static void open_memory(void)
{
    const struct weir_protocol_binding bindings[2] = {
        {.protocol = &end_protocol, .user = &ends[0]},
        {.protocol = &end_protocol, .user = &ends[1]}};

    expect_eq(weir_transport_pair(loop, bindings, NULL, NULL), 0);
}

static void open_tls_over_unix(void)
{
    open_unix();
    start_tls();
}

static void open_tls_in_memory(void)
{
    open_memory();
    start_tls();
}

static void open_tls_in_tls(void)
{
    open_tcp();
    start_tls();
    start_tls();
}

static void with_ends(void (*body)(void (*open)(void)), void (*open)(void))
{
    expect_eq(weir_loop_new(NULL, &loop), 0);
    memset(ends, 0, sizeof(ends));
    waits_for_notify = false;
    body(open);
    weir_loop_free(loop);
}

/* An end whose bytes were all accepted reads one MiB more, then stops waiting
 * for the peer's close_notify. */
static bool has_waited_enough(int err)
{
    return waits_for_notify && err == WEIR_ETLSTIMEOUT;
}

static void close_both(void (*open)(void))
{
    static const uint8_t bytes[MUCH];

    open();
    RUN_UNTIL(loop, ends[0].t && ends[1].t);
    for (int i = 0; i < 2; i++) {
        weir_transport_pause_reading(ends[i].t);
        expect_ok(weir_transport_write_ref(ends[i].t, bytes, MUCH, NULL, NULL));
    }
    for (int i = 0; i < 100; i++) { /* until no more bytes move */
        weir_loop_stop(loop);
        expect_eq(weir_loop_run(loop), 0);
    }
    for (int i = 0; i < 2; i++) {
        expect_gt(weir_transport_get_write_buffer_size(ends[i].t), 0);
    }
    expect_eq(weir_transport_close(ends[0].t), 0);
    expect_eq(weir_transport_close(ends[1].t), 0);
    RUN_UNTIL(loop, ends[0].lost_count > 0 && ends[1].lost_count > 0);
    cr_assert(first_err == 0 || has_waited_enough(first_err));
    for (int i = 0; i < 2; i++) {
        const int err = ends[i].lost_err;
        cr_assert(err == 0 || err == -ECONNRESET || err == -EPIPE ||
                  has_waited_enough(err));
        expect_eq(ends[i].lost_count, 1);
        expect_eq(ends[i].received, 0);
        expect_eq(weir_transport_get_end(ends[i].t), WEIR_END_CLOSED);
        weir_transport_unref(ends[i].t);
    }
}

UNIT(close_both, ends_of_tcp_do_not_wait_for_each_other)
{
    with_ends(close_both, open_tcp);
}

UNIT(close_both, ends_of_a_unix_socket_do_not_wait_for_each_other)
{
    with_ends(close_both, open_unix);
}

UNIT(close_both, ends_of_tls_do_not_wait_for_each_other)
{
    with_ends(close_both, open_tls);
}

UNIT(close_both, ends_of_tls_that_wait_for_a_close_notify_do_not_either)
{
    with_ends(close_both, open_tls_with_a_shutdown);
}

UNIT(close_both, ends_in_memory_do_not_wait_for_each_other)
{
    with_ends(close_both, open_memory);
}

UNIT(close_both, ends_of_tls_over_a_unix_socket_do_not_wait_for_each_other)
{
    with_ends(close_both, open_tls_over_unix);
}

UNIT(close_both, ends_of_tls_in_memory_do_not_wait_for_each_other)
{
    with_ends(close_both, open_tls_in_memory);
}

UNIT(close_both, ends_of_tls_in_tls_do_not_wait_for_each_other)
{
    with_ends(close_both, open_tls_in_tls);
}
