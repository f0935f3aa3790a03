/*
 * Second half of a session: a target of the route is connected, or another one
 * after a failure; the target gets a PROXY header if configured; then bytes,
 * ends of streams and resets are relayed until both sides have ended.
 *
 * Functions follow those that they call, so the file begins with the relay.
 */
#include "session.h"

#include "clients.h"
#include "keepalive.h"
#include "preface.h"
#include "targets.h"
#include "tools/common/tried.h"
#include "trimming.h"
#include "worker.h"

#include "weir/proxy_protocol.h"
#include "weir/start_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Counts, logs and frees the session. @end is NULL if no relay was started. */
static void finish(struct session *session,
                   const struct weir_relay_record *end);

static void relayed(void *arg, int err, const struct weir_relay_record *end)
{
    struct session *session = arg;

    (void)err;
    weir_upstream_slot_release(session->slot, end_verdict_of_relay(end));
    finish(session, end);
}

static int relay(struct session *session)
{
    const struct config_service *config = session->door->service->config;
    const struct weir_buf first[] = {session->kept,
                                     preface_rest(session->preface)};
    const struct weir_relay_options options = {
        .size = sizeof(options),
        .buffer_bytes = config->buffer_bytes,
        .idle_ns = config->idle_timeout_ns,
        .half_closed_ns = config->half_closed_timeout_ns,
        .lifetime_ns = config->lifetime_ns,
        .a_rate_bytes = config->rate_in_bytes,
        .b_rate_bytes = config->rate_out_bytes,
        .a_initial = first,
        .a_initial_count = 2,
        .splice = !config->copies_bulk,
        .ignore_unexpected_eof = config->ignores_eof,
    };
    const int err = weir_relay(session->client, session->target, &options,
                               relayed, session, &session->pending);

    weir_buf_unref(session->kept.lease);
    session->kept = (struct weir_buf){.len = 0};
    session->preface = preface_drop_rest(session->preface);
    if (err == 0) {
        keepalive_begin(session);
    }
    return err;
}

/* Resets both sides. If the client was lost, this is the reason of the end, and
 * it does not count against the target. */
static void give_up(struct session *session, enum end_reason reason,
                    int verdict)
{
    if (session->slot) {
        weir_transport_abort(session->target);
        weir_upstream_slot_release(
            session->slot, session->is_client_lost ? -ECANCELED : verdict);
        session->slot = NULL;
    }
    if (session->is_client_lost) {
        finish(session, NULL);
    } else {
        session_refuse(session, reason);
    }
}

/* Largest size of the TLVs: a server name, an application protocol, and TLS. */
#define TLVS_SIZE_MAX 4608

/* Version, cipher suite and common name, with their headers. */
#define SSL_MAX 512

struct list_of_tlvs {
    struct weir_proxy_tlv all[3];
    size_t count;
};

static void add_tlv(struct list_of_tlvs *list, unsigned type, const void *value,
                    size_t len)
{
    if (len > 0) {
        list->all[list->count++] = (struct weir_proxy_tlv){type, len, value};
    }
}

static void add_tlv_text(struct list_of_tlvs *list, unsigned type,
                         const char *text)
{
    add_tlv(list, type, text, text ? strlen(text) : 0);
}

/* The property's text is not NUL-terminated. */
static void add_tlv_known(struct list_of_tlvs *list, unsigned type,
                          const struct session *session, const char *name)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(session->client, name, &info) == 0) {
        add_tlv(list, type, info.text, info.len);
    }
}

/* For TLS that the proxy terminates. Returns a size or negative error. */
static int write_ssl(const struct session *session, uint8_t *buf)
{
    struct list_of_tlvs list = {.count = 0};
    struct weir_extra_info info = {.size = sizeof(info)};
    uint8_t inner[SSL_MAX - 8];
    const bool has_certificate =
        weir_transport_get_extra_info(session->client, "peercert", &info) == 0;
    struct weir_proxy_ssl ssl = {
        .size = sizeof(ssl),
        .client = WEIR_PROXY_CLIENT_SSL |
                  (has_certificate ? WEIR_PROXY_CLIENT_CERT_CONN |
                                         WEIR_PROXY_CLIENT_CERT_SESS
                                   : 0u),
        .verify = !has_certificate,
    };

    add_tlv_known(&list, WEIR_PROXY_SSL_VERSION, session, "tls_version");
    add_tlv_known(&list, WEIR_PROXY_SSL_CIPHER, session, "cipher");
    add_tlv_text(&list, WEIR_PROXY_SSL_CN, session->client_cn);
    const int len =
        weir_proxy_tlvs_write(list.all, list.count, inner, sizeof(inner));
    if (len < 0) {
        return len;
    }
    ssl.tlvs = (struct weir_proxy_tlvs){inner, (size_t)len};
    return weir_proxy_ssl_write(&ssl, buf, SSL_MAX);
}

static void add_tlv_told(struct list_of_tlvs *list,
                         const struct session *session, unsigned type)
{
    struct weir_proxy_tlv tlv;

    if (preface_find_tlv(session->preface, type, &tlv)) {
        add_tlv(list, type, tlv.value, tlv.len);
    }
}

/* Writes the TLVs that the session's route requests (enum config_tlv), as far
 * as they are known. If the proxy terminates TLS, they have the TLS version,
 * the cipher suite by its IANA name, and the common name of the client's
 * verified certificate. Otherwise the TLS information of an accepted PROXY
 * header is passed on. Returns the size of the TLVs or a negative error. */
static int write_tlvs(const struct session *session, void *buf, size_t size)
{
    const unsigned wanted = session->route->config->send_tlvs;
    struct list_of_tlvs list = {.count = 0};
    uint8_t ssl[SSL_MAX];

    if (wanted & CONFIG_TLV_ALPN) {
        if (session->is_opened) {
            add_tlv_known(&list, WEIR_PROXY_ALPN, session, "alpn");
        } else {
            add_tlv_told(&list, session, WEIR_PROXY_ALPN);
        }
    }
    if (wanted & CONFIG_TLV_AUTHORITY) {
        add_tlv_text(&list, WEIR_PROXY_AUTHORITY, session_server_name(session));
    }
    if ((wanted & CONFIG_TLV_SSL) && session->is_opened) {
        const int len = write_ssl(session, ssl);
        if (len < 0) {
            return len;
        }
        add_tlv(&list, WEIR_PROXY_SSL, ssl, (size_t)len);
    } else if (wanted & CONFIG_TLV_SSL) {
        add_tlv_told(&list, session, WEIR_PROXY_SSL);
    }
    return weir_proxy_tlvs_write(list.all, list.count, buf, size);
}

static int send_header(const struct session *session)
{
    const struct config_route *route = session->route->config;
    const enum config_header version = config_header_of(
        route,
        weir_upstream_get_user(weir_upstream_slot_get_upstream(session->slot)));
    struct weir_proxy_header header = {
        .size = sizeof(header),
        .version = (enum weir_proxy_version)version,
    };
    char tlvs[TLVS_SIZE_MAX];
    char text[TLVS_SIZE_MAX + 256];

    if (version == HEADER_NONE) {
        return 0;
    }
    if (route->send_tlvs && version == HEADER_V2) {
        const int tlvs_len = write_tlvs(session, tlvs, sizeof(tlvs));
        if (tlvs_len < 0) {
            return tlvs_len;
        }
        header.tlvs = (struct weir_proxy_tlvs){tlvs, (size_t)tlvs_len};
    }
    preface_get_client(session->preface, session->client, &header.source);
    preface_get_destination(session->preface, session->client,
                            &header.destination);
    const int len = weir_proxy_header_write(&header, text, sizeof(text));
    return len < 0 ? len
                   : weir_transport_write(session->target, text, (size_t)len);
}

/* Runs when the TLS handshake after a PROXY header has ended. */
static void secured(void *arg, int err, weir_transport *t)
{
    struct session *session = arg;

    (void)t;
    if (err < 0) {
        give_up(session, session->is_cut ? END_TARGET_DOWN : END_TARGET_TLS,
                session->is_cut ? -ECANCELED : end_verdict_of_tls(err));
    } else if (session->is_client_lost || relay(session) < 0) {
        give_up(session, session_reason_of_refusal(session), -ECANCELED);
    }
}

/* Sends the header and starts the relay. TLS after a header is started here;
 * otherwise the library has already started it. */
static int greet(struct session *session, const weir_upstream *upstream)
{
    struct weir_tls_settings settings;
    weir_transport *upgraded;
    int err = send_header(session);

    if (err < 0) {
        return err;
    }
    if (!targets_begin_tls(session->route, upstream, &settings)) {
        return relay(session);
    }
    err = weir_transport_start_tls(session->target, &settings, NULL, secured,
                                   session, &upgraded);
    if (err == 0) {
        weir_transport_unref(session->target);
        session->target = weir_transport_ref(upgraded);
    }
    return err;
}

/* Copies the list of failed addresses, including those tried before the
 * connected one. The library's text also has errors of lookups and TLS, but is
 * shortened if many addresses were tried. Returns NULL if there are none or if
 * out of memory. */
static char *copy_tried(const weir_pending *connect, const char *error_text)
{
    char text[TRIED_SIZE];

    if (error_text[0] == '\0') {
        return NULL;
    }
    const size_t len = tried_write(connect, text, sizeof(text));
    return strdup(strlen(error_text) >= len ? error_text : text);
}

static void note(struct session *session,
                 const struct weir_upstreams_result *result)
{
    session->tried = copy_tried(session->pending, result->error_text);
    session->pending = NULL;
    session->try_count = (uint16_t)result->try_count;
    session->queue_ns = result->queue_ns;
    session->connect_ns = result->connect_ns;
    session->connect_alert = result->tls_alert;
    session->target =
        result->transport ? weir_transport_ref(result->transport) : NULL;
    session->slot = result->slot;
    if (result->slot) {
        const struct config_target *target = weir_upstream_get_user(
            weir_upstream_slot_get_upstream(result->slot));
        const bool is_name = target->at.address.len == 0;
        session->target_name = is_name ? target->at.text : NULL;
    }
}

/* Returns true if the target is the address that the client has connected to.
 * The proxy would connect to itself again and again. */
static bool leads_back(const struct session *session)
{
    struct weir_address to;
    struct weir_address at;
    struct weir_address told;

    if (!session->route->config->targets->is_sni) {
        return false;
    }
    weir_transport_get_peername(session->target, &to);
    weir_transport_get_sockname(session->client, &at);
    preface_get_destination(session->preface, session->client, &told);
    weir_address_unmap(&to);
    weir_address_unmap(&at);
    return weir_address_is_equal(&to, &at) || weir_address_is_equal(&to, &told);
}

/* Runs when connecting has ended. The client may have closed before. */
static void connected(void *arg, int err,
                      const struct weir_upstreams_result *result)
{
    struct session *session = arg;

    note(session, result);
    if (err == SESSION_CUT) {
        give_up(session, END_TARGET_DOWN, -ECANCELED);
    } else if (err < 0) {
        give_up(session,
                end_reason_of_connect(err, result,
                                      session->route->config->queue_timeout_ns),
                -ECANCELED);
    } else if (targets_is_left(session->route, result->upstream)) {
        give_up(session, END_TARGET_DOWN, -ECANCELED);
    } else if (leads_back(session)) {
        give_up(session, END_NAME_DENIED, -ECANCELED);
    } else if (session->is_client_lost ||
               greet(session, result->upstream) < 0) {
        give_up(session, session_reason_of_refusal(session), -ECANCELED);
    }
}

static int create_target(void *arg, weir_transport *t,
                         struct weir_protocol_binding *ret)
{
    static const struct weir_protocol protocol = {.size = sizeof(protocol),
                                                  .kind = WEIR_PROTOCOL_STREAM};

    (void)t;
    *ret = (struct weir_protocol_binding){&protocol, arg};
    return 0;
}

/* Returns true if @allowed has the requested server name or a parent domain. */
static bool is_allowed(const struct session *session,
                       const struct config_texts *allowed)
{
    const char *name = session_server_name(session);
    size_t i = 0;

    if (!name || !matching_is_host_name(name)) {
        return false;
    }
    while (i < allowed->count && !matching_is_within(allowed->texts[i], name)) {
        i++;
    }
    return i < allowed->count;
}

/* Sets the host if the target is the name that the client requests. Returns
 * false if the client was refused. */
static bool set_host(struct session *session,
                     struct weir_upstreams_connect_options *options)
{
    const struct config_target *target = session->route->config->targets;

    if (!target->is_sni) {
        return true;
    }
    if (!is_allowed(session, &target->allowed)) {
        session_refuse(session, END_NAME_DENIED);
        return false;
    }
    options->host = preface_make_absolute(session->preface);
    options->port = target->at.port;
    if (!options->host) {
        session_refuse(session, END_INTERNAL);
    }
    return options->host != NULL;
}

void session_connect(struct session *session, const void *key, size_t key_size)
{
    static const struct weir_factory factory = {create_target, NULL};
    const struct config_service *config = session->door->service->config;
    const struct config_route *route = session->route->config;
    struct weir_upstreams_connect_options options = {
        .size = sizeof(options),
        .key = key,
        .key_size = key_size,
        .tries = config_count_tries(route),
        .shortage_timeout_ns = route->connect_timeout_ns,
        .connect = {.size = sizeof(options.connect),
                    .timeout_ns = route->connect_timeout_ns,
                    .connection = connection_of(config, true)}};

    if (!set_host(session, &options)) {
        return;
    }
    if (weir_upstreams_connect(session->route->upstreams, &factory, &options,
                               connected, session, &session->pending) < 0) {
        session_refuse(session, END_INTERNAL);
    }
}

void session_refuse(struct session *session, enum end_reason reason)
{
    session->reason = reason;
    weir_transport_abort(session->client);
}

/* Interrupts what the session waits for; connected(), relayed() or secured()
 * follows. Returns false if it waits for nothing of a target. */
static bool interrupt(const struct session *session)
{
    const bool waits = session->pending || session->slot;

    if (session->pending) {
        weir_pending_cancel(session->pending);
    } else if (session->slot) {
        weir_transport_abort(session->target);
    }
    return waits;
}

void session_lose_client(struct session *session)
{
    session->is_client_lost = true;
    if (!interrupt(session)) {
        finish(session, NULL);
    }
}

void session_cut(struct session *session)
{
    session->is_cut = true;
    interrupt(session);
}

enum end_reason session_reason_of_refusal(const struct session *session)
{
    if (weir_transport_is_closing(session->client)) {
        return END_CLIENT_GONE;
    }
    return session->target && weir_transport_is_closing(session->target)
               ? END_TARGET_RESET
               : END_INTERNAL;
}

static void sum_up(const struct session *session,
                   const struct weir_relay_record *end, struct record *ret)
{
    const struct service *service = session->door->service;

    *ret = (struct record){
        .reason = session->reason,
        .time_ns = session->time_ns,
        .service = service->config->name,
        .queue_ns = session->queue_ns,
        .connect_ns = session->connect_ns,
        .total_ns =
            weir_loop_get_time(session_loop(session)) - session->start_ns,
        .tries = session->try_count,
        .left_out = session->left_out,
    };
    if (!end) {
        return;
    }
    ret->reason = session->is_cut
                      ? END_TARGET_DOWN
                      : end_reason_of_relay(end, service->worker->is_draining);
    ret->in_bytes = end->a_bytes;
    ret->out_bytes = end->b_bytes;
    if (end->b_first_ns > 0) {
        ret->first_byte_ns = end->b_first_ns - session->start_ns;
    }
}

const char *session_server_name(const struct session *session)
{
    const char *name = preface_server_name(session->preface);
    const char *in_tls = (!name || name[0] == '\0') && session->is_opened
                             ? record_ask(session->client, "server_name")
                             : NULL;

    return in_tls ? in_tls : name;
}

static void describe_tls(const struct session *session, struct record *record)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    record->server_name = preface_shown_name(session->preface);
    record->client_cn = session->client_cn;
    record->tls_version = record_ask(session->client, "tls_version");
    if (record->tls_version) {
        record->tls_group = record_ask(session->client, "tls_group");
    }
    if (record->tls_version &&
        weir_transport_get_extra_info(session->client, "tls_handshake",
                                      &info) == 0) {
        record->tls_ns = info.time_ns;
    }
    if (!record->server_name) {
        record->server_name = record_ask(session->client, "server_name");
    }
}

void session_describe(const struct session *session,
                      const struct weir_relay_record *end, struct record *ret)
{
    sum_up(session, end, ret);
    preface_get_client(session->preface, session->client, &ret->client);
    describe_tls(session, ret);
    ret->alert = record_ask(session->client, "tls_alert");
    if (!ret->alert) {
        ret->alert = session->target ? record_ask(session->target, "tls_alert")
                                     : session->connect_alert;
    }
    ret->tried = session->tried;
    ret->target_name = session->target_name;
    ret->route = session->route ? route_get_name(session->route) : NULL;
    if (end) {
        weir_transport_get_peername(session->target, &ret->target);
    }
}

static void finish(struct session *session, const struct weir_relay_record *end)
{
    struct service *service = session->door->service;
    struct record record;

    if (log_is_open(&service->worker->log) && !session->is_unlogged) {
        session_describe(session, end, &record);
        log_add(&service->worker->log, &record);
    } else {
        sum_up(session, end, &record);
    }
    list_remove(&service->worker->sessions, &session->link);
    trimming_leave(service->worker);
    keepalive_end(session);
    counts_end(service->counts, &record);
    if (session->counted) {
        clients_leave(service->clients, session->counted);
    }
    places_leave(&session->place, session->door); /* admits the next client */
    preface_free(session->preface);
    weir_buf_unref(session->kept.lease);
    weir_transport_unref(session->client);
    weir_transport_unref(session->target);
    free(session->tried);
    free(session->client_cn);
    free(session);
    worker_leave(service->services); /* may free old services */
}
