/*
 * Stream sockets: addresses.
 *
 * Most connections live and end without a question for an address, so the
 * kernel is asked when the program asks. The answer is kept only when there
 * will be none later on: before a connection is reset here, and at the loss of
 * one that has other references.
 */
#include "sock_impl.h"

static void sock_name_ask_peer(int fd, struct weir_address *ret)
{
    struct weir_address addr = {.len = 0};
    const int len =
        fd < 0 ? 0 : wr_sys_getpeername_ever(fd, &addr.storage.inet6);

    addr.len = len < 0 ? 0 : (socklen_t)len;
    *ret = addr;
}

static void sock_name_ask_own(int fd, struct weir_address *ret)
{
    struct weir_address addr = {.len = sizeof(addr.storage)};
    int err =
        fd < 0 ? fd : wr_sys_getsockname(fd, &addr.storage.any, &addr.len);

    if (err < 0 || addr.storage.any.sa_family == AF_UNIX) {
        addr.len = 0;
    }
    *ret = addr;
}

void wr_sock_get_peername(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->peername;
    } else {
        sock_name_ask_peer(s->fd, ret);
    }
}

void wr_sock_get_sockname(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->sockname;
    } else {
        sock_name_ask_own(s->fd, ret);
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
        sock_name_ask_peer(s->fd, &names->peername);
        sock_name_ask_own(s->fd, &names->sockname);
        s->names = names;
    }
}

void wr_sock_forget_names(struct wr_sock *s)
{
    wr_assert(s->state == WR_SOCK_LOST);
    if (s->names) {
        wr_free(&s->t.loop->counting, s->names, sizeof(*s->names));
        s->names = NULL;
    }
}
