/*
 * What the programs in this folder share: the command line of a server, the
 * listening socket, the line that announces the server, and the end.
 *
 * All servers have the same options, so that the driver can exchange them. A
 * server that cannot bind ends with an error. This header does not depend on
 * weir, liburing, libuv or libevent.
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
    BENCH_ECHO,   /* sends back every byte */
    BENCH_FRAMED, /* sends back every frame with a separate write */
    BENCH_CLOSE,  /* sends back one frame, then closes */
    BENCH_FANOUT, /* sends one shared message to all for each byte */
    BENCH_LINES,  /* counts lines and answers; see lines.h */
};

/* How an echo on weir's streams reads and writes. */
enum bench_echo {
    BENCH_BY_VIEW, /* reads a view, writes its lease */
    BENCH_BY_TAKE, /* takes bytes, writes their lease */
    BENCH_BY_COPY, /* reads a view, writes a copy */
};

struct bench_options {
    enum bench_mode mode;
    enum bench_echo echo;
    uint16_t port;
    uint16_t backend_port; /* of a proxy; else 0 */
    uint32_t frame_size;   /* BENCH_FRAMED and BENCH_CLOSE */
    uint32_t message_size; /* BENCH_FANOUT */
    uint32_t recv_size;    /* bare epoll: size of a receive */
    bool is_unix;          /* uses a Unix socket named after the port */
    const char *file;
    const char *folder;
    const char *identity; /* PEM file of certificate and key */
    bool has_tickets;     /* TLS: sends session tickets */
    bool has_trains;      /* UDP: GRO and GSO */
    bool blocks;          /* recvmmsg() waits instead of epoll */
    bool is_lean;         /* OpenSSL: frees buffers of idle connections */
    uint32_t threads;     /* bare liburing; each has a ring and a listener */
};

/* Returns a number from min to max. Any other text ends the program. */
uint32_t bench_parse_number(const char *text, uint32_t min, uint32_t max);

/* Reads a server's command line. --help and an error end the program. */
struct bench_options bench_parse(int argc, char **argv, const char *about);

#define BENCH_UNIX_NAME_SIZE 32

/* The abstract Unix name of a server's port as weir takes it, "@weir-bench-1";
 * and as an address, whose length is returned. */
void bench_unix_name(const struct bench_options *options,
                     char ret[BENCH_UNIX_NAME_SIZE]);
socklen_t bench_unix_address(uint16_t port, struct sockaddr_un *ret);

/* Returns the address that a proxy connects to. */
struct sockaddr_in bench_backend(const struct bench_options *options);

/* Returns a listening Unix socket, or a TCP socket on 127.0.0.1 with
 * TCP_NODELAY. */
int bench_listen(const struct bench_options *options, int flags);

/* Returns a UDP socket on 127.0.0.1, with GRO if options->has_trains. */
int bench_bind_udp(const struct bench_options *options, int flags);

/* Prints the line that tells the driver that the server accepts. */
void bench_serving(const struct bench_options *options);
void bench_serving_udp(const struct bench_options *options);

/* Pins the calling thread to the CPU with this index among the CPUs that the
 * process had at its start. Does nothing if there are fewer. */
void bench_pin(uint32_t number);

void bench_raise_file_limit(void);

/* Prints what failed, with the text of errno or -err, and ends the program. */
void bench_die(const char *what) BENCH_NORETURN;
void bench_die_err(const char *what, int err) BENCH_NORETURN;

/* Returns memory. The program ends if there is none. */
void *bench_alloc(size_t size_bytes); /* zeroed */
void *bench_malloc(size_t size_bytes);
void *bench_realloc(void *memory, size_t size_bytes);

uint64_t bench_now_ns(void);
/* Returns the CPU time of all threads of this process. */
uint64_t bench_process_cpu_ns(void);

/* A pseudo-random number. */
uint64_t bench_random(uint64_t *state);

#endif
