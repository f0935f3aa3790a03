/*
 * A task that waits until its connection has moved to another loop or has
 * failed to: the other loop does not run, is freed or refuses, and the task is
 * interrupted before, while and after the other loop takes the connection.
 */
#define UNIT_RUN   mover_test
#define UNIT_TAKES struct mover *m
#include "tests/contract/move_rig.h"

#include <weir/task.h>

struct moving {
    struct mover *m;
    weir_task *task;
    int err; /* 1 until it returns */
    int next_err;
};

static int create(void *arg, weir_transport *t,
                  struct weir_protocol_binding *ret)
{
    struct mover *m = arg;
    if (m->in_factory) {
        m->in_factory(m, t);
    }
    *ret = (struct weir_protocol_binding){&mover_protocol, &m->sides[THERE]};
    return m->factory_err;
}

static int move_and_wait(weir_loop *on, void *arg)
{
    struct moving *moving = arg;
    struct mover *m = moving->m;
    const struct weir_factory factory = {create, m};
    moving->err =
        weir_transport_move_wait(mover_t(m), m->sides[THERE].mailbox, &factory);
    moving->next_err = weir_yield(on);
    return 0;
}

/* When it returns, the connection is offered to the other loop or has moved. */
static void start_moving(struct mover *m, struct moving *moving)
{
    *moving = (struct moving){.m = m, .err = 1};
    m->arg = moving;
    expect_ok(weir_task_spawn(m->sides[HERE].loop, move_and_wait, moving, NULL,
                              &moving->task));
    mover_turn(m, 10);
}

static void expect_returned(struct moving *moving, int err)
{
    struct mover *m = moving->m;
    MOVER_UNTIL(m, moving->err <= 0);
    expect_eq(moving->err, err);
    mover_turn(m, 2);
    weir_task_unref(moving->task);
}

UNIT(move_wait, a_task_waits_until_the_connection_has_moved)
{
    struct moving moving;
    mover_talk(m);
    m->sides[THERE].stands = true;
    start_moving(m, &moving);
    expect_eq(moving.err, 1);
    expect_str_eq(weir_task_get_wait(moving.task), "move");
    m->sides[THERE].stands = false;
    expect_returned(&moving, 0);
    expect_eq(moving.next_err, 0);
    mover_expect(m, HERE, "made data moved");
    mover_talk(m);
}

UNIT(move_wait, an_error_brings_the_connection_back)
{
    struct moving moving;
    m->factory_err = -EPROTO;
    start_moving(m, &moving);
    expect_returned(&moving, -EPROTO);
    expect_eq(m->at, HERE);
    mover_talk(m);
    mover_free_loop(m, THERE);
    start_moving(m, &moving);
    expect_returned(&moving, -ESHUTDOWN);
    mover_talk(m);
}

UNIT(move_wait, a_move_that_is_refused_has_not_begun)
{
    struct moving moving;
    expect_eq(mover_begin(m), 0);
    start_moving(m, &moving);
    expect_returned(&moving, -EBUSY);
    expect_eq(m->done_err, 0);
    mover_talk(m);
}

static void move_outside(void *arg)
{
    struct moving *moving = arg;
    struct mover *m = moving->m;
    const struct weir_factory factory = {create, m};
    moving->err =
        weir_transport_move_wait(mover_t(m), m->sides[THERE].mailbox, &factory);
}

UNIT(move_wait, only_a_task_waits)
{
    struct moving moving = {.m = m, .err = 1};
    expect_ok(
        weir_loop_call_soon(m->sides[HERE].loop, move_outside, &moving, NULL));
    MOVER_UNTIL(m, moving.err <= 0);
    expect_eq(moving.err, WEIR_ENOTTASK);
    mover_talk(m);
    expect_eq(m->at, HERE);
}

UNIT(move_wait, an_interrupted_task_begins_no_move)
{
    struct moving moving = {.m = m, .err = 1};
    expect_ok(weir_task_spawn(m->sides[HERE].loop, move_and_wait, &moving, NULL,
                              &moving.task));
    expect(weir_task_cancel(moving.task));
    expect_returned(&moving, -ECANCELED);
    expect_eq(moving.next_err, 0);
    expect_eq(m->at, HERE);
    mover_talk(m);
}

UNIT(move_wait, an_interruption_gives_the_move_up)
{
    struct moving moving;
    m->sides[THERE].stands = true;
    start_moving(m, &moving);
    expect(weir_task_cancel(moving.task));
    expect(weir_task_cancel(moving.task));
    expect_returned(&moving, -ECANCELED);
    expect_eq(moving.next_err, 0);
    expect_eq(m->at, HERE);
    mover_talk(m);
    m->sides[THERE].stands = false;
    mover_turn(m, 5);
    mover_expect(m, THERE, "");
}

static void interrupt(struct mover *m, weir_transport *t)
{
    const struct moving *moving = m->arg;
    expect(weir_task_cancel(moving->task));
}

UNIT(move_wait, an_interruption_while_the_connection_is_taken_is_told_next)
{
    struct moving moving;
    m->in_factory = interrupt;
    start_moving(m, &moving);
    expect_returned(&moving, 0);
    expect_eq(moving.next_err, -ECANCELED);
    expect_eq(m->at, THERE);
    mover_talk(m);
}

UNIT(move_wait, a_close_holds_and_ends_the_call)
{
    struct moving moving;
    m->sides[THERE].stands = true;
    start_moving(m, &moving);
    expect_eq(weir_transport_close(mover_t(m)), 0);
    expect_returned(&moving, -ECANCELED);
    MOVER_UNTIL(m, mover_is_lost(m));
    expect_eq(mover_read_end(m), 0);
}

UNIT(move_wait, the_end_of_the_loop_ends_the_call)
{
    struct moving moving;
    m->sides[THERE].stands = true;
    start_moving(m, &moving);
    mover_free_loop(m, HERE);
    expect_eq(moving.err, -ECANCELED);
    weir_task_unref(moving.task);
}
