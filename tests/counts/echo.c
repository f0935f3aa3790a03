/*
 * The program whose instructions are counted: an echo on the fake machine.
 *
 *     echo CONNECTIONS TURNS DEPTH
 *
 * All peers send DEPTH messages of 128 bytes at once, the loop echoes each
 * with a write of its own, the peers check what came back, and so on. counts.py
 * runs it under callgrind with two lengths and takes the difference, so that
 * starting up does not count; instructions of this file and of the fake machine
 * are left out. What can be counted exactly without a tool is printed as one
 * line of JSON.
 */
#include "tests/fake/alloc.h"
#include "tests/fake/fake.h"
#include "weir/loop.h"
#include "weir/server.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE   128u
#define CONNS_MAX 64
#define DEPTH_MAX 64

static struct {
    weir_loop *loop;
    uint32_t conns;
    uint32_t depth;
    uint64_t turns_left;
    uint16_t port;
    struct fake_peer *peers[CONNS_MAX];
    uint64_t echoed;
    uint64_t callbacks;
} run;

static void require(bool holds, const char *what)
{
    if (!holds) {
        fake_fail("%s", what);
    }
}

/* ---- the server: asyncio's echo example ---- */

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    (void)user;
    run.callbacks++;
    for (size_t from = 0; from < buf->len; from += MESSAGE) {
        size_t left = buf->len - from;
        int err = weir_transport_write(t, buf->data + from,
                                       left < MESSAGE ? left : MESSAGE);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol echo = {.size = sizeof(echo),
                                              .kind = WEIR_PROTOCOL_STREAM,
                                              .data_received = data_received};
    (void)arg;
    (void)t;
    ret->protocol = &echo;
    return 0;
}

static void on_listening(void *arg, int err, weir_server *server)
{
    (void)arg;
    struct weir_address addr;
    require(err == 0, "the server does not listen");
    weir_server_get_socket(server, 0, &addr);
    run.port = ntohs(addr.storage.inet.sin_port);
}

/* ---- the peers ---- */

static void connect_peers(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_port = htons(run.port),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (uint32_t i = 0; i < run.conns; i++) {
        run.peers[i] = fake_connect((struct sockaddr *)&addr, sizeof(addr));
        require(run.peers[i] != NULL, "a peer could not connect");
    }
}

/* The loop would sleep: everything is echoed, or it never will be. */
static bool on_idle(void *arg)
{
    static uint8_t out[DEPTH_MAX * MESSAGE];
    static uint8_t in[DEPTH_MAX * MESSAGE + 1];
    const ssize_t size = (ssize_t)(run.depth * MESSAGE);
    (void)arg;
    if (run.port == 0 || run.turns_left == 0) {
        return false;
    }
    bool first = run.peers[0] == NULL;
    if (first) {
        connect_peers();
    }
    run.turns_left--;
    for (uint32_t i = 0; i < run.conns; i++) {
        if (!first) {
            ssize_t len = fake_peer_read(run.peers[i], in, sizeof(in));
            require(len == size, "a message was not echoed in its turn");
            require(in[0] == (uint8_t)i, "a message was changed");
            run.echoed += run.depth;
        }
        out[0] = (uint8_t)i;
        require(fake_peer_write(run.peers[i], out, (size_t)size) == size,
                "a message was not taken");
    }
    return true;
}

static bool is_over(void *arg)
{
    (void)arg;
    if (run.turns_left > 0) {
        return false;
    }
    for (uint32_t i = 0; i < run.conns; i++) {
        if (fake_peer_readable(run.peers[i]) != run.depth * MESSAGE) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    require(argc == 4, "usage: echo CONNECTIONS TURNS DEPTH");
    run.conns = (uint32_t)strtoul(argv[1], NULL, 10);
    run.turns_left = strtoull(argv[2], NULL, 10);
    run.depth = (uint32_t)strtoul(argv[3], NULL, 10);
    require(run.depth >= 1 && run.depth <= DEPTH_MAX, "too deep");
    require(run.conns >= 1 && run.conns <= CONNS_MAX, "too many connections");

    struct fake_options machine = {.idle = on_idle};
    struct fake_alloc alloc;
    fake_start(&machine);
    fake_alloc_init(&alloc);
    struct weir_loop_options options = {.size = sizeof(options),
                                        .allocator = &alloc.hooks};
    struct weir_server_options server_options = {.size = sizeof(server_options),
                                                 .done = on_listening};
    struct weir_factory factory = {make_protocol, NULL};
    weir_server *server;
    require(weir_loop_new(&options, &run.loop) == 0, "no loop");
    require(weir_create_server(run.loop, &factory, "127.0.0.1", 0,
                               &server_options, &server) == 0,
            "no server");
    require(weir_loop_run_until(run.loop, is_over, NULL) == 0, "a bad end");

    struct weir_loop_statistics now;
    weir_loop_get_statistics(run.loop, &now);
    printf(
        "{\"messages\": %llu, \"callbacks\": %llu, \"allocations\": %llu, "
        "\"copied_by_write\": %llu, \"copied_otherwise\": %llu, "
        "\"submitted\": %llu, \"completions\": %llu, \"enters\": %llu, "
        "\"turns\": %llu}\n",
        (unsigned long long)run.echoed, (unsigned long long)run.callbacks,
        (unsigned long long)alloc.count,
        (unsigned long long)now.copied_by_write,
        (unsigned long long)(now.copied_by_compaction + now.copied_to_protocol),
        (unsigned long long)now.submitted, (unsigned long long)now.completions,
        (unsigned long long)now.enters, (unsigned long long)now.turns);
    weir_server_free(server);
    weir_loop_free(run.loop);
    fake_stop();
    return 0;
}
