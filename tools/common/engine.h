/*
 * The engine of a tool's loops: io_uring or epoll.
 *
 * --engine selects it. With auto a loop gets epoll if io_uring is not
 * available, and the reason is printed.
 */
#ifndef WEIR_COMMON_ENGINE_H
#define WEIR_COMMON_ENGINE_H

#include "option.h"

#include <stdbool.h>
#include <weir/loop.h>

/* Reads "auto", "uring" or "poll" for all loops that are made later. */
option_read_fn engine_read;
extern const char *const engine_names[];

/* Must be called by the exception hook of every loop, because any loop may be
 * the first that does not get io_uring. If the exception is the notice that
 * epoll is used instead of io_uring, prints a line and returns true. */
bool engine_tell(const struct weir_exception *exception);

/* Exception hook for a loop that reports nothing else. */
weir_exception_fn engine_tell_only;

/* Prints why loops could not be made. @err is the error of weir_loop_new() or
 * weir_threads_start(). */
void engine_say_refused(int err);

#endif
