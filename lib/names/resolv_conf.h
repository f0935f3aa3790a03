/*
 * The settings in resolv.conf that concern names: search domains and patience.
 *
 * c-ares reads the file too, for the servers. What else it finds is of no use
 * here: weir searches domains itself (cares_record.c), and ares_save_options()
 * of c-ares 1.34 tells what the program has set, and nothing of the file; that
 * of 1.18 does, but knows neither "timeout" nor "attempts", nor limits, and
 * takes the dot in "search ." for a domain.
 */
#ifndef WEIR_LIB_NAMES_RESOLV_CONF_H
#define WEIR_LIB_NAMES_RESOLV_CONF_H

#include "name.h"

#define WR_RESOLV_CONF_PATH "/etc/resolv.conf"

struct wr_resolv_conf {
    struct wr_search_list search;
    uint32_t timeout_s; /* of a try; 0: not said */
    uint32_t attempts;  /* 0: not said */
};

/* Starts with what holds without a file. @hostname, whose domain is searched
 * then, may be NULL. */
void wr_resolv_conf_init(struct wr_resolv_conf *conf, const char *hostname);

/* Reads one line, which ends with a newline or a NUL. Lines that are not
 * understood change nothing. */
void wr_resolv_conf_read_line(struct wr_resolv_conf *conf, const char *line);

/* Starts, and reads a file; one that cannot be read is empty. */
void wr_resolv_conf_read(struct wr_resolv_conf *conf, const char *path);

#endif
