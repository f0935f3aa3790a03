/*
 * The grammar of redis-benchmark. A line selects a test with -t, or has a Redis
 * command as its arguments; a test is translated to its command. Keys have
 * twelve-digit numbers, as in redis-benchmark, so that they have the same
 * length.
 */
#include "grammar_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { HOST, PORT, TESTS, KEYS, SIZE, ALIVE, DATABASE, TLS, USER, LOGIN, URI };

const struct grammar_row grammar_redis_rows[] = {
    KEEP("c", COUNT, CONNS),
    KEEP("n", COUNT, REQUESTS),
    KEEP("P", COUNT, DEPTH),
    KEEP("threads", COUNT, THREADS),
    OWN("h", TEXT, HOST),
    OWN("p", COUNT, PORT),
    OWN("t", TEXT, TESTS),
    OWN("r", COUNT, KEYS),
    OWN("d", COUNT, SIZE),
    OWN("k", TEXT, ALIVE),
    OWN("dbnum", COUNT, DATABASE),
    OWN("user", TEXT, USER),
    OWN("a", TEXT, LOGIN),
    OWN("u", TEXT, URI),
    OWN_SET("tls", TLS, ""),
    SET("3", HTTP, "?protocol=3"),
    SAY("s", TEXT, "--unix|%"),
    SAY("sni", TEXT, "--sni|%"),
    SAY("cacert", TEXT, "--ca|%"),
    SAY("cert", TEXT, "--cert|%"),
    SAY("key", TEXT, "--key|%"),
    SAY("insecure", NONE, "-k"),
    SKIP("q e csv", NONE),
    SKIP("precision", TEXT),
    NO("l", NONE, "endless runs are not supported; use a large -n"),
    NO("I", NONE, "for idle connections use --mode idle with tcp://"),
    NO("x", NONE, "write the last argument on the command line"),
    NO("cluster enable-tracking", NONE, "it is not supported"),
    NO("cacertdir", TEXT, "use a file: --cacert FILE"),
    NO("tls-ciphers tls-ciphersuites", TEXT, NO_SUITES),
    END};

const struct grammar_row grammar_redis_initial[] = {
    INITIAL(CONNS, "50"), INITIAL(REQUESTS, "100000"), INITIAL(TIMEOUT, "1m"),
    END};

/* Commands of the tests. DATA is replaced by a value. */
static const char *const redis_tests[][2] = {
    {"ping_mbulk", "PING"},
    {"set", "SET key:__rand_int__ DATA"},
    {"get", "GET key:__rand_int__"},
    {"incr", "INCR counter:__rand_int__"},
    {"lpush", "LPUSH mylist DATA"},
    {"rpush", "RPUSH mylist DATA"},
    {"lpop", "LPOP mylist"},
    {"rpop", "RPOP mylist"},
    {"sadd", "SADD myset element:__rand_int__"},
    {"hset", "HSET myhash element:__rand_int__ DATA"},
    {"spop", "SPOP myset"},
    {"zpopmin", "ZPOPMIN myzset"},
};

/* Smallest twelve-digit number. */
#define REDIS_KEYS UINT64_C(100000000000)

/* Returns the command of the test, or NULL if it is unknown or if there are
 * several. */
static const char *find_test(const struct grammar_line *line)
{
    const char *test = own(line, TESTS) ? own(line, TESTS) : "";

    for (size_t i = 0; i < sizeof(redis_tests) / sizeof(redis_tests[0]); i++) {
        if (strcasecmp(test, redis_tests[i][0]) == 0) {
            return redis_tests[i][1];
        }
    }
    return NULL;
}

/* Returns the command to send, or NULL after refusing the line. */
static const char *find_command(struct grammar_line *line)
{
    const char *keys = own(line, KEYS) ? own(line, KEYS) : "0";
    const uint64_t count = strtoull(keys, NULL, 10);
    const char *command = line->word_count > 0 ? "" : find_test(line);

    for (size_t i = 0; i < line->word_count; i++) {
        if (strpbrk(line->words[i], "\"\\{")) {
            command = NULL;
            break;
        }
        command = grammar_text(line, "%s\"%s\" ", command, line->words[i]);
    }
    if (!command) {
        grammar_refuse(line, "each test is a run of its own, and all but "
                             "PING_INLINE, ZADD, MSET and LRANGE are known: "
                             "write -t set, then -t get, ... or a command "
                             "without \" \\ and { in it");
    } else if (line->word_count == 0) {
        command = grammar_replace(
            line, command, "DATA",
            grammar_text(line, "{letters:%s}",
                         own(line, SIZE) ? own(line, SIZE) : "3"));
    }
    return count == 0 ? command
                      : grammar_replace(
                            line, command, "__rand_int__",
                            grammar_text(line, "{rand:%" PRIu64 ":%" PRIu64 "}",
                                         REDIS_KEYS, REDIS_KEYS + count - 1));
}

bool grammar_adapt_redis(struct grammar_line *line)
{
    const char *version = line->kept[GRAMMAR_HTTP];
    const char *login = own(line, LOGIN);
    /* Only lines with a test are suggested, because any arguments could be a
     * command. */
    const bool is_odd = line->is_silent && line->word_count > 0;
    const char *command = is_odd ? NULL : find_command(line);
    const char *port = own(line, PORT) ? own(line, PORT) : "6379";
    const char *host = own(line, HOST) ? own(line, HOST) : "127.0.0.1";
    const bool is_v6 = strchr(host, ':');

    if (!command) {
        line->refused++;
        return false;
    }
    if (login && (strcspn(login, "%/@:?#") != strlen(login) ||
                  (own(line, USER) && strpbrk(own(line, USER), "%/@:?#")))) {
        return grammar_refuse(line, "write a login with these characters as a "
                                    "URL: -u redis://USER:PASSWORD@HOST");
    }
    grammar_say(line, "-b|%", command);
    if (own(line, ALIVE) && strcmp(own(line, ALIVE), "0") == 0) {
        grammar_say(line, "--requests-per-conn|1", NULL);
    }
    line->kept[GRAMMAR_HTTP] = NULL;
    line->words[0] =
        own(line, URI)
            ? own(line, URI)
            : grammar_text(line, "redis%s://%s%s%s%s%s%s%s:%s/%s%s",
                           own(line, TLS) ? "s" : "",
                           login && own(line, USER) ? own(line, USER) : "",
                           login ? ":" : "", login ? login : "",
                           login ? "@" : "", is_v6 ? "[" : "", host,
                           is_v6 ? "]" : "", port,
                           own(line, DATABASE) ? own(line, DATABASE) : "",
                           version ? version : "");
    line->word_count = 1;
    return true;
}
