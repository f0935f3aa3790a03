/*
 * Files are opened for appending: lines written by one call stay together, even
 * if other threads and processes write. A write to a pipe could block until its
 * reader reads, so lines are lost if the pipe is full.
 *
 * A nearly full disk may accept only a part of the lines. The rest is retried
 * at once. If this fails, an incomplete last line is truncated, so that the
 * next line does not follow half a line. All threads share a lock for this.
 *
 * A datagram is a line in the log's buffer, without its newline. If a socket is
 * full, they stay there and are retried soon. If the buffer is full, lines are
 * lost.
 */
#include "log.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"

#include "weir/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_NS UINT64_C(1000000000)
#define RETRY_NS UINT64_C(20000000) /* retry interval if the socket is full */

_Static_assert(RECORD_TEXT_SIZE <= PIPE_BUF, "a line is a piece");

static int open_place(const struct log_options *options)
{
    if (options->server.len > 0) {
        return sink_connect(&options->server);
    }
    if (strcmp(options->path, "-") == 0) {
        return console_dup(STDOUT_FILENO);
    }
    const int fd =
        open(options->path,
             O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    return fd < 0 ? -errno : fd;
}

int log_open_place(const struct log_options *options)
{
    const int fd = open_place(options);

    if (fd < 0 && options->server.len > 0) {
        say("%s: %s; lines are lost until it is available", options->path,
            weir_strerror(fd));
        return -1;
    }
    return fd;
}

int log_open(struct log *log, weir_loop *loop,
             const struct log_options *options)
{
    *log = (struct log){.loop = loop, .options = options, .fd = -EBADF};
    if (!options->path) {
        return 0;
    }
    if (options->fd >= 0) {
        log->fd = console_dup(options->fd);
    }
    if (log->fd < 0 && (options->fd >= 0 || options->server.len == 0)) {
        return log->fd;
    }
    log->buf = malloc(LOG_BUFFER_SIZE);
    if (!log->buf && log->fd >= 0) {
        close(log->fd);
    }
    return log->buf ? 0 : -ENOMEM;
}

static void lose(struct log *log, uint64_t count, int err)
{
    if (!log->has_failed) {
        say("%s: %s; lines are lost", log->options->path, weir_strerror(-err));
    }
    log->has_failed = true;
    log->lost_lines += count;
}

static uint64_t count_lines(const char *text, size_t len)
{
    uint64_t count = 0;

    for (size_t i = 0; i < len; i++) {
        count += text[i] == '\n';
    }
    return count;
}

/* Does nothing if another process has written after the line. */
static void take_back(int fd, const char *text, size_t done)
{
    const char *last = memrchr(text, '\n', done);
    const size_t whole = last ? (size_t)(last - text) + 1 : 0;
    const off_t end = lseek(fd, 0, SEEK_CUR);
    struct stat status;

    if (whole < done && end >= 0 && fstat(fd, &status) == 0 &&
        S_ISREG(status.st_mode) && status.st_size == end &&
        ftruncate(fd, end - (off_t)(done - whole)) == 0) {
        /* The offset matters if the file was not opened for appending. */
        (void)lseek(fd, end - (off_t)(done - whole), SEEK_SET);
    }
}

static bool is_socket(const struct log *log)
{
    return log->options->server.len > 0;
}

/* Opens the file, or connects to the server, again. If this fails, the old
 * descriptor stays. Returns a descriptor or a negative errno. */
static int open_again(struct log *log)
{
    const int fd = open_place(log->options);

    if (fd >= 0 && log->fd >= 0) {
        close(log->fd);
    }
    log->fd = fd >= 0 ? fd : log->fd;
    return fd;
}

/* Connects again if sending fails, because the server may have a new socket.
 * Returns @size or a negative errno. */
static ssize_t send_line(struct log *log, const char *line, size_t size)
{
    bool is_new = log->fd < 0;
    int err = is_new ? open_again(log) : 0;

    while (err >= 0 &&
           send(log->fd, line, size - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        const bool is_there = errno == EINTR || errno == EAGAIN ||
                              errno == ENOBUFS || errno == EMSGSIZE;
        err = -errno;
        if (!is_there && !is_new && open_again(log) >= 0) {
            is_new = true;
            err = 0;
        }
    }
    return err < 0 ? err : (ssize_t)size;
}

/* Returns the number of bytes written or a negative errno. */
static ssize_t write_piece(struct log *log, const char *text, size_t size)
{
    if (is_socket(log)) {
        return send_line(log, text, size);
    }
    /* Other programs share standard output, so O_NONBLOCK must not be set. */
    const ssize_t n = console_write_ready(log->fd, text, size, 0);
    return n < 0 ? -errno : n;
}

static void write_lines(struct log *log)
{
    size_t done = 0;

    while (done < log->len) {
        const char *text = log->buf + done;
        const size_t left = log->len - done;
        const size_t piece =
            is_socket(log)
                ? (size_t)((char *)memchr(text, '\n', left) - text) + 1
                : console_piece_of(text, left);
        const ssize_t n = write_piece(log, text, piece);
        if (is_socket(log) && (n == -EAGAIN || n == -ENOBUFS)) {
            break;
        }
        if (n >= 0) {
            log->has_failed &= (size_t)n < piece;
            done += (size_t)n;
        } else if (n == -EMSGSIZE) {
            lose(log, 1, EMSGSIZE);
            done += piece;
        } else if (n != -EINTR) {
            lose(log, count_lines(text, left), (int)-n);
            if (!is_socket(log)) {
                take_back(log->fd, log->buf, done);
            }
            done = log->len;
        }
    }
    memmove(log->buf, log->buf + done, log->len - done);
    log->len -= done;
}

static void flush_late(void *arg);

static void arm(struct log *log, uint64_t delay_ns)
{
    if (!log->is_flush_armed) {
        log->is_flush_armed = weir_loop_call_later(log->loop, delay_ns,
                                                   flush_late, log, NULL) == 0;
    }
}

void log_flush(struct log *log)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

    if (is_socket(log)) {
        write_lines(log);
        return;
    }
    pthread_mutex_lock(&one_at_a_time);
    write_lines(log);
    pthread_mutex_unlock(&one_at_a_time);
}

/* If the file or socket cannot be opened, for example without free descriptors,
 * the old one stays and flush_late() retries. */
static void open_anew(struct log *log)
{
    const int fd = open_again(log);

    if (fd < 0 && !log->is_to_reopen) {
        say("%s: %s; the old %s stays until it can be opened",
            log->options->path, weir_strerror(fd),
            is_socket(log) ? "socket" : "file");
    }
    log->is_to_reopen = fd < 0;
}

static void flush_late(void *arg)
{
    struct log *log = arg;

    log->is_flush_armed = false;
    if (log->is_to_reopen) {
        open_anew(log);
    }
    log_flush(log);
    if (log->len > 0) {
        arm(log, RETRY_NS);
    }
}

static size_t write_line(const struct log *log, const struct record *record,
                         char *buf)
{
    switch (log->options->format) {
    case LOG_JSON:
        return record_write_json(record, buf);
    case LOG_NAMES:
        return record_write_names(record, log->options->names, buf);
    case LOG_TEXT:
    default:
        return record_write_text(record, buf);
    }
}

void log_add(struct log *log, const struct record *record)
{
    if (!log->buf) {
        return;
    }
    const size_t most = SINK_HEAD_SIZE + RECORD_TEXT_SIZE;
    if (log->len + most > LOG_BUFFER_SIZE) {
        log_flush(log);
    }
    if (log->len + most > LOG_BUFFER_SIZE) {
        lose(log, 1, EAGAIN);
        return;
    }
    if (is_socket(log)) {
        log->len += sink_write_head(record, log->options->facility,
                                    log->buf + log->len);
    }
    log->len += write_line(log, record, log->buf + log->len);
    arm(log, is_socket(log) ? RETRY_NS : FLUSH_NS);
    if (!log->is_flush_armed) {
        log_flush(log);
    }
}

void log_reopen(struct log *log)
{
    if (log->buf && strcmp(log->options->path, "-") != 0) {
        log_flush(log);
        open_anew(log);
    }
}

bool log_is_path(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) == 0 : one == other;
}

void log_change(struct log *log, const struct log_options *options)
{
    struct log other;

    if (log_is_path(log->options->path, options->path)) {
        log->options = options;
        return;
    }
    const int err = log_open(&other, log->loop, options);
    if (err < 0) {
        say("%s: %s; nothing is logged", options->path, weir_strerror(err));
    }
    other.lost_lines = log->lost_lines;
    other.is_flush_armed = log->is_flush_armed; /* its timer is still running */
    log_close(log, clock_now_ns() + LOG_LAST_NS);
    *log = other;
}

void log_close(struct log *log, uint64_t end_ns)
{
    if (!log->buf) {
        return;
    }
    log_flush(log);
    const uint64_t now_ns = clock_now_ns();
    const uint64_t left_ns = end_ns > now_ns ? end_ns - now_ns : 0;
    struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
    if (log->len > 0 && poll(&ready, 1, (int)(left_ns / 1000000u)) > 0) {
        log_flush(log);
    }
    if (log->len > 0) {
        lose(log, count_lines(log->buf, log->len), EAGAIN);
    }
    if (log->fd >= 0) {
        close(log->fd);
    }
    free(log->buf);
    log->buf = NULL;
}
