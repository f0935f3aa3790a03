/*
 * The line service of the comparisons, and how a bare loop does it.
 *
 * A client sends lines; a line that begins with a dot asks how it went. The
 * answer is how many lines came since the last answer, and a sum over their
 * lengths and first bytes, so that a server has to look at each line and
 * nobody can skip the work. Answers do not depend on how the bytes were cut
 * into receives.
 *
 * lines_take() is the work for a line, the same for all; lines_cut() is the
 * loop around memchr that a careful person writes without a library.
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_ASKS  '.'   /* first byte of a line that wants an answer */
#define LINES_LIMIT 65536 /* a longer line breaks the connection */

/* What is sent back, in the machine's byte order. */
struct lines_answer {
    uint64_t count;
    uint64_t sum;
};

/* Count a line, its newline included; true when an answer is due. */
static inline bool lines_take(struct lines_answer *sum, const uint8_t *line,
                              size_t len)
{
    sum->count++;
    sum->sum += line[0] + len;
    return line[0] == LINES_ASKS;
}

/* What a connection keeps between two receives; all zero at first. */
struct lines {
    struct lines_answer sum;
    uint32_t held_len; /* the start of a line */
    uint32_t held_capacity;
    uint8_t *held;
};

/* Writes an answer; negative when the connection is broken. */
typedef int lines_answer_fn(void *conn, const struct lines_answer *answer);

/* Handle received bytes: 0, or negative when the connection is to be ended. */
int lines_cut(struct lines *lines, const uint8_t *data, size_t len,
              lines_answer_fn *answer, void *conn);

void lines_fini(struct lines *lines);

#endif
