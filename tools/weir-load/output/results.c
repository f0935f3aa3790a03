/*
 * Finds and starts the Python script. It is next to the program (in a build
 * folder or an archive) or in the data folder of the same prefix. Python's
 * options make it ignore the user's environment and modules, and write no
 * files.
 */
#include "output.h"

#include "tools/common/console.h"
#include "tools/weir-load/base/base.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SCRIPT "weir-load-results.py"

static const char *asked_by;
static char program[PATH_MAX];
static char script[PATH_MAX + sizeof(WR_DATA_FOLDER SCRIPT) + 2];

static bool find_script(void)
{
    static const char *const folders[] = {"", WR_DATA_FOLDER "/"};

    /* Without /proc only the second call works, after fexecve() the first. */
    if (!realpath("/proc/self/exe", program) &&
        !realpath((const char *)getauxval(AT_EXECFN), program)) {
        return false;
    }
    const int folder_len = (int)(strrchr(program, '/') - program) + 1;
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        snprintf(script, sizeof(script), "%.*s%s" SCRIPT, folder_len, program,
                 folders[i]);
        if (access(script, R_OK) == 0) {
            return true;
        }
    }
    return false;
}

bool results_begin(const char *command, const char **argv)
{
    const char *const words[RESULTS_WORDS] = {
        "python3", "-ISB", "-X", "utf8", script, program, command};

    if (!find_script()) {
        return say("%s needs " SCRIPT
                   ", which is not installed next to weir-load",
                   command);
    }
    asked_by = command;
    memcpy(argv, words, sizeof(words));
    return true;
}

static void complain(int err)
{
    if (err == ENOENT) {
        say("%s needs python3: install the package python3", asked_by);
    } else {
        say("%s: python3 could not be started: %s", asked_by, strerror(err));
    }
}

int results_exec(const char **argv)
{
    fflush(stdout);
    execvp(argv[0], (char **)argv);
    complain(errno);
    return LOAD_USAGE;
}

/* The program's descriptors are close-on-exec; dup2() clears that flag. */
static int spawn(const char **argv, int in, const int *fds, size_t fd_count,
                 pid_t *ret)
{
    posix_spawn_file_actions_t actions;

    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0) {
        return err;
    }
    err = posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    for (size_t i = 0; i < fd_count && err == 0; i++) {
        err = posix_spawn_file_actions_adddup2(&actions, fds[i], fds[i]);
    }
    if (err == 0) {
        err =
            posix_spawnp(ret, argv[0], &actions, NULL, (char **)argv, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return err;
}

bool results_run(const char **argv, int in, const int *fds, size_t fd_count)
{
    pid_t pid = 0;
    int status = 0;

    const int err = spawn(argv, in, fds, fd_count, &pid);
    if (err != 0) {
        complain(err);
        return false;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return false;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
