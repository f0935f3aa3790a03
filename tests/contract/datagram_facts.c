/*
 * Datagram endpoints: ancillary data (addresses, type of service, time to live,
 * time stamps), trains of datagrams (GSO and GRO), multicast groups and
 * broadcasts.
 */
#include "tests/contract/datagram_rig.h"

#include <net/if.h>

#define ALL                                                                    \
    (WEIR_ANCILLARY_LOCAL | WEIR_ANCILLARY_TOS | WEIR_ANCILLARY_TTL |          \
     WEIR_ANCILLARY_TIMESTAMP)

static bool is_unix(const struct dg *rig)
{
    return rig->family == AF_UNIX;
}

static void set_peer_option(struct dg *rig, int name4, int name6, int value)
{
    expect_ok(
        rig->family == AF_INET
            ? setsockopt(rig->peer, IPPROTO_IP, name4, &value, sizeof(value))
            : setsockopt(rig->peer, IPPROTO_IPV6, name6, &value,
                         sizeof(value)));
}

DATAGRAMS(datagram_facts, none_come_unasked, rig, 0)
{
    dg_peer_send(rig, "x", 1);
    dg_wait_received(rig, 1);

    cr_assert_not(rig->last.has_ancillary);
    expect_eq(rig->last.segment_bytes, 0);
}

DATAGRAMS(datagram_facts, complaint_66__those_asked_for_come_with_each, rig,
          .options = {.ancillary = ALL})
{
    struct timespec before;
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &before);
    if (!is_unix(rig)) {
        set_peer_option(rig, IP_TOS, IPV6_TCLASS, 0x2a);
        set_peer_option(rig, IP_TTL, IPV6_UNICAST_HOPS, 17);
    }
    dg_peer_send(rig, "x", 1);
    dg_wait_received(rig, 1);
    clock_gettime(CLOCK_REALTIME, &now);

    const struct weir_ancillary *facts = &rig->last.ancillary;
    cr_assert(rig->last.has_ancillary);
    const uint64_t now_ns = (uint64_t)now.tv_sec * DG_S + (uint64_t)now.tv_nsec;
    expect_leq(facts->timestamp_ns, now_ns);
    expect_geq(facts->timestamp_ns,
               (uint64_t)before.tv_sec * DG_S + (uint64_t)before.tv_nsec);
    if (is_unix(rig)) {
        expect_eq(facts->has, WEIR_ANCILLARY_TIMESTAMP);
        return;
    }
    expect_eq(facts->has, ALL);
    expect_eq(facts->tos, 0x2a);
    expect_eq(facts->ttl, 17);
    expect_eq(facts->interface, if_nametoindex("lo"));
    struct weir_address local = facts->local;
    if (rig->family == AF_INET) {
        local.storage.inet.sin_port = rig->address.storage.inet.sin_port;
    } else {
        local.storage.inet6.sin6_port = rig->address.storage.inet6.sin6_port;
    }
    cr_assert(weir_address_is_equal(&local, &rig->address));
}

static int pause_at_first(struct dg *rig, const struct weir_datagram *datagram)
{
    if (rig->received == 1) {
        expect_eq(weir_transport_pause_reading(rig->t), 0);
    }
    return 0;
}

DATAGRAMS(datagram_facts, they_stay_with_one_that_is_kept_by_a_pause, rig,
          .options = {.ancillary = ALL},
          .hooks = {.datagram_received = pause_at_first})
{
    dg_peer_send(rig, "x", 1);
    dg_peer_send(rig, "y", 1);
    dg_wait_received(rig, 1);
    weir_transport_resume_reading(rig->t);
    dg_wait_received(rig, 2);

    cr_assert(rig->last.has_ancillary);
    expect_eq(rig->last.bytes[0], 'y');
    cr_assert(rig->last.ancillary.has & WEIR_ANCILLARY_TIMESTAMP);
    cr_assert(weir_address_is_equal(&rig->last.peer, &rig->peer_address));
}

DATAGRAMS(datagram_facts, they_are_set_on_one_that_is_sent, rig, 0)
{
    struct weir_ancillary facts = {
        .size = sizeof(facts),
        .has = WEIR_ANCILLARY_TOS | WEIR_ANCILLARY_TTL | WEIR_ANCILLARY_LOCAL,
        .tos = 0x12,
        .ttl = 9,
        .interface = if_nametoindex("lo"),
        .local = rig->address};
    const struct weir_message message = {.size = sizeof(message),
                                         .data = "x",
                                         .len = 1,
                                         .address = &rig->peer_address,
                                         .ancillary = &facts};
    uint8_t control[256];
    char byte;
    struct iovec iov = {&byte, 1};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    if (is_unix(rig)) {
        expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
        return;
    }
    set_peer_option(rig, IP_RECVTOS, IPV6_RECVTCLASS, 1);
    set_peer_option(rig, IP_RECVTTL, IPV6_RECVHOPLIMIT, 1);

    struct pollfd pollfd = {.fd = rig->peer, .events = POLLIN};
    expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    dg_turns(rig, 2);

    expect_eq(poll(&pollfd, 1, DG_WAIT_S * 1000), 1);
    expect_eq(recvmsg(rig->peer, &header, MSG_DONTWAIT), 1);
    int tos = 0;
    int ttl = 0;
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header); cmsg;
         cmsg = CMSG_NXTHDR(&header, cmsg)) {
        if (cmsg->cmsg_type == IP_TOS || cmsg->cmsg_type == IPV6_TCLASS) {
            tos = *CMSG_DATA(cmsg);
        } else {
            ttl = *CMSG_DATA(cmsg);
        }
    }
    expect_eq(tos, 0x12);
    expect_eq(ttl, 9);
    expect_eq(rig->error_count, 0);
}

DATAGRAMS(datagram_facts, descriptors_that_come_along_are_closed, rig,
          .options = {.ancillary = WEIR_ANCILLARY_TIMESTAMP})
{
    _Alignas(8) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
    char byte = 'x';
    struct iovec iov = {&byte, 1};
    struct msghdr header = {.msg_name = &rig->address.storage,
                            .msg_namelen = rig->address.len,
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    if (!is_unix(rig)) {
        return;
    }
    struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
    cmsg->cmsg_level = SOL_SOCKET;
    cmsg->cmsg_type = SCM_RIGHTS;
    cmsg->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(cmsg), &rig->peer, sizeof(int));

    char text[4096];
    weir_loop_get_features_text(rig->loop, text, sizeof(text));
    const char *line = strstr(text, "passrights");
    if (strncmp(line + 17, "6.16  yes", 9) == 0) {
        expect_eq(sendmsg(rig->peer, &header, 0), -1);
        expect_eq(errno, EPERM);
        return;
    }
    expect_eq(sendmsg(rig->peer, &header, 0), 1);
    dg_wait_received(rig, 1); /* UNIT would notice open descriptors */
}

DATAGRAMS(datagram_facts, a_train_is_cut_into_datagrams, rig, 0)
{
    static uint8_t bytes[16 * 64];
    char text[128];
    const struct weir_message message = {.size = sizeof(message),
                                         .data = bytes,
                                         .len = sizeof(bytes) - 10,
                                         .address = &rig->peer_address,
                                         .segment_bytes = 64};
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t)(i / 64);
    }
    if (is_unix(rig)) {
        expect_eq(weir_transport_sendmsg(rig->t, &message), -EINVAL);
        return;
    }

    expect_eq(weir_transport_sendmsg(rig->t, &message), 0);
    for (int i = 0; i < 16; i++) {
        expect_eq(dg_peer_recv(rig, text, sizeof(text)), i < 15 ? 64 : 54);
        expect_eq(text[0], i);
    }
    expect_eq(dg_counts(rig).sent, 1);
}

DATAGRAMS(datagram_facts, trains_arrive_joined_if_asked_for, rig,
          .options = {.join_segments = true})
{
    static uint8_t bytes[16 * 64];
    if (is_unix(rig)) {
        return;
    }
    const int segment = 64;
    memset(bytes, 't', sizeof(bytes));
    expect_ok(setsockopt(rig->peer, IPPROTO_UDP, 103 /* UDP_SEGMENT */,
                         &segment, sizeof(segment)));

    dg_peer_send(rig, bytes, sizeof(bytes));
    dg_wait_received(rig, 1);
    expect_eq(rig->received, 1);
    expect_eq(rig->last.len, sizeof(bytes));
    expect_eq(rig->last.segment_bytes, 64);
    expect_eq(memcmp(rig->last.bytes, bytes, sizeof(bytes)), 0);

    dg_peer_send(rig, bytes, 10);
    dg_wait_received(rig, 2);
    expect_eq(rig->last.len, 10);
}

enum { TRAIN = 10, TRAIN_SEGMENT = 1200, TRAIN_LAST = 300 };
enum { TRAIN_BYTES = (TRAIN - 1) * TRAIN_SEGMENT + TRAIN_LAST };

static uint8_t train_byte(size_t offset)
{
    return (uint8_t)(offset * 31 + offset / 251);
}

/* The peer sends a train of datagrams of @segment bytes, @len bytes in total,
 * the last one shorter. The loopback interface leaves them joined. */
static void send_train(struct dg *rig, size_t len, int segment)
{
    static uint8_t bytes[60000];

    expect_leq(len, sizeof(bytes));
    for (size_t i = 0; i < len; i++) {
        bytes[i] = train_byte(i);
    }
    expect_ok(setsockopt(rig->peer, IPPROTO_UDP, 103 /* UDP_SEGMENT */,
                         &segment, sizeof(segment)));
    dg_peer_send(rig, bytes, len);
}

static int follow_train(struct dg *rig, const struct weir_datagram *datagram)
{
    for (size_t i = 0; i < datagram->buf.len; i++) {
        expect_eq(datagram->buf.data[i], train_byte((size_t)rig->count + i));
    }
    rig->count += (int)datagram->size_bytes;
    rig->step += (datagram->flags & WEIR_DATAGRAM_TRUNCATED) != 0;
    return 0;
}

static void expect_train(struct dg *rig, size_t len, int segment, int truncated,
                         size_t shown)
{
    rig->count = 0;
    rig->step = 0;
    rig->received_bytes = 0;
    send_train(rig, len, segment);
    RUN_UNTIL(rig->loop, rig->count == (int)len);
    expect_eq(rig->step, truncated);
    expect_eq(rig->received_bytes, shown);
}

DATAGRAMS(datagram_facts, a_train_may_be_longer_than_the_limit_of_a_datagram,
          rig, .options = {.join_segments = true, .size_limit_bytes = 2000},
          .hooks.datagram_received = follow_train)
{
    static const int segments[] = {1, 64, 500, 1200, 1999, 2000};

    if (is_unix(rig)) {
        return;
    }
    for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
        const size_t whole = (size_t)segments[i] * 20;
        const size_t cut = whole - (size_t)segments[i] / 2;
        expect_train(rig, whole, segments[i], 0, whole);
        expect_train(rig, cut, segments[i], 0, cut);
    }
}

DATAGRAMS(datagram_facts, long_datagrams_of_a_train_are_truncated_one_by_one,
          rig, .options = {.join_segments = true, .size_limit_bytes = 1000},
          .hooks.datagram_received = follow_train)
{
    if (is_unix(rig)) {
        return;
    }
    expect_train(rig, TRAIN_BYTES, TRAIN_SEGMENT, TRAIN - 1,
                 (TRAIN - 1) * 1000 + TRAIN_LAST);

    expect_eq(rig->received, TRAIN);
    expect_eq(rig->last.segment_bytes, 0);
    expect_eq(rig->last.len, TRAIN_LAST);
    expect_eq(rig->last.flags, 0);
}

DATAGRAMS(datagram_facts, one_that_came_alone_is_truncated_beside_trains, rig,
          .options = {.join_segments = true, .size_limit_bytes = 1000},
          .hooks.datagram_received = follow_train)
{
    if (is_unix(rig)) {
        return;
    }
    expect_train(rig, 5000, 0, 1, 1000);
    expect_eq(rig->last.size_bytes, 5000);
    expect_train(rig, 1000, 0, 0, 1000);
    expect_train(rig, 3000, 600, 0, 3000);
}

static int pause_at_third(struct dg *rig, const struct weir_datagram *datagram)
{
    if (rig->received == 3) {
        expect_ok(weir_transport_pause_reading(rig->t));
    }
    return follow_train(rig, datagram);
}

DATAGRAMS(datagram_facts, a_pause_keeps_the_rest_of_a_train_that_is_truncated,
          rig, .options = {.join_segments = true, .size_limit_bytes = 1000},
          .hooks.datagram_received = pause_at_third)
{
    if (is_unix(rig)) {
        return;
    }
    send_train(rig, TRAIN_BYTES, TRAIN_SEGMENT);
    dg_wait_received(rig, 3);
    dg_turns(rig, 3);
    expect_eq(rig->received, 3);

    expect_ok(weir_transport_resume_reading(rig->t));
    dg_wait_received(rig, TRAIN);

    expect_eq(rig->count, TRAIN_BYTES);
}

static int abort_at_third(struct dg *rig, const struct weir_datagram *datagram)
{
    if (rig->received == 3) {
        weir_transport_abort(rig->t);
    }
    return 0;
}

DATAGRAMS(datagram_facts, an_abort_drops_the_rest_of_a_train_that_is_truncated,
          rig, .options = {.join_segments = true, .size_limit_bytes = 1000},
          .hooks.datagram_received = abort_at_third)
{
    if (is_unix(rig)) {
        return;
    }
    send_train(rig, TRAIN_BYTES, TRAIN_SEGMENT);
    RUN_UNTIL(rig->loop, rig->lost_count > 0);

    expect_eq(rig->received, 3);
}

DATAGRAMS(datagram_facts, a_group_is_joined_and_left, rig, .step = 0)
{
    struct weir_address group;
    struct weir_address wrong;
    const unsigned int lo = if_nametoindex("lo");
    if (is_unix(rig)) {
        expect_eq(
            weir_transport_join_group(rig->t, &rig->peer_address, NULL, 0),
            -EOPNOTSUPP);
        return;
    }
    const bool is_v4 = rig->family == AF_INET;
    expect_ok(
        weir_address_parse(is_v4 ? "239.255.77.1" : "ff01::7701", 0, &group));
    expect_ok(
        weir_address_parse(is_v4 ? "ff01::7701" : "239.255.77.1", 0, &wrong));

    expect_eq(weir_transport_join_group(rig->t, &wrong, NULL, lo), -EINVAL);
    expect_eq(weir_transport_join_group(rig->t, NULL, NULL, lo), -EINVAL);
    expect_eq(weir_transport_join_group(rig->t, &rig->address, NULL, lo),
              -EINVAL, "no multicast address");
    expect_eq(weir_transport_leave_group(rig->t, &group, NULL, lo),
              -EADDRNOTAVAIL);
    expect_eq(weir_transport_join_group(rig->t, &group, NULL, lo), 0);
    expect_eq(weir_transport_join_group(rig->t, &group, NULL, lo), -EADDRINUSE);
    expect_eq(weir_transport_leave_group(rig->t, &group, NULL, lo), 0);
    weir_transport_abort(rig->t);
    dg_wait_lost(rig);
    expect_eq(weir_transport_join_group(rig->t, &group, NULL, lo), -EBADF);
}

/* Returns false if the machine has no route to the group. */
static bool join_and_hear(struct dg *rig, const struct weir_address *source)
{
    struct weir_address group;
    const unsigned int lo = if_nametoindex("lo");
    const bool is_v4 = rig->family == AF_INET;
    struct weir_datagram_options options = dg_options(rig);
    options.family = rig->family;
    weir_transport_abort(rig->t);
    dg_wait_lost(rig);
    weir_transport_unref(rig->t);
    rig->t = NULL;
    rig->lost_count = 0;
    rig->made_count = 0;
    rig->done_count = 0;
    expect_eq(dg_make(rig, &options), 0);
    while (rig->done_count == 0) {
        dg_turns(rig, 1);
    }
    expect_eq(rig->done_err, 0);
    weir_transport_get_sockname(rig->t, &rig->address);
    expect_ok(weir_address_parse(is_v4 ? "239.255.77.2" : "ff01::7702",
                                 ntohs(rig->address.storage.inet.sin_port),
                                 &group));
    expect_eq(weir_transport_join_group(rig->t, &group, source, lo), 0);
    const struct ip_mreqn by = {.imr_ifindex = (int)lo};
    expect_ok(is_v4 ? setsockopt(rig->peer, IPPROTO_IP, IP_MULTICAST_IF, &by,
                                 sizeof(by))
                    : setsockopt(rig->peer, IPPROTO_IPV6, IPV6_MULTICAST_IF,
                                 &lo, sizeof(lo)));
    const ssize_t sent =
        sendto(rig->peer, "to all", 6, 0, &group.storage.any, group.len);
    cr_assert(sent == 6 || errno == ENETUNREACH);
    return sent == 6;
}

DATAGRAMS(datagram_facts, what_is_sent_to_a_group_arrives, rig, 0)
{
    if (is_unix(rig)) {
        return;
    }
    const bool is_sent = join_and_hear(rig, NULL);
    cr_assert(is_sent || rig->family == AF_INET6);
    if (is_sent) {
        dg_wait_received(rig, 1);
        expect_eq(rig->last.len, 6);
    }
}

DATAGRAMS(datagram_facts, a_source_can_be_chosen, rig, 0)
{
    if (rig->family != AF_INET) {
        return;
    }
    struct weir_address source = rig->peer_address;
    cr_assert(join_and_hear(rig, &source));
    dg_wait_received(rig, 1);
    expect_eq(rig->last.len, 6);
}

DATAGRAMS(datagram_facts, broadcasts_need_the_option, rig, .step = 0)
{
    struct weir_address all;
    if (rig->family != AF_INET) {
        return;
    }
    expect_eq(weir_address_parse("127.255.255.255", 9, &all), 0);
    expect_eq(weir_transport_sendto(rig->t, "x", 1, &all), 0);
    dg_turns(rig, 2);

    expect_eq(rig->error_count, 1);
    expect_eq(rig->error, -EACCES);
}

DATAGRAMS(datagram_facts, with_broadcast_a_remote_address_is_no_connection, rig,
          .options = {.allow_broadcast = true}, .connected = true)
{
    const struct weir_address other = dg_fresh_address(rig);
    char text[4];
    if (is_unix(rig)) {
        return;
    }

    expect_eq(dg_send(rig, "x", 1), 0);
    expect_eq(dg_peer_recv(rig, text, sizeof(text)), 1);
    expect_eq(weir_transport_sendto(rig->t, "x", 1, &other), -EINVAL);
    struct weir_address from = other;
    const int stranger = dg_socket(rig, &from);
    expect_eq(sendto(stranger, "y", 1, 0, &rig->address.storage.any,
                     rig->address.len),
              1);
    dg_wait_received(rig, 1);
    cr_assert(weir_address_is_equal(&rig->last.peer, &from),
              "it hears others, too");
    close(stranger);
}

DATAGRAMS(datagram_facts, connected_it_hears_its_peer_alone, rig,
          .connected = true)
{
    struct weir_address from = dg_fresh_address(rig);
    if (is_unix(rig)) {
        return; /* the other socket's sendto() fails */
    }
    const int stranger = dg_socket(rig, &from);

    expect_leq(sendto(stranger, "n", 1, 0, &rig->address.storage.any,
                      rig->address.len),
               1);
    dg_peer_send(rig, "y", 1);
    dg_wait_received(rig, 1);
    expect_eq(rig->last.bytes[0], 'y');
    expect_eq(rig->received, 1);
    close(stranger);
}

static bool has_counted_all(const struct dg *rig)
{
    const struct weir_datagram_counts counts = dg_counts(rig);
    return counts.received + counts.dropped_by_kernel >= 200;
}

DATAGRAMS(datagram_facts, drops_of_the_kernel_are_counted, rig,
          .small_buffers = true)
{
    static uint8_t bytes[1000];
    if (is_unix(rig)) {
        return; /* the sender blocks instead */
    }
    for (int i = 0; i < 200; i++) {
        dg_peer_send(rig, bytes, sizeof(bytes));
    }
    while (!has_counted_all(rig)) {
        dg_turn_for(rig, 1 * DG_MS);
    }

    const struct weir_datagram_counts counts = dg_counts(rig);
    expect_gt(counts.dropped_by_kernel, 0);
    expect_eq(counts.received + counts.dropped_by_kernel, 200);
}
