/*
 * Three visits, one after the other, by a task of the main thread: each thread
 * adds its counts, the library adds the statistics of the loops, and each
 * thread writes its dump. One thread at a time is visited, so that dumps do not
 * mix.
 */
#include "serve_gather.h"
#include "exits.h"

#include "tools/common/console.h"

#include "weir/error.h"
#include "weir/inspect.h"
#include "weir/task.h"

#include <errno.h>
#include <stdio.h>

static void dump_loop(void *arg, weir_thread *thread)
{
    (void)arg;
    fprintf(stderr, "thread %u\n", weir_thread_get_index(thread));
    weir_loop_dump(weir_thread_get_loop(thread), stderr);
    fflush(stderr);
}

static int gather_once(struct serve_gather *gather)
{
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};
    char text[4096];

    gather->sums = (struct serve_sums){.datagrams = 0};
    int result = weir_threads_visit_wait(gather->threads, gather->loop,
                                         gather->add_counts, gather->arg);
    if (result >= 0) {
        result = weir_threads_get_statistics_wait(gather->threads, gather->loop,
                                                  &statistics);
    }
    if (result < 0) {
        return result;
    }
    if (weir_loop_statistics_get_text(&statistics, text, sizeof(text)) >= 0) {
        serve_print_statistics(&gather->sums, text);
    }
    return gather->dumps ? weir_threads_visit_wait(
                               gather->threads, gather->loop, dump_loop, NULL)
                         : 0;
}

static int gather_all(weir_loop *loop, void *arg)
{
    struct serve_gather *gather = arg;
    int result;

    (void)loop;
    do {
        gather->is_wanted_again = false;
        result = gather_once(gather);
        gather->dumps = true;
    } while (result >= 0 && gather->is_wanted_again);
    if (result == -ECANCELED) {
        return 0; /* the main thread's loop broke */
    }
    console_check(result, "a thread could not be asked");
    gather->is_running = false;
    gather->idle(gather->arg);
    return 0;
}

void serve_gather(struct serve_gather *gather, bool dumps)
{
    if (gather->is_running) {
        gather->is_wanted_again = true;
        return;
    }
    gather->is_running = true;
    gather->dumps = dumps;
    console_check(weir_task_spawn(gather->loop, gather_all, gather, NULL, NULL),
                  "no task for statistics");
}
