/*
 * Counted: the whole life of a connection that makes one request. It is
 * accepted, answers 128 bytes and is closed, by its peer or by the server, and
 * lost. All connections take each of these steps together.
 */
#include "tests/counts/count.h"

#include <string.h>
#include <weir/transport.h>

static void connection_made(void *user, weir_transport *t)
{
    struct count *c = user;
    c->callbacks++;
    c->alive++;
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct count *c = user;
    count_require(err == 0, "a connection broke");
    c->callbacks++;
    c->alive--;
    c->done++;
}

static int answer(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct count *c = user;

    c->callbacks++;
    return weir_transport_write(t, buf->data, buf->len);
}

static int answer_and_close(void *user, weir_transport *t,
                            const struct weir_buf *buf)
{
    int err = answer(user, t, buf);
    return err < 0 ? err : weir_transport_close(t);
}

#define PROTOCOL(received)                                                     \
    {                                                                          \
        .size = sizeof(struct weir_protocol), .kind = WEIR_PROTOCOL_STREAM,    \
        .connection_made = connection_made,                                    \
        .connection_lost = connection_lost, .data_received = (received)        \
    }

static const struct weir_protocol answers = PROTOCOL(answer);
static const struct weir_protocol closes = PROTOCOL(answer_and_close);

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    const struct count *c = arg;
    ret->protocol = c->what == &count_life_closes ? &closes : &answers;
    ret->user = arg;
    return 0;
}

static void start(struct count *c)
{
    count_serve(c, make_protocol);
}

static void send_requests(struct count *c)
{
    static const uint8_t request[COUNT_MESSAGE];

    for (uint32_t i = 0; i < c->conns; i++) {
        count_require(fake_peer_write(c->peers[i], request, sizeof(request)) ==
                          (ssize_t)sizeof(request),
                      "the request was not taken");
    }
}

static void end_lives(struct count *c)
{
    uint8_t in[COUNT_MESSAGE + 1];
    const bool is_ended = c->what == &count_life_closes;

    for (uint32_t i = 0; i < c->conns; i++) {
        count_require(fake_peer_read(c->peers[i], in, sizeof(in)) ==
                          (ssize_t)COUNT_MESSAGE,
                      "no whole answer");
        count_require(!is_ended ||
                          fake_peer_read(c->peers[i], in, sizeof(in)) == 0,
                      "the server did not close");
        fake_peer_close(c->peers[i]);
        c->peers[i] = NULL;
    }
}

/* One step for all connections: connect, request, end. */
static bool next_step(struct count *c)
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
        send_requests(c);
    } else {
        end_lives(c);
    }
    return true;
}

static bool is_over(const struct count *c)
{
    return c->turns_left == 0 && !c->peers[0] && c->alive == 0;
}

const struct count_case count_life = {
    .name = "life", .start = start, .next_turn = next_step, .is_over = is_over};
const struct count_case count_life_closes = {.name = "life_closes",
                                             .start = start,
                                             .next_turn = next_step,
                                             .is_over = is_over};
