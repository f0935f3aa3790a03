/*
 * The send queue compared with its model (sendq_rig.h): all sequences of four
 * calls, every cut of a queue of all kinds, and long random sequences.
 *
 * sendq.c tests one feature at a time.
 */
#include "tests/unit/random.h"
#include "tests/unit/sendq_rig.h"

/* In a guard build each buffer takes two system calls. */
#ifdef WR_GUARD
enum { CALLS = 3 };
#else
enum { CALLS = 4 };
#endif

UNIT(sendq, every_sequence_of_few_calls_keeps_the_stream)
{
    uint32_t sequences = 1;

    for (int j = 0; j < CALLS; j++) {
        sequences *= STEPS;
    }
    for (uint32_t i = 0; i < sequences; i++) {
        uint32_t rest = i;
        setup();
        for (int j = 0; j < CALLS; j++) {
            expect_eq(do_step((enum step)(rest % STEPS)), 0);
            rest /= STEPS;
        }
        check();
        teardown();
    }
}

UNIT(sendq, every_cut_of_a_mixed_queue_leaves_the_rest)
{
    for (uint64_t cut = 0; cut <= 120; cut++) {
        setup();
        expect_eq(copy(20), 0);
        expect_eq(ref(20), 0);
        expect_eq(copy(10), 0);
        expect_eq(append_one(10), 0);
        expect_eq(lease(20), 0);
        expect_eq(ref(20), 0);
        expect_eq(copy(20), 0);

        consume(cut);
        check();
        expect_eq(copy(33), 0);
        check();
        consume(queue.bytes);

        check();
        teardown();
    }
}

static uint64_t random_size(struct unit_random *random)
{
    static const uint64_t bounds[] = {4, 64, 1500, 9000, 200000};
    return 1 + unit_random_below(random, bounds[unit_random_below(random, 5)]);
}

static void random_call(struct unit_random *random)
{
    const uint64_t size = random_size(random);

    switch (unit_random_below(random, queue.bytes > 1u << 20 ? 8 : 5)) {
    case 0:
        expect_eq(copy(size), 0);
        break;
    case 1:
        expect_eq(append_one(size), 0);
        break;
    case 2:
        expect_eq(ref(size), 0);
        break;
    case 3:
        expect_eq(lease(size), 0);
        break;
    default: /* a short send of some of it */
        take(unit_random_below(
            random, 1 + check_gather(1 + (uint32_t)(size % 64), 300000)));
        break;
    }
}

UNIT(sendq, long_random_sequences_keep_the_stream)
{
    struct unit_random random = unit_random_new();

    for (int round = 0; round < 20; round++) {
        setup();
        for (int i = 0; i < 400; i++) {
            random_call(&random);
            expect_eq(queue.bytes, written - taken);
        }
        check();
        consume(queue.bytes);
        check();
        teardown();
    }
}
