/*
 * Pipes of the fake machine: one end is weir's, the other one the test's.
 *
 * As in Linux a write of up to a page is taken completely or not at all, a poll
 * reports space for a page, bytes are read before the end that a closed writer
 * leaves, and a writer without a reader gets -EPIPE and no signal. A pipe that
 * was opened by its name refuses calls that do not wait. A worker moves its
 * bytes, and waits until it can move a whole page or, for a read, some bytes.
 */
#include "tests/fake/world.h"
#include "uring/sys.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define PAGE 4096u

struct fake_fifo *fake_fifo_open(bool weir_reads, bool by_name, uint32_t size,
                                 int *ret_fd)
{
    struct fake_file *file =
        fake_file_open(weir_reads ? FAKE_FIFO_READ : FAKE_FIFO_WRITE, 0);
    struct fake_fifo *fifo = calloc(1, sizeof(*fifo));
    wr_assert(file);
    wr_assert(fifo);
    wr_assert(size >= PAGE);
    fifo->data = malloc(size);
    wr_assert(fifo->data);
    fifo->size = size;
    fifo->by_name = by_name;
    file->fifo = fifo;
    wr_list_init(&fifo->link);
    wr_list_push_back(&fake.fifos, &fifo->link);
    *ret_fd = file->fd;
    return fifo;
}

static void fifo_free(struct fake_fifo *fifo)
{
    wr_list_remove(&fifo->link);
    free(fifo->data);
    free(fifo);
}

void fake_fifos_free(void)
{
    while (!wr_list_is_empty(&fake.fifos)) {
        fifo_free(wr_container_of(fake.fifos.next, struct fake_fifo, link));
    }
}

/* Closes one end. */
static void fifo_leave(struct fake_fifo *fifo, bool *own, const bool *other)
{
    wr_assert(!*own);
    *own = true;
    if (*other) {
        fifo_free(fifo);
    }
}

void fake_fifo_leave(struct fake_fifo *fifo)
{
    fifo_leave(fifo, &fifo->weir_gone, &fifo->test_gone);
}

void fake_fifo_close(struct fake_fifo *fifo)
{
    fifo_leave(fifo, &fifo->test_gone, &fifo->weir_gone);
}

uint32_t fake_fifo_room(const struct fake_fifo *fifo)
{
    return fifo->size - fifo->len;
}

uint32_t fake_fifo_len(const struct fake_fifo *fifo)
{
    return fifo->len;
}

uint32_t fake_fifo_poll(const struct fake_file *file)
{
    const struct fake_fifo *fifo = file->fifo;
    if (file->kind == FAKE_FIFO_READ) {
        return (fifo->len > 0 ? POLLIN : 0u) | (fifo->test_gone ? POLLHUP : 0u);
    }
    return (fake_fifo_room(fifo) >= PAGE || fifo->test_gone ? POLLOUT : 0u) |
           (fifo->test_gone ? POLLERR : 0u);
}

static size_t push(struct fake_fifo *fifo, const uint8_t *data, size_t len)
{
    const size_t most = (size_t)wr_min_u64(len, fake_fifo_room(fifo));
    for (size_t i = 0; i < most; i++) {
        fifo->data[(fifo->head + fifo->len++) % fifo->size] = data[i];
    }
    fifo->taken += most;
    return most;
}

static size_t pop(struct fake_fifo *fifo, uint8_t *data, size_t len)
{
    const size_t most = (size_t)wr_min_u64(len, fifo->len);
    for (size_t i = 0; i < most; i++) {
        data[i] = fifo->data[fifo->head];
        fifo->head = (fifo->head + 1) % fifo->size;
    }
    fifo->len -= (uint32_t)most;
    fifo->given += most;
    return most;
}

/* ---- the test's end ---- */

ssize_t fake_fifo_write(struct fake_fifo *fifo, const void *data, size_t len)
{
    if (fifo->weir_gone) {
        return -EPIPE;
    }
    const size_t taken = push(fifo, data, len);
    return taken > 0 || len == 0 ? (ssize_t)taken : -EAGAIN;
}

ssize_t fake_fifo_read(struct fake_fifo *fifo, void *data, size_t len)
{
    const size_t got = pop(fifo, data, len);
    return got > 0 || fifo->weir_gone ? (ssize_t)got : -EAGAIN;
}

uint64_t fake_fifo_taken(const struct fake_fifo *fifo)
{
    return fifo->taken;
}

uint64_t fake_fifo_given(const struct fake_fifo *fifo)
{
    return fifo->given;
}

/* ---- weir's end ---- */

int32_t fake_fifo_take(struct fake_fifo *fifo, const struct iovec *iov,
                       uint32_t count)
{
    int32_t total = 0;
    for (uint32_t i = 0; i < count && fifo->len > 0; i++) {
        size_t room = iov[i].iov_len;
        if (room > 1 && fake_chance(fake.options.permille[FAKE_SHORT_RECV])) {
            room = 1 + (size_t)fake_random(room);
        }
        const size_t got = pop(fifo, iov[i].iov_base, room);
        total += (int32_t)got;
        if (got < iov[i].iov_len) {
            break;
        }
    }
    fake.stats.fifo_reads += total > 0;
    return total > 0 || fifo->test_gone ? total : -EAGAIN;
}

int32_t fake_fifo_put(struct fake_fifo *fifo, const struct iovec *iov,
                      uint32_t count)
{
    size_t len = 0;
    int32_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        len += iov[i].iov_len;
    }
    if (fifo->test_gone) {
        fake.stats.fifo_broken++;
        return -EPIPE;
    }
    if (fake_fifo_room(fifo) < (len < PAGE ? len : 1)) {
        fake.stats.fifo_full++;
        return -EAGAIN;
    }
    if (len > PAGE && fake_chance(fake.options.permille[FAKE_SHORT_SEND])) {
        len = PAGE + (size_t)fake_random(len - PAGE);
    }
    for (uint32_t i = 0; i < count && len > 0; i++) {
        const size_t most = (size_t)wr_min_u64(iov[i].iov_len, len);
        const size_t put = push(fifo, iov[i].iov_base, most);
        total += (int32_t)put;
        len = put < most ? 0 : len - put;
    }
    fake.stats.fifo_writes++;
    return total;
}

bool fake_fifo_may_work(const struct fake_file *file, size_t len)
{
    const struct fake_fifo *fifo = file->fifo;
    return fifo->test_gone ||
           (file->kind == FAKE_FIFO_READ ? fifo->len > 0
                                         : fake_fifo_room(fifo) >= len);
}
