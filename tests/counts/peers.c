/*
 * A server that is counted, and its clients. When the loop would sleep, every
 * peer checks the answer to its last messages and sends again, so that all
 * messages of a turn arrive together and all turns are alike.
 */
#include "tests/counts/count.h"

#include <string.h>
#include <weir/server.h>

#define BYTES_MAX (COUNT_DEPTH_MAX * COUNT_MESSAGE)

void count_listening(struct count *c, weir_server *server)
{
    struct weir_address addr;

    weir_server_get_socket(server, 0, &addr);
    c->port = ntohs(addr.storage.inet.sin_port);
}

static void on_listening(void *arg, int err, weir_server *server)
{
    count_require(err == 0, "the server does not listen");
    count_listening(arg, server);
}

void count_serve(struct count *c,
                 int (*make_protocol)(void *arg, weir_transport *t,
                                      struct weir_protocol_binding *ret))
{
    const struct weir_server_options options = {
        .size = sizeof(options),
        .tls = c->tls,
        .connection = {.size = sizeof(options.connection),
                       .read_limit_bytes = c->what->read_limit_bytes}};
    const struct weir_factory factory = {make_protocol, c};

    count_require(weir_create_server(c->loop, &factory, "127.0.0.1", 0,
                                     &options, on_listening, c,
                                     &c->server) == 0,
                  "no server");
}

size_t count_answer_echo(uint32_t depth, uint8_t first, uint8_t *ret)
{
    for (uint32_t i = 0; i < depth; i++) {
        memset(ret + (size_t)i * COUNT_MESSAGE, 0, COUNT_MESSAGE);
        ret[(size_t)i * COUNT_MESSAGE] = first;
    }
    return (size_t)depth * COUNT_MESSAGE;
}

/* The first byte of a message identifies its peer. */
static size_t make_messages(const struct count *c, uint8_t first, uint8_t *ret)
{
    const struct count_traffic *traffic = c->what->traffic;
    const size_t size = traffic->message_size;

    memset(ret, 0, size * c->depth);
    for (uint32_t i = 0; i < c->depth; i++) {
        ret[size * i] = first;
        if (traffic->has_lines) {
            ret[size * i + size - 1] = '\n';
        }
    }
    return size * c->depth;
}

static uint8_t first_byte(uint32_t index)
{
    return (uint8_t)('A' + index); /* less than COUNT_CONNS_MAX; no newline */
}

void count_connect(struct count *c)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons(c->port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (uint32_t i = 0; i < c->conns; i++) {
        c->peers[i] =
            fake_connect((const struct sockaddr *)&addr, sizeof(addr));
        count_require(c->peers[i] != NULL, "a peer could not connect");
    }
}

static void check_answer(struct count *c, uint32_t index)
{
    static uint8_t expected[BYTES_MAX];
    static uint8_t in[BYTES_MAX + 1];
    const size_t size =
        c->what->traffic->answer(c->depth, first_byte(index), expected);
    const ssize_t len = fake_peer_read(c->peers[index], in, sizeof(in));

    count_require(len == (ssize_t)size, "no whole answer in its turn");
    count_require(memcmp(in, expected, size) == 0, "a wrong answer");
    c->done += c->depth;
}

static void send_messages(struct count *c, uint32_t index)
{
    static uint8_t out[BYTES_MAX];
    const size_t size = make_messages(c, first_byte(index), out);

    count_require(fake_peer_write(c->peers[index], out, size) == (ssize_t)size,
                  "the messages were not taken");
}

bool count_next_turn(struct count *c)
{
    if (c->port == 0 || c->turns_left == 0) {
        return false;
    }
    const bool is_first = c->peers[0] == NULL;
    if (is_first) {
        count_connect(c);
    }
    c->turns_left--;
    for (uint32_t i = 0; i < c->conns; i++) {
        if (!is_first) {
            check_answer(c, i);
        }
        send_messages(c, i);
    }
    return true;
}

bool count_is_answered(const struct count *c)
{
    static uint8_t answer[BYTES_MAX];

    if (c->turns_left > 0) {
        return false;
    }
    const size_t size = c->what->traffic->answer(c->depth, 0, answer);
    for (uint32_t i = 0; i < c->conns; i++) {
        if (fake_peer_readable(c->peers[i]) != size) {
            return false;
        }
    }
    return true;
}

/* ---- lives ---- */

static void send_one_message(struct count *c)
{
    static const uint8_t message[COUNT_MESSAGE];

    for (uint32_t i = 0; i < c->conns; i++) {
        count_require(fake_peer_write(c->peers[i], message, sizeof(message)) ==
                          (ssize_t)sizeof(message),
                      "a message was not taken");
    }
}

static void end_lives(struct count *c)
{
    uint8_t in[COUNT_MESSAGE + 1];

    for (uint32_t i = 0; i < c->conns; i++) {
        count_require(fake_peer_read(c->peers[i], in, sizeof(in)) ==
                          (ssize_t)COUNT_MESSAGE,
                      "no whole message");
        count_require(!c->what->server_ends ||
                          fake_peer_read(c->peers[i], in, sizeof(in)) == 0,
                      "the server did not close");
        fake_peer_close(c->peers[i]);
        c->peers[i] = NULL;
    }
}

bool count_next_step(struct count *c)
{
    if (c->port == 0 || (!c->peers[0] && c->turns_left == 0)) {
        return false;
    }
    if (!c->peers[0]) {
        c->turns_left--;
        c->has_asked = false;
        count_connect(c);
    } else if (!c->has_asked) {
        c->has_asked = true;
        send_one_message(c);
    } else {
        end_lives(c);
    }
    return true;
}

bool count_have_all_ended(const struct count *c)
{
    return c->turns_left == 0 && !c->peers[0] && c->alive == 0;
}
