/*
 * Numbers of redis' protocol and of its commands. They are parsed as strictly
 * as redis does: without "+", leading zeros, or values beyond 64 bits. Does no
 * I/O.
 */
#ifndef WEIR_EXAMPLES_REDIS_NUMBERS_H
#define WEIR_EXAMPLES_REDIS_NUMBERS_H

#include "redis_words.h"

#include <inttypes.h>
#include <stdio.h>

#define NUMBER_SIZE 24

static inline struct redis_word print_number(char ret[NUMBER_SIZE],
                                             int64_t number)
{
    int len = snprintf(ret, NUMBER_SIZE, "%" PRId64, number);
    return (struct redis_word){ret, (size_t)len};
}

static inline bool is_number(struct redis_word word, int64_t *ret)
{
    char text[NUMBER_SIZE] = "";
    char again[NUMBER_SIZE];
    if (word.len >= sizeof(text)) {
        return false;
    }
    memcpy(text, word.data, word.len);
    *ret = strtoll(text, NULL, 10);
    return print_number(again, *ret).len == word.len &&
           memcmp(again, text, word.len) == 0;
}

/* Parses the count in "*3\r\n" or the length in "$3\r\n". Returns -1 if it is
 * invalid or greater than @most. */
static inline long read_head(const uint8_t *line, size_t len, long most)
{
    long number = 0;
    if (len < 4 || line[len - 2] != '\r' || line[len - 1] != '\n') {
        return -1;
    }
    for (size_t i = 1; i < len - 2; i++) {
        int digit = line[i] - '0';
        if (digit < 0 || digit > 9 || (number == 0 && i > 1)) {
            return -1;
        }
        number = number * 10 + digit;
        if (number > most) {
            return -1;
        }
    }
    return number;
}

#endif
