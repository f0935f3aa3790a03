/*
 * Budgets: what peers can make grow, and what they cannot.
 *
 * Many connections have peers that send as much as the sockets accept, and
 * protocols that read nothing or keep everything. The pool stays within the
 * loop's limit, nothing is dropped, and a well-behaved connection is served all
 * the time.
 */
#include "tests/contract/crowd.h"

static void flood_a_protocol(enum conduct conduct, bool is_tcp)
{
    crowd_begin(0);
    struct crowd_member *const served = crowd_add(is_tcp, CONDUCT_ECHOES);
    crowd_add(is_tcp, conduct);
    crowd_wait_made();
    crowd_expect_served(served);
    const uint64_t memory = crowd_statistics().memory_bytes;

    crowd_flood(1, 1, served);

    const struct weir_loop_statistics stats = crowd_statistics();
    expect(weir_transport_get_read_buffer_size(crowd.members[1].t) <= 1u << 20);
    expect(stats.memory_bytes <= memory + (1u << 20) + POSTED_BYTES);
    crowd.members[1].conduct = CONDUCT_READS;
    weir_transport_resume_reading(crowd.members[1].t);
    RUN_UNTIL(crowd.loop, crowd_all_delivered());
    crowd_turn();
    expect_eq(crowd_statistics().held_bytes, 0);
    crowd_end();
}

UNIT(budgets, a_flood_against_a_tcp_protocol_that_never_resumes_is_held_back)
{
    flood_a_protocol(CONDUCT_PAUSES, true);
}

UNIT(budgets, a_flood_against_a_unix_protocol_that_never_resumes_is_held_back)
{
    flood_a_protocol(CONDUCT_PAUSES, false);
}

UNIT(budgets, a_flood_against_a_tcp_protocol_that_keeps_all_is_held_back)
{
    flood_a_protocol(CONDUCT_KEEPS, true);
}

UNIT(budgets, a_flood_against_a_unix_protocol_that_keeps_all_is_held_back)
{
    flood_a_protocol(CONDUCT_KEEPS, false);
}

UNIT(budgets, a_flood_that_is_read_does_not_starve_others)
{
    crowd_begin(0);
    struct crowd_member *const served = crowd_add(true, CONDUCT_ECHOES);
    crowd_add(true, CONDUCT_READS);
    crowd_wait_made();

    for (int i = 0; i < 300; i++) {
        crowd_push(&crowd.members[1], 1u << 20);
        crowd_expect_served(served);
    }

    RUN_UNTIL(crowd.loop, crowd_all_delivered());
    crowd_end();
}

static void pause_a_thousand(bool is_tcp)
{
    const uint64_t limit = 64u << 20; /* the default */
    crowd_begin(0);
    struct crowd_member *const served = crowd_add(is_tcp, CONDUCT_ECHOES);
    for (int i = 0; i < 1000; i++) {
        crowd_add(is_tcp, CONDUCT_PAUSES);
    }
    crowd_wait_made();

    crowd_flood(1, 1000, served);

    const struct weir_loop_statistics stats = crowd_statistics();
    expect(crowd_sum(received_by) < crowd_sum(sent_by));
    expect(stats.held_bytes <= limit / 2);
    expect(stats.pool_bytes <= limit + POSTED_BYTES);
    for (int i = 1; i <= 1000; i++) {
        crowd.members[i].conduct = CONDUCT_READS;
        weir_transport_resume_reading(crowd.members[i].t);
    }
    RUN_UNTIL(crowd.loop, crowd_all_delivered());
    crowd_end();
}

UNIT(budgets, a_thousand_paused_tcp_readers_leave_room_for_others)
{
    pause_a_thousand(true);
}

UNIT(budgets, a_thousand_paused_unix_readers_leave_room_for_others)
{
    pause_a_thousand(false);
}

UNIT(budgets, all_connections_together_hold_no_more_than_the_loops_limit)
{
    const uint64_t limit = 2u << 20;
    crowd_begin(limit);
    for (int i = 0; i < 100; i++) {
        crowd_add(false, CONDUCT_KEEPS);
    }
    crowd_wait_made();

    crowd_flood(0, 100, NULL);

    const struct weir_loop_statistics stats = crowd_statistics();
    expect(stats.held_bytes > limit / 4);
    /* Receives in flight already have their window; the number of buffers ends
     * this. */
    expect(stats.held_bytes <= stats.pool_bytes);
    expect(stats.pool_bytes <= limit + POSTED_BYTES);
    expect(stats.held_bytes >= crowd_sum(received_by));
    expect(crowd_sum(received_by) < crowd_sum(sent_by));
    RUN_UNTIL(crowd.loop, crowd_all_delivered());
    crowd_end();
}

UNIT(budgets, a_burst_to_paused_readers_fills_half_the_limit_at_most)
{
    const uint64_t limit = 4u << 20;
    crowd_begin(limit);
    for (int i = 0; i < 100; i++) {
        struct crowd_member *member = crowd_add(false, CONDUCT_READS);
        set_socket_option(member->peer, SOL_SOCKET, SO_SNDBUF, 200000);
    }
    crowd_wait_made();
    for (int i = 0; i < 100;
         i++) { /* from here on all connections share the window */
        expect(crowd_push(&crowd.members[i], 1));
    }
    RUN_UNTIL(crowd.loop, crowd_all_delivered());

    for (int i = 0; i < 100; i++) {
        crowd.members[i].conduct = CONDUCT_PAUSES;
        crowd_push(&crowd.members[i], 1u << 20);
    }
    crowd_flood(0, 100, NULL);

    expect(crowd_statistics().held_bytes <= limit / 2);
    crowd_end();
}

static bool all_lost(void)
{
    for (int i = 0; i < crowd.count; i++) {
        if (!crowd.members[i].lost) {
            return false;
        }
    }
    return true;
}

UNIT(budgets, connections_that_have_gone_take_no_share)
{
    crowd_begin(1u << 20);
    for (int i = 0; i < 300; i++) {
        struct crowd_member *member = crowd_add(false, CONDUCT_READS);
        crowd_wait_made();
        expect_eq(weir_transport_abort(member->t), 0);
        close(member->peer);
    }
    RUN_UNTIL(crowd.loop, all_lost());
    crowd.count = 0;
    crowd.made_count = 0;
    memset(crowd.members, 0, sizeof(crowd.members));

    struct crowd_member *const alone = crowd_add(false, CONDUCT_KEEPS);
    crowd_wait_made();
    crowd_push(alone, 12000);
    crowd_turn();
    crowd_turn();

    expect_eq(crowd.lease_count, 1);
    expect_eq(alone->received, 12000);
    crowd_end();
}

/* Other connections use released memory until this connection's turn. */
static bool is_lost(const struct crowd_member *member)
{
    crowd_give_leases_back();
    return member->lost;
}

/* No receive is armed, because no buffer is available, but the connection's end
 * is noticed. */
static void break_a_starved_connection(bool paused)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    crowd_begin(1u << 20);
    for (int i = 0; i < 400; i++) {
        crowd_add(false, CONDUCT_KEEPS);
    }
    struct crowd_member *const starved = crowd_add(true, CONDUCT_KEEPS);
    crowd_wait_made();
    do { /* bytes in flight may still be received */
        poll(NULL, 0, 1);
        crowd_flood(0, 401, NULL);
    } while (rig_is_under_way(starved->peer));
    const uint64_t before = starved->received;
    crowd_push(starved, 100);
    crowd_turn();
    crowd_turn();
    expect(before < starved->peer_sent);
    expect_eq(starved->received, before);
    if (paused) {
        weir_transport_pause_reading(starved->t);
        crowd_turn();
    }

    weir_transport_ref(starved->t);
    expect_ok(setsockopt(starved->peer, SOL_SOCKET, SO_LINGER, &linger,
                         sizeof(linger)));
    close(starved->peer);
    RUN_UNTIL(crowd.loop, weir_transport_get_error(starved->t) < 0);
    if (paused) {
        crowd_turn();
        expect(!starved->lost); /* its bytes wait in the kernel */
        weir_transport_resume_reading(starved->t);
    }
    RUN_UNTIL(crowd.loop, is_lost(starved));

    expect_eq(weir_transport_get_error(starved->t), -ECONNRESET);
    expect(starved->received > before);
    weir_transport_unref(starved->t);
    crowd.count--;
    crowd_end();
}

UNIT(budgets, a_starved_connection_that_breaks_is_lost)
{
    break_a_starved_connection(false);
}

UNIT(budgets, a_starved_and_paused_connection_that_breaks_is_lost_when_resumed)
{
    break_a_starved_connection(true);
}

UNIT(budgets, an_exhausted_pool_is_no_error_and_ends)
{
    crowd_begin(1u << 20);
    for (int i = 0; i < 200; i++) {
        crowd_add(false, i % 2 == 0 ? CONDUCT_KEEPS : CONDUCT_READS);
    }
    crowd_wait_made();
    crowd_flood(0, 200, NULL);
    for (int i = 0; i < 200; i++) {
        expect(!crowd.members[i].lost);
    }

    RUN_UNTIL(crowd.loop, crowd_all_delivered());

    for (int i = 0; i < 200; i++) {
        expect(crowd_push(&crowd.members[i], 1000));
    }
    RUN_UNTIL(crowd.loop, crowd_all_delivered());
    crowd_end();
}

UNIT(budgets, a_limit_below_one_mib_is_refused)
{
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .held_limit_bytes = 1000};
    weir_loop *loop = NULL;

    expect_eq(weir_loop_new(&options, &loop), -EINVAL);

    expect(loop == NULL);
}

UNIT(budgets, a_peer_that_never_reads_stops_the_echo_at_its_own_limit)
{
    crowd_begin(0);
    struct crowd_member *const served = crowd_add(true, CONDUCT_ECHOES);
    crowd_add(true, CONDUCT_ECHOES);
    crowd_wait_made();

    crowd_flood(1, 1, served);

    const weir_transport *t = crowd.members[1].t;
    expect(weir_transport_get_write_buffer_size(t) <= 1u << 20);
    expect(weir_transport_get_read_buffer_size(t) <= 1u << 20);
    expect_eq(crowd_statistics().copied_by_write, 0);
    crowd_end();
}
