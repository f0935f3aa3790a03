/*
 * Verifies a peer's certificates, and stores the verdict.
 *
 * A backend passes the certificates as it received them. weir searches for a
 * path and verifies each link itself. Texts and certificates are copied to the
 * loop's memory, because the backend's copies live for one call.
 */
#include "verify.h"

#include "context_impl.h"
#include "ticket.h"
#include "uring/check.h"

#include <weir/error.h>
#include <weir/tls.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Maximum size of a text; longer names of a certificate are cut off. */
#define VERIFY_TEXT_MAX 256

void wr_tls_verdict_init(struct wr_tls_verdict *verdict,
                         const struct weir_allocator *allocator)
{
    *verdict = (struct wr_tls_verdict){.allocator = allocator,
                                       .key_kind = WR_X509_KEY_OTHER};
}

static void verify_free_chain(const struct weir_allocator *allocator,
                              struct wr_tls_certificate *chain, uint32_t count)
{
    wr_assert(count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        wr_free(allocator, chain[i].der, chain[i].size);
    }
    wr_free(allocator, chain, WR_X509_CHAIN_MAX * sizeof(*chain));
}

void wr_tls_verdict_fini(struct wr_tls_verdict *verdict)
{
    wr_tls_verdict_forget(verdict);
    verify_free_chain(verdict->allocator, verdict->chain, verdict->chain_count);
    wr_free(verdict->allocator, verdict->text, VERIFY_TEXT_MAX);
    if (verdict->hostname) {
        wr_free(verdict->allocator, verdict->hostname,
                strlen(verdict->hostname) + 1);
    }
    wr_tls_verdict_init(verdict, verdict->allocator);
}

void wr_tls_verdict_fail(struct wr_tls_verdict *verdict, int err,
                         const char *format, ...)
{
    va_list args;

    wr_assert(err < 0);
    if (verdict->err) {
        return;
    }
    verdict->err = err;
    verdict->text = wr_alloc(verdict->allocator, VERIFY_TEXT_MAX);
    if (verdict->text) {
        va_start(args, format);
        wr_ignore(vsnprintf(verdict->text, VERIFY_TEXT_MAX, format, args) < 0);
        va_end(args);
    }
}

int wr_tls_verdict_set_hostname(struct wr_tls_verdict *verdict,
                                const char *hostname)
{
    const size_t size = strlen(hostname) + 1;

    wr_assert(!verdict->hostname);
    verdict->hostname = wr_alloc(verdict->allocator, size);
    if (!verdict->hostname) {
        return -ENOMEM;
    }
    memcpy(verdict->hostname, hostname, size);
    return 0;
}

int wr_tls_verdict_keep(struct wr_tls_verdict *verdict, uint32_t index,
                        const uint8_t *der, size_t size)
{
    const size_t chain_size = WR_X509_CHAIN_MAX * sizeof(*verdict->chain);

    wr_assert(size > 0);
    if (index >= WR_X509_CHAIN_MAX) {
        return -E2BIG;
    }
    uint8_t *copy = wr_alloc(verdict->allocator, size);
    if (copy && !verdict->chain) {
        verdict->chain = wr_alloc(verdict->allocator, chain_size);
        if (verdict->chain) {
            memset(verdict->chain, 0, chain_size);
        }
    }
    if (!copy || !verdict->chain) {
        wr_free(verdict->allocator, copy, size);
        return -ENOMEM;
    }
    memcpy(copy, der, size);
    struct wr_tls_certificate *place = &verdict->chain[index];
    wr_free(verdict->allocator, place->der, place->size);
    *place = (struct wr_tls_certificate){.der = copy, .size = size};
    if (verdict->chain_count <= index) {
        verdict->chain_count = index + 1;
    }
    return 0;
}

void wr_tls_verdict_select(struct wr_tls_verdict *verdict,
                           const uint32_t *places, uint32_t count)
{
    struct wr_tls_certificate chain[WR_X509_CHAIN_MAX] = {{.der = NULL}};

    wr_assert(count > 0 && count <= verdict->chain_count);
    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        wr_assert(places[i] < verdict->chain_count);
        chain[i] = verdict->chain[places[i]];
        verdict->chain[places[i]].der = NULL;
    }
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        if (verdict->chain[i].der) {
            wr_free(verdict->allocator, verdict->chain[i].der,
                    verdict->chain[i].size);
        }
    }
    memcpy(verdict->chain, chain, sizeof(chain));
    verdict->chain_count = count;
}

int wr_tls_verdict_expect(struct wr_tls_verdict *verdict,
                          const uint8_t id[WR_TLS_TICKET_CLIENT],
                          struct wr_tls_verdict *again)
{
    struct wr_tls_returning *returning =
        wr_alloc(verdict->allocator, sizeof(*returning));

    wr_assert(!verdict->returning && again->allocator == verdict->allocator);
    if (!returning) {
        return -ENOMEM;
    }
    *returning = (struct wr_tls_returning){
        .chain = again->chain,
        .chain_count = again->chain_count,
        .key_kind = again->key_kind,
    };
    memcpy(returning->id, id, WR_TLS_TICKET_CLIENT);
    again->chain = NULL;
    again->chain_count = 0;
    verdict->returning = returning;
    return 0;
}

void wr_tls_verdict_forget(struct wr_tls_verdict *verdict)
{
    struct wr_tls_returning *returning = verdict->returning;

    if (!returning) {
        return;
    }
    wr_assert(verdict->allocator != NULL);
    verify_free_chain(verdict->allocator, returning->chain,
                      returning->chain_count);
    wr_free(verdict->allocator, returning, sizeof(*returning));
    verdict->returning = NULL;
}

bool wr_tls_verdict_welcome(struct wr_tls_verdict *verdict)
{
    struct wr_tls_returning *returning = verdict->returning;

    if (!returning) {
        return false;
    }
    wr_assert(!verdict->is_accepted && verdict->chain_count == 0);
    verdict->is_judged = true;
    verdict->is_accepted = returning->chain_count > 0;
    verdict->has_none = returning->chain_count == 0;
    verdict->key_kind = returning->key_kind;
    verdict->chain = returning->chain;
    verdict->chain_count = returning->chain_count;
    returning->chain = NULL;
    returning->chain_count = 0;
    wr_tls_verdict_forget(verdict);
    return true;
}

#define VERIFY_SUBJECT_SIZE 96

static void verify_refuse(struct wr_tls_verdict *verdict,
                          const struct wr_x509_path *path)
{
    char subject[VERIFY_SUBJECT_SIZE];

    wr_assert(path->wrong && path->reason.err < 0);
    wr_x509_write_subject(path->wrong, subject, sizeof(subject));
    wr_tls_verdict_fail(verdict, path->reason.err, "The %s (%s) %s",
                        path->wrong == path->sent ? "peer's certificate"
                                                  : "certificate of an issuer",
                        subject, path->reason.text);
}

static void verify_refuse_host(struct wr_tls_verdict *verdict,
                               const struct wr_x509 *leaf, const char *host)
{
    char subject[VERIFY_SUBJECT_SIZE];

    wr_assert(host != NULL);
    wr_x509_write_subject(leaf, subject, sizeof(subject));
    wr_tls_verdict_fail(
        verdict, WEIR_ETLSHOSTNAME,
        "The peer's certificate (%s) is not for %s%s", subject, host,
        leaf->names.size > 0 ? "" : ": it has no subjectAltName");
}

/* Returns false if the leaf is malformed. Any other malformed certificate gets
 * no DER, so that no path contains it. */
static bool verify_read(const struct wr_tls_verdict *verdict,
                        struct wr_x509 *sent)
{
    wr_assert(verdict->chain_count > 0);
    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        const struct wr_tls_certificate *from = &verdict->chain[i];
        if (wr_x509_read(&sent[i], from->der, from->size) < 0) {
            sent[i] = (struct wr_x509){.der = {NULL, 0}};
        }
    }
    return sent[0].der.data;
}

static struct wr_x509_path verify_begin(const struct wr_tls_policy *policy,
                                        const struct wr_tls_verdict *verdict,
                                        const struct wr_x509 *sent)
{
    wr_assert(policy->trust != NULL);
    return (struct wr_x509_path){
        .rules = policy->rules,
        .trust = policy->trust,
        .sent = sent,
        .sent_count = verdict->chain_count,
        .link = policy->link,
        .revoked = policy->revoked,
        .user = policy->user,
    };
}

bool wr_tls_verify_search(const struct wr_tls_policy *policy,
                          struct wr_tls_verdict *verdict)
{
    struct wr_x509 sent[WR_X509_CHAIN_MAX];

    if (!verify_read(verdict, sent)) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The certificate of the peer is malformed");
        return false;
    }
    struct wr_x509_path path = verify_begin(policy, verdict, sent);
    if (!wr_x509_path_find(&path)) {
        verify_refuse(verdict, &path);
        return false;
    }
    if (policy->hostname && !wr_x509_is_for(sent, policy->hostname)) {
        verify_refuse_host(verdict, sent, policy->hostname);
        return false;
    }
    verdict->key_kind = sent->key.kind;
    wr_tls_verdict_select(verdict, path.steps, path.length);
    return true;
}

static bool verify_keep_sent(struct wr_tls_verdict *verdict,
                             const struct wr_bytes *certs, size_t count)
{
    if (count > WR_X509_CHAIN_MAX) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSPATHLEN,
                            "The peer sent more than %u certificates",
                            WR_X509_CHAIN_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (certs[i].size == 0) {
            wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                                "Certificate %zu of the peer is empty", i);
            return false;
        }
        if (wr_tls_verdict_keep(verdict, (uint32_t)i, certs[i].data,
                                certs[i].size) < 0) {
            wr_tls_verdict_fail(verdict, -ENOMEM,
                                "No memory for a certificate");
            return false;
        }
    }
    return true;
}

static struct wr_x509_reason verify_link(void *user,
                                         const struct wr_x509 *child,
                                         const struct wr_x509 *issuer)
{
    const weir_tls_context *context = user;
    const int err = wr_tls_signature_verify(&child->sign, issuer->key_info);

    wr_assert(context->verifies);
    return err == 0 ? (struct wr_x509_reason){.err = 0}
           : err == -ENOMEM
               ? (struct wr_x509_reason){err, "could not be verified: "
                                              "no memory"}
           : err == -EOPNOTSUPP
               ? (struct wr_x509_reason){WEIR_ETLSWEAK,
                                         "is signed by an "
                                         "algorithm that is weak "
                                         "or not known"}
               : (struct wr_x509_reason){WEIR_ETLSBADCERT,
                                         "was not signed by its issuer's key"};
}

static struct wr_x509_reason verify_revoked(void *user,
                                            const struct wr_x509 *child,
                                            const struct wr_x509 *issuer)
{
    weir_tls_context *context = user;

    wr_assert(context->revocation.count > 0);
    return wr_tls_revocation_ask(&context->revocation, child, issuer,
                                 (int64_t)time(NULL));
}

/* RFC 8446, 6 */
static uint8_t verify_alert(int err)
{
    enum {
        BAD_CERTIFICATE = 42,
        CERTIFICATE_EXPIRED = 45,
        UNKNOWN_CA = 48,
        INTERNAL_ERROR = 80,
    };

    wr_assert(err < 0);
    switch (err) {
    case WEIR_ETLSEXPIRED:
    case WEIR_ETLSNOTYET:
        return CERTIFICATE_EXPIRED;
    case WEIR_ETLSISSUER:
    case WEIR_ETLSSELFSIGNED:
    case WEIR_ETLSPATHLEN:
        return UNKNOWN_CA;
    case -ENOMEM:
        return INTERNAL_ERROR;
    default:
        return BAD_CERTIFICATE;
    }
}

static struct wr_tls_policy verify_policy(const struct wr_tls_verdict *verdict)
{
    weir_tls_context *context = verdict->context;

    wr_assert(context->verifies);
    return (struct wr_tls_policy){
        .rules = {.peer_is_client = verdict->peer_is_client,
                  .now = (int64_t)time(NULL)},
        .hostname = verdict->hostname,
        .trust = &context->trust,
        .link = verify_link,
        .revoked = context->revocation.count > 0 ? verify_revoked : NULL,
        .user = context,
    };
}

static bool verify_judge(struct wr_tls_verdict *verdict,
                         const struct wr_bytes *certs, size_t count)
{
    const struct wr_tls_policy policy = verify_policy(verdict);

    wr_assert(!verdict->is_judged && !verdict->is_accepted);
    verdict->is_judged = true;
    verdict->is_accepted = verify_keep_sent(verdict, certs, count) &&
                           wr_tls_verify_search(&policy, verdict);
    return verdict->is_accepted;
}

bool wr_tls_context_judge_again(struct wr_tls_verdict *verdict)
{
    const struct wr_tls_policy policy = verify_policy(verdict);

    wr_assert(verdict->chain_count > 0 && !verdict->is_judged);
    return wr_tls_verify_search(&policy, verdict);
}

static bool verify_is_judged(const struct wr_tls_verdict *verdict,
                             const struct wr_bytes *leaf)
{
    const struct wr_tls_certificate *known = verdict->chain;

    return verdict->is_accepted && known->size == leaf->size &&
           memcmp(known->der, leaf->data, leaf->size) == 0;
}

/* The backend refuses a client without a certificate if the settings demand
 * one. */
static bool verify_none(struct wr_tls_verdict *verdict)
{
    wr_assert(!verdict->is_accepted);
    if (!verdict->peer_is_client) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The server sent no certificate");
        return false;
    }
    verdict->has_none = !verdict->context->demands;
    return true;
}

bool wr_tls_context_judge(struct wr_tls_verdict *verdict,
                          const struct wr_bytes *certs, size_t count)
{
    wr_assert(verdict->context->verifies);
    /* A full handshake does not need the client of the offered tickets. */
    wr_tls_verdict_forget(verdict);
    if (count == 0) {
        return verify_none(verdict);
    }
    bool is_good = verdict->is_judged || verify_judge(verdict, certs, count);
    if (is_good && !verify_is_judged(verdict, certs)) {
        wr_tls_verdict_fail(verdict, WEIR_ETLSBADCERT,
                            "The peer sent certificates twice");
        is_good = false;
    }
    if (!is_good) {
        verdict->alert = verify_alert(verdict->err);
    }
    return is_good;
}

void wr_tls_context_refuse(struct wr_tls_verdict *verdict, int err,
                           const char *text)
{
    wr_assert(err < 0 && text);
    wr_tls_verdict_fail(verdict, err,
                        "The peer's certificate cannot be used: %s", text);
    verdict->alert = verify_alert(verdict->err);
}

/* ---- a client that resumes ----
 *
 * A ticket of a server that verifies clients contains the time of the full
 * handshake and the digest of the accepted path; a digest of zeros means a
 * client without a certificate. A new ticket on a resumed connection copies
 * both from the old ticket, so a client proves at least once in each lifetime
 * that it has its key.
 *
 * A hello may contain many tickets, even stolen ones, because tickets are sent
 * in clear. The client proves the secret of only one ticket, and weir does not
 * know which ticket the library resumes. So all tickets accepted in a handshake
 * must have the client and the time of the first. */

#define VERIFY_TICKETS_MAX 4u

_Static_assert((int)WR_TLS_CLIENT_DIGEST + (int)sizeof(uint32_t) ==
                   (int)WR_TLS_TICKET_CLIENT,
               "the time is before the digest");

/* Hashes the hashes of the certificates instead of their bytes, so that no
 * other list of certificates has the same concatenated bytes. */
static int verify_digest(const struct wr_tls_verdict *verdict,
                         uint8_t ret[WR_TLS_CLIENT_DIGEST])
{
    const struct wr_tls_backend *backend = verdict->context->backend;
    uint8_t hashes[WR_X509_CHAIN_MAX * WR_TLS_TICKET_DIGEST];
    uint8_t hash[WR_TLS_HASH_MAX];

    wr_assert(verdict->chain_count <= WR_X509_CHAIN_MAX);
    for (uint32_t i = 0; i <= verdict->chain_count; i++) {
        const bool is_last = i == verdict->chain_count;
        const struct wr_bytes from = {
            .data = is_last ? hashes : verdict->chain[i].der,
            .size = is_last ? i * (size_t)WR_TLS_TICKET_DIGEST
                            : verdict->chain[i].size};
        if (backend->hash(WR_X509_HASH_SHA256, from, hash) !=
            WR_TLS_TICKET_DIGEST) {
            return WEIR_ETLSENGINE;
        }
        memcpy(is_last ? ret : hashes + i * (size_t)WR_TLS_TICKET_DIGEST, hash,
               is_last ? WR_TLS_CLIENT_DIGEST : WR_TLS_TICKET_DIGEST);
    }
    return 0;
}

/* A client whose certificates cannot be stored gets a ticket, but cannot resume
 * with it. */
int wr_tls_context_note_client(struct wr_tls_conn *conn,
                               uint8_t ret[WR_TLS_TICKET_CLIENT])
{
    const struct wr_tls_verdict *verdict = conn->verdict;
    weir_tls_context *context = verdict->context;
    const uint32_t now = (uint32_t)time(NULL);
    struct wr_bytes chain[WR_X509_CHAIN_MAX];
    int err = 0;

    wr_assert(context->is_server && context->verifies);
    if (verdict->returning && conn->backend->was_resumed(conn)) {
        memcpy(ret, verdict->returning->id, WR_TLS_TICKET_CLIENT);
        return 0;
    }
    memset(ret, 0, WR_TLS_TICKET_CLIENT);
    memcpy(ret, &now, sizeof(now));
    if (verdict->is_accepted) {
        err = verify_digest(verdict, ret + sizeof(now));
    }
    for (uint32_t i = 0; i < verdict->chain_count; i++) {
        chain[i] = (struct wr_bytes){.data = verdict->chain[i].der,
                                     .size = verdict->chain[i].size};
    }
    if (err == 0 && verdict->is_accepted) {
        pthread_mutex_lock(&context->mutex);
        wr_ignore(wr_tls_clients_add(&context->clients, ret + sizeof(now),
                                     chain, verdict->chain_count) < 0);
        pthread_mutex_unlock(&context->mutex);
    }
    return err;
}

static bool verify_recall(weir_tls_context *context, const uint8_t *digest,
                          struct wr_tls_verdict *again)
{
    struct wr_bytes one;
    uint32_t count = 0;
    bool is_known = true;

    wr_assert(again->chain_count == 0 && again->peer_is_client);
    pthread_mutex_lock(&context->mutex);
    struct wr_bytes chain = wr_tls_clients_find(&context->clients, digest);
    while (is_known && wr_tls_clients_take(&chain, &one)) {
        is_known = wr_tls_verdict_keep(again, count++, one.data, one.size) == 0;
    }
    pthread_mutex_unlock(&context->mutex);
    return is_known && count > 0;
}

static bool verify_is_of_none(const uint8_t *digest)
{
    static const uint8_t none[WR_TLS_CLIENT_DIGEST];

    wr_assert(digest != NULL);
    return memcmp(digest, none, sizeof(none)) == 0;
}

bool wr_tls_context_know_client(struct wr_tls_verdict *verdict,
                                const uint8_t id[WR_TLS_TICKET_CLIENT])
{
    weir_tls_context *context = verdict->context;
    const uint8_t *digest = id + sizeof(uint32_t);
    struct wr_tls_verdict again;
    uint32_t since;
    bool is_good = false;

    wr_assert(context->is_server && context->verifies);
    if (verdict->is_judged || verdict->has_none) {
        /* This is already a full handshake. */
        return false;
    }
    if (verdict->returning) {
        return memcmp(verdict->returning->id, id, WR_TLS_TICKET_CLIENT) == 0;
    }
    memcpy(&since, id, sizeof(since));
    if (!wr_tls_context_is_lasting(context, since) ||
        verdict->tickets_judged == VERIFY_TICKETS_MAX) {
        return false;
    }
    verdict->tickets_judged++;
    wr_tls_verdict_init(&again, verdict->allocator);
    again.peer_is_client = true;
    again.context = context;
    again.conn = verdict->conn;
    is_good = verify_is_of_none(digest)
                  ? !context->demands
                  : (verify_recall(context, digest, &again) &&
                     wr_tls_context_judge_again(&again));
    is_good = is_good && wr_tls_verdict_expect(verdict, id, &again) == 0;
    wr_tls_verdict_fini(&again);
    return is_good;
}
