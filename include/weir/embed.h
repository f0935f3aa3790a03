/**
 * @file embed.h
 * A weir loop inside another event loop, such as epoll, libuv or GLib.
 *
 * The host waits, and weir runs an iteration when it has work. The host must do
 * three things:
 * - wait for weir_loop_get_fd() to be readable;
 * - before each wait, get the longest wait from weir_loop_get_deadline();
 * - call weir_loop_run_once() when the descriptor is readable or the deadline
 *   is reached.
 *
 * With epoll and other events:
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
 * Functions of weir may be called between iterations; new work makes the
 * deadline immediate. A host that does not get the deadline before each wait
 * would delay bytes that were written since. Round a deadline up to the host's
 * unit, else the host spins until it is reached. Cut a deadline that is too
 * large for the host's type, like UINT64_MAX, to the longest wait: an extra
 * iteration is harmless.
 *
 * A completion may interrupt the host's wait as a signal does: epoll_wait(),
 * poll() and similar calls may return -1 with EINTR at any time, without
 * storing an event. The host then gets the deadline and waits again. Both
 * descriptor and deadline are needed: after an iteration that left work the
 * deadline shows it, but the descriptor may not.
 *
 * Get the descriptor before the loop's first run. Then each event that the loop
 * waits for wakes the host at once and costs one iteration: bytes, posts of
 * other threads, ended jobs, signals, children, files and watched descriptors.
 * If the loop has run before, io_uring may wake the host about 20 ms late, or
 * twice, and an iteration costs three more system calls. The same happens if
 * RLIMIT_MEMLOCK does not allow the second ring, which replaces the loop's
 * first one. With epoll (WEIR_ENGINE_POLL) it makes no difference.
 *
 * With io_uring, bytes that a peer has sent after an urgent byte (MSG_OOB) may
 * be delivered late: when the peer sends more, or ends. The kernel (Linux 6.18)
 * drops a receive that has reached an urgent byte while it has other work to
 * finish for the thread. This does not happen with epoll, and without a host
 * only if the thread gets a signal at that moment.
 *
 * Everything else works as in weir_loop_run(). To watch another library's
 * descriptors on weir's loop, see watch.h.
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
 * The first call makes it, best before the first run (see above);
 * weir_loop_run() does not become slower by it. It stays the same until
 * weir_loop_free() closes it. Wait only for it to be readable, level-triggered,
 * as poll() does and epoll without EPOLLET. Do not read from it.
 *
 * @return the descriptor, borrowed until the loop is freed, or a negative
 *         error, after which the loop is as it was
 * @retval -EMFILE     no descriptors left
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_get_fd(weir_loop *loop);

/**
 * Get the latest time for the loop's next iteration, if its descriptor does not
 * become readable before.
 *
 * The deadline changes with each iteration and with each call of weir between
 * iterations. Before the first iteration it is 0. Costs no system call.
 *
 * @return nanoseconds on the clock of weir_loop_get_time(); a past time (0)
 *         means at once; UINT64_MAX means no deadline, or that the caller must
 *         not use the loop
 */
WEIR_API uint64_t weir_loop_get_deadline(weir_loop *loop);

/**
 * Run one iteration without waiting; asyncio's stop() and run_forever().
 *
 * Completions are handled, due timers fire, ready callbacks and tasks run, and
 * written bytes are submitted to the kernel. An iteration is bounded and may
 * leave work for the next one. The first run of any kind binds the loop to its
 * thread.
 *
 * @param loop  the loop; held
 * @return      0 if the host shall continue, or an error
 * @retval -ECANCELED  weir_loop_stop() was called in this iteration or before
 * @retval -EBUSY   the loop is running already
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int weir_loop_run_once(weir_loop *loop);

WEIR_END_DECLS

#endif
