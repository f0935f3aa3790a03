/*
 * The shortage of threads; see shortage_rig.h.
 *
 * Before the loop is created, the test's process becomes another user, or
 * enters a cgroup that it creates.
 */
#include "tests/contract/shortage_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { NOBODY = 65534 };

char shortage_folder[64];
int shortage_told;

static enum shortage kind;
static struct rlimit processes;
static char group[96];     /* folder of this process's cgroup */
static char all_group[96]; /* folder of its previous cgroup */

const char *shortage_path(const char *name)
{
    static char path[96];
    snprintf(path, sizeof(path), "%s/%s", shortage_folder, name);
    return path;
}

static bool group_write(const char *folder, const char *name, const char *value)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool is_written =
        fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
    if (fd >= 0) {
        close(fd);
    }
    return is_written;
}

static bool group_enter(void)
{
    static const char *const roots[] = {"/sys/fs/cgroup",
                                        "/sys/fs/cgroup/pids"};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        snprintf(all_group, sizeof(all_group), "%s", roots[i]);
        snprintf(group, sizeof(group), "%s/weir-test-%d", roots[i],
                 (int)getpid());
        if (mkdir(group, 0700) == 0) {
            if (group_write(group, "pids.max", "max") &&
                group_write(group, "cgroup.procs", "0")) {
                return true;
            }
            rmdir(group);
        }
    }
    return false;
}

/* Root may have any number of processes. */
static bool become_nobody(void)
{
    if (geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0)) {
        return false;
    }
    return prctl(PR_SET_DUMPABLE, 1) ==
               0 && /* otherwise /proc/self belongs to root */
           getrlimit(RLIMIT_NPROC, &processes) == 0;
}

static void *return_at_once(void *arg)
{
    return arg;
}

static int make_thread(void)
{
    pthread_t thread;
    const int err = pthread_create(&thread, NULL, return_at_once, NULL);
    if (err == 0) {
        expect_eq(pthread_join(thread, NULL), 0);
    }
    return err;
}

void shortage_begin(void)
{
    if (kind == OF_A_GROUP) {
        cr_assert(group_write(group, "pids.max", "0"));
    } else {
        const struct rlimit none = {0, processes.rlim_max};
        expect_eq(setrlimit(RLIMIT_NPROC, &none), 0);
    }
    if (make_thread() != EAGAIN) {
        shortage_end();
        cr_skip_test(
            "the limit does not hold for this process; runs as a user");
    }
}

void shortage_end(void)
{
    if (kind == OF_A_GROUP) {
        cr_assert(group_write(group, "pids.max", "max"));
    } else {
        expect_eq(setrlimit(RLIMIT_NPROC, &processes), 0);
    }
}

static void note_exception(void *arg, weir_loop *loop,
                           const struct weir_exception *exception)
{
    if (exception->notice == WEIR_NOTICE_ENGINE) {
        return;
    }
    expect_eq(exception->err, -EAGAIN, "%s", exception->message);
    expect_eq(exception->notice, WEIR_NOTICE_THREADS);
    cr_assert_not_null(strstr(exception->message, "thread"));
    shortage_told++;
}

static int run_body(weir_loop *loop, void *arg)
{
    weir_loop_set_exception_handler(loop, note_exception, NULL);
    return task_call(loop, arg);
}

void shortage_run(enum shortage shortage, task_body_fn *body)
{
    kind = shortage;
    if (kind == OF_A_GROUP && !group_enter()) {
        cr_skip_test("no group of processes can be made: it takes root, and a "
                     "cgroup with the controller pids");
    }
    if (kind == OF_PROCESSES && !become_nobody()) {
        cr_skip_test("this process cannot become another user; runs as root");
    }
    snprintf(shortage_folder, sizeof(shortage_folder),
             "/tmp/weir-shortage-XXXXXX");
    cr_assert_not_null(mkdtemp(shortage_folder));

    expect_eq(weir_run(NULL, run_body, &body), 0);

    expect_eq(rmdir(shortage_folder), 0);
    if (kind == OF_A_GROUP) {
        /* Leaves the cgroup. Ended threads leave it a moment later. */
        cr_assert(group_write(all_group, "cgroup.procs", "0"));
        for (int i = 0; i < 60000 && rmdir(group) < 0; i++) {
            cr_assert_eq(errno, EBUSY);
            usleep(1000);
        }
    }
}
