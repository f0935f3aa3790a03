/*
 * Words are noted as they are read, so that none has to be written again by its
 * kind. Flags are not: they are the same for a process as long as it runs.
 * Targets and addresses are taken from the configuration, as one word may have
 * several.
 */
#include "facts.h"

#include "tools/common/console.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- words ---- */

/* Words that other lines are made of. */
static bool is_listed(const char *word)
{
    static const char *const others[] = {"listen", "to",     "cert", "route",
                                         "weight", "backup", "limit"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strcmp(word, others[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool facts_note(struct config *config, const char *word, const char *value)
{
    const struct config_service *service = config_service(config);
    const struct config_route *route = config_route(config);
    char line[1024];

    if (is_listed(word)) {
        return true;
    }
    if (!service) {
        snprintf(line, sizeof(line), "%s = %s", word, value);
    } else if (!route->is_begun) {
        snprintf(line, sizeof(line), "[%s] %s = %s",
                 service->name ? service->name : "", word, value);
    } else {
        snprintf(line, sizeof(line), "[%s] route %s: %s = %s",
                 service->name ? service->name : "",
                 route->server_name ? route->server_name : "*", word, value);
    }
    return config_add_text(&config->said, line);
}

/* ---- lines ---- */

/* FNV-1a of a file's bytes; 0: it cannot be read. */
static uint64_t sum_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t sum = fd >= 0 ? UINT64_C(0xcbf29ce484222325) : 0;
    unsigned char bytes[4096];
    ssize_t n = 0;

    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return n < 0 ? 0 : sum;
}

static void write_file(FILE *out, const char *service, const char *word,
                       const char *path)
{
    if (path) {
        fprintf(out, "[%s] %s = %s, of the bytes %08llx\n", service, word, path,
                (unsigned long long)(sum_file(path) & UINT32_MAX));
    }
}

static void write_route(FILE *out, const struct config_service *service,
                        const struct config_route *route)
{
    write_file(out, service->name, "authorities of targets", route->to_ca);
    write_file(out, service->name, "certificate for targets", route->to_cert);
    for (size_t i = 0; i < route->target_count; i++) {
        const struct config_target *target = &route->targets[i];
        fprintf(out, "[%s] route %s: to = %s, weight %llu", service->name,
                route->label, target->at.text,
                (unsigned long long)target->weight);
        if (target->limit > 0) {
            fprintf(out, ", limit %llu", (unsigned long long)target->limit);
        }
        fprintf(out, "%s\n", target->is_backup ? ", backup" : "");
    }
}

static void write_all(FILE *out, const struct config *config)
{
    for (size_t i = 0; i < config->said.count; i++) {
        fprintf(out, "%s\n", config->said.texts[i]);
    }
    for (size_t i = 0; i < config->service_count; i++) {
        const struct config_service *service = &config->services[i];
        for (size_t j = 0; j < service->listen_count; j++) {
            fprintf(out, "[%s] listen = %s\n", service->name,
                    service->listens[j].text);
        }
        for (size_t j = 0; j < service->certs.count; j++) {
            write_file(out, service->name, "cert", service->certs.texts[j]);
        }
        write_file(out, service->name, "authorities of clients",
                   service->client_ca);
        for (size_t j = 0; j < service->route_count; j++) {
            write_route(out, service, &service->routes[j]);
        }
    }
}

/* ---- sorting ---- */

struct lines {
    char *text;
    const char **all;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    const char *const *one = a;
    const char *const *other = b;

    return strcmp(*one, *other);
}

/* Splits a text, whose lines are sorted then. False without memory. */
static bool split(const char *text, struct lines *ret)
{
    size_t room = 1;
    char *line;

    for (const char *at = text; *at; at++) {
        room += *at == '\n';
    }
    *ret = (struct lines){.text = strdup(text),
                          .all = calloc(room, sizeof(*ret->all))};
    char *rest = ret->text;
    while (rest && ret->all && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0]) {
            ret->all[ret->count++] = line;
        }
    }
    if (ret->text && ret->all) {
        qsort(ret->all, ret->count, sizeof(*ret->all), compare);
    }
    return ret->text && ret->all;
}

static void free_lines(struct lines *lines)
{
    free(lines->text);
    free(lines->all);
}

char *facts_make(const struct config *config)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out) {
        return NULL;
    }
    write_all(out, config);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static size_t say_differences(const struct lines *before,
                              const struct lines *after)
{
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;

    while (i < before->count || j < after->count) {
        const int order = i == before->count ? 1
                          : j == after->count
                              ? -1
                              : strcmp(before->all[i], after->all[j]);
        if (order < 0) {
            say("reading it again would take away: %.400s", before->all[i]);
        } else if (order > 0) {
            say("reading it again would bring: %.400s", after->all[j]);
        }
        count += order != 0;
        i += order <= 0;
        j += order >= 0;
    }
    return count;
}

size_t facts_compare(const char *before, const char *after)
{
    struct lines one;
    struct lines other;
    const bool is_split = split(before, &one);
    size_t count = 0;

    if (split(after, &other) && is_split) {
        count = say_differences(&one, &other);
    }
    free_lines(&one);
    free_lines(&other);
    return count;
}
