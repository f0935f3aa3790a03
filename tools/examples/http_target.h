/*
 * Decodes the path of a request's target. The path is not checked here: the
 * kernel refuses a path that leaves the folder, however it is written. Does no
 * I/O.
 */
#ifndef WEIR_EXAMPLES_HTTP_TARGET_H
#define WEIR_EXAMPLES_HTTP_TARGET_H

#include "http_text.h"

#define HTTP_PATH 1024

static inline int hex_digit(char digit)
{
    const char *all = "0123456789abcdef0123456789ABCDEF";
    const char *at = digit ? strchr(all, digit) : NULL;
    return at ? (int)((at - all) % 16) : -1;
}

/* Decodes a path: "/a%20b?c" gives "a b", and the folder "/a/" gives
 * "a/index.html". Returns false if the target is not a path or is too long. */
static inline bool decode_path(struct text target, char ret[HTTP_PATH])
{
    struct text path = target;
    size_t len = 0;
    if (target.len == 0 || target.data[0] != '/' ||
        target.len > HTTP_PATH - 16) {
        return false;
    }
    take_before(&target, '?', &path);
    for (size_t i = 1; i < path.len; i++) {
        char byte = path.data[i];
        if (byte == '%') {
            int high = i + 2 < path.len ? hex_digit(path.data[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(path.data[i + 2]) : -1;
            byte = low < 0 ? '\0' : (char)(high * 16 + low);
            i += 2;
        }
        if (byte == '\0') {
            return false;
        }
        ret[len++] = byte;
    }
    const char *page = path.data[path.len - 1] == '/' ? "index.html" : "";
    memcpy(ret + len, page, strlen(page) + 1);
    return true;
}

#endif
