/*
 * An index of certificates by name; see name_index.h.
 *
 * A sorted array is enough: it is written once, when a context is created, and
 * a lookup takes about twenty comparisons among a million names.
 */
#include "name_index.h"

#include "lib/x509/hostname.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/* Prefixes of hashed values, so that a text never equals an address or the
 * default entry. */
enum {
    NAME_INDEX_DEFAULT,
    NAME_INDEX_TEXT,
    NAME_INDEX_WILDCARD, /* the part after the '*' */
    NAME_INDEX_ADDRESS,
};

/* Returns the FNV-1a hash; upper case equals lower case. */
static uint64_t name_index_hash(unsigned kind, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t hash = (FNV_BASIS ^ kind) * FNV_PRIME;

    wr_assert(data || size == 0);
    for (size_t i = 0; i < size; i++) {
        const bool is_upper = bytes[i] >= 'A' && bytes[i] <= 'Z';
        const uint8_t byte = is_upper && kind != NAME_INDEX_ADDRESS
                                 ? (uint8_t)(bytes[i] + ('a' - 'A'))
                                 : bytes[i];
        hash = (hash ^ byte) * FNV_PRIME;
    }
    return hash;
}

static int name_index_put(struct wr_tls_name_index *index, uint64_t hash,
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

static uint64_t name_index_hash_name(enum wr_x509_name_kind kind,
                                     struct wr_bytes name)
{
    wr_assert(kind != WR_X509_NAME_OTHER);
    if (kind == WR_X509_NAME_IP) {
        return name_index_hash(NAME_INDEX_ADDRESS, name.data, name.size);
    }
    return name.size > 0 && name.data[0] == '*'
               ? name_index_hash(NAME_INDEX_WILDCARD, name.data + 1,
                                 name.size - 1)
               : name_index_hash(NAME_INDEX_TEXT, name.data, name.size);
}

int wr_tls_name_index_add(struct wr_tls_name_index *index,
                          const struct wr_x509 *x509, size_t number,
                          bool is_default)
{
    struct wr_bytes names = x509->names;
    struct wr_bytes name;
    enum wr_x509_name_kind kind;
    int err = is_default
                  ? name_index_put(index,
                                   name_index_hash(NAME_INDEX_DEFAULT, NULL, 0),
                                   number)
                  : 0;

    wr_assert(number < SIZE_MAX);
    while (err == 0 && wr_x509_next_name(&names, &kind, &name)) {
        if (kind != WR_X509_NAME_OTHER) {
            err =
                name_index_put(index, name_index_hash_name(kind, name), number);
        }
    }
    return err;
}

static bool name_index_is_before(const struct wr_tls_name_entry *entry,
                                 uint64_t hash, size_t number)
{
    return entry->hash < hash ||
           (entry->hash == hash && entry->number < number);
}

static int name_index_compare(const void *a, const void *b)
{
    const struct wr_tls_name_entry *one = a;
    const struct wr_tls_name_entry *other = b;

    return name_index_is_before(one, other->hash, other->number) ? -1
           : name_index_is_before(other, one->hash, one->number) ? 1
                                                                 : 0;
}

void wr_tls_name_index_sort(struct wr_tls_name_index *index)
{
    wr_assert(index->count > 0);
    qsort(index->entries, index->count, sizeof(*index->entries),
          name_index_compare);
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
            name_index_hash(NAME_INDEX_DEFAULT, NULL, 0);
        return;
    }
    const size_t size = strlen(host);
    const size_t len = size > 0 && host[size - 1] == '.' ? size - 1 : size;
    const char *dot = memchr(host, '.', len);
    const size_t ip_size = wr_x509_hostname_read_ip(host, ip);
    ret->hashes[ret->count++] = name_index_hash(NAME_INDEX_TEXT, host, len);
    if (dot) {
        ret->hashes[ret->count++] = name_index_hash(NAME_INDEX_WILDCARD, dot,
                                                    len - (size_t)(dot - host));
    }
    if (ip_size > 0) {
        ret->hashes[ret->count++] =
            name_index_hash(NAME_INDEX_ADDRESS, ip, ip_size);
    }
    wr_assert(ret->count <= sizeof(ret->hashes) / sizeof(ret->hashes[0]));
}

/* Returns the first certificate with this hash, starting at @number. */
static size_t name_index_find(const struct wr_tls_name_index *index,
                              uint64_t hash, size_t number)
{
    size_t low = 0;
    size_t high = index->count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (name_index_is_before(&index->entries[middle], hash, number)) {
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
        const size_t found = name_index_find(index, keys->hashes[i], number);
        first = found < first ? found : first;
    }
    return first;
}
