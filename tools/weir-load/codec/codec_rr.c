/*
 * Requests and answers of different sizes. The bytes of an answer are counted,
 * not checked. If sizes are random, a request begins with both sizes, from
 * which the server learns how much to send.
 */
#include "codec.h"

struct rr {
    struct codec_place place;
    size_t partial_bytes;
};

static void begin(void *shared, void *state, const struct codec_start *start)
{
    struct rr *rr = state;

    *rr = (struct rr){.place = codec_payload_begin(shared, start)};
}

static ssize_t consume(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer)
{
    struct rr *rr = state;
    const size_t size =
        codec_payload_recv_size(shared, &rr->place, rr->place.answered_count);
    const size_t missing = size - rr->partial_bytes;

    len = len < missing ? len : missing;
    answer->is_complete = len == missing;
    rr->place.answered_count += answer->is_complete;
    rr->partial_bytes = len == missing ? 0 : rr->partial_bytes + len;
    return (ssize_t)len;
}

const struct codec codec_rr = {
    .name = "rr",
    .state_size = sizeof(struct rr),
    .open = codec_payload_open,
    .close = codec_payload_close,
    .begin = begin,
    .append = codec_payload_append,
    .consume = consume,
};
