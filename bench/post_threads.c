/*
 * Posting between two loops of weir_threads: each message is a
 * weir_thread_call_soon() of a task on the second loop. Both loops have no
 * other work, as in post_weir.c; a task that is too far ahead sleeps.
 */
#include "bench/bench.h"
#include "bench/post.h"

#include <weir/sync.h>
#include <weir/task.h>
#include <weir/threads.h>

static weir_event *all_received; /* event of the first loop */
static weir_thread *receiver;

static void on_message(void *arg)
{
    if (!post_received(arg)) {
        weir_event_set(all_received);
    }
}

static void post(struct post_message *message)
{
    const int err = weir_thread_call_soon(receiver, on_message, message, NULL);

    if (err < 0) {
        bench_die_err("weir_thread_call_soon", err);
    }
}

static int send_all(weir_thread *thread)
{
    int err = 0;

    while (err == 0 && post_some(post)) {
        err = weir_sleep(weir_thread_get_loop(thread), POST_PAUSE_NS);
    }
    return err;
}

static int receive_all(weir_thread *thread)
{
    int err = weir_event_new(weir_thread_get_loop(thread), &all_received);

    if (err == 0) {
        err = weir_event_wait(all_received);
        weir_event_free(all_received);
    }
    return err;
}

static int run(weir_thread *thread, void *arg)
{
    (void)arg;
    if (weir_thread_get_index(thread) == 0) {
        return receive_all(thread);
    }
    /* The event exists long before the last message. */
    receiver = weir_threads_get(weir_thread_get_group(thread), 0);
    post_begin();
    return send_all(thread);
}

int main(void)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = 2};
    const int err = weir_threads_run(&options, run, NULL);

    if (err < 0) {
        bench_die_err("weir_threads_run", err);
    }
    post_report("weir");
    return 0;
}
