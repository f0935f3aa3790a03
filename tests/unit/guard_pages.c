/*
 * Page guards, compiled here as in a guard build: late writes of the kernel
 * fail, late accesses of the program fault, and the quarantine that makes this
 * possible has a limit.
 *
 * The tests run in every build.
 */
#ifndef WR_GUARD
#define WR_GUARD 1
#endif
#include "uring/guard.c"

#include "tests/death.h"
#include "tests/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

static struct test_allocator allocator;

/* Makes the kernel write to @ptr. Returns 0 or a negative errno. */
static int kernel_write(void *ptr)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    expect_geq(fd, 0);
    /* Not read(): a sanitizer would check the memory before the kernel. */
    ssize_t ret = syscall(SYS_read, fd, ptr, 1);
    int err = ret == 1 ? 0 : -errno;
    close(fd);
    return err;
}

UNIT(guard_pages, the_kernel_can_write_until_the_memory_is_freed)
{
    allocator_init(&allocator);
    uint8_t *ptr = wr_guard_alloc(&allocator.hooks, 1000);
    expect_eq(kernel_write(ptr), 0);
    expect_eq(kernel_write(ptr + 999), 0);
    wr_guard_free(&allocator.hooks, ptr, 1000);

    expect_eq(kernel_write(ptr), -EFAULT);
    expect_eq(kernel_write(ptr + 999), -EFAULT);
    allocator_check(&allocator);
}

UNIT(guard_pages, running_over_the_end_meets_the_guard)
{
    allocator_init(&allocator);
    for (size_t size = 64; size <= 65536; size *= 4) {
        uint8_t *ptr = wr_guard_alloc(&allocator.hooks, size);
        expect_eq(kernel_write(ptr + size - 1), 0);
        expect_eq(kernel_write(ptr + size), -EFAULT);
        wr_guard_free(&allocator.hooks, ptr, size);
    }
}

UNIT(guard_pages, freed_memory_is_given_out_again_some_time_later)
{
    allocator_init(&allocator);
    uint8_t *freed = wr_guard_alloc(&allocator.hooks, 4096);
    wr_guard_free(&allocator.hooks, freed, 4096);
    for (unsigned i = 0; i < QUARANTINE_LEAST; i++) {
        uint8_t *ptr = wr_guard_alloc(&allocator.hooks, 4096);
        expect_neq(ptr, freed);
        wr_guard_free(&allocator.hooks, ptr, 4096);
    }
    expect_eq(kernel_write(freed), -EFAULT);
    expect_eq(wr_guard_alloc(&allocator.hooks, 4096), freed);
    expect_eq(kernel_write(freed + 4095), 0);
    expect_eq(kernel_write(freed + 4096), -EFAULT);
    wr_guard_free(&allocator.hooks, freed, 4096);
    allocator_check(&allocator);
}

UNIT(guard_pages, the_quarantine_is_bounded_in_number)
{
    uint8_t *ptrs[2 * QUARANTINE_COUNT];
    allocator_init(&allocator);
    for (unsigned i = 0; i < 2 * QUARANTINE_COUNT; i++) {
        ptrs[i] = wr_guard_alloc(&allocator.hooks, 100);
        cr_assert_not_null(ptrs[i]);
    }
    for (unsigned i = 0; i < 2 * QUARANTINE_COUNT; i++) {
        wr_guard_free(&allocator.hooks, ptrs[i], 100);
        expect_leq(quarantine.count, QUARANTINE_COUNT);
    }
    expect_eq(quarantine.count, QUARANTINE_COUNT);
}

UNIT(guard_pages, the_quarantine_is_bounded_in_bytes)
{
    const size_t size = 20u << 20;
    allocator_init(&allocator);
    for (int i = 0; i < 40; i++) {
        uint8_t *ptr = wr_guard_alloc(&allocator.hooks, size);
        cr_assert_not_null(ptr);
        wr_guard_free(&allocator.hooks, ptr, size);
        expect_leq(quarantine.bytes, QUARANTINE_BYTES);
    }
    expect_eq(quarantine.count, QUARANTINE_BYTES / (size + 8192));
    uint8_t *huge = wr_guard_alloc(&allocator.hooks, QUARANTINE_BYTES);
    cr_assert_not_null(huge);
    wr_guard_free(&allocator.hooks, huge, QUARANTINE_BYTES);
    expect_eq(quarantine.count, 1, "one may be larger than all");
}

UNIT(guard_pages, without_address_space_nothing_is_left_behind)
{
    allocator_init(&allocator);

    cr_assert_null(wr_guard_alloc(&allocator.hooks, SIZE_MAX / 4));
    expect_eq(allocator.calls, 1);
    allocator_check(&allocator);
}

UNIT_ABORTS(guard_pages, freeing_with_another_size_is_a_bug,
            "header->size == size")
{
    uint8_t *ptr = wr_guard_alloc(wr_default_allocator(), 4000);
    cr_assert_not_null(ptr);
    wr_guard_free(wr_default_allocator(), ptr, 100);
}

static volatile uint8_t *freed;

/* The next read of the same byte ends the test with the signal. */
static void judge_fault(int signum, siginfo_t *info, void *context)
{
    if (info->si_addr != freed) {
        _exit(1);
    }
    signal(signum, SIG_DFL);
}

Test(guard_pages, reading_freed_memory_faults, .signal = SIGSEGV)
{
    const struct sigaction action = {.sa_sigaction = judge_fault,
                                     .sa_flags = SA_SIGINFO};
    freed = wr_guard_alloc(wr_default_allocator(), 100);
    wr_guard_free(wr_default_allocator(), (void *)freed, 100);
    expect_eq(sigaction(SIGSEGV, &action, NULL), 0);
    wr_ignore(freed[0] == 1);
}
