/*
 * Calls between a program and its loop.
 *
 * Checks that a caller is on the loop's thread and process. Calls the program:
 * measures slow callbacks, calls the exception hook, and ends a forked child
 * that returns from a callback into the loop.
 */
#include "loop_impl.h"

#include "lib/base/options.h"

#include <stdio.h>

/* The loop whose run on this thread began last. Each `outer` link leads to the
 * loop in whose callback or task the run began. */
static _Thread_local weir_loop *call_innermost
    __attribute__((tls_model("initial-exec")));

int wr_loop_check_slowly(const weir_loop *loop)
{
    if (wr_loop_is_forked(loop)) {
        return -ECHILD;
    }
    return *loop->owner == WR_UNBOUND || wr_loop_is_ours(loop) ? 0 : -EPERM;
}

bool wr_loop_admits_slowly(const weir_loop *loop, const char *call)
{
    const int err = wr_loop_check_slowly(loop);
    char text[128];

    if (err == -EPERM && !wr_loop_is_closed(loop)) {
        snprintf(text, sizeof(text),
                 "%s() was called by a thread that is not its loop's", call);
        wr_check_misused(NULL, text);
    }
    return err != -ECHILD;
}

void wr_loop_set_state(weir_loop *loop, enum wr_loop_state state)
{
    static const uint8_t allowed[WR_LOOP_STATES] = {
        [WR_LOOP_IDLE] = 1u << WR_LOOP_RUNNING | 1u << WR_LOOP_CLOSING,
        [WR_LOOP_RUNNING] = 1u << WR_LOOP_IDLE,
        [WR_LOOP_CLOSING] = 1u << WR_LOOP_CLOSED,
        [WR_LOOP_CLOSED] = 1u << WR_LOOP_RELEASING,
        [WR_LOOP_RELEASING] = 1u << WR_LOOP_CLOSED,
    };
    wr_assert(state < WR_LOOP_STATES);
    wr_assert(allowed[loop->state] >> state & 1u);
    const bool was_running = wr_loop_is_running(loop);
    loop->state = state;
    if (was_running && !wr_loop_is_running(loop)) {
        /* The loop is usually the innermost, but not if a task of an outer loop
         * has suspended inside the run of an inner loop. */
        weir_loop **at = &call_innermost;

        while (*at != loop) {
            wr_assert(*at != NULL);
            at = &(*at)->outer;
        }
        *at = loop->outer;
        loop->outer = NULL;
    } else if (!was_running) {
        wr_assert(!loop->outer);
        loop->outer = call_innermost;
        call_innermost = loop;
    }
}

void wr_loop_end_child(const weir_loop *loop)
{
    wr_assert(wr_loop_is_forked(loop));
    /* The task that has forked continues in the child and may still exec. Its
     * suspending calls fail, and this function is called when the task ends. */
    if (wr_loop_is_running(loop) && !loop->current &&
        loop->callback_count == 0) {
        wr_check_misused(NULL, "a forked child came back to its parent's loop: "
                               "it has to exec, or to call _exit()");
    }
}

void wr_loop_report(weir_loop *loop, const struct weir_exception *exception)
{
    if (loop->exception_hook && !wr_loop_is_forked(loop)) {
        struct weir_exception told = *exception;
        weir_task *task = wr_loop_begin_callback(loop);

        told.size = sizeof(told);
        loop->exception_hook(loop->exception_arg, loop, &told);
        wr_loop_end_callback(loop, task);
    }
}

void wr_loop_report_slow(weir_loop *loop, uint64_t start_ns,
                         const struct weir_exception *what)
{
    const uint64_t took_ns = wr_sys_now() - start_ns;

    wr_assert(!what->message);
    if (took_ns > loop->slow_callback_ns) {
        struct weir_exception slow = *what;
        slow.message = "slow callback";
        slow.notice = WEIR_NOTICE_SLOW;
        slow.duration_ns = took_ns;
        wr_loop_report(loop, &slow);
    }
}

void wr_loop_call(weir_loop *loop, weir_callback_fn *cb, void *arg,
                  const char *name)
{
    if (WR_LIKELY(loop->slow_callback_ns == 0)) {
        cb(arg);
        wr_loop_end_if_forked(loop);
        return;
    }
    const uint64_t start_ns = wr_sys_now();
    cb(arg);
    wr_loop_end_if_forked(loop);
    wr_loop_report_slow(loop, start_ns,
                        &(struct weir_exception){.callback = name});
}

weir_loop *wr_loop_find(const struct wr_wake *wake)
{
    weir_loop *loop = call_innermost;

    while (loop && loop->wake != wake) {
        loop = loop->outer;
    }
    wr_assert(loop);
    return loop;
}

weir_loop *weir_get_running_loop(void)
{
    weir_loop *loop = call_innermost;

    return loop && wr_loop_check(loop) == 0 ? loop : NULL;
}

void weir_loop_set_exception_handler(weir_loop *loop, weir_exception_fn *hook,
                                     void *arg)
{
    if (wr_loop_admits(loop)) {
        loop->exception_hook = hook;
        loop->exception_arg = arg;
        wr_notices_go_on(loop);
    }
}

int weir_loop_call_exception_handler(weir_loop *loop,
                                     const struct weir_exception *exception)
{
    struct weir_exception known;

    int err = wr_loop_check(loop);
    wr_require(err >= 0, err);
    wr_require(exception, -EINVAL);
    err = wr_options_read_given(&known, sizeof(known), exception);
    wr_require(err >= 0, err);
    wr_loop_report(loop, &known);
    return 0;
}
