/*
 * Connections that release no bytes.
 *
 * Peers send and never read, and protocols keep a byte of everything: these
 * connections are stopped, others are served, and nothing is lost.
 */
#include "tests/contract/crowd.h"

/* Each piece fills a buffer except for the first byte, which is kept. */
UNIT(stalled, kept_bytes_of_many_buffers_leave_buffers_for_others)
{
    crowd_begin(0);
    struct crowd_member *const served = crowd_add(true, CONDUCT_ECHOES);
    struct crowd_member *const keeper = crowd_add(false, CONDUCT_KEEPS_ONE);
    crowd_add(false, CONDUCT_READS);
    crowd_wait_made();

    for (int i = 0; i < 1200 && crowd.lease_count < 1000; i++) {
        expect(crowd_push(keeper, 1));
        crowd_turn();
        for (int j = 0; j < 4; j++) {
            crowd_push(&crowd.members[2], 1u << 16);
            crowd_turn();
        }
    }
    expect(crowd.lease_count >= 1000);
    crowd_expect_served(served);

    const struct weir_loop_statistics stats = crowd_statistics();
    expect(stats.pool_bytes <= 8u << 20);
    expect(stats.held_bytes <= (uint64_t)crowd.lease_count * 256 + 100);
    expect(weir_transport_get_read_buffer_size(keeper->t) > 0);
    crowd_give_leases_back();
    crowd_turn();
    crowd_turn();
    expect_eq(crowd_statistics().held_bytes, 0);
    crowd_end();
}

static uint64_t queue_of(const struct crowd_member *member)
{
    return weir_transport_get_write_buffer_size(member->t);
}

static void stall_many(enum conduct conduct)
{
    const int count = 400;
    crowd_begin_with(SIZED(weir_loop_options, .queued_limit_bytes = 8u << 20));
    struct crowd_member *const served = crowd_add(true, CONDUCT_ECHOES);
    for (int i = 0; i < count; i++) {
        crowd_add(false, conduct);
    }
    crowd_wait_made();

    crowd_flood(1, count, served);

    const struct weir_loop_statistics stats = crowd_statistics();
    expect_eq(stats.queued_bytes, crowd_sum(queue_of));
    expect(stats.queued_bytes > 2u << 20);
    /* Half the limit, the share of each connection, and one receive window. */
    expect(stats.queued_bytes <= (4u << 20) + (uint64_t)count * (256u << 10));
    expect(crowd_sum(received_by) <
           crowd_sum(sent_by)); /* it was not received ... */
    struct crowd_member *const late = crowd_add(true, CONDUCT_ECHOES);
    crowd_wait_made();
    crowd_expect_served(late);
    for (int i = 0; i < crowd.count; i++) {
        expect(!crowd.members[i].lost); /* ... and nothing was dropped */
    }
    crowd_end();
}

UNIT(stalled, peers_that_never_read_are_stopped_at_a_share_of_the_send_queues)
{
    stall_many(CONDUCT_COPIES);
}

UNIT(stalled, leases_that_wait_to_be_sent_leave_buffers_for_others)
{
    stall_many(CONDUCT_ECHOES);
}

UNIT(stalled, a_peer_that_was_stopped_goes_on_when_it_reads)
{
    const int count = 100;
    crowd_begin_with(SIZED(weir_loop_options, .queued_limit_bytes = 1u << 20));
    for (int i = 0; i < count; i++) {
        crowd_add(false, CONDUCT_COPIES);
    }
    crowd_wait_made();
    crowd_flood(0, count, NULL);
    expect(crowd_sum(received_by) < crowd_sum(sent_by));

    static uint64_t echoed[CROWD_MAX];
    memset(echoed, 0, sizeof(echoed));
    uint64_t total = 0;
    for (int round = 0; round < 20000 && total < crowd_sum(sent_by); round++) {
        for (int i = 0; i < count; i++) {
            uint8_t buf[16384];
            const ssize_t got =
                recv(crowd.members[i].peer, buf, sizeof(buf), 0);
            if (got > 0) {
                expect(rig_is_pattern(buf, echoed[i], (size_t)got));
                echoed[i] += (uint64_t)got;
                total += (uint64_t)got;
            }
        }
        crowd_turn();
    }

    expect_eq(total, crowd_sum(sent_by));
    crowd_end();
}
