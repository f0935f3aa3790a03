/*
 * Requests and answers of fixed sizes, which need not be equal. The bytes of an
 * answer are counted and not looked at: which ones are right is the server's
 * affair.
 */
#include "codec_payload.h"

struct rr {
    uint32_t send_at;
    /* Bytes of an answer that is not complete. */
    size_t partial_bytes;
};

static void begin(void *shared, void *state, const struct codec_start *start)
{
    const struct codec_payload *payload = shared;
    struct rr *rr = state;

    *rr = (struct rr){.send_at = payload_start(payload->seed, start->conn_index,
                                               start->generation)};
}

static int append(void *shared, void *state, const struct codec_batch *batch,
                  struct codec_out *out)
{
    struct rr *rr = state;

    return codec_payload_append(shared, &rr->send_at, batch, out);
}

static ssize_t consume(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer)
{
    const struct codec_payload *payload = shared;
    struct rr *rr = state;
    size_t missing = payload->recv_bytes - rr->partial_bytes;

    (void)bytes;
    len = len < missing ? len : missing;
    answer->is_complete = len == missing;
    rr->partial_bytes = len == missing ? 0 : rr->partial_bytes + len;
    return (ssize_t)len;
}

const struct codec codec_rr = {
    .name = "rr",
    .state_size = sizeof(struct rr),
    .open = codec_payload_open,
    .close = codec_payload_close,
    .begin = begin,
    .append = append,
    .consume = consume,
};
