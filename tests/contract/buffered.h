/*
 * A buffered protocol for the contract suites.
 *
 * Like the recorder, but its bytes come through get_buffer and buffer_updated:
 * into `memory`, whose use is followed, so that memory offered twice or given
 * back twice is seen. With `promises`, the table has release_buffer.
 */
#ifndef WEIR_TESTS_CONTRACT_BUFFERED_H
#define WEIR_TESTS_CONTRACT_BUFFERED_H

#include "tests/contract/harness.h"

/* What the protocol does, and what it has seen; one for a test. */
static struct {
    uint8_t memory[65536];
    size_t size;        /* how much of it is offered */
    int get_result;     /* of get_buffer */
    int updated_result; /* of buffer_updated */
    bool out;           /* get_buffer gave it, nothing came back yet */
    size_t hint_max;    /* the largest hint */
    int get_count;      /* calls of get_buffer */
    int updated_count;  /* calls of buffer_updated */
    int released_count; /* calls of release_buffer */
    struct rig *rig;
} buffered;

static inline int buffered_get(void *user, weir_transport *t, size_t hint,
                               void **ret_buf, size_t *ret_size)
{
    struct rig *rig = user;
    expect(t == rig->t);
    expect_eq(rig->depth, 0);
    expect_eq(rig->lost_count, 0);
    expect(!buffered.out);
    buffered.get_count++;
    if (hint > buffered.hint_max) {
        buffered.hint_max = hint;
    }
    if (buffered.get_result < 0) {
        return buffered.get_result;
    }
    buffered.out = buffered.size > 0;
    *ret_buf = buffered.memory;
    *ret_size = buffered.size;
    return 0;
}

static inline int buffered_updated(void *user, weir_transport *t, size_t len)
{
    struct rig *rig = user;
    expect(t == rig->t);
    expect_eq(rig->depth, 0);
    expect_eq(rig->lost_count, 0);
    expect(buffered.out);
    expect(len > 0);
    expect(len <= buffered.size);
    buffered.out = false;
    buffered.updated_count++;
    expect(rig_is_pattern(buffered.memory, rig->received, len));
    rig->received += len;
    rig_record(rig, "data");
    if (rig->hooks.data_received) {
        rig->depth++;
        const struct weir_buf buf = {.data = buffered.memory, .len = len};
        int result = rig->hooks.data_received(rig, &buf);
        rig->depth--;
        return result;
    }
    return buffered.updated_result;
}

static inline void buffered_release(void *user, void *buf)
{
    expect(user == buffered.rig);
    expect(buf == buffered.memory);
    expect(buffered.out);
    buffered.out = false;
    buffered.released_count++;
}

/* The recorder's table with buffered entries; reset for a new round. */
static inline struct weir_protocol make_buffered(bool promises)
{
    struct weir_protocol protocol = rig_protocol;

    protocol.kind = WEIR_PROTOCOL_BUFFERED;
    protocol.data_received = NULL;
    protocol.get_buffer = buffered_get;
    protocol.buffer_updated = buffered_updated;
    protocol.release_buffer = promises ? buffered_release : NULL;
    return protocol;
}

static inline void reset_buffered(struct rig *rig, size_t size)
{
    memset(&buffered, 0, sizeof(buffered));
    buffered.size = size;
    buffered.rig = rig;
}

#endif
