/*
 * The executor's single entry in the loop's mailbox.
 *
 * It is queued at most once, however many results return and whatever other
 * threads post. One thread runs the jobs, so a started job shows that the
 * previous result was posted.
 */
#include "tests/contract/executor_rig.h"

/* More results than one iteration takes from the executor. */
enum { RESULTS = 1500, HELD = 3, POSTS_EACH_STEP = 100 };

static struct job quick_jobs[RESULTS];
static struct job held_jobs[HELD];
static weir_mailbox *mailbox;
static int posted_count;
static int ran_count;

static void count_run(void *arg)
{
    ran_count++;
}

static void post_some(void)
{
    for (int i = 0; i < POSTS_EACH_STEP; i++) {
        expect_eq(weir_mailbox_call_soon(mailbox, count_run, NULL, NULL), 0);
        posted_count++;
    }
}

/* Its task continues in the iteration after the first results returned, before
 * the others are handled: another result is posted then. */
static int run_first(weir_loop *l, void *arg)
{
    const int err = run_job(l, arg);
    expect_eq(quick_jobs[RESULTS - 1].err, 1, "not all have come back");
    post_some();
    let_go(&held_jobs[0]);
    wait_for(&held_jobs[1].started);
    post_some();
    return err;
}

/* Runs in the same iteration after the others were handled, and posts another
 * one. */
static void end_second(void *arg)
{
    expect_eq(quick_jobs[0].err, 0);
    let_go(&held_jobs[1]);
    wait_for(&held_jobs[2].started);
    post_some();
}

static void end_second_in_the_next_turn(void *arg)
{
    soon(end_second, arg);
}

static void start_jobs(weir_loop *l)
{
    init_job(&quick_jobs[0], quick_job, 0);
    expect_ok(weir_task_spawn(l, run_first, &quick_jobs[0], NULL,
                              &quick_jobs[0].task));
    for (int i = 1; i < RESULTS; i++) {
        start_job(&quick_jobs[i], quick_job, i);
    }
    for (int i = 0; i < HELD; i++) {
        start_job(&held_jobs[i], held_job, RESULTS + i);
    }
}

static int many_results_body(weir_loop *l, void *arg)
{
    start_jobs(l);
    yield();
    wait_for(&held_jobs[0].started); /* the executor's entry is queued */
    expect_ok(weir_mailbox_call_soon(mailbox, end_second_in_the_next_turn, NULL,
                                     NULL));
    for (int i = 0; i < RESULTS; i++) {
        expect_result(&quick_jobs[i]);
    }
    let_go(&held_jobs[2]);
    for (int i = 0; i < HELD; i++) {
        expect_result(&held_jobs[i]);
    }
    return weir_sleep(l, 10 * MS);
}

UNIT(executor_posts, more_results_than_a_turn_takes_lose_no_post_beside_them)
{
    open_with(1, 0);
    mailbox = weir_loop_get_mailbox(loop);

    run_body(many_results_body, NULL);

    expect_eq(posted_count, 3 * POSTS_EACH_STEP);
    expect_eq(ran_count, posted_count, "a post was accepted and never ran");
    weir_mailbox_unref(mailbox);
    close_loop();
    wait_for_threads(0);
}
