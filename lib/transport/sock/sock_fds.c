/*
 * Stream sockets: descriptors that are sent with bytes (SCM_RIGHTS).
 *
 * weir_transport_send_fds() duplicates the program's descriptors, so that the
 * program may close its own at once. The duplicates of one call are a batch
 * with an offset in the stream. The send that starts at this offset carries the
 * batch, and no send continues past the next batch's offset. The kernel takes a
 * batch with the first byte of its send; then the duplicates are closed.
 *
 *     pushed --offset is reached--> in flight --a byte was taken--> gone
 *                                         \-- no space: sent again
 *
 * Threads (closer.h) close received descriptors that the protocol does not
 * take, and a socket that may hold some. Meanwhile nothing is received from the
 * socket, so an open connection has at most one message's descriptors in the
 * process's table.
 */
#include "sock_impl.h"

#include <string.h>

/* Descriptors that are sent with one byte, in a block of their own, because the
 * kernel reads this struct while a send is in flight. */
struct wr_fd_batch {
    struct wr_fd_batch *next;
    /* Offset of the byte that carries the batch, in taken_bytes. */
    uint64_t at;
    struct msghdr msg;
    struct iovec iov;
    uint32_t count;
    /* A struct cmsghdr and the descriptors. */
    _Alignas(struct cmsghdr) uint8_t control[];
};

static inline struct cmsghdr *sock_fds_control(struct wr_fd_batch *batch)
{
    return (struct cmsghdr *)(void *)batch->control;
}

static inline int *sock_fds_of(struct wr_fd_batch *batch)
{
    return (int *)(void *)(batch->control + CMSG_LEN(0));
}

static struct wr_sock_fds *sock_fds_get(struct wr_sock *s)
{
    if (wr_sock_make_extra(s) < 0) {
        return NULL;
    }
    struct wr_sock_fds *fds = s->extra->fds;
    if (!fds) {
        fds = wr_alloc(&s->c.t.loop->counting, sizeof(*fds));
        if (fds) {
            memset(fds, 0, sizeof(*fds));
        }
        s->extra->fds = fds;
    }
    return fds;
}

void wr_sock_fds_free(struct wr_sock *s)
{
    wr_assert(!s->sends_fds);
    wr_closer_detach(&s->extra->fds->closer);
    wr_free(&s->c.t.loop->counting, s->extra->fds, sizeof(*s->extra->fds));
    s->extra->fds = NULL;
}

void wr_sock_fds_discard(weir_transport *t, const int *fds, size_t count)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(s->c.t.state != WR_LIFE_NEW);
    if (count == 0) {
        return;
    }
    struct wr_sock_fds *all =
        s->c.t.state == WR_LIFE_LOST ? NULL : sock_fds_get(s);
    if (all) {
        wr_closer_close(&all->closer, fds, count);
        return;
    }
    wr_closer_close_alone(fds, count);
    /* Without a closer, the connection cannot wait for the closes. */
    if (!wr_life_is_over(&s->c.t)) {
        wr_transport_set_error(t, -ENOMEM, "close");
        t->ops->doom(t);
    }
}

static void sock_fds_closed(void *arg)
{
    struct wr_sock *s = arg;

    wr_assert(s->c.t.state > WR_LIFE_NEW && s->c.t.state < WR_LIFE_LOST);
    if (s->rests) {
        s->rests = false;
        wr_connection_push(&s->c);
    }
}

/* The peer's time-outs also run while its descriptors are being closed. */
bool wr_sock_fds_rest(struct wr_sock *s)
{
    wr_assert(s->fd_limit > 0);
    const struct wr_sock_fds *all = wr_sock_fds_of(s);
    s->rests = all && wr_closer_is_busy(all->closer, s->c.t.loop->wake,
                                        sock_fds_closed, s);
    if (s->rests) {
        wr_connection_time_changed(&s->c);
    }
    return s->rests;
}

/* Closes the lost socket, in a thread if descriptors may be in its queue. */
void wr_sock_fds_close_own(struct wr_sock *s)
{
    wr_assert(s->fd_limit > 0);
    wr_assert(s->c.t.state == WR_LIFE_LOST);
    if (s->c.t.eof_seen) {
        wr_prep_close(&s->c.t.loop->uring, s->c.t.fd);
        return;
    }
    wr_uring_forget(&s->c.t.loop->uring, s->c.t.fd);
    if (wr_sock_fds_of(s) && wr_sys_inq(s->c.t.fd) != 0) {
        wr_closer_close(&s->extra->fds->closer, &s->c.t.fd, 1);
    } else {
        wr_socket_close_unix(s->c.t.fd);
    }
}

/* Closes the duplicates, not in a thread: usually these are not the last
 * closes, because the kernel's message or the program has the files, too. */
static void sock_fds_free_batch(weir_loop *loop, struct wr_fd_batch *batch)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        wr_prep_close_any(&loop->uring, sock_fds_of(batch)[i]);
    }
    wr_block_give(&loop->blocks, wr_container_of(batch, struct wr_block, data));
}

static int sock_fds_make_batch(weir_loop *loop, const int *fds, uint32_t count,
                               struct wr_fd_batch **ret)
{
    const size_t control_len = CMSG_LEN(count * sizeof(int));
    struct wr_block *block =
        wr_block_take(&loop->blocks, sizeof(struct wr_fd_batch) + control_len);
    if (!block) {
        return -ENOMEM;
    }
    struct wr_fd_batch *batch = (struct wr_fd_batch *)(void *)block->data;
    *batch = (struct wr_fd_batch){.count = 0};
    while (batch->count < count) {
        const int fd = wr_sys_dup_to_pass(fds[batch->count]);
        if (fd < 0) {
            /* At once, because descriptors may have run out. */
            while (batch->count > 0) {
                batch->count--;
                wr_ignore(wr_sys_close(sock_fds_of(batch)[batch->count]) < 0);
            }
            sock_fds_free_batch(loop, batch);
            return fd;
        }
        sock_fds_of(batch)[batch->count++] = fd;
    }
    /* Assigned as a whole, which zeroes the padding of musl's struct: there the
     * kernel has the upper half of cmsg_len. */
    *sock_fds_control(batch) =
        (struct cmsghdr){.cmsg_len = (socklen_t)control_len,
                         .cmsg_level = SOL_SOCKET,
                         .cmsg_type = SCM_RIGHTS};
    *ret = batch;
    return 0;
}

int wr_sock_fds_push(struct wr_sock *s, const int *fds, size_t count)
{
    struct wr_fd_batch *batch;
    struct wr_sock_fds *all = sock_fds_get(s);

    wr_assert(count > 0 && count <= WEIR_FDS_MAX);
    wr_require(all, -ENOMEM);
    wr_require(all->waiting_count <= WEIR_FDS_MAX - count, -ENOBUFS);
    int err = sock_fds_make_batch(s->c.t.loop, fds, (uint32_t)count, &batch);
    if (err < 0) {
        return err;
    }
    batch->at = all->taken_bytes + s->c.outbox.queue.bytes;
    wr_assert(!all->last || all->last->at < batch->at);
    if (all->last) {
        all->last->next = batch;
    } else {
        all->first = batch;
    }
    all->last = batch;
    all->waiting_count += batch->count;
    s->sends_fds = true;
    return 0;
}

void wr_sock_fds_take_back(struct wr_sock *s)
{
    struct wr_sock_fds *all = s->extra->fds;
    struct wr_fd_batch *batch = all->last;
    struct wr_fd_batch *before = all->first == batch ? NULL : all->first;

    wr_assert(s->sends_fds);
    while (before && before->next != batch) {
        before = before->next;
    }
    if (before) {
        before->next = NULL;
    } else {
        all->first = NULL;
        s->sends_fds = false;
    }
    all->last = before;
    all->waiting_count -= batch->count;
    sock_fds_free_batch(s->c.t.loop, batch);
}

static void sock_fds_pop(struct wr_sock *s)
{
    struct wr_sock_fds *all = s->extra->fds;
    struct wr_fd_batch *batch = all->first;

    wr_assert(s->sends_fds);
    wr_assert(batch->count <= all->waiting_count);
    all->waiting_count -= batch->count;
    all->first = batch->next;
    if (!all->first) {
        all->last = NULL;
        s->sends_fds = false;
    }
    sock_fds_free_batch(s->c.t.loop, batch);
}

uint64_t wr_sock_fds_reach(const struct wr_sock *s)
{
    const struct wr_fd_batch *batch = s->extra->fds->first;

    wr_assert(s->sends_fds);
    if (batch->at == s->extra->fds->taken_bytes) {
        batch = batch->next;
    }
    return batch ? batch->at - s->extra->fds->taken_bytes : UINT64_MAX;
}

bool wr_sock_fds_are_next(const struct wr_sock *s)
{
    return s->sends_fds &&
           s->extra->fds->first->at == s->extra->fds->taken_bytes;
}

void wr_sock_fds_send(struct wr_sock *s, const struct iovec *piece)
{
    struct wr_fd_batch *batch = s->extra->fds->first;

    wr_assert(wr_sock_fds_are_next(s));
    wr_assert(piece->iov_len <= wr_sock_fds_reach(s));
    batch->iov = *piece;
    batch->msg =
        (struct msghdr){.msg_iov = &batch->iov,
                        .msg_iovlen = 1,
                        .msg_control = batch->control,
                        .msg_controllen = sock_fds_control(batch)->cmsg_len};
    wr_prep_sendmsg(&s->c.t.loop->uring, &s->send_op, s->c.t.fd, &batch->msg);
}

void wr_sock_fds_took(struct wr_sock *s, uint64_t bytes)
{
    wr_assert(s->sends_fds);
    wr_assert(!s->send_op.in_flight);
    wr_check(bytes <= wr_sock_fds_reach(s));
    if (bytes > 0 && wr_sock_fds_are_next(s)) {
        sock_fds_pop(s);
    }
    s->extra->fds->taken_bytes += bytes;
}

void wr_sock_fds_drop(struct wr_sock *s)
{
    wr_assert(!s->send_op.in_flight);
    do {
        sock_fds_pop(s);
    } while (s->sends_fds);
}

void wr_sock_check_fds(const struct wr_sock *s)
{
    const struct wr_sock_fds *all = s->extra->fds;
    uint64_t at = all->taken_bytes;
    uint32_t count = 0;

    wr_assert(s->sends_fds == (all->first != NULL));
    for (const struct wr_fd_batch *batch = all->first; batch;
         batch = batch->next) {
        wr_assert(batch->at >= at);
        wr_assert(batch->next || batch == all->last);
        at = batch->at + 1;
        count += batch->count;
    }
    wr_assert(count == all->waiting_count);
    wr_assert(count <= WEIR_FDS_MAX);
}
