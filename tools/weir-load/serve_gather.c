/*
 * Three visits, one after the other: each thread adds its counts, the library
 * adds the statistics of the loops, and each thread writes its dump. One
 * thread at a time is visited, so that dumps do not mix.
 */
#include "serve_gather.h"
#include "exits.h"

#include "tools/common/console.h"

#include "weir/error.h"

#include <stdio.h>
#include <unistd.h>

void serve_check_post(int err)
{
    if (err < 0) {
        say("a thread could not be told: %s", weir_strerror(err));
        _exit(LOAD_INTERNAL);
    }
}

static void gathered(void *arg, int result)
{
    struct serve_gather *gather = arg;

    (void)result;
    gather->is_running = false;
    if (gather->is_wanted_again) {
        gather->is_wanted_again = false;
        serve_gather(gather, true);
    } else {
        gather->idle(gather->arg);
    }
}

static void dump_loop(void *arg, weir_thread *thread)
{
    (void)arg;
    fprintf(stderr, "thread %u\n", weir_thread_get_index(thread));
    weir_loop_dump(weir_thread_get_loop(thread), stderr);
    fflush(stderr);
}

static void statistics_added(void *arg, int result)
{
    struct serve_gather *gather = arg;
    char text[4096];

    if (result >= 0 && weir_loop_statistics_get_text(&gather->statistics, text,
                                                     sizeof(text)) >= 0) {
        serve_print_statistics(&gather->sums, text);
    }
    if (result >= 0 && gather->dumps) {
        serve_check_post(weir_threads_visit(gather->threads, gather->loop,
                                            dump_loop, NULL, gathered, gather));
    } else {
        gathered(gather, result);
    }
}

static void counts_added(void *arg, int result)
{
    struct serve_gather *gather = arg;

    if (result < 0) {
        return; /* the main thread's loop broke */
    }
    gather->statistics.size = sizeof(gather->statistics);
    serve_check_post(weir_threads_get_statistics(gather->threads, gather->loop,
                                                 &gather->statistics,
                                                 statistics_added, gather));
}

void serve_gather(struct serve_gather *gather, bool dumps)
{
    if (gather->is_running) {
        gather->is_wanted_again = true;
        return;
    }
    gather->is_running = true;
    gather->dumps = dumps;
    gather->sums = (struct serve_sums){.datagrams = 0};
    serve_check_post(weir_threads_visit(gather->threads, gather->loop,
                                        gather->add_counts, gather->arg,
                                        counts_added, gather));
}
