/*
 * Requests of the payload stream: --send bytes each, and each connection
 * begins at a place of its own.
 *
 * The codecs echo and rr share this; they differ in what an answer is. Sizes
 * that are drawn follow from the place of a request on its connection, so the
 * reader of the answers finds them again.
 */
#ifndef WEIR_LOAD_CODEC_PAYLOAD_H
#define WEIR_LOAD_CODEC_PAYLOAD_H

#include "codec.h"
#include "tools/load/payload.h"

struct codec_payload {
    struct sizes send;
    struct sizes recv;
    /* Requests begin with their sizes; mode rr alone. */
    bool has_heads;
    uint64_t seed;
    struct payload stream;
};

/* Where a connection stands. */
struct codec_place {
    /* In the payload stream: of the next request. */
    uint32_t send_at;
    /* The random number of its sizes, and requests and answers until now. */
    uint64_t random;
    uint64_t sent_count;
    uint64_t answered_count;
};

/* codec.open and codec.close of both. */
int codec_payload_open(const struct codec_thread *thread, void **ret_shared);
void codec_payload_close(void *shared);

/* The place where a connection begins. */
struct codec_place codec_payload_begin(const struct codec_payload *shared,
                                       const struct codec_start *start);

/* Write a batch from the place where a connection stands, which moves on. */
int codec_payload_append(const struct codec_payload *shared,
                         struct codec_place *place,
                         const struct codec_batch *batch,
                         struct codec_out *out);

/* The sizes of the connection's request with a number, and of its answer. */
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
