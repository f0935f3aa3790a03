/*
 * Saying which task overran its stack.
 *
 * A handler for SIGSEGV and SIGBUS looks whether the address that faulted lies
 * in the guard of a task of a loop of this thread, writes a line, and passes
 * the signal on to whoever had it before. It runs on an alternate stack, since
 * the one that was overrun has no room, and calls only what a handler may.
 *
 * What a handler knows it must find without an argument: the actions from
 * before, which belong to the process, and the loops of the thread. These and
 * the quarantine of a guard build are all that weir keeps outside of loops.
 */
#include "task.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Room for handlers that were there before and do more than ours. */
#define STACK_BYTES (64u << 10)
/* The longest name, two numbers and what is said between them. */
#define LINE_BYTES 192u

/* A loop that is watched: one mapping, the stack in its upper part. */
struct wr_overflow {
    struct wr_part part;
    struct wr_overflow *next; /* of this thread */
    weir_loop *loop;          /* NULL: freed by another thread */
    _Alignas(16) uint8_t stack[STACK_BYTES];
};

static struct {
    pthread_mutex_t mutex;
    bool is_installed; /* with the mutex; the rest is not written after it */
    int fd;
    struct sigaction segv;
    struct sigaction bus;
} process = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* The model spares the handler a call that might allocate. */
static _Thread_local struct wr_overflow *watched
    __attribute__((tls_model("initial-exec")));

/* ---- in the handler ---- */

/* Walks forward only, which holds good wherever a list was left. */
static const weir_task *find_overrun(const void *address)
{
    for (const struct wr_overflow *at = watched; at; at = at->next) {
        if (!at->loop) {
            continue;
        }
        const struct wr_list *head = &at->loop->tasks;
        for (const struct wr_list *link = head->next; link != head;
             link = link->next) {
            const weir_task *task =
                wr_container_of(link, const weir_task, alive.link);
            if (task->fiber.stack &&
                wr_stack_guards(task->fiber.stack, address)) {
                return task;
            }
        }
    }
    return NULL;
}

static char *append(char *to, const char *text)
{
    size_t len = strlen(text);
    memcpy(to, text, len);
    return to + len;
}

static char *append_number(char *to, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *to++ = digits[--count];
    }
    return to;
}

static void report(const weir_task *task)
{
    char line[LINE_BYTES];
    char *end = append(line, "weir: task '");
    end = append(end, task->name[0] ? task->name : "-");
    end = append(end, "' overran its stack of ");
    end = append_number(end, task->fiber.stack->size);
    end = append(end, " bytes; give it a larger stack_size_bytes\n");
    wr_assert(end <= line + sizeof(line));
    /* There is nobody left to tell if this fails. */
    wr_ignore(write(process.fd, line, (size_t)(end - line)) < 0);
}

static void pass_on(int signum, siginfo_t *info, void *context)
{
    const struct sigaction *before =
        signum == SIGSEGV ? &process.segv : &process.bus;
    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signum, info, context);
        return;
    }
    if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signum);
        return;
    }
    /* A fault comes again when this returns, and then it is the system's; a
     * signal that was sent must be sent again. */
    wr_ignore(sigaction(signum, before, NULL) != 0);
    if (info->si_code <= 0 && before->sa_handler == SIG_DFL) {
        wr_ignore(raise(signum) != 0);
    }
}

static void on_fault(int signum, siginfo_t *info, void *context)
{
    const int saved = errno;
    /* Of a signal that was sent, there is no address. */
    const weir_task *task =
        info->si_code > 0 ? find_overrun(info->si_addr) : NULL;
    if (task) {
        report(task);
    }
    pass_on(signum, info, context);
    errno = saved;
}

/* ---- installing ---- */

static int install(int fd)
{
    struct sigaction action = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK,
    };
    int err = 0;

    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&process.mutex);
    if (!process.is_installed) {
        process.fd = fd;
        /* Read first: the handler may be needed as soon as it is there. */
        if (sigaction(SIGSEGV, NULL, &process.segv) != 0 ||
            sigaction(SIGBUS, NULL, &process.bus) != 0 ||
            sigaction(SIGSEGV, &action, NULL) != 0 ||
            sigaction(SIGBUS, &action, NULL) != 0) {
            err = -errno;
        }
        process.is_installed = err == 0;
    }
    pthread_mutex_unlock(&process.mutex);
    return err;
}

/* The stack of the first in the list, or none; one that is not weir's stays. */
static int use_stack_of(const struct wr_overflow *overflow)
{
    stack_t stack = {.ss_flags = SS_DISABLE, .ss_size = STACK_BYTES};
    if (overflow) {
        stack.ss_flags = 0;
        stack.ss_sp = (void *)(uintptr_t)overflow->stack;
    }
    return sigaltstack(&stack, NULL) == 0 ? 0 : -errno;
}

static int ensure_stack(const struct wr_overflow *overflow)
{
    stack_t now;
    if (sigaltstack(NULL, &now) != 0) {
        return -errno;
    }
    return now.ss_flags & SS_DISABLE ? use_stack_of(overflow) : 0;
}

static void close_overflow(struct wr_part *part)
{
    struct wr_overflow *overflow =
        wr_container_of(part, struct wr_overflow, part);

    overflow->loop->overflow = NULL;
    overflow->loop = NULL;
    struct wr_overflow **link = &watched;
    while (*link && *link != overflow) {
        link = &(*link)->next;
    }
    if (!*link) {
        return; /* it is in the list of another thread, and stays there */
    }
    *link = overflow->next;
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == overflow->stack &&
        use_stack_of(watched) < 0) {
        return; /* still in use: this runs on it */
    }
    wr_ignore(munmap(overflow, sizeof(*overflow)) != 0);
}

static const struct wr_part_ops part_ops = {.close = close_overflow};

int weir_loop_report_stack_overflow(weir_loop *loop, int fd)
{
    int err = wr_loop_check(loop);
    if (err < 0 || loop->overflow) {
        return err;
    }
    struct wr_overflow *overflow =
        mmap(NULL, sizeof(*overflow), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (overflow == MAP_FAILED) {
        return -ENOMEM;
    }
    err = ensure_stack(overflow);
    if (err < 0) {
        wr_ignore(munmap(overflow, sizeof(*overflow)) != 0);
        return err;
    }
    overflow->loop = loop;
    overflow->next = watched;
    watched = overflow;
    loop->overflow = overflow;
    err = install(fd);
    if (err < 0) {
        close_overflow(&overflow->part);
        return err;
    }
    wr_loop_add_part(loop, &overflow->part, &part_ops);
    return 0;
}
