/*
 * The server of a program that was built without libnghttp2.
 *
 * The first line of the preface is a request line of a version that is refused,
 * so nothing else is ever called.
 */
#include "serve_h2.h"

#include <errno.h>

const char *serve_h2_protocols(void)
{
    return NULL;
}

bool serve_h2_is_preface(const char *line, size_t len)
{
    (void)line;
    (void)len;
    return false;
}

struct serve_h2 *serve_h2_begin(struct answers *answers)
{
    (void)answers;
    return NULL;
}

int serve_h2_read(struct serve_h2 *self, const uint8_t *data, size_t len)
{
    (void)self;
    (void)data;
    (void)len;
    return -ENOSYS;
}

int serve_h2_write(struct serve_h2 *self, const struct answer *answer)
{
    (void)self;
    (void)answer;
    return -ENOSYS;
}

int serve_h2_flush(struct serve_h2 *self)
{
    (void)self;
    return -ENOSYS;
}

void serve_h2_end(struct serve_h2 *self)
{
    (void)self;
}
