/*
 * A hundred downloads at once: a server sends parts of one file, and its
 * clients read at once, slowly, leave in the middle, or never read.
 *
 * Every byte that arrives is the right one at its position, each sendfile ends
 * once, before its connection is lost, and nothing is left: no connection,
 * buffer or timer, and, as in every test, no memory or descriptor.
 *
 * A client requests a part with a struct wish. Byte n of the file is byte n of
 * the pattern.
 */
#include "tests/contract/sending_rig.h"
#include "tests/unit/random.h"

#include <arpa/inet.h>
#include <poll.h>

enum {
    CLIENTS = 100,
    FILE_BYTES = 1 << 20,
    SMALL_BUFFER = 16384,
    SIP_BYTES = 8192, /* read by a slow client at a time */
};

/* A connection is lost after this time in which no byte was read. */
#define STALL_NS (10 * RIG_S)

enum conduct {
    CONDUCT_READS,
    CONDUCT_SIPS,
    CONDUCT_LEAVES,
    CONDUCT_STALLS,
    CONDUCTS,
};

struct wish {
    uint64_t offset;
    uint64_t count;
};

struct download {
    enum conduct conduct;
    struct wish wish;
    uint64_t expected;
    uint64_t leaves_at;
    int fd;
    in_port_t port;
    uint64_t got;
    bool has_ended;

    int wish_len;
    struct wish asked;
    int done_count;
    int done_err;
    uint64_t sent;
    int lost_count;
    int lost_err;
};

static struct {
    weir_loop *loop;
    weir_server *server;
    uint16_t port;
    int file;
    int made_count;
    int lost_count;
    struct unit_random random;
    struct download all[CLIENTS];
} downloads;

static void download_done(void *arg, weir_transport *t, int err, uint64_t sent)
{
    struct download *download = arg;

    expect_eq(download->lost_count, 0);
    download->done_count++;
    download->done_err = err;
    download->sent = sent;
    expect(weir_transport_close(t) <= 0);
}

/* A client's port identifies it, even after it has gone. */
static struct download *download_of(const weir_transport *t)
{
    struct weir_address peer;

    weir_transport_get_peername(t, &peer);
    for (int i = 0; i < CLIENTS; i++) {
        if (downloads.all[i].port == peer.storage.inet.sin_port) {
            return &downloads.all[i];
        }
    }
    return NULL;
}

static int take_wish(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct download *download = user;
    const size_t room = sizeof(download->asked) - (size_t)download->wish_len;

    expect(buf->len <= room);
    memcpy((uint8_t *)&download->asked + download->wish_len, buf->data,
           buf->len);
    download->wish_len += (int)buf->len;
    return buf->len < room ? 0
                           : weir_transport_sendfile(t, downloads.file,
                                                     download->asked.offset,
                                                     download->asked.count,
                                                     download_done, download);
}

static void note_made(void *user, weir_transport *t)
{
    downloads.made_count++;
    set_socket_option(weir_transport_get_socket(t), SOL_SOCKET, SO_SNDBUF,
                      SMALL_BUFFER);
}

static void note_lost(void *user, weir_transport *t, int err)
{
    struct download *download = user;

    downloads.lost_count++;
    download->lost_count++;
    download->lost_err = err;
}

static CALLBACKS(protocol, STREAM, .connection_made = note_made,
                 .connection_lost = note_lost, .data_received = take_wish);

static int serve_one(void *arg, weir_transport *t,
                     struct weir_protocol_binding *ret)
{
    *ret = (struct weir_protocol_binding){&protocol, download_of(t)};
    return ret->user ? 0 : -ENOENT;
}

static void turn(void)
{
    weir_loop_stop(downloads.loop);
    expect_eq(weir_loop_run(downloads.loop), 0);
}

static void open_server(void)
{
    const struct weir_factory factory = {.create = serve_one};
    const struct weir_server_options options = {
        .size = sizeof(options),
        .backlog = 2 * CLIENTS,
        .connection = {.timeouts = {.write_stall_ns = STALL_NS}},
    };
    struct weir_address address = {.len = 0};

    expect_ok(weir_create_server(downloads.loop, &factory, "127.0.0.1", 0,
                                 &options, NULL, NULL, &downloads.server));
    for (int i = 0; weir_server_get_socket_count(downloads.server) == 0; i++) {
        expect(i < 100);
        turn();
    }
    expect(weir_server_get_socket(downloads.server, 0, &address) >= 0);
    downloads.port = ntohs(address.storage.inet.sin_port);
}

static void choose(struct download *download, int number)
{
    struct unit_random *random = &downloads.random;
    const bool wants_part = number / CONDUCTS % 2;

    *download = (struct download){.conduct = (enum conduct)(number % CONDUCTS),
                                  .wish = {.count = WEIR_TO_END},
                                  .expected = FILE_BYTES};
    if (wants_part && download->conduct != CONDUCT_STALLS) {
        download->wish.offset = unit_random_below(random, FILE_BYTES - 1);
        download->wish.count = 2 + unit_random_below(random, FILE_BYTES);
        const uint64_t most = FILE_BYTES - download->wish.offset;
        download->expected =
            download->wish.count < most ? download->wish.count : most;
    }
    /* After the first byte the server has the request. */
    download->leaves_at = 1 + unit_random_below(random, download->expected - 1);
}

static void client_open(struct download *download)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(downloads.port),
        .sin_addr = {htonl(INADDR_LOOPBACK)},
    };

    download->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    expect(download->fd >= 0);
    set_socket_option(download->fd, SOL_SOCKET, SO_RCVBUF, SMALL_BUFFER);
    expect_ok(connect(download->fd, (const struct sockaddr *)&address,
                      sizeof(address)));
    struct sockaddr_in own;
    socklen_t len = sizeof(own);
    expect_eq(getsockname(download->fd, (struct sockaddr *)&own, &len), 0);
    download->port = own.sin_port;
    expect_eq(send(download->fd, &download->wish, sizeof(download->wish),
                   MSG_NOSIGNAL),
              sizeof(download->wish));
}

static void client_leave(struct download *download)
{
    close(download->fd);
    download->fd = -1;
}

static void client_read(struct download *download)
{
    static uint8_t buf[65536];
    uint64_t most = sizeof(buf);

    if (download->conduct == CONDUCT_SIPS) {
        most = 1 + unit_random_below(&downloads.random, SIP_BYTES);
    } else if (download->conduct == CONDUCT_LEAVES) {
        const uint64_t left = download->leaves_at - download->got;
        most = left < most ? left : most;
    }
    if (most == 0) {
        client_leave(download);
        return;
    }
    const ssize_t got = recv(download->fd, buf, (size_t)most, MSG_DONTWAIT);
    if (got < 0) {
        expect_eq(errno, EAGAIN);
        return;
    }
    expect(rig_is_pattern(buf, download->wish.offset + download->got,
                          (size_t)got));
    download->got += (uint64_t)got;
    download->has_ended = got == 0;
    if (download->has_ended) {
        client_leave(download);
    }
}

static void run_clients(void)
{
    const uint64_t until_ns = rig_now_ns() + 4 * RIG_WAIT_NS;

    while (downloads.lost_count < CLIENTS) {
        expect(rig_now_ns() < until_ns);
        for (int i = 0; i < CLIENTS; i++) {
            struct download *download = &downloads.all[i];
            if (download->fd >= 0 && download->conduct != CONDUCT_STALLS) {
                client_read(download);
            }
        }
        turn();
        poll(NULL, 0, downloads.lost_count < CLIENTS / 2 ? 0 : 1);
    }
}

static void check_one(const struct download *download)
{
    expect_eq(download->done_count, 1);
    expect_eq(download->lost_count, 1);
    expect_eq(memcmp(&download->asked, &download->wish, sizeof(struct wish)),
              0);
    expect(download->sent >= download->got);
    switch (download->conduct) {
    case CONDUCT_READS:
    case CONDUCT_SIPS:
        expect_eq(download->done_err, 0);
        expect_eq(download->lost_err, 0);
        expect(download->has_ended);
        expect_eq(download->sent, download->expected);
        expect_eq(download->got, download->expected);
        break;
    case CONDUCT_LEAVES:
        expect_eq(download->got, download->leaves_at);
        expect(download->done_err < 0 || download->sent == download->expected);
        expect(download->done_err == 0 ||
               download->sent < download->wish.count);
        break;
    case CONDUCT_STALLS:
        expect_eq(download->done_err, WEIR_EWRITESTALL);
        expect_eq(download->lost_err, WEIR_EWRITESTALL);
        expect(download->sent > 0 && download->sent < FILE_BYTES);
        break;
    case CONDUCTS:
        expect(false);
    }
}

static void download_all(bool is_cold)
{
    memset(&downloads, 0, sizeof(downloads));
    unit_random_seed(&downloads.random);
    expect_eq(weir_loop_new(NULL, &downloads.loop), 0);
    downloads.file = pattern_file(FILE_BYTES);
    for (int i = 0; i < CLIENTS; i++) {
        choose(&downloads.all[i], i);
        downloads.all[i].fd = -1;
    }
    open_server();
    for (int i = 0; i < CLIENTS; i++) {
        client_open(&downloads.all[i]);
    }
    if (is_cold && !make_cold(downloads.file)) {
        fprintf(stderr, "the file stays in the cache\n");
    }

    run_clients();

    for (int i = 0; i < CLIENTS; i++) {
        check_one(&downloads.all[i]);
        if (downloads.all[i].fd >= 0) {
            client_leave(&downloads.all[i]);
        }
    }
    weir_server_close(downloads.server);
    weir_server_free(downloads.server);
    turn();
    const struct weir_loop_statistics stats = statistics_of(downloads.loop);
    expect_eq(stats.connections, 0);
    expect_eq(stats.queued_bytes, 0);
    expect_eq(stats.held_bytes, 0);
    expect_eq(stats.leases, 0);
    expect_eq(stats.timers, 0);
    expect_eq(weir_loop_free(downloads.loop), 0);
    close(downloads.file);
}

UNIT(downloads, a_hundred_clients_get_their_bytes_whatever_others_do)
{
    download_all(false);
}

UNIT(downloads, a_file_that_is_not_in_the_cache_serves_a_hundred_too)
{
    download_all(true);
}
