/*
 * The queue of received bytes compared with its model (recvq_rig.h): long
 * random sequences of calls, with and without memory, and searches compared
 * with one that checks every position.
 *
 * recvq.c tests one feature at a time.
 */
#include "tests/unit/random.h"
#include "tests/unit/recvq_rig.h"

static uint64_t random_size(struct unit_random *random)
{
    static const uint64_t bounds[] = {2, 40, 1500, 9000, 100000};
    return 1 + unit_random_below(random, bounds[unit_random_below(random, 5)]);
}

static size_t random_part(struct unit_random *random)
{
    return wr_min_u64(random_size(random), queue.total);
}

/* Without memory a call may fail; then it must have changed nothing. */
static void allow(int err, bool may_fail)
{
    cr_assert(err == 0 || (may_fail && err == -ENOMEM), "%d", err);
}

static void random_consumption(struct unit_random *random, bool may_fail)
{
    if (queue.total == 0) {
        return;
    }
    switch (unit_random_below(random, 5)) {
    case 0:
        read_out(random_part(random));
        break;
    case 1:
        consume(random_part(random));
        break;
    case 2:
        if (taken_count < TAKEN_MAX) {
            allow(take(random_part(random)), may_fail);
        }
        break;
    default:
        allow(show(random_part(random)), may_fail);
        break;
    }
}

static void random_call(struct unit_random *random, bool may_fail)
{
    const bool full = queue.total > 1u << 20;

    switch (unit_random_below(random, full ? 5 : 9)) {
    case 0:
        if (taken_count > 0) {
            give_back((int)unit_random_below(random, (uint64_t)taken_count));
        }
        break;
    case 1:
        cr_assert(wr_recvq_compact(&queue, unit_random_below(random, 2)) ||
                  may_fail);
        break;
    case 2:
    case 3:
    case 4:
        random_consumption(random, may_fail);
        break;
    case 5:
        allow(push_copy(random_size(random)), may_fail);
        break;
    default:
        allow(push(random_size(random)), may_fail);
        break;
    }
}

UNIT(recvq, long_random_sequences_keep_the_stream)
{
    struct unit_random random = unit_random_new();

    for (int round = 0; round < 30; round++) {
        setup();
        for (int i = 0; i < 300; i++) {
            random_call(&random, false);
            check();
        }
        teardown();
    }
}

UNIT(recvq, a_call_that_finds_no_memory_changes_nothing)
{
    struct unit_random random = unit_random_new();

    for (int round = 0; round < 200; round++) {
        setup();
        blocks.keeps_none = true; /* each block is an allocation */
        for (int i = 0; i < 60; i++) {
            allocator.fail_at =
                allocator.calls + 1 + unit_random_below(&random, 4);
            random_call(&random, true);
            check();
        }
        teardown();
    }
}

#define TEXT_MAX 6000u

static uint8_t text[TEXT_MAX];

/* Returns the match in the first @len bytes that ends first; if several do, the
 * shortest. */
static size_t model_find(size_t len, const struct weir_separator *separators,
                         size_t count, size_t *ret_begin)
{
    for (size_t end = 1; end <= len; end++) {
        size_t best = 0;
        for (size_t i = 0; i < count; i++) {
            const size_t size = separators[i].len;
            if (size <= end && (best == 0 || size < best) &&
                memcmp(text + end - size, separators[i].data, size) == 0) {
                best = size;
            }
        }
        if (best > 0) {
            *ret_begin = end - best;
            return end;
        }
    }
    return 0;
}

static void push_text(size_t from, size_t len)
{
    weir_lease *lease = wr_lease_copy(&pool, &account, text + from, len);
    const struct weir_buf buf = {
        .data = lease->data, .len = len, .lease = lease};
    expect_eq(wr_recvq_push(&queue, &buf), 0);
    wr_lease_unref(lease);
}

struct search_case {
    uint8_t letters; /* in the text */
    size_t text_len;
    size_t chunk_max;
    size_t separator_max; /* longest */
    size_t count;
};

static void random_text(struct unit_random *random,
                        const struct search_case *given)
{
    for (size_t i = 0; i < given->text_len; i++) {
        text[i] = (uint8_t)('a' + unit_random_below(random, given->letters));
    }
}

/* Feeds the text piece by piece and searches after each. */
static void search_pieces(struct unit_random *random,
                          const struct search_case *given,
                          const struct weir_separator *separators)
{
    struct wr_search search = {0};
    size_t longest = 0;
    size_t fed = 0;

    for (size_t i = 0; i < given->count; i++) {
        longest = wr_max_u64(longest, separators[i].len);
    }
    while (fed < given->text_len) {
        const size_t len =
            wr_min_u64(1 + unit_random_below(random, given->chunk_max),
                       given->text_len - fed);
        size_t begin = 0;
        size_t model_begin = 0;
        push_text(fed, len);
        fed += len;
        const size_t end =
            wr_recvq_find(&queue, separators, given->count, &search, &begin);
        expect_eq(end, model_find(fed, separators, given->count, &model_begin));
        if (end > 0) {
            expect_eq(begin, model_begin);
            return;
        }
        expect_eq(search.offset, fed + 1 > longest ? fed + 1 - longest : 0);
    }
}

static void search_once(struct unit_random *random,
                        const struct search_case *given)
{
    static uint8_t bytes[16][1024];
    struct weir_separator separators[16];

    random_text(random, given);
    for (size_t i = 0; i < given->count; i++) {
        const size_t len = 1 + unit_random_below(random, given->separator_max);
        for (size_t j = 0; j < len; j++) {
            bytes[i][j] =
                (uint8_t)('a' + unit_random_below(random, given->letters));
        }
        if (len > 16 && len <= given->text_len) { /* it should be found */
            memcpy(bytes[i],
                   text + unit_random_below(random, given->text_len - len + 1),
                   len);
        }
        separators[i] = (struct weir_separator){.data = bytes[i], .len = len};
    }
    setup();
    search_pieces(random, given, separators);
    teardown();
}

UNIT(recvq, finds_what_a_search_at_every_place_finds)
{
    struct unit_random random = unit_random_new();

    for (int round = 0; round < 4000; round++) {
        const struct search_case given = {
            .letters = (uint8_t)(1 + unit_random_below(&random, 5)),
            .text_len = 1 + unit_random_below(&random, 120),
            .chunk_max = 1 + unit_random_below(&random, 40),
            .separator_max = 1 + unit_random_below(&random, 8),
            .count = 1 + unit_random_below(&random, 4),
        };
        search_once(&random, &given);
    }
}

UNIT(recvq, finds_long_separators_across_many_pieces)
{
    struct unit_random random = unit_random_new();

    for (int round = 0; round < 150; round++) {
        const struct search_case given = {
            .letters = (uint8_t)(2 + unit_random_below(&random, 25)),
            .text_len = 2000 + unit_random_below(&random, TEXT_MAX - 2000),
            .chunk_max = 1 + unit_random_below(&random, 2000),
            .separator_max = 1024,
            .count = 1 + unit_random_below(&random, 16),
        };
        search_once(&random, &given);
    }
}
