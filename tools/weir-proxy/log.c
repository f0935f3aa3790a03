/*
 * Files are opened for appending: a piece of whole lines is written by one call
 * and stands in the file undivided, whatever other threads and processes write.
 * A write to a disk is not waited for by the kernel; one to a pipe may be, so a
 * pipe that is full loses lines instead of stopping the proxy.
 *
 * A disk that is nearly full takes a part of a piece. The rest is tried at
 * once, and what was written of a line that has no room is taken back, under a
 * lock of the threads: else the next line to be written would stand behind its
 * half.
 */
#include "log.h"

#include "tools/common/console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_NS UINT64_C(1000000000)

_Static_assert(RECORD_TEXT_SIZE <= PIPE_BUF, "a line is a piece");

static int open_file(const char *path)
{
    if (strcmp(path, "-") == 0) {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    }
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK,
                0640);
}

int log_open(struct log *log, weir_loop *loop, const char *path, bool is_json)
{
    *log =
        (struct log){.loop = loop, .path = path, .is_json = is_json, .fd = -1};
    if (!path) {
        return 0;
    }
    log->buf = malloc(LOG_BUFFER_SIZE);
    log->fd = log->buf ? open_file(path) : -1;
    if (log->fd < 0) {
        const int err = log->buf ? -errno : -ENOMEM;
        free(log->buf);
        log->buf = NULL;
        log->path = NULL;
        return err;
    }
    return 0;
}

static uint64_t count_lines(const char *text, size_t len)
{
    uint64_t count = 0;

    for (size_t i = 0; i < len; i++) {
        count += text[i] == '\n';
    }
    return count;
}

/* Takes back the half of a line at the end of what was written, unless another
 * process has written behind it. */
static void take_back(int fd, const char *text, size_t done)
{
    const char *last = memrchr(text, '\n', done);
    const size_t whole = last ? (size_t)(last - text) + 1 : 0;
    const off_t end = lseek(fd, 0, SEEK_CUR);
    struct stat status;

    if (whole < done && end >= 0 && fstat(fd, &status) == 0 &&
        S_ISREG(status.st_mode) && status.st_size == end &&
        ftruncate(fd, end - (off_t)(done - whole)) == 0) {
        /* For a file that was not opened for appending. */
        (void)lseek(fd, end - (off_t)(done - whole), SEEK_SET);
    }
}

static void write_lines(struct log *log)
{
    size_t done = 0;

    while (done < log->len) {
        const size_t piece = console_piece_of(log->buf + done, log->len - done);
        /* Standard output is not this program's alone, so that it is not made
         * to return at once. */
        const ssize_t n =
            console_write_ready(log->fd, log->buf + done, piece, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            if (!log->has_failed) {
                say("%s: %s; lines are lost", log->path, strerror(errno));
            }
            log->has_failed = true;
            log->lost_lines += count_lines(log->buf + done, log->len - done);
            take_back(log->fd, log->buf, done);
            break;
        }
        log->has_failed &= (size_t)n < piece;
        done += (size_t)n;
    }
    log->len = 0;
}

void log_flush(struct log *log)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&one_at_a_time);
    write_lines(log);
    pthread_mutex_unlock(&one_at_a_time);
}

static void flush_late(void *arg)
{
    struct log *log = arg;

    log->is_flush_armed = false;
    log_flush(log);
}

void log_add(struct log *log, const struct record *record)
{
    if (!log->path) {
        return;
    }
    if (log->len + RECORD_TEXT_SIZE > LOG_BUFFER_SIZE) {
        log_flush(log);
    }
    char *end = log->buf + log->len;
    log->len += log->is_json ? record_write_json(record, end)
                             : record_write_text(record, end);
    if (!log->is_flush_armed) {
        log->is_flush_armed = weir_loop_call_later(log->loop, FLUSH_NS,
                                                   flush_late, log, NULL) == 0;
    }
    if (!log->is_flush_armed) {
        log_flush(log);
    }
}

void log_reopen(struct log *log)
{
    if (!log->path || strcmp(log->path, "-") == 0) {
        return;
    }
    log_flush(log);
    const int fd = open_file(log->path);
    if (fd < 0) {
        say("%s: %s; the old file stays", log->path, strerror(errno));
        return;
    }
    close(log->fd);
    log->fd = fd;
}

void log_close(struct log *log)
{
    if (log->path) {
        log_flush(log);
        close(log->fd);
        free(log->buf);
    }
    log->path = NULL;
}
