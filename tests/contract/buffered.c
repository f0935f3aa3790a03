/*
 * Buffered protocols: rule R10, and who owns the memory when.
 *
 * Without release_buffer bytes are copied to the protocol's memory at
 * completion; with it the kernel receives into that memory, which is the
 * protocol's again by buffer_updated or by the release, exactly one of them.
 */
#include "tests/contract/buffered_rig.h"

static struct weir_protocol protocol;

static void begin(struct rig *rig)
{
    reset_buffered(rig, sizeof(buffered.memory));
}

static void begin_small(struct rig *rig)
{
    reset_buffered(rig, 7);
}

static void begin_paused(struct rig *rig)
{
    begin(rig);
    expect_eq(weir_transport_pause_reading(rig->t), 0);
}

static struct rig make_rig(bool promises)
{
    protocol = make_buffered(promises);
    return (struct rig){.hooks = {.connection_made = begin},
                        .protocol = &protocol};
}

UNIT(buffered, bytes_are_copied_into_the_memory_offered)
{
    struct rig rig = make_rig(false);
    while (rig_next(&rig)) {
        rig_receive(&rig, 500000);

        expect_eq(rig_statistics(&rig).copied_to_protocol, 500000);
        expect(buffered.hint_max > 0);
        expect_eq(buffered.get_count, buffered.updated_count);
    }
}

UNIT(buffered, little_memory_is_offered_as_often_as_needed)
{
    struct rig rig = make_rig(false);
    rig.hooks.connection_made = begin_small;
    while (rig_next(&rig)) {
        rig_receive(&rig, 1000);

        expect(buffered.updated_count >= 143);
        expect_eq(rig.received, 1000);
    }
}

UNIT(buffered, bytes_are_received_in_place_under_the_promise)
{
    struct rig rig = make_rig(true);
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        expect_eq(buffered.get_count, 1);
        expect_eq(buffered.hint_max, 0);
        rig_receive(&rig, 500000);

        expect_eq(rig_statistics(&rig).copied_to_protocol, 0);
        expect_eq(rig_statistics(&rig).received_bytes, 500000);
        weir_transport_close(rig.t);
        rig_wait_lost(&rig);
        expect_eq(buffered.released_count, 1);
        expect_eq(buffered.get_count, buffered.updated_count + 1);
    }
}

UNIT(buffered, r10__get_buffer_may_be_followed_by_eof_received)
{
    struct rig rig = make_rig(true);
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        expect(buffered.out);
        rig_peer_shutdown(&rig);
        rig_wait_lost(&rig);

        expect_events(&rig, "made eof lost");
        expect_eq(buffered.updated_count, 0);
        expect_eq(buffered.released_count, 1);
    }
}

UNIT(buffered, the_promised_memory_comes_back_after_an_abort)
{
    struct rig rig = make_rig(true);
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        expect_eq(weir_transport_abort(rig.t), 0);
        expect_eq(buffered.released_count, 0); /* the kernel still has it */
        rig_wait_lost(&rig);
        rig_turns(&rig, 3);

        expect_eq(buffered.released_count, 1);
    }
}

UNIT(buffered, the_promised_memory_comes_back_when_the_loop_is_freed)
{
    struct rig rig = make_rig(true);
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        weir_transport_unref(rig.t);
        if (rig.server) {
            weir_server_free(rig.server);
        }
        expect_eq(weir_loop_free(rig.loop), 1);
        rig.loop = NULL;

        expect_eq(buffered.released_count, 1);
    }
}

UNIT(buffered, the_promised_memory_comes_back_after_a_reset)
{
    struct rig rig = make_rig(true);
    while (rig_next_that(&rig, RIG_CAN_RESET | RIG_IS_PLAIN)) {
        rig_peer_reset(&rig);
        rig_expect_lost(&rig, -ECONNRESET);
        expect_eq(buffered.released_count, 1);
    }
}

static void reset_while_paused(bool promises)
{
    struct rig rig = make_rig(promises);
    while (rig_next_that(&rig, RIG_CAN_BREAK)) {
        expect_eq(weir_transport_pause_reading(rig.t), 0);
        rig_peer_send(&rig, 100);
        RUN_UNTIL(rig.loop, rig_statistics(&rig).received_bytes >= 100);
        rig_peer_reset(&rig);
        RUN_UNTIL(rig.loop, weir_transport_get_error(rig.t) < 0);
        rig_turns(&rig, 3);
        expect_eq(rig.lost_count, 0);

        expect_eq(weir_transport_resume_reading(rig.t), 0);
        rig_wait_lost(&rig);

        expect_events(&rig, "made data lost");
        expect_eq(rig.received, 100);
        expect_eq(rig.lost_err, -ECONNRESET);
        expect(!buffered.out);
    }
}

UNIT(buffered, bytes_kept_before_a_reset_are_told_before_it)
{
    reset_while_paused(false);
}

UNIT(buffered, bytes_kept_in_place_before_a_reset_are_told_before_it)
{
    reset_while_paused(true);
}

static void pause_and_resume(bool promises)
{
    struct rig rig = make_rig(promises);
    while (rig_next(&rig)) {
        expect_eq(weir_transport_pause_reading(rig.t), 0);
        rig_peer_send(&rig, 60000);
        rig_turn_for(&rig, 10 * RIG_MS);
        expect_eq(rig.received, 0);

        expect_eq(weir_transport_resume_reading(rig.t), 0);
        expect_eq(rig.received, 0);
        rig_wait_received(&rig, 60000);
    }
}

UNIT(buffered, bytes_that_come_while_paused_are_told_after_resume)
{
    pause_and_resume(false);
}

UNIT(buffered, bytes_in_place_that_come_while_paused_are_told_after_resume)
{
    pause_and_resume(true);
}

UNIT(buffered, no_memory_is_asked_for_while_paused)
{
    struct rig rig = make_rig(true);
    rig.hooks.connection_made = begin_paused;
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 1000);
        rig_turn_for(&rig, 5 * RIG_MS);
        expect_eq(buffered.get_count, 0);

        expect_eq(weir_transport_resume_reading(rig.t), 0);
        rig_wait_received(&rig, 1000);
    }
}

static int pause_it(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    return 0;
}

static void pause_inside(bool promises)
{
    struct rig rig = make_rig(promises);
    rig.hooks.connection_made = begin_small;
    rig.hooks.data_received = pause_it;
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 700);
        rig_wait_received(&rig, 1);
        while (rig.received < 700) {
            const uint64_t before = rig.received;
            rig_turns(&rig, 3);
            expect_eq(rig.received, before);
            expect_eq(weir_transport_resume_reading(rig.t), 0);
            rig_wait_received(&rig, before + 1);
            expect(rig.received <= before + 7);
        }
    }
}

UNIT(buffered, pausing_inside_buffer_updated_stops_the_next)
{
    pause_inside(false);
}

UNIT(buffered, pausing_inside_buffer_updated_in_place_stops_the_next)
{
    pause_inside(true);
}

static int close_it(struct rig *rig, const struct weir_buf *buf)
{
    expect_eq(weir_transport_close(rig->t), 0);
    return 0;
}

UNIT(buffered, closing_inside_buffer_updated_ends_the_data)
{
    struct rig rig = make_rig(false);
    rig.hooks.connection_made = begin_small;
    rig.hooks.data_received = close_it;
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 700);
        rig_wait_lost(&rig);

        expect_eq(buffered.updated_count, 1);
        expect_events(&rig, "made data lost");
    }
}

/* A get_buffer that closes or pauses, and offers memory all the same. */

static int get_and_close(void *user, weir_transport *t, size_t hint,
                         void **ret_buf, size_t *ret_size)
{
    expect_eq(weir_transport_close(t), 0);
    return buffered_get(user, t, hint, ret_buf, ret_size);
}

static int get_and_pause(void *user, weir_transport *t, size_t hint,
                         void **ret_buf, size_t *ret_size)
{
    expect_eq(weir_transport_pause_reading(t), 0);
    return buffered_get(user, t, hint, ret_buf, ret_size);
}

UNIT(buffered, a_get_buffer_that_closes_gets_its_memory_back)
{
    struct rig rig = make_rig(true);
    protocol.get_buffer = get_and_close;
    while (rig_next(&rig)) {
        if (!rig_can(&rig, RIG_IS_PLAIN)) { /* else it asks at once */
            rig_peer_send(&rig, 100);
        }
        rig_wait_lost(&rig);

        expect_eq(buffered.get_count, 1);
        expect_eq(buffered.released_count, 1);
        expect_events(&rig, "made lost");
    }
}

UNIT(buffered, a_get_buffer_that_pauses_gets_its_memory_back)
{
    struct rig rig = make_rig(true);
    protocol.get_buffer = get_and_pause;
    while (rig_next(&rig)) {
        rig_peer_send(&rig, 100);
        RUN_UNTIL(rig.loop, buffered.get_count > 0);
        rig_turn_for(&rig, 5 * RIG_MS);

        expect_eq(buffered.get_count, 1);
        expect_eq(buffered.released_count, 1);
        expect_eq(rig.received, 0);
    }
}

UNIT(buffered, reads_and_writes_mix_in_large_amounts)
{
    struct rig rig = make_rig(true);
    while (rig_next(&rig)) {
        for (int i = 0; i < 20; i++) {
            expect_eq(rig_write(&rig, 100000), 0);
            rig_peer_send(&rig, 100000);
            rig_peer_read(&rig, 100000);
        }
        rig_wait_received(&rig, 2000000);
    }
}
