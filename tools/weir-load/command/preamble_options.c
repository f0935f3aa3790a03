/*
 * Parses the options of the preamble. Their values are stored in order, because
 * a capture applies to the request before it, and parsed once the mode is
 * known. A captured value must be set before the first request that uses it,
 * and must be used.
 */
#include "command.h"

#include "tools/common/console.h"

#include <stdio.h>
#include <string.h>

static bool add_word(void *options, const char *value, bool is_capture,
                     char *why)
{
    struct preamble_words *words =
        &((struct options_reading *)options)->options.preamble_words;

    if (words->count == PREAMBLE_WORDS_MAX) {
        return option_refuse(why, "more than %u", PREAMBLE_WORDS_MAX);
    }
    words->list[words->count].text = value;
    words->list[words->count++].is_capture = is_capture;
    return true;
}

bool preamble_read_request(void *options, const struct option *option,
                           const char *value, char *why)
{
    return add_word(options, value, false, why);
}

bool preamble_read_capture(void *options, const struct option *option,
                           const char *value, char *why)
{
    struct capture capture;

    return capture_parse(value, &capture, why) == 0 &&
           add_word(options, value, true, why);
}

static bool check_places(const struct run_options *options)
{
    const struct preamble *preamble = options->preamble;

    for (size_t i = 0; i < preamble->line_count; i++) {
        const char *name =
            preamble_find_early(preamble, i, preamble->lines[i].kind.line);
        if (name) {
            return say(
                "--preamble: request %zu: {%s} is used before it is captured; "
                "--capture %s=... must follow an earlier request",
                i + 1, name, name);
        }
    }
    for (size_t i = 0; i < template_count_names(); i++) {
        if (!template_name_is_used(i)) {
            return say("--capture: no request uses {%s}", template_name(i));
        }
    }
    return true;
}

bool preamble_settle(struct run_options *options)
{
    const struct preamble_words *words = &options->preamble_words;
    static struct preamble preamble;
    char why[WHY_SIZE];

    if (!words->preamble && !words->capture) {
        return true;
    }
    if (preamble_read(words, options->mode == RUN_MODE_HTTP, &preamble, why) <
        0) {
        return say("%s", why);
    }
    options->preamble = &preamble;
    return check_places(options);
}
