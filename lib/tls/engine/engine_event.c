/*
 * The events with which the backend calls its engine.
 *
 * The engine handles events about bytes and secrets. Its context handles events
 * about certificates and tickets.
 */
#include "engine_impl.h"

static bool engine_event_chain(struct wr_tls_conn *conn,
                               const struct wr_bytes *certs, size_t count,
                               uint8_t *ret_alert)
{
    struct wr_tls_engine *engine = wr_tls_engine_of(conn);
    const bool is_good = wr_tls_context_judge(&engine->verdict, certs, count);

    wr_assert(is_good || engine->verdict.err < 0);
    *ret_alert = engine->verdict.alert;
    return is_good;
}

static uint8_t engine_event_refused(struct wr_tls_conn *conn, int code,
                                    const char *text)
{
    struct wr_tls_engine *engine = wr_tls_engine_of(conn);

    wr_assert(engine->verdict.is_accepted);
    wr_tls_context_refuse(&engine->verdict, code, text);
    return engine->verdict.alert;
}

/* engine_has_judged() in engine.c explains names_session. */
static bool
engine_event_ticket_known(struct wr_tls_conn *conn,
                          const uint8_t client[WR_TLS_TICKET_CLIENT])
{
    struct wr_tls_engine *engine = wr_tls_engine_of(conn);

    wr_assert(conn->is_server);
    return !engine->facts.names_session &&
           wr_tls_context_know_client(&engine->verdict, client);
}

static void engine_event_ticket_came(struct wr_tls_conn *conn, size_t size)
{
    wr_assert(!conn->is_server);
    wr_tls_engine_of(conn)->has_session = size > 0;
}

const struct wr_tls_events wr_tls_engine_events = {
    .take = wr_tls_engine_take,
    .put = wr_tls_engine_put,
    .chain = engine_event_chain,
    .refused = engine_event_refused,
    .ticket_seal = wr_tls_context_seal_ticket,
    .ticket_open = wr_tls_context_open_ticket,
    .ticket_key = wr_tls_context_get_ticket_key,
    .ticket_find = wr_tls_context_find_ticket_key,
    .ticket_host = wr_tls_context_digest_asked,
    .ticket_client = wr_tls_context_note_client,
    .ticket_known = engine_event_ticket_known,
    .ticket_came = engine_event_ticket_came,
    .secret = wr_tls_engine_note_secret,
};
