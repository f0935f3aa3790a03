/*
 * Tasks: spawning, running, ending, cancelling.
 *
 * A task is a fiber that the ready queue enters. When its function returns, its
 * stack is released immediately, and the struct is freed with the last
 * reference. A parked task (task_wait.c) counts as ended, but its stack and its
 * struct stay until the loop's memory is freed: timers and other tasks may
 * refer to structs on the stack.
 */
#include "task.h"

#include "lib/base/options.h"
#include "uring/sys.h"
#include "uring/tracepoint.h"

#include <string.h>

/* Cache lines of a task that its first run and its end use, and of a stack that
 * a switch and a suspending call use. */
#define TASK_LINES  4
#define STACK_LINES 3
#define TASK_SIZE                                                              \
    ((sizeof(weir_task) + WR_SLAB_LINE - 1) / WR_SLAB_LINE * WR_SLAB_LINE)

#if !defined(WR_FIBER_TSAN) && defined(__LP64__)
_Static_assert(offsetof(weir_task, fiber) == WR_SLAB_LINE &&
                   offsetof(weir_task, causes) < 2 * WR_SLAB_LINE,
               "a switch needs two lines");
_Static_assert(offsetof(weir_task, told_requests) == TASK_LINES * WR_SLAB_LINE,
               "the first run and the end of a task need four");
#endif

struct wr_tasks {
    struct wr_module module;
    weir_loop *loop;
    struct wr_slab tasks;
    struct wr_stacks stacks;
    struct wr_list parked; /* struct wr_member */
    uint64_t spawned_count;
};

static inline bool task_give_stack_back(weir_task *task)
{
    struct wr_stacks *stacks = &task->future.loop->task_memory->stacks;
    struct wr_stack *stack = task->fiber.stack;

    wr_debug_assert(stack);
    wr_fiber_fini(&task->fiber);
    task->fiber.stack = NULL;
    return wr_stack_give(stacks, stack);
}

static void task_close_tasks(struct wr_module *module)
{
    struct wr_tasks *memory = wr_container_of(module, struct wr_tasks, module);
    weir_loop *loop = memory->loop;
    struct wr_list *link;

    wr_assert(loop->member_counts[WR_STAGE_TASKS] == 0);
    wr_assert(loop->task_memory == memory);
    wr_assert(wr_loop_is_closed(loop));
    while ((link = wr_list_pop_front(&memory->parked))) {
        struct wr_member *member =
            wr_container_of(link, struct wr_member, link);
        weir_task *task = wr_container_of(member, weir_task, member);
        wr_assert(task->state == WR_TASK_PARKED);
        WR_UNPOISON(task->fiber.stack->base, task->fiber.stack->size);
        wr_ignore(task_give_stack_back(task)); /* no trim follows */
        wr_slab_give(&memory->tasks, task);
    }
    wr_stacks_fini(&memory->stacks);
    wr_slab_fini(&memory->tasks);
    wr_free(&loop->counting, memory, sizeof(*memory));
}

/* Ends the wait of one task. Starts with the newest, because older tasks more
 * likely wait for newer tasks. */
static bool task_give_up_one(struct wr_module *module)
{
    const weir_loop *loop =
        wr_container_of(module, struct wr_tasks, module)->loop;
    const struct wr_list *members = &loop->members[WR_STAGE_TASKS];

    wr_assert(wr_loop_is_closing(loop));
    wr_assert(wr_list_is_empty(&loop->ready));
    for (struct wr_list *link = members->prev; link != members;
         link = link->prev) {
        struct wr_member *member =
            wr_container_of(link, struct wr_member, link);
        if (member->ops != &wr_task_member_ops) {
            continue;
        }
        struct wr_waiter *waiter =
            wr_container_of(member, weir_task, member)->waiter;
        wr_assert(waiter); /* no task is ready */
        if (waiter->kind->give_up) {
            waiter->kind->give_up(waiter);
            return true;
        }
    }
    return false;
}

static uint64_t task_trim_tasks(struct wr_module *module)
{
    struct wr_tasks *memory = wr_container_of(module, struct wr_tasks, module);

    wr_stacks_trim(&memory->stacks);
    return wr_slab_trim(&memory->tasks);
}

static void task_count_tasks(struct wr_module *module,
                             struct weir_loop_statistics *ret)
{
    struct wr_tasks *memory = wr_container_of(module, struct wr_tasks, module);

    wr_assert(memory->stacks.used_count <= memory->stacks.stack_count);
    ret->tasks = memory->loop->member_counts[WR_STAGE_TASKS];
    ret->tasks_spawned = memory->spawned_count;
    ret->stacks = memory->stacks.stack_count;
    ret->stack_high_water_bytes = wr_stacks_high_water(&memory->stacks);
}

static void task_check_tasks(const struct wr_module *module)
{
    const struct wr_tasks *memory =
        wr_container_of(module, const struct wr_tasks, module);
    const weir_loop *loop = memory->loop;

    wr_assert(loop->task_memory == memory);
    wr_assert(memory->spawned_count >= loop->member_counts[WR_STAGE_TASKS]);
    /* Stacks of parked tasks count, too. */
    wr_assert(memory->stacks.used_count >= loop->member_counts[WR_STAGE_TASKS]);
    wr_stacks_check_invariants(&memory->stacks);
}

static const struct wr_module_ops task_module_ops = {
    .give_up = task_give_up_one,
    .trim = task_trim_tasks,
    .count = task_count_tasks,
    .close = task_close_tasks,
    .check = task_check_tasks,
};

static weir_task *task_of_future(weir_future *future)
{
    wr_debug_assert(!future->ops->is_settable);
    return wr_container_of(future, weir_task, future);
}

static void task_cancel_future(weir_future *future)
{
    weir_task_cancel(task_of_future(future));
}

/* Frees a task that has ended. A parked task stays in the list of parked tasks
 * until the loop's memory is freed. */
static void task_free_future(weir_future *future)
{
    weir_task *task = task_of_future(future);
    weir_loop *loop = future->loop;

    wr_assert(wr_task_has_ended(task));
    wr_task_debug_check(task);
    if (task->state == WR_TASK_DONE) {
        wr_slab_give(&loop->task_memory->tasks, task);
    }
    wr_loop_unpin(loop);
}

static const struct wr_future_ops task_future_ops = {
    .cancel = task_cancel_future,
    .free = task_free_future,
    .is_settable = false,
};

static void task_run_fiber(void *arg)
{
    weir_task *task = arg;

    wr_debug_assert(task->future.loop->current == task);
    wr_debug_assert(!task->scope && task->group_count == 0);
    task->wake_result = task->fn(task->future.loop, task->arg);
    /* Open time-outs and groups are in frames that the task's function has
     * left, so they cannot be ended here. */
    wr_debug_assert(task->state == WR_TASK_RUNNING);
    if (WR_UNLIKELY(task->scope)) {
        wr_check_misused(task->name, "returned inside a time-out: it did not "
                                     "call weir_timeout_end()");
    }
    if (WR_UNLIKELY(task->group_count > 0)) {
        wr_check_misused(task->name, "returned inside a task group: it did not "
                                     "call weir_task_group_end()");
    }
    wr_fiber_exit(&task->fiber);
}

static void task_report_unseen(weir_task *task)
{
    const struct weir_exception unseen = {
        .message = "a task that nobody waits for has failed",
        .err = task->wake_result,
        .callback = task->name,
        .task = task};

    wr_assert(task->wake_result < 0);
    if (task->wake_result != -ECANCELED && task->future.refs == 1 &&
        wr_list_is_empty(&task->future.observers)) {
        wr_loop_report(task->future.loop, &unseen);
    }
}

static void task_resolve(weir_task *task)
{
    wr_task_debug_check(task);
    wr_future_resolve(&task->future, task->wake_result);
    wr_future_unref(&task->future); /* the loop's reference */
}

static __attribute__((noinline)) void task_end_parked(weir_task *task)
{
    struct wr_tasks *memory = task->future.loop->task_memory;

    wr_assert(task->state == WR_TASK_PARKED);
    wr_assert(wr_loop_is_closing(task->future.loop));
    wr_loop_remove_member(task->future.loop, &task->member);
    wr_list_push_back(&memory->parked, &task->member.link);
    task->wake_result = -ECANCELED;
    const struct weir_exception parked = {
        .message = "a task ignored the end of the loop and was parked",
        .err = -ECANCELED,
        .callback = task->name,
        .task = task};

    wr_loop_report(task->future.loop, &parked);
    if (task->hooks && task->hooks->parked) {
        task->hooks->parked(task->arg);
    }
    task_resolve(task);
}

static __attribute__((noinline)) void task_end(weir_task *task)
{
    weir_loop *loop = task->future.loop;

    wr_debug_assert(!loop->current);
    if (WR_UNLIKELY(task->state != WR_TASK_RUNNING)) {
        task_end_parked(task);
        return;
    }
    wr_task_set_state(task, WR_TASK_DONE);
    wr_loop_remove_member(loop, &task->member);
    if (WR_UNLIKELY(task_give_stack_back(task))) {
        wr_loop_trim_later(loop);
    }
    if (WR_UNLIKELY(task->wake_result < 0)) {
        task_report_unseen(task);
    }
    task_resolve(task);
}

static inline void task_enter(weir_task *task)
{
    weir_loop *loop = task->future.loop;

    wr_task_set_running(task);
    loop->counts.task_switches++;
    WR_TRACEPOINT(task_switch, task, task->number);
    wr_loop_enter_task(loop, task);
    if (WR_UNLIKELY(wr_task_is_interrupted(task))) {
        wr_loop_keep_calls(loop);
    }
    wr_fiber_enter(&task->fiber);
    wr_loop_leave_task(loop, task);
}

static __attribute__((noinline)) void task_enter_timed(weir_task *task)
{
    const uint64_t start_ns = wr_sys_now();

    wr_assert(task->future.loop->slow_callback_ns > 0);
    task_enter(task);
    wr_loop_report_slow(
        task->future.loop, start_ns,
        &(struct weir_exception){.callback = task->name, .task = task});
}

static void task_run(struct wr_ready *ready)
{
    weir_task *task = wr_container_of(ready, weir_task, ready);

    wr_debug_assert(task->fiber.stack);
    wr_debug_assert(!wr_ready_is_pending(ready));
    wr_debug_assert(!task->waiter);
    if (WR_LIKELY(task->future.loop->slow_callback_ns == 0)) {
        task_enter(task);
    } else {
        task_enter_timed(task);
    }
    if (WR_LIKELY(task->state == WR_TASK_READY)) {
        /* The task has yielded, which fails in a forked child. */
        wr_task_debug_check(task);
        return;
    }
    wr_loop_end_if_forked(task->future.loop);
    if (WR_UNLIKELY(task->state >= WR_TASK_RUNNING)) {
        task_end(task);
    } else {
        wr_task_debug_check(task);
    }
}

static void task_copy_name(weir_task *task, const char *name)
{
    const size_t len = name ? strnlen(name, WR_TASK_NAME_MAX - 1) : 0;
    if (len > 0) {
        memcpy(task->name, name, len);
    }
    task->name[len] = '\0';
}

static void task_run_first(struct wr_ready *ready)
{
    weir_task *task = wr_container_of(ready, weir_task, ready);

    wr_fiber_begin(&task->fiber, task_run_fiber, task);
    ready->run = task_run;
    task_run(ready);
}

static inline void task_fetch_lines(uintptr_t start, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        __builtin_prefetch((const void *)(start + i * WR_SLAB_LINE), 1);
    }
}

/* Prefetches the next tasks and their stacks, which in a burst are not in the
 * CPU's cache. In a virtual machine the address translation took 65 ns for each
 * stack, half of the time of a burst; consecutive prefetches are translated at
 * the same time. */
static void task_fetch(const struct wr_list *queue)
{
    const struct wr_list *link = queue->next;
    const struct wr_list *before = link;

    for (uint32_t i = 0; i < WR_READY_FETCHED; i++) {
        const struct wr_ready *ready =
            wr_container_of(link, const struct wr_ready, link);
        if (link == queue ||
            (ready->run != task_run && ready->run != task_run_first)) {
            return;
        }
        const weir_task *task = wr_container_of(ready, const weir_task, ready);
        uintptr_t stack = (uintptr_t)task->fiber.sp;
        wr_debug_assert(task->state == WR_TASK_READY);
        if (ready->run == task_run_first) {
            stack -= STACK_LINES * WR_SLAB_LINE;
        }
        task_fetch_lines(stack, STACK_LINES);
        before = link;
        link = link->next;
    }
    /* The next items are most likely tasks at the same distance in memory. */
    const uintptr_t distance = (uintptr_t)link - (uintptr_t)before;
    uintptr_t task = (uintptr_t)link - offsetof(weir_task, ready.link);
    for (uint32_t i = 0; i < WR_READY_FETCHED; i++) {
        task_fetch_lines(task, TASK_LINES);
        task += distance;
    }
}

WEIR_MUST_USE static int task_open_tasks(weir_loop *loop)
{
    if (loop->task_memory) {
        return 0;
    }
    struct wr_tasks *memory = wr_alloc(&loop->counting, sizeof(*memory));
    if (!memory) {
        return -ENOMEM;
    }
    memset(memory, 0, sizeof(*memory));
    wr_slab_init(&memory->tasks, &loop->counting, TASK_SIZE);
    wr_stacks_init(&memory->stacks, &loop->counting);
    wr_list_init(&memory->parked);
    memory->stacks.no_guard_install =
        !wr_has(&loop->uring.features, WR_FEATURE_GUARD_INSTALL);
    memory->loop = loop;
    loop->task_memory = memory;
    loop->fetch = task_fetch;
    wr_loop_add_module(loop, &memory->module, &task_module_ops);
    return 0;
}

/* Makes a task with a stack. @stack_size 0 means a task of the library itself.
 * Fields that are not set here keep the values of an earlier task. */
WEIR_MUST_USE static inline __attribute__((always_inline)) int
task_make(weir_loop *loop, size_t stack_size, weir_task **ret)
{
    int err = task_open_tasks(loop);
    if (err < 0) {
        return err;
    }
    struct wr_tasks *memory = loop->task_memory;
    weir_task *task = wr_slab_take_raw(&memory->tasks);
    if (!task) {
        return -ENOMEM;
    }
    struct wr_stack *stack;
    err = stack_size == 0 ? wr_stack_take_own(&memory->stacks, &stack)
                          : wr_stack_take(&memory->stacks, stack_size, &stack);
    if (err < 0) {
        wr_slab_give(&memory->tasks, task);
        return err;
    }
    wr_future_init(&task->future, loop, &task_future_ops);
    wr_fiber_init(&task->fiber, stack);
    wr_loop_pin(loop);
    memory->spawned_count++;
    task->number = memory->spawned_count;
    wr_debug_assert(task->number > 0);
    *ret = task;
    return 0;
}

WEIR_MUST_USE static inline __attribute__((always_inline)) int
task_begin(weir_loop *loop, weir_task_fn *fn, void *arg, const char *name,
           size_t stack_size, weir_task **ret)
{
    weir_task *task;

    int err = task_make(loop, stack_size, &task);
    wr_require(err >= 0, err);
    task->fn = fn;
    task->arg = arg;
    task->scope = NULL;
    task->group_count = 0;
    task->hooks = NULL;
    task_copy_name(task, name);
    wr_member_init(&task->member, &wr_task_member_ops);
    wr_loop_add_member(loop, &task->member);
    wr_ready_init(&task->ready, task_run_first);
    wr_task_init_wait(task);
    wr_task_debug_check(task);
    *ret = task;
    return 0;
}

int wr_task_spawn(weir_loop *loop, weir_task_fn *fn, void *arg,
                  const struct weir_task_options *options, weir_task **ret)
{
    struct weir_task_options known;
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(fn, -EINVAL);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(wr_options_is_stack_size(known.stack_size_bytes), -EINVAL);
    return task_begin(loop, fn, arg, known.name,
                      known.stack_size_bytes > 0 ? known.stack_size_bytes
                                                 : loop->stack_size_bytes,
                      ret);
}

int wr_task_spawn_own(weir_loop *loop, weir_task_fn *fn, void *arg,
                      const char *name, weir_task **ret)
{
    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    return task_begin(loop, fn, arg, name, 0, ret);
}

int weir_task_spawn(weir_loop *loop, weir_task_fn *fn, void *arg,
                    const struct weir_task_options *options, weir_task **ret)
{
    weir_task *task;
    int err = wr_task_spawn(loop, fn, arg, options, &task);

    if (err == 0 && ret) {
        *ret = weir_task_ref(task);
    }
    return err;
}

int weir_task_join(weir_task *task, int *ret)
{
    int err = wr_loop_check(task->future.loop);
    if (err < 0) {
        return err; /* another thread may not drop the reference */
    }
    wr_task_debug_check(task);
    err = weir_future_await(&task->future, ret);
    weir_task_unref(task);
    return err;
}

weir_task *weir_task_ref(weir_task *task)
{
    wr_future_ref(&task->future);
    return task;
}

void weir_task_unref(weir_task *task)
{
    if (task && wr_loop_admits(task->future.loop)) {
        wr_future_unref(&task->future);
    }
}

bool weir_task_cancel(weir_task *task)
{
    if (wr_loop_check(task->future.loop) < 0 || wr_task_has_ended(task)) {
        return false;
    }
    wr_task_check_invariants(task);
    wr_task_request(task, &task->cancel);
    return true;
}

uint32_t weir_task_get_cancelling(const weir_task *task)
{
    return wr_task_cancelling(task);
}

uint32_t weir_task_uncancel(weir_task *task)
{
    if (wr_loop_check(task->future.loop) == 0) {
        wr_task_check_invariants(task);
        wr_task_withdraw(task);
    }
    return wr_task_cancelling(task);
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
    if (wr_loop_admits(task->future.loop)) {
        wr_task_check_invariants(task);
        task_copy_name(task, name);
    }
}

weir_task *weir_task_get_current(const weir_loop *loop)
{
    return wr_loop_check(loop) == 0 ? loop->current : NULL;
}
