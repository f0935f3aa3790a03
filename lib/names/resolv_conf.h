/*
 * The settings in resolv.conf: name servers, search domains and options.
 *
 * This is the one reader of that file: c-ares, whose versions know different
 * parts of it, is handed the result. The environment's LOCALDOMAIN and
 * RES_OPTIONS come after the file, as resolv.conf(5) has it.
 */
#ifndef WEIR_LIB_NAMES_RESOLV_CONF_H
#define WEIR_LIB_NAMES_RESOLV_CONF_H

#include "lib/base/address.h"
#include "name.h"

#define WR_RESOLV_CONF_PATH "/etc/resolv.conf"

/* Servers beyond these are not asked; the C library asks three. */
#define WR_NAME_SERVERS_MAX 32u

/* Name servers in the order in which they are asked, each with its port. */
struct wr_name_servers {
    struct weir_address addresses[WR_NAME_SERVERS_MAX];
    size_t count;
};

struct wr_resolv_conf {
    struct wr_name_servers servers; /* none: the program asks 127.0.0.1 */
    struct wr_search_list search;
    uint32_t timeout_s;  /* of a try; 0: not set */
    uint32_t attempts;   /* 0: not set */
    bool rotate;         /* begin with another server each time */
    bool use_vc;         /* ask by TCP */
    bool no_aaaa;        /* ask no server for IPv6 addresses */
    bool single_request; /* ask for one family after the other */
    bool no_reload;      /* the file is read once */
};

/* Sets the defaults without a file. The domain of @hostname is searched; may be
 * NULL. @conf is all 0, or was initialised. */
WEIR_MUST_USE int wr_resolv_conf_init(const struct weir_allocator *allocator,
                                      struct wr_resolv_conf *conf,
                                      const char *hostname);

/* Reads one line, which ends with a NUL. Unknown lines change nothing. */
WEIR_MUST_USE int
wr_resolv_conf_read_line(const struct weir_allocator *allocator,
                         struct wr_resolv_conf *conf, const char *line);

/* Sets the defaults and reads a file, then the environment; an unreadable file
 * counts as empty. 0; -EMFILE and the like if it could not be read for a lack
 * of this process, -ENOMEM among them: then @conf has some of it. */
WEIR_MUST_USE int wr_resolv_conf_read(const struct weir_allocator *allocator,
                                      struct wr_resolv_conf *conf,
                                      const char *path);

/* Frees what it has; it may be read again. */
void wr_resolv_conf_clear(const struct weir_allocator *allocator,
                          struct wr_resolv_conf *conf);

/* Reads a list of servers, separated by commas, as in
 * "127.0.0.1:5353,[fe80::1%eth0]:53"; without a port it is 53. -EINVAL if it
 * is none, -ENOBUFS if it is too long, and nothing has changed. */
WEIR_MUST_USE int wr_name_servers_read(const char *list,
                                       struct wr_name_servers *ret);

/* Room for the longest text of servers: addresses, zones and ports. */
#define WR_NAME_SERVERS_SIZE (WR_NAME_SERVERS_MAX * 80u)

/* Writes servers for c-ares: each with its port, and @with_zones with the zone
 * of its link. */
void wr_name_servers_write(const struct wr_name_servers *servers,
                           bool with_zones, char ret[WR_NAME_SERVERS_SIZE]);

/* The zone of the link of the server with this address; 0: none. */
uint32_t wr_name_servers_get_zone(const struct wr_name_servers *servers,
                                  const struct sockaddr_in6 *address);

#endif
