/*
 * Values whose meaning is plain and whose form is not that of weir-load.
 *
 * Each is looked at again here: a row says what is meant, and these say how it
 * is written.
 */
#include "foreign_value.h"

#include "conn_stages.h"
#include "url.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define VALUE_SIZE 1024

/* ---- what they look like ---- */

/* 1,000 or 1_000,000: a digit or more, and then groups of three. */
bool foreign_is_grouped(const char *value, char *const *words)
{
    size_t len = value ? strspn(value, "0123456789") : 0;

    (void)words;
    if (len == 0 || len > 3 || !value[len]) {
        return false;
    }
    for (value += len; *value; value += 4) {
        if ((*value != ',' && *value != '_') ||
            strspn(value + 1, "0123456789") != 3) {
            return false;
        }
    }
    return true;
}

/* NAME=VALUE, as autocannon writes headers. */
bool foreign_is_equated(const char *value, char *const *words)
{
    const size_t len = value ? strcspn(value, "=: \t") : 0;

    (void)words;
    return len > 0 && value[len] == '=' && value[len + 1];
}

bool foreign_is_lower_method(const char *value, char *const *words)
{
    static const char *const methods[] = {"get",    "head",  "post",   "put",
                                          "delete", "patch", "options"};

    (void)words;
    for (size_t i = 0; value && i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(value, methods[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* A figure of k6: p(95)<500. */
bool foreign_is_threshold(const char *value, char *const *words)
{
    (void)words;
    return value && strncmp(value, "p(", 2) == 0 && strchr(value, ')');
}

/* A URL with its slashes lost: http:HOST, http:/HOST, http//HOST. */
bool foreign_is_broken_url(const char *value, char *const *words)
{
    const char *rest = value;

    (void)words;
    if (strncasecmp(value, "http", 4) != 0) {
        return false;
    }
    rest += 4 + (tolower((unsigned char)rest[4]) == 's');
    const size_t colons = strspn(rest, ":");
    const size_t slashes = strspn(rest + colons, "/");
    rest += colons + slashes;
    return (colons == 1 ? slashes != 2 : colons == 0 && slashes > 0) && *rest &&
           (slashes < 3 || (slashes == 3 && url_lacks_scheme(rest)));
}

bool foreign_is_port(const char *value, char *const *words)
{
    const char *number = value && *value == ':' ? value + 1 : value;
    const size_t len = number ? strspn(number, "0123456789") : 0;

    (void)words;
    return len > 1 && len < 6 && (!number[len] || number[len] == '/');
}

/* The value of --port, or NULL. */
static const char *find_port(char *const *words)
{
    for (; *words; words++) {
        if (strcmp(*words, "--port") == 0) {
            return words[1];
        }
        if (strncmp(*words, "--port=", 7) == 0) {
            return *words + 7;
        }
    }
    return NULL;
}

bool foreign_has_port(const char *value, char *const *words)
{
    return value && !strchr(value, '/') &&
           foreign_is_port(find_port(words), words);
}

/* Two colons or more, and what addresses of IPv6 are written with. */
bool foreign_is_ipv6(const char *value, char *const *words)
{
    const char *colon = strchr(value, ':');

    (void)words;
    return colon && strchr(colon + 1, ':') &&
           !value[strspn(value, "0123456789abcdefABCDEF:.")];
}

static bool is_http(const char *value)
{
    return strncasecmp(value, "http://", 7) == 0 ||
           strncasecmp(value, "https://", 8) == 0;
}

bool foreign_is_url_with_blanks(const char *value, char *const *words)
{
    (void)words;
    return is_http(value) && strchr(value, ' ');
}

/* The host of such a URL, and the user before it; @ret_len: up to the path. */
static const char *find_authority(const char *value, size_t *ret_len)
{
    const char *authority = strstr(value, "://") + 3;

    *ret_len = strcspn(authority, "/?#");
    return authority;
}

bool foreign_is_bare_query(const char *value, char *const *words)
{
    size_t len = 0;

    (void)words;
    return is_http(value) && find_authority(value, &len)[len] == '?';
}

bool foreign_is_fragment(const char *value, char *const *words)
{
    (void)words;
    return is_http(value) && strchr(value, '#');
}

bool foreign_is_user_url(const char *value, char *const *words)
{
    size_t len = 0;
    const char *authority = is_http(value) ? find_authority(value, &len) : NULL;

    (void)words;
    return authority && memchr(authority, '@', len);
}

bool foreign_is_unix_url(const char *value, char *const *words)
{
    (void)words;
    return strncmp(value, "http+unix://", 12) == 0 && value[12] == '/';
}

/* ---- how they are written ---- */

/* Adds a word of two parts; false: it is too long. */
static bool keep(struct reword *line, const char *before, const char *rest)
{
    char word[VALUE_SIZE];

    if (snprintf(word, sizeof(word), "%s%s", before, rest) >=
        (int)sizeof(word)) {
        return false;
    }
    reword_keep(line, word);
    return true;
}

/* Copies it, without or with other bytes; false: it is too long. */
static bool copy(const char *value, char ret[VALUE_SIZE],
                 int (*change)(int byte))
{
    size_t len = 0;

    for (; *value; value++) {
        const int byte = change((unsigned char)*value);
        if (len + 1 == VALUE_SIZE) {
            return false;
        }
        if (byte > 0) {
            ret[len++] = (char)byte;
        }
    }
    ret[len] = '\0';
    return true;
}

static int drop_separator(int byte)
{
    return byte == ',' || byte == '_' ? 0 : byte;
}

bool foreign_fill_count(struct reword *line, const char *value,
                        char *const *words)
{
    char digits[VALUE_SIZE];

    (void)words;
    if (!copy(value, digits, drop_separator)) {
        return false;
    }
    reword_keep(line, "-n");
    reword_keep(line, digits);
    return true;
}

bool foreign_is_user_stages(const char *value, char *const *words)
{
    struct conn_stages stages;
    char why[CONN_STAGES_WHY_SIZE];

    (void)words;
    return value && strchr(value, ':') && !strchr(value, '@') &&
           conn_stages_parse(value, &stages, why) == 0;
}

/* A flag for each stage, one behind the other, is one flag with all. */
bool foreign_fill_user_stages(struct reword *line, const char *value,
                              char *const *words)
{
    static const char flag[] = " --conn-stages ";
    const char *last = memmem(line->text, line->len, flag, sizeof(flag) - 1);

    (void)words;
    if (!last) {
        reword_keep(line, "--conn-stages");
        reword_keep(line, value);
        return true;
    }
    last += sizeof(flag) - 1;
    if (memchr(last, ' ', line->len - (size_t)(last - line->text))) {
        return false;
    }
    reword_join(line, ",");
    reword_join(line, value);
    return true;
}

bool foreign_fill_header(struct reword *line, const char *value,
                         char *const *words)
{
    const size_t len = strcspn(value, "=");
    char field[VALUE_SIZE];

    (void)words;
    if (snprintf(field, sizeof(field), "%.*s: %s", (int)len, value,
                 value + len + 1) >= (int)sizeof(field)) {
        return false;
    }
    reword_keep(line, "-H");
    reword_keep(line, field);
    return true;
}

bool foreign_fill_method(struct reword *line, const char *value,
                         char *const *words)
{
    char method[VALUE_SIZE];

    (void)words;
    if (!copy(value, method, toupper)) {
        return false;
    }
    reword_keep(line, "-X");
    reword_keep(line, method);
    return true;
}

/* "p(95)<500" is "p95<500ms": k6 counts in milliseconds. */
bool foreign_fill_threshold(struct reword *line, const char *value,
                            char *const *words)
{
    const size_t len = strcspn(value + 2, ")");
    const char *rest = value + 2 + len + 1;
    const char *sign = rest + strspn(rest, " ");
    const char *number = sign + strspn(sign, "<>= ");
    char objective[VALUE_SIZE];

    (void)words;
    if ((*sign != '<' && *sign != '>') || !isdigit((unsigned char)*number)) {
        return false; /* it compares nothing */
    }
    const bool has_unit = isalpha((unsigned char)rest[strlen(rest) - 1]);
    if (snprintf(objective, sizeof(objective), "p%.*s%s%s", (int)len, value + 2,
                 rest, has_unit ? "" : "ms") >= (int)sizeof(objective)) {
        return false;
    }
    reword_keep(line, "--slo");
    reword_keep(line, objective);
    return true;
}

bool foreign_fill_broken_url(struct reword *line, const char *value,
                             char *const *words)
{
    const bool is_tls = tolower((unsigned char)value[4]) == 's';
    const char *rest = value + 4 + is_tls;

    (void)words;
    rest += strspn(rest, ":/");
    return keep(line, is_tls ? "https://" : "http://", rest);
}

bool foreign_fill_port(struct reword *line, const char *value,
                       char *const *words)
{
    (void)words;
    return keep(line, "http://localhost:", value + (*value == ':'));
}

bool foreign_fill_place(struct reword *line, const char *value,
                        char *const *words)
{
    char place[VALUE_SIZE];

    return snprintf(place, sizeof(place), "%s:%s", value, find_port(words)) <
               (int)sizeof(place) &&
           keep(line, "http://", place);
}

bool foreign_fill_unix(struct reword *line, const char *value,
                       char *const *words)
{
    (void)words;
    reword_keep(line, "--unix");
    reword_keep(line, value + strlen("http+unix://"));
    reword_keep(line, "http://localhost/");
    return true;
}

bool foreign_fill_blanks(struct reword *line, const char *value,
                         char *const *words)
{
    char url[VALUE_SIZE];
    size_t len = 0;

    (void)words;
    for (; *value && len + 4 < sizeof(url); value++) {
        len += (size_t)snprintf(url + len, sizeof(url) - len,
                                *value == ' ' ? "%%20" : "%c", *value);
    }
    return !*value && keep(line, "", url);
}

/* The lines of siege's file that are no comments. */
static unsigned long long count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    unsigned long long count = 0;
    char text[4096];

    while (file && fgets(text, sizeof(text), file)) {
        const char *word = text + strspn(text, " \t\r\n");
        count += *word && *word != '#';
    }
    if (file) {
        fclose(file);
    }
    return count;
}

bool foreign_fill_once(struct reword *line, const char *value,
                       char *const *words)
{
    unsigned long long count = 0;
    char number[32];

    (void)value;
    for (; *words && count == 0; words++) {
        if (strcmp(*words, "-f") == 0 && words[1]) {
            count = count_lines(words[1]);
        } else if (strncmp(*words, "--file=", 7) == 0) {
            count = count_lines(*words + 7);
        }
    }
    if (count == 0) {
        return false;
    }
    snprintf(number, sizeof(number), "%llu", count);
    reword_keep(line, "-n");
    reword_keep(line, number);
    return true;
}

bool foreign_fill_query(struct reword *line, const char *value,
                        char *const *words)
{
    const size_t len = strcspn(value, "?");
    char url[VALUE_SIZE];

    (void)words;
    return snprintf(url, sizeof(url), "%.*s/%s", (int)len, value, value + len) <
               (int)sizeof(url) &&
           keep(line, "", url);
}

bool foreign_fill_fragment(struct reword *line, const char *value,
                           char *const *words)
{
    char url[VALUE_SIZE];

    (void)words;
    return snprintf(url, sizeof(url), "%.*s", (int)strcspn(value, "#"), value) <
               (int)sizeof(url) &&
           keep(line, "", url);
}

/* Takes %XX out of it; false: one of them is no byte of a user. */
static bool decode(char *text)
{
    char *out = text;

    for (; *text; text++) {
        unsigned byte = (unsigned char)*text;
        if (byte == '%') {
            if (!isxdigit((unsigned char)text[1]) ||
                !isxdigit((unsigned char)text[2]) ||
                sscanf(text + 1, "%2x", &byte) != 1 || byte < ' ') {
                return false;
            }
            text += 2;
        }
        *out++ = (char)byte;
    }
    *out = '\0';
    return true;
}

bool foreign_fill_user(struct reword *line, const char *value,
                       char *const *words)
{
    size_t len = 0;
    const char *authority = find_authority(value, &len);
    const char *host = (const char *)memrchr(authority, '@', len) + 1;
    char user[VALUE_SIZE];
    char url[VALUE_SIZE];

    (void)words;
    if (snprintf(user, sizeof(user), "%.*s", (int)(host - 1 - authority),
                 authority) >= (int)sizeof(user) ||
        !decode(user) ||
        snprintf(url, sizeof(url), "%.*s%s", (int)(authority - value), value,
                 host) >= (int)sizeof(url)) {
        return false;
    }
    reword_write(line, FOREIGN_BASIC, user);
    reword_keep(line, url);
    return true;
}
