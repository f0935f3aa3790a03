/*
 * Jobs that are held and released; see executor_rig.h.
 *
 * A job records its thread and its position, waits on its semaphore if it is
 * held, and returns its number.
 */
#include "tests/contract/executor_rig.h"

pthread_t loop_thread;
pthread_mutex_t order_mutex = PTHREAD_MUTEX_INITIALIZER;
static int order_count;

void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0) {
        cr_assert_eq(errno, EINTR);
    }
}

void note_start(struct job *job)
{
    job->ran_on = pthread_self();
    pthread_mutex_lock(&order_mutex);
    job->order = ++order_count;
    pthread_mutex_unlock(&order_mutex);
}

int held_job(void *arg)
{
    struct job *job = arg;
    note_start(job);
    sem_post(&job->started);
    wait_for(&job->go);
    return job->number;
}

int quick_job(void *arg)
{
    struct job *job = arg;
    note_start(job);
    return job->number;
}

void note_abandoned(void *arg, int result)
{
    struct job *job = arg;
    job->abandoned_count++;
    job->abandoned_result = result;
    job->was_abandoned_inside = job->err == 1;
    cr_assert(pthread_equal(pthread_self(), loop_thread));
    cr_assert_eq(weir_yield(loop), WEIR_ENOTTASK, "it may not suspend");
}

int run_job(weir_loop *l, void *arg)
{
    struct job *job = arg;
    job->err = weir_run_in_executor(l, job->fn, job, job->abandoned, &job->ret);
    return job->err;
}

void init_job(struct job *job, weir_job_fn *fn, int number)
{
    *job = (struct job){.number = number,
                        .fn = fn,
                        .err = 1,
                        .ret = -1,
                        .abandoned = note_abandoned};
    cr_assert_eq(sem_init(&job->started, 0, 0), 0);
    cr_assert_eq(sem_init(&job->go, 0, 0), 0);
}

void start_job(struct job *job, weir_job_fn *fn, int number)
{
    init_job(job, fn, number);
    cr_assert_eq(weir_task_spawn(loop, run_job, job, NULL, &job->task), 0);
}

void yield(void)
{
    cr_assert_eq(weir_yield(loop), 0);
}

void start_held(struct job *job, int number)
{
    start_job(job, held_job, number);
    yield();
    wait_for(&job->started);
}

void let_go(struct job *job)
{
    cr_assert_eq(sem_post(&job->go), 0);
}

int join_job(struct job *job)
{
    int result = 1;
    cr_assert_eq(weir_task_join(job->task, &result), 0);
    cr_assert_eq(result, job->err);
    return result;
}

void expect_result(struct job *job)
{
    cr_assert_eq(join_job(job), 0);
    cr_assert_eq(job->ret, job->number);
    cr_assert_eq(job->abandoned_count, 0);
}

static int count_all_threads(void)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[128];
    int count = 0;
    cr_assert_not_null(file);
    while (count == 0 && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "Threads: %d", &count) != 1) {
            count = 0;
        }
    }
    fclose(file);
    cr_assert_gt(count, 0);
    return count;
}

static int list_threads(void)
{
    DIR *dir = opendir("/proc/self/task");
    const struct dirent *entry;
    int count = 0;
    cr_assert_not_null(dir);
    while ((entry = readdir(dir))) {
        char path[sizeof(entry->d_name) + 32];
        char name[32] = "";
        snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file) {
            count += fgets(name, sizeof(name), file) &&
                     strcmp(name, "weir-exec\n") == 0;
            fclose(file);
        }
    }
    closedir(dir);
    return count;
}

/* The kernel ends a directory listing early if the thread at its position ends,
 * so a listing counts only if no thread ended meanwhile. */
int count_threads(void)
{
    int before;
    int count;
    do {
        before = count_all_threads();
        count = list_threads();
    } while (count_all_threads() != before);
    return count;
}

void wait_for_threads(int count)
{
    while (count_threads() != count) {
        sched_yield();
    }
}

void open_with(uint32_t thread_limit, uint32_t queue_limit)
{
    const struct weir_executor_options options = {
        .size = sizeof(options),
        .thread_limit = thread_limit,
        .queue_limit = queue_limit,
    };
    order_count = 0;
    loop_thread = pthread_self();
    open_loop(NULL);
    cr_assert_eq(weir_loop_set_executor(loop, &options), 0);
}

struct test_allocator counter;

uint64_t live_bytes(void)
{
    pthread_mutex_lock(&counter.mutex);
    const uint64_t bytes = counter.live_bytes;
    pthread_mutex_unlock(&counter.mutex);
    return bytes;
}

void open_counted(uint32_t thread_limit)
{
    const struct weir_loop_options options = allocator_options(&counter);
    const struct weir_executor_options limits = {.size = sizeof(limits),
                                                 .thread_limit = thread_limit};
    order_count = 0;
    loop_thread = pthread_self();
    allocator_init(&counter);
    counter.fail_after = true;
    open_loop(&options);
    if (thread_limit > 0) {
        cr_assert_eq(weir_loop_set_executor(loop, &limits), 0);
    }
}

void run_body(weir_task_fn *body, void *arg)
{
    int result = 1;
    cr_assert_eq(weir_loop_run_task(loop, body, arg, &result), 0);
    cr_assert_eq(result, 0);
}

static int call_body(weir_loop *on, void *arg)
{
    void (*const *body)(void) = (void (*const *)(void))arg;

    cr_assert_eq(on, loop);
    (*body)();
    return 0;
}

void run_with(uint32_t thread_limit, void (*body)(void))
{
    open_with(thread_limit, 0);
    run_body(call_body, &body);
    close_loop();
    wait_for_threads(0);
}
