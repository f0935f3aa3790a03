/*
 * Selects a server's certificate by the name that a client requests (SNI), from
 * the context or a context that the program chooses. Of several certificates
 * with the name, the first with a key that the client can use (suites.h) is
 * selected.
 *
 * Each certificate is read and checked when its context is created. Names are
 * compared by a client's strict rules (lib/x509/hostname.h).
 */
#include "context_impl.h"
#include "lib/base/options.h"
#include "lib/x509/certificate.h"
#include "lib/x509/hostname.h"
#include "pem.h"
#include "suites.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the index of names ----
 *
 * A sorted array is enough: it is written once, when a context is created, and
 * a lookup takes about twenty comparisons among a million names. */

#define CONTEXT_NAMES_FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define CONTEXT_NAMES_FNV_PRIME UINT64_C(0x100000001b3)

/* Prefixes of hashed values, so that a name never has the hash input of an
 * address or the default entry. */
enum {
    CONTEXT_NAMES_DEFAULT,
    CONTEXT_NAMES_TEXT,
    CONTEXT_NAMES_WILDCARD, /* the part after the '*' */
    CONTEXT_NAMES_ADDRESS,
};

/* FNV-1a. The letters of a name are hashed in lower case. */
static uint64_t context_names_hash(unsigned kind, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = (CONTEXT_NAMES_FNV_BASIS ^ kind) * CONTEXT_NAMES_FNV_PRIME;

    wr_assert(data || size == 0);
    for (size_t i = 0; i < size; i++) {
        const bool is_upper = bytes[i] >= 'A' && bytes[i] <= 'Z';
        const uint8_t byte = is_upper && kind != CONTEXT_NAMES_ADDRESS
                                 ? (uint8_t)(bytes[i] + ('a' - 'A'))
                                 : bytes[i];
        hash = (hash ^ byte) * CONTEXT_NAMES_FNV_PRIME;
    }
    return hash;
}

static int context_names_put(struct wr_tls_name_index *index, uint64_t hash,
                             size_t number)
{
    wr_assert(index->count <= index->capacity);
    if (index->count == index->capacity) {
        const size_t capacity = index->capacity > 0 ? 2 * index->capacity : 16;
        struct wr_tls_name_entry *larger =
            realloc(index->entries, capacity * sizeof(*larger));
        if (!larger) {
            return -ENOMEM;
        }
        index->entries = larger;
        index->capacity = capacity;
    }
    index->entries[index->count++] = (struct wr_tls_name_entry){hash, number};
    return 0;
}

static uint64_t context_names_hash_name(enum wr_x509_name_kind kind,
                                        struct wr_bytes name)
{
    wr_assert(kind != WR_X509_NAME_OTHER);
    if (kind == WR_X509_NAME_IP) {
        return context_names_hash(CONTEXT_NAMES_ADDRESS, name.data, name.size);
    }
    return name.size > 0 && name.data[0] == '*'
               ? context_names_hash(CONTEXT_NAMES_WILDCARD, name.data + 1,
                                    name.size - 1)
               : context_names_hash(CONTEXT_NAMES_TEXT, name.data, name.size);
}

int wr_tls_name_index_add(struct wr_tls_name_index *index,
                          const struct wr_x509 *x509, size_t number,
                          bool is_default)
{
    struct wr_bytes names = x509->names;
    struct wr_bytes name;
    enum wr_x509_name_kind kind;
    int err =
        is_default
            ? context_names_put(
                  index, context_names_hash(CONTEXT_NAMES_DEFAULT, NULL, 0),
                  number)
            : 0;

    wr_assert(number < SIZE_MAX);
    while (err == 0 && wr_x509_next_name(&names, &kind, &name)) {
        if (kind != WR_X509_NAME_OTHER) {
            err = context_names_put(index, context_names_hash_name(kind, name),
                                    number);
        }
    }
    return err;
}

static bool context_names_is_before(const struct wr_tls_name_entry *entry,
                                    uint64_t hash, size_t number)
{
    return entry->hash < hash ||
           (entry->hash == hash && entry->number < number);
}

static int context_names_compare(const void *a, const void *b)
{
    const struct wr_tls_name_entry *one = a;
    const struct wr_tls_name_entry *other = b;

    return context_names_is_before(one, other->hash, other->number) ? -1
           : context_names_is_before(other, one->hash, one->number) ? 1
                                                                    : 0;
}

void wr_tls_name_index_sort(struct wr_tls_name_index *index)
{
    wr_assert(index->count > 0);
    qsort(index->entries, index->count, sizeof(*index->entries),
          context_names_compare);
}

void wr_tls_name_index_fini(struct wr_tls_name_index *index)
{
    free(index->entries);
    *index = (struct wr_tls_name_index){.entries = NULL};
}

void wr_tls_name_keys_of(struct wr_tls_name_keys *ret, const char *host)
{
    uint8_t ip[WR_X509_IP_SIZE];

    ret->count = 0;
    if (!host) {
        ret->hashes[ret->count++] =
            context_names_hash(CONTEXT_NAMES_DEFAULT, NULL, 0);
        return;
    }
    const size_t size = strlen(host);
    const size_t len = size > 0 && host[size - 1] == '.' ? size - 1 : size;
    const char *dot = memchr(host, '.', len);
    const size_t ip_size = wr_x509_hostname_read_ip(host, ip);
    ret->hashes[ret->count++] =
        context_names_hash(CONTEXT_NAMES_TEXT, host, len);
    if (dot) {
        ret->hashes[ret->count++] = context_names_hash(
            CONTEXT_NAMES_WILDCARD, dot, len - (size_t)(dot - host));
    }
    if (ip_size > 0) {
        ret->hashes[ret->count++] =
            context_names_hash(CONTEXT_NAMES_ADDRESS, ip, ip_size);
    }
    wr_assert(ret->count <= sizeof(ret->hashes) / sizeof(ret->hashes[0]));
}

static size_t context_names_look_up(const struct wr_tls_name_index *index,
                                    uint64_t hash, size_t number)
{
    size_t low = 0;
    size_t high = index->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (context_names_is_before(&index->entries[middle], hash, number)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    wr_assert(low <= index->count);
    return low < index->count && index->entries[low].hash == hash
               ? index->entries[low].number
               : SIZE_MAX;
}

size_t wr_tls_name_index_next(const struct wr_tls_name_index *index,
                              const struct wr_tls_name_keys *keys,
                              size_t number)
{
    size_t first = SIZE_MAX;

    wr_assert(keys->count > 0);
    for (size_t i = 0; i < keys->count; i++) {
        const size_t found =
            context_names_look_up(index, keys->hashes[i], number);
        first = found < first ? found : first;
    }
    return first;
}

static struct wr_tls_identity *context_names_newest(weir_tls_context *context)
{
    wr_assert(context->identity_count > 0);
    return &context->identities[context->identity_count - 1];
}

static int context_names_look_at(weir_tls_context *context,
                                 struct wr_tls_identity *identity)
{
    const struct wr_tls_identity *first = &context->identities[0];

    wr_assert(identity >= first);
    identity->is_rsa = identity->leaf.key.rsa_bits > 0;
    identity->kind = wr_tls_offer_kind_of(&identity->leaf.key);
    identity->is_default =
        identity == first || wr_x509_shares_name(&first->leaf, &identity->leaf);
    return wr_tls_name_index_add(&context->index, &identity->leaf,
                                 (size_t)(identity - first),
                                 identity->is_default);
}

/* Refuses keys that a TLS library would load, but whose signatures no peer
 * accepts. */
static int context_names_check_key(weir_tls_context *context,
                                   const struct wr_x509_key_strength *key)
{
    if (key->is_pss_alone) {
        context->why = "its key is for RSASSA-PSS alone; take one that is for "
                       "RSA (rsaEncryption)";
    } else if (key->strength == WR_X509_WEAK_POINT) {
        context->why = "the point of its key is compressed; write both "
                       "coordinates (openssl ec -conv_form uncompressed)";
    } else if (key->strength != WR_X509_WEAK_CURVE) {
        return 0;
    }
    return WEIR_ETLSFILE;
}

static int context_names_read_leaf(weir_tls_context *context,
                                   struct wr_tls_identity *identity,
                                   struct wr_bytes text)
{
    struct wr_bytes leaf = {.data = NULL};
    const int ret = wr_tls_pem_next(&text, "CERTIFICATE", &leaf);

    wr_assert(!identity->leaf.der.data);
    if (ret <= 0 || !leaf.data) {
        return ret < 0 ? ret : WEIR_ETLSFILE;
    }
    const int err = wr_x509_read(&identity->leaf, leaf.data, leaf.size) < 0
                        ? WEIR_ETLSFILE
                        : context_names_check_key(context, &identity->leaf.key);
    return err == 0 && context->is_server
               ? context_names_look_at(context, identity)
               : err;
}

static const char *context_names_notice(const struct wr_x509 *leaf,
                                        bool has_more)
{
    const int64_t now = (int64_t)time(NULL);

    wr_assert(now > 0);
    return now > leaf->not_after    ? "the certificate has expired"
           : now < leaf->not_before ? "the certificate is not valid yet"
           : has_more || wr_x509_is_self_issued(leaf)
               ? NULL
               : "no certificate of its issuer follows, so that peers must "
                 "have that one themselves";
}

static int context_names_note(weir_tls_context *context, struct wr_bytes text)
{
    struct wr_bytes leaf = {.data = NULL};
    struct wr_bytes next = {.data = NULL};
    struct wr_x509 x509;
    int ret = wr_tls_pem_next(&text, "CERTIFICATE", &leaf);

    context->key_hint = NULL;
    if (ret > 0) {
        ret = wr_tls_pem_next(&text, "CERTIFICATE", &next);
    }
    if (ret >= 0 && leaf.data &&
        wr_x509_read(&x509, leaf.data, leaf.size) == 0) {
        context->key_hint =
            x509.key.strength == WR_X509_STRONG ? NULL
            : x509.key.kind == WR_X509_KEY_RSA
                ? "its RSA key does not have 2048 to 4096 bits"
                : "its key is of a kind that is not used; RSA, P-256, P-384, "
                  "P-521 and Ed25519 are";
        context->notice = context_names_notice(&x509, ret > 0);
    }
    free((void *)(uintptr_t)leaf.data);
    free((void *)(uintptr_t)next.data);
    return ret < 0 ? ret : 0;
}

static int context_names_use_chain(weir_tls_context *context,
                                   const uint8_t *data, long size)
{
    struct wr_tls_identity *identity = context_names_newest(context);
    const struct wr_bytes text = {.data = data, .size = (size_t)size};
    int err = context_names_note(context, text);
    if (err < 0) {
        return err;
    }
    err = context->backend->credential_use_chain(identity->credential, data,
                                                 (size_t)size);
    return err == 0 ? context_names_read_leaf(context, identity, text) : err;
}

static int context_names_use_key(weir_tls_context *context, const uint8_t *data,
                                 long size)
{
    const struct wr_tls_identity *identity = context_names_newest(context);

    wr_assert(identity->credential && size > 0);
    return wr_tls_context_use_key(
        context, identity->credential,
        (struct wr_bytes){.data = data, .size = (size_t)size});
}

static int context_names_check(weir_tls_context *context, const char *file,
                               struct wr_tls_context_text *text)
{
    int err = context->backend->credential_check(
        context_names_newest(context)->credential);

    if (err == WEIR_ETLSWEAK) {
        err = WEIR_ETLSFILE;
        text->why = "the security level of the TLS library forbids this "
                    "key, or how its certificates are signed";
    }
    if (err < 0) {
        wr_tls_context_say(text, "key", file, err);
    }
    return err;
}

static int context_names_load_one(weir_tls_context *context,
                                  const struct weir_tls_identity *from,
                                  struct wr_tls_context_text *text)
{
    const struct weir_tls_pem *key =
        wr_tls_context_has(&from->key) ? &from->key : &from->certificate;
    const char *file = key->file ? key->file : "the text in memory";

    wr_assert(context->identities);
    if (from->sign && wr_tls_context_has(&from->key)) {
        wr_tls_context_say(text, "sign", "a key is given, too", -EINVAL);
        return -EINVAL;
    }
    context->identity_count++;
    struct wr_tls_identity *identity = context_names_newest(context);
    int err = context->backend->credential_new(&identity->credential);
    if (err == 0 && from->sign) {
        err = wr_tls_outside_new(context, from, &identity->outside);
    }
    if (err == 0) {
        err =
            wr_tls_context_load_one(context, &from->certificate, "certificate",
                                    context_names_use_chain, text);
    }
    if (err == 0 && from->sign) {
        /* The leaf is not read again, because a file may have changed, and a
         * pipe returns nothing. */
        err = wr_tls_context_use_signer(context, identity);
        text->why = context->why;
        if (err < 0) {
            wr_tls_context_say(text, "sign", file, err);
        }
    } else if (err == 0) {
        wr_tls_context_set_key_file(context, key->file);
        err = wr_tls_context_load_one(context, key, "key",
                                      context_names_use_key, text);
    }
    if (err == 0) {
        err = context_names_check(context, file, text);
    }
    if (err == WEIR_ETLSFILE && !text->why && context->key_hint) {
        text->why = context->key_hint;
        wr_tls_context_say(text, "certificate",
                           from->certificate.file ? from->certificate.file
                                                  : "the text in memory",
                           err);
    }
    return err;
}

/* Presents a certificate in a connection of @context. If its key is RSA and the
 * first certificate's is not, or vice versa, also replaces the list of
 * suites. */
static int context_names_install(const weir_tls_context *context,
                                 const struct wr_tls_identity *identity,
                                 struct wr_tls_conn *conn)
{
    const bool is_like_first =
        identity->is_rsa == context->identities[0].is_rsa;

    wr_assert(identity->credential);
    if (!is_like_first && !context->suites_of_others) {
        return WEIR_ETLSCIPHER;
    }
    return conn->backend->show(conn, identity->credential,
                               is_like_first ? NULL
                                             : context->suites_of_others);
}

/* Returns the first certificate for @host with a key that the client can use,
 * else the first for @host, or NULL. If @host is NULL, returns a default
 * certificate. */
static const struct wr_tls_identity *
context_names_find(const weir_tls_context *context, const char *host,
                   uint8_t lacking_kinds)
{
    const struct wr_tls_identity *found = NULL;
    struct wr_tls_name_keys keys;
    size_t next = 0;

    wr_assert(context->identity_count > 0);
    wr_tls_name_keys_of(&keys, host);
    while ((next = wr_tls_name_index_next(&context->index, &keys, next)) <
           context->identity_count) {
        const struct wr_tls_identity *identity = &context->identities[next++];
        const bool is_usable = !(identity->kind & lacking_kinds);
        const bool is_for_host =
            host ? wr_x509_is_for(&identity->leaf, host) : identity->is_default;
        if (!is_for_host || (found && !is_usable)) {
            continue;
        }
        if (is_usable) {
            return identity;
        }
        found = identity;
    }
    return found;
}

int wr_tls_context_show(const weir_tls_context *context,
                        const weir_tls_context *from, const char *host,
                        const struct wr_tls_verdict *verdict)
{
    const uint8_t lacking = verdict->lacking_kinds;
    const struct wr_tls_identity *identity =
        host ? context_names_find(from, host, lacking) : NULL;

    wr_assert(from->is_server);
    if (host && !identity && from->refuses_unknown_names) {
        return WEIR_ETLSNONAME;
    }
    if (!identity) {
        identity = context_names_find(from, NULL, lacking);
    }
    wr_assert(identity != NULL); /* the first identity is a default */
    return identity == &context->identities[0]
               ? 0
               : context_names_install(context, identity, verdict->conn);
}

uint8_t wr_tls_context_lacking_kinds(const weir_tls_context *context,
                                     const struct wr_tls_offer *offer)
{
    wr_assert(context->is_server);
    if (context->identity_count == 1 && !context->choose) {
        return 0;
    }
    return wr_tls_offer_lacks(offer, context->has_newest, context->old_suites);
}

static int context_names_select_suites(weir_tls_context *context,
                                       const char *ciphers)
{
    const size_t size = ciphers ? strlen(ciphers) + 1 : WR_TLS_SUITES_SIZE;
    char *list = malloc(size);

    wr_assert(context->identity_count > 0);
    if (!list) {
        return -ENOMEM;
    }
    if (wr_tls_suites_select(ciphers, !context->identities[0].is_rsa, list,
                             size) < 0) {
        free(list); /* no suite is for the other kind of key */
        list = NULL;
    }
    context->suites_of_others = list;
    return 0;
}

static int context_names_lack(const weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const bool has_key = wr_tls_context_has(&options->key) || options->sign;
    const int err = context->is_server ? -EINVAL : has_key ? WEIR_ETLSNOKEY : 0;

    wr_assert(context->identity_count == 0);
    if (err < 0) {
        wr_tls_context_say(text, "certificate", "none is given", err);
    }
    return err;
}

int wr_tls_context_load_names(weir_tls_context *context,
                              const struct weir_tls_options *options,
                              struct wr_tls_context_text *text)
{
    const struct weir_tls_identity first = {
        .certificate = options->certificate,
        .key = options->key,
        .sign = options->sign,
        .sign_user = options->sign_user,
    };

    context->refuses_unknown_names = options->refuse_unknown_names;
    context->old_suites = wr_tls_suites_mask(options->ciphers);
    context->has_newest = options->max_version != WEIR_TLS_1_2;
    context->choose = options->choose;
    context->choose_user = options->choose_user;
    context->has_signers = options->choose != NULL; /* of a chosen context */
    if (!wr_tls_context_has(&options->certificate)) {
        return context_names_lack(context, options, text);
    }
    context->identities =
        calloc(options->identity_count + 1, sizeof(*context->identities));
    if (!context->identities) {
        return -ENOMEM;
    }
    int err = context_names_load_one(context, &first, text);
    for (size_t i = 0; err == 0 && i < options->identity_count; i++) {
        struct weir_tls_identity known;
        err = options->identities[i]
                  ? wr_options_read_given(&known, sizeof(known),
                                          options->identities[i])
                  : -EINVAL;
        if (err == 0) {
            err = context_names_load_one(context, &known, text);
        }
    }
    if (err < 0 || !context->is_server) {
        return err;
    }
    wr_tls_name_index_sort(&context->index);
    return context_names_select_suites(context, options->ciphers);
}
