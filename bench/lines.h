/*
 * The line service of the comparisons, and its implementation without a
 * library.
 *
 * A client sends lines; a line that begins with a dot requests an answer. The
 * answer is the number of lines since the last answer, and a sum over their
 * lengths and first bytes, so that a server must look at each line. Answers do
 * not depend on how the bytes are divided into receives.
 *
 * lines_take() is the work for a line, the same for all servers; lines_cut() is
 * the loop around memchr() for servers without a library.
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINES_ASKS  '.'   /* first byte of a line that requests an answer */
#define LINES_LIMIT 65536 /* a longer line is an error */

/* The answer, in the machine's byte order. */
struct lines_answer {
    uint64_t count;
    uint64_t sum;
};

/* Counts a line, including its newline. Returns true if it requests an answer.
 */
static inline bool lines_take(struct lines_answer *sum, const uint8_t *line,
                              size_t len)
{
    sum->count++;
    sum->sum += line[0] + len;
    return line[0] == LINES_ASKS;
}

/* A connection's state between two receives, initially zeroed. */
struct lines {
    struct lines_answer sum;
    uint32_t held_len; /* the beginning of a line */
    uint32_t held_capacity;
    uint8_t *held;
};

/* Writes an answer. Returns a negative number if the connection is broken. */
typedef int lines_answer_fn(void *conn, const struct lines_answer *answer);

/* Handles received bytes. Returns a negative number to end the connection. */
int lines_cut(struct lines *lines, const uint8_t *data, size_t len,
              lines_answer_fn *answer, void *conn);

void lines_fini(struct lines *lines);

#endif
