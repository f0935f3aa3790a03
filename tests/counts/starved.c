/*
 * Counted: an echo while other connections have no receive window.
 *
 * The protocol of the others keeps all bytes until none of them has a window,
 * and their peers continue to send. The cost of a turn must not depend on the
 * number of these connections.
 */
#include "tests/counts/count.h"

#include <errno.h>
#include <weir/transport.h>

#define FEW        10u
#define MANY       1000u
#define HELD_LIMIT (16u << 20)
#define CONNECTS   50u /* per turn, so that the backlog has space */
#define SENDS      64u /* turns in which the other connections get bytes */
#define BLOCK      (16u << 10)
#define KEPT_MAX   65536u

static struct fake_peer *hungry[MANY];
static uint32_t hungry_count;
static uint32_t made_count;
static uint32_t send_count;
static weir_lease *kept[KEPT_MAX];
static uint32_t kept_count;

static int keep_all(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct weir_buf mine = *buf;

    count_require(kept_count < KEPT_MAX, "too many pieces");
    count_require(weir_buf_ref(&mine) == 0, "not kept");
    kept[kept_count++] = mine.lease;
    return 0;
}

static int echo(void *user, weir_transport *t, const struct weir_buf *buf)
{
    struct count *c = user;

    c->callbacks++;
    return weir_transport_write(t, buf->data, buf->len);
}

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol keeps = {.size = sizeof(keeps),
                                               .kind = WEIR_PROTOCOL_STREAM,
                                               .data_received = keep_all};
    static const struct weir_protocol echoes = {.size = sizeof(echoes),
                                                .kind = WEIR_PROTOCOL_STREAM,
                                                .data_received = echo};
    ret->protocol = made_count < hungry_count ? &keeps : &echoes;
    ret->user = arg;
    made_count++;
    return 0;
}

static void start(struct count *c)
{
    hungry_count = c->what == &count_starved_few ? FEW : MANY;
    count_serve(c, make_protocol);
}

/* Connects some of the others. Returns false when all are connected. */
static bool connect_some(const struct count *c)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons(c->port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint32_t left = CONNECTS;

    for (uint32_t i = 0; i < hungry_count && left > 0; i++) {
        if (!hungry[i]) {
            hungry[i] =
                fake_connect((const struct sockaddr *)&addr, sizeof(addr));
            count_require(hungry[i] != NULL, "one could not connect");
            left--;
        }
    }
    return left < CONNECTS;
}

static bool next_turn(struct count *c)
{
    static const uint8_t block[BLOCK];

    if (c->port == 0) {
        return false;
    }
    if (connect_some(c)) {
        return true;
    }
    if (send_count < SENDS) {
        send_count++;
        for (uint32_t i = 0; i < hungry_count; i++) {
            const ssize_t len = fake_peer_write(hungry[i], block, BLOCK);
            count_require(len > 0 || len == -EAGAIN, "one ended");
        }
        return true;
    }
    return count_next_turn(c);
}

static void end(struct count *c)
{
    static const uint8_t byte;
    uint32_t starved = 0;

    for (uint32_t i = 0; i < hungry_count; i++) {
        starved += fake_peer_write(hungry[i], &byte, 1) == -EAGAIN;
        fake_peer_close(hungry[i]);
    }
    count_require(starved == hungry_count, "one does not starve");
    while (kept_count > 0) {
        weir_buf_unref(kept[--kept_count]);
    }
}

static const struct count_traffic traffic = {.message_size = COUNT_MESSAGE,
                                             .answer = count_answer_echo};
const struct count_case count_starved_few = {.name = "starved_few",
                                             .start = start,
                                             .next_turn = next_turn,
                                             .is_over = count_is_answered,
                                             .end = end,
                                             .held_limit_bytes = HELD_LIMIT,
                                             .traffic = &traffic};
const struct count_case count_starved_many = {.name = "starved_many",
                                              .start = start,
                                              .next_turn = next_turn,
                                              .is_over = count_is_answered,
                                              .end = end,
                                              .held_limit_bytes = HELD_LIMIT,
                                              .traffic = &traffic};
