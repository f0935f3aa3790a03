/**
 * @file embed.h
 * A weir loop inside another event loop, such as epoll, libuv or GLib.
 *
 * The other loop is the **host**. The host waits, and weir runs an iteration
 * when it has work. The host must do three things:
 * - wait for weir_loop_get_fd() to be readable;
 * - before each wait, get the longest wait from weir_loop_get_deadline();
 * - call weir_loop_run_once() when the descriptor is readable or the deadline
 *   is reached.
 *
 * A host that uses epoll and has other events, too:
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
 * Functions of weir may be called between iterations. If they make new work,
 * the deadline is immediate, so get the deadline before each wait; otherwise
 * bytes that were just written wait, too. Round the wait up to the host's unit;
 * otherwise the host spins until the deadline is reached. If the deadline is
 * too large for the host's type, like UINT64_MAX, use the host's longest wait:
 * an extra iteration is harmless.
 *
 * A completion may interrupt the host's wait as a signal does: epoll_wait(),
 * poll() and similar calls may return -1 with EINTR at any time, without
 * storing an event. The host then gets the deadline and waits again. The host
 * needs both the descriptor and the deadline: if an iteration has left work,
 * the deadline is immediate, but the descriptor may not be readable.
 *
 * Get the descriptor before the loop's first run. Then each event that the loop
 * waits for wakes the host at once and costs one iteration: received bytes,
 * calls of other threads, jobs that have ended, signals, child processes, files
 * and watched descriptors. If the loop has run before, io_uring may wake the
 * host about 20 ms late, or twice, and an iteration costs three more system
 * calls. The same happens if RLIMIT_MEMLOCK does not allow the second ring that
 * replaces the loop's first ring. With epoll (WEIR_ENGINE_POLL) there is no
 * difference.
 *
 * With io_uring, bytes that a peer has sent after an urgent byte (MSG_OOB) may
 * be delivered late, when the peer sends more bytes or ends its stream. The
 * reason is that the kernel (Linux 6.18) drops a receive that reaches an urgent
 * byte while the kernel has other work to finish for the thread. This does not
 * happen with epoll. Without a host it happens only if the thread gets a signal
 * at that moment.
 *
 * Everything else works as in weir_loop_run(). To watch descriptors of another
 * library on weir's loop, see watch.h.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_EMBED_H
#define WEIR_EMBED_H

#include "loop.h"

WEIR_BEGIN_DECLS

/**
 * Get the descriptor that is readable when the loop has work.
 *
 * The first call makes the descriptor, which should happen before the loop's
 * first run (see the head of this file). It does not make weir_loop_run()
 * slower. The descriptor remains the same until weir_loop_free() closes it.
 * Wait only until it is readable, level-triggered, as with poll(), and with
 * epoll without EPOLLET. Do not read from it.
 *
 * @return the descriptor, borrowed; valid until the loop is freed; or a
 *         negative error, after which nothing has changed
 * @retval -EMFILE     the process has no free descriptor
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_get_fd(weir_loop *loop);

/**
 * Get the time at which the loop's next iteration must run, even if its
 * descriptor has not become readable before.
 *
 * The deadline may change with each iteration, and with each call of weir
 * between iterations. Before the first iteration it is 0. The call makes no
 * system call.
 *
 * @return the time on the clock of weir_loop_get_time(), in nanoseconds. A time
 *         in the past, such as 0, means at once. UINT64_MAX means that there is
 *         no deadline, or that the calling thread must not use the loop
 */
WEIR_API uint64_t weir_loop_get_deadline(weir_loop *loop);

/**
 * Run one iteration without waiting, like asyncio's stop() followed by
 * run_forever().
 *
 * Completions are handled, timers expire, ready callbacks and tasks run, and
 * written bytes are submitted to the kernel. The length of an iteration is
 * limited, so it may leave work for the next one. The first run of any kind
 * binds the loop to its thread.
 *
 * @param loop  the loop; held
 * @return      0 if the host should continue
 * @retval -ECANCELED  weir_loop_stop() was called in this iteration or before
 * @retval -EBUSY   the loop is running already
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int weir_loop_run_once(weir_loop *loop);

WEIR_END_DECLS

#endif
