/*
 * The buffered protocol of the contract suites; see buffered_rig.h.
 *
 * Its memory is in use from get_buffer until the next callback for it. A second
 * offer, or a release of unused memory, fails the test.
 */
#include "tests/contract/buffered_rig.h"

struct buffered buffered;

int buffered_get(void *user, weir_transport *t, size_t hint, void **ret_buf,
                 size_t *ret_size)
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

static int buffered_updated(void *user, weir_transport *t, size_t len)
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

static void buffered_release(void *user, void *buf)
{
    expect(user == buffered.rig);
    expect(buf == buffered.memory);
    expect(buffered.out);
    buffered.out = false;
    buffered.released_count++;
}

struct weir_protocol make_buffered(bool promises)
{
    struct weir_protocol protocol = rig_protocol;

    protocol.kind = WEIR_PROTOCOL_BUFFERED;
    protocol.data_received = NULL;
    protocol.get_buffer = buffered_get;
    protocol.buffer_updated = buffered_updated;
    protocol.release_buffer = promises ? buffered_release : NULL;
    return protocol;
}

void reset_buffered(struct rig *rig, size_t size)
{
    memset(&buffered, 0, sizeof(buffered));
    buffered.size = size;
    buffered.rig = rig;
}
