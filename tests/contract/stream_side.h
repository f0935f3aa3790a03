/*
 * A stream on the subject of a rig.
 *
 * The rig's recorder remains the protocol and passes every callback on to a
 * stream's protocol, so streams run over every maker. A test uses the stream in
 * its handler, a task; the peer is driven outside of it, while the loop turns.
 */
#ifndef WEIR_TESTS_CONTRACT_STREAM_SIDE_H
#define WEIR_TESTS_CONTRACT_STREAM_SIDE_H

#include "tests/contract/harness.h"

#include <weir/stream.h>
#include <weir/task.h>

enum { SIDE_COUNT = 2 };

struct side {
    const struct rig *rig;
    weir_client_connected_fn *handler;
    struct weir_protocol_binding stream;
    weir_writer *writer;
    weir_reader *reader;
    bool is_done;
    int result;
};

extern weir_client_connected_fn *side_handler; /* for the next streams */

struct side *side_of(const struct rig *rig);

extern const struct weir_protocol side_protocol;

bool side_next(struct rig *rig, weir_client_connected_fn *handler);

int side_wait(struct rig *rig);

#endif
