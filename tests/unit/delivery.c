/*
 * Deliveries without a connection: which bytes a protocol gets, whatever it
 * does.
 *
 * Protocols act when they are called (delivery_rig.h): every path through the
 * delivery is taken once, and then many at random.
 */
#define UNIT_RUN with_delivery
#include "tests/death.h"
#include "tests/unit/delivery_rig.h"

#include "tests/unit/random.h"

#include <weir/error.h>

static void with_delivery(void (*body)(void))
{
    body();
    teardown();
}

UNIT(delivery, bytes_go_to_the_protocol_at_once)
{
    setup(&stream_protocol);
    cr_assert(!arrive(100));
    expect_seen(100);
    expect_eq(account.held_bytes, 0);

    set_binding(&buffered_protocol);
    cr_assert(!arrive(100));

    expect_seen(200);
    expect_eq(loop.counts.copied_to_protocol, 100);
}

UNIT(delivery, bytes_are_held_while_the_protocol_has_paused)
{
    setup(&stream_protocol);
    on_data = ACT_PAUSE;
    cr_assert(!arrive(10));
    cr_assert(arrive(20));
    cr_assert(arrive(30));
    expect_seen(10);
    cr_assert(wr_delivery_has_held(&delivery));

    on_data = ACT_PAUSE; /* in the first of the held pieces */
    resume();
    expect_seen(30);
    cr_assert(wr_delivery_has_held(&delivery));
    resume();

    expect_seen(60);
    cr_assert(wr_delivery_is_free(&delivery));
}

UNIT(delivery, new_bytes_come_behind_held_ones)
{
    setup(&stream_protocol);
    wr_delivery_pause(&delivery);
    cr_assert(arrive(10));
    wr_delivery_resume(&delivery); /* the step has not run yet */

    cr_assert(arrive(10));
    expect_seen(0);
    resume();

    expect_seen(20);
}

UNIT(delivery, nothing_is_shown_once_it_is_shut)
{
    setup(&stream_protocol);
    wr_delivery_pause(&delivery);
    cr_assert(arrive(10));
    wr_delivery_shut(&delivery);

    expect_eq(account.lease_count, 0);
    cr_assert(!arrive(10));
    resume();
    expect_seen(0);
}

UNIT(delivery, a_close_in_held_bytes_shows_no_more_of_them)
{
    setup(&stream_protocol);
    wr_delivery_pause(&delivery);
    cr_assert(arrive(10));
    cr_assert(arrive(10));
    on_data = ACT_SHUT;

    resume();

    expect_seen(10);
    expect_eq(doom_count, 0);
}

UNIT(delivery, a_buffered_protocol_is_fed_by_the_size_of_its_memory)
{
    setup(&buffered_protocol);
    memory_size = 7;

    cr_assert(!arrive(100));

    expect_seen(100);
}

UNIT(delivery, a_pause_half_way_holds_the_rest)
{
    setup(&buffered_protocol);
    memory_size = 7;
    wr_delivery_pause(&delivery);
    cr_assert(arrive(20));
    cr_assert(arrive(20));
    on_data = ACT_PAUSE;

    resume();
    expect_seen(7);
    on_data = ACT_PAUSE;
    resume();
    expect_seen(14);
    resume();

    expect_seen(40);
}

UNIT(delivery, a_close_half_way_drops_the_rest)
{
    setup(&buffered_protocol);
    memory_size = 7;
    on_data = ACT_SHUT;

    cr_assert(!arrive(20));

    expect_seen(7);
    expect_eq(doom_count, 0);
}

UNIT(delivery, a_switch_half_way_shows_the_rest_to_the_other)
{
    setup(&buffered_protocol);
    memory_size = 7;
    on_data = ACT_SWITCH;

    cr_assert(!arrive(20));

    expect_seen(20);
    expect_eq(loop.counts.copied_to_protocol, 7);
}

UNIT_IN(delivery, memory_goes_back_when_get_buffer_itself_acts, unit_alone,
        void)
{
    static const struct {
        enum act what;
        size_t seen;
    } rows[] = {{ACT_PAUSE, 0}, {ACT_SHUT, 0}, {ACT_SWITCH, 20}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        setup(&buffered_protocol);
        on_get_buffer = rows[i].what;

        cr_assert(!arrive(20));

        expect_eq(given_back_count, 1);
        expect_seen(rows[i].seen);
        expect_eq(wr_delivery_has_held(&delivery), rows[i].what == ACT_PAUSE);
        teardown();
    }
}

UNIT(delivery, without_memory_for_the_rest_the_bytes_are_lost)
{
    setup(&buffered_protocol);
    memory_size = 1000;
    on_data = ACT_PAUSE_IN_NEED;

    cr_assert(!arrive(1020)); /* 20 are left: they are copied */

    expect_seen(1000);
    expect_eq(doom_count, 1);
    expect_eq(transport.error, -ENOMEM);
    cr_assert(!wr_delivery_has_held(&delivery));
}

UNIT(delivery, a_callback_that_fails_dooms_the_transport_once)
{
    setup(&stream_protocol);
    on_data = ACT_FAIL;
    cr_assert(!arrive(20));
    expect_eq(doom_count, 1);
    expect_eq(transport.error, -EPROTO);
    expect_eq(strcmp(transport.error_what, "data_received"), 0);
    teardown();

    setup(&buffered_protocol);
    on_get_buffer = ACT_FAIL;
    cr_assert(!arrive(20));
    expect_eq(doom_count, 1);
    expect_eq(strcmp(transport.error_what, "get_buffer"), 0);
    expect_seen(0);
    teardown();

    setup(&buffered_protocol);
    memory_size = 7;
    on_data = ACT_FAIL;
    cr_assert(!arrive(20));
    expect_eq(doom_count, 1);
    expect_eq(strcmp(transport.error_what, "buffer_updated"), 0);
    expect_seen(7);
}

UNIT(delivery, a_buffered_protocol_without_memory_fails)
{
    setup(&buffered_protocol);
    memory_size = 0;

    cr_assert(!arrive(20));
    is_lent = false; /* it lent nothing */

    expect_eq(transport.error, WEIR_ENOBUFFER);
    expect_eq(doom_count, 1);
}

UNIT(delivery, the_end_comes_after_the_last_byte)
{
    setup(&stream_protocol);
    wr_delivery_pause(&delivery);
    cr_assert(arrive(10));
    wr_delivery_end(&delivery);
    cr_assert(!wr_delivery_end_is_due(&delivery));
    wr_delivery_resume(&delivery);
    cr_assert(!wr_delivery_end_is_due(&delivery));
    resume();

    cr_assert(wr_delivery_end_is_due(&delivery));
    eof_answer = 1;
    expect_eq(wr_delivery_tell_end(&transport, &delivery), 1);

    expect_eq(eof_count, 1);
    cr_assert(!wr_delivery_end_is_due(&delivery));
}

UNIT(delivery, the_end_is_not_told_once_it_is_shut)
{
    setup(&stream_protocol);
    wr_delivery_end(&delivery);
    wr_delivery_shut(&delivery);

    cr_assert(!wr_delivery_end_is_due(&delivery));
    cr_assert(!wr_delivery_has_end(&delivery));
    expect_eq(eof_count, 0);
}

UNIT(delivery, an_eof_received_that_fails_dooms_the_transport)
{
    setup(&stream_protocol);
    wr_delivery_end(&delivery);
    on_eof = ACT_FAIL;

    expect_eq(wr_delivery_tell_end(&transport, &delivery), -EPROTO);

    expect_eq(doom_count, 1);
    expect_eq(strcmp(transport.error_what, "eof_received"), 0);
}

UNIT_ABORTS(delivery, the_end_is_not_told_before_held_bytes,
            "wr_delivery_end_is_due(d)")
{
    setup(&stream_protocol);
    wr_delivery_pause(&delivery);
    cr_assert(arrive(10));
    wr_delivery_resume(&delivery);
    wr_delivery_end(&delivery);
    wr_ignore(wr_delivery_tell_end(&transport, &delivery));
}

static int set_protocol(const struct weir_protocol *protocol,
                        const struct weir_buf *initial, size_t count)
{
    const struct weir_protocol_binding binding = {.protocol = protocol};

    return wr_delivery_set_protocol(&transport, &delivery, &binding, initial,
                                    count);
}

/* Makes two pieces of a lease over the first 20 bytes, with an empty one
 * between them. */
static weir_lease *make_initial(struct weir_buf *pieces)
{
    weir_lease *lease = wr_lease_copy(&pool, &account, row, 20);

    cr_assert_not_null(lease);
    pieces[0] =
        (struct weir_buf){.data = lease->data, .len = 5, .lease = lease};
    pieces[1] = (struct weir_buf){.data = NULL};
    pieces[2] =
        (struct weir_buf){.data = lease->data + 5, .len = 15, .lease = lease};
    return lease;
}

UNIT(delivery, given_bytes_come_before_held_ones)
{
    struct weir_buf pieces[3];

    setup(&stream_protocol);
    weir_lease *lease = make_initial(pieces);
    arrived_len = 20;
    wr_delivery_pause(&delivery);
    cr_assert(arrive(10));

    expect_eq(set_protocol(&buffered_protocol, pieces, 3), 0);
    wr_lease_unref(lease);
    wr_delivery_check_invariants(&delivery);
    expect_seen(0); /* no callback inside the call */
    resume();

    expect_seen(30);
    expect_eq(transport.binding.protocol, &buffered_protocol);
}

UNIT(delivery, bytes_without_a_lease_are_refused)
{
    const struct weir_buf bad = {.data = row, .len = 5};

    setup(&stream_protocol);
    expect_eq(set_protocol(&buffered_protocol, &bad, 1), -EINVAL);

    expect_eq(transport.binding.protocol, &stream_protocol);
    cr_assert(wr_delivery_is_free(&delivery));
}

static void switch_without(void *arg)
{
    struct weir_buf pieces[3];
    setup(&stream_protocol);
    weir_lease *lease = make_initial(pieces);
    const uint32_t lease_count = account.lease_count;
    walk_begin(&allocator);

    const int ret = set_protocol(&buffered_protocol, pieces, 3);

    if (walk_end(&allocator)) {
        expect_eq(ret, -ENOMEM);
        expect_eq(transport.binding.protocol, &stream_protocol);
        expect_eq(account.lease_count, lease_count);
        cr_assert(wr_delivery_is_free(&delivery));
    }
    wr_lease_unref(lease);
    teardown();
}

UNIT_IN(delivery, without_memory_the_protocol_stays, unit_alone, void)
{
    /* Allocations for the first piece and for the second. */
    expect_eq(walk_allocations(&allocator, switch_without, NULL), 2);
}

static enum act act_by_chance(struct unit_random *random)
{
    const uint64_t chance = unit_random_below(random, 12);

    return chance < 3 ? ACT_PAUSE : chance < 6 ? ACT_SWITCH : ACT_NONE;
}

UNIT_IN(delivery, every_byte_is_shown_once_and_in_order_whatever_happens,
        unit_alone, void)
{
    struct unit_random random;

    unit_random_seed(&random);
    for (int round = 0; round < 500; round++) {
        setup(&stream_protocol);
        while (arrived_len + 64 < sizeof(row)) {
            memory_size = 1 + unit_random_below(&random, 40);
            on_data = act_by_chance(&random);
            on_get_buffer = act_by_chance(&random);
            const bool was_stopped = !wr_delivery_is_free(&delivery);
            const bool is_held = arrive(1 + unit_random_below(&random, 63));
            expect_eq(is_held, was_stopped);
            if (unit_random_below(&random, 3) == 0) {
                resume();
            }
            expect_seen(seen_len);
        }
        on_data = on_get_buffer = ACT_NONE;
        wr_delivery_end(&delivery);
        while (!wr_delivery_is_free(&delivery)) {
            resume();
        }
        expect_seen(arrived_len);
        expect_eq(wr_delivery_tell_end(&transport, &delivery), 0);
        teardown();
    }
}
