/*
 * TLS inside TLS with more bytes than both layers accept at once.
 *
 * The inner transport continues once the outer one has sent enough. Its depth
 * counts all bytes until they are sent, including bytes that the outer layer
 * has already encrypted.
 */
#include "tests/contract/starting_rig.h"

enum { BULK = 98304, CHUNK = 8192 };

static uint8_t bulk[BULK];

static void upgrade_twice(struct starting *s)
{
    for (size_t i = 0; i < BULK; i++) {
        bulk[i] = (uint8_t)(i * 7 >> 3);
    }
    starting_upgrade_both(s);
    s->client.done_count = s->server.done_count = 0;
    starting_upgrade_both(s);
}

STARTING(start_tls_bulk, r43__writes_of_all_sizes_arrive, s)
{
    upgrade_twice(s);
    for (size_t len = 65000; len <= BULK; len += 1111) {
        s->server.received_len = 0;
        s->server.notes[0] = s->client.notes[0] = '\0';
        expect_eq(weir_transport_write(s->client.t, bulk, len), 0);
        starting_wait_received(&s->server, len);
        expect(memcmp(s->server.received, bulk, len) == 0);
    }
    starting_end(s);
    expect_eq(s->client.lost_err, 0);
}

STARTING(start_tls_bulk, r21__the_depth_counts_what_the_outer_one_has_sealed, s)
{
    const int small = 16384;
    upgrade_twice(s);
    expect_eq(weir_transport_pause_reading(s->server.t), 0);
    set_socket_option(weir_transport_get_socket(s->client.t), SOL_SOCKET,
                      SO_SNDBUF, small);
    set_socket_option(weir_transport_get_socket(s->server.t), SOL_SOCKET,
                      SO_RCVBUF, small);
    size_t written = 0;
    while (weir_transport_get_write_buffer_size(s->client.plain) == 0) {
        cr_assert_lt(written, STARTING_ROOM);
        expect_eq(weir_transport_write(s->client.t, bulk, CHUNK), 0);
        written += CHUNK;
        starting_turns(s, 3);
    }

    expect_gt(weir_transport_get_write_buffer_size(s->client.t), 0);

    expect_eq(weir_transport_resume_reading(s->server.t), 0);
    starting_wait_received(&s->server, written);
    while (weir_transport_get_write_buffer_size(s->client.plain) > 0) {
        starting_turns(s, 1);
    }
    expect_eq(weir_transport_get_write_buffer_size(s->client.t), 0);
    starting_end(s);
}
