/*
 * A loop where io_uring is refused: whichever way that happens, the loop says
 * everywhere which engine it has and why, and works. memlock.c has the refusal
 * for lack of locked memory, which needs another user.
 *
 * A child process refuses itself the system call by a filter, as the profile of
 * a container does; its exit status is 0 if all was told.
 */
#include "tests/dump.h"
#include "tests/unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <weir.h>
#include <weir/inspect.h>

enum { NO_FILTER = 77 };

#define CHILD_EXPECT(condition)                                                \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);            \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

/* io_uring_setup() fails with this error from now on. */
static void refuse_rings(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = 4, .filter = code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        _exit(NO_FILTER);
    }
}

static void check_text(const char *text, const char *begin, int reason)
{
    char wanted[512];
    snprintf(wanted, sizeof(wanted), "%spoll instead of io_uring: %s, %s\n",
             begin, weir_err_name(reason), weir_strerror(reason));
    CHILD_EXPECT(strstr(text, wanted) != NULL);
}

static int sleep_once(weir_loop *loop, void *arg)
{
    *(bool *)arg = true;
    return weir_sleep(loop, 1000000);
}

static void check_fallback(int reason)
{
    const struct weir_loop_options options = {.size = sizeof(options)};
    struct weir_loop_statistics statistics = {.size = sizeof(statistics)};
    char text[4096];
    weir_loop *loop = NULL;
    bool has_run = false;
    int told = 0;
    CHILD_EXPECT(unsetenv("WEIR_ENGINE") == 0);
    CHILD_EXPECT(weir_loop_new(&options, &loop) == 0);
    CHILD_EXPECT(weir_loop_get_engine(loop, &told) == WEIR_ENGINE_POLL);
    CHILD_EXPECT(told == reason);
    CHILD_EXPECT(weir_loop_get_statistics(loop, &statistics) == 0);
    CHILD_EXPECT(statistics.poll_engines == 1);
    weir_loop_get_features_text(loop, text, sizeof(text));
    check_text(text, "engine           ", reason);
    char *dump = dump_text(loop);
    check_text(dump, " engine=", reason);
    free(dump);
    CHILD_EXPECT(weir_loop_run_task(loop, sleep_once, &has_run, NULL) == 0);
    CHILD_EXPECT(has_run);
    weir_loop_free(loop);
}

/* Who asks for io_uring has the reason as an error; who asks for epoll, none.
 */
static void check_asked_for(int reason)
{
    struct weir_loop_options options = {.size = sizeof(options),
                                        .engine = WEIR_ENGINE_URING};
    weir_loop *loop = NULL;
    int told = 1;
    CHILD_EXPECT(weir_loop_new(&options, &loop) == reason);
    options.engine = WEIR_ENGINE_AUTO;
    CHILD_EXPECT(setenv("WEIR_ENGINE", "uring", 1) == 0);
    CHILD_EXPECT(weir_loop_new(&options, &loop) == reason);
    CHILD_EXPECT(setenv("WEIR_ENGINE", "auto", 1) == 0);
    CHILD_EXPECT(weir_loop_new(&options, &loop) == 0);
    CHILD_EXPECT(weir_loop_get_engine(loop, &told) == WEIR_ENGINE_POLL);
    CHILD_EXPECT(told == reason);
    weir_loop_free(loop);
    options.engine = WEIR_ENGINE_POLL;
    CHILD_EXPECT(weir_loop_new(&options, &loop) == 0);
    CHILD_EXPECT(weir_loop_get_engine(loop, &told) == WEIR_ENGINE_POLL);
    CHILD_EXPECT(told == 0);
    weir_loop_free(loop);
}

static void expect_reason(int error, int reason)
{
    int status = 0;
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        alarm(60);
        refuse_rings(error);
        check_fallback(reason);
        check_asked_for(reason);
        _exit(0);
    }
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "the child ended by a signal");
    if (WEXITSTATUS(status) == NO_FILTER) {
        cr_skip_test("no filters here");
    }
    expect_eq(WEXITSTATUS(status), 0);
}

static bool is_switched_off(void)
{
    FILE *file = fopen("/proc/sys/kernel/io_uring_disabled", "r");
    const int first = file ? fgetc(file) : '0';
    if (file) {
        fclose(file);
    }
    return first != '0';
}

UNIT(refusal, a_filter_is_told)
{
    expect_reason(EPERM,
                  is_switched_off() ? WEIR_ERINGSYSCTL : WEIR_ERINGSECCOMP);
}

UNIT(refusal, a_kernel_without_io_uring_is_told)
{
    expect_reason(ENOSYS, WEIR_ERINGABSENT);
}

UNIT(refusal, an_old_kernel_is_told)
{
    expect_reason(EINVAL, WEIR_ERINGOLD);
}
