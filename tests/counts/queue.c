/*
 * Counted: a connection to an upstream with a free slot, and to an upstream for
 * whose slot other requests wait.
 *
 * An upstream takes one connection at a time. When it ends, the oldest waiting
 * request gets the slot, and a new request joins the end of the queue. One of
 * the last waiting requests excludes this upstream, and so never gets a slot.
 * The cost of a connection must not depend on how many requests wait, nor on
 * how many different upstreams they exclude.
 */
#include "tests/counts/upstreams.h"

#include <errno.h>
#include <stdio.h>

#define FEW    10u
#define MANY   3000u
#define OTHERS 40u

static weir_upstream *used;
static struct fake_listener *listener; /* of `used` */
static weir_upstream *others[OTHERS];
static struct fake_listener *other_listeners[OTHERS];
static weir_upstream_slot *kept[OTHERS]; /* their slots */
static uint32_t kept_count;
static uint32_t asked_count;

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
    if (result->upstream != used) {
        kept[kept_count++] = result->slot;
        return;
    }
    c->done++;
    count_upstreams_end(result);
    ask_next(c);
}

static void ask(struct count *c, weir_upstream *const *excluded, size_t count)
{
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options), .excluded = excluded, .excluded_count = count};

    count_upstreams_ask(c, &options, served);
}

/* Makes the next request for the slot. In the case of many kinds it excludes
 * two other upstreams, not the same as most waiting requests. */
static void ask_next(struct count *c)
{
    const uint32_t number = asked_count++;
    weir_upstream *const excluded[] = {
        others[number % OTHERS],
        others[(number + 1 + number / OTHERS % (OTHERS / 2)) % OTHERS]};

    ask(c, excluded, c->what == &count_queue_kinds ? 2 : 0);
}

static uint32_t count_waiting(const struct count *c)
{
    return c->what == &count_queue_none  ? 0
           : c->what == &count_queue_few ? FEW
                                         : MANY;
}

/* Upstreams that most waiting requests exclude; each has a connection. */
static void take_others(struct count *c)
{
    for (uint32_t i = 0; i < OTHERS; i++) {
        char host[32];
        snprintf(host, sizeof(host), "192.0.2.%u", i + 2);
        others[i] = count_upstreams_add(host, 1, &other_listeners[i]);
        ask(c, &used, 1);
    }
}

static void start(struct count *c)
{
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .seed = 1,
                                                   .queue_limit = 2 * MANY,
                                                   .queue_timeout_ns =
                                                       UINT64_MAX};

    count_upstreams_open(c, &options);
    used = count_upstreams_add("192.0.2.1", 1, &listener);
    if (count_waiting(c) == 0) {
        ask_next(c);
        return;
    }
    take_others(c);
    for (uint32_t i = 0; i < count_waiting(c); i++) {
        ask_next(c);
    }
    ask(c, &used, 1);
}

static void end(struct count *c)
{
    struct weir_upstreams_statistics info = {.size = sizeof(info)};

    count_require(weir_upstreams_get_statistics(count_upstreams, &info) == 0,
                  "no facts");
    count_require(info.queued_count + 2 >= count_waiting(c),
                  "too few have waited");
    count_require(kept_count == (count_waiting(c) > 0 ? OTHERS : 0),
                  "another place was free");
    while (kept_count > 0) {
        weir_upstream_slot_release(kept[--kept_count], 0);
    }
    weir_upstreams_free(count_upstreams);
}

const struct count_case count_queue_none = COUNT_UPSTREAMS("queue_none");
const struct count_case count_queue_few = COUNT_UPSTREAMS("queue_few");
const struct count_case count_queue_many = COUNT_UPSTREAMS("queue_many");
const struct count_case count_queue_kinds = COUNT_UPSTREAMS("queue_kinds");
