/*
 * Several threads post and start tasks at once, next to tasks that keep the
 * executor busy.
 *
 * Each accepted post has a ticket that must return exactly once. WEIR_TEST_SEED
 * repeats a run as far as threads are repeatable; WEIR_STORM_ROUNDS makes it
 * longer. Run it with the address and thread sanitizers.
 */
#include "tests/contract/executor_rig.h"
#include "tests/unit/random.h"

enum { POSTERS = 4, POSTS = 4000, JOB_TASKS = 1500, WORKERS = 3 };

/* Belongs to the loop, except for the fields that the poster sets before it
 * posts. */
struct ticket {
    int number;
    int ran_count;
    struct poster *from;
};

struct poster {
    pthread_t thread;
    weir_mailbox *mailbox;
    struct unit_random random;
    int accepted_count; /* used by the thread until it is joined */
    int next;           /* used by the loop: posts run in order */
    struct ticket tickets[POSTS];
};

static struct poster posters[POSTERS];
static int posting_count;

static uint64_t rounds(void)
{
    const char *text = getenv("WEIR_STORM_ROUNDS");
    return text ? strtoull(text, NULL, 0) : 2;
}

static void run_ticket(void *arg)
{
    struct ticket *ticket = arg;
    ticket->ran_count++;
    expect_geq(ticket->number, ticket->from->next, "out of order");
    ticket->from->next = ticket->number + 1;
}

/* A task starts after the posts that became ready with it. */
static int run_task_ticket(weir_loop *l, void *arg)
{
    struct ticket *ticket = arg;
    ticket->ran_count++;
    return 0;
}

static void end_posting(void *arg)
{
    posting_count--;
}

static int post_ticket(struct poster *self, struct ticket *ticket)
{
    switch (unit_random_below(&self->random, 8)) {
    case 0:
        return weir_task_spawn_threadsafe(loop, run_task_ticket, ticket, NULL);
    case 1:
        return weir_loop_call_soon_threadsafe(loop, run_ticket, ticket, NULL);
    default:
        return weir_mailbox_call_soon(self->mailbox, run_ticket, ticket, NULL);
    }
}

static void *post_all(void *arg)
{
    struct poster *self = arg;
    for (int i = 0; i < POSTS; i++) {
        struct ticket *ticket = &self->tickets[i];
        *ticket = (struct ticket){.number = i, .from = self};
        expect_eq(post_ticket(self, ticket), 0);
        self->accepted_count++;
        if (unit_random_below(&self->random, 64) == 0) {
            sched_yield();
        }
    }
    expect_ok(weir_mailbox_call_soon(self->mailbox, end_posting, NULL, NULL));
    return NULL;
}

static void join_posters(void)
{
    for (int i = 0; i < POSTERS; i++) {
        expect_eq(pthread_join(posters[i].thread, NULL), 0);
        weir_mailbox_unref(posters[i].mailbox);
    }
}

static int nothing_job(void *arg)
{
    return 0;
}

/* There are more such tasks than results that the executor handles in an
 * iteration. */
static int keep_executor_busy(weir_loop *l, void *arg)
{
    do {
        const int err = weir_run_in_executor(l, nothing_job, NULL, NULL, NULL);
        cr_assert(err == 0 || err == -ECANCELED, "%d", err);
        if (err < 0) {
            return err;
        }
    } while (posting_count > 0);
    return 0;
}

static void start_job_tasks(weir_loop *l)
{
    for (int i = 0; i < JOB_TASKS; i++) {
        weir_task *task = NULL;
        expect_eq(weir_task_spawn(l, keep_executor_busy, NULL, NULL, &task), 0);
        weir_task_unref(task);
    }
}

static int storm_body(weir_loop *l, void *arg)
{
    posting_count = POSTERS;
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){.mailbox = weir_loop_get_mailbox(loop)};
        posters[i].random.state = unit_random_next(arg);
        expect_ok(
            pthread_create(&posters[i].thread, NULL, post_all, &posters[i]));
    }
    start_job_tasks(l);
    while (posting_count > 0 || statistics().tasks > 1) {
        expect_eq(weir_yield(l), 0);
    }
    return 0;
}

UNIT(post_storm, every_post_and_task_of_other_threads_runs_once)
{
    struct unit_random random;
    unit_random_seed(&random);
    for (uint64_t round = 0; round < rounds(); round++) {
        open_with(WORKERS, 0);

        run_body(storm_body, &random);

        join_posters();
        for (int i = 0; i < POSTERS * POSTS; i++) {
            const struct ticket *ticket =
                &posters[i / POSTS].tickets[i % POSTS];
            expect_eq(ticket->ran_count, 1, "post %d of thread %d", i % POSTS,
                      i / POSTS);
        }
        close_loop();
    }
    wait_for_threads(0);
}

/* Small enough that posting threads must wait, too. */
enum { STORM_LIMIT = 64 };

struct shot {
    int ran_count;
    int dropped_count;
};

struct shooter {
    pthread_t thread;
    weir_mailbox *mailbox;
    struct unit_random random;
    int accepted_count;
    struct shot shots[POSTS];
};

static struct shooter shooters[POSTERS];

static void run_shot(void *arg)
{
    struct shot *shot = arg;
    shot->ran_count++;
}

static void drop_shot(void *arg)
{
    struct shot *shot = arg;
    shot->dropped_count++;
}

static int shoot(struct shooter *self, struct shot *shot)
{
    if (unit_random_below(&self->random, 4) == 0) {
        return weir_mailbox_call_soon(self->mailbox, run_shot, shot, drop_shot);
    }
    return weir_mailbox_call_soon_wait(self->mailbox, run_shot, shot, drop_shot,
                                       unit_random_below(&self->random, MS));
}

static void *shoot_all(void *arg)
{
    struct shooter *self = arg;
    int err = 0;
    while (err != -ESHUTDOWN && self->accepted_count < POSTS) {
        err = shoot(self, &self->shots[self->accepted_count]);
        cr_assert(err == 0 || err == -ESHUTDOWN || err == -ENOBUFS ||
                      err == -ETIMEDOUT,
                  "%d", err);
        self->accepted_count += err == 0;
    }
    weir_mailbox_unref(self->mailbox);
    return NULL;
}

static int wait_a_little(weir_loop *l, void *arg)
{
    start_job_tasks(l);
    return weir_sleep(l, unit_random_below(arg, 4 * MS));
}

static void expect_each_once(const struct shooter *shooter)
{
    for (int i = 0; i < POSTS; i++) {
        const struct shot *shot = &shooter->shots[i];
        expect_eq(
            shot->ran_count + shot->dropped_count, i < shooter->accepted_count,
            "post %d of %d ran %d times, was dropped %d times", i,
            shooter->accepted_count, shot->ran_count, shot->dropped_count);
    }
}

static void free_under_fire(struct unit_random *random)
{
    posting_count = 1; /* forever: the executor is kept busy */
    open_loop(SIZED(weir_loop_options, .post_limit = STORM_LIMIT));
    for (int i = 0; i < POSTERS; i++) {
        shooters[i] = (struct shooter){.mailbox = weir_loop_get_mailbox(loop)};
        shooters[i].random.state = unit_random_next(random);
        expect_ok(
            pthread_create(&shooters[i].thread, NULL, shoot_all, &shooters[i]));
    }
    run_body(wait_a_little, random);

    close_loop();

    for (int i = 0; i < POSTERS; i++) {
        expect_eq(pthread_join(shooters[i].thread, NULL), 0);
        expect_each_once(&shooters[i]);
    }
}

UNIT(post_storm, every_post_runs_or_is_dropped_once_when_loops_are_freed)
{
    struct unit_random random;
    unit_random_seed(&random);
    for (uint64_t round = 0; round < 3 * rounds(); round++) {
        free_under_fire(&random);
    }
    wait_for_threads(0);
}
