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

/* Bytes wait, a send is in flight, the peer does not read. */
void enter_pending(struct rig *rig);
void enter_after_write_eof(struct rig *rig);
void enter_closing_empty(struct rig *rig);
void enter_closing_pending(struct rig *rig);

/* Reset by the peer, which is known, and not lost yet, because bytes that came
 * before wait to be delivered. Only where the peer can reset. */
void enter_broken(struct rig *rig);
void enter_lost(struct rig *rig);

/* The bytes before the error come, then the error. */
void leave_broken(struct rig *rig);

#endif
