/*
 * One row for each output format: its option and the field with its path.
 * publish.c opens the files. Two files on standard output are refused here,
 * when the options are parsed.
 */
#include "options.h"

#include "tools/common/console.h"

#include <string.h>

static const struct format {
    const char *flag;
    size_t offset;
} formats[PUBLISH_FORMATS] = {
    {"--markdown", offsetof(struct publish_paths, markdown)},
    {"--junit", offsetof(struct publish_paths, junit)},
    {"--prometheus", offsetof(struct publish_paths, prometheus)},
};

static const char *path_of(const struct publish_paths *paths, size_t index)
{
    return *(const char *const *)((const char *)paths + formats[index].offset);
}

void publish_list(const struct publish_paths *paths, size_t index,
                  const char **ret_flag, const char **ret_path)
{
    *ret_flag = formats[index].flag;
    *ret_path = path_of(paths, index);
}

bool publish_check(const struct publish_paths *paths, const char *taken)
{
    for (size_t i = 0; i < PUBLISH_FORMATS; i++) {
        const char *path = path_of(paths, i);
        if (!path || strcmp(path, "-") != 0) {
            continue;
        }
        if (taken) {
            return say("%s: %s already uses standard output", formats[i].flag,
                       taken);
        }
        taken = formats[i].flag;
    }
    return true;
}
