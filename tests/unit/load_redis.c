/*
 * Redis commands as people type them and as they are sent, the words of its
 * errors, and the parts of a Redis URL.
 *
 * No connection is made.
 */
#include "tools/weir-load/measure/measure.h"
#include "tools/weir-load/request/redis_command.c"
#include "tools/weir-load/target/target.h"

#include "tools/common/option.h"

#include "tests/unit.h"

static char why[WHY_SIZE];

static void is_sent_as(const char *text, const char *wanted)
{
    const struct template_values values = {.seq = 7, .conn = 3, .seed = 1};
    struct redis_command command;
    char out[1024];

    expect_eq(redis_command_parse(text, &command, why), 0, "%s: %s", text, why);
    expect_leq(command.size_max, sizeof(out));
    const size_t len = redis_command_render(&command, &values, out);
    expect_leq(len, command.size_max);
    expect_eq(len, strlen(wanted), "%s", text);
    cr_assert(memcmp(out, wanted, len) == 0, "%s: %.*s", text, (int)len, out);
    redis_command_fini(&command);
}

UNIT(load_redis, a_command_is_sent_as_an_array_of_its_words)
{
    is_sent_as("PING", "*1\r\n$4\r\nPING\r\n");
    is_sent_as("  SET  key\tvalue ",
               "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$5\r\nvalue\r\n");
    is_sent_as("SET k \"\"", "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
}

UNIT(load_redis, quotes_are_read_as_redis_cli_reads_them)
{
    is_sent_as("a \"b c\\r\\n\\x41\\\"\\\\\"",
               "*2\r\n$1\r\na\r\n$8\r\nb c\r\nA\"\\\r\n");
    is_sent_as("a 'b \\n \\' \"'", "*2\r\n$1\r\na\r\n$8\r\nb \\n ' \"\r\n");
    is_sent_as("a x\"y z\"", "*2\r\n$1\r\na\r\n$4\r\nxy z\r\n");
}

UNIT(load_redis, places_are_filled_before_the_length_is_known)
{
    is_sent_as("GET k{seq}-{conn}", "*2\r\n$3\r\nGET\r\n$4\r\nk7-3\r\n");
    is_sent_as("SET k{rand:100:100} {rand:5:5}",
               "*3\r\n$3\r\nSET\r\n$4\r\nk100\r\n$1\r\n5\r\n");
}

static void is_refused(const char *text, const char *reason)
{
    struct redis_command command;

    expect_lt(redis_command_parse(text, &command, why), 0, "%s", text);
    cr_assert(strstr(why, reason) != NULL, "%s: %s", text, why);
}

UNIT(load_redis, what_is_no_command_is_refused_with_the_place)
{
    is_refused("", "it is empty");
    is_refused("GET \"x", "at byte 5, '\"x': the quote is not closed");
    is_refused("GET 'x'y", "a space is missing");
    is_refused("GET {rand:5}", "{rand:LOW:HIGH}");
    is_refused("subscribe x", "subscribe does not have exactly one answer");
    is_refused("MONITOR", "not have exactly one answer");
    is_refused("client reply off", "not have exactly one answer");
    is_refused("quit", "quit ends the connection, or has no answer");
    is_refused("SHUTDOWN NOSAVE", "SHUTDOWN ends the connection");
    is_refused("REPLCONF ack 0", "REPLCONF ends the connection");
}

UNIT(load_redis, two_random_words_are_not_the_same)
{
    const struct template_values values = {.seq = 1, .seed = 9};
    struct redis_command command;
    char out[256];

    expect_eq(redis_command_parse("{letters:20} {letters:20}", &command, why),
              0);
    redis_command_render(&command, &values, out);
    cr_assert(memcmp(out + 9, out + 9 + 27, 20) != 0, "%.80s", out);
    redis_command_fini(&command);
}

UNIT(load_redis, an_error_is_named_by_its_first_word)
{
    expect_str_eq(error_code_name(redis_error_of("WRONGTYPE Operation", 19)),
                  "REDIS_WRONGTYPE");
    expect_str_eq(error_code_name(redis_error_of("ERR", 3)), "REDIS_ERR");
    expect_str_eq(error_code_name(redis_error_of("MOVED 12 a:1", 12)),
                  "REDIS_MOVED");
    expect_str_eq(error_code_name(redis_error_of("ERROR x", 7)), "REDIS_OTHER");
    expect_str_eq(error_code_name(redis_error_of("", 0)), "REDIS_OTHER");
}

UNIT(load_redis, a_login_is_taken_out_of_a_url)
{
    struct redis_options options = {.has_login = false};
    char out[64];
    char reason[OPTION_WHY_SIZE];

    cr_assert(redis_url_take_login("redis://u%40x:p%3a@h:1/2", &options, out,
                                   sizeof(out), reason));
    expect_str_eq(out, "redis://h:1/2");
    expect_str_eq(options.user, "u@x");
    expect_str_eq(options.password, "p:");
    cr_assert(!redis_url_take_login("redis://other@h", &options, out,
                                    sizeof(out), reason));
    cr_assert(strstr(reason, "one user") != NULL);

    expect_eq(options.login_count, 1);
    cr_assert(
        redis_url_take_login("redis://@g", &options, out, sizeof(out), reason));
    expect_str_eq(out, "redis://g");
    expect_eq(options.login_count, 1, "an empty one is no login");
    expect_str_eq(options.user, "u@x");

    options = (struct redis_options){.has_login = false};
    cr_assert(
        redis_url_take_login("redis://@g", &options, out, sizeof(out), reason));
    cr_assert(!options.has_login);
    cr_assert(redis_url_take_login("rediss://secret@h", &options, out,
                                   sizeof(out), reason));
    expect_str_eq(options.user, "");
    expect_str_eq(options.password, "secret");
    options = (struct redis_options){.has_login = false};
    cr_assert(!redis_url_take_login("redis://a%4@h", &options, out, sizeof(out),
                                    reason));
    cr_assert(strstr(reason, "two digits") != NULL);
    cr_assert(strstr(reason, "a%4") == NULL, "the login is not shown");
}

UNIT(load_redis, no_login_is_shown_however_it_is_written)
{
    static const char *const texts[] = {
        "redis://:pw@h/0",    "redis://u:p/w@h/0",   "rediss://:p#w@h/0",
        "REDIS://:p@w@h/0",   "redis+tls://:pw@h/0", "valkey://u:p?w@h/0",
        "redis://u:%zz@h/0",  "redis:///u:pw@h/0",   "redis:/:pw@h/0",
        "redis-tls://pw@h/0",
    };
    char out[64];

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        redis_url_show(texts[i], out, sizeof(out));
        cr_assert(strncasecmp(out, texts[i], 5) == 0, "%s", out);
        cr_assert(strstr(out, "/h/0") != NULL, "%s: %s", texts[i], out);
        cr_assert(!strpbrk(out, "@#?%zpw"), "%s: %s", texts[i], out);
    }
    expect_str_eq(redis_url_show("http://redis/@a", out, sizeof(out)),
                  "http://redis/@a");
    expect_str_eq(redis_url_show("redis.example:80/@a", out, sizeof(out)),
                  "redis.example:80/@a");
    expect_str_eq(redis_url_show("redis://:pw@host", out, 10), "redis://h");
}

UNIT(load_redis, a_path_is_the_number_of_a_database)
{
    struct redis_place place;

    cr_assert(redis_url_read_place(NULL, &place) == NULL);
    expect_str_eq(place.number, "");
    cr_assert(redis_url_read_place("/12", &place) == NULL);
    expect_str_eq(place.number, "12");
    cr_assert(!place.is_resp3);
    cr_assert(redis_url_read_place("/?protocol=3", &place) == NULL);
    cr_assert(place.is_resp3);
    cr_assert(redis_url_read_place("?protocol=3", &place) == NULL);
    cr_assert(place.is_resp3);
    cr_assert(redis_url_read_place("/x", &place) != NULL);
    cr_assert(redis_url_read_place("/123456789", &place) != NULL);
    cr_assert(redis_url_read_place("/0?protocol=4", &place) != NULL);
}
