/*
 * Queries of the page cache on the real kernel: which bytes of a file are
 * ready, and that pages still being read from the device are not.
 *
 * A cgroup (version 1, blkio) makes the device slow, which requires root and a
 * file system on a disk.
 */
#include "tests/unit.h"
#include "uring/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

enum { SIZE = 1 << 20 };

static int file_of(size_t size)
{
    char *bytes = malloc(size);
    const int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    cr_assert_not_null(bytes);
    memset(bytes, 'x', size);
    expect_geq(fd, 0);
    expect_eq(pwrite(fd, bytes, size, 0), (ssize_t)size);
    free(bytes);
    return fd;
}

static void expect_told(int fd)
{
    char byte;
    if (wr_sys_read_cached(fd, &byte, 1, 0) == -EOPNOTSUPP) {
        close(fd);
        cr_skip_test(
            "the file system has no reads of the cache alone; runs on ext4");
    }
}

/* The machine may be short of memory and drop a page. */
UNIT(sys_cache, tells_how_many_bytes_are_ready)
{
    bool told = false;
    const int fd = file_of(10000);
    expect_told(fd);

    expect_eq(wr_sys_cached_bytes(-1, 0, 1, 1, &told), -EBADF);
    expect_eq(told, false);
    expect_eq(wr_sys_cached_bytes(fd, 0, 10000, 10000, &told), 10000);
    expect_eq(told, true);
    expect_eq(wr_sys_cached_bytes(fd, 0, 10000, 10000, &told), 10000);
    expect_eq(wr_sys_cached_bytes(fd, 5000, 100, 10000, &told), 100);
    expect_eq(wr_sys_cached_bytes(fd, 9999, 1, 10000, &told), 1);
    expect_eq(wr_sys_cached_bytes(-1, 0, 1, 1, &told), -EBADF);

    expect_eq(ftruncate(fd, 6000), 0);
    for (int i = 0; i < 2; i++) {
        told = i > 0;
        expect_leq(wr_sys_cached_bytes(fd, 0, 10000, 10000, &told), 8192);
        expect_eq(wr_sys_cached_bytes(fd, 9999, 1, 10000, &told), 0);
    }
    close(fd);
}

UNIT(sys_cache, tells_whether_a_page_is_missing)
{
    const off_t page = sysconf(_SC_PAGESIZE);
    const uint64_t first = (uint64_t)page;
    const uint64_t size = 3 * first;
    const int fd = file_of(size);
    expect_eq(fsync(fd), 0);
    if (wr_sys_is_cached(fd, 0, size) != 1) {
        close(fd);
        cr_skip_test("no count of cached pages; runs on Linux 6.5");
    }

    expect_eq(wr_sys_is_cached(-1, 0, 1), -EBADF);
    expect_eq(wr_sys_is_cached(fd, first - 1, 2), 1);
    expect_eq(wr_sys_is_cached(fd, size - 1, 1), 1);
    expect_eq(wr_sys_is_cached(fd, size - 1, 2), 0);
    expect_eq(posix_fadvise(fd, page, page, POSIX_FADV_DONTNEED), 0);
    const bool is_missing = wr_sys_is_cached(fd, first, 1) == 0;
    if (is_missing) { /* a file system on a disk, a page at a time */
        expect_eq(wr_sys_is_cached(fd, first - 1, 2), 0);
    }
    expect_eq(wr_sys_is_cached(fd, 0, size), !is_missing);
    expect_eq(ftruncate(fd, 2 * page), 0);
    expect_eq(wr_sys_is_cached(fd, 2 * first - 1, 2), 0);
    close(fd);
}

UNIT(sys_cache, reads_what_is_there_and_waits_for_nothing)
{
    char bytes[8] = "";
    const int fd = file_of(6);
    expect_told(fd);

    expect_eq(wr_sys_read_cached(fd, bytes, 8, 1), 5);
    cr_assert_str_eq(bytes, "xxxxx");
    expect_eq(wr_sys_read_cached(fd, bytes, 8, 6), 0);
    expect_eq(wr_sys_read_cached(-1, bytes, 8, 0), -EBADF);
    close(fd);
}

UNIT(sys_cache, knows_the_type_and_the_size_of_a_file)
{
    struct statx stat;
    const int fd = file_of(1000);

    expect_eq(wr_sys_stat_known(fd, &stat), 0);
    struct stat known;
    expect_eq(fstat(fd, &known), 0);
    cr_assert(S_ISREG(stat.stx_mode));
    expect_eq(stat.stx_size, 1000);
    expect_eq(stat.stx_ino, known.st_ino);
    expect_eq(makedev(stat.stx_dev_major, stat.stx_dev_minor), known.st_dev);
    expect_eq(wr_sys_stat_known(-1, &stat), -EBADF);
    close(fd);
}

static char group[64];

static bool group_set(const char *name, const char *value)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", group, name);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool is_set =
        fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
    if (fd >= 0) {
        close(fd);
    }
    return is_set;
}

/* Limits the group to @rate bytes a second; 0 removes the limit. */
static bool group_limit(int fd, unsigned rate)
{
    struct stat stat;
    char limit[64];
    expect_eq(fstat(fd, &stat), 0);
    snprintf(limit, sizeof(limit), "%u:%u %u", major(stat.st_dev),
             minor(stat.st_dev), rate);
    return group_set("blkio.throttle.read_bps_device", limit);
}

/* A child reads ahead the whole file: pages are allocated, and filled much
 * later. */
static bool group_reads(int fd)
{
    const pid_t pid = fork();
    int status = 1;

    if (pid == 0) {
        const bool is_in = group_set("cgroup.procs", "0");
        _exit(!is_in || posix_fadvise(fd, 0, SIZE, POSIX_FADV_WILLNEED) != 0);
    }
    expect_eq(waitpid(pid, &status, 0), pid);
    return status == 0;
}

/* Returns how many pages the cache has, ready or not, or -1 if unknown. */
static int64_t pages_in_cache(int fd)
{
    const uint64_t range[2] = {0, SIZE};
    uint64_t counts[5] = {0};
    return syscall(451, fd, range, counts, 0) == 0 ? (int64_t)counts[0] : -1;
}

/* For a file whose ends were read before, as range requests do. */
UNIT(sys_cache, bytes_that_are_on_their_way_are_not_ready)
{
    char byte;
    const int fd = file_of(SIZE);
    expect_told(fd);
    expect_eq(fsync(fd), 0);
    expect_eq(posix_fadvise(fd, 0, SIZE, POSIX_FADV_DONTNEED), 0);
    expect_eq(pread(fd, &byte, 1, 0), 1);
    expect_eq(pread(fd, &byte, 1, SIZE - 1), 1);
    snprintf(group, sizeof(group), "/sys/fs/cgroup/blkio/weir-test-%d",
             (int)getpid());
    const bool is_slow =
        mkdir(group, 0700) == 0 && group_limit(fd, 65536) && group_reads(fd);
    const int64_t pages = pages_in_cache(fd);
    const int64_t last = wr_sys_read_cached(fd, &byte, 1, SIZE - 1);
    bool told = false;
    const int64_t ready = wr_sys_cached_bytes(fd, 0, SIZE, SIZE, &told);
    const int64_t again = wr_sys_cached_bytes(fd, 0, SIZE, SIZE, &told);
    const int counted = wr_sys_is_cached(fd, 0, SIZE);
    if (is_slow) {
        cr_assert(group_limit(fd, 0));
    }
    rmdir(group);
    close(fd);
    if (!is_slow || pages < SIZE / 4096) {
        cr_skip_test(
            "no device can be made slow; runs as root with the controller io");
    }

    expect_eq(last, 1, "the last byte is ready");
    expect_gt(ready, 0);
    expect_lt(ready, SIZE);
    expect_lt(again, SIZE);
    expect_eq(counted, 1, "a count has them, too");
}
