/*
 * A ring that fails for good while its loop has connections.
 *
 * Completions may be lost without memory, or a filter may be installed after
 * the start. The run ends with the error, every later run returns the same, and
 * freeing the loop still reports the losses and frees everything.
 */
#include "adopt.h"
#include "tests/bind.h"
#include "tests/walk.h"
#include "uring/sys.h"

#include <errno.h>
#include <signal.h>
#include <weir/connect.h>
#include <weir/sendfile.h>
#include <weir/server.h>

static struct test_allocator allocator;
static weir_loop *loop;
static struct fake_peer *peers[3];
static weir_transport *transports[3];
static int made_count;
static int lost_count;
static int lost_err;
static int released_count;

static void made(void *user, weir_transport *t)
{
    transports[made_count++] = t;
}

static bool breaks_at_loss;

static void lost(void *user, weir_transport *t, int err)
{
    if (breaks_at_loss) { /* its descriptor is not closed yet */
        breaks_at_loss = false;
        fake_break_ring(-ENOMEM);
    }
    lost_count++;
    lost_err = err;
}

static CALLBACKS(protocol, STREAM, .connection_made = made,
                 .connection_lost = lost);

static void open_loop(void)
{
    allocator_init(&allocator);
    fake_start(&(struct fake_options){.seed = 1});
    loop = allocator_make_loop(&allocator);
    for (int i = 0; i < 3; i++) {
        adopt(loop, &protocol, NULL, NULL, &peers[i]);
    }
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(made_count, 3);
}

/* Nothing is left: descriptors, memory, or a connection without its loss. */
static void expect_nothing_left(void)
{
    expect_eq(lost_count, 3);
    for (int i = 0; i < 3; i++) {
        cr_assert(fake_peer_is_alone(peers[i]), "%d is left open", i);
        fake_peer_close(peers[i]);
    }
    fake_stop();
    allocator_check(&allocator);
}

static void note_released(void *arg)
{
    released_count++;
}

UNIT(broken_ring, ends_the_run_with_its_error_for_good)
{
    open_loop();
    fake_break_ring(WEIR_ERINGLOST);

    expect_eq(weir_loop_run(loop), WEIR_ERINGLOST);
    expect_eq(weir_loop_run(loop), WEIR_ERINGLOST);
    cr_assert_not(weir_loop_is_running(loop));

    expect_eq(weir_loop_free(loop), 3);
    expect_nothing_left();
}

UNIT(broken_ring, frees_everything_and_delivers_the_losses_at_the_end)
{
    static const uint8_t bytes[100000];
    open_loop();
    expect_ok(weir_transport_write_ref(transports[0], bytes, sizeof(bytes),
                                       note_released, NULL));
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
    fake_break_ring(-EBADFD);
    expect_eq(weir_loop_run(loop), -EBADFD);

    expect_eq(weir_loop_free(loop), 3);
    expect_nothing_left();
    expect_eq(released_count, 1, "memory that is never released");
}

static void fill(void *arg, void *buf, uint64_t offset, size_t len)
{
    memset(buf, 'f', len);
}

static int told_count;

static void told(void *arg, weir_transport *t, int err, uint64_t sent)
{
    expect_eq(t == transports[0], true);
    expect_lt(err, 0);
    expect_eq(sent, 0);
    cr_assert_not(fake_peer_is_alone(peers[0]));
    told_count++;
}

/* The descriptor is not closed before the program was told. */
UNIT(broken_ring, ends_the_read_of_a_file_before_its_socket_is_lost)
{
    open_loop();
    fake_set_fault(FAKE_COLD, 1000); /* the ring reads it */
    const int fd = fake_disk_open(200000, fill, NULL);
    expect_ok(
        weir_transport_sendfile(transports[0], fd, 0, 200000, told, NULL));
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(told_count, 0);
    fake_break_ring(WEIR_ERINGLOST);
    expect_eq(weir_loop_run(loop), WEIR_ERINGLOST);

    expect_eq(wr_sys_close(fd), 0);
    expect_eq(weir_loop_free(loop), 3);
    expect_nothing_left();
    expect_eq(told_count, 1);
}

UNIT(broken_ring, closes_what_it_was_about_to_close)
{
    open_loop();
    breaks_at_loss = true;
    weir_transport_abort(transports[0]);
    expect_eq(weir_loop_run(loop), -ENOMEM);
    expect_eq(lost_count, 1);

    expect_eq(weir_loop_free(loop), 2);
    expect_nothing_left();
}

static void note_signal(void *arg, int signum)
{
}

UNIT(broken_ring, ends_servers_attempts_and_signal_handlers_too)
{
    const struct weir_factory factory = bind_to(&protocol, NULL);
    const struct weir_server_options options = {.size = sizeof(options)};
    weir_server *server;
    const struct weir_connect_options connect = {.size = sizeof(connect)};
    open_loop();
    expect_ok(weir_create_server(loop, &factory, "127.0.0.1", 0, &options, NULL,
                                 NULL, &server));
    expect_ok(weir_create_connection(loop, &factory, "127.0.0.1", 9, &connect,
                                     NULL, NULL, NULL));
    expect_ok(weir_loop_add_signal_handler(loop, SIGUSR1, note_signal, NULL));
    weir_loop_stop(loop);
    expect_eq(weir_loop_run(loop), 0);
    cr_assert(weir_server_is_serving(server));
    fake_break_ring(WEIR_ERINGLOST);
    expect_eq(weir_loop_run(loop), WEIR_ERINGLOST);

    expect_geq(weir_loop_free(loop), 3);
    weir_server_free(server);
    expect_nothing_left();
}

static struct fake_peer *call(const weir_server *server)
{
    struct weir_address address;

    expect_geq(weir_server_get_socket(server, 0, &address), 0);
    return fake_connect(&address.storage.any, address.len);
}

/* None has accepted them: they come before the ring breaks, when it has broken,
 * or when the server has been closed in the turn in which it breaks. */
UNIT(broken_ring, ends_the_connections_of_clients_that_arrive)
{
    static CALLBACKS(silent, STREAM);
    const struct weir_factory factory = bind_to(&silent, NULL);
    for (int i = 0; i < 3; i++) {
        weir_server *server;
        struct fake_peer *client = NULL;
        made_count = lost_count = 0;
        open_loop();
        expect_ok(weir_create_server(loop, &factory, "127.0.0.1", 0, NULL, NULL,
                                     NULL, &server));
        weir_loop_stop(loop);
        expect_ok(weir_loop_run(loop));
        if (i != 1) {
            client = call(server);
        }
        if (i == 2) {
            weir_server_close(server);
        }
        fake_break_ring(WEIR_ERINGLOST);
        expect_eq(weir_loop_run(loop), WEIR_ERINGLOST);
        if (i == 1) {
            client = call(server);
        }

        cr_assert_not_null(client);
        expect_geq(weir_loop_free(loop), 3);
        cr_assert(fake_peer_is_alone(client), "row %d", i);
        fake_peer_close(client);
        weir_server_free(server);
        expect_nothing_left();
    }
}
