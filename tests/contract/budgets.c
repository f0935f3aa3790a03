/*
 * Budgets: what peers can make grow, and what they cannot.
 *
 * A crowd of connections with peers that send as much as is taken from them,
 * and protocols that read nothing or keep everything. The pool stays within
 * the loop's limit, nothing is dropped, and a well-behaved connection beside
 * them is served all the time.
 */
#include "tests/contract/crowd.h"

/* ---- one flooding peer ---- */

static void flood_a_protocol(enum conduct conduct, bool is_tcp)
{
    begin(0);
    struct member *const served = add(is_tcp, CONDUCT_ECHOES);
    add(is_tcp, conduct);
    wait_made();
    expect_served(served);
    const uint64_t memory = statistics().memory_bytes;

    flood(1, 1, served);

    const struct weir_loop_statistics stats = statistics();
    expect(weir_transport_get_read_buffer_size(crowd.members[1].t) <= 1u << 20);
    expect(stats.memory_bytes <= memory + (1u << 20) + POSTED_BYTES);
    crowd.members[1].conduct = CONDUCT_READS;
    weir_transport_resume_reading(crowd.members[1].t);
    run_loop_until(crowd.loop, all_delivered, NULL);
    turn();
    expect_eq(statistics().held_bytes, 0);
    end();
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
    begin(0);
    struct member *const served = add(true, CONDUCT_ECHOES);
    add(true, CONDUCT_READS);
    wait_made();

    for (int i = 0; i < 300; i++) {
        push(&crowd.members[1], 1u << 20);
        expect_served(served);
    }

    run_loop_until(crowd.loop, all_delivered, NULL);
    end();
}

/* ---- many ---- */

static void pause_a_thousand(bool is_tcp)
{
    const uint64_t limit = 64u << 20; /* the default */
    begin(0);
    struct member *const served = add(is_tcp, CONDUCT_ECHOES);
    for (int i = 0; i < 1000; i++) {
        add(is_tcp, CONDUCT_PAUSES);
    }
    wait_made();

    flood(1, 1000, served);

    const struct weir_loop_statistics stats = statistics();
    expect(sum(received_by) < sum(sent_by));
    expect(stats.held_bytes <= limit / 2);
    expect(stats.pool_bytes <= limit + POSTED_BYTES);
    for (int i = 1; i <= 1000; i++) {
        crowd.members[i].conduct = CONDUCT_READS;
        weir_transport_resume_reading(crowd.members[i].t);
    }
    run_loop_until(crowd.loop, all_delivered, NULL);
    end();
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
    begin(limit);
    for (int i = 0; i < 100; i++) {
        add(false, CONDUCT_KEEPS);
    }
    wait_made();

    flood(0, 100, NULL);

    const struct weir_loop_statistics stats = statistics();
    expect(stats.held_bytes > limit / 4);
    /* Receives under way have their credit already; the buffers end it. */
    expect(stats.held_bytes <= stats.pool_bytes);
    expect(stats.pool_bytes <= limit + POSTED_BYTES);
    expect(stats.held_bytes >= sum(received_by));
    expect(sum(received_by) < sum(sent_by));
    run_loop_until(crowd.loop, all_delivered, NULL); /* nothing was dropped */
    end();
}

UNIT(budgets, a_burst_to_paused_readers_fills_half_the_limit_at_most)
{
    const uint64_t limit = 4u << 20;
    begin(limit);
    for (int i = 0; i < 100; i++) {
        struct member *member = add(false, CONDUCT_READS);
        set_socket_option(member->peer, SOL_SOCKET, SO_SNDBUF, 200000);
    }
    wait_made();
    for (int i = 0; i < 100; i++) { /* from now on all share the credit */
        expect(push(&crowd.members[i], 1));
    }
    run_loop_until(crowd.loop, all_delivered, NULL);

    for (int i = 0; i < 100; i++) {
        crowd.members[i].conduct = CONDUCT_PAUSES;
        push(&crowd.members[i], 1u << 20);
    }
    flood(0, 100, NULL);

    expect(statistics().held_bytes <= limit / 2);
    end();
}

static bool all_lost(void *arg)
{
    (void)arg;
    for (int i = 0; i < crowd.count; i++) {
        if (!crowd.members[i].lost) {
            return false;
        }
    }
    return true;
}

UNIT(budgets, connections_that_have_gone_take_no_share)
{
    begin(1u << 20);
    for (int i = 0; i < 300; i++) {
        struct member *member = add(false, CONDUCT_READS);
        wait_made();
        expect_eq(weir_transport_abort(member->t), 0);
        close(member->peer);
    }
    run_loop_until(crowd.loop, all_lost, NULL);
    crowd.count = 0;
    crowd.made_count = 0;
    memset(crowd.members, 0, sizeof(crowd.members));

    struct member *const alone = add(false, CONDUCT_KEEPS);
    wait_made();
    push(alone, 12000);
    turn();
    turn();

    expect_eq(crowd.lease_count, 1); /* in one piece */
    expect_eq(alone->received, 12000);
    end();
}

static bool is_broken(void *arg)
{
    return weir_transport_error(((struct member *)arg)->t) < 0;
}

/* The others take what is given back until it is its turn. */
static bool is_lost(void *arg)
{
    give_leases_back();
    return ((struct member *)arg)->lost;
}

/* No receive is armed for lack of room, and still its end is noticed. */
static void break_a_starved_connection(bool paused)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    begin(1u << 20);
    for (int i = 0; i < 400; i++) { /* each takes a part of what is free */
        add(false, CONDUCT_KEEPS);
    }
    struct member *const starved = add(true, CONDUCT_KEEPS);
    wait_made();
    flood(0, 401, NULL);
    const uint64_t before = starved->received;
    push(starved, 100);
    turn();
    turn();
    expect(before < starved->peer_sent);
    expect_eq(starved->received, before);
    if (paused) {
        weir_transport_pause_reading(starved->t);
        turn();
    }

    weir_transport_ref(starved->t);
    expect_eq(setsockopt(starved->peer, SOL_SOCKET, SO_LINGER, &linger,
                         sizeof(linger)),
              0);
    close(starved->peer);
    run_loop_until(crowd.loop, is_broken, starved);
    if (paused) {
        turn();
        expect(!starved->lost); /* its bytes wait in the kernel */
        weir_transport_resume_reading(starved->t);
    }
    run_loop_until(crowd.loop, is_lost, starved);

    expect_eq(weir_transport_error(starved->t), -ECONNRESET);
    expect(starved->received > before); /* data first */
    weir_transport_unref(starved->t);
    crowd.count--; /* it is gone already */
    end();
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
    begin(1u << 20);
    for (int i = 0; i < 200; i++) {
        add(false, i % 2 == 0 ? CONDUCT_KEEPS : CONDUCT_READS);
    }
    wait_made();
    flood(0, 200, NULL);
    for (int i = 0; i < 200; i++) {
        expect(!crowd.members[i].lost);
    }

    run_loop_until(crowd.loop, all_delivered, NULL);

    for (int i = 0; i < 200; i++) {
        expect(push(&crowd.members[i], 1000));
    }
    run_loop_until(crowd.loop, all_delivered, NULL);
    end();
}

UNIT(budgets, a_limit_below_one_mib_is_refused)
{
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .held_limit_bytes = 1000};
    weir_loop *loop = NULL;

    expect_eq(weir_loop_new(&options, &loop), -EINVAL);

    expect(loop == NULL);
}

/* ---- writing ---- */

UNIT(budgets, a_peer_that_never_reads_stops_the_echo_at_its_own_limit)
{
    begin(0);
    struct member *const served = add(true, CONDUCT_ECHOES);
    add(true, CONDUCT_ECHOES);
    wait_made();

    flood(1, 1, served); /* and reads nothing of it */

    const weir_transport *t = crowd.members[1].t;
    expect(weir_transport_get_write_buffer_size(t) <= 1u << 20);
    expect(weir_transport_get_read_buffer_size(t) <= 1u << 20);
    expect_eq(statistics().copied_by_write, 0);
    end();
}
