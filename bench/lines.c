/*
 * Lines without a library: memchr() over the received bytes, in place. Only an
 * incomplete line is copied and kept.
 *
 * The server writes the answers, one for each block of lines, so their cost is
 * not part of the cost of a line.
 */
#include "bench/lines.h"

#include "bench/bench.h"

#include <stdlib.h>
#include <string.h>

static int take(struct lines *l, const uint8_t *line, size_t len,
                lines_answer_fn *answer, void *conn)
{
    struct lines_answer sum;

    if (!lines_take(&l->sum, line, len)) {
        return 0;
    }
    sum = l->sum;
    l->sum = (struct lines_answer){0};
    return answer(conn, &sum);
}

static int hold(struct lines *l, const uint8_t *data, size_t len)
{
    if (len > LINES_LIMIT - l->held_len) {
        return -1;
    }
    if (len > l->held_capacity - l->held_len) {
        l->held_capacity = l->held_len + (uint32_t)len + 64;
        l->held = bench_realloc(l->held, l->held_capacity);
    }
    memcpy(l->held + l->held_len, data, len);
    l->held_len += (uint32_t)len;
    return 0;
}

int lines_cut(struct lines *l, const uint8_t *data, size_t len,
              lines_answer_fn *answer, void *conn)
{
    const uint8_t *end = data + len;
    int status = 0;

    while (data < end && status == 0) {
        const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));

        if (newline == NULL) {
            return hold(l, data, (size_t)(end - data));
        }
        newline++;
        if (l->held_len == 0) {
            status = take(l, data, (size_t)(newline - data), answer, conn);
        } else if (hold(l, data, (size_t)(newline - data)) == 0) {
            status = take(l, l->held, l->held_len, answer, conn);
            l->held_len = 0;
        } else {
            status = -1;
        }
        data = newline;
    }
    return status;
}

void lines_fini(struct lines *l)
{
    free(l->held);
}
