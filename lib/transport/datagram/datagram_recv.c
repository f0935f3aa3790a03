/*
 * Datagram transports: receiving.
 *
 *     idle --arm a poll--> armed --datagrams arrived--> due --fed--> idle
 *     idle --no window--> idle, and waits (intake.h)
 *     due --fed, no buffer--> starved, or idle until a timer expires
 *     due --fed, no memory--> idle until a timer expires
 *     idle --descriptors of a peer are being closed--> idle until they are
 *
 * A transport in queue DUE takes one batch when the budget feeds it (budget.h),
 * so that a flooded transport does not delay the others. After a full batch it
 * joins the queue again. After any other batch the kernel's queue is empty, and
 * a poll waits.
 *
 * Datagrams are received into slots of one size, at first for an Ethernet
 * frame. The end of a longer datagram goes to overflow memory, is joined with
 * its start by a copy, and makes the slots grow. They shrink when datagrams
 * have been short for some time. So a usual datagram touches few cache lines,
 * which were just used.
 */
#include "datagram_impl.h"

#include <poll.h>
#include <string.h>

#define BATCH_MIN     8u
#define SLOT_DATA_MIN 2048u
#define SLOT_MAX      (64u << 10)
/* Slots shrink after this many batches of short datagrams. */
#define SMALL_BATCHES_MAX 64u
/* Bytes of the budget that a datagram costs above its length, and an error. */
#define TURN_COST 256u

_Static_assert(SLOT_MAX <= WR_OVERFLOW_AREA, "an area has room for a slot");

/* ---- from received messages to the protocol ----
 *
 * If the protocol pauses inside a batch, the remaining datagrams are kept until
 * it resumes, or dropped at a close. A train of datagrams (UDP_GRO) is shown as
 * received, unless its datagrams exceed the transport's limit: then they are
 * shown one by one, truncated. */

static struct wr_datagram_head *datagram_recv_head(const weir_lease *lease)
{
    wr_assert(lease->len >= sizeof(struct weir_datagram));
    wr_assert((uintptr_t)lease->data % _Alignof(struct weir_datagram) == 0);
    return (struct wr_datagram_head *)(uintptr_t)lease->data;
}

static void datagram_recv_show(struct wr_datagram *d, weir_lease *lease)
{
    struct wr_datagram_head *head = datagram_recv_head(lease);
    struct weir_datagram *datagram = &head->datagram;

    wr_debug_assert(wr_datagram_is_reading(d));
    datagram->size = sizeof(*datagram);
    datagram->buf.data = lease->data + d->head_bytes;
    datagram->buf.lease = lease;
    datagram->ancillary = d->wants_control ? &head->ancillary : NULL;
    wr_assert(datagram->buf.len + d->head_bytes == lease->len);
    d->counts.received++;
    int ret = wr_protocol_datagram(&d->t, datagram);
    if (WR_UNLIKELY(ret < 0)) {
        wr_datagram_fail_callback(d, ret);
    }
}

/* Keeps a datagram until the protocol resumes reading. Without memory, drops
 * and counts it. The caller keeps its reference to @lease. */
static void datagram_recv_keep(struct wr_datagram *d, weir_lease *lease)
{
    const struct weir_buf all = {
        .data = lease->data, .len = lease->len, .lease = lease};

    wr_assert(d->t.state == WR_LIFE_OPEN);
    weir_lease *kept = wr_lease_keep_apart(&all);
    if (!kept) {
        d->counts.dropped_here++;
        return;
    }
    kept->next = NULL;
    if (d->kept_tail) {
        d->kept_tail->next = kept;
    } else {
        d->kept_head = kept;
    }
    d->kept_tail = kept;
}

static void datagram_recv_fill(struct wr_datagram *d,
                               const struct mmsghdr *message, weir_lease *slot)
{
    struct wr_datagram_head *head = datagram_recv_head(slot);
    struct weir_datagram *datagram = &head->datagram;
    const struct msghdr *header = &message->msg_hdr;

    wr_assert(slot->len >= d->head_bytes);
    wr_assert(slot->refs == 1);
    datagram->size_bytes = message->msg_len;
    datagram->buf.len = wr_min_u64(message->msg_len, d->room_bytes);
    wr_transport_count_received(&d->t, datagram->buf.len);
    datagram->flags =
        header->msg_flags & MSG_TRUNC ? WEIR_DATAGRAM_TRUNCATED : 0;
    datagram->segment_bytes = 0;
    datagram->peer.len = header->msg_namelen;
    if (WR_UNLIKELY(datagram->peer.len >
                    sizeof(datagram->peer.storage.local))) {
        datagram->peer.len = sizeof(datagram->peer.storage.local);
    }
    if (WR_UNLIKELY(d->family == AF_UNIX && header->msg_controllen > 0)) {
        wr_datagram_drop_fds(d, header);
    }
    if (d->wants_control) {
        wr_datagram_read_control(head, header);
    }
}

static void datagram_recv_whole(struct wr_datagram *d, weir_lease *lease)
{
    if (d->paused || d->kept_head) {
        datagram_recv_keep(d, lease);
    } else {
        datagram_recv_show(d, lease);
    }
}

static size_t datagram_recv_longest(const weir_lease *lease)
{
    const struct weir_datagram *datagram = &datagram_recv_head(lease)->datagram;
    const size_t segment = datagram->segment_bytes;

    return segment > 0 && segment < datagram->buf.len ? segment
                                                      : datagram->buf.len;
}

/* Copies one datagram of a train, @len bytes at @offset of message @i, into a
 * new lease, up to the size limit. Returns NULL if out of memory. */
static weir_lease *datagram_recv_cut(struct wr_datagram *d, uint32_t i,
                                     const weir_lease *message, size_t offset,
                                     size_t len)
{
    uint8_t *area = wr_datagram_overflow(d->shared, i);
    struct weir_datagram *datagram =
        &((struct wr_datagram_head *)(void *)area)->datagram;
    const size_t shown = (size_t)wr_min_u64(len, d->size_limit_bytes);

    wr_assert(d->head_bytes + offset + len <= message->len);
    memcpy(area, message->data, d->head_bytes);
    memcpy(area + d->head_bytes, message->data + d->head_bytes + offset, shown);
    datagram->size_bytes = len;
    datagram->buf.len = shown;
    datagram->flags = shown < len ? WEIR_DATAGRAM_TRUNCATED : 0;
    datagram->segment_bytes = 0;
    return wr_lease_copy(&d->t.loop->pool, &d->t.demand.account, area,
                         d->head_bytes + shown);
}

static void datagram_recv_apart(struct wr_datagram *d, uint32_t i,
                                const weir_lease *message)
{
    const size_t len = message->len - d->head_bytes;
    const size_t most = datagram_recv_longest(message);

    wr_assert(most > d->size_limit_bytes);
    for (size_t at = 0; at < len && d->t.state == WR_LIFE_OPEN; at += most) {
        weir_lease *lease = datagram_recv_cut(
            d, i, message, at, (size_t)wr_min_u64(most, len - at));
        if (lease) {
            datagram_recv_whole(d, lease);
            wr_lease_unref(lease);
        } else {
            d->counts.dropped_here++;
        }
    }
}

static void datagram_recv_one(struct wr_datagram *d, uint32_t i,
                              weir_lease *lease)
{
    weir_lease *copy = NULL;

    if (datagram_recv_head(lease)->datagram.buf.len + d->head_bytes >
        lease->len) {
        uint8_t *area = wr_datagram_overflow(d->shared, i);
        const struct wr_datagram_head *head = datagram_recv_head(lease);
        const size_t len = d->head_bytes + head->datagram.buf.len;

        wr_assert(len > lease->len);
        wr_assert(len <= WR_OVERFLOW_AREA);
        memcpy(area, lease->data, lease->len);
        copy = wr_lease_copy(&d->t.loop->pool, &d->t.demand.account, area, len);
        if (!copy) {
            d->counts.dropped_here++;
            return;
        }
    }
    weir_lease *message = copy ? copy : lease;
    if (WR_UNLIKELY(message->len > d->head_bytes + d->size_limit_bytes) &&
        datagram_recv_longest(message) > d->size_limit_bytes) {
        datagram_recv_apart(d, i, message);
    } else {
        datagram_recv_whole(d, message);
    }
    if (copy) {
        wr_lease_unref(copy);
    }
}

/* Returns the length of the longest message. */
static uint64_t datagram_recv_deliver(struct wr_datagram *d, weir_lease *lease,
                                      uint32_t count)
{
    const struct mmsghdr *messages = d->shared->in;
    uint64_t longest = 0;

    for (uint32_t i = 0; i < count; i++) {
        weir_lease *next = lease->next;
        lease->next = NULL;
        datagram_recv_fill(d, &messages[i], lease);
        longest =
            wr_max_u64(longest, datagram_recv_head(lease)->datagram.buf.len);
        /* Every datagram has a sender. A socket that the program has shut down
         * returns messages without one, without end. */
        if (WR_UNLIKELY(d->family != AF_UNIX &&
                        messages[i].msg_hdr.msg_namelen == 0)) {
            wr_datagram_break(d, -ESHUTDOWN, "receive");
        }
        if (WR_LIKELY(d->t.state == WR_LIFE_OPEN)) {
            datagram_recv_one(d, i, lease);
        }
        wr_lease_end_borrow(lease);
        lease = next;
    }
    wr_assert(!lease);
    return longest;
}

static weir_lease *datagram_recv_pop(struct wr_datagram *d)
{
    weir_lease *lease = d->kept_head;

    wr_assert(lease != NULL);
    wr_assert(lease->refs == 1);
    d->kept_head = lease->next;
    if (!d->kept_head) {
        d->kept_tail = NULL;
    }
    lease->next = NULL;
    return lease;
}

void wr_datagram_deliver_kept(struct wr_datagram *d)
{
    while (d->kept_head && wr_datagram_is_reading(d)) {
        weir_lease *lease = datagram_recv_pop(d);
        datagram_recv_show(d, lease);
        wr_lease_unref(lease);
    }
}

void wr_datagram_drop_kept(struct wr_datagram *d)
{
    wr_assert(d->t.state != WR_LIFE_OPEN);
    while (d->kept_head) {
        wr_lease_unref(datagram_recv_pop(d));
    }
}

/* Sets the slots' size for datagrams of @len bytes, if a buffer allows. */
static void datagram_recv_set_slots(struct wr_datagram *d, uint64_t len)
{
    const uint64_t most =
        wr_min_u64(d->t.loop->pool.buf_size, SLOT_MAX) - d->head_bytes;
    uint64_t data = SLOT_DATA_MIN;

    wr_assert(d->head_bytes > 0);
    while (data < len && data < most) {
        data *= 2;
    }
    data = wr_min_u64(wr_min_u64(data, most), d->room_bytes);
    d->slot_bytes = (uint32_t)(d->head_bytes + data + WR_SLOT_ALIGN - 1) &
                    ~(WR_SLOT_ALIGN - 1u);
    d->small_batches = 0;
}

static uint32_t datagram_recv_batch_max(const struct wr_datagram *d)
{
    return d->meets_fds ? 1 : WR_SLOTS_MAX;
}

static void datagram_recv_rested(struct wr_timer *timer)
{
    struct wr_datagram *d =
        wr_container_of(timer, struct wr_datagram, rest_timer);

    wr_assert(d->t.state == WR_LIFE_OPEN || d->t.state == WR_LIFE_DOOMED);
    wr_life_push_step(&d->t);
}

void wr_datagram_recv_init(struct wr_datagram *d, bool joins_segments)
{
    const size_t head = d->wants_control
                            ? WR_DATAGRAM_HEAD_BYTES(struct wr_datagram_head)
                            : WR_DATAGRAM_HEAD_BYTES(struct weir_datagram);

    wr_assert(d->t.state == WR_LIFE_NEW);
    d->room_bytes =
        joins_segments ? WEIR_DATAGRAM_SIZE_MAX : d->size_limit_bytes;
    wr_assert(head + d->room_bytes <= WR_OVERFLOW_AREA);
    d->head_bytes = (uint32_t)head;
    d->batch = (uint8_t)wr_min_u64(BATCH_MIN, datagram_recv_batch_max(d));
    wr_timer_init(&d->rest_timer, datagram_recv_rested);
    datagram_recv_set_slots(d, joins_segments ? SLOT_MAX : 0);
}

void wr_datagram_update_recv(struct wr_datagram *d)
{
    const bool wants = wr_datagram_is_reading(d) && !d->kept_head;

    if (!wants) {
        wr_intake_leave(&d->t);
    } else if (!wr_datagram_awaits_any(d) &&
               WR_LIKELY(!wr_timer_is_armed(&d->rest_timer))) {
        if (WR_UNLIKELY(d->closer != NULL) && wr_datagram_rest_for_fds(d)) {
            return;
        }
        if (WR_UNLIKELY(wr_intake_ask_uncounted(&d->t) == 0)) {
            return;
        }
        wr_assert(!d->recv_op.in_flight && !wr_intake_is_queued(&d->t));
        wr_prep_poll(&d->t.loop->uring, &d->recv_op, d->fd, POLLIN | POLLRDHUP,
                     false);
    }
}

void wr_datagram_recv_polled(struct wr_datagram *d, int32_t res)
{
    wr_assert(!d->recv_op.in_flight && !wr_intake_is_queued(&d->t));
    d->hup_seen = res > 0 && ((uint32_t)res & (POLLHUP | POLLRDHUP)) != 0;
    if (wr_datagram_is_reading(d) && !d->kept_head) {
        wr_intake_make_due(&d->t);
    }
}

static void datagram_recv_name_control(struct wr_datagram *d,
                                       struct wr_datagram_head *head,
                                       struct msghdr *header)
{
    if (WR_UNLIKELY(d->meets_fds)) {
        wr_assert(d->shared->slots.count == 1);
        header->msg_control = d->shared->control_fds;
        header->msg_controllen = sizeof(d->shared->control_fds);
    } else {
        header->msg_control = d->wants_control ? head->control : NULL;
        header->msg_controllen = d->wants_control ? WR_CONTROL_MAX : 0;
    }
}

static void datagram_recv_name_slots(struct wr_datagram *d)
{
    struct wr_datagram_shared *shared = d->shared;
    const uint32_t room = d->slot_bytes - d->head_bytes;
    const uint32_t in_slot = room < d->room_bytes ? room : d->room_bytes;
    const uint32_t beyond = d->room_bytes - in_slot;

    wr_assert(in_slot <= d->room_bytes);
    wr_assert(shared->slots.count > 0);
    for (uint32_t i = 0; i < shared->slots.count; i++) {
        uint8_t *slot = shared->slots.data[i];
        struct wr_datagram_head *head = (struct wr_datagram_head *)(void *)slot;
        struct msghdr *header = &shared->in[i].msg_hdr;
        shared->in_iov[i][0].iov_base = slot + d->head_bytes;
        shared->in_iov[i][0].iov_len = in_slot;
        shared->in_iov[i][1].iov_len = beyond;
        header->msg_iovlen = beyond > 0 ? 2 : 1;
        if (beyond > 0) {
            shared->in_iov[i][1].iov_base =
                wr_datagram_overflow(shared, i) + d->head_bytes + in_slot;
        }
        header->msg_name = &head->datagram.peer.storage;
        header->msg_namelen = sizeof(head->datagram.peer.storage);
        datagram_recv_name_control(d, head, header);
    }
}

/* True if later calls would fail, too. */
static bool datagram_recv_is_fatal(int err)
{
    return err == -EBADF || err == -ENOTSOCK || err == -EFAULT ||
           err == -EINVAL || err == -EOPNOTSUPP || err == -ENOTCONN;
}

/* A poll without a datagram has seen a shutdown, or queued errors. */
static void datagram_recv_found_nothing(struct wr_datagram *d)
{
    if (WR_UNLIKELY(d->hup_seen)) {
        wr_datagram_break(d, -ESHUTDOWN, "receive");
        return;
    }
    wr_datagram_tell_queued_errors(d);
    if (d->t.state == WR_LIFE_OPEN) {
        wr_datagram_update_recv(d);
    }
}

static void datagram_recv_failed(struct wr_datagram *d, int err)
{
    wr_assert(err < 0);
    if (err == -EAGAIN) {
        datagram_recv_found_nothing(d);
    } else if (err == -EINTR) {
        wr_intake_make_due(&d->t);
    } else if (datagram_recv_is_fatal(err)) {
        wr_datagram_break(d, err, "receive");
    } else if (err == -ENOMEM) {
        wr_intake_rest(&d->t, &d->rest_timer);
        wr_datagram_tell_error(d, err, NULL);
    } else {
        wr_budget_received_due(&d->t.loop->budget, TURN_COST);
        wr_intake_make_due(&d->t); /* datagrams may follow the error */
        wr_datagram_tell_kept_error(d, err);
    }
}

static void datagram_recv_adapt(struct wr_datagram *d, uint32_t count,
                                uint64_t longest)
{
    const uint32_t room = d->slot_bytes - d->head_bytes;

    wr_assert(count > 0);
    wr_assert(longest <= d->room_bytes);
    if (count == d->shared->slots.count) {
        d->batch =
            (uint8_t)wr_min_u64(2u * d->batch, datagram_recv_batch_max(d));
    } else if (count < d->batch / 4u && d->batch > BATCH_MIN) {
        d->batch /= 2;
    }
    if (WR_UNLIKELY(longest > room)) {
        datagram_recv_set_slots(d, longest);
    } else if (longest > room / 2 || room <= SLOT_DATA_MIN) {
        d->small_batches = 0;
    } else if (++d->small_batches == SMALL_BATCHES_MAX) {
        datagram_recv_set_slots(d, room / 2);
    }
}

static void datagram_recv_took(struct wr_datagram *d, weir_lease *lease,
                               uint32_t count)
{
    const bool is_full = count == d->shared->slots.count;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes +=
            wr_min_u64(d->shared->in[i].msg_len, d->room_bytes) + TURN_COST;
    }
    wr_budget_received_due(&d->t.loop->budget, (uint32_t)bytes);
    const uint64_t longest = datagram_recv_deliver(d, lease, count);
    datagram_recv_adapt(d, count, longest);
    if (wr_datagram_awaits_any(d)) {
        return;
    }
    if (is_full && wr_datagram_is_reading(d) && !d->kept_head &&
        !(d->closer && wr_datagram_rest_for_fds(d))) {
        wr_intake_make_due(&d->t);
    } else if (d->t.state == WR_LIFE_OPEN) {
        wr_datagram_update_recv(d);
    }
}

static void datagram_recv_batch(struct wr_datagram *d)
{
    weir_loop *loop = d->t.loop;
    struct wr_datagram_shared *shared = d->shared;
    wr_assert(!wr_datagram_awaits_any(d));
    wr_assert(!d->rests);
    const uint32_t credit = wr_intake_ask(&d->t);

    if (WR_UNLIKELY(credit == 0)) {
        return;
    }
    const uint32_t paid = credit / d->slot_bytes;
    const uint32_t most = paid < d->batch ? paid : d->batch;
    if (!wr_pool_open_slots(&loop->pool, &shared->slots, d->slot_bytes,
                            most > 0 ? most : 1)) {
        wr_intake_lack_buffer(&d->t, &d->rest_timer);
        return;
    }
    datagram_recv_name_slots(d);
    const int received =
        wr_sys_recvmmsg(d->fd, shared->in, shared->slots.count);
    shared->slots.used = received > 0 ? (uint32_t)received : 0;
    wr_check(shared->slots.used <= shared->slots.count);
    for (uint32_t i = 0; i < shared->slots.used; i++) {
        const uint64_t in_slot =
            wr_min_u64(shared->in[i].msg_len, shared->in_iov[i][0].iov_len);
        shared->slots.lens[i] = d->head_bytes + (uint32_t)in_slot;
    }
    weir_lease *lease =
        wr_pool_close_slots(&loop->pool, &d->t.demand.account, &shared->slots);
    if (received > 0) {
        datagram_recv_took(d, lease, (uint32_t)received);
    } else {
        datagram_recv_failed(d, received == 0 ? -EAGAIN : received);
    }
}

void wr_datagram_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_datagram *d = wr_datagram_of(t);
    (void)queue;

    if (wr_datagram_is_reading(d)) { /* else its step has not run yet */
        datagram_recv_batch(d);
    }
    wr_datagram_check_invariants(d);
}

void wr_datagram_end_recv(struct wr_datagram *d)
{
    wr_assert(d->t.state != WR_LIFE_OPEN);
    d->rests = false;
    wr_timer_cancel(&d->t.loop->wheel, &d->rest_timer);
    wr_intake_leave(&d->t);
    if (d->t.state == WR_LIFE_ENDING) {
        wr_op_cancel(&d->t.loop->uring, &d->recv_op);
    }
}

void wr_datagram_pause_reading(weir_transport *t)
{
    struct wr_datagram *d = wr_datagram_of(t);

    wr_datagram_check_invariants(d);
    if (d->t.state == WR_LIFE_OPEN && !d->paused) {
        d->paused = true;
        wr_life_push_step(&d->t);
    }
}

void wr_datagram_resume_reading(weir_transport *t)
{
    struct wr_datagram *d = wr_datagram_of(t);

    wr_datagram_check_invariants(d);
    if (d->t.state == WR_LIFE_OPEN && d->paused) {
        d->paused = false;
        wr_life_push_step(&d->t);
    }
}
