/*
 * Lines are written whole, so that lines of several processes do not mix.
 *
 * There are no levels or colours. The lock of stderr serialises threads, and
 * also protects the variables here.
 */
#include "console.h"

#include "weir/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Time to wait for a slow reader. After a lost line there is no wait. */
#define PATIENCE_MS 100

#define WIDTH_UNSAID 80U

static bool is_impatient;
static unsigned long lost_count; /* lines that were not written */

ssize_t console_write_ready(int fd, const char *text, size_t len,
                            int patience_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    if (poll(&ready, 1, patience_ms) == 1 && (ready.revents & POLLOUT)) {
        return write(fd, text, len);
    }
    errno = EAGAIN;
    return -1;
}

/* Returns false if standard error is not ready in time, or on error. */
static bool write_piece(const char *text, size_t len)
{
    const int patience_ms = lost_count > 0 ? 0 : PATIENCE_MS;
    ssize_t n;

    do {
        n = is_impatient
                ? console_write_ready(STDERR_FILENO, text, len, patience_ms)
                : write(STDERR_FILENO, text, len);
    } while (n < 0 && errno == EINTR);
    return n >= 0;
}

size_t console_piece_of(const char *text, size_t len)
{
    size_t piece = len < PIPE_BUF ? len : PIPE_BUF;

    if (piece < len) {
        const char *end = memrchr(text, '\n', piece);
        piece = end ? (size_t)(end - text) + 1 : piece;
    }
    return piece;
}

static void tell_lost(void)
{
    char line[128];
    const int len =
        snprintf(line, sizeof(line), "%s: %lu lines before this were lost\n",
                 console_name, lost_count);

    if (write_piece(line, (size_t)len)) {
        lost_count = 0;
    }
}

unsigned console_width(int fd)
{
    struct winsize size = {.ws_col = 0};

    if (!isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col
                                                                : WIDTH_UNSAID;
}

void console_write(const char *text, size_t len)
{
    flockfile(stderr);
    if (lost_count > 0) {
        tell_lost();
    }
    for (size_t done = 0; done < len;) {
        const size_t piece = console_piece_of(text + done, len - done);
        if (lost_count > 0 || !write_piece(text + done, piece)) {
            for (; done < len; done++) {
                lost_count += text[done] == '\n';
            }
            break;
        }
        done += piece;
    }
    funlockfile(stderr);
}

void console_set_patient(bool is_patient)
{
    flockfile(stderr);
    is_impatient = !is_patient;
    if (is_patient && lost_count > 0) {
        tell_lost();
    }
    funlockfile(stderr);
}

void console_clean(char *text)
{
    for (char *at = text; *at; at++) {
        const bool is_long = (uint8_t)at[0] == 0xC2 && (at[1] & 0xE0) == 0x80;
        if (is_long) { /* U+0080 to U+009F in UTF-8 */
            *at++ = '?';
        }
        if (is_long || (uint8_t)*at < ' ' || *at == 0x7F) {
            *at = '?';
        }
    }
}

/* Destination of say() in this thread, or NULL for standard error. */
static _Thread_local char *diverted;
static _Thread_local size_t diverted_size;

void console_divert(char *line, size_t size)
{
    diverted = line;
    diverted_size = size;
}

bool say(const char *format, ...)
{
    char text[512];
    char line[640];
    va_list args;

    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (len >= 0) {
        console_clean(text);
    }
    if (len >= 0 && diverted) {
        snprintf(diverted, diverted_size, "%s", text);
    } else if (len >= 0) {
        len = snprintf(line, sizeof(line), "%.80s: %s\n", console_name, text);
        console_write(line, (size_t)len);
    }
    return false;
}

void console_check(int err, const char *what)
{
    if (err < 0) {
        say("%s: %s", what, weir_strerror(err));
        _exit(CONSOLE_FAILED);
    }
}

void console_begin(void)
{
    (void)signal(SIGXFSZ, SIG_IGN); /* a write beyond RLIMIT_FSIZE then fails */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) {
            _exit(CONSOLE_FAILED); /* the error cannot be reported */
        }
    }
}

int console_dup(int fd)
{
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    if (copy < 0) {
        /* With EINVAL RLIMIT_NOFILE allows only the standard descriptors. */
        return errno == EINVAL ? -EMFILE : -errno;
    }
    return copy;
}

int console_end(int code)
{
    const int err = fflush(stdout) != 0 || ferror(stdout) ? errno : 0;

    if (err == 0 || code != 0) {
        return code;
    }
    say("standard output could not be written: %s", strerror(err));
    return CONSOLE_FAILED;
}
