/*
 * A line of the --mix file has a weight and a kind of request.
 * mix_choose() finds a kind with a binary search in the sums of the
 * weights.
 */
#include "request.h"

#include "tools/common/units.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX UINT64_C(1000000000)

/* Parses the weight of a line. Returns 1 if there is none, or 0 if it is
 * invalid. */
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

struct reader {
    struct mix *mix;
    enum request_form form;
};

static int add_line(void *to, const char *line, size_t len, char *why)
{
    const struct reader *reader = to;
    struct mix *mix = reader->mix;
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
    return request_kind_read(&mix->kinds[index], words, reader->form, why);
}

int mix_parse(const char *text, size_t len, enum request_form form,
              struct mix *ret, char *why)
{
    struct request_lines lines = {
        .text = text, .len = len, .is_http = form == REQUEST_HTTP};
    struct reader reader = {.mix = ret, .form = form};

    ret->kind_count = 0;
    if (memchr(text, '\0', len)) {
        return why_refuse(why, -EINVAL, "it has a byte of zero; write \\0");
    }
    int err = request_lines_each(&lines, add_line, &reader, why);
    if (err == 0 && ret->kind_count == 0) {
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

    int err = template_read_file(path, TEMPLATE_SIZE_MAX, &text, &len);
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
