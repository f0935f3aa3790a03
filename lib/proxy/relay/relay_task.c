/*
 * Runs a relay in a task, between the connections of two streams.
 *
 * Unread bytes of the readers become initial bytes, and the streams leave their
 * connections when the relay has taken them over. If the task is interrupted,
 * it aborts the relay and waits for its end, because struct relaying is on the
 * task's stack.
 */
#include "relay.h"

struct relaying {
    struct wr_waiter waiter;
    weir_pending *pending;
    struct weir_relay_record *ret; /* may be NULL */
};

static void relay_task_done(void *arg, int err,
                            const struct weir_relay_record *record)
{
    struct relaying *relaying = arg;

    wr_assert(relaying->pending && err <= 0);
    if (relaying->ret) {
        wr_answer_write(relaying->ret, record, sizeof(*record));
    }
    wr_waiter_wake(&relaying->waiter, err);
}

static void relay_task_give_up(struct wr_waiter *waiter)
{
    struct relaying *relaying =
        wr_container_of(waiter, struct relaying, waiter);

    wr_assert(relaying->pending);
    relaying->pending->give_up(relaying->pending); /* done follows */
}

static const struct wr_wait_kind relay_task_kind = {
    .name = "relay", .interrupt = relay_task_give_up};

static int relay_task_begin(weir_writer *const writers[2],
                            const struct weir_relay_options *options,
                            struct relaying *relaying)
{
    struct weir_relay_options known;
    struct weir_buf unread[2];

    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(known.a_initial_count == 0 && known.b_initial_count == 0,
               -EINVAL);
    known.size = sizeof(known);
    for (int i = 0; i < 2; i++) {
        err = wr_stream_gather(writers[i], &unread[i]);
        wr_require(err >= 0, err);
    }
    known.a_initial = &unread[0];
    known.a_initial_count = 1;
    known.b_initial = &unread[1];
    known.b_initial_count = known.a_initial_count;
    wr_assert(!relaying->pending);
    return weir_relay(writers[0]->transport, writers[1]->transport, &known,
                      relay_task_done, relaying, &relaying->pending);
}

static int relay_task_run(weir_writer *const writers[2],
                          const struct weir_relay_options *options,
                          struct relaying *relaying)
{
    weir_loop *loop = writers[0]->loop;

    for (int i = 0; i < 2; i++) {
        const int err = wr_stream_may_leave(writers[i]);
        wr_require(err >= 0, err);
    }
    const int err = relay_task_begin(writers, options, relaying);
    for (int i = 0; i < 2; i++) {
        if (err < 0) {
            wr_reader_note_left(&writers[i]->reader);
        } else {
            wr_stream_leave(writers[i]);
        }
    }
    wr_require(err >= 0, err);
    wr_assert(relaying->pending);
    return wr_task_wait(loop, &relaying->waiter, NULL);
}

int weir_writer_relay(weir_writer *a, weir_writer *b,
                      const struct weir_relay_options *options,
                      struct weir_relay_record *ret)
{
    weir_writer *const writers[2] = {a, b};
    struct relaying relaying = {.waiter = {.kind = &relay_task_kind},
                                .ret = ret};

    int err = wr_task_enter(a->loop);
    wr_require(err >= 0, err);
    wr_require(a != b && a->loop == b->loop, -EINVAL);
    if (ret) {
        err = wr_answer_check(ret);
        wr_require(err >= 0, err);
    }
    /* Another task may drop the last other reference meanwhile. */
    weir_writer_ref(a);
    weir_writer_ref(b);
    err = relay_task_run(writers, options, &relaying);
    weir_writer_unref(a);
    weir_writer_unref(b);
    return err;
}
