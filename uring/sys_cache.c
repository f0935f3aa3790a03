/*
 * System calls of sys.h that query the page cache.
 *
 * A page is in the cache as soon as its read has started, and a reader then
 * waits for the device. cachestat() counts such pages too. Only mincore()
 * reports for each page whether it is up to date. cachestat() is far quicker,
 * and is used for pages that are known to have been up to date
 * (wr_sys_is_cached()).
 */
#include "check.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* cachestat() exists since Linux 6.5; older headers do not have it. It has this
 * number on every processor except Alpha. */
#define CALL_CACHESTAT 451

#define OFFSET_BEYOND ((uint64_t)INT64_MAX - 65536)

#define STAT_KNOWN                                                             \
    (STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_NLINK | STATX_INO)

/* The smallest page size of all machines. */
#define PAGE_LEAST 4096u

struct cache_view {
    uint64_t page;
    uint64_t first; /* file offset of the view */
    uint64_t end;   /* offset of the first page after the end of the file */
    uint8_t *data;
};

/* If the process may not know the state, mincore() reports every page as ready,
 * even a page after the end of the file. Returns 0 or a negative error. */
static int sys_cache_tells(const struct cache_view *view)
{
    unsigned char beyond = 0;

    if (mincore(view->data + (view->end - view->first), view->page, &beyond) <
        0) {
        return -errno;
    }
    return beyond & 1 ? -EPERM : 0;
}

/* Returns the size of the ready pages at the start, of at most @count pages. */
static int64_t sys_cache_count_ready(const struct cache_view *view,
                                     size_t count)
{
    unsigned char ready[WR_CACHED_MAX / PAGE_LEAST + 1];
    size_t at = 0;

    wr_assert(count <= sizeof(ready));
    if (mincore(view->data, count * view->page, ready) < 0) {
        return -errno;
    }
    while (at < count && ready[at] & 1) {
        at++;
    }
    return (int64_t)(at * view->page);
}

static int64_t sys_cache_look(int file, uint64_t offset, size_t len,
                              uint64_t size, bool *is_told)
{
    struct cache_view view = {.page = (uint64_t)sysconf(_SC_PAGESIZE)};

    view.first = offset - offset % view.page;
    view.end = (size + view.page - 1) / view.page * view.page;
    const uint64_t until = offset + len - view.first;
    const size_t count = (size_t)((until + view.page - 1) / view.page);
    const size_t mapped = *is_told
                              ? (size_t)(count * view.page)
                              : (size_t)(view.end + view.page - view.first);
    view.data =
        mmap(NULL, mapped, PROT_NONE, MAP_SHARED, file, (off_t)view.first);
    if (view.data == MAP_FAILED) {
        return -errno;
    }
    int64_t ret = *is_told ? 0 : sys_cache_tells(&view);
    if (ret == 0) {
        *is_told = true;
        ret = sys_cache_count_ready(&view, count);
    }
    if (munmap(view.data, mapped) < 0) {
        /* refused by a seccomp filter: the caller stops checking this file */
        return -errno;
    }
    const int64_t before = (int64_t)(offset - view.first);
    return ret <= before ? (ret < 0 ? ret : 0) : ret - before;
}

/* The kernel's struct cachestat_range and struct cachestat. */
struct cache_range {
    uint64_t offset;
    uint64_t len;
};

struct cache_counts {
    uint64_t cached;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

int wr_sys_is_cached(int file, uint64_t offset, size_t len)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const struct cache_range range = {.offset = offset, .len = len};
    struct cache_counts counts = {.cached = 0};

    wr_assert(len > 0 && len <= INT64_MAX - offset);
    if (syscall(CALL_CACHESTAT, file, &range, &counts, 0UL) < 0) {
        return -errno;
    }
    const uint64_t last = (offset + len - 1) / page;
    return counts.cached >= last - offset / page + 1;
}

int wr_sys_statx(int fd, const char *path, int flags, uint32_t what,
                 struct statx *ret)
{
    return syscall(SYS_statx, fd, path, flags, what, ret) < 0 ? -errno : 0;
}

/* Replaces statx(), which a seccomp filter may refuse. */
static int sys_cache_fstat(int fd, struct statx *ret)
{
    struct stat info;

    wr_assert(fd >= 0);
    wr_require(fstat(fd, &info) == 0, -errno);
    *ret = (struct statx){
        .stx_mask = STAT_KNOWN,
        .stx_ino = (uint64_t)info.st_ino,
        .stx_dev_major = major(info.st_dev),
        .stx_dev_minor = minor(info.st_dev),
        .stx_mode = (uint16_t)info.st_mode,
        .stx_nlink = (uint32_t)info.st_nlink,
        .stx_size = (uint64_t)info.st_size,
    };
    return 0;
}

int wr_sys_stat_known(int fd, struct statx *ret)
{
    const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;

    const int err = wr_sys_statx(fd, "", flags, STAT_KNOWN, ret);
    return err == -EPERM || err == -ENOSYS ? sys_cache_fstat(fd, ret) : err;
}

int64_t wr_sys_read_cached(int file, void *buf, size_t len, uint64_t offset)
{
    const struct iovec iov = {.iov_base = buf, .iov_len = len};
    /* musl has preadv2() since 1.2.5. */
    const long got =
        syscall(SYS_preadv2, file, &iov, 1UL, (off_t)offset, 0L, RWF_NOWAIT);

    /* preadv2() exists since Linux 4.6, but some emulators of other processors
     * do not have it, and old seccomp filters refuse it. */
    return got >= 0                            ? got
           : errno == ENOSYS || errno == EPERM ? -EOPNOTSUPP
                                               : -errno;
}

bool wr_sys_needs_worker(int fd)
{
    struct statx known;
    char byte;

    const int64_t got = wr_sys_read_cached(fd, &byte, 1, OFFSET_BEYOND);
    return (got == -EOPNOTSUPP || got == -EBADF) &&
           wr_sys_stat_known(fd, &known) == 0 && S_ISREG(known.stx_mode);
}

int64_t wr_sys_cached_bytes(int file, uint64_t offset, size_t len,
                            uint64_t size, bool *is_told)
{
    char byte;

    wr_assert(len > 0 && len <= WR_CACHED_MAX);
    wr_assert(offset < size && len <= size - offset);
    /* On a file system without non-blocking reads mmap() may wait too. */
    const int64_t got =
        *is_told ? 1 : wr_sys_read_cached(file, &byte, 1, offset);
    if (got <= 0) {
        return got == -EAGAIN ? 0 : got;
    }
    const int64_t ready = sys_cache_look(file, offset, len, size, is_told);
    return ready > (int64_t)len ? (int64_t)len : ready;
}
