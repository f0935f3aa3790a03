/*
 * What threads share: calls from one to another, functions that run on each
 * thread in turn, the sum of their statistics, and a configuration that is
 * replaced while they read it.
 */
#define UNIT_RUN with_loop
#include "tests/contract/threads_rig.h"

static sem_t called;
static pthread_t called_on;

static void note_thread(void *arg)
{
    called_on = pthread_self();
    expect_eq(sem_post(&called), 0);
}

UNIT_IN(threads_share, a_call_runs_on_the_thread_that_it_is_for, unit_alone,
        void)
{
    weir_threads *threads = start_serving(NULL, 0);
    expect_eq(sem_init(&called, 0, 0), 0);
    for (uint32_t i = 0; i < THREADS; i++) {
        expect_ok(weir_thread_call_soon(weir_threads_get(threads, i),
                                        note_thread, NULL, NULL));
        wait_for(&called);
        cr_assert(pthread_equal(called_on, served.ids[i]));
    }
    end_serving(threads);
}

struct tour {
    uint32_t order[THREADS];
    int count;
    int result; /* 1 until it is reported */
};

static void visit_one(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    const uint32_t index = weir_thread_get_index(thread);
    cr_assert(pthread_equal(pthread_self(), served.ids[index]));
    tour->order[tour->count++] = index;
}

static void visited(void *arg, int result)
{
    struct tour *tour = arg;
    tour->result = result;
    weir_loop_stop(loop);
}

static void told_elsewhere(void *arg, int result)
{
    struct tour *tour = arg;
    tour->result = result;
}

UNIT(threads_share, a_visit_goes_to_each_thread_and_comes_back)
{
    struct tour tour = {.result = 1};
    weir_threads *threads = start_serving(NULL, 0);
    expect_ok(
        weir_threads_run_each(threads, loop, visit_one, &tour, visited, &tour));
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(tour.result, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        expect_eq(tour.order[i], i);
    }
    end_serving(threads);
}

UNIT(threads_share, a_visit_without_a_function_is_refused)
{
    struct tour tour = {.result = 1};
    weir_threads *threads = start_serving(NULL, 0);
    expect_eq(weir_threads_run_each(threads, loop, NULL, &tour, visited, &tour),
              -EINVAL);
    expect_eq(tour.result, 1);
    end_serving(threads);
}

UNIT_IN(threads_share, a_visit_that_comes_to_a_loop_that_is_gone_is_told,
        unit_alone, void)
{
    struct tour tour = {.result = 1};
    open_loop(NULL);
    weir_threads *threads = start_serving(NULL, 0);
    expect_ok(weir_threads_run_each(threads, loop, visit_one, &tour,
                                    told_elsewhere, &tour));
    expect_eq(weir_loop_free(loop), 0);
    end_serving(threads);
    expect_eq(tour.result, -ECANCELED);
}

static int visit_when_one_has_ended(weir_thread *thread, void *arg)
{
    return weir_thread_get_index(thread) == 1
               ? 0
               : serve_until_cancelled(thread, arg);
}

UNIT(threads_share, a_visit_leaves_out_threads_that_have_ended)
{
    struct tour tour = {.result = 1};
    weir_threads *threads;
    served = (struct served){.failing = -1};
    open_served();
    expect_ok(
        weir_threads_start(SIZED(weir_threads_options, .thread_count = THREADS),
                           visit_when_one_has_ended, &served, &threads));
    wait_for(&served.runs);
    wait_for(&served.runs);
    wait_for_end(weir_threads_get(threads, 1));
    expect_ok(
        weir_threads_run_each(threads, loop, visit_one, &tour, visited, &tour));
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(tour.result, THREADS - 1);
    expect_eq(tour.order[0], 0);
    expect_eq(tour.order[1], 2);
    end_serving(threads);
}

/* Calls for each thread start on all threads while the threads end one after
 * another. The reporting loop may have ended, so any thread may count. */
static pthread_mutex_t storm_mutex = PTHREAD_MUTEX_INITIALIZER;
static int storm_told_count;

static void storm_told(void *arg, int result)
{
    cr_assert(result == -ECANCELED || (result >= 0 && result <= THREADS));
    pthread_mutex_lock(&storm_mutex);
    storm_told_count++;
    pthread_mutex_unlock(&storm_mutex);
}

static void storm_visit(void *arg, weir_thread *thread)
{
}

static int storm_main(weir_thread *thread, void *arg)
{
    weir_loop *own = weir_thread_get_loop(thread);
    for (int i = 0; i < 8; i++) {
        expect_ok(weir_threads_run_each(weir_thread_get_group(thread), own,
                                        storm_visit, NULL, storm_told, arg));
        expect_eq(weir_yield(own), 0);
    }
    return 0;
}

UNIT_IN(threads_share, each_of_many_visits_is_told_once_though_threads_end,
        unit_alone, void)
{
    for (int round = 1; round <= 50; round++) {
        expect_eq(weir_threads_run(
                      SIZED(weir_threads_options, .thread_count = THREADS),
                      storm_main, NULL),
                  0);
        expect_eq(storm_told_count, round * THREADS * 8);
    }
}

static void visit_without_memory(void *arg)
{
    struct test_allocator *memory = arg;
    struct weir_loop_statistics sum = {.size = sizeof(sum)};
    struct weir_loop_options loop_options;
    struct tour tour = {.result = 1};
    loop_options = (struct weir_loop_options){.size = sizeof(loop_options),
                                              .allocator = &memory->hooks};
    weir_threads *threads =
        start_serving(SIZED(weir_threads_options, .loop = &loop_options), 0);

    walk_begin(memory);
    const int err =
        weir_threads_get_statistics(threads, loop, &sum, visited, &tour);
    const bool has_failed = walk_end(memory);

    expect_eq(err, has_failed ? -ENOMEM : 0);
    if (err == 0) {
        expect_eq(weir_loop_run(loop), 0);
    }
    expect_eq(tour.result, err == 0 ? THREADS : 1);
    end_serving(threads);
}

UNIT(threads_share, a_visit_without_memory_has_not_begun)
{
    struct test_allocator memory;
    allocator_init(&memory);
    expect_eq(walk_allocations(&memory, visit_without_memory, &memory), 2);
}

UNIT(threads_share, statistics_are_the_sum_over_all_loops)
{
    struct tour tour = {.result = 1};
    struct weir_loop_statistics sum = {.size = sizeof(sum)};
    weir_threads *threads = start_serving(NULL, 0);
    expect_ok(weir_threads_get_statistics(threads, loop, &sum, visited, &tour));
    expect_eq(weir_loop_run(loop), 0);
    expect_eq(tour.result, THREADS);
    expect_eq(sum.size, sizeof(sum));
    expect_eq(sum.tasks, THREADS);
    expect_eq(sum.tasks_spawned, THREADS);
    expect_gt(sum.turns, THREADS - 1);
    expect_gt(sum.stack_high_water_bytes, 0);
    cr_assert(sum.stack_high_water_bytes < 256u << 10,
              "the mark of one stack, not the sum of all");
    sum.size = 0;
    expect_eq(weir_threads_get_statistics(threads, loop, &sum, visited, &tour),
              WEIR_EOPTIONSIZE);
    end_serving(threads);
}

struct version {
    int number;
    int released_count;
    pthread_mutex_t mutex;
};

static struct version make_version(int number)
{
    return (struct version){.number = number,
                            .mutex = PTHREAD_MUTEX_INITIALIZER};
}

static void release_version(void *arg)
{
    struct version *version = arg;
    pthread_mutex_lock(&version->mutex);
    version->released_count++;
    pthread_mutex_unlock(&version->mutex);
}

static int released(struct version *version)
{
    pthread_mutex_lock(&version->mutex);
    const int count = version->released_count;
    pthread_mutex_unlock(&version->mutex);
    return count;
}

static void read_version(void *arg, weir_thread *thread)
{
    struct tour *tour = arg;
    const struct version *version = weir_config_current(thread);
    tour->order[tour->count++] = version ? (uint32_t)version->number : 0;
}

static void expect_all_read(weir_threads *threads, uint32_t number)
{
    struct tour tour = {.result = 1};
    expect_ok(weir_threads_run_each(threads, loop, read_version, &tour, visited,
                                    &tour));
    expect_eq(weir_loop_run(loop), 0);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(tour.order[i], number);
    }
}

UNIT(threads_share, a_new_configuration_replaces_the_old_one_everywhere)
{
    struct version versions[3] = {make_version(1), make_version(2),
                                  make_version(3)};
    weir_threads *threads = start_serving(
        SIZED(weir_threads_options, .config = &versions[0],
              .config_release = release_version, .config_arg = &versions[0]),
        0);
    expect_all_read(threads, 1);
    expect_eq(released(&versions[0]), 0);
    for (int i = 1; i < 3; i++) {
        expect_ok(weir_config_publish(threads, &versions[i], release_version,
                                      &versions[i]));
        expect_all_read(threads, (uint32_t)i + 1);
        expect_eq(released(&versions[i - 1]), 1);
        expect_eq(released(&versions[i]), 0);
    }
    expect_eq(weir_config_publish(threads, NULL, NULL, NULL), 0);
    expect_all_read(threads, 0);
    expect_eq(released(&versions[2]), 1);
    end_serving(threads);
}

static weir_config *held_config;

static void hold_version(void *arg, weir_thread *thread)
{
    if (weir_thread_get_index(thread) == 1) {
        held_config = weir_config_ref(thread);
    }
}

static void unhold_version(void *arg, weir_thread *thread)
{
    const struct version *version = arg;
    if (weir_thread_get_index(thread) == 1) {
        cr_assert_eq(weir_config_get(held_config), version);
        weir_config_unref(held_config);
    }
}

static void visit_all(weir_threads *threads, weir_threads_each_fn *visit,
                      void *arg)
{
    struct tour tour = {.result = 1};
    expect_ok(weir_threads_run_each(threads, loop, visit, arg, visited, &tour));
    expect_eq(weir_loop_run(loop), 0);
}

UNIT(threads_share, a_reference_keeps_a_configuration_that_was_replaced)
{
    struct version versions[2] = {make_version(1), make_version(2)};
    weir_threads *threads = start_serving(
        SIZED(weir_threads_options, .config = &versions[0],
              .config_release = release_version, .config_arg = &versions[0]),
        0);
    visit_all(threads, hold_version, NULL);
    expect_ok(weir_config_publish(threads, &versions[1], release_version,
                                  &versions[1]));
    expect_all_read(threads, 2);
    expect_eq(released(&versions[0]), 0);
    visit_all(threads, unhold_version, &versions[0]);
    expect_eq(released(&versions[0]), 1);
    end_serving(threads);
    expect_eq(released(&versions[1]), 1);
}

UNIT(threads_share, references_end_with_their_thread)
{
    struct version version = make_version(1);
    weir_threads *threads = start_serving(
        SIZED(weir_threads_options, .config = &version,
              .config_release = release_version, .config_arg = &version),
        0);
    visit_all(threads, hold_version, NULL);
    end_serving(threads);
    expect_eq(released(&version), 1);
}

static sem_t may_end;

UNIT_IN(threads_share, another_thread_sees_neither_configuration_nor_loop,
        unit_alone, void)
{
    weir_threads *threads =
        start_serving(SIZED(weir_threads_options, .config = &may_end), 0);
    weir_thread *thread = weir_threads_get(threads, 1);
    cr_assert_null(weir_config_current(thread));
    cr_assert_null(weir_config_ref(thread));
    cr_assert_null(weir_loop_get_thread(weir_thread_get_loop(thread)));
    end_serving(threads);
}

UNIT(threads_share, a_reference_outlives_another_configuration)
{
    struct version version = make_version(1);
    weir_threads *threads = start_serving(
        SIZED(weir_threads_options, .config = &version,
              .config_release = release_version, .config_arg = &version),
        0);
    visit_all(threads, hold_version, NULL);
    weir_config_unref(NULL);
    expect_eq(weir_config_publish(threads, NULL, NULL, NULL), 0);
    expect_all_read(threads, 0);
    expect_eq(released(&version), 0, "it is still held");
    visit_all(threads, unhold_version, &version);
    expect_eq(released(&version), 1);
    end_serving(threads);
}

UNIT_IN(threads_share, a_configuration_is_released_though_a_thread_has_ended,
        unit_alone, void)
{
    struct version versions[2] = {make_version(1), make_version(2)};
    weir_threads *threads;
    served = (struct served){.failing = 1};
    open_served();
    expect_ok(
        weir_threads_start(SIZED(weir_threads_options, .thread_count = THREADS),
                           serve_until_cancelled, &served, &threads));
    wait_for_end(weir_threads_get(threads, 1));
    for (int i = 0; i < 2; i++) {
        expect_ok(weir_config_publish(threads, &versions[i], release_version,
                                      &versions[i]));
    }
    end_serving(threads);
    expect_eq(versions[0].released_count, 1);
    expect_eq(versions[1].released_count, 1);
}

static int end_when_told(weir_thread *thread, void *arg)
{
    struct served *s = arg;
    expect_eq(sem_post(&s->runs), 0);
    wait_for(&may_end);
    return 0;
}

/* The threads are inside their main tasks, and end before they check. */
UNIT_IN(threads_share, a_configuration_that_does_not_arrive_is_released,
        unit_alone, void)
{
    struct version version = make_version(1);
    weir_threads *threads;
    expect_eq(sem_init(&may_end, 0, 0), 0);
    open_served();
    expect_ok(
        weir_threads_start(SIZED(weir_threads_options, .thread_count = THREADS),
                           end_when_told, &served, &threads));
    for (int i = 0; i < THREADS; i++) {
        wait_for(&served.runs);
    }
    expect_ok(
        weir_config_publish(threads, &version, release_version, &version));
    for (int i = 0; i < THREADS; i++) {
        expect_eq(sem_post(&may_end), 0);
    }
    expect_eq(weir_threads_join(threads), 0);
    expect_eq(version.released_count, 1);
}

/* Versions set by two threads at once are seen in one order: the last version
 * that one thread sees is the last that all see. They are set again and again
 * at the same time. */
enum { SETTERS = 2, ROUNDS = 300 };

struct setter {
    pthread_t id;
    weir_threads *threads;
    struct version versions[ROUNDS];
};

static pthread_barrier_t round_mark;

static void next_mark(void)
{
    const int result = pthread_barrier_wait(&round_mark);
    cr_assert(result == 0 || result == PTHREAD_BARRIER_SERIAL_THREAD);
}

static void *set_versions(void *arg)
{
    struct setter *setter = arg;
    for (int i = 0; i < ROUNDS; i++) {
        struct version *version = &setter->versions[i];
        next_mark();
        expect_ok(weir_config_publish(setter->threads, version, release_version,
                                      version));
        next_mark();
    }
    return NULL;
}

static void start_setters(struct setter *setters, weir_threads *threads)
{
    expect_eq(pthread_barrier_init(&round_mark, NULL, SETTERS + 1), 0);
    for (int i = 0; i < SETTERS; i++) {
        setters[i].threads = threads;
        for (int j = 0; j < ROUNDS; j++) {
            setters[i].versions[j] = make_version(ROUNDS * (i + 1) + j);
        }
        expect_eq(
            pthread_create(&setters[i].id, NULL, set_versions, &setters[i]), 0);
    }
}

UNIT(threads_share, all_threads_see_configurations_in_one_order)
{
    static struct setter setters[SETTERS];
    weir_threads *threads = start_serving(NULL, 0);
    start_setters(setters, threads);
    for (int round = 0; round < ROUNDS; round++) {
        struct tour tour = {.result = 1};
        next_mark();
        next_mark();
        visit_all(threads, read_version, &tour);
        expect_eq(tour.order[0] % ROUNDS, (uint32_t)round);
        for (int i = 1; i < THREADS; i++) {
            expect_eq(tour.order[i], tour.order[0]);
        }
    }
    for (int i = 0; i < SETTERS; i++) {
        expect_eq(pthread_join(setters[i].id, NULL), 0);
    }
    end_serving(threads);
    for (int i = 0; i < SETTERS * ROUNDS; i++) {
        expect_eq(setters[i / ROUNDS].versions[i % ROUNDS].released_count, 1);
    }
    pthread_barrier_destroy(&round_mark);
}
