/*
 * A line is cut into words where it lies: a kind owns a copy of its line for
 * that, besides the line itself.
 *
 * Every word is checked as the flag for it would be.
 */
#include "request_kind.h"

#include "http_request.h"
#include "script_request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char begin_word[] = "begin:";

char *request_kind_keep(struct request_kind *kind, const char *line, size_t len)
{
    char *copies = malloc(2 * (len + 1));

    *kind = (struct request_kind){.line = copies};
    if (!copies) {
        return NULL;
    }
    char *words = copies + len + 1;
    memcpy(copies, line, len);
    copies[len] = '\0';
    memcpy(words, copies, len + 1);
    return words;
}

char *request_kind_take_word(char **text)
{
    char *word = *text;

    *text += strcspn(word, " \t");
    if (**text) {
        *(*text)++ = '\0';
        *text += strspn(*text, " \t");
    }
    return word;
}

static int read_http(struct request_kind *kind, char *text, char *why)
{
    kind->method = text[0] == '/' ? "GET" : request_kind_take_word(&text);
    kind->path = request_kind_take_word(&text);
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

static int read_script(struct request_kind *kind, char *text, char *why)
{
    const char *rule = request_kind_take_word(&text);
    const bool has_begin =
        strncmp(text, begin_word, sizeof(begin_word) - 1) == 0;
    const char *begin =
        has_begin ? request_kind_take_word(&text) + sizeof(begin_word) - 1
                  : NULL;

    _Static_assert(SCRIPT_WHY_SIZE <= TEMPLATE_WHY_SIZE, "one room for both");
    kind->request = text;
    kind->rule = malloc(sizeof(*kind->rule));
    if (!kind->rule) {
        snprintf(why, TEMPLATE_WHY_SIZE, "no memory");
        return -ENOMEM;
    }
    int err = script_parse_rule(rule, kind->rule, why);
    if (err == 0 && begin) {
        err = script_parse_begin(begin, kind->rule, why);
    }
    if (err == 0) {
        err = script_request_check(text, why);
    }
    return err;
}

int request_kind_read(struct request_kind *kind, char *words, bool is_http,
                      char *why)
{
    return is_http ? read_http(kind, words, why)
                   : read_script(kind, words, why);
}

void request_kind_fini(struct request_kind *kind)
{
    free(kind->line);
    free(kind->rule);
}
