/*
 * Internal tasks of weir.
 *
 * Their end is reported on the loop's stack, when the task uses nothing any
 * more. They are included in the loop's end, its dump and its statistics.
 */
#include "lib/task/own_task.h"

#include "rig.h"
#include "tests/dump.h"

struct steps {
    struct wr_own_task own;
    int rounds; /* that ->ended starts again */
    int err;    /* of the last end */
    const char *stack;
};

static struct steps steps;

static int sleep_once(struct wr_own_task *own)
{
    const char here = 0;
    steps.stack = &here;
    note("s");
    return weir_sleep(own->loop, MS);
}

static int fail(struct wr_own_task *own)
{
    return -EPROTO;
}

static void note_end(struct wr_own_task *own, int err)
{
    cr_assert_null(weir_task_get_current(loop), "it is no task");
    cr_assert(!wr_own_task_is_running(own));
    note("e");
    steps.err = err;
    if (steps.rounds-- > 0) {
        expect_eq(wr_own_task_start(own, "again"), 0);
    }
}

static void begin(wr_own_task_fn *fn)
{
    memset(&steps, 0, sizeof(steps));
    wr_own_task_init(&steps.own, loop, fn, note_end);
    expect_eq(wr_own_task_start(&steps.own, "own"), 0);
    cr_assert(wr_own_task_is_running(&steps.own));
}

TASK(own_task, begins_from_the_loop_and_its_end_is_told_once)
{
    begin(sleep_once);
    expect_str_eq(notes, "", "not inside the call");
    expect_settled("s");
    expect_eq(weir_sleep(loop, 2 * MS), 0);
    expect_settled("se");
    expect_eq(steps.err, 0);
}

static uint64_t ends_on_stack;

static void note_stack(struct wr_own_task *own, int err)
{
    const char here = 0;
    const struct weir_loop_statistics now = rig_statistics();
    const ptrdiff_t apart = &here - steps.stack;
    ends_on_stack = apart > -0x10000 && apart < 0x10000;
    expect_eq(now.tasks, 1, "the test's alone: it has ended");
}

TASK(own_task, tells_its_end_on_the_stack_of_the_loop)
{
    begin(sleep_once);
    steps.own.ended = note_stack;
    ends_on_stack = 2;
    expect_eq(weir_sleep(loop, 2 * MS), 0);
    expect_eq(ends_on_stack, 0);
}

TASK(own_task, may_be_started_again_when_it_has_ended)
{
    begin(sleep_once);
    steps.rounds = 2;
    expect_eq(weir_sleep(loop, 10 * MS), 0);
    expect_settled("sesese");
}

static void free_steps(struct wr_own_task *own, int err)
{
    free(own);
    note("f");
}

TASK(own_task, may_be_freed_when_it_has_ended)
{
    struct wr_own_task *own = malloc(sizeof(*own));
    wr_own_task_init(own, loop, fail, free_steps);
    expect_eq(wr_own_task_start(own, "own"), 0);
    expect_settled("f");
}

TASK(own_task, ends_with_a_cancellation_before_its_first_step_and_later)
{
    begin(sleep_once);
    wr_own_task_cancel(&steps.own);
    expect_settled("se");
    expect_eq(steps.err, -ECANCELED);
    expect_eq(wr_own_task_start(&steps.own, "own"), 0);
    settle();
    wr_own_task_cancel(&steps.own);
    expect_settled("sese");
    expect_eq(steps.err, -ECANCELED);
    wr_own_task_cancel(&steps.own); /* changes nothing */
    expect_settled("sese");
}

static void note_exception(void *arg, weir_loop *on,
                           const struct weir_exception *exception)
{
    note("x");
}

TASK(own_task, tells_no_hook_that_it_has_failed)
{
    weir_loop_set_exception_handler(loop, note_exception, NULL);
    begin(fail);
    expect_settled("e");
    expect_eq(steps.err, -EPROTO);
}

static void note_name(void *arg, weir_task *task)
{
    note(weir_task_get_name(task));
}

TASK(own_task, is_none_of_the_programs_but_counts_and_is_dumped)
{
    char text[2048] = "";
    FILE *out = fmemopen(text, sizeof(text) - 1, "w");
    begin(sleep_once);
    settle();
    notes[0] = '\0';
    weir_task_set_name(weir_task_get_current(loop), "main");
    expect_eq(weir_loop_walk_tasks(loop, note_name, NULL), 1);
    expect_str_eq(notes, "main");
    expect_eq(rig_statistics().tasks, 2);
    weir_loop_dump(loop, out);
    fclose(out);
    cr_assert(strstr(text, "task own waiting for sleep"));
    expect_eq(weir_sleep(loop, 2 * MS), 0);
}

static int leave_sleeping(weir_loop *on, void *arg)
{
    begin(sleep_once);
    return weir_sleep(on, MS / 2);
}

UNIT(own_task, is_interrupted_by_the_end_of_the_loop_and_awaited)
{
    rig_start_counted();
    expect_eq(rig_main(leave_sleeping, NULL), 0);
    expect_str_eq(notes, "s");
    expect_eq(weir_loop_free(loop), 0);
    expect_str_eq(notes, "se");
    expect_eq(steps.err, -ECANCELED);
    allocator_check(&rig_memory);
    fake_stop();
}

static void print_rounds(const struct wr_own_task *own, FILE *out)
{
    fprintf(out, " rounds=%d", ((const struct steps *)own)->rounds);
}

TASK(own_task, adds_words_to_its_line_of_a_dump)
{
    begin(sleep_once);
    steps.own.dump = print_rounds;
    settle();
    expect_dumped(loop, "task own waiting for sleep stack=");
    expect_dumped(loop, " cancelling=0 rounds=0\n");
    expect_eq(weir_sleep(loop, 2 * MS), 0);
    expect_settled("se");
}
