/*
 * Each directive is recorded as text when it is read, so that its value need
 * not be formatted again. Command-line flags are not recorded: they stay the
 * same as long as the process runs, and -t and a successor compare only
 * directives of files.
 */
#include "changes.h"

#include "confine_paths.h"
#include "words.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool add_line(struct config *config, char *line)
{
    for (char *at = line; (at = strchr(at, '\n')); *at = ' ') {
    }
    return config_add_text(&config->arena, &config->said, line);
}

/* Returns the position of a directive among directives of the same name, if
 * their order matters. The second 'cert' and its 'key' have position 2. Returns
 * 0 for other directives. */
static size_t position_of(const struct config_service *service,
                          const struct config_route *route,
                          const struct option *word, const char *value)
{
    size_t position = 0;

    if (strcmp(word->name, "cert") == 0 || strcmp(word->name, "key") == 0) {
        return service->certs.count;
    }
    if (strcmp(word->name, "check-send") == 0 ||
        strcmp(word->name, "check-expect") == 0) {
        return route->check_step_count;
    }
    if (strcmp(word->name, "alpn") == 0) {
        position = service->alpn.count; /* the last name's position */
        for (; *value; value++) {
            position -= *value == ',';
        }
    }
    return position;
}

bool changes_note(struct config *config, const struct option *word,
                  const char *value)
{
    const struct config_service *service =
        word->scope > SCOPE_PROGRAM ? config_service(config) : NULL;
    const struct config_route *route =
        word->scope > SCOPE_SERVICE ? config_route(config) : NULL;
    char *line = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&line, &size);

    if (!out) {
        return false;
    }
    if (service && (service->name || service->listen_count > 0)) {
        fprintf(out, "[%s] ",
                service->name ? service->name : service->listens[0].text);
    }
    if (route && route->is_begun) {
        /* Routes are counted from the first that a 'route' directive begins. */
        fprintf(out, "route %zu, %s: ", config_number_route(service, route),
                route->server_name ? route->server_name : "*");
    }
    if (route && word->scope > SCOPE_ROUTE) {
        fprintf(out, "target %zu: ", route->target_count);
    }
    const size_t position = position_of(service, route, word, value);
    fputs(word->name, out);
    if (position > 1) {
        fprintf(out, " %zu", position);
    }
    if (strcmp(word->name, "check-send") == 0) { /* may contain a password */
        fprintf(out, CHANGES_HASH "%08x",
                (unsigned)hashes_add_text(HASHES_BASIS, value));
    } else {
        fprintf(out, " = %s", value);
    }
    const bool is_written = fclose(out) == 0 && add_line(config, line);
    free(line);
    return is_written;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct config_texts *texts)
{
    if (texts->count > 0) {
        qsort(texts->texts, texts->count, sizeof(*texts->texts), compare);
    }
}

struct files {
    struct arena arena;
    struct config_texts paths;
    bool is_short;
};

static void note_path(void *arg, const char *path, enum confine_use use)
{
    struct files *files = arg;

    if (use == CONFINE_READ && !confine_is_special(path)) {
        files->is_short |= !config_add_text(&files->arena, &files->paths, path);
    }
}

static bool add_file(struct config *config, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t hash = HASHES_BASIS;
    char bytes[4096];
    char line[PATH_MAX + 64];
    ssize_t n;

    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        hash = hashes_add_bytes(hash, bytes, (size_t)n);
    }
    if (fd >= 0) {
        close(fd);
    }
    snprintf(line, sizeof(line), "file %.4095s" CHANGES_HASH "%08x", path,
             (unsigned)hash);
    return add_line(config, line);
}

bool changes_finish(struct config *config)
{
    struct files files = {.is_short = false};

    confine_each_path(config, note_path, &files);
    sort(&files.paths);
    for (size_t i = 0; i < files.paths.count; i++) {
        char **path = &files.paths.texts[i];
        if (i == 0 || compare(path, path - 1) != 0) {
            files.is_short |= !add_file(config, *path);
        }
    }
    arena_free(&files.arena);
    sort(&config->said);
    return !files.is_short;
}

size_t changes_each(const struct config_texts *before,
                    const struct config_texts *after, changes_fn *call,
                    void *arg)
{
    size_t count = 0;
    size_t i = 0;
    size_t j = 0;

    while (i < before->count || j < after->count) {
        const int order = i == before->count ? 1
                          : j == after->count
                              ? -1
                              : compare(&before->texts[i], &after->texts[j]);
        if (order != 0) {
            call(arg, order < 0 ? before->texts[i] : after->texts[j],
                 order > 0);
            count++;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return count;
}
