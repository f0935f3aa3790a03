/*
 * TCP Fast Open: what is sent with the SYN.
 *
 * A connection that counts as established before its peer has answered ends,
 * fails and closes like any other. Each test has its own network namespace, in
 * which the sysctl allows fast open, and is skipped if it cannot have one. The
 * first connection there gets the cookie.
 */
#define UNIT_RUN   with_cookie
#define UNIT_TAKES struct maker *m
#include "tests/contract/maker.h"
#include "tests/dump.h"

#include <sched.h>
#include <weir/connect.h>
#include <weir/move.h>
#include <weir/sendfile.h>

#define HELLO "hello"

/* An ABI constant that some headers lack. */
#ifndef TCPI_OPT_SYN_DATA
#define TCPI_OPT_SYN_DATA 32
#endif

static void enter_network(const char *sysctl)
{
    if (unshare(CLONE_NEWNET) < 0) {
        cr_skip_test("no network namespace; runs as root");
    }
    if (system("ip link set lo up") != 0) {
        cr_skip_test("no ip(8); runs with iproute2");
    }
    int fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY);

    if (fd < 0 || write(fd, sysctl, 1) != 1) {
        cr_skip_test("the sysctl cannot be set; runs as root");
    }
    close(fd);
}

static struct weir_address address;
static int listener;
static int filler = -1; /* a connection that fills the listener's queue */

static bool has_syn_data(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    expect_eq(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    return (info.tcpi_options & TCPI_OPT_SYN_DATA) != 0;
}

static void write_hello(struct maker *m)
{
    expect_eq(weir_transport_write(m->t, HELLO, 5), 0);
}

static int connect_fast(struct maker *m, const struct weir_address *addresses,
                        size_t count)
{
    struct weir_connect_options options = {.size = sizeof(options),
                                           .fast_open = true};
    m->done = m->made = m->lost = m->lost_err = 0;
    memset(m->log, 0, sizeof(m->log));
    expect_ok(weir_create_connection_at(
        m->loop, &m->factory, weir_endpoint_addresses(addresses, count),
        &options, maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);
    return m->done_err;
}

static int accept_one(void)
{
    int fd = accept(listener, NULL, NULL);

    expect_geq(fd, 0);
    peer_set_timeout(fd);
    return fd;
}

static int connect_in(struct maker *m, void (*in_made)(struct maker *m))
{
    m->in_made = in_made;
    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    return accept_one();
}

/* Runs a body with a listener that accepts bytes in a SYN, after a connection
 * that gets its cookie. */
static void with_cookie(void (*body)(struct maker *m))
{
    const int queue = 16;
    struct maker m;
    enter_network("3");
    maker_open(&m);
    listener = peer_listen(8, &address);
    expect_ok(
        setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)));
    const int peer = connect_in(&m, NULL);
    expect_eq(has_syn_data(weir_transport_get_socket(m.t)), false);
    weir_transport_abort(m.t);
    maker_run(&m, maker_is_lost);
    close(peer);

    body(&m);
    maker_close(&m);
    close(listener);
    close(filler);
}

static void expect_hello(struct maker *m, int peer)
{
    char got[5];
    expect_eq(maker_read(m, peer, got, 5), 5);
    expect_eq(memcmp(got, HELLO, 5), 0);
}

static size_t read_whole(struct maker *m, int peer, char *got, size_t size)
{
    size_t len = 0;
    ssize_t some = 0;

    while (len < size &&
           (some = maker_read(m, peer, got + len, size - len)) > 0) {
        len += (size_t)some;
    }
    expect_geq(some, 0);
    return len;
}

UNIT(fast_open, the_first_bytes_go_with_the_SYN_of_a_second_connection)
{
    char got[5];
    m->in_made = write_hello;

    expect_eq(connect_fast(m, &address, 1), 0);
    expect_str_eq(m->log, "FMD");
    struct weir_address peername = m->peername;
    int peer = accept_one();
    expect_eq(recv(peer, got, sizeof(got), MSG_WAITALL), 5);
    expect_eq(memcmp(got, HELLO, 5), 0);

    expect_eq(weir_address_is_equal(&peername, &address), true);
    expect_eq(send(peer, "answer", 6, 0), 6);
    RUN_UNTIL(m->loop, m->received == 6);
    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), true);
    expect_eq(weir_transport_write(m->t, "more", 4), 0);
    expect_eq(maker_read(m, peer, got, 4), 4);
    close(peer);
}

UNIT(fast_open, a_SYN_leaves_alone_when_nothing_was_written)
{
    int peer = connect_in(m, NULL);
    expect_eq(send(peer, "hi", 2, 0), 2);
    RUN_UNTIL(m->loop, m->received == 2);
    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
    write_hello(m);
    expect_hello(m, peer);

    close(peer);
}

static void flush_cookies(struct maker *m)
{
    write_hello(m);
    if (system("ip tcp_metrics flush all >/dev/null 2>&1") != 0) {
        cr_skip_test("ip(8) cannot flush the cookies; runs as root");
    }
}

UNIT(fast_open, bytes_are_sent_again_when_the_cookie_has_gone)
{
    int peer = connect_in(m, flush_cookies);
    expect_hello(m, peer);

    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
    close(peer);
}

static void end_at_once(struct maker *m)
{
    expect_eq(weir_transport_write_eof(m->t), 0);
}

static void write_and_end(struct maker *m)
{
    write_hello(m);
    end_at_once(m);
}

static void write_and_close(struct maker *m)
{
    write_hello(m);
    weir_transport_close(m->t);
}

UNIT(fast_open, an_end_and_a_close_deliver_what_was_written)
{
    static const struct {
        void (*in_made)(struct maker *m);
        const char *text;
        const char *answer;
    } rows[] = {
        {write_and_end, HELLO, "answer"},
        {end_at_once, "", ""},
        {write_and_close, HELLO, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const size_t answered = strlen(rows[i].answer);
        char got[16] = "";
        m->received = 0;
        int peer = connect_in(m, rows[i].in_made);
        read_whole(m, peer, got, sizeof(got));
        expect_str_eq(got, rows[i].text, "row %zu", i);
        expect_eq(send(peer, rows[i].answer, answered, 0), (ssize_t)answered);
        close(peer);
        maker_expect_lost(m, 0);
        expect_eq(m->received, answered, "row %zu", i);
    }
}

static void write_and_abort(struct maker *m)
{
    write_hello(m);
    weir_transport_abort(m->t);
}

UNIT(fast_open, an_abort_sends_nothing)
{
    m->in_made = write_and_abort;

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run(m, maker_is_lost);
    maker_run_for(m, MS);

    expect_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    expect_eq(accept(listener, NULL, NULL), -1);
}

static void note_sent(void *arg, weir_transport *t, int err, uint64_t sent)
{
    *(uint64_t *)arg = err == 0 ? sent : 0;
}

UNIT(fast_open, a_file_follows_the_SYN)
{
    uint64_t sent = 0;
    char got[16];
    char path[] = "/tmp/weir-fast-open-XXXXXX";
    int file = mkstemp(path);
    expect_geq(file, 0);
    expect_eq(unlink(path), 0);
    expect_eq(write(file, "0123456789abcdef", 16), 16);

    expect_eq(connect_fast(m, &address, 1), 0);
    expect_eq(weir_transport_sendfile(m->t, file, 0, 16, note_sent, &sent), 0);
    maker_run_for(m, MS);
    int peer = accept_one();
    expect_eq(read_whole(m, peer, got, sizeof(got)), 16);
    RUN_UNTIL(m->loop, sent == 16);

    expect_eq(memcmp(got, "0123456789abcdef", 16), 0);
    close(file);
    close(peer);
}

static void close_listener(void)
{
    close(listener);
    listener = -1;
}

/* Also with a protocol that only listens, and after a close. */
UNIT(fast_open, a_refusal_is_the_error_of_the_connection)
{
    static void (*const in_made[])(struct maker * m) = {write_hello, NULL,
                                                        write_and_close};
    close_listener();
    for (size_t i = 0; i < sizeof(in_made) / sizeof(in_made[0]); i++) {
        m->in_made = in_made[i];
        expect_eq(connect_fast(m, &address, 1), 0, "row %zu", i);
        maker_run(m, maker_is_lost);
        expect_eq(m->lost_err, -ECONNREFUSED, "row %zu", i);
    }
}

UNIT(fast_open, several_addresses_are_tried_without_it)
{
    const struct weir_address addresses[] = {address,
                                             peer_address("127.0.0.1", 1)};
    close_listener();

    expect_eq(connect_fast(m, addresses, 2), -ECONNREFUSED);
    expect_str_eq(m->log, "D");
}

/* Connects while the listener's queue is full: its kernel drops the SYN. */
static void connect_unanswered(struct maker *m)
{
    expect_eq(listen(listener, 0), 0);
    filler = peer_connect_to(&address);
    expect_geq(filler, 0);
    expect_eq(connect_fast(m, &address, 1), 0);
}

static void set_stall(struct maker *m)
{
    write_hello(m);
    expect_eq(weir_transport_set_timeouts(
                  m->t, SIZED(weir_timeouts, .write_stall_ns = 20 * MS)),
              0);
}

UNIT(fast_open, a_stall_ends_a_connection_that_is_not_answered)
{
    m->in_made = set_stall;
    connect_unanswered(m);
    maker_expect_lost(m, WEIR_EWRITESTALL);
}

static void forget_moved(void *user, weir_transport *t)
{
}

static int create_mover(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    static CALLBACKS(protocol, STREAM, .connection_moved = forget_moved);

    *(weir_transport **)arg = t;
    ret->protocol = &protocol;
    ret->user = arg;
    return 0;
}

UNIT(fast_open, a_connection_that_is_not_answered_does_not_move)
{
    weir_transport *t = NULL;
    weir_loop *other = NULL;
    expect_ok(weir_loop_new(NULL, &other));
    weir_mailbox *mailbox = weir_loop_get_mailbox(other);
    const struct weir_factory factory = m->factory;
    m->factory = (struct weir_factory){create_mover, &t};

    connect_unanswered(m);
    expect_eq(weir_transport_move(t, mailbox, &factory, NULL, NULL, NULL),
              -EBUSY);
    weir_transport_abort(t);
    maker_run_for(m, MS);

    weir_mailbox_unref(mailbox);
    weir_loop_free(other);
}

UNIT(fast_open, the_end_of_the_loop_ends_one_that_is_not_answered)
{
    m->in_made = write_hello;

    connect_unanswered(m);
    maker_run_for(m, MS);
    expect_dumped(m->loop, "send=opening");
    maker_close(m);

    expect_eq(m->lost, 1);
}

MAKER(fast_open, without_the_sysctl_the_connection_is_made_as_ever, m)
{
    enter_network("0");
    listener = peer_listen(8, &address);
    m->in_made = write_hello;

    for (int i = 0; i < 2; i++) {
        expect_eq(connect_fast(m, &address, 1), 0);
        int peer = accept_one();
        expect_hello(m, peer);
        expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
        close(peer);
        maker_run(m, maker_is_lost);
    }
    close(listener);
}

MAKER(fast_open, multipath_and_adopted_sockets_refuse_it, m)
{
    struct weir_connect_options options = {.size = sizeof(options)};
    int fds[2];
    options.fast_open = true;
    peer_tcp_pair(fds);

    expect_eq(weir_create_connection_at(m->loop, &m->factory,
                                        weir_endpoint_fd(fds[0]), &options,
                                        maker_connect_done, m, NULL),
              -EINVAL);
    options.proto = IPPROTO_MPTCP;
    expect_eq(weir_create_connection(m->loop, &m->factory, "127.0.0.1", 1,
                                     &options, maker_connect_done, m, NULL),
              -EINVAL);

    close(fds[1]);
}

/* Sends bytes to a server with two SYNs. The first one has no cookie: its bytes
 * follow the handshake. */
static void send_twice(struct maker *m, uint32_t limit)
{
    struct weir_server_options options = {.size = sizeof(options)};
    enter_network("3");
    options.fast_open_limit = limit;
    m->echo = true;
    maker_serve(m, "127.0.0.1", &options);
    address = peer_address("127.0.0.1", server_port(m->server));

    for (int i = 0; i < 2; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        expect_geq(fd, 0);
        peer_set_timeout(fd);
        expect_eq(sendto(fd, HELLO, 5, MSG_FASTOPEN, &address.storage.any,
                         address.len),
                  5);
        expect_hello(m, fd);
        expect_eq(has_syn_data(fd), limit > 0 && i == 1);
        close(fd);
    }
}

MAKER(fast_open, a_server_takes_the_bytes_of_a_SYN, m)
{
    send_twice(m, 16);
}

MAKER(fast_open, a_server_takes_none_unless_it_is_told, m)
{
    send_twice(m, 0);
}
