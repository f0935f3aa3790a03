/*
 * Stream sockets: bulk that goes on to another socket without a copy.
 *
 * A socket that moves bulk receives when it is fed (sock_bulk.c). If its
 * protocol has asked for a splicing, a receive has left bytes in the kernel and
 * many wait there, it splices them, piece by piece, into a pipe and from there
 * to the other socket:
 *
 *     receive queue --> pipe of the loop --> the other's send queue
 *                                \--> receive buffers --> protocol
 *
 * The pipe is empty between two calls. A piece is no larger than the room that
 * the other socket has, but if that takes less nevertheless, the rest is read
 * into receive buffers and delivered as other bytes are. The buffers are taken
 * before the bytes, so no allocation can fail on the way. So there is nothing
 * to cancel, to abandon or to wait for, and one pipe serves all connections.
 *
 * The order of the bytes holds because a piece is moved only while nothing is
 * held here and nothing is queued or in flight there. An end of the stream, an
 * urgent byte and an error of the peer are left to the receive: only bytes that
 * wait are spliced. An error of the other socket breaks it, as that of a send.
 *
 * The calls are splice(2), which does not wait. IORING_OP_SPLICE always goes to
 * a worker thread (Linux 6.18).
 */
#include "sock_impl.h"

#include "lib/transport/splicing.h"

/* Bytes in the receive queue from which on they are moved, and below which they
 * are delivered again: a piece costs some 3 us besides its bytes. */
#define DEEP_BYTES (128u << 10)
#define DRY_BYTES  (64u << 10)
/* The least room of the other socket that is worth a piece. */
#define ROOM_LEAST (64u << 10)
/* A piece; the pipe has room for it in pages, of which packets fill parts. */
#define PIECE_BYTES (256u << 10)
#define PIPE_BYTES  (1u << 20)
/* The most that one feed moves; other connections wait some 100 us. */
#define FEED_BYTES (1u << 20)

/* ---- the loop's pipe ---- */

struct sock_splice_pipe {
    struct wr_module module;
    weir_loop *loop;
    int ends[2]; /* to read, to write; -1: not open */
};

static struct sock_splice_pipe *sock_splice_pipe_of(struct wr_module *module)
{
    return wr_container_of(module, struct sock_splice_pipe, module);
}

static void sock_splice_close_pipe(struct wr_module *module)
{
    struct sock_splice_pipe *pipe = sock_splice_pipe_of(module);

    wr_assert((pipe->ends[0] < 0) == (pipe->ends[1] < 0));
    for (int i = 0; i < 2 && pipe->ends[i] >= 0; i++) {
        wr_ignore(wr_sys_close(pipe->ends[i]) < 0);
        pipe->ends[i] = -1;
    }
}

/* The next splice opens it again. The allocator gets nothing back. */
static uint64_t sock_splice_trim(struct wr_module *module)
{
    sock_splice_close_pipe(module);
    return 0;
}

static void sock_splice_free(struct wr_module *module)
{
    struct sock_splice_pipe *pipe = sock_splice_pipe_of(module);

    wr_assert(pipe->ends[0] < 0);
    wr_free(&pipe->loop->counting, pipe, sizeof(*pipe));
}

static const struct wr_module_ops sock_splice_module_ops = {
    .end = {[WR_END_STOP] = sock_splice_close_pipe},
    .trim = sock_splice_trim,
    .close = sock_splice_free,
};

static struct sock_splice_pipe *sock_splice_make_pipe(weir_loop *loop)
{
    struct sock_splice_pipe *pipe = wr_alloc(&loop->counting, sizeof(*pipe));

    if (pipe) {
        *pipe = (struct sock_splice_pipe){.loop = loop, .ends = {-1, -1}};
        wr_loop_add_module(loop, &pipe->module, &sock_splice_module_ops);
    }
    return pipe;
}

/* The loop's pipe, open; NULL without memory or descriptors. */
static struct sock_splice_pipe *sock_splice_get_pipe(weir_loop *loop)
{
    struct wr_module *module =
        wr_loop_find_module(loop, &sock_splice_module_ops);
    struct sock_splice_pipe *pipe =
        module ? sock_splice_pipe_of(module) : sock_splice_make_pipe(loop);

    wr_assert(!wr_loop_is_closed(loop));
    if (pipe && pipe->ends[0] < 0) {
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

/* ---- when ---- */

static void sock_splice_set_state(struct wr_splicing *splicing,
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

/* True if the bytes may pass the protocol by: the socket has not begun to
 * linger, and the protocol that has asked is still bound. */
static bool sock_splice_may_leave(const struct wr_sock *s)
{
    wr_assert(!wr_sock_has_kept(s));
    return s->c.t.state == WR_LIFE_OPEN && s->c.t.error == 0 &&
           wr_protocol_is_bound(&s->c.t, &s->into->binding);
}

/* True if the next byte that the socket sends may come from the pipe. */
static bool sock_splice_may_arrive(const struct wr_sock *to)
{
    wr_debug_assert(to->c.outbox.passed_bytes == 0);
    return wr_outbox_has_room(&to->c.t, &to->c.outbox,
                              wr_outbox_depth(&to->c.outbox), 0) &&
           wr_sendq_is_empty(&to->c.outbox.queue) && !to->send_op.in_flight &&
           !wr_list_is_linked(&to->turn_end.link) && !to->c.t.is_below;
}

/* How many of the @waiting bytes to move now; 0: deliver bytes. */
static uint32_t sock_splice_count(struct wr_splicing *splicing,
                                  uint32_t waiting)
{
    const bool is_moving = splicing->state == WR_SPLICING_MOVING;
    const bool is_deep = waiting >= (is_moving ? DRY_BYTES : DEEP_BYTES);

    wr_assert(splicing->state != WR_SPLICING_REFUSED);
    if (is_deep != is_moving) {
        sock_splice_set_state(splicing, is_deep ? WR_SPLICING_MOVING
                                                : WR_SPLICING_COPYING);
    }
    if (!is_deep) {
        return 0;
    }
    const int room = wr_sys_room(wr_sock_of(splicing->to)->c.fd);
    return room < (int)ROOM_LEAST
               ? 0
               : (uint32_t)wr_min_u64(waiting,
                                      wr_min_u64((uint64_t)room, FEED_BYTES));
}

/* ---- a piece ---- */

static uint32_t sock_splice_room_bytes(const struct wr_room *room)
{
    size_t bytes = 0;

    wr_assert(room->count <= WR_ROOM_BUFS);
    for (uint32_t i = 0; i < room->count; i++) {
        bytes += room->iov[i].iov_len;
    }
    return (uint32_t)bytes;
}

/* Reads the bytes that the other socket has not taken out of the pipe. */
static void sock_splice_read_rest(const struct sock_splice_pipe *pipe,
                                  const struct wr_room *room, uint32_t rest)
{
    for (uint32_t i = 0; rest > 0; i++) {
        uint8_t *at = room->iov[i].iov_base;
        uint32_t left = (uint32_t)wr_min_u64(room->iov[i].iov_len, rest);
        wr_assert(i < room->count);
        rest -= left;
        while (left > 0) {
            const int32_t got = wr_sys_pipe_read(pipe->ends[0], at, left);
            wr_check(got > 0); /* only this file has the pipe */
            at += got;
            left -= (uint32_t)got;
        }
    }
}

/* The other socket has taken @bytes. */
static void sock_splice_note_moved(struct wr_sock *s,
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

/* The other socket has refused bytes. */
static void sock_splice_failed(struct wr_sock *to, int err)
{
    wr_assert(err < 0);
    wr_sock_send_failed(to, err);
    if (to->c.t.error) {
        wr_connection_push(&to->c);
    }
}

/* The socket's bytes could not be spliced. */
static void sock_splice_refused(struct wr_sock *s, struct wr_splicing *splicing,
                                int err)
{
    wr_assert(err <= 0);
    if (err == -EINVAL || err == -EOPNOTSUPP) {
        sock_splice_set_state(splicing, WR_SPLICING_REFUSED);
    } else if (err < 0 && err != -ENOMEM) {
        wr_sock_recv_failed(s, err); /* the kernel reports an error once */
    }
}

/* Splices at most @most bytes into the pipe and out of it. Returns their
 * number, 0 if nothing was spliced; *ret_rest has those that the other socket
 * has not taken, in borrowed leases. */
static uint32_t sock_splice_piece(struct wr_sock *s,
                                  struct wr_splicing *splicing,
                                  const struct sock_splice_pipe *pipe,
                                  uint32_t most, weir_lease **ret_rest)
{
    struct wr_pool *pool = &s->c.t.loop->pool;
    struct wr_sock *to = wr_sock_of(splicing->to);
    struct wr_room room;
    int32_t out = 0;

    *ret_rest = NULL;
    if (!wr_pool_open_room(pool, &room, most)) {
        return 0;
    }
    const int32_t in =
        wr_sys_splice_in(s->c.fd, pipe->ends[1], sock_splice_room_bytes(&room));
    if (in > 0) {
        out = wr_sys_splice_out(pipe->ends[0], to->c.fd, (uint32_t)in);
        wr_check(out <= in);
    }
    const uint32_t moved = out > 0 ? (uint32_t)out : 0;
    const uint32_t rest = in > 0 ? (uint32_t)in - moved : 0;
    sock_splice_read_rest(pipe, &room, rest);
    *ret_rest =
        wr_pool_close_room(pool, &s->c.t.demand.account, &room, (int32_t)rest);
    if (moved > 0) {
        sock_splice_note_moved(s, splicing, moved);
    }
    if (in <= 0) {
        sock_splice_refused(s, splicing, in);
    } else if (out < 0) {
        sock_splice_failed(to, out);
    }
    return in > 0 ? (uint32_t)in : 0;
}

/* Moves at most @count bytes; returns their number. */
static uint32_t sock_splice_move(struct wr_sock *s,
                                 struct wr_splicing *splicing, uint32_t count,
                                 weir_lease **ret_rest)
{
    const struct sock_splice_pipe *pipe = sock_splice_get_pipe(s->c.t.loop);
    uint32_t done = 0;

    wr_assert(count > 0 && !*ret_rest);
    while (pipe && done < count && !*ret_rest && s->c.t.error == 0) {
        const uint32_t piece = sock_splice_piece(
            s, splicing, pipe, (uint32_t)wr_min_u64(count - done, PIECE_BYTES),
            ret_rest);
        if (piece == 0) {
            break;
        }
        done += piece;
    }
    wr_assert(done <= count);
    return done;
}

bool wr_sock_may_splice(const struct wr_sock *s, uint32_t credit)
{
    const struct wr_splicing *splicing = s->into->splicing;

    return splicing && splicing->state != WR_SPLICING_REFUSED &&
           (splicing->state == WR_SPLICING_MOVING || s->expects_bytes ||
            credit >= DEEP_BYTES) &&
           sock_splice_may_leave(s) &&
           sock_splice_may_arrive(wr_sock_of(splicing->to));
}

uint32_t wr_sock_splice(struct wr_sock *s, weir_lease **ret_rest,
                        bool *ret_has_more)
{
    struct wr_splicing *splicing = s->into->splicing;

    wr_assert(splicing && splicing->state != WR_SPLICING_REFUSED);
    *ret_rest = NULL;
    const int inq = wr_sys_inq(s->c.fd);
    const uint32_t waiting = inq > 0 ? (uint32_t)inq : 0;
    const uint32_t count = sock_splice_count(splicing, waiting);
    const uint32_t done =
        count > 0 ? sock_splice_move(s, splicing, count, ret_rest) : 0;
    *ret_has_more = done < waiting;
    return done;
}

int wr_sock_splice_to(weir_transport *t, struct wr_splicing *splicing)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_assert(splicing->to != t && splicing->state == WR_SPLICING_COPYING);
    wr_require(splicing->to->ops->device == t->ops->device && !s->takes_fds,
               -EOPNOTSUPP);
    const int err = wr_sock_make_into(s);
    wr_require(err == 0, err);
    wr_require(!wr_sock_has_lent(s), -EBUSY);
    s->into->binding = t->binding;
    s->into->splicing = splicing;
    return 0;
}
