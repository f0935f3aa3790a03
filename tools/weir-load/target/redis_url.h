/*
 * Parts of a Redis URL other than the host, as in redis-cli -u:
 *
 *     redis://[[USER:]PASSWORD@]HOST[:PORT][/[NUMBER]][?protocol=3].
 *
 * User and password may have %XX; an empty user means none, and if both are
 * empty there is no login. They are removed from the text before it is kept, so
 * that no report shows them.
 */
#ifndef WEIR_LOAD_REDIS_URL_H
#define WEIR_LOAD_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

#define REDIS_LOGIN_MAX   256
#define REDIS_NUMBER_SIZE 8

/* The login of all connections: the same for all targets, or none. */
struct redis_options {
    /* "" if there is none. */
    char user[REDIS_LOGIN_MAX];
    char password[REDIS_LOGIN_MAX];
    bool has_login;
    /* Number of targets with a login. */
    size_t login_count;
};

/* The part after the host. */
struct redis_place {
    char number[REDIS_NUMBER_SIZE]; /* number of the database; "" for the first
                                     * one */
    bool is_resp3;
};

/* Returns the length of the login in a Redis URL, including its '@', or 0;
 * *ret_at is its offset. */
size_t redis_url_login_size(const char *text, size_t *ret_at);

#define REDIS_LOGIN_HINT                                                       \
    "in a user or password write %2F for /, %23 for #, %3F for ?, %40 for @"

/* Returns how many bytes of a text must be hidden, or 0; *ret_at is their
 * offset. The text begins like a Redis URL, but may be invalid. */
size_t redis_url_hidden_size(const char *text, size_t *ret_at);

/* Writes any target without a login, cut to @size. Returns @out. */
const char *redis_url_show(const char *text, char *out, size_t size);

/* Moves the login of a URL into the options and writes the rest to @out.
 * Returns false, with one line in @why (OPTION_WHY_SIZE), if the login is
 * invalid or differs from an earlier target's. */
bool redis_url_take_login(const char *text, struct redis_options *options,
                          char *out, size_t size, char *why);

/* Parses the text after the host; @path may be NULL. Returns NULL, or a text
 * that describes an error. */
const char *redis_url_read_place(const char *path, struct redis_place *ret);

#endif
