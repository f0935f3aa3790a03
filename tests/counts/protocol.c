/*
 * Counted: the echo of a protocol.
 *
 * Every message is answered with a write, as in asyncio's example. At a depth
 * above one, many messages arrive in one receive and their answers leave in one
 * send. In other cases the answer is memory that is not copied, like one
 * message for many receivers.
 */
#include "tests/counts/count.h"

#include <weir/transport.h>

static int data_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct count *c = user;

    c->callbacks++;
    for (size_t from = 0; from < buf->len; from += COUNT_MESSAGE) {
        size_t left = buf->len - from;
        int err = weir_transport_write(
            t, buf->data + from, left < COUNT_MESSAGE ? left : COUNT_MESSAGE);
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
    ret->protocol = &echo;
    ret->user = arg;
    return 0;
}

static void start(struct count *c)
{
    count_serve(c, make_protocol);
}

/* One message for each first byte. */
static uint8_t lasting[256][COUNT_MESSAGE];

static int refer_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct count *c = user;

    c->callbacks++;
    lasting[buf->data[0]][0] = buf->data[0];
    return weir_transport_write_ref(t, lasting[buf->data[0]], COUNT_MESSAGE,
                                    NULL, NULL);
}

static int make_referring(void *arg, weir_transport *t,
                          struct weir_protocol_binding *ret)
{
    static const struct weir_protocol refer = {.size = sizeof(refer),
                                               .kind = WEIR_PROTOCOL_STREAM,
                                               .data_received = refer_received};
    ret->protocol = &refer;
    ret->user = arg;
    return 0;
}

static void start_referring(struct count *c)
{
    count_serve(c, make_referring);
}

static const struct count_traffic traffic = {.message_size = COUNT_MESSAGE,
                                             .answer = count_answer_echo};
const struct count_case count_protocol = {.name = "protocol",
                                          .start = start,
                                          .next_turn = count_next_turn,
                                          .is_over = count_is_answered,
                                          .traffic = &traffic};
const struct count_case count_hosted = {.name = "hosted",
                                        .start = start,
                                        .next_turn = count_next_turn,
                                        .is_over = count_is_answered,
                                        .traffic = &traffic,
                                        .is_hosted = true};
const struct count_case count_reference = {.name = "reference",
                                           .start = start_referring,
                                           .next_turn = count_next_turn,
                                           .is_over = count_is_answered,
                                           .traffic = &traffic};
