/*
 * Reads option structs; see options.h.
 *
 * Only this file reads a caller's option struct, and it never reads beyond the
 * size that the caller has stored there.
 */
#include "options.h"

#include "uring/check.h"

#include <errno.h>
#include <stdint.h>
#include <weir/error.h>

/* A larger size is an uninitialised field. */
#define ANSWER_SIZE_MAX (64u << 10)

static size_t options_read_size(const void *options)
{
    size_t size;
    memcpy(&size, options, sizeof(size));
    return size;
}

int wr_options_read_given(void *known, size_t known_size, const void *options)
{
    wr_assert(known_size >= sizeof(size_t));
    wr_options_reset(known, known_size);
    const size_t size = options_read_size(options);
    if (size < sizeof(size)) {
        return WEIR_EOPTIONSIZE;
    }
    wr_assert(known != options);
    memcpy(known, options, size < known_size ? size : known_size);
    const uint8_t *bytes = options;
    for (size_t i = known_size; i < size; i++) {
        if (bytes[i] != 0) {
            return -E2BIG;
        }
    }
    return 0;
}

int wr_options_read_inner(const void *outer, void *inner, size_t inner_size)
{
    const size_t offset =
        (size_t)((const uint8_t *)inner - (const uint8_t *)outer);
    const size_t outer_size = options_read_size(outer);
    const size_t room = outer_size > offset ? outer_size - offset : 0;

    wr_assert(offset >= sizeof(size_t));
    wr_assert(inner_size >= sizeof(size_t));
    if (room < sizeof(size_t)) {
        wr_options_reset(inner, inner_size);
        return 0;
    }
    size_t size = options_read_size(inner);
    if (size == 0) {
        size = room;
        wr_assert(size <= outer_size);
        memcpy(inner, &size, sizeof(size));
    }
    if (size < sizeof(size) || size > room) {
        wr_options_reset(inner, inner_size);
        return -EINVAL;
    }
    if (size < inner_size) {
        memset((uint8_t *)inner + size, 0, inner_size - size);
    }
    return 0;
}

int wr_answer_check(const void *ret)
{
    if (!ret) {
        return -EINVAL;
    }
    const size_t size = options_read_size(ret);
    return size < sizeof(size) || size > ANSWER_SIZE_MAX ? WEIR_EOPTIONSIZE : 0;
}

void wr_answer_write(void *ret, const void *known, size_t known_size)
{
    const size_t size = options_read_size(ret);
    const size_t common = size < known_size ? size : known_size;

    wr_assert(known_size >= sizeof(size_t) && size >= sizeof(size_t));
    memset(ret, 0, size);
    memcpy(ret, known, common);
    memcpy(ret, &size, sizeof(size));
}
