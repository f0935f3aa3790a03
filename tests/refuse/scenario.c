/*
 * Runs one scenario while the kernel refuses one system call.
 *
 *     refuse-scenario SCENARIO begin|loop FOLDER [NUMBER ERRNO]
 *
 * A seccomp filter refuses the call: "begin" installs it before a loop exists,
 * "loop" once a loop runs. Without a number nothing is refused; instead the
 * thread's name shows a tracer this moment. The exit status is an enum ending,
 * and one line of output has the details.
 */
#include "tests/refuse/scenario.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <tests/have.h>
#include <unistd.h>
#include <weir/task.h>

/* The time limit of a scenario, far longer than one needs. */
#define LIMIT WEIR_SECONDS(10)

enum ending { ENDED_WELL, WAS_TOLD, WAS_WRONG, TOOK_TOO_LONG, IS_MISUSED };

const char *scenario_where = "";
const char *scenario_folder;

static const struct {
    const char *name;
    weir_task_fn *run;
} scenarios[] = {
    {"tcp", scenario_tcp},
    {"unix", scenario_unix},
    {"names", scenario_names},
    {"datagrams", scenario_datagrams},
    {"files", scenario_files},
    {"sendfile", scenario_sendfile},
    {"pipes", scenario_pipes},
    {"child", scenario_child},
    {"signals", scenario_signals},
    {"threads", scenario_threads},
    {"executor", scenario_executor},
    {"watch", scenario_watch},
#if WR_TESTS_PROXY
    {"relay", scenario_relay},
#endif
#if WR_TESTS_TLS
    {"tls", scenario_tls},
#endif
    {"embedded", NULL},
};

static weir_task_fn *chosen;
static bool refuses_at_loop;
static long refused_number = -1;
static unsigned int refused_errno;
static int hook_err;
static weir_task *main_task;

const char *scenario_path(const char *name, char *text)
{
    snprintf(text, SCENARIO_PATH, "%s/%s", scenario_folder, name);
    return text;
}

static void refuse(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)refused_number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | refused_errno),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]),
                                       filter};

    prctl(PR_SET_NAME, "refuses-now");
    if (refused_number < 0) {
        return;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
                &program) != 0) {
        perror("seccomp");
        _exit(IS_MISUSED);
    }
}

void scenario_is_on_loop(void)
{
    if (refuses_at_loop) {
        refuse();
    }
}

/* Errors such as those of an accept are reported only here. The event that the
 * scenario waits for will not occur, so its task is cancelled. */
static void on_exception(void *arg, weir_loop *loop,
                         const struct weir_exception *exception)
{
    (void)arg;
    (void)loop;
    if (hook_err == 0 && exception->notice != WEIR_NOTICE_ENGINE) {
        hook_err = exception->err;
        scenario_where = exception->message ? exception->message : "the hook";
        weir_task_cancel(main_task);
    }
}

static int run_within_limit(weir_loop *loop, void *arg)
{
    struct weir_timeout limit;

    main_task = weir_task_get_current(loop);
    weir_loop_set_exception_handler(loop, on_exception, NULL);
    TRY(weir_sleep(loop, WEIR_MILLISECONDS(1)));
    scenario_is_on_loop();
    TRY(weir_timeout_begin(loop, &limit, LIMIT));
    return (int)weir_timeout_end(&limit, chosen(loop, arg));
}

static int tell(int result)
{
    char line[512];
    enum ending ending = ENDED_WELL;
    const char *name = result < 0 ? weir_err_name(result) : "";

    if (hook_err < 0) {
        ending = WAS_TOLD;
        name = weir_err_name(hook_err);
    } else if (result < 0) {
        ending = result == -ETIMEDOUT ? TOOK_TOO_LONG : WAS_TOLD;
    } else if (result == WRONG) {
        ending = WAS_WRONG;
    }
    const int len = snprintf(line, sizeof(line), "%s %s\n", name,
                             ending == ENDED_WELL ? "ok" : scenario_where);
    if (write(STDOUT_FILENO, line, (size_t)len) < 0) {
        return (int)ending; /* the filter may refuse write() */
    }
    return (int)ending;
}

int main(int argc, char **argv)
{
    bool is_known = false;

    if (argc != 4 && argc != 6) {
        return IS_MISUSED;
    }
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, argv[1]) == 0) {
            chosen = scenarios[i].run;
            is_known = true;
        }
    }
    scenario_folder = argv[3];
    refuses_at_loop = strcmp(argv[2], "loop") == 0;
    if (argc == 6) {
        refused_number = atol(argv[4]);
        refused_errno = (unsigned int)atoi(argv[5]);
    }
    if (!is_known) {
        return IS_MISUSED;
    }
    if (!refuses_at_loop) {
        refuse();
    }
    return tell(chosen ? weir_run(NULL, run_within_limit, NULL)
                       : scenario_embedded());
}
