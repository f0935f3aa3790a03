/*
 * The engine: its life, its steps, its state.
 *
 * Each step enters the loop's memory account, calls wolfSSL once, and turns the
 * result into a number of bytes, -EAGAIN or the sticky error. wolfSSL's receive
 * callback never reports an end; this file detects the transport's end when
 * wolfSSL wants bytes that will not come. So a truncation and a close_notify
 * are told apart, although wolfSSL_read() returns 0 for both.
 */
#include "engine.h"

#include "engine_impl.h"
#include "lib/tls/context/context.h"
#include "lib/tls/context/error.h"

#include <weir/error.h>

#include <errno.h>
#include <limits.h>

/* ---- state ---- */

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

/* The peer's close_notify was seen. */
static bool engine_is_ended(const struct wr_tls_engine *engine)
{
    return engine->state == WR_TLS_ENGINE_RECEIVED_CLOSE ||
           engine->state == WR_TLS_ENGINE_CLOSED;
}

/* Our close_notify is in the output, or was. */
static bool engine_is_closed(const struct wr_tls_engine *engine)
{
    return engine->state == WR_TLS_ENGINE_SENT_CLOSE ||
           engine->state == WR_TLS_ENGINE_CLOSED;
}

void wr_tls_engine_check_invariants(const struct wr_tls_engine *engine)
{
    wr_assert(engine->ssl);
    wr_assert((engine->err < 0) == (engine->state == WR_TLS_ENGINE_FAILED));
    wr_assert(!engine->output_first == !engine->output_last);
    wr_assert(!engine->output_first == (engine->output_bytes == 0));
    wr_assert(engine->input_left == 0 || engine->input);
    wr_assert(engine->claimed_size == 0); /* set only inside a call */
    wr_assert(!engine_is_ended(engine) || engine->input_left == 0);
}

/* ---- errors ---- */

/* Keeps the first error and drops the remaining input. */
static int engine_fail(struct wr_tls_engine *engine, int err)
{
    wr_assert(err < 0);
    wr_assert(err != -EAGAIN);
    engine_set_state(engine, WR_TLS_ENGINE_FAILED);
    engine->err = err;
    engine->input_left = 0;
    return err;
}

/* Notes the newest fatal alert received and the first one sent. */
static void engine_note_alerts(struct wr_tls_engine *engine)
{
    WOLFSSL_ALERT_HISTORY history;

    if (wolfSSL_get_alert_history(engine->ssl, &history) != WOLFSSL_SUCCESS) {
        return;
    }
    if (history.last_rx.level == alert_fatal) {
        engine->alert_received = (int16_t)history.last_rx.code;
    }
    if (history.last_tx.level == alert_fatal && engine->alert_sent < 0) {
        engine->alert_sent = (int16_t)history.last_tx.code;
    }
}

/* A client of TLS 1.3 that refuses the server's messages has perhaps no keys
 * yet to seal its alert, as OpenSSL's; wolfSSL refuses the header of such a
 * record, and the alert is left. An alert ends the handshake as any error does.
 */
static void engine_note_plain_alert(struct wr_tls_engine *engine)
{
    const uint8_t alert = 21;

    wr_assert(engine->err == 0);
    if (engine->state == WR_TLS_ENGINE_HANDSHAKE &&
        engine->header[0] == alert && engine->header_fill == 0 &&
        engine->record_left == 2 && engine->input_left >= 2 &&
        engine->input[0] == alert_fatal) {
        engine->alert_received = engine->input[1];
    }
}

/* Fails with the error for wolfSSL's @number. */
static int engine_fail_by(struct wr_tls_engine *engine, int number)
{
    engine_note_alerts(engine);
    engine_note_plain_alert(engine);
    engine->number = number;
    if (engine->no_memory || engine->memory->failed) {
        return engine_fail(engine, -ENOMEM);
    }
    if (engine->flooded) {
        return engine_fail(engine, WEIR_ETLSFLOOD);
    }
    if (engine->oversized) {
        engine->number = LENGTH_ERROR;
        return engine_fail(engine, WEIR_ETLSPROTOCOL);
    }
    if (engine->verdict.err &&
        (number != FATAL_ERROR || engine->alert_received < 0)) {
        return engine_fail(engine, engine->verdict.err);
    }
    if (engine->alert_received >= 0) {
        return engine_fail(engine, WEIR_ETLSALERT);
    }
    if (engine->is_server && number == BAD_KEY_SHARE_DATA) {
        engine->number =
            0; /* no common group; wolfSSL's text fits clients only */
        return engine_fail(engine, WEIR_ETLSGROUP);
    }
    if (engine->idle_records > 0 && !wr_tls_engine_has_tls_header(engine)) {
        return engine_fail(engine, WEIR_ETLSPROTOCOL);
    }
    const int err = wr_tls_error_code_of(number);
    /* wolfSSL reports an engine error for certificates that it cannot read. */
    return engine_fail(engine, err == WEIR_ETLSENGINE &&
                                       engine->alert_sent == bad_certificate
                                   ? WEIR_ETLSBADCERT
                                   : err);
}

/* Handles the peer's close_notify in a call without another error. */
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

/* Translates the failure @ret of a wolfSSL call: 0 for the peer's close_notify,
 * -EAGAIN if it wants input, else the sticky error. */
static int engine_translate(struct wr_tls_engine *engine, int ret)
{
    const int number = wolfSSL_get_error(engine->ssl, ret);

    if (number == WOLFSSL_ERROR_ZERO_RETURN) {
        return engine_end(engine);
    }
    if (number != WOLFSSL_ERROR_WANT_READ) {
        return engine_fail_by(engine,
                              number < 0 ? number : WOLFSSL_FATAL_ERROR);
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

/* ---- calls into wolfSSL ---- */

/* Allocations of an open connection live for one call; allocations of a
 * handshake live longer. */
static struct wr_tls_memory_scope engine_enter(struct wr_tls_engine *engine)
{
    wr_tls_engine_check_invariants(engine);
    return wr_tls_memory_enter(engine->memory,
                               engine->state == WR_TLS_ENGINE_HANDSHAKE
                                   ? WR_TLS_MEMORY_PLAIN
                                   : WR_TLS_MEMORY_BLOCKS);
}

static void engine_leave(struct wr_tls_engine *engine,
                         struct wr_tls_memory_scope before)
{
    wr_tls_memory_leave(before);
    wr_tls_engine_collect(engine);
}

/* ---- life ---- */

static int engine_note_session(WOLFSSL *ssl, const unsigned char *ticket,
                               int size, void *arg)
{
    struct wr_tls_engine *engine = arg;

    (void)ticket;
    wr_assert(ssl == engine->ssl);
    engine->has_session = size > 0;
    return 0;
}

_Static_assert(offsetof(struct wr_tls_engine, verdict) == 0,
               "the context finds it by the argument of the I/O");

static void engine_attach(struct wr_tls_engine *engine)
{
    wolfSSL_SSLSetIORecv(engine->ssl, wr_tls_engine_recv);
    wolfSSL_SSLSetIOSend(engine->ssl, wr_tls_engine_send_handshake);
    wolfSSL_SetIOReadCtx(engine->ssl, engine);
    wolfSSL_SetIOWriteCtx(engine->ssl, engine);
    if (engine->can_export || !engine->is_server) {
        /* The arrays hold the exporter's secret and the parts of a ticket. */
        wolfSSL_KeepArrays(engine->ssl);
    }
    if (wr_tls_context_verifies(engine->context)) {
        wr_tls_engine_hear_secrets(engine);
    }
    if (!engine->is_server) {
        wr_ignore(wolfSSL_set_SessionTicket_cb(engine->ssl, engine_note_session,
                                               engine) !=
                  WOLFSSL_SUCCESS); /* fails only for NULL */
    }
}

int wr_tls_engine_init(struct wr_tls_engine *engine, weir_tls_context *context,
                       const struct wr_tls_peer_options *options,
                       struct wr_tls_memory *memory)
{
    *engine = (struct wr_tls_engine){
        .memory = memory,
        .alert_received = -1,
        .alert_sent = -1,
        .is_server = wr_tls_context_is_server(context),
        .can_export = options->can_export,
        .awaits_hello =
            wr_tls_context_is_server(context) || options->can_export,
        .ignores_eof = options->ignores_eof,
        .facts = {.is_server = wr_tls_context_is_server(context)},
    };
    wr_tls_verdict_init(&engine->verdict, memory->allocator);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(memory, WR_TLS_MEMORY_PLAIN);
    int err =
        wr_tls_context_open(context, options, &engine->verdict, &engine->ssl);
    wr_tls_memory_leave(before);
    if (err < 0) {
        wr_tls_verdict_fini(&engine->verdict);
        return err;
    }
    engine->context = weir_tls_context_ref(context);
    engine->facts.best =
        wolfSSL_GetVersion(engine->ssl) == WOLFSSL_TLSV1_3 ? 0x0304 : 0x0303;
    engine_attach(engine);
    wr_tls_engine_check_invariants(engine);
    return 0;
}

void wr_tls_engine_fini(struct wr_tls_engine *engine)
{
    wr_tls_engine_check_invariants(engine);
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(engine->memory, WR_TLS_MEMORY_PLAIN);
    wr_tls_context_close(engine->ssl);
    wr_tls_memory_leave(before);
    engine->ssl = NULL;
    wr_tls_engine_drop_output(engine);
    wr_tls_engine_drop_hello(engine);
    wr_tls_engine_drop_early(engine);
    wr_tls_engine_drop_secret(engine);
    wr_tls_engine_drop_message(engine);
    wr_tls_verdict_fini(&engine->verdict);
    weir_tls_context_unref(engine->context);
    engine->context = NULL;
}

/* ---- ciphertext in ---- */

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
    wr_tls_engine_drop_hello(engine);
    wr_tls_engine_drop_early(engine);
    wr_tls_engine_drop_secret(engine);
    wr_tls_engine_drop_message(engine);
}

void wr_tls_engine_feed_eof(struct wr_tls_engine *engine)
{
    wr_tls_engine_check_invariants(engine);
    engine->input_ended = true;
}

/* ---- steps ---- */

/* False if wolfSSL has taken a hello that engine_hello.c could not read, so
 * that no certificate was chosen where one must be. */
static bool engine_has_chosen(const struct wr_tls_engine *engine)
{
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    return engine->verdict.has_chosen || !engine->is_server ||
           !wr_tls_context_must_choose(engine->context);
}

/* False if wolfSSL ended a handshake well without weir's verdict. */
static bool engine_has_judged(const struct wr_tls_engine *engine)
{
    const struct wr_tls_verdict *verdict = &engine->verdict;

    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    return verdict->is_accepted || verdict->has_none ||
           !wr_tls_context_verifies(engine->context) ||
           wolfSSL_session_reused(engine->ssl) != 0;
}

int wr_tls_engine_handshake(struct wr_tls_engine *engine)
{
    if (engine->state == WR_TLS_ENGINE_FAILED) {
        return engine->err;
    }
    wr_assert(engine->state == WR_TLS_ENGINE_HANDSHAKE);
    struct wr_tls_memory_scope before = engine_enter(engine);
    int ret = engine->is_server ? wolfSSL_accept(engine->ssl)
                                : wolfSSL_connect(engine->ssl);
    if (ret == WOLFSSL_SUCCESS && !engine_has_chosen(engine)) {
        ret = engine_fail(engine, WEIR_ETLSNONAME);
    } else if (ret == WOLFSSL_SUCCESS && !engine_has_judged(engine)) {
        ret = engine_fail(engine, WEIR_ETLSBADCERT);
    } else if (ret == WOLFSSL_SUCCESS) {
        engine_set_state(engine, WR_TLS_ENGINE_OPEN);
        wr_tls_engine_begin_data(engine);
        ret = 0;
    } else {
        ret = engine_translate(engine, ret);
    }
    engine_leave(engine, before);
    return ret;
}

/* True if wolfSSL could only want input: it reads one record at a time and
 * buffers nothing of the next. */
static bool engine_is_drained(const struct wr_tls_engine *engine)
{
    return engine->input_left == 0 && !engine->input_ended &&
           wr_tls_engine_get_plaintext_left(engine) == 0;
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
    struct wr_tls_memory_scope before = engine_enter(engine);
    int ret = wolfSSL_read(engine->ssl, buf, (int)wr_min_u64(size, INT_MAX));
    if (ret > 0) {
        wr_tls_engine_count_data(engine, (unsigned)ret);
    } else {
        ret = engine_translate(engine, ret);
    }
    engine_leave(engine, before);
    return ret;
}

size_t wr_tls_engine_get_plaintext_left(const struct wr_tls_engine *engine)
{
    return (unsigned)wolfSSL_pending(engine->ssl);
}

/* Returns 0 if data may be sent now, else the error of a sending call. */
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

int wr_tls_engine_write(struct wr_tls_engine *engine, const void *data,
                        size_t len)
{
    wr_assert(len > 0);
    wr_assert(len <= WR_TLS_RECORD_MAX);
    int err = engine_check_sending(engine);
    if (err < 0) {
        return err;
    }
    struct wr_tls_memory_scope before = engine_enter(engine);
    const int ret = wolfSSL_write(engine->ssl, data, (int)len);
    if (ret <= 0) {
        err = engine_fail_by(engine, wolfSSL_get_error(engine->ssl, ret));
    } else {
        wr_assert((size_t)ret == len); /* the send callback takes all */
    }
    engine_leave(engine, before);
    return err;
}

int wr_tls_engine_close(struct wr_tls_engine *engine)
{
    int err = engine_check_sending(engine);
    if (err < 0) {
        return err == -ESHUTDOWN ? 0 : err;
    }
    struct wr_tls_memory_scope before = engine_enter(engine);
    const int ret = wolfSSL_shutdown(engine->ssl);
    if (ret < 0) {
        err = engine_fail_by(engine, wolfSSL_get_error(engine->ssl, ret));
    }
    engine_leave(engine, before); /* the close_notify is in the output */
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
    struct wr_tls_memory_scope before = engine_enter(engine);
    const int ret = wolfSSL_update_keys(engine->ssl);
    if (ret == BAD_FUNC_ARG) {
        err = -EOPNOTSUPP; /* TLS 1.2 */
    } else if (ret != WOLFSSL_SUCCESS) {
        err = engine_fail_by(engine, ret < 0 ? ret : WOLFSSL_FATAL_ERROR);
    }
    engine_leave(engine, before);
    return err;
}
