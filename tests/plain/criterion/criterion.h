/*
 * What the tests in C are written with: as much of Criterion as they use.
 *
 * Each test is a forked child, one after the other, whose exit status is its
 * result; the output is TAP. A failed cr_expect ends the test as a failed
 * cr_assert does. The names are those of the library Criterion, which the tests
 * do without: it starts the program anew for each test and loads 25 libraries,
 * 80 ms of CPU where a fork takes 3; it does not start under ThreadSanitizer;
 * and for other processors and C libraries it would have to be built first.
 */
#ifndef WEIR_TESTS_PLAIN_CRITERION_H
#define WEIR_TESTS_PLAIN_CRITERION_H

#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAIN_SKIPPED = 77 };

struct plain_options {
    int signal;  /* the test must end with it; 0: it must exit with 0 */
    int timeout; /* in seconds */
};

struct plain_test {
    struct plain_test *next;
    const char *suite;
    const char *name;
    void (*run)(void);
    struct plain_options options;
};

static struct plain_test *plain_tests;
static struct plain_test **plain_end = &plain_tests;

static inline void plain_add(struct plain_test *test)
{
    *plain_end = test;
    plain_end = &test->next;
}

__attribute__((format(printf, 4, 5))) static inline void
plain_fail(const char *file, int line, const char *what, const char *format,
           ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: %s ", file, line, what);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

#define plain_check(cond, what, ...)                                           \
    ((cond) ? (void)0 : plain_fail(__FILE__, __LINE__, what, "" __VA_ARGS__))

#define cr_assert(cond, ...)     plain_check(cond, #cond, __VA_ARGS__)
#define cr_assert_not(cond, ...) plain_check(!(cond), "not " #cond, __VA_ARGS__)
#define cr_assert_null(ptr, ...)                                               \
    plain_check(!(ptr), #ptr " is NULL", __VA_ARGS__)
#define cr_assert_not_null(ptr, ...)                                           \
    plain_check(ptr, #ptr " is not NULL", __VA_ARGS__)
#define cr_assert_eq(a, b, ...)                                                \
    plain_check((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)                                               \
    plain_check((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, epsilon, ...)                                 \
    plain_check((a) - (b) <= (epsilon) && (b) - (a) <= (epsilon),              \
                #a " == " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                            \
    plain_check(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                           \
    plain_check(strcmp(a, b) != 0, #a " != " #b, __VA_ARGS__)
#define cr_assert_str_empty(text, ...)                                         \
    plain_check(*(text) == '\0', #text " is empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...)                                      \
    plain_check(memcmp(a, b, size) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) plain_check((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) plain_check((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)                                               \
    plain_check((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)                                               \
    plain_check((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_fail(...)                                                    \
    plain_fail(__FILE__, __LINE__, "failed:", "" __VA_ARGS__)
#define cr_skip_test(...)                                                      \
    do {                                                                       \
        printf("# " __VA_ARGS__);                                              \
        printf("\n");                                                          \
        fflush(NULL);                                                          \
        _exit(PLAIN_SKIPPED);                                                  \
    } while (0)
#define cr_expect          cr_assert
#define cr_expect_eq       cr_assert_eq
#define cr_expect_not      cr_assert_not
#define cr_expect_null     cr_assert_null
#define cr_expect_not_null cr_assert_not_null

#define Test(test_suite, test_name, ...)                                       \
    static void plain_##test_suite##_##test_name(void);                        \
    __attribute__((                                                            \
        constructor)) static void plain_add_##test_suite##_##test_name(void)   \
    {                                                                          \
        static struct plain_test test = {.suite = #test_suite,                 \
                                         .name = #test_name,                   \
                                         .run =                                \
                                             plain_##test_suite##_##test_name, \
                                         .options = {__VA_ARGS__}};            \
        plain_add(&test);                                                      \
    }                                                                          \
    static void plain_##test_suite##_##test_name(void)

/* In the child: exit() and not _exit(), so that the sanitizer has its say. */
static inline void plain_run(const struct plain_test *test)
{
    /* A test that hangs is not waited for. */
    alarm(test->options.timeout > 0 ? (unsigned)test->options.timeout : 100u);
    test->run();
    exit(0);
}

static inline bool plain_passes(const struct plain_test *test,
                                bool *ret_skipped)
{
    int status = 0;
    *ret_skipped = false;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        plain_run(test);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return false;
    }
    if (test->options.signal != 0) {
        return WIFSIGNALED(status) && WTERMSIG(status) == test->options.signal;
    }
    if (WIFSIGNALED(status)) {
        printf("# ended by signal %d\n", WTERMSIG(status));
    }
    *ret_skipped = WIFEXITED(status) && WEXITSTATUS(status) == PLAIN_SKIPPED;
    return *ret_skipped || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Whether a pattern of the shell after @option fits a test. */
static inline bool plain_is_named(int argc, char **argv, const char *option,
                                  const char *path)
{
    const size_t len = strlen(option);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], option, len) == 0 &&
            fnmatch(argv[i] + len, path, 0) == 0) {
            return true;
        }
    }
    return false;
}

/* All tests, or those whose SUITE/NAME fits a pattern after --filter=, of which
 * there must be one; those that fit one after --skip= are told and not run.
 * Rigs, which have none, include this too; of several that are weak the
 * program's own, linked first, counts. */
__attribute__((weak)) int main(int argc, char **argv)
{
    bool has_filter = false;
    int number = 0;
    int failed_count = 0;
    for (int i = 1; i < argc; i++) {
        has_filter |= strncmp(argv[i], "--filter=", 9) == 0;
    }
    for (const struct plain_test *test = plain_tests; test; test = test->next) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", test->suite, test->name);
        if (has_filter && !plain_is_named(argc, argv, "--filter=", path)) {
            continue;
        }
        bool is_skipped = plain_is_named(argc, argv, "--skip=", path);
        const bool passes = is_skipped || plain_passes(test, &is_skipped);
        failed_count += !passes;
        printf("%sok %d - %s%s\n", passes ? "" : "not ", ++number, path,
               is_skipped ? " # SKIP" : "");
    }
    printf("1..%d\n", number);
    return failed_count > 0 || number == 0;
}

#endif
