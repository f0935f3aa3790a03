/*
 * A secret is shown as stars, as many as it has bytes. In the environment each
 * word that has one stands as PLACE:SIZE:WORD, one behind the other.
 *
 * What looks like a login is hidden, whatever option it belongs to.
 */
#include "secret_words.h"

#include "preamble.h"
#include "redis_url.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE "WEIR_LOAD_WORDS"

/* A place and a size as they stand there. */
#define NUMBERS_SIZE 48U

/* ---- where secrets are ---- */

static bool is_of_scheme(char c)
{
    return isalnum((unsigned char)c) || strchr("+-.", c) != NULL;
}

/* Of a URL that begins here. */
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

/* The first login from a place on. */
static size_t find_url(const char *word, size_t from, size_t *ret_at)
{
    for (size_t i = from; word[i]; i++) {
        const bool is_begin = i == 0 || !is_of_scheme(word[i - 1]);
        const size_t size = is_begin ? find_login(word + i, ret_at) : 0;
        if (size > 0) {
            *ret_at += i;
            return size;
        }
    }
    return 0;
}

/* The text of a preamble, also in flags of ab for one side. */
static const char *find_preamble(char **argv, int at)
{
    static const char flag[] = "--preamble";
    const char *inner = strstr(argv[at], flag);

    return inner && inner > argv[at] ? inner + sizeof(flag) - 1
                                     : preamble_find_secret(argv, at);
}

size_t secret_words_find(char **argv, int at, size_t *ret_at)
{
    const char *secret = find_preamble(argv, at);

    if (secret && *secret) {
        *ret_at = (size_t)(secret - argv[at]);
        return strlen(secret);
    }
    return find_url(argv[at], 0, ret_at);
}

/* Write stars over all secrets of a word, which has them also in @text. */
static void cover(char **argv, int at, char *text)
{
    const char *secret = find_preamble(argv, at);
    size_t from = 0;
    size_t place = 0;
    size_t size = 0;

    if (secret) {
        memset(text + (secret - argv[at]), '*', strlen(secret));
        return;
    }
    while ((size = find_url(argv[at], from, &place)) > 0) {
        memset(text + place, '*', size - 1);
        from = place + size;
    }
}

/* ---- the process itself ---- */

/* The words of the environment take the place of those with stars. */
static void take_passed(int argc, char **words)
{
    const char *text = getenv(VARIABLE);

    while (text && *text) {
        char *rest = NULL;
        const unsigned long place = strtoul(text, &rest, 10);
        const unsigned long size =
            *rest == ':' ? strtoul(rest + 1, &rest, 10) : 0;
        if (*rest != ':' || place >= (unsigned long)argc ||
            strlen(rest + 1) < size) {
            break;
        }
        char *word = strndup(rest + 1, size);
        if (word) {
            words[place] = word;
        }
        text = rest + 1 + size;
    }
    unsetenv(VARIABLE);
}

char **secret_words_take(int argc, char **argv)
{
    static char **kept; /* until the process ends */
    char **words = calloc((size_t)argc + 1, sizeof(*words));
    size_t at = 0;

    if (!words) {
        return argv;
    }
    kept = words;
    memcpy(words, argv, (size_t)argc * sizeof(*words));
    for (int i = 1; i < argc; i++) {
        char *copy =
            secret_words_find(argv, i, &at) > 0 ? strdup(argv[i]) : NULL;
        words[i] = copy ? copy : argv[i];
    }
    for (int i = 1; i < argc; i++) {
        if (words[i] != argv[i]) {
            cover(words, i, argv[i]);
        }
    }
    take_passed(argc, words);
    return kept;
}

/* ---- a child ---- */

static int add_copy(struct secret_words *self, char **argv, int at,
                    size_t *passed_len)
{
    char *copy = strdup(argv[at]);
    const size_t size = strlen(argv[at]);
    const size_t room = *passed_len + NUMBERS_SIZE + size + 1;

    if (!copy) {
        return -ENOMEM;
    }
    self->copies[self->copy_count++] = copy;
    cover(argv, at, copy);
    self->argv[at] = copy;
    char *passed = realloc(self->passed, room);
    if (!passed) {
        return -ENOMEM;
    }
    self->passed = passed;
    *passed_len += (size_t)snprintf(passed + *passed_len, room - *passed_len,
                                    "%d:%zu:%s", at, size, argv[at]);
    return 0;
}

/* The process's own, and that variable; NULL where nothing is hidden. */
static int add_env(struct secret_words *self)
{
    size_t count = 0;

    if (self->copy_count == 0) {
        return 0;
    }
    while (environ[count]) {
        count++;
    }
    self->env = calloc(count + 2, sizeof(*self->env));
    if (!self->env) {
        return -ENOMEM;
    }
    memcpy(self->env, environ, count * sizeof(*self->env));
    self->env[count] = self->passed;
    return 0;
}

int secret_words_hide(const char *const *argv, size_t count,
                      struct secret_words *ret)
{
    static const char begin[] = VARIABLE "=";
    size_t len = sizeof(begin) - 1;
    size_t at = 0;
    int err = 0;

    *ret = (struct secret_words){
        .argv = calloc(count + 1, sizeof(*ret->argv)),
        .passed = strdup(begin),
        .copies = calloc(count, sizeof(*ret->copies)),
    };
    if (!ret->argv || !ret->passed || !ret->copies) {
        return -ENOMEM;
    }
    memcpy(ret->argv, argv, count * sizeof(*ret->argv));
    for (size_t i = 1; i < count && err == 0; i++) {
        if (secret_words_find((char **)argv, (int)i, &at) > 0) {
            err = add_copy(ret, (char **)argv, (int)i, &len);
        }
    }
    return err < 0 ? err : add_env(ret);
}

void secret_words_drop(struct secret_words *self)
{
    for (size_t i = 0; i < self->copy_count; i++) {
        free(self->copies[i]);
    }
    free(self->copies);
    free(self->passed);
    free(self->argv);
    free(self->env);
}
