/*
 * The rows of the write matrix: the states that a connection is in when write,
 * writelines, write_eof, close or abort is called.
 *
 * Each function brings a fresh rig into its state; all want small_buffers, so
 * that bytes can be made to wait.
 */
#ifndef WEIR_TESTS_CONTRACT_ROWS_H
#define WEIR_TESTS_CONTRACT_ROWS_H

#include "tests/contract/harness.h"

static inline bool has_error(void *arg)
{
    return weir_transport_error(((struct rig *)arg)->t) != 0;
}

static inline bool holds_bytes(void *arg)
{
    return weir_transport_get_read_buffer_size(((struct rig *)arg)->t) > 0;
}

/* Bytes wait, a send is in flight, the peer does not read. */
static inline void enter_pending(struct rig *rig)
{
    rig_clog(rig);
}

static inline void enter_after_write_eof(struct rig *rig)
{
    expect_eq(weir_transport_write_eof(rig->t), 0);
}

static inline void enter_closing_empty(struct rig *rig)
{
    expect_eq(weir_transport_close(rig->t), 0);
}

static inline void enter_closing_pending(struct rig *rig)
{
    rig_clog(rig);
    expect_eq(weir_transport_close(rig->t), 0);
    rig_turns(rig, 3);
    expect_eq(rig->lost_count, 0);
}

/* Reset by the peer, which is known, and not lost yet, because bytes that came
 * before wait to be delivered. Only where the peer can reset. */
static inline void enter_broken(struct rig *rig)
{
    expect_eq(weir_transport_pause_reading(rig->t), 0);
    rig_peer_send(rig, 100);
    rig_wait(rig, holds_bytes);
    rig_peer_reset(rig);
    rig_wait(rig, has_error);
    expect_eq(rig->lost_count, 0);
    expect_eq(weir_transport_error(rig->t), -ECONNRESET);
}

static inline void enter_lost(struct rig *rig)
{
    expect_eq(weir_transport_abort(rig->t), 0);
    rig_wait_lost(rig);
}

/* The bytes before the error come, then the error. */
static inline void leave_broken(struct rig *rig)
{
    expect_eq(weir_transport_resume_reading(rig->t), 0);
    rig_wait_lost(rig);
    expect_events(rig, "made data lost");
    expect_eq(rig->received, 100);
    expect_eq(rig->lost_err, -ECONNRESET);
}

#endif
