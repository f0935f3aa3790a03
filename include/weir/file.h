/**
 * @file file.h
 * Regular files from tasks: the task waits for the device, the loop does not.
 *
 * Each call is one operation of the ring. A read of what is in the page cache
 * ends at once; what has to wait for a device, a lookup of names or a slow file
 * system waits in the kernel, in a worker thread of its own where need be
 * (the kernel makes four of them at most for each ring, and gives them up when
 * idle: when all of them wait further calls wait for them, so open a FIFO with
 * O_NONBLOCK). The loop's thread waits for a local disk alone, and not for its
 * bytes: where a read begins and the disk must tell where they lie, or takes no
 * more requests, and where a file that has a name is closed.
 *
 * **Interruption.** The kernel may be at work in memory of the caller, so a
 * call that is interrupted asks the kernel to stop and returns when it has. A
 * disk is not stopped in the middle: then the call returns its result, and the
 * next one tells of the interruption. -ECANCELED means that nothing was done.
 *
 * Files are descriptors: what is not here can be done with the system's own
 * calls. weir_sendfile() sends a file on a transport.
 *
 * All calls may return WEIR_ENOTTASK, -EPERM, -ECHILD and -ECANCELED (task.h),
 * which is not repeated below, and the errors of the system call that they are
 * named after, unchanged.
 *
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
 * @param loop   the loop; borrowed
 * @param path   its name; held
 * @param flags  as for open(2); the descriptor is closed in executed programs
 *               in any case
 * @param mode   permissions of a file that is made
 * @return       a descriptor, given; or a negative error
 */
WEIR_API WEIR_MUST_USE int weir_file_open(weir_loop *loop, const char *path,
                                          int flags, mode_t mode);

/**
 * Open a file below a folder, by a name that may come from a peer; openat2(2).
 *
 * The limits of @p resolve are constants of <linux/openat2.h>. The kernel keeps
 * them while it looks the name up, whatever others rename or link meanwhile,
 * which a look at the text of the name cannot. RESOLVE_BENEATH refuses a name
 * that leaves the folder by "..", by '/' at its beginning or by a symbolic
 * link; RESOLVE_IN_ROOT takes the folder for the root instead, as chroot(2)
 * does; RESOLVE_NO_SYMLINKS refuses every symbolic link. A server of files that
 * others may write passes O_NONBLOCK in @p flags, or a FIFO among them holds
 * its task.
 *
 * @param loop     the loop; borrowed
 * @param dirfd    the folder that a relative name begins at, held; O_PATH is
 *                 enough. AT_FDCWD: the present one
 * @param path     the name; held
 * @param flags    as for open(2); the descriptor is closed in executed programs
 *                 in any case
 * @param mode     permissions of a file that is made; not used otherwise
 * @param resolve  limits, as bits, with which flags that the kernel does not
 *                 know are refused as well; 0: as weir_file_open()
 * @return         a descriptor, given; or a negative error
 * @retval -EXDEV   the name leaves the folder, or its mount (RESOLVE_NO_XDEV)
 * @retval -ELOOP   there is a symbolic link (RESOLVE_NO_SYMLINKS), or there are
 *                  too many
 * @retval -EAGAIN  files were moved while ".." was looked up, so the kernel
 *                  cannot tell (RESOLVE_BENEATH, RESOLVE_IN_ROOT): try again
 * @retval -EINVAL  flags or limits that the kernel does not know, or that do
 *                  not go together
 */
WEIR_API WEIR_MUST_USE int weir_file_openat(weir_loop *loop, int dirfd,
                                            const char *path, int flags,
                                            mode_t mode, uint64_t resolve);

/**
 * Read from a place in a file; pread(2).
 *
 * @param loop    the loop; borrowed
 * @param fd      the file; held
 * @param buf     destination; held
 * @param len     its size in bytes
 * @param offset  the first byte
 * @return        bytes read: fewer than @p len at the end of the file, 0 beyond
 *                it; or a negative error
 * @retval -EINVAL  an offset above INT64_MAX
 */
WEIR_API WEIR_MUST_USE ssize_t weir_file_read(weir_loop *loop, int fd,
                                              void *buf, size_t len,
                                              uint64_t offset);

/**
 * Write to a place in a file; pwrite(2).
 *
 * @param loop    the loop; borrowed
 * @param fd      the file; held
 * @param data    the bytes; held
 * @param len     how many
 * @param offset  where the first one goes
 * @return        bytes written, fewer than @p len when the device is full or
 *                the call was interrupted; or a negative error
 * @retval -EINVAL  an offset above INT64_MAX
 */
WEIR_API WEIR_MUST_USE ssize_t weir_file_write(weir_loop *loop, int fd,
                                               const void *data, size_t len,
                                               uint64_t offset);

/**
 * Wait until what was written is on the device; fsync(2).
 *
 * @param loop  the loop; borrowed
 * @param fd    the file; held
 * @return      0, or a negative error
 */
WEIR_API WEIR_MUST_USE int weir_file_sync(weir_loop *loop, int fd);

/**
 * As weir_file_sync(), without what is not needed to read the data, the time of
 * the last change for one; fdatasync(2).
 *
 * @param loop  the loop; borrowed
 * @param fd    the file; held
 * @return      0, or a negative error
 */
WEIR_API WEIR_MUST_USE int weir_file_datasync(weir_loop *loop, int fd);

/** The answer of weir_file_stat(). */
struct weir_file_status {
    /** sizeof(struct weir_file_status). */
    size_t size;
    /** Length of the file. */
    uint64_t len_bytes;
    /** When its bytes were last changed, in nanoseconds since 1970. */
    int64_t modified_ns;
    /** Type and permissions, as in struct stat. */
    uint32_t mode;
};

/**
 * Look at an open file; fstat(2).
 *
 * @param loop  the loop; borrowed
 * @param fd    the file; held
 * @param ret   written on success only, as far as its size says
 * @return      0, or a negative error
 * @retval WEIR_EOPTIONSIZE  its size is not set
 */
WEIR_API WEIR_MUST_USE int weir_file_stat(weir_loop *loop, int fd,
                                          struct weir_file_status *ret);

/**
 * Close a file, which may wait for a device or a network; close(2).
 *
 * A file that has no name any more, a device and a socket that lingers may take
 * long to go: they do so on a worker thread, after the call has returned.
 *
 * An interruption does not keep it from being closed: the call waits for that,
 * and the next one tells.
 *
 * @param loop  the loop; borrowed
 * @param fd    the descriptor; taken, unless the caller may not suspend
 * @return      0, or an error of writing what was cached; it is closed even so
 */
WEIR_API int weir_file_close(weir_loop *loop, int fd);

WEIR_END_DECLS

#endif
