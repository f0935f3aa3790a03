/*
 * The alarm: how a busy loop waits for its timers.
 *
 * The kernel sets up a timer for each enter with a time-out. A loop that is
 * woken often would pay for that thousands of times before its first deadline.
 * So after several waits in a row that ended early the loop submits the
 * deadline once, as a timeout operation that stays in flight, and enters
 * without a time-out. If the timer is cancelled or moved to a later time, the
 * alarm stays: it costs one idle loop iteration.
 */
#include "loop_impl.h"

/* An alarm costs as much as three or four enters with time-outs. */
#define ALARM_EARLY_MAX 8u
#define SECOND_NS       UINT64_C(1000000000)

static void alarm_check_invariants(const struct wr_module *module)
{
    const struct wr_alarm *alarm =
        wr_container_of(module, const struct wr_alarm, module);

    wr_assert(alarm->op.in_flight == (alarm->when_ns != UINT64_MAX));
    wr_assert(alarm->early_count <= ALARM_EARLY_MAX);
}

/* If the kernel had no memory, a later wait arms again. */
static void alarm_completed(struct wr_op *op, int32_t res, uint32_t flags)
{
    struct wr_alarm *alarm = wr_container_of(op, struct wr_alarm, op);
    (void)flags;

    wr_assert(alarm->when_ns != UINT64_MAX);
    wr_check(res < 0);
    alarm->when_ns = UINT64_MAX;
}

static void alarm_arm(weir_loop *loop, uint64_t when_ns, uint64_t wait_ns)
{
    struct wr_alarm *alarm = &loop->alarm;

    wr_assert(alarm->when_ns == UINT64_MAX);
    alarm->early_count = 0;
    alarm->when_ns = when_ns;
    alarm->wait = (struct wr_time){
        .seconds = (int64_t)(wait_ns / SECOND_NS),
        .nanoseconds = (int64_t)(wait_ns % SECOND_NS),
    };
    wr_prep_timeout(&loop->uring, &alarm->op, &alarm->wait);
}

static void alarm_cancel(weir_loop *loop)
{
    struct wr_alarm *alarm = &loop->alarm;

    if (alarm->op.in_flight && !alarm->op.is_cancelled) {
        wr_op_cancel(&loop->uring, &alarm->op);
    }
}

static bool alarm_is_worth_it(struct wr_alarm *alarm, uint64_t now_ns,
                              uint64_t deadline_ns)
{
    if (now_ns >= alarm->last_deadline_ns) {
        alarm->early_count = 0;
    }
    alarm->last_deadline_ns = deadline_ns;
    if (alarm->early_count < ALARM_EARLY_MAX) {
        alarm->early_count++;
        return false;
    }
    return true;
}

uint64_t wr_alarm_wait(weir_loop *loop, uint64_t deadline_ns)
{
    struct wr_alarm *alarm = &loop->alarm;

    if (deadline_ns == UINT64_MAX || alarm->when_ns <= deadline_ns) {
        return UINT64_MAX;
    }
    const uint64_t now_ns = wr_sys_now();
    if (deadline_ns <= now_ns) {
        return 0;
    }
    const uint64_t wait_ns = deadline_ns - now_ns;
    if (!alarm_is_worth_it(alarm, now_ns, deadline_ns)) {
        return wait_ns;
    }
    /* The armed alarm would fire too late. A later wait arms the next one. */
    if (alarm->op.in_flight) {
        alarm_cancel(loop);
        return wait_ns;
    }
    alarm_arm(loop, deadline_ns, wait_ns);
    return UINT64_MAX;
}

static weir_loop *alarm_loop_of(struct wr_module *module)
{
    return wr_container_of(module, weir_loop, alarm.module);
}

static void alarm_end(struct wr_module *module)
{
    alarm_cancel(alarm_loop_of(module));
}

static void alarm_abandon(struct wr_module *module)
{
    weir_loop *loop = alarm_loop_of(module);

    wr_op_abandon(&loop->uring, &loop->alarm.op);
}

void wr_alarm_init(weir_loop *loop)
{
    static const struct wr_module_ops ops = {
        .end = {[WR_END_CANCEL] = alarm_end, [WR_END_ABANDON] = alarm_abandon},
        .check = alarm_check_invariants};

    loop->alarm.when_ns = UINT64_MAX;
    wr_op_init(&loop->alarm.op, alarm_completed);
    wr_loop_add_module(loop, &loop->alarm.module, &ops);
}
