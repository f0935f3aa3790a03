/*
 * Scenes that must fail.
 *
 * Each step that checks something must notice a difference, and the message
 * must have its position; an unknown call must fail at its position.
 */
#include "scenes.h"

#include <sys/wait.h>

static const struct {
    const char *text;
    const char *said;
} rows[] = {
    {"lok", "lok is no call"},
    {"lock; start a acquire,relase", "relase is no call"},
    {"lock; release; locked 0", "lock; >>release<<; locked 0: "},
    {"lock; release", "it is EPERM, not 0"},
    {"lock; release=0", "it is EPERM, not 0"},
    {"lock; acquire EPERM", "it is 0, not EPERM"},
    {"lock; acquire 0 0", "strtok_r"},
    {"semaphore:1; value >1", "it is 1, not >1"},
    {"semaphore:1; value <1", "it is 1, not <1"},
    {"lock; begin a acquire; a EPERM", "it is 0, not EPERM"},
    {"lock; begin a acquire; a 0 ECANCELED", "it is 0, not ECANCELED"},
    {"lock; start a acquire; waits a", "is_back"},
    {"lock; start a acquire; notes -", "notes is \"a\", not \"\""},
    {"lock; start a acquire; start a acquire", "task"},
    {"lock; acquire; start a acquire", "workers[i].task"},
    {"lock; acquire; start a acquire; leave; a", "it is ECANCELED, not 0"},
    {"lock; condition; acquire", "weir_lock_is_locked"},
    {"lock; callback acquire", "it is WEIR_ENOTTASK, not 0"},
    {"lock; thread acquire", "it is EPERM, not 0"},
    {"lock; late acquire", "sync.c"},
    {"timed sleep:5", "it is ETIMEDOUT, not 0"},
    {"at_once sleep:1", "turns is"},
    {"group; member a fail:EIO; group_end:0", "it is EIO, not 0"},
};

/* Plays a scene in a process of its own, which must fail and say this. */
static void expect_failure(const char *text, const char *words)
{
    char said[4096];
    int ends[2];
    int status;
    size_t len = 0;

    expect_eq(pipe(ends), 0);
    const pid_t pid = fork();
    expect_geq(pid, 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        scene_run(text);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t got; (got = read(ends[0], said + len, 4095 - len)) > 0;) {
        len += (size_t)got;
    }
    said[len] = '\0';
    close(ends[0]);
    expect_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "%s: %s", text, said);
    expect_eq(WEXITSTATUS(status), 1, "%s: %s", text, said);
    cr_assert(strstr(said, words) != NULL, "'%s' says '%s'", text, said);
}

UNIT(scene_fails, a_step_that_does_not_hold_is_told_with_its_place)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        expect_failure(rows[i].text, rows[i].said);
    }
}
