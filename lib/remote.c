/*
 * Reaching a loop from other threads.
 *
 * A weir_remote is the loop's mailbox (uring/wake.h) under its public name:
 * the mailbox is counted and outlives the loop by itself, so there is nothing
 * to keep here. The loop takes what was posted in its own time.
 */
#include "loop.h"

static struct wr_wake *wake_of(weir_remote *remote)
{
    return (struct wr_wake *)(void *)remote;
}

static int post(struct wr_wake *wake, weir_callback_fn *cb, void *arg,
                weir_callback_fn *dropped)
{
    wr_require(!wr_wake_is_forked(wake), -ECHILD);
    wr_require(cb, -EINVAL);
    return wr_wake_post(wake, cb, arg, dropped);
}

int weir_loop_call_soon_threadsafe(weir_loop *loop, weir_callback_fn *cb,
                                   void *arg, weir_callback_fn *dropped)
{
    return post(loop->wake, cb, arg, dropped);
}

weir_remote *weir_loop_get_remote(weir_loop *loop)
{
    wr_wake_ref(loop->wake);
    return (weir_remote *)(void *)loop->wake;
}

weir_remote *weir_remote_ref(weir_remote *remote)
{
    wr_wake_ref(wake_of(remote));
    return remote;
}

int weir_remote_call_soon(weir_remote *remote, weir_callback_fn *cb, void *arg,
                          weir_callback_fn *dropped)
{
    return post(wake_of(remote), cb, arg, dropped);
}

int weir_remote_call_soon_wait(weir_remote *remote, weir_callback_fn *cb,
                               void *arg, weir_callback_fn *dropped,
                               uint64_t timeout_ns)
{
    struct wr_wake *wake = wake_of(remote);
    uint64_t deadline_ns = 0; /* not known yet */

    for (;;) {
        int err = post(wake, cb, arg, dropped);
        if (err != -ENOBUFS) {
            return err;
        }
        if (deadline_ns == 0) {
            deadline_ns = wr_add_sat(wr_sys_now(), timeout_ns);
        }
        err = wr_wake_wait_room(wake, wr_this_thread(), deadline_ns);
        if (err < 0) {
            return err;
        }
    }
}

void weir_remote_unref(weir_remote *remote)
{
    if (remote) {
        wr_wake_unref(wake_of(remote));
    }
}
