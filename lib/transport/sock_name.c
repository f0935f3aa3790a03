/*
 * Stream sockets: addresses.
 *
 * Most connections live and end without a question for an address, so the
 * kernel is asked when the program asks. The answer is kept only when there
 * will be none later on: before a connection is reset here, and at the loss of
 * one that has other references.
 */
#include "sock_impl.h"

/* Of a Unix path that fills sun_path, the kernel counts a NUL behind it. */
static void sock_name_keep(struct weir_address *addr, int err,
                           struct weir_address *ret)
{
    if (err < 0) {
        addr->len = 0;
    } else if (addr->storage.any.sa_family == AF_UNIX &&
               addr->len > sizeof(addr->storage.local)) {
        addr->len = sizeof(addr->storage.local);
    }
    *ret = *addr;
}

int wr_sock_ask_peername(int fd, struct weir_address *ret)
{
    struct weir_address addr = {.len = sizeof(addr.storage)};
    int err =
        fd < 0 ? fd : wr_sys_getpeername_ever(fd, &addr.storage.any, &addr.len);

    sock_name_keep(&addr, err, ret);
    return err;
}

int wr_sock_ask_sockname(int fd, struct weir_address *ret)
{
    struct weir_address addr = {.len = sizeof(addr.storage)};
    int err =
        fd < 0 ? fd : wr_sys_getsockname(fd, &addr.storage.any, &addr.len);

    sock_name_keep(&addr, err, ret);
    return err;
}

void wr_sock_get_peername(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->peername;
    } else {
        wr_ignore(wr_sock_ask_peername(s->fd, ret));
    }
}

void wr_sock_get_sockname(const weir_transport *t, struct weir_address *ret)
{
    const struct wr_sock *s = wr_sock_of(t);

    if (WR_UNLIKELY(s->names != NULL)) {
        *ret = s->names->sockname;
    } else {
        wr_ignore(wr_sock_ask_sockname(s->fd, ret));
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
        wr_ignore(wr_sock_ask_peername(s->fd, &names->peername));
        wr_ignore(wr_sock_ask_sockname(s->fd, &names->sockname));
        wr_unix_ask_peercred(s, &names->peercred);
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

int wr_sock_get_socket(const weir_transport *t)
{
    const struct wr_sock *s = wr_sock_of(t);

    return s->fd >= 0 ? s->fd : -EBADF;
}
