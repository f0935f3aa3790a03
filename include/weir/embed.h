/**
 * @file embed.h
 * A loop inside another event loop: epoll, libuv, GLib and their like.
 *
 * The host waits, and weir makes a turn when it has work. The host must do
 * three things:
 * - wait for weir_loop_get_fd() to be readable;
 * - before each wait, ask weir_loop_get_deadline() for the longest wait;
 * - call weir_loop_run_once() when the descriptor is readable or the deadline
 *   has come.
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
 * Functions of weir may be called between turns; new work makes the deadline
 * immediate. A host that does not ask for the deadline before each wait would
 * sleep over bytes that were written since. Round a deadline up to the host's
 * unit, else the host spins until it has come. Cut a deadline that is too large
 * for the host's type, like UINT64_MAX, to the longest wait: an extra turn is
 * harmless.
 *
 * A completion may interrupt the host's wait as a signal does: epoll_wait(),
 * poll() and similar calls may return -1 with EINTR at any time, without
 * storing an event. The host then asks for the deadline and waits again. Both
 * descriptor and deadline are needed: after a turn that left work the deadline
 * shows it, but the descriptor may not.
 *
 * Ask for the descriptor before the loop's first run. Whatever the loop waits
 * for then ends the host's wait at once, each time, and with one turn: bytes,
 * posts of other threads, jobs that have ended, signals, children, files, and
 * descriptors that the loop watches, of every kind. A loop that has run before
 * it had a host wakes its host each time as well, but io_uring may do so some
 * 20 ms late, or twice, and a turn costs three system calls more. The same
 * holds where a ring for a host does not fit beside the loop's, whose place it
 * takes (RLIMIT_MEMLOCK). With epoll (WEIR_ENGINE_POLL) it makes no difference.
 *
 * With io_uring, what a peer has sent behind an urgent byte (MSG_OOB) may come
 * late: when the peer sends more, or ends. The kernel (Linux 6.18) gives a
 * receive up that stands before an urgent byte while it has something else to
 * finish for the thread. With epoll it does not, and without a host only if the
 * thread gets a signal at that moment.
 *
 * Tasks, streams, time-outs, signal handlers and posts from other threads work
 * as in weir_loop_run(). For the opposite, another library's descriptors on
 * weir's loop, see watch.h.
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
 * The first call makes it, best before the first run (see above); turns in
 * weir_loop_run() do not become slower by it. It stays the same until
 * weir_loop_free() closes it. Wait for it to be readable, level-triggered, as
 * poll() does and epoll without EPOLLET, and for nothing else. Its bytes mean
 * nothing and are not to be read.
 *
 * @return the descriptor, borrowed until the loop is freed, or a negative
 *         error, after which the loop is as it was
 * @retval -EMFILE     no descriptors left
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_get_fd(weir_loop *loop);

/**
 * Get the latest time for the loop's next turn, if its descriptor does not
 * become readable before.
 *
 * The deadline changes with each turn and with each call of weir between turns.
 * Before the first turn it is 0. Costs no system call.
 *
 * @return nanoseconds on the clock of weir_loop_get_time(); a past time (0)
 *         means at once; UINT64_MAX: no deadline, or the caller must not use
 *         the loop
 */
WEIR_API uint64_t weir_loop_get_deadline(weir_loop *loop);

/**
 * Make one turn without waiting; asyncio's stop() and run_forever().
 *
 * Completions are handled, due timers fire, ready callbacks and tasks run, and
 * written bytes are submitted to the kernel. A turn is bounded and may leave
 * work for the next turn. The first run of any kind binds the loop to its
 * thread.
 *
 * @param loop  the loop; held
 * @return      0: the host continues; or an error
 * @retval -ECANCELED  weir_loop_stop() was called in this turn or before
 * @retval -EBUSY   it is running already
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int weir_loop_run_once(weir_loop *loop);

WEIR_END_DECLS

#endif
