/*
 * The modes echo, rr and sized of a server that delays its responses.
 * serve_answers.c decides when they are sent.
 *
 * In mode echo a response is the received bytes, kept by their lease. The lease
 * counts towards the connection's limit, and at this limit the connection stops
 * receiving. In modes rr and sized a response is a number of bytes. In mode
 * sized the request contains this number.
 */
#include "serve_answers.h"

#include "tools/weir-load/options/options.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct paced {
    struct answers answers;
    /* Bytes received of an incomplete request. */
    uint64_t partial_bytes;
    /* Mode sized: the first bytes of a request. */
    uint32_t head[2];
};

_Static_assert(sizeof(((struct paced *)0)->head) == OPTIONS_HEAD_SIZE,
               "two numbers of 4 bytes");

static int write_piece(struct answers *answers, const struct answer *answer)
{
    const struct weir_buf *piece = &answer->piece;

    return piece->len >= ECHO_REFERENCE_MIN
               ? weir_transport_write_buf(answers->transport, piece)
               : weir_transport_write(answers->transport, piece->data,
                                      piece->len);
}

static int echo_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct answers *answers = user;
    struct answer answer = {.piece = *buf};

    answers->counts->received_bytes += buf->len;
    int err = weir_buf_ref(&answer.piece);
    if (err == 0) {
        err = answers_add(answers, &answer, 0);
    }
    if (err == 0) {
        answers_send(answers);
    }
    return err;
}

static int write_bytes(struct answers *answers, const struct answer *answer)
{
    return answers_write_text(answers, answer->size_bytes);
}

static int rr_received(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    struct paced *paced = user;
    struct answers *answers = &paced->answers;
    const struct mode_settings *settings = answers->counts->settings;
    const struct answer answer = {.size_bytes = settings->answer.most};
    int err = 0;

    answers->counts->received_bytes += buf->len;
    paced->partial_bytes += buf->len;
    while (paced->partial_bytes >= settings->request.most && err == 0) {
        paced->partial_bytes -= settings->request.most;
        err = answers_add(answers, &answer, 0);
    }
    if (err == 0) {
        answers_send(answers);
    }
    return err;
}

/* Copies bytes of the request's head, which may arrive in pieces. Returns their
 * number. */
static size_t take_head(struct paced *paced, const struct weir_buf *buf,
                        size_t used)
{
    const size_t missing = OPTIONS_HEAD_SIZE - (size_t)paced->partial_bytes;
    const size_t left = buf->len - used;
    const size_t part = left < missing ? left : missing;

    memcpy((uint8_t *)paced->head + paced->partial_bytes, buf->data + used,
           part);
    return part;
}

/* Adds the response when the request is complete. */
static int end_request(struct paced *paced)
{
    const uint32_t size = be32toh(paced->head[0]);
    const struct answer answer = {.size_bytes = be32toh(paced->head[1])};

    if (size < OPTIONS_HEAD_SIZE || size > SIZES_MAX ||
        answer.size_bytes > SIZES_MAX) {
        return -EPROTO;
    }
    if (paced->partial_bytes < size) {
        return 0;
    }
    paced->partial_bytes = 0;
    return answers_add(&paced->answers, &answer, 0);
}

static size_t take_body(const struct paced *paced, size_t left)
{
    const uint64_t missing = be32toh(paced->head[0]) - paced->partial_bytes;

    return left < missing ? left : (size_t)missing;
}

static int sized_received(void *user, weir_transport *t,
                          const struct weir_buf *buf)
{
    struct paced *paced = user;
    size_t used = 0;
    int err = 0;

    paced->answers.counts->received_bytes += buf->len;
    while (used < buf->len && err == 0) {
        const size_t part = paced->partial_bytes < OPTIONS_HEAD_SIZE
                                ? take_head(paced, buf, used)
                                : take_body(paced, buf->len - used);
        used += part;
        paced->partial_bytes += part;
        if (paced->partial_bytes >= OPTIONS_HEAD_SIZE) {
            err = end_request(paced);
        }
    }
    if (err == -EPROTO) {
        weir_transport_abort(t); /* the peer sent an invalid head */
        return 0;
    }
    if (err == 0) {
        answers_send(&paced->answers);
    }
    return err;
}

#define PACED(received)                                                        \
    {                                                                          \
        .size = sizeof(struct weir_protocol), .kind = WEIR_PROTOCOL_STREAM,    \
        .connection_made = answers_made, .connection_lost = answers_lost,      \
        .pause_writing = answers_pause, .resume_writing = answers_resume,      \
        .data_received = (received), .eof_received = answers_end_of_stream,    \
    }

static const struct weir_protocol echo_protocol = PACED(echo_received);
static const struct weir_protocol rr_protocol = PACED(rr_received);
static const struct weir_protocol sized_protocol = PACED(sized_received);

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct mode_counts *counts = arg;
    struct paced *paced = calloc(1, sizeof(*paced));

    if (!paced) {
        return -ENOMEM;
    }
    paced->answers.counts = counts;
    paced->answers.write = counts->mode->write;
    *ret = (struct weir_protocol_binding){counts->mode->protocol, paced};
    return 0;
}

const struct mode modes_paced[] = {
    {"echo", create, &echo_protocol, write_piece},
    {"rr", create, &rr_protocol, write_bytes},
    {"sized", create, &sized_protocol, write_bytes},
    {"http", serve_http_create, &serve_http_protocol, serve_http_write},
    {NULL, NULL, NULL, NULL},
};
