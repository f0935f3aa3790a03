/*
 * Writes lines during a run without waiting for a slow reader. A pipe that
 * poll() reports as writable accepts PIPE_BUF bytes without blocking, so this
 * many are written at once. Standard output is not made non-blocking, because
 * other processes share its open file description.
 */
#include "output.h"

#include "writers.h"

#include "tools/common/console.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAITING_SIZE (1U << 20)

/* How long a slow reader may take for the next bytes at the end. */
#define PATIENCE_MS 1000

void line_file_start(struct line_file *self, const char *flag, const char *name,
                     FILE *file)
{
    struct stat status;

    *self = (struct line_file){.flag = flag, .path = name, .file = file};
    self->is_patient = file && fstat(fileno(file), &status) == 0 &&
                       !S_ISFIFO(status.st_mode) && !S_ISSOCK(status.st_mode);
}

FILE *line_file_begin(struct line_file *self)
{
    self->lines = open_memstream(&self->text, &self->size);
    if (!self->lines) {
        self->missing++;
    }
    return self->lines;
}

static uint64_t count_lines(const char *text, size_t size)
{
    uint64_t count = 0;

    for (size_t i = 0; i < size; i++) {
        count += text[i] == '\n';
    }
    return count;
}

bool line_file_is_ready(FILE *file, int patience_ms)
{
    struct pollfd ready = {.fd = fileno(file), .events = POLLOUT};

    return poll(&ready, 1, patience_ms) == 1;
}

static void send_waiting(struct line_file *self, int patience_ms)
{
    while (self->err == 0 && self->first < self->end &&
           line_file_is_ready(self->file, patience_ms)) {
        const size_t left = self->end - self->first;
        const ssize_t len =
            write(fileno(self->file), self->waiting + self->first,
                  left < PIPE_BUF ? left : PIPE_BUF);
        if (len < 0 && errno != EINTR && errno != EAGAIN) {
            self->err = errno;
        }
        self->first += len > 0 ? (size_t)len : 0;
    }
}

static void keep(struct line_file *self)
{
    if (!self->waiting) {
        self->waiting = malloc(WAITING_SIZE);
    }
    if (self->waiting && self->first > 0) {
        self->end -= self->first;
        memmove(self->waiting, self->waiting + self->first, self->end);
        self->first = 0;
    }
    if (!self->waiting || self->size > WAITING_SIZE - self->end) {
        self->missing += count_lines(self->text, self->size);
        return;
    }
    memcpy(self->waiting + self->end, self->text, self->size);
    self->end += self->size;
}

static void write_lines(struct line_file *self)
{
    if (self->is_patient) {
        (void)fwrite(self->text, 1, self->size, self->file);
        if ((fflush(self->file) != 0 || ferror(self->file)) && self->err == 0) {
            self->err = errno != 0 ? errno : EIO;
        }
        return;
    }
    send_waiting(self, 0);
    keep(self);
    send_waiting(self, 0);
}

void line_file_end(struct line_file *self)
{
    if (!self->lines) {
        return;
    }
    if (fclose(self->lines) == 0) {
        write_lines(self);
    } else {
        self->missing++;
    }
    free(self->text);
    self->lines = NULL;
    self->text = NULL;
}

bool line_file_close(struct line_file *self)
{
    if (!self->file) {
        return true;
    }
    const char *name = self->file == stdout ? "standard output" : self->path;
    send_waiting(self, PATIENCE_MS);
    if (self->first < self->end) {
        self->missing +=
            count_lines(self->waiting + self->first, self->end - self->first);
    }
    const int err = fifo_close(self->file);
    self->err = self->err ? self->err : err;
    self->file = NULL;
    free(self->waiting);
    if (self->err != 0) {
        say("%s: %s could not be written: %s", self->flag, name,
            strerror(self->err));
    } else if (self->missing > 0) {
        say("%s: %s could not be written: its reader was too slow for %llu "
            "lines",
            self->flag, name, LLU(self->missing));
    }
    return self->err == 0 && self->missing == 0;
}
