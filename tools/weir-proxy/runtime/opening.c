/*
 * A client waits until the limits admit it, then for its first bytes
 * (preface.h), then for its TLS handshake, then for bytes inside TLS that
 * decide its route.
 *
 * If no bytes are read before TLS, the server has completed the handshake
 * before the session starts. Otherwise this file starts TLS. matching.h chooses
 * the route. It is called again after received bytes, silence, the end of the
 * stream, and timeouts.
 */
#include "opening.h"

#include "tools/common/clock.h"
#include "tools/common/console.h"

#include "clients.h"
#include "preface.h"
#include "session.h"
#include "setup.h"
#include "tools/weir-proxy/config/certificate.h"
#include "trimming.h"
#include "worker.h"

#include "weir/start_tls.h"
#include "weir/tls_connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Returns the application protocol of the client. Without TLS this is the
 * protocol in the PROXY header. With TLS this is the agreed protocol or, before
 * the handshake, the protocol that will be agreed. */
static struct weir_alpn_name agreed_of(const struct session *session,
                                       const struct weir_alpn_list *offered)
{
    struct weir_extra_info info = {.size = sizeof(info)};

    if (!session->is_opened && session->kind != MATCHING_TLS) {
        struct weir_proxy_tlv tlv;
        return preface_find_tlv(session->preface, WEIR_PROXY_ALPN, &tlv)
                   ? (struct weir_alpn_name){tlv.value, tlv.len}
                   : (struct weir_alpn_name){.len = 0};
    }
    if (!session->is_opened) {
        return matching_agree(&session->door->service->config->alpn, offered);
    }
    if (weir_transport_get_extra_info(session->client, "alpn", &info) == 0) {
        return (struct weir_alpn_name){info.text, info.len};
    }
    return (struct weir_alpn_name){.len = 0};
}

/* Returns true if silence may choose the route now. A client of tcp:// or
 * any:// is silent before its first byte, a client of tls:// after its
 * handshake. */
static bool may_be_silent(const struct session *session)
{
    const struct target *at = session->door->at;

    return session->door->service->has_silent_route &&
           (at->is_any || !at->is_tls ? !session->is_opened
                                      : session->is_opened);
}

static struct matching_facts facts_of(const struct session *session)
{
    const struct weir_buf rest = preface_rest(session->preface);
    struct matching_facts facts = {
        .kind = session->kind,
        .is_open = session->is_opened,
        .may_be_silent = may_be_silent(session),
        .name = session_server_name(session),
        .begin = rest.data,
        .begin_len = rest.len,
    };

    if (session->door->service->has_alpn_route) {
        facts.offered = preface_get_protocols(session->preface);
        facts.agreed = agreed_of(session, &facts.offered);
    }
    return facts;
}

#define KEY_SIZE 256

/* Writes a key: clients with the same key get the same target. Returns its
 * size, or 0 if the balance uses none. */
static size_t write_key(const struct session *session, uint8_t *ret)
{
    const enum config_balance balance = session->route->config->balance;
    const char *name =
        balance == BALANCE_SNI ? session_server_name(session) : NULL;
    struct weir_address client;

    if (name) {
        const size_t len = matching_length_of(name);
        const size_t size = len < KEY_SIZE ? len : KEY_SIZE;
        for (size_t i = 0; i < size; i++) { /* all spellings are one key */
            ret[i] = (uint8_t)(name[i] >= 'A' && name[i] <= 'Z'
                                   ? name[i] + ('a' - 'A')
                                   : name[i]);
        }
        return size;
    }
    if (balance != BALANCE_SOURCE) {
        return 0;
    }
    preface_get_client(session->preface, session->client, &client);
    switch (client.storage.any.sa_family) {
    case AF_INET:
        memcpy(ret, &client.storage.inet.sin_addr, 4);
        return 4;
    case AF_INET6:
        memcpy(ret, &client.storage.inet6.sin6_addr, 16);
        return 16;
    default:
        return 0;
    }
}

static void take_route(struct session *session, int err, size_t route)
{
    uint8_t key[KEY_SIZE];

    weir_handle_cancel(session_loop(session), session->timer);
    if (err < 0) {
        session_refuse(session, END_NO_ROUTE);
        return;
    }
    session->route = &session->door->service->routes[route];
    session_connect(session, key, write_key(session, key));
}

static bool choose(struct session *session, bool is_over)
{
    const struct service *service = session->door->service;
    size_t route = 0;

    if (service->has_route_for_all && session->kind != MATCHING_UNKNOWN) {
        take_route(session, 0, route);
        return false;
    }
    struct matching_facts facts = facts_of(session);
    facts.is_over = is_over;
    const int err = matching_choose(service->config, &facts, &route);
    if (err == -EAGAIN) {
        return true;
    }
    take_route(session, err, route);
    return false;
}

static void be_late(void *arg);

static bool arm(struct session *session, uint64_t time_ns,
                void (*call)(void *session))
{
    weir_handle_cancel(session_loop(session), session->timer);
    if (weir_loop_call_later(session_loop(session), time_ns, call, session,
                             &session->timer) < 0) {
        session_refuse(session, END_INTERNAL);
        return false;
    }
    return true;
}

/* Runs when the time silent-after has passed; chooses by silence, unless bytes
 * have arrived. */
static void notice_silence(void *arg)
{
    struct session *session = arg;
    const struct config_service *config = session->door->service->config;

    if (preface_rest(session->preface).len == 0) {
        session->kind = MATCHING_SILENT;
        choose(session, true);
    } else {
        arm(session, config->hello_timeout_ns - config->silent_after_ns,
            be_late);
    }
}

static void await_silence(struct session *session)
{
    if (may_be_silent(session) && preface_rest(session->preface).len == 0) {
        arm(session, session->door->service->config->silent_after_ns,
            notice_silence);
    }
}

static void await_inside(struct session *session)
{
    const struct config_service *config = session->door->service->config;

    if (arm(session, config->hello_timeout_ns, be_late)) {
        await_silence(session);
    }
}

static void count_handshake(const struct session *session)
{
    struct counts *counts = session->door->service->counts;
    struct weir_extra_info info = {.size = sizeof(info)};

    if (weir_transport_get_extra_info(session->client, "tls_resumed", &info) ==
        0) {
        counts->resumed_handshakes += info.number == 1;
        counts->full_handshakes += info.number != 1;
    }
}

/* Replaces the common name in the PROXY header by the name in the client's
 * certificate, or by NULL if this proxy did not verify a certificate. Returns
 * true if the certificate has one of the required names; otherwise refuses the
 * client. */
static bool admit_by_certificate(struct session *session)
{
    const struct config_service *config = session->door->service->config;
    char cn[CERTIFICATE_CN_SIZE];

    free(session->client_cn);
    session->client_cn =
        config->client_ca && certificate_get_cn(session->client, cn)
            ? strdup(cn)
            : NULL;
    if (config->client_names.count == 0 ||
        certificate_has_name(&config->client_names, session->client)) {
        return true;
    }
    session_refuse(session, END_CLIENT_NAME);
    return false;
}

static void secured(void *arg, int err, weir_transport *t)
{
    struct session *session = arg;

    (void)t;
    if (err == 0) {
        session->is_opened = true;
        count_handshake(session);
        if (admit_by_certificate(session) && choose(session, false)) {
            await_inside(session);
        }
    } else {
        session->door->service->counts->failed_handshakes++;
        session->reason = END_HANDSHAKE; /* used when the connection is lost */
    }
}

static void open_tls(struct session *session)
{
    const struct service *service = session->door->service;
    const struct contexts *contexts = service->services->setup->contexts;
    const struct weir_tls_settings settings = {
        .size = sizeof(settings),
        .context = contexts_of_service(contexts, service->index),
        .handshake_timeout_ns = service->config->handshake_timeout_ns,
    };
    const struct weir_buf rest = preface_rest(session->preface);
    const struct weir_start_tls_options options = {
        .size = sizeof(options), .initial = &rest, .initial_count = 1};
    weir_transport *upgraded;

    weir_handle_cancel(session_loop(session), session->timer);
    if (weir_transport_start_tls(session->client, &settings, &options, secured,
                                 session, &upgraded) < 0) {
        session_refuse(session, session_reason_of_refusal(session));
        return;
    }
    weir_transport_unref(session->client);
    session->client = weir_transport_ref(upgraded);
    weir_transport_set_busy(upgraded, true);
    session->preface = preface_drop_rest(session->preface);
}

/* Uses the complete ClientHello to decide whether TLS is terminated. */
static void choose_by_hello(struct session *session)
{
    const struct config_service *config = session->door->service->config;
    struct matching_facts facts = facts_of(session);
    size_t route = 0;

    facts.begin_len = 0; /* bytes inside TLS are not known yet */
    facts.may_be_silent =
        session->door->service->has_silent_route && !session->door->at->is_any;
    const int err = matching_choose_by_hello(config, &facts, &route);

    if (err < 0 || config->routes[route].passes_tls) {
        take_route(session, err, route);
    } else {
        open_tls(session);
    }
}

/* Returns true if the client rules admit the client; otherwise refuses it. */
static bool admit(struct session *session)
{
    const struct service *service = session->door->service;
    struct clients_refusal refusal;
    struct weir_address client;

    if (!service->clients || session->is_admitted) {
        return true;
    }
    preface_get_client(session->preface, session->client, &client);
    session->is_admitted = clients_enter(
        service->clients, &client, weir_loop_get_time(session_loop(session)),
        &session->counted, &refusal);
    if (!session->is_admitted) {
        session->is_unlogged = !refusal.is_told;
        session->left_out = refusal.left_out;
        session_refuse(session, refusal.reason);
    }
    return session->is_admitted;
}

/* Refuses a client whose PROXY header or ClientHello is invalid or late. */
static void refuse_preface(struct session *session)
{
    struct service *service = session->door->service;
    const bool lacks_header =
        service->reads_header && !preface_has_header(session->preface);

    service->counts->failed_handshakes += !lacks_header && service->clients;
    session_refuse(session, lacks_header ? END_HEADER : END_HELLO);
}

/* Chooses the route by the received bytes, because no more will arrive. Returns
 * false if the PROXY header or the ClientHello is incomplete; otherwise more
 * bytes could only change the route. */
static bool decide(struct session *session)
{
    const struct service *service = session->door->service;

    if ((service->reads_header && !preface_has_header(session->preface)) ||
        (session->kind == MATCHING_TLS && !session->is_opened)) {
        return false;
    }
    if (session->kind == MATCHING_UNKNOWN) {
        session->kind = MATCHING_PLAIN;
    }
    choose(session, true);
    return true;
}

static void be_late(void *arg)
{
    if (!decide(arg)) {
        refuse_preface(arg);
    }
}

static bool read_header(struct session *session)
{
    const struct service *service = session->door->service;
    const int err = service->reads_header && !session->is_opened
                        ? preface_read_header(session->preface,
                                              service->config->accept_header)
                        : 0;

    if (err < 0 && (err != -EAGAIN || preface_is_too_long(session->preface))) {
        refuse_preface(session);
    }
    if (err == 0 && !session->client_cn) {
        session->client_cn = preface_copy_cn(session->preface);
    }
    return err == 0;
}

static void read_hello(struct session *session)
{
    const struct service *service = session->door->service;
    const int err =
        preface_read_hello(session->preface, service->has_alpn_route);

    if (err == 0) {
        choose_by_hello(session);
    } else if (err != -EAGAIN || preface_is_too_long(session->preface)) {
        refuse_preface(session);
    }
}

static void read_preface(struct session *session)
{
    if (!read_header(session) || !admit(session)) {
        return;
    }
    const struct weir_buf rest = preface_rest(session->preface);
    if (session->kind == MATCHING_UNKNOWN) {
        session->kind = matching_guess(rest.data, rest.len);
    }
    if (session->kind == MATCHING_TLS && !session->is_opened) {
        read_hello(session);
    } else if (choose(session, false)) {
        await_silence(session);
    }
}

/* Handles an end of stream that arrived while the client waited for the
 * limits. */
static void end_preface(struct session *session, const weir_transport *t)
{
    const bool is_open_now = session->client != t;

    if (session->route || is_open_now || weir_transport_is_closing(t)) {
        return; /* a route was chosen, TLS handles the end, or the client is
                 * refused */
    }
    if (!decide(session)) {
        session_refuse(session, END_CLIENT_GONE);
    }
}

static bool is_trusted(const struct session *session)
{
    struct weir_address peer;

    weir_transport_get_peername(session->client, &peer);
    return networks_have(&session->door->service->trusted, &peer);
}

static void begin_preface(struct session *session)
{
    const struct service *service = session->door->service;

    if (service->reads_header && !is_trusted(session)) {
        session_refuse(session, END_UNTRUSTED);
        return;
    }
    if (!session->preface) {
        session->preface = preface_new();
    }
    if (!session->preface) {
        session_refuse(session, END_INTERNAL);
        return;
    }
    if (!arm(session, service->config->hello_timeout_ns, be_late)) {
        return;
    }
    const weir_transport *t = session->client;
    if (preface_rest(session->preface).len > 0) {
        read_preface(session); /* bytes received while the client waited */
    } else if (!service->reads_header && !session->has_ended) {
        await_silence(session);
    }
    if (session->has_ended) {
        end_preface(session, t);
    }
}

static struct session *session_of(struct place *place)
{
    return (struct session *)(void *)((char *)place -
                                      offsetof(struct session, place));
}

void opening_take_in(struct place *place)
{
    struct session *session = session_of(place);
    const struct service *service = session->door->service;
    const struct target *at = session->door->at;
    const bool has_tls = at->is_tls && !at->is_any;

    session->kind = has_tls      ? MATCHING_TLS
                    : at->is_any ? MATCHING_UNKNOWN
                                 : MATCHING_PLAIN;
    session->is_opened =
        has_tls && !service->reads_header && !service->reads_hello;
    if (session->is_opened) {
        count_handshake(session);
        if (!admit_by_certificate(session)) {
            return;
        }
    }
    if (service->reads_header || (has_tls && !session->is_opened) ||
        choose(session, false)) {
        weir_transport_resume_reading(session->client);
        begin_preface(session);
    }
}

void opening_refuse_waiting(struct door *door)
{
    struct place *place;

    while ((place = places_turn_away(door)) != NULL) {
        session_refuse(session_of(place), END_DRAIN);
    }
}

#define SHORTAGE_TOLD_NS UINT64_C(1000000000)

/* Refuses a client above the program's limit. If descriptors impose the limit,
 * the shortage is reported, at most once a second. */
static void refuse_above_all(struct session *session)
{
    const struct service *service = session->door->service;
    struct proxy *proxy = service->worker->proxy;

    if (atomic_load(&proxy->places.limit) == proxy->fd_limit) {
        counts_accept_error(service->counts, -EMFILE);
        if (is_to_tell(&proxy->told_shortage_ns,
                       weir_loop_get_time(session_loop(session)),
                       SHORTAGE_TOLD_NS)) {
            say("the limit of open files allows %llu connections, and there "
                "are as many: more are reset; raise the limit",
                (unsigned long long)proxy->fd_limit);
        }
    }
    session_refuse(session, END_LIMIT);
}

static void client_made(void *user, weir_transport *t)
{
    struct session *session = user;

    session->client = weir_transport_ref(t);
    list_add(&session->door->service->worker->sessions, &session->link);
    trimming_enter(session->door->service->worker);
    weir_transport_set_busy(t, true); /* a graceful stop waits for it */
    if (!session->door->service->reads_header && !admit(session)) {
        return;
    }
    if (!places_enter(&session->place, session->door)) {
        refuse_above_all(session);
    }
}

/* Stores received bytes: keeps the buffer of the first bytes for the target if
 * the session has no preface, and copies all other bytes to the preface.
 * Returns 0 or a negative error. */
static int keep(struct session *session, const struct weir_buf *buf)
{
    if (session->route && !session->preface && !session->kept.lease) {
        struct weir_buf kept = *buf;
        if (weir_buf_ref(&kept) == 0) {
            session->kept = kept;
            return 0;
        }
    }
    if (!session->preface) {
        session->preface = preface_new();
    }
    return session->preface
               ? preface_feed(session->preface, buf->data, buf->len)
               : -ENOMEM;
}

static bool is_waiting(const struct session *session)
{
    return session->route || session->place.state == PLACE_WAITING;
}

/* Receives bytes for the preface or the target. Reading continues while a
 * client waits for a target, because its reset would not be noticed
 * otherwise. */
static int client_data(void *user, weir_transport *t,
                       const struct weir_buf *buf)
{
    struct session *session = user;
    const bool waits = is_waiting(session);

    if (keep(session, buf) < 0) {
        session_refuse(session, END_INTERNAL);
    } else if (!waits) {
        read_preface(session);
    } else if (session->kept.len + preface_rest(session->preface).len >=
               session->door->service->config->buffer_bytes) {
        weir_transport_pause_reading(t);
    }
    return 0;
}

/* Handles the client's end of stream, which the relay forwards later. Closes a
 * client that ends inside its PROXY header or ClientHello. With abort-on-close,
 * also closes a client that waits for a target. */
static int client_eof(void *user, weir_transport *t)
{
    struct session *session = user;

    session->has_ended = session->place.state == PLACE_WAITING;
    if (session->route && session->route->config->ends_waiting) {
        session_refuse(session, END_CLIENT_GONE);
    } else if (!is_waiting(session) && !weir_transport_is_closing(t)) {
        decide(session);
    }
    return is_waiting(session);
}

static void client_lost(void *user, weir_transport *t, int err)
{
    struct session *session = user;

    (void)err;
    weir_handle_cancel(session_loop(session), session->timer);
    if (session->reason == END_CLIENT_GONE &&
        session->door->service->worker->is_draining &&
        weir_transport_get_end(t) == WEIR_END_ABORTED) {
        session->reason = END_DRAIN;
    }
    session_lose_client(session);
}

static const struct weir_protocol client_protocol = {
    .size = sizeof(client_protocol),
    .kind = WEIR_PROTOCOL_STREAM,
    .connection_made = client_made,
    .connection_lost = client_lost,
    .data_received = client_data,
    .eof_received = client_eof,
};

int opening_create(void *arg, weir_transport *t,
                   struct weir_protocol_binding *ret)
{
    struct door *door = arg;
    struct session *session = malloc(sizeof(*session));

    (void)t;
    if (!session) {
        return -ENOMEM;
    }
    *session = (struct session){.door = door,
                                .reason = END_CLIENT_GONE,
                                .time_ns = clock_wall_coarse_ns()};
    session->start_ns = weir_loop_get_time(session_loop(session));
    door->service->counts->accepted++;
    door->service->counts->active++;
    door->service->services->busy++;
    *ret = (struct weir_protocol_binding){&client_protocol, session};
    return 0;
}
