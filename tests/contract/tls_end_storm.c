/*
 * Many TLS connections on one loop: simultaneous handshakes leave time for
 * others in each iteration, and idle connections use little memory, including
 * wolfSSL's.
 *
 * Iterations are counted, not time.
 */
#include "tests/contract/maker.h"
#include "tests/contract/tls_end_rig.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <weir/connect.h>

static void serve(struct maker *m, int version)
{
    struct weir_server_options options = {.size = sizeof(options)};

    tls_require();
    const struct weir_tls_settings settings = {
        .size = sizeof(settings), .context = tls_context_of(true, version)};
    options.tls = &settings;
    options.backlog = 1024;
    maker_serve(m, "127.0.0.1", &options);
    weir_tls_context_unref(settings.context);
}

static void turn(struct maker *m)
{
    weir_loop_stop(m->loop);
    expect_eq(weir_loop_run(m->loop), 0);
}

enum { STORM_COUNT = 64, STEPS_A_TURN = 4 };

static struct {
    int fds[STORM_COUNT];
    uint8_t hello[2048];
    size_t hello_len;
} storm;

/* Makes a client's first message, which any number of clients may send. */
static void storm_make_hello(int version)
{
    struct tls_account account;
    struct wr_tls_engine engine;
    const struct wr_tls_peer_options how = {.server_hostname = "localhost"};
    weir_tls_context *context = tls_context_of(false, version);

    tls_account_open(&account);
    expect_eq(wr_tls_engine_init(&engine, context, &how, account.known), 0);
    expect_eq(wr_tls_engine_handshake(&engine), -EAGAIN);
    struct wr_block *block = wr_tls_engine_take_output(&engine);
    cr_assert(block && !block->next && block->used <= sizeof(storm.hello));
    memcpy(storm.hello, wr_tls_engine_output_of(block), block->used);
    storm.hello_len = block->used;
    wr_block_give(&account.blocks, block);
    wr_tls_engine_fini(&engine);
    tls_account_close(&account);
    weir_tls_context_unref(context);
}

static void storm_wait_arrived(void)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;

    for (int i = 0; i < STORM_COUNT; i++) {
        int unacked = 1;
        while (ioctl(storm.fds[i], SIOCOUTQ, &unacked) == 0 && unacked > 0) {
            cr_assert_lt(rig_now_ns(), until_ns);
            poll(NULL, 0, 1);
        }
    }
}

static int storm_count_answered(void)
{
    int count = 0;

    for (int i = 0; i < STORM_COUNT; i++) {
        int bytes = 0;
        expect_eq(ioctl(storm.fds[i], FIONREAD, &bytes), 0);
        count += bytes > 0;
    }
    return count;
}

static bool storm_turn(struct maker *m, int plain)
{
    char byte = 'x';

    expect_eq(send(plain, &byte, 1, 0), 1);
    turn(m);
    return recv(plain, &byte, 1, MSG_DONTWAIT) == 1;
}

static void storm_of(struct maker *m, int version)
{
    int answered = 0;
    int turns = 0;
    int served = 0;
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    serve(m, version);
    storm_make_hello(version);
    int fds[2];

    expect_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    m->echo = true;
    m->done = 0;
    expect_ok(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[1]), NULL,
                                        maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);
    const int plain = fds[0];
    for (int i = 0; i < STORM_COUNT; i++) {
        storm.fds[i] = peer_connect(m);
    }
    RUN_UNTIL(m->loop,
              weir_server_get_connection_count(m->server) == STORM_COUNT);
    for (int i = 0; i < STORM_COUNT; i++) {
        expect_eq(send(storm.fds[i], storm.hello, storm.hello_len, 0),
                  (ssize_t)storm.hello_len);
    }
    storm_wait_arrived();

    while (answered < STORM_COUNT) {
        served += storm_turn(m, plain);
        turns++;
        answered = storm_count_answered();
        /* In total: the answers of several iterations may arrive together. */
        expect_leq(answered, STEPS_A_TURN * turns);
        cr_assert_lt(rig_now_ns(), until_ns);
    }

    expect_geq(served, turns - 2);
    for (int i = 0; i < STORM_COUNT; i++) {
        close(storm.fds[i]);
    }
    close(plain);
}

MAKER(tls_end_storm, of_handshakes_of_tls_12_lets_others_be_served, m)
{
    storm_of(m, 12);
}

MAKER(tls_end_storm, of_handshakes_of_tls_13_lets_others_be_served, m)
{
    storm_of(m, 13);
}

enum { FEW = 20, MANY = 120, BYTES_EACH = 15 << 10 };

static void crowd_to(struct maker *m, struct maker *clients, int count)
{
    const uint64_t until_ns = rig_now_ns() + RIG_WAIT_NS;
    const uint64_t bytes = (uint64_t)count * 5;

    while (m->made < count || clients->done < count ||
           clients->received < bytes) {
        cr_assert_lt(rig_now_ns(), until_ns);
        turn(m);
        turn(clients);
    }
    for (int i = 0; i < 10; i++) {
        turn(m);
        turn(clients);
    }
    expect_eq(m->lost + clients->lost, 0);
}

static void say_hello(struct maker *clients)
{
    expect_eq(weir_transport_write(clients->t, "hello", 5), 0);
}

static void memory_of_idle(struct maker *m, int version)
{
    struct maker clients;
    serve(m, version);
    m->echo = true;
    maker_open(&clients);
    clients.in_made = say_hello;
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = tls_context_of(false, version),
        .server_hostname = "localhost"};
    struct weir_connect_options options = {.size = sizeof(options)};
    options.tls = &settings;
    uint64_t server_bytes = 0;
    uint64_t client_bytes = 0;

    for (int count = 1; count <= MANY; count++) {
        expect_ok(weir_create_connection(
            clients.loop, &clients.factory, "127.0.0.1", server_port(m->server),
            &options, maker_connect_done, &clients, NULL));
        crowd_to(m, &clients, count);
        if (count == FEW) {
            server_bytes = statistics_of(m->loop).memory_bytes;
            client_bytes = statistics_of(clients.loop).memory_bytes;
        }
    }

    server_bytes =
        (statistics_of(m->loop).memory_bytes - server_bytes) / (MANY - FEW);
    client_bytes = (statistics_of(clients.loop).memory_bytes - client_bytes) /
                   (MANY - FEW);
    expect_leq(server_bytes, BYTES_EACH);
    expect_leq(client_bytes, BYTES_EACH);
    weir_tls_context_unref(settings.context);
    expect_eq(maker_close(&clients), MANY);
}

MAKER(tls_end_storm, idle_connections_of_tls_12_take_at_most_15_kib_each, m)
{
    memory_of_idle(m, 12);
}

MAKER(tls_end_storm, idle_connections_of_tls_13_take_at_most_15_kib_each, m)
{
    memory_of_idle(m, 13);
}
