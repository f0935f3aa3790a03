/*
 * Overflows a stack in a child process; see overrun.h.
 *
 * The child writes its report to a pipe, which is read to its end before the
 * child is waited for.
 */
#include "tests/tasks/overrun.h"

#include <signal.h>
#include <sys/wait.h>

int report_fd;

static int dig(volatile int *depth)
{
    volatile char frame[1024];
    frame[0] = 1;
    if (*depth == 0) {
        return 0;
    }
    (*depth)--;
    return dig(depth) + frame[0];
}

int overrun(weir_loop *loop, void *arg)
{
    volatile int depth = 1 << 30;
    return dig(&depth);
}

struct ending in_child(void (*body)(void))
{
    struct ending ending = {.text = ""};
    int fds[2];
    expect_eq(pipe(fds), 0);
    pid_t child = fork();
    expect_geq(child, 0);
    if (child == 0) {
        struct sigaction none = {.sa_handler = SIG_DFL};
        stack_t no_stack = {.ss_flags = SS_DISABLE};
        sigaction(SIGSEGV, &none, NULL);
        sigaction(SIGBUS, &none, NULL);
        sigaltstack(&no_stack, NULL);
        alarm(30);
        report_fd = fds[1];
        close(fds[0]);
        body();
        _exit(0);
    }
    close(fds[1]);
    size_t len = 0;
    for (;;) {
        ssize_t ret =
            read(fds[0], ending.text + len, sizeof(ending.text) - 1 - len);
        if (ret <= 0) {
            break;
        }
        len += (size_t)ret;
    }
    close(fds[0]);
    expect_eq(waitpid(child, &ending.status, 0), child);
    return ending;
}
