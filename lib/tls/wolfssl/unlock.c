/*
 * Key derivation from passphrases, and AES-CBC, for encrypted private keys.
 *
 * The wolfSSL that tools/deps builds has no MD5 and no AES-CBC decryption, so
 * that no connection can use them. This file implements both, plain and slow.
 * The table lookups of AES depend on the key, so another process could learn
 * about it through the processor's caches. But this code runs only when a
 * context is created.
 */
#include "wolfssl.h"

#include <errno.h>
#include <string.h>

#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/pwdbased.h>

/* ---- MD5 (RFC 1321) ---- */

enum { UNLOCK_MD5 = 16, UNLOCK_MD5_BLOCK = 64 };

static const uint32_t unlock_md5_adds[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a,
    0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be,
    0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340,
    0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
    0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c,
    0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
    0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92,
    0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
    0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static void unlock_md5_block(uint32_t sums[4],
                             const uint8_t block[UNLOCK_MD5_BLOCK])
{
    static const uint8_t turns[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = sums[0];
    uint32_t b = sums[1];
    uint32_t c = sums[2];
    uint32_t d = sums[3];

    for (unsigned i = 0; i < 64; i++) {
        const unsigned round = i / 16;
        const unsigned at = round == 0   ? i
                            : round == 1 ? (5 * i + 1) % 16
                            : round == 2 ? (3 * i + 5) % 16
                                         : 7 * i % 16;
        const uint32_t mix = round == 0   ? (b & c) | (~b & d)
                             : round == 1 ? (d & b) | (~d & c)
                             : round == 2 ? b ^ c ^ d
                                          : c ^ (b | ~d);
        const uint32_t word = (uint32_t)block[4 * at] |
                              (uint32_t)block[4 * at + 1] << 8 |
                              (uint32_t)block[4 * at + 2] << 16 |
                              (uint32_t)block[4 * at + 3] << 24;
        const uint32_t sum = a + mix + unlock_md5_adds[i] + word;
        const unsigned turn = turns[round][i % 4];
        a = d;
        d = c;
        c = b;
        b += sum << turn | sum >> (32 - turn);
    }
    sums[0] += a;
    sums[1] += b;
    sums[2] += c;
    sums[3] += d;
}

struct unlock_md5 {
    uint32_t sums[4];
    uint64_t size;
    uint8_t block[UNLOCK_MD5_BLOCK];
};

static void unlock_md5_add(struct unlock_md5 *md5, const uint8_t *data,
                           size_t size)
{
    wr_assert(data || size == 0);
    for (size_t i = 0; i < size; i++) {
        md5->block[md5->size++ % UNLOCK_MD5_BLOCK] = data[i];
        if (md5->size % UNLOCK_MD5_BLOCK == 0) {
            unlock_md5_block(md5->sums, md5->block);
        }
    }
}

static void unlock_md5_end(struct unlock_md5 *md5, uint8_t ret[UNLOCK_MD5])
{
    static const uint8_t pad[UNLOCK_MD5_BLOCK] = {0x80};
    const uint64_t bits = md5->size * 8;
    const size_t used = md5->size % UNLOCK_MD5_BLOCK;
    uint8_t length[8];

    for (unsigned i = 0; i < sizeof(length); i++) {
        length[i] = (uint8_t)(bits >> (8 * i));
    }
    unlock_md5_add(md5, pad, used < 56 ? 56 - used : 120 - used);
    unlock_md5_add(md5, length, sizeof(length));
    wr_assert(md5->size % UNLOCK_MD5_BLOCK == 0);
    for (unsigned i = 0; i < UNLOCK_MD5; i++) {
        ret[i] = (uint8_t)(md5->sums[i / 4] >> (8 * (i % 4)));
    }
}

/* Each block is the MD5 of the previous block, the password and the salt, as in
 * OpenSSL's EVP_BytesToKey() with one round. */
static void unlock_by_md5(const struct wr_tls_derive *job)
{
    uint8_t block[UNLOCK_MD5];
    struct unlock_md5 md5;
    size_t size = 0;

    wr_assert(job->rounds == 1);
    for (size_t at = 0; at < job->size; at += size) {
        md5 = (struct unlock_md5){
            .sums = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
        unlock_md5_add(&md5, block, at == 0 ? 0 : sizeof(block));
        unlock_md5_add(&md5, job->password.data, job->password.size);
        unlock_md5_add(&md5, job->salt.data, job->salt.size);
        unlock_md5_end(&md5, block);
        size = wr_min_u64(sizeof(block), job->size - at);
        memcpy(job->out + at, block, size);
    }
    explicit_bzero(block, sizeof(block));
    explicit_bzero(&md5, sizeof(md5));
}

#ifndef NO_PWDBASED

static int unlock_hash_type(enum wr_tls_derive_kind kind)
{
    wr_assert(kind != WR_TLS_DERIVE_MD5);
    return kind == WR_TLS_DERIVE_PBKDF2_SHA1     ? WC_HASH_TYPE_SHA
           : kind == WR_TLS_DERIVE_PBKDF2_SHA256 ? WC_HASH_TYPE_SHA256
           : kind == WR_TLS_DERIVE_PBKDF2_SHA384 ? WC_HASH_TYPE_SHA384
                                                 : WC_HASH_TYPE_SHA512;
}

static int unlock_by_pbkdf2(const struct wr_tls_derive *job)
{
    struct wr_tls_memory_scope before =
        wr_tls_memory_enter(NULL, WR_TLS_MEMORY_PLAIN);

    wr_ignore(wr_tls_memory_take_failure());
    const int err =
        wc_PBKDF2(job->out, job->password.data, (int)job->password.size,
                  job->salt.data, (int)job->salt.size, (int)job->rounds,
                  (int)job->size, unlock_hash_type(job->kind));
    wr_tls_memory_leave(before);
    return wr_tls_memory_take_failure() || err == MEMORY_E ? -ENOMEM
           : err == 0                                      ? 0
                                                           : -EOPNOTSUPP;
}

#else

static int unlock_by_pbkdf2(const struct wr_tls_derive *job)
{
    wr_assert(job->kind != WR_TLS_DERIVE_MD5);
    return -EOPNOTSUPP;
}

#endif

int wr_wolfssl_derive(const struct wr_tls_derive *job)
{
    wr_assert(job->size > 0 && job->size <= WR_TLS_DERIVED_MAX);
    if (job->kind == WR_TLS_DERIVE_MD5) {
        unlock_by_md5(job);
        return 0;
    }
    return unlock_by_pbkdf2(job);
}

/* ---- AES (FIPS 197), decryption only ---- */

enum { UNLOCK_ROUNDS_MAX = 14 };

struct unlock_aes {
    uint8_t box[256];
    uint8_t back[256];
    unsigned rounds;
    uint8_t keys[UNLOCK_ROUNDS_MAX + 1][WR_TLS_CBC_BLOCK];
};

static uint8_t unlock_double(uint8_t value)
{
    return (uint8_t)(value << 1 ^ (value & 0x80 ? 0x1b : 0));
}

static uint8_t unlock_times(uint8_t a, uint8_t b)
{
    uint8_t sum = 0;

    for (; b > 0; b >>= 1, a = unlock_double(a)) {
        sum ^= b & 1u ? a : 0;
    }
    return sum;
}

/* The powers of 3 are all numbers except 0, and the inverse of a power has the
 * negative exponent. */
static void unlock_make_boxes(struct unlock_aes *aes)
{
    uint8_t powers[255];
    uint8_t power = 1;

    for (unsigned i = 0; i < 255; i++) {
        powers[i] = power;
        power = (uint8_t)(power ^ unlock_double(power));
    }
    wr_assert(power == 1);
    aes->box[0] = 0x63;
    for (unsigned i = 0; i < 255; i++) {
        const uint8_t inverse = powers[(255 - i) % 255];
        const uint32_t twice = (uint32_t)inverse << 8 | inverse;
        aes->box[powers[i]] = (uint8_t)(twice ^ twice >> 4 ^ twice >> 5 ^
                                        twice >> 6 ^ twice >> 7 ^ 0x63);
    }
    for (unsigned i = 0; i < 256; i++) {
        aes->back[aes->box[i]] = (uint8_t)i;
    }
}

static void unlock_make_keys(struct unlock_aes *aes, struct wr_bytes key)
{
    const unsigned words = (unsigned)key.size / 4;
    uint8_t *all = aes->keys[0];
    uint8_t constant = 1;

    aes->rounds = words + 6;
    wr_assert(aes->rounds <= UNLOCK_ROUNDS_MAX);
    memcpy(all, key.data, key.size);
    for (unsigned i = words; i < 4 * (aes->rounds + 1); i++) {
        uint8_t word[4];
        memcpy(word, all + 4 * (i - 1), sizeof(word));
        if (i % words == 0) {
            const uint8_t first = word[0];
            word[0] = aes->box[word[1]] ^ constant;
            word[1] = aes->box[word[2]];
            word[2] = aes->box[word[3]];
            word[3] = aes->box[first];
            constant = unlock_double(constant);
        } else if (words > 6 && i % words == 4) {
            for (unsigned j = 0; j < 4; j++) {
                word[j] = aes->box[word[j]];
            }
        }
        for (unsigned j = 0; j < 4; j++) {
            all[4 * i + j] = all[4 * (i - words) + j] ^ word[j];
        }
    }
}

static void unlock_add_key(uint8_t *block, const uint8_t *key)
{
    for (unsigned i = 0; i < WR_TLS_CBC_BLOCK; i++) {
        block[i] ^= key[i];
    }
}

static void unlock_mix_back(uint8_t *block)
{
    for (unsigned column = 0; column < 4; column++) {
        uint8_t *at = block + 4 * column;
        const uint8_t in[4] = {at[0], at[1], at[2], at[3]};
        for (unsigned i = 0; i < 4; i++) {
            at[i] = unlock_times(in[i], 14) ^
                    unlock_times(in[(i + 1) % 4], 11) ^
                    unlock_times(in[(i + 2) % 4], 13) ^
                    unlock_times(in[(i + 3) % 4], 9);
        }
    }
}

static void unlock_open_block(const struct unlock_aes *aes, uint8_t *block)
{
    uint8_t moved[WR_TLS_CBC_BLOCK];

    unlock_add_key(block, aes->keys[aes->rounds]);
    for (unsigned round = aes->rounds; round-- > 0;) {
        for (unsigned i = 0; i < WR_TLS_CBC_BLOCK; i++) {
            moved[(i + 4 * (i % 4)) % WR_TLS_CBC_BLOCK] = aes->back[block[i]];
        }
        memcpy(block, moved, sizeof(moved));
        unlock_add_key(block, aes->keys[round]);
        if (round > 0) {
            unlock_mix_back(block);
        }
    }
    explicit_bzero(moved, sizeof(moved));
}

int wr_wolfssl_open_cbc(struct wr_bytes key, const uint8_t iv[WR_TLS_CBC_BLOCK],
                        uint8_t *data, size_t size)
{
    struct unlock_aes aes;
    uint8_t before[WR_TLS_CBC_BLOCK];
    uint8_t sealed[WR_TLS_CBC_BLOCK];

    wr_assert(key.size == 16 || key.size == 24 || key.size == 32);
    wr_assert(size % WR_TLS_CBC_BLOCK == 0);
    unlock_make_boxes(&aes);
    unlock_make_keys(&aes, key);
    memcpy(before, iv, sizeof(before));
    for (size_t at = 0; at < size; at += WR_TLS_CBC_BLOCK) {
        memcpy(sealed, data + at, sizeof(sealed));
        unlock_open_block(&aes, data + at);
        unlock_add_key(data + at, before);
        memcpy(before, sealed, sizeof(before));
    }
    explicit_bzero(&aes, sizeof(aes));
    return 0;
}
