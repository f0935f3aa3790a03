/*
 * The send queue, one feature at a time: packing, limits, when references and
 * leases are released, each failing allocation, and release callbacks that
 * write again.
 *
 * sendq_model.c tests combinations.
 */
#define UNIT_RUN with_queue
#include "tests/death.h"
#include "tests/pattern.h"
#include "tests/unit/sendq_rig.h"

static void with_queue(void (*body)(void))
{
    body();
    teardown();
}

UNIT(sendq, an_empty_queue_names_nothing_and_holds_no_memory)
{
    setup();

    check();
    expect_eq(check_gather(1, 1), 0);
    consume(0);
    expect_eq(allocator.calls, 0);
}

UNIT(sendq, small_copies_are_packed_into_one_vector)
{
    struct iovec iov[2];
    setup();

    for (size_t i = 0; i < FIRST_ROOM; i++) {
        expect_eq(copy(1), 0);
    }

    expect_eq(wr_sendq_gather(&queue, iov, 2, UINT64_MAX), 1);
    expect_eq(iov[0].iov_len, FIRST_ROOM);
    check();
    expect_eq(copy(1), 0);
    expect_eq(wr_sendq_gather(&queue, iov, 2, UINT64_MAX), 2);
    check();
}

UNIT(sendq, blocks_double_up_to_the_largest_and_stay_there)
{
    static struct iovec iov[VECTOR_MAX];
    setup();

    for (size_t i = 0; i < 10000; i++) {
        expect_eq(copy(100), 0);
    }

    const uint32_t count = wr_sendq_gather(&queue, iov, VECTOR_MAX, UINT64_MAX);
    for (uint32_t i = 0; i + 1 < count; i++) {
        const uint64_t doubled = (UINT64_C(4096) << i) - OVERHEAD;
        expect_eq(iov[i].iov_len, wr_min_u64(doubled, LARGE_ROOM));
    }
    check();
}

UNIT(sendq, a_copy_is_packed_behind_bytes_that_are_in_flight)
{
    struct iovec before[2];
    struct iovec after[2];
    setup();
    expect_eq(copy(100), 0);
    expect_eq(wr_sendq_gather(&queue, before, 2, UINT64_MAX), 1);

    expect_eq(copy(50), 0);

    expect_eq(wr_sendq_gather(&queue, after, 2, UINT64_MAX), 1);
    expect_eq(after[0].iov_base, before[0].iov_base, "in flight and moved");
    expect_eq(after[0].iov_len, 150);
    consume(100); /* the bytes in flight are sent */
    check();
}

UNIT(sendq, a_reference_is_released_with_its_last_byte_and_not_before)
{
    setup();
    expect_eq(ref(10), 0);
    expect_eq(ref(10), 0);

    consume(9);
    expect_eq(refs_out, 2);
    consume(1);
    expect_eq(refs_out, 1);
    consume(9);
    expect_eq(refs_out, 1);
    consume(1);

    expect_eq(refs_out, 0);
    check();
}

UNIT(sendq, a_single_reference_that_calls_nobody_is_consumed_at_once)
{
    static const uint8_t bytes[8];
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes,
                              .iov_len = sizeof(bytes)};
    setup();

    cr_assert_not(wr_sendq_starts_unreleased(&queue), "empty");
    expect_eq(wr_sendq_ref(&queue, &memory, &iov, NULL, NULL), 0);
    cr_assert(wr_sendq_starts_unreleased(&queue));
    cr_assert_not(wr_sendq_consume_ref(&queue, &memory, 7));
    cr_assert(wr_sendq_consume_ref(&queue, &memory, 8));
    cr_assert(wr_sendq_is_empty(&queue));
    expect_eq(queue.bytes, 0);

    expect_eq(wr_sendq_ref(&queue, &memory, &iov, NULL, NULL), 0);
    expect_eq(wr_sendq_ref(&queue, &memory, &iov, NULL, NULL), 0);
    cr_assert_not(wr_sendq_consume_ref(&queue, &memory, 8), "one of two");
    wr_sendq_consume(&queue, &memory, 16);

    expect_eq(ref(8), 0);
    cr_assert_not(wr_sendq_starts_unreleased(&queue), "has a release");
    consume(8);
    expect_eq(copy(8), 0);
    cr_assert_not(wr_sendq_starts_unreleased(&queue), "a copy");
    consume(8);
    check();
}

UNIT(sendq, a_lease_is_held_until_its_last_byte_is_taken)
{
    setup();
    expect_eq(lease(10), 0);
    expect_gt(account.held_bytes, 0);

    consume(9);
    expect_gt(account.held_bytes, 0);
    consume(1);

    expect_eq(account.held_bytes, 0);
}

/* If the short path fails, the long path is taken. */
static bool may_try_again(enum step step)
{
    return step == APPEND_1 || step == APPEND_FIRST_ROOM ||
           step == APPEND_FIRST_ROOM_AND_1;
}

/* Two steps, the second without memory. */
static void starve_once(void *arg)
{
    const enum step *steps = arg;
    setup();
    expect_eq(do_step(steps[0]), 0);
    const struct wr_sendq before = queue;
    const uint64_t used = blocks.used_bytes;
    walk_begin(&allocator);
    const int err = do_step(steps[1]);
    const bool failed = walk_end(&allocator);
    if (!failed || !may_try_again(steps[1])) {
        expect_eq(err, failed ? -ENOMEM : 0);
    }
    if (err < 0) {
        expect_eq(queue.head, before.head);
        expect_eq(queue.tail, before.tail);
        expect_eq(blocks.used_bytes, used, "a failure kept a block");
        check();
        expect_eq(do_step(steps[1]), 0, "no recovery");
    }
    check();
    teardown();
}

static void starve_step(enum step prelude, enum step step)
{
    walk_allocations(&allocator, starve_once, (enum step[]){prelude, step});
}

UNIT_IN(sendq, a_copy_without_memory_changes_nothing_wherever_it_fails,
        unit_alone, void)
{
    starve_step(TAKE_ALL, COPY_1);
    starve_step(TAKE_ALL, COPY_LARGE);
    starve_step(COPY_1, COPY_LARGE);
    starve_step(COPY_FIRST_ROOM, COPY_1);
    starve_step(REF_5, COPY_LARGE);
    starve_step(TAKE_ALL, APPEND_1);
    starve_step(TAKE_ALL, APPEND_FIRST_ROOM_AND_1);
    starve_step(COPY_FIRST_ROOM, APPEND_1);
    starve_step(REF_5, APPEND_1);
}

UNIT_IN(sendq, a_reference_without_memory_is_still_the_callers, unit_alone,
        void)
{
    starve_step(TAKE_ALL, REF_5);
}

UNIT(sendq, a_lease_without_memory_is_not_held)
{
    setup();
    allocator.fail_at = allocator.calls + 1;

    expect_eq(lease(7), -ENOMEM); /* inspects the references itself */

    cr_assert(wr_sendq_is_empty(&queue));
}

static int rewrites_left;
static uint8_t rewritten[64];

static void release_and_write(void *arg)
{
    const uint64_t *leaves_bytes = arg;
    const struct iovec iov = {.iov_base = rewritten,
                              .iov_len = sizeof(rewritten)};

    expect_leq(queue.bytes, *leaves_bytes, "released and still counted");
    if (rewrites_left == 0) {
        return;
    }
    rewrites_left--;
    pattern_fill(0, written, rewritten, sizeof(rewritten));
    written += sizeof(rewritten);
    expect_eq(wr_sendq_ref(&queue, &memory, &iov, release_and_write, arg), 0);
    expect_eq(copy(10), 0);
}

/* Makes a queue of @before copied bytes, a piece whose release callback writes,
 * and @after copied bytes. */
static void setup_rewriting(size_t before, size_t after, uint64_t *leaves)
{
    setup();
    if (before > 0) {
        expect_eq(copy(before), 0);
    }
    pattern_fill(0, written, rewritten, sizeof(rewritten));
    const struct iovec iov = {.iov_base = rewritten,
                              .iov_len = sizeof(rewritten)};
    expect_ok(wr_sendq_ref(&queue, &memory, &iov, release_and_write, leaves));
    written += sizeof(rewritten);
    if (after > 0) {
        expect_eq(copy(after), 0);
    }
}

UNIT_IN(sendq, a_release_that_writes_appends_behind_everything, unit_alone,
        void)
{
    static const size_t sizes[] = {0, 5, 5000};

    for (int i = 0; i < 9; i++) {
        uint64_t leaves = sizes[i / 3];
        setup_rewriting(sizes[i % 3], sizes[i / 3], &leaves);
        rewrites_left = 1;

        consume(sizes[i % 3] + sizeof(rewritten));

        expect_eq(rewrites_left, 0);
        leaves += sizeof(rewritten) + 10;
        check();
        consume(queue.bytes);
        check();
        teardown();
    }
}

UNIT(sendq, a_release_in_the_middle_of_what_was_taken_may_write)
{
    uint64_t leaves = 100;
    setup_rewriting(20, 200, &leaves);
    rewrites_left = 1;

    consume(20 + sizeof(rewritten) + 100);

    expect_eq(queue.bytes, 100 + sizeof(rewritten) + 10);
    check();
    leaves = UINT64_MAX;
}

UNIT(sendq, clearing_goes_on_until_releases_stop_writing)
{
    uint64_t leaves = UINT64_MAX;
    setup_rewriting(20, 200, &leaves);
    rewrites_left = 5;

    wr_sendq_clear(&queue, &memory);

    expect_eq(rewrites_left, 0);
    cr_assert(wr_sendq_is_empty(&queue));
}

UNIT_ABORTS(sendq, taking_more_than_there_is_aborts, "bytes <= q->bytes")
{
    setup();
    expect_eq(copy(5), 0);

    wr_sendq_consume(&queue, &memory, 6);
}

UNIT_ABORTS(sendq, an_empty_copy_aborts, "total > 0")
{
    setup();

    wr_ignore(wr_sendq_copy(&queue, &memory, NULL, 0, 0));
}

UNIT_ABORTS(sendq, an_empty_reference_aborts, "piece->iov_len > 0")
{
    const struct iovec iov = {.iov_base = &queue, .iov_len = 0};
    setup();

    wr_ignore(wr_sendq_ref(&queue, &memory, &iov, NULL, NULL));
}
