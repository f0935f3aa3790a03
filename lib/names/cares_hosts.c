/*
 * Answers from the hosts file, which is searched before any server is queried.
 *
 * The file is kept in memory until it changes or the loop is trimmed. As in the
 * C library it answers both families of a lookup: if it has an address of one,
 * no server is queried for the other.
 */
#include "cares.h"

#include <string.h>
#include <weir/error.h>

static const char *cares_hosts_get_path(const struct cares *cares)
{
    const char *own = cares->config.hosts;

    return own ? own : WR_HOSTS_PATH;
}

size_t wr_cares_drop_hosts(struct cares *cares)
{
    cares->has_hosts = false;
    return wr_hosts_clear(&cares->loop->counting, &cares->hosts);
}

bool wr_cares_hosts_are_outdated(struct cares *cares)
{
    return wr_system_file_has_changed(
        &cares->hosts_file, cares_hosts_get_path(cares), cares->loop->now_ns);
}

WEIR_MUST_USE static int cares_hosts_read(struct cares *cares)
{
    const char *path = cares_hosts_get_path(cares);

    wr_assert(!cares->is_stopping);
    if (cares->has_hosts) {
        return 0;
    }
    wr_assert(cares->hosts.name_count == 0);
    cares->change_count += wr_system_file_note(&cares->hosts_file, path);
    int err = wr_hosts_read(&cares->loop->counting, &cares->hosts, path);
    wr_require(err >= 0, err);
    cares->has_hosts = true;
    return 0;
}

int wr_cares_hosts_have(struct cares *cares, const char *name)
{
    size_t index = 0;
    int err = cares_hosts_read(cares);
    wr_require(err >= 0, err);
    return wr_hosts_find(&cares->hosts, name, &index) != NULL;
}

/* Returns 1 if the file has addresses of the name, 0 if not, or an error. */
static int cares_hosts_add(const struct cares *cares, weir_lookup *lookup,
                           const char *host, int family)
{
    const struct wr_hosts_line *line;
    struct weir_address address;
    int found = 0;
    size_t index = 0;

    while ((line = wr_hosts_find(&cares->hosts, host, &index))) {
        if (!wr_hosts_get_address(line, family, &address)) {
            continue;
        }
        const enum wr_lookup_part part =
            address.storage.any.sa_family == AF_INET6 ? WR_LOOKUP_INET6
                                                      : WR_LOOKUP_INET;
        wr_assert(wr_lookup_is_open(lookup, part));
        int err = wr_lookup_add(lookup, part, &address);
        wr_require(err >= 0, err);
        /* The canonical name is the first one of a line. */
        if (found == 0 && lookup->canonical) {
            wr_name_write(wr_hosts_get_name(&cares->hosts, line),
                          lookup->canonical);
        }
        found = 1;
    }
    return found;
}

int wr_cares_answer_from_hosts(struct cares *cares, weir_lookup *lookup,
                               const char *host, int family)
{
    int err = cares_hosts_read(cares);
    wr_require(err >= 0, err);
    const int found = cares_hosts_add(cares, lookup, host, family);
    if (found <= 0) {
        return found;
    }
    wr_lookup_close_all(lookup, 0);
    return 1;
}

int wr_cares_answer_name_from_hosts(struct cares *cares, weir_lookup *lookup)
{
    int err = cares_hosts_read(cares);
    wr_require(err >= 0, err);
    wr_assert(wr_lookup_is_open(lookup, WR_LOOKUP_NAME));
    const struct wr_hosts_line *line =
        wr_hosts_find_address(&cares->hosts, &lookup->address);
    if (!line) {
        return 0;
    }
    wr_lookup_close_with_name(lookup, wr_hosts_get_name(&cares->hosts, line));
    return 1;
}
