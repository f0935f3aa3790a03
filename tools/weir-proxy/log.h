/*
 * The log: lines of all threads in one file, or at a syslog server (sink.h).
 *
 * Each thread collects its lines and writes them in one piece, so that lines
 * do not mix, and writing costs little: when its memory is full, and at the
 * latest after a second. A file that cannot be written is told once, and the
 * lines that are lost are counted.
 */
#ifndef WEIR_PROXY_LOG_H
#define WEIR_PROXY_LOG_H

#include "record.h"
#include "sink.h"

#include "weir/loop.h"

#define LOG_BUFFER_SIZE (64u << 10)
#define LOG_LAST_NS     UINT64_C(1000000000) /* for what waits at the end */

enum log_format {
    LOG_TEXT,
    LOG_JSON,
    LOG_NAMES,
};

/* Of all threads. */
struct log_options {
    const char *path;           /* NULL: no log */
    struct weir_address server; /* of syslog; len 0: a file */
    int facility;               /* an index of sink_facilities */
    enum log_format format;
    const char *names; /* of LOG_NAMES */
    int fd;            /* of log_open_place() */
};

/* The log of one thread. */
struct log {
    weir_loop *loop;
    const struct log_options *options;
    bool is_open;
    int fd;              /* -1: a socket that is not there */
    bool has_failed;     /* told, until a write succeeds */
    bool is_flush_armed; /* a flush is due within a second */
    bool is_to_reopen;   /* log_reopen() could not, which is told */
    uint64_t lost_lines;
    size_t len;
    char *buf;
};

/* Opens the place of the log, before threads and rights change: a descriptor,
 * -1 of a socket that is not there, which is told, or a negative errno. */
int log_open_place(const struct log_options *options);

/* 0, or a negative errno. Without a path all calls do nothing. */
int log_open(struct log *log, weir_loop *loop,
             const struct log_options *options);
static inline bool log_is_open(const struct log *log)
{
    return log->is_open;
}
void log_add(struct log *log, const struct record *record);
/* Writes what is there now. */
void log_flush(struct log *log);
/* Opens the file anew, which was moved away: now, or as soon as it can be. */
void log_reopen(struct log *log);
/* Goes on as other options say, at another place if theirs is another one. */
void log_change(struct log *log, const struct log_options *options);
/* A socket that is full is waited for until then, by clock_now_ns(). */
void log_close(struct log *log, uint64_t end_ns);

#endif
