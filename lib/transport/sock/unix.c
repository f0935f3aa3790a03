/*
 * Stream sockets: the credentials of the peer of a Unix socket.
 *
 * The kernel keeps them from the moment of the connect, and hands them out as
 * long as the socket is open.
 */
#include "sock_impl.h"

#include <string.h>

/* Tells the kind by its table, of which it knows an entry. */
static bool unix_is_kind_of(const weir_transport *t)
{
    return t->ops->get_extra_info == wr_unix_get_extra_info;
}

void wr_unix_ask_peercred(const struct wr_sock *s, struct weir_peercred *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    *ret = (struct weir_peercred){.pid = 0};
    wr_assert(s->fd >= 0);
    if (unix_is_kind_of(&s->t) &&
        wr_sys_getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) >= 0) {
        *ret = (struct weir_peercred){
            .pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    }
}

int weir_transport_get_peercred(const weir_transport *t,
                                struct weir_peercred *ret)
{
    struct weir_peercred cred = {.pid = 0};

    wr_require(unix_is_kind_of(t), -EOPNOTSUPP);
    const struct wr_sock *s = wr_sock_of(t);
    if (s->fd >= 0) {
        wr_unix_ask_peercred(s, &cred);
    } else if (s->names) {
        cred = s->names->peercred;
    }
    wr_require(cred.pid != 0, -ENODATA);
    *ret = cred;
    return 0;
}

int wr_unix_get_extra_info(const weir_transport *t, const char *name,
                           struct weir_extra_info *ret)
{
    wr_assert(unix_is_kind_of(t));
    return strcmp(name, "peercred") == 0
               ? weir_transport_get_peercred(t, &ret->peercred)
               : -ENOENT;
}
