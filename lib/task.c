/*
 * Tasks: spawning, running, ending, cancelling, sleeping.
 *
 * A task is a fiber that the ready queue enters. The future that ends it is
 * its first field, so that join and everything that works on futures works on
 * tasks. A task that nobody has a handle of is kept by the loop's list until
 * its function returns; then its stack goes back at once and the rest with the
 * last reference.
 *
 * A task that is parked (task_wait.c) has ended for everybody else. Its stack
 * and the struct stay until the loop's memory goes: there may be structs on the
 * stack that timers and other tasks know of.
 */
#include "task.h"

#include "../uring/sys.h"
#include "options.h"

#include <string.h>

struct wr_tasks {
    struct wr_part part;
    weir_loop *loop;
    struct wr_slab tasks;
    struct wr_stacks stacks;
    struct wr_list parked; /* struct wr_alive */
    uint64_t alive_count;
    uint64_t spawned_count;
    uint64_t switch_count;
};

static void give_stack_back(weir_task *task)
{
    wr_fiber_fini(&task->fiber);
    wr_stack_give(&task->future.loop->task_memory->stacks, task->fiber.stack);
    task->fiber.stack = NULL;
}

static void close_tasks(struct wr_part *part)
{
    struct wr_tasks *memory = wr_container_of(part, struct wr_tasks, part);
    weir_loop *loop = memory->loop;
    struct wr_list *link;

    wr_assert(memory->alive_count == 0);
    while ((link = wr_list_pop_front(&memory->parked))) {
        struct wr_alive *alive = wr_container_of(link, struct wr_alive, link);
        weir_task *task = wr_container_of(alive, weir_task, alive);
        WR_UNPOISON(task->fiber.stack->base, task->fiber.stack->size);
        give_stack_back(task);
        wr_slab_give(&memory->tasks, task);
    }
    wr_stacks_fini(&memory->stacks);
    wr_slab_fini(&memory->tasks);
    wr_free(&loop->counting, memory, sizeof(*memory));
    loop->task_memory = NULL;
}

/* The task that was started last is likelier to be waited for than to wait. */
static bool give_up_one(struct wr_part *part)
{
    weir_loop *loop = wr_container_of(part, struct wr_tasks, part)->loop;

    for (struct wr_list *link = loop->tasks.prev; link != &loop->tasks;
         link = link->prev) {
        struct wr_alive *alive = wr_container_of(link, struct wr_alive, link);
        struct wr_waiter *waiter =
            wr_container_of(alive, weir_task, alive)->waiter;
        if (waiter && waiter->interrupt && waiter->give_up) {
            waiter->give_up(waiter);
            return true;
        }
    }
    return false;
}

static uint64_t trim_tasks(struct wr_part *part)
{
    struct wr_tasks *memory = wr_container_of(part, struct wr_tasks, part);

    wr_stacks_trim(&memory->stacks);
    return wr_slab_trim(&memory->tasks);
}

static const struct wr_part_ops part_ops = {
    .give_up = give_up_one, .trim = trim_tasks, .close = close_tasks};

static int open_tasks(weir_loop *loop)
{
    if (loop->task_memory) {
        return 0;
    }
    struct wr_tasks *memory = wr_alloc(&loop->counting, sizeof(*memory));
    if (!memory) {
        return -ENOMEM;
    }
    memset(memory, 0, sizeof(*memory));
    wr_slab_init(&memory->tasks, &loop->counting, sizeof(weir_task));
    wr_stacks_init(&memory->stacks, &loop->counting);
    wr_list_init(&memory->parked);
    memory->stacks.no_guard_install =
        !wr_has(&loop->uring.features, WR_FEATURE_GUARD_INSTALL);
    memory->loop = loop;
    loop->task_memory = memory;
    wr_loop_add_part(loop, &memory->part, &part_ops);
    return 0;
}

void wr_tasks_get_statistics(const weir_loop *loop,
                             struct weir_loop_statistics *ret)
{
    struct wr_tasks *memory = loop->task_memory;
    if (!memory) {
        return;
    }
    ret->tasks = memory->alive_count;
    ret->tasks_spawned = memory->spawned_count;
    ret->task_switches = memory->switch_count;
    ret->stacks = memory->stacks.stack_count;
    ret->stack_high_water_bytes = wr_stacks_high_water(&memory->stacks);
}

static weir_task *task_of_future(weir_future *future)
{
    return wr_container_of(future, weir_task, future);
}

static void cancel_future(weir_future *future)
{
    weir_task_cancel(task_of_future(future));
}

/* The last reference: the task has ended. What is parked stays in its list. */
static void free_future(weir_future *future)
{
    weir_task *task = task_of_future(future);
    weir_loop *loop = future->loop;

    wr_assert(wr_task_has_ended(task));
    if (task->state == WR_TASK_DONE) {
        wr_slab_give(&loop->task_memory->tasks, task);
    }
    loop->pinned_count--;
    wr_loop_release(loop);
}

static const struct wr_future_ops task_future_ops = {
    .cancel = cancel_future,
    .free = free_future,
    .is_settable = false,
};

/* From now on every suspending call fails. */
static void shutdown_alive(struct wr_alive *alive)
{
    weir_task *task = wr_container_of(alive, weir_task, alive);

    wr_task_interrupt(task, &task->shutdown);
}

static const char *state_name(enum wr_task_state state)
{
    static const char *const names[] = {
        [WR_TASK_READY] = "ready",     [WR_TASK_WAITING] = "waiting",
        [WR_TASK_RUNNING] = "running", [WR_TASK_PARKED] = "parked",
        [WR_TASK_DONE] = "done",
    };
    return names[state];
}

static void dump_alive(const struct wr_alive *alive, FILE *out)
{
    const weir_task *task = wr_container_of(alive, const weir_task, alive);

    fprintf(out, "task %s %s stack=%zu cancelling=%u%s%s\n",
            task->name[0] ? task->name : "-", state_name(task->state),
            task->fiber.stack ? task->fiber.stack->size : 0,
            weir_task_cancelling(task),
            wr_task_is_interrupted(task) ? " interrupted" : "",
            task->scope ? " timed" : "");
}

static const struct wr_alive_ops alive_ops = {.shutdown = shutdown_alive,
                                              .dump = dump_alive};

/* The fiber's whole life. */
static void run_fiber(void *arg)
{
    weir_task *task = arg;

    task->wake_result = task->fn(task->future.loop, task->arg);
    /* What the program began on this stack has ended. */
    wr_assert(!task->scope);           /* weir_timeout_end() */
    wr_assert(task->group_count == 0); /* weir_task_group_end() */
    wr_fiber_exit(&task->fiber);
}

/* A failure that nobody has a handle to see. */
static void report_unseen(weir_task *task)
{
    const struct weir_exception unseen = {
        .message = "a task that nobody waits for has failed",
        .err = task->wake_result,
        .callback = task->name,
        .task = task};

    if (task->wake_result != -ECANCELED && task->future.refs == 1 &&
        wr_list_is_empty(&task->future.observers)) {
        wr_loop_report(task->future.loop, &unseen);
    }
}

/* The loop is freed and the task went on as if it was not. */
static void report_parked(weir_task *task)
{
    const struct weir_exception parked = {
        .message = "a task ignored the end of the loop and was parked",
        .err = -ECANCELED,
        .callback = task->name,
        .task = task};

    wr_loop_report(task->future.loop, &parked);
}

/* For everybody else it is as if it had ended. */
static __attribute__((noinline)) void end_parked(weir_task *task)
{
    struct wr_tasks *memory = task->future.loop->task_memory;

    wr_assert(task->state == WR_TASK_PARKED);
    memory->alive_count--;
    wr_list_remove(&task->alive.link);
    wr_list_push_back(&memory->parked, &task->alive.link);
    task->wake_result = -ECANCELED;
    report_parked(task);
    if (task->parked) {
        task->parked(task->arg);
    }
    wr_future_resolve(&task->future, task->wake_result);
    weir_future_unref(&task->future); /* the loop's reference */
}

/* Its function has returned, or never will. */
static __attribute__((noinline)) void end_task(weir_task *task)
{
    weir_loop *loop = task->future.loop;

    wr_loop_leave_if_forked(loop);
    if (WR_UNLIKELY(task->state != WR_TASK_RUNNING)) {
        end_parked(task);
        return;
    }
    wr_task_set_state(task, WR_TASK_RUNNING, WR_TASK_DONE);
    loop->task_memory->alive_count--;
    wr_list_remove(&task->alive.link);
    give_stack_back(task);
    if (WR_UNLIKELY(task->wake_result < 0)) {
        report_unseen(task);
    }
    wr_future_resolve(&task->future, task->wake_result);
    weir_future_unref(&task->future); /* the loop's reference */
}

static void report_slow(weir_task *task, uint64_t took_ns)
{
    const struct weir_exception slow = {.message = "slow callback",
                                        .callback = task->name,
                                        .duration_ns = took_ns,
                                        .task = task};
    wr_loop_report(task->future.loop, &slow);
}

static inline void enter_task(weir_task *task)
{
    weir_loop *loop = task->future.loop;

    wr_task_set_running(task);
    loop->task_memory->switch_count++;
    loop->current = task;
    wr_fiber_enter(&task->fiber);
    loop->current = NULL;
}

static __attribute__((noinline)) void enter_task_timed(weir_task *task)
{
    const uint64_t start_ns = wr_sys_now();
    enter_task(task);
    const uint64_t took_ns = wr_sys_now() - start_ns;
    if (took_ns > task->future.loop->slow_callback_ns) {
        report_slow(task, took_ns);
    }
}

static void run_task(struct wr_ready *ready)
{
    weir_task *task = wr_container_of(ready, weir_task, ready);

    if (WR_LIKELY(task->future.loop->slow_callback_ns == 0)) {
        enter_task(task);
    } else {
        enter_task_timed(task);
    }
    if (WR_UNLIKELY(task->state >= WR_TASK_RUNNING)) { /* or parked */
        end_task(task);
    }
}

static void copy_name(weir_task *task, const char *name)
{
    const size_t len = name ? strnlen(name, WR_TASK_NAME_MAX - 1) : 0;
    if (len > 0) {
        memcpy(task->name, name, len);
    }
    task->name[len] = '\0';
}

static int make_task(weir_loop *loop, size_t stack_size, weir_task **ret)
{
    int err = open_tasks(loop);
    if (err < 0) {
        return err;
    }
    struct wr_tasks *memory = loop->task_memory;
    weir_task *task = wr_slab_take(&memory->tasks);
    if (!task) {
        return -ENOMEM;
    }
    struct wr_stack *stack;
    err = wr_stack_take(&memory->stacks, stack_size, &stack);
    if (err < 0) {
        wr_slab_give(&memory->tasks, task);
        return err;
    }
    wr_future_init(&task->future, loop, &task_future_ops);
    wr_fiber_init(&task->fiber, stack, run_fiber, task);
    loop->pinned_count++;
    memory->alive_count++;
    memory->spawned_count++;
    task->number = memory->spawned_count;
    *ret = task;
    return 0;
}

int weir_task_spawn(weir_loop *loop, weir_task_fn *fn, void *arg,
                    const struct weir_task_options *options, weir_task **ret)
{
    struct weir_task_options known;
    int err = wr_loop_check(loop);
    if (err < 0) {
        return err;
    }
    wr_require(fn, -EINVAL);
    wr_require(!loop->closing, -ESHUTDOWN);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    if (known.stack_size_bytes == 0) {
        known.stack_size_bytes = loop->stack_size_bytes;
    } else {
        wr_require(known.stack_size_bytes >= WR_STACK_MIN &&
                       known.stack_size_bytes <= WR_STACK_MAX,
                   -EINVAL);
    }
    weir_task *task;
    err = make_task(loop, known.stack_size_bytes, &task);
    if (err < 0) {
        return err;
    }
    task->fn = fn;
    task->arg = arg;
    copy_name(task, known.name);
    task->alive.ops = &alive_ops;
    wr_list_init(&task->alive.link);
    wr_list_push_back(&loop->tasks, &task->alive.link);
    wr_ready_init(&task->ready, run_task);
    wr_task_init_wait(task);
    if (ret) {
        *ret = weir_task_ref(task);
    }
    return 0;
}

int weir_task_join(weir_task *task, int *ret)
{
    int err = wr_loop_check(task->future.loop);
    if (err < 0) {
        return err; /* another thread may not even give it back */
    }
    err = weir_future_await(&task->future, ret);
    weir_task_detach(task);
    return err;
}

void weir_task_detach(weir_task *task)
{
    if (task) {
        weir_future_unref(&task->future);
    }
}

weir_task *weir_task_ref(weir_task *task)
{
    wr_ignore(weir_future_ref(&task->future) == NULL);
    return task;
}

bool weir_task_cancel(weir_task *task)
{
    if (wr_loop_check(task->future.loop) < 0 || wr_task_has_ended(task)) {
        return false;
    }
    wr_task_request(task, &task->cancel);
    return true;
}

uint32_t weir_task_cancelling(const weir_task *task)
{
    return task->requests + task->expired;
}

uint32_t weir_task_uncancel(weir_task *task)
{
    if (wr_loop_check(task->future.loop) == 0) {
        wr_task_withdraw(task);
    }
    return weir_task_cancelling(task);
}

weir_future *weir_task_get_future(weir_task *task)
{
    return &task->future;
}

const char *weir_task_get_name(const weir_task *task)
{
    return task->name;
}

void weir_task_set_name(weir_task *task, const char *name)
{
    if (wr_loop_check(task->future.loop) == 0) {
        copy_name(task, name);
    }
}

weir_task *weir_task_current(const weir_loop *loop)
{
    return wr_loop_check(loop) == 0 ? loop->current : NULL;
}

/* An interruption that came meanwhile is told by this call. */
static int yield_and_tell(weir_loop *loop)
{
    wr_task_yield(loop);
    return wr_task_is_interrupted(loop->current) ? wr_task_tell(loop) : 0;
}

int weir_yield(weir_loop *loop)
{
    int err = wr_task_enter(loop);
    return err < 0 ? err : yield_and_tell(loop);
}

/* A sleeper is a waiter in no queue, with a timer. */
struct sleeper {
    struct wr_waiter waiter;
    struct wr_timer timer;
};

static void wake_sleeper(struct wr_timer *timer)
{
    struct sleeper *sleeper = wr_container_of(timer, struct sleeper, timer);
    /* An interruption may have woken it before, and it did not run yet. */
    if (sleeper->waiter.task->waiter == &sleeper->waiter) {
        wr_waiter_wake(&sleeper->waiter, 0);
    }
}

int weir_sleep_until(weir_loop *loop, uint64_t when_ns)
{
    int err = wr_task_enter(loop);
    if (err < 0) {
        return err;
    }
    if (when_ns <= loop->now_ns) {
        return yield_and_tell(loop);
    }
    struct sleeper sleeper = {.waiter = {.interrupt = NULL}};
    wr_timer_init(&sleeper.timer, wake_sleeper);
    wr_timer_arm(&loop->wheel, &sleeper.timer, when_ns);
    err = wr_task_wait(loop, &sleeper.waiter, NULL);
    wr_timer_cancel(&loop->wheel, &sleeper.timer);
    return err;
}

int weir_sleep(weir_loop *loop, uint64_t delay_ns)
{
    return weir_sleep_until(loop, wr_add_sat(weir_loop_time(loop), delay_ns));
}
