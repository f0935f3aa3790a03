/*
 * The queue of requests: which requests it offers, and the depth of its trees;
 * and random steps compared with a model, a list that is searched from end to
 * end.
 *
 * A seed repeats the steps.
 */
#include "lib/proxy/upstream/queue.h"
#include "tests/unit/random.h"

enum { REQUESTS = 60, IDS = 4, STEPS = 20000, MANY = 4096, DEPTH_MAX = 60 };

static struct wr_request_queue queue;
static struct wr_queued all[REQUESTS];
static uint64_t last_ticket;

static void make(struct wr_queued *one, uint64_t ticket)
{
    memset(one, 0, sizeof(*one));
    wr_queued_init(one);
    one->ticket = ticket;
}

static void add(struct wr_queued *one, uint64_t ticket, uint64_t excluded)
{
    make(one, ticket);
    if (excluded > 0) {
        wr_exclusions_add(&one->excluded, excluded);
    }
    wr_request_queue_add(&queue, one);
}

static void start(void)
{
    wr_request_queue_init(&queue);
    memset(all, 0, sizeof(all));
    last_ticket = 0;
}

/* Expects the tickets that the queue offers, separated by blanks. */
static void expect_shown(const char *wanted)
{
    char text[256] = "";
    struct wr_queued *shown = NULL;
    while ((shown = wr_request_queue_next(&queue, shown))) {
        const size_t len = strlen(text);
        snprintf(text + len, sizeof(text) - len, "%llu ",
                 (unsigned long long)shown->ticket);
    }
    expect_str_eq(text, wanted);
}

static void empty(void)
{
    struct wr_queued *shown;
    while ((shown = wr_request_queue_next(&queue, NULL))) {
        wr_request_queue_remove(shown);
    }
    expect_eq(queue.count, 0);
}

UNIT(upstream_queue, sets_of_upstreams_with_one_sum_are_of_different_kinds)
{
    start();
    for (uint64_t i = 0; i < 3; i++) {
        make(&all[i], i + 1);
        wr_exclusions_add(&all[i].excluded, 1 + i % 2);
        wr_exclusions_add(&all[i].excluded, 9);
        wr_exclusions_drop_last(&all[i].excluded);
        wr_exclusions_add(&all[i].excluded, 4 - i % 2);
        wr_request_queue_add(&queue, &all[i]);
    }
    expect_shown("1 2 ");
    empty();
}

UNIT(upstream_queue, one_that_comes_now_is_behind_its_kind_alone)
{
    start();
    add(&all[0], 4, 0);
    make(&all[1], 0);
    expect_eq(wr_request_queue_has_older(&queue, &all[1]), true);
    all[1].ticket = 3;
    expect_eq(wr_request_queue_has_older(&queue, &all[1]), false);
    all[1].ticket = 9;
    wr_exclusions_add(&all[1].excluded, 2);
    expect_eq(wr_request_queue_has_older(&queue, &all[1]), false);
    empty();
}

static struct wr_queued many[MANY];

/* Adds requests with these tickets. Returns the depth of the deepest. */
static int add_many(uint64_t (*ticket_of)(uint64_t index))
{
    int deepest = 0;
    start();
    for (uint64_t i = 0; i < MANY; i++) {
        add(&many[i], 1 + ticket_of(i), 0);
    }
    for (size_t i = 0; i < MANY; i++) {
        int depth = 0;
        for (struct wr_queued *at = &many[i]; at; at = at->above) {
            depth++;
        }
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

static uint64_t upwards(uint64_t index)
{
    return index;
}

static uint64_t downwards(uint64_t index)
{
    return MANY - 1 - index;
}

static uint64_t mixed(uint64_t index)
{
    return index * 1237 % MANY;
}

UNIT(upstream_queue, none_is_deep_below_the_top_in_whatever_order_they_come)
{
    uint64_t (*const orders[])(uint64_t) = {upwards, downwards, mixed};
    for (size_t i = 0; i < 3; i++) {
        expect_leq(add_many(orders[i]), DEPTH_MAX);
        for (uint64_t ticket = 1; ticket <= MANY; ticket++) {
            struct wr_queued *shown = wr_request_queue_next(&queue, NULL);
            expect_eq(shown->ticket, ticket);
            wr_request_queue_remove(shown);
        }
        expect_eq(queue.count, 0);
    }
}

/* Returns the upstreams that a request excludes as bits, and a bit for
 * unchecked ones. */
static unsigned get_kind(const struct wr_queued *one)
{
    unsigned bits = one->excluded.with_unchecked;
    for (size_t i = 0; i < one->excluded.count; i++) {
        bits |= 1u << one->excluded.ids[i];
    }
    return bits;
}

/* Returns the oldest waiting request of its kind, among those with a ticket
 * above this one. */
static struct wr_queued *find_shown(uint64_t ticket)
{
    struct wr_queued *found = NULL;
    for (size_t i = 0; i < REQUESTS; i++) {
        struct wr_queued *one = &all[i];
        bool is_oldest = one->queue && one->ticket > ticket &&
                         (!found || one->ticket < found->ticket);
        for (size_t j = 0; j < REQUESTS && is_oldest; j++) {
            is_oldest = !all[j].queue || all[j].ticket >= one->ticket ||
                        get_kind(&all[j]) != get_kind(one);
        }
        found = is_oldest ? one : found;
    }
    return found;
}

static void expect_as_the_model(void)
{
    struct wr_queued *shown = NULL;
    uint64_t ticket = 0;
    do {
        shown = wr_request_queue_next(&queue, shown);
        expect_eq(shown == find_shown(ticket), true);
        ticket = shown ? shown->ticket : 0;
    } while (shown);
}

static void add_random(struct unit_random *random, struct wr_queued *one)
{
    const bool is_new = one->ticket == 0 || unit_random_below(random, 3) > 0;
    const uint64_t ticket = is_new ? ++last_ticket : one->ticket;
    make(one, ticket);
    one->excluded.with_unchecked = unit_random_below(random, 8) == 0;
    const uint64_t count = unit_random_below(random, 4);
    for (uint64_t i = 0; i < count; i++) {
        wr_exclusions_add(&one->excluded, 1 + unit_random_below(random, IDS));
    }
    wr_request_queue_add(&queue, one);
}

UNIT(upstream_queue, random_steps_are_as_the_model)
{
    struct unit_random random = unit_random_new();
    uint32_t count = 0;
    start();
    for (int step = 0; step < STEPS; step++) {
        struct wr_queued *one = &all[unit_random_below(&random, REQUESTS)];
        struct wr_queued *first = wr_request_queue_next(&queue, NULL);
        if (unit_random_below(&random, 4) == 0 && first) {
            one = first;
        }
        if (one->queue) {
            wr_request_queue_remove(one);
            count--;
        } else {
            add_random(&random, one);
            count++;
        }
        expect_eq(queue.count, count);
        if (step % 32 == 0) {
            expect_as_the_model();
        }
    }
    empty();
}
