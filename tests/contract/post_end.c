/*
 * The end of an accepted post: it runs or its dropped function is called, never
 * both.
 *
 * Also the limit: which posts are refused, and how a thread waits for space.
 * Real threads wait: in every second round the test continues once the thread
 * waits, in the others without checking.
 */
#include "tests/contract/asleep.h"
#include "tests/contract/executor_rig.h"

#include <sys/wait.h>

enum { LIMIT = 8, BACKLOG = 10000 };

struct letter {
    int ran_count;
    int dropped_count;
};

static struct letter letters[BACKLOG];
static weir_mailbox *mailbox;

static void run_letter(void *arg)
{
    struct letter *letter = arg;
    letter->ran_count++;
    cr_assert(pthread_equal(pthread_self(), loop_thread));
}

static void drop_letter(void *arg)
{
    struct letter *letter = arg;
    letter->dropped_count++;
    cr_assert(pthread_equal(pthread_self(), loop_thread));
    expect_eq(weir_loop_call_soon(loop, run_letter, arg, NULL), -ESHUTDOWN);
    expect_eq(weir_mailbox_call_soon(mailbox, run_letter, arg, drop_letter),
              -ESHUTDOWN, "nothing gets in any more");
}

static int run_letter_as_task(weir_loop *l, void *arg)
{
    run_letter(arg);
    return 0;
}

static void open_limited(uint32_t post_limit)
{
    loop_thread = pthread_self();
    memset(letters, 0, sizeof(letters));
    open_loop(SIZED(weir_loop_options, .post_limit = post_limit));
    mailbox = weir_loop_get_mailbox(loop);
}

static int post_letter(int number)
{
    return weir_mailbox_call_soon(mailbox, run_letter, &letters[number],
                                  drop_letter);
}

static void fill(void)
{
    for (int i = 0; i < LIMIT; i++) {
        expect_eq(post_letter(i), 0);
    }
    expect_eq(post_letter(LIMIT), -ENOBUFS);
}

static void close_both(void)
{
    close_loop();
    weir_mailbox_unref(mailbox);
}

UNIT(post_end, posts_that_did_not_run_before_the_loop_was_freed_are_dropped)
{
    int ran_count = 0;
    open_limited(0);
    for (int i = 0; i < BACKLOG; i++) {
        expect_eq(post_letter(i), 0);
    }
    one_turn(); /* accepts all of them and runs some */
    one_turn();

    close_both();

    for (int i = 0; i < BACKLOG; i++) {
        expect_eq(letters[i].ran_count + letters[i].dropped_count, 1,
                  "post %d ran %d times and was dropped %d times", i,
                  letters[i].ran_count, letters[i].dropped_count);
        ran_count += letters[i].ran_count;
    }
    expect_gt(ran_count, 0);
    expect_lt(ran_count, BACKLOG);
}

UNIT(post_end, posts_to_a_loop_that_never_ran_are_dropped)
{
    open_limited(0);
    expect_ok(weir_loop_call_soon_threadsafe(loop, run_letter, &letters[0],
                                             drop_letter));
    expect_ok(weir_task_spawn_threadsafe(loop, run_letter_as_task, &letters[1],
                                         drop_letter));
    expect_ok(weir_task_spawn_threadsafe(loop, run_letter_as_task, NULL, NULL));
    expect_eq(weir_mailbox_call_soon(mailbox, run_letter, NULL, NULL), 0);

    close_both();

    for (int i = 0; i < 2; i++) {
        expect_eq(letters[i].ran_count, 0);
        expect_eq(letters[i].dropped_count, 1);
    }
}

UNIT(post_end, a_post_that_is_refused_is_neither_run_nor_dropped)
{
    open_limited(LIMIT);
    fill();
    expect_eq(weir_task_spawn_threadsafe(loop, run_letter_as_task,
                                         &letters[LIMIT], drop_letter),
              -ENOBUFS);
    one_turn();
    one_turn();
    expect_eq(letters[LIMIT].ran_count, 0);

    close_both();

    expect_eq(letters[LIMIT].dropped_count, 0);
    expect_eq(letters[0].ran_count, 1);
    expect_eq(letters[0].dropped_count, 0);
}

UNIT(post_end, a_loop_that_was_stopped_keeps_its_posts_for_the_next_run)
{
    open_limited(0);
    one_turn();
    expect_eq(post_letter(0), 0);
    one_turn();
    one_turn();
    expect_eq(letters[0].ran_count, 1);
    close_both();
}

UNIT(post_end, a_forked_child_cannot_post_to_its_parents_loop)
{
    open_limited(LIMIT);
    one_turn();

    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        /* A failed assertion in the child is not reported, so compare here. */
        const bool good =
            post_letter(0) == -ECHILD &&
            weir_mailbox_call_soon_wait(mailbox, run_letter, &letters[0], NULL,
                                        0) == -ECHILD;
        _exit(good ? 0 : 1);
    }
    expect_eq(end_of(child), 0);
    close_both();
}

UNIT(post_end, there_is_room_again_when_posts_have_run)
{
    open_limited(LIMIT);
    for (int round = 0; round < 3; round++) {
        fill();
        one_turn();
        one_turn();
        for (int i = 0; i < LIMIT; i++) {
            expect_eq(letters[i].ran_count, round + 1);
        }
    }
    close_both();
}

static int one_job_body(weir_loop *l, void *arg)
{
    struct job job;
    fill();
    start_held(&job, 5);
    let_go(&job);
    expect_result(&job);
    *(bool *)arg = true;
    return 0;
}

UNIT(post_end, a_full_mailbox_does_not_refuse_results_of_the_executor)
{
    bool has_ended = false;
    open_limited(LIMIT);
    run_body(one_job_body, &has_ended);
    cr_assert(has_ended);
    close_both();
    wait_for_threads(0);
}

UNIT(post_end, the_loops_own_thread_never_waits_for_room)
{
    open_limited(LIMIT);
    fill();
    expect_eq(weir_mailbox_call_soon_wait(mailbox, run_letter, NULL, NULL,
                                          UINT64_MAX),
              -EDEADLK, "before the first run");
    one_turn();
    one_turn();
    fill();
    expect_eq(weir_mailbox_call_soon_wait(mailbox, run_letter, NULL, NULL,
                                          UINT64_MAX),
              -EDEADLK);
    close_both();
}

struct poster {
    pthread_t thread;
    pid_t tid;
    sem_t starts;
    uint64_t timeout_ns;
    int err;
};

static void *post_one(void *arg)
{
    struct poster *poster = arg;
    poster->tid = gettid();
    expect_eq(sem_post(&poster->starts), 0);
    poster->err = weir_mailbox_call_soon_wait(
        mailbox, run_letter, &letters[LIMIT], drop_letter, poster->timeout_ns);
    return NULL;
}

static void start_poster(struct poster *poster, uint64_t timeout_ns)
{
    *poster = (struct poster){.timeout_ns = timeout_ns, .err = 1};
    expect_eq(sem_init(&poster->starts, 0, 0), 0);
    expect_eq(pthread_create(&poster->thread, NULL, post_one, poster), 0);
    wait_for(&poster->starts);
}

static int join_poster(struct poster *poster)
{
    expect_eq(pthread_join(poster->thread, NULL), 0);
    return poster->err;
}

UNIT(post_end, a_thread_that_waits_goes_on_when_there_is_room)
{
    struct poster poster;
    open_limited(LIMIT);
    for (int round = 0; round < 50; round++) {
        fill();
        start_poster(&poster, UINT64_MAX);
        if (round % 2) {
            cr_assert(wait_until_asleep(poster.tid));
        }
        one_turn();
        one_turn();
        expect_eq(join_poster(&poster), 0);
        one_turn();
        one_turn();
        expect_eq(letters[LIMIT].ran_count, round + 1);
    }
    close_both();
}

UNIT(post_end, a_thread_that_waits_is_told_when_the_time_is_over)
{
    struct poster poster;
    open_limited(LIMIT);
    fill();
    start_poster(&poster, 2 * MS);
    expect_eq(join_poster(&poster), -ETIMEDOUT);
    start_poster(&poster, 0);
    expect_eq(join_poster(&poster), -ETIMEDOUT);

    close_both();

    expect_eq(letters[LIMIT].ran_count, 0);
    expect_eq(letters[LIMIT].dropped_count, 0);
}

UNIT(post_end, a_thread_that_waits_is_told_when_the_loop_is_freed)
{
    for (int round = 0; round < 50; round++) {
        struct poster poster;
        open_limited(LIMIT);
        fill();
        start_poster(&poster, UINT64_MAX);
        if (round % 2) {
            cr_assert(wait_until_asleep(poster.tid));
        }

        close_loop();

        expect_eq(join_poster(&poster), -ESHUTDOWN);
        expect_eq(letters[LIMIT].dropped_count, 0);
        weir_mailbox_unref(mailbox);
    }
}
