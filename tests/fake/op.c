/*
 * The operations of the fake machine while they are in flight.
 *
 *     issued --not ready--> waiting --ready--> completed
 *
 * An operation is tried when it is submitted and, if it cannot make progress,
 * each time the ring checks the waiting operations. Its memory is read or
 * written only then, so a test notices memory that was changed or freed too
 * early.
 *
 * The kernel retries an operation a limited number of times after wakes without
 * success. Then a multishot receive ends with -ECANCELED, and a single receive
 * continues in a worker thread, which blocks: it takes its buffer beforehand,
 * and a cancellation gives -EINTR. Sends do not wait here, and polls have no
 * limit. The engine on epoll retries without limit. If no thread can be started
 * for a file operation, the operation ends with -ECANCELED before it begins.
 */
#include "tests/fake/world.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* A multishot receive yields to other operations after SHOTS_MAX receives. */
#define SHOTS_MAX          32u
#define WAKES_MAX          128u
#define CONNECT_TIMEOUT_NS (127u * UINT64_C(1000000000))
#define SYN_RETRY_NS       UINT64_C(1000000000)

const char *fake_op_name(uint8_t opcode)
{
    switch (opcode) {
    case IORING_OP_NOP:
        return "nop";
    case IORING_OP_RECV:
        return "recv";
    case IORING_OP_SEND:
        return "send";
    case IORING_OP_SENDMSG:
        return "sendmsg";
    case IORING_OP_ACCEPT:
        return "accept";
    case IORING_OP_CONNECT:
        return "connect";
    case IORING_OP_POLL_ADD:
        return "poll";
    case IORING_OP_READ:
        return "read";
    case IORING_OP_WRITE:
        return "write";
    case IORING_OP_TIMEOUT:
        return "timeout";
    case IORING_OP_CLOSE:
        return "close";
    case IORING_OP_ASYNC_CANCEL:
        return "cancel";
    default:
        return NULL;
    }
}

/* ---- the end of an operation ---- */

static void op_free(struct fake_op *op)
{
    uint8_t opcode = op->sqe.opcode;
    wr_list_remove(&op->link);
    op->ring->op_count--;
    op->file->op_count--;
    if (opcode == IORING_OP_RECV) {
        op->file->recv_count--;
    }
    if (opcode == IORING_OP_SEND || opcode == IORING_OP_SENDMSG) {
        op->file->send_count--;
    }
    if (opcode == IORING_OP_CONNECT) {
        op->file->connecting = false;
    }
    free(op->iov);
    free(op);
}

void fake_op_drop(struct fake_op *op)
{
    op_free(op);
}

void fake_op_end(struct fake_op *op, int32_t res, uint32_t flags)
{
    fake_trace("  %s fd=%d = %d", fake_op_name(op->sqe.opcode), op->file->fd,
               res);
    fake_ring_post(op->ring, op, res, flags);
    op_free(op);
}

/* ---- receive ---- */

/* Returns the memory for one receive and its size, or NULL without a buffer.
 * The limit of a multishot receive does not limit a single step, so the last
 * step may exceed it (seen on Linux 6.18). */
static uint8_t *recv_target(const struct fake_op *op, uint32_t *ret_room)
{
    uint32_t cap = op->sqe.len;
    if (!(op->sqe.flags & IOSQE_BUFFER_SELECT)) {
        *ret_room = cap;
        return (uint8_t *)(uintptr_t)op->sqe.addr;
    }
    const struct fake_slot *slot = fake_ring_slot(op->ring);
    if (!slot) {
        return NULL;
    }
    uint32_t room = slot->len;
    if (cap != 0 && cap < room) {
        room = cap;
    }
    *ret_room = room;
    return slot->data;
}

static uint32_t use_slot(const struct fake_op *op, uint32_t len)
{
    const uint32_t spoil = fake.spoil_flags;
    fake.spoil_flags = 0;
    return fake_ring_slot_use(op->ring, len) ^ spoil;
}

/* Makes one receive. Returns false if the operation waits or has ended. */
static bool recv_shot(struct fake_op *op)
{
    struct fake_end *end = op->file->end;
    bool select = (op->sqe.flags & IOSQE_BUFFER_SELECT) != 0;
    uint32_t room = 0;
    uint8_t *target = recv_target(op, &room);
    if (!target ||
        (select && fake_chance(fake.options.permille[FAKE_NO_BUFFER]))) {
        fake.stats.no_buffers++;
        fake_op_end(op, -ENOBUFS, 0);
        return false;
    }
    if (room > 1 && fake_chance(fake.options.permille[FAKE_SHORT_RECV])) {
        room = 1 + (uint32_t)fake_random(room);
    }
    ssize_t taken = fake_end_recv(end, target, room);
    if (taken == -EAGAIN) {
        if (op->never_waits) {
            fake_op_end(op, -EAGAIN, 0);
        }
        return false;
    }
    uint32_t flags = 0;
    if (taken > 0) {
        fake.stats.received_bytes += (uint64_t)taken;
        flags = select ? use_slot(op, (uint32_t)taken) : 0;
    }
    bool more = (fake_end_poll(end) & POLLIN) != 0;
    flags |= more ? IORING_CQE_F_SOCK_NONEMPTY : 0;
    if (op->credited && taken > 0) {
        op->credit -= (uint32_t)wr_min_u64(op->credit, (uint64_t)taken);
    }
    if (taken <= 0 || !op->multishot || (op->credited && op->credit == 0) ||
        !fake_ring_has_room(op->ring)) {
        fake_op_end(op, (int32_t)taken, flags);
        return false;
    }
    fake_trace("  recv fd=%d = %d, more to come", op->file->fd, (int)taken);
    fake_ring_post(op->ring, op, (int32_t)taken, flags | IORING_CQE_F_MORE);
    return more || op->never_waits;
}

static void run_recv(struct fake_op *op)
{
    for (uint32_t shot = 0; shot < SHOTS_MAX; shot++) {
        if (!recv_shot(op)) {
            return;
        }
    }
}

/* ---- send ---- */

size_t fake_op_bytes(const struct fake_op *op)
{
    size_t total = 0;
    for (uint32_t i = 0; i < op->iov_count; i++) {
        total += op->iov[i].iov_len;
    }
    return total;
}

/* Sends the bytes of one piece. Descriptors go with the first byte of all. */
static ssize_t send_piece(struct fake_op *op, size_t sent, size_t index,
                          size_t len)
{
    const void *data = op->iov[index].iov_base;
    struct fake_batch *batch = sent == 0 ? fake_batch_of(op) : NULL;
    return batch ? fake_end_send_batch(op->file->end, data, len, batch)
                 : fake_end_send(op->file->end, data, len);
}

static void run_send(struct fake_op *op)
{
    size_t limit = fake_op_bytes(op);
    size_t sent = 0;
    if (limit > 1 && fake_chance(fake.options.permille[FAKE_SHORT_SEND])) {
        limit = 1 + (size_t)fake_random(limit);
    }
    for (uint32_t i = 0; i < op->iov_count && sent < limit; i++) {
        size_t len = (size_t)wr_min_u64(op->iov[i].iov_len, limit - sent);
        ssize_t res = send_piece(op, sent, i, len);
        if (res < 0 && sent == 0) {
            fake_op_end(op, (int32_t)res, 0);
            return;
        }
        sent += res > 0 ? (size_t)res : 0;
        if (res < (ssize_t)len) {
            break;
        }
    }
    fake.stats.sent_bytes += sent;
    fake_op_end(op, (int32_t)sent, 0);
}

/* ---- accept, connect ---- */

/* Accepts one connection. Returns false if the accept has ended. */
static bool accept_shot(struct fake_op *op)
{
    struct fake_listener *listener = op->file->listener;
    if (fake_chance(fake.options.permille[FAKE_CONN_ABORTED])) {
        fake_op_end(op, -ECONNABORTED, 0);
        return false;
    }
    if (fake_chance(fake.options.permille[FAKE_NO_FD])) {
        fake_op_end(op, -EMFILE, 0);
        return false;
    }
    struct fake_file *file = fake_file_open(FAKE_STREAM, op->file->family);
    if (!file) {
        fake_op_end(op, -EMFILE, 0);
        return false;
    }
    file->end = fake_listener_pop(listener);
    wr_assert(file->end);
    const struct fake_addr *from = &file->end->other->local;
    void *addr = (void *)(uintptr_t)op->sqe.addr;
    socklen_t *len = (void *)(uintptr_t)op->sqe.addr2;
    if (addr) {
        memcpy(addr, &from->storage, wr_min_u64(*len, from->len));
        *len = from->len;
    }
    fake.stats.accepts++;
    if (!(op->sqe.ioprio & IORING_ACCEPT_MULTISHOT) ||
        !fake_ring_has_room(op->ring)) {
        fake_op_end(op, file->fd, 0);
        return false;
    }
    fake_trace("  accept fd=%d = %d, more to come", op->file->fd, file->fd);
    fake_ring_post(op->ring, op, file->fd, IORING_CQE_F_MORE);
    return true;
}

static void run_accept(struct fake_op *op)
{
    while (op->file->listener->queue_len > 0 && accept_shot(op)) {
    }
}

/* Finds the listener that answers, its delay and its answer. */
void fake_op_ask(struct fake_op *op)
{
    const struct fake_listener *listener = fake_listener_find(&op->addr);
    op->answer = 0;
    op->ready_ns = fake.now_ns;
    if (!listener) {
        op->answer = -ECONNREFUSED;
        return;
    }
    op->ready_ns += listener->delay_ns;
    if (listener->answer == FAKE_REFUSE) {
        op->answer = -ECONNREFUSED;
    } else if (listener->answer == FAKE_FULL) {
        op->answer = -EAGAIN;
    } else if (listener->answer == FAKE_SILENT) {
        op->answer = -ETIMEDOUT;
        op->ready_ns = fake.now_ns + CONNECT_TIMEOUT_NS;
    } else if (listener->queue_len > listener->backlog) {
        op->answer = -EAGAIN; /* the SYN was dropped */
        op->ready_ns = fake.now_ns + SYN_RETRY_NS;
    }
}

static void run_connect(struct fake_op *op)
{
    struct fake_file *file = op->file;
    struct fake_listener *listener = fake_listener_find(&op->addr);
    const bool is_full = listener && listener->answer == FAKE_FULL;
    if (op->answer == -EAGAIN && !is_full) {
        fake_op_ask(op);
        return;
    }
    if (op->answer != 0 || !listener) {
        fake_op_end(op, op->answer != 0 ? op->answer : -ECONNREFUSED, 0);
        return;
    }
    struct fake_addr local = file->local;
    if (local.len == 0) {
        local = fake_addr_fresh(file->family);
    }
    struct fake_end *end = fake_conn_new(&local, &op->addr);
    if (!fake_listener_push(listener, end->other)) {
        fake_end_close(end->other, true);
        fake_end_close(end, true);
        op->answer = -EAGAIN;
        op->ready_ns = fake.now_ns + SYN_RETRY_NS;
        return;
    }
    file->end = end;
    file->kind = FAKE_STREAM;
    fake.stats.connects++;
    fake_op_end(op, 0, 0);
}

/* ---- poll, read ---- */

static uint32_t poll_events(const struct fake_file *file)
{
    switch (file->kind) {
    case FAKE_STREAM:
        return fake_end_poll(file->end);
    case FAKE_DATAGRAM:
        return fake_box_poll(file->box);
    case FAKE_FIFO_READ:
    case FAKE_FIFO_WRITE:
        return fake_fifo_poll(file);
    case FAKE_LISTENER:
        return file->listener->queue_len > 0 ? POLLIN : 0;
    case FAKE_EVENTFD:
        return POLLOUT | (file->event_count > 0 ? POLLIN : 0u);
    case FAKE_PIDFD:
        return file->child.has_ended || file->child.is_woken ||
                       file->child.poll_err
                   ? POLLIN
                   : 0;
    case FAKE_DISK:
        return POLLIN | POLLOUT;
    case FAKE_SOCKET:
    case FAKE_CLOCK:
    case FAKE_TOKEN:
    case FAKE_STAGE:
        break;
    }
    return POLLOUT | POLLHUP;
}

/* Returns the events that a poll would report: the kernel always adds some
 * events, and a multishot poll reports only changes. */
static uint32_t poll_news(const struct fake_op *op)
{
    const uint32_t mask = op->sqe.poll32_events | POLLERR | POLLHUP | POLLRDHUP;
    const uint32_t events = poll_events(op->file) & mask;
    return events & ~op->told ? events : 0;
}

/* Ends a poll. A poll for space may report other events instead. */
static void end_poll(struct fake_op *op, uint32_t events)
{
    const uint32_t asked = op->sqe.poll32_events | POLLERR | POLLHUP;

    op->file->fin_polls +=
        (op->sqe.poll32_events & POLLOUT) && events != 0 && !(events & asked);
    fake_op_end(op, (int32_t)events, 0);
}

static void run_poll(struct fake_op *op)
{
    const uint32_t events = poll_news(op);
    if (op->file->kind == FAKE_PIDFD && op->file->child.poll_err) {
        const int err = op->file->child.poll_err;
        op->file->child.poll_err = 0;
        fake_op_end(op, err, 0);
        return;
    }
    if (!(op->sqe.len & IORING_POLL_ADD_MULTI) ||
        !fake_ring_has_room(op->ring)) {
        end_poll(op, events);
        return;
    }
    op->told = events;
    fake_trace("  poll fd=%d = %#x, more to come", op->file->fd, events);
    fake_ring_post(op->ring, op, (int32_t)events, IORING_CQE_F_MORE);
}

static bool is_of_fifo(const struct fake_op *op)
{
    return op->file->fifo && op->sqe.opcode != IORING_OP_POLL_ADD;
}

/* Runs in a worker, after there were bytes to read or space for all bytes. */
static void run_fifo(struct fake_op *op)
{
    const struct iovec iov = {(void *)(uintptr_t)op->sqe.addr, op->sqe.len};
    const bool reads = op->sqe.opcode == IORING_OP_READ;

    fake.stats.fifo_worked++;
    fake_op_end(op,
                reads ? fake_fifo_take(op->file->fifo, &iov, 1)
                      : fake_fifo_put(op->file->fifo, &iov, 1),
                0);
}

static void run_read(struct fake_op *op)
{
    uint8_t *buf = (void *)(uintptr_t)op->sqe.addr;
    if (op->file->kind == FAKE_DISK) {
        fake_op_end(op, fake_disk_read(op->file, buf, op->sqe.len, op->sqe.off),
                    0);
        return;
    }
    if (op->sqe.len < sizeof(op->file->event_count)) {
        fake_op_end(op, -EINVAL, 0);
        return;
    }
    memcpy(buf, &op->file->event_count, sizeof(op->file->event_count));
    op->file->event_count = 0;
    fake_op_end(op, (int32_t)sizeof(op->file->event_count), 0);
}

/* ---- in a worker ---- */

static bool is_receive(const struct fake_op *op)
{
    return op->sqe.opcode == IORING_OP_RECV;
}

void fake_op_wake(struct fake_op *op, uint32_t count)
{
    if (op->in_worker || !is_receive(op) || fake_ring_polls(op->ring)) {
        return;
    }
    op->wakes += count;
    op->exhausted = op->wakes >= WAKES_MAX;
}

static void enter_worker(struct fake_op *op)
{
    op->exhausted = false;
    wr_assert(is_receive(op));
    if (op->multishot) {
        fake_op_end(op, -ECANCELED, 0);
        return;
    }
    fake_trace("  %s fd=%d goes on in a worker", fake_op_name(op->sqe.opcode),
               op->file->fd);
    op->in_worker = true;
    op->worker_buf = recv_target(op, &op->worker_room);
    if (!op->worker_buf) {
        fake.stats.no_buffers++;
        fake_op_end(op, -ENOBUFS, 0);
    } else if (op->sqe.flags & IOSQE_BUFFER_SELECT) {
        op->worker_flags = use_slot(op, op->worker_room);
    }
}

static void recv_in_worker(struct fake_op *op, bool ends)
{
    if (ends) {
        fake_op_end(op, -EINTR, op->worker_flags);
        return;
    }
    ssize_t taken =
        fake_end_recv(op->file->end, op->worker_buf, op->worker_room);
    if (taken != -EAGAIN) {
        fake.stats.received_bytes += taken > 0 ? (uint64_t)taken : 0;
        fake_op_end(op, (int32_t)taken, op->worker_flags);
    }
}

/* ---- any operation ---- */

static bool can_progress(const struct fake_op *op)
{
    const struct fake_file *file = op->file;
    if (op->lacks_worker) {
        return op->ready_ns <= fake.now_ns;
    }
    if (is_of_fifo(op)) {
        return fake_fifo_may_work(file, op->sqe.len);
    }
    switch (op->sqe.opcode) {
    case IORING_OP_RECV:
        return (fake_end_poll(file->end) & POLLIN) != 0 &&
               !(op->multishot && file->end->is_deaf);
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        return true; /* without space it completes with an error */
    case IORING_OP_CONNECT:
    case IORING_OP_TIMEOUT:
        return op->ready_ns <= fake.now_ns;
    case IORING_OP_POLL_ADD:
        return poll_news(op) != 0;
    default:
        return (poll_events(file) & POLLIN) != 0;
    }
}

bool fake_op_is_ready(const struct fake_op *op)
{
    return op->cancelled || op->exhausted || can_progress(op);
}

/* Also ends an operation that was cancelled meanwhile. */
static void end_without_worker(struct fake_op *op)
{
    fake.stats.workers_lacking++;
    fake.stats.workers_lacking_cancelled += op->cancelled;
    fake_op_end(op, -ECANCELED, 0);
}

static void run_in_worker(struct fake_op *op)
{
    const bool misses_cancel =
        op->cancelled && fake_chance(fake.options.permille[FAKE_CANCEL_RACE]);
    recv_in_worker(op, op->cancelled && !misses_cancel);
}

void fake_op_run(struct fake_op *op)
{
    op->judged = false;
    if (!fake_op_is_ready(op)) {
        return; /* another accept took the connection */
    }
    if (op->lacks_worker) {
        end_without_worker(op);
        return;
    }
    if (op->exhausted && !op->cancelled && !can_progress(op)) {
        enter_worker(op);
        return;
    }
    if (op->in_worker) {
        run_in_worker(op);
        return;
    }
    if (op->cancelled &&
        !(can_progress(op) &&
          fake_chance(fake.options.permille[FAKE_CANCEL_RACE]))) {
        fake_op_end(op, is_of_fifo(op) ? -EINTR : -ECANCELED, 0);
        return;
    }
    if (is_of_fifo(op)) {
        run_fifo(op);
        return;
    }
    switch (op->sqe.opcode) {
    case IORING_OP_RECV:
        run_recv(op);
        break;
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        run_send(op);
        break;
    case IORING_OP_ACCEPT:
        run_accept(op);
        break;
    case IORING_OP_CONNECT:
        run_connect(op);
        break;
    case IORING_OP_POLL_ADD:
        run_poll(op);
        break;
    case IORING_OP_TIMEOUT:
        fake_op_end(op, -ETIME, 0);
        break;
    default:
        run_read(op);
        break;
    }
}
