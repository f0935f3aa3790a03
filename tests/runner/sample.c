/*
 * Tests that show how a runner reports failures. Most fail, each in its own
 * way.
 *
 * tests/checks/test_runner.py runs them with both runners. Tests that must pass
 * have names that begin with "good".
 */
#include "tests/death.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>
#include <ucontext.h>

static ucontext_t home;

static void *assert_in_thread(void *arg)
{
    expect_eq(1, 2, "in a thread");
    return arg;
}

static void assert_on_stack(void)
{
    expect_eq(1, 2, "on another stack");
}

UNIT(sample, good_passes)
{
    expect_eq(1, 1);
}

UNIT(sample, good_is_skipped)
{
    cr_skip_test("there is %s", "nothing to do");
}

UNIT(sample, good_child_that_asserts_exits_with_1)
{
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        cr_assert_eq(1, 2, "in a child");
    }
    expect_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    expect_eq(WEXITSTATUS(status), 1);
}

UNIT_ABORTS(sample, good_aborts_with_these_words, "these words")
{
    fprintf(stderr, "sample: these words\n");
    abort();
}

UNIT(sample, compares)
{
    expect_eq(1, 2, "in the test");
}

UNIT(sample, asserts)
{
    cr_assert_eq(1, 2, "by Criterion's name");
}

UNIT(sample, asserts_in_a_thread)
{
    pthread_t thread;

    expect_eq(pthread_create(&thread, NULL, assert_in_thread, NULL), 0);
    pthread_join(thread, NULL);
}

UNIT(sample, asserts_on_another_stack)
{
    static char stack[64 * 1024];
    ucontext_t there;

    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof(stack);
    there.uc_link = &home;
    makecontext(&there, assert_on_stack, 0);
    swapcontext(&home, &there);
}

UNIT(sample, leaves_a_descriptor)
{
    expect_geq(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
}

UNIT(sample, leaks_memory)
{
#ifdef UNIT_HAS_LSAN
    fputs(strdup("lost"), stderr);
#else
    cr_assert_fail("without a sanitizer this would pass");
#endif
}

UNIT(sample, crashes)
{
    raise(SIGSEGV);
}

UNIT(sample, exits_with_3)
{
    _exit(3);
}

UNIT_ABORTS(sample, aborts_with_other_words, "these words")
{
    fprintf(stderr, "sample: other words\n");
    abort();
}

UNIT_ABORTS(sample, does_not_abort, "these words")
{
}

Test(sample, does_not_end, .timeout = 1)
{
    for (;;) {
        pause();
    }
}
