/*
 * A line is cut into words where it lies: each kind owns a copy of its line for
 * that, besides the line itself.
 *
 * Every word is checked as the flag for it would be; what is wrong is told with
 * the number of the line.
 */
#include "mix.h"

#include "http_request.h"
#include "script_request.h"
#include "tools/common/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX UINT64_C(1000000000)

static const char begin_word[] = "begin:";

/* Cut off the first word; what follows the blanks behind it is left. */
static char *take_word(char **text)
{
    char *word = *text;

    *text += strcspn(word, " \t");
    if (**text) {
        *(*text)++ = '\0';
        *text += strspn(*text, " \t");
    }
    return word;
}

/* The weight that a line may begin with; 0: it is wrong. */
static uint64_t take_weight(char **text)
{
    uint64_t weight = 1;

    if (**text < '0' || **text > '9') {
        return weight;
    }
    const char *word = take_word(text);
    return units_parse_count(word, &weight) == 0 && weight <= WEIGHT_MAX
               ? weight
               : 0;
}

static int take_http(char *text, struct mix_kind *kind, char *why)
{
    kind->method = text[0] == '/' ? "GET" : take_word(&text);
    kind->path = take_word(&text);
    kind->body = *text ? text : NULL;
    int err = http_check_method(kind->method, why);
    if (err == 0) {
        err = http_check_path(kind->path, why);
    }
    if (err == 0 && kind->body) {
        err = http_check_body(kind->body, why);
    }
    return err;
}

static int take_script(char *text, struct mix_kind *kind, char *why)
{
    const char *rule = take_word(&text);
    const bool has_begin =
        strncmp(text, begin_word, sizeof(begin_word) - 1) == 0;
    const char *begin =
        has_begin ? take_word(&text) + sizeof(begin_word) - 1 : NULL;

    kind->request = text;
    int err = script_parse_rule(rule, &kind->rule, why);
    if (err == 0 && begin) {
        err = script_parse_begin(begin, &kind->rule, why);
    }
    if (err == 0) {
        err = script_request_check(text, why);
    }
    return err;
}

/* A line that is neither empty nor a comment. */
static int add_line(struct mix *mix, const char *line, size_t len, bool is_http,
                    char *why)
{
    struct mix_kind *kind = &mix->kinds[mix->kind_count];

    if (mix->kind_count == MIX_KINDS_MAX) {
        snprintf(why, TEMPLATE_WHY_SIZE, "more than %u requests",
                 MIX_KINDS_MAX);
        return -E2BIG;
    }
    char *copies = malloc(2 * (len + 1));
    if (!copies) {
        snprintf(why, TEMPLATE_WHY_SIZE, "no memory");
        return -ENOMEM;
    }
    *kind = (struct mix_kind){.line = copies};
    mix->kind_count++;
    char *words = copies + len + 1;
    memcpy(copies, line, len);
    copies[len] = '\0';
    memcpy(words, copies, len + 1);
    const uint64_t weight = take_weight(&words);
    if (weight == 0) {
        snprintf(why, TEMPLATE_WHY_SIZE, "a weight is a number from 1 to 1G");
        return -EINVAL;
    }
    kind->end =
        (mix->kind_count > 1 ? mix->kinds[mix->kind_count - 2].end : 0) +
        weight;
    return is_http ? take_http(words, kind, why)
                   : take_script(words, kind, why);
}

static size_t skip_blanks(const char *text, size_t from, size_t end)
{
    while (from < end && (text[from] == ' ' || text[from] == '\t')) {
        from++;
    }
    return from;
}

/* All lines; the number of the last one is written. */
static int add_lines(struct mix *mix, const char *text, size_t len,
                     bool is_http, unsigned *ret_number, char *why)
{
    int err = 0;

    for (size_t at = 0; at < len && err == 0;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        const size_t next = end + 1;
        const size_t begin = skip_blanks(text, at, end);
        end -= end > begin && text[end - 1] == '\r';
        (*ret_number)++;
        if (end > begin && text[begin] != '#') {
            err = add_line(mix, text + begin, end - begin, is_http, why);
        }
        at = next;
    }
    return err;
}

int mix_parse(const char *text, size_t len, bool is_http, struct mix *ret,
              char *why)
{
    char line_why[TEMPLATE_WHY_SIZE] = "";
    unsigned number = 0;
    int err = -EINVAL;

    _Static_assert(SCRIPT_WHY_SIZE <= TEMPLATE_WHY_SIZE, "one room for both");
    ret->kind_count = 0;
    if (memchr(text, '\0', len)) {
        snprintf(why, MIX_WHY_SIZE, "it has a byte of zero; write \\0");
        return err;
    }
    err = add_lines(ret, text, len, is_http, &number, line_why);
    if (err < 0) {
        snprintf(why, MIX_WHY_SIZE, "line %u: %s", number, line_why);
    } else if (ret->kind_count == 0) {
        snprintf(why, MIX_WHY_SIZE, "there is no request in it");
        err = -EINVAL;
    }
    if (err < 0) {
        mix_fini(ret);
    }
    return err;
}

int mix_read(const char *path, bool is_http, struct mix *ret, char *why)
{
    char *text = NULL;
    size_t len = 0;

    int err = template_read_file(path, &text, &len);
    if (err < 0) {
        snprintf(why, MIX_WHY_SIZE, "%s", strerror(-err));
        return err;
    }
    err = mix_parse(text, len, is_http, ret, why);
    free(text);
    return err;
}

size_t mix_choose(const struct mix *mix, uint64_t random)
{
    const uint64_t sum = mix->kinds[mix->kind_count - 1].end;
    const uint64_t at = random % sum;
    size_t low = 0;
    size_t high = mix->kind_count - 1;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (at < mix->kinds[middle].end) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

void mix_fini(struct mix *mix)
{
    for (size_t i = 0; i < mix->kind_count; i++) {
        free(mix->kinds[i].line);
    }
    mix->kind_count = 0;
}
