/*
 * The command line of a server, its listening socket, clocks, and the end of
 * a program after an error. Of these, only the clocks and the random numbers
 * are used in a measured path, and all programs use them alike.
 */
#define _GNU_SOURCE
#include "bench/bench.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BACKLOG  4096
#define MAX_RECV (1024 * 1024)

static const char *const mode_names[] = {
    [BENCH_ECHO] = "echo",   [BENCH_FRAMED] = "framed",
    [BENCH_CLOSE] = "close", [BENCH_FANOUT] = "fanout",
    [BENCH_LINES] = "lines",
};

static const char *const echo_names[] = {
    [BENCH_BY_VIEW] = "view",
    [BENCH_BY_TAKE] = "take",
    [BENCH_BY_COPY] = "copy",
};

static uint64_t read_clock(clockid_t clock)
{
    struct timespec ts;

    if (clock_gettime(clock, &ts) < 0) {
        bench_die("clock_gettime");
    }
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

/* Returns the index of a name. An unknown name ends the program. */
static unsigned parse_name(const char *text, const char *const *names,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (unsigned)i;
        }
    }
    fprintf(stderr, "unknown name '%s'\n", text);
    exit(2);
}

static void print_help(const char *program, const char *about)
{
    printf("usage: %s [options] PORT\n%s\n\n"
           "  --mode MODE    echo (default), framed, close, fanout or lines\n"
           "  --frame BYTES  frame of framed and close (128)\n"
           "  --message BYTES  message of fanout (1024)\n"
           "  --echo HOW     view (default), take or copy: weir's streams\n"
           "  --recv BYTES   the most of one receive, bare epoll (1048576)\n"
           "  --unix         a Unix socket, named after the port\n"
           "  --file PATH    the file that is served\n"
           "  --folder PATH  the folder whose files are served\n"
           "  --identity PEM  TLS: certificate and key\n"
           "  --tickets      TLS: sessions can be resumed\n"
           "  --to PORT      the backend of a proxy, on 127.0.0.1\n"
           "  --trains       datagrams: with GRO and GSO\n"
           "  --block        bare recvmmsg: wait in it, without epoll\n"
           "  --lean         bare OpenSSL: no buffers of idle connections\n"
           "  --threads N    bare liburing: on the first N CPUs (1: any CPU)\n"
           "  --help         this text\n"
           "\nServes on 127.0.0.1 until it is killed.\n",
           program, about);
}

/* Options of single servers. */
static void parse_special(struct bench_options *o, int option)
{
    switch (option) {
    case 'p':
        o->file = optarg;
        return;
    case 'd':
        o->folder = optarg;
        return;
    case 'i':
        o->identity = optarg;
        return;
    case 't':
        o->has_tickets = true;
        return;
    case 'g':
        o->has_trains = true;
        return;
    case 'b':
        o->blocks = true;
        return;
    case 'L':
        o->is_lean = true;
        return;
    case 'n':
        o->threads = bench_parse_number(optarg, 1, BENCH_THREADS_MAX);
        return;
    case 'o':
        o->backend_port = (uint16_t)bench_parse_number(optarg, 1, 65535);
        return;
    default:
        exit(2);
    }
}

/* Ends normally, not by SIGTERM, so that callgrind writes its counts. */
static void end(int signum)
{
    (void)signum;
    _exit(0);
}

uint32_t bench_parse_number(const char *text, uint32_t min, uint32_t max)
{
    char *end = NULL;
    unsigned long value = strtoul(text, &end, 10);

    if (end == text || *end != '\0' || value < min || value > max) {
        fprintf(stderr, "'%s' is not a number from %u to %u\n", text, min, max);
        exit(2);
    }
    return (uint32_t)value;
}

struct bench_options bench_parse(int argc, char **argv, const char *about)
{
    static const struct option options[] = {
        {"mode", required_argument, NULL, 'm'},
        {"frame", required_argument, NULL, 'f'},
        {"message", required_argument, NULL, 's'},
        {"echo", required_argument, NULL, 'e'},
        {"recv", required_argument, NULL, 'r'},
        {"unix", no_argument, NULL, 'u'},
        {"file", required_argument, NULL, 'p'},
        {"folder", required_argument, NULL, 'd'},
        {"identity", required_argument, NULL, 'i'},
        {"tickets", no_argument, NULL, 't'},
        {"to", required_argument, NULL, 'o'},
        {"trains", no_argument, NULL, 'g'},
        {"block", no_argument, NULL, 'b'},
        {"lean", no_argument, NULL, 'L'},
        {"threads", required_argument, NULL, 'n'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct bench_options ret = {
        .frame_size = 128,
        .message_size = 1024,
        .recv_size = MAX_RECV,
        .threads = 1,
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'm':
            ret.mode = (enum bench_mode)parse_name(
                optarg, mode_names, BENCH_ARRAY_SIZE(mode_names));
            break;
        case 'f':
            ret.frame_size = bench_parse_number(optarg, 1, 65536);
            break;
        case 's':
            ret.message_size = bench_parse_number(optarg, 1, 65536);
            break;
        case 'e':
            ret.echo = (enum bench_echo)parse_name(
                optarg, echo_names, BENCH_ARRAY_SIZE(echo_names));
            break;
        case 'r':
            ret.recv_size = bench_parse_number(optarg, 1, MAX_RECV);
            break;
        case 'u':
            ret.is_unix = true;
            break;
        case 'h':
            print_help(argv[0], about);
            exit(0);
        default:
            parse_special(&ret, option);
        }
    }
    if (optind + 1 != argc) {
        print_help(argv[0], about);
        exit(2);
    }
    ret.port = (uint16_t)bench_parse_number(argv[optind], 1, 65535);
    bench_raise_file_limit();
    /* A write to a closed connection fails with EPIPE instead. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, end);
    return ret;
}

void bench_unix_name(const struct bench_options *options,
                     char ret[BENCH_UNIX_NAME_SIZE])
{
    snprintf(ret, BENCH_UNIX_NAME_SIZE, "@weir-bench-%u", options->port);
}

socklen_t bench_unix_address(uint16_t port, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(ret->sun_path + 1, sizeof(ret->sun_path) - 1,
                       "weir-bench-%u", port);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                       (size_t)len);
}

struct sockaddr_in bench_backend(const struct bench_options *options)
{
    if (options->backend_port == 0) {
        fprintf(stderr, "--to is missing\n");
        exit(2);
    }
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(options->backend_port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static int listen_unix(uint16_t port, int flags)
{
    struct sockaddr_un addr;
    socklen_t len = bench_unix_address(port, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0) {
        bench_die("socket");
    }
    if (bind(fd, (struct sockaddr *)&addr, len) < 0) {
        bench_die("bind");
    }
    return fd;
}

static int listen_inet(const struct bench_options *options, int flags)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons(options->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int shared = options->threads > 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0) {
        bench_die("socket");
    }
    /* Accepted sockets inherit the options, so no server sets them. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof(shared)) < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0) {
        bench_die("setsockopt");
    }
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        bench_die("bind");
    }
    return fd;
}

int bench_listen(const struct bench_options *options, int flags)
{
    int fd = options->is_unix ? listen_unix(options->port, flags)
                              : listen_inet(options, flags);

    if (listen(fd, BACKLOG) < 0) {
        bench_die("listen");
    }
    return fd;
}

int bench_bind_udp(const struct bench_options *options, int flags)
{
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons(options->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | flags, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        bench_die("UDP socket");
    }
    if (options->has_trains &&
        setsockopt(fd, SOL_UDP, UDP_GRO, &one, sizeof(one)) < 0) {
        bench_die("UDP_GRO");
    }
    return fd;
}

static void say_serving(const char *where, uint16_t port)
{
    printf("serving %s%u\n", where, port);
    if (fflush(stdout) != 0) {
        bench_die("standard output");
    }
}

void bench_serving(const struct bench_options *options)
{
    say_serving(options->is_unix ? "unix:@weir-bench-" : "tcp://127.0.0.1:",
                options->port);
}

void bench_serving_udp(const struct bench_options *options)
{
    say_serving("udp://127.0.0.1:", options->port);
}

static pthread_once_t given_once = PTHREAD_ONCE_INIT;
static cpu_set_t given_cpus;

static void take_given(void)
{
    if (sched_getaffinity(0, sizeof(given_cpus), &given_cpus) < 0) {
        bench_die("sched_getaffinity");
    }
}

void bench_pin(uint32_t number)
{
    cpu_set_t cpus;

    pthread_once(&given_once, take_given);
    CPU_ZERO(&cpus);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &given_cpus) && number-- == 0) {
            CPU_SET(cpu, &cpus);
            (void)sched_setaffinity(0, sizeof(cpus), &cpus);
            return;
        }
    }
}

void bench_raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) {
        bench_die("getrlimit");
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        bench_die("setrlimit");
    }
}

void bench_die(const char *what)
{
    bench_die_err(what, errno);
}

void bench_die_err(const char *what, int err)
{
    fprintf(stderr, "%s: %s\n", what, strerror(err < 0 ? -err : err));
    exit(1);
}

void *bench_alloc(size_t size_bytes)
{
    void *memory = calloc(1, size_bytes);

    if (memory == NULL) {
        bench_die("calloc");
    }
    return memory;
}

void *bench_malloc(size_t size_bytes)
{
    return bench_realloc(NULL, size_bytes);
}

void *bench_realloc(void *memory, size_t size_bytes)
{
    void *moved = realloc(memory, size_bytes);

    if (moved == NULL) {
        bench_die("realloc");
    }
    return moved;
}

uint64_t bench_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

uint64_t bench_process_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

uint64_t bench_random(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}
