/*
 * Session tickets: a ring of keys, and AES-256-GCM over one ticket.
 *
 * Keys that are made here rotate: a key seals for one lifetime, opens for
 * another, and is then overwritten, so that a thief of a server's memory cannot
 * open much older sessions. The user's keys do not rotate.
 */
#include "ticket.h"

#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/hash.h>

/* Seconds by which the clocks of servers with the same keys may differ. */
#define TICKET_SKEW 60

/* ---- keys ---- */

static int ticket_random(void *data, size_t size)
{
    wr_assert(size <= 256); /* a signal may cut larger requests short */
    return getrandom(data, size, 0) == (ssize_t)size ? 0 : WEIR_ETLSENGINE;
}

static void ticket_check_invariants(const struct wr_tls_ticket_keys *keys)
{
    wr_assert(keys->count > 0);
    wr_assert(keys->count <= WR_TLS_TICKET_KEYS);
    wr_assert(!keys->rotates || keys->count <= 2);
    wr_assert(keys->lifetime > 0);
}

/* Makes a new key, and overwrites the last but one. */
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
    ticket_check_invariants(keys);
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

/* The difference is unsigned: a clock that was set back ends a key, too. */
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

bool wr_tls_ticket_keys_find(const struct wr_tls_ticket_keys *keys,
                             const uint8_t *name, struct wr_tls_ticket_key *ret)
{
    ticket_check_invariants(keys);
    for (uint32_t i = 0; i < keys->count; i++) {
        if (memcmp(keys->keys[i].name, name, WR_TLS_TICKET_NAME) == 0) {
            *ret = keys->keys[i];
            return true;
        }
    }
    return false;
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
    ticket_check_invariants(keys);
    return 0;
}

void wr_tls_ticket_keys_fini(struct wr_tls_ticket_keys *keys)
{
    explicit_bzero(keys, sizeof(*keys));
}

/* ---- names ---- */

_Static_assert((int)WR_TLS_TICKET_DIGEST == WC_SHA256_DIGEST_SIZE,
               "names are digests");

static int ticket_digest(const uint8_t *data, size_t size, uint8_t *ret)
{
    wr_assert(data && size > 0 && size <= UINT16_MAX);
    return wc_Sha256Hash(data, (word32)size, ret) == 0 ? 0 : WEIR_ETLSENGINE;
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
        return ticket_digest(name, len, ret); /* too long for a host name */
    }
    for (size_t i = 0; i < len; i++) {
        const bool is_capital = from[i] >= 'A' && from[i] <= 'Z';
        small[i] = is_capital ? (uint8_t)(from[i] - 'A' + 'a') : from[i];
    }
    return ticket_digest(small, len, ret);
}

/* ---- one ticket ---- */

/* The additional authenticated data of a ticket. */
struct ticket_beside {
    uint8_t name[WR_TLS_TICKET_NAME];
    uint8_t iv[WR_TLS_TICKET_IV];
    uint8_t host[WR_TLS_TICKET_DIGEST];
};

_Static_assert(sizeof(struct ticket_beside) == 64, "it has no padding");
_Static_assert(WR_TLS_TICKET_IV == WR_TLS_TICKET_NONCE + sizeof(uint32_t),
               "the time of sealing follows the nonce");

static void ticket_fill_beside(const struct wr_tls_ticket *ticket,
                               struct ticket_beside *ret)
{
    wr_assert(ticket->name && ticket->iv && ticket->host);
    memcpy(ret->name, ticket->name, sizeof(ret->name));
    memcpy(ret->iv, ticket->iv, sizeof(ret->iv));
    memcpy(ret->host, ticket->host, sizeof(ret->host));
}

/* Encrypts or decrypts a ticket; returns wolfCrypt's error. */
static int ticket_run(const struct wr_tls_ticket *ticket,
                      const struct wr_tls_ticket_key *key, bool seals)
{
    const word32 size = (word32)ticket->size;
    struct ticket_beside beside;
    Aes aes;

    wr_assert(size > 0 && ticket->tag);
    ticket_fill_beside(ticket, &beside);
    int err = wc_AesInit(&aes, NULL, INVALID_DEVID);
    if (err != 0) {
        return err;
    }
    err = wc_AesGcmSetKey(&aes, key->secret, sizeof(key->secret));
    if (err == 0 && seals) {
        err = wc_AesGcmEncrypt(&aes, ticket->data, ticket->data, size,
                               ticket->iv, WR_TLS_TICKET_NONCE, ticket->tag,
                               WR_TLS_TICKET_TAG, (const byte *)&beside,
                               sizeof(beside));
    } else if (err == 0) {
        err = wc_AesGcmDecrypt(&aes, ticket->data, ticket->data, size,
                               ticket->iv, WR_TLS_TICKET_NONCE, ticket->tag,
                               WR_TLS_TICKET_TAG, (const byte *)&beside,
                               sizeof(beside));
    }
    wc_AesFree(&aes);
    explicit_bzero(&aes, sizeof(aes));
    return err;
}

int wr_tls_ticket_seal(const struct wr_tls_ticket *ticket,
                       const struct wr_tls_ticket_key *key, uint64_t now)
{
    const uint32_t time = (uint32_t)now;

    wr_assert(ticket->size > 0);
    wr_assert(ticket->size <= UINT16_MAX);
    memcpy(ticket->name, key->name, sizeof(key->name));
    memcpy(ticket->iv + WR_TLS_TICKET_NONCE, &time, sizeof(time));
    int err = ticket_random(ticket->iv, WR_TLS_TICKET_NONCE);
    if (err < 0) {
        return err;
    }
    return ticket_run(ticket, key, true) == 0 ? 0 : WEIR_ETLSENGINE;
}

/* The low 32 bits of the time are enough: a lifetime is days at most. */
bool wr_tls_ticket_open(const struct wr_tls_ticket *ticket,
                        const struct wr_tls_ticket_key *key, uint64_t now,
                        uint64_t lifetime)
{
    uint32_t time;

    wr_assert(ticket->size > 0);
    wr_assert(ticket->size <= UINT16_MAX);
    wr_assert(lifetime > 0 && lifetime < UINT32_MAX / 2);
    memcpy(&time, ticket->iv + WR_TLS_TICKET_NONCE, sizeof(time));
    const uint32_t age = (uint32_t)now - time + TICKET_SKEW;
    if (age >= lifetime + TICKET_SKEW) {
        return false;
    }
    return ticket_run(ticket, key, false) == 0;
}
