/*
 * A command of Redis as people type it, and as it is sent: words with blanks
 * between them, each a template (template.h), which become an array of strings.
 *
 *     SET key{rand:1:1000} "two words\n"
 *
 * Words are cut as redis-cli cuts them: in "..." stand \n \r \t \a \b \xHH \"
 * and \\, in '...' \' alone.
 */
#ifndef WEIR_LOAD_REDIS_COMMAND_H
#define WEIR_LOAD_REDIS_COMMAND_H

#include "template.h"

#define REDIS_WORDS_MAX 1024U

struct redis_command {
    struct template *words;
    size_t word_count;
    /* The most bytes that it becomes. */
    size_t size_max;
};

/* 0, or a negative error with one line in why (TEMPLATE_WHY_SIZE), and nothing
 * is owned. A command without exactly one answer is refused. */
int redis_command_parse(const char *text, struct redis_command *ret, char *why);

/* The same, of which nothing is kept. */
int redis_command_check(const char *text, char *why);

/* Bind its words to data, as template_bind() does. */
int redis_command_bind(struct redis_command *self, const struct data *data,
                       char *why);

/* Is it the same for all requests? */
bool redis_command_is_fixed(const struct redis_command *self);

/* Write it out; out has size_max bytes. Returns how many were written. */
size_t redis_command_render(const struct redis_command *self,
                            const struct template_values *values, char *out);

/* Write a command of words as they are; out has room for
 * REDIS_PLAIN_SIZE(count, bytes of all words). */
size_t redis_command_write(const char *const *words, size_t count, char *out);

#define REDIS_HEAD_SIZE 24U /* "$", a number of 20 digits, CR and LF */
#define REDIS_PLAIN_SIZE(count, bytes)                                         \
    (((count) + 1) * (REDIS_HEAD_SIZE + 2) + (bytes))

void redis_command_fini(struct redis_command *self);

#endif
