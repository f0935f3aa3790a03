/*
 * Parses the services file, whose lines are like "http 80/tcp www # a comment"
 * (services(5)). The C library's functions load modules for other sources and
 * need more stack than a small task has.
 */

#include "system_file.h"
#include "uring/check.h"

#include <stdio.h>
#include <string.h>
#include <weir/error.h>

static const char service_blanks[] = " \t\r\n";

/* The parts of a line; the texts point into the line. */
struct service_line {
    char *name;
    uint16_t port;
    const char *protocol;
    char *rest; /* other names */
};

/* Parses a number up to 65535. Returns -1 for any other text. */
static int service_read_port(const char *text)
{
    uint32_t port = 0;

    if (*text == '\0') {
        return -1;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9') {
            return -1;
        }
        port = port * 10 + (uint32_t)(*text - '0');
        if (port > UINT16_MAX) {
            return -1;
        }
    }
    wr_assert(port <= UINT16_MAX);
    return (int)port;
}

static bool service_split(char *line, struct service_line *ret)
{
    char *rest = NULL;

    line[strcspn(line, "#")] = '\0';
    char *name = strtok_r(line, service_blanks, &rest);
    char *port = name ? strtok_r(NULL, service_blanks, &rest) : NULL;
    char *slash = port ? strchr(port, '/') : NULL;
    if (!slash) {
        return false;
    }
    *slash = '\0';
    const int number = service_read_port(port);
    if (number < 0) {
        return false;
    }
    wr_assert(number <= UINT16_MAX);
    *ret = (struct service_line){.name = name,
                                 .port = (uint16_t)number,
                                 .protocol = slash + 1,
                                 .rest = rest};
    return true;
}

bool wr_service_line_names(char *line, const char *name, const char *protocol,
                           uint16_t *ret_port)
{
    struct service_line parts;

    if (!service_split(line, &parts) || strcmp(parts.protocol, protocol) != 0) {
        return false;
    }
    for (char *text = parts.name; text;
         text = strtok_r(NULL, service_blanks, &parts.rest)) {
        if (strcmp(text, name) == 0) {
            *ret_port = parts.port;
            return true;
        }
    }
    return false;
}

bool wr_service_line_is_port(char *line, uint16_t port, const char *protocol,
                             const char **ret_name)
{
    struct service_line parts;

    if (!service_split(line, &parts) || parts.port != port ||
        strcmp(parts.protocol, protocol) != 0) {
        return false;
    }
    *ret_name = parts.name;
    return true;
}

/* Returns 1 if the file has the name, 0 if not, or an error of reading it. */
static int service_search(const struct weir_allocator *allocator,
                          const char *path, const char *name,
                          const char *protocol, uint16_t *ret_port)
{
    struct wr_system_text text = {.bytes = NULL};
    size_t at = 0;
    bool was_found = false;

    wr_assert(name[0] != '\0');
    int err = wr_system_text_read(allocator, path, &text);
    wr_require(err >= 0, err);
    for (char *line; !was_found && (line = wr_system_text_next(&text, &at));) {
        was_found = wr_service_line_names(line, name, protocol, ret_port);
    }
    wr_system_text_free(allocator, &text);
    return was_found;
}

int wr_service_find(const struct weir_allocator *allocator, const char *path,
                    const char *service, uint16_t *ret_port)
{
    const int number = service_read_port(service);

    wr_assert(number <= UINT16_MAX);
    if (number >= 0) {
        *ret_port = (uint16_t)number;
        return 0;
    }
    if (service[0] == '\0' || !path) {
        return WEIR_ESERVICE;
    }
    int found = service_search(allocator, path, service, "tcp", ret_port);
    if (found == 0) {
        found = service_search(allocator, path, service, "udp", ret_port);
    }
    return found < 0 ? found : found > 0 ? 0 : WEIR_ESERVICE;
}

void wr_service_write(const struct weir_allocator *allocator, const char *path,
                      uint16_t port, const char *protocol,
                      char ret[WEIR_SERVICE_SIZE])
{
    struct wr_system_text text = {.bytes = NULL};
    size_t at = 0;
    const char *name;

    snprintf(ret, WEIR_SERVICE_SIZE, "%u", port);
    if (!path || wr_system_text_read(allocator, path, &text) < 0) {
        return;
    }
    for (char *line; (line = wr_system_text_next(&text, &at));) {
        if (wr_service_line_is_port(line, port, protocol, &name) &&
            strlen(name) < WEIR_SERVICE_SIZE) {
            memcpy(ret, name, strlen(name) + 1);
            break;
        }
    }
    wr_system_text_free(allocator, &text);
    wr_assert(ret[0] != '\0');
}
