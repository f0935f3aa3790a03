/*
 * Fibers without Criterion, for machines that run under an emulator.
 *
 * Exits with 0 when all is well and says otherwise what is not. It links
 * nothing but the fibers, the stacks and what they stand on, so that a cross
 * compiler alone is enough to build it; tests/checks/aarch64.sh does.
 */
#include "lib/task/fiber.h"

#include "registers.h"
#include "uring/guard.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define check(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);         \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

#define FIBERS 300u

static struct wr_stacks stacks;

struct one {
    struct wr_fiber fiber;
    uint64_t value;
    uint64_t sum;
    bool is_done;
};

static void make(struct one *one, void (*run)(void *), uint64_t value)
{
    struct wr_stack *stack = NULL;
    check(wr_stack_take(&stacks, WR_STACK_DEFAULT, &stack) == 0);
    *one = (struct one){.value = value};
    wr_fiber_init(&one->fiber, stack, run, one);
}

static void drop(struct one *one)
{
    wr_fiber_fini(&one->fiber);
    wr_stack_give(&stacks, one->fiber.stack);
}

/* ---- locals, and many in turn ---- */

static uint64_t add_up(struct one *one, unsigned depth)
{
    volatile uint64_t here[16];
    for (unsigned i = 0; i < 16; i++) {
        here[i] = one->value + i;
    }
    wr_fiber_leave(&one->fiber);
    uint64_t sum = depth > 0 ? add_up(one, depth - 1) : 0;
    for (unsigned i = 0; i < 16; i++) {
        sum += here[i] - i;
    }
    return sum;
}

static void run_adding(void *arg)
{
    struct one *one = arg;
    one->sum = add_up(one, one->value % 10);
    one->is_done = true;
    wr_fiber_exit(&one->fiber);
}

static void test_many(void)
{
    static struct one all[FIBERS];
    for (unsigned i = 0; i < FIBERS; i++) {
        make(&all[i], run_adding, i);
    }
    for (unsigned turn = 0; turn < 12; turn++) {
        for (unsigned i = 0; i < FIBERS; i++) {
            if (!all[i].is_done) {
                wr_fiber_enter(&all[i].fiber);
            }
        }
    }
    for (unsigned i = 0; i < FIBERS; i++) {
        check(all[i].is_done);
        check(all[i].sum == (uint64_t)i * 16 * (i % 10 + 1));
        drop(&all[i]);
    }
}

/* ---- registers ---- */

#ifdef REGISTERS

static void leave(void *arg)
{
    struct one *one = arg;
    wr_fiber_leave(&one->fiber);
}

static void enter(void *arg)
{
    struct one *one = arg;
    wr_fiber_enter(&one->fiber);
}

static void run_registers(void *arg)
{
    struct one *one = arg;
    uint64_t seen[REGISTERS];
    for (unsigned i = 0; i < 3; i++) {
        fill_registers(one->value, leave, one, seen);
        for (unsigned j = 0; j < REGISTERS; j++) {
            check(seen[j] == one->value + j);
        }
    }
    one->is_done = true;
    wr_fiber_exit(&one->fiber);
}

static void test_registers(void)
{
    static struct one all[2];
    uint64_t seen[REGISTERS];
    make(&all[0], run_registers, 0x1111111100000000);
    make(&all[1], run_registers, 0x2222222200000000);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t mine = 0x7777777700000000 + i * 0x100;
        fill_registers(mine, enter, &all[i % 2], seen);
        for (unsigned j = 0; j < REGISTERS; j++) {
            check(seen[j] == mine + j);
        }
    }
    check(all[0].is_done);
    check(all[1].is_done);
    drop(&all[0]);
    drop(&all[1]);
}

#endif

/* ---- rounding ---- */

#if defined(__aarch64__)

#define ROUND_UPWARD (UINT64_C(1) << 22)

static uint64_t read_fpcr(void)
{
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

static void run_rounding(void *arg)
{
    struct one *one = arg;
    check(read_fpcr() == one->value);
    __asm__ volatile("msr fpcr, %0" ::"r"(one->value | ROUND_UPWARD));
    wr_fiber_leave(&one->fiber);
    check(read_fpcr() == (one->value | ROUND_UPWARD));
    one->is_done = true;
    wr_fiber_exit(&one->fiber);
}

static void test_rounding(void)
{
    static struct one one;
    uint64_t fpcr = read_fpcr();
    make(&one, run_rounding, fpcr);
    for (unsigned i = 0; i < 2; i++) {
        wr_fiber_enter(&one.fiber);
        check(read_fpcr() == fpcr);
    }
    check(one.is_done);
    drop(&one);
}

#endif

/* ---- guards ---- */

static int signal_of_write(volatile uint8_t *address)
{
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        struct sigaction none = {.sa_handler = SIG_DFL}; /* no sanitizer's */
        sigaction(SIGSEGV, &none, NULL);
        *address = 1;
        _exit(0);
    }
    int status = 0;
    check(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* By mprotect: emulators say yes to madvise and do nothing. */
static void test_guard(void)
{
    struct wr_stack *stack = NULL;
    check(wr_stack_take(&stacks, WR_STACK_MIN, &stack) == 0);
    check(signal_of_write(stack->base) == 0);
    check(signal_of_write(stack->base - 1) == SIGSEGV);
    check(signal_of_write(stack->base - WR_STACK_GUARD) == SIGSEGV);
    wr_stack_give(&stacks, stack);
}

int main(void)
{
    wr_stacks_init(&stacks, wr_default_allocator());
    stacks.no_guard_install = true;
    test_many();
#ifdef REGISTERS
    test_registers();
#endif
#if defined(__aarch64__)
    test_rounding();
#endif
    test_guard();
    wr_stacks_fini(&stacks);
    puts("fibers and stacks: all well");
    return 0;
}
