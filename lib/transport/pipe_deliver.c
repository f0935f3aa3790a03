/*
 * Pipes: from bytes that were read to the protocol.
 *
 * Bytes go to the protocol at once. They are held only where a worker thread
 * brought them while reading is paused, where a protocol paused or was switched
 * half-way through them, and where the program gave some along with a new
 * protocol. The end of the stream comes after the last byte, and is always the
 * end of the connection: there is no other direction that could stay open.
 */
#include "pipe_impl.h"

#include <string.h>

void wr_pipe_give_buffer_back(struct wr_pipe *p,
                              const struct weir_protocol_binding *from,
                              void *buf)
{
    wr_assert(buf);
    if (from->protocol->release_buffer) {
        from->protocol->release_buffer(from->user, buf);
        wr_loop_leave_if_forked(p->t.loop);
    }
}

/* True when the protocol may be called with bytes that are out of the kernel.
 */
static bool pipe_deliver_may_show(const struct wr_pipe *p)
{
    return p->state == WR_PIPE_OPEN && !p->paused;
}

/* Copies bytes to the memory of a buffered protocol. Returns how many it was
 * given: fewer than all when it paused, closed or was switched half-way. */
static size_t pipe_deliver_feed(struct wr_pipe *p, const uint8_t *data,
                                size_t len)
{
    size_t fed = 0;

    wr_assert(len > 0);
    while (fed < len && pipe_deliver_may_show(p) &&
           p->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        const struct weir_protocol_binding from = p->t.binding;
        void *buf;
        size_t size;
        int err = wr_protocol_get_buffer(&p->t, len - fed, &buf, &size);
        if (err < 0) {
            wr_pipe_fail_callback(p, err, "get_buffer");
            break;
        }
        if (!pipe_deliver_may_show(p) || !wr_pipe_is_bound_to(p, &from)) {
            wr_pipe_give_buffer_back(p, &from, buf); /* by get_buffer itself */
            continue;
        }
        const size_t part = len - fed < size ? len - fed : size;
        memcpy(buf, data + fed, part);
        p->t.loop->counts.copied_to_protocol += part;
        fed += part;
        err = wr_protocol_updated(&p->t, part);
        if (err < 0) {
            wr_pipe_fail_callback(p, err, "buffer_updated");
            break;
        }
    }
    return fed;
}

static void pipe_deliver_keep_first(struct wr_pipe *p, weir_lease *lease)
{
    wr_assert(lease->refs == 1);
    wr_assert(p->state == WR_PIPE_OPEN);
    lease->next = p->held_head;
    p->held_head = lease;
    if (!p->held_tail) {
        p->held_tail = lease;
    }
}

static void pipe_deliver_keep_last(struct wr_pipe *p, weir_lease *lease)
{
    wr_assert(p->state == WR_PIPE_OPEN);
    lease->next = NULL;
    if (p->held_tail) {
        p->held_tail->next = lease;
    } else {
        p->held_head = lease;
    }
    p->held_tail = lease;
}

/* A lease of these bytes that only the pipe has; NULL when they are lost. */
static weir_lease *pipe_deliver_lease(struct wr_pipe *p,
                                      const struct weir_buf *buf)
{
    weir_lease *lease = wr_lease_keep_apart(buf);
    if (!lease) {
        wr_transport_set_error(&p->t, -ENOMEM, "read");
        wr_pipe_doom(p);
    }
    return lease;
}

/* Shows the bytes to the protocol, and holds those that it does not take, as
 * the first. */
static void pipe_deliver_show(struct wr_pipe *p, weir_lease *lease)
{
    struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};

    wr_assert(pipe_deliver_may_show(p));
    if (p->t.binding.protocol->kind == WEIR_PROTOCOL_BUFFERED) {
        const size_t fed = pipe_deliver_feed(p, buf.data, buf.len);
        buf.data += fed;
        buf.len -= fed;
        if (buf.len == 0 || p->state != WR_PIPE_OPEN) {
            return;
        }
        if (p->paused) {
            weir_lease *rest = pipe_deliver_lease(p, &buf);
            if (rest) {
                pipe_deliver_keep_first(p, rest);
            }
            return;
        }
    }
    int ret = wr_protocol_data(&p->t, &buf);
    if (ret < 0) {
        wr_pipe_fail_callback(p, ret, "data_received");
    }
}

void wr_pipe_deliver(struct wr_pipe *p, weir_lease *lease)
{
    wr_assert(lease->len > 0);
    if (p->state != WR_PIPE_OPEN) {
        return; /* a callback has closed it */
    }
    if (pipe_deliver_may_show(p) && !p->held_head) {
        pipe_deliver_show(p, lease);
        return;
    }
    const struct weir_buf buf = {
        .data = lease->data, .len = lease->len, .lease = lease};
    weir_lease *kept = pipe_deliver_lease(p, &buf);
    if (kept) {
        pipe_deliver_keep_last(p, kept);
        wr_pipe_push_step(p);
    }
}

static weir_lease *pipe_deliver_pop_held(struct wr_pipe *p)
{
    weir_lease *lease = p->held_head;

    if (lease) {
        p->held_head = lease->next;
        if (!p->held_head) {
            p->held_tail = NULL;
        }
        lease->next = NULL;
    }
    return lease;
}

/* A positive answer of the protocol changes nothing (R12b). */
static void pipe_deliver_end(struct wr_pipe *p)
{
    wr_assert(p->eof_seen);
    wr_assert(!p->held_head); /* the end comes after the last byte */
    p->eof_pending = false;
    int ret = wr_protocol_eof(&p->t);
    if (ret < 0) {
        wr_pipe_fail_callback(p, ret, "eof_received");
        return;
    }
    wr_transport_set_end(&p->t, WEIR_END_EOF);
    wr_pipe_doom(p);
}

void wr_pipe_deliver_eof(struct wr_pipe *p)
{
    wr_assert(!p->eof_seen);
    if (p->state != WR_PIPE_OPEN) {
        return;
    }
    p->eof_seen = true;
    if (p->paused || p->held_head) {
        p->eof_pending = true;
    } else {
        pipe_deliver_end(p);
    }
}

void wr_pipe_deliver_held(struct wr_pipe *p)
{
    while (p->held_head && pipe_deliver_may_show(p)) {
        weir_lease *lease = pipe_deliver_pop_held(p);
        pipe_deliver_show(p, lease);
        wr_lease_unref(lease);
    }
    if (p->eof_pending && !p->held_head && pipe_deliver_may_show(p)) {
        pipe_deliver_end(p);
    }
}

void wr_pipe_drop_held(struct wr_pipe *p)
{
    weir_lease *lease;

    wr_assert(p->state == WR_PIPE_ENDING);
    while ((lease = pipe_deliver_pop_held(p))) {
        wr_lease_unref(lease);
    }
    p->eof_pending = false;
}

static void pipe_deliver_drop_list(weir_lease *first)
{
    while (first) {
        weir_lease *next = first->next;
        wr_lease_unref(first);
        first = next;
    }
}

/* Keeps the given bytes in a list, the last ones first; -ENOMEM without memory.
 */
static int pipe_deliver_keep_initial(const struct weir_buf *initial,
                                     size_t count, weir_lease **ret)
{
    weir_lease *first = NULL;

    for (size_t i = 0; i < count; i++) {
        if (initial[i].len == 0) {
            continue; /* nothing was left over */
        }
        wr_assert(initial[i].data);
        weir_lease *lease = wr_lease_keep_apart(&initial[i]);
        if (!lease) {
            pipe_deliver_drop_list(first);
            return -ENOMEM;
        }
        lease->next = first;
        first = lease;
    }
    *ret = first;
    return 0;
}

int wr_pipe_set_protocol(weir_transport *t,
                         const struct weir_protocol_binding *binding,
                         const struct weir_buf *initial, size_t count)
{
    struct wr_pipe *p = wr_pipe_of(t);
    weir_lease *list;

    wr_pipe_check_invariants(p);
    wr_require(p->state == WR_PIPE_OPEN && t->error == 0, -ESHUTDOWN);
    wr_require(p->direction == WR_PIPE_READ || count == 0, -EINVAL);
    for (size_t i = 0; i < count; i++) {
        wr_require(initial[i].len == 0 || initial[i].lease, -EINVAL);
    }
    int err = pipe_deliver_keep_initial(initial, count, &list);
    wr_require(err == 0, err);
    t->binding = *binding;
    wr_protocol_bound(t);
    while (list) {
        weir_lease *next = list->next;
        pipe_deliver_keep_first(p, list);
        list = next;
    }
    wr_pipe_push_step(p);
    return 0;
}
