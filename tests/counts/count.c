/*
 * The program whose instructions are counted.
 *
 *     count CASE TURNS CONNECTIONS DEPTH [CASE TURNS CONNECTIONS DEPTH...]
 *
 * Each run, which four words describe, is a process of its own, one after the
 * other. counts.py runs all of them under one callgrind, whose start takes
 * longer than most runs. It makes each run in two lengths and takes the
 * difference, so that starting up does not count. Counts that need no tool are
 * printed as one line of JSON for each run.
 */
#include "tests/counts/count.h"

#include "tests/allocator.h"
#include "weir/embed.h"
#include "weir/inspect.h"
#include "weir/server.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <tests/have.h>
#include <unistd.h>

static const struct count_case *const cases[] = {
    &count_protocol,    &count_life,        &count_life_closes,
    &count_stream,      &count_lines,       &count_copied_lines,
    &count_yield,       &count_spawn,       &count_burst,
    &count_hosted,      &count_starved_few, &count_starved_many,
    &count_reference,
#if WR_TESTS_PROXY
    &count_relay,       &count_queue_few,   &count_queue_many,
    &count_queue_kinds, &count_queue_none,  &count_relay_life,
    &count_keys_few,    &count_keys_many,   &count_places_few,
    &count_places_many,
#endif
#ifdef COUNT_HAS_TLS
    &count_tls,
#endif
};

/* System calls on pages of stacks. The linker replaces the C library's
 * functions with these. */
static uint64_t page_calls;

int __real_mincore(void *start, size_t size, unsigned char *ret);
int __wrap_mincore(void *start, size_t size, unsigned char *ret);
int __real_madvise(void *start, size_t size, int advice);
int __wrap_madvise(void *start, size_t size, int advice);

int __wrap_mincore(void *start, size_t size, unsigned char *ret)
{
    page_calls++;
    return __real_mincore(start, size, ret);
}

int __wrap_madvise(void *start, size_t size, int advice)
{
    page_calls++;
    return __real_madvise(start, size, advice);
}

/* System calls that query a socket, in the life of a connection. */
static uint64_t asks;

int __real_wr_sys_getsockname(int fd, struct sockaddr *ret, socklen_t *len);
int __wrap_wr_sys_getsockname(int fd, struct sockaddr *ret, socklen_t *len);
int __real_wr_sys_getpeername_ever(int fd, struct sockaddr *ret,
                                   socklen_t *len);
int __wrap_wr_sys_getpeername_ever(int fd, struct sockaddr *ret,
                                   socklen_t *len);
int __real_wr_sys_outq(int fd);
int __wrap_wr_sys_outq(int fd);

int __wrap_wr_sys_getsockname(int fd, struct sockaddr *ret, socklen_t *len)
{
    asks++;
    return __real_wr_sys_getsockname(fd, ret, len);
}

int __wrap_wr_sys_getpeername_ever(int fd, struct sockaddr *ret, socklen_t *len)
{
    asks++;
    return __real_wr_sys_getpeername_ever(fd, ret, len);
}

int __wrap_wr_sys_outq(int fd)
{
    asks++;
    return __real_wr_sys_outq(fd);
}

void count_require(bool holds, const char *what)
{
    if (!holds) {
        fake_fail("%s", what);
    }
}

static const struct count_case *find_case(const char *name)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (strcmp(cases[i]->name, name) == 0) {
            return cases[i];
        }
    }
    fake_fail("no such case: %s", name);
}

/* counts.py knows this function by its name, and counts nothing inside it. */
static bool count_play_peers(void *arg)
{
    struct count *c = arg;
    const bool did_something = c->what->next_turn && c->what->next_turn(c);

    count_require(c->loop != NULL, "the peers of no loop");
    return did_something;
}

static bool is_over(void *arg)
{
    const struct count *c = arg;
    return c->what->is_over(c);
}

/* Waits instead of a host while the loop has no work. */
static void run_as_host(struct count *c)
{
    count_require(weir_loop_get_fd(c->loop) >= 0, "no descriptor");
    while (!is_over(c)) {
        if (weir_loop_get_deadline(c->loop) > weir_loop_get_time(c->loop)) {
            count_play_peers(c);
        }
        count_require(weir_loop_run_once(c->loop) == 0, "a bad turn");
    }
}

static void print(const char *name, uint64_t value)
{
    printf("\"%s\": %" PRIu64 ", ", name, value);
}

static void report(const struct count *c, const struct test_allocator *alloc)
{
    struct weir_loop_statistics now = {.size = sizeof(now)};

    if (weir_loop_get_statistics(c->loop, &now) < 0) {
        abort();
    }
    printf("{");
    print("process", (uint64_t)getpid());
    print("callbacks", c->callbacks);
    print("allocations", alloc->calls);
    print("copied_by_write", now.copied_by_write);
    print("copied_otherwise", now.copied_by_compaction +
                                  now.copied_to_protocol + now.copied_by_view);
    print("submitted", now.submitted);
    print("completions", now.completions);
    print("enters", now.enters);
    print("turns", now.turns);
    print("switches", now.task_switches);
    print("page_calls", page_calls);
    print("asks", asks);
    printf("\"messages\": %" PRIu64 "}\n", c->done);
}

static uint64_t parse(const char *text, uint64_t max)
{
    const uint64_t value = strtoull(text, NULL, 10);
    count_require(value >= 1 && value <= max, "too few or too many");
    return value;
}

/* @words are CASE TURNS CONNECTIONS DEPTH. */
static void run(char **words)
{
    struct count c = {0};
    struct test_allocator alloc;
    const struct fake_options machine = {.idle = count_play_peers, .arg = &c};

    fake_start(&machine);
    allocator_init(&alloc);
    c.what = find_case(words[0]);
    c.turns_left = parse(words[1], UINT32_MAX);
    c.conns = (uint32_t)parse(words[2], COUNT_CONNS_MAX);
    c.depth = (uint32_t)parse(words[3], COUNT_DEPTH_MAX);

    struct weir_loop_options options = allocator_options(&alloc);
    options.held_limit_bytes = c.what->held_limit_bytes;
    count_require(weir_loop_new(&options, &c.loop) == 0, "no loop");
    c.what->start(&c);
    if (c.what->is_hosted) {
        run_as_host(&c);
    } else {
        count_require(weir_loop_run_until(c.loop, is_over, &c) == 0,
                      "a bad end");
    }
    report(&c, &alloc);
    if (c.what->end) {
        c.what->end(&c);
    }
    weir_server_free(c.server);
    count_require(weir_loop_free(c.loop) >= 0, "the loop does not end");
    wr_assert(alloc.live_count == 0);
    fake_stop();
}

int main(int argc, char **argv)
{
    count_require(argc > 1 && argc % 4 == 1,
                  "usage: count CASE TURNS CONNECTIONS DEPTH...");
    for (int i = 1; i < argc; i += 4) {
        int status = 0;
        const pid_t child = fork();

        count_require(child >= 0, "no process");
        if (child == 0) {
            run(argv + i);
            return 0;
        }
        count_require(waitpid(child, &status, 0) == child && status == 0,
                      "a run has failed");
    }
    return 0;
}
