/*
 * Directives are recorded as text when they are read, so that their values need
 * not be formatted again. Flags are not recorded: they stay the same as long as
 * the process runs. Targets and addresses are taken from the configuration,
 * because one directive may have several.
 */
#include "facts.h"

#include "tools/common/console.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SUM_FIRST UINT64_C(0xcbf29ce484222325)

static uint64_t add_bytes(uint64_t sum, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        sum = (sum ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    }
    return sum;
}

/* ---- directives ---- */

/* Returns true for directives that get lines of their own elsewhere. */
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

/* Returns true for directives of one target. */
static bool is_of_target(const char *word)
{
    return strcmp(word, "check-at") == 0 || strcmp(word, "from") == 0 ||
           strcmp(word, "target-proxy") == 0;
}

/* Returns true if the value may contain a password; only its hash is shown. */
static bool is_secret(const char *word)
{
    return strcmp(word, "check-send") == 0;
}

/* Writes the section, route and target of a directive, or "" for the program.
 * The first route has no number, as most services have only one. */
static void write_whose(struct config *config, const char *word, char *ret,
                        size_t size)
{
    const struct config_service *service = config_service(config);
    const struct config_route *route = config_route(config);
    const size_t number = service ? (size_t)(route - service->routes) + 1 : 0;
    const char *name = service && service->name ? service->name : "";
    size_t len = 0;

    ret[0] = '\0';
    if (service) {
        len = (size_t)snprintf(ret, size, "[%s] ", name);
    }
    if (service && route->is_begun && len < size) {
        const char *at = route->server_name ? route->server_name : "*";
        char text[32] = "";
        if (number > 1) {
            snprintf(text, sizeof(text), "%zu, ", number);
        }
        len +=
            (size_t)snprintf(ret + len, size - len, "route %s%s: ", text, at);
    }
    if (service && is_of_target(word) && len < size) {
        snprintf(ret + len, size - len, "target %zu: ", route->target_count);
    }
}

bool facts_note(struct config *config, const char *word, const char *value)
{
    char whose[512];
    char line[1024];

    if (is_listed(word)) {
        return true;
    }
    write_whose(config, word, whose, sizeof(whose));
    if (is_secret(word)) {
        snprintf(
            line, sizeof(line), "%s%s = of the bytes %08llx", whose, word,
            (unsigned long long)(add_bytes(SUM_FIRST, value, strlen(value)) &
                                 UINT32_MAX));
    } else {
        snprintf(line, sizeof(line), "%s%s = %s", whose, word, value);
    }
    return config_add_text(&config->said, line);
}

/* ---- lines ---- */

/* Returns a hash of a file's bytes, or 0 if it cannot be read. */
static uint64_t sum_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t sum = fd >= 0 ? SUM_FIRST : 0;
    unsigned char bytes[4096];
    ssize_t n = 0;

    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        sum = add_bytes(sum, bytes, (size_t)n);
    }
    if (fd >= 0) {
        close(fd);
    }
    return n < 0 ? 0 : sum;
}

/* Returns a hash of the names and bytes of a folder's files, in any order, or 0
 * if it is not a folder. */
static uint64_t sum_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    uint64_t sum = 0;

    while (folder && (entry = readdir(folder)) != NULL) {
        char whole[PATH_MAX];
        const int len =
            snprintf(whole, sizeof(whole), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && len > 0 && (size_t)len < sizeof(whole)) {
            const uint64_t its = sum_file(whole);
            sum += add_bytes(add_bytes(SUM_FIRST, whole, (size_t)len), &its,
                             sizeof(its));
        }
    }
    if (folder) {
        closedir(folder);
    }
    return sum;
}

static void write_file(FILE *out, const char *service, const char *word,
                       const char *path)
{
    uint64_t sum = path ? sum_file(path) : 0;

    if (path && sum == 0) {
        sum = sum_folder(path);
    }
    if (path) {
        fprintf(out, "[%s] %s = %s, of the bytes %08llx\n", service, word, path,
                (unsigned long long)(sum & UINT32_MAX));
    }
}

/* Returns true if the previous target has the same file, which was hashed then.
 */
static bool has_authorities_of_last(const struct config_route *route,
                                    size_t number)
{
    const char *path = route->targets[number].tls_ca;
    const char *last = number > 0 ? route->targets[number - 1].tls_ca : NULL;

    return path && last && strcmp(path, last) == 0;
}

static void write_route(FILE *out, const struct config_service *service,
                        const struct config_route *route)
{
    write_file(out, service->name, "authorities of targets", route->to_ca);
    write_file(out, service->name, "certificate for targets", route->to_cert);
    write_file(out, service->name, "key for targets", route->to_key);
    write_file(out, service->name, "revoked targets", route->to_crl);
    write_file(out, service->name, "authorities of checks", route->check_ca);
    for (size_t i = 0; i < route->target_count; i++) {
        const struct config_target *target = &route->targets[i];
        fprintf(out, "[%s] route %s: to %zu = %s, weight %llu", service->name,
                route->label, i + 1, target->at.text,
                (unsigned long long)target->weight);
        if (target->limit > 0) {
            fprintf(out, ", limit %llu", (unsigned long long)target->limit);
        }
        if (target->tls_name) {
            fprintf(out, ", as %s", target->tls_name);
        }
        fprintf(out, "%s\n", target->is_backup ? ", backup" : "");
        if (!has_authorities_of_last(route, i)) {
            write_file(out, service->name, "authorities of a target",
                       target->tls_ca);
        }
    }
}

static void write_files(FILE *out, const char *service, const char *word,
                        const struct config_texts *paths)
{
    for (size_t i = 0; i < paths->count; i++) {
        write_file(out, service, word, paths->texts[i]);
    }
}

/* Hashes the files of networks; their paths begin with '@'. */
static void write_networks(FILE *out, const char *service, const char *word,
                           const struct config_texts *networks)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (networks->texts[i][0] == '@') {
            write_file(out, service, word, networks->texts[i] + 1);
        }
    }
}

static void write_files_of(FILE *out, const struct config_service *service)
{
    const char *name = service->name;

    write_files(out, name, "cert", &service->certs);
    write_files(out, name, "key", &service->keys);
    write_file(out, name, "authorities of clients", service->client_ca);
    write_files(out, name, "revoked clients", &service->client_crls);
    write_networks(out, name, "client-allow", &service->client_allow);
    write_networks(out, name, "client-deny", &service->client_deny);
    write_networks(out, name, "client-free", &service->client_free);
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
        write_files_of(out, service);
        for (size_t j = 0; j < service->route_count; j++) {
            write_route(out, service, &service->routes[j]);
        }
    }
}

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

/* Splits a text into sorted lines. Returns false if out of memory. */
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
