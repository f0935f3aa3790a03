/*
 * Compares the bodies of responses with the expected ones. For a regular
 * expression, a body in one piece is matched in place; other bodies are copied
 * to memory that the connection keeps for its next body.
 */
#include "http1.h"
#include "tools/common/units.h"
#include "tools/weir-load/base/base.h"
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_text(const char *text, struct wanted *self, char *why)
{
    char *bytes = malloc(strlen(text) + 1);
    size_t at = 0;

    if (!bytes) {
        return why_no_memory(why);
    }
    const ssize_t len = script_unescape(text, bytes, &at);
    if (len < 0) {
        free(bytes);
        return why_refuse(
            why, -EINVAL,
            "at byte %zu, '%.24s': write \\r \\n \\t \\0 \\\\ or \\xHH",
            sizeof("text:") + at, text + at);
    }
    self->kind = WANTED_BYTES;
    self->bytes = bytes;
    self->len = (size_t)len;
    return 0;
}

static int read_file(const char *path, struct wanted *self, char *why)
{
    const int err =
        template_read_file(path, TEMPLATE_SIZE_MAX, &self->bytes, &self->len);

    self->kind = WANTED_BYTES;
    if (err < 0) {
        return why_refuse(why, err == -ENOMEM ? err : -EINVAL, "%.200s: %s",
                          path, strerror(-err));
    }
    return 0;
}

static int read_size(const char *text, struct wanted *self, char *why)
{
    self->kind = WANTED_SIZE;
    if (units_parse_size(text, &self->size_bytes) < 0) {
        return why_refuse(why, -EINVAL, "'len:%.80s': write len:SIZE", text);
    }
    return 0;
}

static int read_regex(const char *text, struct wanted *self, char *why)
{
    char reason[128];

    self->kind = WANTED_MATCH;
    const int err = regcomp(&self->regex, text, REG_EXTENDED | REG_NOSUB);
    if (err == 0) {
        return 0;
    }
    regerror(err, &self->regex, reason, sizeof(reason));
    return why_refuse(why, -EINVAL, "'re:%.80s': %s", text, reason);
}

static int read_echo(const char *text, struct wanted *self, char *why)
{
    self->kind = WANTED_ECHO;
    if (text[0] != '\0') {
        return why_refuse(why, -EINVAL, "'echo%.80s': write echo alone", text);
    }
    return 0;
}

static const struct {
    const char *word;
    int (*read)(const char *text, struct wanted *self, char *why);
} kinds[] = {
    {"text:", read_text}, {"file:", read_file}, {"len:", read_size},
    {"re:", read_regex},  {"echo", read_echo},
};

#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

/* Returns the index of a value's kind, or KIND_COUNT if it has none. */
static size_t find_kind(const char *text)
{
    size_t at = 0;

    while (at < KIND_COUNT &&
           strncmp(text, kinds[at].word, strlen(kinds[at].word)) != 0) {
        at++;
    }
    return at;
}

bool wanted_is_meant(const char *text)
{
    return find_kind(text) < KIND_COUNT;
}

int wanted_parse(const char *text, struct wanted *ret, char *why)
{
    const size_t at = find_kind(text);
    struct wanted self = {.kind = WANTED_ANY};

    if (at == KIND_COUNT) {
        return why_refuse(why, -EINVAL,
                          "'%.80s': write text:, file:, len:, re: or echo",
                          text);
    }
    const int err = kinds[at].read(text + strlen(kinds[at].word), &self, why);
    if (err == 0) {
        *ret = self;
    }
    return err;
}

void wanted_fini(struct wanted *self)
{
    free(self->bytes);
    if (self->kind == WANTED_MATCH) {
        regfree(&self->regex);
    }
    *self = (struct wanted){.kind = WANTED_ANY};
}

static void compare(struct wanted_reader *reader, struct wanted_bytes want,
                    const uint8_t *data, size_t len)
{
    size_t right = 0;

    if (reader->right_bytes < reader->size_bytes) {
        return;
    }
    const size_t left = want.len - (size_t)reader->right_bytes;
    const size_t most = len < left ? len : left;
    const char *bytes = want.bytes + reader->right_bytes;
    if (most == 0 || memcmp(data, bytes, most) == 0) {
        right = most;
    }
    while (right < most && data[right] == (uint8_t)bytes[right]) {
        right++;
    }
    reader->right_bytes += right;
}

static void append(struct wanted_reader *reader, const uint8_t *data,
                   size_t len)
{
    const size_t wanted_size = reader->kept_len + len;

    if (wanted_size > reader->kept_size) {
        const size_t doubled = 2 * reader->kept_size;
        const size_t size = wanted_size > doubled ? wanted_size : doubled;
        char *kept = realloc(reader->kept, size);
        if (!kept) {
            reader->has_no_memory = true;
            return;
        }
        reader->kept = kept;
        reader->kept_size = size;
    }
    memcpy(reader->kept + reader->kept_len, data, len);
    reader->kept_len += len;
}

void wanted_keep(struct wanted_reader *reader)
{
    if (reader->piece) {
        append(reader, reader->piece, (size_t)reader->size_bytes);
        reader->piece = NULL;
    }
}

void wanted_read(const struct wanted *self, struct wanted_reader *reader,
                 struct wanted_bytes echo, const uint8_t *data, size_t len)
{
    const struct wanted_bytes own = {self->bytes, self->len};

    reader->shown_len = shown_add(reader->shown, sizeof(reader->shown),
                                  reader->shown_len, data, len);
    if (self->kind == WANTED_MATCH &&
        (reader->size_bytes + len > WANTED_KEPT_MAX || reader->has_no_memory)) {
        reader->piece = NULL;
    } else if (self->kind == WANTED_MATCH && reader->size_bytes == 0) {
        reader->piece = data;
    } else if (self->kind == WANTED_MATCH) {
        wanted_keep(reader);
        append(reader, data, len);
    } else if (self->kind != WANTED_SIZE) {
        compare(reader, self->kind == WANTED_ECHO ? echo : own, data, len);
    }
    reader->size_bytes += len;
}

/* Result of re_search() if memory runs out. re_search() is glibc's regexec()
 * for bytes without a NUL at the end. */
#define FOUND_NO_MEMORY (-2)

/* Appends the first bytes of the body to a message. */
static void tell_beginning(const struct wanted_reader *reader, char *detail,
                           size_t size)
{
    static const char words[] = "; it begins with ";
    const size_t at = strlen(detail);
    const size_t next = at + sizeof(words) - 1;

    if (reader->shown_len > 0 && next + WANTED_SHOWN_MAX < size) {
        memcpy(detail + at, words, sizeof(words));
        http_quote(reader->shown, reader->shown_len, detail + next,
                   size - next);
    }
}

static int judge_bytes(const struct wanted_reader *reader, size_t len,
                       char *detail, size_t size)
{
    if (reader->right_bytes == reader->size_bytes &&
        reader->size_bytes == len) {
        return 0;
    }
    if (reader->right_bytes < reader->size_bytes && reader->right_bytes < len) {
        snprintf(detail, size, "byte %llu of the body is wrong",
                 LLU(reader->right_bytes) + 1);
    } else {
        snprintf(detail, size, "a body of %llu bytes, not %zu",
                 LLU(reader->size_bytes), len);
    }
    return ERROR_ANSWER;
}

static int judge_match(const struct wanted *self,
                       const struct wanted_reader *reader, char *detail,
                       size_t size)
{
    const char *body =
        reader->piece ? (const char *)reader->piece : reader->kept;
    const regoff_t len = (regoff_t)reader->size_bytes;
    regoff_t at = FOUND_NO_MEMORY;

    if (reader->size_bytes > WANTED_KEPT_MAX) {
        snprintf(detail, size,
                 "a body of %llu bytes; re: is applied to at most %u",
                 LLU(reader->size_bytes), WANTED_KEPT_MAX);
        return ERROR_BODY_SIZE;
    }
    if (!reader->has_no_memory) {
        at = re_search((regex_t *)&self->regex, body ? body : "", len, 0, len,
                       NULL);
    }
    if (at == FOUND_NO_MEMORY) {
        snprintf(detail, size, "no memory for a body of %llu bytes",
                 LLU(reader->size_bytes));
        return ERROR_BODY_SIZE;
    }
    if (at < 0) {
        snprintf(detail, size, "a body of %llu bytes does not match",
                 LLU(reader->size_bytes));
        return ERROR_ANSWER;
    }
    return 0;
}

int wanted_judge(const struct wanted *self, const struct wanted_reader *reader,
                 struct wanted_bytes echo, char *detail, size_t size)
{
    int code = 0;

    switch (self->kind) {
    case WANTED_BYTES:
        code = judge_bytes(reader, self->len, detail, size);
        break;
    case WANTED_ECHO:
        code = judge_bytes(reader, echo.len, detail, size);
        break;
    case WANTED_SIZE:
        if (reader->size_bytes != self->size_bytes) {
            snprintf(detail, size, "a body of %llu bytes, not %llu",
                     LLU(reader->size_bytes), LLU(self->size_bytes));
            code = ERROR_ANSWER;
        }
        break;
    case WANTED_MATCH:
        code = judge_match(self, reader, detail, size);
        break;
    default:
        break;
    }
    if (code < 0) {
        tell_beginning(reader, detail, size);
    }
    return code;
}

void wanted_begin(struct wanted_reader *reader)
{
    reader->size_bytes = 0;
    reader->right_bytes = 0;
    reader->shown_len = 0;
    reader->piece = NULL;
    reader->kept_len = 0;
    reader->has_no_memory = false;
}

void wanted_drop(struct wanted_reader *reader)
{
    free(reader->kept);
    *reader = (struct wanted_reader){.size_bytes = 0};
}
