/*
 * A hundred thousand tasks at the same time, each with its guarded stack.
 *
 * All of them sleep, wake and end. Meanwhile they use a page or two of each
 * stack, and hardly any memory afterwards.
 */
#include "tests/tasks/rig.h"

#include "uring/feature.h"

/* A sanitizer keeps memory of its own for each stack. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define COUNT 4000u
/* Without guards by madvise the kernel's limit on mappings comes first. */
#elif defined(WR_GUARD)
#define COUNT 40000u
#else
#define COUNT (getenv("WEIR_SHORT") ? 40000u : 100000u)
#endif

static uint32_t asleep;
static uint32_t most_asleep;
static uint32_t ended;

/* The memory that this process has of the system, in bytes. */
static size_t resident(void)
{
    size_t total = 0;
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert_not_null(file);
    expect_eq(fscanf(file, "%zu %zu", &total, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The kernel's page tables for this process, in bytes. */
static size_t page_tables(void)
{
    char line[128];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    cr_assert_not_null(file);
    while (kib == 0 && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "VmPTE:", 6) == 0) {
            kib = strtoul(line + 6, NULL, 10);
        }
    }
    fclose(file);
    expect_gt(kib, 0);
    return kib << 10;
}

static int sleep_once(weir_loop *on, void *arg)
{
    uintptr_t index = (uintptr_t)arg;
    asleep++;
    most_asleep = asleep > most_asleep ? asleep : most_asleep;
    int err = weir_sleep(on, S + index % 1000 * MS);
    asleep--;
    ended++;
    return err;
}

/* Tasks that were started; fewer than COUNT only where the kernel is old. */
static uint32_t start_all(void)
{
    for (uint32_t i = 0; i < COUNT; i++) {
        int err =
            weir_task_spawn(loop, sleep_once, (void *)(uintptr_t)i, NULL, NULL);
        if (err == WEIR_ESTACKLIMIT) {
            return i;
        }
        expect_eq(err, 0);
    }
    return COUNT;
}

TASK(many_tasks, sleep_at_once_and_all_end)
{
    size_t before = resident();
    size_t tables_before = page_tables();
    uint32_t count = start_all();
    expect_geq(count, COUNT < 30000 ? COUNT : 30000);
    expect_eq(weir_sleep(loop, S / 2), 0);
    expect_eq(asleep, count);
    struct weir_loop_statistics then = rig_statistics();
    expect_eq(then.tasks, count + 1);
    expect_eq(then.stacks, count + 1);
    size_t during = resident();
    size_t tables = page_tables() - tables_before;
    expect_eq(weir_sleep(loop, 2 * S), 0);

    expect_eq(ended, count);
    expect_eq(most_asleep, count);
    expect_eq(asleep, 0);
    size_t after = resident();
    fprintf(stderr,
            "%u tasks: %zu bytes each while asleep, %zu of page tables, "
            "%zu kept\n",
            count, (during - before) / count, tables / count,
            (after - before) / count);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    /* A page of stack and the task; 8 bytes of tables a page of addresses. */
    expect_lt((during - before) / count, 8192);
    expect_lt(tables / count, 1536);
#endif
}

/* A second storm takes the stacks of the first. */
TASK(many_tasks, come_again_on_the_same_stacks)
{
    uint32_t count = start_all();
    expect_eq(weir_sleep(loop, 3 * S), 0);
    uint64_t stacks = rig_statistics().stacks;
    expect_eq(start_all(), count);
    expect_eq(rig_statistics().stacks, stacks);
    expect_eq(weir_sleep(loop, 3 * S), 0);
    expect_eq(ended, 2 * count);
}

static uint32_t started;

static int start_until_refused(weir_loop *on, void *arg)
{
    started = start_all();
    weir_task *task = NULL;
    int err = weir_task_spawn(on, sleep_once, NULL, NULL, &task);
    expect_eq(err, started < COUNT ? WEIR_ESTACKLIMIT : 0);
    weir_task_unref(task);
    uint32_t count = started + (err == 0 ? 1 : 0);
    expect_eq(weir_sleep(on, 3 * S), 0);
    expect_eq(ended, count);
    /* There are stacks again. */
    return rig_join(rig_spawn(sleep_once, NULL));
}

UNIT(many_tasks, without_guard_install_end_at_the_number_of_mappings)
{
#if defined(__SANITIZE_ADDRESS__)
    /* It ends the program when a mapping of its own is refused. */
    cr_skip_test(
        "AddressSanitizer needs mappings of its own; runs in a release build");
#endif
    static const struct fake_options machine = {
        .seed = 1,
        .missing = UINT32_C(1) << WR_FEATURE_GUARD_INSTALL,
    };
    fake_start(&machine);
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(start_until_refused, NULL), 0);
    size_t limit = 0;
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    cr_assert_not_null(file);
    expect_eq(fscanf(file, "%zu", &limit), 1);
    fclose(file);
    expect_leq(started, limit / 2);
    cr_assert(started > limit / 2 - 1000 || started == COUNT);
    rig_stop();
}
