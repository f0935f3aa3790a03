/*
 * Streams on the subject of a rig; see stream_side.h.
 *
 * The protocol is the recorder's, followed by a stream: it records each
 * callback, then passes it on.
 */
#include "tests/contract/stream_side.h"

static struct side sides[SIDE_COUNT];
weir_client_connected_fn *side_handler;

struct side *side_of(const struct rig *rig)
{
    for (int i = 0; i < SIDE_COUNT; i++) {
        if (sides[i].rig == rig) {
            return &sides[i];
        }
    }
    cr_assert_fail("a rig without a stream");
    abort();
}

static int side_run(void *arg, weir_reader *reader, weir_writer *writer)
{
    struct side *side = (struct side *)arg;
    side->result = side->handler(side, reader, writer);
    side->is_done = true;
    return 0;
}

static struct side *side_new(struct rig *rig)
{
    struct weir_stream_options options = {.size = sizeof(options)};
    for (int i = 0; i < SIDE_COUNT; i++) {
        struct side *side = &sides[i];
        if (!side->rig) {
            options.client_connected = side_handler ? side_run : NULL;
            options.arg = side;
            expect_ok(weir_stream_protocol_new(rig->loop, &options,
                                               &side->stream, &side->writer));
            side->rig = rig;
            side->handler = side_handler;
            side->reader = weir_writer_get_reader(side->writer);
            return side;
        }
    }
    cr_assert_fail("no more sides");
    abort();
}

static void side_made(void *user, weir_transport *t)
{
    struct rig *rig = (struct rig *)user;
    const struct side *side = side_new(rig);
    rig_protocol.connection_made(user, t);
    side->stream.protocol->connection_made(side->stream.user, t);
}

static void side_lost(void *user, weir_transport *t, int err)
{
    const struct side *side = side_of((struct rig *)user);
    side->stream.protocol->connection_lost(side->stream.user, t, err);
    rig_protocol.connection_lost(user, t, err);
}

static void side_resume(void *user, weir_transport *t)
{
    const struct side *side = side_of((struct rig *)user);
    rig_protocol.resume_writing(user, t);
    side->stream.protocol->resume_writing(side->stream.user, t);
}

static int side_received(void *user, weir_transport *t,
                         const struct weir_buf *buf)
{
    const struct side *side = side_of((struct rig *)user);
    expect_eq(rig_protocol.data_received(user, t, buf), 0);
    return side->stream.protocol->data_received(side->stream.user, t, buf);
}

static int side_eof(void *user, weir_transport *t)
{
    const struct side *side = side_of((struct rig *)user);
    rig_record((struct rig *)user, "eof");
    return side->stream.protocol->eof_received(side->stream.user, t);
}

CALLBACKS(side_protocol, STREAM, .connection_made = side_made,
          .connection_lost = side_lost, .resume_writing = side_resume,
          .data_received = side_received, .eof_received = side_eof);

bool side_next(struct rig *rig, weir_client_connected_fn *handler)
{
    if (rig->loop && rig->lost_count == 0) {
        expect_eq(weir_transport_abort(rig->t), 0);
        rig_wait_lost(rig);
    }
    for (int i = 0; i < SIDE_COUNT; i++) {
        weir_writer_unref(sides[i].writer);
    }
    memset(sides, 0, sizeof(sides));
    side_handler = handler;
    rig->protocol = &side_protocol;
    return rig_next(rig);
}

int side_wait(struct rig *rig)
{
    RUN_UNTIL(rig->loop, side_of(rig)->is_done);
    return side_of(rig)->result;
}
