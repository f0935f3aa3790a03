/*
 * A format is a row: its flag, where its path stands, and the function that
 * writes it.
 *
 * A file that could not be written leaves the others as they are.
 */
#include "publish.h"

#include "junit.h"
#include "markdown.h"
#include "prometheus.h"
#include "tools/common/console.h"

#include <stddef.h>
#include <stdlib.h>

static const struct format {
    const char *flag;
    size_t offset;
    void (*write)(const struct findings *findings, FILE *out);
} formats[PUBLISH_FORMATS] = {
    {"--markdown", offsetof(struct publish_paths, markdown), markdown_write},
    {"--junit", offsetof(struct publish_paths, junit), junit_write},
    {"--prometheus", offsetof(struct publish_paths, prometheus),
     prometheus_write},
};

static const char *path_of(const struct publish_paths *paths, size_t index)
{
    return *(const char *const *)((const char *)paths + formats[index].offset);
}

bool publish_list(const struct publish_paths *paths, size_t index,
                  const char **ret_flag, const char **ret_path)
{
    if (index >= PUBLISH_FORMATS) {
        return false;
    }
    *ret_flag = formats[index].flag;
    *ret_path = path_of(paths, index);
    return true;
}

bool publish_check(const struct publish_paths *paths, const char *taken)
{
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        if (!whole_file_is_stdout(path_of(paths, i))) {
            continue;
        }
        if (taken) {
            say("%s: %s has standard output already", formats[i].flag, taken);
            return false;
        }
        taken = formats[i].flag;
    }
    return true;
}

bool publish_has_stdout(const struct publish_paths *paths)
{
    bool has_one = false;

    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        has_one |= whole_file_is_stdout(path_of(paths, i));
    }
    return has_one;
}

static bool open_one(struct publish *self, size_t index, const char *given,
                     publish_name_fn *make_name, const void *arg)
{
    const char *flag = formats[index].flag;

    if (!given || !make_name || whole_file_is_stdout(given)) {
        return whole_file_open(&self->files[index], flag, given);
    }
    char *path = make_name(arg, given);
    if (!path) {
        say("%s: no memory", flag);
        return false;
    }
    const bool is_open = whole_file_open(&self->files[index], flag, path);
    free(path);
    return is_open;
}

bool publish_open(struct publish *self, const struct publish_paths *paths,
                  publish_name_fn *make_name, const void *arg)
{
    *self = (struct publish){0};
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        if (!open_one(self, i, path_of(paths, i), make_name, arg)) {
            publish_drop(self);
            return false;
        }
    }
    return true;
}

bool publish_write(struct publish *self, const struct findings *findings)
{
    bool is_good = true;

    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        if (self->files[i].file) {
            formats[i].write(findings, self->files[i].file);
            is_good &= whole_file_keep(&self->files[i]);
        }
    }
    return is_good;
}

void publish_drop(struct publish *self)
{
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        whole_file_drop(&self->files[i]);
    }
}
