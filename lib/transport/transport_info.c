/*
 * Facts about a transport: addresses, descriptor, end and error.
 *
 * This file answers the common names from the kind's table; the kind answers
 * the others. All queries also work after the loss.
 */
#include "transport.h"

#include "lib/base/options.h"

#include <string.h>

void weir_transport_get_peername(const weir_transport *t,
                                 struct weir_address *ret)
{
    if (t->ops->get_peername) {
        t->ops->get_peername(t, ret);
    } else {
        ret->len = 0;
    }
}

void weir_transport_get_sockname(const weir_transport *t,
                                 struct weir_address *ret)
{
    if (t->ops->get_sockname) {
        t->ops->get_sockname(t, ret);
    } else {
        ret->len = 0;
    }
}

int weir_transport_get_socket(const weir_transport *t)
{
    return t->ops->get_socket ? t->ops->get_socket(t) : -EOPNOTSUPP;
}

int weir_transport_get_extra_info(const weir_transport *t, const char *name,
                                  struct weir_extra_info *ret)
{
    struct weir_extra_info info = {.fd = -1};
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);

    if (t->ops->get_peername && strcmp(name, "peername") == 0) {
        t->ops->get_peername(t, &info.address);
    } else if (t->ops->get_sockname && strcmp(name, "sockname") == 0) {
        t->ops->get_sockname(t, &info.address);
    } else if (t->ops->get_socket && strcmp(name, "socket") == 0) {
        info.fd = t->ops->get_socket(t);
    } else {
        wr_require(t->ops->get_extra_info, -ENOENT);
        err = t->ops->get_extra_info(t, name, &info);
        wr_require(err >= 0, err);
    }
    wr_answer_write(ret, &info, sizeof(info));
    return 0;
}

enum weir_end weir_transport_get_end(const weir_transport *t)
{
    return t->end;
}

int weir_transport_get_error(const weir_transport *t)
{
    wr_assert(t->error <= 0);
    return t->error;
}

const char *weir_transport_get_error_text(const weir_transport *t, char *buf,
                                          size_t size)
{
    static const char *const ends[] = {"open", "closed by us", "end of stream",
                                       "aborted by us", "broken"};
    struct weir_extra_info info = {.size = sizeof(info),
                                   .text = weir_strerror(t->error)};
    struct weir_address peername;
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    wr_ignore(weir_transport_get_extra_info(t, "tls_error", &info) < 0);
    weir_transport_get_peername(t, &peername);
    wr_ignore(!weir_address_format(&peername, peer, sizeof(peer)));
    const char *what = t->error ? t->error_what : ends[t->end];
    wr_ignore(snprintf(buf, size, "%s %s: %s%s%s", t->ops->name, peer, what,
                       t->error ? ": " : "", t->error ? info.text : "") < 0);
    return buf;
}
