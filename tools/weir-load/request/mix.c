/*
 * Lines are counted for error messages. mix_choose()
 * finds a kind with a binary search in the sums of the
 * weights.
 */
#include "request.h"

#include "tools/common/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX UINT64_C(1000000000)

/* Reads the optional weight of a line. Returns 0 if it is invalid. */
static uint64_t take_weight(char **text)
{
    uint64_t weight = 1;

    if (**text < '0' || **text > '9') {
        return weight;
    }
    const char *word = request_kind_take_word(text);
    return units_parse_count(word, &weight) == 0 && weight <= WEIGHT_MAX
               ? weight
               : 0;
}

static int add_line(struct mix *mix, const char *line, size_t len,
                    enum request_form form, char *why)
{
    const size_t index = mix->kind_count;

    if (index == MIX_KINDS_MAX) {
        return why_refuse(why, -E2BIG, "more than %u requests", MIX_KINDS_MAX);
    }
    char *words = request_kind_keep(&mix->kinds[index], line, len);
    if (!words) {
        return why_no_memory(why);
    }
    mix->kind_count++;
    const uint64_t weight = take_weight(&words);
    if (weight == 0) {
        return why_refuse(why, -EINVAL, "a weight is a number from 1 to 1G");
    }
    mix->ends[index] = (index > 0 ? mix->ends[index - 1] : 0) + weight;
    return request_kind_read(&mix->kinds[index], words, form, why);
}

static size_t skip_blanks(const char *text, size_t from, size_t end)
{
    while (from < end && (text[from] == ' ' || text[from] == '\t')) {
        from++;
    }
    return from;
}

static int add_lines(struct mix *mix, const char *text, size_t len,
                     enum request_form form, unsigned *ret_number, char *why)
{
    int err = 0;

    for (size_t at = 0; at < len && err == 0;) {
        const char *newline = memchr(text + at, '\n', len - at);
        size_t end = newline ? (size_t)(newline - text) : len;
        const size_t begin = skip_blanks(text, at, end);
        const bool is_request =
            end > begin && text[begin] != '\r' && text[begin] != '#';
        unsigned below = 0;
        (*ret_number)++;
        if (is_request && form == REQUEST_HTTP) {
            end = request_kind_find_end(text, end, len, &below);
        }
        at = end + 1;
        end -= end > begin && text[end - 1] == '\r';
        if (is_request) {
            err = add_line(mix, text + begin, end - begin, form, why);
        }
        *ret_number += err < 0 ? 0 : below;
    }
    return err;
}

int mix_parse(const char *text, size_t len, enum request_form form,
              struct mix *ret, char *why)
{
    char line_why[WHY_SIZE] = "";
    unsigned number = 0;
    int err = -EINVAL;

    ret->kind_count = 0;
    if (memchr(text, '\0', len)) {
        return why_refuse(why, err, "it has a byte of zero; write \\0");
    }
    err = add_lines(ret, text, len, form, &number, line_why);
    if (err < 0) {
        why_refuse(why, err, "line %u: %s", number, line_why);
    } else if (ret->kind_count == 0) {
        err = why_refuse(why, -EINVAL, "there is no request in it");
    }
    if (err < 0) {
        mix_fini(ret);
    }
    return err;
}

int mix_read(const char *path, enum request_form form, struct mix *ret,
             char *why)
{
    char *text = NULL;
    size_t len = 0;

    int err = template_read_file(path, &text, &len);
    if (err < 0) {
        return why_refuse(why, err, "%s", strerror(-err));
    }
    err = mix_parse(text, len, form, ret, why);
    free(text);
    return err;
}

size_t mix_choose(const struct mix *mix, uint64_t random)
{
    const uint64_t sum = mix->ends[mix->kind_count - 1];
    const uint64_t at = random % sum;
    size_t low = 0;
    size_t high = mix->kind_count - 1;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (at < mix->ends[middle]) {
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
        request_kind_fini(&mix->kinds[i]);
    }
    mix->kind_count = 0;
}
