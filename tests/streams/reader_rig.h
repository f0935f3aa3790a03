/*
 * A reader to which a test adds bytes, and tasks that read from it.
 *
 * The body of the test is the main task: it adds bytes, and starts tasks that
 * make one reading call each. After the body has yielded twice, added bytes
 * have been read or stored.
 */
#ifndef WEIR_TESTS_STREAMS_READER_RIG_H
#define WEIR_TESTS_STREAMS_READER_RIG_H

#include "tests/tasks/rig.h"

#include <weir/reader.h>

enum how {
    READ,
    READ_VIEW,
    TAKE,
    EXACTLY,
    EXACTLY_VIEW,
    LINE,
    LINE_VIEW,
    UNTIL,
    UNTIL_VIEW,
    FILL,
    TO_END,
    HOW_COUNT
};

/* A call for len bytes. */
struct reader_call {
    enum how how;
    size_t len;
    weir_task *task;
    bool is_done;
    ssize_t result;
    uint8_t buf[4096];   /* the bytes of the call */
    struct weir_buf got; /* the view, or the taken bytes */
};

extern weir_reader *reader;
extern struct weir_separator separators[16];
extern size_t separator_count;

/* Waits for two iterations: woken tasks run in the second. */
void turn_over(void);

/* Makes the call in a new task, which must wait. */
void read_start(struct reader_call *call, enum how how, size_t len);

/* Expects that the call has returned, and returns its result. */
ssize_t read_end(struct reader_call *call);
void feed(const char *text);
/* Adds @text; then turn_over(). */
void feed_now(const char *text);

/* Makes the call, which must return @text. */
void expect(enum how how, size_t len, const char *text);

/* Makes the call, which must return @error, or 0 for the end of the stream. */
void expect_error(enum how how, size_t len, ssize_t error);

/* Expects these buffered bytes, without consuming them. */
void expect_buffered(const char *text);

/* Runs a body as the main task, with a reader of this limit. */
void with_reader(uint64_t limit, void (*body)(void));

#endif
