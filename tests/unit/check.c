/*
 * Assertions, and the arithmetic in the same header.
 *
 * A parent process reads the failure, because the message must be complete on
 * standard error before the process dies of SIGABRT.
 */
#include "uring/check.h"

#include "tests/death.h"

#include <sys/wait.h>

/* Returns the standard error of a child that dies of SIGABRT. */
static void text_of_failure(const char *cond, char *buf, size_t size)
{
    int fds[2];
    int status = 0;
    expect_eq(pipe(fds), 0);
    pid_t pid = fork();
    expect_geq(pid, 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        wr_check_failed(cond, "uring/some.c", 42);
    }
    close(fds[1]);
    ssize_t len = read(fds[0], buf, size - 1);
    close(fds[0]);
    expect_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    expect_gt(len, 0);
    buf[len] = '\0';
}

UNIT(check, a_failure_says_what_and_where_and_aborts)
{
    char text[1024];
    text_of_failure("count > 0", text, sizeof(text));

    expect_str_eq(text, "weir: uring/some.c:42: broken: count > 0\n");
}

UNIT(check, a_long_condition_is_cut_and_the_line_still_ends)
{
    char cond[2000];
    char text[1024];
    memset(cond, 'x', sizeof(cond) - 1);
    cond[sizeof(cond) - 1] = '\0';
    text_of_failure(cond, text, sizeof(text));

    expect_lt(strlen(text), 600);
    expect_eq(text[strlen(text) - 1], '\n');
}

UNIT(check, a_true_condition_is_evaluated_once)
{
    int count = 0;
    wr_assert(++count == 1);
    wr_check(++count == 2);

    expect_eq(count, 2);
}

UNIT_ABORTS(check, a_false_assertion_aborts, "count == 2")
{
    volatile int count = 1;
    wr_assert(count == 2);
}

UNIT_ABORTS(check, a_false_check_aborts, "count == 2")
{
    volatile int count = 1;
    wr_check(count == 2);
}

static int half(int number)
{
    wr_require(number % 2 == 0, -22);
    return number / 2;
}

UNIT(check, require_leaves_the_function_with_the_code)
{
    expect_eq(half(6), 3);
    expect_eq(half(5), -22);
}

UNIT(check, a_sum_that_would_wrap_is_never)
{
    expect_eq(wr_add_sat(1, 2), 3);
    expect_eq(wr_add_sat(UINT64_MAX, 0), UINT64_MAX);
    expect_eq(wr_add_sat(UINT64_MAX - 1, 1), UINT64_MAX);
    expect_eq(wr_add_sat(UINT64_MAX - 1, 2), UINT64_MAX);
    expect_eq(wr_add_sat(2, UINT64_MAX), UINT64_MAX);
}

UNIT(check, the_smaller_and_the_larger)
{
    expect_eq(wr_min_u64(1, UINT64_MAX), 1);
    expect_eq(wr_min_u64(2, 1), 1);
    expect_eq(wr_max_u64(1, UINT64_MAX), UINT64_MAX);
    expect_eq(wr_max_u64(2, 1), 2);
}
