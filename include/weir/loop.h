/**
 * @file loop.h
 * The event loop: one thread, one ring.
 *
 * A turn of the loop: submit and wait in one system call; hand completions to
 * their connections; expire timers; run the ready queue as it stands then;
 * send what was written; free what closed. What completions and timers make
 * ready runs in the same turn, what ready callbacks add runs in the next; but
 * where the ready queue has much work, a turn leaves some of it to those that
 * follow, in its order: it runs 64 callbacks and tasks, 64 more, and after that
 * as many as it had completions or as a millisecond allows, 4096 at most.
 * Before a run returns, what was written has been handed to the kernel; where
 * an earlier send of the same connection is still under way, the rest follows
 * it in the next run.
 *
 * The first run binds the loop to its thread. From then on every call from
 * another thread returns -EPERM, and every call in a forked child -ECHILD,
 * but for those marked "thread any". A task, or a callback inside a run, may
 * fork. The child has to exec or to call _exit(), and may run a loop of its own
 * before: when it returns to its parent's loop it ends by a message and
 * abort(), and nothing of the parent was touched. The release callbacks of one
 * completion, and the cancel callbacks of one cancellation, may all be called
 * in the child before. For more cores, run one loop on each thread.
 *
 * The library prints nothing, takes no signals unless asked, and never exits,
 * but for such a child, and where it finds itself broken or misused.
 *
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_LOOP_H
#define WEIR_LOOP_H

#include "base.h"

#include <stdio.h>

WEIR_BEGIN_DECLS

/** Options of weir_loop_new(); zero is the default everywhere. */
struct weir_loop_options {
    /** sizeof(struct weir_loop_options). */
    size_t size;
    /** Where memory comes from; held; default malloc and free. */
    const struct weir_allocator *allocator;
    /** Submission entries, at most 32768, rounded up to a power of two;
     * default 512. When they are used up, what waits is submitted early. */
    uint32_t sq_entries;
    /** Completion entries, at most 65536, rounded up to a power of two and to
     * twice sq_entries; default 4096. Fewer are taken when memlock is short,
     * more when they were too few and the kernel can (Linux 6.13). */
    uint32_t cq_entries;
    /** Received bytes that all connections may hold together, at least 1 MiB;
     * default 64 MiB. Half of it is a reserve: one connection may hold a
     * sixteenth of what is left of the rest, and 8 KiB always. */
    uint64_t held_limit_bytes;
    /** Report callbacks that run longer through the exception hook; 0: do
     * not. */
    uint64_t slow_callback_ns;
    /** Stack of a task in bytes, from 16 KiB to 1 GiB, rounded up to a power
     * of two; default 256 KiB. Only pages that are touched take memory; see
     * the head of task.h. */
    size_t stack_size_bytes;
    /** Posts of other threads that may wait to run; default 65536. The next one
     * is refused with -ENOBUFS, or waits, as its caller asks. Each takes 40
     * bytes. A busy loop puts the posts of that time in order at once, which
     * takes some 10 ns each. */
    uint32_t post_limit;
    /** Bytes that may wait to be sent in all connections together, at least
     * 1 MiB; default 64 MiB. With a quarter of it waiting, pause_writing comes
     * at a sixteenth of what is left to half of it, at 16 KiB at least, and
     * who has more that its peer does not take is not received from. */
    uint64_t queued_limit_bytes;
};

/**
 * Make a loop.
 *
 * When io_uring is refused, the error says by what: WEIR_ERINGSYSCTL,
 * WEIR_ERINGSECCOMP, WEIR_ERINGABSENT, WEIR_ERINGOLD or WEIR_ERINGMEMLOCK;
 * weir_strerror() has what to do about it.
 *
 * The kernel counts the pages of a ring that has gone for some milliseconds
 * more. Where RLIMIT_MEMLOCK is so small that this matters, as when a program
 * is started again, the call waits for them: 100 ms for the entries asked for,
 * then a second in all for as many as there are, and longer on a machine that
 * is busy. It blocks the calling thread meanwhile: where memory is that short,
 * make a second loop before another one runs on the thread.
 *
 * @param options  borrowed; NULL for all defaults
 * @param ret      the loop, given; end with weir_loop_free()
 * @return         0
 * @retval -EINVAL  a value makes no sense
 * @retval -E2BIG   made for a newer library, with a field set unknown here
 * @retval -EMFILE  no descriptors left
 * @retval -ENOMEM  no memory
 * @retval WEIR_ERINGSYSCTL   io_uring is switched off by sysctl
 * @retval WEIR_ERINGSECCOMP  io_uring is refused by a filter
 * @retval WEIR_ERINGABSENT   the kernel has no io_uring
 * @retval WEIR_ERINGOLD      the kernel is older than Linux 6.1
 * @retval WEIR_ERINGMEMLOCK  too little locked memory is allowed
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_loop_new(const struct weir_loop_options *options, weir_loop **ret);

/**
 * Run until weir_loop_stop(); asyncio's run_forever.
 *
 * @param loop  the loop; held
 * @return      0 when stopped, or the error that ended the ring
 * @retval -EBUSY   it is running already
 * @retval -EPERM   it belongs to another thread
 * @retval -ECHILD  it was made before fork()
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int weir_loop_run(weir_loop *loop);

/** A condition to run for; called after each turn. */
typedef bool weir_predicate_fn(void *arg);

/**
 * Run until a condition holds; asyncio's run_until_complete.
 *
 * @param loop       the loop; held
 * @param condition  asked before the first and after each turn
 * @param arg        its argument
 * @return           0 when the condition holds
 * @retval -ECANCELED  weir_loop_stop() came first
 * @retval -EINVAL  no condition
 * @retval -EBUSY   it is running already
 * @retval -EPERM   it belongs to another thread
 * @retval -ECHILD  it was made before fork()
 * @retval WEIR_ERINGLOST  the kernel lost completions
 */
WEIR_API WEIR_MUST_USE int
weir_loop_run_until(weir_loop *loop, weir_predicate_fn *condition, void *arg);

/**
 * Let the current turn be the last. Before a run: that run makes exactly one
 * turn, without waiting.
 *
 * @param loop  the loop; borrowed
 */
WEIR_API void weir_loop_stop(weir_loop *loop);

/**
 * True while the loop is inside a run.
 *
 * @param loop  the loop; borrowed
 * @return      true in callbacks of a run
 */
WEIR_API bool weir_loop_is_running(const weir_loop *loop);

/**
 * The loop whose callback or task runs in the calling thread; asyncio's
 * get_running_loop.
 *
 * So that a callback which is told of a failure, and has no object of its own
 * yet, finds its loop. In weir_loop_free() it is the loop that is being freed.
 * A loop that is run inside a callback or a task of another one hides that one
 * meanwhile.
 *
 * @return  the loop, borrowed; NULL where the thread is in no run, as those of
 *          an executor are, and in a forked child but for loops of its own
 * @thread any
 */
WEIR_API weir_loop *weir_get_running_loop(void);

/**
 * End a loop.
 *
 * Servers are closed, connections aborted and their losses delivered, pending
 * callbacks dropped, and everything in the kernel is waited for, a file system
 * too that does not answer. Posts of other threads that have not run are
 * dropped, and those who asked for it are told. Handles and leases that the
 * program still has a reference to stay valid until that is given back.
 *
 * @param loop  taken, unless an error is returned; NULL is ignored
 * @return      how many connections were still alive
 * @retval -EBUSY   it is running, or being freed already
 * @retval -EPERM   it belongs to another thread
 * @retval -ECHILD  in a forked child: nothing is touched, because the kernel
 *                  shares it with the parent
 */
WEIR_API int weir_loop_free(weir_loop *loop);

/**
 * Give memory that lies idle back to the system.
 *
 * Receive buffers, blocks, objects and stacks that are free. Some seconds after
 * a connection was lost the loop does this by itself; this is for those who
 * know that a busy time is over. With the default allocator malloc_trim() is
 * called too, if a megabyte or more was freed: it looks through all free memory
 * of the process, which takes milliseconds in a large one, so the loop does not
 * call it by itself.
 *
 * @param loop  the loop; borrowed
 * @return      0
 * @retval -EPERM   it belongs to another thread
 * @retval -ECHILD  it was made before fork()
 */
WEIR_API int weir_loop_trim(weir_loop *loop);

/**
 * Time of the current turn: CLOCK_MONOTONIC, read once a turn; outside a run,
 * read anew.
 *
 * @param loop  the loop; borrowed
 * @return      nanoseconds
 */
WEIR_API uint64_t weir_loop_get_time(const weir_loop *loop);

/** A callback of the loop. */
typedef void weir_callback_fn(void *arg);

/** Names a pending callback; a plain value. All zero names none. */
struct weir_handle {
    /** The place in the loop's table where the callback is kept. */
    uint32_t index;
    /** How many callbacks that place had kept before, modulo 2^32. */
    uint32_t generation;
};

/**
 * Call a function from the ready queue, first come, first served; never from
 * inside this call.
 *
 * A callback that a ready callback adds runs in the next turn; one that a
 * protocol callback or a timer adds runs in the same, unless the ready queue
 * has more work than a turn takes.
 *
 * @param loop  the loop; borrowed
 * @param cb    the function
 * @param arg   its argument
 * @param ret   a handle for cancelling; may be NULL
 * @return      0
 * @retval -EINVAL  no function
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_call_soon(weir_loop *loop,
                                               weir_callback_fn *cb, void *arg,
                                               struct weir_handle *ret);

/**
 * Call a function after some time.
 *
 * Not before the time has passed, and at most 1.024 us after it as far as the
 * loop is concerned; but a loop that comes to it more than 1 ms late, and finds
 * more in the kernel than one turn takes, sees to that first, for 64 turns or
 * 10 ms at most, whichever is over first. Callbacks whose times differ by more
 * run in order. A time so far away that it does not fit never comes.
 *
 * @param loop      the loop; borrowed
 * @param delay_ns  from weir_loop_get_time(), in nanoseconds
 * @param cb        the function
 * @param arg       its argument
 * @param ret       a handle for cancelling; may be NULL
 * @return          as weir_loop_call_soon()
 */
WEIR_API WEIR_MUST_USE int weir_loop_call_later(weir_loop *loop,
                                                uint64_t delay_ns,
                                                weir_callback_fn *cb, void *arg,
                                                struct weir_handle *ret);

/**
 * Call a function at a time.
 *
 * @param loop     the loop; borrowed
 * @param when_ns  on the clock of weir_loop_get_time(); past times are due at
 *                 once, the earliest first
 * @param cb       the function
 * @param arg      its argument
 * @param ret      a handle for cancelling; may be NULL
 * @return         as weir_loop_call_soon()
 */
WEIR_API WEIR_MUST_USE int weir_loop_call_at(weir_loop *loop, uint64_t when_ns,
                                             weir_callback_fn *cb, void *arg,
                                             struct weir_handle *ret);

/**
 * Take a pending callback back. Harmless when it ran, was cancelled before, or
 * the handle is all zero.
 *
 * @param loop    the loop; borrowed
 * @param handle  which one
 * @return        true when it was pending and will not run
 */
WEIR_API bool weir_loop_cancel(weir_loop *loop, struct weir_handle handle);

/**
 * Move a pending call_later or call_at to another time, keeping its handle.
 *
 * @param loop     the loop; borrowed
 * @param handle   which one
 * @param when_ns  the new time
 * @return         true when it was pending
 */
WEIR_API bool weir_loop_reschedule(weir_loop *loop, struct weir_handle handle,
                                   uint64_t when_ns);

/**
 * Call a function on the loop's thread, from any thread; wakes the loop.
 *
 * Runs from the ready queue of the turn that finds it; posts of one thread run
 * in their order, and on the loop's own thread in one order with
 * weir_loop_call_soon(). A turn runs 4096 posts at most, and more only where a
 * call_soon comes after an own one. The loop must not be freed meanwhile; use a
 * weir_remote where it might.
 *
 * After 0, exactly one of @p cb and @p dropped is called, once: @p cb from the
 * loop, or @p dropped from inside weir_loop_free(), on the thread that frees
 * the loop, when the loop is freed before @p cb has run. A loop that is stopped
 * keeps its posts for the next run. After an error neither is called. The
 * loop's own thread may take posts back (weir_loop_cancel_posted()): then
 * @p dropped is called from the loop, in its place.
 *
 * @param loop     the loop; borrowed
 * @param cb       the function
 * @param arg      its argument
 * @param dropped  called with @p arg in place of @p cb; may be NULL. It frees
 *                 the argument or tells whoever waits for an answer, and must
 *                 not use the loop
 * @return         0
 * @retval -EINVAL     no function
 * @retval -ENOMEM     no memory
 * @retval -ENOBUFS    as many posts wait as the loop's post_limit allows
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_loop_call_soon_threadsafe(weir_loop *loop, weir_callback_fn *cb, void *arg,
                               weir_callback_fn *dropped);

/**
 * Take posts back that have not run: none of them calls @p cb. In the place of
 * each its @p dropped is called, where it has one.
 *
 * This is of any use only where @p arg names the post. It looks at all posts
 * that wait. On the loop's thread none of them can begin to run meanwhile; a
 * post that another thread is about to make is not found. What was taken back
 * counts against the loop's post_limit until its turn has come.
 *
 * @param loop  the loop; borrowed
 * @param cb    the function that was posted
 * @param arg   its argument
 * @return      how many were taken back
 */
WEIR_API size_t weir_loop_cancel_posted(weir_loop *loop, weir_callback_fn *cb,
                                        void *arg);

/**
 * The loop's mailbox, which outlives it.
 *
 * @param loop  the loop; borrowed
 * @return      the mailbox; one reference is given
 */
WEIR_API weir_remote *weir_loop_get_remote(weir_loop *loop);

/**
 * Take another reference to a mailbox.
 *
 * @param remote  the mailbox; borrowed
 * @return        @p remote; one reference is given
 * @thread any
 */
WEIR_API weir_remote *weir_remote_ref(weir_remote *remote);

/**
 * Give a reference to a mailbox back.
 *
 * @param remote  taken; NULL is ignored
 * @thread any
 */
WEIR_API void weir_remote_unref(weir_remote *remote);

/**
 * As weir_loop_call_soon_threadsafe(), also when the loop may have ended.
 *
 * @param remote   the mailbox; borrowed
 * @param cb       the function
 * @param arg      its argument
 * @param dropped  called with @p arg when the loop is freed first, from inside
 *                 weir_loop_free(); may be NULL
 * @return         0: either @p cb or @p dropped will be called
 * @retval -EINVAL     no function
 * @retval -ENOMEM     no memory
 * @retval -ENOBUFS    as many posts wait as the loop's post_limit allows
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended; neither will be called
 * @thread any
 */
WEIR_API WEIR_MUST_USE int weir_remote_call_soon(weir_remote *remote,
                                                 weir_callback_fn *cb,
                                                 void *arg,
                                                 weir_callback_fn *dropped);

/**
 * As weir_remote_call_soon(), and where there is no room, block the calling
 * thread until there is.
 *
 * Not for the loop's own thread, which would wait for itself: there it never
 * blocks. Until the first run the thread that made the loop counts as its own.
 *
 * @param remote      the mailbox; borrowed
 * @param cb          the function
 * @param arg         its argument
 * @param dropped     as in weir_remote_call_soon()
 * @param timeout_ns  how long at most; UINT64_MAX for ever
 * @return            0: either @p cb or @p dropped will be called
 * @retval -EINVAL     no function
 * @retval -ENOMEM     no memory
 * @retval -ETIMEDOUT  there was no room in time
 * @retval -EDEADLK    no room, and this is the loop's own thread
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop has ended; neither will be called
 * @thread any
 */
WEIR_API WEIR_MUST_USE int
weir_remote_call_soon_wait(weir_remote *remote, weir_callback_fn *cb, void *arg,
                           weir_callback_fn *dropped, uint64_t timeout_ns);

/** Called on the loop when a signal has arrived. */
typedef void weir_signal_fn(void *arg, int signum);

/**
 * Handle a signal on the loop.
 *
 * For as long as a loop handles the signal, the process has a handler for it,
 * which any thread may execute and which tells the loop: no other thread has to
 * block anything. Calls that a handler interrupts, as poll() and nanosleep(),
 * may return with EINTR, in all threads. The calling thread unblocks the signal
 * if it blocks it. A child that the program makes has what was there before,
 * and programs that it executes start with the default.
 *
 * Replaces an earlier handler of this loop for the same signal, and what the
 * program has set by sigaction(). The signal reaches each loop that handles it.
 * The function is called once for each time that the kernel has delivered the
 * signal; the kernel may deliver several that came together once.
 *
 * SIGINT and SIGTERM need none of this where main tasks run: weir_run() and
 * weir_loop_run_task() handle both, on any number of threads.
 *
 * @param loop    the loop; borrowed
 * @param signum  the signal
 * @param cb      the function
 * @param arg     its first argument
 * @return        0
 * @retval -EINVAL  no such signal, or SIGKILL or SIGSTOP, or SIGSEGV, SIGBUS,
 *                  SIGFPE or SIGILL, which tell of a fault, or no function
 * @retval -ENOMEM  no memory
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int weir_loop_add_signal_handler(weir_loop *loop,
                                                        int signum,
                                                        weir_signal_fn *cb,
                                                        void *arg);

/**
 * Stop handling a signal.
 *
 * A signal that has arrived and whose handler has not run yet is dropped then,
 * here and when weir_loop_free() begins; what arrives later is the program's
 * again: the thread blocks it if it did before, and when no loop handles it any
 * more the action from before comes back, unless the program has set another.
 *
 * @param loop    the loop; borrowed
 * @param signum  the signal
 * @return        true when there was a handler
 */
WEIR_API bool weir_loop_remove_signal_handler(weir_loop *loop, int signum);

/** An error that no call can return, or a callback that was slow. */
struct weir_exception {
    /** sizeof(struct weir_exception); the library sets it in its own. */
    size_t size;
    /** One line that says where it happened. */
    const char *message;
    /** The error, negative; 0 for a slow callback. */
    int err;
    /** The callback that failed or was slow, such as "data_received"; NULL
     * when there is none. */
    const char *callback;
    /** How long it took, in nanoseconds, when it was slow. */
    uint64_t duration_ns;
    /** The connection it concerns, borrowed, or NULL. */
    weir_transport *transport;
    /** The server it concerns, borrowed, or NULL. */
    weir_server *server;
    /** The task it concerns, borrowed, or NULL. */
    weir_task *task;
};

/** Told of exceptions, on the loop's thread; must not free the loop. */
typedef void weir_exception_fn(void *arg, weir_loop *loop,
                               const struct weir_exception *exception);

/**
 * Set the exception hook; asyncio's set_exception_handler. The default is
 * none, and the library prints nothing by itself.
 *
 * @param loop  the loop; borrowed
 * @param hook  the hook, or NULL for none
 * @param arg   its first argument
 */
WEIR_API void weir_loop_set_exception_handler(weir_loop *loop,
                                              weir_exception_fn *hook,
                                              void *arg);

/**
 * An exception hook, ready made: writes a line that has what is known, with
 * the names of the error, the callback and the task, and the addresses of the
 * connection or the server. For weir_loop_set_exception_handler().
 *
 * @param arg        a FILE to write to, held; NULL: stderr
 * @param loop       the loop; borrowed
 * @param exception  what has happened; borrowed
 */
WEIR_API void weir_print_exception(void *arg, weir_loop *loop,
                                   const struct weir_exception *exception);

/**
 * Report something to the hook, as the library does.
 *
 * @param loop       the loop; borrowed
 * @param exception  what to report; borrowed
 * @return           0
 * @retval WEIR_EOPTIONSIZE  its size is not set
 * @retval -E2BIG    made for a newer library, with a field set unknown here
 * @retval -EINVAL   no exception
 */
WEIR_API WEIR_MUST_USE int
weir_loop_call_exception_handler(weir_loop *loop,
                                 const struct weir_exception *exception);

WEIR_END_DECLS

#endif
