/*
 * What the programs in this folder share: the command line of a server, the
 * listening socket, the one line that says where it serves, and the end.
 *
 * Every server takes the same options, so that the driver can put any of them
 * in the place of any other. A server that cannot bind says so and ends with
 * an error: a comparison against nobody must not look like a comparison.
 *
 * This header knows nothing about weir, liburing, libuv or libevent.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BENCH_NORETURN      __attribute__((noreturn))
#define BENCH_FORMAT(f, a)  __attribute__((format(printf, f, a)))
#define BENCH_THREADS_MAX   64u
#define BENCH_ARRAY_SIZE(x) (sizeof(x) / sizeof((x)[0]))

enum bench_mode {
    BENCH_ECHO,   /* send back every byte */
    BENCH_FRAMED, /* send back every frame with a write of its own */
    BENCH_CLOSE,  /* send back one frame, then close the connection */
    BENCH_FANOUT, /* each byte sends one shared message to every connection */
    BENCH_LINES,  /* count lines and answer when asked, see lines.h */
};

/* How weir's streams send back what they read. */
enum bench_echo {
    BENCH_BY_VIEW, /* a view, whose lease is sent on */
    BENCH_BY_TAKE, /* taken bytes, whose lease is sent on */
    BENCH_BY_COPY, /* a view, whose bytes are written */
};

struct bench_options {
    enum bench_mode mode;
    enum bench_echo echo;
    uint16_t port;
    uint16_t backend_port; /* of a proxy; 0: it has none */
    uint32_t frame_size;   /* of FRAMED and CLOSE */
    uint32_t message_size; /* of FANOUT */
    uint32_t recv_size;    /* the most that one receive takes, bare epoll */
    bool is_unix;          /* a Unix socket that is named after the port */
    const char *file;      /* that is served */
    const char *folder;    /* whose files are served */
    const char *identity;  /* TLS: certificate and key, PEM */
    bool has_tickets;      /* TLS: sessions can be resumed */
    bool has_trains;       /* datagrams: GRO and GSO */
    bool blocks;           /* bare recvmmsg: without epoll */
    bool is_lean;          /* bare OpenSSL: no buffers of idle connections */
    uint32_t threads;      /* bare liburing: one ring and one listener each */
};

/* A whole number from min to max, or the end of the run. */
uint32_t bench_parse_number(const char *text, uint32_t min, uint32_t max);

/* Parse a server's command line; prints help or an error and ends if asked. */
struct bench_options bench_parse(int argc, char **argv, const char *about);

#define BENCH_UNIX_NAME_SIZE 32

/* The abstract Unix name of a server's port as weir takes it, "@weir-bench-1";
 * and as an address, whose length is returned. */
void bench_unix_name(const struct bench_options *options,
                     char ret[BENCH_UNIX_NAME_SIZE]);
socklen_t bench_unix_address(uint16_t port, struct sockaddr_un *ret);

/* The address that a proxy connects to, or the end of the run. */
struct sockaddr_in bench_backend(const struct bench_options *options);

/* A listening Unix socket, or one on 127.0.0.1 with TCP_NODELAY, or the end of
 * the run. */
int bench_listen(const struct bench_options *options, int flags);

/* A UDP socket on 127.0.0.1, with GRO where there are trains, or the end of the
 * run. */
int bench_bind_udp(const struct bench_options *options, int flags);

/* Say on standard output that connections, or datagrams, are accepted from now
 * on. */
void bench_serving(const struct bench_options *options);
void bench_serving_udp(const struct bench_options *options);

/* Bind the calling thread to one of the CPUs that the process was started with,
 * counted from 0; if it has so many. */
void bench_pin(uint32_t number);

/* Raise the limit of open files to the hard limit. */
void bench_raise_file_limit(void);

/* Say what failed with errno's text, or with that of -err, and end. */
void bench_die(const char *what) BENCH_NORETURN;
void bench_die_err(const char *what, int err) BENCH_NORETURN;

/* Memory or the end of the run: a benchmark has no use for less. */
void *bench_alloc(size_t size_bytes); /* zeroed */
void *bench_malloc(size_t size_bytes);
void *bench_realloc(void *memory, size_t size_bytes);

uint64_t bench_now_ns(void);
/* CPU time used by all threads of this process, by the scheduler's account. */
uint64_t bench_process_cpu_ns(void);

/* A small generator of numbers that the compiler cannot foresee. */
uint64_t bench_random(uint64_t *state);

#endif
