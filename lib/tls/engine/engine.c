/*
 * The TLS engine: states, errors and steps.
 *
 * Each step calls the backend and turns the result into a byte count, -EAGAIN
 * or the sticky error. take() never reports the transport's end of stream to
 * the backend. Instead, this file detects the truncation when the backend wants
 * more input after the end.
 */
#include "engine.h"

#include "engine_impl.h"
#include "lib/tls/context/context.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>

static const uint8_t engine_next_states[] = {
    [WR_TLS_ENGINE_HANDSHAKE] =
        1u << WR_TLS_ENGINE_OPEN | 1u << WR_TLS_ENGINE_FAILED,
    [WR_TLS_ENGINE_OPEN] = 1u << WR_TLS_ENGINE_SENT_CLOSE |
                           1u << WR_TLS_ENGINE_RECEIVED_CLOSE |
                           1u << WR_TLS_ENGINE_FAILED,
    [WR_TLS_ENGINE_SENT_CLOSE] =
        1u << WR_TLS_ENGINE_CLOSED | 1u << WR_TLS_ENGINE_FAILED,
    [WR_TLS_ENGINE_RECEIVED_CLOSE] =
        1u << WR_TLS_ENGINE_CLOSED | 1u << WR_TLS_ENGINE_FAILED,
    [WR_TLS_ENGINE_CLOSED] = 0,
    [WR_TLS_ENGINE_FAILED] = 0,
};

static void engine_set_state(struct wr_tls_engine *engine,
                             enum wr_tls_engine_state state)
{
    wr_assert(engine_next_states[engine->state] >> state & 1u);
    engine->state = state;
}

static bool engine_is_ended(const struct wr_tls_engine *engine)
{
    return engine->state == WR_TLS_ENGINE_RECEIVED_CLOSE ||
           engine->state == WR_TLS_ENGINE_CLOSED;
}

static bool engine_is_closed(const struct wr_tls_engine *engine)
{
    return engine->state == WR_TLS_ENGINE_SENT_CLOSE ||
           engine->state == WR_TLS_ENGINE_CLOSED;
}

void wr_tls_engine_check_invariants(const struct wr_tls_engine *engine)
{
    wr_assert(engine->conn.ssl);
    wr_assert((engine->err < 0) == (engine->state == WR_TLS_ENGINE_FAILED));
    wr_assert(!engine->output_first == !engine->output_last);
    wr_assert(!engine->output_first == (engine->output_bytes == 0));
    wr_assert(engine->input_left == 0 || engine->input);
    wr_assert(engine->claimed_size == 0);
    wr_assert(!engine_is_ended(engine) || engine->input_left == 0);
}

static int engine_fail(struct wr_tls_engine *engine, int err)
{
    wr_assert(err < 0);
    wr_assert(err != -EAGAIN);
    engine_set_state(engine, WR_TLS_ENGINE_FAILED);
    engine->err = err;
    engine->input_left = 0;
    return err;
}

static void engine_note_alerts(struct wr_tls_engine *engine)
{
    const int passed = engine->alert_passed;
    int received;
    int sent;

    wr_assert(engine->conn.ssl);
    engine->conn.backend->get_alerts(&engine->conn, &received, &sent);
    if (received >= 0 && (!(received & WR_TLS_ALERT_WARNS) ||
                          (engine->facts.is_newest && received != passed))) {
        engine->alert_received = (int16_t)(received & UINT8_MAX);
    }
    if (sent >= 0 && engine->alert_sent < 0) {
        engine->alert_sent = (int16_t)sent;
    }
}

/* Stores an unencrypted alert that the backend has refused. A TLS 1.3 client
 * that rejects the server's messages, such as OpenSSL's, may have no keys yet
 * to seal its alert. The backend refuses the header of such a record and leaves
 * the alert in the input. */
static void engine_note_plain_alert(struct wr_tls_engine *engine)
{
    const uint8_t alert = 21;

    wr_assert(engine->err == 0);
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE &&
        engine->header[0] == alert && engine->header_fill == 0 &&
        engine->record_left == 2 && engine->input_left >= 2 &&
        (engine->input[0] == WR_TLS_ALERT_FATAL || engine->facts.is_newest)) {
        engine->alert_received = engine->input[1];
    }
}

static int engine_fail_here(struct wr_tls_engine *engine, int err)
{
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        wr_tls_engine_alert_internal(engine);
    }
    return engine_fail(engine, err);
}

static void engine_note_foreign(struct wr_tls_engine *engine)
{
    static const char *const words[] = {"GET ", "HEAD", "POST", "PUT ", "OPTI",
                                        "DELE", "PATC", "CONN", "TRAC", "HTTP"};
    const char *text = "The peer does not speak TLS";

    wr_assert(engine->err == 0);
    if (engine->state != WR_TLS_ENGINE_HANDSHAKE ||
        wr_tls_engine_has_tls_header(engine)) {
        return;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (memcmp(engine->header, words[i], strlen(words[i])) == 0) {
            text = "The peer speaks plain HTTP";
        }
    }
    wr_tls_verdict_fail(&engine->verdict, WEIR_ETLSPROTOCOL, "%s", text);
}

static int engine_fail_by_step(struct wr_tls_engine *engine)
{
    const struct wr_tls_conn *conn = &engine->conn;

    engine_note_alerts(engine);
    engine_note_plain_alert(engine);
    if (engine->no_memory || conn->lacks_memory) {
        return engine_fail_here(engine, -ENOMEM);
    }
    if (engine->flooded) {
        return engine_fail(engine, WEIR_ETLSFLOOD);
    }
    if (engine->oversized) {
        engine_note_foreign(engine);
        return engine_fail(engine, WEIR_ETLSPROTOCOL);
    }
    if (engine->verdict.err &&
        (conn->code != WEIR_ETLSALERT || engine->alert_received < 0)) {
        return engine_fail(engine, engine->verdict.err);
    }
    if (engine->alert_received >= 0) {
        return engine_fail(engine, WEIR_ETLSALERT);
    }
    if (conn->code != WEIR_ETLSGROUP && engine->idle_records > 0 &&
        !wr_tls_engine_has_tls_header(engine)) {
        engine_note_foreign(engine);
        return engine_fail(engine, WEIR_ETLSPROTOCOL);
    }
    return conn->code == WEIR_ETLSSIGN || conn->code == WEIR_ETLSENGINE
               ? engine_fail_here(engine, conn->code)
               : engine_fail(engine, conn->code);
}

static int engine_end(struct wr_tls_engine *engine)
{
    engine->input_left = 0;
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        return engine_fail(engine, WEIR_ETLSTRUNCATED);
    }
    engine_set_state(engine, engine->state == WR_TLS_ENGINE_SENT_CLOSE
                                 ? WR_TLS_ENGINE_CLOSED
                                 : WR_TLS_ENGINE_RECEIVED_CLOSE);
    return 0;
}

static int engine_translate(struct wr_tls_engine *engine, int ret)
{
    if (ret == WR_TLS_STEP_ENDED) {
        return engine_end(engine);
    }
    if (ret != WR_TLS_STEP_WANTS) {
        return engine_fail_by_step(engine);
    }
    wr_assert(engine->input_left == 0);
    if (!engine->input_ended) {
        return -EAGAIN;
    }
    if (engine->ignores_eof && engine->state != WR_TLS_ENGINE_HANDSHAKE &&
        engine->record_left == 0 && engine->header_fill == 0) {
        return engine_end(engine);
    }
    return engine_fail(engine, WEIR_ETLSTRUNCATED);
}

static void engine_attach(struct wr_tls_engine *engine)
{
    struct wr_tls_conn *conn = &engine->conn;

    wr_assert(conn->ssl);
    engine->facts.best = conn->backend->get_version(conn);
    engine->facts.own_groups =
        wr_tls_context_get_groups(engine->context, &engine->facts.own_count);
    engine->sealed_left = wr_tls_context_get_key_records(engine->context);
    engine->opened_left = engine->sealed_left;
    if (wr_tls_engine_wants_secrets(engine)) {
        conn->backend->hear_secrets(conn);
    }
}

int wr_tls_engine_init(struct wr_tls_engine *engine, weir_tls_context *context,
                       const struct wr_tls_peer_options *options,
                       struct wr_tls_account *account)
{
    *engine = (struct wr_tls_engine){
        .conn = {.events = &wr_tls_engine_events,
                 .account = account,
                 .is_server = wr_tls_context_is_server(context),
                 .can_export = options->can_export},
        .alert_received = -1,
        .alert_sent = -1,
        .alert_passed = -1,
        .awaits_hello =
            wr_tls_context_is_server(context) || options->can_export,
        .ignores_eof = options->ignores_eof,
        .facts = {.is_server = wr_tls_context_is_server(context)},
    };
    wr_tls_verdict_init(&engine->verdict, account->allocator);
    const int err =
        wr_tls_context_open(context, options, &engine->verdict, &engine->conn);
    if (err < 0) {
        wr_tls_verdict_fini(&engine->verdict);
        return err;
    }
    engine->context = weir_tls_context_ref(context);
    engine_attach(engine);
    wr_tls_engine_check_invariants(engine);
    return 0;
}

void wr_tls_engine_fini(struct wr_tls_engine *engine)
{
    wr_tls_engine_check_invariants(engine);
    engine->conn.backend->close(&engine->conn);
    wr_assert(!engine->conn.ssl);
    wr_tls_engine_drop_output(engine);
    wr_tls_engine_drop_blocks(engine);
    weir_tls_context_unref(engine->verdict.chosen);
    wr_tls_verdict_fini(&engine->verdict);
    weir_tls_context_unref(engine->context);
    engine->context = NULL;
}

void wr_tls_engine_feed(struct wr_tls_engine *engine, const uint8_t *data,
                        size_t len)
{
    wr_tls_engine_check_invariants(engine);
    wr_assert(engine->input_left == 0);
    wr_assert(!engine->input_ended);
    if (engine->state == WR_TLS_ENGINE_FAILED || engine_is_ended(engine)) {
        return; /* bytes after the end are ignored */
    }
    engine->input = data;
    engine->input_left = len;
}

size_t wr_tls_engine_get_input_left(const struct wr_tls_engine *engine)
{
    return engine->input_left;
}

void wr_tls_engine_refeed(struct wr_tls_engine *engine, const uint8_t *data,
                          size_t len)
{
    wr_assert(len == engine->input_left);
    engine->input = data;
}

void wr_tls_engine_drop_input(struct wr_tls_engine *engine)
{
    engine->input = NULL;
    engine->input_left = 0;
    wr_tls_engine_drop_blocks(engine);
}

void wr_tls_engine_feed_eof(struct wr_tls_engine *engine)
{
    wr_tls_engine_check_invariants(engine);
    engine->input_ended = true;
}

/* Returns false if the backend completed a handshake although weir has not
 * accepted the peer. If a client resumes a session, the server accepts its
 * ticket instead of its certificate.
 *
 * wolfSSL looks up a 32-byte ticket among the sessions of the process, and may
 * find a session of another server in the program. The client has proved that
 * it knows this session, and may have presented a stolen ticket next to it or
 * in an earlier hello. Therefore no ticket of a hello with a 32-byte ticket is
 * accepted. */
static bool engine_has_judged(struct wr_tls_engine *engine)
{
    struct wr_tls_verdict *verdict = &engine->verdict;

    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    if (verdict->is_accepted || verdict->has_none ||
        !wr_tls_context_verifies(engine->context)) {
        return true;
    }
    if (!engine->conn.backend->was_resumed(&engine->conn)) {
        return false;
    }
    return !engine->conn.is_server ||
           (!engine->facts.names_session && wr_tls_verdict_welcome(verdict));
}

int wr_tls_engine_handshake(struct wr_tls_engine *engine)
{
    if (engine->state == WR_TLS_ENGINE_FAILED) {
        return engine->err;
    }
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    wr_tls_engine_check_invariants(engine);
    int ret = engine->conn.backend->handshake(&engine->conn);
    if (ret == 0 && engine->conn.is_server && !engine->verdict.has_chosen) {
        /* The backend accepted a hello that engine_hello.c has not read. */
        ret = engine_fail(engine, WEIR_ETLSNONAME);
    } else if (ret == 0 && !engine_has_judged(engine)) {
        ret = engine_fail(engine, WEIR_ETLSBADCERT);
    } else if (ret == 0) {
        engine_set_state(engine, WR_TLS_ENGINE_OPEN);
        wr_tls_engine_begin_data(engine);
    } else {
        ret = engine_translate(engine, ret);
    }
    wr_tls_engine_collect(engine);
    return ret;
}

/* Returns true if the backend could only ask for more input. The backend reads
 * one record at a time and buffers nothing of the next record. */
static bool engine_is_drained(const struct wr_tls_engine *engine)
{
    return engine->input_left == 0 && !engine->input_ended &&
           wr_tls_engine_get_plaintext_left(engine) == 0;
}

static int engine_check_sending(const struct wr_tls_engine *engine)
{
    if (engine->state == WR_TLS_ENGINE_FAILED) {
        return engine->err;
    }
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE) {
        return -ENOTCONN;
    }
    return engine_is_closed(engine) ? -ESHUTDOWN : 0;
}

/* Returns 0, -EOPNOTSUPP with TLS 1.2, whose keys last as long as the
 * connection, or the sticky error. */
__attribute__((noinline, cold)) static int
engine_change_keys(struct wr_tls_engine *engine)
{
    const int err = engine->conn.backend->update_keys(&engine->conn);

    wr_assert(engine->was_open && !engine_is_closed(engine));
    engine->sealed_left = wr_tls_context_get_key_records(engine->context);
    engine->opened_left = engine->sealed_left;
    if (err == WR_TLS_STEP_FAILED) {
        return engine_fail_by_step(engine);
    }
    if (err == 0) {
        wr_tls_engine_expect_answer(engine);
    }
    return err;
}

ssize_t wr_tls_engine_read(struct wr_tls_engine *engine, void *buf, size_t size)
{
    wr_assert(size > 0);
    if (engine_is_ended(engine)) {
        return 0;
    }
    if (engine->state == WR_TLS_ENGINE_FAILED) {
        return engine->err;
    }
    wr_require(engine->state != WR_TLS_ENGINE_HANDSHAKE, -ENOTCONN);
    if (engine_is_drained(engine)) {
        return -EAGAIN;
    }
    wr_tls_engine_check_invariants(engine);
    int ret = engine->conn.backend->read(&engine->conn, buf,
                                         wr_min_u64(size, INT_MAX));
    if (ret > 0) {
        wr_tls_engine_count_data(engine, (unsigned)ret);
        if (WR_UNLIKELY(engine->opened_left == 0) &&
            !engine_is_closed(engine)) {
            wr_ignore(engine_change_keys(engine) <
                      0); /* the next call returns the error */
        }
    } else {
        ret = engine_translate(engine, ret);
    }
    wr_tls_engine_collect(engine);
    return ret;
}

size_t wr_tls_engine_get_plaintext_left(const struct wr_tls_engine *engine)
{
    return engine->conn.backend->pending(&engine->conn);
}

int wr_tls_engine_write(struct wr_tls_engine *engine, const void *data,
                        size_t len)
{
    wr_assert(len > 0);
    wr_assert(len <= WR_TLS_RECORD_MAX);
    int err = engine_check_sending(engine);
    if (err < 0) {
        return err;
    }
    wr_tls_engine_check_invariants(engine);
    if (WR_UNLIKELY(engine->sealed_left == 0)) {
        err = engine_change_keys(engine);
        err = err == -EOPNOTSUPP ? 0 : err;
    }
    engine->sealed_left -= err == 0;
    if (err == 0 &&
        engine->conn.backend->write(&engine->conn, data, len) != 0) {
        err = engine_fail_by_step(engine);
    }
    wr_tls_engine_collect(engine);
    return err;
}

int wr_tls_engine_close(struct wr_tls_engine *engine)
{
    int err = engine_check_sending(engine);
    if (err < 0) {
        return err == -ESHUTDOWN ? 0 : err;
    }
    wr_tls_engine_check_invariants(engine);
    if (engine->conn.backend->shutdown(&engine->conn) != 0) {
        err = engine_fail_by_step(engine);
    }
    wr_tls_engine_collect(engine);
    if (err == 0) {
        engine_set_state(engine, engine_is_ended(engine)
                                     ? WR_TLS_ENGINE_CLOSED
                                     : WR_TLS_ENGINE_SENT_CLOSE);
    }
    return err;
}

int wr_tls_engine_update_keys(struct wr_tls_engine *engine)
{
    int err = engine_check_sending(engine);
    if (err < 0) {
        return err;
    }
    wr_tls_engine_check_invariants(engine);
    err = engine_change_keys(engine);
    wr_tls_engine_collect(engine);
    return err;
}
