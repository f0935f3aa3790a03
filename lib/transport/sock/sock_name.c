/*
 * Stream sockets: addresses.
 *
 * Most connections live and end without a question for an address, so the
 * kernel is asked when the program asks. The answer is kept only when there
 * will be none later on: before a connection is reset here, and at the loss of
 * one that has other references.
 */
#include "sock_impl.h"

void wr_sock_get_peername(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->peername;
    } else {
        wr_ignore(wr_socket_ask_peername(s->fd, ret));
    }
}

void wr_sock_get_sockname(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->sockname;
    } else {
        wr_ignore(wr_socket_ask_sockname(s->fd, ret));
    }
}

void wr_sock_remember_names(struct wr_sock *s)
{
    wr_assert(s->fd >= 0);
    if (s->names) {
        return;
    }
    struct wr_sock_names *names =
        wr_alloc(&s->t.loop->counting, sizeof(*names));
    if (names) {
        wr_ignore(wr_socket_ask_peername(s->fd, &names->peername));
        wr_ignore(wr_socket_ask_sockname(s->fd, &names->sockname));
        wr_unix_ask_peercred(s, &names->peercred);
        s->names = names;
    }
}

void wr_sock_forget_names(struct wr_sock *s)
{
    wr_assert(s->t.state == WR_LIFE_LOST);
    if (s->names) {
        wr_free(&s->t.loop->counting, s->names, sizeof(*s->names));
        s->names = NULL;
    }
}

int wr_sock_get_socket(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->fd >= 0 ? s->fd : -EBADF;
}
