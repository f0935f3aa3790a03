/*
 * Calls from other threads: both sides of the loop's mailbox.
 *
 * A weir_mailbox is a struct wr_wake (uring/wake.h) under its public name. The
 * loop keeps a read of the mailbox's eventfd in flight. When the read
 * completes, the posts run in the loop, a limited number per iteration.
 */
#include "loop_impl.h"

#define POSTS_MAX 4096u

static weir_loop *mailbox_loop_of(struct wr_module *module)
{
    return wr_container_of(module, weir_loop, posts.module);
}

static bool mailbox_run_one(weir_loop *loop)
{
    wr_assert(wr_loop_is_running(loop));
    struct wr_wake_item *item = wr_wake_pop(loop->wake);

    if (!item) {
        return false;
    }
    wr_assert(item->run);
    weir_callback_fn *fn = item->run;
    void *arg = item->arg;
    if (!item->is_allocated) {
        fn(arg);
        return true;
    }
    wr_wake_free_item(loop->wake, item);
    wr_loop_call(loop, fn, arg, "call_soon_threadsafe");
    return true;
}

/* Returns false if the next post wakes the loop. Every function that takes
 * posts makes posts.ready pending, which calls this at the end. */
static bool mailbox_look_again(weir_loop *loop)
{
    wr_assert(!wr_ready_is_pending(&loop->posts.ready));
    return wr_wake_take(loop->wake) ||
           (!wr_wake_rest(loop->wake) && wr_wake_take(loop->wake));
}

static void mailbox_run_posted(struct wr_ready *ready)
{
    weir_loop *loop = wr_container_of(ready, weir_loop, posts.ready);
    bool may_be_more = true;

    wr_assert(wr_loop_is_running(loop));
    wr_assert(!wr_loop_is_closing(loop));
    for (uint32_t i = 0; i < POSTS_MAX && may_be_more; i++) {
        may_be_more = mailbox_run_one(loop);
    }
    /* Posts that arrived meanwhile run after the items in the ready queue. */
    if (may_be_more || mailbox_look_again(loop)) {
        wr_ready_push(&loop->ready, ready);
    }
}

uint64_t wr_posts_own_pending(const weir_loop *loop)
{
    const uint64_t posted = wr_wake_own_posted(loop->wake);

    return posted == wr_wake_own_popped(loop->wake) ? 0 : posted;
}

void wr_posts_run_own(weir_loop *loop, uint64_t number)
{
    wr_assert(number > 0);
    wr_assert(number <= wr_wake_own_posted(loop->wake));
    while (wr_wake_own_popped(loop->wake) < number) {
        if (mailbox_run_one(loop)) {
            continue;
        }
        if (!wr_wake_take(loop->wake)) {
            return;
        }
        /* Posts taken here may be younger than items in the queue, so the item
         * for the other posts moves to the end. */
        wr_ready_cancel(&loop->posts.ready);
        wr_ready_push(&loop->ready, &loop->posts.ready);
    }
}

void wr_posts_arm(weir_loop *loop)
{
    wr_assert(!loop->posts.op.in_flight);
    wr_prep_read(&loop->uring, &loop->posts.op, wr_wake_fd(loop->wake),
                 &loop->posts.count, sizeof(loop->posts.count));
}

static void mailbox_wake_completed(struct wr_op *op, int32_t res,
                                   uint32_t flags)
{
    weir_loop *loop = wr_container_of(op, weir_loop, posts.op);
    (void)flags;

    wr_check(res <= (int32_t)sizeof(loop->posts.count));
    if (wr_loop_is_closing(loop)) {
        return;
    }
    wr_posts_arm(loop);
    if (res > 0 && !wr_ready_is_pending(&loop->posts.ready) &&
        wr_wake_take(loop->wake)) {
        wr_ready_push(&loop->ready, &loop->posts.ready);
    }
}

static void mailbox_shutdown(struct wr_module *module)
{
    wr_ready_cancel(&mailbox_loop_of(module)->posts.ready);
}

static void mailbox_cancel(struct wr_module *module)
{
    weir_loop *loop = mailbox_loop_of(module);

    wr_assert(!wr_ready_is_pending(&loop->posts.ready));
    wr_op_cancel(&loop->uring, &loop->posts.op);
}

static void mailbox_abandon(struct wr_module *module)
{
    weir_loop *loop = mailbox_loop_of(module);

    wr_op_abandon(&loop->uring, &loop->posts.op);
}

static void mailbox_stop(struct wr_module *module)
{
    weir_loop *loop = mailbox_loop_of(module);
    struct wr_wake_item *item;

    wr_assert(!loop->posts.op.in_flight);
    wr_wake_close(loop->wake);
    while ((item = wr_wake_pop(loop->wake))) {
        weir_callback_fn *drop = item->drop;
        void *arg = item->arg;
        wr_wake_free_item(loop->wake, item);
        if (drop) { /* drop may free the memory of an embedded item */
            wr_loop_call(loop, drop, arg, "dropped");
        }
    }
}

int wr_posts_open(weir_loop *loop, uint32_t limit)
{
    static const struct wr_module_ops ops = {
        .end = {[WR_END_SHUTDOWN] = mailbox_shutdown,
                [WR_END_CANCEL] = mailbox_cancel,
                [WR_END_ABANDON] = mailbox_abandon,
                [WR_END_STOP] = mailbox_stop}};
    int err = wr_wake_open(loop->allocator, limit, &loop->wake);
    if (err < 0) {
        return err;
    }
    loop->owner = wr_wake_owner(loop->wake);
    wr_wake_set_thread(loop->wake, wr_this_thread());
    wr_op_init(&loop->posts.op, mailbox_wake_completed);
    wr_ready_init(&loop->posts.ready, mailbox_run_posted);
    wr_loop_add_module(loop, &loop->posts.module, &ops);
    return 0;
}

/* ---- other threads ---- */

static struct wr_wake *mailbox_wake_of(weir_mailbox *mailbox)
{
    return (struct wr_wake *)(void *)mailbox;
}

static int mailbox_post(struct wr_wake *wake, weir_callback_fn *cb, void *arg,
                        weir_callback_fn *dropped)
{
    wr_require(!wr_wake_is_forked(wake), -ECHILD);
    wr_require(cb, -EINVAL);
    return wr_wake_post(wake, wr_this_thread(), cb, arg, dropped);
}

int weir_loop_call_soon_threadsafe(weir_loop *loop, weir_callback_fn *cb,
                                   void *arg, weir_callback_fn *dropped)
{
    return mailbox_post(loop->wake, cb, arg, dropped);
}

size_t weir_loop_cancel_posted(weir_loop *loop, weir_callback_fn *cb, void *arg)
{
    return cb && wr_loop_check(loop) == 0 ? wr_wake_cancel(loop->wake, cb, arg)
                                          : 0;
}

weir_mailbox *weir_loop_get_mailbox(weir_loop *loop)
{
    wr_wake_ref(loop->wake);
    return (weir_mailbox *)(void *)loop->wake;
}

weir_mailbox *weir_mailbox_ref(weir_mailbox *mailbox)
{
    wr_wake_ref(mailbox_wake_of(mailbox));
    return mailbox;
}

int weir_mailbox_call_soon(weir_mailbox *mailbox, weir_callback_fn *cb,
                           void *arg, weir_callback_fn *dropped)
{
    return mailbox_post(mailbox_wake_of(mailbox), cb, arg, dropped);
}

int weir_mailbox_call_soon_wait(weir_mailbox *mailbox, weir_callback_fn *cb,
                                void *arg, weir_callback_fn *dropped,
                                uint64_t timeout_ns)
{
    struct wr_wake *wake = mailbox_wake_of(mailbox);
    uint64_t deadline_ns = 0;

    for (;;) {
        int err = mailbox_post(wake, cb, arg, dropped);
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

void weir_mailbox_unref(weir_mailbox *mailbox)
{
    if (mailbox) {
        wr_wake_unref(mailbox_wake_of(mailbox));
    }
}
