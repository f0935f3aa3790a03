/*
 * weir-load's account of datagrams: loss, late responses, duplicates and order,
 * by number alone.
 *
 * No socket is opened; times are numbers. A random test compares it with a
 * model.
 */
#include "tools/weir-load/measure/track.c"

#include "random.h"

#define DEPTH 4U

static struct track track;
static struct track_slot slots[DEPTH];
static struct track_counts counts;
static uint64_t sent_ns;

static void begin(void)
{
    track_init(&track, slots, DEPTH);
    memset(&counts, 0, sizeof(counts));
}

static void expect_counts(uint64_t late, uint64_t duplicate, uint64_t reordered)
{
    expect_eq(counts.late, late, "late");
    expect_eq(counts.duplicate, duplicate, "duplicate");
    expect_eq(counts.reordered, reordered, "reordered");
}

UNIT(load_track, an_answer_in_order_is_the_first_and_nothing_else)
{
    begin();

    for (uint64_t number = 1; number <= 100; number++) {
        uint32_t slot = track_send(&track, number * 10);
        expect_eq(slots[slot].number, number);
        expect_eq(track_receive(&track, slot, number, &counts, &sent_ns),
                  TRACK_FIRST);
        expect_eq(sent_ns, number * 10);
    }

    expect_counts(0, 0, 0);
}

UNIT(load_track, no_more_than_depth_are_under_way)
{
    begin();

    for (uint32_t i = 0; i < DEPTH; i++) {
        cr_assert(track_send(&track, i) < DEPTH);
    }

    expect_eq(track_send(&track, DEPTH), TRACK_NONE);
    expect_eq(track.next_number, DEPTH + 1, "a refusal took a number");
}

UNIT(load_track, a_second_answer_is_a_duplicate_before_and_after_reuse)
{
    begin();
    uint32_t slot = track_send(&track, 1);

    track_receive(&track, slot, 1, &counts, &sent_ns);
    expect_eq(track_receive(&track, slot, 1, &counts, &sent_ns),
              TRACK_DUPLICATE);
    expect_eq(track_send(&track, 2), slot);
    expect_eq(track_receive(&track, slot, 1, &counts, &sent_ns),
              TRACK_DUPLICATE);

    expect_counts(0, 2, 0);
    expect_eq(track_receive(&track, slot, 2, &counts, &sent_ns), TRACK_FIRST);
}

UNIT(load_track, an_answer_after_a_higher_one_is_reordered)
{
    begin();
    uint32_t first = track_send(&track, 1);
    uint32_t second = track_send(&track, 1);
    uint32_t third = track_send(&track, 1);

    track_receive(&track, third, 3, &counts, &sent_ns);
    track_receive(&track, first, 1, &counts, &sent_ns);
    track_receive(&track, second, 2, &counts, &sent_ns);

    expect_counts(0, 0, 2);
}

UNIT(load_track, the_oldest_is_lost_and_its_slot_is_free)
{
    begin();
    for (uint32_t i = 0; i < DEPTH; i++) {
        track_send(&track, 10 + i);
    }
    track_receive(&track, 0, 1, &counts, &sent_ns);

    expect_eq(track_oldest_ns(&track), 11);
    expect_eq(track_lose(&track), 2);
    expect_eq(track_oldest_ns(&track), 12);
    cr_assert(track_send(&track, 20) != TRACK_NONE);
    cr_assert(track_send(&track, 21) != TRACK_NONE);
    expect_eq(track_send(&track, 22), TRACK_NONE);
    expect_eq(track_oldest_ns(&track), 12);
}

UNIT(load_track, nothing_under_way_has_no_oldest)
{
    begin();

    expect_eq(track_oldest_ns(&track), UINT64_MAX);
    track_receive(&track, track_send(&track, 1), 1, &counts, &sent_ns);
    expect_eq(track_oldest_ns(&track), UINT64_MAX);
}

UNIT(load_track, an_answer_after_the_loss_is_late_once)
{
    begin();
    uint32_t slot = track_send(&track, 1);
    track_lose(&track);
    expect_eq(track_send(&track, 2), slot);

    expect_eq(track_receive(&track, slot, 1, &counts, &sent_ns), TRACK_LATE);
    expect_counts(1, 0, 0);
    expect_eq(track_receive(&track, slot, 1, &counts, &sent_ns),
              TRACK_DUPLICATE);
    expect_counts(1, 1, 0);
    expect_eq(track_receive(&track, slot, 2, &counts, &sent_ns), TRACK_FIRST);
}

UNIT(load_track, an_answer_to_nothing_is_strange)
{
    begin();
    uint32_t slot = track_send(&track, 1);

    expect_eq(track_receive(&track, slot, 0, &counts, &sent_ns), TRACK_STRANGE);
    expect_eq(track_receive(&track, slot, 2, &counts, &sent_ns), TRACK_STRANGE);
    expect_eq(track_receive(&track, slot + 1, 1, &counts, &sent_ns),
              TRACK_STRANGE);
    expect_eq(track_receive(&track, DEPTH, 1, &counts, &sent_ns),
              TRACK_STRANGE);
    expect_eq(track_receive(&track, UINT32_MAX, 1, &counts, &sent_ns),
              TRACK_STRANGE);
    expect_counts(0, 0, 0);
}

/* A datagram in the model; its index is its number. */
struct model_datagram {
    uint32_t slot;
    bool is_under_way;
    bool is_lost;
};

#define STEPS 5000U

static struct model_datagram model[STEPS + 1];

/* Returns the expected result for a response to a sent datagram. */
static enum track_answer model_receive(uint64_t number)
{
    struct model_datagram *datagram = &model[number];

    if (datagram->is_under_way) {
        datagram->is_under_way = false;
        return TRACK_FIRST;
    }
    bool is_late = datagram->is_lost;
    datagram->is_lost = false;
    return is_late ? TRACK_LATE : TRACK_DUPLICATE;
}

UNIT(load_track, random_answers_and_losses_agree_with_a_model)
{
    struct unit_random random = unit_random_new();
    uint64_t seen[TRACK_STRANGE] = {0};
    begin();
    uint64_t count = 0;

    for (uint32_t i = 0; i < STEPS; i++) {
        uint64_t choice = unit_random_below(&random, 8);
        uint32_t slot = choice < 3 ? track_send(&track, i) : TRACK_NONE;
        if (slot != TRACK_NONE) {
            model[++count] = (struct model_datagram){slot, true, false};
        } else if (choice == 3 && track_oldest_ns(&track) != UINT64_MAX) {
            uint64_t lost = track_lose(&track);
            for (uint64_t j = 1; j <= count; j++) {
                /* A slot remembers only its last loss. */
                model[j].is_lost &= model[j].slot != model[lost].slot;
            }
            cr_assert(model[lost].is_under_way);
            model[lost] = (struct model_datagram){model[lost].slot, false, 1};
        } else if (count > 0) {
            uint64_t back = unit_random_below(&random, 3 * DEPTH);
            uint64_t number = back < count ? count - back : 1;
            enum track_answer wanted = model_receive(number);
            expect_eq(track_receive(&track, model[number].slot, number, &counts,
                                    &sent_ns),
                      wanted, "step %u, number %llu", i,
                      (unsigned long long)number);
            seen[wanted]++;
        }
    }

    expect_eq(counts.late, seen[TRACK_LATE]);
    expect_eq(counts.duplicate, seen[TRACK_DUPLICATE]);
    cr_assert(seen[TRACK_FIRST] > 0 && counts.late > 0 && counts.duplicate > 0);
    cr_assert(counts.reordered > 0);
}
