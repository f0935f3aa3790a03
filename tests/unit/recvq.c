/*
 * The queue of received bytes, one feature at a time: what is copied, how long
 * a view stays valid, and what is moved out of the receive pool.
 *
 * recvq_model.c compares long sequences of calls with a model.
 */
#define UNIT_RUN with_queue

#include "tests/death.h"
#include "tests/unit/recvq_rig.h"

UNIT(recvq, bytes_in_one_piece_are_shown_where_they_are)
{
    expect_eq(push(100), 0);
    const uint8_t *data = wr_recvq_at(&queue, 0)->data;

    expect_eq(show(60), 0);

    expect_eq(view.data, data);
    expect_eq(queue.total, 40);
    expect_eq(show(40), 0);
    expect_eq(view.data, data + 60);
    expect_eq(copied, 0);
}

UNIT(recvq, the_lease_goes_with_the_last_byte_that_was_shown)
{
    expect_eq(push(10), 0);
    expect_eq(show(10), 0);
    expect_gt(account.held_bytes, 0);

    drop();

    expect_eq(account.held_bytes, 0);
    expect_eq(queue.count, 0);
}

UNIT(recvq, bytes_that_straddle_pieces_are_copied_once)
{
    expect_eq(push(5000), 0);
    expect_eq(push(5000), 0);
    consume(4990);

    expect_eq(show(30), 0);

    expect_eq(copied, 30);
    check();
    expect_eq(show(4980), 0);
    expect_eq(copied, 30, "the rest lies together where it came");
}

UNIT(recvq, joining_more_adds_to_what_was_joined_when_there_is_room)
{
    for (int i = 0; i < 40; i++) {
        expect_eq(push(1000), 0);
    }
    expect_eq(wr_recvq_join(&queue, 4000), 0);
    expect_eq(copied, 4000);

    expect_eq(wr_recvq_join(&queue, 6000), 0);

    expect_eq(copied, 6000);
    check();
}

UNIT(recvq, much_of_a_block_is_taken_without_a_copy_and_little_with_one)
{
    expect_eq(push(1000), 0);
    const uint8_t *data = wr_recvq_at(&queue, 0)->data;

    expect_eq(take(900), 0);
    expect_eq(take(1000), 0);

    expect_eq(taken[0].buf.data, data);
    expect_neq(taken[1].buf.data, data + 900);
    expect_eq(taken[1].buf.len, 100);
    expect_eq(queue.count, 0);
    expect_eq(account.lease_count, 2);
    give_back(0);
    expect_leq(account.held_bytes, 256, "a little costs as a little");
}

UNIT(recvq, a_taken_piece_stays_when_more_is_written_behind_it)
{
    expect_eq(push_copy(10), 0);
    expect_eq(take(4), 0);

    expect_eq(push_copy(100), 0);

    expect_eq(queue.count, 1, "it fits behind");
    check();
}

UNIT(recvq, small_pieces_are_packed_together)
{
    for (int i = 0; i < 1000; i++) {
        expect_eq(push(3), 0);
    }
    expect_eq(account.lease_count, 1000);

    cr_assert(wr_recvq_compact(&queue, false));

    expect_eq(account.lease_count, 0);
    expect_eq(queue.count, 1);
    expect_eq(queue.capacity, WR_RECVQ_INLINE);
    check();
}

UNIT(recvq, large_pieces_stay_unless_all_are_moved)
{
    expect_eq(push(WR_COMPACT_BELOW), 0);
    const uint8_t *data = wr_recvq_at(&queue, 0)->data;

    cr_assert(wr_recvq_compact(&queue, false));
    expect_eq(wr_recvq_at(&queue, 0)->data, data);
    cr_assert(wr_recvq_compact(&queue, true));

    expect_eq(account.held_bytes, 0);
    expect_neq(wr_recvq_at(&queue, 0)->data, data);
    check();
}

UNIT(recvq, bytes_in_a_view_are_not_moved_and_later_ones_are)
{
    expect_eq(push(100), 0);
    expect_eq(show(40), 0);
    const uint8_t *data = view.data;
    expect_eq(push(50), 0);

    cr_assert(wr_recvq_compact(&queue, true));

    expect_eq(wr_recvq_at(&queue, 0)->data, data + 40);
    expect_gt(account.held_bytes, 0);
    check();
    drop();
    cr_assert(wr_recvq_compact(&queue, true));
    expect_eq(account.held_bytes, 0);
    check();
}

UNIT(recvq, bytes_behind_a_view_of_all_are_moved)
{
    expect_eq(push(100), 0);
    expect_eq(show(100), 0);
    expect_eq(push(50), 0);

    cr_assert(wr_recvq_compact(&queue, true));

    expect_gt(account.held_bytes, 0);
    check();
    drop();
    expect_eq(account.held_bytes, 0);
}

UNIT(recvq, small_pieces_that_are_kept_are_left_alone)
{
    expect_eq(push(1000), 0);
    expect_eq(take(600), 0); /* keeps the whole lease */
    const uint8_t *data = wr_recvq_at(&queue, 0)->data;

    cr_assert(wr_recvq_compact(&queue, false));
    expect_eq(wr_recvq_at(&queue, 0)->data, data);
    give_back(0);
    cr_assert(wr_recvq_compact(&queue, false));

    expect_eq(account.held_bytes, 0);
    check();
}

UNIT(recvq, a_small_part_of_a_kept_lease_is_left_alone)
{
    expect_eq(push(9000), 0);
    expect_eq(take(9000), 0);
    wr_lease_ref(taken[0].buf.lease);
    weir_lease *part =
        wr_lease_slice(taken[0].buf.lease, taken[0].buf.data, 100);
    const struct weir_buf buf = {.data = part->data, .len = 100, .lease = part};
    expect_eq(wr_recvq_push(&queue, &buf), 0);
    wr_lease_unref(part);

    cr_assert(wr_recvq_compact(&queue, false));
    expect_eq(wr_recvq_at(&queue, 0)->data, taken[0].buf.data);
    give_back(0);
    cr_assert(wr_recvq_compact(&queue, false));

    expect_eq(account.held_bytes, 0);
}

/* A waiting reader must not wait for bytes that only it keeps. */
UNIT(recvq, moving_all_moves_kept_leases_too)
{
    expect_eq(push(9000), 0);
    expect_eq(take(40), 0);

    cr_assert(wr_recvq_compact(&queue, true));
    give_back(0);

    expect_eq(account.held_bytes, 0);
    check();
}

UNIT(recvq, a_large_block_with_little_left_is_given_back)
{
    expect_eq(push(60000), 0);
    cr_assert(wr_recvq_compact(&queue, true));
    consume(59990);
    expect_geq(blocks.used_bytes, 60000);

    cr_assert(wr_recvq_compact(&queue, false));

    expect_leq(blocks.used_bytes, 1024);
    check();
}

UNIT(recvq, moving_all_again_and_again_is_linear)
{
    for (int i = 0; i < 400; i++) {
        expect_eq(push(10000), 0);
        pool.copied_bytes -= 10000; /* the rig's own copy */
        cr_assert(wr_recvq_compact(&queue, true));
        expect_leq(blocks.used_bytes, 2 * arrived + 65536);
    }

    expect_eq(pool.copied_bytes, arrived, "each byte is moved once");
    expect_leq(queue.count, 16);
    check();
}

UNIT(recvq, blocks_between_others_have_no_room_to_spare)
{
    for (int i = 0; i < 50; i++) {
        expect_eq(push(50000), 0);
        expect_eq(push(100), 0);
        cr_assert(wr_recvq_compact(&queue, false)); /* moves the small one */
    }

    cr_assert(wr_recvq_compact(&queue, true));

    expect_leq(blocks.used_bytes, 2 * arrived + 65536);
    check();
}

UNIT(recvq, many_single_bytes_cost_about_their_bytes)
{
    for (int i = 0; i < 100000; i++) {
        expect_eq(push(1), 0);
        if (i % 10 == 9) { /* an iteration ends */
            cr_assert(wr_recvq_compact(&queue, false));
        }
    }

    expect_leq(blocks.used_bytes, 2 * 100000);
    expect_leq(allocator.live_bytes, 2 * 100000 + 65536);
    check();
}

/* The end of each iteration inspects all of them. */
UNIT(recvq, much_that_came_in_small_pieces_lies_in_few_blocks)
{
    for (int i = 0; i < 20000; i++) {
        expect_eq(i % 2 ? push(1000) : push_copy(1000), 0);
        cr_assert(wr_recvq_compact(&queue, false));
    }

    expect_leq(queue.count, 200);
    expect_leq(blocks.used_bytes, arrived + arrived / 8);
    check();
}

UNIT(recvq, a_rare_separator_does_not_make_each_search_look_at_everything)
{
    static const struct weir_separator both[] = {{"\0", 1}, {"\n", 1}};
    const size_t line = 40;
    const size_t lines = 400000;
    uint8_t *data = malloc(line * lines);
    memset(data, 'x', line * lines);
    for (size_t i = 1; i <= lines; i++) {
        data[i * line - 1] = '\n';
    }
    weir_lease *lease = wr_lease_copy(&pool, &account, data, line * lines);
    const struct weir_buf buf = {
        .data = lease->data, .len = line * lines, .lease = lease};
    expect_eq(wr_recvq_push(&queue, &buf), 0);
    wr_lease_unref(lease);

    /* A quadratic search would read 3 TB. */
    for (size_t i = 0; i < lines; i++) {
        struct wr_search search = {0};
        size_t begin;
        expect_eq(wr_recvq_find(&queue, both, 2, &search, &begin), line);
        wr_recvq_consume(&queue, line);
    }
    free(data);
}

UNIT_ABORTS(recvq, consuming_more_than_there_is_aborts, "len <= q->total")
{
    setup();
    expect_eq(push(5), 0);

    wr_recvq_consume(&queue, 6);
}

UNIT_ABORTS(recvq, reading_while_a_view_is_shown_aborts, "!q->is_shown")
{
    uint8_t byte;
    setup();
    expect_eq(push(5), 0);
    expect_eq(show(2), 0);

    wr_recvq_read(&queue, &byte, 1);
}
