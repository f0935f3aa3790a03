/*
 * The hosts file: names and their addresses.
 *
 * This is the only reader of the file. As in the C library, a name is any text
 * without blanks and "#", it may be in several lines, and lines that do not
 * have the form "ADDRESS NAME..." are ignored.
 */
#ifndef WEIR_LIB_NAMES_HOSTS_H
#define WEIR_LIB_NAMES_HOSTS_H

#include "system_file.h"
#include "weir/address.h"

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
    bool is_inet6; /* else the address has four bytes */
    uint32_t name; /* index of its first name */
};

/* The names of a file in their order. All 0 before a file is read. */
struct wr_hosts {
    struct wr_system_text text;
    struct wr_hosts_name *names;
    size_t name_count;
    size_t name_capacity;
    struct wr_hosts_line *lines;
    size_t line_count;
    size_t line_capacity;
};

/* Frees an earlier file first. An unreadable file counts as empty. Returns 0,
 * -ENOMEM, or -EMFILE or a similar error if the process is out of resources. */
WEIR_MUST_USE int wr_hosts_read(const struct weir_allocator *allocator,
                                struct wr_hosts *hosts, const char *path);

/* Returns the number of freed bytes. */
size_t wr_hosts_clear(const struct weir_allocator *allocator,
                      struct wr_hosts *hosts);

/* Returns the line of the next name, starting at *@index, that equals @name
 * ignoring case, or NULL. Sets *@index to the position after the name. */
const struct wr_hosts_line *wr_hosts_find(const struct wr_hosts *hosts,
                                          const char *name, size_t *index);

/* Gets the address of a line, with port 0. With AF_UNSPEC it is the address as
 * written; with AF_INET "::1" becomes 127.0.0.1 and "::ffff:192.0.2.1" becomes
 * 192.0.2.1. Returns false if the line has no address of this family. */
bool wr_hosts_get_address(const struct wr_hosts_line *line, int family,
                          struct weir_address *ret);

const char *wr_hosts_get_name(const struct wr_hosts *hosts,
                              const struct wr_hosts_line *line);

/* Returns the first line whose address, as from wr_hosts_get_address() for the
 * family of @address, equals @address, or NULL. */
const struct wr_hosts_line *
wr_hosts_find_address(const struct wr_hosts *hosts,
                      const struct weir_address *address);

#endif
