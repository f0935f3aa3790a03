/*
 * Searches a queue of received bytes for separators.
 *
 * A window is searched at a time: a part of a segment or, across segments,
 * bytes copied to the stack. Windows overlap, so that a match across two
 * windows is found. With several separators, the first window is small and the
 * size doubles, so the time is proportional to the bytes before the match.
 */
#include "recvq.h"

#include <string.h>

#define SEPARATOR_MAX 1024u
#define GATHER_MIN    64u
#define WINDOW_MIN    256u

struct cursor {
    const struct wr_recvq *q;
    uint32_t index;
    size_t offset;
};

struct match {
    size_t begin;
    size_t end;
};

static void recvq_find_skip(struct cursor *cursor, size_t len)
{
    cursor->offset += len;
    while (cursor->index < cursor->q->count) {
        const struct wr_recvq_segment *segment =
            wr_recvq_at(cursor->q, cursor->index);
        if (cursor->offset < segment->len) {
            return;
        }
        cursor->offset -= segment->len;
        cursor->index++;
    }
}

static size_t recvq_find_gather(struct cursor from, uint8_t *to, size_t len)
{
    size_t done = 0;
    while (done < len && from.index < from.q->count) {
        const struct wr_recvq_segment *segment =
            wr_recvq_at(from.q, from.index);
        const size_t part = wr_min_u64(segment->len - from.offset, len - done);
        memcpy(to + done, segment->data + from.offset, part);
        done += part;
        recvq_find_skip(&from, part);
    }
    wr_assert(done <= len);
    return done;
}

static bool recvq_find_first(const uint8_t *data, size_t len,
                             const struct weir_separator *separators,
                             size_t count, struct match *ret)
{
    bool found = false;
    size_t best_len = 0;

    for (size_t i = 0; i < count; i++) {
        const struct weir_separator *separator = &separators[i];
        /* Only a match that ends earlier, or is shorter, replaces this one. */
        const size_t within =
            found && separator->len >= best_len ? ret->end - 1 : len;
        const uint8_t *at =
            memmem(data, found ? wr_min_u64(within, ret->end) : len,
                   separator->data, separator->len);
        if (at) {
            found = true;
            best_len = separator->len;
            ret->begin = (size_t)(at - data);
            ret->end = ret->begin + best_len;
        }
    }
    return found;
}

static size_t recvq_find_byte(const struct wr_recvq *q, int byte,
                              struct wr_search *search, size_t *ret_begin)
{
    struct cursor cursor = {.q = q};
    size_t pos = search->offset;

    recvq_find_skip(&cursor, pos);
    while (cursor.index < q->count) {
        const struct wr_recvq_segment *segment = wr_recvq_at(q, cursor.index);
        const uint8_t *from = segment->data + cursor.offset;
        const size_t len = segment->len - cursor.offset;
        const uint8_t *at = memchr(from, byte, len);
        if (at) {
            wr_debug_assert(pos + (size_t)(at - from) < q->total);
            *ret_begin = pos + (size_t)(at - from);
            return *ret_begin + 1;
        }
        pos += len;
        cursor.index++;
        cursor.offset = 0;
    }
    search->offset = q->total;
    return 0;
}

bool wr_recvq_find_newline(struct wr_recvq *q)
{
    const struct wr_recvq_segment *head = q->head;
    const uint8_t *end = head->data + head->len;

    wr_assert(wr_recvq_has_window(q));
    wr_assert(q->window_end >= head->data);
    wr_assert(q->window_end <= end);
    const uint8_t *at =
        memchr(q->window_end, '\n', (size_t)(end - q->window_end));
    if (!at || at + 1 == end) {
        return false;
    }
    q->window_end = at + 1;
    q->newlines = UINT64_C(1) << (WR_WINDOW_SIZE - 1);
    return true;
}

size_t wr_recvq_find(const struct wr_recvq *q,
                     const struct weir_separator *separators, size_t count,
                     struct wr_search *search, size_t *ret_begin)
{
    uint8_t gathered[2 * SEPARATOR_MAX];
    struct cursor cursor = {.q = q};
    struct match match;
    size_t pos = search->offset;

    wr_assert(!q->is_shown);
    wr_assert(count > 0);
    wr_debug_assert(search->offset <= q->total);
    if (count == 1 && separators->len == 1) {
        const uint8_t *byte = separators->data;
        return recvq_find_byte(q, *byte, search, ret_begin);
    }
    size_t longest_len = 0;
    for (size_t i = 0; i < count; i++) {
        wr_assert(separators[i].len > 0);
        longest_len = wr_max_u64(longest_len, separators[i].len);
    }
    wr_assert(longest_len <= SEPARATOR_MAX);
    size_t window_max = count == 1 ? SIZE_MAX : WINDOW_MIN + 2 * longest_len;
    recvq_find_skip(&cursor, pos);
    while (cursor.index < q->count) {
        const struct wr_recvq_segment *segment = wr_recvq_at(q, cursor.index);
        const uint8_t *window = segment->data + cursor.offset;
        size_t len = wr_min_u64(segment->len - cursor.offset, window_max);
        if (len < longest_len) {
            window = gathered;
            len = recvq_find_gather(cursor, gathered,
                                    wr_max_u64(2 * longest_len, GATHER_MIN));
        }
        if (recvq_find_first(window, len, separators, count, &match)) {
            *ret_begin = pos + match.begin;
            return pos + match.end;
        }
        if (len < longest_len || pos + len == q->total) {
            break;
        }
        recvq_find_skip(&cursor, len + 1 - longest_len);
        pos += len + 1 - longest_len;
        window_max = window_max > SIZE_MAX / 2 ? SIZE_MAX : window_max * 2;
    }
    search->offset =
        q->total + 1 > longest_len ? q->total + 1 - longest_len : 0;
    return 0;
}
