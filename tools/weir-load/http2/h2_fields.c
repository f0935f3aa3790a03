/*
 * Finds header fields that HTTP/2 does not allow (RFC 9113, section
 * 8.2.2). The only field whose value matters is te: gRPC needs "te:
 * trailers".
 */
#include "http2.h"

#include <string.h>
#include <strings.h>

static bool is_named(const char *at, size_t len, const char *text)
{
    return len == strlen(text) && strncasecmp(at, text, len) == 0;
}

bool h2_field_is_dropped(const char *name, size_t name_len, const char *value,
                         size_t value_len)
{
    static const char *const names[] = {"connection",       "keep-alive",
                                        "proxy-connection", "transfer-encoding",
                                        "upgrade",          "http2-settings"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (is_named(name, name_len, names[i])) {
            return true;
        }
    }
    return is_named(name, name_len, "te") &&
           !is_named(value, value_len, "trailers");
}

bool h2_field_line_is_dropped(const char *line)
{
    const size_t name_len = strcspn(line, ":");
    const char *value = line + name_len + (line[name_len] == ':');

    value += strspn(value, " \t");
    return h2_field_is_dropped(line, name_len, value, strcspn(value, " \t"));
}
