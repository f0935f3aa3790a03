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

/* Any thread may ask: only what a fork changes is looked at. */
int weir_loop_call_soon_threadsafe(weir_loop *loop, weir_callback_fn *cb,
                                   void *arg)
{
    wr_require(!wr_loop_is_forked(loop), -ECHILD);
    wr_require(cb, -EINVAL);
    return wr_wake_post(loop->wake, cb, arg);
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

int weir_remote_call_soon(weir_remote *remote, weir_callback_fn *cb, void *arg)
{
    wr_require(cb, -EINVAL);
    return wr_wake_post(wake_of(remote), cb, arg);
}

void weir_remote_unref(weir_remote *remote)
{
    if (remote) {
        wr_wake_unref(wake_of(remote));
    }
}
