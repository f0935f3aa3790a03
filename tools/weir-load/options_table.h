/*
 * How the command line of `weir-load run` is put together: groups of flags, a
 * file each, with a line for each group in options.c.
 *
 * A group has the flags that it reads, how it reads them, how it settles what
 * depends on other flags or on the targets, and its part of --help. Numbers of
 * flags are unique among all groups: each counts from a base of its own.
 */
#ifndef WEIR_LOAD_OPTIONS_TABLE_H
#define WEIR_LOAD_OPTIONS_TABLE_H

#include "options.h"

#include <getopt.h>

/* The numbers of long flags; short ones are their letters. TLS has those of
 * tls.h, from 512 on. */
enum {
    OPTIONS_MAIN_FIRST = 256,
    OPTIONS_TLS_FIRST = 512,
    OPTIONS_SYSTEM_FIRST = 768,
    OPTIONS_REQUEST_FIRST = 1024,
    OPTIONS_OUTPUT_FIRST = 1280,
    OPTIONS_MODE_FIRST = 1536,
    OPTIONS_CONNECT_FIRST = 1792,
    OPTIONS_SOCKET_FIRST = 2048,
    /* All flags of other tools. */
    OPTIONS_FOREIGN = 2304,
};

/* What the command line said, so that defaults can depend on it. */
struct options_given {
    bool duration;
    bool requests;
    bool warmup;
    bool interval;
    bool timeout;
    bool connect_timeout;
    bool mode;
    bool direction;
    /* A flag that only HTTP has. */
    bool http;
    bool rate;
    bool arrival;
    bool stages;
    /* --mix and --replay; NULL: none. */
    const char *mix;
    const char *replay;
    /* 0: it was not given. */
    double replay_speed;
    /* A flag that only an open model has; NULL: none. */
    const char *open_flag;
};

struct options_group {
    /* Ends with an entry of zeros. */
    const struct option *long_flags;
    /* As getopt() has them: a colon follows a flag that takes a value. */
    const char *short_flags;
    /* Read one of the flags. False: it was refused, and a line has said why. */
    bool (*read)(int flag, const char *value, struct run_options *options,
                 struct options_given *given);
    /* With all flags and targets read: defaults, and what does not go
     * together. False: a line has said why. NULL: there is nothing. */
    bool (*settle)(struct run_options *options,
                   const struct options_given *given);
    /* The lines of --help, each with a newline. */
    const char *help;
};

/* Connections, load, requests' sizes and times. */
extern const struct options_group options_load;

/* --mode, and what goes with which. */
extern const struct options_group options_mode;

/* How connections are made. */
extern const struct options_group options_connect;

/* What is asked for, and what is expected. */
extern const struct options_group options_request;

/* Options of sockets. */
extern const struct options_group options_socket;

/* When requests are sent, and by which threads. */
extern const struct options_group options_pace;

/* Results and what is said meanwhile. */
extern const struct options_group options_output;

/* TLS, as tls.h reads it. */
extern const struct options_group options_tls;

/* ---- for the groups; each says what is wrong ---- */

/* "FLAG: 'VALUE' is not WANT"; returns false. */
bool options_refuse(const char *flag, const char *value, const char *want);

/* A count from 1 to max. */
bool options_read_count(const char *flag, const char *value, uint64_t max,
                        uint64_t *ret);

/* A time from min to a week, in nanoseconds. */
bool options_read_time(const char *flag, const char *value, uint64_t min,
                       uint64_t *ret);

#endif
