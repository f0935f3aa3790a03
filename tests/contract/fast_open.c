/*
 * TCP Fast Open: what is sent with the SYN.
 *
 * A connection that counts as established before its peer has answered ends,
 * fails and closes like any other. Each test has its own network namespace, in
 * which the sysctl allows fast open, and is skipped if it cannot have one. The
 * first connection there gets the cookie.
 */
#include "tests/contract/maker.h"

#include <sched.h>
#include <weir/connect.h>
#include <weir/move.h>
#include <weir/sendfile.h>

#define HELLO "hello"

/* An ABI constant that some headers lack. */
#ifndef TCPI_OPT_SYN_DATA
#define TCPI_OPT_SYN_DATA 32
#endif

static void set_sysctl(const char *text)
{
    int fd = open("/proc/sys/net/ipv4/tcp_fastopen", O_WRONLY);

    if (fd < 0 || write(fd, text, 1) != 1) {
        cr_skip_test("the sysctl cannot be set; runs as root");
    }
    close(fd);
}

static void enter_network(const char *sysctl)
{
    if (unshare(CLONE_NEWNET) < 0) {
        cr_skip_test("no network namespace; runs as root");
    }
    if (system("ip link set lo up") != 0) {
        cr_skip_test("no ip(8); runs with iproute2");
    }
    set_sysctl(sysctl);
}

/* Returns a listener that accepts bytes in a SYN. */
static int listen_fast(int backlog, struct weir_address *ret)
{
    const int queue = 16;
    int fd = peer_listen(backlog, ret);

    expect_eq(setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue)),
              0);
    return fd;
}

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
    struct weir_connect_options options = {.size = sizeof(options)};

    options.fast_open = true;
    m->done = 0;
    m->log[0] = '\0';
    memset(m->log, 0, sizeof(m->log));
    expect_ok(weir_create_connection_at(
        m->loop, &m->factory, weir_endpoint_addresses(addresses, count),
        &options, maker_connect_done, m, NULL));
    maker_run(m, maker_is_done);
    return m->done_err;
}

static int accept_one(int listener)
{
    int fd = accept(listener, NULL, NULL);

    expect_geq(fd, 0);
    peer_set_timeout(fd);
    return fd;
}

/* Connects once, so that the kernel has this machine's cookie. */
static void get_cookie(struct maker *m, int listener,
                       const struct weir_address *address)
{
    void (*in_made)(struct maker *) = m->in_made;

    m->in_made = NULL;
    expect_eq(connect_fast(m, address, 1), 0);
    int peer = accept_one(listener);
    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
    weir_transport_abort(m->t);
    maker_run(m, maker_is_lost);
    close(peer);
    m->lost = 0;
    m->lost_err = 0;
    m->made = 0;
    m->in_made = in_made;
}

/* Makes a listener in the test's network, after getting a cookie. */
static int begin(struct maker *m, struct weir_address *ret)
{
    enter_network("3");
    int listener = listen_fast(8, ret);
    get_cookie(m, listener, ret);
    return listener;
}

/* Expects the bytes that the peer receives until its end, while the loop turns.
 */
static void expect_whole(struct maker *m, int peer, const char *text)
{
    char got[16] = "";
    size_t len = 0;
    ssize_t some = 0;

    while (len < sizeof(got) &&
           (some = maker_read(m, peer, got + len, sizeof(got) - len)) > 0) {
        len += (size_t)some;
    }
    expect_eq(some, 0, "the end of the stream");
    expect_eq(len, strlen(text));
    expect_eq(memcmp(got, text, len), 0);
}

/* ---- what goes with the SYN ---- */

MAKER(fast_open, the_first_bytes_go_with_the_SYN_of_a_second_connection, m)
{
    struct weir_address address;
    char got[5];
    m->in_made = write_hello;
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    expect_str_eq(m->log, "FMD");
    struct weir_address peername = m->peername;
    int peer = accept_one(listener);
    expect_eq(recv(peer, got, sizeof(got), MSG_WAITALL), 5);
    expect_eq(memcmp(got, HELLO, 5), 0);

    expect_eq(weir_address_is_equal(&peername, &address), true);
    expect_eq(send(peer, "answer", 6, 0), 6);
    RUN_UNTIL(m->loop, m->received == 6);
    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), true);
    expect_eq(weir_transport_write(m->t, "more", 4), 0);
    expect_eq(maker_read(m, peer, got, 4), 4);
    close(peer);
    close(listener);
}

MAKER(fast_open, a_SYN_leaves_alone_when_nothing_was_written, m)
{
    struct weir_address address;
    char got[5];
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    int peer = accept_one(listener); /* the peer may speak first */
    expect_eq(send(peer, "hi", 2, 0), 2);
    RUN_UNTIL(m->loop, m->received == 2);
    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
    write_hello(m);
    expect_eq(maker_read(m, peer, got, 5), 5);

    close(peer);
    close(listener);
}

static void flush_cookies(struct maker *m)
{
    write_hello(m);
    if (system("ip tcp_metrics flush all >/dev/null 2>&1") != 0) {
        cr_skip_test("ip(8) cannot flush the cookies; runs as root");
    }
}

MAKER(fast_open, bytes_are_sent_again_when_the_cookie_has_gone, m)
{
    struct weir_address address;
    char got[5];
    m->in_made = flush_cookies;
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    int peer = accept_one(listener);
    expect_eq(maker_read(m, peer, got, 5), 5);
    expect_eq(memcmp(got, HELLO, 5), 0);

    expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
    close(peer);
    close(listener);
}

/* ---- ends that come before the answer ---- */

static void write_and_end(struct maker *m)
{
    write_hello(m);
    expect_eq(weir_transport_write_eof(m->t), 0);
}

MAKER(fast_open, an_end_of_the_stream_waits_for_the_answer, m)
{
    struct weir_address address;
    m->in_made = write_and_end;
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    int peer = accept_one(listener);
    expect_whole(m, peer, HELLO);
    expect_eq(send(peer, "answer", 6, 0), 6);
    close(peer);
    maker_expect_lost(m, 0);

    expect_eq(m->received, 6);
    close(listener);
}

static void end_at_once(struct maker *m)
{
    expect_eq(weir_transport_write_eof(m->t), 0);
}

MAKER(fast_open, an_end_without_bytes_reaches_the_peer, m)
{
    struct weir_address address;
    m->in_made = end_at_once;
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    int peer = accept_one(listener);
    expect_whole(m, peer, "");
    close(peer);
    maker_expect_lost(m, 0);

    close(listener);
}

static void write_and_close(struct maker *m)
{
    write_hello(m);
    weir_transport_close(m->t);
}

MAKER(fast_open, a_close_delivers_what_was_written, m)
{
    struct weir_address address;
    m->in_made = write_and_close;
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    int peer = accept_one(listener);
    expect_whole(m, peer, HELLO);
    close(peer);
    maker_expect_lost(m, 0);

    close(listener);
}

static void write_and_abort(struct maker *m)
{
    write_hello(m);
    weir_transport_abort(m->t);
}

MAKER(fast_open, an_abort_sends_nothing, m)
{
    struct weir_address address;
    m->in_made = write_and_abort;
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run(m, maker_is_lost);
    maker_run_for(m, MS);

    expect_eq(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    expect_eq(accept(listener, NULL, NULL), -1);
    close(listener);
}

static void note_sent(void *arg, weir_transport *t, int err, uint64_t sent)
{
    *(uint64_t *)arg = err == 0 ? sent : 0;
}

MAKER(fast_open, a_file_follows_the_SYN, m)
{
    struct weir_address address;
    uint64_t sent = 0;
    char got[16];
    char path[] = "/tmp/weir-fast-open-XXXXXX";
    int file = mkstemp(path);
    expect_geq(file, 0);
    expect_eq(unlink(path), 0);
    expect_eq(write(file, "0123456789abcdef", 16), 16);
    int listener = begin(m, &address);

    expect_eq(connect_fast(m, &address, 1), 0);
    expect_eq(weir_transport_sendfile(m->t, file, 0, 16, note_sent, &sent), 0);
    maker_run_for(m, MS);
    int peer = accept_one(listener);
    for (size_t len = 0; len < sizeof(got);) {
        const ssize_t some = maker_read(m, peer, got + len, sizeof(got) - len);
        expect_gt(some, 0);
        len += (size_t)some;
    }
    RUN_UNTIL(m->loop, sent == 16);

    expect_eq(memcmp(got, "0123456789abcdef", 16), 0);
    close(file);
    close(peer);
    close(listener);
}

/* ---- a peer that refuses, or does not answer ---- */

MAKER(fast_open, a_refusal_is_the_error_of_the_connection, m)
{
    struct weir_address address;
    m->in_made = write_hello;
    int listener = begin(m, &address);
    close(listener);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_expect_lost(m, -ECONNREFUSED);
}

MAKER(fast_open, a_refusal_is_told_to_a_protocol_that_only_listens, m)
{
    struct weir_address address;
    int listener = begin(m, &address);
    close(listener);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_expect_lost(m, -ECONNREFUSED);
}

MAKER(fast_open, a_refusal_is_told_after_a_close, m)
{
    struct weir_address address;
    m->in_made = write_and_close;
    int listener = begin(m, &address);
    close(listener);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_expect_lost(m, -ECONNREFUSED);
}

/* Two addresses that refuse. */
MAKER(fast_open, several_addresses_are_tried_without_it, m)
{
    struct weir_address addresses[2];
    int listener = begin(m, &addresses[0]);
    close(listener);
    addresses[1] = peer_address("127.0.0.1", 1);

    expect_eq(connect_fast(m, addresses, 2), -ECONNREFUSED);
    expect_str_eq(m->log, "D");
}

/* The listener's queue is full: its kernel drops the SYN. */
static int begin_silent(struct maker *m, struct weir_address *ret, int *filler)
{
    int listener = begin(m, ret);
    expect_eq(listen(listener, 0), 0);
    *filler = peer_connect_to(ret);
    expect_geq(*filler, 0);
    return listener;
}

static void set_stall(struct maker *m)
{
    const struct weir_timeouts timeouts = {.size = sizeof(timeouts),
                                           .write_stall_ns = 20 * MS};
    write_hello(m);
    expect_eq(weir_transport_set_timeouts(m->t, &timeouts), 0);
}

MAKER(fast_open, a_stall_ends_a_connection_that_is_not_answered, m)
{
    struct weir_address address;
    int filler;
    m->in_made = set_stall;
    int listener = begin_silent(m, &address, &filler);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_expect_lost(m, WEIR_EWRITESTALL);

    close(filler);
    close(listener);
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

MAKER(fast_open, a_connection_that_is_not_answered_does_not_move, m)
{
    struct weir_address address;
    weir_transport *t = NULL;
    weir_loop *other = NULL;
    int filler;
    int listener = begin_silent(m, &address, &filler);
    expect_ok(weir_loop_new(NULL, &other));
    weir_mailbox *mailbox = weir_loop_get_mailbox(other);
    const struct weir_factory factory = m->factory;
    m->factory = (struct weir_factory){create_mover, &t};

    expect_eq(connect_fast(m, &address, 1), 0);
    expect_eq(weir_transport_move(t, mailbox, &factory, NULL, NULL, NULL),
              -EBUSY);
    weir_transport_abort(t);
    maker_run_for(m, MS);

    weir_mailbox_unref(mailbox);
    weir_loop_free(other);
    close(filler);
    close(listener);
}

static const char *dump_loop(weir_loop *loop, char *text, size_t size)
{
    FILE *file = fmemopen(text, size, "w");
    weir_loop_dump(loop, file);
    fclose(file);
    return text;
}

MAKER(fast_open, the_end_of_the_loop_ends_one_that_is_not_answered, m)
{
    struct weir_address address;
    int filler;
    char text[4096];
    m->in_made = write_hello;
    int listener = begin_silent(m, &address, &filler);

    expect_eq(connect_fast(m, &address, 1), 0);
    maker_run_for(m, MS);
    cr_assert_not_null(
        strstr(dump_loop(m->loop, text, sizeof(text)), "send=opening"));
    maker_close(m);

    expect_eq(m->lost, 1);
    close(filler);
    close(listener);
}

/* ---- where there is none ---- */

MAKER(fast_open, without_the_sysctl_the_connection_is_made_as_ever, m)
{
    struct weir_address address;
    char got[5];
    enter_network("0");
    int listener = peer_listen(8, &address);
    m->in_made = write_hello;

    for (int i = 0; i < 2; i++) {
        expect_eq(connect_fast(m, &address, 1), 0);
        int peer = accept_one(listener);
        expect_eq(maker_read(m, peer, got, 5), 5);
        expect_eq(has_syn_data(weir_transport_get_socket(m->t)), false);
        close(peer);
        maker_run(m, maker_is_lost);
        m->lost = 0;
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

/* ---- servers ---- */

/* Sends these bytes with a SYN, or after the handshake if there is no cookie.
 */
static int send_fast(const struct weir_address *address)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    expect_geq(fd, 0);
    peer_set_timeout(fd);
    expect_eq(
        sendto(fd, HELLO, 5, MSG_FASTOPEN, &address->storage.any, address->len),
        5);
    return fd;
}

MAKER(fast_open, a_server_takes_the_bytes_of_a_SYN, m)
{
    struct weir_server_options options = {.size = sizeof(options)};
    char got[5];
    enter_network("3");
    options.fast_open_limit = 16;
    m->echo = true;
    maker_serve(m, "127.0.0.1", &options);
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));

    for (int i = 0; i < 2; i++) {
        int fd = send_fast(&address);
        expect_eq(maker_read(m, fd, got, 5), 5);
        expect_eq(has_syn_data(fd), i == 1);
        close(fd);
    }
}

MAKER(fast_open, a_server_takes_none_unless_it_is_told, m)
{
    char got[5];
    enter_network("3");
    m->echo = true;
    maker_serve(m, "127.0.0.1", NULL);
    struct weir_address address =
        peer_address("127.0.0.1", server_port(m->server));

    for (int i = 0; i < 2; i++) {
        int fd = send_fast(&address);
        expect_eq(maker_read(m, fd, got, 5), 5);
        expect_eq(has_syn_data(fd), false);
        close(fd);
    }
}
