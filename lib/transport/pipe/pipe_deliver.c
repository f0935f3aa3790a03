/*
 * Pipes: the end of the stream, and another protocol.
 *
 * The bytes go by the delivery. They are held only where a worker thread
 * brought them while reading is paused, where a protocol paused or was switched
 * half-way through them, and where the program gave some along with a new
 * protocol. The end of the stream is always the end of the connection: there is
 * no other direction that could stay open.
 */
#include "pipe_impl.h"

/* A positive answer of the protocol changes nothing (R12b). */
static void pipe_deliver_end(struct wr_pipe *p)
{
    wr_assert(p->eof_seen);
    if (wr_delivery_tell_end(&p->t, &p->delivery) < 0) {
        return;
    }
    wr_transport_set_end(&p->t, WEIR_END_EOF);
    wr_life_doom(&p->t);
}

void wr_pipe_deliver_eof(struct wr_pipe *p)
{
    wr_assert(!p->eof_seen);
    if (p->t.state != WR_LIFE_OPEN) {
        return;
    }
    p->eof_seen = true;
    wr_delivery_end(&p->delivery);
    if (wr_delivery_end_is_due(&p->delivery)) {
        pipe_deliver_end(p);
    }
}

void wr_pipe_deliver_held(struct wr_pipe *p)
{
    wr_delivery_show_held(&p->t, &p->delivery);
    if (wr_delivery_end_is_due(&p->delivery)) {
        pipe_deliver_end(p);
    }
}

int wr_pipe_set_protocol(weir_transport *t,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count)
{
    struct wr_pipe *p = wr_pipe_of(t);

    wr_pipe_check_invariants(p);
    wr_require(p->t.state == WR_LIFE_OPEN && t->error == 0, -ESHUTDOWN);
    wr_require(p->direction == WR_PIPE_READ || count == 0, -EINVAL);
    int err =
        wr_delivery_set_protocol(t, &p->delivery, binding, initial, count);
    if (err == 0) {
        wr_life_push_step(&p->t);
    }
    return err;
}
