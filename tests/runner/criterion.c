/*
 * Additions to Criterion: the end of a failed test, and functions that replace
 * some that Criterion would call.
 *
 * Criterion compares long texts with libgit2, which loads 15 libraries each
 * time a test starts. weir's tests print the compared values themselves
 * (expect.h), so the functions here compare nothing, and Criterion is linked
 * statically without libgit2.
 *
 * BoxFort, which starts processes for Criterion, kills a process that it could
 * not start. If fork() has failed, this is kill(-1): all processes of the user.
 */
#include "criterion.h"

#include <errno.h>

#undef criterion_send_assert

struct cri_diff_buffer {
    char *ptr;
    size_t size;
};

int cri_diff_buffer_to_buffer(const struct cri_diff_buffer *a,
                              const struct cri_diff_buffer *b,
                              struct cri_diff_buffer *ret_diff);
void cri_diff_fini(void);
void cri_diff_init(void);
int __real_kill(pid_t pid, int signum);
int __wrap_kill(pid_t pid, int signum);

/* The process of the test. Its forked children inherit the value. */
static pid_t test_pid;

__attribute__((constructor)) static void note_pid(void)
{
    test_pid = getpid();
}

void runner_send_assert(struct criterion_assert_stats *stats)
{
    if (getpid() == test_pid) {
        criterion_send_assert(stats);
    } else if (!stats->passed) {
        fprintf(stderr, "%s:%u: %s\n", stats->file, stats->line,
                stats->message);
    }
}

_Noreturn void runner_end_failed(void)
{
    fflush(NULL);
    _exit(1);
}

int __wrap_kill(pid_t pid, int signum)
{
    if (pid == -1) {
        errno = ESRCH;
        return -1;
    }
    return __real_kill(pid, signum);
}

void cri_diff_init(void)
{
}

void cri_diff_fini(void)
{
}

int cri_diff_buffer_to_buffer(const struct cri_diff_buffer *a,
                              const struct cri_diff_buffer *b,
                              struct cri_diff_buffer *ret_diff)
{
    (void)a;
    (void)b;
    *ret_diff = (struct cri_diff_buffer){0};
    return -1;
}
