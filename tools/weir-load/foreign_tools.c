/*
 * A value that is looked for stands behind its flag, glued to it, or behind a
 * '='; the first one counts. What is not found is what the tool has then.
 *
 * The line is bounded as all lines to write are: one that does not fit is not
 * told.
 */
#include "foreign_tools.h"

#include "tools/common/units.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_SIZE 512

/* ---- flags of a line ---- */

/* Does a word begin with this flag, a letter or a long name of @len bytes?
 * Returns what follows, or NULL. */
static const char *match_flag(const char *word, const char *name, size_t len)
{
    const size_t dashes = strspn(word, "-");
    const bool is_letter = len == 1;

    if (dashes == 0 || dashes > 2 || (is_letter && dashes != 1) ||
        strncmp(word + dashes, name, len) != 0) {
        return NULL;
    }
    const char *rest = word + dashes + len;
    return is_letter || *rest == '\0' || *rest == '=' ? rest : NULL;
}

/* The rest of the word that has one of these flags, with blanks between them;
 * @ret_word is its place. NULL: none has. */
static const char *find_flag(char *const *words, const char *names,
                             char *const **ret_word)
{
    for (; *words; words++) {
        for (const char *name = names; *name; name += *name == ' ') {
            const size_t len = strcspn(name, " ");
            const char *rest = match_flag(*words, name, len);
            if (rest) {
                *ret_word = words;
                return rest;
            }
            name += len;
        }
    }
    return NULL;
}

static bool has_flag(char *const *words, const char *names)
{
    char *const *word = NULL;

    return find_flag(words, names, &word);
}

/* A flag's value, or what it is without the flag. */
static const char *find_value(char *const *words, const char *names,
                              const char *otherwise)
{
    char *const *word = NULL;
    const char *rest = find_flag(words, names, &word);

    if (!rest) {
        return otherwise;
    }
    if (*rest) {
        return rest + (*rest == '=');
    }
    return word[1] ? word[1] : otherwise;
}

static uint64_t find_number(char *const *words, const char *names,
                            uint64_t otherwise)
{
    const char *value = find_value(words, names, NULL);
    uint64_t number = 0;

    return value && units_parse_count(value, &number) == 0 ? number : otherwise;
}

/* ---- the line to write ---- */

/* Adds a flag and its value, if there is one. */
static void keep_pair(struct reword *line, const char *flag, const char *value)
{
    if (value) {
        reword_keep(line, flag);
        reword_keep(line, value);
    }
}

static void keep_number(struct reword *line, const char *flag, uint64_t number)
{
    char text[32];

    snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
    keep_pair(line, flag, text);
}

static bool keep_target(struct reword *line, const char *scheme,
                        const char *host, const char *port)
{
    const char *form = strchr(host, ':') ? "%s[%s]:%s" : "%s%s:%s";
    char target[WORD_SIZE];

    if (snprintf(target, sizeof(target), form, scheme, host, port) >=
        (int)sizeof(target)) {
        return false;
    }
    reword_keep(line, target);
    return true;
}

/* ---- iperf3 ---- */

/* Datagrams of a size in a second for a bit rate such as 100M. */
static uint64_t find_packets(char *const *words, const char *size)
{
    const uint64_t bits = find_number(words, "b bitrate bandwidth", 1000000);
    uint64_t bytes = 0;

    return units_parse_size(size, &bytes) == 0 && bytes > 0 && bits / 8 > bytes
               ? bits / 8 / bytes
               : 1;
}

bool foreign_fill_iperf3(struct reword *line, const char *value,
                         char *const *words)
{
    const bool is_udp = has_flag(words, "u udp");
    const char *size =
        find_value(words, "l len length", is_udp ? "1200" : NULL);

    (void)value;
    keep_pair(line, "--mode", is_udp ? NULL : "stream");
    keep_pair(line, "-c", find_value(words, "P parallel", "1"));
    if (is_udp) {
        keep_number(line, "-R", find_packets(words, size));
        keep_pair(line, "-p", "64");
    }
    keep_pair(line, "--send", size);
    keep_pair(line, "--direction",
              has_flag(words, "bidir")       ? "both"
              : has_flag(words, "R reverse") ? "down"
                                             : NULL);
    keep_pair(line, "-d", find_value(words, "t time", "10"));
    return keep_target(line, is_udp ? "udp://" : "tcp://",
                       find_value(words, "c client", "127.0.0.1"),
                       find_value(words, "p port", "5201"));
}

bool foreign_fill_iperf3_server(struct reword *line, const char *value,
                                char *const *words)
{
    (void)value;
    reword_write(line, "serve|--mode|discard", NULL);
    return keep_target(line, "tcp://", "0.0.0.0",
                       find_value(words, "p port", "5201"));
}

/* ---- netperf ---- */

/* Two sizes with a comma between them, or one that is both. */
static bool keep_sizes(struct reword *line, const char *sizes)
{
    const size_t len = strcspn(sizes, ",");
    const char *answer = sizes[len] == ',' ? sizes + len + 1 : NULL;
    char request[32];

    if (len >= sizeof(request)) {
        return false;
    }
    snprintf(request, sizeof(request), "%.*s", (int)len, sizes);
    keep_pair(line, "--send", request);
    keep_pair(line, "--recv", answer);
    return true;
}

bool foreign_fill_netperf(struct reword *line, const char *value,
                          char *const *words)
{
    const char *test = find_value(words, "t", "TCP_STREAM");
    const bool is_stream = strstr(test, "STREAM") || strstr(test, "MAERTS");
    const bool is_udp = strncmp(test, "UDP_", 4) == 0;

    (void)value;
    if (is_stream && is_udp) {
        return false; /* each datagram is answered */
    }
    keep_pair(line, "--mode",
              is_stream             ? "stream"
              : strstr(test, "CRR") ? "crr"
                                    : "rr");
    keep_pair(line, "--direction", strstr(test, "MAERTS") ? "down" : NULL);
    keep_pair(line, "-c", "1");
    if (is_stream) {
        keep_pair(line, "--send", find_value(words, "m", NULL));
    } else if (!keep_sizes(line, find_value(words, "r", is_udp ? "16" : "1"))) {
        return false;
    }
    keep_pair(line, "-d", find_value(words, "l", "10"));
    return keep_target(line, is_udp ? "udp://" : "tcp://",
                       find_value(words, "H", "127.0.0.1"),
                       find_value(words, "p", "12865"));
}

/* ---- sockperf ---- */

enum sockperf {
    NO_SOCKPERF,
    PING_PONG,
    UNDER_LOAD,
    THROUGHPUT,
    SERVER,
};

static enum sockperf find_sockperf(const char *word)
{
    static const struct {
        const char *word;
        enum sockperf test;
    } tests[] = {
        {"ping-pong", PING_PONG},   {"pp", PING_PONG},
        {"under-load", UNDER_LOAD}, {"ul", UNDER_LOAD},
        {"throughput", THROUGHPUT}, {"tp", THROUGHPUT},
        {"server", SERVER},         {"sr", SERVER},
    };

    for (size_t i = 0; word && i < sizeof(tests) / sizeof(tests[0]); i++) {
        if (strcmp(word, tests[i].word) == 0) {
            return tests[i].test;
        }
    }
    return NO_SOCKPERF;
}

bool foreign_is_sockperf(const char *value, char *const *words)
{
    (void)value;
    return words[0] && find_sockperf(words[1]) != NO_SOCKPERF;
}

bool foreign_fill_sockperf(struct reword *line, const char *value,
                           char *const *words)
{
    const enum sockperf test = find_sockperf(words[1]);
    const bool is_tcp = has_flag(words, "tcp");
    const char *scheme = is_tcp ? "tcp://" : "udp://";
    const char *host = find_value(words, "i ip", "127.0.0.1");
    const char *port = find_value(words, "p port", "11111");

    (void)value;
    if (test == SERVER) {
        reword_write(line, "serve", NULL);
        return keep_target(line, scheme, host, port);
    }
    keep_pair(line, "--mode", is_tcp ? "rr" : NULL); /* else an echo */
    reword_write(line, "-c|1", NULL);
    keep_pair(line, "-p", test == PING_PONG ? NULL : "64");
    if (test == UNDER_LOAD) {
        keep_number(line, "-R", find_number(words, "mps", 10000));
    }
    /* A datagram that is echoed has a number in it. */
    const uint64_t size = find_number(words, "m msg-size", 16);
    keep_number(line, "--send", size < 16 ? 16 : size);
    keep_pair(line, "-d", find_value(words, "t time", "1"));
    return keep_target(line, scheme, host, port);
}

/* ---- tcpkali ---- */

/* The word that is a place: HOST:PORT. */
static const char *find_place(char *const *words)
{
    for (words++; *words; words++) {
        const char *colon = strrchr(*words, ':');
        if ((*words)[0] != '-' && colon && colon[1] &&
            !colon[1 + strspn(colon + 1, "0123456789")] &&
            !strstr(*words, "//")) {
            return *words;
        }
    }
    return NULL;
}

bool foreign_is_tcpkali(const char *value, char *const *words)
{
    (void)value;
    return find_place(words) &&
           (has_flag(words, "T") || has_flag(words, "connect-rate")) &&
           has_flag(words, "m em message e1 1 connect-rate") &&
           !has_flag(words, "n d z");
}

/* Writes a message as --request has it, and the bytes that it is; 0: it is too
 * long, or there is a placeholder in it. */
static size_t escape(const char *message, char ret[WORD_SIZE])
{
    size_t len = 0;
    size_t count = 0;

    for (; *message; message++, count++) {
        if (len + 3 > WORD_SIZE || *message == '{') {
            return 0;
        }
        if (*message == '\n' || *message == '\r') {
            ret[len++] = '\\';
            ret[len++] = *message == '\n' ? 'n' : 'r';
            continue;
        }
        ret[len++] = *message;
        if (*message == '\\' && message[1]) {
            ret[len++] = *++message;
        }
    }
    ret[len] = '\0';
    return count;
}

bool foreign_fill_tcpkali(struct reword *line, const char *value,
                          char *const *words)
{
    const char *place = find_place(words);
    const char *message = find_value(words, "em m message", NULL);
    const uint64_t conns = find_number(words, "c connections", 1);
    const uint64_t rate = find_number(words, "r message-rate", 0);
    const bool is_ws = has_flag(words, "ws");
    char request[WORD_SIZE];
    char expect[32];

    (void)value;
    keep_number(line, "-c", conns);
    keep_pair(line, "-t", find_value(words, "w workers", NULL));
    keep_pair(line, "--conn-rate", find_value(words, "connect-rate", NULL));
    if (rate > 0) {
        keep_number(line, "-R", rate * conns);
    }
    keep_pair(line, "-d", find_value(words, "T duration", "10"));
    if (message && is_ws) {
        keep_pair(line, "-b", message);
    } else if (message) {
        const size_t count = escape(message, request);
        snprintf(expect, sizeof(expect), "len:%zu", count);
        keep_pair(line, "--request", count > 0 ? request : NULL);
        keep_pair(line, "--expect", count > 0 ? expect : NULL);
        if (count == 0) {
            return false;
        }
    }
    const char *colon = strrchr(place, ':');
    char host[WORD_SIZE];
    if (snprintf(host, sizeof(host), "%.*s", (int)(colon - place), place) >=
        (int)sizeof(host)) {
        return false;
    }
    return keep_target(line, is_ws ? "ws://" : "tcp://", host, colon + 1);
}

/* ---- Redis ---- */

/* A command of one of redis-benchmark's tests; NULL: it is another. */
static const char *find_command(const char *test)
{
    static const struct {
        const char *test;
        const char *command;
    } commands[] = {
        {"ping", "PING"},         {"set", "SET %k %v"},
        {"get", "GET %k"},        {"incr", "INCR %k"},
        {"lpush", "LPUSH %k %v"}, {"rpush", "RPUSH %k %v"},
        {"lpop", "LPOP %k"},      {"rpop", "RPOP %k"},
        {"sadd", "SADD %k %v"},   {"hset", "HSET %k field %v"},
    };
    const size_t len = strcspn(test, ",_");

    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strlen(commands[i].test) == len &&
            strncasecmp(commands[i].test, test, len) == 0) {
            return commands[i].command;
        }
    }
    return NULL;
}

/* Writes it with a key of so many and a value of a size. */
static bool keep_command(struct reword *line, const char *command,
                         uint64_t keys, uint64_t size)
{
    char text[WORD_SIZE];
    size_t len = 0;

    for (; *command && len + 80 < sizeof(text); command++) {
        if (*command != '%') {
            text[len++] = *command;
            text[len] = '\0';
            continue;
        }
        command++;
        if (*command == 'v') {
            len += (size_t)snprintf(text + len, sizeof(text) - len,
                                    "{letters:%llu}", (unsigned long long)size);
        } else if (keys > 1) {
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len,
                                 "key:{rand:1:%llu}", (unsigned long long)keys);
        } else {
            len += (size_t)snprintf(text + len, sizeof(text) - len, "key");
        }
    }
    keep_pair(line, "-b", text);
    return !*command;
}

static bool keep_redis(struct reword *line, char *const *words,
                       const char *host)
{
    const char *password = find_value(words, "a", NULL);
    char scheme[WORD_SIZE];

    return snprintf(scheme, sizeof(scheme), "redis://%s%s%s",
                    password ? ":" : "", password ? password : "",
                    password ? "@" : "") < (int)sizeof(scheme) &&
           keep_target(line, scheme, host, find_value(words, "p port", "6379"));
}

bool foreign_fill_redis(struct reword *line, const char *value,
                        char *const *words)
{
    const char *test = find_value(words, "t", "ping");
    const char *command = find_command(test);

    (void)value;
    if (!command) {
        return false;
    }
    keep_number(line, "-c", find_number(words, "c", 50));
    keep_number(line, "-n", find_number(words, "n", 100000));
    keep_pair(line, "-p", find_value(words, "P", NULL));
    return keep_command(line, command, find_number(words, "r", 1),
                        find_number(words, "d", 3)) &&
           keep_redis(line, words, find_value(words, "h", "127.0.0.1"));
}

/* Are more commands GET than SET? */
static bool is_mostly_read(const char *ratio)
{
    const char *colon = strchr(ratio, ':');

    return colon && strtoull(ratio, NULL, 10) < strtoull(colon + 1, NULL, 10);
}

bool foreign_fill_memtier(struct reword *line, const char *value,
                          char *const *words)
{
    const uint64_t conns = find_number(words, "c clients", 50) *
                           find_number(words, "t threads", 4);
    const char *time = find_value(words, "test-time", NULL);
    const bool reads = is_mostly_read(find_value(words, "ratio", "1:10"));

    (void)value;
    if (strncmp(find_value(words, "P protocol", "redis"), "redis", 5) != 0) {
        return false; /* memcached */
    }
    keep_number(line, "-c", conns);
    keep_pair(line, "-t", find_value(words, "t threads", "4"));
    keep_pair(line, "-d", time);
    if (!time) {
        keep_number(line, "-n",
                    conns * find_number(words, "n requests", 10000));
    }
    keep_pair(line, "-p", find_value(words, "pipeline", NULL));
    return keep_command(line, reads ? "GET %k" : "SET %k %v",
                        find_number(words, "key-maximum", 10000000),
                        find_number(words, "d data-size", 32)) &&
           keep_redis(line, words,
                      find_value(words, "s server h host", "127.0.0.1"));
}
