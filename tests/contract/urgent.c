/*
 * Peers that send TCP urgent bytes, next to peers that send none.
 *
 * weir's receives do not request urgent bytes: each urgent byte wakes the
 * receive and returns no data. The kernel polls 128 times for one receive and
 * then receives in another way (see wr_prep_recv()). A peer that sends more
 * urgent bytes before its first ordinary byte thus decides how the kernel
 * receives. No connection may notice this.
 */
#include "tests/contract/maker.h"
#include "tests/task.h"

#include <weir/stream.h>

enum {
    WAVES = 2,
    URGENT_PEERS = 4,
    URGENT_BYTES = 140, /* per peer: more than the kernel's retries */
    HONEST_PEERS = 2,
    PIECE = 1500,
    SEGMENTS = 4, /* in flight: fewer than any congestion window */
    RESTS = 60000 /* milliseconds until a test gives up */
};

/* Runs the server for some milliseconds. */
typedef void rest_fn(void *arg, uint64_t time_ns);

/* A peer whose stream is a function of its number and the position. */
struct peer {
    int fd;
    uint8_t number;
    uint64_t sent;
    uint64_t echoed;
};

static uint8_t byte_at(const struct peer *peer, uint64_t position)
{
    return (uint8_t)(peer->number * 61u + position * 7u + position / 251u);
}

static void say(struct peer *peer)
{
    uint8_t bytes[PIECE];
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = byte_at(peer, peer->sent + i);
    }
    expect_eq(send(peer->fd, bytes, sizeof(bytes), MSG_NOSIGNAL),
              (ssize_t)sizeof(bytes));
    peer->sent += sizeof(bytes);
}

static void hear(struct peer *peer)
{
    uint8_t bytes[4096];
    ssize_t len;
    while ((len = recv(peer->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        for (ssize_t i = 0; i < len; i++) {
            expect_eq(bytes[i], byte_at(peer, peer->echoed + (uint64_t)i),
                      "byte %llu of peer %u came back as another one",
                      (unsigned long long)(peer->echoed + (uint64_t)i),
                      peer->number);
        }
        peer->echoed += (uint64_t)len;
    }
    expect_eq(len, -1, "peer %u: the connection was ended", peer->number);
    expect_eq(errno, EAGAIN, "peer %u: %s", peer->number, strerror(errno));
}

static void hear_all(struct peer *peer, rest_fn *rest, void *arg)
{
    for (int i = 0; peer->echoed < peer->sent; i++) {
        expect_lt(i, RESTS, "peer %u: %llu of %llu bytes came back",
                  peer->number, (unsigned long long)peer->echoed,
                  (unsigned long long)peer->sent);
        rest(arg, MS);
        hear(peer);
    }
}

/* TCP keeps only the last of two urgent bytes in one segment as urgent. With
 * few segments in flight, each urgent byte has its own segment. */
static void let_urgent_arrive(const struct peer *peer, rest_fn *rest, void *arg)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);
    for (int i = 0;; i++) {
        expect_eq(getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
        if (info.tcpi_unacked <= SEGMENTS) {
            return;
        }
        expect_lt(i, RESTS);
        rest(arg, MS);
    }
}

static struct peer open_peer(uint16_t port, uint8_t number)
{
    const struct weir_address address = peer_address("127.0.0.1", port);
    struct peer peer = {.fd = peer_connect_to(&address), .number = number};
    expect_geq(peer.fd, 0);
    return peer;
}

static void play_wave(uint16_t port, struct peer *honest, rest_fn *rest,
                      void *arg)
{
    struct peer urgent[URGENT_PEERS];
    for (int i = 0; i < URGENT_PEERS; i++) {
        urgent[i] = open_peer(port, (uint8_t)(100 + i));
    }
    rest(arg, 5 * MS);
    for (int i = 0; i < URGENT_BYTES; i++) {
        for (int j = 0; j < URGENT_PEERS; j++) {
            let_urgent_arrive(&urgent[j], rest, arg);
            expect_eq(send(urgent[j].fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
        }
        say(&honest[i % HONEST_PEERS]);
        rest(arg, 3 * MS);
        hear(&honest[i % HONEST_PEERS]);
    }
    for (int i = 0; i < URGENT_PEERS; i++) {
        say(&urgent[i]);
        say(&honest[0]);
        hear_all(&urgent[i], rest, arg);
        hear_all(&honest[0], rest, arg);
    }
    for (int i = 0; i < URGENT_PEERS; i++) {
        close(urgent[i].fd);
    }
}

static void play(uint16_t port, rest_fn *rest, void *arg)
{
    struct peer honest[HONEST_PEERS];
    for (int i = 0; i < HONEST_PEERS; i++) {
        honest[i] = open_peer(port, (uint8_t)i);
    }
    for (int i = 0; i < WAVES; i++) {
        play_wave(port, honest, rest, arg);
    }
    for (int i = 0; i < HONEST_PEERS; i++) {
        hear_all(&honest[i], rest, arg);
        close(honest[i].fd);
    }
}

static void rest_in_loop(void *arg, uint64_t time_ns)
{
    struct maker *m = arg;
    maker_run_for(m, time_ns);
}

MAKER(urgent, bytes_leave_all_streams_as_they_are, m)
{
    m->echo = true;
    maker_serve(m, "127.0.0.1", NULL);

    play(server_port(m->server), rest_in_loop, m);

    maker_run(m, maker_is_empty);
    expect_eq(m->lost, HONEST_PEERS + WAVES * URGENT_PEERS);
    expect_eq(m->lost_err, 0);
}

static int echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    uint8_t bytes[4096];
    ssize_t len;
    while ((len = weir_reader_read(reader, bytes, sizeof(bytes))) > 0) {
        int err = weir_writer_write(writer, bytes, (size_t)len);
        if (err < 0) {
            return err;
        }
    }
    return (int)len;
}

static void rest_in_task(void *arg, uint64_t time_ns)
{
    expect_eq(weir_sleep(arg, time_ns), 0);
}

UNIT_IN(urgent, bytes_leave_all_streams_as_they_are_with_tasks, task_run,
        weir_loop *loop)
{
    weir_server *server;
    expect_eq(weir_start_server(loop, echo, "127.0.0.1", 0, NULL, &server), 0);
    play(server_port(server), rest_in_task, loop);
    weir_server_close(server);
    expect_eq(weir_server_wait_closed(server), 0);
    weir_server_free(server);
}
