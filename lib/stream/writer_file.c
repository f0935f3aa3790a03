/*
 * Sending a file from a task, which waits for the transport's done callback. An
 * interruption cancels the file, but the task continues to wait: the record of
 * the wait is on its stack, and only the callback gets the number of sent
 * bytes.
 */
#include "lib/transport/transport.h"
#include "weir/sendfile.h"
#include "writer.h"

struct writer_file_wait {
    struct wr_waiter waiter;
    weir_transport *t;
    int err;
    uint64_t sent;
};

static void writer_file_done(void *arg, weir_transport *t, int err,
                             uint64_t sent)
{
    struct writer_file_wait *wait = arg;
    const bool tells = err == -ECANCELED && wait->waiter.was_interrupted;

    wr_assert(wait->t == t);
    wr_assert(err <= 0);
    wait->err = err;
    wait->sent = sent;
    wr_waiter_wake(&wait->waiter, tells ? -ECANCELED : 0);
}

static void writer_file_interrupt(struct wr_waiter *waiter)
{
    struct writer_file_wait *wait =
        wr_container_of(waiter, struct writer_file_wait, waiter);

    wr_assert(wait->t->ops->cancel_sendfile);
    wait->t->ops->cancel_sendfile(wait->t); /* done follows */
}

static int64_t writer_file_send(struct writer_file_wait *wait, int fd,
                                uint64_t *offset, uint64_t count)
{
    int err = weir_transport_sendfile(wait->t, fd, *offset, count,
                                      writer_file_done, wait);
    if (err < 0) {
        return err;
    }
    err = wr_task_wait(wait->t->loop, &wait->waiter, NULL);
    wr_assert(err == 0 || wait->err == -ECANCELED);
    *offset += wait->sent;
    return wait->err < 0 ? wait->err : (int64_t)wait->sent;
}

int64_t weir_sendfile(weir_transport *t, int fd, uint64_t *offset,
                      uint64_t count)
{
    static const struct wr_wait_kind kind = {
        .name = "sendfile", .interrupt = writer_file_interrupt};
    struct writer_file_wait wait = {.waiter.kind = &kind, .t = t};
    int err = wr_task_enter(t->loop);
    if (err < 0) {
        return err;
    }
    wr_require(offset, -EINVAL);
    weir_transport_ref(t); /* the task may outlive the connection */
    const int64_t ret = writer_file_send(&wait, fd, offset, count);
    wr_transport_unref(t);
    return ret;
}

int64_t weir_writer_sendfile(weir_writer *writer, int fd, uint64_t *offset,
                             uint64_t count)
{
    int err = wr_loop_check(writer->loop);
    if (err < 0) {
        return err;
    }
    wr_require(writer->transport, -ENOTCONN);
    wr_writer_check_invariants(writer);
    /* Another task may drop the last other reference meanwhile. */
    weir_writer_ref(writer);
    const int64_t ret = weir_sendfile(writer->transport, fd, offset, count);
    weir_writer_unref(writer);
    return ret;
}
