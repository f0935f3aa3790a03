/*
 * Reporting which task overran its stack.
 *
 * A handler for SIGSEGV and SIGBUS checks whether the faulting address is in
 * the guard of a task of this thread's loops, writes a line, and passes the
 * signal on to the previous handler. It runs on an alternate stack, because the
 * overrun stack is full, and calls only async-signal-safe functions.
 */
#include "task.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Large enough for previous handlers that need more stack than ours. */
#define OVERFLOW_STACK_BYTES (64u << 10)
#define OVERFLOW_LINE_BYTES  192u

/* A watched loop: one mapping, with the alternate stack in its upper part. */
struct wr_overflow {
    struct wr_module module;
    struct wr_overflow *next;
    weir_loop *loop; /* NULL if another thread has freed the loop */
    _Alignas(16) uint8_t stack[OVERFLOW_STACK_BYTES];
};

static struct {
    pthread_mutex_t mutex;
    bool is_installed; /* under the mutex; set last, never cleared */
    int fd;
    struct sigaction segv;
    struct sigaction bus;
} overflow_process = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* With this TLS model the handler needs no call that might allocate. */
static _Thread_local struct wr_overflow *overflow_watched
    __attribute__((tls_model("initial-exec")));

/* Follows only the forward links: the fault may have interrupted a change of
 * the list, and only these links are valid at any time. */
static const weir_task *overflow_find_overrun(const void *address)
{
    for (const struct wr_overflow *at = overflow_watched; at; at = at->next) {
        if (!at->loop) {
            continue;
        }
        const struct wr_list *head = &at->loop->members[WR_STAGE_TASKS];
        for (const struct wr_list *link = head->next; link != head;
             link = link->next) {
            const weir_task *task =
                wr_container_of(link, const weir_task, member.link);
            if (task->member.ops == &wr_task_member_ops && task->fiber.stack &&
                wr_stack_guards(task->fiber.stack, address)) {
                return task;
            }
        }
    }
    return NULL;
}

static char *overflow_append(char *to, const char *text)
{
    size_t len = strlen(text);
    memcpy(to, text, len);
    return to + len;
}

static char *overflow_append_number(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        wr_assert(count < sizeof(digits));
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

static void overflow_pass_on(int signum, siginfo_t *info, void *context)
{
    wr_assert(signum == SIGSEGV || signum == SIGBUS);
    const struct sigaction *before =
        signum == SIGSEGV ? &overflow_process.segv : &overflow_process.bus;
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signum, info, context);
        return;
    }
    if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signum);
        return;
    }
    /* A fault repeats when the handler returns, and the restored action handles
     * it. A signal that a process sent must be raised again. */
    sigaction(signum, before, NULL);
    if (info->si_code <= 0 && before->sa_handler == SIG_DFL) {
        raise(signum);
    }
}

static void overflow_on_fault(int signum, siginfo_t *info, void *context)
{
    const int saved = errno;
    /* A signal sent by a process has no address. */
    const weir_task *task =
        info->si_code > 0 ? overflow_find_overrun(info->si_addr) : NULL;
    if (task) {
        char line[OVERFLOW_LINE_BYTES];
        char *end = overflow_append(line, "weir: task '");
        end = overflow_append(end, task->name[0] ? task->name : "-");
        end = overflow_append(end, "' overran its stack of ");
        end = overflow_append_number(end, task->fiber.stack->size);
        end =
            overflow_append(end, " bytes; give it a larger stack_size_bytes\n");
        wr_assert(end <= line + sizeof(line));
        wr_ignore(write(overflow_process.fd, line, (size_t)(end - line)) < 0);
    }
    overflow_pass_on(signum, info, context);
    errno = saved;
}

WEIR_MUST_USE static int overflow_install(int fd)
{
    struct sigaction action = {
        .sa_sigaction = overflow_on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };
    int err = 0;

    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&overflow_process.mutex);
    if (!overflow_process.is_installed) {
        overflow_process.fd = fd;
        /* Reads the old handlers first: ours may need them immediately. */
        if (sigaction(SIGSEGV, NULL, &overflow_process.segv) != 0 ||
            sigaction(SIGBUS, NULL, &overflow_process.bus) != 0 ||
            sigaction(SIGSEGV, &action, NULL) != 0 ||
            sigaction(SIGBUS, &action, NULL) != 0) {
            err = -errno;
        }
        overflow_process.is_installed = err == 0;
    }
    pthread_mutex_unlock(&overflow_process.mutex);
    return err;
}

/* Uses the stack of @overflow. NULL disables the alternate stack. */
WEIR_MUST_USE static int
overflow_use_stack_of(const struct wr_overflow *overflow)
{
    stack_t stack = {.ss_flags = SS_DISABLE, .ss_size = OVERFLOW_STACK_BYTES};
    if (overflow) {
        stack.ss_flags = 0;
        stack.ss_sp = (void *)(uintptr_t)overflow->stack;
    }
    return sigaltstack(&stack, NULL) == 0 ? 0 : -errno;
}

WEIR_MUST_USE static int
overflow_ensure_stack(const struct wr_overflow *overflow)
{
    stack_t now;
    if (sigaltstack(NULL, &now) != 0) {
        return -errno;
    }
    /* Keeps the program's own alternate stack. */
    return now.ss_flags & SS_DISABLE ? overflow_use_stack_of(overflow) : 0;
}

static void overflow_close(struct wr_module *module)
{
    struct wr_overflow *overflow =
        wr_container_of(module, struct wr_overflow, module);

    wr_assert(overflow->loop);
    overflow->loop = NULL;
    struct wr_overflow **link = &overflow_watched;
    while (*link && *link != overflow) {
        link = &(*link)->next;
    }
    if (!*link) {
        return; /* in another thread's list */
    }
    *link = overflow->next;
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == overflow->stack &&
        overflow_use_stack_of(overflow_watched) < 0) {
        return; /* in use: this function runs on it */
    }
    munmap(overflow, sizeof(*overflow));
}

static const struct wr_module_ops overflow_module_ops = {.close =
                                                             overflow_close};

int weir_loop_report_stack_overflow(weir_loop *loop, int fd)
{
    int err = wr_loop_check(loop);
    if (err < 0 || wr_loop_find_module(loop, &overflow_module_ops)) {
        return err;
    }
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct wr_overflow *overflow =
        mmap(NULL, sizeof(*overflow), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (overflow == MAP_FAILED) {
        return -ENOMEM;
    }
    wr_assert((uintptr_t)overflow->stack % 16 == 0);
    err = overflow_ensure_stack(overflow);
    if (err < 0) {
        munmap(overflow, sizeof(*overflow));
        return err;
    }
    overflow->loop = loop;
    overflow->next = overflow_watched;
    overflow_watched = overflow;
    err = overflow_install(fd);
    if (err < 0) {
        overflow_close(&overflow->module);
        return err;
    }
    wr_loop_add_module(loop, &overflow->module, &overflow_module_ops);
    return 0;
}
