/*
 * Session tickets: the keys of a context, AES-256-GCM for one ticket, and the
 * backend's ticket events.
 *
 * Keys that are generated here rotate: a key seals for one lifetime, opens for
 * another, and is then overwritten, so that a thief of a server's memory cannot
 * decrypt much older sessions. The user's keys do not rotate.
 *
 * A session cannot store a client's certificate, and a resumed handshake
 * presents none. So a ticket of a server that verifies clients contains the
 * digest of the client's certificates.
 */
#include "ticket.h"

#include "context_impl.h"
#include "lib/tls/backend/backend.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Seconds by which the clocks of servers with the same keys may differ. */
#define TICKET_SKEW 60

static int ticket_random(void *data, size_t size)
{
    wr_assert(size <= 256);
    return getentropy(data, size) == 0 ? 0 : WEIR_ETLSENGINE;
}

static void ticket_check_invariants(const struct wr_tls_ticket_keys *keys)
{
    wr_assert(keys->count > 0);
    wr_assert(keys->count <= WR_TLS_TICKET_KEYS);
    wr_assert(!keys->rotates || keys->count <= 2);
    wr_assert(keys->lifetime > 0);
}

static void ticket_drop_pairs(struct wr_tls_ticket_keys *keys)
{
    ticket_check_invariants(keys);
    memset(keys->has_pair, 0, sizeof(keys->has_pair));
    explicit_bzero(keys->pairs, sizeof(keys->pairs));
}

static int ticket_rotate(struct wr_tls_ticket_keys *keys, uint64_t now)
{
    struct wr_tls_ticket_key fresh;

    wr_assert(keys->rotates);
    wr_assert(keys->count <= 2);
    int err = ticket_random(&fresh, sizeof(fresh));
    if (err < 0) {
        return err;
    }
    keys->keys[1] = keys->keys[0];
    keys->keys[0] = fresh;
    keys->count = keys->count == 0 ? 1 : 2;
    keys->since = now;
    explicit_bzero(&fresh, sizeof(fresh));
    ticket_drop_pairs(keys);
    return 0;
}

int wr_tls_ticket_keys_init(struct wr_tls_ticket_keys *keys,
                            const void *user_keys, size_t size,
                            uint64_t lifetime, uint64_t now)
{
    *keys = (struct wr_tls_ticket_keys){
        .rotates = !user_keys,
        .lifetime = lifetime,
    };
    if (!user_keys) {
        return size == 0 ? ticket_rotate(keys, now) : -EINVAL;
    }
    if (size == 0 || size > sizeof(keys->keys) ||
        size % sizeof(keys->keys[0]) != 0) {
        return -EINVAL;
    }
    memcpy(keys->keys, user_keys, size);
    keys->count = (uint32_t)(size / sizeof(keys->keys[0]));
    ticket_check_invariants(keys);
    return 0;
}

/* The difference of the times is unsigned, so a rotating key is replaced even
 * if the clock was set back. */
int wr_tls_ticket_keys_get(struct wr_tls_ticket_keys *keys, uint64_t now,
                           struct wr_tls_ticket_key *ret)
{
    ticket_check_invariants(keys);
    if (keys->rotates && now - keys->since >= keys->lifetime) {
        int err = ticket_rotate(keys, now);
        if (err < 0) {
            return err;
        }
    }
    *ret = keys->keys[0];
    return 0;
}

static uint32_t ticket_look_up(const struct wr_tls_ticket_keys *keys,
                               const uint8_t *name)
{
    uint32_t at = 0;

    ticket_check_invariants(keys);
    while (at < keys->count &&
           memcmp(keys->keys[at].name, name, WR_TLS_TICKET_NAME) != 0) {
        at++;
    }
    return at;
}

bool wr_tls_ticket_keys_find(const struct wr_tls_ticket_keys *keys,
                             const uint8_t *name, struct wr_tls_ticket_key *ret)
{
    const uint32_t at = ticket_look_up(keys, name);

    wr_assert(at <= keys->count);
    if (at == keys->count) {
        return false;
    }
    *ret = keys->keys[at];
    return true;
}

bool wr_tls_ticket_keys_derive(struct wr_tls_ticket_keys *keys,
                               const uint8_t *name,
                               struct wr_tls_ticket_pair *ret)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    const uint32_t at = ticket_look_up(keys, name);

    wr_assert(at <= keys->count);
    if (at == keys->count) {
        return false;
    }
    struct wr_tls_ticket_pair *pair = &keys->pairs[at];
    const struct wr_bytes secret = {.data = keys->keys[at].secret,
                                    .size = WR_TLS_TICKET_SECRET};
    if (!keys->has_pair[at]) {
        keys->has_pair[at] =
            backend->expand(WR_X509_HASH_SHA256, secret, "ticket cipher",
                            pair->cipher, sizeof(pair->cipher)) == 0 &&
            backend->expand(WR_X509_HASH_SHA256, secret, "ticket mac",
                            pair->mac, sizeof(pair->mac)) == 0;
    }
    if (keys->has_pair[at]) {
        *ret = *pair;
    }
    return keys->has_pair[at];
}

void wr_tls_ticket_keys_save(const struct wr_tls_ticket_keys *keys,
                             struct wr_tls_ticket_saved *ret)
{
    ticket_check_invariants(keys);
    memset(ret, 0, sizeof(*ret));
    ret->since = keys->since;
    ret->count = keys->count;
    ret->rotates = keys->rotates;
    memcpy(ret->keys, keys->keys, keys->count * sizeof(keys->keys[0]));
}

int wr_tls_ticket_keys_load(struct wr_tls_ticket_keys *keys,
                            const struct wr_tls_ticket_saved *saved)
{
    const uint32_t most = saved->rotates ? 2 : WR_TLS_TICKET_KEYS;

    ticket_check_invariants(keys);
    if (saved->count == 0 || saved->count > most || saved->rotates > 1) {
        return -EINVAL;
    }
    keys->since = saved->since;
    keys->count = saved->count;
    keys->rotates = saved->rotates == 1;
    memcpy(keys->keys, saved->keys, sizeof(keys->keys));
    ticket_drop_pairs(keys);
    return 0;
}

void wr_tls_ticket_keys_fini(struct wr_tls_ticket_keys *keys)
{
    explicit_bzero(keys, sizeof(*keys));
}

static int ticket_digest(const uint8_t *data, size_t size, uint8_t *ret)
{
    const struct wr_bytes name = {.data = data, .size = size};
    uint8_t hash[WR_TLS_HASH_MAX];

    wr_assert(data && size > 0 && size <= UINT16_MAX);
    if (wr_tls_backend_get()->hash(WR_X509_HASH_SHA256, name, hash) !=
        WR_TLS_TICKET_DIGEST) {
        return WEIR_ETLSENGINE;
    }
    memcpy(ret, hash, WR_TLS_TICKET_DIGEST);
    return 0;
}

int wr_tls_ticket_digest_name(const void *name, size_t len,
                              uint8_t ret[WR_TLS_TICKET_DIGEST])
{
    uint8_t small[UINT8_MAX + 1];
    const uint8_t *from = name;

    wr_assert(name || len == 0);
    memset(ret, 0, WR_TLS_TICKET_DIGEST);
    if (len == 0) {
        return 0;
    }
    if (len > sizeof(small)) {
        return ticket_digest(name, len, ret);
    }
    for (size_t i = 0; i < len; i++) {
        const bool is_capital = from[i] >= 'A' && from[i] <= 'Z';
        small[i] = is_capital ? (uint8_t)(from[i] - 'A' + 'a') : from[i];
    }
    return ticket_digest(small, len, ret);
}

/* Additional authenticated data of a ticket. */
struct ticket_beside {
    uint8_t name[WR_TLS_TICKET_NAME];
    uint8_t iv[WR_TLS_TICKET_IV];
    uint8_t host[WR_TLS_TICKET_DIGEST];
    uint8_t has_client[16]; /* 1 or 0, then zeros */
};

_Static_assert(sizeof(struct ticket_beside) == 80, "it has no padding");
_Static_assert(WR_TLS_TICKET_IV == WR_TLS_TICKET_NONCE + sizeof(uint32_t),
               "the time of sealing follows the nonce");
_Static_assert((int)WR_TLS_TICKET_NONCE == (int)WR_TLS_AEAD_NONCE &&
                   (int)WR_TLS_TICKET_TAG == (int)WR_TLS_AEAD_TAG,
               "a ticket has the parts that AES-GCM wants");

static struct wr_tls_aead ticket_describe(const struct wr_tls_ticket *ticket,
                                          const struct wr_tls_ticket_key *key,
                                          struct ticket_beside *beside)
{
    wr_assert(ticket->size > 0 && ticket->size <= UINT16_MAX && ticket->tag);
    wr_assert(ticket->name && ticket->iv && ticket->host);
    *beside = (struct ticket_beside){.has_client = {ticket->has_client}};
    memcpy(beside->name, ticket->name, sizeof(beside->name));
    memcpy(beside->iv, ticket->iv, sizeof(beside->iv));
    memcpy(beside->host, ticket->host, sizeof(beside->host));
    return (struct wr_tls_aead){
        .kind = WR_TLS_AEAD_AES_256_GCM,
        .key = key->secret,
        .nonce = ticket->iv,
        .beside = {.data = (const uint8_t *)beside, .size = sizeof(*beside)},
        .in = ticket->data,
        .out = ticket->data,
        .size = ticket->size,
        .tag = ticket->tag,
    };
}

int wr_tls_ticket_seal(const struct wr_tls_ticket *ticket,
                       const struct wr_tls_ticket_key *key, uint64_t now)
{
    const uint32_t time = (uint32_t)now;
    struct ticket_beside beside;

    wr_assert(ticket->name && ticket->iv);
    memcpy(ticket->name, key->name, sizeof(key->name));
    memcpy(ticket->iv + WR_TLS_TICKET_NONCE, &time, sizeof(time));
    int err = ticket_random(ticket->iv, WR_TLS_TICKET_NONCE);
    if (err < 0) {
        return err;
    }
    const struct wr_tls_aead job = ticket_describe(ticket, key, &beside);
    return wr_tls_backend_get()->seal(&job) == 0 ? 0 : WEIR_ETLSENGINE;
}

/* The low 32 bits of the times are enough, because a lifetime is at most
 * days. */
static bool ticket_is_lasting(uint32_t since, uint64_t now, uint64_t lifetime)
{
    const uint32_t age = (uint32_t)now - since + TICKET_SKEW;

    wr_assert(lifetime > 0 && lifetime < UINT32_MAX / 2);
    return age < lifetime + TICKET_SKEW;
}

bool wr_tls_ticket_open(const struct wr_tls_ticket *ticket,
                        const struct wr_tls_ticket_key *key, uint64_t now,
                        uint64_t lifetime)
{
    struct ticket_beside beside;
    uint32_t time;

    memcpy(&time, ticket->iv + WR_TLS_TICKET_NONCE, sizeof(time));
    if (!ticket_is_lasting(time, now, lifetime)) {
        return false;
    }
    const struct wr_tls_aead job = ticket_describe(ticket, key, &beside);
    return wr_tls_backend_get()->open_sealed(&job) == 0;
}

#define TICKET_SECOND       UINT64_C(1000000000)
#define TICKET_LIFETIME     (2 * 60 * 60)
#define TICKET_LIFETIME_MAX (7 * 24 * 60 * 60) /* RFC 8446, 4.6.1 */

/* Uses the wall clock, because servers with the same keys must agree on the
 * time. */
static uint64_t ticket_now(void)
{
    return (uint64_t)time(NULL);
}

/* Tests the lifetime, which never changes, because the number of keys may be
 * read only with the mutex held. */
static bool ticket_has_keys(const weir_tls_context *context)
{
    wr_assert(context->is_server);
    return context->ticket_keys.lifetime > 0;
}

bool wr_tls_context_is_lasting(const weir_tls_context *context, uint32_t since)
{
    wr_assert(context->is_server);
    return ticket_has_keys(context) &&
           ticket_is_lasting(since, ticket_now(),
                             context->ticket_keys.lifetime);
}

/* With TLS 1.2 a library may open a ticket before it has read the name in the
 * hello. So a ticket is opened with the digest of the name that the engine has
 * read. */
int wr_tls_context_digest_asked(struct wr_tls_conn *conn, bool seals,
                                uint8_t ret[WR_TLS_TICKET_DIGEST])
{
    const struct wr_tls_verdict *verdict = conn->verdict;
    const struct wr_tls_backend *backend = conn->backend;

    wr_assert(verdict->peer_is_client);
    wr_assert(!seals || !verdict->err);
    if (!seals && backend->get_version(conn) == WR_TLS_VERSION_1_2) {
        memcpy(ret, verdict->asked_name, WR_TLS_TICKET_DIGEST);
        return verdict->knows_asked_name ? 0 : -ENODATA;
    }
    const char *name = backend->get_name(conn);
    return wr_tls_ticket_digest_name(name, name ? strlen(name) : 0, ret);
}

int wr_tls_context_seal_ticket(struct wr_tls_conn *conn,
                               const struct wr_tls_ticket *ticket)
{
    weir_tls_context *context = conn->verdict->context;
    const uint64_t now = ticket_now();
    uint8_t host[WR_TLS_TICKET_DIGEST];
    struct wr_tls_ticket whole = *ticket;
    struct wr_tls_ticket_key key;

    wr_assert(ticket_has_keys(context)); /* other servers issue no tickets */
    whole.host = host;
    whole.has_client = context->verifies;
    if (wr_tls_context_digest_asked(conn, true, host) < 0) {
        /* No key opens such a ticket. An error would end the handshake, and so
         * would a ticket of zeros with wolfSSL. */
        memset(ticket->name, UINT8_MAX, WR_TLS_TICKET_NAME);
        memset(ticket->iv, UINT8_MAX, WR_TLS_TICKET_IV);
        memset(ticket->tag, UINT8_MAX, WR_TLS_TICKET_TAG);
        memset(ticket->data, UINT8_MAX, ticket->size);
        return 0;
    }
    pthread_mutex_lock(&context->mutex);
    int err = wr_tls_ticket_keys_get(&context->ticket_keys, now, &key);
    pthread_mutex_unlock(&context->mutex);
    if (err == 0) {
        err = wr_tls_ticket_seal(&whole, &key, now);
        explicit_bzero(&key, sizeof(key));
    }
    return err;
}

bool wr_tls_context_open_ticket(struct wr_tls_conn *conn,
                                const struct wr_tls_ticket *ticket)
{
    weir_tls_context *context = conn->verdict->context;
    uint8_t host[WR_TLS_TICKET_DIGEST];
    struct wr_tls_ticket whole = *ticket;
    struct wr_tls_ticket_key key;

    wr_assert(context->is_server);
    whole.host = host;
    whole.has_client = context->verifies;
    if (!ticket_has_keys(context) ||
        wr_tls_context_digest_asked(conn, false, host) < 0) {
        return false;
    }
    pthread_mutex_lock(&context->mutex);
    const bool is_known =
        wr_tls_ticket_keys_find(&context->ticket_keys, ticket->name, &key);
    pthread_mutex_unlock(&context->mutex);
    if (!is_known) {
        return false;
    }
    const bool is_open = wr_tls_ticket_open(&whole, &key, ticket_now(),
                                            context->ticket_keys.lifetime);
    explicit_bzero(&key, sizeof(key));
    return is_open;
}

bool wr_tls_context_find_ticket_key(struct wr_tls_conn *conn,
                                    const uint8_t name[WR_TLS_TICKET_NAME],
                                    struct wr_tls_ticket_pair *ret)
{
    weir_tls_context *context = conn->verdict->context;

    if (!ticket_has_keys(context)) {
        return false;
    }
    pthread_mutex_lock(&context->mutex);
    const bool is_known =
        wr_tls_ticket_keys_derive(&context->ticket_keys, name, ret);
    pthread_mutex_unlock(&context->mutex);
    return is_known;
}

int wr_tls_context_get_ticket_key(struct wr_tls_conn *conn,
                                  uint8_t name[WR_TLS_TICKET_NAME],
                                  struct wr_tls_ticket_pair *ret)
{
    weir_tls_context *context = conn->verdict->context;
    struct wr_tls_ticket_key key;

    wr_assert(ticket_has_keys(context));
    pthread_mutex_lock(&context->mutex);
    int err = wr_tls_ticket_keys_get(&context->ticket_keys, ticket_now(), &key);
    if (err == 0 &&
        !wr_tls_ticket_keys_derive(&context->ticket_keys, key.name, ret)) {
        err = -ENOMEM;
    }
    pthread_mutex_unlock(&context->mutex);
    if (err == 0) {
        memcpy(name, key.name, sizeof(key.name));
    }
    explicit_bzero(&key, sizeof(key));
    return err;
}

int wr_tls_context_check_tickets(const struct weir_tls_options *options,
                                 const char **ret_why)
{
    const uint64_t lifetime = options->ticket_lifetime_ns;
    const bool has_keys = options->ticket_keys || options->ticket_keys_size;

    *ret_why = "ticket_lifetime_ns: a second to 7 days, for a server with "
               "tickets";
    wr_require(lifetime == 0 || lifetime >= TICKET_SECOND, -EINVAL);
    wr_require(lifetime / TICKET_SECOND <= TICKET_LIFETIME_MAX, -EINVAL);
    if (!options->server || options->no_tickets) {
        wr_require(lifetime == 0, -EINVAL);
    }
    *ret_why = "ticket_keys: they are for a server with tickets";
    wr_require(!has_keys || options->ticket_keys, -EINVAL);
    if (!options->server || options->no_tickets) {
        wr_require(!has_keys, -EINVAL);
    }
    return 0;
}

int wr_tls_context_use_tickets(weir_tls_context *context,
                               const struct weir_tls_options *options,
                               struct wr_tls_settings *settings)
{
    uint64_t lifetime = options->ticket_lifetime_ns / TICKET_SECOND;

    wr_assert(context->is_server && !ticket_has_keys(context));
    if (options->no_tickets) {
        return 0;
    }
    if (lifetime == 0) {
        lifetime = TICKET_LIFETIME;
    }
    wr_assert(lifetime <= TICKET_LIFETIME_MAX);
    settings->has_tickets = true;
    settings->ticket_lifetime = (uint32_t)lifetime;
    return wr_tls_ticket_keys_init(&context->ticket_keys, options->ticket_keys,
                                   options->ticket_keys_size, lifetime,
                                   ticket_now());
}

_Static_assert(sizeof(struct wr_tls_ticket_saved) ==
                   sizeof(((struct weir_tls_ticket_keys *)NULL)->data),
               "they have their place");

int weir_tls_context_get_ticket_keys(weir_tls_context *context,
                                     struct weir_tls_ticket_keys *ret)
{
    struct wr_tls_ticket_saved saved;

    wr_require(context && ret, -EINVAL);
    wr_require(ret->size == sizeof(*ret), WEIR_EOPTIONSIZE);
    pthread_mutex_lock(&context->mutex);
    const bool has_keys = context->ticket_keys.lifetime > 0;
    if (has_keys) {
        wr_assert(context->is_server);
        wr_tls_ticket_keys_save(&context->ticket_keys, &saved);
    }
    pthread_mutex_unlock(&context->mutex);
    wr_require(has_keys, -ENOENT);
    memcpy(ret->data, &saved, sizeof(saved));
    explicit_bzero(&saved, sizeof(saved));
    return 0;
}

int weir_tls_context_set_ticket_keys(weir_tls_context *context,
                                     const struct weir_tls_ticket_keys *keys)
{
    struct wr_tls_ticket_saved saved;
    int err = -ENOENT;

    wr_require(context && keys, -EINVAL);
    wr_require(keys->size == sizeof(*keys), WEIR_EOPTIONSIZE);
    memcpy(&saved, keys->data, sizeof(saved));
    pthread_mutex_lock(&context->mutex);
    if (context->ticket_keys.lifetime > 0) {
        wr_assert(context->is_server);
        err = wr_tls_ticket_keys_load(&context->ticket_keys, &saved);
    }
    pthread_mutex_unlock(&context->mutex);
    explicit_bzero(&saved, sizeof(saved));
    return err;
}

/* ---- clients ----
 *
 * A hash table of groups of four adjacent slots. In a group the newest client
 * is first, and adding a client drops the last. */

#define TICKET_CLIENT_PLACES 4u

_Static_assert(WR_TLS_CLIENTS_MAX % TICKET_CLIENT_PLACES == 0,
               "groups of places");

struct wr_tls_client_place {
    uint8_t digest[WR_TLS_CLIENT_DIGEST];
    uint32_t size;
    uint8_t *bytes; /* the certificates, each after its size; or NULL */
};

void wr_tls_clients_fini(struct wr_tls_clients *clients)
{
    for (size_t i = 0; clients->places && i < WR_TLS_CLIENTS_MAX; i++) {
        free(clients->places[i].bytes);
    }
    free(clients->places);
    clients->places = NULL;
}

static struct wr_tls_client_place *
ticket_places_of(const struct wr_tls_clients *clients, const uint8_t *digest)
{
    const size_t groups = WR_TLS_CLIENTS_MAX / TICKET_CLIENT_PLACES;
    const size_t group = ((size_t)digest[0] << 8 | digest[1]) % groups;

    wr_assert(clients->places != NULL);
    return clients->places + group * TICKET_CLIENT_PLACES;
}

static struct wr_tls_client_place *
ticket_find_client(const struct wr_tls_clients *clients, const uint8_t *digest)
{
    if (!clients->places) {
        return NULL;
    }
    struct wr_tls_client_place *first = ticket_places_of(clients, digest);
    for (unsigned i = 0; i < TICKET_CLIENT_PLACES; i++) {
        if (first[i].bytes &&
            memcmp(first[i].digest, digest, WR_TLS_CLIENT_DIGEST) == 0) {
            return &first[i];
        }
    }
    return NULL;
}

static int ticket_pack_client(const struct wr_bytes *chain, uint32_t count,
                              uint8_t **ret, uint32_t *ret_size)
{
    size_t size = 0;
    size_t at = 0;

    wr_assert(count > 0);
    for (uint32_t i = 0; i < count; i++) {
        size += sizeof(uint32_t) + chain[i].size;
    }
    wr_require(size <= WR_TLS_CLIENTS_BYTES_MAX, -E2BIG);
    uint8_t *bytes = malloc(size);
    wr_require(bytes, -ENOMEM);
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t one = (uint32_t)chain[i].size;
        memcpy(bytes + at, &one, sizeof(one));
        memcpy(bytes + at + sizeof(one), chain[i].data, one);
        at += sizeof(one) + one;
    }
    wr_assert(at == size);
    *ret = bytes;
    *ret_size = (uint32_t)size;
    return 0;
}

int wr_tls_clients_add(struct wr_tls_clients *clients,
                       const uint8_t digest[WR_TLS_CLIENT_DIGEST],
                       const struct wr_bytes *chain, uint32_t count)
{
    uint8_t *bytes = NULL;
    uint32_t size = 0;

    if (ticket_find_client(clients, digest)) {
        return 0;
    }
    if (!clients->places) {
        clients->places = calloc(WR_TLS_CLIENTS_MAX, sizeof(*clients->places));
        wr_require(clients->places, -ENOMEM);
    }
    const int err = ticket_pack_client(chain, count, &bytes, &size);
    wr_require(err == 0, err);
    struct wr_tls_client_place *first = ticket_places_of(clients, digest);
    free(first[TICKET_CLIENT_PLACES - 1].bytes); /* the oldest client */
    memmove(first + 1, first, (TICKET_CLIENT_PLACES - 1) * sizeof(*first));
    *first = (struct wr_tls_client_place){.bytes = bytes, .size = size};
    memcpy(first->digest, digest, WR_TLS_CLIENT_DIGEST);
    return 0;
}

struct wr_bytes wr_tls_clients_find(const struct wr_tls_clients *clients,
                                    const uint8_t digest[WR_TLS_CLIENT_DIGEST])
{
    const struct wr_tls_client_place *place =
        ticket_find_client(clients, digest);

    wr_assert(!place || place->size > 0);
    return place ? (struct wr_bytes){.data = place->bytes, .size = place->size}
                 : (struct wr_bytes){.data = NULL};
}

bool wr_tls_clients_take(struct wr_bytes *chain, struct wr_bytes *ret)
{
    uint32_t one;

    if (chain->size == 0) {
        return false;
    }
    wr_assert(chain->size > sizeof(one));
    memcpy(&one, chain->data, sizeof(one));
    *ret = (struct wr_bytes){.data = chain->data + sizeof(one), .size = one};
    wr_assert(chain->size - sizeof(one) >= one);
    chain->data += sizeof(one) + one;
    chain->size -= sizeof(one) + one;
    return true;
}
