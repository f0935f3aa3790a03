/*
 * The rig of the tests of servers and connecting.
 *
 * A struct maker is a loop with a protocol that counts its events and can echo,
 * and the callbacks of a server and of a connection attempt, which record their
 * order. The other end is a plain blocking socket in the same thread: the
 * kernel answers for a server whose loop does not run.
 */
#ifndef WEIR_TESTS_CONTRACT_MAKER_H
#define WEIR_TESTS_CONTRACT_MAKER_H

#include "tests/bind.h"
#include "tests/ends.h"
#include "tests/statistics.h"
#include "tests/unit.h"
#include "tests/until.h"

#include <weir/error.h>
#include <weir/server.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/time.h>
#include <sys/un.h>

#define MS 1000000ull

enum { MAKER_FAILSAFE_S = 60, MAKER_LOG_SIZE = 256 };

struct maker {
    weir_loop *loop;
    weir_server *server;
    struct weir_factory factory;
    int factory_result;
    bool echo;
    bool timed_out;
    int wanted; /* for maker_run_until_made() */

    char log[MAKER_LOG_SIZE]; /* one letter per event; see each callback */
    int made;
    int lost;
    int lost_err;
    uint64_t received;
    weir_transport *t; /* last transport made; NULL once lost */
    struct weir_address peername;
    struct weir_address sockname;

    int done;
    int done_err;
    weir_transport *done_t;
    int closed;
    int reports;
    int report_err;
    weir_server *report_server;

    void (*in_factory)(struct maker *m);
    void (*in_made)(struct maker *m);
    void (*in_done)(struct maker *m);
};

void maker_server_closed(void *arg, weir_server *server);
void maker_report(void *arg, weir_loop *loop,
                  const struct weir_exception *exception);
void maker_open(struct maker *m);

/* Returns the number of connections that were alive. A second call does
 * nothing. */
int maker_close(struct maker *m);

void maker_test(void (*body)(struct maker *m));

#define MAKER(suite, name, m) UNIT_IN(suite, name, maker_test, struct maker *m)

/* ---- running ---- */

typedef bool maker_condition(const struct maker *m);

void maker_time_out(void *arg);
void maker_run(struct maker *m, maker_condition *condition);
/* Runs for a time, at least for ten iterations: on a busy machine the time may
 * pass within one. Does not wait for other threads. */
void maker_run_for(struct maker *m, uint64_t time_ns);
uint64_t maker_count_turns(struct maker *m, uint64_t time_ns);
/* Runs until a timer is armed, such as the retry of a start. The time limit for
 * retries may expire before the next iteration. */
void maker_run_until_timer(struct maker *m);
void maker_run_until_made(struct maker *m, int count);
bool maker_is_done(const struct maker *m);
bool maker_is_made(const struct maker *m);
bool maker_is_lost(const struct maker *m);
bool maker_is_closed(const struct maker *m);
bool maker_is_empty(const struct maker *m);
void maker_expect_done(struct maker *m, int err);
void maker_expect_lost(struct maker *m, int err);

/* ---- making ---- */

void maker_server_done(void *arg, int err, weir_server *server);
void maker_connect_done(void *arg, int err, weir_transport *t);

/* Start a server, and start one and wait until it listens. NULL for @options
 * means the defaults. */
void maker_begin_server(struct maker *m, const char *host, uint16_t port,
                        const struct weir_server_options *options);
void maker_serve(struct maker *m, const char *host,
                 const struct weir_server_options *options);

/* ---- the other end ---- */

void peer_set_timeout(int fd);
int peer_connect_to(const struct weir_address *address);
struct weir_address peer_address(const char *host, uint16_t port);
uint16_t address_port(const struct weir_address *address);
uint16_t server_port(weir_server *server);

/* Connects to the server's first socket, on the loopback address. */
int peer_connect(struct maker *m);

int peer_listen(int backlog, struct weir_address *ret);

ssize_t peer_read(int fd, void *buf, size_t size);
/* Like peer_read(), while the loop turns: for bytes that the loop has yet to
 * send. */
ssize_t maker_read(struct maker *m, int fd, void *buf, size_t size);
int get_option(int fd, int level, int name);

int maker_serve_one(struct maker *m);
/* Makes a TCP connection; the first end was accepted, but not by weir. */
void peer_tcp_pair(int *ret_fds);
bool maker_has_received(const struct maker *m);

bool is_open(int fd);
/* Waits until a descriptor is closed, for example by a thread. Returns false if
 * it stays open. */
bool wait_closed(int fd);

#endif
