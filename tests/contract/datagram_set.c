/*
 * Datagrams sent with ancillary data or with lent memory: which are refused,
 * and the choice of a local address.
 *
 * Also ancillary data that was not requested, and a peer with the longest
 * possible path.
 */
#include "tests/contract/datagram_rig.h"

static struct weir_ancillary facts;

static struct weir_message message_of(struct dg *rig)
{
    facts.size = sizeof(facts);
    return (struct weir_message){.size = sizeof(struct weir_message),
                                 .data = "x",
                                 .len = 1,
                                 .address = &rig->peer_address,
                                 .ancillary = &facts};
}

DATAGRAMS(datagram_set, facts_out_of_their_range_are_refused, rig, 0)
{
    static const struct {
        struct weir_ancillary facts;
        int err;
    } rows[] = {
        {{.has = WEIR_ANCILLARY_TOS, .tos = -1}, -EINVAL},
        {{.has = WEIR_ANCILLARY_TOS, .tos = 0}, 0},
        {{.has = WEIR_ANCILLARY_TOS, .tos = 255}, 0},
        {{.has = WEIR_ANCILLARY_TOS, .tos = 256}, -EINVAL},
        {{.has = WEIR_ANCILLARY_TTL, .ttl = 0}, -EINVAL},
        {{.has = WEIR_ANCILLARY_TTL, .ttl = 1}, 0},
        {{.has = WEIR_ANCILLARY_TTL, .ttl = 255}, 0},
        {{.has = WEIR_ANCILLARY_TTL, .ttl = 256}, -EINVAL},
        {{.has = 1u << 30}, -EINVAL},
    };
    if (rig->family == AF_UNIX) {
        return; /* it refuses all ancillary data */
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        facts = rows[i].facts;
        const struct weir_message message = message_of(rig);
        expect_eq(weir_transport_sendmsg(rig->t, &message), rows[i].err,
                  "row %zu", i);
    }
    dg_turns(rig, 3);
    expect_eq(rig->error_count, 0);
}

DATAGRAMS(datagram_set, the_own_address_may_be_another_of_this_machine, rig, 0)
{
    struct weir_address own;
    struct weir_address from = {.len = sizeof(from.storage)};
    socklen_t len = sizeof(from.storage);
    char byte;
    if (rig->family != AF_INET) {
        return; /* it has one loopback address */
    }
    expect_ok(weir_address_parse("127.0.0.77", 0, &own));
    facts = (struct weir_ancillary){.has = WEIR_ANCILLARY_LOCAL, .local = own};
    const struct weir_message message = message_of(rig);

    expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    dg_turns(rig, 2);

    struct pollfd pollfd = {.fd = rig->peer, .events = POLLIN};
    expect_eq(poll(&pollfd, 1, DG_WAIT_S * 1000), 1);
    expect_eq(recvfrom(rig->peer, &byte, 1, 0, &from.storage.any, &len), 1);
    expect_eq(from.storage.inet.sin_addr.s_addr,
              own.storage.inet.sin_addr.s_addr);
}

DATAGRAMS(datagram_set, an_own_address_of_no_machine_is_told, rig, 0)
{
    struct weir_address own;
    if (rig->family != AF_INET6) {
        return;
    }
    expect_ok(weir_address_parse("2001:db8::77", 0, &own));
    facts = (struct weir_ancillary){.has = WEIR_ANCILLARY_LOCAL, .local = own};
    const struct weir_message message = message_of(rig);

    expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    dg_wait_errors(rig, 1);

    expect_eq(rig->error, -EINVAL);
    expect_eq(rig->lost_count, 0);
}

DATAGRAMS(datagram_set, facts_that_were_not_asked_for_are_none, rig,
          .options = {.ancillary = WEIR_ANCILLARY_TIMESTAMP})
{
    dg_peer_send(rig, "x", 1);
    dg_wait_received(rig, 1);

    cr_assert(rig->last.has_ancillary);
    expect_eq(rig->last.ancillary.has, WEIR_ANCILLARY_TIMESTAMP);
    expect_eq(rig->last.ancillary.local.len, 0);
    expect_eq(rig->last.ancillary.interface, 0);
}

/* If a path fills its array, the kernel counts one more byte. */
DATAGRAMS(datagram_set, a_peer_may_have_the_longest_path, rig, 0)
{
    struct sockaddr_un from = {.sun_family = AF_UNIX};
    char name[64];
    if (rig->family != AF_UNIX) {
        return;
    }
    snprintf(name, sizeof(name), "/tmp/weir-longest-%d-", (int)getpid());
    memset(from.sun_path, 'p', sizeof(from.sun_path));
    memcpy(from.sun_path, name, strlen(name));
    const int stranger = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    expect_ok(bind(stranger, (struct sockaddr *)&from, sizeof(from)));
    expect_eq(sendto(stranger, "x", 1, 0, &rig->address.storage.any,
                     rig->address.len),
              1);
    dg_wait_received(rig, 1);

    expect_eq(rig->last.peer.len, sizeof(from));
    expect_eq(memcmp(&rig->last.peer.storage.local, &from, sizeof(from)), 0);
    char path[sizeof(from.sun_path) + 1] = {0};
    memcpy(path, from.sun_path, sizeof(from.sun_path));
    unlink(path);
    close(stranger);
}

static struct weir_buf kept;

static int keep(struct dg *rig, const struct weir_datagram *datagram)
{
    kept = datagram->buf;
    return weir_buf_ref(&kept);
}

static void released(void *arg)
{
    ++*(int *)arg;
}

DATAGRAMS(datagram_set, memory_has_one_owner, rig,
          .hooks.datagram_received = keep)
{
    int count = 0;
    dg_peer_send(rig, "x", 1);
    dg_wait_received(rig, 1);
    struct weir_message message = message_of(rig);
    message.ancillary = NULL;
    message.lease = kept.lease;
    message.release = released;
    message.release_arg = &count;

    expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
    dg_turns(rig, 3);

    expect_eq(count, 0);
    expect_eq(dg_counts(rig).sent, 0);
    weir_buf_unref(kept.lease);
}
