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

/* One call; len is what it asks for. */
struct reader_call {
    enum how how;
    size_t len;
    weir_task *task;
    bool is_done;
    ssize_t result;
    uint8_t buf[4096];   /* what the call gave, however */
    struct weir_buf got; /* of a view, or with its lease */
};

extern weir_reader *reader;
extern struct weir_separator separators[16];
extern size_t separator_count;

/* The end of this turn, and of the one in which others went on. */
void turn_over(void);

/* Makes the call in a task of its own, which waits now. */
void read_start(struct reader_call *call, enum how how, size_t len);

/* Its result, once it has returned. */
ssize_t read_end(struct reader_call *call);
void feed(const char *text);
/* The same with turn_over(). */
void feed_now(const char *text);

/* The call, made now, gives this text. */
void expect(enum how how, size_t len, const char *text);

/* The call, made now, fails or says the end. */
void expect_error(enum how how, size_t len, ssize_t error);

/* The buffered bytes are this text; none is consumed. */
void expect_buffered(const char *text);

/* Runs a body as the main task, with a reader of this limit. */
void with_reader(uint64_t limit, void (*body)(void));

#endif
