/*
 * Services: lines of /etc/services, and ports by name and number.
 *
 * The tests make the lines themselves, some of them invalid, and write them to
 * temporary files.
 */
#include "tests/no_fd.h"
#include "tests/unit.h"

#include "lib/names/system_file.h"
#include "uring/alloc.h"

#include <errno.h>
#include <sys/stat.h>
#include <weir/error.h>

static const char *const lines[] = {
    "# a comment\n",
    "\n",
    "discard\t\t9/udp\t\tsink null\n",
    "http\t\t80/tcp\t\twww\t# WorldWideWeb HTTP\n",
    "broken 81\n",
    "broken /tcp\n",
    "proper 65534/tcp\n", /* of the same length as the next one */
    "broken 65536/tcp\n",
    "broken 8x/tcp\n",
    "broken\n",
    "last 65535/tcp",
};

static int find(const char *name, const char *protocol)
{
    uint16_t port = 0;
    char line[64];
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        snprintf(line, sizeof(line), "%s", lines[i]);
        if (wr_service_line_names(line, name, protocol, &port)) {
            return port;
        }
    }
    return -1;
}

UNIT(service, a_line_names_a_port_and_may_have_other_names)
{
    expect_eq(find("http", "tcp"), 80);
    expect_eq(find("www", "tcp"), 80);
    expect_eq(find("null", "udp"), 9);
    expect_eq(find("last", "tcp"), 65535);
}

UNIT(service, other_protocols_comments_and_broken_lines_name_nothing)
{
    expect_eq(find("http", "udp"), -1);
    expect_eq(find("WorldWideWeb", "tcp"), -1);
    expect_eq(find("HTTP", "tcp"), -1);
    expect_eq(find("broken", "tcp"), -1);
    expect_eq(find("#", "tcp"), -1);
}

UNIT(service, a_port_has_the_first_name_of_its_line)
{
    char line[] = "http 80/tcp www";
    char other[] = "http 80/tcp www";
    const char *name = NULL;
    cr_assert(wr_service_line_is_port(line, 80, "tcp", &name));
    expect_str_eq(name, "http");
    cr_assert(!wr_service_line_is_port(other, 81, "tcp", &name));
}

static int find_port(const char *path, const char *service, uint16_t *ret_port)
{
    return wr_service_find(wr_default_allocator(), path, service, ret_port);
}

static void write_name(const char *path, uint16_t port, const char *protocol,
                       char ret[WEIR_SERVICE_SIZE])
{
    wr_service_write(wr_default_allocator(), path, port, protocol, ret);
}

static void write_lines(char *path)
{
    FILE *file = fdopen(mkstemp(path), "w");
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        fputs(lines[i], file);
    }
    fclose(file);
}

UNIT(service, a_lack_of_descriptors_is_not_an_unknown_service)
{
    uint16_t port = 0;
    const struct rlimit before = use_up_descriptors();
    const int err = find_port("/dev/null", "www", &port);
    const int number = find_port("/dev/null", "80", &port);
    give_descriptors(&before);
    expect_eq(err, -EMFILE);
    expect_eq(number, 0);
}

UNIT(service, a_file_is_searched_for_tcp_first)
{
    char path[] = "/tmp/weir-services-XXXXXX";
    char text[WEIR_SERVICE_SIZE];
    uint16_t port = 0;
    write_lines(path);

    expect_eq(find_port(path, "www", &port), 0);
    expect_eq(port, 80);
    expect_eq(find_port(path, "sink", &port), 0);
    expect_eq(port, 9);
    expect_eq(find_port(path, "nonesuch", &port), WEIR_ESERVICE);
    write_name(path, 80, "tcp", text);
    expect_str_eq(text, "http");
    write_name(path, 80, "udp", text);
    expect_str_eq(text, "80");
    unlink(path);
}

UNIT(service, a_comment_of_any_length_names_nothing)
{
    char path[] = "/tmp/weir-services-XXXXXX";
    char text[WEIR_SERVICE_SIZE];
    uint16_t port = 0;
    FILE *file = fdopen(mkstemp(path), "w");
    for (int blanks = 1; blanks < 1000; blanks++) {
        fprintf(file, "#%*snonesuch 99/tcp\n", blanks, "");
    }
    fprintf(file, "late 98/tcp%*sbehind\n", 70000, "");
    fclose(file);

    expect_eq(find_port(path, "nonesuch", &port), WEIR_ESERVICE);
    write_name(path, 99, "tcp", text);
    expect_str_eq(text, "99");
    expect_eq(find_port(path, "behind", &port), 0);
    expect_eq(port, 98);
    unlink(path);
}

UNIT(service, a_fifo_in_place_of_the_file_is_not_waited_for)
{
    char path[] = "/tmp/weir-services-XXXXXX";
    char text[WEIR_SERVICE_SIZE];
    uint16_t port = 0;
    close(mkstemp(path));
    unlink(path);
    expect_eq(mkfifo(path, 0600), 0);
    expect_eq(find_port(path, "www", &port), WEIR_ESERVICE);
    write_name(path, 80, "tcp", text);
    expect_str_eq(text, "80");
    unlink(path);
}

UNIT(service, numbers_need_no_file)
{
    char text[WEIR_SERVICE_SIZE];
    uint16_t port = 1;
    expect_eq(find_port("/nonexistent", "0", &port), 0);
    expect_eq(port, 0);
    expect_eq(find_port("/nonexistent", "65535", &port), 0);
    expect_eq(port, 65535);
    expect_eq(find_port("/nonexistent", "65536", &port), WEIR_ESERVICE);
    expect_eq(find_port("/nonexistent", "-1", &port), WEIR_ESERVICE);
    expect_eq(find_port("/nonexistent", "", &port), WEIR_ESERVICE);
    expect_eq(find_port(NULL, "80", &port), 0);
    expect_eq(port, 80);
    expect_eq(find_port(NULL, "http", &port), WEIR_ESERVICE);
    write_name(NULL, 65535, "tcp", text);
    expect_str_eq(text, "65535");
}
