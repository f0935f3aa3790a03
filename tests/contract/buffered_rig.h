/*
 * A buffered protocol for the contract suites.
 *
 * Like the recorder, but it receives bytes through get_buffer and
 * buffer_updated into `memory`. The use of `memory` is tracked, so that memory
 * offered or released twice is noticed. With `promises`, the table has
 * release_buffer.
 */
#ifndef WEIR_TESTS_CONTRACT_BUFFERED_RIG_H
#define WEIR_TESTS_CONTRACT_BUFFERED_RIG_H

#include "tests/contract/harness.h"

struct buffered {
    uint8_t memory[65536];
    size_t size;
    int get_result;
    int updated_result;
    bool out; /* offered by get_buffer, and not returned yet */
    size_t hint_max;
    int get_count;
    int updated_count;
    int released_count;
    struct rig *rig;
};

extern struct buffered buffered;

int buffered_get(void *user, weir_transport *t, size_t hint, void **ret_buf,
                 size_t *ret_size);

/* Returns the recorder's table with callbacks for buffers, and resets
 * `buffered` for a new round. */
struct weir_protocol make_buffered(bool promises);
void reset_buffered(struct rig *rig, size_t size);

#endif
