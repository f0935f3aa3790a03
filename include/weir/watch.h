/**
 * @file watch.h
 * Watching descriptors of the program: sockets of other libraries, pipes,
 * timerfds, and all others that poll(2) supports.
 *
 * A descriptor has at most one reader and one writer, which are callbacks. Each
 * is called once in every loop iteration in which its descriptor is ready
 * (level-triggered). It is called from the ready queue, after the iteration's
 * completions, and never inside another callback. If a callback leaves its
 * descriptor ready, it is called again in the next iteration, and the loop does
 * not wait in between.
 *
 * Remove the callbacks of a descriptor before you close it. The kernel keeps a
 * watched file open, so the peer of a socket that was closed while it was
 * watched sees no end of the connection. If the number is reused, adding a
 * callback watches the new file. If a closed descriptor cannot be watched any
 * more, the loop removes its callback and calls the exception hook.
 *
 * An O_PATH descriptor, or a file that the kernel cannot poll (/dev/null),
 * either causes an error or is always ready, as in poll(2). Watching never
 * blocks, except for a character device that a process implements (CUSE): the
 * loop's thread waits for that process.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends no
 */
#ifndef WEIR_WATCH_H
#define WEIR_WATCH_H

#include "loop.h"

WEIR_BEGIN_DECLS

/**
 * Call a function while a descriptor is readable; asyncio's add_reader.
 *
 * A descriptor is readable if there are bytes, a connection to accept, the end
 * of the stream, or an error. The function replaces the descriptor's previous
 * reader, which is not called any more. A function that is added inside a
 * callback is called in the next loop iteration at the earliest.
 *
 * @param fd  the descriptor, blocking or not; held until its reader is removed
 * @retval -EBADF      the descriptor is not open
 * @retval -EBUSY      a transport of this loop owns it
 * @retval -EPERM      the descriptor is a regular file, a directory or a block
 *                     device, which is always ready; or the loop belongs to
 *                     another thread
 */
WEIR_API WEIR_MUST_USE int
weir_loop_add_reader(weir_loop *loop, int fd, weir_callback_fn *cb, void *arg);

/**
 * Remove the reader of a descriptor; it is not called any more, even if the
 * descriptor was found ready before.
 *
 * The descriptor may be closed at once. If it is the last descriptor of its
 * file, the kernel closes the file in the next loop iteration, or before the
 * run returns.
 *
 * @param fd  the descriptor, or its former number
 * @return    true if there was a reader
 */
WEIR_API bool weir_loop_remove_reader(weir_loop *loop, int fd);

/**
 * Call a function while a descriptor is writable; asyncio's add_writer. A
 * descriptor is writable if there is space for bytes, a connect has ended, or
 * there is an error. Everything else is as for weir_loop_add_reader().
 *
 * @param fd  the descriptor, blocking or not; held until its writer is removed
 * @return    as weir_loop_add_reader()
 */
WEIR_API WEIR_MUST_USE int
weir_loop_add_writer(weir_loop *loop, int fd, weir_callback_fn *cb, void *arg);

/**
 * Remove the writer of a descriptor, with the rules of
 * weir_loop_remove_reader().
 *
 * @param fd  the descriptor, or its former number
 * @return    true if there was a writer
 */
WEIR_API bool weir_loop_remove_writer(weir_loop *loop, int fd);

WEIR_END_DECLS

#endif
