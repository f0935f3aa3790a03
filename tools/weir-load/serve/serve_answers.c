/*
 * Sends the responses of a connection when they are due. A timer waits for the
 * first one. Responses that are due are sent at once, so a server without
 * service time needs no timer. While the peer does not read, or if too many
 * responses wait, reading stops.
 */
#include "serve_answers.h"

#include "weir/buffer.h"
#include "weir/loop.h"
#include "weir/transport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of pending responses at which reading stops and continues. */
#define WAITING_HIGH 4096U
#define WAITING_LOW  1024U

/* Limit of the send queue. It exceeds the largest response plus the bytes that
 * may be queued before it. */
#define HARD_LIMIT_BYTES (UINT64_C(256) << 20)

/* First capacity of the ring; a power of two. */
#define RING_FIRST 16U

static int grow(struct answers *answers)
{
    const uint32_t capacity =
        answers->capacity > 0 ? answers->capacity * 2 : RING_FIRST;
    struct answer *ring = malloc(capacity * sizeof(*ring));

    if (!ring) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < answers->count; i++) {
        ring[i] = answers->ring[(answers->head + i) & (answers->capacity - 1)];
    }
    free(answers->ring);
    answers->ring = ring;
    answers->capacity = capacity;
    answers->head = 0;
    return 0;
}

static struct answer *first_of(struct answers *answers)
{
    return &answers->ring[answers->head & (answers->capacity - 1)];
}

static int push(struct answers *answers, const struct answer *answer)
{
    if (answers->count == answers->capacity) {
        const int err = grow(answers);
        if (err < 0) {
            return err;
        }
    }
    answers->ring[(answers->head + answers->count) & (answers->capacity - 1)] =
        *answer;
    answers->count++;
    return 0;
}

static void pop(struct answers *answers)
{
    weir_buf_unref(first_of(answers)->piece.lease);
    answers->head++;
    answers->count--;
}

static void drop_all(struct answers *answers)
{
    while (answers->count > 0) {
        pop(answers);
    }
}

static void pace_reading(struct answers *answers)
{
    if (answers->count >= WAITING_HIGH) {
        answers->is_full = true;
    } else if (answers->count <= WAITING_LOW) {
        answers->is_full = false;
    }
    if (answers->is_full || answers->writing_paused) {
        weir_transport_pause_reading(answers->transport);
    } else {
        weir_transport_resume_reading(answers->transport);
    }
}

int answers_write_text(struct answers *answers, uint64_t len)
{
    size_t size = 0;
    const char *text = mode_chargen_text(&size);
    uint64_t left = len;
    int err = 0;

    while (left > 0 && err == 0) {
        const size_t part = left < size ? (size_t)left : size;
        err = weir_transport_write_ref(answers->transport, text, part, NULL,
                                       NULL);
        left -= part;
    }
    return err;
}

static void on_due(void *arg);

/* Starts the timer, unless writing is paused. */
static int wait_for_first(struct answers *answers)
{
    const bool is_armed =
        answers->timer.index != 0 || answers->timer.generation != 0;

    if (is_armed || answers->count == 0 || answers->writing_paused) {
        return 0;
    }
    return weir_loop_call_at(weir_transport_get_loop(answers->transport),
                             first_of(answers)->due_ns, on_due, answers,
                             &answers->timer);
}

static int send_due(struct answers *answers)
{
    const uint64_t now_ns =
        weir_loop_get_time(weir_transport_get_loop(answers->transport));
    int err = 0;

    while (answers->count > 0 && err == 0 && !answers->writing_paused &&
           first_of(answers)->due_ns <= now_ns) {
        const bool is_last = first_of(answers)->closes;
        err = mode_judge_write(answers->write(answers, first_of(answers)));
        pop(answers);
        if (is_last) {
            drop_all(answers);
            answers->has_ended = true;
        }
    }
    return err < 0 ? err : wait_for_first(answers);
}

void answers_send(struct answers *answers)
{
    if (weir_transport_is_closing(answers->transport)) {
        return; /* connection_lost follows */
    }
    if (send_due(answers) < 0) {
        weir_transport_abort(answers->transport);
    } else if (answers->has_ended && answers->count == 0) {
        weir_transport_close(answers->transport);
    } else {
        pace_reading(answers);
    }
}

static void on_due(void *arg)
{
    struct answers *answers = arg;

    answers->timer = (struct weir_handle){0};
    answers_send(answers);
}

int answers_add(struct answers *answers, const struct answer *answer,
                uint64_t extra_ns)
{
    const uint64_t now_ns =
        weir_loop_get_time(weir_transport_get_loop(answers->transport));
    struct answer added = *answer;

    added.due_ns = pace_take(&answers->counts->pace, now_ns, extra_ns);
    const int err = push(answers, &added);
    if (err < 0) {
        weir_buf_unref(answer->piece.lease);
    }
    return err;
}

int answers_end_of_stream(void *user, weir_transport *t)
{
    struct answers *answers = user;

    answers->has_ended = true;
    return answers->count > 0;
}

void answers_made(void *user, weir_transport *t)
{
    struct answers *answers = user;

    answers->transport = t;
    weir_transport_set_write_hard_limit(t, HARD_LIMIT_BYTES);
    mode_count_opened(answers->counts, t);
}

void answers_lost(void *user, weir_transport *t, int err)
{
    struct answers *answers = user;

    weir_handle_cancel(weir_transport_get_loop(t), answers->timer);
    answers->counts->open_now--;
    answers->counts->broken += err < 0;
    drop_all(answers);
    free(answers->ring);
    free(answers);
}

void answers_pause(void *user, weir_transport *t)
{
    struct answers *answers = user;

    answers->writing_paused = true;
    pace_reading(answers);
}

void answers_resume(void *user, weir_transport *t)
{
    struct answers *answers = user;

    answers->writing_paused = false;
    answers_send(answers);
}
