/**
 * @file file.h
 * Files for tasks: the task waits for the device, but the loop does not.
 *
 * Each call is one operation of the ring. A read from the page cache completes
 * at once. An operation that must wait for a device, a lookup of names or a
 * slow file system waits in the kernel, if necessary in a kernel worker thread.
 * A ring has at most four worker threads; if all of them wait, further
 * operations wait for a thread. So open a FIFO with O_NONBLOCK, because it may
 * wait for ever. The loop's thread never waits for data, but it may wait for a
 * local disk: for a file's metadata when a read begins, for a full request
 * queue, and when a file that has a name is closed.
 *
 * **Interruption.** The kernel may be using the caller's memory, so an
 * interrupted call cancels the operation in the kernel and returns when the
 * operation has ended. A disk operation in progress cannot be cancelled: then
 * the call returns the result of the operation, and the next suspending call
 * returns -ECANCELED. If a call of this header returns -ECANCELED, nothing was
 * done. If a file system itself reports -ECANCELED, the call returns -EIO.
 *
 * **Locks of a killed process.** The kernel closes the files of a killed
 * process when the operations of its ring have ended. So after SIGKILL during a
 * write a lock of flock() can be held for a few milliseconds longer, even after
 * wait() has returned. A program that is restarted must wait for the lock, or
 * try more than once to get it.
 *
 * **If no thread can be started,** because of RLIMIT_NPROC, TasksMax or
 * pids.max, the loop's thread makes these calls itself, and waits for the file
 * system. Then the open of a FIFO without its other end, or of a file under a
 * lease, fails with -EAGAIN, and the open of a terminal does not wait for a
 * carrier. The hook of weir_loop_set_exception_handler() is called once. The
 * loop tries to start a thread again every second.
 *
 * **Another root directory.** A worker thread keeps the root directory with
 * which it was started, even for later loops of the same thread. So after
 * unshare(CLONE_FS) or unshare(CLONE_NEWNS), and then chroot(), pivot_root() or
 * mounts, a file may still be opened in the old root. A program that confines
 * itself in this way must do so before its first call of this header.
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
 * @param path   the name of the file; held
 * @param flags  as for open(2); O_CLOEXEC is always added
 * @param mode   permissions of a new file
 * @return       a descriptor, given; or a negative error
 * @retval -EAGAIN  no thread can be started to wait for the other end of a
 *                  FIFO, or for another program that has a lease on the file
 *                  (fcntl(2), F_SETLEASE); weir_file_openat() may return this,
 *                  too
 */
WEIR_API WEIR_MUST_USE int weir_file_open(weir_loop *loop, const char *path,
                                          int flags, mode_t mode);

/**
 * Open a file below a folder, by a name from an untrusted peer; openat2(2).
 *
 * The limits of @p resolve are constants of <linux/openat2.h>. RESOLVE_BENEATH
 * refuses a name that leaves the folder by "..", by a leading '/' or by a
 * symbolic link. RESOLVE_IN_ROOT makes the folder the root, like chroot(2).
 * RESOLVE_NO_SYMLINKS refuses every symbolic link. The kernel enforces the
 * limits during the lookup, even if other processes rename or link files
 * meanwhile; a check of the name's text cannot do that. If others may write to
 * the folder, pass O_NONBLOCK in @p flags, because the open of a FIFO would
 * block the task.
 *
 * @param dirfd    a descriptor of the folder in which a relative name begins;
 *                 held. It may be opened with O_PATH. AT_FDCWD means the
 *                 current folder
 * @param path     the name; held
 * @param flags    as for open(2); O_CLOEXEC is always added
 * @param mode     permissions of a new file; not used otherwise
 * @param resolve  the limits, as bits; 0 means no limit, as in
 *                 weir_file_open(). With limits the kernel also refuses unknown
 *                 @p flags
 * @return         a descriptor, given; or a negative error
 * @retval -EXDEV   the name leaves the folder, or its mount (RESOLVE_NO_XDEV)
 * @retval -ELOOP   the name has a symbolic link (RESOLVE_NO_SYMLINKS), or too
 *                  many symbolic links
 * @retval -EAGAIN  files were moved during the lookup of ".." (RESOLVE_BENEATH,
 *                  RESOLVE_IN_ROOT): try again
 * @retval -EINVAL  @p flags or @p resolve have unknown or incompatible bits
 */
WEIR_API WEIR_MUST_USE int weir_file_openat(weir_loop *loop, int dirfd,
                                            const char *path, int flags,
                                            mode_t mode, uint64_t resolve);

/**
 * Read at an offset of a file; pread(2).
 *
 * @param fd      the file; held
 * @param buf     memory for the bytes; held
 * @param len     size of @p buf in bytes
 * @param offset  the offset of the first byte
 * @return        number of bytes read, fewer than @p len at the end of the
 *                file, and 0 if @p offset is at or beyond the end; or a
 *                negative error
 * @retval -EINVAL  @p offset is above INT64_MAX
 */
WEIR_API WEIR_MUST_USE ssize_t weir_file_read(weir_loop *loop, int fd,
                                              void *buf, size_t len,
                                              uint64_t offset);

/**
 * Write at an offset of a file; pwrite(2).
 *
 * @param fd      the file; held
 * @param data    the bytes; held
 * @param len     number of bytes
 * @param offset  the offset of the first byte
 * @return        number of bytes written, fewer than @p len if the device is
 *                full or the call was interrupted; or a negative error
 * @retval -EFBIG   the file may not grow beyond @p offset. If RLIMIT_FSIZE is
 *                  the reason, the kernel may also raise SIGXFSZ, which ends
 *                  the process by default, so ignore the signal, as for
 *                  pwrite(2)
 * @retval -EINVAL  @p offset is above INT64_MAX
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
 * Wait until written bytes are on the device, like weir_file_sync(), but do not
 * write metadata that is not needed to read the data, such as the time of the
 * last change; fdatasync(2).
 *
 * @param fd  the file; held
 */
WEIR_API WEIR_MUST_USE int weir_file_datasync(weir_loop *loop, int fd);

/** The result of weir_file_stat(). */
struct weir_file_status {
    size_t size;
    /** Length of the file, in bytes. */
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
 * @param ret  set to the facts, up to its size; written on success only
 */
WEIR_API WEIR_MUST_USE int weir_file_stat(weir_loop *loop, int fd,
                                          struct weir_file_status *ret);

/**
 * Close a file, and wait for its device or network; close(2).
 *
 * The release of a file without a name, of a device, or of a lingering socket
 * may take long. It happens in a kernel worker thread after the call has
 * returned.
 *
 * An interruption does not prevent the close: the call waits for the close, and
 * the next suspending call returns -ECANCELED.
 *
 * @param fd  the descriptor; taken, unless the call is refused because the
 *            caller may not suspend
 * @return    0, or an error of writing cached bytes; the descriptor is closed
 *            even after such an error
 */
WEIR_API WEIR_MUST_USE int weir_file_close(weir_loop *loop, int fd);

WEIR_END_DECLS

#endif
