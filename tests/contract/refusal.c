/*
 * A loop where io_uring is refused: for every kind of refusal, the loop reports
 * everywhere which engine it has and why, reports it once to the exception
 * hook, and works.
 *
 * memlock.c has the refusal for lack of locked memory, which needs another
 * user. A child process blocks the system call with a filter, like the profile
 * of a container; its exit status is 0 if everything was reported.
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
#include <weir/error.h>
#include <weir/inspect.h>
#include <weir/task.h>
#include <weir/threads.h>

enum { NO_FILTER = 77 };

#define CHILD_EXPECT(condition)                                                \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);            \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

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

/* A program that requests io_uring gets the reason as an error; a program that
 * requests epoll gets none. */
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

enum { LOOPS = 8 };

static struct weir_exception heard;
static _Atomic int heard_count;

static void hear(void *arg, weir_loop *loop,
                 const struct weir_exception *exception)
{
    heard = *exception;
    heard_count++;
}

static weir_loop *make_loop(enum weir_engine engine, weir_exception_fn *hook)
{
    const struct weir_loop_options options = {.size = sizeof(options),
                                              .engine = engine};
    weir_loop *loop = NULL;
    CHILD_EXPECT(weir_loop_new(&options, &loop) == 0);
    weir_loop_set_exception_handler(loop, hook, NULL);
    return loop;
}

static void run_loop(weir_loop *loop)
{
    bool has_run = false;
    CHILD_EXPECT(weir_loop_run_task(loop, sleep_once, &has_run, NULL) == 0);
    CHILD_EXPECT(has_run);
}

static void expect_heard(int reason)
{
    CHILD_EXPECT(heard_count == 1);
    CHILD_EXPECT(heard.notice == WEIR_NOTICE_ENGINE);
    CHILD_EXPECT(heard.err == reason);
    CHILD_EXPECT(strcmp(heard.message, "epoll instead of io_uring") == 0);
    CHILD_EXPECT(!heard.callback && !heard.task && !heard.transport);
}

/* The report does not come inside the call that sets the hook, because the
 * program may set up what the hook needs only afterwards. */
static void check_told_by_first_run(int reason)
{
    weir_loop *loop = make_loop(WEIR_ENGINE_AUTO, hear);
    CHILD_EXPECT(heard_count == 0);
    run_loop(loop);
    expect_heard(reason);
    weir_loop_set_exception_handler(loop, hear, NULL);
    run_loop(loop);
    weir_loop_free(loop);
    expect_heard(reason);
}

static int set_hook(weir_loop *loop, void *arg)
{
    weir_loop_set_exception_handler(loop, hear, NULL);
    return sleep_once(loop, arg);
}

static void check_told_to_late_hook(int reason)
{
    bool has_run = false;
    weir_loop *loop = make_loop(WEIR_ENGINE_AUTO, NULL);
    run_loop(loop);
    weir_loop_set_exception_handler(loop, hear, NULL);
    weir_loop_set_exception_handler(loop, NULL, NULL);
    run_loop(loop);
    CHILD_EXPECT(heard_count == 0);
    CHILD_EXPECT(weir_loop_run_task(loop, set_hook, &has_run, NULL) == 0);
    weir_loop_free(loop);
    expect_heard(reason);
}

static void check_told_by_one_loop(int reason)
{
    for (int i = 0; i < LOOPS; i++) {
        weir_loop *loop = make_loop(WEIR_ENGINE_AUTO, i == 0 ? NULL : hear);
        run_loop(loop);
        weir_loop_free(loop);
        CHILD_EXPECT(heard_count == (i == 0 ? 0 : 1));
    }
    expect_heard(reason);
}

static int hear_in_thread(weir_thread *thread, void *arg)
{
    bool has_run = false;
    return set_hook(weir_thread_get_loop(thread), &has_run);
}

static void check_told_by_one_thread(int reason)
{
    const struct weir_threads_options options = {.size = sizeof(options),
                                                 .thread_count = LOOPS};
    weir_threads *threads = NULL;
    CHILD_EXPECT(weir_threads_start(&options, hear_in_thread, NULL, &threads) ==
                 0);
    CHILD_EXPECT(weir_threads_join(threads) == 0);
    expect_heard(reason);
}

static void check_not_told_where_asked_for(int reason)
{
    weir_loop *loop = make_loop(WEIR_ENGINE_POLL, hear);
    run_loop(loop);
    weir_loop_free(loop);
    CHILD_EXPECT(setenv("WEIR_ENGINE", "poll", 1) == 0);
    loop = make_loop(WEIR_ENGINE_AUTO, hear);
    run_loop(loop);
    weir_loop_free(loop);
    CHILD_EXPECT(heard_count == 0);
}

static void check_printed(int reason)
{
    char wanted[512];
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHILD_EXPECT(out != NULL);
    for (int i = 0; i < 2; i++) {
        weir_loop *loop = make_loop(WEIR_ENGINE_AUTO, NULL);
        weir_loop_set_exception_handler(loop, weir_print_exception, out);
        run_loop(loop);
        weir_loop_free(loop);
    }
    CHILD_EXPECT(fclose(out) == 0);
    snprintf(wanted, sizeof(wanted),
             "weir: epoll instead of io_uring: %s (%s)\n",
             weir_strerror(reason), weir_err_name(reason));
    CHILD_EXPECT(strcmp(text, wanted) == 0);
    free(text);
}

static void check_everything(int reason)
{
    check_fallback(reason);
    check_asked_for(reason);
}

static void expect_in_child(int error, int reason, void (*check)(int reason))
{
    int status = 0;
    const pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        alarm(60);
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                     offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const struct sock_fprog program = {.len = 4, .filter = code};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
            _exit(NO_FILTER);
        }
        CHILD_EXPECT(unsetenv("WEIR_ENGINE") == 0);
        check(reason);
        _exit(0);
    }
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "the child ended by a signal");
    if (WEXITSTATUS(status) == NO_FILTER) {
        cr_skip_test("no filters of seccomp; runs on a kernel that has them");
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

static int reason_of_filter(void)
{
    return is_switched_off() ? WEIR_ERINGSYSCTL : WEIR_ERINGSECCOMP;
}

UNIT(refusal, a_filter_is_told)
{
    expect_in_child(EPERM, reason_of_filter(), check_everything);
}

UNIT(refusal, a_kernel_without_io_uring_is_told)
{
    expect_in_child(ENOSYS, WEIR_ERINGABSENT, check_everything);
}

UNIT(refusal, an_old_kernel_is_told)
{
    expect_in_child(EINVAL, WEIR_ERINGOLD, check_everything);
}

UNIT(refusal, the_first_run_tells_the_hook_once)
{
    expect_in_child(EPERM, reason_of_filter(), check_told_by_first_run);
    expect_in_child(ENOSYS, WEIR_ERINGABSENT, check_told_by_first_run);
    expect_in_child(EUCLEAN, -EUCLEAN, check_told_by_first_run);
}

UNIT(refusal, is_kept_until_there_is_a_hook)
{
    expect_in_child(ENOSYS, WEIR_ERINGABSENT, check_told_to_late_hook);
}

UNIT(refusal, is_told_by_one_of_the_loops_of_a_process)
{
    expect_in_child(ENOSYS, WEIR_ERINGABSENT, check_told_by_one_loop);
}

UNIT(refusal, is_told_by_one_of_the_loops_of_many_threads)
{
    expect_in_child(ENOSYS, WEIR_ERINGABSENT, check_told_by_one_thread);
}

UNIT(refusal, nothing_is_told_where_epoll_was_asked_for)
{
    expect_in_child(ENOSYS, WEIR_ERINGABSENT, check_not_told_where_asked_for);
}

UNIT(refusal, one_line_is_printed)
{
    expect_in_child(EINVAL, WEIR_ERINGOLD, check_printed);
}
