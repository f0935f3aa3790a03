/*
 * The neutral client's inside: what its parts (echo, churn, hold, lines)
 * share. One thread, epoll, no library: it must treat all servers alike.
 *
 * A run has a warm-up and a measured window. At both ends of the window the
 * client reads the server's CPU clock itself, so that CPU time and the count
 * of messages belong to the same stretch of time.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "tools/load/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENT_CHUNK (1024 * 1024) /* most bytes of one send or receive */

struct client_options {
    const char *mode;
    uint16_t port;
    bool is_unix; /* the Unix socket that is named after the port */
    uint32_t conn_count;
    uint32_t depth;
    uint32_t size_bytes;
    uint32_t rate; /* messages a second of the open loop */
    uint32_t source_count;
    uint32_t file_count; /* file: 0 is one, /file; else /00000000 and so on */
    uint32_t warm_ms;
    uint32_t time_ms;
    pid_t server_pid; /* 0: nobody's CPU time is read */
    bool server_closes;
    bool has_trains;     /* the depth is sent by one call, datagrams */
    bool resumes;        /* TLS: each handshake but a connection's first */
    bool is_tls12;       /* TLS 1.2 in place of 1.3 */
    const char *trusted; /* TLS: the server's certificate, PEM */
    const char *file;    /* what the body of each answer must be */
};

struct client {
    struct client_options options;
    int epoll_fd;
    uint8_t *recv_buf;
    const uint8_t *pattern;

    uint64_t messages; /* completed since the start */
    uint64_t bytes;    /* received since the start */
    uint64_t offered;  /* open loop: due in the window */
    uint64_t dropped;  /* open loop: too many waiting already */
    uint64_t in_flight;
    uint64_t errors[5]; /* by enum client_error */
    double fairness;    /* Jain's index over the connections, 0: not known */
    uint64_t tickets;   /* TLS: that the server has sent since the start */

    uint64_t window_start_ns;
    uint64_t window_end_ns;
    bool is_measuring; /* set by client_tick, cleared by it at the end */
    bool is_measured;  /* set by client_tick at the end of the window */
    uint64_t window_ns;
    uint64_t window_messages;
    uint64_t window_bytes;
    uint64_t server_cpu_ns;
    uint64_t client_cpu_ns;

    struct histogram latency;
    struct histogram lateness; /* open loop: sent after the intended time */
};

enum client_error {
    CLIENT_CONNECT,
    CLIENT_BROKEN,   /* reset, or another error of a socket */
    CLIENT_EOF,      /* closed by the server when it should not */
    CLIENT_MISMATCH, /* not the bytes that were sent */
    CLIENT_SURPLUS,  /* more bytes than were asked for */
};

/* Start the clock: the window opens after the warm-up. */
void client_begin(struct client *k);

/* Open or close the window when its time has come; false when it is over. */
bool client_tick(struct client *k, uint64_t now_ns);

/* A connected socket that does not block; negative after counting an error. */
int client_connect(struct client *k, uint32_t index);

/* Wait for the end of its handshake; what is wrong is counted. */
void client_wait_connected(struct client *k, int fd);

/* Bytes of the endless test stream from this offset, CLIENT_CHUNK of them. */
const uint8_t *client_pattern(const struct client *k, uint64_t offset);

void client_watch(struct client *k, int op, int fd, uint32_t events,
                  void *conn);

/* The modes; each returns when the window is over or nobody is left. */
void client_run_closed(struct client *k);
void client_run_open(struct client *k);
void client_run_churn(struct client *k);
void client_run_fanout(struct client *k);
void client_run_idle(struct client *k);
void client_run_flood(struct client *k);
void client_run_lines(struct client *k);
void client_run_udp(struct client *k);
void client_run_file(struct client *k);
void client_run_handshakes(struct client *k);
void client_run_requests(struct client *k);
void client_run_tls_idle(struct client *k);

#endif
