/*
 * Parses a Redis command, and renders it for each request. An argument is
 * rendered after space for the longest head, and then moved to the end of its
 * head. Each argument has a different seed, because templates number their
 * placeholders from 0.
 */
#include "request.h"

#include "tools/load/payload.h"
#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Commands with no answer or with several. */
static const char *const strangers[] = {
    "SUBSCRIBE",    "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
    "SUNSUBSCRIBE", "MONITOR",    "SYNC",       "PSYNC",
};

/* Commands that end the connection or have no answer. */
static const char *const endings[] = {"QUIT", "SHUTDOWN", "REPLCONF"};

static int refuse(const char *text, size_t at, const char *reason, char *why)
{
    return why_refuse(why, -EINVAL, "at byte %zu, '%.24s': %s", at + 1,
                      text + at, reason);
}

/* Parses an escape in "...", after the backslash. Returns its length. */
static size_t read_escape(const char *text, char *ret)
{
    static const char names[] = "nrtba";
    static const char bytes[] = "\n\r\t\b\a";
    const int byte = text[0] == 'x' ? hex_pair(text + 1) : -1;

    if (byte >= 0) {
        *ret = (char)byte;
        return 3;
    }
    const char *name = strchr(names, text[0]);
    *ret = name ? bytes[name - names] : text[0];
    return 1;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Parses quoted text. text[*at] is the first character after the quote. */
static int read_quoted(const char *text, size_t *at, char *out, size_t *len,
                       char *why)
{
    const size_t begin = *at - 1;
    const char quote = text[begin];

    while (text[*at] != quote) {
        if (text[*at] == '\0') {
            return refuse(text, begin, "the quote is not closed", why);
        }
        if (text[*at] == '\\' && quote == '"' && text[*at + 1] != '\0') {
            *at += 1 + read_escape(text + *at + 1, &out[(*len)++]);
        } else if (text[*at] == '\\' && text[*at + 1] == quote) {
            out[(*len)++] = quote;
            *at += 2;
        } else {
            out[(*len)++] = text[(*at)++];
        }
    }
    (*at)++;
    return text[*at] == '\0' || is_space(text[*at])
               ? 0
               : refuse(text, *at, "a space is missing after the quote", why);
}

static int read_word(const char *text, size_t *at, char *out, size_t *ret_len,
                     char *why)
{
    size_t len = 0;
    int err = 0;

    while (err == 0 && text[*at] != '\0' && !is_space(text[*at])) {
        if (text[*at] == '"' || text[*at] == '\'') {
            (*at)++;
            err = read_quoted(text, at, out, &len, why);
        } else {
            out[len++] = text[(*at)++];
        }
    }
    *ret_len = len;
    return err;
}

static int add_word(struct redis_command *self, const char *bytes, size_t len,
                    char *why)
{
    if (self->word_count == REDIS_WORDS_MAX) {
        return why_refuse(why, -E2BIG, "more than %u words", REDIS_WORDS_MAX);
    }
    struct template *word =
        request_append(&self->words, &self->word_count, sizeof(*word));
    const int err = word ? template_parse(bytes, len, word, why) : -ENOMEM;
    if (err < 0) {
        return err;
    }
    self->size_max += word->size_max + REDIS_HEAD_SIZE + 2;
    if (self->size_max > TEMPLATE_SIZE_MAX) {
        return why_refuse(why, -E2BIG, "it may be larger than 64M");
    }
    return 0;
}

static int add_words(struct redis_command *self, const char *text, char *room,
                     char *why)
{
    size_t at = 0;
    int err = 0;

    while (err == 0) {
        size_t len = 0;
        while (is_space(text[at])) {
            at++;
        }
        if (text[at] == '\0') {
            break;
        }
        err = read_word(text, &at, room, &len, why);
        if (err == 0) {
            err = add_word(self, room, len, why);
        }
    }
    return err;
}

static bool is_one_of(const struct template *word, const char *const *names,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (word->len == strlen(names[i]) &&
            strncasecmp(word->bytes, names[i], word->len) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_one_answer(const struct redis_command *self)
{
    const struct template *first = &self->words[0];
    const struct template *second = &self->words[1];

    if (is_one_of(first, strangers, sizeof(strangers) / sizeof(strangers[0]))) {
        return false;
    }
    return !(self->word_count > 1 && first->len == 6 && second->len == 5 &&
             strncasecmp(first->bytes, "CLIENT", 6) == 0 &&
             strncasecmp(second->bytes, "REPLY", 5) == 0);
}

int redis_command_parse(const char *text, struct redis_command *ret, char *why)
{
    struct redis_command self = {.size_max = REDIS_HEAD_SIZE};
    char *room = malloc(strlen(text) + 1);

    why_no_memory(why);
    int err = room ? add_words(&self, text, room, why) : -ENOMEM;
    free(room);
    if (err == 0 && self.word_count == 0) {
        err = why_refuse(why, -EINVAL, "it is empty");
    }
    if (err == 0 && !has_one_answer(&self)) {
        err = why_refuse(why, -EINVAL, "%.*s does not have exactly one answer",
                         (int)self.words[0].len, self.words[0].bytes);
    }
    if (err == 0 && is_one_of(&self.words[0], endings,
                              sizeof(endings) / sizeof(endings[0]))) {
        err = why_refuse(why, -EINVAL,
                         "%.*s ends the connection, or has no answer",
                         (int)self.words[0].len, self.words[0].bytes);
    }
    if (err < 0) {
        redis_command_fini(&self);
        return err;
    }
    *ret = self;
    return 0;
}

int redis_command_check(const char *text, char *why)
{
    struct redis_command command;

    const int err = redis_command_parse(text, &command, why);
    if (err == 0) {
        redis_command_fini(&command);
    }
    return err;
}

int redis_command_bind(struct redis_command *self, const struct data *data,
                       char *why)
{
    int err = 0;

    self->size_max = REDIS_HEAD_SIZE;
    for (size_t i = 0; i < self->word_count && err == 0; i++) {
        err = template_bind(&self->words[i], data, TEMPLATE_IN_BODY, why);
        self->size_max += self->words[i].size_max + REDIS_HEAD_SIZE + 2;
    }
    return err;
}

bool redis_command_is_fixed(const struct redis_command *self)
{
    for (size_t i = 0; i < self->word_count; i++) {
        if (!template_is_fixed(&self->words[i])) {
            return false;
        }
    }
    return true;
}

static size_t write_head(char type, size_t number, char *out)
{
    char head[REDIS_HEAD_SIZE + 1];
    const int len = snprintf(head, sizeof(head), "%c%zu\r\n", type, number);

    memcpy(out, head, (size_t)len);
    return (size_t)len;
}

size_t redis_command_render(const struct redis_command *self,
                            const struct template_values *values, char *out)
{
    struct template_values own = *values;
    size_t at = write_head('*', self->word_count, out);

    for (size_t i = 0; i < self->word_count; i++) {
        char *room = out + at + REDIS_HEAD_SIZE;
        own.seed = i == 0 ? values->seed : payload_mix(values->seed + i);
        const size_t len = template_render(&self->words[i], &own, room);
        at += write_head('$', len, out + at);
        memmove(out + at, room, len);
        at += len;
        memcpy(out + at, "\r\n", 2);
        at += 2;
    }
    return at;
}

size_t redis_command_write(const char *const *words, size_t count, char *out)
{
    size_t at = write_head('*', count, out);

    for (size_t i = 0; i < count; i++) {
        const size_t len = strlen(words[i]);
        at += write_head('$', len, out + at);
        at += (size_t)sprintf(out + at, "%s\r\n", words[i]);
    }
    return at;
}

void redis_command_fini(struct redis_command *self)
{
    for (size_t i = 0; i < self->word_count; i++) {
        template_fini(&self->words[i]);
    }
    free(self->words);
    *self = (struct redis_command){.word_count = 0};
}
