/*
 * What the parts of the client (echo, churn, hold, lines) share. The client has
 * one thread, epoll and no library, so that it treats all servers alike.
 *
 * A run has a warm-up and a measured window. At both ends of the window the
 * client reads the server's CPU clock, so that CPU time and the number of
 * messages belong to the same time.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "tools/load/histogram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENT_CHUNK (1024 * 1024) /* maximum size of a send or receive */

struct client_options {
    const char *mode;
    uint16_t port;
    bool is_unix; /* uses a Unix socket named after the port */
    uint32_t conn_count;
    uint32_t depth;
    uint32_t size_bytes;
    uint32_t rate; /* open loop: messages per second */
    uint32_t source_count;
    uint32_t file_count; /* 0 means one file, /file; else /00000000 and so on */
    uint32_t warm_ms;
    uint32_t time_ms;
    pid_t server_pid; /* 0 if no CPU time is read */
    bool server_closes;
    bool has_trains;     /* UDP: sends the whole depth with one call */
    bool resumes;        /* TLS: every handshake of a slot except its first */
    bool is_tls12;       /* TLS 1.2 instead of 1.3 */
    const char *trusted; /* PEM file of the server's certificate */
    const char *file;    /* expected body of each answer */
};

struct client {
    struct client_options options;
    int epoll_fd;
    uint8_t *recv_buf;
    const uint8_t *pattern;

    uint64_t messages; /* completed since the start */
    uint64_t bytes;    /* received since the start */
    uint64_t offered;  /* open loop: due in the window */
    uint64_t dropped;  /* open loop: not sent, because too many waited */
    uint64_t in_flight;
    uint64_t errors[5]; /* indexed by enum client_error */
    double fairness;    /* Jain's index over the connections; 0 if unknown */
    uint64_t tickets;   /* TLS: received since the start */

    uint64_t window_start_ns;
    uint64_t window_end_ns;
    bool is_measuring; /* set by client_tick() during the window */
    bool is_measured;  /* set by client_tick() at the end of the window */
    uint64_t window_ns;
    uint64_t window_messages;
    uint64_t window_bytes;
    uint64_t server_cpu_ns;
    uint64_t client_cpu_ns;

    struct histogram latency;
    struct histogram lateness; /* open loop: delay of the sends */
};

enum client_error {
    CLIENT_CONNECT,
    CLIENT_BROKEN,   /* a reset, or another socket error */
    CLIENT_EOF,      /* closed by the server too early */
    CLIENT_MISMATCH, /* other bytes than were sent */
    CLIENT_SURPLUS,  /* more bytes than requested */
};

/* Starts the warm-up, after which the window opens. */
void client_begin(struct client *k);

/* Opens or closes the window when it is time. Returns false after its end. */
bool client_tick(struct client *k, uint64_t now_ns);

/* Returns a non-blocking socket that connects. Counts an error and returns a
 * negative number if there is none. */
int client_connect(struct client *k, uint32_t index);

/* Waits until the socket is connected. Counts an error. */
void client_wait_connected(struct client *k, int fd);

/* Returns CLIENT_CHUNK bytes of the endless test stream from this offset. */
const uint8_t *client_pattern(const struct client *k, uint64_t offset);

void client_watch(struct client *k, int op, int fd, uint32_t events,
                  void *conn);

/* The modes. Each returns at the end of the window, or when no connection is
 * left. */
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
