/*
 * The name server of tests: one thread that polls a UDP and a TCP socket.
 *
 * It responds at once, or later or never if a label of the queried name
 * requests it. Its log has the queries.
 */
#include "tests/contract/dns_server.h"

#include "tests/contract/asleep.h"
#include "tests/pages.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

enum {
    HEADER_SIZE = 12,
    UDP_MAX = 512,
    ANSWER_MAX = 65535,
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_PTR = 12,
    TYPE_AAAA = 28,
    TYPE_SRV = 33,
    RCODE_SERVFAIL = 2,
    RCODE_NXDOMAIN = 3,
    RCODE_NOTIMP = 4,
    RCODE_REFUSED = 5,
    LATE_COUNT = 64,
};

struct message {
    uint8_t bytes[ANSWER_MAX];
    size_t len;
    uint16_t ttl_s;
};

struct late {
    int64_t when_ms;
    struct sockaddr_in peer;
    struct message message;
};

static struct late *lates; /* LATE_COUNT */
static size_t late_count;

struct question {
    char name[256];
    char words[256]; /* "-a4-n200-" */
    uint16_t type;
    size_t end;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void put16(struct message *message, uint16_t value)
{
    message->bytes[message->len++] = (uint8_t)(value >> 8);
    message->bytes[message->len++] = (uint8_t)value;
}

static bool parse(const struct message *query, struct question *ret)
{
    size_t at = HEADER_SIZE;
    size_t len = 0;
    memset(ret, 0, sizeof(*ret));
    while (at < query->len && query->bytes[at] != 0) {
        const size_t label = query->bytes[at];
        if (label > 63 || at + label + 1 >= query->len || len + label > 254) {
            return false;
        }
        for (size_t i = 0; i < label; i++) {
            ret->name[len++] = (char)tolower(query->bytes[at + 1 + i]);
        }
        ret->name[len++] = '.';
        at += label + 1;
    }
    if (at + 5 > query->len) {
        return false;
    }
    ret->type = (uint16_t)(query->bytes[at + 1] << 8 | query->bytes[at + 2]);
    ret->end = at + 5;
    snprintf(ret->words, sizeof(ret->words), "-%.*s-",
             (int)strcspn(ret->name, "."), ret->name);
    return true;
}

static bool has(const struct question *question, const char *word)
{
    char text[48];
    snprintf(text, sizeof(text), "-%s-", word);
    return strstr(question->words, text) != NULL;
}

/* Returns true for "word", and for "word4" or "word6" if the question is for
 * that family. */
static bool has_for(const struct question *question, const char *word)
{
    char text[16];
    snprintf(text, sizeof(text), "%s%c", word,
             question->type == TYPE_AAAA ? '6' : '4');
    return has(question, word) || has(question, text);
}

static bool is_known(const struct question *question)
{
    static const char *const words[] = {"a4",   "a6",   "n200",    "none",
                                        "loop", "self", "foreign", "cut",
                                        "s3",   "s99",  "sdot",    "sodd"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (has(question, words[i])) {
            return true;
        }
    }
    return false;
}

static uint8_t get_rcode(const struct question *question)
{
    if (has_for(question, "fail")) {
        return RCODE_SERVFAIL;
    }
    if (has(question, "refused")) {
        return RCODE_REFUSED;
    }
    if (has(question, "notimp")) {
        return RCODE_NOTIMP;
    }
    return is_known(question) || question->type == TYPE_PTR ? 0
                                                            : RCODE_NXDOMAIN;
}

static void put_record_of(struct message *message, size_t owner, uint16_t type,
                          const void *data, uint16_t len)
{
    put16(message, (uint16_t)(0xc000 | owner));
    put16(message, type);
    put16(message, 1);
    put16(message, 0);
    put16(message, message->ttl_s);
    put16(message, len);
    memcpy(message->bytes + message->len, data, len);
    message->len += len;
}

static void put_record(struct message *message, uint16_t type, const void *data,
                       uint16_t len)
{
    put_record_of(message, HEADER_SIZE, type, data, len);
}

static uint16_t put_addresses(struct message *message, size_t owner,
                              const struct question *question)
{
    const bool is6 = question->type == TYPE_AAAA;
    const int count = has(question, "n200") ? 200
                      : has(question, is6 ? "a6" : "a4") ||
                              has(question, "self") || has(question, "foreign")
                          ? 1
                          : 0;
    uint8_t inet6[16] = {0x20, 0x01, 0x0d, 0xb8};
    uint8_t inet[4] = {192, 0, 2};
    for (int i = 0; i < count; i++) {
        inet[3] = (uint8_t)(i + 1);
        inet6[15] = (uint8_t)(i + 1);
        if (has(question, "self")) {
            inet_pton(AF_INET, "127.0.0.1", inet);
            inet_pton(AF_INET6, "::1", inet6);
        }
        put_record_of(message, owner, question->type, is6 ? inet6 : inet,
                      is6 ? sizeof(inet6) : sizeof(inet));
    }
    return (uint16_t)count;
}

/* Writes a host of the question's service, below example; "" is the root. */
static void put_host(struct message *message, const uint16_t numbers[3],
                     const char *label)
{
    uint8_t data[64];
    size_t used = 0;
    const size_t size = strlen(label);
    for (int i = 0; i < 3; i++) {
        data[used++] = (uint8_t)(numbers[i] >> 8);
        data[used++] = (uint8_t)numbers[i];
    }
    if (size > 0) {
        data[used++] = (uint8_t)size;
        memcpy(data + used, label, size);
        used += size;
        memcpy(data + used,
               "\x07"
               "example",
               8);
        used += 8;
    }
    data[used++] = 0;
    put_record(message, TYPE_SRV, data, (uint16_t)used);
}

static uint16_t put_hosts(struct message *message,
                          const struct question *question)
{
    if (has(question, "s3")) {
        put_host(message, (uint16_t[]){20, 0, 1}, "a4");
        put_host(message, (uint16_t[]){10, 1, 2}, "a4-a6");
        put_host(message, (uint16_t[]){10, 5, 3}, "self");
        return 3;
    }
    if (has(question, "sdot")) {
        put_host(message, (uint16_t[]){0, 0, 0}, "");
        return 1;
    }
    if (has(question, "sodd")) {
        put_record(message, TYPE_SRV, "\0\1\0\1\0\1\x3fx", 8);
        return 1;
    }
    for (uint16_t i = 1; i <= 99 && has(question, "s99"); i++) {
        char label[8];
        snprintf(label, sizeof(label), "h%u", i);
        put_host(message, (uint16_t[]){i, 1, 1}, label);
    }
    return has(question, "s99") ? 99 : 0;
}

static uint16_t put_answers(struct message *message,
                            const struct question *question)
{
    static const uint8_t self[] = {0xc0, HEADER_SIZE};
    static const uint8_t host[] = "\x04host\x07"
                                  "example";
    static const uint8_t middle[] = "\x06middle\x07"
                                    "example";
    static const uint8_t end[] = "\x03"
                                 "end\x07"
                                 "example";
    static const uint8_t number[] = "\x02"
                                    "10\x02"
                                    "11";
    static const uint8_t odd[] = "\x05h\0st\x0a"
                                 "\x07"
                                 "example";
    if (question->type == TYPE_SRV) {
        return put_hosts(message, question);
    }
    if (question->type == TYPE_PTR) {
        if (strncmp(question->name, "1.2.0.192.", 10) == 0) {
            put_record(message, TYPE_PTR, host, sizeof(host));
            return 1;
        }
        if (strncmp(question->name, "2.2.0.192.", 10) == 0) {
            put_record(message, TYPE_PTR, odd, sizeof(odd));
            return 1;
        }
        return 0;
    }
    if (has(question, "loop")) {
        put_record(message, TYPE_CNAME, self, sizeof(self));
        return 1;
    }
    if (has(question, "alias")) {
        put_record(message, TYPE_CNAME, middle, sizeof(middle));
        const size_t at_middle = message->len - sizeof(middle);
        put_record_of(message, at_middle, TYPE_CNAME, end, sizeof(end));
        const size_t at_end = message->len - sizeof(end);
        message->ttl_s = 3600;
        return (uint16_t)(2 + put_addresses(message, at_end, question));
    }
    if (has(question, "aliasodd")) {
        put_record(message, TYPE_CNAME, number, sizeof(number));
        const size_t at_number = message->len - sizeof(number);
        return (uint16_t)(1 + put_addresses(message, at_number, question));
    }
    return put_addresses(message, HEADER_SIZE, question);
}

static void make_answer(const struct message *query,
                        const struct question *question, bool is_udp,
                        struct message *ret)
{
    const uint8_t rcode = get_rcode(question);
    uint16_t count = 0;
    memcpy(ret->bytes, query->bytes, question->end);
    ret->len = question->end;
    ret->ttl_s = has(question, "brief") ? 1 : 3600;
    ret->bytes[2] |= 0x80;
    ret->bytes[3] = 0x80 | rcode;
    memset(ret->bytes + 6, 0, 6);
    if (rcode == 0) {
        count = put_answers(ret, question);
    }
    if (is_udp && (ret->len > UDP_MAX || has(question, "cut"))) {
        ret->bytes[2] |= 0x02; /* truncated */
        ret->len = question->end;
        count = 0;
    }
    ret->bytes[6] = (uint8_t)(count >> 8);
    ret->bytes[7] = (uint8_t)count;
}

static void note(struct dns_server *server, const struct question *question,
                 bool is_udp)
{
    const size_t len = strlen(server->log);
    pthread_mutex_lock(&server->lock);
    snprintf(server->log + len, sizeof(server->log) - len, "%s %s ",
             question->type == TYPE_AAAA  ? "AAAA"
             : question->type == TYPE_A   ? "A"
             : question->type == TYPE_SRV ? "SRV"
                                          : "PTR",
             question->name);
    *(is_udp ? &server->udp_count : &server->tcp_count) += 1;
    pthread_mutex_unlock(&server->lock);
}

static void send_udp(const struct dns_server *server,
                     const struct sockaddr_in *peer,
                     const struct message *message)
{
    sendto(server->udp, message->bytes, message->len, 0,
           (const struct sockaddr *)peer, sizeof(*peer));
}

/* Sends responses of a broken or lying server, before the right one. */
static void send_odd(const struct dns_server *server,
                     const struct question *question,
                     const struct sockaddr_in *peer,
                     const struct message *answer)
{
    static struct message odd;
    if (has(question, "empty")) {
        odd.len = 0;
        for (int i = 0; i < DNS_EMPTY_COUNT; i++) {
            send_udp(server, peer, &odd);
        }
    }
    if (has(question, "garbage")) {
        odd = *answer;
        memset(odd.bytes + HEADER_SIZE, 0xff, odd.len - HEADER_SIZE);
        send_udp(server, peer, &odd);
        odd.len = 3;
        send_udp(server, peer, &odd);
    }
    if (has(question, "foreign")) { /* a wrong identifier, then a wrong name */
        odd = *answer;
        odd.bytes[0] ^= 1;
        send_udp(server, peer, &odd);
        odd.bytes[0] ^= 1;
        odd.bytes[HEADER_SIZE + 1] = 'x';
        send_udp(server, peer, &odd);
    }
}

static void serve_udp(struct dns_server *server)
{
    static struct message query;
    static struct message answer;
    struct sockaddr_in peer;
    struct question question;
    socklen_t len = sizeof(peer);
    const ssize_t got = recvfrom(server->udp, query.bytes, sizeof(query.bytes),
                                 0, (struct sockaddr *)&peer, &len);
    query.len = got > 0 ? (size_t)got : 0;
    if (!parse(&query, &question)) {
        return;
    }
    server->port_count += server->port != peer.sin_port;
    server->port = peer.sin_port;
    note(server, &question, true);
    if (has_for(&question, "silent")) {
        return;
    }
    make_answer(&query, &question, true, &answer);
    const bool is_late =
        has(&question, question.type == TYPE_AAAA ? "late6" : "late4");
    if (is_late && late_count < LATE_COUNT) {
        lates[late_count++] = (struct late){
            .when_ms = now_ms() + DNS_LATE_MS,
            .peer = peer,
            .message = answer,
        };
        return;
    }
    send_odd(server, &question, &peer, &answer);
    if (!has(&question, "garbage")) {
        send_udp(server, &peer, &answer);
    }
}

static bool send_tcp(int fd, const struct message *answer, bool in_pieces)
{
    static uint8_t bytes[2 + sizeof(answer->bytes)];
    const size_t len = 2 + answer->len;
    const size_t piece = in_pieces ? 1 : len;

    bytes[0] = (uint8_t)(answer->len >> 8);
    bytes[1] = (uint8_t)answer->len;
    memcpy(bytes + 2, answer->bytes, answer->len);
    for (size_t sent = 0; sent < len; sent += piece) {
        if (send(fd, bytes + sent, piece, MSG_NOSIGNAL) < 0) {
            return false;
        }
    }
    return true;
}

static void serve_tcp(struct dns_server *server)
{
    static struct message query;
    static struct message answer;
    struct question question;
    uint8_t head[2];
    const int fd = accept(server->tcp, NULL, NULL);
    const struct timeval patience = {.tv_sec = 2};
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    while (recv(fd, head, sizeof(head), MSG_WAITALL) == sizeof(head)) {
        query.len = (size_t)(head[0] << 8 | head[1]);
        if (recv(fd, query.bytes, query.len, MSG_WAITALL) !=
                (ssize_t)query.len ||
            !parse(&query, &question)) {
            break;
        }
        note(server, &question, false);
        if (has(&question, "cut")) {
            break;
        }
        make_answer(&query, &question, false, &answer);
        if (!send_tcp(fd, &answer, has(&question, "pieces"))) {
            break;
        }
    }
    close(fd);
}

/* Returns how long until the next response is due. */
static int send_lates(const struct dns_server *server)
{
    int left = -1;
    size_t kept = 0;
    for (size_t i = 0; i < late_count; i++) {
        const int64_t wait = lates[i].when_ms - now_ms();
        if (wait <= 0) {
            send_udp(server, &lates[i].peer, &lates[i].message);
            continue;
        }
        left = left < 0 || wait < left ? (int)wait : left;
        lates[kept++] = lates[i];
    }
    late_count = kept;
    return left;
}

static void *serve(void *arg)
{
    struct dns_server *server = arg;
    server->tid = gettid();
    expect_eq(sem_post(&server->starts), 0);
    for (;;) {
        struct pollfd fds[] = {{.fd = server->udp, .events = POLLIN},
                               {.fd = server->tcp, .events = POLLIN},
                               {.fd = server->stop[0], .events = POLLIN}};
        poll(fds, 3, send_lates(server));
        if (fds[2].revents) {
            return NULL;
        }
        if (fds[0].revents) {
            serve_udp(server);
        }
        if (fds[1].revents) {
            serve_tcp(server);
        }
    }
}

static bool open_sockets(struct dns_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    server->udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect_eq(bind(server->udp, (struct sockaddr *)&address, len), 0);
    expect_eq(getsockname(server->udp, (struct sockaddr *)&address, &len), 0);
    server->tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->tcp, (struct sockaddr *)&address, len) < 0) {
        close(server->udp); /* another program uses the port for TCP */
        close(server->tcp);
        return false;
    }
    expect_eq(listen(server->tcp, 16), 0);
    snprintf(server->address, sizeof(server->address), "127.0.0.1:%u",
             ntohs(address.sin_port));
    return true;
}

void dns_server_start(struct dns_server *server)
{
    memset(server, 0, sizeof(*server));
    lates = test_pages(LATE_COUNT * sizeof(*lates));
    late_count = 0;
    for (int tries = 0; !open_sockets(server); tries++) {
        cr_assert_lt(tries, 64);
    }
    expect_eq(pipe(server->stop), 0);
    expect_eq(pthread_mutex_init(&server->lock, NULL), 0);
    expect_eq(sem_init(&server->starts, 0, 0), 0);
    expect_eq(pthread_create(&server->thread, NULL, serve, server), 0);
    while (sem_wait(&server->starts) < 0) { /* interrupted by a signal */
    }
}

void dns_server_wait(const struct dns_server *server)
{
    cr_assert(wait_until_asleep(server->tid));
}

void dns_server_stop(struct dns_server *server)
{
    expect_eq(write(server->stop[1], "", 1), 1);
    expect_eq(pthread_join(server->thread, NULL), 0);
    pthread_mutex_destroy(&server->lock);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->udp);
    close(server->tcp);
}

const char *dns_server_read_log(struct dns_server *server)
{
    static char log[DNS_LOG_SIZE];
    pthread_mutex_lock(&server->lock);
    memcpy(log, server->log, sizeof(log));
    pthread_mutex_unlock(&server->lock);
    return log;
}
