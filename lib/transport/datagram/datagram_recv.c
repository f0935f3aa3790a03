/*
 * Datagram endpoints: when they receive.
 *
 *     idle --arm a poll--> armed --datagrams are there--> due --fed--> idle
 *     idle --no credit, no buffer--> starved --fed--> idle
 *     idle --no memory--> idle, and rests until a timer expires
 *     idle --descriptors of a peer are being closed--> idle, and rests
 *
 * The loop feeds those that are due one after the other, under the turn's
 * budget of bytes (budget.h), so that one that is flooded does not keep the
 * others waiting. A fed one takes one batch. If that was as large as it asked
 * for, it is due again; otherwise the kernel's queue is empty and a poll waits.
 *
 * Datagrams go into slots of one size. An endpoint begins with slots for an
 * Ethernet frame; the end of a longer datagram goes to memory apart and is
 * copied behind its beginning, and then the slots grow. They shrink when
 * datagrams have been short for a while. So the usual datagram takes few cache
 * lines that were used a moment ago, and an unusual one is received whole.
 */
#include "datagram_impl.h"

#include <poll.h>
#include <string.h>

#define BATCH_MIN     8u
#define SLOT_DATA_MIN 2048u
#define SLOT_MAX      (64u << 10)
/* Batches of short datagrams in a row after which slots shrink. */
#define SMALL_BATCHES_MAX 64u
/* Each datagram counts this much of the turn's budget besides its bytes, and so
 * does an error. */
#define TURN_COST 256u

_Static_assert(SLOT_MAX <= WR_OVERFLOW_AREA, "an area has room for a slot");

/* Slots with room for @len bytes, as far as buffers have it. */
static void datagram_recv_set_slots(struct wr_endpoint *e, uint64_t len)
{
    const uint64_t most =
        wr_min_u64(e->t.loop->pool.buf_size, SLOT_MAX) - e->head_bytes;
    uint64_t data = SLOT_DATA_MIN;

    wr_assert(e->head_bytes > 0);
    while (data < len && data < most) {
        data *= 2;
    }
    data = wr_min_u64(wr_min_u64(data, most), e->size_max);
    e->slot_bytes = (uint32_t)(e->head_bytes + data + WR_SLOT_ALIGN - 1) &
                    ~(WR_SLOT_ALIGN - 1u);
    e->small_batches = 0;
}

/* Datagrams that it may ask for at once. */
static uint32_t datagram_recv_batch_max(const struct wr_endpoint *e)
{
    return e->meets_fds ? 1 : WR_SLOTS_MAX;
}

static void datagram_recv_rested(struct wr_timer *timer)
{
    struct wr_endpoint *e =
        wr_container_of(timer, struct wr_endpoint, rest_timer);

    wr_assert(e->t.state == WR_LIFE_OPEN || e->t.state == WR_LIFE_DOOMED);
    wr_life_push_step(&e->t);
}

void wr_endpoint_recv_init(struct wr_endpoint *e, bool joins_segments)
{
    const size_t head = e->wants_control
                            ? WR_DATAGRAM_HEAD_BYTES(struct wr_datagram_head)
                            : WR_DATAGRAM_HEAD_BYTES(struct weir_datagram);

    wr_assert(e->t.state == WR_LIFE_UNBORN);
    wr_assert(head + e->size_max <= WR_OVERFLOW_AREA);
    e->head_bytes = (uint32_t)head;
    e->batch = (uint8_t)wr_min_u64(BATCH_MIN, datagram_recv_batch_max(e));
    wr_timer_init(&e->rest_timer, datagram_recv_rested);
    datagram_recv_set_slots(e, joins_segments ? SLOT_MAX : 0);
}

static void datagram_recv_arm(struct wr_endpoint *e)
{
    if (WR_UNLIKELY(e->closer != NULL) && wr_endpoint_rest_for_fds(e)) {
        return;
    }
    if (WR_UNLIKELY(wr_intake_judge(&e->t) == 0)) {
        return;
    }
    wr_assert(!e->recv_op.in_flight && !wr_intake_is_queued(&e->t));
    wr_prep_poll(&e->t.loop->uring, &e->recv_op, e->fd, POLLIN | POLLRDHUP,
                 false);
}

void wr_endpoint_update_recv(struct wr_endpoint *e)
{
    const bool wants = wr_endpoint_is_reading(e) && !e->kept_head;

    if (!wants) {
        wr_intake_leave(&e->t);
    } else if (!wr_endpoint_awaits_datagrams(e) &&
               WR_LIKELY(!wr_timer_is_armed(&e->rest_timer))) {
        datagram_recv_arm(e);
    }
}

void wr_endpoint_recv_polled(struct wr_endpoint *e, int32_t res)
{
    wr_assert(!e->recv_op.in_flight && !wr_intake_is_queued(&e->t));
    e->hup_seen = res > 0 && ((uint32_t)res & (POLLHUP | POLLRDHUP)) != 0;
    if (wr_endpoint_is_reading(e) && !e->kept_head) {
        wr_intake_make_due(&e->t);
    }
}

/* Where the kernel puts the ancillary data of a datagram. */
static void datagram_recv_name_control(struct wr_endpoint *e,
                                       struct wr_datagram_head *head,
                                       struct msghdr *header)
{
    if (WR_UNLIKELY(e->meets_fds)) {
        wr_assert(e->shared->slots.count == 1);
        header->msg_control = e->shared->control_fds;
        header->msg_controllen = sizeof(e->shared->control_fds);
    } else {
        header->msg_control = e->wants_control ? head->control : NULL;
        header->msg_controllen = e->wants_control ? WR_CONTROL_MAX : 0;
    }
}

/* Where the kernel puts datagrams, each with its address and control. */
static void datagram_recv_name_slots(struct wr_endpoint *e)
{
    struct wr_datagram_shared *shared = e->shared;
    const uint32_t room = e->slot_bytes - e->head_bytes;
    const uint32_t in_slot = room < e->size_max ? room : e->size_max;
    const uint32_t beyond = e->size_max - in_slot;

    wr_assert(in_slot <= e->size_max);
    wr_assert(shared->slots.count > 0);
    for (uint32_t i = 0; i < shared->slots.count; i++) {
        uint8_t *slot = shared->slots.data[i];
        struct wr_datagram_head *head = (struct wr_datagram_head *)(void *)slot;
        struct msghdr *header = &shared->in[i].msg_hdr;
        shared->in_iov[i][0].iov_base = slot + e->head_bytes;
        shared->in_iov[i][0].iov_len = in_slot;
        shared->in_iov[i][1].iov_len = beyond;
        header->msg_iovlen = beyond > 0 ? 2 : 1;
        if (beyond > 0) {
            shared->in_iov[i][1].iov_base =
                wr_datagram_overflow(shared, i) + e->head_bytes + in_slot;
        }
        header->msg_name = &head->datagram.peer.storage;
        header->msg_namelen = sizeof(head->datagram.peer.storage);
        datagram_recv_name_control(e, head, header);
    }
}

/* How much of each slot was used. */
static void datagram_recv_measure(struct wr_endpoint *e, int received)
{
    struct wr_datagram_shared *shared = e->shared;

    shared->slots.used = received > 0 ? (uint32_t)received : 0;
    wr_check(shared->slots.used <= shared->slots.count);
    for (uint32_t i = 0; i < shared->slots.used; i++) {
        const uint64_t in_slot =
            wr_min_u64(shared->in[i].msg_len, shared->in_iov[i][0].iov_len);
        shared->slots.lens[i] = e->head_bytes + (uint32_t)in_slot;
    }
}

/* Errors of the descriptor itself, which no later call would overcome. */
static bool datagram_recv_is_fatal(int err)
{
    return err == -EBADF || err == -ENOTSOCK || err == -EFAULT ||
           err == -EINVAL || err == -EOPNOTSUPP || err == -ENOTCONN;
}

void wr_endpoint_drop_errors(struct wr_endpoint *e)
{
    /* A Unix socket has no such queue, and would give a datagram for it. */
    const uint32_t most = e->family == AF_UNIX ? 0 : WR_SLOTS_MAX;

    wr_assert(e->fd >= 0);
    for (uint32_t i = 0; i < most; i++) {
        struct msghdr header = {.msg_iovlen = 0};
        if (wr_sys_recv_error(e->fd, &header) < 0) {
            break;
        }
    }
}

/* The kernel's queue is empty. A poll that ended all the same was told of the
 * end of the socket, or of its queue of errors, which is emptied. */
static void datagram_recv_found_nothing(struct wr_endpoint *e)
{
    if (WR_UNLIKELY(e->hup_seen)) {
        wr_endpoint_break(e, -ESHUTDOWN, "receive");
        return;
    }
    wr_endpoint_drop_errors(e);
    wr_endpoint_update_recv(e);
}

static void datagram_recv_failed(struct wr_endpoint *e, int err)
{
    wr_assert(err < 0);
    if (err == -EAGAIN) {
        datagram_recv_found_nothing(e);
    } else if (err == -EINTR) {
        wr_intake_make_due(&e->t);
    } else if (datagram_recv_is_fatal(err)) {
        wr_endpoint_break(e, err, "receive");
    } else if (err == -ENOMEM) { /* it may last */
        wr_intake_rest(&e->t, &e->rest_timer);
        wr_endpoint_tell_error(e, err);
    } else {
        wr_budget_received_due(&e->t.loop->budget, TURN_COST);
        wr_intake_make_due(&e->t); /* there may be datagrams behind it */
        wr_endpoint_tell_error(e, err);
    }
}

/* The next batch is as large as this one was, about. */
static void datagram_recv_adapt(struct wr_endpoint *e, uint32_t count,
                                uint64_t longest)
{
    const uint32_t room = e->slot_bytes - e->head_bytes;

    wr_assert(count > 0);
    wr_assert(longest <= e->size_max);
    if (count == e->shared->slots.count) {
        e->batch =
            (uint8_t)wr_min_u64(2u * e->batch, datagram_recv_batch_max(e));
    } else if (count < e->batch / 4u && e->batch > BATCH_MIN) {
        e->batch /= 2;
    }
    if (WR_UNLIKELY(longest > room)) {
        datagram_recv_set_slots(e, longest);
    } else if (longest > room / 2 || room <= SLOT_DATA_MIN) {
        e->small_batches = 0;
    } else if (++e->small_batches == SMALL_BATCHES_MAX) {
        datagram_recv_set_slots(e, room / 2);
    }
}

/* True when there may be more datagrams, and they may be received now. */
static bool datagram_recv_may_go_on(struct wr_endpoint *e, bool is_full)
{
    return is_full && wr_endpoint_is_reading(e) && !e->kept_head &&
           !(e->closer && wr_endpoint_rest_for_fds(e));
}

/* A batch of datagrams is there. */
static void datagram_recv_took(struct wr_endpoint *e, weir_lease *lease,
                               uint32_t count)
{
    const bool is_full = count == e->shared->slots.count;
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < count; i++) {
        bytes += e->shared->slots.lens[i] - e->head_bytes + TURN_COST;
    }
    wr_budget_received_due(&e->t.loop->budget, (uint32_t)bytes);
    const uint64_t longest = wr_endpoint_deliver(e, lease, count);
    datagram_recv_adapt(e, count, longest);
    if (wr_endpoint_awaits_datagrams(e)) {
        return;
    }
    if (datagram_recv_may_go_on(e, is_full)) {
        wr_intake_make_due(&e->t);
    } else if (e->t.state == WR_LIFE_OPEN) {
        wr_endpoint_update_recv(e);
    }
}

static void datagram_recv_batch(struct wr_endpoint *e)
{
    weir_loop *loop = e->t.loop;
    struct wr_datagram_shared *shared = e->shared;
    wr_assert(!wr_endpoint_awaits_datagrams(e));
    wr_assert(!e->rests);
    const uint32_t credit = wr_intake_ask(&e->t);

    if (WR_UNLIKELY(credit == 0)) {
        return;
    }
    const uint32_t paid = credit / e->slot_bytes;
    const uint32_t most = paid < e->batch ? paid : e->batch;
    if (!wr_pool_open_slots(&loop->pool, &shared->slots, e->slot_bytes,
                            most > 0 ? most : 1)) {
        wr_intake_lack_buffer(&e->t, &e->rest_timer);
        return;
    }
    datagram_recv_name_slots(e);
    const int received =
        wr_sys_recvmmsg(e->fd, shared->in, shared->slots.count);
    datagram_recv_measure(e, received);
    weir_lease *lease =
        wr_pool_close_slots(&loop->pool, &e->t.demand.account, &shared->slots);
    if (received > 0) {
        datagram_recv_took(e, lease, (uint32_t)received);
    } else {
        datagram_recv_failed(e, received == 0 ? -EAGAIN : received);
    }
}

void wr_endpoint_fed(weir_transport *t, enum wr_demand_state queue)
{
    struct wr_endpoint *e = wr_endpoint_of(t);
    (void)queue; /* there may be datagrams now, or not */

    if (wr_endpoint_is_reading(e)) { /* or its step has not run yet */
        datagram_recv_batch(e);
    }
    wr_endpoint_check_invariants(e);
}

void wr_endpoint_end_recv(struct wr_endpoint *e)
{
    wr_assert(e->t.state != WR_LIFE_OPEN);
    e->rests = false;
    wr_timer_cancel(&e->t.loop->wheel, &e->rest_timer);
    wr_intake_leave(&e->t);
    if (e->t.state == WR_LIFE_ENDING) { /* once; its end was of no use before */
        wr_op_cancel(&e->t.loop->uring, &e->recv_op);
    }
}

void wr_endpoint_pause_reading(weir_transport *t)
{
    struct wr_endpoint *e = wr_endpoint_of(t);

    wr_endpoint_check_invariants(e);
    if (e->t.state == WR_LIFE_OPEN && !e->paused) {
        e->paused = true;
        wr_life_push_step(&e->t);
    }
}

void wr_endpoint_resume_reading(weir_transport *t)
{
    struct wr_endpoint *e = wr_endpoint_of(t);

    wr_endpoint_check_invariants(e);
    if (e->t.state == WR_LIFE_OPEN && e->paused) {
        e->paused = false;
        wr_life_push_step(&e->t);
    }
}
