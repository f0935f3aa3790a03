/*
 * Posting with weir: each message is a weir_mailbox_call_soon() whose argument
 * is the message. The loop has no other work, so only the mailbox and the
 * wake-up are measured.
 */
#include "bench/bench.h"
#include "bench/post.h"

#include <weir/loop.h>

static weir_loop *loop;
static weir_mailbox *mailbox;

static void on_message(void *arg)
{
    if (!post_received(arg)) {
        weir_loop_stop(loop);
    }
}

static void post(struct post_message *message)
{
    int err = weir_mailbox_call_soon(mailbox, on_message, message, NULL);

    if (err < 0) {
        bench_die_err("weir_mailbox_call_soon", err);
    }
}

static void start(void *arg)
{
    (void)arg;
    post_start(post);
}

int main(void)
{
    int err = weir_loop_new(NULL, &loop);

    if (err >= 0) {
        mailbox = weir_loop_get_mailbox(loop);
        err = weir_loop_call_soon(loop, start, NULL, NULL);
    }
    if (err >= 0) {
        err = weir_loop_run(loop);
    }
    if (err < 0) {
        bench_die_err("weir", err);
    }
    post_report("weir");
    weir_mailbox_unref(mailbox);
    return weir_loop_free(loop) < 0 ? 1 : 0;
}
