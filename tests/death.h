/*
 * Tests whose body must end in abort().
 *
 * UNIT_ABORTS also takes the expected message: the failed condition, or the
 * text after the last ": " in the first line of standard error. Standard error
 * is a file in memory, which a handler of SIGABRT reads. With another message,
 * or none, the test fails, because it aborted for another reason.
 */
#ifndef WEIR_TESTS_DEATH_H
#define WEIR_TESTS_DEATH_H

#include "unit.h"

#include <signal.h>
#include <sys/mman.h>

static const char *death_words;
static int death_stderr;

static inline void death_judge(int signum)
{
    char said[512];
    const ssize_t len = pread(STDERR_FILENO, said, sizeof(said) - 1, 0);
    said[len > 0 ? len : 0] = '\0';
    said[strcspn(said, "\n")] = '\0';
    const size_t said_len = strlen(said);
    const size_t words_len = strlen(death_words);
    const char *words = said + said_len - words_len;

    expect_eq(signum, SIGABRT);
    expect_eq(dup2(death_stderr, STDERR_FILENO), STDERR_FILENO);
    cr_assert(said_len >= words_len + 2 && memcmp(words - 2, ": ", 2) == 0 &&
                  strcmp(words, death_words) == 0,
              "the test died of \"%s\" and not of \"%s\"", said, death_words);
}

/* From here on the process may abort(), with exactly @words as its message. */
static inline void death_expect(const char *words)
{
    const int fd = memfd_create("stderr", MFD_CLOEXEC);
    death_words = words;
    death_stderr = dup(STDERR_FILENO);
    expect_geq(death_stderr, 0);
    expect_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    signal(SIGABRT, death_judge);
}

#define UNIT_ABORTS(suite, name, words)                                        \
    static void suite##__##name(void);                                         \
    Test(suite, name, .signal = SIGABRT, .timeout = UNIT_TIMEOUT_S)            \
    {                                                                          \
        death_expect(words);                                                   \
        suite##__##name();                                                     \
    }                                                                          \
    static void suite##__##name(void)

#endif
