/*
 * One thread: makes its loop, runs the main task, and frees the loop.
 *
 * A signal is delivered to each loop. The first signal that any loop handles
 * stops all threads. If any loop handles a second signal, all main tasks are
 * given up at once. Each loop counts its own signals: a loop that began later
 * may have missed the first.
 */
#include "threads.h"

#include <stdio.h>

static weir_thread *thread_of_module(const struct wr_module *module)
{
    return wr_container_of(module, weir_thread, module);
}

static void thread_check(const struct wr_module *module)
{
    const weir_thread *thread = thread_of_module(module);

    wr_assert(thread->loop && thread->config);
    wr_assert(thread->is_cancelled || !wr_timer_is_armed(&thread->stop_timer));
}

static const struct wr_module_ops thread_module_ops = {.check = thread_check};

static void thread_end_time(struct wr_timer *timer)
{
    weir_thread *thread = wr_container_of(timer, weir_thread, stop_timer);

    wr_assert(thread->is_cancelled);
    wr_run_give_up(&thread->run, -ETIMEDOUT);
}

static void thread_stop(void *arg)
{
    weir_thread *thread = arg;
    weir_loop *loop = thread->loop;
    const uint64_t end_ns = wr_threads_take_stop(thread);

    wr_assert(wr_loop_is_running(loop));
    if (!thread->is_cancelled) {
        thread->is_cancelled = true;
        wr_loop_announce_stop(loop);
        wr_run_cancel(&thread->run);
    }
    if (end_ns <= loop->now_ns) {
        wr_run_give_up(&thread->run, -ETIMEDOUT);
    } else if (end_ns < UINT64_MAX && thread->run.task) {
        wr_timer_arm(&loop->wheel, &thread->stop_timer, end_ns);
    }
}

static void thread_tell_signal(void *arg, int signum)
{
    weir_thread *thread = arg;
    (void)signum; /* every signal stops the threads */

    thread->signal_count += thread->signal_count < UINT32_MAX;
    wr_assert(thread->signal_count > 0);
    if (thread->signal_count == 1) {
        weir_threads_stop(thread->threads, thread->threads->grace_ns);
    } else {
        wr_threads_interrupt(thread->threads);
    }
}

static int thread_main(weir_loop *loop, void *arg)
{
    weir_thread *thread = arg;

    wr_assert(thread->loop == loop);
    return thread->threads->fn(thread, thread->threads->arg);
}

static bool thread_is_caller(const weir_thread *thread)
{
    wr_assert(thread->index < thread->threads->count);
    return thread->index == 0 && thread->threads->has_caller;
}

static int thread_open(weir_thread *thread)
{
    weir_threads *threads = thread->threads;

    wr_assert(!thread->loop && thread->config);
    int err = weir_loop_new(&threads->loop_options, &thread->loop);
    wr_require(err >= 0, err);
    wr_loop_add_module(thread->loop, &thread->module, &thread_module_ops);
    thread->wake = thread->loop->wake;
    wr_wake_ref(thread->wake);
    thread->has_signals = threads->handles_signals;
    if (thread->has_signals) {
        err = wr_signals_begin_main(thread->loop, thread_tell_signal, thread);
        thread->has_signals = err >= 0;
    }
    return err;
}

static int thread_run(weir_thread *thread)
{
    int result = 0;
    int err = wr_run_begin(&thread->run, thread->loop, thread_main, thread);

    wr_require(err >= 0, err);
    err = wr_run_finish(&thread->run, &result);
    wr_assert(thread->loop && !wr_loop_is_running(thread->loop));
    wr_timer_cancel(&thread->loop->wheel, &thread->stop_timer);
    wr_assert(!thread->run.task);
    return err < 0 ? err : result;
}

void wr_thread_begin(weir_thread *thread)
{
    cpu_set_t set;
    char name[16];

    wr_assert(thread->cpu < CPU_SETSIZE);
    if (thread->cpu >= 0) {
        /* The kernel may refuse, for example if the processor was removed. */
        CPU_ZERO(&set);
        CPU_SET((size_t)thread->cpu, &set);
        wr_ignore(pthread_setaffinity_np(pthread_self(), sizeof(set), &set));
    }
    /* Debuggers and ps show this name. The calling thread keeps its name, which
     * is the name of the process. */
    if (!thread_is_caller(thread)) {
        snprintf(name, sizeof(name), "weir-%u", thread->index % 100000u);
        wr_ignore(pthread_setname_np(pthread_self(), name));
    }
    wr_threads_note_made(thread->threads, thread_open(thread));
}

void wr_thread_finish(weir_thread *thread)
{
    weir_threads *threads = thread->threads;

    if (wr_threads_wait_started(threads)) {
        wr_threads_note_end(threads, thread_run(thread));
    }
    if (thread->has_signals) {
        wr_signals_end_main(thread->loop);
    }
    const int freed = weir_loop_free(thread->loop);
    wr_assert(freed >= 0); /* the loop is this thread's and does not run */
    thread->loop = NULL;
    wr_config_end(thread);
    const cpu_set_t *set = &thread->threads->cpus;

    if (thread->cpu >= 0 && thread_is_caller(thread)) {
        wr_ignore(pthread_setaffinity_np(pthread_self(), sizeof(*set), set));
    }
}

void *wr_thread_body(void *arg)
{
    wr_thread_begin(arg);
    wr_thread_finish(arg);
    return NULL;
}

void wr_thread_init(weir_thread *thread, weir_threads *threads, uint32_t index)
{
    wr_assert(index < threads->count);
    thread->threads = threads;
    thread->index = index;
    thread->cpu = -1;
    thread->stop_item =
        (struct wr_wake_item){.run = thread_stop, .arg = thread};
    wr_timer_init(&thread->stop_timer, thread_end_time);
    wr_list_init(&thread->configs);
}

weir_threads *weir_thread_get_group(const weir_thread *thread)
{
    return thread->threads;
}

uint32_t weir_thread_get_index(const weir_thread *thread)
{
    return thread->index;
}

weir_loop *weir_thread_get_loop(const weir_thread *thread)
{
    return thread->loop;
}

weir_thread *weir_loop_get_thread(const weir_loop *loop)
{
    wr_require(wr_loop_check(loop) == 0, NULL);
    const struct wr_module *module =
        wr_loop_find_module(loop, &thread_module_ops);
    wr_assert(!module || thread_of_module(module)->loop == loop);
    return module ? thread_of_module(module) : NULL;
}

int weir_thread_call_soon(weir_thread *thread, weir_callback_fn *cb, void *arg,
                          weir_callback_fn *dropped)
{
    return weir_mailbox_call_soon(weir_thread_get_mailbox(thread), cb, arg,
                                  dropped);
}

weir_mailbox *weir_thread_get_mailbox(const weir_thread *thread)
{
    wr_assert(thread->wake);
    return (weir_mailbox *)(void *)thread->wake;
}
