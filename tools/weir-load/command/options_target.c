/*
 * Parses the targets of a run. HOST/PATH means http://HOST/PATH. The login
 * of a redis:// URL is removed from the text, because reports show the
 * text.
 */
#include "command.h"

#include "tools/weir-load/target/target.h"

#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 1024

bool options_read_target(void *options, const char *text, char *why)
{
    static char texts[OPTIONS_TARGETS_MAX][TEXT_SIZE];
    struct run_options *run = &((struct options_reading *)options)->options;
    const size_t index = run->target_count;
    size_t at = 0;

    if (index == OPTIONS_TARGETS_MAX) {
        return option_refuse(why, "more than %u targets", OPTIONS_TARGETS_MAX);
    }
    if (url_is_http_place(text) && strlen(text) <= TEXT_SIZE - 8) {
        snprintf(texts[index], TEXT_SIZE, "http://%s", text);
        text = texts[index];
    } else if (redis_url_login_size(text, &at) > 0) {
        if (!redis_url_take_login(text, &run->redis, texts[index], TEXT_SIZE,
                                  why)) {
            return false;
        }
        text = texts[index];
    }
    if (url_parse(text, false, &run->targets[index], why) < 0) {
        return false;
    }
    run->target_count++;
    return true;
}
