/*
 * A thousand random programs of futures, groups of futures and groups of tasks.
 *
 * The tasks of a program share slots with futures and with handles of each
 * other, and use them in all ways at any time; then the loop is freed. A wait
 * must return once, with the future's result or a reason; callbacks must run
 * once, or never if they were removed; no member of a task group may outlive
 * the end of the group; nothing may be left. The first seed is printed;
 * WEIR_TASK_SEED sets it.
 *
 * Slots have ends of tasks only if these wait for nothing: tasks that wait for
 * each other in a circle may hang.
 */

#include "rig.h"

#define PROGRAMS  1000
#define SLOTS     6
#define HANDLES   8
#define DEPTH_MAX 3
#define DEADLINE  (3 * MS)

/* Fails with the seed of the program that runs. */
#define CHECK(cond)                                                            \
    cr_assert(cond, "WEIR_TASK_SEED=%llu: " #cond,                             \
              (unsigned long long)program.seed)

static struct {
    uint64_t seed;
    uint64_t random;
    weir_future *slots[SLOTS]; /* each with a reference */
    weir_future *later[SLOTS]; /* likewise, to be given a result */
    weir_task *handles[HANDLES];
    uint64_t waits_begun;
    uint64_t waits_ended;
    uint64_t callbacks_added;
    uint64_t callbacks_run;
    uint64_t callbacks_removed;
    uint64_t live_tasks;
    bool is_closing;
} program;

/* Of all programs: did everything happen that should have? */
static struct {
    uint64_t waits;
    uint64_t cancelled;
    uint64_t timed_out;
    uint64_t callbacks;
    uint64_t member_errors;
    uint64_t stopped_by_end; /* waits that the loop's end ended */
} seen;

static uint64_t random_below(uint64_t below)
{
    program.random ^= program.random << 13;
    program.random ^= program.random >> 7;
    program.random ^= program.random << 17;
    return program.random % below;
}

static void put(weir_future *future)
{
    weir_future **slot = &program.slots[random_below(SLOTS)];
    weir_future *old = *slot;

    *slot = future;
    weir_future_unref(old); /* may call cancel functions */
}

/* A reference to one of them, or NULL. */
static weir_future *get(void)
{
    weir_future *future = program.slots[random_below(SLOTS)];
    return future ? weir_future_ref(future) : NULL;
}

static void set(weir_future *future, int result)
{
    const bool was_done = weir_future_is_done(future);
    int now = 0;
    int err = weir_future_set_result(future, result);

    CHECK(err == 0 || err == -ESTALE || err == -EINVAL);
    CHECK(err != -ESTALE || was_done);
    CHECK(err != 0 || !was_done);
    CHECK(err != 0 ||
          (weir_future_get_result(future, &now) == 0 && now == result));
}

static int any_result(void)
{
    static const int results[] = {0, 1, 7, -EIO, -EPIPE, -ECANCELED};
    return results[random_below(6)];
}

/* Timers that have not run when the loop is freed never will. */
static void set_later(void *arg)
{
    weir_future **later = arg;
    weir_future *future = *later;

    *later = NULL;
    set(future, any_result());
    weir_future_unref(future);
}

static void end_later(weir_future *future)
{
    weir_future **later = &program.later[random_below(SLOTS)];

    if (!*later && weir_loop_call_later(loop, random_below(100 * US), set_later,
                                        later, NULL) == 0) {
        *later = weir_future_ref(future);
    }
}

static void cancel_somehow(void *arg, weir_future *future)
{
    switch (random_below(4)) {
    case 0:
        return; /* ignores it */
    case 1:
        set(future, any_result());
        return;
    case 2:
        end_later(future);
        return;
    default:
        set(future, -ECANCELED);
    }
}

static void make_future(void)
{
    weir_future *future;
    int err = weir_future_new(loop, random_below(2) ? cancel_somehow : NULL,
                              NULL, &future);

    CHECK(err == (program.is_closing ? -ESHUTDOWN : 0));
    if (err == 0) {
        put(future);
    }
}

static size_t get_some(weir_future **ret)
{
    size_t count = 0;

    for (uint64_t i = random_below(5); i > 0; i--) {
        ret[count] = get();
        count += ret[count] != NULL;
    }
    return count;
}

static void drop_some(weir_future **futures, size_t count)
{
    while (count > 0) {
        weir_future_unref(futures[--count]);
    }
}

static void make_gather(void)
{
    weir_future *futures[5];
    weir_future *group;
    const size_t count = get_some(futures);
    int err = weir_gather(loop, (enum weir_gather_kind)random_below(3), futures,
                          count, &group);

    CHECK(err == (program.is_closing ? -ESHUTDOWN : 0));
    if (err == 0) {
        put(group);
    }
    drop_some(futures, count);
}

static int callbacks[16]; /* how often each ran */

static void called(void *arg, weir_future *future, int result)
{
    int now = 0;

    CHECK(weir_future_get_result(future, &now) == 0 && now == result);
    CHECK(weir_task_get_current(loop) == NULL);
    (*(int *)arg)++;
    program.callbacks_run++;
    if (random_below(4) == 0) {
        make_future();
    }
}

static void use_callbacks(void)
{
    int *callback = &callbacks[random_below(16)];
    weir_future *future = get();

    if (!future) {
        return;
    }
    if (random_below(3) > 0) {
        CHECK(weir_future_add_done_callback(future, called, callback) == 0);
        program.callbacks_added++;
    } else {
        program.callbacks_removed +=
            weir_future_remove_done_callback(future, called, callback);
    }
    weir_future_unref(future);
}

/* Results that any suspending call may return here. */
static void check_wait(weir_loop *on, int err)
{
    program.waits_ended++;
    seen.waits++;
    if (err == -ECANCELED) {
        const weir_task *self = weir_task_get_current(on);
        CHECK(program.is_closing || weir_task_get_cancelling(self) > 0);
        seen.cancelled++;
        seen.stopped_by_end += program.is_closing;
    }
    seen.timed_out += err == -ETIMEDOUT;
}

static void wait_one(weir_loop *on)
{
    weir_future *future = get();
    const uint64_t how = random_below(4);
    int result = 12345;
    int now = 0;
    int err;

    if (!future) {
        return;
    }
    program.waits_begun++;
    if (how == 0) {
        err = weir_future_shield(future, &result);
    } else if (how == 1) {
        err = weir_wait_for(future, random_below(200 * US), &result);
    } else {
        err = weir_future_await(future, &result);
    }
    check_wait(on, err);
    CHECK(err == 0 || err == -ECANCELED || (how == 1 && err == -ETIMEDOUT));
    /* All but a shield return when it is done, and then give its result. */
    CHECK(how == 0 ? (err == 0) == (result != 12345) : result != 12345);
    CHECK(result == 12345 ||
          (weir_future_get_result(future, &now) == 0 && now == result));
    weir_future_unref(future);
}

static void wait_several(weir_loop *on)
{
    weir_future *futures[5];
    const size_t count = get_some(futures);
    int done = 0;

    program.waits_begun++;
    int err = weir_wait(on, futures, count, random_below(300 * US),
                        (enum weir_return_when)random_below(3));
    check_wait(on, err < 0 ? err : 0);
    CHECK(err >= 0 || err == -ECANCELED);
    for (size_t i = 0; i < count; i++) {
        done += weir_future_is_done(futures[i]);
    }
    CHECK(err < 0 || err == done);
    drop_some(futures, count);
}

static void wait_time(weir_loop *on)
{
    program.waits_begun++;
    int err = random_below(2) ? weir_yield(on)
                              : weir_sleep(on, random_below(100 * US));
    CHECK(err == 0 || err == -ECANCELED);
    check_wait(on, err);
}

/* The argument of a task; the group's owner has it on its stack. */
struct job {
    uint32_t depth;
    uint32_t *live_members; /* of the group, or NULL */
};

static int live(weir_loop *on, const struct job *job);

static int run_member(weir_loop *on, void *arg)
{
    struct job job = *(const struct job *)arg;
    int result = live(on, &job);

    CHECK(*job.live_members > 0);
    (*job.live_members)--; /* on the owner's stack, which must be there */
    return result;
}

/* Waits for nothing but time; its end may be in a slot. */
static int run_leaf(weir_loop *on, void *arg)
{
    program.live_tasks++;
    for (uint64_t i = random_below(4); i > 0; i--) {
        wait_time(on);
    }
    program.live_tasks--;
    return any_result();
}

static void keep_handle(weir_task *task)
{
    weir_task **handle = &program.handles[random_below(HANDLES)];

    weir_task_unref(*handle);
    *handle = task;
}

static void start_leaf(weir_loop *on)
{
    weir_task *task;
    int err = weir_task_spawn(on, run_leaf, NULL, NULL, &task);

    CHECK(err == (program.is_closing ? -ESHUTDOWN : 0));
    if (err == 0) {
        put(weir_future_ref(weir_task_get_future(task)));
        keep_handle(task);
    }
}

/* A group may be pending with nothing left to cancel. */
static void cancel_future(weir_future *future)
{
    const bool is_done = weir_future_is_done(future);
    const bool is_cancelled = weir_future_cancel(future);

    CHECK(!is_done || !is_cancelled);
    CHECK(is_done || is_cancelled ||
          weir_future_set_result(future, 0) == -EINVAL);
}

static void cancel_somebody(void)
{
    weir_task *task = program.handles[random_below(HANDLES)];
    weir_future *future = get();

    if (random_below(2) && task) {
        const bool is_done = weir_future_is_done(weir_task_get_future(task));
        CHECK(weir_task_cancel(task) == !is_done);
    } else if (future) {
        cancel_future(future);
    }
    weir_future_unref(future);
}

static void spawn_member(struct weir_task_group *group, const struct job *job)
{
    weir_task *task = NULL;
    int err = weir_task_group_spawn(group, run_member, (void *)(uintptr_t)job,
                                    NULL, &task);

    CHECK(err == 0 || err == -ESTALE ||
          (err == -ESHUTDOWN && program.is_closing));
    if (err == 0) {
        (*job->live_members)++;
        keep_handle(task);
    }
}

static void act(weir_loop *on, const struct job *job);

static void own_group(weir_loop *on, uint32_t depth)
{
    struct weir_task_group group;
    uint32_t live_members = 0;
    const struct job job = {.depth = depth + 1, .live_members = &live_members};

    CHECK(weir_task_group_begin(on, &group) == 0);
    for (uint64_t i = random_below(4); i > 0; i--) {
        spawn_member(&group, &job);
        if (random_below(3) == 0) {
            act(on, &job);
        }
    }
    if (random_below(8) == 0) {
        weir_task_group_cancel(&group);
    }
    program.waits_begun++;
    const int given = any_result();
    int result = weir_task_group_end(&group, given);
    CHECK(live_members == 0);
    check_wait(on, result == given ? 0 : result);
    CHECK(result == given || result == -ECANCELED || result == -EIO ||
          result == -EPIPE);
    seen.member_errors += result != given && result != -ECANCELED;
}

static void act(weir_loop *on, const struct job *job)
{
    switch (random_below(12)) {
    case 0:
        make_future();
        break;
    case 1:
        make_gather();
        break;
    case 2:
        use_callbacks();
        break;
    case 3:
        wait_several(on);
        break;
    case 4:
        wait_time(on);
        break;
    case 5:
        start_leaf(on);
        break;
    case 6:
        cancel_somebody();
        break;
    case 7:
        if (job->depth < DEPTH_MAX) {
            own_group(on, job->depth);
        }
        break;
    case 8:
        put(NULL);
        break;
    case 9: {
        weir_future *future = get();
        if (future) {
            set(future, any_result());
        }
        weir_future_unref(future);
        break;
    }
    default:
        wait_one(on);
    }
}

static int live(weir_loop *on, const struct job *job)
{
    weir_task *self = weir_task_get_current(on);

    program.live_tasks++;
    for (uint64_t i = random_below(8); i > 0; i--) {
        act(on, job);
        CHECK(weir_task_get_current(on) == self);
    }
    program.live_tasks--;
    return any_result();
}

static int run_top(weir_loop *on, void *arg)
{
    const struct job job = {.depth = 0};
    return live(on, &job);
}

static int run_program(weir_loop *on, void *arg)
{
    for (uint64_t i = 2 + random_below(6); i > 0; i--) {
        weir_task *task;
        make_future();
        CHECK(weir_task_spawn(on, run_top, NULL, NULL, &task) == 0);
        keep_handle(task);
        if (random_below(2)) {
            CHECK(weir_yield(on) == 0 ||
                  weir_task_get_cancelling(weir_task_get_current(on)) > 0);
        }
    }
    return weir_sleep(on, random_below(DEADLINE));
}

static void drop_everything(void)
{
    for (int i = 0; i < SLOTS; i++) {
        weir_future *future = program.slots[i];
        program.slots[i] = NULL;
        weir_future_unref(future);
    }
    for (int i = 0; program.is_closing && i < SLOTS; i++) {
        weir_future *future = program.later[i];
        program.later[i] = NULL;
        weir_future_unref(future);
    }
    for (int i = 0; i < HANDLES; i++) {
        weir_task_unref(program.handles[i]);
        program.handles[i] = NULL;
    }
}

static void play(uint64_t seed)
{
    const struct fake_options machine = {.seed = seed};
    struct test_allocator alloc;
    const bool drops_late = seed % 2;

    memset(&program, 0, sizeof(program));
    program.seed = seed;
    program.random = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    allocator_init(&alloc);
    fake_start(&machine);
    loop = allocator_make_loop(&alloc);
    CHECK(rig_main(run_program, NULL) == 0);
    if (!drops_late) {
        drop_everything();
    }
    bool keeps_some = drops_late;
    for (int i = 0; i < SLOTS; i++) {
        keeps_some = keeps_some || program.later[i];
    }
    program.is_closing = true;
    CHECK(weir_loop_free(loop) == 0);
    CHECK(program.live_tasks == 0);
    CHECK(program.waits_begun == program.waits_ended);
    drop_everything();
    allocator_check(&alloc);
    fake_stop();
    CHECK(program.callbacks_run + program.callbacks_removed <=
          program.callbacks_added);
    CHECK(keeps_some || program.callbacks_run + program.callbacks_removed ==
                            program.callbacks_added);
    seen.callbacks += program.callbacks_run;
}

UNIT(future_storm, of_random_programs_leaves_nothing_behind)
{
    const char *given = getenv("WEIR_TASK_SEED");
    const uint64_t first = given ? strtoull(given, NULL, 0) : 20261120;

    fprintf(stderr, "WEIR_TASK_SEED=%llu\n", (unsigned long long)first);
    for (uint64_t i = 0; i < PROGRAMS; i++) {
        play(first + i);
    }
    expect_gt(seen.waits, 10 * PROGRAMS);
    expect_gt(seen.cancelled, PROGRAMS / 10);
    expect_gt(seen.timed_out, PROGRAMS / 10);
    expect_gt(seen.callbacks, PROGRAMS / 10);
    expect_gt(seen.member_errors, PROGRAMS / 10);
    expect_gt(seen.stopped_by_end, PROGRAMS / 10);
}
