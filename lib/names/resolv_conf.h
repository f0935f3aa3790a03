/*
 * The settings in resolv.conf that concern names: search domains, time-out and
 * attempts.
 *
 * c-ares reads the file too, for the servers. weir needs the other settings
 * itself, since it searches domains itself (cares_record.c), and c-ares does
 * not report them: ares_save_options() of c-ares 1.34 returns only the
 * program's own options; 1.18 returns the file's, but without "timeout",
 * "attempts" and limits, and with the dot in "search ." as a domain.
 */
#ifndef WEIR_LIB_NAMES_RESOLV_CONF_H
#define WEIR_LIB_NAMES_RESOLV_CONF_H

#include "name.h"

#define WR_RESOLV_CONF_PATH "/etc/resolv.conf"

struct wr_resolv_conf {
    struct wr_search_list search;
    uint32_t timeout_s; /* of a try; 0: not set */
    uint32_t attempts;  /* 0: not set */
};

/* Sets the defaults without a file. The domain of @hostname is searched; may be
 * NULL. */
void wr_resolv_conf_init(struct wr_resolv_conf *conf, const char *hostname);

/* Reads one line, which ends with a newline or a NUL. Unknown lines change
 * nothing. */
void wr_resolv_conf_read_line(struct wr_resolv_conf *conf, const char *line);

/* Sets the defaults and reads a file; an unreadable file counts as empty. 0, or
 * -EMFILE and the like if it could not be read for a lack of this process. */
WEIR_MUST_USE int wr_resolv_conf_read(struct wr_resolv_conf *conf,
                                      const char *path);

#endif
