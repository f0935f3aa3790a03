/*
 * How submission entries become operations of the fake machine.
 *
 * Vectors and addresses are copied here, at submission, as in the kernel; the
 * bytes that they point to are not copied. An entry that weir has no reason to
 * make, or that breaks one of weir's rules (a second send on a socket, a close
 * during an operation, an owner that is already in flight), ends the test, and
 * does not return an error that weir might handle.
 */
#include "tests/fake/world.h"
#include "uring/sqe.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define POISON_LEN 65536u
/* Maximum time after which an operation without a worker ends. */
#define LACK_NS UINT64_C(50000000)

static bool has_bad_luck_with_workers(void)
{
    return fake_chance(fake.options.permille[FAKE_NO_WORKER]);
}

/* A ring that has a worker for files keeps it. */
static bool lacks_worker(const struct wr_ring *ring)
{
    return !ring->has_worker && has_bad_luck_with_workers();
}

/* For entries that no operation waits for. */
static void end_at_once(struct wr_ring *ring, const struct io_uring_sqe *sqe,
                        int32_t res)
{
    struct fake_op op = {.ring = ring, .sqe = *sqe};
    if (res < 0 || !(sqe->flags & IOSQE_CQE_SKIP_SUCCESS)) {
        fake_ring_post(ring, &op, res, 0);
    }
}

static void copy_iov(struct fake_op *op, const struct iovec *iov, size_t count)
{
    if (count > FAKE_IOV_MAX) {
        fake_fail("%zu vectors in one send", count);
    }
    op->iov = calloc(count + 1, sizeof(*iov));
    wr_assert(op->iov);
    memcpy(op->iov, iov, count * sizeof(*iov));
    op->iov_count = (uint32_t)count;
}

static int32_t start_send(struct fake_op *op)
{
    const struct io_uring_sqe *sqe = &op->sqe;
    const void *addr = (const void *)(uintptr_t)sqe->addr;
    fake.stats.sends++;
    if (sqe->msg_flags != ((uint32_t)MSG_NOSIGNAL | (uint32_t)MSG_DONTWAIT)) {
        fake_fail("a send with flags %#x", sqe->msg_flags);
    }
    if (++op->file->send_count > 1) {
        fake_fail("a second send on descriptor %d", sqe->fd);
    }
    if (sqe->opcode == IORING_OP_SENDMSG) {
        const struct msghdr *msg = addr;
        copy_iov(op, msg->msg_iov, msg->msg_iovlen);
        op->control = msg->msg_control;
        op->control_len = msg->msg_controllen;
    } else if (sqe->ioprio & WR_SEND_VECTORIZED) {
        if (!fake_ring_has(op->ring, WR_FEATURE_SEND_VECTORIZED)) {
            return -EINVAL;
        }
        copy_iov(op, addr, sqe->len);
    } else {
        struct iovec iov = {(void *)(uintptr_t)sqe->addr, sqe->len};
        copy_iov(op, &iov, 1);
    }
    fake_trace("submit send fd=%d vectors=%u bytes=%zu", sqe->fd, op->iov_count,
               fake_op_bytes(op));
    return 0;
}

static int32_t start_recv(struct fake_op *op)
{
    const struct io_uring_sqe *sqe = &op->sqe;
    bool select = (sqe->flags & IOSQE_BUFFER_SELECT) != 0;
    fake.stats.receives++;
    op->multishot = (sqe->ioprio & IORING_RECV_MULTISHOT) != 0;
    op->credit = wr_sqe_optlen(sqe);
    op->credited = op->credit != 0;
    fake_trace("submit recv fd=%d len=%u credit=%u", sqe->fd, sqe->len,
               op->credit);
    if (select && op->file->receives_by_calls) {
        op->file->receives_by_calls = false;
        fake.stats.call_receives_left++;
    }
    if (++op->file->recv_count > 1) {
        fake_fail("a second receive on descriptor %d", sqe->fd);
    }
    if ((op->multishot && !select) || (op->credited && !op->multishot)) {
        return -EINVAL;
    }
    if (op->multishot && (op->credited || sqe->len != 0) &&
        !fake_ring_has(op->ring, WR_FEATURE_RECV_CREDIT)) {
        return -EINVAL;
    }
    if (select && !op->multishot && op->ring->incremental) {
        fake_fail("a single receive on a ring of incremental buffers");
    }
    if (!select && fake.options.poison) {
        memset((void *)(uintptr_t)sqe->addr, 0xee,
               wr_min_u64(sqe->len, POISON_LEN));
    }
    op->never_waits = op->file->is_nonblocking;
    if (op->never_waits && (fake_end_poll(op->file->end) & POLLIN) == 0) {
        fake.stats.receives_refused++;
        return -EAGAIN;
    }
    if (select && !fake_ring_slot(op->ring) &&
        !(sqe->ioprio & IORING_RECVSEND_POLL_FIRST)) {
        fake.stats.no_buffers++;
        return -ENOBUFS;
    }
    return 0;
}

static int32_t start_connect(struct fake_op *op)
{
    const struct io_uring_sqe *sqe = &op->sqe;
    const struct sockaddr *addr = (void *)(uintptr_t)sqe->addr;
    if (op->file->kind == FAKE_STREAM) {
        return -EISCONN;
    }
    if (op->file->kind != FAKE_SOCKET || op->file->connecting) {
        fake_fail("a connect on descriptor %d, which cannot", sqe->fd);
    }
    op->file->connecting = true;
    op->addr = fake_addr_of(addr, (socklen_t)sqe->off);
    fake_trace("submit connect fd=%d", sqe->fd);
    fake_op_ask(op);
    return 0;
}

static int32_t start_timeout(struct fake_op *op)
{
    const struct io_uring_sqe *sqe = &op->sqe;
    const struct __kernel_timespec *wait = (const void *)(uintptr_t)sqe->addr;
    const uint64_t wait_ns =
        (uint64_t)wait->tv_sec * 1000000000u + (uint64_t)wait->tv_nsec;
    if (sqe->len != 1 || sqe->off != 0 || sqe->timeout_flags != 0 ||
        sqe->fd != -1) {
        fake_fail("a timeout of %u times, %llu completions, flags %#x, fd %d",
                  sqe->len, (unsigned long long)sqe->off, sqe->timeout_flags,
                  sqe->fd);
    }
    if (wait->tv_sec < 0 || wait->tv_nsec < 0 || wait->tv_nsec >= 1000000000) {
        fake_fail("a timeout of %lld s and %lld ns", (long long)wait->tv_sec,
                  (long long)wait->tv_nsec);
    }
    fake.stats.timeouts++;
    fake_trace("submit timeout of %llu us", (unsigned long long)wait_ns / 1000);
    op->ready_ns = wr_add_sat(fake.now_ns, wait_ns);
    return fake_chance(fake.options.permille[FAKE_NO_TIMEOUT]) ? -ENOMEM : 0;
}

/* Returns 0, or the result if the operation ends at once. */
static int32_t start_op(struct fake_op *op)
{
    const struct io_uring_sqe *sqe = &op->sqe;
    enum fake_kind kind = op->file->kind;
    switch (sqe->opcode) {
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
        return start_send(op);
    case IORING_OP_RECV:
        return start_recv(op);
    case IORING_OP_CONNECT:
        return start_connect(op);
    case IORING_OP_TIMEOUT:
        return start_timeout(op);
    case IORING_OP_ACCEPT:
        fake_trace("submit accept fd=%d", sqe->fd);
        if (kind != FAKE_LISTENER || sqe->accept_flags != SOCK_CLOEXEC) {
            fake_fail("an accept on descriptor %d, flags %#x", sqe->fd,
                      sqe->accept_flags);
        }
        /* The kernel allocates the descriptor before it finds a connection. */
        return fake.options.fd_limit != 0 &&
                       fake.file_count >= fake.options.fd_limit
                   ? -EMFILE
                   : 0;
    case IORING_OP_POLL_ADD:
        fake.stats.polls++;
        fake_trace("submit poll fd=%d events=%#x", sqe->fd, sqe->poll32_events);
        return 0;
    default:
        fake.stats.reads++;
        if (sqe->opcode == IORING_OP_WRITE && kind != FAKE_FIFO_WRITE) {
            fake_fail("a write on descriptor %d", sqe->fd);
        }
        op->lacks_worker = kind == FAKE_DISK
                               ? lacks_worker(op->ring)
                               : op->file->fifo && has_bad_luck_with_workers();
        if (op->lacks_worker) { /* the kernel tries several times */
            op->ready_ns = fake.now_ns + fake_random(LACK_NS);
        }
        return kind >= FAKE_EVENTFD ? 0 : -EINVAL;
    }
}

static struct fake_op *find_op(const struct wr_ring *ring, uint64_t user_data)
{
    for (struct wr_list *link = ring->ops.next; link != &ring->ops;
         link = link->next) {
        struct fake_op *op = wr_container_of(link, struct fake_op, link);
        if (op->sqe.user_data == user_data) {
            return op;
        }
    }
    return NULL;
}

static bool misses_cancel(const struct fake_op *op)
{
    return op->file->fifo && op->sqe.opcode != IORING_OP_POLL_ADD &&
           fake_chance(fake.options.permille[FAKE_CANCEL_LOST]);
}

static void issue_cancel(struct wr_ring *ring, const struct io_uring_sqe *sqe)
{
    struct fake_op *op = find_op(ring, sqe->addr);
    fake.stats.cancels++;
    if (sqe->cancel_flags != 0) {
        fake_fail("a cancel with flags %#x", sqe->cancel_flags);
    }
    if (!op || op->cancelled || misses_cancel(op)) {
        fake_trace("submit cancel, too late");
        end_at_once(ring, sqe, op ? -EALREADY : -ENOENT);
        return;
    }
    fake_trace("submit cancel of %s fd=%d", fake_op_name(op->sqe.opcode),
               op->file->fd);
    op->cancelled = true;
    op->judged = false;
    end_at_once(ring, sqe, 0);
}

void fake_file_close(struct fake_file *file)
{
    if (file->op_count != 0) {
        fake_fail("descriptor %d is closed under %u operations", file->fd,
                  file->op_count);
    }
    if (file->kind == FAKE_STREAM) {
        fake_end_close(file->end,
                       file->reset_on_close && !fake_end_is_unix(file->end));
    }
    if (file->fifo) {
        fake_fifo_leave(file->fifo);
    }
    if (file->stage) {
        fake_stage_leave(file->stage);
    }
    if (file->kind == FAKE_DATAGRAM) {
        fake_box_free(file->box);
    }
    if (file->kind == FAKE_LISTENER) {
        fake_listener_free(file->listener);
    }
    fake_file_drop(file);
}

/* Ends the test if the entry is wrong, before it can do harm. */
static void check_entry(const struct wr_ring *ring,
                        const struct io_uring_sqe *sqe)
{
    uint32_t known = IOSQE_BUFFER_SELECT | IOSQE_CQE_SKIP_SUCCESS;
    if (sqe->opcode == IORING_OP_READ || sqe->opcode == IORING_OP_WRITE ||
        sqe->opcode == IORING_OP_NOP) {
        known |= IOSQE_ASYNC;
    }
    if (!fake_op_name(sqe->opcode)) {
        fake_fail("opcode %u is not known here", sqe->opcode);
    }
    if (sqe->flags & ~known) {
        fake_fail("%s with flags %#x", fake_op_name(sqe->opcode), sqe->flags);
    }
    if (sqe->user_data != 0 && find_op(ring, sqe->user_data)) {
        fake_fail("%s of an owner that is in flight already",
                  fake_op_name(sqe->opcode));
    }
}

static struct fake_op *new_op(struct wr_ring *ring,
                              const struct io_uring_sqe *sqe,
                              struct fake_file *file)
{
    struct fake_op *op = calloc(1, sizeof(*op));
    wr_assert(op);
    op->ring = ring;
    op->sqe = *sqe;
    op->file = file;
    file->op_count++;
    ring->op_count++;
    wr_list_init(&op->link);
    wr_list_push_back(&ring->ops, &op->link);
    return op;
}

/* A no-op for a worker reports if no worker can be started. */
static void issue_nop(struct wr_ring *ring, const struct io_uring_sqe *sqe)
{
    const bool lacks = sqe->flags & IOSQE_ASYNC && lacks_worker(ring);
    if (sqe->flags & IOSQE_ASYNC) {
        fake_trace("submit nop for a worker");
    }
    fake.stats.workers_lacking += lacks;
    ring->has_worker |= sqe->flags & IOSQE_ASYNC && !lacks;
    end_at_once(ring, sqe, lacks ? -ECANCELED : 0);
}

/* Completes entries that need no operation. Returns false for all others. */
static bool issue_at_once(struct wr_ring *ring, const struct io_uring_sqe *sqe)
{
    switch (sqe->opcode) {
    case IORING_OP_NOP:
        issue_nop(ring, sqe);
        return true;
    case IORING_OP_ASYNC_CANCEL:
        issue_cancel(ring, sqe);
        return true;
    case IORING_OP_CLOSE:
        if (fake_file_get(sqe->fd, "close")->kind == FAKE_DISK &&
            lacks_worker(ring)) {
            fake.stats.workers_lacking++;
            end_at_once(ring, sqe, -ECANCELED);
            return true;
        }
        fake.stats.closes++;
        fake_trace("submit close fd=%d", sqe->fd);
        fake_file_close(fake_file_get(sqe->fd, "close"));
        end_at_once(ring, sqe, 0);
        return true;
    default:
        return false;
    }
}

struct fake_op *fake_op_issue(struct wr_ring *ring,
                              const struct io_uring_sqe *sqe)
{
    check_entry(ring, sqe);
    if (issue_at_once(ring, sqe)) {
        return NULL;
    }
    struct fake_file *file =
        sqe->opcode == IORING_OP_TIMEOUT
            ? &fake.clock
            : fake_file_get(sqe->fd, fake_op_name(sqe->opcode));
    bool needs_stream = sqe->opcode == IORING_OP_RECV ||
                        sqe->opcode == IORING_OP_SEND ||
                        sqe->opcode == IORING_OP_SENDMSG;
    if (needs_stream && file->kind != FAKE_STREAM) {
        fake_fail("%s on descriptor %d, which is not connected",
                  fake_op_name(sqe->opcode), sqe->fd);
    }
    struct fake_op *op = new_op(ring, sqe, file);
    int32_t res = start_op(op);
    if (res != 0) {
        fake_op_end(op, res, 0);
        return NULL;
    }
    return op;
}
