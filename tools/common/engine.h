/*
 * The engine of a tool's loops.
 *
 * It is chosen by a flag, and told where it is not the one that a user would
 * expect.
 */
#ifndef WEIR_COMMON_ENGINE_H
#define WEIR_COMMON_ENGINE_H

#include "option.h"

#include <stdbool.h>
#include <weir/loop.h>

/* Reads the value of --engine, "auto", "uring" or "poll", and chooses it for
 * all loops that are made from now on. */
option_read_fn engine_read;
extern const char *const engine_names[];

/* For the exception hook of every loop, as any of them may be the first that
 * does not get io_uring: true, after one line, if this is the notice that epoll
 * has taken its place. */
bool engine_tell(const struct weir_exception *exception);

/* The hook of a loop that has nothing else to tell. */
weir_exception_fn engine_tell_only;

/* One line that says why loops could not be made, of the program or of threads:
 * the error of weir_loop_new() or of weir_threads_start(). */
void engine_say_refused(int err);

#endif
