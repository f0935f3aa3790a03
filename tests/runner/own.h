/*
 * The small runner, which replaces Criterion where it cannot run.
 *
 * It provides the part of Criterion that the tests use, under the same names.
 * Tests run one after another in forked children, whose exit status is the
 * result. The output is TAP. A failed cr_expect ends the test like a failed
 * cr_assert.
 */
#ifndef WEIR_TESTS_RUNNER_OWN_H
#define WEIR_TESTS_RUNNER_OWN_H

/* Suppresses warnings about expanded macros, like Criterion's header. */
#pragma GCC system_header

#include <fnmatch.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OWN_SKIPPED = 77 };

struct own_options {
    int signal; /* signal that must end the test; 0 means exit with 0 */
    int timeout;
};

struct own_test {
    struct own_test *next;
    const char *suite;
    const char *name;
    void (*run)(void);
    struct own_options options;
};

/* Weak, so that all files of a program share one list. */
__attribute__((weak)) struct own_test *own_tests;
__attribute__((weak)) struct own_test **own_end = &own_tests;

static inline void own_add(struct own_test *test)
{
    *own_end = test;
    own_end = &test->next;
}

__attribute__((format(printf, 4, 5))) static inline void
own_fail(const char *file, int line, const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: %s ", file, line, what);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _exit(1);
}

#define own_check(cond, what, ...)                                             \
    ((cond) ? (void)0 : own_fail(__FILE__, __LINE__, what, "" __VA_ARGS__))

#define cr_assert(cond, ...)     own_check(cond, #cond, __VA_ARGS__)
#define cr_assert_not(cond, ...) own_check(!(cond), "not " #cond, __VA_ARGS__)
#define cr_assert_null(ptr, ...) own_check(!(ptr), #ptr " is NULL", __VA_ARGS__)
#define cr_assert_not_null(ptr, ...)                                           \
    own_check(ptr, #ptr " is not NULL", __VA_ARGS__)
#define cr_assert_eq(a, b, ...) own_check((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)                                               \
    own_check((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, epsilon, ...)                                 \
    own_check((a) - (b) <= (epsilon) && (b) - (a) <= (epsilon), #a " == " #b,  \
              __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                            \
    own_check(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                           \
    own_check(strcmp(a, b) != 0, #a " != " #b, __VA_ARGS__)
#define cr_assert_str_empty(text, ...)                                         \
    own_check(*(text) == '\0', #text " is empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...)                                      \
    own_check(memcmp(a, b, size) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) own_check((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) own_check((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)                                               \
    own_check((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)                                               \
    own_check((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_fail(...)                                                    \
    own_fail(__FILE__, __LINE__, "failed:", "" __VA_ARGS__)
#define cr_skip_test(...)                                                      \
    do {                                                                       \
        printf("# " __VA_ARGS__);                                              \
        printf("\n");                                                          \
        fflush(NULL);                                                          \
        _exit(OWN_SKIPPED);                                                    \
    } while (0)
#define cr_expect          cr_assert
#define cr_expect_eq       cr_assert_eq
#define cr_expect_not      cr_assert_not
#define cr_expect_null     cr_assert_null
#define cr_expect_not_null cr_assert_not_null

#define Test(test_suite, test_name, ...)                                       \
    static void own_##test_suite##_##test_name(void);                          \
    __attribute__((                                                            \
        constructor)) static void own_add_##test_suite##_##test_name(void)     \
    {                                                                          \
        static struct own_test test = {.suite = #test_suite,                   \
                                       .name = #test_name,                     \
                                       .run = own_##test_suite##_##test_name,  \
                                       .options = {__VA_ARGS__}};              \
        own_add(&test);                                                        \
    }                                                                          \
    static void own_##test_suite##_##test_name(void)

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void);

/* Runs after exit handlers registered by the test, and skips handlers from
 * before the fork. A process with no more memory than at its start has leaked
 * none, unless the test freed older memory. The leak check would read all
 * static memory, which takes longer than most tests. */
static inline void own_leave(int status, void *bytes_before)
{
    if (__sanitizer_get_current_allocated_bytes() <= (size_t)bytes_before) {
        fflush(NULL);
        _exit(status);
    }
}
#endif

/* Calls exit(), not _exit(), because the leak check is an exit handler. */
static inline void own_run(const struct own_test *test)
{
    alarm(test->options.timeout > 0 ? (unsigned)test->options.timeout : 100u);
#ifdef __SANITIZE_ADDRESS__
    on_exit(own_leave, (void *)__sanitizer_get_current_allocated_bytes());
#endif
    test->run();
    exit(0);
}

static inline bool own_passes(const struct own_test *test, bool *ret_skipped)
{
    int status = 0;
    *ret_skipped = false;
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        own_run(test);
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
    *ret_skipped = WIFEXITED(status) && WEXITSTATUS(status) == OWN_SKIPPED;
    return *ret_skipped || (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static inline bool own_is_named(int argc, char **argv, const char *option,
                                const char *path)
{
    const size_t len = strlen(option);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], option, len) == 0 &&
            fnmatch(argv[i] + len, path, FNM_EXTMATCH) == 0) {
            return true;
        }
    }
    return false;
}

/* The leak check of a test that keeps memory reads all static memory. Huge
 * pages reduce its page faults. */
static inline void own_join_pages(void)
{
#ifdef __SANITIZE_ADDRESS__
    extern char __bss_start[];
    extern char _end[];
    const uintptr_t start = (uintptr_t)__bss_start & ~(uintptr_t)4095;
    madvise((void *)start, (uintptr_t)_end - start, MADV_HUGEPAGE);
#endif
}

/* Runs all tests, or at least one whose SUITE/NAME matches a pattern after
 * --filter=. Tests that match a pattern after --skip= are reported as skipped.
 * The function is weak because rigs include this file, too. */
__attribute__((weak)) int main(int argc, char **argv)
{
    bool has_filter = false;
    int number = 0;
    int failed_count = 0;
    own_join_pages();
    for (int i = 1; i < argc; i++) {
        has_filter |= strncmp(argv[i], "--filter=", 9) == 0;
    }
    for (const struct own_test *test = own_tests; test; test = test->next) {
        char path[256];
        snprintf(path, sizeof(path), "%s/%s", test->suite, test->name);
        if (has_filter && !own_is_named(argc, argv, "--filter=", path)) {
            continue;
        }
        bool is_skipped = own_is_named(argc, argv, "--skip=", path);
        const bool passes = is_skipped || own_passes(test, &is_skipped);
        failed_count += !passes;
        printf("%sok %d - %s%s\n", passes ? "" : "not ", ++number, path,
               is_skipped ? " # SKIP" : "");
    }
    printf("1..%d\n", number);
    fflush(NULL);
    _exit(failed_count > 0 || number == 0); /* the children check for leaks */
}

#endif
