/*
 * Threads that run jobs: when they start and end, in which order jobs run,
 * which jobs can be revoked, and what their owner is told.
 *
 * Semaphores hold and release jobs, so that nothing depends on time. The
 * program is linked so that the library's calls of pthread_create(),
 * pthread_join() and pthread_detach() come here: each thread is joined or
 * detaches itself. It also runs under ThreadSanitizer.
 */
#define UNIT_RUN with_jobs
#include "uring/jobs.h"

#include "tests/contract/asleep.h"
#include "tests/unit/random.h"
#include "uring/sys.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { LIMIT = 4, QUEUE = 2, ITEMS = 8, SMALL = 256 << 10, REST_NS = 3000000 };

int __real_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg);
int __real_pthread_join(pthread_t thread, void **ret);
int __wrap_pthread_join(pthread_t thread, void **ret);
int __real_pthread_detach(pthread_t thread);
int __wrap_pthread_detach(pthread_t thread);

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int made_count;
static int joined_count;
static int detached_count;
static int failing_count; /* number of next calls that create no thread */
static size_t last_stack; /* of the last thread; 0 means the default */

static void add_to(int *count, int n)
{
    pthread_mutex_lock(&mutex);
    *count += n;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static int value_of(const int *count)
{
    pthread_mutex_lock(&mutex);
    const int value = *count;
    pthread_mutex_unlock(&mutex);
    return value;
}

static void wait_until(const int *count, int value)
{
    pthread_mutex_lock(&mutex);
    while (*count < value) {
        pthread_cond_wait(&changed, &mutex);
    }
    expect_eq(*count, value);
    pthread_mutex_unlock(&mutex);
}

int __wrap_pthread_create(pthread_t *ret, const pthread_attr_t *attr,
                          void *(*run)(void *), void *arg)
{
    if (value_of(&failing_count) > 0) {
        add_to(&failing_count, -1);
        return EAGAIN;
    }
    last_stack = 0;
    if (attr) {
        expect_eq(pthread_attr_getstacksize(attr, &last_stack), 0);
    }
    add_to(&made_count, 1);
    return __real_pthread_create(ret, attr, run, arg);
}

int __wrap_pthread_join(pthread_t thread, void **ret)
{
    const int err = __real_pthread_join(thread, ret);
    add_to(&joined_count, err == 0);
    return err;
}

int __wrap_pthread_detach(pthread_t thread)
{
    const int err = __real_pthread_detach(thread);
    add_to(&detached_count, err == 0);
    return err;
}

struct item {
    struct wr_job job;
    sem_t started;
    sem_t go;
    int order; /* 1 if it started first; 0 if it never started */
    int run_count;
    bool had_good_thread; /* its name, and its signals, were right */
    pid_t thread;
    bool rest_has_ended;
    uint64_t rest_ns;
};

static struct wr_jobs jobs;
static struct item items[ITEMS];
static int start_count;
static int tell_count;
static int free_count;
static sem_t told;

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0) {
        expect_eq(errno, EINTR);
    }
}

static struct item *item_of(struct wr_job *job)
{
    return wr_container_of(job, struct item, job);
}

static void note_start(struct item *item)
{
    char name[16] = "";
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    prctl(PR_GET_NAME, name);
    item->had_good_thread = strcmp(name, "some jobs") == 0 &&
                            sigismember(&blocked, SIGINT) == 1 &&
                            sigismember(&blocked, SIGUSR1) == 1;
    item->thread = gettid();
    pthread_mutex_lock(&mutex);
    item->order = ++start_count;
    item->run_count++;
    pthread_mutex_unlock(&mutex);
}

static void run_held(struct wr_jobs *of, struct wr_job *job)
{
    struct item *item = item_of(job);
    note_start(item);
    sem_post(&item->started);
    wait_for(&item->go);
}

static void run_resting(struct wr_jobs *of, struct wr_job *job)
{
    struct item *item = item_of(job);
    note_start(item);
    sem_post(&item->started);
    while (!wr_jobs_rest(of, job, UINT64_MAX)) {
    }
    item->rest_has_ended = true;
}

static void run_resting_later(struct wr_jobs *of, struct wr_job *job)
{
    wait_for(&item_of(job)->go);
    run_resting(of, job);
}

static void run_looking(struct wr_jobs *of, struct wr_job *job)
{
    const uint64_t begin_ns = wr_sys_now();
    item_of(job)->rest_has_ended = wr_jobs_rest(of, job, REST_NS);
    item_of(job)->rest_ns = wr_sys_now() - begin_ns;
}

static void tell(struct wr_jobs *of)
{
    add_to(&tell_count, 1);
    sem_post(&told);
}

static void note_free(struct wr_jobs *of)
{
    add_to(&free_count, 1);
}

static const struct wr_jobs_kind held = {.name = "some jobs",
                                         .idle_ns = UINT64_MAX,
                                         .run = run_held,
                                         .tell = tell,
                                         .free = note_free};
static const struct wr_jobs_kind resting = {.name = "some jobs",
                                            .idle_ns = UINT64_MAX,
                                            .run = run_resting,
                                            .tell = tell};
static const struct wr_jobs_kind resting_later = {.name = "some jobs",
                                                  .idle_ns = UINT64_MAX,
                                                  .run = run_resting_later,
                                                  .tell = tell};
static const struct wr_jobs_kind looking = {.name = "some jobs",
                                            .idle_ns = UINT64_MAX,
                                            .run = run_looking,
                                            .tell = tell};
static const struct wr_jobs_kind hasty = {
    .name = "some jobs", .stack_bytes = SMALL, .idle_ns = 1, .run = run_held};

static const struct wr_jobs_kind patient = {.name = "some jobs",
                                            .idle_ns = UINT64_C(3600000000000),
                                            .run = run_held,
                                            .tell = tell};

static int push(int index)
{
    return wr_jobs_push(&jobs, &items[index].job);
}

static void start(int index)
{
    expect_eq(push(index), 0);
    wait_for(&items[index].started);
}

static void let_go(int index)
{
    expect_eq(sem_post(&items[index].go), 0);
}

/* Waits until the owner is notified, and takes the completed jobs. Returns
 * their number. */
static int hear(void)
{
    struct wr_list done;
    int count = 0;
    wait_for(&told);
    wr_list_init(&done);
    wr_jobs_hear(&jobs);
    wr_jobs_take_done(&jobs, &done);
    while (wr_list_pop_front(&done)) {
        count++;
    }
    return count;
}

static void end_all(void)
{
    struct wr_list done;
    wr_list_init(&done);
    expect_eq(wr_jobs_end(&jobs, true, &done), 0);
    wr_jobs_fini(&jobs);
    pthread_mutex_lock(&mutex); /* a thread detaches itself as its last step */
    while (joined_count + detached_count < made_count) {
        pthread_cond_wait(&changed, &mutex);
    }
    expect_eq(joined_count + detached_count, made_count);
    pthread_mutex_unlock(&mutex);
}

static void with_kind(const struct wr_jobs_kind *kind, void (*body)(void))
{
    for (int i = 0; i < ITEMS; i++) {
        wr_list_init(&items[i].job.link);
        expect_eq(sem_init(&items[i].started, 0, 0), 0);
        expect_eq(sem_init(&items[i].go, 0, 0), 0);
    }
    expect_eq(sem_init(&told, 0, 0), 0);
    wr_jobs_init(&jobs, kind, LIMIT, QUEUE);
    body();
}

static void with_jobs(void (*body)(void))
{
    with_kind(&held, body);
}

UNIT(jobs, a_thread_is_made_when_none_is_idle)
{
    sigset_t blocked;
    expect_eq(made_count, 0);
    start(0);
    expect_eq(made_count, 1);
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    expect_eq(sigismember(&blocked, SIGUSR1), 0, "by the caller");
    start(1);
    expect_eq(made_count, 2);
    let_go(0);
    expect_eq(hear(), 1);
    start(2);
    expect_eq(made_count, 2, "one was idle");
    let_go(1);
    let_go(2);

    end_all();
    cr_assert(items[0].had_good_thread, "its name and its signals");
}

UNIT(jobs, no_more_wait_and_no_more_threads_are_made_than_the_limits_allow)
{
    for (int i = 0; i < LIMIT; i++) {
        start(i);
    }
    expect_eq(push(LIMIT), 0);
    expect_eq(push(LIMIT + 1), 0);
    expect_eq(push(LIMIT + 2), -ENOBUFS);
    expect_eq(made_count, LIMIT);
    let_go(0);
    wait_for(&items[LIMIT].started);
    expect_eq(push(LIMIT + 2), 0, "there is room again");

    for (int i = 1; i < LIMIT + 3; i++) {
        let_go(i);
    }
    end_all();
    for (int i = 0; i < LIMIT + 3; i++) {
        expect_eq(items[i].run_count, 1);
    }
}

UNIT(jobs, run_first_come_first_served)
{
    jobs.thread_limit = 1;
    start(0);
    expect_eq(push(1), 0);
    expect_eq(push(2), 0);
    for (int i = 0; i < 3; i++) {
        let_go(i);
    }
    end_all();
    for (int i = 0; i < 3; i++) {
        expect_eq(items[i].order, i + 1);
    }
}

UNIT(jobs, are_refused_only_where_there_is_no_thread)
{
    failing_count = 1;
    expect_eq(push(0), -EAGAIN);
    cr_assert(!wr_list_is_linked(&items[0].job.link));
    cr_assert(wr_jobs_are_over(&jobs));
    start(0);
    failing_count = 1;
    expect_eq(push(1), 0);
    expect_eq(failing_count, 0);
    expect_eq(items[1].order, 0, "it waits for the thread that there is");
    let_go(0);
    wait_for(&items[1].started);
    let_go(1);
    end_all();
    expect_eq(made_count, 1);
}

UNIT_OF(jobs, threads_have_a_small_stack_unless_that_is_refused, with_kind,
        &hasty, void)
{
    start(0);
    expect_eq(last_stack, SMALL);
    failing_count = 1;
    start(1);
    expect_eq(last_stack, 0, "the default");
    failing_count = 2; /* both */
    expect_eq(push(2), 0);
    expect_eq(made_count, 2);
    for (int i = 0; i < 3; i++) {
        let_go(i);
    }
    wait_for(&items[2].started);
    end_all();
}

UNIT_OF(jobs, an_idle_thread_ends_and_another_one_is_made, with_kind, &hasty,
        void)
{
    for (int i = 0; i < 3; i++) {
        start(i);
        let_go(i);
        wait_until(&detached_count, i + 1);
        cr_assert(wr_jobs_are_over(&jobs));
    }
    expect_eq(made_count, 3);
    expect_eq(joined_count, 0);
    end_all();
}

UNIT_OF(jobs, a_thread_that_is_idle_for_a_moment_stays, with_kind, &patient,
        void)
{
    for (int i = 0; i < 3; i++) {
        start(i);
        let_go(i);
        expect_eq(hear(), 1);
        cr_assert(wait_until_asleep(items[i].thread));
    }
    expect_eq(made_count, 1);
    end_all();
}

UNIT(jobs, that_are_withdrawn_before_they_start_never_run)
{
    jobs.thread_limit = 1;
    start(0);
    expect_eq(push(1), 0);
    expect_eq(push(2), 0);
    cr_assert(wr_jobs_withdraw(&jobs, &items[1].job));
    cr_assert(!wr_list_is_linked(&items[1].job.link));
    expect_eq(push(3), 0, "there is room again");
    cr_assert(!wr_jobs_withdraw(&jobs, &items[0].job));
    let_go(0);
    let_go(2);
    let_go(3);
    end_all();
    expect_eq(items[1].order, 0);
    expect_eq(items[2].order, 2);
}

UNIT_OF(jobs, a_job_that_rests_is_told_that_it_was_withdrawn, with_kind,
        &resting, void)
{
    start(0);
    start(1);
    cr_assert(wait_until_asleep(items[0].thread));
    cr_assert(wait_until_asleep(items[1].thread));
    cr_assert(!wr_jobs_withdraw(&jobs, &items[0].job));
    expect_eq(hear(), 1);
    cr_assert(items[0].rest_has_ended);
    cr_assert(!items[1].rest_has_ended, "another job's withdrawal");
    cr_assert(!wr_jobs_withdraw(&jobs, &items[1].job));
    expect_eq(hear(), 1);
    end_all();
}

UNIT_OF(jobs, a_rest_ends_at_once_when_its_end_was_told_before, with_kind,
        &resting_later, void)
{
    expect_eq(push(0), 0);
    expect_eq(push(1), 0);
    while (wr_jobs_withdraw(&jobs, &items[0].job)) {
        expect_eq(push(0), 0); /* until a thread has it */
    }
    let_go(0);
    expect_eq(hear(), 1);
    cr_assert(items[0].rest_has_ended);
    wr_jobs_shut(&jobs);
    let_go(1);
    while (hear() == 0) { /* the end of the idle thread is reported */
    }
    cr_assert(items[1].rest_has_ended);
    end_all();
}

UNIT_OF(jobs, a_rest_has_a_limit, with_kind, &looking, void)
{
    for (int i = 0; i < 2; i++) {
        items[0].rest_has_ended = true;
        expect_eq(push(0), 0);
        expect_eq(hear(), 1);
        cr_assert(!items[0].rest_has_ended, "nothing has ended it");
        expect_geq(items[0].rest_ns, REST_NS);
        cr_assert(!wr_jobs_withdraw(&jobs, &items[0].job));
    }
    end_all();
}

UNIT(jobs, the_owner_is_told_once_until_it_hears)
{
    jobs.thread_limit = 1;
    start(0);
    expect_eq(push(1), 0);
    expect_eq(push(2), 0);
    let_go(0);
    let_go(1);
    wait_for(&items[2].started); /* so the others are done */
    expect_eq(value_of(&tell_count), 1);
    expect_eq(hear(), 2);
    let_go(2);
    expect_eq(hear(), 1);
    expect_eq(value_of(&tell_count), 2);
    end_all();
    expect_eq(tell_count, 2, "it has gone");
}

UNIT(jobs, that_are_shut_take_no_more_and_are_over_when_all_came_back)
{
    jobs.thread_limit = 2;
    start(0);
    start(1);
    expect_eq(push(2), 0);
    cr_assert(wr_jobs_are_open(&jobs));
    wr_jobs_shut(&jobs);
    wr_jobs_shut(&jobs); /* again */
    cr_assert(!wr_jobs_are_open(&jobs));
    expect_eq(push(3), -ESHUTDOWN);
    cr_assert(!wr_jobs_are_over(&jobs));
    int came_back = 0;
    for (int i = 0; i < 3; i++) {
        let_go(i);
    }
    while (!wr_jobs_are_over(&jobs)) {
        came_back += hear();
    }
    expect_eq(came_back, 3);
    expect_eq(value_of(&joined_count), 2);
    end_all();
}

UNIT(jobs, the_owner_is_told_that_the_threads_of_shut_jobs_have_ended)
{
    start(0);
    let_go(0);
    expect_eq(hear(), 1);
    cr_assert(wait_until_asleep(items[0].thread));
    wr_jobs_shut(&jobs);
    expect_eq(hear(), 0);
    cr_assert(wr_jobs_are_over(&jobs));
    end_all();
}

UNIT_OF(jobs, the_end_waits_for_those_that_run, with_kind, &resting, void)
{
    struct wr_list done;
    wr_list_init(&done);
    for (int i = 0; i < 3; i++) {
        start(i);
        cr_assert(wait_until_asleep(items[i].thread));
    }
    expect_eq(wr_jobs_end(&jobs, true, &done), 0);
    expect_eq(value_of(&joined_count), 3);
    for (int i = 0; i < 3; i++) {
        cr_assert(items[i].rest_has_ended, "by the end");
    }
    expect_eq(wr_list_count(&done), 3);
    expect_eq(value_of(&tell_count), 0);
    wr_jobs_fini(&jobs);
}

UNIT(jobs, the_end_leaves_those_that_run_and_joins_idle_threads)
{
    struct wr_list done;
    wr_list_init(&done);
    for (int i = 0; i < LIMIT; i++) {
        start(i);
    }
    let_go(0);
    let_go(1);
    for (int came_back = 0; came_back < 2;) {
        came_back += hear();
    }
    expect_eq(wr_jobs_end(&jobs, false, &done), 2);
    expect_eq(value_of(&joined_count), 2);
    expect_eq(value_of(&free_count), 0);
    let_go(2);
    wait_until(&detached_count, 1);
    expect_eq(value_of(&free_count), 0, "one still runs");
    let_go(3);
    wait_until(&free_count, 1);
    wr_jobs_take_done(&jobs, &done);
    expect_eq(wr_list_count(&done), 2);
    wr_jobs_fini(&jobs);
}

enum { PUSHERS = 3, EACH = 400, ROUNDS = 150 };

static struct item many[PUSHERS * EACH];
static int run_total;

static void run_brief(struct wr_jobs *of, struct wr_job *job)
{
    note_start(item_of(job));
    add_to(&run_total, 1);
}

static void *push_each(void *arg)
{
    struct item *first = arg;
    for (int i = 0; i < EACH; i++) {
        expect_eq(wr_jobs_push(&jobs, &first[i].job), 0);
    }
    return NULL;
}

static void init_many(void)
{
    for (int i = 0; i < PUSHERS * EACH; i++) {
        wr_list_init(&many[i].job.link);
        many[i].run_count = 0;
    }
}

static const struct wr_jobs_kind brief = {
    .name = "some jobs", .idle_ns = 1, .run = run_brief};

UNIT_OF(jobs, of_several_pushers_all_run_while_threads_come_and_go, with_kind,
        &brief, void)
{
    pthread_t pushers[PUSHERS];
    jobs.queue_limit = UINT32_MAX;
    init_many();
    for (int i = 0; i < PUSHERS; i++) {
        expect_eq(__real_pthread_create(&pushers[i], NULL, push_each,
                                        &many[i * EACH]),
                  0);
    }
    for (int i = 0; i < PUSHERS; i++) {
        expect_eq(__real_pthread_join(pushers[i], NULL), 0);
    }
    wait_until(&run_total, PUSHERS * EACH);
    for (int i = 0; i < PUSHERS * EACH; i++) {
        expect_eq(many[i].run_count, 1);
    }
    end_all();
}

static const struct wr_jobs_kind quick = {
    .name = "some jobs", .idle_ns = UINT64_MAX, .run = run_brief, .tell = tell};

/* Takes the completed jobs; each must return for the first time. */
static int take_back(struct wr_list *done)
{
    struct wr_list *link;
    int count = 0;
    while ((link = wr_list_pop_front(done))) {
        struct item *item = wr_container_of(link, struct item, job.link);
        expect_eq(item->run_count, 1);
        item->run_count = 0;
        count++;
    }
    return count;
}

static int play_round(struct unit_random *random)
{
    struct wr_list done;
    int back = 0;
    int pushed = 0;
    wr_list_init(&done);
    while (unit_random_below(random, 60) > 0 && pushed < EACH) {
        const int at = (int)unit_random_below(random, (uint64_t)pushed + 1);
        switch (unit_random_below(random, 4)) {
        case 0:
            back += at < pushed && wr_jobs_withdraw(&jobs, &many[at].job);
            break;
        case 1:
            wr_jobs_hear(&jobs);
            wr_jobs_take_done(&jobs, &done);
            back += take_back(&done);
            break;
        default:
            pushed += wr_jobs_push(&jobs, &many[pushed].job) == 0;
        }
    }
    if (unit_random_below(random, 2) == 0) {
        wr_jobs_shut(&jobs);
        while (!wr_jobs_are_over(&jobs)) {
            wr_jobs_hear(&jobs);
            wr_jobs_take_done(&jobs, &done);
            back += take_back(&done);
            sched_yield();
        }
    }
    expect_eq(wr_jobs_end(&jobs, true, &done), 0);
    return back + take_back(&done) - pushed;
}

UNIT_OF(jobs, come_back_once_whatever_their_owner_does, with_kind, &quick, void)
{
    struct unit_random random = unit_random_new();
    init_many();
    for (int i = 0; i < ROUNDS; i++) {
        expect_eq(play_round(&random), 0, "all came back");
        wr_jobs_fini(&jobs);
        wr_jobs_init(&jobs, &quick, 1 + (uint32_t)unit_random_below(&random, 4),
                     1 + (uint32_t)unit_random_below(&random, EACH));
    }
    end_all();
    expect_eq(detached_count, 0, "threads stay while they are idle");
}
