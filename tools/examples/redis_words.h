/*
 * The arguments of one request, stored one after the other in one buffer. A
 * small buffer is kept for the next request; a large one is freed, so that an
 * idle client uses little memory. Does no I/O.
 */
#ifndef WEIR_EXAMPLES_REDIS_WORDS_H
#define WEIR_EXAMPLES_REDIS_WORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define REDIS_WORDS 64        /* arguments of a request */
#define REDIS_BYTES (1 << 20) /* bytes of all arguments of a request */
#define REDIS_KEPT  4096      /* maximum size of a buffer that is kept */

struct redis_word {
    const char *data;
    size_t len;
};

struct redis_request {
    const char *refusal;
    char *bytes;
    size_t used;
    size_t size;
    size_t count;
    uint32_t ends[REDIS_WORDS];
};

static inline struct redis_word redis_word(const struct redis_request *request,
                                           size_t index)
{
    size_t begin = index == 0 ? 0 : request->ends[index - 1];
    return (struct redis_word){request->bytes + begin,
                               request->ends[index] - begin};
}

static inline void redis_clear(struct redis_request *request)
{
    if (request->size > REDIS_KEPT) {
        free(request->bytes);
        request->bytes = NULL;
        request->size = 0;
    }
    request->used = 0;
    request->count = 0;
}

static inline bool redis_add_word(struct redis_request *request,
                                  const void *data, size_t len)
{
    if (len >= request->size - request->used) {
        size_t size = 2 * (request->used + len) + 64;
        char *bytes = realloc(request->bytes, size);
        if (!bytes) {
            return false;
        }
        request->bytes = bytes;
        request->size = size;
    }
    memcpy(request->bytes + request->used, data, len);
    request->used += len;
    request->ends[request->count++] = (uint32_t)request->used;
    return true;
}

#endif
