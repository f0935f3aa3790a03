/*
 * The files of Unix sockets: made, found stale, and removed.
 *
 * A connect of a datagram socket tells whether a socket is bound to a file: the
 * kernel looks for a socket first (-ECONNREFUSED: there is none), and then at
 * its type (-EPROTOTYPE: a stream socket; a datagram socket is connected to).
 * So a server does not notice the question, and counts as alive even if it does
 * not listen yet, or if its queue is full.
 *
 * Two servers that start at once could both find the same stale file, and the
 * slower server would remove the file that the faster one has bound meanwhile.
 * So a file is examined and removed under a lock on its directory; the lock
 * leaves no file and ends with the process. (A bind to another name and a
 * rename would need no lock, but the kernel would report the other name as the
 * socket's address.)
 *
 * Device and inode identify a file: no other file can get them while the socket
 * that is bound to the file is open.
 */
#include "listener_file.h"

#include <string.h>

#define FILE_PATH_SIZE (sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1)

/* The path of a Unix address that has one, terminated. */
static bool listener_file_get_path(const struct weir_address *address,
                                   char path[FILE_PATH_SIZE])
{
    const size_t len = wr_address_get_path_len(address);

    wr_assert(len < FILE_PATH_SIZE);
    memcpy(path, address->storage.local.sun_path, len);
    path[len] = '\0';
    return len > 0;
}

/* Asks for a socket at the address: -ECONNREFUSED when there is only a file. */
static int listener_file_probe(const struct weir_address *address)
{
    wr_assert(address->storage.any.sa_family == AF_UNIX);
    int fd = wr_sys_socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) {
        return fd;
    }
    int err = wr_sys_connect(fd, &address->storage.any, address->len);
    wr_ignore(wr_sys_close(fd)); /* nothing was sent */
    return err;
}

/* True if the state of the file could not be determined. */
static bool listener_file_is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
           err == -ENOBUFS;
}

/* Removes a file that no socket is bound to; 0 also if it is gone. */
static int listener_file_remove_stale(const struct weir_address *address,
                                      const char *path)
{
    struct stat before;
    struct stat after;

    wr_assert(path[0] != '\0'); /* it is no abstract name */
    int err = wr_sys_lstat(path, &before);
    if (err < 0) {
        return err == -ENOENT ? 0 : -EADDRINUSE;
    }
    if (!S_ISSOCK(before.st_mode)) {
        return -EADDRINUSE;
    }
    err = listener_file_probe(address);
    if (err != -ECONNREFUSED) {
        return listener_file_is_shortage(err) ? err : -EADDRINUSE;
    }
    err = wr_sys_lstat(path, &after);
    if (err < 0 || before.st_ino != after.st_ino ||
        before.st_dev != after.st_dev) { /* by a program that takes no lock */
        return -EADDRINUSE;
    }
    err = wr_sys_unlink(path);
    return err == -ENOENT ? 0 : err;
}

/* Removes a stale file before a bind. */
static int listener_file_clear(const struct weir_address *address,
                               const char *path)
{
    int lock = wr_sys_lock_directory(path);
    if (lock == -EAGAIN) {
        return -EADDRINUSE; /* another one is at it, and may listen in a moment
                             */
    }
    /* Without permission to read or lock the directory there is no lock. */
    int err = listener_file_remove_stale(address, path);
    if (lock >= 0) {
        wr_ignore(wr_sys_close(lock));
    }
    return err;
}

int wr_listener_file_bind(int fd, const struct weir_address *address,
                          uint32_t mode)
{
    char path[FILE_PATH_SIZE];
    struct stat file;

    wr_assert(fd >= 0);
    if (!listener_file_get_path(address, path)) {
        return wr_sys_bind(fd, &address->storage.any, address->len);
    }
    /* The file gets the socket's mode, less the umask: so it never has more
     * permissions than requested. */
    int err = mode ? wr_sys_fchmod(fd, mode) : 0;
    if (err >= 0) {
        err = wr_sys_bind(fd, &address->storage.any, address->len);
    }
    if (err == -EADDRINUSE) {
        err = listener_file_clear(address, path);
        if (err >= 0) {
            err = wr_sys_bind(fd, &address->storage.any, address->len);
        }
    }
    if (err < 0 || mode == 0) {
        return err;
    }
    err = wr_sys_lstat(path, &file);
    if (err >= 0 && (file.st_mode & WR_MODE_BITS) != mode) {
        /* A link that has replaced the file meanwhile is not followed. */
        err = wr_sys_chmod(path, mode);
    }
    if (err < 0) {
        wr_ignore(wr_sys_unlink(path)); /* the caller is told err */
    }
    return err;
}

void wr_listener_file_know(struct wr_listener *listener)
{
    char path[FILE_PATH_SIZE];
    struct stat file;

    wr_assert(!listener->has_file);
    if (!listener_file_get_path(&listener->address, path) ||
        wr_sys_lstat(path, &file) < 0 || !S_ISSOCK(file.st_mode)) {
        return;
    }
    wr_assert(listener->family == AF_UNIX);
    listener->has_file = true;
    listener->file_dev = file.st_dev;
    listener->file_ino = file.st_ino;
}

void wr_listener_file_remove(struct wr_listener *listener)
{
    char path[FILE_PATH_SIZE];
    struct stat file;

    wr_assert(listener->fd >= 0); /* or the inode may be another file's */
    if (!listener->has_file) {
        return;
    }
    listener->has_file = false;
    const bool has_path = listener_file_get_path(&listener->address, path);
    wr_assert(has_path);
    if (wr_sys_lstat(path, &file) >= 0 && file.st_dev == listener->file_dev &&
        file.st_ino == listener->file_ino) {
        /* It stays if the directory may no longer be written. */
        wr_ignore(wr_sys_unlink(path));
    }
}
