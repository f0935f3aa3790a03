/*
 * The rows of the write matrix; see rows.h.
 *
 * Each function brings a fresh rig into a state by the calls that a program
 * would make, and checks that it is there.
 */
#include "tests/contract/rows.h"

void enter_pending(struct rig *rig)
{
    rig_clog(rig);
}

void enter_after_write_eof(struct rig *rig)
{
    expect_eq(weir_transport_write_eof(rig->t), 0);
}

void enter_closing_empty(struct rig *rig)
{
    expect_eq(weir_transport_close(rig->t), 0);
}

void enter_closing_pending(struct rig *rig)
{
    rig_clog(rig);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_turns(rig, 3);
    expect_eq(rig->lost_count, 0);
}

void enter_broken(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_peer_send(rig, 100);
    RUN_UNTIL(rig->loop, weir_transport_get_read_buffer_size(rig->t) > 0);
    rig_peer_reset(rig);
    RUN_UNTIL(rig->loop, weir_transport_get_error(rig->t) != 0);
    expect_eq(rig->lost_count, 0);
    expect_eq(weir_transport_get_error(rig->t), -ECONNRESET);
}

void enter_lost(struct rig *rig)
{
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
}

void leave_broken(struct rig *rig)
{
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_wait_lost(rig);
    expect_events(rig, "made data lost");
    expect_eq(rig->received, 100);
    expect_eq(rig->lost_err, -ECONNRESET);
}
