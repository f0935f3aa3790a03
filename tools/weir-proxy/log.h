/*
 * The log: lines of all threads in one file.
 *
 * Each thread collects its lines and writes them in one piece, so that lines
 * do not mix, and writing costs little: when its memory is full, and at the
 * latest after a second. A file that cannot be written is told once, and the
 * lines that are lost are counted.
 */
#ifndef WEIR_PROXY_LOG_H
#define WEIR_PROXY_LOG_H

#include "record.h"

#include "weir/loop.h"

#define LOG_BUFFER_SIZE (64u << 10)

/* The log of one thread. */
struct log {
    weir_loop *loop;
    const char *path; /* NULL: no log */
    bool is_json;
    int fd;
    bool has_failed;     /* told, until a write succeeds */
    bool is_flush_armed; /* a flush is due within a second */
    uint64_t lost_lines;
    size_t len;
    char *buf;
};

/* 0, or a negative errno. Without a path all calls do nothing. */
int log_open(struct log *log, weir_loop *loop, const char *path, bool is_json);
static inline bool log_is_open(const struct log *log)
{
    return log->path != NULL;
}
void log_add(struct log *log, const struct record *record);
/* Writes what is there now. */
void log_flush(struct log *log);
/* Opens the file anew, which was moved away. */
void log_reopen(struct log *log);
void log_close(struct log *log);

#endif
