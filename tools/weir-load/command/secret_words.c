/*
 * Any text that looks like a login counts as one, in any option. The text of a
 * preamble may have a password anywhere, so all of it is secret, unless it is
 * the name of a file.
 */
#include "command.h"

#include "tools/common/console.h"
#include "tools/weir-load/request/request.h"
#include "tools/weir-load/target/target.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_of_scheme(char c)
{
    return isalnum((unsigned char)c) || strchr("+-.", c) != NULL;
}

static size_t find_login(const char *text, size_t *ret_at)
{
    const char *place = text;
    const size_t hidden = redis_url_hidden_size(text, ret_at);

    if (hidden > 0 || !isalpha((unsigned char)*text)) {
        return hidden;
    }
    while (*place && is_of_scheme(*place)) {
        place++;
    }
    if (strncmp(place, "://", 3) != 0) {
        return 0;
    }
    place += 3;
    const char *end = memrchr(place, '@', strcspn(place, "/?# \t\r\n"));
    *ret_at = (size_t)(place - text);
    return end ? (size_t)(end - place) + 1 : 0;
}

/* Finds the first secret in argv[at]. Returns its size, or 0 if there is none.
 * Sets *ret_at to its offset. A login includes its '@'. */
static size_t find_secret(char **argv, int at, size_t *ret_at)
{
    static const char flag[] = "--preamble";
    const char *word = argv[at];
    const char *inner = strstr(word, flag); /* as in --a-flags of ab */
    const char *secret = inner && inner > word ? inner + sizeof(flag) - 1
                                               : preamble_find_secret(argv, at);

    if (secret && *secret) {
        *ret_at = (size_t)(secret - word);
        return strlen(secret);
    }
    for (size_t i = 0; word[i]; i++) {
        const bool is_begin = i == 0 || !is_of_scheme(word[i - 1]);
        const size_t size = is_begin ? find_login(word + i, ret_at) : 0;
        if (size > 0) {
            *ret_at += i;
            return size;
        }
    }
    return 0;
}

char *secret_words_strip(char **argv, int at)
{
    const char *secret = preamble_find_secret(argv, at);
    char *word = NULL;
    size_t from = 0;
    size_t size = 0;

    if (secret) {
        const size_t len = (size_t)(secret - argv[at]);
        word = malloc(len + sizeof("..."));
        if (word) {
            memcpy(word, argv[at], len);
            memcpy(word + len, "...", sizeof("..."));
        }
        return word;
    }
    word = strdup(argv[at]);
    while (word && (size = find_secret(&word, 0, &from)) > 0) {
        memmove(word + from, word + from + size,
                strlen(word + from + size) + 1);
    }
    return word;
}

void secret_words_warn(int argc, char **argv)
{
    size_t at = 0;

    for (int i = 1; i < argc; i++) {
        if (find_secret(argv, i, &at) > 0) {
            say("warning: other users of this machine can read the login on "
                "this command line; keep it in REDISCLI_AUTH, or in a file: "
                "--preamble @FILE");
            return;
        }
    }
}
