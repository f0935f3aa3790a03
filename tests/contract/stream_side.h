/*
 * A stream on the subject of a rig.
 *
 * The recorder of the rig stays the protocol and passes everything on to that
 * of a stream, which so runs over every maker. What a test does with the stream
 * is its handler, a task; the peer is driven from outside, while the loop
 * turns.
 */
#ifndef WEIR_TESTS_CONTRACT_STREAM_SIDE_H
#define WEIR_TESTS_CONTRACT_STREAM_SIDE_H

#include "tests/contract/harness.h"

#include <weir/stream.h>
#include <weir/task.h>

enum { SIDE_COUNT = 2 };

/* The stream of a rig. */
struct side {
    const struct rig *rig;
    weir_client_connected_fn *handler; /* or NULL */
    struct weir_protocol_binding stream;
    weir_writer *writer; /* with a reference */
    weir_reader *reader;
    bool is_done; /* its handler has returned */
    int result;
};

extern weir_client_connected_fn *side_handler; /* of the next ones */

struct side *side_of(const struct rig *rig);

extern const struct weir_protocol side_protocol;

/* As rig_next(), with streams that @handler, or NULL, serves. */
bool side_next(struct rig *rig, weir_client_connected_fn *handler);

/* Waits for the handler's return; its result. */
int side_wait(struct rig *rig);

#endif
