/*
 * Writes replies of redis' protocol to a stream. No function here waits:
 * replies are sent together at the end of the loop iteration. After each
 * request the connection's task waits while its send queue is full.
 */
#ifndef WEIR_EXAMPLES_REDIS_ANSWERS_H
#define WEIR_EXAMPLES_REDIS_ANSWERS_H

#include "redis_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <weir.h>

static inline int say(weir_writer *writer, const char *text)
{
    return weir_writer_write(writer, text, strlen(text));
}

static inline int say_word(weir_writer *writer, struct redis_word word)
{
    char head[32];
    int len = snprintf(head, sizeof(head), "$%zu\r\n", word.len);
    const struct iovec pieces[] = {{head, (size_t)len},
                                   {(void *)(uintptr_t)word.data, word.len},
                                   {(void *)(uintptr_t) "\r\n", 2}};
    return weir_writer_writelines(writer, pieces, 3);
}

static inline int say_refusal(weir_writer *writer, const char *why,
                              const char *what, const char *rest)
{
    char text[128];
    snprintf(text, sizeof(text), "-ERR %s%s%s\r\n", why, what, rest);
    return say(writer, text);
}

static inline int say_number(weir_writer *writer, int64_t number)
{
    char text[32];
    snprintf(text, sizeof(text), ":%" PRId64 "\r\n", number);
    return say(writer, text);
}

#endif
