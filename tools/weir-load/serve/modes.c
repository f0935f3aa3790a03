/*
 * The modes echo, chargen and discard. Echo sends many bytes by reference to
 * the receive pool, and copies few bytes, which are then sent together. It does
 * not read while the peer does not. Chargen (RFC 864) repeats a text as fast as
 * the peer reads.
 *
 * After the peer's last byte, the remaining echo is sent and the connection is
 * closed.
 */
#include "modes.h"

#include "weir/transport.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* RFC 864: lines of 72 of 95 characters; each line starts one character
 * later. */
#define CHARGEN_FIRST ' '
#define CHARGEN_RANGE 95U
#define CHARGEN_WIDTH 72U
#define CHARGEN_LINE  (CHARGEN_WIDTH + 2)

/* All 95 lines, repeated so that a write is large enough. */
#define CHARGEN_REPEAT 9U
#define CHARGEN_SIZE   (CHARGEN_RANGE * CHARGEN_LINE * CHARGEN_REPEAT)

struct peer {
    struct mode_counts *counts;
    bool writing_paused;
};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct mode_counts *counts = arg;
    struct peer *peer = malloc(sizeof(*peer));

    if (!peer) {
        return -ENOMEM;
    }
    *peer = (struct peer){.counts = counts};
    *ret = (struct weir_protocol_binding){counts->mode->protocol, peer};
    return 0;
}

void mode_count_opened(struct mode_counts *counts, const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    counts->opened++;
    counts->open_now++;
    if (counts->have_tls &&
        weir_transport_get_extra_info(t, "tls_resumed", &info) >= 0) {
        counts->resumed_handshakes += info.number != 0;
        counts->full_handshakes += info.number == 0;
    }
}

static void connection_made(void *user, weir_transport *t)
{
    struct peer *peer = user;

    mode_count_opened(peer->counts, t);
}

static void connection_lost(void *user, weir_transport *t, int err)
{
    struct peer *peer = user;

    peer->counts->open_now--;
    peer->counts->broken += err < 0;
    free(peer);
}

static int eof_received(void *user, weir_transport *t)
{
    return 0;
}

int mode_judge_write(int err)
{
    return err == -EPIPE || err == -ESHUTDOWN ? 0 : err;
}

void mode_pause_echo(void *user, weir_transport *t)
{
    weir_transport_pause_reading(t);
}

void mode_resume_echo(void *user, weir_transport *t)
{
    weir_transport_resume_reading(t);
}

static void echo_made(void *user, weir_transport *t)
{
    connection_made(user, t);
    /* With the default marks bulk transfers would often pause. */
    weir_transport_set_write_buffer_limits(
        t, (struct weir_water_marks){.high_bytes = ECHO_HIGH_BYTES,
                                     .low_bytes = ECHO_LOW_BYTES});
}

static int echo_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    struct peer *peer = user;

    peer->counts->received_bytes += buf->len;
    if (buf->len >= ECHO_REFERENCE_MIN) {
        return mode_judge_write(weir_transport_write_buf(t, buf));
    }
    return mode_judge_write(weir_transport_write(t, buf->data, buf->len));
}

static const struct weir_protocol echo_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = echo_made,
    .connection_lost = connection_lost,
    .pause_writing = mode_pause_echo,
    .resume_writing = mode_resume_echo,
    .data_received = echo_received,
    .eof_received = eof_received,
};

static int discard_received(void *user, weir_transport *t,
                            const struct weir_buf *buf)
{
    struct peer *peer = user;

    peer->counts->received_bytes += buf->len;
    return 0;
}

static const struct weir_protocol discard_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = connection_made,
    .connection_lost = connection_lost,
    .data_received = discard_received,
    .eof_received = eof_received,
};

const char *mode_chargen_text(size_t *ret_len)
{
    static char text[CHARGEN_SIZE];
    char *at = text;

    *ret_len = sizeof(text);
    if (text[0] != '\0') {
        return text;
    }
    for (size_t line = 0; line < CHARGEN_RANGE * CHARGEN_REPEAT; line++) {
        for (size_t i = 0; i < CHARGEN_WIDTH; i++) {
            *at++ = (char)(CHARGEN_FIRST + (line + i) % CHARGEN_RANGE);
        }
        *at++ = '\r';
        *at++ = '\n';
    }
    return text;
}

static void chargen_send(struct peer *peer, weir_transport *t)
{
    size_t len = 0;
    const char *text = mode_chargen_text(&len);

    while (!peer->writing_paused) {
        int err = weir_transport_write_ref(t, text, len, NULL, NULL);
        if (err < 0) {
            break;
        }
    }
}

static void chargen_made(void *user, weir_transport *t)
{
    connection_made(user, t);
    chargen_send(user, t);
}

static void chargen_pause(void *user, weir_transport *t)
{
    struct peer *peer = user;

    peer->writing_paused = true;
}

static void chargen_resume(void *user, weir_transport *t)
{
    struct peer *peer = user;

    peer->writing_paused = false;
    if (!weir_transport_is_closing(t)) {
        chargen_send(peer, t);
    }
}

static const struct weir_protocol chargen_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = chargen_made,
    .connection_lost = connection_lost,
    .pause_writing = chargen_pause,
    .resume_writing = chargen_resume,
    .data_received = discard_received,
    .eof_received = eof_received,
};

const struct mode modes_plain[] = {
    {"echo", create, &echo_protocol, NULL},
    {"discard", create, &discard_protocol, NULL},
    {"chargen", create, &chargen_protocol, NULL},
    {NULL, NULL, NULL, NULL},
};
