/*
 * Walking all tasks that the program has started in a loop.
 *
 * The list of members holds tasks in the order of their numbers. Tasks end only
 * from the ready queue, so no task leaves the list during a walk. A task
 * spawned meanwhile has a higher number than the last task at the start.
 */
#include "own_task.h"

/* Returns NULL for a member that is not a task of the program. */
static weir_task *task_walk_task_of(struct wr_list *link)
{
    struct wr_member *member = wr_container_of(link, struct wr_member, link);
    wr_assert(member->ops->stage == WR_STAGE_TASKS);
    if (member->ops != &wr_task_member_ops) {
        return NULL;
    }
    weir_task *task = wr_container_of(member, weir_task, member);
    return wr_task_is_own(task) ? NULL : task;
}

static uint64_t task_walk_last_number(struct wr_list *members)
{
    for (struct wr_list *link = members->prev; link != members;
         link = link->prev) {
        const weir_task *task = task_walk_task_of(link);
        if (task) {
            wr_assert(task->number > 0);
            return task->number;
        }
    }
    return 0;
}

size_t weir_loop_walk_tasks(weir_loop *loop, weir_task_walk_fn *fn, void *arg)
{
    struct wr_list *members = &loop->members[WR_STAGE_TASKS];
    size_t count = 0;

    if (!fn || wr_loop_check(loop) < 0) {
        return 0;
    }
    const uint64_t last = task_walk_last_number(members);
    weir_task *current = wr_loop_begin_callback(loop);
    for (struct wr_list *link = members->next; link != members;
         link = link->next) {
        weir_task *task = task_walk_task_of(link);
        if (task && task->number <= last) {
            fn(arg, task);
            count++;
        }
    }
    wr_loop_end_callback(loop, current);
    return count;
}

const char *weir_task_get_wait(const weir_task *task)
{
    if (wr_loop_check(task->future.loop) < 0) {
        return NULL;
    }
    wr_task_check_invariants(task);
    return wr_task_wait_name(task);
}
