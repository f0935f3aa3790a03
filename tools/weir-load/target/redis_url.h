/*
 * What a URL of Redis has besides its host, as redis-cli -u reads it:
 * redis://[[USER:]PASSWORD@]HOST[:PORT][/[NUMBER]][?protocol=3].
 *
 * User and password may have %XX; an empty user is none, and both empty are no
 * login. They are taken out of
 * the text before it is kept, so that no report shows them.
 */
#ifndef WEIR_LOAD_REDIS_URL_H
#define WEIR_LOAD_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>

#define REDIS_LOGIN_MAX   256
#define REDIS_NUMBER_SIZE 8

/* The login of all connections of a run: either all targets have the same one,
 * or none has any. */
struct redis_options {
    /* "": there is none. */
    char user[REDIS_LOGIN_MAX];
    char password[REDIS_LOGIN_MAX];
    bool has_login;
    /* Targets that have it. */
    size_t login_count;
};

/* What follows the host of one target. */
struct redis_place {
    char number[REDIS_NUMBER_SIZE]; /* of the database; "": the first */
    bool is_resp3;
};

/* Bytes of the login in a URL of Redis, with its '@'; *ret_at is where it
 * begins. 0: there is none. */
size_t redis_url_login_size(const char *text, size_t *ret_at);

/* How a login is written. */
#define REDIS_LOGIN_HINT                                                       \
    "in a user or password write %2F for /, %23 for #, %3F for ?, %40 for @"

/* Bytes that are not shown of a text that begins as a URL of Redis, right or
 * wrong; *ret_at is where they begin. 0: there are none. */
size_t redis_url_hidden_size(const char *text, size_t *ret_at);

/* A target as it is shown, without a login, cut to what has room in out.
 * Returns out. Any text may be given. */
const char *redis_url_show(const char *text, char *out, size_t size);

/* Take the login out of a URL into the options; the rest is written to out.
 * False, with one line in why (OPTION_WHY_SIZE): it is another one than that
 * of an earlier target, or is no login. */
bool redis_url_take_login(const char *text, struct redis_options *options,
                          char *out, size_t size, char *why);

/* Read what follows the host; NULL: nothing does. NULL, or what is wrong. */
const char *redis_url_read_place(const char *path, struct redis_place *ret);

#endif
