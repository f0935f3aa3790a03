/*
 * Reading resolv.conf by resolv.conf(5): the last "search" or "domain" counts,
 * and options have limits. Unknown lines are ignored; without a file the domain
 * of this machine's host name is searched.
 */
#include "resolv_conf.h"

#include "uring/check.h"
#include "uring/sys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_SIZE     1024u
#define LINES_MAX     4096u /* bounds an endless file */
#define NDOTS_DEFAULT 1u
#define NDOTS_MAX     15u
#define TIMEOUT_MAX_S 30u
#define ATTEMPTS_MAX  5u

static const char resolv_conf_blanks[] = " \t\r\n";

void wr_resolv_conf_init(struct wr_resolv_conf *conf, const char *hostname)
{
    const char *dot = hostname ? strchr(hostname, '.') : NULL;

    memset(conf, 0, sizeof(*conf));
    conf->search.ndots = NDOTS_DEFAULT;
    wr_assert(conf->search.count == 0);
    if (dot) {
        wr_name_read_search(dot + 1, &conf->search);
    }
}

/* True when @text begins with @word; *ret_rest is the rest. */
static bool resolv_conf_begins(const char *text, const char *word,
                               const char **ret_rest)
{
    const size_t len = strlen(word);
    wr_assert(len > 0);

    if (strncmp(text, word, len) != 0) {
        return false;
    }
    *ret_rest = text + len;
    return true;
}

/* Reads a number; numbers above @max become @max. */
static uint32_t resolv_conf_read_number(const char *text, uint32_t max)
{
    uint32_t number = 0;

    for (; *text >= '0' && *text <= '9'; text++) {
        number = number * 10 + (uint32_t)(*text - '0');
        if (number > max) {
            return max;
        }
    }
    wr_assert(number <= max);
    return number;
}

static void resolv_conf_read_options(struct wr_resolv_conf *conf,
                                     const char *text)
{
    const char *rest;

    for (text += strspn(text, resolv_conf_blanks); *text != '\0';
         text += strspn(text, resolv_conf_blanks)) {
        if (resolv_conf_begins(text, "ndots:", &rest)) {
            conf->search.ndots = resolv_conf_read_number(rest, NDOTS_MAX);
        } else if (resolv_conf_begins(text, "timeout:", &rest)) {
            conf->timeout_s = resolv_conf_read_number(rest, TIMEOUT_MAX_S);
        } else if (resolv_conf_begins(text, "attempts:", &rest)) {
            conf->attempts = resolv_conf_read_number(rest, ATTEMPTS_MAX);
        }
        text += strcspn(text, resolv_conf_blanks);
    }
}

void wr_resolv_conf_read_line(struct wr_resolv_conf *conf, const char *line)
{
    const char *rest;

    if (resolv_conf_begins(line, "search", &rest) ||
        resolv_conf_begins(line, "domain", &rest)) {
        if (*rest == ' ' || *rest == '\t') {
            wr_name_read_search(rest, &conf->search);
        }
    } else if (resolv_conf_begins(line, "options", &rest)) {
        resolv_conf_read_options(conf, rest);
    }
    wr_assert(conf->search.count <= WR_SEARCH_MAX);
    wr_assert(conf->search.ndots <= NDOTS_MAX);
}

/* True if @line is a part of a longer line. Its last word, which may be cut, is
 * removed: a part of a domain would be another domain. */
static bool resolv_conf_cut(char line[LINE_SIZE])
{
    size_t len = strlen(line);

    if (len < LINE_SIZE - 1 || line[len - 1] == '\n') {
        return false;
    }
    while (len > 0 && !strchr(resolv_conf_blanks, line[len - 1])) {
        len--;
    }
    line[len] = '\0';
    return true;
}

int wr_resolv_conf_read(struct wr_resolv_conf *conf, const char *path)
{
    char line[LINE_SIZE];
    char hostname[WR_NAME_SIZE] = "";

    wr_assert(path != NULL);
    if (gethostname(hostname, sizeof(hostname) - 1) < 0) {
        hostname[0] = '\0';
    }
    wr_resolv_conf_init(conf, hostname);
    FILE *file = fopen(path, "re");
    if (!file) {
        return wr_sys_is_shortage(-errno) ? -errno : 0;
    }
    bool is_rest = false; /* the rest of a cut line */
    for (uint32_t i = 0; i < LINES_MAX && fgets(line, sizeof(line), file);
         i++) {
        const bool is_cut = resolv_conf_cut(line);
        if (!is_rest) {
            wr_resolv_conf_read_line(conf, line);
        }
        is_rest = is_cut;
    }
    fclose(file);
    return 0;
}
