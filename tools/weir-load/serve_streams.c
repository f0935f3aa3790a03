/*
 * Echo, discard and chargen as one writes them with streams: a loop that reads
 * and writes, and waits where the peer is slow.
 *
 * The factories return the protocol of a stream, so that listening, stopping
 * and accounting are those of the other interface. A handler stays until its
 * connection is over: then it can tell how it ended, as connection_lost does.
 */
#include "serve_streams.h"

#include "weir/stream.h"
#include "weir/task.h"
#include "weir/transport.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

/* Readers keep at most twice that, so bulk is not stopped at every receive. */
#define READER_LIMIT_BYTES (256 * 1024)

/* ---- what all modes share ---- */

static int create_stream(struct mode_counts *counts, weir_transport *t,
                         weir_client_connected_fn *serve,
                         struct weir_protocol_binding *ret)
{
    struct weir_stream_options options = {
        .size = sizeof(options),
        .limit_bytes = READER_LIMIT_BYTES,
        .client_connected = serve,
        .arg = counts,
    };

    return weir_stream_protocol_new(weir_transport_get_loop(t), &options, ret,
                                    NULL);
}

/*
 * Closes the connection, or aborts it after an error of ours, and waits for its
 * end. Returns that error, for the exception hook; how the peer ends its
 * connections is counted and no failure of the server.
 */
static int finish(struct mode_counts *counts, weir_writer *writer, int err)
{
    if (err < 0) {
        weir_writer_abort(writer);
    } else {
        weir_writer_close(writer);
    }
    bool broke =
        weir_writer_wait_closed(writer) < 0 &&
        weir_transport_get_error(weir_writer_get_transport(writer)) < 0;
    counts->open_now--;
    /* Cancelled is what a server's end makes of those that still serve. */
    counts->broken += (err < 0 && err != -ECANCELED) || broke;
    return err;
}

/* ---- echo ---- */

static int echo_piece(weir_writer *writer, const struct weir_buf *piece)
{
    if (piece->len >= ECHO_REFERENCE_MIN) {
        return weir_writer_write_buf(writer, piece);
    }
    return weir_writer_write(writer, piece->data, piece->len);
}

static int serve_echo(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct mode_counts *counts = arg;
    struct weir_buf piece;
    int err = 0;

    mode_count_opened(counts, weir_writer_get_transport(writer));
    /* The default marks would have bulk transfers stop and go. */
    weir_transport_set_write_buffer_limits(
        weir_writer_get_transport(writer),
        (struct weir_water_marks){.high_bytes = ECHO_HIGH_BYTES,
                                  .low_bytes = ECHO_LOW_BYTES});
    while (err == 0 && weir_reader_read_view(reader, SIZE_MAX, &piece) > 0) {
        counts->received_bytes += piece.len;
        err = mode_judge_write(echo_piece(writer, &piece));
        if (err == 0 && weir_writer_drain(writer) < 0) {
            break;
        }
    }
    return finish(counts, writer, err);
}

static int create_echo(void *arg, weir_transport *t,
                       struct weir_protocol_binding *ret)
{
    return create_stream(arg, t, serve_echo, ret);
}

/* ---- discard ---- */

static void discard_all(struct mode_counts *counts, weir_reader *reader)
{
    struct weir_buf piece;

    while (weir_reader_read_view(reader, SIZE_MAX, &piece) > 0) {
        counts->received_bytes += piece.len;
    }
}

static int serve_discard(void *arg, weir_reader *reader, weir_writer *writer)
{
    mode_count_opened(arg, weir_writer_get_transport(writer));
    discard_all(arg, reader);
    return finish(arg, writer, 0);
}

static int create_discard(void *arg, weir_transport *t,
                          struct weir_protocol_binding *ret)
{
    return create_stream(arg, t, serve_discard, ret);
}

/* ---- chargen ---- */

struct chargen {
    struct mode_counts *counts;
    weir_reader *reader;
    weir_writer *writer;
};

/* What the client sends is forgotten; its end of stream is the end. */
static int chargen_listen(weir_loop *loop, void *arg)
{
    struct chargen *chargen = arg;

    (void)loop;
    discard_all(chargen->counts, chargen->reader);
    weir_writer_close(chargen->writer);
    return 0;
}

static int chargen_send(weir_writer *writer)
{
    size_t len = 0;
    const char *text = mode_chargen_text(&len);
    int err;

    do {
        err = weir_writer_write_ref(writer, text, len, NULL, NULL);
    } while (err == 0 && weir_writer_drain(writer) == 0);
    return mode_judge_write(err);
}

static int serve_chargen(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct chargen chargen = {arg, reader, writer};
    struct weir_task_group group;

    mode_count_opened(arg, weir_writer_get_transport(writer));
    int err = weir_task_group_begin(weir_writer_get_loop(writer), &group);
    if (err == 0) {
        err =
            weir_task_group_spawn(&group, chargen_listen, &chargen, NULL, NULL);
        if (err == 0) {
            err = chargen_send(writer);
        }
        weir_task_group_cancel(&group);
        err = weir_task_group_end(&group, err);
    }
    return finish(arg, writer, err);
}

static int create_chargen(void *arg, weir_transport *t,
                          struct weir_protocol_binding *ret)
{
    return create_stream(arg, t, serve_chargen, ret);
}

/* ---- by name ---- */

static const struct mode modes[] = {
    {"echo", create_echo},
    {"discard", create_discard},
    {"chargen", create_chargen},
};

const struct mode *serve_streams_find(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, name) == 0) {
            return &modes[i];
        }
    }
    return NULL;
}
