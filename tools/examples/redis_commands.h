/*
 * Commands of the redis server. Error messages are the same as redis' own. A
 * command returns 0, 1 to end the connection, or an error. The table of the
 * names and argument counts is in redis_server.c.
 */
#ifndef WEIR_EXAMPLES_REDIS_COMMANDS_H
#define WEIR_EXAMPLES_REDIS_COMMANDS_H

#include "redis_answers.h"
#include "redis_numbers.h"
#include "redis_store.h"

typedef int command_fn(weir_writer *writer, const struct redis_request *r);

static inline int get(weir_writer *writer, const struct redis_request *r)
{
    const struct stored *entry = store_find(redis_word(r, 1));
    return entry ? say_word(writer, entry->value) : say(writer, "$-1\r\n");
}

static inline int set(weir_writer *writer, const struct redis_request *r)
{
    bool is_set = store_set(redis_word(r, 1), redis_word(r, 2));
    return say(writer, is_set ? "+OK\r\n" : "-OOM no room\r\n");
}

static inline int incr(weir_writer *writer, const struct redis_request *r)
{
    const struct stored *entry = store_find(redis_word(r, 1));
    int64_t number = 0;
    char text[NUMBER_SIZE];
    if (entry && !is_number(entry->value, &number)) {
        return say_refusal(writer, "value is not an integer or out of range",
                           "", "");
    }
    if (number == INT64_MAX) {
        return say(writer, "-ERR increment or decrement would overflow\r\n");
    }
    bool is_set = store_set(redis_word(r, 1), print_number(text, ++number));
    return is_set ? say_number(writer, number)
                  : say(writer, "-OOM no room\r\n");
}

static inline int del(weir_writer *writer, const struct redis_request *r)
{
    int64_t count = 0;
    for (size_t i = 1; i < r->count; i++) {
        struct stored *entry = store_find(redis_word(r, i));
        if (entry) {
            store_remove(entry);
            count++;
        }
    }
    return say_number(writer, count);
}

static inline int ping(weir_writer *writer, const struct redis_request *r)
{
    return r->count > 1 ? say_word(writer, redis_word(r, 1))
                        : say(writer, "+PONG\r\n");
}

static inline int describe(weir_writer *writer, const struct redis_request *r)
{
    (void)r;
    return say(writer, "*0\r\n"); /* enough for redis-cli */
}

static inline int quit(weir_writer *writer, const struct redis_request *r)
{
    (void)r;
    say(writer, "+OK\r\n");
    return 1;
}

#endif
