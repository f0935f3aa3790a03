/*
 * Requests of --send bytes of the payload stream, in which each connection
 * begins at its own offset.
 *
 * The codecs echo and rr share this code; their answers differ. Random sizes
 * are computed from the index of a request on its connection, so the reader of
 * answers can compute them again.
 */
#ifndef WEIR_LOAD_CODEC_PAYLOAD_H
#define WEIR_LOAD_CODEC_PAYLOAD_H

#include "codec.h"
#include "tools/load/payload.h"

struct codec_payload {
    struct sizes send;
    struct sizes recv;
    /* Requests begin with the sizes of request and answer; mode rr only. */
    bool has_heads;
    uint64_t seed;
    struct payload stream;
};

/* State of a connection. */
struct codec_place {
    /* Offset of the next request in the payload stream. */
    uint32_t send_at;
    /* Random number for the sizes; numbers of requests and answers so far. */
    uint64_t random;
    uint64_t sent_count;
    uint64_t answered_count;
};

int codec_payload_open(const struct codec_thread *thread, void **ret_shared);
void codec_payload_close(void *shared);

struct codec_place codec_payload_begin(const struct codec_payload *shared,
                                       const struct codec_start *start);

/* Writes a batch, and updates @place for the next one. */
int codec_payload_append(const struct codec_payload *shared,
                         struct codec_place *place,
                         const struct codec_batch *batch,
                         struct codec_out *out);

/* Return the sizes of the connection's @number-th request and its answer. */
static inline size_t codec_payload_send_size(const struct codec_payload *shared,
                                             const struct codec_place *place,
                                             uint64_t number)
{
    return sizes_is_fixed(&shared->send)
               ? (size_t)shared->send.most
               : (size_t)sizes_draw(&shared->send,
                                    payload_mix(place->random + 2 * number));
}

static inline size_t codec_payload_recv_size(const struct codec_payload *shared,
                                             const struct codec_place *place,
                                             uint64_t number)
{
    return sizes_is_fixed(&shared->recv)
               ? (size_t)shared->recv.most
               : (size_t)sizes_draw(&shared->recv, payload_mix(place->random +
                                                               2 * number + 1));
}

#endif
