/*
 * One active check of an upstream.
 *
 * Its connection is aborted as soon as the result is known, so that a check
 * leaves nothing behind at either end. The peer sees a reset then, after an
 * answer too.
 */
#include "probe.h"

#include "lib/transport/transport.h"
#include "weir/error.h"

#include <string.h>

static void probe_check_invariants(const struct wr_probe *probe)
{
    wr_assert(probe->state != WR_PROBE_IDLE || (!probe->connect && !probe->t));
    wr_assert((probe->state == WR_PROBE_RUNNING) ==
              wr_timer_is_armed(&probe->timer));
    wr_assert(probe->result <= 0);
}

static const bool probe_edges[WR_PROBE_STATES][WR_PROBE_STATES] = {
    [WR_PROBE_IDLE] = {[WR_PROBE_RUNNING] = true},
    [WR_PROBE_RUNNING] = {[WR_PROBE_LEAVING] = true},
    [WR_PROBE_LEAVING] = {[WR_PROBE_IDLE] = true},
};

/* The only writer of the state. */
static void probe_set_state(struct wr_probe *probe, enum wr_probe_state state)
{
    wr_assert(probe_edges[probe->state][state]);
    probe->state = state;
}

/* The result is known: all that is left of the probe ends. */
static void probe_settle(struct wr_probe *probe, int result)
{
    wr_assert(result <= 0);
    if (probe->state != WR_PROBE_RUNNING) {
        return;
    }
    wr_timer_cancel(&probe->loop->wheel, &probe->timer);
    probe_set_state(probe, WR_PROBE_LEAVING);
    probe->result = result;
    if (probe->connect) {
        weir_pending_cancel(probe->connect);
    }
    if (probe->t) {
        weir_transport_abort(probe->t);
    }
}

static void probe_end_if_gone(struct wr_probe *probe)
{
    if (probe->state == WR_PROBE_LEAVING && !probe->connect && !probe->t) {
        probe_set_state(probe, WR_PROBE_IDLE);
        probe_check_invariants(probe);
        probe->ended(probe, probe->result);
    }
}

/* ---- the talk ---- */

static int probe_write(struct wr_probe *probe, const char *text)
{
    wr_assert(probe->t != NULL);
    return weir_transport_write(probe->t, text, strlen(text));
}

static int probe_ask(struct wr_probe *probe)
{
    const struct weir_upstream_check *plan = &probe->check->plan;

    wr_assert(probe->state == WR_PROBE_RUNNING);
    if (plan->kind == WEIR_CHECK_TEXT) {
        return plan->send_size == 0 ? 0
                                    : weir_transport_write(probe->t, plan->send,
                                                           plan->send_size);
    }
    char host[WR_PLACE_SIZE];
    wr_target_write_authority(probe->target, host);
    const char *const texts[] = {
        "GET ", plan->path,
        " HTTP/1.1\r\nHost: ", plan->host ? plan->host : host,
        "\r\nUser-Agent: weir\r\nConnection: close\r\n\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        const int err = probe_write(probe, texts[i]);
        wr_require(err >= 0, err);
    }
    return 0;
}

static void probe_connection_made(void *user, weir_transport *t)
{
    struct wr_probe *probe = user;

    wr_assert(!probe->t);
    probe->t = t;
}

static void probe_connection_lost(void *user, weir_transport *t, int err)
{
    struct wr_probe *probe = user;

    wr_assert(probe->t == t);
    if (probe->state == WR_PROBE_RUNNING) { /* TLS 1.3 refuses as late */
        probe->alert = wr_transport_get_alert(t);
    }
    probe->t = NULL;
    probe_settle(probe, err < 0 ? err : -EPROTO);
    probe_end_if_gone(probe);
}

static int probe_data_received(void *user, weir_transport *t,
                               const struct weir_buf *buf)
{
    struct wr_probe *probe = user;

    wr_assert(probe->t == t);
    (void)t;
    if (probe->state != WR_PROBE_RUNNING ||
        !wr_check_has_answer(probe->check)) {
        return 0;
    }
    const size_t room = wr_check_get_room(probe->check) - probe->answer_len;
    const size_t len = buf->len < room ? buf->len : room;
    memcpy(probe->answer + probe->answer_len, buf->data, len);
    probe->answer_len += len;
    const enum wr_verdict verdict = wr_check_judge(
        probe->check, probe->answer, probe->answer_len, &probe->status);
    if (verdict != WR_VERDICT_MORE) {
        probe_settle(probe, verdict == WR_VERDICT_GOOD ? 0 : -EPROTO);
    }
    return 0;
}

static const struct weir_protocol probe_protocol = {
    .size = sizeof(struct weir_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = probe_connection_made,
    .connection_lost = probe_connection_lost,
    .data_received = probe_data_received};

static int probe_create(void *arg, weir_transport *t,
                        struct weir_protocol_binding *ret)
{
    (void)t;
    *ret = (struct weir_protocol_binding){&probe_protocol, arg};
    return 0;
}

static void probe_connected(void *arg, int err, weir_transport *t)
{
    struct wr_probe *probe = arg;

    wr_assert(probe->connect != NULL);
    wr_assert(err < 0 || t);
    (void)t;
    if (probe->state == WR_PROBE_RUNNING && err < 0) {
        probe->alert = weir_connect_get_tls_alert(probe->connect);
    }
    probe->connect = NULL;
    if (err < 0 || !wr_check_has_answer(probe->check)) {
        probe_settle(probe, err);
    } else if (probe->state == WR_PROBE_RUNNING && probe->t) {
        err = probe_ask(probe);
        if (err < 0) {
            probe_settle(probe, err);
        }
    }
    probe_end_if_gone(probe);
}

static void probe_timer_expired(struct wr_timer *timer)
{
    struct wr_probe *probe = wr_container_of(timer, struct wr_probe, timer);

    wr_assert(probe->state == WR_PROBE_RUNNING);
    probe_settle(probe, -ETIMEDOUT);
}

void wr_probe_init(struct wr_probe *probe, weir_loop *loop,
                   const struct wr_check *check, uint8_t *answer,
                   void (*ended)(struct wr_probe *probe, int err))
{
    wr_assert(ended != NULL);
    *probe = (struct wr_probe){
        .loop = loop, .check = check, .ended = ended, .answer = answer};
    wr_timer_init(&probe->timer, probe_timer_expired);
}

int wr_probe_start(struct wr_probe *probe, struct wr_target *target)
{
    const struct weir_factory factory = {probe_create, probe};
    const struct weir_connect_options options = {
        .size = sizeof(struct weir_connect_options)};

    wr_assert(wr_probe_is_idle(probe));
    const int err = wr_target_connect(target, &factory, &options,
                                      probe->check->plan.kind != WEIR_CHECK_TCP,
                                      probe_connected, probe, &probe->connect);
    wr_require(err >= 0, err);
    probe->target = target;
    probe->answer_len = 0;
    probe->status = 0;
    probe->alert = NULL;
    probe_set_state(probe, WR_PROBE_RUNNING);
    wr_timer_arm(&probe->loop->wheel, &probe->timer,
                 wr_add_sat(weir_loop_get_time(probe->loop),
                            probe->check->plan.timeout_ns));
    probe_check_invariants(probe);
    return 0;
}

void wr_probe_give_up(struct wr_probe *probe)
{
    probe_check_invariants(probe);
    probe_settle(probe, -ECANCELED);
}
