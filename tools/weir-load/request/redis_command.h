/*
 * A Redis command as people type it and as it is sent: arguments separated by
 * blanks, each a template (template.h), are sent as an array of strings.
 *
 *     SET key{rand:1:1000} "two words\n"
 *
 * Quotes and escapes are as in redis-cli: "..." may have \n \r \t \a \b \xHH \"
 * and \\, '...' only \'.
 */
#ifndef WEIR_LOAD_REDIS_COMMAND_H
#define WEIR_LOAD_REDIS_COMMAND_H

#include "template.h"

#define REDIS_WORDS_MAX 1024U

struct redis_command {
    struct template *words;
    size_t word_count;
    size_t size_max;
};

/* Parses a command. Returns 0, or a negative error with one line in @why
 * (WHY_SIZE); then nothing is owned. Commands that do not have exactly
 * one answer are refused. */
int redis_command_parse(const char *text, struct redis_command *ret, char *why);

int redis_command_check(const char *text, char *why);

int redis_command_bind(struct redis_command *self, const struct data *data,
                       char *why);

bool redis_command_is_fixed(const struct redis_command *self);

/* Writes the command; @out has size_max bytes. Returns the number of bytes. */
size_t redis_command_render(const struct redis_command *self,
                            const struct template_values *values, char *out);

/* Writes a command of fixed arguments; @out has REDIS_PLAIN_SIZE(count, bytes
 * of all arguments) bytes. */
size_t redis_command_write(const char *const *words, size_t count, char *out);

#define REDIS_HEAD_SIZE 24U /* "$", a number of 20 digits, CR and LF */
#define REDIS_PLAIN_SIZE(count, bytes)                                         \
    (((count) + 1) * (REDIS_HEAD_SIZE + 2) + (bytes))

void redis_command_fini(struct redis_command *self);

#endif
