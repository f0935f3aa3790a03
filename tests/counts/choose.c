/*
 * Counted: a connection to one of few upstreams and to one of many, chosen by a
 * key, and round robin where it takes the upstream's only slot, which changes
 * the set of free upstreams. The cost must not depend on the number of
 * upstreams.
 */
#include "tests/counts/upstreams.h"

#include <errno.h>
#include <stdio.h>

#define FEW  10u
#define MANY 1000u
#define KEYS 20u

static struct fake_listener *listeners[MANY];
static uint32_t asked_count;

static bool is_by_key(const struct count *c)
{
    return c->what == &count_keys_few || c->what == &count_keys_many;
}

static uint32_t upstreams_of(const struct count *c)
{
    return c->what == &count_keys_few || c->what == &count_places_few ? FEW
                                                                      : MANY;
}

static void ask_next(struct count *c);

static void served(void *arg, int err,
                   const struct weir_upstreams_result *result)
{
    struct count *c = arg;

    if (err == -ECANCELED) {
        return; /* the case ends */
    }
    count_require(err == 0, "one was not served");
    c->callbacks++;
    c->done++;
    count_upstreams_end(result);
    ask_next(c);
}

static void ask_next(struct count *c)
{
    const uint32_t key = asked_count++ % KEYS;
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .key = &key, .key_size = sizeof(key)};

    count_upstreams_ask(c, &options, served);
}

static void start(struct count *c)
{
    const struct weir_upstreams_options options = {
        .size = sizeof(options),
        .balance = is_by_key(c) ? WEIR_BALANCE_HASH : WEIR_BALANCE_ROUND_ROBIN,
        .seed = 1};

    count_upstreams_open(c, &options);
    for (uint32_t i = 0; i < upstreams_of(c); i++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.%u.%u", 2 + i / 250, 1 + i % 250);
        count_upstreams_add(host, is_by_key(c) ? 0 : 1, &listeners[i]);
    }
    ask_next(c);
}

static void end(struct count *c)
{
    count_require(c->done > 0, "none was served");
    weir_upstreams_free(count_upstreams);
}

const struct count_case count_keys_few = COUNT_UPSTREAMS("keys_few");
const struct count_case count_keys_many = COUNT_UPSTREAMS("keys_many");
const struct count_case count_places_few = COUNT_UPSTREAMS("places_few");
const struct count_case count_places_many = COUNT_UPSTREAMS("places_many");
