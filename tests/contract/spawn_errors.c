/*
 * Starting a child when steps fail, because of system call filters.
 *
 * Two steps of one kind fail: which error is reported. System calls are missing
 * that have a replacement: the child starts anyway.
 */
#define UNIT_RUN   child_test
#define UNIT_TAKES struct child *child
#include "tests/contract/child_rig.h"
#include "tests/contract/fail_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fail(const char *const *argv, const char *const *env,
                const char **ret_step)
{
    struct child child = {.t = NULL};
    const struct weir_factory factory = child_factory(&child);
    const struct weir_spawn_options options = {
        .size = sizeof(options), .env = env, .ret_step = ret_step};

    return weir_subprocess_exec(loop, &factory, argv, &options, NULL, NULL,
                                NULL);
}

/* Runs in a child process, because a check for leaks also needs /proc. */
static int try_to_mark_descriptors(void)
{
    const char *const argv[] = {"/bin/true", NULL};
    const char *step = "";

    if (weir_loop_new(NULL, &loop) < 0) {
        return 1;
    }
    fail_calls(SYS_close_range, ENOSYS);
    fail_calls(SYS_getdents64, ENOENT);
    return fail(argv, NULL, &step) == -ENOSYS &&
                   strcmp(step, "descriptors") == 0
               ? 0
               : 2;
}

/* An error of /proc would be taken for a missing program. */
UNIT_IN(spawn_errors, of_close_range_and_proc_the_first_is_told, unit_alone,
        void)
{
    const pid_t pid = fork();

    if (pid == 0) {
        _exit(try_to_mark_descriptors());
    }
    expect_eq(end_of(pid), 0);
}

/* Like execvp(): a program that may not be executed was at least found. */
UNIT(spawn_errors, of_the_places_in_PATH_one_that_forbids_is_told)
{
    const char *const argv[] = {"weir-forbidden", NULL};
    char folder[] = "/tmp/weir-spawn-XXXXXX";
    char path[64];
    char places[64];
    const char *const env[] = {places, NULL};

    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/weir-forbidden", folder);
    snprintf(places, sizeof(places), "PATH=%s:/nowhere", folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    close(fd);

    expect_eq(fail(argv, env, NULL), -EACCES);
    unlink(path);
    expect_eq(fail(argv, env, NULL), -ENOENT);
    rmdir(folder);
}

UNIT(spawn_errors, without_clone3_and_close_range_a_child_is_started)
{
    fail_calls(SYS_clone3, ENOSYS);
    fail_calls(SYS_close_range, ENOSYS);
    expect_str_eq(child_output(child, "echo here", NULL), "here\n");
}
