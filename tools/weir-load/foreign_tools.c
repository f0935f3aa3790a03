/*
 * A value that is looked for stands behind its flag, glued to it, or behind a
 * '='; the first one counts. What is not found is what the tool has then.
 *
 * The line is bounded as all lines to write are: one that does not fit is not
 * told.
 */
#include "foreign_tools.h"

#include "script.h"
#include "tools/common/units.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORD_SIZE 512

/* As -R has it. */
#define RATE_MAX 1e9

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

/* The same as a number; the line is lost with one that cannot be read. */
static uint64_t find_number(struct reword *line, char *const *words,
                            const char *names, uint64_t otherwise)
{
    const char *value = find_value(words, names, NULL);
    uint64_t number = otherwise;

    line->is_lost |= value && units_parse_count(value, &number) < 0;
    return number;
}

/* Has each flag of the line one of these names? */
static bool knows_all(char *const *words, const char *names)
{
    for (words++; *words; words++) {
        char *const only[] = {*words, NULL};
        if ((*words)[0] == '-' && !has_flag(only, names)) {
            return false;
        }
    }
    return true;
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

/* Datagrams of a size in a second for a bit rate of each stream, such as 100M;
 * 0: as many as there can be. */
static uint64_t find_packets(struct reword *line, char *const *words,
                             const char *size)
{
    const uint64_t bits =
        find_number(line, words, "b bitrate bandwidth", 1000000);
    const uint64_t streams = find_number(line, words, "P parallel", 1);
    uint64_t bytes = 0;

    line->is_lost |= units_parse_size(size, &bytes) < 0 || bytes == 0;
    if (line->is_lost || bits == 0) {
        return 0;
    }
    const double rate = (double)bits * (double)streams / 8 / (double)bytes;
    line->is_lost |= rate > RATE_MAX;
    return line->is_lost ? 0 : rate < 1 ? 1 : (uint64_t)rate;
}

bool foreign_fill_iperf3(struct reword *line, const char *value,
                         char *const *words)
{
    const bool is_udp = has_flag(words, "u udp");
    const char *size =
        find_value(words, "l len length", is_udp ? "1200" : NULL);
    const char *time = find_value(words, "t time", "10");

    (void)value;
    if (has_flag(words, "n bytes k blockcount") || strcmp(time, "0") == 0) {
        return false; /* so many bytes, or without an end */
    }
    if (!is_udp && find_number(line, words, "b bitrate bandwidth", 0) > 0) {
        return false; /* a stream has no rate here */
    }
    keep_pair(line, "--mode", is_udp ? NULL : "stream");
    keep_pair(line, "-c", find_value(words, "P parallel", "1"));
    if (is_udp) {
        const uint64_t packets = find_packets(line, words, size);
        if (packets > 0) {
            keep_number(line, "-R", packets);
        }
        keep_pair(line, "-p", "64");
    }
    keep_pair(line, "--send", size);
    keep_pair(line, "--direction",
              has_flag(words, "bidir")       ? "both"
              : has_flag(words, "R reverse") ? "down"
                                             : NULL);
    keep_pair(line, "-d", time);
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
    if (test == UNDER_LOAD &&
        strcmp(find_value(words, "mps", ""), "max") != 0) {
        keep_number(line, "-R", find_number(line, words, "mps", 10000));
    }
    /* A datagram that is echoed has a number in it. */
    const uint64_t size = find_number(line, words, "m msg-size", 16);
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
    return find_place(words) && has_flag(words, "T connect-rate em") &&
           has_flag(words, "m em message e1 1 connect-rate") &&
           !has_flag(words, "n d z");
}

/* The bytes of a message; -1: an escape in it is not known, or it is too long.
 */
static ssize_t read_message(const char *message, bool is_escaped,
                            char ret[WORD_SIZE])
{
    size_t at = 0;

    if (strlen(message) >= WORD_SIZE) {
        return -1;
    }
    if (is_escaped) {
        return script_unescape(message, ret, &at);
    }
    return snprintf(ret, WORD_SIZE, "%s", message);
}

/* One byte as --request has it. */
static void escape_byte(char byte, char ret[8])
{
    if (byte == '\n' || byte == '\r' || byte == '\\') {
        snprintf(ret, 8, "\\%c",
                 byte == '\n'   ? 'n'
                 : byte == '\r' ? 'r'
                                : byte);
    } else if (byte < ' ' || byte > '~') {
        snprintf(ret, 8, "\\x%02x", (unsigned char)byte);
    } else {
        snprintf(ret, 8, "%c", byte);
    }
}

/* A message as --request has it, or as it is, for -b. False: it is too long,
 * there is a placeholder in it, or -b cannot have its bytes. */
static bool write_message(const char *bytes, size_t count, bool is_body,
                          char ret[WORD_SIZE])
{
    size_t len = 0;
    char text[8];

    ret[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == '{' || len + sizeof(text) > WORD_SIZE ||
            (is_body && (bytes[i] < ' ' || bytes[i] > '~'))) {
            return false;
        }
        escape_byte(bytes[i], text);
        const char *piece = is_body && bytes[i] == '\\' ? "\\" : text;
        len += (size_t)snprintf(ret + len, WORD_SIZE - len, "%s", piece);
    }
    return count > 0;
}

/* Adds the message, and that an answer is as long. */
static bool keep_message(struct reword *line, char *const *words,
                         const char *message, bool is_ws)
{
    const bool is_escaped = has_flag(words, "e em unescape-message-args");
    char bytes[WORD_SIZE];
    char text[WORD_SIZE];
    char expect[32];
    const ssize_t count = read_message(message, is_escaped, bytes);

    if (count < 0 || !write_message(bytes, (size_t)count, is_ws, text)) {
        return false;
    }
    keep_pair(line, is_ws ? "-b" : "--request", text);
    snprintf(expect, sizeof(expect), "len:%zd", count);
    keep_pair(line, "--expect", is_ws ? NULL : expect);
    return true;
}

bool foreign_fill_tcpkali(struct reword *line, const char *value,
                          char *const *words)
{
    const char *place = find_place(words);
    const char *message = find_value(words, "em m message", NULL);
    const uint64_t conns = find_number(line, words, "c connections", 1);
    const uint64_t rate = find_number(line, words, "r message-rate", 0);
    const bool is_ws = has_flag(words, "ws");

    (void)value;
    keep_number(line, "-c", conns);
    keep_pair(line, "-t", find_value(words, "w workers", NULL));
    keep_pair(line, "--conn-rate", find_value(words, "connect-rate", NULL));
    if (rate > 0) {
        keep_number(line, "-R", rate * conns);
    }
    keep_pair(line, "-d", find_value(words, "T duration", "10"));
    if (message && !keep_message(line, words, message, is_ws)) {
        return false;
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

/* The tests of redis-benchmark and their commands: "%v" is a value, "%n" a
 * number, and "%r" what tells keys apart. */
static const struct redis_test {
    const char *test;
    const char *command;
} redis_tests[] = {
    {"ping", "PING"},
    {"ping_inline", "PING"},
    {"ping_mbulk", "PING"},
    {"set", "SET key%r %v"},
    {"get", "GET key%r"},
    {"incr", "INCR counter%r"},
    {"lpush", "LPUSH mylist %v"},
    {"rpush", "RPUSH mylist %v"},
    {"lpop", "LPOP mylist"},
    {"rpop", "RPOP mylist"},
    {"sadd", "SADD myset element%r"},
    {"hset", "HSET myhash element%r %v"},
    {"spop", "SPOP myset"},
    {"zadd", "ZADD myzset %n element%r"},
    {"zpopmin", "ZPOPMIN myzset"},
    {"lrange", "LPUSH mylist %v"}, /* what fills it comes first */
    {"lrange_100", "LRANGE mylist 0 99"},
    {"lrange_300", "LRANGE mylist 0 299"},
    {"lrange_500", "LRANGE mylist 0 499"},
    {"lrange_600", "LRANGE mylist 0 599"},
    {"mset", "MSET key%r %v key%r %v key%r %v key%r %v key%r %v "
             "key%r %v key%r %v key%r %v key%r %v key%r %v"},
};

/* The command of the first test of a list; NULL: it is another. */
static const char *find_command(const char *tests)
{
    const size_t len = strcspn(tests, ",");

    for (size_t i = 0; i < sizeof(redis_tests) / sizeof(redis_tests[0]); i++) {
        if (strlen(redis_tests[i].test) == len &&
            strncasecmp(redis_tests[i].test, tests, len) == 0) {
            return redis_tests[i].command;
        }
    }
    return NULL;
}

bool foreign_is_redis_test(const char *value, char *const *words)
{
    (void)words;
    return value && find_command(value);
}

/* Writes it with so many keys and a value of a size. */
static bool keep_command(struct reword *line, const char *command,
                         uint64_t keys, uint64_t size)
{
    const char *form = NULL;
    char text[WORD_SIZE];
    size_t len = 0;

    text[0] = '\0';
    for (; *command && len + 80 < sizeof(text); command++) {
        if (*command != '%') {
            text[len++] = *command;
            text[len] = '\0';
            continue;
        }
        command++;
        form = *command == 'v'   ? "{letters:%llu}"
               : *command == 'n' ? (keys > 1 ? "{rand:1:%llu}" : "0")
                                 : (keys > 1 ? ":{rand:1:%llu}" : "");
        len += (size_t)snprintf(
            text + len, sizeof(text) - len, form,
            (unsigned long long)(*command == 'v' ? size : keys));
    }
    keep_pair(line, "-b", text);
    return !*command;
}

static bool add_text(char *url, const char *text)
{
    const size_t len = strlen(url);

    return snprintf(url + len, WORD_SIZE - len, "%s", text) <
           (int)(WORD_SIZE - len);
}

/* Adds a part of a login to a URL; false: it is too long. */
static bool add_encoded(char *url, const char *part, size_t count)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789-._~";
    size_t len = strlen(url);

    for (size_t i = 0; i < count; i++) {
        if (len + 4 > WORD_SIZE) {
            return false;
        }
        len += (size_t)snprintf(url + len, WORD_SIZE - len,
                                strchr(plain, part[i]) ? "%c" : "%%%02X",
                                (unsigned char)part[i]);
    }
    return true;
}

/* A place of Redis, and who is there. */
struct redis_place {
    const char *host;
    const char *user; /* of user_len bytes; "": none */
    size_t user_len;
    const char *password; /* NULL: none */
    const char *database; /* NULL: none is said */
};

static bool keep_redis(struct reword *line, char *const *words,
                       const struct redis_place *place)
{
    const bool is_v6 = strchr(place->host, ':');
    char url[WORD_SIZE];

    snprintf(url, sizeof(url), "%s://",
             has_flag(words, "tls") ? "rediss" : "redis");
    if (place->password &&
        (!add_encoded(url, place->user, place->user_len) ||
         !add_text(url, ":") ||
         !add_encoded(url, place->password, strlen(place->password)))) {
        return false;
    }
    const size_t len = strlen(url);
    if (snprintf(url + len, WORD_SIZE - len, "%s%s%s%s:%s%s%s",
                 place->password ? "@" : "", is_v6 ? "[" : "", place->host,
                 is_v6 ? "]" : "", find_value(words, "p port", "6379"),
                 place->database ? "/" : "",
                 place->database ? place->database : "") >=
        (int)(WORD_SIZE - len)) {
        return false;
    }
    reword_keep(line, url);
    return true;
}

bool foreign_fill_redis(struct reword *line, const char *value,
                        char *const *words)
{
    const char *command = find_command(find_value(words, "t", "ping"));
    struct redis_place place = {
        .host = find_value(words, "h", "127.0.0.1"),
        .user = find_value(words, "user", ""),
        .password = find_value(words, "a", NULL),
        .database = find_value(words, "dbnum", NULL),
    };

    (void)value;
    place.user_len = strlen(place.user);
    if (!command || !knows_all(words, "h p a c n d k r P q t e user dbnum tls "
                                      "cacert insecure csv threads "
                                      "precision")) {
        return false;
    }
    keep_number(line, "-c", find_number(line, words, "c", 50));
    keep_pair(line, "-t", find_value(words, "threads", NULL));
    keep_number(line, "-n", find_number(line, words, "n", 100000));
    keep_pair(line, "-p", find_value(words, "P", NULL));
    if (find_number(line, words, "k", 1) == 0) {
        reword_write(line, "--requests-per-conn|1", NULL);
    }
    keep_pair(line, "--ca", find_value(words, "cacert", NULL));
    if (has_flag(words, "insecure")) {
        reword_keep(line, "--insecure");
    }
    return keep_command(line, command, find_number(line, words, "r", 1),
                        find_number(line, words, "d", 3)) &&
           keep_redis(line, words, &place);
}

/* Are more commands GET than SET? */
static bool is_mostly_read(const char *ratio)
{
    const char *colon = strchr(ratio, ':');

    return colon && strtoull(ratio, NULL, 10) < strtoull(colon + 1, NULL, 10);
}

/* A command of memtier as keep_command() has it. False: there is more in it
 * than is known. */
static bool read_memtier(const char *text, char ret[WORD_SIZE])
{
    static const char *const marks[][2] = {{"__key__", "key%r"},
                                           {"__data__", "%v"}};
    size_t len = 0;

    while (*text && len + 16 < WORD_SIZE) {
        size_t used = 0;
        for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
            if (strncmp(text, marks[i][0], strlen(marks[i][0])) == 0) {
                used = strlen(marks[i][0]);
                len += (size_t)snprintf(ret + len, WORD_SIZE - len, "%s",
                                        marks[i][1]);
            }
        }
        if (used == 0 && strchr("%{\\", *text)) {
            return false;
        }
        if (used == 0) {
            ret[len++] = *text;
            used = 1;
        }
        text += used;
    }
    ret[len] = '\0';
    return !*text && len > 0;
}

/* Its command, which --ratio says, or the line itself. */
static bool keep_memtier(struct reword *line, char *const *words)
{
    const bool reads = is_mostly_read(find_value(words, "ratio", "1:10"));
    const char *given = find_value(words, "command", NULL);
    char command[WORD_SIZE];

    if (given && !read_memtier(given, command)) {
        return false;
    }
    return keep_command(line,
                        given   ? command
                        : reads ? "GET key%r"
                                : "SET key%r %v",
                        find_number(line, words, "key-maximum", 10000000),
                        find_number(line, words, "d data-size", 32));
}

bool foreign_fill_memtier(struct reword *line, const char *value,
                          char *const *words)
{
    const uint64_t conns = find_number(line, words, "c clients", 50) *
                           find_number(line, words, "t threads", 4);
    const char *time = find_value(words, "test-time", NULL);
    const char *protocol = find_value(words, "P protocol", "redis");
    const bool is_resp3 = strcmp(protocol, "resp3") == 0;
    const char *number = find_value(words, "select-db", "");
    char database[64];

    (void)value;
    if ((strncmp(protocol, "redis", 5) != 0 && strcmp(protocol, "resp2") != 0 &&
         !is_resp3) ||
        find_number(line, words, "key-minimum", 1) > 1 ||
        strchr("GR", find_value(words, "key-pattern", "R:R")[0]) == NULL ||
        !knows_all(words, "s server h host p port P protocol a authenticate "
                          "tls tls-skip-verify select-db c clients t threads "
                          "n requests test-time ratio pipeline key-maximum d "
                          "key-minimum key-pattern command "
                          "data-size hide-histogram distinct-client-seed "
                          "print-percentiles")) {
        return false; /* memcached, or more than is known */
    }
    /* PASSWORD, or USER:PASSWORD. */
    const char *login = find_value(words, "a authenticate", NULL);
    const char *colon = login ? strchr(login, ':') : NULL;
    const struct redis_place place = {
        .host = find_value(words, "s server h host", "127.0.0.1"),
        .user = login,
        .user_len = colon ? (size_t)(colon - login) : 0,
        .password = colon ? colon + 1 : login,
        .database = *number || is_resp3 ? database : NULL,
    };
    snprintf(database, sizeof(database), "%.16s%s", number,
             is_resp3 ? "?protocol=3" : "");
    keep_number(line, "-c", conns);
    keep_pair(line, "-t", find_value(words, "t threads", "4"));
    keep_pair(line, "-d", time);
    if (!time) {
        keep_number(line, "-n",
                    conns * find_number(line, words, "n requests", 10000));
    }
    keep_pair(line, "-p", find_value(words, "pipeline", NULL));
    if (has_flag(words, "tls-skip-verify")) {
        reword_keep(line, "--insecure");
    }
    return keep_memtier(line, words) && keep_redis(line, words, &place);
}
