/*
 * Buffered protocols: rule R10, and who owns the memory when.
 *
 * Without release_buffer the bytes are copied to the protocol's memory when the
 * receive completes ("copied"). With it the kernel receives into that memory
 * ("in-place"), which returns to the protocol with buffer_updated or
 * release_buffer, exactly one of them.
 */
#include "tests/contract/buffered_rig.h"
#include "tests/contract/scenes.h"

SCENE(buffered, bytes_are_copied_into_the_memory_offered, "both wide copied",
      "receive 500000; to-protocol 500000; hint >0; asked >0; owed 0")
SCENE(buffered, little_memory_is_offered_as_often_as_needed, "both wide copied",
      "receive 1000; updated >=143; received 1000", "@made memory 7")
SCENE(buffered, bytes_are_received_in_place_under_the_promise,
      "both plain wide in-place",
      "asked 1; hint 0; receive 500000; to-protocol 0; arrived 500000; "
      "close; lost 0; released 1; owed 1")
SCENE(
    buffered, r10__get_buffer_may_be_followed_by_eof_received,
    "both plain wide in-place",
    "offered 1; shutdown; lost 0; events made eof lost; updated 0; released 1")
/* The kernel still has the memory after the call. */
SCENE(buffered, the_promised_memory_comes_back_after_an_abort,
      "both plain wide in-place",
      "abort; released 0; lost 0; turn 3; released 1")
SCENE(buffered, the_promised_memory_comes_back_after_a_reset,
      "reset plain wide in-place", "reset; lost ECONNRESET; released 1")

#define KEPT_BEFORE_A_RESET                                                    \
    "pause; send 100; until arrived >=100; reset; broken any; turn 3; alive; " \
    "resume; lost ECONNRESET; events made data lost; received 100; offered 0"
SCENE(buffered, bytes_kept_before_a_reset_are_told_before_it,
      "break wide copied", KEPT_BEFORE_A_RESET)
SCENE(buffered, bytes_kept_in_place_before_a_reset_are_told_before_it,
      "break wide in-place", KEPT_BEFORE_A_RESET)

#define PAUSED                                                                 \
    "pause; send 60000; run 10; received 0; resume; received 0; until "        \
    "received 60000"
SCENE(buffered, bytes_that_come_while_paused_are_told_after_resume,
      "both wide copied", PAUSED)
SCENE(buffered, bytes_in_place_that_come_while_paused_are_told_after_resume,
      "both wide in-place", PAUSED)
SCENE(buffered, no_memory_is_asked_for_while_paused, "both wide in-place",
      "send 1000; run 5; asked 0; resume; until received 1000", "@made pause")

#define PAUSES_INSIDE                                                          \
    "note received; turn 3; received +0; resume; until received >+0; "         \
    "received <=+7; again received 700"
SCENE(buffered, pausing_inside_buffer_updated_stops_the_next,
      "both wide copied", "send 700; until received >0", PAUSES_INSIDE,
      "@made memory 7", "@data pause")
SCENE(buffered, pausing_inside_buffer_updated_in_place_stops_the_next,
      "both wide in-place", "send 700; until received >0", PAUSES_INSIDE,
      "@made memory 7", "@data pause")
SCENE(buffered, closing_inside_buffer_updated_ends_the_data, "both wide copied",
      "send 700; lost 0; updated 1; events made data lost", "@made memory 7",
      "@data close")

/* A get_buffer that closes or pauses, and returns memory even so. A plain
 * connection calls it at once. */
SCENE(buffered, a_get_buffer_that_closes_gets_its_memory_back,
      "both plain wide in-place",
      "lost 0; asked 1; released 1; events made lost", "@get close")
SCENE(buffered, a_get_buffer_that_closes_gets_its_memory_back_over_tls,
      "both !plain wide in-place",
      "send 100; lost 0; asked 1; released 1; events made lost", "@get close")
SCENE(buffered, a_get_buffer_that_pauses_gets_its_memory_back,
      "both wide in-place",
      "send 100; until asked >0; run 5; asked 1; released 1; received 0",
      "@get pause")
SCENE(buffered, reads_and_writes_mix_in_large_amounts, "both wide in-place",
      "write 100000; send 100000; read 100000; again 19",
      "until received 2000000")

UNIT(buffered, the_promised_memory_comes_back_when_the_loop_is_freed)
{
    const struct weir_protocol protocol = make_buffered(true);
    struct rig rig = {.protocol = &protocol};

    reset_buffered(&rig, sizeof(buffered.memory));
    while (rig_next_that(&rig, RIG_BOTH_WAYS | RIG_IS_PLAIN)) {
        weir_transport_unref(rig.t);
        if (rig.server) {
            weir_server_free(rig.server);
        }
        expect_eq(weir_loop_free(rig.loop), 1);
        rig.loop = NULL;
        expect_eq(buffered.released_count, 1);
        reset_buffered(&rig, sizeof(buffered.memory));
    }
}
