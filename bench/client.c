/*
 * The client of the comparisons. It drives a server over TCP, Unix sockets or
 * UDP on loopback, checks every received byte, and prints a JSON object.
 *
 * Its own clock limits its time. It ends with status 1 if any answer was wrong
 * or missing; figures of a run with errors are printed nevertheless.
 */
#define _GNU_SOURCE
#include "bench/client.h"

#include "bench/bench.h"
#include "tools/load/payload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_MS 30000 /* a lost SYN is sent again after 1, 3, 7 and 15 s */

static const struct {
    const char *name;
    void (*run)(struct client *k);
} modes[] = {
    {"closed", client_run_closed},     {"open", client_run_open},
    {"churn", client_run_churn},       {"fanout", client_run_fanout},
    {"idle", client_run_idle},         {"flood", client_run_flood},
    {"lines", client_run_lines},       {"udp", client_run_udp},
    {"file", client_run_file},         {"handshakes", client_run_handshakes},
    {"requests", client_run_requests}, {"tls-idle", client_run_tls_idle},
};

static uint64_t read_server_cpu(const struct client *k)
{
    /* The kernel's number for the CPU clock of another process. */
    clockid_t clock = (clockid_t)((~(unsigned)k->options.server_pid << 3) | 2U);
    struct timespec ts;

    if (k->options.server_pid == 0) {
        return 0;
    }
    if (clock_gettime(clock, &ts) < 0) {
        bench_die("the server's CPU clock");
    }
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void client_begin(struct client *k)
{
    k->window_start_ns = bench_now_ns() + k->options.warm_ms * 1000000ULL;
    k->window_end_ns = k->window_start_ns + k->options.time_ms * 1000000ULL;
}

static void open_window(struct client *k)
{
    k->is_measuring = true;
    k->window_messages = k->messages;
    k->window_bytes = k->bytes;
    k->client_cpu_ns = bench_process_cpu_ns();
    k->window_ns = bench_now_ns();
    k->server_cpu_ns = read_server_cpu(k);
}

static void close_window(struct client *k)
{
    k->server_cpu_ns = read_server_cpu(k) - k->server_cpu_ns;
    k->window_ns = bench_now_ns() - k->window_ns;
    k->client_cpu_ns = bench_process_cpu_ns() - k->client_cpu_ns;
    k->window_messages = k->messages - k->window_messages;
    k->window_bytes = k->bytes - k->window_bytes;
    k->is_measuring = false;
    k->is_measured = true;
}

bool client_tick(struct client *k, uint64_t now_ns)
{
    if (now_ns < k->window_start_ns || k->is_measured) {
        return !k->is_measured;
    }
    if (!k->is_measuring) {
        open_window(k);
    }
    if (now_ns >= k->window_end_ns) {
        close_window(k);
    }
    return !k->is_measured;
}

/* With one source address, a churn would run out of local ports. */
static void bind_source(const struct client *k, int fd, uint32_t index)
{
    uint32_t source = 2 + index % k->options.source_count;
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source),
    };
    int one = 1;

    if (k->options.source_count == 1) {
        return;
    }
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one)) <
            0 ||
        bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        bench_die("bind");
    }
}

static int connect_unix(struct client *k)
{
    struct sockaddr_un addr;
    socklen_t len = bench_unix_address(k->options.port, &addr);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        bench_die("socket");
    }
    if (connect(fd, (struct sockaddr *)&addr, len) < 0) {
        k->errors[CLIENT_CONNECT]++;
        close(fd);
        return -1;
    }
    return fd;
}

int client_connect(struct client *k, uint32_t index)
{
    if (k->options.is_unix) {
        return connect_unix(k);
    }
    struct sockaddr_in addr = {
        .sin_family = AF_INET,
        .sin_port = htons(k->options.port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0) {
        bench_die("socket");
    }
    bind_source(k, fd, index);
    if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 &&
        errno != EINPROGRESS) {
        k->errors[CLIENT_CONNECT]++;
        close(fd);
        return -1;
    }
    return fd;
}

void client_wait_connected(struct client *k, int fd)
{
    struct pollfd poller = {.fd = fd, .events = POLLOUT};

    if (fd < 0 || poll(&poller, 1, CONNECT_MS) != 1 ||
        (poller.revents & (POLLERR | POLLHUP)) != 0) {
        k->errors[CLIENT_CONNECT]++;
    }
}

const uint8_t *client_pattern(const struct client *k, uint64_t offset)
{
    return k->pattern + offset % PAYLOAD_PERIOD;
}

static const uint8_t *make_pattern(void)
{
    uint8_t *pattern = bench_malloc(PAYLOAD_PERIOD + CLIENT_CHUNK);

    payload_fill(pattern, PAYLOAD_PERIOD + CLIENT_CHUNK, 1);
    return pattern;
}

void client_watch(struct client *k, int op, int fd, uint32_t events, void *conn)
{
    struct epoll_event event = {.events = events, .data.ptr = conn};

    if (epoll_ctl(k->epoll_fd, op, fd, &event) < 0) {
        bench_die("epoll_ctl");
    }
}

static void print_histogram(const char *name, const struct histogram *h)
{
    printf("  \"%s\": {\"count\": %llu, \"p50\": %llu, \"p99\": %llu, "
           "\"p999\": %llu, \"max\": %llu, \"mean\": %.0f},\n",
           name, (unsigned long long)h->count,
           (unsigned long long)histogram_quantile(h, 50000),
           (unsigned long long)histogram_quantile(h, 99000),
           (unsigned long long)histogram_quantile(h, 99900),
           (unsigned long long)h->max, histogram_mean(h));
}

static void print_number(const char *name, uint64_t value)
{
    printf("  \"%s\": %llu,\n", name, (unsigned long long)value);
}

static bool report(const struct client *k)
{
    static const char *const names[] = {"connect", "broken", "eof", "mismatch",
                                        "surplus"};
    uint64_t error_count = 0;

    printf("{\n  \"mode\": \"%s\",\n", k->options.mode);
    print_number("connections", k->options.conn_count);
    print_number("depth", k->options.depth);
    print_number("size_bytes", k->options.size_bytes);
    print_number("window_ns", k->window_ns);
    print_number("messages", k->window_messages);
    print_number("bytes", k->window_bytes);
    print_number("offered", k->offered);
    print_number("dropped", k->dropped);
    print_number("in_flight", k->in_flight);
    print_number("tickets", k->tickets);
    print_number("server_cpu_ns", k->server_cpu_ns);
    print_number("client_cpu_ns", k->client_cpu_ns);
    print_histogram("latency_ns", &k->latency);
    print_histogram("lateness_ns", &k->lateness);
    printf("  \"fairness\": %.4f,\n  \"errors\": {", k->fairness);
    for (size_t i = 0; i < BENCH_ARRAY_SIZE(names); i++) {
        printf("%s\"%s\": %llu", i > 0 ? ", " : "", names[i],
               (unsigned long long)k->errors[i]);
        error_count += k->errors[i];
    }
    printf("},\n  \"valid\": %s\n}\n",
           error_count == 0 && k->is_measured ? "true" : "false");
    return error_count == 0 && k->is_measured;
}

static void print_help(void)
{
    printf("usage: client [options] PORT\n"
           "  --mode MODE       closed (default), open, churn, fanout, idle, "
           "flood, lines, udp, file,\n"
           "                    handshakes, requests\n"
           "  --conns N         connections (50)\n"
           "  --depth N         messages in flight on each, closed loop (1)\n"
           "  --size BYTES      of a message (128)\n"
           "  --rate N          messages a second in all, open loop\n"
           "  --warm MS         warm-up (500)\n"
           "  --time MS         measured window (2000)\n"
           "  --sources N       source addresses from 127.0.0.2 on (1: any)\n"
           "  --files N         file: one of N in place of /file, a message "
           "each\n"
           "  --server-pid PID  whose CPU time is read\n"
           "  --unix            a Unix socket, named after the port\n"
           "  --trains          udp: send what is in flight by one call (GSO)\n"
           "  --server-closes   churn: wait for the server's end first\n"
           "  --trusted PEM     TLS: the server's certificate\n"
           "  --file PATH       requests: what each answer must be\n"
           "  --resume          handshakes: resume the session before\n"
           "  --tls12           TLS 1.2 and not 1.3\n");
}

static void parse_tls_option(struct client_options *o, int option)
{
    switch (option) {
    case 'T':
        o->trusted = optarg;
        return;
    case 'F':
        o->file = optarg;
        return;
    case 'R':
        o->resumes = true;
        return;
    case '2':
        o->is_tls12 = true;
        return;
    case 'h':
        print_help();
        exit(0);
    default:
        exit(2);
    }
}

static void parse_option(struct client_options *o, int option)
{
    switch (option) {
    case 'm':
        o->mode = optarg;
        return;
    case 'c':
        o->conn_count = bench_parse_number(optarg, 1, 20000);
        return;
    case 'd':
        o->depth = bench_parse_number(optarg, 1, 1024);
        return;
    case 's':
        o->size_bytes = bench_parse_number(optarg, 1, CLIENT_CHUNK);
        return;
    case 'r':
        o->rate = bench_parse_number(optarg, 1, 100000000);
        return;
    case 'w':
        o->warm_ms = bench_parse_number(optarg, 0, 600000);
        return;
    case 't':
        o->time_ms = bench_parse_number(optarg, 1, 600000);
        return;
    case 'a':
        o->source_count = bench_parse_number(optarg, 1, 250);
        return;
    case 'n':
        o->file_count = bench_parse_number(optarg, 1, 100000000);
        return;
    case 'p':
        o->server_pid = (pid_t)bench_parse_number(optarg, 1, 1U << 30);
        return;
    case 'x':
        o->server_closes = true;
        return;
    case 'u':
        o->is_unix = true;
        return;
    case 'g':
        o->has_trains = true;
        return;
    default:
        parse_tls_option(o, option);
    }
}

static struct client_options parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"mode", required_argument, NULL, 'm'},
        {"conns", required_argument, NULL, 'c'},
        {"depth", required_argument, NULL, 'd'},
        {"size", required_argument, NULL, 's'},
        {"rate", required_argument, NULL, 'r'},
        {"warm", required_argument, NULL, 'w'},
        {"time", required_argument, NULL, 't'},
        {"sources", required_argument, NULL, 'a'},
        {"files", required_argument, NULL, 'n'},
        {"server-pid", required_argument, NULL, 'p'},
        {"server-closes", no_argument, NULL, 'x'},
        {"unix", no_argument, NULL, 'u'},
        {"trains", no_argument, NULL, 'g'},
        {"trusted", required_argument, NULL, 'T'},
        {"file", required_argument, NULL, 'F'},
        {"resume", no_argument, NULL, 'R'},
        {"tls12", no_argument, NULL, '2'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct client_options ret = {
        .mode = "closed",
        .conn_count = 50,
        .depth = 1,
        .size_bytes = 128,
        .rate = 1000,
        .source_count = 1,
        .warm_ms = 500,
        .time_ms = 2000,
    };
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        parse_option(&ret, option);
    }
    if (optind + 1 != argc) {
        print_help();
        exit(2);
    }
    ret.port = (uint16_t)bench_parse_number(argv[optind], 1, 65535);
    return ret;
}

int main(int argc, char **argv)
{
    struct client *k = bench_alloc(sizeof(*k));

    k->options = parse(argc, argv);
    k->pattern = make_pattern();
    k->recv_buf = bench_alloc(CLIENT_CHUNK);
    histogram_clear(&k->latency);
    histogram_clear(&k->lateness);
    k->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (k->epoll_fd < 0) {
        bench_die("epoll_create1");
    }
    bench_raise_file_limit();
    for (size_t i = 0; i < BENCH_ARRAY_SIZE(modes); i++) {
        if (strcmp(k->options.mode, modes[i].name) == 0) {
            modes[i].run(k);
            return report(k) ? 0 : 1;
        }
    }
    fprintf(stderr, "unknown mode '%s'\n", k->options.mode);
    return 2;
}
