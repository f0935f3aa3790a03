/**
 * @file embed.h
 * A loop inside another event loop: epoll, libuv, GLib and their like.
 *
 * The host waits, and weir makes a turn when there is something to do. Three
 * things make a loop a guest:
 * - the host waits for weir_loop_get_fd() to be readable;
 * - whenever it is about to wait, it asks weir_loop_get_deadline() how long at
 *   most;
 * - when the descriptor is readable or the deadline has come, it calls
 *   weir_loop_run_once().
 *
 * On a bare epoll loop, where other events may come between:
 *
 * @code
 * struct epoll_event event = {.events = EPOLLIN, .data.ptr = loop};
 * epoll_ctl(epfd, EPOLL_CTL_ADD, weir_loop_get_fd(loop), &event);
 * int err = 0;
 * while (err == 0) {
 *     uint64_t deadline = weir_loop_get_deadline(loop);
 *     uint64_t now = weir_loop_get_time(loop);
 *     uint64_t left = deadline > now ? deadline - now : 0;
 *     uint64_t left_ms = left / WEIR_MILLISECONDS(1);
 *     left_ms += left % WEIR_MILLISECONDS(1) > 0;
 *     int wait_ms = left_ms < INT_MAX ? (int)left_ms : INT_MAX;
 *     int count = epoll_wait(epfd, &event, 1, wait_ms); // or -1, EINTR
 *     if (count > 0 && event.data.ptr != loop) {
 *         handle(&event);
 *     }
 *     if ((count > 0 && event.data.ptr == loop) ||
 *         weir_loop_get_deadline(loop) <= weir_loop_get_time(loop)) {
 *         err = weir_loop_run_once(loop);
 *     }
 * }
 * @endcode
 *
 * Functions of weir may be called between turns: what they begin makes the
 * deadline come at once. So a host that asks each time before it waits misses
 * nothing; one that does not ask sleeps over what was written since. A deadline
 * is rounded up to the host's unit, else it spins until the deadline has come.
 * One that is too far for the host's type, as UINT64_MAX may be, is cut to the
 * longest wait there is: a turn too many does no harm.
 * What completes in the ring interrupts the host's wait as a signal does, also
 * where no signal came: epoll_wait(), poll() and their like may return -1 with
 * EINTR at any time. Then no event was stored: the host asks for the deadline
 * and waits again.
 * Descriptor and deadline both are needed: where a turn left work to do, the
 * deadline says so and the descriptor need not.
 *
 * Tasks, streams, time-outs, signal handlers and posts of other threads work as
 * in weir_loop_run(). The other way round, to have descriptors of another
 * library served by weir's loop, see watch.h.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_EMBED_H
#define WEIR_EMBED_H

#include "loop.h"

WEIR_BEGIN_DECLS

/**
 * The descriptor that is readable when the loop has something to do.
 *
 * Made by the first call, which costs the loop one system call a turn from then
 * on where the host makes its turns, and nothing in weir_loop_run(). It is the
 * same until weir_loop_free() closes it. Only wait for it: its bytes, and how
 * often it becomes readable, mean nothing.
 *
 * @param loop  the loop; borrowed
 * @return      the descriptor, borrowed until the loop is freed, or a negative
 *              error
 * @retval -EMFILE     no descriptors left
 * @retval -ENOMEM     no memory
 * @retval -EPERM      the loop belongs to another thread
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_get_fd(weir_loop *loop);

/**
 * When the loop needs its next turn at the latest, if its descriptor does not
 * become readable before.
 *
 * It changes with each turn and with each call of weir between turns. Before
 * the first turn it is 0. Costs no system call.
 *
 * @param loop  the loop; borrowed
 * @return      nanoseconds on the clock of weir_loop_get_time(): a time that
 *              has passed, such as 0, at once; UINT64_MAX when there is no
 *              deadline, or when the caller must not use the loop
 */
WEIR_API uint64_t weir_loop_get_deadline(weir_loop *loop);

/**
 * Make one turn, which does not wait; asyncio's stop() and run_forever().
 *
 * What has completed is handled, timers that are due fire, callbacks and tasks
 * that are ready run, and what was written is handed to the kernel. A turn is
 * bounded, so it may leave some for the next. The first run of any kind binds
 * the loop to its thread.
 *
 * @param loop  the loop; held
 * @return      0: the host goes on, or an error
 * @retval -ECANCELED  weir_loop_stop() was called, in this turn or before it
 * @retval -EBUSY   it is running already
 * @retval -EPERM   it belongs to another thread
 * @retval -ECHILD  it was made before fork()
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int weir_loop_run_once(weir_loop *loop);

WEIR_END_DECLS

#endif
