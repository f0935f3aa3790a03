/*
 * Many tasks, few threads, and random cancellations and time-outs.
 *
 * Each job has a ticket, which must return exactly once: with the result,
 * through abandoned(), or as an error of the call. Only jobs that run while the
 * loop is freed do not return. WEIR_TEST_SEED repeats a run, as far as threads
 * are repeatable.
 */
#include "tests/contract/executor_rig.h"
#include "tests/unit/random.h"

enum { TASKS = 48, ROUNDS = 60, THREADS = 3, QUEUE = 42 };

struct ticket {
    uint32_t spins;
    int ran;
    int issued;
    int returned;
    int abandoned;
    int refused;
    int result;
};

struct player {
    weir_task *task;
    struct ticket tickets[ROUNDS];
};

static struct player players[TASKS];
static struct unit_random random_state;
static int playing_count;

/* The mutex orders the thread's part before the loop's later part. */
static int spin_job(void *arg)
{
    struct ticket *ticket = arg;
    pthread_mutex_lock(&order_mutex);
    ticket->ran++;
    const uint32_t spins = ticket->spins;
    pthread_mutex_unlock(&order_mutex);
    for (uint32_t i = 0; i < spins; i++) {
        sched_yield();
    }
    return 100;
}

static void take_back(void *arg, int result)
{
    struct ticket *ticket = arg;
    ticket->abandoned++;
    ticket->result = result;
}

static void play_round(weir_loop *l, struct ticket *ticket)
{
    struct weir_timeout limit;
    const uint64_t limit_ns = unit_random_below(&random_state, 4) == 0
                                  ? unit_random_below(&random_state, MS / 4)
                                  : UINT64_MAX;
    ticket->spins = (uint32_t)unit_random_below(&random_state, 8);
    ticket->issued++;
    expect_eq(weir_timeout_begin(l, &limit, limit_ns), 0);
    const int err =
        weir_run_in_executor(l, spin_job, ticket, take_back, &ticket->result);
    const ssize_t ended = weir_timeout_end(&limit, err);
    cr_assert(ended == err || ended == -ETIMEDOUT);
    if (err == 0) {
        ticket->returned++;
    } else if (err == -ENOBUFS) {
        ticket->refused++;
        expect_leq(weir_yield(l), 0); /* unless it is cancelled */
    } else {
        expect_eq(err, -ECANCELED);
    }
}

static int play(weir_loop *l, void *arg)
{
    struct player *player = arg;
    for (int i = 0; i < ROUNDS; i++) {
        play_round(l, &player->tickets[i]);
        if (unit_random_below(&random_state, 8) == 0) {
            weir_task_cancel(
                players[unit_random_below(&random_state, TASKS)].task);
        }
    }
    playing_count--;
    return 0;
}

static void start_players(weir_loop *l)
{
    playing_count = TASKS;
    for (int i = 0; i < TASKS; i++) {
        memset(players[i].tickets, 0, sizeof(players[i].tickets));
        expect_ok(
            weir_task_spawn(l, play, &players[i], NULL, &players[i].task));
    }
}

static int check_tickets(void)
{
    int missing_count = 0;
    pthread_mutex_lock(&order_mutex);
    for (int i = 0; i < TASKS * ROUNDS; i++) {
        const struct ticket *ticket = &players[i / ROUNDS].tickets[i % ROUNDS];
        const int ends = ticket->returned + ticket->abandoned + ticket->refused;
        expect_leq(ends, ticket->issued, "it came back twice");
        expect_leq(ticket->ran, 1);
        if (ends < ticket->issued) {
            expect_eq(ticket->ran, 1, "it did not run and nobody was told");
            missing_count++;
        } else if (ticket->ran) {
            expect_eq(ticket->refused, 0);
            expect_eq(ticket->result, 100);
        } else {
            expect_eq(ticket->returned, 0);
            cr_assert(ticket->abandoned == 0 || ticket->result == -ECANCELED);
        }
    }
    pthread_mutex_unlock(&order_mutex);
    return missing_count;
}

static int play_all(weir_loop *l, void *arg)
{
    int result = 1;
    start_players(l);
    for (int i = 0; i < TASKS; i++) {
        expect_eq(weir_task_join(weir_task_ref(players[i].task), &result), 0);
        expect_eq(result, 0);
    }
    expect_eq(weir_loop_shutdown_executor(l, UINT64_MAX), 0);
    for (int i = 0; i < TASKS; i++) {
        weir_task_unref(players[i].task);
    }
    return 0;
}

UNIT(executor_storm, every_ticket_comes_back_once)
{
    unit_random_seed(&random_state);
    open_with(THREADS, QUEUE);

    run_body(play_all, NULL);

    expect_eq(check_tickets(), 0);
    close_loop();
    wait_for_threads(0);
}

static int play_some(weir_loop *l, void *arg)
{
    start_players(l);
    return weir_sleep(l, unit_random_below(&random_state, 2 * MS));
}

UNIT(executor_storm, only_what_runs_while_the_loop_is_freed_does_not)
{
    unit_random_seed(&random_state);
    for (int round = 0; round < 20; round++) {
        open_with(THREADS, QUEUE);
        run_body(play_some, NULL);

        close_loop();

        for (int i = 0; i < TASKS; i++) {
            weir_task_unref(players[i].task);
        }
        wait_for_threads(0);
        expect_leq(check_tickets(), THREADS);
        expect_eq(playing_count, 0, "a task did not end");
    }
}
