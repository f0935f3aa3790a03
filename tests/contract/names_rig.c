/*
 * The rig of the tests of names; see names_rig.h.
 *
 * A run that does not end by itself is ended by a timer that fails the test.
 * Descriptors are used up by lowering their limit and opening the remaining
 * ones.
 */
#include "tests/contract/names_rig.h"
#include "tests/statistics.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

enum {
    NAMES_FAILSAFE_S = 60,
    NAMES_FD_LIMIT = 64,
    NAMES_SILENCE_MS = 5000,
    NAMES_TURNS = 10
};

static void names_time_out(void *arg)
{
    cr_assert_fail("the lookups did not end in time");
}

struct weir_dns_options names_dns_options(struct names *n)
{
    return (struct weir_dns_options){
        .size = sizeof(struct weir_dns_options),
        .servers = n->server.address,
        .search = "",
        .hosts = n->hosts,
        .try_timeout_ns = NAMES_TRY_MS * MS,
        .tries = 1,
    };
}

void names_search(struct names *n, const char *domains)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.search = domains;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
}

void names_write_hosts(struct names *n, const char *text)
{
    FILE *file = fopen(n->hosts_path, "we");
    cr_assert(file != NULL);
    fputs(text, file);
    fclose(file);
}

void names_use_hosts(struct names *n, const char *text)
{
    strcpy(n->hosts_path, "/tmp/weir-hosts-XXXXXX");
    close(mkstemp(n->hosts_path));
    names_write_hosts(n, text);
    n->hosts = n->hosts_path;
    const struct weir_dns_options dns = names_dns_options(n);
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
}

void names_remove_hosts(struct names *n)
{
    expect_eq(unlink(n->hosts_path), 0);
    n->hosts_path[0] = '\0';
}

void names_expect_silence(struct names *n)
{
    struct weir_dns_options dns = names_dns_options(n);
    dns.try_timeout_ns = NAMES_SILENCE_MS * MS;
    expect_eq(weir_loop_set_dns_options(n->loop, &dns), 0);
}

void names_open(struct names *n)
{
    memset(n, 0, sizeof(*n));
    n->port = 80;
    expect_eq(weir_loop_new(NULL, &n->loop), 0);
    dns_server_start(&n->server);
    const struct weir_dns_options options = names_dns_options(n);
    int err = weir_loop_set_dns_options(n->loop, &options);
    if (err == WEIR_ENONAMES) {
        dns_server_stop(&n->server);
        weir_loop_free(n->loop);
        cr_skip_test("built without c-ares; runs with -Ddns=enabled");
    }
    expect_eq(err, 0, "%s", weir_err_name(err));
}

void names_close(struct names *n)
{
    weir_loop_free(n->loop);
    dns_server_stop(&n->server);
    if (n->hosts_path[0] != '\0') {
        names_remove_hosts(n);
    }
}

static void names_stop(void *arg)
{
    weir_loop_stop(arg);
}

static void names_pass(struct names *n, uint64_t time_ns)
{
    expect_ok(
        weir_loop_call_later(n->loop, time_ns, names_stop, n->loop, NULL));
    expect_eq(weir_loop_run(n->loop), 0);
}

void names_run_for(struct names *n, uint64_t time_ns)
{
    for (int i = 0; i < NAMES_TURNS; i++) {
        names_pass(n, time_ns / NAMES_TURNS);
    }
}

uint64_t names_count_turns(struct names *n, uint64_t time_ns)
{
    const struct weir_loop_statistics before = statistics_of(n->loop);
    names_pass(n, time_ns);
    const struct weir_loop_statistics after = statistics_of(n->loop);
    return after.turns - before.turns;
}

void names_run_until_asked(struct names *n, const char *question)
{
    const uint64_t until_ns = until_clock_ns() + NAMES_FAILSAFE_S * 1000 * MS;

    while (!strstr(dns_server_read_log(&n->server), question)) {
        cr_assert_lt(until_clock_ns(), until_ns, "never asked for %s",
                     question);
        names_run_for(n, MS);
    }
}

static void names_done(void *arg, int err, const struct weir_address *addresses,
                       size_t count)
{
    struct names *n = arg;
    expect_eq(err < 0, count == 0);
    expect_eq(count == 0, addresses == NULL);
    expect_leq(count, 2 * WEIR_ADDRESSES_MAX);
    memcpy(n->addresses, addresses ? addresses : n->addresses,
           count * sizeof(*addresses));
    n->result = err < 0 ? err : (int)count;
    n->lookup = NULL;
    n->waiting--;
}

int names_start(struct names *n, const char *host,
                const struct weir_getaddrinfo_options *options)
{
    struct weir_getaddrinfo_options own = {.size = sizeof(own)};
    if (options) {
        own = *options;
    }
    n->result = 0;
    memset(n->addresses, 0, sizeof(n->addresses));
    int err = weir_resolve_start(n->loop, host, n->port, &own, names_done, n,
                                 &n->lookup);
    n->waiting += err == 0;
    return err;
}

bool names_is_over(void *names)
{
    return ((struct names *)names)->waiting == 0;
}

static void names_run(struct names *n)
{
    struct weir_handle failsafe;
    expect_ok(weir_loop_call_later(n->loop, NAMES_FAILSAFE_S * 1000 * MS,
                                   names_time_out, NULL, &failsafe));
    expect_eq(weir_loop_run_until(n->loop, names_is_over, n), 0);
    weir_handle_cancel(n->loop, failsafe);
}

void names_lookup(struct names *n, const char *host,
                  const struct weir_getaddrinfo_options *options)
{
    int err = names_start(n, host, options);
    if (err < 0) {
        n->result = err;
        return;
    }
    expect_eq(n->result, 0, "never from inside the call");
    names_run(n);
}

const char *names_text(const struct names *n)
{
    static char text[2 * WEIR_ADDRESSES_MAX * WEIR_ADDRESS_TEXT_SIZE];
    char one[WEIR_ADDRESS_TEXT_SIZE];
    strcpy(text, n->result < 0 ? weir_err_name(n->result) : "");
    for (int i = 0; i < n->result; i++) {
        strcat(text, weir_address_format(&n->addresses[i], one, sizeof(one)));
        strcat(text, " ");
    }
    return text;
}

void names_expect(struct names *n, const char *host,
                  const struct weir_getaddrinfo_options *options,
                  const char *text)
{
    names_lookup(n, host, options);
    expect_str_eq(names_text(n), text, "%s", host);
}

static void names_one_done(void *arg, int err,
                           const struct weir_address *addresses, size_t count)
{
    struct names *n = arg;
    n->waiting--;
    n->answered += err == 0;
    n->failed += err < 0;
    n->last_err = err < 0 ? err : n->last_err;
}

void names_lookup_many(struct names *n, const char *words, int count,
                       const struct weir_getaddrinfo_options *options)
{
    char host[128];
    struct weir_getaddrinfo_options own = {.size = sizeof(own)};
    if (options) {
        own = *options;
    }
    for (int i = 0; i < count; i++) {
        snprintf(host, sizeof(host), "%s.h%d.example", words, i);
        expect_ok(weir_resolve_start(n->loop, host, 80, &own, names_one_done, n,
                                     NULL));
        n->waiting++;
    }
    names_run(n);
}

int names_count_fds(void)
{
    static struct unit_fds fds;
    unit_fds_read(&fds);
    return fds.count;
}

void names_wait_fds(int count)
{
    const uint64_t until_ns = until_clock_ns() + NAMES_FAILSAFE_S * 1000 * MS;

    while (names_count_fds() > count && until_clock_ns() < until_ns) {
        sched_yield();
    }
    expect_eq(names_count_fds(), count, "descriptors");
}

uint64_t names_count_timers(const struct names *n)
{
    return statistics_of(n->loop).timers;
}

uint64_t names_count_memory(const struct names *n)
{
    return statistics_of(n->loop).memory_bytes;
}

void names_take_fds(struct names *n)
{
    struct rlimit limit;
    expect_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = NAMES_FD_LIMIT;
    expect_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    while (n->fd_count < NAMES_FDS_MAX) {
        const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            break;
        }
        n->fds[n->fd_count++] = fd;
    }
}

void names_give_fds(struct names *n)
{
    while (n->fd_count > 0) {
        close(n->fds[--n->fd_count]);
    }
}

void names_test(void (*body)(struct names *n))
{
    static struct names n;
    names_open(&n);
    body(&n);
    names_close(&n);
}
