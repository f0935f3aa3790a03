/*
 * Stream sockets: receiving bulk, one connection after the other. Armed
 * receives fill buffers of all connections at once, so with twenty connections
 * that receive 256 KiB each, the first bytes have left the near cache when they
 * are sent on. So a connection that moves bulk is armed with a poll, and
 * receives with a system call when the loop's budget feeds it with sock_fed():
 *
 *     idle --poll--> armed --bytes arrived--> queue DUE --sock_fed()--> idle
 *        \--the last receive was full--> queue DUE --sock_fed()--> idle
 *
 * In an iteration the budget feeds connections up to a byte limit, usually one
 * connection (budget.h). Its response is submitted at the end of the iteration,
 * before the next connection receives.
 *
 * If a receive that filled its window has left bytes in the kernel, the next
 * receive needs no poll. SIOCINQ, which costs a tenth of a receive that finds
 * nothing, is called first; its result is assumed for some following receives.
 *
 * A connection starts to move bulk after one large receive (sock.c). It stops
 * after several small receives in a row, when no buffer is free, and when a
 * poll ended although no byte was there, because polls would then busy-loop.
 *
 * Two kinds of connections always receive in this way: those whose protocol
 * takes descriptors, which an armed receive cannot receive, and those whose end
 * an armed receive may miss (uring/ring_kernel.c). They do not busy-loop: after
 * an end each receive finds bytes or the end, and a Unix socket has no error
 * queue.
 */
#include "sock_impl.h"

#include "lib/transport/splicing.h"

#define BULK_SMALL         (16u << 10)
#define SMALL_RECEIVES_MAX 8u
/* The result of SIOCINQ is assumed for this many full receives. */
#define UNASKED_COUNT 15u
/* "No bytes" is assumed after one result, "bytes" after this many in a row. */
#define SURE_COUNT 3u
/* Maximum bytes of a receive when no buffer is free. */
#define FEW_BYTES 4096u
/* Bytes of the iteration's budget that a received descriptor costs. */
#define FD_COST 256u

/* Splicing starts at DEEP_BYTES in the receive queue and stops below DRY_BYTES,
 * because a piece costs about 3 us in addition to its bytes. */
#define DEEP_BYTES (128u << 10)
#define DRY_BYTES  (64u << 10)
/* Minimum free space in the other socket for a piece. */
#define ROOM_LEAST (64u << 10)
/* The pipe counts whole pages, and packets fill only parts of pages. */
#define PIECE_BYTES (256u << 10)
#define PIPE_BYTES  (1u << 20)
/* Limit for one call of wr_sock_bulk_receive(): others wait about 100 us. */
#define FEED_BYTES (1u << 20)

/* ---- splicing bulk to another socket ----
 *
 * If its protocol has requested it and many bytes wait, a socket splices its
 * bytes to another socket, piece by piece, through a pipe:
 *
 *     receive queue --> pipe of the loop --> the other's send queue
 *                                \--> receive buffers --> protocol
 *
 * The pipe is empty after each piece, so one pipe serves all connections. A
 * piece is no larger than the other socket's free space. If that socket takes
 * less nevertheless, the rest is read into receive buffers, which were taken
 * before the piece, and delivered. Bytes stay in order, because a piece is
 * moved only while this socket holds no bytes and the other has none queued or
 * in flight.
 *
 * An error of the other socket breaks that socket, like an error of a send. The
 * receive handles the stream's end, urgent bytes and errors of the peer.
 *
 * The calls are splice(2), which does not block. IORING_OP_SPLICE always goes
 * to a worker thread (Linux 6.18). */

struct sock_bulk_pipe {
    struct wr_module module;
    weir_loop *loop;
    int ends[2]; /* -1 if not open */
};

static struct sock_bulk_pipe *sock_bulk_pipe_of(struct wr_module *module)
{
    return wr_container_of(module, struct sock_bulk_pipe, module);
}

static void sock_bulk_close_pipe(struct wr_module *module)
{
    struct sock_bulk_pipe *pipe = sock_bulk_pipe_of(module);

    wr_assert((pipe->ends[0] < 0) == (pipe->ends[1] < 0));
    for (int i = 0; i < 2 && pipe->ends[i] >= 0; i++) {
        wr_ignore(wr_sys_close(pipe->ends[i]) < 0);
        pipe->ends[i] = -1;
    }
}

/* Closes the idle pipe; the next splice opens it. Frees no allocated memory. */
static uint64_t sock_bulk_trim_pipe(struct wr_module *module)
{
    sock_bulk_close_pipe(module);
    return 0;
}

static void sock_bulk_free_pipe(struct wr_module *module)
{
    struct sock_bulk_pipe *pipe = sock_bulk_pipe_of(module);

    wr_assert(pipe->ends[0] < 0);
    wr_free(&pipe->loop->counting, pipe, sizeof(*pipe));
}

static const struct wr_module_ops sock_bulk_pipe_ops = {
    .end = {[WR_END_STOP] = sock_bulk_close_pipe},
    .trim = sock_bulk_trim_pipe,
    .close = sock_bulk_free_pipe,
};

static struct sock_bulk_pipe *sock_bulk_get_pipe(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &sock_bulk_pipe_ops);
    struct sock_bulk_pipe *pipe = module ? sock_bulk_pipe_of(module) : NULL;

    wr_assert(!wr_loop_is_closed(loop));
    if (!pipe) {
        pipe = wr_alloc(&loop->counting, sizeof(*pipe));
        wr_require(pipe, NULL);
        *pipe = (struct sock_bulk_pipe){.loop = loop, .ends = {-1, -1}};
        wr_loop_add_module(loop, &pipe->module, &sock_bulk_pipe_ops);
    }
    if (pipe->ends[0] < 0) {
        int ends[2];
        if (wr_sys_pipe_nonblock(ends) < 0) {
            return NULL;
        }
        wr_ignore(wr_sys_pipe_widen(ends[1], PIPE_BYTES) < 0);
        pipe->ends[0] = ends[0];
        pipe->ends[1] = ends[1];
    }
    return pipe;
}

static void sock_bulk_set_splicing_state(struct wr_splicing *splicing,
                                         enum wr_splicing_state state)
{
    static const uint8_t allowed[WR_SPLICING_STATES] = {
        [WR_SPLICING_COPYING] = 1u << WR_SPLICING_MOVING,
        [WR_SPLICING_MOVING] = 1u << WR_SPLICING_COPYING,
        [WR_SPLICING_REFUSED] = 1u << WR_SPLICING_MOVING,
    };
    wr_assert(state < WR_SPLICING_STATES);
    wr_assert(allowed[state] >> splicing->state & 1u);
    splicing->state = state;
}

/* True if bytes may bypass the protocol that requested the splicing. */
static bool sock_bulk_may_leave(const struct wr_sock *s)
{
    wr_assert(!wr_sock_has_kept(s));
    return s->c.t.state == WR_LIFE_OPEN && s->c.t.error == 0 &&
           wr_protocol_is_bound(&s->c.t, &s->extra->binding);
}

/* True if the next byte that the socket sends may come from the pipe. */
static bool sock_bulk_may_arrive(const struct wr_sock *to)
{
    wr_debug_assert(to->c.outbox.passed_bytes == 0);
    return wr_outbox_has_room(&to->c.t, &to->c.outbox,
                              wr_outbox_depth(&to->c.outbox), 0) &&
           wr_sendq_is_empty(&to->c.outbox.queue) && !to->send_op.in_flight &&
           !wr_list_is_linked(&to->turn_end.link) && !to->c.t.is_below;
}

/* Returns how many bytes to splice now, or 0 to deliver them. TCP charges about
 * 830 bytes per segment to the socket's free space, so with segments of 1 KiB
 * only half of the space is sure. */
static uint32_t sock_bulk_count_to_splice(struct wr_splicing *splicing,
                                          uint32_t waiting)
{
    const bool is_moving = splicing->state == WR_SPLICING_MOVING;
    const bool is_deep = waiting >= (is_moving ? DRY_BYTES : DEEP_BYTES);

    wr_assert(splicing->state != WR_SPLICING_REFUSED);
    if (is_deep != is_moving) {
        sock_bulk_set_splicing_state(splicing, is_deep ? WR_SPLICING_MOVING
                                                       : WR_SPLICING_COPYING);
    }
    if (!is_deep) {
        return 0;
    }
    const int room = wr_sys_room(wr_sock_of(splicing->to)->c.t.fd);
    if (room < (int)ROOM_LEAST) {
        return 0;
    }
    const uint64_t sure =
        wr_sock_is_unix(splicing->to) ? (uint64_t)room : (uint64_t)room / 2;
    return (uint32_t)wr_min_u64(waiting, wr_min_u64(sure, FEED_BYTES));
}

static void sock_bulk_read_rest(const struct sock_bulk_pipe *pipe,
                                const struct wr_room *room, uint32_t rest)
{
    for (uint32_t i = 0; rest > 0; i++) {
        uint8_t *at = room->iov[i].iov_base;
        uint32_t left = (uint32_t)wr_min_u64(room->iov[i].iov_len, rest);
        wr_assert(i < room->count);
        rest -= left;
        while (left > 0) {
            const int32_t got = wr_sys_pipe_read(pipe->ends[0], at, left);
            wr_check(got > 0);
            at += got;
            left -= (uint32_t)got;
        }
    }
}

static void sock_bulk_note_moved(struct wr_sock *s,
                                 struct wr_splicing *splicing, uint32_t bytes)
{
    struct wr_sock *to = wr_sock_of(splicing->to);

    wr_assert(bytes > 0);
    if (!to->has_sent) {
        wr_sock_send_go_on_from(to);
    }
    to->c.t.loop->counts.sent_bytes += bytes;
    wr_sock_note_sent(to);
    s->has_received = true;
    wr_connection_note_received(&s->c, bytes);
    splicing->moved(splicing, bytes);
}

/* Shared by the splices of one receive. */
struct sock_bulk_way {
    const struct sock_bulk_pipe *pipe;
    struct wr_sys_splices splices;
};

/* Returns the number of bytes, at most @most, that entered the pipe. *ret_rest
 * has the bytes that the other socket has not taken, in borrowed leases. */
static uint32_t sock_bulk_splice_piece(struct wr_sock *s,
                                       struct wr_splicing *splicing,
                                       struct sock_bulk_way *way, uint32_t most,
                                       weir_lease **ret_rest)
{
    const struct sock_bulk_pipe *pipe = way->pipe;
    struct wr_pool *pool = &s->c.t.loop->pool;
    struct wr_sock *to = wr_sock_of(splicing->to);
    struct wr_room room;
    int32_t out = 0;

    *ret_rest = NULL;
    if (!wr_pool_open_room(pool, &room, most)) {
        return 0;
    }
    size_t bytes = 0;

    wr_assert(room.count <= WR_ROOM_BUFS);
    for (uint32_t i = 0; i < room.count; i++) {
        bytes += room.iov[i].iov_len;
    }
    const int32_t in =
        wr_sys_splice_in(&way->splices, pipe->ends[1], (uint32_t)bytes);
    if (in > 0) {
        out = wr_sys_splice_out(&way->splices, pipe->ends[0], (uint32_t)in);
        wr_check(out <= in);
    }
    const uint32_t moved = out > 0 ? (uint32_t)out : 0;
    const uint32_t rest = in > 0 ? (uint32_t)in - moved : 0;
    sock_bulk_read_rest(pipe, &room, rest);
    *ret_rest =
        wr_pool_close_room(pool, &s->c.t.demand.account, &room, (int32_t)rest);
    if (moved > 0) {
        sock_bulk_note_moved(s, splicing, moved);
    }
    if (in <= 0) {
        if (in == -EINVAL || in == -EOPNOTSUPP) {
            sock_bulk_set_splicing_state(splicing, WR_SPLICING_REFUSED);
        } else if (in < 0 && in != -ENOMEM) {
            /* The kernel reports an error only once. */
            wr_sock_recv_failed(s, in);
        }
    } else if (out < 0) {
        wr_sock_send_failed(to, out);
        if (to->c.t.error) {
            wr_connection_push(&to->c);
        }
    }
    return in > 0 ? (uint32_t)in : 0;
}

/* Moves at most @count bytes, and returns their number. The ten calls that make
 * the sockets non-blocking and block signals serve all pieces. */
static uint32_t sock_bulk_splice_pieces(struct wr_sock *s,
                                        struct wr_splicing *splicing,
                                        uint32_t count, weir_lease **ret_rest)
{
    struct sock_bulk_way way = {.pipe = sock_bulk_get_pipe(s->c.t.loop)};
    uint32_t done = 0;

    wr_assert(count > 0 && !*ret_rest);
    if (!way.pipe ||
        wr_sys_begin_splices(&way.splices, s->c.t.fd,
                             wr_sock_of(splicing->to)->c.t.fd) < 0) {
        return 0;
    }
    while (done < count && !*ret_rest && s->c.t.error == 0) {
        const uint32_t piece = sock_bulk_splice_piece(
            s, splicing, &way, (uint32_t)wr_min_u64(count - done, PIECE_BYTES),
            ret_rest);
        if (piece == 0) {
            break;
        }
        done += piece;
    }
    wr_sys_end_splices(&way.splices);
    wr_assert(done <= count);
    return done;
}

/* True if splicing was requested, is possible now, and many bytes may wait: the
 * last receive left some, the last bytes were spliced, or @credit is large. */
static bool sock_bulk_may_splice(const struct wr_sock *s, uint32_t credit)
{
    const struct wr_splicing *splicing = s->extra->splicing;

    return splicing && splicing->state != WR_SPLICING_REFUSED &&
           (splicing->state == WR_SPLICING_MOVING || s->expects_bytes ||
            credit >= DEEP_BYTES) &&
           sock_bulk_may_leave(s) &&
           sock_bulk_may_arrive(wr_sock_of(splicing->to));
}

/* Returns the bytes taken from the kernel, or 0 if the caller must receive.
 * Sets *ret_rest to bytes that the other socket has not taken, in borrowed
 * leases, to be delivered, and *ret_has_more to true if more bytes wait. */
WEIR_MUST_USE static uint32_t sock_bulk_splice_bytes(struct wr_sock *s,
                                                     weir_lease **ret_rest,
                                                     bool *ret_has_more)
{
    struct wr_splicing *splicing = s->extra->splicing;

    wr_assert(splicing && splicing->state != WR_SPLICING_REFUSED);
    *ret_rest = NULL;
    const int inq = wr_sys_inq(s->c.t.fd);
    const uint32_t waiting = inq > 0 ? (uint32_t)inq : 0;
    const uint32_t count = sock_bulk_count_to_splice(splicing, waiting);
    const uint32_t done =
        count > 0 ? sock_bulk_splice_pieces(s, splicing, count, ret_rest) : 0;
    *ret_has_more = done < waiting;
    return done;
}

int wr_sock_splice_to(weir_transport *t, struct wr_splicing *splicing)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(splicing->to != t && splicing->state == WR_SPLICING_COPYING);
    wr_require(splicing->to->ops->splice_to == wr_sock_splice_to &&
                   s->fd_limit == 0,
               -EOPNOTSUPP);
    const int err = wr_sock_make_extra(s);
    wr_require(err == 0, err);
    wr_require(!wr_sock_has_lent(s), -EBUSY);
    s->extra->binding = t->binding;
    s->extra->splicing = splicing;
    return 0;
}

void wr_sock_bulk_polled(struct wr_sock *s, int32_t res)
{
    wr_assert(s->recv_state == WR_RECV_IDLE);
    s->polls_bytes = false;
    if (res < 0) {
        wr_sock_recv_failed(s, res);
    } else if (wr_sock_recv_may_fill(s)) {
        wr_intake_make_due(&s->c.t);
    }
}

/* Several small receives in a row end bulk. @has_more is true if a receive left
 * bytes in the kernel; it does not count as small. */
static void sock_bulk_count(struct wr_sock *s, uint32_t bytes, bool has_more)
{
    wr_assert(s->moves_bulk);
    wr_budget_received_due(&s->c.t.loop->budget, bytes);
    s->expects_bytes = has_more;
    if (bytes >= BULK_SMALL || has_more) {
        s->small_receives = 0;
    } else if (++s->small_receives == SMALL_RECEIVES_MAX) {
        s->moves_bulk = s->always_polls;
        s->small_receives = 0;
    }
}

/* True if the kernel probably has more bytes after a full receive. A wrong "no"
 * costs a poll, which ends at once; a wrong "yes" costs a receive that finds
 * nothing. With a window below BULK_SMALL the kernel is queried, because a
 * wrong "no" would let the receive count as small. */
static bool sock_bulk_has_more(struct wr_sock *s, uint32_t credit)
{
    wr_assert(s->moves_bulk);
    if (s->unasked > 0 && credit >= BULK_SMALL) {
        s->unasked--;
        return s->yes_count == SURE_COUNT;
    }
    const bool has_more = wr_sys_inq(s->c.t.fd) > 0;
    s->yes_count =
        has_more ? (uint8_t)wr_min_u64(s->yes_count + 1u, SURE_COUNT) : 0;
    s->unasked = has_more && s->yes_count < SURE_COUNT ? 0 : UNASKED_COUNT;
    return has_more;
}

static void sock_bulk_deliver(struct wr_sock *s, weir_lease *lease)
{
    wr_assert(lease);
    while (lease) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        wr_sock_received(s, lease);
        lease = next;
    }
}

/* Receives through memory on the stack, because no buffer is free. @fds is NULL
 * if the connection takes no descriptors. */
static int32_t sock_bulk_copy(struct wr_sock *s, uint32_t credit,
                              struct wr_passed *fds, weir_lease **ret)
{
    uint8_t bytes[FEW_BYTES];
    struct iovec iov = {.iov_base = bytes,
                        .iov_len = wr_min_u64(sizeof(bytes), credit)};
    const int32_t res = fds ? wr_sys_recv_fds(s->c.t.fd, &iov, 1, fds)
                            : wr_sys_recv(s->c.t.fd, &iov, 1);

    if (res > 0) {
        *ret = wr_lease_copy(&s->c.t.loop->pool, &s->c.t.demand.account, bytes,
                             (size_t)res);
    }
    return res;
}

/* No buffer is free. A connection that does not always poll arms a receive. */
static void sock_bulk_receive_few(struct wr_sock *s, uint32_t credit)
{
    weir_lease *lease = NULL;
    const int32_t res = sock_bulk_copy(s, credit, NULL, &lease);

    wr_assert(s->always_polls && s->fd_limit == 0);
    if (res == -EAGAIN) {
        return;
    }
    if (res <= 0) {
        wr_sock_recv_other(s, res, 0);
    } else if (WR_UNLIKELY(!lease)) {
        wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
    } else {
        wr_budget_received_due(&s->c.t.loop->budget, (uint32_t)res);
        wr_sock_received_copy(s, lease);
    }
}

static int32_t sock_bulk_recv_with_fds(struct wr_sock *s, uint32_t credit,
                                       struct wr_passed *fds, weir_lease **ret)
{
    struct wr_pool *pool = &s->c.t.loop->pool;
    struct wr_room room;

    if (WR_UNLIKELY(!wr_pool_open_room(pool, &room, credit))) {
        return sock_bulk_copy(s, credit, fds, ret);
    }
    const int32_t res = wr_sys_recv_fds(s->c.t.fd, room.iov, room.count, fds);
    *ret = wr_pool_close_room(pool, &s->c.t.demand.account, &room, res);
    return res;
}

/* Passes descriptors to the protocol, before their bytes. */
static void sock_bulk_give_fds(struct wr_sock *s, const struct wr_passed *fds)
{
    const uint32_t count =
        fds->count < s->fd_limit ? fds->count : (uint32_t)s->fd_limit;

    wr_sock_fds_discard(&s->c.t, fds->fds + count, fds->count - count);
    if (s->c.t.state != WR_LIFE_OPEN || !wr_protocol_takes_fds(&s->c.t)) {
        wr_sock_fds_discard(&s->c.t, fds->fds, count);
        return;
    }
    int ret = wr_protocol_fds(&s->c.t, fds->fds, count,
                              fds->has_lost || count < fds->count);
    if (ret < 0) {
        wr_delivery_fail(&s->c.t, ret, "fds_received");
    }
}

static void sock_bulk_receive_with_fds(struct wr_sock *s, uint32_t credit)
{
    struct wr_passed fds = {.count = 0};
    weir_lease *lease = NULL;
    const int32_t res = sock_bulk_recv_with_fds(s, credit, &fds, &lease);

    if (res == -EAGAIN) {
        return; /* an urgent byte has ended the poll */
    }
    if (res <= 0) {
        wr_assert(fds.count == 0);
        wr_sock_recv_other(s, res, 0);
        return;
    }
    wr_budget_received_due(&s->c.t.loop->budget,
                           (uint32_t)res + fds.count * FD_COST);
    if (WR_UNLIKELY(!lease)) {
        wr_sock_fds_discard(&s->c.t, fds.fds, fds.count);
        wr_delivery_lose_bytes(&s->c.t, -ENOMEM);
        return;
    }
    if (fds.count > 0 || fds.has_lost) {
        sock_bulk_give_fds(s, &fds);
    }
    if (WR_LIKELY(lease->buf != NULL)) {
        sock_bulk_deliver(s, lease);
    } else {
        wr_sock_received_copy(s, lease);
    }
}

static __attribute__((noinline)) bool sock_bulk_splice(struct wr_sock *s)
{
    weir_lease *rest;
    bool has_more = false;
    const uint32_t bytes = sock_bulk_splice_bytes(s, &rest, &has_more);

    if (bytes == 0) {
        return s->c.t.error != 0;
    }
    sock_bulk_count(s, bytes, has_more);
    if (rest) {
        sock_bulk_deliver(s, rest);
    }
    return true;
}

void wr_sock_bulk_receive(struct wr_sock *s)
{
    weir_loop *loop = s->c.t.loop;
    weir_lease *lease;
    const uint32_t credit = wr_sock_recv_ask(s);
    if (credit == 0) {
        return;
    }
    if (WR_UNLIKELY(s->fd_limit > 0)) {
        sock_bulk_receive_with_fds(s, credit);
        return;
    }
    if (WR_UNLIKELY(s->extra != NULL) && sock_bulk_may_splice(s, credit) &&
        sock_bulk_splice(s)) {
        return;
    }
    const int32_t res = wr_pool_recv(&loop->pool, &s->c.t.demand.account,
                                     wr_sys_recv, s->c.t.fd, credit, &lease);
    const bool was_polled = !s->expects_bytes;

    s->expects_bytes = false;
    if (res == -EAGAIN && !was_polled) {
        s->yes_count = s->unasked = 0;
        return;
    }
    if (WR_UNLIKELY(res == -ENOBUFS && s->always_polls)) {
        sock_bulk_receive_few(s, credit);
        return;
    }
    if (res == -ENOBUFS || res == -EAGAIN) {
        /* Next a receive is armed, or a poll if the connection always polls. */
        wr_assert(s->recv_state == WR_RECV_IDLE);
        wr_assert(s->moves_bulk);
        s->moves_bulk = s->always_polls;
        s->c.t.demand.last_credit = 0;
        return;
    }
    if (res <= 0) {
        wr_sock_recv_other(s, res, 0);
        return;
    }
    sock_bulk_count(s, (uint32_t)res,
                    (uint32_t)res == credit && sock_bulk_has_more(s, credit));
    sock_bulk_deliver(s, lease);
}
