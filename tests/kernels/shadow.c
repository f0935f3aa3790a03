/*
 * Fibers on a machine with shadow stacks, as its first process.
 *
 * The program requests a shadow stack from the kernel; after that main() must
 * not return. The C library does not know about it, so the program neither
 * forks nor creates threads.
 */
#include "lib/task/fiber.h"

#include "uring/alloc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

/* asm/prctl.h of Linux 6.6 */
#define SHSTK_ENABLE 0x5001
#define SHSTK_SHSTK  1

#define FIBERS 200u
#define LIVES  3000u

struct job {
    struct wr_fiber fiber;
    unsigned depth;
    unsigned rounds;
    unsigned count;
    bool is_done;
};

static struct wr_stacks stacks;
static struct job jobs[FIBERS];

static void expect(bool holds, const char *text)
{
    if (!holds) {
        printf("not ok: %s\n", text);
        fflush(stdout);
        abort();
    }
}

static uintptr_t shadow_pointer(void)
{
    uintptr_t pointer = 0;

    __asm__ volatile("rdsspq %0" : "+r"(pointer));
    return pointer;
}

/* Leaves the fiber from @depth nested calls. */
static __attribute__((noinline)) unsigned dive(struct job *job, unsigned depth)
{
    volatile unsigned here = depth;

    if (depth > 0) {
        return dive(job, depth - 1) + (here == depth);
    }
    for (unsigned i = 0; i < job->rounds; i++) {
        job->count++;
        wr_fiber_leave(&job->fiber);
    }
    return 1;
}

static void run(void *arg)
{
    struct job *job = arg;

    expect(dive(job, job->depth) == job->depth + 1, "the frames are whole");
    job->is_done = true;
    wr_fiber_exit(&job->fiber);
}

static void make(struct job *job, unsigned depth, unsigned rounds)
{
    struct wr_stack *stack = NULL;

    *job = (struct job){.depth = depth, .rounds = rounds};
    expect(wr_stack_take(&stacks, WR_STACK_DEFAULT, &stack) == 0, "a stack");
    expect(stack->shadow != NULL, "it has a shadow stack");
    wr_fiber_init(&job->fiber, stack);
    wr_fiber_begin(&job->fiber, run, job);
}

static void drop(struct job *job)
{
    struct wr_stack *stack = job->fiber.stack;

    expect(job->count == job->rounds, "all rounds were done");
    wr_fiber_fini(&job->fiber);
    wr_stack_give(&stacks, stack);
}

static __attribute__((noinline)) void enter(struct job *job, unsigned depth)
{
    volatile unsigned here = depth;

    if (depth > 0) {
        enter(job, depth - 1);
    } else {
        wr_fiber_enter(&job->fiber);
    }
    expect(here == depth, "the frame is whole");
}

/* One stack serves many fibers, each from the top of its shadow stack. */
static void try_lives(void)
{
    struct job *job = &jobs[0];
    const void *first = NULL;

    for (unsigned life = 0; life < LIVES; life++) {
        make(job, life % 50, life % 7);
        for (unsigned i = 0; !job->is_done; i++) {
            enter(job, i % 9);
        }
        first = first ? first : job->fiber.stack->shadow;
        expect(job->fiber.stack->shadow == first, "no life begins deeper");
        drop(job);
    }
    puts("ok: one after another");
}

static void ignore(int number)
{
    (void)number;
}

static void try_many(void)
{
    unsigned left = FIBERS;

    signal(SIGALRM, ignore);
    for (unsigned i = 0; i < FIBERS; i++) {
        make(&jobs[i], i, 20);
    }
    for (unsigned turn = 0; left > 0; turn++) {
        struct job *job = &jobs[turn % FIBERS];
        if (!job->is_done) {
            enter(job, turn % 5);
            left -= job->is_done;
        }
        if (turn % 97 == 0) {
            raise(SIGALRM);
        }
    }
    for (unsigned i = 0; i < FIBERS; i++) {
        drop(&jobs[i]);
    }
    puts("ok: many in turn, and signals");
}

static void try_ends(void)
{
    make(&jobs[0], 3, 0);
    drop(&jobs[0]);
    /* One incsspq drops at most 255 frames. */
    make(&jobs[0], 1200, 2);
    while (!jobs[0].is_done) {
        enter(&jobs[0], 0);
    }
    drop(&jobs[0]);
    wr_stacks_trim(&stacks);
    expect(stacks.stack_count == 0, "all shadow stacks are unmapped");
    wr_stacks_fini(&stacks);
    puts("ok: never entered, deep, and trimmed");
}

int main(void)
{
    int console = open("/dev/console", O_RDWR);
    long result;

    dup2(console, 1);
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_arch_prctl), "D"(SHSTK_ENABLE), "S"(SHSTK_SHSTK)
                     : "rcx", "r11", "memory");
    printf("shadow stacks: %s\n", result == 0 ? "on" : "none");
    expect(result == 0, "the kernel makes shadow stacks");

    const uintptr_t at = shadow_pointer();
    wr_stacks_init(&stacks, wr_default_allocator());
    try_lives();
    try_many();
    try_ends();
    expect(shadow_pointer() == at, "the shadow stack is where it was");
    puts("all passed");
    fflush(stdout);
    sync();
    reboot(RB_POWER_OFF);
    _exit(0);
}
