/*
 * The settings in resolv.conf: name servers, search domains and options.
 *
 * This is the only reader of the file: c-ares, whose versions support different
 * parts of it, gets the result. The environment's LOCALDOMAIN and RES_OPTIONS
 * override the file, as in resolv.conf(5).
 */
#ifndef WEIR_LIB_NAMES_RESOLV_CONF_H
#define WEIR_LIB_NAMES_RESOLV_CONF_H

#include "lib/base/address.h"
#include "name.h"

#define WR_RESOLV_CONF_PATH "/etc/resolv.conf"

/* More servers are ignored; the limit of the C library is three. */
#define WR_NAME_SERVERS_MAX 32u

/* Name servers in the order in which they are queried, each with its port. */
struct wr_name_servers {
    struct weir_address addresses[WR_NAME_SERVERS_MAX];
    size_t count;
};

struct wr_resolv_conf {
    struct wr_name_servers servers; /* if empty, 127.0.0.1 is queried */
    struct wr_search_list search;
    uint32_t timeout_s;  /* of a try; 0 means not set */
    uint32_t attempts;   /* 0 means not set */
    bool rotate;         /* start with another server each time */
    bool use_vc;         /* query over TCP */
    bool no_aaaa;        /* do not query IPv6 addresses */
    bool single_request; /* query one family after the other */
    bool reopens;        /* query IPv6 from another socket */
    bool no_reload;      /* the file is read once */
};

/* Sets the defaults without a file. @hostname, whose domain is searched, may be
 * NULL. @conf must be initialised or all 0. */
WEIR_MUST_USE int wr_resolv_conf_init(const struct weir_allocator *allocator,
                                      struct wr_resolv_conf *conf,
                                      const char *hostname);

/* Reads one line, terminated with a NUL. Unknown lines change nothing. */
WEIR_MUST_USE int
wr_resolv_conf_read_line(const struct weir_allocator *allocator,
                         struct wr_resolv_conf *conf, const char *line);

/* Sets the defaults and reads a file, then the environment; an unreadable file
 * counts as empty. Returns 0, -ENOMEM, or -EMFILE or a similar error if the
 * process was out of resources; after an error @conf is incomplete. */
WEIR_MUST_USE int wr_resolv_conf_read(const struct weir_allocator *allocator,
                                      struct wr_resolv_conf *conf,
                                      const char *path);

/* Frees the settings; @conf may be read again. */
void wr_resolv_conf_clear(const struct weir_allocator *allocator,
                          struct wr_resolv_conf *conf);

/* Parses a list of servers, separated by commas, as in
 * "127.0.0.1:5353,[fe80::1%eth0]:53"; the default port is 53. Returns 0,
 * -EINVAL if it is not such a list, or -ENOBUFS if it is too long; after an
 * error changes nothing. */
WEIR_MUST_USE int wr_name_servers_read(const char *list,
                                       struct wr_name_servers *ret);

#define WR_NAME_SERVERS_SIZE (WR_NAME_SERVERS_MAX * 80u)

/* Writes servers for c-ares, with their ports and, if @with_zones, zones. */
void wr_name_servers_write(const struct wr_name_servers *servers,
                           bool with_zones, char ret[WR_NAME_SERVERS_SIZE]);

uint32_t wr_name_servers_get_zone(const struct wr_name_servers *servers,
                                  const struct sockaddr_in6 *address);

#endif
