/*
 * The rig of the tests of names: a loop whose resolver uses the name server of
 * dns_server.h, and lookups that a test waits for.
 *
 * The resolver sends each query once and waits for half a minute, so that a
 * response arrives in time even on a busy machine. Without c-ares all these
 * tests are skipped.
 */
#ifndef WEIR_TESTS_CONTRACT_NAMES_RIG_H
#define WEIR_TESTS_CONTRACT_NAMES_RIG_H

#include "tests/bind.h"
#include "tests/contract/dns_server.h"
#include "tests/ends.h"
#include "tests/until.h"

#include <weir/error.h>
#include <weir/resolver.h>

#include <errno.h>
#include <time.h>

#define MS 1000000ull

enum { NAMES_TRY_MS = 90000, NAMES_FDS_MAX = 4096 };

struct names {
    weir_loop *loop;
    struct dns_server server;
    uint16_t port;
    const char *hosts; /* the hosts file; NULL means this machine's */
    char hosts_path[32];

    /* Result of the last lookup: number of addresses, or an error. */
    int result;
    struct weir_address addresses[2 * WEIR_ADDRESSES_MAX];
    weir_pending *lookup;

    int waiting;
    int answered;
    int failed;
    int last_err;

    int fds[NAMES_FDS_MAX];
    int fd_count;
};

void names_open(struct names *n);
void names_close(struct names *n);

void names_test(void (*body)(struct names *n));

#define NAMES(suite, name, n) UNIT_IN(suite, name, names_test, struct names *n)

struct weir_dns_options names_dns_options(struct names *n);
void names_search(struct names *n, const char *domains);
void names_use_hosts(struct names *n, const char *text);
/* Replaces the text of that file; the resolver notices it within a second. */
void names_write_hosts(struct names *n, const char *text);
void names_remove_hosts(struct names *n);
/* Reduces the resolver's wait to three seconds, for tests that wait for its
 * end. */
void names_expect_silence(struct names *n);

/* Runs for a time, at least for ten iterations: on a busy machine the time may
 * pass within one. Does not wait for the name server. */
void names_run_for(struct names *n, uint64_t time_ns);
uint64_t names_count_turns(struct names *n, uint64_t time_ns);
/* Runs until the name server has received @question, such as "A host". */
void names_run_until_asked(struct names *n, const char *question);

int names_start(struct names *n, const char *host,
                const struct weir_getaddrinfo_options *options);
bool names_is_over(void *names);

void names_lookup(struct names *n, const char *host,
                  const struct weir_getaddrinfo_options *options);

/* Returns the addresses of the last lookup, each followed by a space, or the
 * name of its error; static. */
const char *names_text(const struct names *n);

void names_expect(struct names *n, const char *host,
                  const struct weir_getaddrinfo_options *options,
                  const char *text);

/* Looks up WORDS.0.example, WORDS.1.example and so on at the same time. */
void names_lookup_many(struct names *n, const char *words, int count,
                       const struct weir_getaddrinfo_options *options);

int names_count_fds(void);
/* Waits until at most @count descriptors are open: the name server's thread may
 * still have to close its end of a connection. */
void names_wait_fds(int count);
uint64_t names_count_timers(const struct names *n);
uint64_t names_count_memory(const struct names *n);

void names_take_fds(struct names *n);
void names_give_fds(struct names *n);

#endif
