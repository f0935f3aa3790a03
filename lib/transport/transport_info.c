/*
 * Facts about a transport: addresses, descriptor, end and error.
 *
 * This file answers the common names from the table of the lowest transport;
 * the kind answers the others, or the kind below. All queries also work after
 * the loss.
 */
#include "transport.h"

#include "connection.h"
#include "lib/base/options.h"

#include <string.h>

/* The transport with the descriptor and the addresses, below all others. */
static const weir_transport *transport_info_lowest(const weir_transport *t)
{
    while (t->ops->get_below) {
        t = t->ops->get_below(t);
    }
    return t;
}

void weir_transport_get_peername(const weir_transport *t,
                                 struct weir_address *ret)
{
    if (!wr_loop_admits(t->loop)) {
        ret->len = 0;
        return;
    }
    t = transport_info_lowest(t);
    if (t->ops->get_peername) {
        t->ops->get_peername(t, ret);
    } else {
        ret->len = 0;
    }
}

void weir_transport_get_sockname(const weir_transport *t,
                                 struct weir_address *ret)
{
    if (!wr_loop_admits(t->loop)) {
        ret->len = 0;
        return;
    }
    t = transport_info_lowest(t);
    if (t->ops->get_sockname) {
        t->ops->get_sockname(t, ret);
    } else {
        ret->len = 0;
    }
}

int weir_transport_get_socket(const weir_transport *t)
{
    t = transport_info_lowest(t);
    return t->ops->get_socket ? t->ops->get_socket(t) : -EOPNOTSUPP;
}

/* Asks @t, and then those below. */
static int transport_info_ask(const weir_transport *t, const char *name,
                              struct weir_extra_info *ret)
{
    for (;;) {
        const int err = t->ops->get_extra_info
                            ? t->ops->get_extra_info(t, name, ret)
                            : -ENOENT;
        if (err != -ENOENT || !t->ops->get_below) {
            return err == -ENODATA ? -ENOENT : err;
        }
        t = t->ops->get_below(t);
        wr_assert(t);
    }
}

int weir_transport_get_extra_info(const weir_transport *t, const char *name,
                                  struct weir_extra_info *ret)
{
    const weir_transport *lowest = transport_info_lowest(t);
    struct weir_extra_info info = {.fd = -1};
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);

    if (lowest->ops->get_peername && strcmp(name, "peername") == 0) {
        lowest->ops->get_peername(lowest, &info.address);
    } else if (lowest->ops->get_sockname && strcmp(name, "sockname") == 0) {
        lowest->ops->get_sockname(lowest, &info.address);
    } else if (lowest->ops->get_socket && strcmp(name, "socket") == 0) {
        info.fd = lowest->ops->get_socket(lowest);
    } else {
        err = transport_info_ask(t, name, &info);
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
    static const char *const ends[] = {
        [WEIR_END_NONE] = "open",
        [WEIR_END_CLOSED] = "closed by us",
        [WEIR_END_EOF] = "end of stream",
        [WEIR_END_ABORTED] = "aborted by us",
        [WEIR_END_BROKEN] = "broken",
        [WEIR_END_MOVED] = "moved to another loop",
    };
    struct weir_extra_info info = {.size = sizeof(info),
                                   .text = weir_strerror(t->error)};
    struct weir_address peername;
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    wr_assert(t->end < sizeof(ends) / sizeof(ends[0]));
    wr_ignore(weir_transport_get_extra_info(t, "tls_error", &info) < 0);
    weir_transport_get_peername(t, &peername);
    wr_ignore(!weir_address_format(&peername, peer, sizeof(peer)));
    const char *what = t->error ? t->error_what : ends[t->end];
    wr_ignore(snprintf(buf, size, "%s %s: %s%s%s", t->ops->name, peer, what,
                       t->error ? ": " : "", t->error ? info.text : "") < 0);
    return buf;
}

const char *wr_transport_get_alert(const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(t, "tls_alert", &info) < 0) {
        return NULL;
    }
    wr_assert(info.text);
    return info.text;
}

void wr_transport_count(const struct wr_member *member,
                        struct weir_loop_statistics *ret)
{
    const weir_transport *t = wr_container_of(member, weir_transport, member);

    wr_assert(t->loop);
    if (wr_transport_is_connection(t)) {
        ret->queued_held_bytes += wr_sendq_held_bytes(&wr_outbox_of(t)->queue);
    }
    wr_assert(ret->queued_held_bytes <= ret->queued_bytes);
}
