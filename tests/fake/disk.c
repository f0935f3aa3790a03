/*
 * Regular files of the fake machine, and the system calls that send them.
 *
 * A file has a size and a function that generates its bytes. Chance decides
 * anew each time whether a part is in the cache, unless the test has set its
 * state. A read by the ring takes a time that FAKE_DELAY determines.
 */
#include "tests/fake/world.h"
#include "uring/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int fake_disk_open(uint64_t size, fake_fill_fn *fill, void *arg)
{
    struct fake_file *file = fake_file_open(FAKE_DISK, 0);
    wr_assert(file);
    file->disk_size = size;
    file->fill = fill;
    file->fill_arg = arg;
    return file->fd;
}

void fake_disk_truncate(int fd, uint64_t size)
{
    fake_file_get(fd, "truncate")->disk_size = size;
}

void fake_disk_place(int fd, enum fake_place place, uint64_t offset,
                     uint64_t len)
{
    struct fake_file *file = fake_file_get(fd, "place");
    wr_assert(offset <= UINT64_MAX - len);
    file->place = place;
    file->place_first = offset;
    file->place_end = offset + len;
}

/* Returns the offset of the first of @len bytes at @offset whose state the test
 * has set, or the end of the bytes if there is none. */
static uint64_t disk_first_placed(const struct fake_file *file, uint64_t offset,
                                  size_t len)
{
    const uint64_t end = offset + len;
    const uint64_t first = wr_max_u64(offset, file->place_first);
    const bool has_some =
        file->place != FAKE_READY && first < end && first < file->place_end;

    return has_some ? first : end;
}

int32_t fake_disk_read(const struct fake_file *file, void *buf, size_t len,
                       uint64_t offset)
{
    if (fake_chance(fake.options.permille[FAKE_DISK_ERROR])) {
        return -EIO;
    }
    if (fake_chance(fake.options.permille[FAKE_DISK_CANCEL])) {
        return -ECANCELED;
    }
    if (offset >= file->disk_size) {
        return 0;
    }
    size_t most = (size_t)wr_min_u64(len, file->disk_size - offset);
    if (most > 1 && fake_chance(fake.options.permille[FAKE_SHORT_RECV])) {
        most = 1 + (size_t)fake_random(most);
    }
    file->fill(file->fill_arg, buf, offset, most);
    fake.stats.disk_reads++;
    return (int32_t)most;
}

int wr_sys_stat_known(int fd, struct statx *ret)
{
    const struct fake_file *file = fake_file_get(fd, "statx");
    memset(ret, 0, sizeof(*ret));
    ret->stx_mode = file->kind == FAKE_DISK ? S_IFREG | 0600 : S_IFSOCK | 0600;
    ret->stx_size = file->disk_size;
    ret->stx_nlink = 1;
    ret->stx_ino = (unsigned int)fd;
    return 0;
}

bool wr_sys_needs_worker(int fd)
{
    wr_ignore(!fake_file_get(fd, "preadv2"));
    return false;
}

/* mincore(): a part of the bytes may still be arriving from the device. */
int64_t wr_sys_cached_bytes(int fd, uint64_t offset, size_t len, uint64_t size,
                            bool *is_told)
{
    const struct fake_file *file = fake_file_get(fd, "mincore");
    wr_assert(offset < size && len <= size - offset);
    if (offset >= file->disk_size) {
        return 0;
    }
    const uint64_t most =
        wr_min_u64(disk_first_placed(file, offset, len), file->disk_size) -
        offset;
    if (most == 0 || fake_chance(fake.options.permille[FAKE_COLD])) {
        return 0;
    }
    *is_told = true;
    fake.stats.looked_up_bytes += len;
    return fake_chance(fake.options.permille[FAKE_COLD])
               ? (int64_t)fake_random(most)
               : (int64_t)most;
}

/* cachestat(), which old kernels do not have. */
int wr_sys_is_cached(int fd, uint64_t offset, size_t len)
{
    const struct fake_file *file = fake_file_get(fd, "cachestat");
    if (fake_chance(fake.options.permille[FAKE_COLD])) {
        return fake_chance(500) ? -ENOSYS : 0;
    }
    fake.stats.counted_bytes += len;
    if (file->place == FAKE_ABSENT &&
        disk_first_placed(file, offset, len) < offset + len) {
        return 0;
    }
    return offset < file->disk_size && len <= file->disk_size - offset;
}

int64_t wr_sys_read_cached(int fd, void *buf, size_t len, uint64_t offset)
{
    const struct fake_file *file = fake_file_get(fd, "read");
    if (disk_first_placed(file, offset, len) < offset + len ||
        fake_chance(fake.options.permille[FAKE_COLD])) {
        return -EAGAIN;
    }
    return fake_disk_read(file, buf, len, offset);
}

/* Takes as many bytes as fit. Returns their number, or a negative error. */
static int64_t disk_to_stream(struct fake_end *end,
                              const struct fake_file *file, uint64_t offset,
                              size_t len)
{
    uint8_t buf[4096];
    int64_t sent = 0;
    ssize_t res = 0;

    while (len > 0 && offset < file->disk_size) {
        const size_t part = (size_t)wr_min_u64(wr_min_u64(len, sizeof(buf)),
                                               file->disk_size - offset);
        file->fill(file->fill_arg, buf, offset, part);
        res = fake_end_send(end, buf, part);
        if (res <= 0) {
            fake.raised_signal |= res == -EPIPE;
            break;
        }
        sent += res;
        offset += (uint64_t)res;
        len -= (size_t)res;
    }
    return sent > 0 ? sent : res;
}

static int64_t disk_send(struct fake_end *end, const struct fake_file *file,
                         uint64_t offset, size_t len)
{
    if (fake_chance(fake.options.permille[FAKE_INTERRUPT])) {
        return -EINTR;
    }
    if (fake_chance(fake.options.permille[FAKE_VAIN_POLL])) {
        return -EAGAIN;
    }
    if (fake_chance(fake.options.permille[FAKE_DISK_ERROR])) {
        return -EIO;
    }
    if (len > 1 && fake_chance(fake.options.permille[FAKE_SHORT_SEND])) {
        len = 1 + (size_t)fake_random(len);
    }
    return disk_to_stream(end, file, offset, len);
}

int wr_sys_block_signals(struct wr_sys_signals *signals)
{
    if (fake.blocks_signals) {
        fake_fail("the signals are blocked twice");
    }
    memset(signals, 0, sizeof(*signals));
    fake.blocks_signals = true;
    fake.raised_signal = false;
    return 0;
}

void wr_sys_restore_signals(const struct wr_sys_signals *signals,
                            bool may_be_raised)
{
    if (!fake.blocks_signals) {
        fake_fail("no signals are blocked");
    }
    if (fake.raised_signal && !may_be_raised) {
        fake_fail("SIGPIPE was raised, and is not removed");
    }
    fake.blocks_signals = false;
}

bool fake_blocks_signals(void)
{
    return fake.blocks_signals;
}

bool fake_is_nonblocking(int fd)
{
    return fake_file_get(fd, "fcntl")->is_nonblocking;
}

int wr_sys_begin_nonblock(int fd)
{
    struct fake_file *socket = fake_file_get(fd, "fcntl");
    if (socket->is_nonblocking) {
        fake_fail("descriptor %d is non-blocking already", fd);
    }
    socket->is_nonblocking = true;
    fake.stats.flag_changes++;
    return 0;
}

void wr_sys_end_nonblock(int fd, int flags)
{
    struct fake_file *socket = fake_file_get(fd, "fcntl");
    if (!socket->is_nonblocking) {
        fake_fail("descriptor %d is not non-blocking", fd);
    }
    socket->is_nonblocking = false;
}

int64_t wr_sys_sendfile(int fd, int from, uint64_t offset, size_t len)
{
    struct wr_sys_signals signals;

    const int flags = wr_sys_begin_nonblock(fd);
    wr_ignore(wr_sys_block_signals(&signals) < 0);
    const int64_t res = wr_sys_sendfile_bare(fd, from, offset, len);
    wr_sys_restore_signals(&signals, true);
    wr_sys_end_nonblock(fd, flags);
    return res;
}

int64_t wr_sys_sendfile_bare(int fd, int from, uint64_t offset, size_t len)
{
    struct fake_file *socket = fake_file_get(fd, "sendfile");
    const struct fake_file *file = fake_file_get(from, "sendfile");

    if (socket->kind != FAKE_STREAM || file->kind != FAKE_DISK) {
        fake_fail("sendfile from descriptor %d to %d", from, fd);
    }
    if (!socket->is_nonblocking || !fake.blocks_signals) {
        fake_fail("sendfile to descriptor %d may wait or raise SIGPIPE", fd);
    }
    if (socket->send_count > 0) {
        fake_fail("sendfile beside a send on descriptor %d", fd);
    }
    if (file->place == FAKE_ARRIVING &&
        disk_first_placed(file, offset, len) < offset + len) {
        fake_fail("sendfile to descriptor %d waits for the device", fd);
    }
    const int64_t res = disk_send(socket->end, file, offset, len);
    fake.stats.sent_bytes += res > 0 ? (uint64_t)res : 0;
    fake.stats.sendfiles++;
    fake.stats.sendfiles_short += res > 0 && (uint64_t)res < len;
    fake.stats.sendfiles_full += res == -EAGAIN;
    fake_trace("sendfile fd=%d len=%zu = %lld", fd, len, (long long)res);
    return res;
}
