/*
 * Tasks as members of their loop: the loop lists the tasks that are alive. Its
 * end interrupts each of them, its dump prints a line for each, and its check
 * of invariants checks each.
 */
#include "task.h"

/* Makes every suspending call of the task fail from now on. */
static void task_member_shutdown(struct wr_member *member)
{
    weir_task *task = wr_container_of(member, weir_task, member);

    wr_assert(wr_loop_is_closing(task->future.loop));
    wr_task_check_invariants(task);
    wr_task_interrupt(task, &task->shutdown);
}

static const char *task_member_state_name(enum wr_task_state state)
{
    switch (state) {
    case WR_TASK_READY:
        return "ready";
    case WR_TASK_WAITING:
        return "waiting";
    case WR_TASK_RUNNING:
        return "running";
    case WR_TASK_PARKED:
        return "parked";
    case WR_TASK_DONE:
        return "done";
    }
    return "?";
}

static void task_member_dump(const struct wr_member *member, FILE *out)
{
    const weir_task *task = wr_container_of(member, const weir_task, member);

    const char *wait = wr_task_wait_name(task);
    wr_assert(!wr_task_has_ended(task));
    fprintf(out, "task %s %s%s%s stack=%zu cancelling=%u%s%s",
            task->name[0] ? task->name : "-",
            task_member_state_name(task->state), wait ? " for " : "",
            wait ? wait : "", task->fiber.stack ? task->fiber.stack->size : 0,
            wr_task_cancelling(task),
            wr_task_is_interrupted(task) ? " interrupted" : "",
            task->scope ? " timed" : "");
    if (task->hooks && task->hooks->dump) {
        task->hooks->dump(task->arg, out);
    }
    fputc('\n', out);
}

static void task_member_check(const struct wr_member *member)
{
    const weir_task *task = wr_container_of(member, const weir_task, member);

    wr_assert(!wr_task_has_ended(task));
    wr_task_check_invariants(task);
    wr_future_check_invariants(&task->future);
}

const struct wr_member_ops wr_task_member_ops = {
    .stage = WR_STAGE_TASKS,
    .shutdown = task_member_shutdown,
    .dump = task_member_dump,
    .check = task_member_check,
};
