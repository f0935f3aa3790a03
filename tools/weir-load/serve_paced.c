/*
 * Answers wait in a ring of the connection until they are due; one timer waits
 * for the first of them. An answer of echo is the piece that was received, kept
 * by its lease and charged to the connection, which so receives no more than
 * its limit. An answer of rr is a number of bytes that are sent by reference;
 * too many of them pause reading.
 *
 * Answers of a connection leave in order. A peer that has sent its last byte
 * gets what waits, then the connection is closed.
 */
#include "serve_paced.h"

#include "serve_pace.h"

#include "weir/buffer.h"
#include "weir/loop.h"
#include "weir/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Answers of rr that wait: reading pauses and resumes. */
#define WAITING_HIGH 4096U
#define WAITING_LOW  1024U

/* More than the largest answer, and what the marks let through before. */
#define HARD_LIMIT_BYTES (UINT64_C(256) << 20)

/* The ring's first size; a power of two. */
#define RING_FIRST 16U

/* An answer that waits. */
struct answer {
    uint64_t due_ns;
    struct weir_buf piece; /* of echo; without a lease for rr */
};

struct paced {
    struct mode_counts *counts;
    weir_transport *transport;
    /* A ring of a power of two, oldest at head. */
    struct answer *answers;
    uint32_t capacity;
    uint32_t head;
    uint32_t count;
    struct weir_handle timer;
    /* Bytes of a request of rr that is not complete. */
    uint64_t partial_bytes;
    /* Set when the ring holds too many, cleared when few are left. */
    bool is_full;
    /* Set by pause_writing, cleared by resume_writing. */
    bool writing_paused;
    /* The peer has sent its last byte. */
    bool has_ended;
};

/* ---- the ring ---- */

static int grow(struct paced *paced)
{
    const uint32_t capacity =
        paced->capacity > 0 ? paced->capacity * 2 : RING_FIRST;
    struct answer *answers = malloc(capacity * sizeof(*answers));

    if (!answers) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < paced->count; i++) {
        answers[i] = paced->answers[(paced->head + i) & (paced->capacity - 1)];
    }
    free(paced->answers);
    paced->answers = answers;
    paced->capacity = capacity;
    paced->head = 0;
    return 0;
}

static struct answer *first_of(struct paced *paced)
{
    return &paced->answers[paced->head & (paced->capacity - 1)];
}

static int push(struct paced *paced, uint64_t due_ns,
                const struct weir_buf *piece)
{
    if (paced->count == paced->capacity) {
        const int err = grow(paced);
        if (err < 0) {
            return err;
        }
    }
    const uint32_t at = (paced->head + paced->count) & (paced->capacity - 1);
    paced->answers[at] = (struct answer){due_ns, *piece};
    paced->count++;
    return 0;
}

static void pop(struct paced *paced)
{
    weir_lease_unref(first_of(paced)->piece.lease);
    paced->head++;
    paced->count--;
}

/* ---- sending ---- */

static void pace_reading(struct paced *paced)
{
    if (paced->count >= WAITING_HIGH) {
        paced->is_full = true;
    } else if (paced->count <= WAITING_LOW) {
        paced->is_full = false;
    }
    if (paced->is_full || paced->writing_paused) {
        weir_transport_pause_reading(paced->transport);
    } else {
        weir_transport_resume_reading(paced->transport);
    }
}

/* The bytes of one answer of rr. */
static int write_text(struct paced *paced)
{
    size_t size = 0;
    const char *text = mode_chargen_text(&size);
    uint64_t left = paced->counts->settings->answer_bytes;
    int err = 0;

    while (left > 0 && err == 0) {
        const size_t len = left < size ? (size_t)left : size;
        err = weir_transport_write_ref(paced->transport, text, len, NULL, NULL);
        left -= len;
    }
    return err;
}

static int write_answer(struct paced *paced, const struct weir_buf *piece)
{
    if (!piece->lease) {
        return write_text(paced);
    }
    return piece->len >= ECHO_REFERENCE_MIN
               ? weir_transport_write_buf(paced->transport, piece)
               : weir_transport_write(paced->transport, piece->data,
                                      piece->len);
}

static void on_due(void *arg);

/* The timer waits for the first answer, where one waits for its time alone. */
static int wait_for_first(struct paced *paced)
{
    const bool is_armed =
        paced->timer.index != 0 || paced->timer.generation != 0;

    if (paced->count == 0 || paced->writing_paused || is_armed) {
        return 0;
    }
    return weir_loop_call_at(weir_transport_get_loop(paced->transport),
                             first_of(paced)->due_ns, on_due, paced,
                             &paced->timer);
}

static int send_due(struct paced *paced)
{
    const uint64_t now_ns =
        weir_loop_get_time(weir_transport_get_loop(paced->transport));
    int err = 0;

    while (paced->count > 0 && err == 0 && !paced->writing_paused &&
           first_of(paced)->due_ns <= now_ns) {
        err = mode_judge_write(write_answer(paced, &first_of(paced)->piece));
        pop(paced);
    }
    return err < 0 ? err : wait_for_first(paced);
}

static void send_and_go_on(struct paced *paced)
{
    if (weir_transport_is_closing(paced->transport)) {
        return; /* connection_lost is to come */
    }
    if (send_due(paced) < 0) {
        weir_transport_abort(paced->transport);
    } else if (paced->has_ended && paced->count == 0) {
        weir_transport_close(paced->transport);
    } else {
        pace_reading(paced);
    }
}

static void on_due(void *arg)
{
    struct paced *paced = arg;

    paced->timer = (struct weir_handle){0};
    send_and_go_on(paced);
}

/* ---- receiving ---- */

/* One more answer; the piece's lease is the ring's then. */
static int add_answer(struct paced *paced, const struct weir_buf *piece)
{
    const uint64_t now_ns =
        weir_loop_get_time(weir_transport_get_loop(paced->transport));
    const uint64_t due_ns = pace_take(&paced->counts->pace, now_ns, 0);

    const int err = push(paced, due_ns, piece);
    if (err < 0) {
        weir_lease_unref(piece->lease);
        return err;
    }
    return wait_for_first(paced);
}

static int echo_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct paced *paced = user;
    struct weir_buf piece = *buf;

    (void)t;
    paced->counts->received_bytes += buf->len;
    int err = weir_buf_keep(&piece);
    if (err == 0) {
        err = add_answer(paced, &piece);
    }
    if (err == 0) {
        pace_reading(paced);
    }
    return err;
}

static int rr_received(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    static const struct weir_buf no_piece;
    struct paced *paced = user;
    const uint64_t size = paced->counts->settings->request_bytes;
    int err = 0;

    (void)t;
    paced->counts->received_bytes += buf->len;
    paced->partial_bytes += buf->len;
    while (paced->partial_bytes >= size && err == 0) {
        paced->partial_bytes -= size;
        err = add_answer(paced, &no_piece);
    }
    if (err == 0) {
        pace_reading(paced);
    }
    return err;
}

static int eof_received(void *user, weir_transport *t)
{
    struct paced *paced = user;

    (void)t;
    paced->has_ended = true;
    return paced->count > 0;
}

/* ---- life ---- */

static void connection_made(void *user, weir_transport *t)
{
    struct paced *paced = user;

    paced->transport = t;
    weir_transport_set_write_hard_limit(t, HARD_LIMIT_BYTES);
    mode_count_opened(paced->counts, t);
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct paced *paced = user;

    weir_loop_cancel(weir_transport_get_loop(t), paced->timer);
    paced->counts->open_now--;
    paced->counts->broken += err < 0;
    while (paced->count > 0) {
        pop(paced);
    }
    free(paced->answers);
    free(paced);
}

static void pause_writing(void *user, weir_transport *t)
{
    struct paced *paced = user;

    (void)t;
    paced->writing_paused = true;
    pace_reading(paced);
}

static void resume_writing(void *user, weir_transport *t)
{
    struct paced *paced = user;

    (void)t;
    paced->writing_paused = false;
    send_and_go_on(paced);
}

#define PACED_PROTOCOL(received)                                               \
    {                                                                          \
        .size = sizeof(struct weir_protocol), .kind = WEIR_PROTOCOL_STREAM,    \
        .connection_made = connection_made,                                    \
        .connection_lost = connection_lost, .pause_writing = pause_writing,    \
        .resume_writing = resume_writing, .data_received = (received),         \
        .eof_received = eof_received                                           \
    }

static const struct weir_protocol echo_protocol = PACED_PROTOCOL(echo_received);
static const struct weir_protocol rr_protocol = PACED_PROTOCOL(rr_received);

static int create(struct mode_counts *counts,
                  const struct weir_protocol *protocol,
                  struct weir_protocol_binding *ret)
{
    struct paced *paced = calloc(1, sizeof(*paced));

    if (!paced) {
        return -ENOMEM;
    }
    paced->counts = counts;
    *ret = (struct weir_protocol_binding){protocol, paced};
    return 0;
}

static int create_echo(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    (void)t;
    return create(arg, &echo_protocol, ret);
}

static int create_rr(void *arg, weir_transport *t,
                     struct weir_protocol_binding *ret)
{
    (void)t;
    return create(arg, &rr_protocol, ret);
}

static const struct mode modes[] = {
    {"echo", create_echo},
    {"rr", create_rr},
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
