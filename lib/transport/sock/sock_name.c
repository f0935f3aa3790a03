/*
 * Stream sockets: addresses and peer credentials.
 *
 * Most programs never ask for an address, so the kernel is asked only when the
 * program asks. The answer is kept only before the kernel forgets it: before a
 * reset from here, and at the loss of a connection that has other references.
 *
 * For a Unix socket the kernel also keeps the peer's credentials as of the
 * connect, and gives them as long as the socket is open.
 */
#include "sock_impl.h"

#include <string.h>

void wr_sock_get_peername(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->peername;
    } else {
        wr_ignore(wr_socket_ask_peername(s->c.fd, ret));
    }
}

void wr_sock_get_sockname(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->sockname;
    } else {
        wr_ignore(wr_socket_ask_sockname(s->c.fd, ret));
    }
}

/* True if the entry of the kind's table is that of Unix sockets. */
static bool sock_name_is_unix(const weir_transport *t)
{
    return t->ops->get_extra_info == wr_unix_get_extra_info;
}

void wr_unix_ask_peercred(const struct wr_sock *s, struct weir_peercred *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);

    *ret = (struct weir_peercred){.pid = 0};
    wr_assert(s->c.fd >= 0);
    if (sock_name_is_unix(&s->c.t) &&
        wr_sys_getsockopt(s->c.fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) >= 0) {
        *ret = (struct weir_peercred){
            .pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    }
}

void wr_sock_remember_names(struct wr_sock *s)
{
    wr_assert(s->c.fd >= 0);
    if (s->names) {
        return;
    }
    struct wr_sock_names *names =
        wr_alloc(&s->c.t.loop->counting, sizeof(*names));
    if (names) {
        wr_ignore(wr_socket_ask_peername(s->c.fd, &names->peername));
        wr_ignore(wr_socket_ask_sockname(s->c.fd, &names->sockname));
        wr_unix_ask_peercred(s, &names->peercred);
        s->names = names;
    }
}

void wr_sock_forget_names(struct wr_sock *s)
{
    wr_assert(s->c.t.state == WR_LIFE_LOST || !s->names);
    if (s->names) {
        wr_free(&s->c.t.loop->counting, s->names, sizeof(*s->names));
        s->names = NULL;
    }
}

int wr_sock_get_socket(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    wr_assert(!s->c.leaving || t->state == WR_LIFE_MOVING);
    return s->c.fd >= 0 && !s->c.leaving ? s->c.fd : -EBADF;
}

int wr_unix_get_extra_info(const weir_transport *t, const char *name,
                           struct weir_extra_info *ret)
{
    wr_assert(sock_name_is_unix(t));
    return strcmp(name, "peercred") == 0
               ? weir_transport_get_peercred(t, &ret->peercred)
               : -ENOENT;
}

int weir_transport_get_peercred(const weir_transport *t,
                                struct weir_peercred *ret)
{
    struct weir_peercred cred = {.pid = 0};

    wr_require(sock_name_is_unix(t), -EOPNOTSUPP);
    const struct wr_sock *s = wr_sock_of(t);
    if (s->c.fd >= 0) {
        wr_unix_ask_peercred(s, &cred);
    } else if (s->names) {
        cred = s->names->peercred;
    }
    wr_require(cred.pid != 0, -ENODATA);
    *ret = cred;
    return 0;
}
