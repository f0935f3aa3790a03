/*
 * A name server for tests, on a thread and a port of the loopback address.
 *
 * The queried name selects the response, so that a test's text shows what
 * happens. The first label is a list of words separated by hyphens:
 *
 *   a4, a6        has an IPv4 address (192.0.2.1), an IPv6 one (2001:db8::1)
 *   n200          has 200 of each, so that a response over UDP is truncated
 *   cut           is truncated over UDP; over TCP the connection is closed
 *   pieces        is sent byte by byte over TCP
 *   silent        gets no response; silent4, silent6: not for one family
 *   late6         the response for IPv6 is 200 ms late; late4: for IPv4
 *   nx, fail, refused, notimp   the response code
 *   garbage       the response is invalid bytes
 *   foreign       a response for another question comes before the right one
 *   empty         150 empty datagrams come before the right response
 *   loop          is an alias (CNAME) of itself
 *   alias         is an alias of middle.example, an alias of end.example, which
 *                 has the addresses; aliasodd: of an invalid host name
 *   brief         has a TTL of a second instead of an hour; with an alias, only
 *                 the alias has
 *   s3            is a service with three hosts, s99 with 99; sdot does not
 *                 exist, and sodd has a malformed record
 *   self          has the loopback addresses 127.0.0.1 and ::1
 *
 * A name without any of these labels does not exist. A name that exists without
 * an address of the queried family gets a response without data.
 */
#ifndef WEIR_TESTS_CONTRACT_DNS_SERVER_H
#define WEIR_TESTS_CONTRACT_DNS_SERVER_H

#include "tests/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

enum { DNS_LOG_SIZE = 16384, DNS_LATE_MS = 200, DNS_EMPTY_COUNT = 150 };

struct dns_server {
    char address[32];
    int udp;
    int tcp;
    int stop[2];
    pthread_t thread;
    pid_t tid;
    sem_t starts;
    pthread_mutex_t lock;
    char log[DNS_LOG_SIZE]; /* "A name " and "AAAA name " for each query */
    int udp_count;
    int port_count; /* datagrams from another port than the previous one */
    int port;
    int tcp_count;
};

void dns_server_start(struct dns_server *server);
void dns_server_stop(struct dns_server *server);

/* Returns once all queries received so far are answered. */
void dns_server_wait(const struct dns_server *server);

const char *dns_server_read_log(struct dns_server *server);

#endif
