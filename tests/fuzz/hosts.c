/*
 * libFuzzer's entry to the reader of the hosts file: a byte that says which
 * family is asked for, and the bytes of a file. Each name that was read is
 * found, in its line, and so is each address.
 *
 *     ninja tests/fuzz/fuzz-hosts
 *     tests/fuzz/fuzz-hosts CORPUS
 */
#include "lib/names/system_file.h"
#include "tests/fuzz/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file of these bytes, by a path. */
static const char *make_file(const uint8_t *data, size_t size)
{
    static char path[32];
    static int fd = -1;

    if (fd < 0) {
        fd = memfd_create("hosts", MFD_CLOEXEC);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    check(ftruncate(fd, 0) == 0);
    check(pwrite(fd, data, size, 0) == (ssize_t)size);
    return path;
}

static void check_name(const struct wr_hosts *hosts, size_t number, int family)
{
    const struct wr_hosts_name *name = &hosts->names[number];
    const char *text = hosts->text.bytes + name->text;
    struct weir_address address;
    size_t index = number;

    check(strlen(text) > 0 && strlen(text) <= WR_HOSTS_NAME_LEN_MAX);
    check(strpbrk(text, " \t\r\n\v\f#") == NULL);
    const struct wr_hosts_line *line = wr_hosts_find(hosts, text, &index);
    check(line == &hosts->lines[name->line] && index == number + 1);
    check(line->name <= number);
    if (wr_hosts_get_address(line, family, &address)) {
        check(wr_hosts_find_address(hosts, &address) != NULL);
        check(family == AF_UNSPEC ||
              address.storage.any.sa_family == (sa_family_t)family);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    const struct weir_allocator *allocator = wr_default_allocator();
    struct wr_hosts hosts = {.name_count = 0};

    if (size < 1) {
        return 0;
    }
    check(wr_hosts_read(allocator, &hosts, make_file(data + 1, size - 1)) == 0);
    check(hosts.line_count <= hosts.name_count);
    for (size_t i = 0; i < hosts.name_count; i++) {
        check_name(&hosts, i, families[data[0] % 3]);
    }
    wr_hosts_clear(allocator, &hosts);
    return 0;
}
