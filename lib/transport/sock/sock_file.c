/*
 * Stream sockets: sending a file.
 *
 * A file leaves piece by piece, each at the end of a turn, when the send queue
 * is empty and the kernel has room: from the page cache, or read by the ring
 * into a block first; see sendfile.h.
 *
 *     next --not in the cache--> reading --bytes--> sending --taken--> next
 *       \______________________________\______________\_________ stopping
 *        \__all sent, end of the file___\________________________    |
 *                                                                \   |
 *                                                                done
 *
 * In state NEXT a poll for room may be in flight, with the operation of sends,
 * or the file waits for the next turn with its ready item.
 * STOPPING waits for the operation that was in flight. DONE waits for the loop
 * to tell the program.
 *
 * sock_send.c decides when a piece leaves, sock.c tells of the end.
 */
#include "sock_impl.h"

static void sock_file_set_state(struct wr_sock_file *file,
                                enum wr_file_state state)
{
    static const uint8_t allowed[WR_FILE_STATES] = {
        [WR_FILE_NEXT] =
            1u << WR_FILE_READING | 1u << WR_FILE_STOPPING | 1u << WR_FILE_DONE,
        [WR_FILE_READING] = 1u << WR_FILE_SENDING | 1u << WR_FILE_NEXT |
                            1u << WR_FILE_STOPPING | 1u << WR_FILE_DONE,
        [WR_FILE_SENDING] =
            1u << WR_FILE_NEXT | 1u << WR_FILE_STOPPING | 1u << WR_FILE_DONE,
        [WR_FILE_STOPPING] = 1u << WR_FILE_DONE,
    };
    wr_assert(state < WR_FILE_STATES);
    wr_assert(allowed[file->state] >> state & 1u);
    file->state = state;
}

static void sock_file_give_block(struct wr_sock *s)
{
    struct wr_sock_file *file = s->file;

    if (file->block) {
        wr_assert(!file->read_op.in_flight && !s->send_op.in_flight);
        wr_budget_unqueue(&s->t.loop->budget, file->block->capacity);
        wr_block_give(&s->t.loop->blocks, file->block);
        file->block = NULL;
    }
}

/* Nothing of the file is in flight any more: the loop tells the program. */
static void sock_file_finish(struct wr_sock *s, int err)
{
    struct wr_sock_file *file = s->file;

    sock_file_give_block(s);
    file->err = file->part.left == 0 ? 0 : err;
    sock_file_set_state(file, WR_FILE_DONE);
    wr_ready_push(&s->t.loop->ready, &file->ready);
}

static void sock_file_took(struct wr_sock *s, uint64_t bytes)
{
    struct wr_sock_file *file = s->file;

    wr_sendfile_took(&file->part, bytes);
    file->sent += bytes;
    s->t.loop->counts.sent_bytes += bytes;
    wr_sock_note_sent(s);
}

static enum wr_file_step sock_file_read(struct wr_sock *s)
{
    struct wr_sock_file *file = s->file;
    weir_loop *loop = s->t.loop;
    const size_t len = (size_t)wr_min_u64(WR_SENDFILE_READ, file->part.left);

    wr_assert(!file->block);
    file->block = wr_block_take(&loop->blocks, len);
    if (!file->block) {
        sock_file_finish(s, -ENOMEM);
        return WR_FILE_WAITS;
    }
    wr_budget_queue(&loop->budget, file->block->capacity);
    sock_file_set_state(file, WR_FILE_READING);
    wr_prep_read_at(&loop->uring, &file->read_op, file->part.fd,
                    file->block->data, len, file->part.offset);
    return WR_FILE_WAITS;
}

/* Sends a piece of @len bytes that is in the cache. */
static enum wr_file_step sock_file_splice(struct wr_sock *s, size_t len,
                                          int *ret_err)
{
    struct wr_sock_file *file = s->file;
    const int64_t res =
        wr_sys_sendfile(s->fd, file->part.fd, file->part.offset, len);

    if (res > 0) {
        wr_sendfile_found_room(&file->part, len, (uint64_t)res);
        wr_budget_send(&s->t.loop->budget, (uint64_t)res);
        sock_file_took(s, (uint64_t)res);
        if (file->part.left == 0) {
            sock_file_finish(s, 0);
            return WR_FILE_WAITS;
        }
        return (uint64_t)res == len ? WR_FILE_GOES_ON : WR_FILE_LACKS_ROOM;
    }
    if (res == 0 || wr_sendfile_is_blamed((int)res)) {
        file->part.only_reads |= res < 0;
        return sock_file_read(s);
    }
    if (res == -EAGAIN) {
        return WR_FILE_LACKS_ROOM;
    }
    if (res == -EINTR) {
        return WR_FILE_GOES_ON;
    }
    *ret_err = (int)res;
    return WR_FILE_BREAKS;
}

enum wr_file_step wr_sock_file_move(struct wr_sock *s, int *ret_err)
{
    struct wr_sock_file *file = s->file;

    wr_assert(file->state == WR_FILE_NEXT);
    wr_assert(wr_sendq_is_empty(&s->outbox.queue));
    wr_assert(!s->send_op.in_flight);
    if (file->part.left == 0) {
        sock_file_finish(s, 0);
        return WR_FILE_WAITS;
    }
    if (!wr_budget_may_send(&s->t.loop->budget)) {
        wr_sock_note_sent(s); /* the peer's time begins with the send */
        return WR_FILE_GOES_ON;
    }
    const size_t len = wr_sendfile_cached_bytes(&file->part);
    return len > 0 ? sock_file_splice(s, len, ret_err) : sock_file_read(s);
}

bool wr_sock_file_read_ended(struct wr_sock *s, int32_t res)
{
    struct wr_sock_file *file = s->file;

    wr_assert(file->block);
    wr_sock_note_sent(s);
    if (file->state == WR_FILE_STOPPING || wr_life_is_over(&s->t) ||
        s->t.error) {
        sock_file_finish(s, wr_sock_file_error(s));
        return false;
    }
    wr_assert(file->state == WR_FILE_READING);
    if (res > 0) {
        wr_check((uint64_t)res <= file->part.left);
        sock_file_set_state(file, WR_FILE_SENDING);
        file->block->used = (uint32_t)res;
        wr_prep_send(&s->t.loop->uring, &s->send_op, s->fd, file->block->data,
                     (size_t)res);
        return false;
    }
    if (res == -EINTR || res == -EAGAIN || res == -ECANCELED) {
        sock_file_give_block(s);
        sock_file_set_state(file, WR_FILE_NEXT);
        return true;
    }
    sock_file_finish(s, res);
    return false;
}

enum wr_file_step wr_sock_file_sent(struct wr_sock *s, int32_t res)
{
    struct wr_sock_file *file = s->file;
    /* Without a block it was a poll. */
    const uint32_t asked = file->block ? file->block->used : 0;
    const bool has_failed =
        res < 0 && res != -EAGAIN && res != -EINTR && res != -ECANCELED;

    wr_assert(!s->send_op.in_flight && !file->read_op.in_flight);
    if (asked > 0 && res > 0) {
        sock_file_took(s, (uint64_t)res);
    }
    if (file->state == WR_FILE_STOPPING || file->part.left == 0) {
        sock_file_finish(s, file->err);
        /* The kernel tells an error once. */
        return has_failed ? WR_FILE_BREAKS : WR_FILE_WAITS;
    }
    if (file->state == WR_FILE_SENDING) {
        sock_file_give_block(s);
        sock_file_set_state(file, WR_FILE_NEXT);
    }
    if (res == -EAGAIN || (res > 0 && (uint32_t)res < asked)) {
        return WR_FILE_LACKS_ROOM;
    }
    return has_failed ? WR_FILE_BREAKS : WR_FILE_GOES_ON;
}

bool wr_sock_file_has_left(struct wr_sock *s)
{
    wr_assert(s->sends_file);
    wr_assert(wr_sendq_is_empty(&s->outbox.queue));
    if (!wr_sock_file_is_next(s) || s->file->part.left > 0) {
        return false;
    }
    sock_file_finish(s, 0);
    return true;
}

/* The last bytes of the send queue, @waiting of which the kernel has not taken,
 * are dropped: how many of them are the file's. */
static uint64_t sock_file_take_back(struct wr_sock *s, uint64_t waiting)
{
    struct wr_sock_file *file = s->file;
    const uint64_t lost = wr_min_u64(waiting, file->joined);

    wr_assert(file->state < WR_FILE_DONE);
    file->part.offset -= lost;
    file->part.left += lost;
    file->sent -= lost;
    file->joined = 0;
    return lost;
}

void wr_sock_file_take_back(struct wr_sock *s)
{
    if (s->file->state < WR_FILE_DONE) {
        wr_ignore(sock_file_take_back(s, s->outbox.queue.bytes) > 0);
    }
}

/* The file leaves the send queue: those of its bytes are not sent. */
static void sock_file_leave_queue(struct wr_sock *s)
{
    const uint64_t lost = sock_file_take_back(s, s->outbox.queue.bytes);

    wr_assert(!s->send_op.in_flight);
    if (lost > 0) {
        wr_assert(s->outbox.queue.tail->len == lost);
        wr_budget_unqueue(&s->t.loop->budget, lost);
        wr_sendq_drop_last(&s->outbox.queue, &s->t.loop->send_memory);
    }
}

void wr_sock_file_queue_sent(struct wr_sock *s, uint32_t took)
{
    struct wr_sock_file *file = s->file;
    const bool stops = file->state == WR_FILE_STOPPING;

    wr_assert(!s->send_op.in_flight && !file->read_op.in_flight);
    if (file->state == WR_FILE_DONE) {
        return;
    }
    if (wr_life_is_over(&s->t)) {
        wr_check(took <= s->outbox.queue.bytes);
        wr_ignore(sock_file_take_back(s, s->outbox.queue.bytes - took) > 0);
    } else if (stops) {
        sock_file_leave_queue(s);
    }
    if (stops) {
        sock_file_finish(s, wr_sock_file_error(s));
    }
}

/* It ends while the send queue has a part of it. */
static void sock_file_stop_joined(struct wr_sock *s, int err)
{
    if (s->send_op.in_flight) {
        s->file->err = err;
        sock_file_set_state(s->file, WR_FILE_STOPPING);
        wr_op_cancel(&s->t.loop->uring, &s->send_op);
        return;
    }
    if (err == -ECANCELED) {
        sock_file_leave_queue(s);
        sock_file_finish(s, err);
        if (wr_sendq_is_empty(&s->outbox.queue)) {
            wr_list_remove(&s->turn_end.link); /* nothing is to be sent */
        }
    } else {
        wr_sock_file_take_back(s); /* it will be dropped */
        sock_file_finish(s, err);
    }
}

void wr_sock_file_stop(struct wr_sock *s, int err)
{
    struct wr_sock_file *file = s->file;
    struct wr_uring *uring = &s->t.loop->uring;

    wr_assert(err < 0);
    if (!wr_sock_file_is_active(s)) {
        return;
    }
    wr_assert(!file->block || file->state != WR_FILE_NEXT);
    if (file->joined > 0 && !wr_sendq_is_empty(&s->outbox.queue)) {
        sock_file_stop_joined(s, err);
        return;
    }
    const bool owns_send =
        s->send_op.in_flight && wr_sendq_is_empty(&s->outbox.queue);
    if (!owns_send && !file->read_op.in_flight) {
        sock_file_finish(s, err);
        return;
    }
    file->err = err;
    sock_file_set_state(file, WR_FILE_STOPPING);
    wr_op_cancel(uring, owns_send ? &s->send_op : &file->read_op);
}

void wr_sock_cancel_sendfile(weir_transport *t)
{
    struct wr_sock *s = wr_sock_of(t);

    wr_sock_check_invariants(s);
    wr_sock_file_stop(s, -ECANCELED);
    wr_sock_check_invariants(s);
}

void wr_sock_file_tell(struct wr_sock *s)
{
    struct wr_sock_file *file = s->file;
    weir_loop *loop = s->t.loop;
    weir_sendfile_done_fn *done = file->part.done;
    void *arg = file->part.arg;
    const int err = file->err;
    const uint64_t sent = file->sent;

    wr_assert(file->state == WR_FILE_DONE);
    wr_assert(!file->block && !file->read_op.in_flight);
    wr_ready_cancel(&file->ready);
    if (s->t.error == 0 && !wr_life_is_over(&s->t)) {
        wr_transport_check_low(&s->t,
                               s->outbox.queue.bytes); /* some were dropped */
    }
    s->file = NULL;
    s->sends_file = false;
    wr_outbox_end_file(&s->outbox);
    wr_free(&loop->counting, file, sizeof(*file));
    done(arg, &s->t, err, sent);
    wr_loop_end_if_forked(loop);
}

/* A few bytes that are ready join what was written before: one send, and no
 * look at the cache. What cannot be read is found out in its turn. */
static void sock_file_join(struct wr_sock *s)
{
    struct wr_sock_file *file = s->file;
    weir_loop *loop = s->t.loop;
    const size_t len = wr_sendfile_small_bytes(&file->part);
    struct wr_chunk *chunk = NULL;

    if (len > 0 && s->outbox.queue.bytes + len <= wr_transport_high(&s->t)) {
        chunk = wr_sendq_make_chunk(&loop->send_memory, len);
    }
    if (!chunk) {
        return;
    }
    const int64_t got = wr_sys_read_cached(file->part.fd, wr_chunk_room(chunk),
                                           len, file->part.offset);
    if (got <= 0) {
        wr_sendq_drop_chunk(&loop->send_memory, chunk);
        return;
    }
    wr_sendq_append_chunk(&s->outbox.queue, chunk, (size_t)got);
    wr_budget_queue(&loop->budget, (uint64_t)got);
    wr_sendfile_took(&file->part, (uint64_t)got);
    file->sent = (uint64_t)got;
    file->joined = (uint64_t)got;
}

int wr_sock_file_begin(struct wr_sock *s, const struct wr_sendfile *part,
                       const struct wr_sock_file_ops *ops)
{
    weir_loop *loop = s->t.loop;
    const int err = wr_outbox_check_file(&s->t);

    wr_sock_check_invariants(s);
    wr_require(err == 0, err);
    struct wr_sock_file *file = wr_alloc(&loop->counting, sizeof(*file));
    if (!file) {
        return -ENOMEM;
    }
    *file = (struct wr_sock_file){.sock = s, .part = *part};
    wr_op_init(&file->read_op, ops->read_completed);
    wr_ready_init(&file->ready, ops->ready);
    s->file = file;
    s->sends_file = true;
    wr_outbox_begin_file(&s->outbox);
    sock_file_join(s);
    wr_sock_note_sent(s); /* the stall clock starts */
    wr_sock_times_changed(s);
    return 0;
}
