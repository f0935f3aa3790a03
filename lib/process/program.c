/*
 * The possible paths of a program, by the rules of execvp(). An empty entry of
 * PATH is the working directory of the child. Without PATH,
 * PROGRAM_PATH_DEFAULT is used.
 */
#include "subprocess.h"

#include "uring/alloc.h"
#include "uring/check.h"

#include <errno.h>
#include <string.h>

#define PROGRAM_PATH_DEFAULT "/bin:/usr/bin"

static const char *program_find_path(const char *const *env)
{
    static const char name[] = "PATH=";
    const size_t len = sizeof(name) - 1;

    wr_assert(env != NULL);
    for (; *env; env++) {
        if (strncmp(*env, name, len) == 0) {
            return *env + len;
        }
    }
    return PROGRAM_PATH_DEFAULT;
}

/* Writes the path and a NUL. Returns a pointer after the NUL. */
static char *program_join(char *to, const char *entry, size_t len,
                          const char *file)
{
    const size_t file_size = strlen(file) + 1;

    wr_assert(file_size > 1);
    memcpy(to, entry, len);
    to += len;
    if (len > 0) {
        *to++ = '/';
    }
    memcpy(to, file, file_size);
    return to + file_size;
}

int wr_program_init(struct wr_program *program,
                    const struct weir_allocator *allocator, const char *file,
                    const char *const *env)
{
    if (*file == '\0') {
        return -ENOENT;
    }
    const bool is_path = strchr(file, '/') != NULL;
    const char *path = is_path ? "" : program_find_path(env);
    size_t count = 1;
    for (const char *c = path; *c; c++) {
        count += *c == ':';
    }
    /* In each path, the slash takes the space of the entry's colon or of the
     * final NUL. */
    const size_t size = (count + 1) * sizeof(char *) + strlen(path) + 1 +
                        count * (strlen(file) + 1);
    const char **paths = wr_alloc(allocator, size);
    if (!paths) {
        return -ENOMEM;
    }
    char *text = (char *)&paths[count + 1];
    for (size_t i = 0; i < count; i++) {
        const size_t len = strcspn(path, ":");
        paths[i] = text;
        text = program_join(text, path, len, file);
        path += len + 1;
    }
    wr_assert(text <= (char *)paths + size);
    paths[count] = NULL;
    *program = (struct wr_program){.paths = paths, .size = size};
    return 0;
}

void wr_program_fini(struct wr_program *program,
                     const struct weir_allocator *allocator)
{
    wr_assert(program->paths != NULL);
    wr_free(allocator, program->paths, program->size);
    program->paths = NULL;
}
