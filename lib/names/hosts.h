/*
 * The hosts file: names, and the addresses that they stand for.
 *
 * This is the one reader of that file, by the rules of the C library: a name is
 * any text without blanks and "#", it may stand in several lines, and a line in
 * another form than "ADDRESS NAME..." counts for nothing.
 */
#ifndef WEIR_LIB_NAMES_HOSTS_H
#define WEIR_LIB_NAMES_HOSTS_H

#include "system_file.h"
#include "weir/address.h"

#define WR_HOSTS_PATH "/etc/hosts"

/* Bytes of the longest name that is kept. */
#define WR_HOSTS_NAME_LEN_MAX 253u

/* Names beyond these do not count. */
#define WR_HOSTS_NAMES_MAX (1u << 20)

struct wr_hosts_name {
    uint32_t hash;
    uint32_t text; /* offset in the text of the file */
    uint32_t line; /* index */
};

struct wr_hosts_line {
    uint8_t address[16];
    bool is_inet6; /* else the address has four bytes */
    uint32_t name; /* index of its first name */
};

/* The names of a file in their order. All 0: none was read. */
struct wr_hosts {
    struct wr_system_text text;
    struct wr_hosts_name *names;
    size_t name_count;
    size_t name_capacity;
    struct wr_hosts_line *lines;
    size_t line_count;
    size_t line_capacity;
};

/* Reads a file in place of the one that was read before; an unreadable one
 * counts as empty. An error leaves none: -EMFILE and the like if it could not
 * be read for a lack of this process, -ENOMEM among them. */
WEIR_MUST_USE int wr_hosts_read(const struct weir_allocator *allocator,
                                struct wr_hosts *hosts, const char *path);

/* Frees all; returns the bytes. */
size_t wr_hosts_clear(const struct weir_allocator *allocator,
                      struct wr_hosts *hosts);

/* The line of the next name from *@index on that is @name, whose case does not
 * matter; *@index is behind it then. NULL: there is none. */
const struct wr_hosts_line *wr_hosts_find(const struct wr_hosts *hosts,
                                          const char *name, size_t *index);

/* The address of a line, with the port 0: for AF_UNSPEC as it is written; for
 * AF_INET also "::1", which is 127.0.0.1, and "::ffff:192.0.2.1". False: it has
 * none of this family. */
bool wr_hosts_get_address(const struct wr_hosts_line *line, int family,
                          struct weir_address *ret);

/* The first name of a line. */
const char *wr_hosts_get_name(const struct wr_hosts *hosts,
                              const struct wr_hosts_line *line);

/* The first line whose address, as wr_hosts_get_address() has it for the family
 * of @address, is that one; or NULL. */
const struct wr_hosts_line *
wr_hosts_find_address(const struct wr_hosts *hosts,
                      const struct weir_address *address);

#endif
