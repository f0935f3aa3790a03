/*
 * An answer of echo is the piece that was received, kept by its lease and
 * charged to the connection, which so receives no more than its limit. An
 * answer of rr is a number of bytes that are sent by reference.
 *
 * When they leave is serve_answers.h's affair.
 */
#include "serve_paced.h"

#include "serve_answers.h"
#include "serve_http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct paced {
    struct answers answers;
    /* Bytes of a request of rr that is not complete. */
    uint64_t partial_bytes;
};

/* ---- echo ---- */

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

    (void)t;
    answers->counts->received_bytes += buf->len;
    int err = weir_buf_keep(&answer.piece);
    if (err == 0) {
        err = answers_add(answers, &answer, 0);
    }
    if (err == 0) {
        answers_send(answers);
    }
    return err;
}

/* ---- rr ---- */

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
    const struct answer answer = {.size_bytes = settings->answer_bytes};
    int err = 0;

    (void)t;
    answers->counts->received_bytes += buf->len;
    paced->partial_bytes += buf->len;
    while (paced->partial_bytes >= settings->request_bytes && err == 0) {
        paced->partial_bytes -= settings->request_bytes;
        err = answers_add(answers, &answer, 0);
    }
    if (err == 0) {
        answers_send(answers);
    }
    return err;
}

/* ---- the modes ---- */

static const struct weir_protocol echo_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = answers_made,
    .connection_lost = answers_lost,
    .pause_writing = answers_pause,
    .resume_writing = answers_resume,
    .data_received = echo_received,
    .eof_received = answers_end_of_stream,
};

static const struct weir_protocol rr_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = answers_made,
    .connection_lost = answers_lost,
    .pause_writing = answers_pause,
    .resume_writing = answers_resume,
    .data_received = rr_received,
    .eof_received = answers_end_of_stream,
};

static int create(struct mode_counts *counts,
                  const struct weir_protocol *protocol,
                  int (*write)(struct answers *, const struct answer *),
                  struct weir_protocol_binding *ret)
{
    struct paced *paced = calloc(1, sizeof(*paced));

    if (!paced) {
        return -ENOMEM;
    }
    paced->answers.counts = counts;
    paced->answers.write = write;
    *ret = (struct weir_protocol_binding){protocol, paced};
    return 0;
}

static int create_echo(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    (void)t;
    return create(arg, &echo_protocol, write_piece, ret);
}

static int create_rr(void *arg, weir_transport *t,
                     struct weir_protocol_binding *ret)
{
    (void)t;
    return create(arg, &rr_protocol, write_bytes, ret);
}

static const struct mode modes[] = {
    {"echo", create_echo},
    {"rr", create_rr},
    {"http", serve_http_create},
};

const struct mode *serve_paced_find(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return &modes[i];
        }
    }
    return NULL;
}
