/*
 * Datagrams of the fake machine: boxes (sockets) and the network between them.
 *
 *     queue of the sender --network--> queue of the receiver --> receive
 *
 * A box is a datagram socket of weir, or one that the test plays. The network
 * delivers datagrams one after the other, each LINK_NS later, or much later
 * after a detour. It loses some and delivers some twice. Until then a datagram
 * occupies its sender's queue. As in Linux a queue that is not full accepts one
 * more datagram, a poll reports space when half is free, and a full receiver
 * drops datagrams. If a port has no socket, a connected sender's next call
 * fails with -ECONNREFUSED and does nothing else.
 *
 * Unix sockets have no network: a datagram arrives at once, or the send fails
 * with -EAGAIN if more than FAKE_UNIX_QUEUE wait. A datagram occupies the
 * sender's queue until it is read, and no poll reports space at a peer. Unix
 * datagram sockets cannot be connected here.
 */
#include "tests/fake/world.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#define LINK_NS   5000u
#define DETOUR_NS 400000u
/* Memory of a datagram in addition to its bytes. */
#define PACKET_COST 256u

/* ---- packets ---- */

static uint32_t packet_cost(const struct fake_packet *packet)
{
    return (uint32_t)packet->len + PACKET_COST;
}

static void packet_uncharge(struct fake_packet *packet)
{
    if (packet->sender) {
        wr_assert(packet->sender->sent_bytes >= packet_cost(packet));
        packet->sender->sent_bytes -= packet_cost(packet);
        packet->sender = NULL;
    }
}

void fake_packet_free(struct fake_packet *packet)
{
    packet_uncharge(packet);
    wr_list_remove(&packet->link);
    free(packet);
}

static struct fake_packet *packet_at(struct wr_list *link)
{
    return wr_container_of(link, struct fake_packet, link);
}

static struct fake_packet *packet_copy(const struct fake_packet *packet)
{
    struct fake_packet *copy = malloc(sizeof(*copy) + packet->len);
    wr_assert(copy);
    memcpy(copy, packet, sizeof(*copy) + packet->len);
    wr_list_init(&copy->link);
    copy->sender = NULL;
    copy->is_copy = true;
    return copy;
}

/* ---- boxes ---- */

static bool is_same_addr(const struct fake_addr *one,
                         const struct fake_addr *other)
{
    return one->len == other->len &&
           memcmp(&one->storage, &other->storage, one->len) == 0;
}

struct fake_addr fake_box_fresh_name(int family)
{
    struct fake_addr addr = {.len = 0};
    struct sockaddr_un *local = (struct sockaddr_un *)&addr.storage;
    char name[16];

    if (family != AF_UNIX) {
        return fake_addr_fresh(family);
    }
    const int len = snprintf(name, sizeof(name), "%05x", fake.port_next++);
    local->sun_family = AF_UNIX;
    memcpy(local->sun_path + 1, name, (size_t)len);
    addr.len =
        (socklen_t)offsetof(struct sockaddr_un, sun_path) + 1u + (socklen_t)len;
    return addr;
}

struct fake_box *fake_box_new(int family)
{
    struct fake_box *box = calloc(1, sizeof(*box));
    wr_assert(box);
    box->family = family;
    wr_list_init(&box->queue);
    wr_list_init(&box->link);
    wr_list_push_back(&fake.boxes, &box->link);
    return box;
}

void fake_box_free(struct fake_box *box)
{
    while (!wr_list_is_empty(&box->queue)) {
        fake_packet_free(packet_at(box->queue.next));
    }
    for (struct wr_list *link = fake.packets.next; link != &fake.packets;
         link = link->next) {
        if (packet_at(link)->sender == box) {
            packet_at(link)->sender = NULL;
        }
    }
    for (struct wr_list *link = fake.boxes.next; link != &fake.boxes;
         link = link->next) {
        struct fake_box *other = wr_container_of(link, struct fake_box, link);
        for (struct wr_list *at = other->queue.next; at != &other->queue;
             at = at->next) {
            if (packet_at(at)->sender == box) {
                packet_at(at)->sender = NULL;
            }
        }
    }
    wr_list_remove(&box->link);
    free(box->given);
    free(box);
}

void fake_boxes_free(void)
{
    while (!wr_list_is_empty(&fake.packets)) {
        fake_packet_free(packet_at(fake.packets.next));
    }
    while (!wr_list_is_empty(&fake.boxes)) {
        fake_box_free(wr_container_of(fake.boxes.next, struct fake_box, link));
    }
}

/* Returns the box that has the name @to and accepts datagrams from @from. */
static struct fake_box *find_box(const struct fake_addr *to,
                                 const struct fake_addr *from)
{
    for (struct wr_list *link = fake.boxes.next; link != &fake.boxes;
         link = link->next) {
        struct fake_box *box = wr_container_of(link, struct fake_box, link);
        if (is_same_addr(&box->local, to) &&
            (box->remote.len == 0 || is_same_addr(&box->remote, from))) {
            return box;
        }
    }
    return NULL;
}

int fake_box_bind(struct fake_box *box, const struct fake_addr *addr)
{
    struct fake_addr local = *addr;

    if (box->local.len != 0) {
        return -EINVAL;
    }
    if (box->family != AF_UNIX && fake_addr_port(&local) == 0) {
        struct fake_addr fresh = fake_addr_fresh(box->family);
        fake_addr_set_port(&local, fake_addr_port(&fresh));
    }
    for (struct wr_list *link = fake.boxes.next; link != &fake.boxes;
         link = link->next) {
        if (is_same_addr(&wr_container_of(link, struct fake_box, link)->local,
                         &local)) {
            return -EADDRINUSE;
        }
    }
    box->local = local;
    return 0;
}

int fake_box_connect(struct fake_box *box, const struct fake_addr *addr)
{
    if (box->family == AF_UNIX) {
        fake_fail("a Unix socket of datagrams is connected");
    }
    if (box->local.len == 0) {
        box->local = fake_box_fresh_name(box->family);
    }
    box->remote = *addr;
    return 0;
}

bool fake_box_is_full(const struct fake_box *box)
{
    return box->sent_bytes >= fake.options.send_size;
}

bool fake_box_has_room(const struct fake_box *box)
{
    const uint32_t part = box->family == AF_UNIX ? 4 : 2;
    return box->sent_bytes == 0 ||
           box->sent_bytes < fake.options.send_size / part;
}

uint32_t fake_box_poll(const struct fake_box *box)
{
    uint32_t events = wr_list_is_empty(&box->queue) ? 0 : POLLIN;
    events |= fake_box_has_room(box) ? POLLOUT : 0u;
    return events | (box->err != 0 ? POLLERR : 0u);
}

int fake_box_take_error(struct fake_box *box)
{
    const int err = box->err;
    box->err = 0;
    box->told_errors += err != 0;
    return err;
}

/* ---- delivery ---- */

/* The sender may be closed by now, or another socket may have its port. */
static void refuse(const struct fake_packet *packet)
{
    struct fake_box *box = find_box(&packet->from, &packet->to);

    fake.stats.datagrams_refused++;
    if (box && is_same_addr(&box->remote, &packet->to)) {
        box->err = ECONNREFUSED;
        box->refusals++;
    }
}

static void push(struct fake_box *box, struct fake_packet *packet)
{
    wr_list_push_back(&box->queue, &packet->link);
    box->queue_bytes += packet_cost(packet);
    box->queue_len++;
}

static void arrive(void *arg)
{
    struct fake_packet *packet = arg;
    struct fake_box *box = find_box(&packet->to, &packet->from);

    packet_uncharge(packet);
    wr_list_remove(&packet->link);
    wr_list_init(&packet->link);
    if (box && box->queue_bytes <= fake.options.recv_size) {
        push(box, packet);
        return;
    }
    if (box) {
        box->drops++;
        fake.stats.datagrams_dropped++;
    } else {
        refuse(packet);
    }
    fake_packet_free(packet);
}

static void set_out(struct fake_packet *packet)
{
    fake.link_ns = wr_max_u64(fake.link_ns, fake.now_ns) + LINK_NS;
    uint64_t due_ns = fake.link_ns;

    if (fake_chance(fake.options.permille[FAKE_DETOUR])) {
        due_ns += fake_random(DETOUR_NS);
        fake.stats.datagrams_delayed++;
    }
    wr_list_push_back(&fake.packets, &packet->link);
    fake_at(due_ns, arrive, packet);
}

static void send_over_network(struct fake_packet *packet)
{
    if (fake_chance(fake.options.permille[FAKE_DUPLICATE])) {
        fake.stats.datagrams_doubled++;
        set_out(packet_copy(packet));
    }
    if (fake_chance(fake.options.permille[FAKE_LOSS])) {
        fake.stats.datagrams_lost++;
        fake_packet_free(packet);
        return;
    }
    set_out(packet);
}

static int send_locally(struct fake_packet *packet)
{
    struct fake_box *box = find_box(&packet->to, &packet->from);
    const bool is_full = box && box->queue_len > FAKE_UNIX_QUEUE;

    if (!box || is_full) {
        fake_packet_free(packet);
        return box ? -EAGAIN : -ECONNREFUSED;
    }
    push(box, packet);
    return 0;
}

struct fake_packet *fake_packet_new(struct fake_box *box,
                                    const struct fake_addr *to,
                                    const struct iovec *iov, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        len += iov[i].iov_len;
    }
    struct fake_packet *packet = calloc(1, sizeof(*packet) + len);
    wr_assert(packet);
    wr_list_init(&packet->link);
    packet->from = box->local;
    packet->to = *to;
    for (size_t i = 0; i < count; i++) {
        memcpy(packet->data + packet->len, iov[i].iov_base, iov[i].iov_len);
        packet->len += iov[i].iov_len;
    }
    packet->sender = box;
    box->sent_bytes += packet_cost(packet);
    return packet;
}

int fake_packet_send(struct fake_packet *packet, int family)
{
    if (family == AF_UNIX) {
        return send_locally(packet);
    }
    send_over_network(packet);
    return 0;
}

struct fake_packet *fake_box_pop(struct fake_box *box)
{
    struct fake_packet *packet = packet_at(box->queue.next);

    wr_list_remove(&packet->link);
    wr_list_init(&packet->link);
    box->queue_bytes -= packet_cost(packet);
    box->queue_len--;
    return packet;
}
