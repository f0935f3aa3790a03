/*
 * Descriptors that Unix sockets of the fake machine pass.
 *
 * A descriptor that can be passed stands only for a number, its token, and is
 * this number while it is in flight. A receive opens a new descriptor for it.
 * As in the kernel a receive ends before a second batch, and descriptors that
 * do not fit into the table are lost.
 */
#include "tests/fake/world.h"
#include "uring/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fake_token_open(uint64_t token)
{
    struct fake_file *file = fake_file_open(FAKE_TOKEN, 0);
    if (!file) {
        return -EMFILE;
    }
    file->token = token;
    return file->fd;
}

uint64_t fake_token(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "the test");
    if (file->kind != FAKE_TOKEN) {
        fake_fail("descriptor %d stands for no token", fd);
    }
    return file->token;
}

int wr_sys_dup_to_pass(int fd)
{
    if (fd < 0) {
        return -EBADF;
    }
    if (fake_chance(fake.options.permille[FAKE_NO_FD])) {
        return -EMFILE;
    }
    return fake_token_open(fake_token(fd));
}

/* The descriptors are looked up when the send takes its bytes. */
struct fake_batch *fake_batch_of(const struct fake_op *op)
{
    const struct cmsghdr *control = op->control;
    int fds[FAKE_TOKENS_MAX];
    if (op->control_len == 0) {
        return NULL;
    }
    const size_t bytes = control->cmsg_len - CMSG_LEN(0);
    if (control->cmsg_len != op->control_len || bytes > sizeof(fds) ||
        control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS ||
        !fake_end_is_unix(op->file->end)) {
        fake_fail("control data that make no sense, on descriptor %d",
                  op->file->fd);
    }
    memcpy(fds, CMSG_DATA(control), bytes);
    struct fake_batch *batch = calloc(1, sizeof(*batch));
    wr_assert(batch);
    batch->count = (uint32_t)(bytes / sizeof(int));
    for (uint32_t i = 0; i < batch->count; i++) {
        batch->tokens[i] = fake_token(fds[i]);
    }
    return batch;
}

/* Opens as many descriptors of a batch as the table has space for. */
static void install(struct fake_batch *batch, struct wr_passed *ret)
{
    while (ret->count < batch->count &&
           !fake_chance(fake.options.permille[FAKE_NO_FD])) {
        const int fd = fake_token_open(batch->tokens[ret->count]);
        if (fd < 0) {
            break;
        }
        ret->fds[ret->count++] = fd;
    }
    ret->has_lost = ret->count < batch->count;
    free(batch);
}

int32_t wr_sys_recv_fds(int fd, struct iovec *iov, uint32_t count,
                        struct wr_passed *ret)
{
    struct fake_file *file = fake_file_get(fd, "recvmsg");
    struct fake_batch *batch = NULL;
    ssize_t taken = -EAGAIN;
    int32_t total = 0;

    ret->count = 0;
    ret->has_lost = false;
    if (file->kind != FAKE_STREAM || file->recv_count > 0) {
        fake_fail("a receive that does not wait, on descriptor %d", fd);
    }
    if (fake_chance(fake.options.permille[FAKE_VAIN_POLL])) {
        return -EAGAIN;
    }
    for (uint32_t i = 0; i < count && !batch; i++) {
        size_t room = iov[i].iov_len;
        if (fake_chance(fake.options.permille[FAKE_SHORT_RECV])) {
            room = 1 + (size_t)fake_random(room);
        }
        taken = fake_end_recv_batch(file->end, iov[i].iov_base, room, &batch);
        total += taken > 0 ? (int32_t)taken : 0;
        if (taken < (ssize_t)iov[i].iov_len ||
            fake_end_readable(file->end) == 0) {
            break; /* the next call reports an error or the end after bytes */
        }
    }
    if (batch) {
        install(batch, ret);
    }
    fake.stats.received_bytes += (uint64_t)total;
    fake_trace("recvmsg fd=%d vectors=%u = %d, %u descriptors", fd, count,
               total > 0 ? total : (int)taken, ret->count);
    return total > 0 ? total : (int32_t)taken;
}
