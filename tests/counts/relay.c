/*
 * Counted: messages that a relay forwards, and the whole life of a relayed
 * connection.
 *
 * The connections of a server are relayed in pairs, so the messages of each
 * peer are the answers to the other peer. In a life each peer sends one
 * message, and then both peers end.
 */
#include "tests/counts/count.h"

#include <weir/relay.h>

static weir_transport *waiting; /* for the second connection of a pair */

/* Called when both connections of a relay are lost. */
static void relayed(void *arg, int err, const struct weir_relay_record *record)
{
    struct count *c = arg;

    (void)record;
    count_require(err == 0, "a relay broke");
    c->alive -= 2;
    c->done += 2;
}

static void connection_made(void *user, weir_transport *t)
{
    struct count *c = user;
    const bool has_end = c->what == &count_relay_life;

    c->alive++;
    if (!waiting) {
        waiting = t;
        return;
    }
    count_require(weir_relay(waiting, t, NULL, has_end ? relayed : NULL,
                             has_end ? c : NULL, NULL) == 0,
                  "no relay");
    waiting = NULL;
}

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol first = {.size = sizeof(first),
                                               .kind = WEIR_PROTOCOL_STREAM,
                                               .connection_made =
                                                   connection_made};
    (void)t;
    ret->protocol = &first;
    ret->user = arg;
    return 0;
}

static void start(struct count *c)
{
    count_require(c->conns % 2 == 0, "two connections for each relay");
    count_serve(c, make_protocol);
}

/* The answer is the other peer's messages. */
static size_t answer(uint32_t depth, uint8_t first, uint8_t *ret)
{
    return count_answer_echo(depth, (uint8_t)('A' + ((first - 'A') ^ 1)), ret);
}

static const struct count_traffic traffic = {.message_size = COUNT_MESSAGE,
                                             .answer = answer};
const struct count_case count_relay = {.name = "relay",
                                       .start = start,
                                       .next_turn = count_next_turn,
                                       .is_over = count_is_answered,
                                       .traffic = &traffic};

const struct count_case count_relay_life = {.name = "relay_life",
                                            .start = start,
                                            .next_turn = count_next_step,
                                            .is_over = count_have_all_ended,
                                            /* as in weir-proxy */
                                            .read_limit_bytes = 32 << 10};
