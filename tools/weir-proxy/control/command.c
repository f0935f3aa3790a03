/*
 * Table of commands, and the parser of a line.
 *
 * Lines with control characters are refused first, because the response to an
 * unknown command repeats the line.
 */
#include "command.h"

#include "tools/common/option.h"
#include "tools/common/units.h"
#include "tools/weir-proxy/runtime/orders.h"

#include <string.h>

#define WORDS_MAX 4

const struct command_row command_rows[COMMANDS] = {
    [COMMAND_HELP] = {"help", "", "print these commands"},
    [COMMAND_STATUS] = {"status", "", "print a line for each target"},
    [COMMAND_FACTS] = {"facts", "", "print the active configuration"},
    [COMMAND_RELOAD] = {"reload", "", "read the configuration again"},
    [COMMAND_WEIGHT] = {"weight", "TARGET N",
                        "set its share of new connections, 0 to 256"},
    [COMMAND_DRAIN] = {"drain", "TARGET",
                       "send it no new connections; existing ones continue"},
    [COMMAND_DISABLE] = {"disable", "TARGET",
                         "as drain, but without checks, for maintenance"},
    [COMMAND_READY] = {"ready", "TARGET",
                       "use it as configured, after any of these"},
    [COMMAND_UP] = {"up", "TARGET",
                    "set it to up, until its checks find it down again"},
    [COMMAND_CUT] = {"cut", "TARGET", "reset its connections"},
};

struct words {
    char text[COMMAND_LINE_MAX + 1];
    const char *all[WORDS_MAX];
    size_t count;
};

static bool split(const char *text, size_t len, struct words *ret)
{
    const char *between = memchr(text, '\t', len) ? "\t" : " ";
    char *rest = ret->text;
    char *word;

    memcpy(ret->text, text, len);
    ret->text[len] = '\0';
    ret->count = 0;
    while ((word = strsep(&rest, between)) != NULL) {
        if (word[0] == '\0') {
            continue;
        }
        if (ret->count == WORDS_MAX) {
            return false;
        }
        ret->all[ret->count++] = word;
    }
    return true;
}

static bool is_text(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 127) {
            return false;
        }
    }
    return true;
}

static bool find_kind(const char *name, enum command_kind *ret, char *why)
{
    const char *like = NULL;
    size_t least = 3;

    for (int i = 0; i < COMMANDS; i++) {
        const size_t distance = option_distance(name, command_rows[i].name);
        if (distance == 0) {
            *ret = (enum command_kind)i;
            return true;
        }
        if (distance < least) {
            least = distance;
            like = command_rows[i].name;
        }
    }
    return option_refuse(why, "unknown command '%.60s'%s%s%s", name,
                         like ? "; did you mean '" : "; 'help' lists them",
                         like ? like : "", like ? "'?" : "");
}

static size_t count_words(enum command_kind kind)
{
    return kind == COMMAND_WEIGHT ? 3 : kind >= COMMAND_WEIGHT ? 2 : 1;
}

bool command_read(const char *text, size_t len, struct command *ret, char *why)
{
    struct words words;
    uint64_t weight = 0;

    *ret = (struct command){.weight = 0};
    if (len > COMMAND_LINE_MAX) {
        return option_refuse(why, "it has more than %u bytes",
                             COMMAND_LINE_MAX);
    }
    if (!is_text(text, len)) {
        return option_refuse(why, "it has bytes that are not text");
    }
    if (!split(text, len, &words) || words.count == 0) {
        return option_refuse(why, "it is not a command; 'help' lists them");
    }
    if (!find_kind(words.all[0], &ret->kind, why)) {
        return false;
    }
    if (words.count != count_words(ret->kind)) {
        return option_refuse(why, "it is '%s%s%s'",
                             command_rows[ret->kind].name,
                             command_rows[ret->kind].words[0] ? " " : "",
                             command_rows[ret->kind].words);
    }
    if (words.count > 1 && strlen(words.all[1]) >= sizeof(ret->target)) {
        return option_refuse(why, "the target's name is too long");
    }
    if (words.count > 1) {
        memcpy(ret->target, words.all[1], strlen(words.all[1]) + 1);
    }
    if (words.count > 2 && (units_parse_count(words.all[2], &weight) < 0 ||
                            weight > ORDER_WEIGHT_MAX)) {
        return option_refuse(why, "'%.60s' is not a weight from 0 to %u",
                             words.all[2], ORDER_WEIGHT_MAX);
    }
    ret->weight = (uint32_t)weight;
    return true;
}

const char *command_short_name(const char *target)
{
    const char *scheme = strstr(target, "://");

    if (scheme) {
        return scheme + 3;
    }
    scheme = strstr(target, "unix:");
    return scheme ? scheme + 5 : target;
}

bool command_is_about(const struct command *command, const char *service,
                      const char *target)
{
    const size_t len = strlen(service);
    const char *name = command->target;

    if (strncmp(name, "*/", 2) == 0) {
        name += 2;
    } else if (strncmp(name, service, len) == 0 && name[len] == '/') {
        name += len + 1;
    } else {
        return false;
    }
    return strcmp(name, target) == 0 ||
           strcmp(name, command_short_name(target)) == 0;
}
