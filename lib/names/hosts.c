/*
 * Reading the hosts file by hosts(5), as the C library's nss_files does.
 *
 * A search compares a hash of each name, so that a file of several hundred
 * thousand names does not delay the loop. Names that the C library parses as
 * numeric addresses ("127.1", "0x7f.1") are left out, because it never looks
 * them up.
 */
#include "system_file.h"

#include "name.h"
#include "uring/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define CAPACITY_MIN 16u

/* Bytes before the IPv4 address of "::ffff:192.0.2.1". */
#define MAPPED_PREFIX_SIZE 12u

_Static_assert(WR_HOSTS_NAME_LEN_MAX + sizeof(".") <= WR_NAME_SIZE,
               "a lookup has room for each name");

static const char hosts_blanks[] = " \t\r\v\f";

WEIR_MUST_USE static int hosts_make_room(const struct weir_allocator *allocator,
                                         void **array, size_t *capacity,
                                         size_t count, size_t element_size)
{
    const size_t more = *capacity > 0 ? *capacity * 2 : CAPACITY_MIN;

    wr_assert(count <= *capacity);
    wr_assert(element_size > 0);
    if (count < *capacity) {
        return 0;
    }
    void *larger = wr_alloc(allocator, more * element_size);
    wr_require(larger, -ENOMEM);
    if (count > 0) {
        memcpy(larger, *array, count * element_size);
    }
    wr_free(allocator, *array, *capacity * element_size);
    *array = larger;
    *capacity = more;
    return 0;
}

size_t wr_hosts_clear(const struct weir_allocator *allocator,
                      struct wr_hosts *hosts)
{
    const size_t names_size = hosts->name_capacity * sizeof(*hosts->names);
    const size_t lines_size = hosts->line_capacity * sizeof(*hosts->lines);
    const size_t size = hosts->text.size + names_size + lines_size;

    wr_assert(hosts->name_count <= hosts->name_capacity);
    wr_assert(hosts->line_count <= hosts->line_capacity);
    wr_free(allocator, hosts->names, names_size);
    wr_free(allocator, hosts->lines, lines_size);
    wr_system_text_free(allocator, &hosts->text);
    memset(hosts, 0, sizeof(*hosts));
    return size;
}

static char *hosts_take_word(char **line)
{
    char *word = *line + strspn(*line, hosts_blanks);
    char *end = word + strcspn(word, hosts_blanks);

    if (word == end) {
        return NULL;
    }
    wr_assert(*word != '\0');
    *line = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static bool hosts_is_name(const char *word)
{
    struct in_addr unused;

    return strlen(word) <= WR_HOSTS_NAME_LEN_MAX && !inet_aton(word, &unused);
}

WEIR_MUST_USE static int hosts_add_name(const struct weir_allocator *allocator,
                                        struct wr_hosts *hosts,
                                        const char *name)
{
    void *array = hosts->names;

    wr_assert(name > hosts->text.bytes);
    wr_assert(hosts->name_count <= WR_HOSTS_NAMES_MAX);
    if (hosts->name_count == WR_HOSTS_NAMES_MAX) {
        return 0;
    }
    int err = hosts_make_room(allocator, &array, &hosts->name_capacity,
                              hosts->name_count, sizeof(*hosts->names));
    wr_require(err >= 0, err);
    hosts->names = array;
    hosts->names[hosts->name_count++] = (struct wr_hosts_name){
        .hash = wr_name_hash(name),
        .text = (uint32_t)(name - hosts->text.bytes),
        .line = (uint32_t)hosts->line_count,
    };
    return 0;
}

WEIR_MUST_USE static int hosts_add_line(const struct weir_allocator *allocator,
                                        struct wr_hosts *hosts,
                                        const struct wr_hosts_line *line)
{
    void *array = hosts->lines;

    wr_assert(line->name < hosts->name_count);
    int err = hosts_make_room(allocator, &array, &hosts->line_capacity,
                              hosts->line_count, sizeof(*hosts->lines));
    wr_require(err >= 0, err);
    hosts->lines = array;
    hosts->lines[hosts->line_count++] = *line;
    return 0;
}

WEIR_MUST_USE static int hosts_read_line(const struct weir_allocator *allocator,
                                         struct wr_hosts *hosts, char *line)
{
    struct wr_hosts_line entry = {.name = (uint32_t)hosts->name_count};
    int err = 0;

    line[strcspn(line, "#")] = '\0';
    const char *word = hosts_take_word(&line);
    if (!word) {
        return 0;
    }
    if (inet_pton(AF_INET, word, entry.address) != 1) {
        entry.is_inet6 = true;
        if (inet_pton(AF_INET6, word, entry.address) != 1) {
            return 0;
        }
    }
    while (err >= 0 && (word = hosts_take_word(&line))) {
        err = hosts_is_name(word) ? hosts_add_name(allocator, hosts, word) : 0;
    }
    wr_require(err >= 0, err);
    return hosts->name_count > entry.name
               ? hosts_add_line(allocator, hosts, &entry)
               : 0;
}

int wr_hosts_read(const struct weir_allocator *allocator,
                  struct wr_hosts *hosts, const char *path)
{
    size_t at = 0;

    wr_assert(path != NULL);
    wr_hosts_clear(allocator, hosts);
    int err = wr_system_text_read(allocator, path, &hosts->text);
    for (char *line;
         err >= 0 && (line = wr_system_text_next(&hosts->text, &at));) {
        err = hosts_read_line(allocator, hosts, line);
    }
    if (err < 0) {
        wr_hosts_clear(allocator, hosts);
    }
    wr_assert(hosts->line_count <= hosts->name_count);
    return err;
}

const struct wr_hosts_line *wr_hosts_find(const struct wr_hosts *hosts,
                                          const char *name, size_t *index)
{
    const uint32_t hash = wr_name_hash(name);

    wr_assert(*index <= hosts->name_count);
    while (*index < hosts->name_count) {
        const struct wr_hosts_name *entry = &hosts->names[(*index)++];
        if (entry->hash == hash &&
            strcasecmp(hosts->text.bytes + entry->text, name) == 0) {
            wr_assert(entry->line < hosts->line_count);
            return &hosts->lines[entry->line];
        }
    }
    return NULL;
}

static void hosts_write_inet(const void *bytes, struct weir_address *ret)
{
    *ret = (struct weir_address){.len = sizeof(ret->storage.inet)};
    ret->storage.inet.sin_family = AF_INET;
    memcpy(&ret->storage.inet.sin_addr, bytes,
           sizeof(ret->storage.inet.sin_addr));
}

bool wr_hosts_get_address(const struct wr_hosts_line *line, int family,
                          struct weir_address *ret)
{
    const uint32_t loopback = htonl(INADDR_LOOPBACK);
    struct in6_addr inet6;

    wr_assert(family == AF_UNSPEC || family == AF_INET || family == AF_INET6);
    if (!line->is_inet6) {
        if (family == AF_INET6) {
            return false;
        }
        hosts_write_inet(line->address, ret);
        return true;
    }
    memcpy(&inet6, line->address, sizeof(inet6));
    if (family != AF_INET) {
        *ret = (struct weir_address){.len = sizeof(ret->storage.inet6)};
        ret->storage.inet6.sin6_family = AF_INET6;
        ret->storage.inet6.sin6_addr = inet6;
        return true;
    }
    if (IN6_IS_ADDR_V4MAPPED(&inet6)) {
        hosts_write_inet(line->address + MAPPED_PREFIX_SIZE, ret);
        return true;
    }
    if (IN6_IS_ADDR_LOOPBACK(&inet6)) {
        hosts_write_inet(&loopback, ret);
        return true;
    }
    return false;
}

const char *wr_hosts_get_name(const struct wr_hosts *hosts,
                              const struct wr_hosts_line *line)
{
    wr_assert(line->name < hosts->name_count);
    return hosts->text.bytes + hosts->names[line->name].text;
}

/* Ignores ports and zones. */
static bool hosts_is_same(const struct weir_address *one,
                          const struct weir_address *other)
{
    wr_assert(one->storage.any.sa_family == other->storage.any.sa_family);
    if (one->storage.any.sa_family == AF_INET) {
        return one->storage.inet.sin_addr.s_addr ==
               other->storage.inet.sin_addr.s_addr;
    }
    return IN6_ARE_ADDR_EQUAL(&one->storage.inet6.sin6_addr,
                              &other->storage.inet6.sin6_addr);
}

const struct wr_hosts_line *
wr_hosts_find_address(const struct wr_hosts *hosts,
                      const struct weir_address *address)
{
    const int family = address->storage.any.sa_family;
    struct weir_address own;

    wr_assert(family == AF_INET || family == AF_INET6);
    for (size_t i = 0; i < hosts->line_count; i++) {
        const struct wr_hosts_line *line = &hosts->lines[i];
        if (wr_hosts_get_address(line, family, &own) &&
            hosts_is_same(&own, address)) {
            return line;
        }
    }
    return NULL;
}
