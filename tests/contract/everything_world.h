/*
 * The parts of a round of everything.c.
 *
 * There is one loop with one stream server; workers, which do things at random;
 * futures in slots that any task may take, complete or cancel; a lock, a
 * semaphore, an event and a queue that all share; jobs of the executor, each
 * with a ticket.
 */
#ifndef WEIR_TESTS_CONTRACT_EVERYTHING_WORLD_H
#define WEIR_TESTS_CONTRACT_EVERYTHING_WORLD_H

#include "tests/contract/executor_rig.h"
#include "tests/unit/random.h"

#include <weir/address.h>
#include <weir/error.h>
#include <weir/sync.h>

enum {
    WORKERS = 24,
    SLOTS = 12,
    JOBS = 4096,
    DEPTH_MAX = 3,
};

/* An assertion that says which round it was. */
#define check(cond)                                                            \
    do {                                                                       \
        if (!(cond)) {                                                         \
            fprintf(stderr,                                                    \
                    "%s:%d: in the round of WEIR_TEST_SEED=%llu: %s\n",        \
                    __FILE__, __LINE__, (unsigned long long)everything.seed,   \
                    #cond);                                                    \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* A job and how often it came back; the loop's, but for what it runs with. */
struct errand {
    uint32_t spins;
    bool posts;
    int returned;
    int abandoned;
    int posted; /* posts of its thread that have run */
};

struct everything_world {
    struct unit_random random;
    uint64_t seed;
    bool ending; /* whoever is told to end does */

    weir_loop *loop;
    weir_mailbox *mailbox;
    weir_server *server;
    struct weir_address address;
    weir_task *workers[WORKERS];
    weir_future *slots[SLOTS];
    weir_lock *lock;
    weir_condition *condition;
    weir_semaphore *semaphore;
    weir_event *event;
    weir_queue *queue;
    bool is_locked;
    uint64_t fails_one_in; /* allocations, in this round; 0: none fails */
    uint64_t failed;
    struct unit_random failing; /* threads allocate too: with order_mutex */
    struct errand errands[JOBS];
    size_t errand_count;

    /* Counts of what has begun and has not ended. */
    int workers_live;
    int children_live;
    int handlers_live;
    int callbacks_due;
    int references_due;

    /* Over all rounds. */
    uint64_t connections;
    uint64_t bytes;
    uint64_t errands_done;
    uint64_t interruptions;
};

extern struct everything_world everything;

uint64_t chance(uint64_t below);
bool one_in(uint64_t count);

/* Mostly short, so that much meets in a round. */
uint64_t some_time(void);

/* A task goes on after it was told to end, unless all are. */
bool gives_up(int err);

/* From now on one allocation in @one_in fails, on threads too; 0: none. */
void let_fail(uint64_t one_in);
void *alloc_perhaps(void *arg, size_t size);

typedef int act_fn(weir_loop *on, int depth);

int act_a_few(weir_loop *on, int depth);

/* ---- what waits for time or for others ---- */

int sleep_or_yield(weir_loop *on, int depth);
int cancel_somebody(weir_loop *on, int depth);
int limit_time(weir_loop *on, int depth);

/* ---- tasks and groups ---- */

int start_child(weir_loop *on, int depth);
int make_group(weir_loop *on, int depth);

/* ---- futures ---- */

int complete_future(weir_loop *on, int depth);
int await_future(weir_loop *on, int depth);
int await_several(weir_loop *on, int depth);

/* Of the program: one call by chance. */
int act(weir_loop *on, int depth);

#endif
