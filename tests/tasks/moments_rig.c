/*
 * Runs calls that are interrupted at every moment; see moments_rig.h.
 *
 * For each row, cause and moment a task makes the call. The driver waits until
 * it is there, interrupts it and counts the interruptions that it reports.
 */
#include "tests/tasks/moments_rig.h"

const char *const cause_names[] = {"cancelled", "timed out",
                                   "its group failed"};
const char *const moment_names[] = {
    "before", "while waiting", "while waiting, then given", "given", "after"};

struct victim victim;

static int fail_when_told(weir_loop *on, void *arg)
{
    return weir_event_wait(victim.fails) < 0 ? -ECANCELED : -EIO;
}

/* The call, and two after it. */
static void suffer(weir_loop *on)
{
    cr_assert_eq(weir_event_wait(victim.go), 0);
    victim.first = victim.row->call(on);
    victim.is_back = true;
    victim.second = victim.is_hit ? 0 : weir_event_wait(victim.after);
    if (victim.second == 0) { /* that wait was over before */
        victim.second = weir_yield(on);
    }
    victim.third = weir_yield(on);
}

static int run_victim(weir_loop *on, void *arg)
{
    const bool owns = victim.cause == BY_GROUP;
    struct weir_task_group group;

    cr_assert_eq(weir_timeout_begin(on, &victim.limit, UINT64_MAX), 0);
    if (owns) {
        cr_assert_eq(weir_task_group_begin(on, &group), 0);
        expect_ok(
            weir_task_group_spawn(&group, fail_when_told, NULL, NULL, NULL));
    }
    suffer(on);
    int result = -ECANCELED;
    if (owns) {
        result = weir_task_group_end(&group, result);
        SAY(result == -EIO);
        SAY(weir_task_get_cancelling(weir_task_get_current(on)) == 0);
    }
    result = (int)weir_timeout_end(&victim.limit, result);
    SAY(result == (victim.cause == BY_TIME_OUT ? -ETIMEDOUT
                   : owns                      ? -EIO
                                               : -ECANCELED));
    return 0;
}

/* Interrupts it in this turn or the next, before it runs if @step has made it
 * ready by then. */
static void interrupt_with(void (*step)(void))
{
    switch (victim.cause) {
    case BY_TIME_OUT: /* timers are seen to before tasks that are ready */
        cr_assert_eq(weir_timeout_reschedule(&victim.limit, 0), 0);
        break;
    case BY_GROUP: /* the member runs in this turn, and the abort in the next */
        weir_event_set(victim.fails);
        cr_assert_eq(weir_yield(loop), 0);
        break;
    default:
        break;
    }
    victim.is_hit = true;
    if (step) {
        step();
    }
    if (victim.cause == BY_CANCEL) {
        cr_assert(weir_task_cancel(victim.task));
    }
}

static void let_go(void)
{
    weir_event_set(victim.go);
}

static void let_go_on(void)
{
    weir_event_set(victim.after);
}

static void give(void)
{
    if (victim.row->give) {
        victim.row->give();
    }
}

/* Waits up to @limit_ns, in pieces: on a real machine that takes no longer than
 * it must. */
static void wait_while(bool (*is_going_on)(void), uint64_t limit_ns)
{
    for (uint64_t ns = 0; ns < limit_ns && is_going_on(); ns += 5 * MS) {
        cr_assert_eq(weir_sleep(loop, 5 * MS), 0);
    }
}

static bool is_out(void)
{
    return !victim.is_back;
}

static bool is_alive(void)
{
    return !weir_future_is_done(weir_task_get_future(victim.task));
}

static void play_moment(void)
{
    if (victim.moment != BEFORE) {
        let_go();
        for (int i = 0; i < victim.turns; i++) {
            cr_assert_eq(weir_yield(loop), 0);
        }
    }
    switch (victim.moment) {
    case BEFORE:
        interrupt_with(let_go);
        break;
    case WHILE_WAITING:
        interrupt_with(NULL);
        break;
    case THEN_GIVEN:
        interrupt_with(NULL);
        give();
        return;
    case GIVEN:
        interrupt_with(give);
        return;
    default:
        give();
        wait_while(is_out, S);
        SAY(victim.is_back);
        interrupt_with(let_go_on);
        return;
    }
    wait_while(is_out, S);
    if (!victim.is_back) { /* it does not end before that */
        give();
    }
}

static void play_row(const struct row *row, enum cause cause,
                     enum moment moment, int turns)
{
    victim.row = row;
    victim.cause = cause;
    victim.moment = moment;
    victim.turns = turns;
    victim.first = victim.second = victim.third = 1;
    victim.is_back = victim.is_hit = false;
    cr_assert_eq(weir_event_new(loop, &victim.go), 0);
    cr_assert_eq(weir_event_new(loop, &victim.after), 0);
    cr_assert_eq(weir_event_new(loop, &victim.fails), 0);
    if (row->make) {
        row->make();
    }
    victim.task = rig_spawn(run_victim, NULL);
    settle();
    play_moment();
    wait_while(is_alive, 10 * S);
    SAY(!is_alive());
    cr_assert_eq(rig_join(victim.task), 0);
    SAY((victim.first == -ECANCELED) + (victim.second == -ECANCELED) == 1);
    SAY(victim.third == 0);
    SAY(moment != BEFORE || victim.first == -ECANCELED);
    SAY(moment != AFTER || victim.second == -ECANCELED);
    if (row->unmake) {
        row->unmake();
    }
    settle();
    weir_event_free(victim.go);
    weir_event_free(victim.after);
    weir_event_free(victim.fails);
}

void play_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (int cause = 0; cause < CAUSE_COUNT; cause++) {
            for (int moment = 0; moment < MOMENT_COUNT; moment++) {
                play_row(&rows[i], (enum cause)cause, (enum moment)moment, 1);
                play_row(&rows[i], (enum cause)cause, (enum moment)moment, 5);
            }
        }
    }
}

static uint64_t moments_turns;
static bool moments_over;

static int count_turns(weir_loop *on, void *arg)
{
    while (!moments_over) {
        moments_turns++;
        cr_assert_eq(weir_yield(on), 0);
    }
    return 0;
}

void spend_budget(const struct row *row)
{
    weir_task *self = weir_task_get_current(loop);
    weir_task *other = rig_spawn(count_turns, NULL);

    moments_turns = 0;
    moments_over = false;
    if (row->make) {
        row->make();
    }
    for (int i = 0; i < 5000; i++) {
        cr_assert(weir_task_cancel(self));
        cr_assert_eq(row->call(loop), -ECANCELED, "%s", row->name);
        cr_assert_eq(weir_task_uncancel(self), 0);
    }
    moments_over = true;
    cr_assert_geq(moments_turns, 2, "%s let others run %llu times", row->name,
                  (unsigned long long)moments_turns);
    cr_assert_eq(rig_join(other), 0);
    if (row->give) {
        row->give();
        settle();
    }
    if (row->unmake) {
        row->unmake();
    }
    settle();
}
