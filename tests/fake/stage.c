/*
 * Pipes of which weir has both ends, for splices.
 *
 * The machine is stricter than the kernel. When bytes are spliced into a pipe
 * or the pipe is closed, it must be empty, because its bytes would be lost or
 * out of order. No operation in flight may receive from or send to the socket.
 */
#include "tests/fake/world.h"
#include "uring/sys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STAGE_BYTES (64u << 10)

struct fake_stage {
    uint8_t *data;
    uint32_t size;
    uint32_t head;
    uint32_t len;
    uint32_t ends;
};

int wr_sys_pipe_nonblock(int ret[2])
{
    struct fake_file *files[2];
    struct fake_stage *stage = calloc(1, sizeof(*stage));

    wr_assert(stage);
    for (int i = 0; i < 2; i++) {
        files[i] = fake_chance(fake.options.permille[FAKE_NO_FD])
                       ? NULL
                       : fake_file_open(FAKE_STAGE, 0);
        if (!files[i]) {
            if (i == 1) {
                fake_file_drop(files[0]);
            }
            free(stage);
            return -EMFILE;
        }
        ret[i] = files[i]->fd;
        files[i]->stage = stage;
    }
    stage->size = STAGE_BYTES;
    stage->data = malloc(stage->size);
    wr_assert(stage->data);
    stage->ends = 2;
    return 0;
}

void fake_stage_leave(struct fake_stage *stage)
{
    if (stage->len > 0) {
        fake_fail("a pipe is closed with %u bytes", stage->len);
    }
    if (--stage->ends == 0) {
        free(stage->data);
        free(stage);
    }
}

static struct fake_stage *stage_of(int fd, const char *what)
{
    struct fake_stage *stage = fake_file_get(fd, what)->stage;
    if (!stage) {
        fake_fail("%s of descriptor %d, which is no pipe", what, fd);
    }
    return stage;
}

int wr_sys_pipe_widen(int fd, size_t size)
{
    struct fake_stage *stage = stage_of(fd, "widen");
    wr_assert(stage->len == 0);
    if (fake_chance(fake.options.permille[FAKE_NO_MEMORY])) {
        return -EPERM;
    }
    free(stage->data);
    stage->data = malloc(size);
    wr_assert(stage->data);
    stage->size = (uint32_t)size;
    return (int)size;
}

int32_t wr_sys_pipe_read(int fd, void *buf, size_t len)
{
    struct fake_stage *stage = stage_of(fd, "pipe read");
    const size_t got = (size_t)wr_min_u64(len, stage->len);
    if (got == 0) {
        return -EAGAIN;
    }
    memcpy(buf, stage->data + stage->head, got);
    stage->head += (uint32_t)got;
    stage->len -= (uint32_t)got;
    return (int32_t)got;
}

/* Not used: operations of the fake machine need no pipe. */
int32_t wr_sys_pipe_write(int fd, const void *buf, size_t len)
{
    return -EBADF;
}

/* Returns @len, or by chance less; every fourth time one byte less. */
static size_t shorten(size_t len, enum fake_fault fault)
{
    if (len < 2 || !fake_chance(fake.options.permille[fault])) {
        return len;
    }
    const size_t part = 1 + (size_t)fake_random(len);
    return part % 4 == 0 ? len - 1 : part;
}

int wr_sys_begin_splices(struct wr_sys_splices *splices, int from, int to)
{
    *splices = (struct wr_sys_splices){.from = from, .to = to};
    fake.stats.splices_prepared++;
    return wr_sys_block_signals(&splices->signals);
}

void wr_sys_end_splices(const struct wr_sys_splices *splices)
{
    wr_sys_restore_signals(&splices->signals, true);
}

int32_t wr_sys_splice_in(const struct wr_sys_splices *splices, int pipe,
                         size_t len)
{
    const int fd = splices->from;
    struct fake_file *file = fake_file_get(fd, "splice");
    struct fake_stage *stage = stage_of(pipe, "splice");

    if (file->kind != FAKE_STREAM || file->recv_count > 0) {
        fake_fail("a splice from descriptor %d, under a receive", fd);
    }
    if (stage->len > 0) {
        fake_fail("a splice into a pipe with %u bytes", stage->len);
    }
    len = shorten((size_t)wr_min_u64(len, stage->size), FAKE_SHORT_RECV);
    const ssize_t got = fake_chance(fake.options.permille[FAKE_VAIN_POLL])
                            ? -EAGAIN
                            : fake_end_recv(file->end, stage->data, len);
    stage->head = 0;
    stage->len = got > 0 ? (uint32_t)got : 0;
    fake.stats.received_bytes += stage->len;
    fake_trace("splice fd=%d in = %d", fd, (int)got);
    return (int32_t)got;
}

int32_t wr_sys_splice_out(struct wr_sys_splices *splices, int pipe, size_t len)
{
    const int fd = splices->to;
    struct fake_file *file = fake_file_get(fd, "splice");
    struct fake_stage *stage = stage_of(pipe, "splice");

    if (file->kind != FAKE_STREAM || file->send_count > 0) {
        fake_fail("a splice to descriptor %d, under a send", fd);
    }
    if (len != stage->len) {
        fake_fail("a splice of %zu of %u bytes", len, stage->len);
    }
    const size_t part = shorten(len, FAKE_SHORT_SEND);
    const ssize_t put =
        fake_chance(fake.options.permille[FAKE_VAIN_POLL])
            ? -EAGAIN
            : fake_end_send(file->end, stage->data + stage->head, part);
    if (put > 0) {
        stage->head += (uint32_t)put;
        stage->len -= (uint32_t)put;
        fake.stats.sent_bytes += (uint64_t)put;
        fake.stats.spliced_bytes += (uint64_t)put;
    }
    fake.stats.splices_short += stage->len > 0;
    fake_trace("splice fd=%d out = %d", fd, (int)put);
    return (int32_t)put;
}

int wr_sys_room(int fd)
{
    const struct fake_file *file = fake_file_get(fd, "room");
    fake.stats.looks++;
    if (file->kind != FAKE_STREAM) {
        return -ENOTSOCK;
    }
    return (int)fake_end_writable(file->end);
}
