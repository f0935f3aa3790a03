/*
 * Requests of the payload stream: --send bytes each, and each connection
 * begins at a place of its own.
 *
 * The codecs echo and rr share this; they differ in what an answer is.
 */
#ifndef WEIR_LOAD_CODEC_PAYLOAD_H
#define WEIR_LOAD_CODEC_PAYLOAD_H

#include "codec.h"
#include "tools/load/payload.h"

struct codec_payload {
    size_t send_bytes;
    size_t recv_bytes;
    uint64_t seed;
    struct payload stream;
};

/* codec.open and codec.close of both. */
int codec_payload_open(const struct codec_thread *thread, void **ret_shared);
void codec_payload_close(void *shared);

/* Write a batch from a place in the stream, which moves on. */
int codec_payload_append(const struct codec_payload *shared, uint32_t *place,
                         const struct codec_batch *batch,
                         struct codec_out *out);

#endif
