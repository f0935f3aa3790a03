/*
 * Connections of a thread, and the queue of those to be made.
 *
 * Timeouts are found by checking the oldest request of every connection several
 * times within --timeout. A timer for each request would cost more than all
 * other bookkeeping. So a request may time out late, by up to a sixteenth of
 * --timeout or 2 ms, whichever is longer. Its recorded time includes this
 * delay.
 */
#include "client.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"
#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/measure/measure.h"

#include "weir/error.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MILLISECOND UINT64_C(1000000)

/* First and longest delay before a reconnect. It doubles each time. */
#define RETRY_FIRST_NS (50 * MILLISECOND)
#define RETRY_LAST_NS  (1000 * MILLISECOND)

/* Failures per connection after which a client without success gives up. */
#define HOPELESS_ROUNDS 3U

/* Timeouts are checked WATCH_PART times within --timeout, but at least
 * WATCH_FIRST_NS and at most WATCH_LAST_NS apart. */
#define WATCH_PART     16U
#define WATCH_FIRST_NS (2 * MILLISECOND)
#define WATCH_LAST_NS  (250 * MILLISECOND)

/* How many failures -v prints. */
#define LINES_MAX 20U

/* --conn-stages: time between two checks, and connections per check. */
#define STAGE_PAUSE_NS (10 * MILLISECOND)
#define STAGE_LOOKS    8192U

static void make_connections(void *arg);

static bool is_hopeless(const struct client *client)
{
    const struct traffic *traffic = &client->traffic;
    uint64_t failures = client->traffic.connections.failed +
                        client->traffic.connections.lost +
                        client->datagram_errors;
    /* --conn-stages may start without connections. */
    uint64_t tried = client->most_wanted > 0 ? client->most_wanted : 1;

    if (traffic->measured.ok + traffic->warmup.ok > 0) {
        return false;
    }
    return failures >= HOPELESS_ROUNDS * tried ||
           (client->traffic.connections.opened == 0 &&
            client_count_wanted(client, 0) > 0 &&
            client->settled == client->conn_count);
}

static void settle(struct client *client, struct conn *conn)
{
    if (conn->settled) {
        return;
    }
    conn->settled = true;
    client->settled++;
    if (client->settled == client->conn_count &&
        client->traffic.connections.opened > 0 && !client->stopping) {
        client->on_event(client->on_event_arg, CLIENT_SETTLED);
    }
}

static void enqueue(struct client *client, const struct conn *conn)
{
    uint64_t conn_count = client->conn_count;

    client
        ->waiting[(client->waiting_head + client->waiting_count) % conn_count] =
        (uint32_t)(conn - client->conns);
    client->waiting_count++;
}

static void retry_cb(void *arg)
{
    struct conn *conn = arg;
    struct client *client = conn->traffic->events_arg;

    enqueue(client, conn);
    make_connections(client);
}

static void retry_later(struct client *client, struct conn *conn)
{
    uint64_t delay_ns = RETRY_FIRST_NS;

    if (client->stopping) {
        return;
    }
    const uint32_t ends = conn->failures + conn->ended_new;

    for (uint32_t i = 1; i < ends && delay_ns < RETRY_LAST_NS; i++) {
        delay_ns *= 2;
    }
    delay_ns = delay_ns < RETRY_LAST_NS ? delay_ns : RETRY_LAST_NS;
    int err =
        weir_loop_call_later(client->loop, delay_ns, retry_cb, conn, NULL);
    if (err < 0) {
        say("connection %u is not opened again: %s", conn->index,
            weir_strerror(err));
    }
}

static void check_hope(struct client *client)
{
    if (!client->stopping && is_hopeless(client)) {
        client->on_event(client->on_event_arg, CLIENT_HOPELESS);
    }
}

static const struct target *find_target(const struct client *client,
                                        const struct conn *conn)
{
    return options_target(client->options, conn->index);
}

/* Records the time to connect, and separately the time of the TLS handshake. */
static void note_connect(struct client *client, const struct conn *conn,
                         uint64_t time_ns)
{
    if (find_target(client, conn)->is_tls) {
        uint64_t handshake_ns =
            tls_note_handshake(&client->tls_facts, conn->transport);
        histogram_record(client->handshake_latency, handshake_ns);
        time_ns -= handshake_ns < time_ns ? handshake_ns : time_ns;
    }
    histogram_record(client->connect_latency, time_ns);
}

static void go_on(struct conn *conn, uint64_t now_ns)
{
    const struct traffic *traffic = conn->traffic;

    if (conn->repeats) {
        conn->way->kind->repeat(conn);
    }
    if (conn->state != CONN_OPEN) {
        return; /* a write has failed */
    }
    if (traffic->pacing) {
        pacing_offer(conn, now_ns);
    } else if (traffic->sending) {
        conn_fill(conn, now_ns);
    }
}

static void on_opened(void *arg, struct conn *conn)
{
    struct client *client = arg;
    struct weir_address own;
    struct weir_address peer;

    client->traffic.connections.opened++;
    client->open_now++;
    conn->was_made = true;
    uint64_t now_ns = clock_now_ns();
    note_connect(client, conn, now_ns - conn->connect_began_ns);
    if (client->traffic.connections.opened == 1) {
        weir_transport_get_sockname(conn->transport, &own);
        weir_transport_get_peername(conn->transport, &peer);
        client->same_machine = host_is_same(&own, &peer);
    }
    if (!opening_prepare(conn)) {
        settle(client, conn);
    } else if (client->traffic.preamble) {
        conn_preamble_begin(conn, now_ns);
    } else {
        go_on(conn, now_ns);
        settle(client, conn);
    }
}

static void on_prepared(void *arg, struct conn *conn)
{
    go_on(conn, clock_now_ns());
    settle(arg, conn);
}

static void on_failed(void *arg, struct conn *conn, struct error_kind *first)
{
    struct client *client = arg;

    if (client->options->verbose && client->lines < LINES_MAX) {
        client->lines++;
        say("%s: %s%s%s", error_phase_name(first->phase),
            error_code_text(first->code), first->detail[0] ? ": " : "",
            first->detail);
    }
}

static void on_lost(void *arg, struct conn *conn)
{
    struct client *client = arg;

    client->open_now--;
    if (client->stopping) {
        return;
    }
    client->traffic.connections.lost++;
    settle(client, conn); /* it may have failed in its preamble */
    retry_later(client, conn);
    check_hope(client);
}

static void on_closed(void *arg, struct conn *conn, weir_transport *t)
{
    struct client *client = arg;
    const struct traffic *traffic = &client->traffic;
    /* Sending has ended, or -n is reached. */
    const bool is_over =
        (traffic->measuring && !traffic->sending) || traffic->remaining == 0;

    weir_tls_session *session =
        client->options->tls.resume_share > 0 ? tls_take_session(t) : NULL;
    if (session) {
        tls_drop_session(conn->session);
        conn->session = session;
    }
    client->open_now--;
    if (client->stopping || (is_over && !conn->repeats)) {
        return;
    }
    if (conn->failures + conn->ended_new > 0) {
        retry_later(client, conn);
    } else {
        enqueue(client, conn);
        make_connections(client);
    }
}

static void on_datagram_error(void *arg)
{
    struct client *client = arg;

    client->datagram_errors++;
    check_hope(client);
}

static void on_drained(void *arg)
{
    struct client *client = arg;

    if (!client->stopping) {
        client->on_event(client->on_event_arg, CLIENT_DRAINED);
    }
}

/* Returns true if the caller must try the next address of a datagram target. A
 * stream tries all addresses itself. */
static bool has_next_address(const struct client *client, struct conn *conn)
{
    const struct target *target = find_target(client, conn);
    const struct target *place = options_place(client->options, target);

    if (!target->is_datagram ||
        conn->address_index + 1 >= place->address_count) {
        conn->address_index = 0;
        return false;
    }
    conn->address_index++;
    return true;
}

static void connect_failed(struct client *client, struct conn *conn, int err,
                           const char *text)
{
    const bool is_shaken =
        find_target(client, conn)->is_tls && tls_is_handshake_error(err);
    /* This machine, not the server, caused the error. */
    const bool is_shortage = err == -EADDRNOTAVAIL || err == -EADDRINUSE ||
                             err == -EMFILE || err == -ENFILE ||
                             err == -ENOMEM || err == -ENOBUFS;

    if (has_next_address(client, conn)) {
        enqueue(client, conn);
        return;
    }
    tls_drop_session(conn->session); /* the session may be the cause */
    conn->session = NULL;
    client->traffic.connections.failed++;
    client->tls_facts.failed += is_shaken;
    conn_fail_connect(conn, is_shaken ? PHASE_TLS : PHASE_CONNECT, err, text,
                      is_shortage);
    settle(client, conn);
    retry_later(client, conn);
    check_hope(client);
}

static void on_tried(void *arg, struct conn *conn, int err, const char *text)
{
    struct client *client = arg;

    client->connecting--;
    if (err < 0 && !client->stopping) {
        connect_failed(client, conn, err, text);
    }
    make_connections(client);
}

static const struct conn_events events = {
    .opened = on_opened,
    .prepared = on_prepared,
    .failed = on_failed,
    .tried = on_tried,
    .lost = on_lost,
    .closed = on_closed,
    .datagram_error = on_datagram_error,
    .drained = on_drained,
};

static void make_connection(struct client *client, struct conn *conn)
{
    const struct target *target = find_target(client, conn);

    conn_reset(conn);
    conn->way->kind->prepare(conn, target);
    client->connecting++;
    int err = attempts_start(&client->attempts, conn, target);
    if (err < 0) {
        client->connecting--;
        connect_failed(client, conn, err, "");
    }
}

/* Returns true if --conn-rate allows a connection now; otherwise starts a
 * timer. */
static bool is_in_pace(struct client *client)
{
    double rate = client->options->conn_rate / client->share.thread_count;
    uint64_t now_ns = clock_now_ns();

    if (client->options->conn_rate <= 0) {
        return true;
    }
    if (client->next_connect_ns > now_ns) {
        weir_handle_cancel(client->loop, client->pace);
        int err = weir_loop_call_at(client->loop, client->next_connect_ns,
                                    make_connections, client, &client->pace);
        return err < 0;
    }
    /* A pause is not made up for by a burst. */
    if (client->next_connect_ns + (uint64_t)(1e9 / rate) < now_ns) {
        client->next_connect_ns = now_ns;
    }
    client->next_connect_ns += (uint64_t)(1e9 / rate);
    return true;
}

static void make_connections(void *arg)
{
    struct client *client = arg;

    while (client->waiting_count > 0 && !client->stopping) {
        uint32_t index = client->waiting[client->waiting_head];
        struct conn *conn = &client->conns[index];
        const bool is_wanted = index < client->wanted || conn->repeats;
        if (is_wanted &&
            (client->connecting >= ATTEMPTS_MAX || !is_in_pace(client))) {
            return;
        }
        client->waiting_head = (client->waiting_head + 1) % client->conn_count;
        client->waiting_count--;
        if (is_wanted) {
            make_connection(client, conn);
        } else {
            conn->is_parked = true;
            client->parked++;
        }
    }
}

uint64_t client_count_wanted(const struct client *client, uint64_t time_ns)
{
    const struct run_options *options = client->options;

    if (!options_has_conn_stages(options)) {
        return client->conn_count;
    }
    return conn_stages_share(conn_stages_at(&options->conn_stages, time_ns),
                             options->whole_conn_count,
                             client->share.first_conn, client->conn_count);
}

/* Raises the number of wanted connections and makes parked connections again.
 * The others are still open or ending. */
static void want_more(struct client *client, uint64_t wanted)
{
    for (uint64_t i = client->wanted; i < wanted; i++) {
        struct conn *conn = &client->conns[i];
        if (conn->is_parked) {
            conn->is_parked = false;
            client->parked--;
            enqueue(client, conn);
        }
    }
    client->wanted = wanted;
    client->most_wanted =
        wanted > client->most_wanted ? wanted : client->most_wanted;
    make_connections(client);
}

/* Retires open connections that are not wanted. Other connections are handled
 * when they open or fail. */
static void retire_unwanted(struct client *client, uint64_t now_ns)
{
    const uint64_t above = client->conn_count - client->wanted;
    uint64_t looks = above < STAGE_LOOKS ? above : STAGE_LOOKS;

    if (client->parked == above) {
        return;
    }
    for (; looks > 0; looks--) {
        if (client->next_above < client->wanted ||
            client->next_above >= client->conn_count) {
            client->next_above = client->wanted;
        }
        struct conn *conn = &client->conns[client->next_above++];
        if (conn->state != CONN_OPEN) {
            continue;
        }
        if (client->options->mode == RUN_MODE_IDLE) {
            conn_end_hold(conn, now_ns);
        }
        conn_retire(conn);
    }
}

static void stage_cb(void *arg)
{
    struct client *client = arg;
    const uint64_t now_ns = clock_now_ns();

    if (client->stopping) {
        return;
    }
    const uint64_t wanted =
        client_count_wanted(client, now_ns - client->stages_ns);
    if (wanted > client->wanted) {
        want_more(client, wanted);
    } else if (wanted < client->wanted) {
        client->wanted = wanted;
        client->next_above = wanted;
    }
    retire_unwanted(client, now_ns);
    int err = weir_loop_call_later(client->loop, STAGE_PAUSE_NS, stage_cb,
                                   client, &client->stage_look);
    if (err < 0) {
        say("--conn-stages cannot be followed: %s", weir_strerror(err));
    }
}

void client_follow_stages(struct client *client, uint64_t window_ns)
{
    const uint64_t now_ns = clock_now_ns();

    if (options_has_conn_stages(client->options)) {
        client->stages_ns = window_ns < now_ns ? window_ns : now_ns;
        stage_cb(client);
    }
}

static void watch_cb(void *arg)
{
    struct client *client = arg;
    uint64_t timeout_ns = client->options->timeout_ns;
    uint64_t now_ns = clock_now_ns();

    if (client->stopping) {
        return;
    }
    for (uint64_t i = 0; i < client->conn_count; i++) {
        struct conn *conn = &client->conns[i];
        if (conn->state == CONN_OPEN) {
            conn->way->kind->expire(conn, now_ns, timeout_ns);
        } else if (conn->state == CONN_PREAMBLE) {
            conn_preamble_expire(conn, now_ns, timeout_ns);
        }
    }
    uint64_t pause_ns = timeout_ns / WATCH_PART;
    pause_ns = pause_ns > WATCH_FIRST_NS ? pause_ns : WATCH_FIRST_NS;
    pause_ns = pause_ns < WATCH_LAST_NS ? pause_ns : WATCH_LAST_NS;
    int err = weir_loop_call_later(client->loop, pause_ns, watch_cb, client,
                                   &client->watch);
    if (err < 0) {
        say("time-outs are no longer watched: %s", weir_strerror(err));
    }
}

static int open_codecs(struct client *client)
{
    const struct run_options *options = client->options;
    void *const *first = client->share.first_shared;
    int err = 0;

    for (size_t i = 0; i < CODEC_WAYS && err == 0; i++) {
        const struct codec *codec = codec_find(options, i);
        const struct codec_thread thread = {.options = options,
                                            .first = first ? first[i] : NULL};
        if (codec && !options->targets[0].is_datagram) {
            err = codec->open(&thread, &client->codec_shared[i]);
        }
    }
    return err;
}

int client_init(struct client *client, const struct client_share *share)
{
    const struct run_options *options = share->options;
    uint32_t ring_size = 1;

    while (ring_size < options->depth) {
        ring_size *= 2;
    }
    *client = (struct client){
        .options = options, .share = *share, .conn_count = share->conn_count};
    if (!client_get_memory(client, ring_size)) {
        say("no memory for %llu connections", LLU(share->conn_count));
        return -ENOMEM;
    }
    attempts_init(&client->attempts, share->tls);
    int err = open_codecs(client);
    if (err < 0) {
        return err;
    }
    err = preamble_requests_new(options, &client->preamble);
    if (err < 0) {
        return err;
    }
    if (client->payload) {
        payload_init(client->payload, options->seed);
    }
    histogram_begin(client->connect_latency);
    histogram_begin(client->handshake_latency);
    client_prepare(client, ring_size, &events);
    return 0;
}

int client_start(struct client *client, weir_loop *loop,
                 client_event_fn *on_event, void *arg)
{
    client->loop = loop;
    client->traffic.loop = loop;
    client->on_event = on_event;
    client->on_event_arg = arg;
    int err = weir_loop_call_soon(client->loop, watch_cb, client, NULL);
    if (err < 0) {
        return err;
    }
    reading_start(&client->traffic);
    make_connections(client);
    if (client->wanted == 0) {
        client->on_event(client->on_event_arg, CLIENT_SETTLED);
    }
    return 0;
}

void client_begin_window(struct client *client)
{
    if (options_is_churn(client->options) && client->traffic.sending) {
        histogram_clear(client->connect_latency);
        histogram_clear(client->handshake_latency);
    }
}

void client_send(struct client *client, bool measuring)
{
    uint64_t now_ns = clock_now_ns();

    client->traffic.measuring = measuring;
    client->traffic.sending = true;
    for (uint64_t i = 0; i < client->conn_count; i++) {
        struct conn *conn = &client->conns[i];
        conn_mark_warmup(conn);
        if (conn->state == CONN_OPEN) {
            conn_fill(conn, now_ns);
        }
    }
}

void client_send_scheduled(struct client *client, uint64_t begin_ns,
                           uint64_t window_ns, uint64_t end_ns)
{
    const struct run_options *options = client->options;
    struct pacing *pacing = &client->pacing;
    uint64_t now_ns = clock_now_ns();

    client->traffic.sending = true;
    if (options->max_in_flight > 0) {
        pacing->in_flight_max = client_part(client, options->max_in_flight);
    }
    pacing->is_skipping = options->late_is_skipped;
    pacing_start(pacing, client->loop, begin_ns, window_ns, end_ns);
    for (uint64_t i = 0; i < client->conn_count; i++) {
        pacing_offer(&client->conns[i], now_ns);
    }
}

uint64_t client_count_present(const struct client *client)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < client->conn_count; i++) {
        const struct conn *conn = &client->conns[i];
        count +=
            conn->state == CONN_OPEN || (conn->was_made && conn->failures == 0);
    }
    return count;
}

uint64_t client_part(const struct client *client, uint64_t whole)
{
    const uint64_t index = client->share.thread_index;
    const uint64_t count = client->share.thread_count;

    return whole / count + (index < whole % count);
}

void client_end_window(struct client *client)
{
    uint64_t now_ns = clock_now_ns();

    if (client->options->mode != RUN_MODE_IDLE) {
        return;
    }
    for (uint64_t i = 0; i < client->conn_count; i++) {
        conn_end_hold(&client->conns[i], now_ns);
    }
}

void client_stop_sending(struct client *client)
{
    weir_handle_cancel(client->loop, client->stage_look);
    /* Unsent requests of the schedule are still sent: they were due. */
    if (!client->traffic.pacing) {
        client->traffic.sending = false;
    }
    conn_tell_drained(&client->traffic);
}

uint64_t client_count_unanswered(const struct client *client,
                                 uint64_t *ret_unseen)
{
    uint64_t count = 0;

    *ret_unseen = 0;
    for (uint64_t i = 0; i < client->conn_count; i++) {
        const struct conn *conn = &client->conns[i];
        if (conn->was_tried && !conn->was_answered) {
            count++;
            *ret_unseen += !conn->was_counted;
        }
    }
    return count;
}

void client_stop(struct client *client)
{
    client->stopping = true;
    client->traffic.sending = false;
    /* Later results of these connections are not counted. */
    for (uint64_t i = 0; i < client->conn_count; i++) {
        struct conn *conn = &client->conns[i];
        if (conn->state == CONN_OPEN && conn->way->kind->leave) {
            conn->way->kind->leave(conn);
        }
        if (conn->state == CONN_OPEN || conn->state == CONN_PREAMBLE) {
            conn->state = CONN_LEAVING;
        }
    }
    if (client->traffic.pacing) {
        pacing_stop(client->traffic.pacing, clock_now_ns());
    }
    reading_stop(&client->traffic);
    weir_handle_cancel(client->loop, client->watch);
    weir_handle_cancel(client->loop, client->pace);
    weir_handle_cancel(client->loop, client->stage_look);
}
