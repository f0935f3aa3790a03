/*
 * Counted: the whole life of a connection with one request. It is accepted,
 * answers 128 bytes, is closed by its peer or by the server, and is lost. All
 * connections take each of these steps together.
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
    ret->protocol = c->what->server_ends ? &closes : &answers;
    ret->user = arg;
    return 0;
}

static void start(struct count *c)
{
    count_serve(c, make_protocol);
}

const struct count_case count_life = {.name = "life",
                                      .start = start,
                                      .next_turn = count_next_step,
                                      .is_over = count_have_all_ended};
const struct count_case count_life_closes = {.name = "life_closes",
                                             .start = start,
                                             .next_turn = count_next_step,
                                             .is_over = count_have_all_ended,
                                             .server_ends = true};
