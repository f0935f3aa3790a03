/*
 * Reads the system's files with settings for names (hosts, services,
 * resolv.conf), and detects the change of a file, checked at most once a
 * second. The loop's thread reads a file whole.
 */
#ifndef WEIR_LIB_NAMES_SYSTEM_FILE_H
#define WEIR_LIB_NAMES_SYSTEM_FILE_H

#include "lib/base/address.h"
#include "name.h"
#include "uring/alloc.h"
#include "weir/address.h"
#include "weir/resolver.h"

/* The bytes of a file, terminated with a NUL. All 0 means empty. */
struct wr_system_text {
    char *bytes;
    size_t size; /* allocated bytes */
    size_t len;
    bool is_cut; /* the file is longer */
};

/* Reads a file, or its first 16 MiB, into an empty text. An unreadable file
 * counts as empty. Returns 0, -ENOMEM, or -EMFILE or a similar error if the
 * process was out of resources; after an error the text is empty. */
WEIR_MUST_USE int wr_system_text_read(const struct weir_allocator *allocator,
                                      const char *path,
                                      struct wr_system_text *ret);

/* Returns the line at *@at (0 for the first), with a NUL instead of its
 * newline, and advances *@at. Returns NULL at the end. Leaves out a line that
 * was cut. */
char *wr_system_text_next(struct wr_system_text *text, size_t *at);

void wr_system_text_free(const struct weir_allocator *allocator,
                         struct wr_system_text *text);

/* State of a file when it was last noted. All 0 means not noted yet. */
struct wr_system_file {
    bool was_noted;
    uint64_t stamp; /* wr_sys_file_stamp() of the file when it was last noted */
    uint64_t check_ns; /* time of the next comparison */
};

/* Records the file's state before the file is read. Returns true if a state was
 * recorded before and the file has changed since. */
WEIR_MUST_USE bool wr_system_file_note(struct wr_system_file *file,
                                       const char *path);

/* Like wr_system_file_note(), but only once a second; else returns false. */
WEIR_MUST_USE bool wr_system_file_has_changed(struct wr_system_file *file,
                                              const char *path,
                                              uint64_t now_ns);

/* Services: names of ports, each for one protocol (services(5)). */

#define WR_SERVICES_PATH "/etc/services"

/* Parses one line of a services file; @line is changed. Returns true if it
 * defines @name for @protocol ("tcp", "udp"). *ret_port is in host byte
 * order. */
bool wr_service_line_names(char *line, const char *name, const char *protocol,
                           uint16_t *ret_port);

/* Parses one line of a services file; @line is changed. Returns true if it
 * defines a name for @port and @protocol; *ret_name then points into @line. */
bool wr_service_line_is_port(char *line, uint16_t port, const char *protocol,
                             const char **ret_name);

/* Gets the port of a service: a number, or a name that the file has for TCP,
 * else for UDP. If @path is NULL, accepts only numbers. Returns 0,
 * WEIR_ESERVICE if the service is unknown, or the file is unreadable, or
 * -ENOMEM, -EMFILE or a similar error if the process is out of resources. */
WEIR_MUST_USE int wr_service_find(const struct weir_allocator *allocator,
                                  const char *path, const char *service,
                                  uint16_t *ret_port);

/* Writes the name of a port, or its number if it has no name or the file could
 * not be read. @path may be NULL. */
void wr_service_write(const struct weir_allocator *allocator, const char *path,
                      uint16_t port, const char *protocol,
                      char ret[WEIR_SERVICE_SIZE]);

/*
 * The hosts file: names and their addresses. As in the C library, a name is any
 * text without blanks and "#", except a numeric address. A name may be in
 * several lines. Lines that do not have the form "ADDRESS NAME..." are ignored.
 */

#define WR_HOSTS_PATH "/etc/hosts"

#define WR_HOSTS_NAME_LEN_MAX 253u

/* More names are ignored. */
#define WR_HOSTS_NAMES_MAX (1u << 20)

struct wr_hosts_name {
    uint32_t hash;
    uint32_t text; /* offset in the text of the file */
    uint32_t line;
};

struct wr_hosts_line {
    uint8_t address[16];
    bool is_inet6; /* true for 16 bytes, false for four */
    uint32_t name; /* index of the line's first name */
};

/* The names are in the order of the file. All 0 before a file is read. */
struct wr_hosts {
    struct wr_system_text text;
    struct wr_hosts_name *names;
    size_t name_count;
    size_t name_capacity;
    struct wr_hosts_line *lines;
    size_t line_count;
    size_t line_capacity;
};

/* Frees the file that was read before. Fails like wr_system_text_read(). */
WEIR_MUST_USE int wr_hosts_read(const struct weir_allocator *allocator,
                                struct wr_hosts *hosts, const char *path);

size_t wr_hosts_clear(const struct weir_allocator *allocator,
                      struct wr_hosts *hosts);

/* Finds the next name, from *@index on, that equals @name ignoring case.
 * Returns its line and sets *@index to the position after the name, or returns
 * NULL. */
const struct wr_hosts_line *wr_hosts_find(const struct wr_hosts *hosts,
                                          const char *name, size_t *index);

/* Gets the address of a line, with port 0. With AF_UNSPEC it is the address as
 * written; with AF_INET "::1" becomes 127.0.0.1 and "::ffff:192.0.2.1" becomes
 * 192.0.2.1. Returns false if the line has no address of this family. */
bool wr_hosts_get_address(const struct wr_hosts_line *line, int family,
                          struct weir_address *ret);

const char *wr_hosts_get_name(const struct wr_hosts *hosts,
                              const struct wr_hosts_line *line);

/* Returns the first line with @address, or NULL. Compares the address of a line
 * that wr_hosts_get_address() returns for the family of @address. */
const struct wr_hosts_line *
wr_hosts_find_address(const struct wr_hosts *hosts,
                      const struct weir_address *address);

/*
 * The settings in resolv.conf: name servers, search domains and options. Only
 * weir parses the file, because versions of c-ares support different parts of
 * it. The environment's LOCALDOMAIN and RES_OPTIONS override the file, as in
 * resolv.conf(5).
 */

#define WR_RESOLV_CONF_PATH "/etc/resolv.conf"

/* Further servers are ignored. The limit of the C library is three. */
#define WR_NAME_SERVERS_MAX 32u

struct wr_name_servers {
    struct weir_address addresses[WR_NAME_SERVERS_MAX];
    size_t count;
};

struct wr_resolv_conf {
    /* If there are no servers, 127.0.0.1 is queried. */
    struct wr_name_servers servers;
    struct wr_search_list search;
    uint32_t timeout_s;  /* time-out of a try; 0 means not set */
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

/* @line ends with a NUL. Unknown lines change nothing. */
WEIR_MUST_USE int
wr_resolv_conf_read_line(const struct weir_allocator *allocator,
                         struct wr_resolv_conf *conf, const char *line);

/* Sets the defaults, then reads a file, then the environment. Fails like
 * wr_system_text_read(), and leaves @conf incomplete then. */
WEIR_MUST_USE int wr_resolv_conf_read(const struct weir_allocator *allocator,
                                      struct wr_resolv_conf *conf,
                                      const char *path);

void wr_resolv_conf_clear(const struct weir_allocator *allocator,
                          struct wr_resolv_conf *conf);

/* Parses a list of servers, separated by commas or blanks, as in
 * "127.0.0.1:5353,[fe80::1%eth0]:53"; the default port is 53. Returns 0,
 * -EINVAL if it is not such a list or is empty, -ENODEV if an interface is
 * unknown, or -ENOBUFS if there are more than WR_NAME_SERVERS_MAX; after an
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
