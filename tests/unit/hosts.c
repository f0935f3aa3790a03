/*
 * Parsing the hosts file: which lines and names count, their addresses in each
 * family and their order, and limits of a file.
 *
 * tests/e2e/glibc_names.py compares such files with the C library.
 */
#include "tests/no_fd.h"
#include "tests/unit.h"
#include "tests/walk.h"

#include "lib/names/system_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct wr_hosts hosts;

static const struct weir_allocator *memory(void)
{
    return wr_default_allocator();
}

static void clear(void)
{
    wr_hosts_clear(memory(), &hosts);
}

static void read_path(const char *path)
{
    expect_eq(wr_hosts_read(memory(), &hosts, path), 0);
}

/* Makes a file and parses it. */
static void read_bytes(const char *bytes, size_t len)
{
    char path[] = "/tmp/weir-hosts-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    expect_eq(fwrite(bytes, 1, len, file), len);
    fclose(file);
    read_path(path);
    unlink(path);
}

static void read_text(const char *text)
{
    read_bytes(text, strlen(text));
}

/* Returns the addresses of a name, each followed by a space; static. */
static const char *find(const char *name, int family)
{
    static char text[4096];
    char one[INET6_ADDRSTRLEN];
    const struct wr_hosts_line *line;
    struct weir_address address;
    size_t index = 0;

    text[0] = '\0';
    while ((line = wr_hosts_find(&hosts, name, &index))) {
        memset(&address, 0xff, sizeof(address));
        if (!wr_hosts_get_address(line, family, &address)) {
            continue;
        }
        const bool is_inet6 = address.storage.any.sa_family == AF_INET6;
        expect_eq(address.len, is_inet6 ? sizeof(struct sockaddr_in6)
                                        : sizeof(struct sockaddr_in));
        expect_eq(address.storage.inet.sin_port, 0);
        expect_eq(is_inet6 ? address.storage.inet6.sin6_scope_id : 0, 0);
        inet_ntop(is_inet6 ? AF_INET6 : AF_INET,
                  is_inet6 ? (const void *)&address.storage.inet6.sin6_addr
                           : &address.storage.inet.sin_addr,
                  one, sizeof(one));
        strcat(strcat(text, one), " ");
    }
    return text;
}

/* Returns the name of an address, or "". */
static const char *find_name(const char *text)
{
    struct weir_address address;
    expect_eq(weir_address_parse(text, 80, &address), 0);
    const struct wr_hosts_line *line = wr_hosts_find_address(&hosts, &address);
    return line ? wr_hosts_get_name(&hosts, line) : "";
}

/* Returns the canonical name: the first name of the first matching line. */
static const char *find_canonical(const char *name)
{
    size_t index = 0;
    const struct wr_hosts_line *line = wr_hosts_find(&hosts, name, &index);
    return line ? wr_hosts_get_name(&hosts, line) : "";
}

UNIT(hosts, a_line_has_an_address_and_names)
{
    read_text("192.0.2.1 one.test  two.test\tthree\n2001:db8::1 one.test");
    expect_str_eq(find("one.test", AF_UNSPEC), "192.0.2.1 2001:db8::1 ");
    expect_str_eq(find("one.test", AF_INET6), "2001:db8::1 ");
    expect_str_eq(find("TWO.Test", AF_INET), "192.0.2.1 ");
    expect_str_eq(find("three", AF_INET6), "");
    expect_str_eq(find("three.", AF_UNSPEC), "", "another name");
    expect_str_eq(find("one", AF_UNSPEC), "");
    expect_str_eq(find_canonical("three"), "one.test");
    clear();
}

/* Opening a FIFO for reading waits for a writer, and reading waits for bytes.
 */
UNIT(hosts, a_fifo_in_place_of_the_file_is_not_waited_for)
{
    char path[] = "/tmp/weir-hosts-XXXXXX";
    close(mkstemp(path));
    unlink(path);
    expect_eq(mkfifo(path, 0600), 0);
    read_path(path);
    expect_eq(hosts.name_count, 0);
    const int both = open(path, O_RDWR | O_CLOEXEC);
    read_path(path);
    expect_eq(hosts.name_count, 0);
    close(both);
    unlink(path);
    clear();
}

UNIT(hosts, a_folder_in_place_of_the_file_is_empty)
{
    read_path("/tmp");
    expect_eq(hosts.name_count, 0);
    clear();
}

UNIT(hosts, addresses_keep_their_order)
{
    read_text("192.0.2.9 a\n192.0.2.1 b a\n192.0.2.5 A\n192.0.2.9 a\n");
    expect_str_eq(find("a", AF_UNSPEC),
                  "192.0.2.9 192.0.2.1 192.0.2.5 192.0.2.9 ");
    expect_str_eq(find_canonical("a"), "a");
    expect_str_eq(find_canonical("b"), "b");
    clear();
}

UNIT(hosts, the_loopback_and_mapped_addresses_have_both_families)
{
    read_text("::1 loop\n::ffff:192.0.2.1 mapped\n2001:db8::1 other\n");
    expect_str_eq(find("loop", AF_UNSPEC), "::1 ");
    expect_str_eq(find("loop", AF_INET6), "::1 ");
    expect_str_eq(find("loop", AF_INET), "127.0.0.1 ");
    expect_str_eq(find("mapped", AF_UNSPEC), "::ffff:192.0.2.1 ");
    expect_str_eq(find("mapped", AF_INET), "192.0.2.1 ");
    expect_str_eq(find("other", AF_INET), "");
    clear();
}

UNIT(hosts, lines_of_another_form_count_for_nothing)
{
    read_text("\n \n#\n127.1 a\n127.0.0.01 a\n1.2.3.4.5 a\n1.2.3.4:80 a\n"
              "[::1] a\nfe80::1%lo a\na 192.0.2.1\n192.0.2.1\n192.0.2.2 # a\n"
              "#192.0.2.3 a\n;192.0.2.4 a\n192.0.2.5,a\n1234567890123456 a\n");
    expect_str_eq(find("a", AF_UNSPEC), "");
    expect_eq(hosts.line_count, 0);
    clear();
}

UNIT(hosts, words_end_with_blanks_comments_and_lines)
{
    read_text("\t 192.0.2.1\va\fb\r\n192.0.2.2 c#d\n\r192.0.2.3 e\r f \r\n");
    expect_str_eq(find("a", AF_UNSPEC), "192.0.2.1 ");
    expect_str_eq(find("b", AF_UNSPEC), "192.0.2.1 ");
    expect_str_eq(find("c", AF_UNSPEC), "192.0.2.2 ");
    expect_str_eq(find("d", AF_UNSPEC), "");
    expect_str_eq(find("f", AF_UNSPEC), "192.0.2.3 ");
    clear();
}

UNIT(hosts, a_line_ends_with_a_NUL_too)
{
    static const char text[] = "192.0.2.1 a\0b\n\0 192.0.2.2 c\n192.0.2.3 d";
    read_bytes(text, sizeof(text) - 1);
    expect_str_eq(find("a", AF_UNSPEC), "192.0.2.1 ");
    expect_str_eq(find("b", AF_UNSPEC), "");
    expect_str_eq(find("c", AF_UNSPEC), "");
    expect_str_eq(find("d", AF_UNSPEC), "192.0.2.3 ");
    clear();
}

UNIT(hosts, a_name_may_be_any_text_but_a_number)
{
    static const char *const names[] = {
        "foo.onion", "a_b",   "odd!name", "b\374cher", "a..b",
        ".",         ".a",    "a.",       "web.1",     "[::]",
        "a@b",       "\"x\"", "256.1.1.1"};
    static const char *const numbers[] = {"127.1", "12", "0x7f.1", "1.2.3.4",
                                          "017.1"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "192.0.2.1 %s\n", names[i]);
        read_text(line);
        expect_str_eq(find(names[i], AF_UNSPEC), "192.0.2.1 ");
    }
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        char line[64];
        snprintf(line, sizeof(line), "192.0.2.1 %s\n", numbers[i]);
        read_text(line);
        expect_str_eq(find(numbers[i], AF_UNSPEC), "");
    }
    clear();
}

UNIT(hosts, a_name_has_a_length)
{
    char name[WR_HOSTS_NAME_LEN_MAX + 2];
    char line[sizeof(name) + 32];
    memset(name, 'x', sizeof(name));
    name[WR_HOSTS_NAME_LEN_MAX + 1] = '\0';
    snprintf(line, sizeof(line), "192.0.2.1 %s short\n", name);
    read_text(line);
    expect_str_eq(find(name, AF_UNSPEC), "");
    expect_str_eq(find_canonical("short"), "short");

    name[WR_HOSTS_NAME_LEN_MAX] = '\0';
    snprintf(line, sizeof(line), "192.0.2.1 %s short\n", name);
    read_text(line);
    expect_str_eq(find(name, AF_UNSPEC), "192.0.2.1 ");
    expect_str_eq(find_canonical("short"), name);
    clear();
}

UNIT(hosts, an_address_has_the_first_name_of_its_first_line)
{
    read_text("127.0.1.1 me.test me\n192.0.2.1 a b\n192.0.2.1 c\n"
              "2001:db8::1 six\n::1 loop\n::ffff:192.0.2.2 mapped\n");
    expect_str_eq(find_name("192.0.2.1"), "a");
    expect_str_eq(find_name("::ffff:192.0.2.1"), "", "is IPv6");
    expect_str_eq(find_name("2001:db8::1"), "six");
    expect_str_eq(find_name("::1"), "loop");
    expect_str_eq(find_name("127.0.0.1"), "loop");
    expect_str_eq(find_name("192.0.2.2"), "mapped");
    expect_str_eq(find_name("::ffff:192.0.2.2"), "mapped");
    expect_str_eq(find_name("192.0.2.3"), "");
    expect_str_eq(find_name("2001:db8::2"), "");
    clear();
}

UNIT(hosts, another_file_takes_the_place_of_the_last)
{
    read_text("192.0.2.1 a\n");
    read_text("192.0.2.2 b\n");
    expect_str_eq(find("a", AF_UNSPEC), "");
    expect_str_eq(find("b", AF_UNSPEC), "192.0.2.2 ");
    expect_gt(wr_hosts_clear(memory(), &hosts), 0);
    expect_str_eq(find("b", AF_UNSPEC), "");
    expect_eq(wr_hosts_clear(memory(), &hosts), 0);
}

UNIT(hosts, a_file_that_cannot_be_read_is_empty)
{
    read_path("/nonexistent/hosts");
    expect_eq(hosts.name_count, 0);
    read_path("/");
    expect_eq(hosts.name_count, 0);
    read_path("/dev/null");
    expect_eq(hosts.name_count, 0);
    clear();
}

UNIT(hosts, a_lack_of_descriptors_is_no_empty_file)
{
    const struct rlimit before = use_up_descriptors();
    const int err = wr_hosts_read(memory(), &hosts, "/dev/null");
    give_descriptors(&before);
    expect_eq(err, -EMFILE);
    expect_eq(hosts.text.size, 0);
}

UNIT(hosts, a_file_has_an_end)
{
    read_path("/dev/zero");
    expect_eq(hosts.name_count, 0);
    clear();
}

/* The last line that is read may be cut within a name. */
UNIT(hosts, a_line_that_is_cut_is_left_out)
{
    enum { LEN = 1 << 24, LAST_LEN = 20 };
    char *text = malloc(LEN);
    memset(text, '\n', LEN);
    memcpy(text + LEN / 2, "192.0.2.1 half\n", 15);
    memcpy(text + LEN - LAST_LEN, "192.0.2.2 ", 10);
    memset(text + LEN - LAST_LEN + 10, 'x', LAST_LEN - 10);
    read_bytes(text, LEN);
    free(text);
    expect_str_eq(find("half", AF_UNSPEC), "192.0.2.1 ");
    expect_eq(hosts.line_count, 1);
    clear();
}

UNIT(hosts, names_beyond_a_million_do_not_count)
{
    enum { LINES = 1024, NAMES = WR_HOSTS_NAMES_MAX / LINES };
    const size_t size = (size_t)LINES * (2 * NAMES + 16) + 64;
    char *text = malloc(size);
    char *end = text;
    for (int i = 0; i < LINES; i++) {
        end += sprintf(end, "192.0.2.1");
        for (int name = 0; name < NAMES; name++) {
            end += sprintf(end, " x");
        }
        *end++ = '\n';
    }
    end += sprintf(end, "192.0.2.2 one too many\n");
    read_bytes(text, (size_t)(end - text));
    free(text);
    expect_eq(hosts.name_count, WR_HOSTS_NAMES_MAX);
    expect_eq(hosts.line_count, LINES);
    expect_str_eq(find("one", AF_UNSPEC), "");
    clear();
}

static struct test_allocator failing;
static int failures;

static void read_without_memory(void *path)
{
    walk_begin(&failing);
    const int err = wr_hosts_read(&failing.hooks, &hosts, path);
    expect_eq(err, walk_end(&failing) ? -ENOMEM : 0);
    expect_eq(hosts.text.size > 0, err == 0);
    failures += err < 0;
    wr_hosts_clear(&failing.hooks, &hosts);
}

UNIT(hosts, an_error_leaves_nothing)
{
    char path[] = "/tmp/weir-hosts-XXXXXX";
    FILE *file = fdopen(mkstemp(path), "w");
    for (int i = 0; i < 100; i++) {
        fprintf(file, "192.0.2.%d name%d.example alias%d.example\n", i, i, i);
    }
    fclose(file);
    walk_allocations(&failing, read_without_memory, path);
    unlink(path);
    expect_geq(failures, 8);
}
