/*
 * Tasks of the library itself.
 *
 * The loop resolves a task's future after it has left the task's stack for the
 * last time, so own_task_ended() runs on the loop's stack. It is the only
 * observer that may call the program.
 */
#include "own_task.h"

static int own_task_run(weir_loop *loop, void *arg)
{
    struct wr_own_task *own = arg;

    wr_assert(own->task == loop->current);
    return own->steps(own);
}

static void own_task_ended(struct wr_observer *observer, weir_future *future)
{
    struct wr_own_task *own =
        wr_container_of(observer, struct wr_own_task, observer);

    wr_assert(&own->task->future == future);
    wr_assert(!own->loop->current);
    wr_assert(wr_task_has_ended(own->task));
    own->task = NULL;
    own->ended(own, future->result);
}

static void own_task_dump(const void *arg, FILE *out)
{
    const struct wr_own_task *own = arg;

    wr_assert(wr_own_task_is_running(own));
    if (own->dump) {
        own->dump(own, out);
    }
}

int wr_own_task_start(struct wr_own_task *own, const char *name)
{
    static const struct wr_task_hooks hooks = {.dump = own_task_dump};

    wr_assert(!own->task);
    wr_assert(name != NULL);
    const int err =
        wr_task_spawn_own(own->loop, own_task_run, own, name, &own->task);
    wr_require(err >= 0, err);
    wr_assert(wr_task_is_own(own->task));
    own->task->hooks = &hooks;
    wr_future_observe(&own->task->future, &own->observer, own_task_ended);
    return 0;
}

void wr_own_task_cancel(struct wr_own_task *own)
{
    wr_assert(own->ended != NULL);
    if (own->task) {
        weir_task_cancel(own->task);
    }
}

bool wr_task_is_own(const weir_task *task)
{
    wr_assert(task->fn != NULL);
    return task->fn == own_task_run;
}
