/*
 * The public functions of transports. A function that changes a transport
 * checks that the caller is on the loop's thread, does the common part, and
 * calls the kind's table.
 */
#include "transport.h"

#include "connection.h"
#include "lib/base/options.h"
#include "weir/error.h"
#include "weir/unix.h"

#include <string.h>

static void transport_shutdown_alive(struct wr_member *member)
{
    weir_transport *t = wr_container_of(member, weir_transport, member);
    t->ops->abort(t);
}

static void transport_dump_alive(const struct wr_member *member, FILE *out)
{
    const weir_transport *t = wr_container_of(member, weir_transport, member);
    t->ops->dump(t, out);
}

static void transport_abandon_alive(struct wr_member *member)
{
    weir_transport *t = wr_container_of(member, weir_transport, member);
    t->ops->abandon(t);
}

static void transport_check_alive(const struct wr_member *member)
{
    const weir_transport *t = wr_container_of(member, weir_transport, member);
    t->ops->check(t);
}

static const struct wr_member_ops transport_member_ops = {
    .check = transport_check_alive,
    .stage = WR_STAGE_TRANSPORTS,
    .shutdown = transport_shutdown_alive,
    .abandon = transport_abandon_alive,
    .count = wr_transport_count,
    .dump = transport_dump_alive};

static void transport_check_device(const struct wr_transport_ops *ops)
{
    wr_assert(ops->queued && ops->receive && ops->stop && ops->doom);
    wr_assert(ops->holds_queue && ops->is_in_flight);
    wr_assert(!ops->is_reading == !ops->has_arrived);
    wr_assert(ops->check_device && ops->check_progress);
    wr_assert(!ops->sendfile == !ops->part_bytes);
    wr_assert(!ops->sendfile || (ops->queue_file && ops->end_file));
    wr_assert(!ops->sendfile || (ops->file_begins && ops->file_ended));
    wr_assert(!ops->splice == !ops->send_part);
    wr_assert(!ops->splice == !ops->file_went);
    wr_assert(!ops->splice == !ops->withdraw);
    wr_assert(ops->view_time && ops->time_expired);
    wr_assert(!ops->next_look_ns == !ops->look_at_queue);
}

void wr_transport_check_ops(const struct wr_transport_ops *ops)
{
    wr_assert(ops->name);
    wr_assert(ops->write && ops->writelines);
    wr_assert(ops->write_ref && ops->write_lease);
    wr_assert(!ops->can_write_eof == !ops->write_eof);
    wr_assert(!ops->sendfile == !ops->cancel_sendfile);
    wr_assert(!ops->pause_reading == !ops->resume_reading);
    wr_assert(!ops->get_depth == !ops->limits_changed);
    wr_assert(ops->is_closing && ops->close && ops->abort);
    wr_assert(ops->abandon && ops->dump && ops->check && ops->free);
    if (ops->size > 0) {
        transport_check_device(ops);
    }
}

void wr_transport_init(weir_transport *t, weir_loop *loop,
                       const struct wr_transport_ops *ops)
{
    wr_debug_check(wr_transport_check_ops(ops));
    wr_assert(!t->ops && t->refs == 0);
    t->ops = ops;
    t->loop = loop;
    t->owner = loop->owner;
    t->refs = 1;
    wr_transport_set_marks(t, WR_HIGH_DEFAULT, WR_LOW_DEFAULT);
    t->hard_limit_bytes = WR_HARD_LIMIT_DEFAULT;
    wr_member_init(&t->member, &transport_member_ops);
    wr_list_init(&t->set_link);
}

void wr_transport_check_invariants(const weir_transport *t)
{
    const bool must_notify = t->writing_paused || t->flush;

    wr_assert(t->refs > 0);
    wr_assert(t->must_notify == must_notify);
    if (WR_UNLIKELY(!wr_transport_can_write(t))) {
        wr_assert(t->error <= 0);
        wr_assert(t->write_error <= 0);
        wr_assert(t->error == 0 || t->error_what);
        wr_assert(t->error == 0 || t->end != WEIR_END_NONE);
    }
    wr_debug_assert(t->low_bytes <= t->high_bytes);
    wr_debug_assert(t->check_bytes <= t->high_bytes);
    wr_debug_assert(t->set || !wr_list_is_linked(&t->set_link));
    wr_debug_assert(wr_list_is_linked(&t->member.link) || t->is_below ||
                    t->state == WR_LIFE_NEW || t->state == WR_LIFE_LOST);
}

void wr_transport_set_end(weir_transport *t, enum weir_end end)
{
    wr_assert(end != WEIR_END_NONE);
    if (t->end == WEIR_END_NONE) {
        t->end = end;
    }
}

void wr_transport_set_error(weir_transport *t, int err, const char *what)
{
    wr_assert(err < 0);
    wr_assert(what);
    const bool is_first = t->error == 0;

    if (is_first) {
        t->error = err;
        t->error_what = what;
    }
    wr_transport_set_end(t, WEIR_END_BROKEN);
    if (is_first && (t->is_below || t->is_relayed)) {
        /* connection_lost may be called much later. */
        wr_protocol_error(t, err, NULL);
    }
}

void wr_transport_correct_error(weir_transport *t, int err, const char *what)
{
    wr_assert(err < 0);
    wr_assert(t->error < 0 && t->end != WEIR_END_NONE);
    t->error = err;
    t->error_what = what;
}

int wr_transport_refuse(weir_transport *t, int err)
{
    wr_assert(err < 0);
    wr_assert(t->error == 0);
    if (t->write_error == 0) {
        t->write_error = err;
    }
    return t->write_error;
}

int wr_transport_take_write_error(weir_transport *t)
{
    const int err = t->write_error;

    wr_assert(err <= 0);
    t->write_error = 0;
    return err;
}

bool wr_transport_is_idle(weir_transport *t)
{
    return !t->is_busy && (!t->handler || t->handler->ops->is_idle(t->handler));
}

bool wr_transport_lacks_credit(const weir_transport *t)
{
    uint32_t credit;

    switch (wr_budget_peek(&t->loop->budget, &t->demand, &credit)) {
    case WR_SHORTAGE_LIMIT:
    case WR_SHORTAGE_SHARE:
        return t->demand.account.held_bytes > 0;
    case WR_SHORTAGE_NONE:
    case WR_SHORTAGE_STUCK: /* released leases do not help */
        break;
    }
    return false;
}

static void transport_look_for_waits(weir_transport *t)
{
    t->must_notify = t->writing_paused || t->flush;
}

uint64_t wr_transport_high(const weir_transport *t)
{
    const uint64_t share = wr_budget_queued_share(&t->loop->budget);
    return wr_max_u64(wr_min_u64(t->high_bytes, share), t->low_bytes);
}

bool wr_transport_may_join(const weir_transport *t)
{
    const struct wr_sendq *queue =
        t->ops->get_unoffered ? t->ops->get_unoffered(t) : NULL;

    return queue && queue->tail && queue->tail->kind == WR_CHUNK_LEASE &&
           queue->bytes < WR_SEND_BYTES_MIN &&
           !wr_budget_is_queue_short(&t->loop->budget);
}

void wr_transport_pause(weir_transport *t)
{
    wr_assert(!t->writing_paused);
    t->writing_paused = true;
    transport_look_for_waits(t);
    wr_protocol_pause(t);
}

void wr_transport_notify(weir_transport *t, uint64_t depth)
{
    struct wr_flush *flush = depth == 0 ? t->flush : NULL;

    wr_transport_check_invariants(t);
    wr_assert(depth <= wr_transport_awaited(t));
    if (flush) {
        t->flush = NULL;
        transport_look_for_waits(t);
    }
    if (t->writing_paused && depth <= t->low_bytes) {
        t->writing_paused = false;
        transport_look_for_waits(t);
        wr_protocol_resume(t);
    }
    if (flush) {
        flush->flushed(flush);
    }
}

void wr_transport_on_flushed(weir_transport *t, struct wr_flush *flush)
{
    t->flush = flush;
    transport_look_for_waits(t);
    wr_transport_check_invariants(t);
}

int weir_transport_write(weir_transport *t, const void *data, size_t len)
{
    int err = wr_transport_enter(t);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    return t->ops->write(t, data, len);
}

int weir_transport_writelines(weir_transport *t, const struct iovec *iov,
                              size_t count)
{
    int err = wr_transport_enter(t);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        wr_require(iov[i].iov_len <= SIZE_MAX - total, -EOVERFLOW);
        total += iov[i].iov_len;
    }
    return t->ops->writelines(t, iov, count, total);
}

int weir_transport_write_ref(weir_transport *t, const void *data, size_t len,
                             weir_release_fn *release, void *arg)
{
    int err = wr_transport_enter(t);
    if (WR_LIKELY(err == 0)) {
        err = t->ops->write_ref(t, data, len, release, arg);
    }
    if (release && (err < 0 || len == 0)) {
        release(arg);
    }
    return err;
}

int weir_transport_write_buf(weir_transport *t, const struct weir_buf *buf)
{
    int err = wr_transport_enter(t);
    if (WR_UNLIKELY(err < 0)) {
        return err;
    }
    wr_require(buf->len == 0 || buf->lease, -EINVAL);
    return t->ops->write_lease(t, buf);
}

int weir_transport_send_fds(weir_transport *t, const void *data, size_t len,
                            const int *fds, size_t count)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->send_fds, -EOPNOTSUPP);
    wr_require(count <= WEIR_FDS_MAX, -EINVAL);
    if (count == 0) {
        return t->ops->write(t, data, len);
    }
    wr_require(fds && len > 0, -EINVAL);
    return t->ops->send_fds(t, data, len, fds, count);
}

int weir_transport_write_eof(weir_transport *t)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->can_write_eof, -EOPNOTSUPP);
    wr_require(t->write_error == 0, t->write_error);
    t->ops->write_eof(t);
    return 0;
}

int weir_transport_take_write_error(weir_transport *t)
{
    int err = wr_transport_enter(t);
    return err < 0 ? err : wr_transport_take_write_error(t);
}

bool weir_transport_can_write_eof(const weir_transport *t)
{
    return t->ops->can_write_eof;
}

int weir_transport_pause_reading(weir_transport *t)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->pause_reading, -EOPNOTSUPP);
    t->ops->pause_reading(t);
    return 0;
}

int weir_transport_resume_reading(weir_transport *t)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->resume_reading, -EOPNOTSUPP);
    t->ops->resume_reading(t);
    return 0;
}

bool weir_transport_is_reading(const weir_transport *t)
{
    return t->ops->is_reading && t->ops->is_reading(t);
}

int weir_transport_set_read_buffer_limit(weir_transport *t,
                                         uint64_t limit_bytes)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->set_read_limit, -EOPNOTSUPP);
    wr_require(limit_bytes == 0 || limit_bytes >= WR_CREDIT_MIN, -EINVAL);
    t->ops->set_read_limit(t,
                           limit_bytes ? limit_bytes : WR_READ_LIMIT_DEFAULT);
    if (t->evictable) { /* the reader may hold more already */
        t->evictable->look(t->evictable);
    }
    return 0;
}

uint64_t weir_transport_get_read_buffer_size(const weir_transport *t)
{
    uint64_t bytes = 0;

    while (t) {
        bytes += t->demand.account.held_bytes;
        t = t->ops->get_below ? t->ops->get_below(t) : NULL;
    }
    return bytes;
}

int weir_transport_set_write_buffer_limits(weir_transport *t,
                                           struct weir_water_marks marks)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->limits_changed, -EOPNOTSUPP);
    const bool has_high = marks.high_bytes != WEIR_DEFAULT;
    const bool has_low = marks.low_bytes != WEIR_DEFAULT;
    int64_t high_bytes = has_high ? marks.high_bytes : WR_HIGH_DEFAULT;
    int64_t low_bytes = has_low ? marks.low_bytes : high_bytes / 4;
    if (has_low && !has_high) {
        high_bytes = low_bytes > INT64_MAX / 4 ? INT64_MAX : low_bytes * 4;
    }
    wr_require(low_bytes >= 0 && high_bytes >= low_bytes, -EINVAL);
    wr_transport_set_marks(t, (uint64_t)high_bytes, (uint64_t)low_bytes);
    t->ops->limits_changed(t);
    return 0;
}

static int64_t transport_mark_of(uint32_t bytes)
{
    return bytes == WR_NO_LIMIT ? INT64_MAX : (int64_t)bytes;
}

struct weir_water_marks
weir_transport_get_write_buffer_limits(const weir_transport *t)
{
    return (struct weir_water_marks){
        .high_bytes = transport_mark_of(t->high_bytes),
        .low_bytes = transport_mark_of(t->low_bytes),
    };
}

uint64_t weir_transport_get_write_buffer_size(const weir_transport *t)
{
    return t->ops->get_depth ? t->ops->get_depth(t) : 0;
}

int weir_transport_set_write_hard_limit(weir_transport *t, uint64_t limit_bytes)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->get_depth, -EOPNOTSUPP);
    wr_transport_set_hard_limit(t, limit_bytes ? limit_bytes
                                               : WR_HARD_LIMIT_DEFAULT);
    return 0;
}

int weir_transport_set_timeouts(weir_transport *t,
                                const struct weir_timeouts *timeouts)
{
    struct weir_timeouts known;
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->set_timeouts, -EOPNOTSUPP);
    err = wr_options_read(&known, sizeof(known), timeouts);
    wr_require(err >= 0, err);
    return t->ops->set_timeouts(t, &known);
}

/* Aborts, so that the peer does not take a part for the whole stream. */
static int transport_break_off(weir_transport *t)
{
    const struct weir_exception exception = {
        .message = "closed after a write was refused: connection aborted",
        .err = t->write_error,
        .transport = t,
    };
    const int err = wr_transport_take_write_error(t);

    wr_assert(err < 0);
    wr_transport_set_error(t, err, "write");
    t->ops->abort(t);
    wr_loop_report(t->loop, &exception);
    return err;
}

int weir_transport_close(weir_transport *t)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    if (t->write_error && !t->ops->is_closing(t)) {
        return transport_break_off(t);
    }
    t->ops->close(t);
    return 0;
}

int weir_transport_abort(weir_transport *t)
{
    int err = wr_transport_enter(t);
    if (err == 0) {
        t->ops->abort(t);
    }
    return err;
}

int weir_transport_set_busy(weir_transport *t, bool busy)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_transport_check_invariants(t);
    t->is_busy = busy;
    if (!busy) {
        wr_transport_note_idle(t);
    }
    return 0;
}

bool weir_transport_is_closing(const weir_transport *t)
{
    return t->is_below || t->ops->is_closing(t);
}

int weir_transport_set_protocol(weir_transport *t,
                                const struct weir_protocol_binding *binding,
                                const struct weir_buf *initial, size_t count)
{
    int err = wr_transport_enter(t);
    if (err < 0) {
        return err;
    }
    wr_require(t->ops->set_protocol && !t->is_part, -EOPNOTSUPP);
    wr_require(binding && wr_protocol_fits(t, binding), -EINVAL);
    return t->ops->set_protocol(t, binding, initial, count);
}

struct weir_protocol_binding
weir_transport_get_protocol(const weir_transport *t)
{
    return t->binding;
}

weir_loop *weir_transport_get_loop(const weir_transport *t)
{
    return t->loop;
}

weir_transport *weir_transport_ref(weir_transport *t)
{
    wr_assert(t->refs > 0);
    t->refs++;
    return t;
}

void wr_transport_unref(weir_transport *t)
{
    wr_assert(!t || t->refs > 0);
    if (t && --t->refs == 0) {
        if (t->evictable) { /* the reader may live longer than the transport */
            t->evictable->place = NULL;
            t->evictable = NULL;
        }
        wr_transport_free_if_unused(t);
    }
}

void weir_transport_unref(weir_transport *t)
{
    if (t && wr_loop_admits(t->loop)) {
        wr_transport_unref(t);
    }
}

int weir_buf_ref(struct weir_buf *buf)
{
    wr_require(buf && buf->lease && buf->len > 0, -EINVAL);
    return wr_lease_keep(buf);
}

void weir_buf_unref(weir_lease *lease)
{
    if (lease &&
        wr_loop_admits(wr_container_of(lease->pool, weir_loop, pool))) {
        wr_lease_unref(lease);
    }
}

/* ---- queries; they also work after the loss ---- */

/* The lowest transport has the descriptor and the addresses. */
static const weir_transport *transport_lowest(const weir_transport *t)
{
    while (t->ops->get_below) {
        t = t->ops->get_below(t);
    }
    return t;
}

void weir_transport_get_peername(const weir_transport *t,
                                 struct weir_address *ret)
{
    if (!wr_loop_admits(t->loop)) {
        ret->len = 0;
        return;
    }
    t = transport_lowest(t);
    if (t->ops->get_peername) {
        t->ops->get_peername(t, ret);
    } else {
        ret->len = 0;
    }
}

void weir_transport_get_sockname(const weir_transport *t,
                                 struct weir_address *ret)
{
    if (!wr_loop_admits(t->loop)) {
        ret->len = 0;
        return;
    }
    t = transport_lowest(t);
    if (t->ops->get_sockname) {
        t->ops->get_sockname(t, ret);
    } else {
        ret->len = 0;
    }
}

int weir_transport_get_socket(const weir_transport *t)
{
    t = transport_lowest(t);
    return t->ops->get_socket ? t->ops->get_socket(t) : -EOPNOTSUPP;
}

static int transport_ask(const weir_transport *t, const char *name,
                         struct weir_extra_info *ret)
{
    for (;;) {
        const int err = t->ops->get_extra_info
                            ? t->ops->get_extra_info(t, name, ret)
                            : -ENOENT;
        if (err != -ENOENT || !t->ops->get_below) {
            return err == -ENODATA ? -ENOENT : err;
        }
        t = t->ops->get_below(t);
        wr_assert(t);
    }
}

int weir_transport_get_extra_info(const weir_transport *t, const char *name,
                                  struct weir_extra_info *ret)
{
    const weir_transport *lowest = transport_lowest(t);
    struct weir_extra_info info = {.fd = -1};
    int err = wr_answer_check(ret);
    wr_require(err >= 0, err);

    if (lowest->ops->get_peername && strcmp(name, "peername") == 0) {
        lowest->ops->get_peername(lowest, &info.address);
    } else if (lowest->ops->get_sockname && strcmp(name, "sockname") == 0) {
        lowest->ops->get_sockname(lowest, &info.address);
    } else if (lowest->ops->get_socket && strcmp(name, "socket") == 0) {
        info.fd = lowest->ops->get_socket(lowest);
    } else {
        err = transport_ask(t, name, &info);
        wr_require(err >= 0, err);
    }
    wr_answer_write(ret, &info, sizeof(info));
    return 0;
}

enum weir_end weir_transport_get_end(const weir_transport *t)
{
    return t->end;
}

int weir_transport_get_error(const weir_transport *t)
{
    wr_assert(t->error <= 0);
    return t->error;
}

const char *weir_transport_get_error_text(const weir_transport *t, char *buf,
                                          size_t size)
{
    static const char *const ends[] = {
        [WEIR_END_NONE] = "open",
        [WEIR_END_CLOSED] = "closed by us",
        [WEIR_END_EOF] = "end of stream",
        [WEIR_END_ABORTED] = "aborted by us",
        [WEIR_END_BROKEN] = "broken",
        [WEIR_END_MOVED] = "moved to another loop",
    };
    struct weir_extra_info info = {.size = sizeof(info),
                                   .text = weir_strerror(t->error)};
    struct weir_address peername;
    char peer[WEIR_ADDRESS_TEXT_SIZE];

    wr_assert(t->end < sizeof(ends) / sizeof(ends[0]));
    wr_ignore(weir_transport_get_extra_info(t, "tls_error", &info) < 0);
    weir_transport_get_peername(t, &peername);
    wr_ignore(!weir_address_format(&peername, peer, sizeof(peer)));
    const char *what = t->error ? t->error_what : ends[t->end];
    wr_ignore(snprintf(buf, size, "%s %s: %s%s%s", t->ops->name, peer, what,
                       t->error ? ": " : "", t->error ? info.text : "") < 0);
    return buf;
}

const char *wr_transport_get_alert(const weir_transport *t)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(t, "tls_alert", &info) < 0) {
        return NULL;
    }
    wr_assert(info.text);
    return info.text;
}

void wr_transport_count(const struct wr_member *member,
                        struct weir_loop_statistics *ret)
{
    const weir_transport *t = wr_container_of(member, weir_transport, member);

    wr_assert(t->loop);
    if (wr_transport_is_connection(t)) {
        ret->queued_held_bytes += wr_sendq_held_bytes(&wr_outbox_of(t)->queue);
    }
    wr_assert(ret->queued_held_bytes <= ret->queued_bytes);
}

/* ---- replacing another transport ----
 *
 * For the program the upper of two transports is the connection: the loop ends
 * it, the server counts it, and it resumes a protocol that the lower one had
 * paused. The lower one keeps its descriptor, and gets the default water
 * marks. */

/* Owner of a replaced transport: no thread may call its public functions. */
static const void *const volatile transport_nobody;

int wr_transport_enter_slowly(const weir_transport *t)
{
    const int err = wr_loop_check(t->loop);

    wr_assert((t->owner == &transport_nobody) == t->is_below);
    return err == 0 && t->is_below ? WEIR_EREPLACED : err;
}

void wr_transport_take_place(weir_transport *t, weir_transport *below)
{
    wr_assert(!below->is_below && wr_list_is_linked(&below->member.link));
    wr_assert(!t->set && !t->handler);
    wr_loop_add_member(t->loop, &t->member);
    wr_loop_remove_member(t->loop, &below->member);
    below->is_below = true;
    below->owner = &transport_nobody;
    t->handler = below->handler;
    t->is_busy = below->is_busy;
    below->handler = NULL;
    if (below->set) {
        t->set = below->set;
        /* Keeps the position in the server's list. */
        wr_list_push_back(&below->set_link, &t->set_link);
        wr_list_remove(&below->set_link);
        below->set = NULL;
    }
    wr_transport_set_marks(t, below->high_bytes, below->low_bytes);
    wr_transport_set_marks(below, WR_HIGH_DEFAULT, WR_LOW_DEFAULT);
    wr_assert(!t->writing_paused && !t->flush);
    t->writing_paused = below->writing_paused;
    t->flush = below->flush;
    t->must_notify = below->must_notify;
    below->writing_paused = false;
    below->flush = NULL;
    below->must_notify = false;
}

int wr_refuse_write(weir_transport *t, const void *data, size_t len)
{
    (void)data;
    (void)len;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}

int wr_refuse_writelines(weir_transport *t, const struct iovec *iov,
                         size_t count, size_t total)
{
    (void)iov;
    (void)count;
    (void)total;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}

int wr_refuse_write_ref(weir_transport *t, const void *data, size_t len,
                        weir_release_fn *release, void *arg)
{
    (void)data;
    (void)len;
    (void)release;
    (void)arg;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}

int wr_refuse_write_lease(weir_transport *t, const struct weir_buf *buf)
{
    (void)buf;
    wr_assert(!t->ops->can_write_eof);
    return -EOPNOTSUPP;
}
