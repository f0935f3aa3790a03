/*
 * The log: lines of all threads in one file, or at a syslog server (sink.h).
 *
 * Each thread buffers its lines and writes them with one call, so that lines do
 * not mix. It writes when its buffer is full, and at the latest after a second.
 * A write error is reported once, and lost lines are counted.
 */
#ifndef WEIR_PROXY_LOG_H
#define WEIR_PROXY_LOG_H

#include "record.h"
#include "sink.h"

#include "weir/loop.h"

#define LOG_BUFFER_SIZE (64u << 10)
#define LOG_LAST_NS     UINT64_C(1000000000) /* for the last datagrams */

enum log_format {
    LOG_TEXT,
    LOG_JSON,
    LOG_NAMES,
};

struct log_options {
    const char *path;           /* NULL means no log */
    struct weir_address server; /* syslog server; len 0 for a file */
    int facility;
    enum log_format format;
    const char *names;
    int fd;
};

struct log {
    weir_loop *loop;
    const struct log_options *options;
    int fd;              /* negative while not connected to the server */
    bool has_failed;     /* a failure was reported; reset by a written line */
    bool is_flush_armed; /* a flush is due within a second */
    bool is_to_reopen;   /* log_reopen() failed, which was reported */
    uint64_t lost_lines;
    size_t len;
    char *buf; /* NULL if the log is not open */
};

/* Opens the log file or socket for all threads, which duplicate the descriptor.
 * Returns a descriptor, -1 (after printing a message) if the server's socket
 * does not exist, or a negative errno. */
int log_open_place(const struct log_options *options);

/* Returns 0 or a negative errno. Without a path all calls do nothing. */
int log_open(struct log *log, weir_loop *loop,
             const struct log_options *options);
static inline bool log_is_open(const struct log *log)
{
    return log->buf != NULL;
}
/* Compares two paths of logs, which may be NULL. */
bool log_is_path(const char *one, const char *other);
void log_add(struct log *log, const struct record *record);
void log_flush(struct log *log);
/* For a file that was moved away. Retries later if opening fails. */
void log_reopen(struct log *log);
/* Applies other options. Opens another file if they name one. */
void log_change(struct log *log, const struct log_options *options);
/* Writes the buffered lines and closes the log. Waits for a full socket until
 * clock_now_ns() is @end_ns. */
void log_close(struct log *log, uint64_t end_ns);

#endif
