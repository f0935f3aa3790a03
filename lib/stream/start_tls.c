/*
 * start_tls of a transport or a stream, from a task that waits for the end of
 * the handshake. If the task is interrupted, it aborts the connection and waits
 * for its end, because struct starting is on the task's stack. A stream moves
 * to the new transport before its task suspends. From then on buffered and
 * arriving bytes go to TLS, so a task that reads during the handshake gets only
 * plaintext.
 */
#include "weir/start_tls.h"
#include "weir/tls_connection.h"

#include "lib/base/options.h"
#include "writer.h"

struct starting {
    struct wr_waiter waiter;
    weir_transport *t;
};

static void start_tls_done(void *arg, int err, weir_transport *t)
{
    struct starting *starting = arg;

    wr_assert(starting->t == t);
    wr_assert(err <= 0);
    wr_waiter_wake(&starting->waiter, err);
}

static void start_tls_give_up(struct wr_waiter *waiter)
{
    struct starting *starting =
        wr_container_of(waiter, struct starting, waiter);

    wr_assert(starting->t != NULL);
    starting->t->ops->abort(starting->t); /* done follows */
}

static const struct wr_wait_kind start_tls_kind = {
    .name = "start_tls", .interrupt = start_tls_give_up};

/* start_tls_wait() must follow. */
static int start_tls_begin(struct starting *starting, weir_transport *t,
                           const struct weir_tls_settings *tls,
                           const struct weir_start_tls_options *options)
{
    starting->waiter.kind = &start_tls_kind;
    return weir_transport_start_tls(t, tls, options, start_tls_done, starting,
                                    &starting->t);
}

static int start_tls_wait(struct starting *starting)
{
    weir_loop *loop = starting->t->loop;

    wr_assert(starting->waiter.kind == &start_tls_kind);
    return wr_task_wait(loop, &starting->waiter, NULL);
}

int weir_start_tls(weir_transport *t, const struct weir_tls_settings *tls,
                   const struct weir_start_tls_options *options,
                   weir_transport **ret)
{
    struct starting starting = {.t = NULL};

    int err = wr_task_enter(t->loop);
    wr_require(err >= 0, err);
    wr_require(ret, -EINVAL);
    err = start_tls_begin(&starting, t, tls, options);
    wr_require(err >= 0, err);
    err = start_tls_wait(&starting);
    wr_require(err >= 0, err);
    *ret = starting.t;
    return 0;
}

/* Moves the stream to @t, which has taken the reader's unread bytes. */
static void start_tls_move(weir_writer *writer, weir_transport *t)
{
    weir_reader *reader = &writer->reader;
    weir_transport *old = writer->transport;

    wr_assert(t != old);
    wr_reader_discard(reader);
    wr_assert(!reader->is_paused);
    wr_budget_withdraw(&reader->evictable);
    reader->transport = t;
    writer->transport = weir_transport_ref(t);
    wr_transport_unref(old);
    wr_writer_check_invariants(writer);
}

static int start_tls_begin_of(weir_writer *writer, struct starting *starting,
                              const struct weir_tls_settings *tls)
{
    weir_reader *reader = &writer->reader;
    struct weir_buf unread;

    wr_require(writer->state == WRITER_BOUND, -ESHUTDOWN);
    wr_require(!wr_reader_is_busy(reader), -EBUSY);
    int err = wr_reader_gather(reader, &unread);
    wr_require(err >= 0, err);
    const struct weir_start_tls_options options = {
        .size = sizeof(options), .initial = &unread, .initial_count = 1};
    /* TLS takes the unread bytes, which may have paused the transport. */
    wr_reader_resume(reader);
    err = start_tls_begin(starting, writer->transport, tls, &options);
    if (err < 0) {
        /* The bytes stay queued, and may pause the transport again. */
        wr_reader_note_left(reader);
        return err;
    }
    start_tls_move(writer, starting->t);
    return 0;
}

int weir_writer_start_tls(weir_writer *writer,
                          const struct weir_tls_settings *tls)
{
    struct starting starting = {.t = NULL};

    int err = wr_loop_check(writer->loop);
    wr_require(err >= 0, err);
    wr_require(writer->transport, -ENOTCONN);
    wr_writer_check_invariants(writer);
    /* Another task may drop the last other reference meanwhile. */
    weir_writer_ref(writer);
    err = weir_writer_drain(writer);
    if (err >= 0) {
        err = start_tls_begin_of(writer, &starting, tls);
    }
    if (err >= 0) {
        err = start_tls_wait(&starting);
    }
    weir_writer_unref(writer);
    return err;
}
