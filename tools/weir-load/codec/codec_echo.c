/*
 * The answer is the request, byte for byte. Bytes are compared in the
 * receive buffer, and the first wrong one is reported with its
 * position.
 */
#include "codec.h"

#include <stdio.h>

struct echo {
    struct codec_place place;
    uint32_t conn_index;
    /* Offset in the payload stream of the next byte to receive. */
    uint32_t receive_at;
    size_t partial_bytes;
    uint64_t received_bytes;
};

static void begin(void *shared, void *state, const struct codec_start *start)
{
    struct echo *echo = state;
    const struct codec_place place = codec_payload_begin(shared, start);

    *echo = (struct echo){
        .conn_index = start->conn_index,
        .place = place,
        .receive_at = place.send_at,
    };
}

static void tell_wrong_byte(const struct codec_payload *payload,
                            const struct echo *echo, const uint8_t *bytes,
                            size_t len, size_t good, char *detail)
{
    static const char http[] = "HTTP/";
    uint32_t at = payload_after(echo->receive_at, good);

    if (echo->received_bytes == 0 && len >= sizeof(http) - 1 &&
        memcmp(bytes, http, sizeof(http) - 1) == 0) {
        snprintf(detail, ERRORS_DETAIL_SIZE,
                 "connection %u: the answer is one of HTTP; write http:// or "
                 "https:// for the target, or --mode http",
                 echo->conn_index);
        return;
    }

    snprintf(detail, ERRORS_DETAIL_SIZE,
             "connection %u, byte %llu of the answers: 0x%02x where 0x%02x "
             "was sent",
             echo->conn_index, LLU(echo->received_bytes + good), bytes[good],
             payload->stream.bytes[at]);
}

static ssize_t consume(void *shared, void *state, const uint8_t *bytes,
                       size_t len, struct codec_answer *answer)
{
    const struct codec_payload *payload = shared;
    struct echo *echo = state;
    const size_t size = codec_payload_send_size(payload, &echo->place,
                                                echo->place.answered_count);
    const size_t missing = size - echo->partial_bytes;

    len = len < missing ? len : missing;
    size_t good = payload_match(&payload->stream, echo->receive_at, bytes, len);
    if (good < len) {
        tell_wrong_byte(payload, echo, bytes, len, good, answer->detail);
        return ERROR_WRONG_ECHO;
    }
    echo->receive_at = payload_after(echo->receive_at, len);
    echo->received_bytes += len;
    answer->is_complete = len == missing;
    echo->place.answered_count += answer->is_complete;
    echo->partial_bytes = len == missing ? 0 : echo->partial_bytes + len;
    return (ssize_t)len;
}

const struct codec codec_echo = {
    .name = "echo",
    .state_size = sizeof(struct echo),
    .open = codec_payload_open,
    .close = codec_payload_close,
    .begin = begin,
    .append = codec_payload_append,
    .consume = consume,
};
