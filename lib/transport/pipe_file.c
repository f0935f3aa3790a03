/*
 * Pipes: sending a file.
 *
 * A file passes through the send queue, where the copier puts it (copier.h),
 * and from there goes the way of everything that is written.
 */
#include "pipe_impl.h"

/* A close that has begun must not come to a clean end without the rest. */
static void pipe_file_ended(weir_transport *t, int err)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_assert(p->copier);
    p->copier = NULL;
    if (err < 0 && p->state == WR_PIPE_CLOSING && t->error == 0) {
        wr_transport_set_error(t, err, "sendfile");
    }
    wr_pipe_push_step(p);
}

int wr_pipe_sendfile(weir_transport *t, const struct wr_sendfile *file)
{
    static const struct wr_copier_ops ops = {.queue = wr_pipe_queue_file,
                                             .ended = pipe_file_ended,
                                             .part_bytes = WR_SENDFILE_READ};
    struct wr_pipe *p = wr_pipe_of(t);
    const int err = wr_pipe_write(t, NULL, 0); /* looks at the state alone */

    wr_require(err == 0, err);
    wr_require(p->state == WR_PIPE_OPEN, -ESHUTDOWN);
    p->copier = wr_copier_new(t, file, &ops, &p->sendq);
    wr_require(p->copier, -ENOMEM);
    wr_pipe_write_later(p);
    return 0;
}

void wr_pipe_cancel_sendfile(weir_transport *t)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    if (p->copier) {
        wr_copier_cancel(p->copier);
    }
}
