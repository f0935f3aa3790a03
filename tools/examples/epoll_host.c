/*
 * weir inside another event loop, here a bare epoll one: the host repeats the
 * lines of standard input, while a task of weir says how long it has slept.
 * Both end with standard input.
 */
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <weir.h>

static int guest(weir_loop *loop, void *arg)
{
    int error = 0;
    (void)arg;
    for (int ms = 10; error == 0; ms += 10) {
        error = weir_sleep(loop, WEIR_MILLISECONDS(10)); /* until cancelled */
        if (error == 0) {
            printf("guest: %d ms\n", ms);
        }
    }
    return error;
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

int main(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = STDIN_FILENO};
    const int epfd = epoll_create1(EPOLL_CLOEXEC);
    weir_loop *loop;
    char line[256];
    int error = weir_loop_new(NULL, &loop);
    if (error < 0 ||
        (error = weir_task_spawn(loop, guest, NULL, NULL, NULL)) < 0) {
        errx(1, "%s", weir_strerror(error));
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    epoll_ctl(epfd, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    event.data.fd = weir_loop_get_fd(loop);
    epoll_ctl(epfd, EPOLL_CTL_ADD, event.data.fd, &event);
    for (ssize_t len = 1; len > 0 && error == 0;) {
        int count = epoll_wait(epfd, &event, 1, wait_ms(loop));
        bool is_input = count > 0 && event.data.fd == STDIN_FILENO;
        if (count < 0 && errno != EINTR) { /* completions interrupt it, too */
            err(1, "epoll_wait");
        }
        if (is_input && (len = read(STDIN_FILENO, line, sizeof(line))) > 0) {
            printf("host: %.*s", (int)len, line);
        }
        if ((count > 0 && !is_input) || wait_ms(loop) == 0) {
            error = weir_loop_run_once(loop);
        }
    }
    return weir_loop_free(loop) < 0 || error < 0;
}
