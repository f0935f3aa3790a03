/*
 * A name server of the test's own, on a thread and a port of the loopback.
 *
 * What it answers is in the name that it is asked for, so that a test's text
 * says what happens. The first label is a list of words between hyphens:
 *
 *   a4, a6        has an IPv4 address (192.0.2.1), an IPv6 one (2001:db8::1)
 *   n200          has 200 of each, so that an answer by UDP is truncated
 *   cut           is truncated by UDP, and by TCP the connection is closed
 *   pieces        is answered byte by byte by TCP
 *   silent        is not answered; silent4, silent6: not for one family
 *   late6         is answered 200 ms late for IPv6; late4: for IPv4
 *   nx, fail, refused, notimp   the response code
 *   garbage       is answered by bytes that are no answer
 *   foreign       is answered for another question first, then rightly
 *   empty         is answered by 150 datagrams without bytes, then rightly
 *   loop          its name stands for itself (CNAME)
 *   alias         its name stands for middle.example, and that for end.example,
 *                 which has the addresses; aliasodd: for what is no host name
 *   brief         its answer is good for a second, and not for an hour; an
 *                 alias is, and what it stands for is good for an hour
 *   s3            is a service with three hosts, s99 with 99; sdot is none, and
 *                 sodd is answered by a record that is malformed
 *   self          has the address of the loopback, 127.0.0.1 and ::1
 *
 * A name that has none of these labels does not exist, and what exists and has
 * no address of a family is answered with no data.
 */
#ifndef WEIR_TESTS_CONTRACT_DNS_SERVER_H
#define WEIR_TESTS_CONTRACT_DNS_SERVER_H

#include "tests/unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>

enum { DNS_LOG_SIZE = 16384, DNS_LATE_MS = 200, DNS_EMPTY_COUNT = 150 };

struct dns_server {
    char address[32]; /* for weir_dns_options.servers */
    int udp;
    int tcp;
    int stop[2];
    pthread_t thread;
    pid_t tid;
    sem_t starts;
    pthread_mutex_t lock;
    char log[DNS_LOG_SIZE]; /* "A name " and "AAAA name " for each question */
    int udp_count;
    int port_count; /* datagrams from another port than the one before */
    int port;
    int tcp_count;
};

void dns_server_start(struct dns_server *server);
void dns_server_stop(struct dns_server *server);

/* Returns once it has answered all that it was asked up to now. */
void dns_server_wait(const struct dns_server *server);

/* A copy of the log up to now; static. */
const char *dns_server_read_log(struct dns_server *server);

#endif
