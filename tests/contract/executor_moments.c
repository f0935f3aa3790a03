/*
 * A task that waits for a job and is interrupted at every moment, as in
 * tests/tasks/moments.c.
 *
 * Jobs run on threads, so these tests use the real ring. Each job ends when it
 * is released. A job whose task was interrupted continues without it and ends
 * with the loop.
 */
#include "tests/tasks/moments_rig.h"

#include <semaphore.h>
#include <weir/executor.h>

enum { JOBS = 100 };

static sem_t go[JOBS];
static int job_count;

static int hold(void *arg)
{
    while (sem_wait(arg) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 5;
}

static int compute(void *arg)
{
    return 5;
}

static void make_job(void)
{
    expect_lt(job_count, JOBS);
    expect_eq(sem_init(&go[job_count], 0, 0), 0);
}

static void give_job(void)
{
    expect_eq(sem_post(&go[job_count]), 0);
}

static void drop_job(void)
{
    give_job(); /* again: it may not have started */
    job_count++;
}

static int call_held(weir_loop *on)
{
    int result = 0;
    int err = weir_run_in_executor(on, hold, &go[job_count], NULL, &result);

    expect_eq(result, err == 0 ? 5 : 0);
    return err;
}

static int call_quick(weir_loop *on)
{
    return weir_run_in_executor(on, compute, NULL, NULL, NULL);
}

static const struct row rows[] = {
    {"run_in_executor", make_job, call_held, give_job, drop_job},
    {"run_in_executor of a job that ends at once", NULL, call_quick, NULL,
     NULL},
};

static int play_all(weir_loop *on, void *arg)
{
    play_rows(rows, sizeof(rows) / sizeof(rows[0]));
    return 0;
}

UNIT(executor_moments, an_interruption_is_told_once_by_this_call_or_the_next)
{
    expect_eq(weir_loop_new(NULL, &loop), 0);
    expect_eq(rig_main(play_all, NULL), 0);
    expect_geq(weir_loop_free(loop), 0);
    for (int i = 0; i < job_count; i++) {
        expect_eq(sem_destroy(&go[i]), 0);
    }
}
