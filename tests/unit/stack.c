/*
 * Stacks: size classes, reuse, guards that fault, pages that are returned,
 * limits.
 *
 * Faults happen in a child process, whose end is checked. Addresses and memory
 * are compared with what the system reports for this process.
 */
#define UNIT_RUN with_stacks

#include "lib/task/fiber.h"
#include "tests/death.h"
#include "tests/walk.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <weir/error.h>

static struct test_allocator allocator;
static struct wr_stacks stacks;

static void begin(void)
{
    allocator_init(&allocator);
    wr_stacks_init(&stacks, &allocator.hooks);
}

static void end(void)
{
    wr_stacks_fini(&stacks);
    allocator_check(&allocator);
}

static struct wr_stack *take(size_t size)
{
    struct wr_stack *stack = NULL;
    expect_eq(wr_stack_take(&stacks, size, &stack), 0);
    return stack;
}

static void give(struct wr_stack *stack)
{
    wr_stack_give(&stacks, stack);
}

static void give_all(struct wr_stack *const *taken, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        give(taken[i]);
    }
}

/* Writes to the uppermost @size bytes. */
static void use(struct wr_stack *stack, size_t size)
{
    memset(stack->base + stack->size - size, 1, size);
}

/* Addresses and memory of this process, in bytes. */
struct used {
    size_t mapped;
    size_t resident;
};

/* smaps_rollup counts the pages. Before Linux 6.2 statm left out up to 64 pages
 * of each kind. */
static struct used used(void)
{
    struct used used = {0};
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert_not_null(file);
    expect_eq(fscanf(file, "%zu", &used.mapped), 1);
    fclose(file);
    file = fopen("/proc/self/smaps_rollup", "re");
    cr_assert_not_null(file);
    expect_eq(fscanf(file, "%*[^\n] Rss: %zu", &used.resident), 1);
    fclose(file);
    used.mapped *= (size_t)sysconf(_SC_PAGESIZE);
    used.resident *= 1024;
    return used;
}

/* Returns the number of mappings of this process. */
static size_t mapping_count(void)
{
    size_t count = 0;
    FILE *file = fopen("/proc/self/maps", "re");
    cr_assert_not_null(file);
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        count += c == '\n';
    }
    fclose(file);
    return count;
}

/* AddressSanitizer keeps the shadow of a used stack resident, a page or more
 * for each, and aborts a program without address space. */
static void skip_under_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__)
    cr_skip_test(
        "AddressSanitizer has memory for each stack; runs in a release build");
#endif
}

static size_t resident(void)
{
    return used().resident;
}

/* Returns the signal that ends a child which writes there, or 0 if it survives.
 */
static int signal_of_write(uint8_t *address)
{
    pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        /* Not the handler of a sanitizer. */
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        *(volatile uint8_t *)address = 1;
        _exit(0);
    }
    int status = 0;
    expect_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void with_stacks(void (*body)(void))
{
    begin();
    body();
    end();
}

UNIT(stack, sizes_are_rounded_up_to_powers_of_two)
{
    static const size_t sizes[][2] = {
        {WR_STACK_MIN, WR_STACK_MIN},
        {WR_STACK_MIN + 1, 32u << 10},
        {40000, 65536},
        {65536, 65536},
        {65537, 131072},
        {5u << 20, 8u << 20},
        {WR_STACK_MAX, WR_STACK_MAX},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct wr_stack *stack = take(sizes[i][0]);
        expect_eq(stack->size, sizes[i][1]);
        use(stack, 1);
        give(stack);
    }
    expect_eq(stacks.stack_count, 6);
}

UNIT(stack, the_last_one_given_back_is_the_next_one_taken)
{
    struct wr_stack *first = take(WR_STACK_DEFAULT);
    struct wr_stack *second = take(WR_STACK_DEFAULT);
    struct wr_stack *other = take(WR_STACK_MIN);
    give(first);
    give(second);
    give(other);

    expect_eq(take(WR_STACK_DEFAULT), second);
    expect_eq(take(WR_STACK_DEFAULT), first);
    expect_eq(take(WR_STACK_MIN), other);
    give(first);
    give(second);
    give(other);
    expect_eq(stacks.stack_count, 3);
}

UNIT(stack, none_overlaps_another)
{
    enum { COUNT = 300 };
    static struct wr_stack *taken[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take((size_t)WR_STACK_MIN << i % 3);
        memset(taken[i]->base, (int)(i & 0xff), taken[i]->size);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        const uint8_t *base = taken[i]->base;
        expect_eq(base[0], i & 0xff);
        expect_eq(memcmp(base, base + 1, taken[i]->size - 1), 0);
        give(taken[i]);
    }
}

static void check_guards(void)
{
    struct wr_stack *stack = take(WR_STACK_MIN);
    struct wr_stack *above = take(WR_STACK_MIN);
    for (int again = 0; again < 2; again++) {
        uint8_t *base = stack->base;
        expect_eq(signal_of_write(base), 0);
        expect_eq(signal_of_write(base + stack->size - 1), 0);
        expect_eq(signal_of_write(base - 1), SIGSEGV);
        expect_eq(signal_of_write(base - WR_STACK_GUARD), SIGSEGV);
        cr_assert(wr_stack_guards(stack, base - 1));
        cr_assert(wr_stack_guards(stack, base - WR_STACK_GUARD));
        cr_assert_not(wr_stack_guards(stack, base));
        cr_assert_not(wr_stack_guards(stack, base - WR_STACK_GUARD - 1));
        expect_eq(signal_of_write(above->base - 1), SIGSEGV);
        /* The guard still exists the next time. */
        give(stack);
        expect_eq(take(WR_STACK_MIN), stack);
    }
    give(stack);
    give(above);
}

UNIT(stack, writing_below_it_faults)
{
    check_guards();
}

UNIT(stack, writing_below_it_faults_without_guard_install)
{
    stacks.no_guard_install = true;
    check_guards();
}

/* Large stacks that use the whole budget of free stacks. */
enum { FILLERS = WR_STACK_WARM_BYTES / (16u << 20) };

static void take_fillers(struct wr_stack **ret)
{
    for (unsigned i = 0; i < FILLERS; i++) {
        ret[i] = take(16u << 20);
        use(ret[i], ret[i]->size);
    }
}

UNIT(stack, a_guard_outlives_the_return_of_the_pages)
{
    struct wr_stack *fillers[FILLERS];
    struct wr_stack *stack = take(WR_STACK_MIN);
    use(stack, 1);
    take_fillers(fillers);
    give_all(fillers, FILLERS);
    give(stack);
    expect_eq(stacks.classes[0].cold, stack);
    uint8_t *base = stack->base;
    expect_eq(signal_of_write(base), 0);
    expect_eq(signal_of_write(base - 1), SIGSEGV);
}

UNIT(stack, a_storm_keeps_no_more_than_its_budget)
{
    enum { COUNT = 20000, DEPTH = 8 << 10 };
    static struct wr_stack *taken[COUNT];
    skip_under_sanitizer();
    size_t before = resident();
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take(WR_STACK_DEFAULT);
        use(taken[i], DEPTH);
    }
    expect_geq(resident(), before + (size_t)COUNT * DEPTH);
    give_all(taken, COUNT);

    expect_lt(resident(), before + WR_STACK_WARM_BYTES + (4u << 20));
    expect_eq(stacks.stack_count, COUNT);
    /* Stacks without pages are taken when no other is left. */
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take(WR_STACK_DEFAULT);
    }
    expect_eq(stacks.stack_count, COUNT);
    give_all(taken, COUNT);
}

UNIT(stack, trimming_gives_back_all_that_is_free)
{
    enum { COUNT = 500 };
    static struct wr_stack *taken[COUNT];
    skip_under_sanitizer();
    struct used before = used();
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take((size_t)WR_STACK_DEFAULT >> i % 3);
        use(taken[i], WR_STACK_DEFAULT >> i % 3);
    }
    expect_gt(used().resident, before.resident + (50u << 20));
    give_all(taken, COUNT);
    expect_gt(used().resident, before.resident + (50u << 20));

    wr_stacks_trim(&stacks);

    expect_lt(used().resident, before.resident + (1u << 20));
    expect_leq(used().mapped, before.mapped + (1u << 20));
    expect_eq(stacks.stack_count, 0);
    cr_assert_null(stacks.mappings);
    expect_eq(allocator.live_bytes, 0);
    expect_eq(wr_stacks_high_water(&stacks), WR_STACK_DEFAULT);
    /* Everything starts again. */
    give(take(WR_STACK_DEFAULT));
    expect_eq(stacks.stack_count, 1);
}

UNIT(stack, trimming_leaves_what_is_in_use)
{
    enum { COUNT = 200, KEPT = 70 };
    static struct wr_stack *taken[COUNT];
    static struct wr_stack *again[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take(WR_STACK_MIN);
        memset(taken[i]->base, (int)(i & 0xff), taken[i]->size);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        if (i != KEPT) {
            give(taken[i]);
        }
    }
    for (int times = 0; times < 2; times++) {
        wr_stacks_trim(&stacks);
        expect_geq(stacks.stack_count, 1);
        expect_leq(stacks.stack_count, COUNT / 2, "others were not freed");
        cr_assert_null(stacks.classes[0].warm);
        const uint8_t *base = taken[KEPT]->base;
        expect_eq(base[0], KEPT);
        expect_eq(memcmp(base, base + 1, taken[KEPT]->size - 1), 0);
    }
    /* The other stacks can be taken again, with their guards. */
    const uint64_t left = stacks.stack_count;
    for (unsigned i = 1; i < left; i++) {
        struct wr_stack *stack = take(WR_STACK_MIN);
        expect_neq(stack, taken[KEPT]);
        expect_eq(signal_of_write(stack->base - 1), SIGSEGV);
        use(stack, stack->size);
        again[i] = stack;
    }
    expect_eq(stacks.stack_count, left);
    expect_eq(taken[KEPT]->base[0], KEPT);
    for (unsigned i = 1; i < left; i++) {
        give(again[i]);
    }
    give(taken[KEPT]);
}

UNIT(stack, trimming_nothing_is_harmless)
{
    wr_stacks_trim(&stacks);
    struct wr_stack *stack = take(WR_STACK_MIN);
    wr_stacks_trim(&stacks);
    expect_eq(stacks.stack_count, 1);
    give(stack);
}

UNIT(stack, the_deepest_use_is_known_in_pages)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    expect_eq(wr_stacks_high_water(&stacks), 0);
    struct wr_stack *shallow = take(WR_STACK_DEFAULT);
    struct wr_stack *deep = take(WR_STACK_DEFAULT);
    struct wr_stack *large = take(8u << 20);
    expect_eq(wr_stacks_high_water(&stacks), 0);
    use(shallow, 1);
    expect_eq(wr_stacks_high_water(&stacks), page);
    use(deep, 3 * page + 1);
    expect_eq(wr_stacks_high_water(&stacks), 4 * page);
    use(deep, deep->size);
    expect_eq(wr_stacks_high_water(&stacks), WR_STACK_DEFAULT);
    /* Larger than one reply of the kernel. */
    use(large, 5u << 20);
    expect_eq(wr_stacks_high_water(&stacks), 5u << 20);
    give(shallow);
    give(deep);
    give(large);
    expect_eq(wr_stacks_high_water(&stacks), 5u << 20);
}

UNIT(stack, the_deepest_use_outlives_the_pages)
{
    struct wr_stack *stack = take(WR_STACK_DEFAULT);
    use(stack, 20000);
    give(stack);
    wr_stacks_trim(&stacks);
    expect_eq(stacks.stack_count, 0);
    expect_eq(wr_stacks_high_water(&stacks), 20480);
    /* The pages of a stack whose mapping is in use, too. */
    struct wr_stack *other = take(WR_STACK_DEFAULT);
    stack = take(WR_STACK_DEFAULT);
    use(stack, 30000);
    give(stack);
    wr_stacks_trim(&stacks);
    expect_eq(stacks.stack_count, 2);
    expect_eq(wr_stacks_high_water(&stacks), 32768);
    give(other);
}

UNIT(stack, the_deepest_of_many_is_found)
{
    enum { COUNT = 200 };
    static struct wr_stack *taken[COUNT];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take(WR_STACK_DEFAULT);
    }
    /* Each in turn is the deepest. */
    for (unsigned i = 0; i < COUNT; i++) {
        use(taken[i], i % 16 * page + 1);
        expect_eq(wr_stacks_high_water(&stacks), (i % 16 + 1) * page);
        madvise(taken[i]->base, taken[i]->size, MADV_DONTNEED);
        stacks.high_water_bytes = 0;
    }
    give_all(taken, COUNT);
}

UNIT(stack, of_very_many_each_call_measures_the_next_ones)
{
    enum { COUNT = 2 * WR_STACK_MEASURED };
    static struct wr_stack *taken[COUNT];
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take(WR_STACK_MIN);
    }
    use(taken[COUNT - 1], 1);
    use(taken[0], 2 * page);
    expect_eq(wr_stacks_high_water(&stacks), page);
    expect_eq(wr_stacks_high_water(&stacks), 2 * page);
    /* And from the start again. */
    use(taken[0], 3 * page);
    expect_eq(wr_stacks_high_water(&stacks), 2 * page);
    expect_eq(wr_stacks_high_water(&stacks), 3 * page);
    give_all(taken, COUNT);
}

/* Returns the number in this line of /proc/self/status, in KiB. */
static size_t status_kib(const char *name)
{
    char line[128];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    cr_assert_not_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kib = strtoul(line + strlen(name), NULL, 10);
        }
    }
    fclose(file);
    return kib;
}

/* Documented in weir/task.h for mlockall(). */
UNIT(stack, locked_memory_is_that_of_stack_and_guard)
{
    enum { COUNT = 32, EACH_KIB = (WR_STACK_DEFAULT + WR_STACK_GUARD) >> 10 };
    struct wr_stack *taken[COUNT];
    skip_under_sanitizer();
    if (mlockall(MCL_FUTURE) < 0) {
        cr_skip_test(
            "this process may not lock memory; runs with a higher ulimit -l");
    }
    const size_t before = status_kib("VmLck:");
    const size_t resident_before = status_kib("VmRSS:");
    for (unsigned i = 0; i < COUNT; i++) {
        taken[i] = take(WR_STACK_DEFAULT);
        use(taken[i], 1);
    }
    expect_geq(status_kib("VmLck:"), before + (size_t)COUNT * EACH_KIB);
    expect_geq(status_kib("VmRSS:"), resident_before + COUNT * EACH_KIB * 3 / 8,
               "half are guards");
    give_all(taken, COUNT);
    wr_stacks_trim(&stacks);
    expect_lt(status_kib("VmLck:"), before + 1024);
    munlockall();
}

UNIT_IN(stack, all_addresses_go_back, unit_alone, void)
{
    begin();
    size_t before = used().mapped;
    for (size_t size = WR_STACK_MIN; size <= WR_STACK_MAX; size *= 2) {
        const size_t last = used().mapped;
        give(take(size));
        expect_leq(used().mapped, last + size + (32u << 20));
    }
    expect_gt(used().mapped, before + WR_STACK_MAX);
    end();
    expect_lt(used().mapped, before + (1u << 20));
}

UNIT(stack, taking_and_giving_again_allocates_nothing)
{
    struct wr_stack *stack = take(WR_STACK_DEFAULT);
    give(stack);
    uint64_t calls = allocator.calls;
    uint64_t bytes = allocator.live_bytes;
    for (int i = 0; i < 1000; i++) {
        give(take(WR_STACK_DEFAULT));
    }
    expect_eq(allocator.calls, calls);
    expect_eq(allocator.live_bytes, bytes);
}

UNIT(stack, without_memory_for_records_nothing_is_left)
{
    struct wr_stack *stack = NULL;
    allocator.fail_at = 1;
    expect_eq(wr_stack_take(&stacks, WR_STACK_MIN, &stack), -ENOMEM);
    cr_assert_null(stack);
    cr_assert_null(stacks.mappings);
    give(take(WR_STACK_MIN));
}

UNIT_IN(stack, without_addresses_nothing_is_left, unit_alone, void)
{
    struct rlimit before;
    skip_under_sanitizer();
    expect_eq(getrlimit(RLIMIT_AS, &before), 0);
    struct rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    struct wr_stack *stack = NULL;
    begin();
    give(take(WR_STACK_MIN));
    struct wr_stack_mapping *newest = stacks.mappings;
    expect_eq(setrlimit(RLIMIT_AS, &none), 0);
    int err = wr_stack_take(&stacks, WR_STACK_DEFAULT, &stack);
    expect_eq(setrlimit(RLIMIT_AS, &before), 0);

    expect_eq(err, -ENOMEM);
    cr_assert_null(stack);
    expect_eq(stacks.mappings, newest);
    give(take(WR_STACK_DEFAULT));
    end();
}

/* vm.max_map_count, which may be set to any value. */
static size_t map_limit(void)
{
    size_t limit = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    cr_assert_not_null(file);
    expect_eq(fscanf(file, "%zu", &limit), 1);
    fclose(file);
    return limit;
}

UNIT(stack, without_guard_install_the_number_of_mappings_is_the_limit)
{
    enum { LIMIT_MAX = 70000 };
    static struct wr_stack *taken[LIMIT_MAX];
    skip_under_sanitizer();
    size_t limit = map_limit();
    if (limit > LIMIT_MAX) {
        cr_skip_test(
            "vm.max_map_count is too high; runs where it is at most 70000");
    }
    stacks.no_guard_install = true;
    size_t count = 0;
    int err = 0;
    while (err == 0) {
        err = wr_stack_take(&stacks, WR_STACK_MIN, &taken[count]);
        count += err == 0 ? 1 : 0;
    }
    expect_eq(err, WEIR_ESTACKLIMIT);
    expect_gt(count, limit / 2 - 1000);
    expect_leq(count, limit / 2);
    uint64_t bytes = allocator.live_bytes;
    struct wr_stack *none = NULL;
    expect_eq(wr_stack_take(&stacks, WR_STACK_MIN, &none), err);
    expect_eq(wr_stack_take(&stacks, WR_STACK_DEFAULT, &none), err);
    expect_eq(allocator.live_bytes, bytes, "a failure took memory");
    expect_eq(stacks.stack_count, count);

    /* A stack that was returned can be taken, and all can be freed. */
    give(taken[0]);
    expect_eq(take(WR_STACK_MIN), taken[0]);
    give_all(taken, count);
}

UNIT(stack, with_guard_install_stacks_take_no_mappings_of_their_own)
{
    enum { COUNT = 10000 };
    static struct wr_stack *taken[COUNT];
    taken[0] = take(WR_STACK_MIN);
    if (stacks.no_guard_install) {
        give(taken[0]);
        end();
        cr_skip_test("no MADV_GUARD_INSTALL; runs on Linux 6.13");
    }
    const size_t before = mapping_count();
    for (size_t i = 1; i < COUNT; i++) {
        taken[i] = take(WR_STACK_MIN);
        use(taken[i], 1);
    }
    expect_lt(mapping_count(), before + COUNT / 100);
    give_all(taken, COUNT);
}

UNIT(stack, those_of_weirs_own_take_no_mappings_of_their_own)
{
    enum { COUNT = 10000 };
    static struct wr_stack *taken[COUNT];
    stacks.no_guard_install = true;
    struct wr_stack *guarded = take(WR_STACK_DEFAULT);
    const size_t before = mapping_count();
    for (size_t i = 0; i < COUNT; i++) {
        expect_eq(wr_stack_take_own(&stacks, &taken[i]), 0);
        expect_eq(taken[i]->size, WR_STACK_DEFAULT);
        use(taken[i], 1);
    }
    expect_lt(mapping_count(), before + COUNT / 10);
    give_all(taken, COUNT);

    /* A stack without a guard never becomes one of the program's, nor the
     * reverse. */
    struct wr_stack *other = take(WR_STACK_DEFAULT);
    expect_neq(other->class_index, taken[0]->class_index);
    struct wr_stack *own;
    give(other);
    expect_eq(wr_stack_take_own(&stacks, &own), 0);
    expect_neq(own, other);
    give(own);
    give(guarded);
}

UNIT_ABORTS(stack, one_in_use_must_not_be_forgotten, "stacks->used_count == 0")
{
    begin();
    take(WR_STACK_MIN);
    wr_stacks_fini(&stacks);
}
