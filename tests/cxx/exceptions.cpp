/*
 * Tasks of a C++ program that throw, catch and wait.
 *
 * The runtime keeps for each thread which exceptions are being handled and how
 * many are on their way. A task may wait in the middle of that, so each task
 * must have its own. Random orders print their seed and take it back as
 * WEIR_CXX_SEED.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>

#include <csetjmp>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weir.h>

namespace {

int failures;

void expect(bool is_true, const char *what)
{
    if (!is_true) {
        std::fprintf(stderr, "  wrong: %s\n", what);
        failures++;
    }
}

struct numbered : std::exception {
    explicit numbered(int number) : number(number) {}
    int number;
};

/* As many tasks as asked for run the function, and end. */
struct crew {
    weir_task_fn *fn;
    int count;
};

int run_crew(weir_loop *loop, void *arg)
{
    const auto *asked = static_cast<const crew *>(arg);
    struct weir_task_group group;
    int err = weir_task_group_begin(loop, &group);
    static int indices[64];
    for (int i = 0; i < asked->count && err == 0; i++) {
        indices[i] = i;
        err = weir_task_group_spawn(&group, asked->fn, &indices[i], nullptr,
                                    nullptr);
    }
    return weir_task_group_end(&group, err);
}

void run(weir_task_fn *fn, int count)
{
    crew asked = {fn, count};
    expect(weir_run(nullptr, run_crew, &asked) == 0, "all tasks end well");
}

/* ---- waiting where an exception is handled ---- */

int rethrow_after_waiting(weir_loop *loop, void *arg)
{
    const int mine = *static_cast<int *>(arg);
    int got = -1;
    try {
        try {
            throw numbered(mine);
        } catch (...) {
            expect(weir_yield(loop) == 0, "a yield while handling");
            throw;
        }
    } catch (const numbered &caught) {
        got = caught.number;
    }
    expect(got == mine, "`throw;` throws what this task caught");
    return 0;
}

void a_task_that_waits_in_catch_rethrows_its_own_exception()
{
    run(rethrow_after_waiting, 6);
}

int look_around(weir_loop *loop, void *arg)
{
    if (*static_cast<int *>(arg) == 0) {
        try {
            throw numbered(1);
        } catch (const numbered &) {
            return weir_yield(loop);
        }
    }
    expect(!std::current_exception(), "another task handles none");
    expect(std::uncaught_exceptions() == 0, "another task throws none");
    return 0;
}

void a_task_sees_no_exception_of_another()
{
    run(look_around, 5);
}

/* ---- waiting while an exception is on its way ---- */

struct waits_at_end {
    weir_loop *loop;
    ~waits_at_end()
    {
        expect(std::uncaught_exceptions() == 1, "one is on its way");
        expect(weir_yield(loop) == 0, "a yield in a destructor");
        expect(std::uncaught_exceptions() == 1, "one is still on its way");
    }
};

int wait_while_unwinding(weir_loop *loop, void *arg)
{
    const int mine = *static_cast<int *>(arg);
    expect(std::uncaught_exceptions() == 0, "none at the beginning");
    try {
        waits_at_end waiting = {loop};
        throw numbered(mine);
    } catch (const numbered &caught) {
        expect(caught.number == mine, "the one that was thrown here");
    }
    expect(std::uncaught_exceptions() == 0, "none at the end");
    return 0;
}

void a_destructor_may_wait_while_its_task_unwinds()
{
    run(wait_while_unwinding, 6);
}

/* ---- many, at random ---- */

std::uint64_t random_state;

unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return static_cast<unsigned>(random_state % limit);
}

void wait_sometimes(weir_loop *loop)
{
    for (unsigned i = random_below(3); i > 0; i--) {
        expect(weir_yield(loop) == 0, "a yield at random");
    }
}

/* Handlers within handlers; each rethrows, or throws another one. */
void nest(weir_loop *loop, int number, unsigned depth)
{
    wait_sometimes(loop);
    try {
        if (depth == 0) {
            throw numbered(number);
        }
        nest(loop, number + 1, depth - 1);
    } catch (const numbered &caught) {
        expect(caught.number == number + static_cast<int>(depth),
               "the number of the innermost");
        wait_sometimes(loop);
        if (random_below(2) == 0) {
            throw;
        }
        throw numbered(number + static_cast<int>(depth));
    }
}

int nest_often(weir_loop *loop, void *arg)
{
    const int mine = *static_cast<int *>(arg) * 1000;
    for (int i = 0; i < 50; i++) {
        const auto depth = random_below(6);
        try {
            nest(loop, mine, depth);
            expect(false, "it throws in the end");
        } catch (const numbered &caught) {
            expect(caught.number == mine + static_cast<int>(depth), "its own");
            expect(std::uncaught_exceptions() == 0, "none is on its way");
        }
        expect(!std::current_exception(), "none is handled outside");
    }
    return 0;
}

void handlers_nest_and_wait_at_random()
{
    const char *given = std::getenv("WEIR_CXX_SEED");
    random_state = given ? std::strtoull(given, nullptr, 10)
                         : static_cast<std::uint64_t>(getpid());
    random_state += random_state == 0 ? 1 : 0;
    std::printf("# WEIR_CXX_SEED=%llu\n",
                static_cast<unsigned long long>(random_state));
    run(nest_often, 50);
}

/* ---- the loop's side ---- */

void a_loop_may_run_inside_catch()
{
    try {
        throw numbered(77);
    } catch (...) {
        run(rethrow_after_waiting, 3);
        run(look_around, 3);
        try {
            throw;
        } catch (const numbered &caught) {
            expect(caught.number == 77, "the one of the loop's side");
        }
    }
    expect(!std::current_exception(), "none is left");
}

/* ---- cancellation is a result ---- */

int destroyed;

struct counted {
    ~counted() { destroyed++; }
};

int sleep_with_object(weir_loop *loop, void *)
{
    counted object;
    std::string text(1000, 'x');
    int err = weir_sleep(loop, UINT64_MAX);
    expect(err == -ECANCELED, "a cancelled sleep returns");
    return err;
}

int cancel_one(weir_loop *loop, void *)
{
    weir_task *task = nullptr;
    if (weir_task_spawn(loop, sleep_with_object, nullptr, nullptr, &task) < 0) {
        return -1;
    }
    int result = 0;
    expect(weir_yield(loop) == 0, "the other one runs");
    expect(destroyed == 0, "it waits");
    weir_task_cancel(task);
    expect(weir_task_join(task, &result) == 0, "it can be joined");
    expect(result == -ECANCELED, "it returned what the sleep did");
    return 0;
}

void a_cancelled_task_returns_through_its_destructors()
{
    expect(weir_run(nullptr, cancel_one, nullptr) == 0, "it ends well");
    expect(destroyed == 1, "its object is destroyed");
}

/* ---- frames that are left at once ---- */

[[noreturn]] void throw_from_below(weir_loop *loop, int depth)
{
    volatile char bytes[512];
    bytes[0] = static_cast<char>(depth);
    if (depth > 0) {
        throw_from_below(loop, depth - 1);
    }
    expect(weir_yield(loop) == 0, "a yield on top of many frames");
    throw numbered(bytes[0]);
}

int leave_frames(weir_loop *loop, void *)
{
    char bytes[2000];
    std::memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i < 20; i++) {
        try {
            throw_from_below(loop, 20);
        } catch (const numbered &caught) {
            expect(caught.number == 0, "the deepest");
            expect(weir_yield(loop) == 0, "a yield in catch");
        }
        std::jmp_buf back;
        volatile int round = 0;
        if (setjmp(back) == 0) {
            round = 1;
            std::longjmp(back, 1);
        }
        expect(round == 1, "back by a jump");
        expect(bytes[0] == 'x' && !std::memcmp(bytes, bytes + 1, 1999),
               "the stack is whole");
    }
    return 0;
}

void tasks_leave_many_frames_at_once()
{
    run(leave_frames, 50);
}

int call_exit(weir_loop *, void *)
{
    std::exit(failures > 0 ? 1 : 0);
}

void a_task_may_exit()
{
    if (weir_run(nullptr, call_exit, nullptr) <= 0) {
        _exit(2);
    }
}

/* ---- what nobody catches ---- */

int throw_out(weir_loop *, void *)
{
    throw std::runtime_error("out of the task");
}

void terminate_quietly()
{
    _exit(std::current_exception() ? 42 : 43);
}

/* Sanitizers warn of what they do not understand, and go on. */
bool has_warned(int errors)
{
    char text[8192] = "";
    const ssize_t len = pread(errors, text, sizeof(text) - 1, 0);
    std::fwrite(text, 1, len > 0 ? static_cast<std::size_t>(len) : 0, stderr);
    close(errors);
    return std::strstr(text, "WARNING:") || std::strstr(text, "ERROR:");
}

int in_child(void (*body)())
{
    std::fflush(nullptr);
    const int errors = memfd_create("errors", 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(errors, STDERR_FILENO);
        const rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        std::set_terminate(terminate_quietly);
        body();
        _exit(failures > 0 ? 1 : 0);
    }
    int status = 0;
    expect(child > 0 && waitpid(child, &status, 0) == child, "a child runs");
    if (has_warned(errors)) {
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void run_and_catch()
{
    try {
        if (weir_run(nullptr, throw_out, nullptr) < 0) {
            _exit(2);
        }
    } catch (...) {
        _exit(3);
    }
}

void an_exception_that_leaves_a_task_function_terminates()
{
    expect(in_child(run_and_catch) == 42, "std::terminate() was called");
}

struct test {
    const char *name;
    void (*body)();
};

#define TEST(name) \
    {              \
#name, name    \
    }

const test tests[] = {
    TEST(a_task_that_waits_in_catch_rethrows_its_own_exception),
    TEST(a_task_sees_no_exception_of_another),
    TEST(a_destructor_may_wait_while_its_task_unwinds),
    TEST(handlers_nest_and_wait_at_random),
    TEST(a_loop_may_run_inside_catch),
    TEST(a_cancelled_task_returns_through_its_destructors),
    TEST(tasks_leave_many_frames_at_once),
    TEST(a_task_may_exit),
    TEST(an_exception_that_leaves_a_task_function_terminates),
};

} // namespace

/* Where the state is mixed up the runtime crashes, so each has a process. */
int main()
{
    const std::size_t count = sizeof(tests) / sizeof(tests[0]);
    int failed = 0;
    std::printf("1..%zu\n", count);
    for (std::size_t i = 0; i < count; i++) {
        const int status = in_child(tests[i].body);
        failed += status == 0 ? 0 : 1;
        std::printf("%s %zu %s (%d)\n", status == 0 ? "ok" : "not ok", i + 1,
                    tests[i].name, status);
    }
    return failed > 0 ? 1 : 0;
}
