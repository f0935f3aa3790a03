/*
 * Checks over threads: four threads have a set each, which share, and a server
 * counts the checks of their one target.
 *
 * A check starts at the earliest nine tenths of the interval after the previous
 * one has ended, except for a check that a thread starts when it takes over. So
 * a number of checks takes at least a certain time, however busy the machine
 * is. Run it with the address and thread sanitizers.
 */
#include "tests/contract/maker.h"

#include <semaphore.h>
#include <weir/task.h>
#include <weir/threads.h>
#include <weir/upstream.h>

enum { THREADS = 4, CHECKS = 24, INTERVAL_MS = 20 };

struct side {
    weir_thread *thread;
    weir_upstreams *set;
    weir_upstream *upstream;
    sem_t is_down;
};

static struct {
    weir_upstreams_shared *shared;
    struct weir_address address;
    int listener;
    struct side sides[THREADS];
    sem_t ready; /* posted by each thread that has its set, and that frees it */
} all;

static void note_change(void *arg, weir_upstream *upstream,
                        enum weir_upstream_state state, int err)
{
    struct side *side = arg;
    expect_eq(state, WEIR_UPSTREAM_DOWN);
    expect_eq(err, -ECONNREFUSED);
    sem_post(&side->is_down);
}

static void make_set(weir_loop *loop, struct side *side)
{
    const struct weir_upstream_check plan = {
        .size = sizeof(plan), .interval_ns = INTERVAL_MS * MS, .fall = 1};
    const struct weir_upstreams_options options = {.size = sizeof(options),
                                                   .check = &plan,
                                                   .changed = note_change,
                                                   .changed_arg = side,
                                                   .shared = all.shared};
    const struct weir_upstream_options upstream = {
        .size = sizeof(upstream),
        .endpoint = weir_endpoint_addresses(&all.address, 1)};
    expect_eq(weir_upstreams_new(loop, &options, &side->set), 0);
    expect_eq(weir_upstreams_add(side->set, &upstream, &side->upstream), 0);
}

static int run_thread(weir_thread *thread, void *arg)
{
    struct side *side = &all.sides[weir_thread_get_index(thread)];
    side->thread = thread;
    make_set(weir_thread_get_loop(thread), side);
    sem_post(&all.ready);
    expect_eq(weir_sleep(weir_thread_get_loop(thread), UINT64_MAX / 2),
              -ECANCELED);
    weir_upstreams_free(side->set);
    return 0;
}

static void free_set(void *arg)
{
    struct side *side = arg;
    weir_upstreams_free(side->set);
    side->set = NULL;
    sem_post(&all.ready);
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0) {
        cr_assert_eq(errno, EINTR);
    }
}

static weir_threads *start(void)
{
    const struct weir_threads_options options = {
        .size = sizeof(options), .thread_count = THREADS, .no_signals = true};
    const struct timeval guard = {.tv_sec = 60};
    weir_threads *threads = NULL;
    memset(&all, 0, sizeof(all));
    expect_eq(sem_init(&all.ready, 0, 0), 0);
    for (int i = 0; i < THREADS; i++) {
        expect_eq(sem_init(&all.sides[i].is_down, 0, 0), 0);
    }
    all.listener = peer_listen(CHECKS, &all.address);
    expect_ok(setsockopt(all.listener, SOL_SOCKET, SO_RCVTIMEO, &guard,
                         sizeof(guard)));
    expect_eq(weir_upstreams_shared_new(NULL, &all.shared), 0);
    expect_eq(weir_threads_start(&options, run_thread, NULL, &threads), 0);
    for (int i = 0; i < THREADS; i++) {
        wait_for(&all.ready);
    }
    return threads;
}

static void end(weir_threads *threads)
{
    weir_threads_stop(threads, WEIR_SECONDS(60));
    expect_eq(weir_threads_join(threads), 0);
    weir_upstreams_shared_free(all.shared);
}

static void take_checks(int count)
{
    for (int i = 0; i < count; i++) {
        const int fd = accept(all.listener, NULL, NULL);
        cr_assert_geq(fd, 0, "a check has come");
        close(fd);
    }
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / MS;
}

UNIT(upstream_one_check, one_thread_checks_for_all)
{
    const uint64_t before_ms = now_ms();
    weir_threads *threads = start();
    take_checks(CHECKS);
    expect_geq(now_ms() - before_ms, (CHECKS - 1) * INTERVAL_MS * 9 / 10);
    close(all.listener);
    for (int i = 0; i < THREADS; i++) {
        wait_for(&all.sides[i].is_down);
    }
    end(threads);
}

UNIT(upstream_one_check, checks_go_on_when_threads_leave)
{
    const uint64_t before_ms = now_ms();
    weir_threads *threads = start();
    for (int i = 0; i < THREADS - 1; i++) {
        take_checks(CHECKS / THREADS);
        expect_ok(weir_thread_call_soon(all.sides[i].thread, free_set,
                                        &all.sides[i], NULL));
        wait_for(&all.ready);
    }
    take_checks(CHECKS / THREADS);
    expect_geq(now_ms() - before_ms, (CHECKS - THREADS) * INTERVAL_MS * 9 / 10);
    close(all.listener);
    wait_for(&all.sides[THREADS - 1].is_down);
    end(threads);
}

static void note_none(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    int *told = arg;
    expect_eq(err, -EHOSTDOWN);
    cr_assert_null(result->transport);
    (*told)++;
}

static uint64_t count_checks(const struct side *side)
{
    struct weir_upstream_statistics info = {.size = sizeof(info)};
    expect_eq(weir_upstream_get_statistics(side->upstream, &info), 0);
    return info.check_count;
}

static bool has_check(void)
{
    const int fd = accept(all.listener, NULL, NULL);
    cr_assert(fd >= 0 || errno == EAGAIN);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

static void stop_loop(void *arg)
{
    weir_loop_stop(arg);
}

/* The set of the stopped loop is the first, which should check. Choices of the
 * other set find that its check is late. The first set makes no check when its
 * loop runs. */
UNIT(upstream_one_check, checks_go_on_when_a_loop_does_not_run)
{
    struct maker m;
    weir_loop *asleep = NULL;
    int told = 0;
    memset(&all, 0, sizeof(all));
    maker_open(&m);
    all.listener = peer_listen(CHECKS, &all.address);
    expect_eq(weir_upstreams_shared_new(NULL, &all.shared), 0);
    expect_eq(weir_loop_new(NULL, &asleep), 0);
    make_set(asleep, &all.sides[0]);
    make_set(m.loop, &all.sides[1]);
    const struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .excluded = &all.sides[1].upstream,
        .excluded_count = 1};
    for (int asked = 1; count_checks(&all.sides[1]) < 2; asked++) {
        expect_ok(weir_upstreams_connect(all.sides[1].set, &m.factory, &options,
                                         note_none, &told, NULL));
        maker_run_for(&m, INTERVAL_MS * MS);
        expect_eq(told, asked);
    }
    expect_eq(count_checks(&all.sides[0]), 0);
    expect_eq(fcntl(all.listener, F_SETFL, O_NONBLOCK), 0);
    while (has_check()) {
    }
    expect_ok(weir_loop_call_later(asleep, 3 * INTERVAL_MS * MS, stop_loop,
                                   asleep, NULL));
    expect_eq(weir_loop_run(asleep), 0);
    cr_assert(!has_check());
    weir_upstreams_free(all.sides[0].set);
    weir_upstreams_free(all.sides[1].set);
    weir_loop_free(asleep);
    weir_upstreams_shared_free(all.shared);
    maker_close(&m);
    close(all.listener);
}
