/*
 * TLS filters: sending a file.
 *
 * A file passes through the queue of written bytes, where the copier puts it
 * (lib/transport/copier.h), and is sealed from the blocks that it is read into.
 * Records are as large as they can be, so a part is a whole number of them.
 */
#include "filter_impl.h"

#define PART_BYTES (4u * WR_TLS_RECORD_MAX)

_Static_assert(PART_BYTES <= WR_SENDFILE_READ, "a part fits into a block");

/* A close that has begun must not come to a clean end without the rest. */
static void filter_file_ended(weir_transport *t, int err)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_assert(f->copier);
    f->copier = NULL;
    if (err < 0 && f->state == WR_FILTER_CLOSING && t->error == 0) {
        t->has_dropped = true;
        wr_transport_set_error(t, err, "sendfile");
        wr_filter_doom(t);
    }
    if (!wr_filter_is_over(f)) { /* the loss may come in this turn */
        wr_filter_seal_later(f); /* the close_notify may have waited for it */
    }
    wr_filter_push_step(f);
}

int wr_filter_sendfile(weir_transport *t, const struct wr_sendfile *file)
{
    static const struct wr_copier_ops ops = {.queue = wr_filter_queue_file,
                                             .ended = filter_file_ended,
                                             .part_bytes = PART_BYTES};
    struct wr_filter *f = wr_filter_of(t);
    const int err = wr_filter_write(t, NULL, 0); /* looks at the state alone */

    wr_require(err == 0, err);
    wr_require(wr_filter_is_usable(f), -ESHUTDOWN);
    f->copier = wr_copier_new(t, file, &ops, &f->sendq);
    wr_require(f->copier, -ENOMEM);
    wr_filter_seal_later(f);
    return 0;
}

void wr_filter_cancel_sendfile(weir_transport *t)
{
    struct wr_filter *f = wr_filter_of(t);

    wr_filter_check_invariants(f);
    if (f->copier) {
        wr_copier_cancel(f->copier);
    }
}
