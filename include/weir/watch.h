/**
 * @file watch.h
 * Watching descriptors that are not weir's: sockets of other libraries, pipes,
 * timerfds, whatever poll(2) can wait for.
 *
 * A descriptor has one reader and one writer at most. Each is called once in
 * every turn of the loop in which its descriptor is ready (level-triggered),
 * from the ready queue: after the completions of the turn, never from inside
 * another callback. One that does not take what is there is called again in the
 * next turn; the turns of a loop do not wait meanwhile.
 *
 * Remove the callbacks of a descriptor before it is closed. While one is
 * watched the kernel keeps its file open: a peer does not see the end of a
 * socket that was closed without that. Where its number comes to name another
 * file, adding a callback watches that file. If a descriptor was closed and can
 * be watched no more, the loop removes its callback and calls the exception
 * hook.
 *
 * For an O_PATH descriptor, and for one whose file the kernel cannot poll,
 * such as /dev/null, poll(2) tells what becomes of it: an error, or ready. That
 * never waits, but for a character device which a process makes (CUSE): the
 * loop's thread waits for the answer of that process.
 *
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
 * Readable means that there is something to read or to accept, the end of the
 * stream, or an error. Replaces the reader that the descriptor had, which is
 * called no more. A function that is added from inside a callback is called in
 * the next turn at the earliest.
 *
 * @param loop  the loop; borrowed
 * @param fd    the descriptor, blocking or not; held until its reader is
 *              removed
 * @param cb    the function
 * @param arg   its argument
 * @return      0
 * @retval -EINVAL     no function
 * @retval -EBADF      no such descriptor
 * @retval -EBUSY      a transport of this loop owns it
 * @retval -EPERM      a regular file, a directory or a block device, which is
 *                     never waited for; or the loop belongs to another thread
 * @retval -ENOMEM     no memory
 * @retval -ECHILD     the loop was made before fork()
 * @retval -ESHUTDOWN  the loop is being freed
 */
WEIR_API WEIR_MUST_USE int
weir_loop_add_reader(weir_loop *loop, int fd, weir_callback_fn *cb, void *arg);

/**
 * Remove the reader of a descriptor; it is not called any more, not even if
 * the descriptor was found ready before.
 *
 * The descriptor may be closed at once. If it was the last of its file, the
 * file goes when the loop makes its next turn, or before its run returns.
 *
 * @param loop  the loop; borrowed
 * @param fd    the descriptor, or its former number
 * @return      true when there was a reader
 */
WEIR_API bool weir_loop_remove_reader(weir_loop *loop, int fd);

/**
 * Call a function while a descriptor is writable; asyncio's add_writer.
 *
 * Writable means that there is room, that a connection was made or refused, or
 * an error. Otherwise as weir_loop_add_reader().
 *
 * @param loop  the loop; borrowed
 * @param fd    the descriptor, blocking or not; held until its writer is
 *              removed
 * @param cb    the function
 * @param arg   its argument
 * @return      as weir_loop_add_reader()
 */
WEIR_API WEIR_MUST_USE int
weir_loop_add_writer(weir_loop *loop, int fd, weir_callback_fn *cb, void *arg);

/**
 * Remove the writer of a descriptor; as weir_loop_remove_reader().
 *
 * @param loop  the loop; borrowed
 * @param fd    the descriptor, or its former number
 * @return      true when there was a writer
 */
WEIR_API bool weir_loop_remove_writer(weir_loop *loop, int fd);

WEIR_END_DECLS

#endif
