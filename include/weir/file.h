/**
 * @file file.h
 * Files for tasks: the task waits for the device, the loop does not.
 *
 * Each call is one operation of the ring. A read from the page cache completes
 * at once. An operation that must wait for a device, a lookup of names or a
 * slow file system waits in the kernel, if necessary in a kernel worker thread.
 * A ring has at most four worker threads; if all of them wait, further
 * operations wait for a thread, so open a FIFO with O_NONBLOCK. The loop's
 * thread never waits for data, but it may wait for a local disk: for a file's
 * metadata when a read begins, for a full request queue, and when a file that
 * has a name is closed.
 *
 * **Interruption.** The kernel may be using the caller's memory, so an
 * interrupted call asks the kernel to cancel the operation and returns when it
 * has ended. A disk operation in progress cannot be cancelled: then the call
 * returns its result, and the next suspending call returns -ECANCELED.
 * -ECANCELED means that nothing was done. A file system's own -ECANCELED is
 * -EIO.
 *
 * **A process that is killed** has its files closed when the kernel ends the
 * operations of its ring: after SIGKILL, a lock of flock() can be held for a
 * few milliseconds after wait() has returned, if a write is under way. A
 * program that is restarted must wait for the lock or try it more than once.
 *
 * **No thread.** If the kernel can start no thread for the process
 * (RLIMIT_NPROC, TasksMax, pids.max), the loop's thread makes these calls
 * itself, and waits for the file system. Opening a FIFO without its other end,
 * or a file under a lease, then fails with -EAGAIN; opening a terminal does not
 * wait for a carrier. The hook of weir_loop_set_exception_handler() is called
 * once, and starting a thread is tried again each second.
 *
 * **Another root.** A thread that opens files keeps the root directory in which
 * it began, even for later loops of the same thread: after unshare(CLONE_FS) or
 * unshare(CLONE_NEWNS), and then chroot(), pivot_root() or mounts, a file may
 * still be opened in the old root. A program that confines itself in this way
 * must do so before the first of these calls.
 *
 * Files are plain descriptors, which other system calls can use too.
 * weir_sendfile() sends a file on a transport.
 *
 * Each call may also return the errors of its system call.
 *
 * Rules of all headers: include/guide/rules.md.
 * @thread loop
 * @suspends yes
 */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include "base.h"
#include "loop.h"

#include <sys/types.h>

WEIR_BEGIN_DECLS

/**
 * Open a file; open(2).
 *
 * @param path   its name; held
 * @param flags  as for open(2); O_CLOEXEC is always added
 * @param mode   permissions of a new file
 * @return       a descriptor, given; or a negative error
 * @retval -EAGAIN  a FIFO has no other end, or another program holds a lease on
 *                  the file (fcntl(2), F_SETLEASE), and no thread can be
 *                  started to wait; also from weir_file_openat()
 */
WEIR_API WEIR_MUST_USE int weir_file_open(weir_loop *loop, const char *path,
                                          int flags, mode_t mode);

/**
 * Open a file below a folder, by a name from an untrusted peer; openat2(2).
 *
 * The limits of @p resolve are constants of <linux/openat2.h>. The kernel
 * enforces them during the lookup, even if other processes rename or link files
 * meanwhile, which a check of the name's text cannot do. RESOLVE_BENEATH
 * refuses a name that leaves the folder by "..", by a leading '/' or by a
 * symbolic link; RESOLVE_IN_ROOT makes the folder the root, like chroot(2);
 * RESOLVE_NO_SYMLINKS refuses every symbolic link. If others may write to the
 * folder, pass O_NONBLOCK in @p flags: opening a FIFO would block the task.
 *
 * @param dirfd    the folder in which a relative name begins; held. A
 *                 descriptor of O_PATH is enough, and AT_FDCWD means the
 *                 current folder
 * @param path     the name; held
 * @param flags    as for open(2); O_CLOEXEC is always added
 * @param mode     permissions of a new file; not used otherwise
 * @param resolve  limits, as bits; with limits the kernel also refuses unknown
 *                 @p flags; 0 means no limit, as in weir_file_open()
 * @return         a descriptor, given; or a negative error
 * @retval -EXDEV   the name leaves the folder, or its mount (RESOLVE_NO_XDEV)
 * @retval -ELOOP   a symbolic link (RESOLVE_NO_SYMLINKS), or too many of them
 * @retval -EAGAIN  files were moved during the lookup of ".." (RESOLVE_BENEATH,
 *                  RESOLVE_IN_ROOT): try again
 * @retval -EINVAL  unknown or incompatible flags or limits
 */
WEIR_API WEIR_MUST_USE int weir_file_openat(weir_loop *loop, int dirfd,
                                            const char *path, int flags,
                                            mode_t mode, uint64_t resolve);

/**
 * Read at an offset of a file; pread(2).
 *
 * @param fd      the file; held
 * @param buf     destination; held
 * @param len     size of @p buf in bytes
 * @param offset  the first byte
 * @return        bytes read: fewer than @p len at the end of the file, 0 beyond
 *                it; or a negative error
 * @retval -EINVAL  an offset above INT64_MAX
 */
WEIR_API WEIR_MUST_USE ssize_t weir_file_read(weir_loop *loop, int fd,
                                              void *buf, size_t len,
                                              uint64_t offset);

/**
 * Write at an offset of a file; pwrite(2).
 *
 * @param fd      the file; held
 * @param data    the bytes; held
 * @param len     bytes of @p data
 * @param offset  the offset of the first byte
 * @return        bytes written, fewer than @p len if the device is full or the
 *                call was interrupted; or a negative error
 * @retval -EFBIG   the file may not grow beyond @p offset. If RLIMIT_FSIZE is
 *                  the reason the kernel may also raise SIGXFSZ, which ends the
 *                  process by default: ignore it, as for pwrite(2)
 * @retval -EINVAL  an offset above INT64_MAX
 */
WEIR_API WEIR_MUST_USE ssize_t weir_file_write(weir_loop *loop, int fd,
                                               const void *data, size_t len,
                                               uint64_t offset);

/**
 * Wait until written bytes are on the device; fsync(2).
 *
 * @param fd  the file; held
 */
WEIR_API WEIR_MUST_USE int weir_file_sync(weir_loop *loop, int fd);

/**
 * Like weir_file_sync(), but without metadata that is not needed to read the
 * data, like the time of the last change; fdatasync(2).
 *
 * @param fd  the file; held
 */
WEIR_API WEIR_MUST_USE int weir_file_datasync(weir_loop *loop, int fd);

/** The result of weir_file_stat(). */
struct weir_file_status {
    size_t size;
    /** Length of the file. */
    uint64_t len_bytes;
    /** Time of the last change of its bytes, in nanoseconds since 1970. */
    int64_t modified_ns;
    /** Type and permissions, as in struct stat. */
    uint32_t mode;
};

/**
 * Get facts about an open file; fstat(2).
 *
 * @param fd   the file; held
 * @param ret  written on success only, up to its size
 */
WEIR_API WEIR_MUST_USE int weir_file_stat(weir_loop *loop, int fd,
                                          struct weir_file_status *ret);

/**
 * Close a file, and wait for its device or network; close(2).
 *
 * Releasing a file without a name, a device or a lingering socket may take
 * long: it happens in a kernel worker thread after the call has returned.
 *
 * An interruption does not prevent the close: the call waits for it, and the
 * next suspending call returns -ECANCELED.
 *
 * @param fd  the descriptor; taken, except if the caller may not suspend
 * @return    0, or an error of writing cached bytes; it is closed even then
 */
WEIR_API WEIR_MUST_USE int weir_file_close(weir_loop *loop, int fd);

WEIR_END_DECLS

#endif
