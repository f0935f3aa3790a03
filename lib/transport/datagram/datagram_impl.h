/*
 * Internals of datagram transports. recvmmsg and sendmmsg move many datagrams
 * at a time; the ring only polls for datagrams and for space. A 64-byte echo
 * takes 1.01 times the CPU of recvmmsg and sendmmsg alone, but 1.05 to 1.08
 * times with multishot receives and single sends.
 *
 *     new -> open -> closing -> doomed -> ending -> lost
 *               \---------------/
 *
 * In CLOSING the transport sends the queue and receives nothing. In ENDING it
 * waits for its operations.
 */
#ifndef WEIR_LIB_TRANSPORT_DATAGRAM_DATAGRAM_IMPL_H
#define WEIR_LIB_TRANSPORT_DATAGRAM_DATAGRAM_IMPL_H

#include "datagram.h"
#include "lib/base/datagramq.h"
#include "lib/transport/intake.h"
#include "lib/transport/life.h"
#include "uring/closer.h"
#include "weir/unix.h"

enum wr_outlet {
    WR_OUTLET_IDLE,
    WR_OUTLET_DIRTY, /* sends at the end of the loop iteration */
    WR_OUTLET_POLLING,
    WR_OUTLET_PAUSING, /* a timer waits: no poll reports space */
    WR_OUTLET_STATES,
};

#define WR_CONTROL_MAX 256u
/* Space for all descriptors of a message. They follow data that the program has
 * requested; the label of a security module may be long. */
#define WR_CONTROL_FDS_MAX                                                     \
    (2u * WR_CONTROL_MAX + CMSG_SPACE(WEIR_FDS_MAX * sizeof(int)))

/* The start of a slot (uring/pool.h). The datagram follows it, or follows
 * `datagram` directly if the transport wants no ancillary data. */
struct wr_datagram_head {
    struct weir_datagram datagram;
    struct weir_ancillary ancillary;
    _Alignas(8) uint8_t control[WR_CONTROL_MAX];
};

/* Bytes before a datagram; @type is wr_datagram_head or weir_datagram. */
#define WR_DATAGRAM_HEAD_BYTES(type) ((sizeof(type) + 15u) & ~(size_t)15u)

/* One per loop, because its system calls end before any program code runs. */
struct wr_datagram_shared {
    struct wr_module module;
    weir_loop *loop;
    uint64_t transport_count;
    /* Areas for datagrams longer than a slot; untouched pages take no
     * memory. */
    uint8_t *overflow;
    struct wr_slots slots;
    struct iovec in_iov[WR_SLOTS_MAX][2];
    struct iovec out_iov[WR_SLOTS_MAX];
    struct mmsghdr in[WR_SLOTS_MAX];
    struct mmsghdr out[WR_SLOTS_MAX];
    _Alignas(8) uint8_t control_fds[WR_CONTROL_FDS_MAX];
};

#define WR_OVERFLOW_AREA                                                       \
    (WR_DATAGRAM_HEAD_BYTES(struct wr_datagram_head) + WEIR_DATAGRAM_SIZE_MAX)

struct wr_datagram {
    weir_transport t;
    struct wr_datagram_shared *shared;
    int fd;
    sa_family_t family;
    enum wr_outlet outlet_state : 8;
    uint8_t batch; /* datagrams to receive at once */
    /* Batches in a row whose datagrams would fit into half a slot. */
    uint8_t small_batches;
    bool paused : 1;
    bool wants_control : 1;
    bool is_connected : 1;
    bool in_resume : 1; /* set during resume_writing */
    bool hup_seen : 1;  /* a poll has seen the socket shut down */
    bool meets_fds : 1;
    bool rests : 1; /* set while descriptors are being closed */

    struct wr_op recv_op;
    struct wr_op send_op;
    struct wr_timer send_timer;
    struct wr_timer rest_timer;
    struct wr_timer close_timer;
    uint64_t close_timeout_ns; /* 0 for no limit */
    uint64_t peer_wait_ns;     /* UINT64_MAX for no limit */
    struct wr_turn_end turn_end;
    struct wr_datagramq queue;
    uint32_t size_limit_bytes;
    /* Maximum bytes of a datagram or a train of datagrams. */
    uint32_t room_bytes;
    uint32_t head_bytes;
    uint32_t slot_bytes;   /* including the head */
    weir_lease *kept_head; /* received while reading was paused */
    weir_lease *kept_tail;
    struct wr_closer *closer;
    struct weir_datagram_counts counts;
    struct weir_address sockname;
    struct weir_address remote; /* len is 0 if there is none */
};

static inline struct wr_datagram *wr_datagram_of(const weir_transport *t)
{
    return (struct wr_datagram *)(uintptr_t)t;
}

extern const struct wr_transport_ops wr_datagram_ops;

static inline bool wr_datagram_is_reading(const struct wr_datagram *d)
{
    return d->t.state == WR_LIFE_OPEN && !d->paused;
}

static inline bool wr_datagram_awaits_any(const struct wr_datagram *d)
{
    return d->recv_op.in_flight || wr_intake_is_queued(&d->t);
}

static inline bool wr_datagram_is_alive(const struct wr_datagram *d)
{
    return d->t.state == WR_LIFE_OPEN || d->t.state == WR_LIFE_CLOSING;
}

void wr_datagram_set_outlet_state(struct wr_datagram *d, enum wr_outlet state);
void wr_datagram_break(struct wr_datagram *d, int err, const char *what);
void wr_datagram_fail_callback(struct wr_datagram *d, int err);
void wr_datagram_check_invariants(const struct wr_datagram *d);
void wr_datagram_check_progress(const struct wr_datagram *d);
void wr_datagram_dump(const weir_transport *t, FILE *out);

void wr_datagram_recv_init(struct wr_datagram *d, bool joins_segments);
void wr_datagram_update_recv(struct wr_datagram *d);
void wr_datagram_recv_polled(struct wr_datagram *d, int32_t res);
void wr_datagram_fed(weir_transport *t, enum wr_demand_state queue);
void wr_datagram_end_recv(struct wr_datagram *d);
void wr_datagram_pause_reading(weir_transport *t);
void wr_datagram_resume_reading(weir_transport *t);
void wr_datagram_deliver_kept(struct wr_datagram *d);
void wr_datagram_drop_kept(struct wr_datagram *d);

void wr_datagram_send_init(struct wr_datagram *d);
/* Appends a datagram whose destination is valid. */
WEIR_MUST_USE int wr_datagram_queue(struct wr_datagram *d,
                                    const struct wr_outgoing_parts *parts);
void wr_datagram_send_polled(struct wr_datagram *d);
/* Sends datagrams that callbacks queued during the previous sends. */
void wr_datagram_send_queued(struct wr_datagram *d);
void wr_datagram_end_send(struct wr_datagram *d);
void wr_datagram_drop_queue(struct wr_datagram *d);
void wr_datagram_limits_changed(weir_transport *t);

WEIR_MUST_USE int
wr_datagram_ask_control(int fd, int family,
                        const struct weir_datagram_options *options);
void wr_datagram_read_control(struct wr_datagram_head *head,
                              const struct msghdr *header);
/* Writes control messages to @control, of WR_CONTROL_MAX bytes. Returns the
 * number of bytes used, or an error. */
WEIR_MUST_USE int wr_datagram_write_control(const struct weir_message *message,
                                            int family, uint8_t *control);

/* Datagrams that the kernel has dropped, or 0 if it does not report them. */
uint64_t wr_datagram_ask_drops(const struct wr_datagram *d);

/* Calls error_received; the transport stays open. @peer may be NULL. */
void wr_datagram_tell_error(struct wr_datagram *d, int err,
                            const struct weir_address *peer);
/* Reports an error that the kernel has kept for a later call. */
void wr_datagram_tell_kept_error(struct wr_datagram *d, int err);
void wr_datagram_tell_queued_errors(struct wr_datagram *d);

void wr_datagram_drop_fds(struct wr_datagram *d, const struct msghdr *header);
/* True while descriptors are being closed. The transport then receives nothing,
 * and its step is scheduled afterwards. */
WEIR_MUST_USE bool wr_datagram_rest_for_fds(struct wr_datagram *d);
void wr_datagram_close_own(struct wr_datagram *d);

static inline uint8_t *
wr_datagram_overflow(const struct wr_datagram_shared *shared, uint32_t i)
{
    return shared->overflow + (size_t)i * WR_OVERFLOW_AREA;
}

#endif
