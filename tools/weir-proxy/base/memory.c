/*
 * /proc/self/cgroup names the program's cgroups. Each folder from there up to
 * the root may have a limit.
 *
 * Inside a container the path may exist only on the host; the mounted root is
 * then the container's own cgroup. Missing files are therefore skipped, and the
 * walk always ends at the root.
 */
#include "memory.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NO_LIMIT UINT64_MAX

struct version {
    const char *folder;
    const char *file;
};

static const struct version version_1 = {"/sys/fs/cgroup/memory",
                                         "memory.limit_in_bytes"};
static const struct version version_2 = {"/sys/fs/cgroup", "memory.max"};

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Returns the number in a file, or NO_LIMIT for "max" or any other text. A
 * number that is too large gives NO_LIMIT, too. */
static uint64_t read_number(const char *path)
{
    char text[64] = "";
    char *end = text;
    FILE *file = fopen(path, "re");

    if (!file) {
        return NO_LIMIT;
    }
    const bool is_read = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    if (!is_read || !isdigit((unsigned char)text[0])) {
        return NO_LIMIT;
    }
    const unsigned long long number = strtoull(text, &end, 10);
    return *end == '\n' || *end == '\0' ? number : NO_LIMIT;
}

/* Returns the lowest limit of the cgroup at @path and the cgroups above it.
 * Shortens @path. */
static uint64_t read_least(const char *root, const struct version *version,
                           char *path)
{
    uint64_t least = NO_LIMIT;
    char *last = path;

    while (last) {
        char name[PATH_MAX];
        const int len = snprintf(name, sizeof(name), "%s%s%s/%s", root,
                                 version->folder, path, version->file);
        if (len > 0 && (size_t)len < sizeof(name)) {
            least = lesser(least, read_number(name));
        }
        last = strrchr(path, '/');
        if (last) {
            *last = '\0';
        }
    }
    return least;
}

/* Parses a line "NUMBER:CONTROLLERS:PATH" and returns the lowest limit. The
 * line of cgroup version 2 has no controllers. */
static uint64_t read_line(const char *root, char *line)
{
    char *controllers = strchr(line, ':');
    char *path = controllers ? strchr(controllers + 1, ':') : NULL;
    char list[512];

    if (!path) {
        return NO_LIMIT;
    }
    *controllers++ = '\0';
    *path++ = '\0';
    path[strcspn(path, "\n")] = '\0';
    if (strstr(path, "/..")) {
        path[0] = '\0'; /* outside the mounted tree */
    }
    snprintf(list, sizeof(list), ",%s,", controllers);
    return controllers[0] == '\0'     ? read_least(root, &version_2, path)
           : strstr(list, ",memory,") ? read_least(root, &version_1, path)
                                      : NO_LIMIT;
}

uint64_t memory_read_cgroup_limit(const char *root)
{
    char name[PATH_MAX];
    char *line = NULL;
    size_t room = 0;
    uint64_t least = NO_LIMIT;

    snprintf(name, sizeof(name), "%s/proc/self/cgroup", root);
    FILE *file = fopen(name, "re");
    if (!file) {
        return NO_LIMIT;
    }
    while (getline(&line, &room, file) >= 0) {
        least = lesser(least, read_line(root, line));
    }
    free(line);
    fclose(file);
    return least;
}

uint64_t memory_share(uint64_t available_bytes, uint32_t thread_count)
{
    const uint64_t least = thread_count * MEMORY_DEFAULT_LEAST;

    return available_bytes / 4 > least ? available_bytes / 4 : least;
}

static uint64_t get_machine_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page_size = sysconf(_SC_PAGESIZE);

    return pages > 0 && page_size > 0 ? (uint64_t)pages * (uint64_t)page_size
                                      : 0;
}

uint64_t memory_default_limit(uint32_t thread_count)
{
    const uint64_t cgroup = memory_read_cgroup_limit("");

    return memory_share(lesser(cgroup, get_machine_bytes()), thread_count);
}
