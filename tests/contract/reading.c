/*
 * Reading under the protocol's control: rules R27 and R30, leases, and the
 * limit of bytes that a connection may hold.
 *
 * Pausing stops data_received at once. Bytes that arrive meanwhile are kept or
 * stay in the kernel, and the loop delivers them after resume, byte for byte.
 */
#include "tests/contract/scenes.h"
#include "tests/unit/random.h"

SCENE(reading, r27__pausing_in_connection_made_prevents_the_first_data,
      "receives wide",
      "reading 0; send 5000; run 10; events made; resume; reading 1; "
      "events made; until received 5000",
      "@made pause")
SCENE(reading, r27__what_comes_while_paused_from_the_start_stays_in_the_kernel,
      "receives plain wide", "send 5000; run 10; events made; held 0",
      "@made pause")
SCENE(reading, r27__pause_and_resume_may_be_repeated, "receives wide",
      "pause; pause; turn 2; pause; reading 0; resume; resume; turn 2; "
      "resume; reading 1; receive 100")
SCENE(reading, r27__pausing_inside_data_received_stops_the_next,
      "receives wide", "receive 10; send 60000; run 10; received 10",
      "note received; resume; until received >+0; run 1; again received 60010",
      "@data pause")
/* A receive is already armed. */
SCENE(reading, bytes_kept_while_paused_are_counted_and_bounded,
      "both plain wide",
      "pause; flood 1; held <=256K; charged held; received 0; resume; "
      "until received fed; turn; held 0")
SCENE(reading, once_bytes_are_kept_the_rest_stays_in_the_kernel,
      "both plain wide", "pause; send 1000; until held >0; held 1000",
      "send 1000; run 1; again 4", "held 1000; resume; until received 6000")
/* The clog delays the connection's end; TLS releases bytes from the loop. */
#define DROPPED                                                                \
    "close; turn 3; held 0; reading 0; resume; turn 5; received 0; alive"
SCENE(reading, bytes_kept_while_paused_are_dropped_by_close, "both !memory",
      "clog; pause; send 3000; until held >=3000; " DROPPED)
SCENE(reading, bytes_kept_in_memory_while_paused_are_dropped_by_close,
      "both memory", "clog; pause; send 3000; " DROPPED)

static int toggle(struct rig *rig, const struct weir_buf *buf)
{
    struct unit_random *random = (struct unit_random *)(uintptr_t)rig->bytes;
    if (unit_random_below(random, 3) == 0) {
        expect_eq(weir_transport_pause_reading(rig->t), 0);
    }
    return 0;
}

UNIT(reading, every_byte_comes_once_under_random_pauses)
{
    struct unit_random random;
    const uint64_t seed = unit_random_seed(&random);
    struct rig rig = {.hooks = {.data_received = toggle}};
    while (rig_next(&rig)) {
        rig.bytes = (uintptr_t)&random;
        while (rig.received < 2000000) {
            /* At most as much as fits: reading is not resumed while the peer
             * waits. */
            if (rig.peer_sent < 2000000 &&
                rig.peer_sent - rig.received < 50000) {
                const uint64_t left = 2000000 - rig.peer_sent;
                const uint64_t part = 1 + unit_random_below(&random, 20000);
                rig_peer_send(&rig, part < left ? part : left);
            }
            rig_turn(&rig);
            if (unit_random_below(&random, 2) == 0) {
                expect_eq(weir_transport_resume_reading(rig.t), 0);
            }
        }
        cr_assert(rig.received == 2000000, "seed %llu",
                  (unsigned long long)seed);
    }
}

SCENE(reading, a_kept_lease_keeps_its_bytes_while_others_come, "receives wide",
      "receive 1000", "send 100000; until received fed; again 39",
      "held 1000; leases keeping; give; held 0",
      "@data if received <=1000; keep")

/* One receive of 256 KiB was armed under the old limit. The size is the sum
 * over stacked transports, each of which has the limit; the end of a record is
 * kept in a block that may be larger. */
#define HOLDS(first, most)                                                     \
    "buffer 64K; turn; flood 0; held <=" first                                 \
    "; give; run 5; give; flood 61441; held <=" most,                          \
        "note received; give; until received >+0; again received fed", "give", \
        "@data keep"
SCENE(reading, a_connection_holds_no_more_than_its_limit, "both !tls wide",
      HOLDS("256K", "64K"))
SCENE(reading, a_connection_over_tls_holds_the_limit_in_each_layer,
      "both tls !nested wide", HOLDS("335872", "136K"))
SCENE(reading, a_connection_in_two_layers_of_tls_holds_it_in_each,
      "both nested wide", HOLDS("400K", "208K"))
SCENE(reading, the_limit_comes_from_the_makers_options_to_the_byte,
      "both plain wide read=50000",
      "flood 45905; held <=50000; held received; give; until received >50000",
      "give; turn; again received fed", "give", "@data keep")
SCENE(reading, a_higher_limit_starts_a_stopped_receive,
      "receives wide read=4096",
      "send 20000; run 5; received <=4096; buffer 0; until received 20000",
      "@data keep")
SCENE(reading, a_limit_below_4096_is_refused, "receives wide",
      "buffer 4095 EINVAL; buffer 1 EINVAL; buffer 4096; buffer 0")
SCENE(reading, r30__data_comes_in_pieces_of_bounded_size, "receives wide",
      "receive 3000000; largest <=256K", "@data keep; give")
SCENE(reading, every_received_byte_is_counted_once, "receives plain wide",
      "receive 3000000; arrived 3000000")
SCENE(reading, data_of_a_plain_protocol_is_not_copied, "both plain wide",
      "receive 1000000; copied 0; to-protocol 0")
