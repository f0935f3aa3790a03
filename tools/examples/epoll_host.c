/*
 * weir inside another event loop, here a plain epoll loop: the host repeats the
 * lines of standard input, while a weir task prints how long it has slept. Both
 * end at the end of standard input.
 */
#include "check.h"

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static int guest(weir_loop *loop, void *arg)
{
    (void)arg;
    for (int ms = 10;; ms += 10) {
        int error = weir_sleep(loop, WEIR_MILLISECONDS(10));
        if (error < 0) { /* cancelled */
            return error;
        }
        printf("guest: %d ms\n", ms);
    }
}

static int wait_ms(weir_loop *loop) /* rounded up, or the host would spin */
{
    uint64_t deadline = weir_loop_get_deadline(loop);
    uint64_t now = weir_loop_get_time(loop);
    uint64_t left = deadline > now ? deadline - now : 0;
    uint64_t left_ms = left / WEIR_MILLISECONDS(1);
    left_ms += left % WEIR_MILLISECONDS(1) > 0;
    return left_ms < INT_MAX ? (int)left_ms : INT_MAX;
}

static void watch(int epfd, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0) {
        err(1, "epoll_ctl");
    }
}

static bool repeat_input(void) /* returns false at the end of input */
{
    char line[256];
    ssize_t len = read(STDIN_FILENO, line, sizeof(line));
    printf("host: %.*s", len > 0 ? (int)len : 0, line);
    return len > 0;
}

int main(void)
{
    const int epfd = epoll_create1(EPOLL_CLOEXEC);
    weir_loop *loop;
    bool has_input = true;
    check(weir_loop_new(NULL, &loop));
    check(weir_task_spawn(loop, guest, NULL, NULL, NULL));
    setvbuf(stdout, NULL, _IOLBF, 0);
    watch(epfd, STDIN_FILENO);
    watch(epfd, weir_loop_get_fd(loop));
    while (has_input) {
        struct epoll_event event;
        int count = epoll_wait(epfd, &event, 1, wait_ms(loop));
        if (count < 0 && errno != EINTR) { /* completions interrupt */
            err(1, "epoll_wait");
        }
        bool is_input = count > 0 && event.data.fd == STDIN_FILENO;
        if (is_input) {
            has_input = repeat_input();
        }
        if ((count > 0 && !is_input) || wait_ms(loop) == 0) {
            check(weir_loop_run_once(loop));
        }
    }
    check(weir_loop_free(loop));
    return 0;
}
