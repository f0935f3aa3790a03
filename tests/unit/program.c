/*
 * Where a program is searched for.
 *
 * No path is accessed, so the results are the same on every machine, whatever
 * programs it has.
 */
#include "lib/process/subprocess.h"

#include "tests/walk.h"

#include <errno.h>

static struct test_allocator allocator;

/* Returns the paths of @file with this PATH (NULL is none), each followed by a
 * space. */
static const char *paths_of(const char *file, const char *path)
{
    static char text[512];
    struct wr_program program;
    const char *const env[] = {"A=b", path ? path : "XPATH=/no", "PATH=/late",
                               NULL};
    const char *const no_env[] = {"A=b", NULL};

    allocator_init(&allocator);
    expect_ok(
        wr_program_init(&program, &allocator.hooks, file, path ? env : no_env));
    text[0] = '\0';
    for (const char **at = program.paths; *at; at++) {
        strncat(text, *at, sizeof(text) - strlen(text) - 1);
        strncat(text, " ", sizeof(text) - strlen(text) - 1);
    }
    wr_program_fini(&program, &allocator.hooks);
    allocator_check(&allocator);
    return text;
}

UNIT(program, each_entry_of_PATH_is_tried_in_order)
{
    expect_str_eq(paths_of("ls", "PATH=/bin:/usr/bin"), "/bin/ls /usr/bin/ls ");
    expect_str_eq(paths_of("ls", "PATH=/only"), "/only/ls ");
}

UNIT(program, an_empty_entry_is_the_working_directory)
{
    expect_str_eq(paths_of("ls", "PATH="), "ls ");
    expect_str_eq(paths_of("ls", "PATH=:/bin:"), "ls /bin/ls ls ");
    expect_str_eq(paths_of("ls", "PATH=/a::/b"), "/a/ls ls /b/ls ");
}

UNIT(program, without_PATH_there_is_a_default)
{
    expect_str_eq(paths_of("ls", NULL), "/bin/ls /usr/bin/ls ");
}

UNIT(program, a_name_with_a_slash_is_not_looked_up)
{
    expect_str_eq(paths_of("/bin/ls", "PATH=/a:/b"), "/bin/ls ");
    expect_str_eq(paths_of("./ls", "PATH=/a:/b"), "./ls ");
}

UNIT(program, an_empty_name_is_ENOENT_and_no_memory_is_ENOMEM)
{
    const char *const env[] = {NULL};
    struct wr_program program;

    allocator_init(&allocator);
    expect_eq(wr_program_init(&program, &allocator.hooks, "", env), -ENOENT);
    allocator.fail_at = 1;
    expect_eq(wr_program_init(&program, &allocator.hooks, "a", env), -ENOMEM);
    allocator_check(&allocator);
}
