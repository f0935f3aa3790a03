/*
 * Counted: a connection to one of few upstreams and to one of many, by its key,
 * and in turn where it takes the only place, which changes what may be chosen.
 * What it costs must not depend on how many upstreams there are.
 */
#include "tests/counts/count.h"

#include <errno.h>
#include <stdio.h>
#include <weir/upstream.h>

#define FEW  10u
#define MANY 1000u
#define KEYS 20u

static weir_upstreams *set;
static struct fake_listener *listeners[MANY];
static uint32_t asked_count;

static bool is_by_key(const struct count *c)
{
    return c->what == &count_keys_few || c->what == &count_keys_many;
}

static uint32_t count_upstreams(const struct count *c)
{
    return c->what == &count_keys_few || c->what == &count_places_few ? FEW
                                                                      : MANY;
}

static int make_protocol(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol silent = {.size = sizeof(silent),
                                                .kind = WEIR_PROTOCOL_STREAM};
    ret->protocol = &silent;
    ret->user = arg;
    return 0;
}

static void ask_next(struct count *c);

static void served(void *arg, int err,
                   const struct weir_upstreams_result *result)
{
    struct count *c = arg;

    if (err == -ECANCELED) {
        return; /* it is the end */
    }
    count_require(err == 0, "one was not served");
    c->callbacks++;
    c->done++;
    struct fake_listener **listener = weir_upstream_get_user(result->upstream);
    weir_transport_abort(result->transport);
    weir_upstream_slot_end(result->slot, 0);
    fake_peer_close(fake_listener_accept(*listener));
    ask_next(c);
}

static void ask_next(struct count *c)
{
    const struct weir_factory factory = {make_protocol, c};
    const uint32_t key = asked_count++ % KEYS;
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .key = &key, .key_size = sizeof(key)};

    count_require(
        weir_upstreams_connect(set, &factory, &options, served, c, NULL) == 0,
        "not asked");
}

static void start(struct count *c)
{
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .balance = is_by_key(c) ? WEIR_BALANCE_HASH : WEIR_BALANCE_ROUND_ROBIN,
        .seed = 1};

    count_require(weir_upstreams_new(c->loop, &options, &set) == 0, "no set");
    for (uint32_t i = 0; i < count_upstreams(c); i++) {
        struct weir_address address = {.len = 0};
        char host[32];
        const struct weir_upstream_options one = {
            .size = sizeof(one),
            .place = weir_place_addresses(&address, 1),
            .connection_limit = is_by_key(c) ? 0 : 1,
            .user = &listeners[i]};
        snprintf(host, sizeof(host), "192.0.%u.%u", 2 + i / 250, 1 + i % 250);
        count_require(weir_address_parse(host, 80, &address) == 0,
                      "no address");
        listeners[i] = fake_listen(&address.storage.any, address.len);
        fake_listener_set(listeners[i], FAKE_ACCEPT, 0);
        count_require(weir_upstreams_add(set, &one, NULL) == 0, "not added");
    }
    ask_next(c);
}

static bool is_over(const struct count *c)
{
    return c->done >= c->turns_left;
}

static void end(struct count *c)
{
    count_require(c->done > 0, "none was served");
    weir_upstreams_free(set);
}

const struct count_case count_keys_few = {
    .name = "keys_few", .start = start, .is_over = is_over, .end = end};
const struct count_case count_keys_many = {
    .name = "keys_many", .start = start, .is_over = is_over, .end = end};
const struct count_case count_places_few = {
    .name = "places_few", .start = start, .is_over = is_over, .end = end};
const struct count_case count_places_many = {
    .name = "places_many", .start = start, .is_over = is_over, .end = end};
