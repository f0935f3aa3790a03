/*
 * Opens FIFOs for output. A non-blocking open fails with ENXIO while a FIFO has
 * no reader, and is repeated; a blocking open could not time out. Sockets and
 * some devices fail with ENXIO permanently.
 */
#include "writers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAUSE_NS  10000000
#define TRIES_MAX 1000

/* Preserves errno. */
static bool is_fifo(const char *path)
{
    const int err = errno;
    struct stat status;
    const bool is_one = stat(path, &status) == 0 && S_ISFIFO(status.st_mode);

    errno = err;
    return is_one;
}

static int open_for_reader(const char *path)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};

    for (unsigned i = 0; i < TRIES_MAX; i++) {
        const int fd = open(path,
                            O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK |
                                O_CLOEXEC | O_NOCTTY,
                            0666);
        if (fd >= 0 || errno != ENXIO || !is_fifo(path)) {
            return fd;
        }
        nanosleep(&pause, NULL);
    }
    errno = ETIMEDOUT;
    return -1;
}

FILE *fifo_open(const char *path)
{
    const int fd = open_for_reader(path);
    if (fd < 0) {
        return NULL;
    }
    const int flags = fcntl(fd, F_GETFL);
    FILE *file = NULL;
    if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0) {
        file = fdopen(fd, "w");
    }
    if (!file) {
        const int err = errno;
        close(fd);
        errno = err;
    }
    return file;
}

int fifo_close(FILE *file)
{
    int err = 0;

    if (fflush(file) != 0 || ferror(file)) {
        err = errno ? errno : EIO;
    }
    if (file != stdout && fclose(file) != 0 && err == 0) {
        err = errno;
    }
    return err;
}

const char *fifo_error_text(int err)
{
    return err == ETIMEDOUT ? "no process reads this FIFO" : strerror(err);
}
