/*
 * Probing the features of the machine.
 *
 * A system call that succeeds without any effect must not enable a feature: the
 * linker uses this file's madvise() instead of the C library's.
 */
#include "uring/probe.h"

#include "uring/sys.h"

#include "tests/unit.h"

#include <sys/mman.h>

static bool is_followed;

int __real_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice);

/* qemu-user ignores unknown advice, and succeeds. */
int __wrap_madvise(void *start, size_t size, int advice)
{
    return is_followed ? __real_madvise(start, size, advice) : 0;
}

static bool has_guards(void)
{
    struct wr_features features = {0};
    wr_probe_machine(&features);
    return wr_has(&features, WR_FEATURE_GUARD_INSTALL);
}

UNIT(probe, a_guard_that_is_not_there_is_no_feature)
{
    is_followed = false;
    cr_assert_not(has_guards());
}

/* Returns true if the kernel cannot read a page with a guard. */
static bool machine_guards(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int fds[2];
    expect_eq(pipe(fds), 0);
    void *start = mmap(NULL, page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(start, MAP_FAILED);

    (void)__real_madvise(start, page, MADV_GUARD_INSTALL);
    const ssize_t len = write(fds[1], start, 1);

    munmap(start, page);
    close(fds[0]);
    close(fds[1]);
    return len < 0;
}

UNIT(probe, a_guard_is_a_feature_where_the_kernel_keeps_to_it)
{
    is_followed = true;
    expect_eq(has_guards(), machine_guards());
}
