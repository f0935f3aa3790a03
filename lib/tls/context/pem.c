/*
 * PEM: a line that begins a block, base64, a line that ends the block.
 *
 * A block ends at the next dashes, whatever their label, so that a block
 * without an end line includes nothing of the next block.
 */
#include "pem.h"

#include "lib/x509/der.h"
#include "uring/check.h"

#include <weir/error.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEM_LINE_MAX 64

/* RFC 4648, 4. Returns 64 for an invalid character. */
static uint8_t pem_bits_of(uint8_t letter)
{
    return letter >= 'A' && letter <= 'Z'   ? (uint8_t)(letter - 'A')
           : letter >= 'a' && letter <= 'z' ? (uint8_t)(letter - 'a' + 26)
           : letter >= '0' && letter <= '9' ? (uint8_t)(letter - '0' + 52)
           : letter == '+'                  ? 62
           : letter == '/'                  ? 63
                                            : 64;
}

static bool pem_is_space(uint8_t letter)
{
    return letter == '\n' || letter == '\r' || letter == ' ' || letter == '\t';
}

size_t wr_tls_pem_decode(struct wr_bytes from, uint8_t *ret)
{
    const uint8_t *text = from.data;
    const size_t size = from.size;
    uint32_t bits = 0;
    size_t letters = 0;
    size_t pads = 0;
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        const uint8_t six = pem_bits_of(text[i]);
        if (pem_is_space(text[i])) {
            continue;
        }
        if (text[i] == '=' && ++pads <= 2) {
            continue;
        }
        if (six == 64 || pads > 0) {
            return 0;
        }
        bits = bits << 6 | six;
        if (++letters % 4 == 0) {
            ret[used++] = (uint8_t)(bits >> 16);
            ret[used++] = (uint8_t)(bits >> 8);
            ret[used++] = (uint8_t)bits;
        }
    }
    if ((letters + pads) % 4 != 0) {
        return 0;
    }
    if (letters % 4 >= 2) {
        ret[used++] = (uint8_t)(letters % 4 == 2 ? bits >> 4 : bits >> 10);
    }
    if (letters % 4 == 3) {
        ret[used++] = (uint8_t)(bits >> 2);
    }
    wr_assert(used <= size);
    return used;
}

int wr_tls_pem_next(struct wr_bytes *text, const char *label,
                    struct wr_bytes *ret)
{
    char line[PEM_LINE_MAX];
    const uint8_t *end = text->data + text->size;

    int len = snprintf(line, sizeof(line), "-----BEGIN %s-----", label);
    wr_assert(len > 0 && (size_t)len < sizeof(line));
    const uint8_t *begin =
        text->size > 0 ? memmem(text->data, text->size, line, (size_t)len)
                       : NULL;
    if (!begin) {
        return 0;
    }
    begin += len;
    const uint8_t *after =
        memmem(begin, (size_t)(end - begin), "-----", strlen("-----"));
    after = after ? after : end;
    uint8_t *data = malloc((size_t)(after - begin) + 1);
    if (!data) {
        return -ENOMEM;
    }
    const struct wr_bytes body = {.data = begin,
                                  .size = (size_t)(after - begin)};
    const size_t size = wr_tls_pem_decode(body, data);
    if (size == 0) {
        free(data);
        data = NULL;
    }
    *text = (struct wr_bytes){.data = after, .size = (size_t)(end - after)};
    *ret = (struct wr_bytes){.data = data, .size = size};
    return 1;
}

/* ---- encrypted keys ----
 *
 * The parameters of a file are checked before a key is derived, so that a file
 * causes at most some seconds of work, and uses at most as much memory as it
 * has bytes. A wrong passphrase is detected by the padding of the result, and
 * by the header of the key, a SEQUENCE of exactly the remaining length. */

#define PEM_LOCKED_LABEL_MAX 40
#define PEM_LOCKED_DATA_MAX  (64u << 10)
#define PEM_LOCKED_LINE      64u

void wr_tls_locked_wipe(struct wr_bytes *text)
{
    if (text->data) {
        explicit_bzero((uint8_t *)(uintptr_t)text->data, text->size);
    }
    free((uint8_t *)(uintptr_t)text->data);
    *text = (struct wr_bytes){.data = NULL};
}

void wr_tls_locked_fini(struct wr_tls_locked *locked)
{
    if (locked->data) {
        explicit_bzero(locked->data, locked->size);
    }
    free(locked->data);
    explicit_bzero(locked, sizeof(*locked));
}

static const uint8_t pem_locked_pbes2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                           0x0d, 0x01, 0x05, 0x0d};
static const uint8_t pem_locked_pbkdf2[] = {0x2a, 0x86, 0x48, 0x86, 0xf7,
                                            0x0d, 0x01, 0x05, 0x0c};
static const uint8_t pem_locked_hmac[] = {0x2a, 0x86, 0x48, 0x86,
                                          0xf7, 0x0d, 0x02};
static const uint8_t pem_locked_aes[] = {0x60, 0x86, 0x48, 0x01,
                                         0x65, 0x03, 0x04, 0x01};

static bool pem_locked_is(const struct wr_bytes *oid, const uint8_t *wanted,
                          size_t size)
{
    wr_assert(size > 0);
    return oid->size == size && memcmp(oid->data, wanted, size) == 0;
}

static bool pem_locked_take_number(struct wr_bytes *from, uint32_t *ret)
{
    struct wr_bytes number;
    uint32_t value = 0;

    if (!wr_der_take(from, WR_DER_INTEGER, &number) || number.size == 0 ||
        number.size > 5 || number.data[0] >= 0x80 ||
        (number.size == 5 && number.data[0] != 0)) {
        return false;
    }
    for (size_t i = 0; i < number.size; i++) {
        value = value << 8 | number.data[i];
    }
    *ret = value;
    return true;
}

static const char *pem_locked_take_hash(struct wr_bytes *from,
                                        struct wr_tls_locked *ret)
{
    static const char why[] =
        "its hash for PBKDF2 is not SHA-1, SHA-256, SHA-384 "
        "or SHA-512";
    struct wr_bytes algorithm;
    struct wr_bytes oid;
    uint8_t last = 0;

    ret->kind = WR_TLS_DERIVE_PBKDF2_SHA1;
    if (from->size == 0) {
        return NULL;
    }
    if (!wr_der_take(from, WR_DER_SEQUENCE, &algorithm) || from->size > 0 ||
        !wr_der_take(&algorithm, WR_DER_OID, &oid) ||
        !WR_DER_IS_OF(&oid, pem_locked_hmac, &last)) {
        return why;
    }
    switch (last) {
    case 7:
        return NULL;
    case 9:
        ret->kind = WR_TLS_DERIVE_PBKDF2_SHA256;
        return NULL;
    case 10:
        ret->kind = WR_TLS_DERIVE_PBKDF2_SHA384;
        return NULL;
    case 11:
        ret->kind = WR_TLS_DERIVE_PBKDF2_SHA512;
        return NULL;
    default:
        return why;
    }
}

static const char *pem_locked_take_kdf(struct wr_bytes *from,
                                       struct wr_tls_locked *ret,
                                       uint32_t *ret_key_size)
{
    struct wr_bytes kdf;
    struct wr_bytes oid;
    struct wr_bytes all;
    struct wr_bytes salt;

    *ret_key_size = 0;
    if (!wr_der_take(from, WR_DER_SEQUENCE, &kdf) ||
        !wr_der_take(&kdf, WR_DER_OID, &oid)) {
        return "its encryption is malformed";
    }
    if (!pem_locked_is(&oid, pem_locked_pbkdf2, sizeof(pem_locked_pbkdf2))) {
        return "its key derivation is not PBKDF2, perhaps scrypt; to convert "
               "it: openssl pkcs8 -topk8 -v2 aes-256-cbc";
    }
    if (!wr_der_take(&kdf, WR_DER_SEQUENCE, &all) ||
        !wr_der_take(&all, WR_DER_OCTET_STRING, &salt) ||
        !pem_locked_take_number(&all, &ret->rounds) ||
        (wr_der_sees(&all, WR_DER_INTEGER) &&
         !pem_locked_take_number(&all, ret_key_size))) {
        return "its encryption is malformed";
    }
    if (salt.size == 0 || salt.size > sizeof(ret->salt)) {
        return "its salt is empty, or has more than 64 bytes";
    }
    if (ret->rounds == 0 || ret->rounds > WR_TLS_ROUNDS_MAX) {
        return "its number of PBKDF2 rounds is 0 or more than 10,000,000";
    }
    memcpy(ret->salt, salt.data, salt.size);
    ret->salt_size = (uint32_t)salt.size;
    return pem_locked_take_hash(&all, ret);
}

static const char *pem_locked_take_cipher(struct wr_bytes *from,
                                          struct wr_tls_locked *ret)
{
    struct wr_bytes cipher;
    struct wr_bytes oid;
    struct wr_bytes iv;
    uint8_t last = 0;

    if (!wr_der_take(from, WR_DER_SEQUENCE, &cipher) || from->size > 0 ||
        !wr_der_take(&cipher, WR_DER_OID, &oid)) {
        return "its encryption is malformed";
    }
    const bool is_aes = WR_DER_IS_OF(&oid, pem_locked_aes, &last);
    ret->key_size = !is_aes ? 0 : last == 2 ? 16 : last == 22 ? 24 : 32;
    if (!is_aes || (last != 2 && last != 22 && last != 42)) {
        return "its cipher is not AES-CBC; to convert it: openssl pkcs8 -topk8 "
               "-v2 aes-256-cbc";
    }
    if (!wr_der_take(&cipher, WR_DER_OCTET_STRING, &iv) || cipher.size > 0 ||
        iv.size != WR_TLS_CBC_BLOCK) {
        return "its encryption is malformed";
    }
    memcpy(ret->iv, iv.data, WR_TLS_CBC_BLOCK);
    return NULL;
}

/* EncryptedPrivateKeyInfo (RFC 5958, 3). */
static const char *pem_locked_read_new(struct wr_tls_locked *ret)
{
    struct wr_bytes all = {.data = ret->data, .size = ret->size};
    struct wr_bytes body;
    struct wr_bytes algorithm;
    struct wr_bytes oid;
    struct wr_bytes parameters;
    struct wr_bytes sealed;
    uint32_t key_size = 0;

    ret->label = "PRIVATE KEY";
    if (!wr_der_take(&all, WR_DER_SEQUENCE, &body) || all.size > 0 ||
        !wr_der_take(&body, WR_DER_SEQUENCE, &algorithm) ||
        !wr_der_take(&body, WR_DER_OCTET_STRING, &sealed) ||
        !wr_der_take(&algorithm, WR_DER_OID, &oid)) {
        return "it is malformed";
    }
    if (!pem_locked_is(&oid, pem_locked_pbes2, sizeof(pem_locked_pbes2)) ||
        !wr_der_take(&algorithm, WR_DER_SEQUENCE, &parameters)) {
        return "its encryption scheme is not PBES2; to convert it: openssl "
               "pkcs8 -topk8 -v2 aes-256-cbc";
    }
    const char *why = pem_locked_take_kdf(&parameters, ret, &key_size);
    why = why ? why : pem_locked_take_cipher(&parameters, ret);
    if (!why && key_size > 0 && key_size != ret->key_size) {
        why = "its encryption is malformed";
    }
    ret->at = (size_t)(sealed.data - ret->data);
    ret->size = ret->at + sealed.size;
    return why;
}

static int pem_locked_hex(const uint8_t *text)
{
    int value = 0;

    for (unsigned i = 0; i < 2; i++) {
        const uint8_t c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

static const uint8_t *pem_locked_find(const struct wr_bytes *text,
                                      const char *words)
{
    wr_assert(text->data || text->size == 0);
    return text->size > 0 ? memmem(text->data, text->size, words, strlen(words))
                          : NULL;
}

/* Reads "AES-256-CBC,0011...". The salt is the start of the IV. */
static const char *pem_locked_read_info(const uint8_t *at, const uint8_t *end,
                                        struct wr_tls_locked *ret)
{
    static const struct {
        const char *name;
        uint32_t key_size;
    } ciphers[] = {
        {"AES-128-CBC,", 16}, {"AES-192-CBC,", 24}, {"AES-256-CBC,", 32}};
    const size_t len = strlen(ciphers[0].name);

    for (size_t i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++) {
        if ((size_t)(end - at) >= len + 2 * sizeof(ret->iv) &&
            memcmp(at, ciphers[i].name, len) == 0) {
            ret->key_size = ciphers[i].key_size;
        }
    }
    if (ret->key_size == 0) {
        return "its cipher is not AES-CBC; to convert it: openssl pkcs8 -topk8 "
               "-v2 aes-256-cbc";
    }
    for (size_t i = 0; i < sizeof(ret->iv); i++) {
        const int value = pem_locked_hex(at + len + 2 * i);
        if (value < 0) {
            return "its DEK-Info line is malformed";
        }
        ret->iv[i] = (uint8_t)value;
    }
    ret->kind = WR_TLS_DERIVE_MD5;
    ret->rounds = 1;
    ret->salt_size = 8;
    memcpy(ret->salt, ret->iv, ret->salt_size);
    return NULL;
}

static bool pem_locked_find_body(const struct wr_bytes *block,
                                 struct wr_bytes *ret)
{
    const uint8_t *end = block->data + block->size;
    const uint8_t *empty = pem_locked_find(block, "\n\n");
    const uint8_t *wide = pem_locked_find(block, "\r\n\r\n");

    if (wide && (!empty || wide < empty)) {
        empty = wide + 2;
    }
    if (!empty) {
        return false;
    }
    *ret =
        (struct wr_bytes){.data = empty + 2, .size = (size_t)(end - empty - 2)};
    return true;
}

static const char *pem_locked_read_old(const struct wr_bytes *block,
                                       struct wr_tls_locked *ret)
{
    static const char word[] = "DEK-Info: ";
    const uint8_t *info = pem_locked_find(block, word);

    return info ? pem_locked_read_info(info + strlen(word),
                                       block->data + block->size, ret)
                : "it has no DEK-Info line";
}

static bool pem_locked_find_block(const struct wr_bytes *text,
                                  char label[PEM_LOCKED_LABEL_MAX],
                                  struct wr_bytes *ret)
{
    static const char begin[] = "-----BEGIN ";
    static const char key[] = "PRIVATE KEY-----";
    struct wr_bytes rest = *text;
    const uint8_t *at;

    while ((at = pem_locked_find(&rest, begin))) {
        at += strlen(begin);
        rest.size -= (size_t)(at - rest.data);
        rest.data = at;
        const uint8_t *dashes = pem_locked_find(&rest, "-----");
        const size_t len =
            dashes ? (size_t)(dashes - at) : PEM_LOCKED_LABEL_MAX;
        if (len + 1 < PEM_LOCKED_LABEL_MAX && len + 5 >= strlen(key) &&
            memcmp(dashes + 5 - strlen(key), key, strlen(key)) == 0) {
            memcpy(label, at, len);
            label[len] = '\0';
            dashes += 5;
            const struct wr_bytes behind = {
                .data = dashes, .size = rest.size - (size_t)(dashes - at)};
            const uint8_t *end = pem_locked_find(&behind, "-----");
            *ret = (struct wr_bytes){.data = dashes,
                                     .size = end ? (size_t)(end - dashes)
                                                 : behind.size};
            return true;
        }
    }
    return false;
}

/* Returns NULL if blocks with this label cannot be in the traditional
 * format. */
static const char *pem_locked_old_label(const char *label)
{
    static const char *const labels[] = {"RSA PRIVATE KEY", "EC PRIVATE KEY",
                                         "PRIVATE KEY"};

    wr_assert(label != NULL);
    for (size_t i = 0; i < sizeof(labels) / sizeof(*labels); i++) {
        if (strcmp(labels[i], label) == 0) {
            return labels[i];
        }
    }
    return NULL;
}

static const char *pem_locked_read_block(const struct wr_bytes *block,
                                         const char *label, bool is_new,
                                         struct wr_tls_locked *ret)
{
    struct wr_bytes body = *block;
    const char *why = NULL;

    if (!is_new) {
        ret->label = pem_locked_old_label(label);
        why = !ret->label ? "its kind of encryption is unknown"
              : !pem_locked_find_body(block, &body)
                  ? "no empty line ends its headers"
                  : pem_locked_read_old(block, ret);
    }
    if (why) {
        return why;
    }
    ret->data = malloc(body.size + 1);
    if (!ret->data) {
        return NULL;
    }
    ret->size = wr_tls_pem_decode(body, ret->data);
    if (ret->size == 0 || ret->size > PEM_LOCKED_DATA_MAX) {
        return "it is not base64, or too long";
    }
    why = is_new ? pem_locked_read_new(ret) : NULL;
    const size_t sealed = ret->size - ret->at;
    return why ? why
           : sealed == 0 || sealed % WR_TLS_CBC_BLOCK != 0
               ? "its encrypted data is not a multiple of the cipher's block"
               : NULL;
}

int wr_tls_locked_read(struct wr_bytes text, struct wr_tls_locked *ret,
                       const char **ret_why)
{
    char label[PEM_LOCKED_LABEL_MAX];
    struct wr_bytes block;
    struct wr_tls_locked locked = {.data = NULL};

    if (!pem_locked_find_block(&text, label, &block)) {
        return 0;
    }
    const bool is_new = strcmp(label, "ENCRYPTED PRIVATE KEY") == 0;
    if (!is_new && !pem_locked_find(&block, "Proc-Type: 4,ENCRYPTED")) {
        return 0;
    }
    const char *why = pem_locked_read_block(&block, label, is_new, &locked);
    if (why || !locked.data) {
        wr_tls_locked_fini(&locked);
        *ret_why = why;
        return why ? WEIR_ETLSFILE : -ENOMEM;
    }
    *ret = locked;
    return 1;
}

/* Returns the size without padding, or 0 if the padding or the key is
 * invalid. */
static size_t pem_locked_check(const uint8_t *data, size_t size)
{
    const uint8_t pad = data[size - 1];
    struct wr_bytes all = {.data = data, .size = size};
    struct wr_bytes key;

    wr_assert(size > 0 && size % WR_TLS_CBC_BLOCK == 0);
    if (pad == 0 || pad > WR_TLS_CBC_BLOCK) {
        return 0;
    }
    for (size_t i = size - pad; i < size; i++) {
        if (data[i] != pad) {
            return 0;
        }
    }
    all.size -= pad;
    return all.size > 0 && wr_der_take(&all, WR_DER_SEQUENCE, &key) &&
                   all.size == 0
               ? size - pad
               : 0;
}

static int pem_locked_write(const char *label, const uint8_t *data, size_t size,
                            struct wr_bytes *ret)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                  "stuvwxyz0123456789+/";
    const size_t base = (size + 2) / 3 * 4;
    const size_t room =
        base + base / PEM_LOCKED_LINE + 2 * PEM_LOCKED_LABEL_MAX + 40;
    char *text = malloc(room);
    size_t at = 0;

    wr_assert(strlen(label) < PEM_LOCKED_LABEL_MAX);
    if (!text) {
        return -ENOMEM;
    }
    at += (size_t)snprintf(text, room, "-----BEGIN %s-----\n", label);
    for (size_t i = 0; i < size; i += 3) {
        const uint32_t bits = (uint32_t)data[i] << 16 |
                              (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) |
                              (i + 2 < size ? data[i + 2] : 0);
        text[at++] = letters[bits >> 18];
        text[at++] = letters[bits >> 12 & 63u];
        text[at++] = i + 1 < size ? letters[bits >> 6 & 63u] : '=';
        text[at++] = i + 2 < size ? letters[bits & 63u] : '=';
        if ((i / 3 + 1) % (PEM_LOCKED_LINE / 4) == 0 || i + 3 >= size) {
            text[at++] = '\n';
        }
    }
    at += (size_t)snprintf(text + at, room - at, "-----END %s-----\n", label);
    wr_assert(at < room);
    *ret = (struct wr_bytes){.data = (uint8_t *)text, .size = at};
    return 0;
}

int wr_tls_locked_open(struct wr_tls_locked *locked, struct wr_bytes passphrase,
                       struct wr_bytes *ret)
{
    const struct wr_tls_backend *backend = wr_tls_backend_get();
    uint8_t key[WR_TLS_DERIVED_MAX];
    uint8_t *data = locked->data + locked->at;
    const size_t size = locked->size - locked->at;
    const struct wr_tls_derive job = {
        .kind = locked->kind,
        .password = passphrase,
        .salt = {.data = locked->salt, .size = locked->salt_size},
        .rounds = locked->rounds,
        .out = key,
        .size = locked->key_size,
    };

    wr_assert(locked->key_size > 0 && locked->key_size <= sizeof(key));
    int err = backend->derive(&job);
    if (err == 0) {
        const struct wr_bytes by = {.data = key, .size = locked->key_size};
        err = backend->open_cbc(by, locked->iv, data, size);
    }
    explicit_bzero(key, sizeof(key));
    if (err < 0) {
        return err;
    }
    const size_t plain = pem_locked_check(data, size);
    return plain > 0 ? pem_locked_write(locked->label, data, plain, ret)
                     : WEIR_ETLSPASSWORD;
}
