/*
 * The words of a run are not understood here: the run itself refuses what it
 * does not know, with a line of its own.
 *
 * A word behind an unknown flag may be its value and is never looked at as a
 * flag of the table, unless it begins with a '-'.
 */
#include "words.h"

#include "tools/common/console.h"

#include <string.h>

/* Is this word the flag? The value behind its '=' is NULL if there is none. */
static bool is_flag(const char *word, const char *name, char letter,
                    const char **ret_value)
{
    size_t len = strlen(name);

    *ret_value = NULL;
    if (letter && word[0] == '-' && word[1] == letter) {
        *ret_value = word[2] ? word + 2 : NULL;
        return true;
    }
    if (strncmp(word, "--", 2) != 0 || strncmp(word + 2, name, len) != 0) {
        return false;
    }
    if (word[2 + len] == '=') {
        *ret_value = word + 2 + len + 1;
        return true;
    }
    return word[2 + len] == '\0';
}

static const struct words_flag *find(const struct words_flag *table,
                                     const char *word, const char **ret_value)
{
    for (; table->name; table++) {
        if (is_flag(word, table->name, table->letter, ret_value)) {
            return table;
        }
    }
    return NULL;
}

bool words_append(struct words *words, const char *word)
{
    if (words->count == WORDS_MAX) {
        say("more than %u words", WORDS_MAX);
        return false;
    }
    words->list[words->count++] = word;
    return true;
}

bool words_take(const struct words_flag *table, void *options, int argc,
                char **argv, int first, struct words *ret_rest)
{
    ret_rest->count = 0;
    for (int i = first; i < argc; i++) {
        const char *value = NULL;
        const struct words_flag *flag = find(table, argv[i], &value);
        if (!flag) {
            if (!words_append(ret_rest, argv[i])) {
                return false;
            }
            continue;
        }
        if (flag->value == WORDS_NO_VALUE && value) {
            say("--%s takes no value", flag->name);
            return false;
        }
        if (flag->value == WORDS_VALUE && !value) {
            if (++i == argc) {
                say("--%s needs a value", flag->name);
                return false;
            }
            value = argv[i];
        }
        if (!flag->read(options, flag->name, value)) {
            return false;
        }
    }
    return true;
}

bool words_has_flag(const struct words *words, const char *name, char letter)
{
    const char *value = NULL;

    for (size_t i = 0; i < words->count; i++) {
        if (is_flag(words->list[i], name, letter, &value)) {
            return true;
        }
    }
    return false;
}
