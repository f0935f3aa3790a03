/*
 * A cache of DNS answers. Lookups of the same name share one query.
 *
 * Each entry has a lookup of its own, which queries the resolver. The key is
 * the name together with the requested families, because in a search the result
 * for one family depends on the other. The last lookup that leaves an entry
 * cancels the query. Peers may choose names, so the memory for answers is
 * limited.
 */

#include "lookup.h"
#include "resolver.h"

#include <string.h>
#include <weir/error.h>

#define CACHE_BUCKETS   128u
#define CACHE_BYTES_MAX ((size_t)512 << 10)

struct cache {
    struct wr_module module;
    weir_loop *loop;
    /* wr_resolver_get_version() when the answers were received. */
    uint64_t version;
    struct wr_list buckets[CACHE_BUCKETS]; /* struct cache_entry */
    struct wr_list asked; /* struct cache_entry, including unlisted entries */
    struct wr_list kept;  /* least recently used entry first */
    size_t kept_bytes;
    uint64_t hit_count;
    uint64_t miss_count;
};

/* An entry is kept or freed when its own lookup has ended. */
struct cache_entry {
    struct cache *cache;
    struct wr_list bucket; /* if not linked, no lookup finds the entry */
    struct wr_list link;
    struct wr_list lookups; /* lookups that wait for the result */
    weir_lookup own;
    uint64_t until_ns; /* end of the TTL; UINT64_MAX if unknown */
    uint32_t turn;     /* counts hits: each starts with another address */
    bool is_starting;  /* set around the call of the resolver */
    bool is_used;      /* set by a hit, cleared by a trim */
};

static bool cache_is_kept(const struct cache_entry *entry)
{
    return wr_lookup_has_ended(&entry->own);
}

static size_t cache_get_size(const struct cache_entry *entry)
{
    return sizeof(*entry) + entry->own.capacity * sizeof(*entry->own.addresses);
}

static struct wr_list *cache_get_bucket(struct cache *cache, const char *host)
{
    const uint32_t hash = wr_name_hash(host);

    return &cache->buckets[(hash ^ hash >> 16) % CACHE_BUCKETS];
}

/* Returns an entry with an answer (@kept) or with a pending query, or NULL. */
static struct cache_entry *cache_find(struct cache *cache,
                                      const weir_lookup *lookup, bool kept)
{
    struct wr_list *bucket = cache_get_bucket(cache, lookup->host);

    for (struct wr_list *link = bucket->next; link != bucket;
         link = link->next) {
        struct cache_entry *entry =
            wr_container_of(link, struct cache_entry, bucket);
        if (cache_is_kept(entry) == kept && entry->own.asked == lookup->asked &&
            wr_name_is_absolute(entry->own.host) ==
                wr_name_is_absolute(lookup->host) &&
            wr_name_is_equal(entry->own.host, lookup->host)) {
            return entry;
        }
    }
    return NULL;
}

static void cache_free_entry(struct cache_entry *entry)
{
    struct cache *cache = entry->cache;

    wr_assert(wr_list_is_empty(&entry->lookups));
    wr_assert(!entry->is_starting);
    wr_list_remove(&entry->bucket);
    wr_list_remove(&entry->link);
    wr_lookup_fini(&entry->own);
    wr_free(&cache->loop->counting, entry, sizeof(*entry));
}

static size_t cache_drop(struct cache_entry *entry)
{
    struct cache *cache = entry->cache;
    const size_t size = cache_get_size(entry);

    wr_assert(cache_is_kept(entry));
    wr_assert(cache->kept_bytes >= size);
    cache->kept_bytes -= size;
    cache_free_entry(entry);
    return size;
}

static struct cache_entry *cache_first_kept(struct cache *cache)
{
    return wr_list_is_empty(&cache->kept)
               ? NULL
               : wr_container_of(cache->kept.next, struct cache_entry, link);
}

static void cache_drop_kept(struct cache *cache)
{
    while (!wr_list_is_empty(&cache->kept)) {
        wr_ignore(cache_drop(cache_first_kept(cache)) == 0);
    }
}

/* True if the answer has addresses and a TTL, and no temporary error. */
static bool cache_is_worth_keeping(const struct cache_entry *entry)
{
    const weir_lookup *own = &entry->own;

    if (!wr_list_is_linked(&entry->bucket) || own->count == 0 ||
        entry->until_ns == UINT64_MAX ||
        entry->until_ns <= entry->cache->loop->now_ns) {
        return false;
    }
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        const int err = own->errs[part];
        if (err != 0 && err != WEIR_EDNSNODATA && err != WEIR_EDNSNOTFOUND) {
            return false;
        }
    }
    return true;
}

static void cache_keep(struct cache_entry *entry)
{
    struct cache *cache = entry->cache;

    wr_list_remove(&entry->bucket);
    struct cache_entry *old = cache_find(cache, &entry->own, true);
    if (old) {
        wr_ignore(cache_drop(old) == 0);
    }
    wr_list_push_back(cache_get_bucket(cache, entry->own.host), &entry->bucket);
    wr_list_remove(&entry->link);
    wr_list_push_back(&cache->kept, &entry->link);
    entry->until_ns = wr_min_u64(
        entry->until_ns,
        wr_add_sat(cache->loop->now_ns, wr_resolver_get_keep_ns(cache->loop)));
    entry->is_used = true;
    cache->kept_bytes += cache_get_size(entry);
    while (cache->kept_bytes > CACHE_BYTES_MAX) {
        wr_ignore(cache_drop(cache_first_kept(cache)) == 0);
    }
}

static void cache_tell(const struct cache_entry *entry, weir_lookup *lookup,
                       enum wr_lookup_part part)
{
    const weir_lookup *own = &entry->own;
    const size_t start = part == WR_LOOKUP_INET6 ? 0 : own->inet6_count;
    const size_t count =
        part == WR_LOOKUP_INET6 ? start + own->inet6_count : own->count - start;
    int err = own->errs[part];

    wr_assert(!wr_lookup_is_open(own, part));
    wr_assert(lookup->asked == own->asked);
    for (size_t i = 0; i < count && err == 0; i++) {
        err = wr_lookup_add(lookup, part,
                            &own->addresses[start + (entry->turn + i) % count]);
    }
    if (entry->until_ns != UINT64_MAX) {
        wr_lookup_note_ttl(lookup, entry->until_ns - lookup->loop->now_ns);
    }
    wr_lookup_close(lookup, part, err);
}

static void cache_part_closed(weir_lookup *own, enum wr_lookup_part part)
{
    struct cache_entry *entry = wr_container_of(own, struct cache_entry, own);
    struct wr_list *link = entry->lookups.next;

    entry->until_ns =
        wr_min_u64(entry->until_ns, wr_add_sat(own->loop->now_ns, own->ttl_ns));
    while (link != &entry->lookups) {
        weir_lookup *lookup = wr_container_of(link, weir_lookup, sharing);
        link = link->next;
        if (own->open == 0) {
            wr_list_remove(&lookup->sharing);
        }
        cache_tell(entry, lookup, part);
        wr_assert(lookup->open == own->open);
    }
}

static void cache_own_changed(weir_lookup *own)
{
    struct cache_entry *entry = wr_container_of(own, struct cache_entry, own);

    if (!wr_lookup_has_ended(own)) {
        return;
    }
    wr_assert(wr_list_is_empty(&entry->lookups));
    if (cache_is_worth_keeping(entry)) {
        cache_keep(entry);
    } else {
        cache_free_entry(entry);
    }
}

static struct cache *cache_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct cache, module);
}

/* All lookups have ended. An entry may still be in `asked` if its query was
 * answered in this iteration, but its own lookup was not called yet. */
static void cache_end(struct wr_module *module)
{
    struct cache *cache = cache_of_module(module);

    while (!wr_list_is_empty(&cache->asked)) {
        struct cache_entry *entry =
            wr_container_of(cache->asked.next, struct cache_entry, link);
        wr_assert(entry->own.state == WR_LOOKUP_ANSWERED);
        wr_lookup_cancel(&entry->own);
        cache_free_entry(entry);
    }
    cache_drop_kept(cache);
}

static uint64_t cache_trim(struct wr_module *module)
{
    struct cache *cache = cache_of_module(module);
    struct wr_list *link = cache->kept.next;
    uint64_t bytes = 0;

    while (link != &cache->kept) {
        struct cache_entry *entry =
            wr_container_of(link, struct cache_entry, link);
        link = link->next;
        if (!entry->is_used || entry->until_ns <= cache->loop->now_ns) {
            bytes += cache_drop(entry);
        } else {
            entry->is_used = false;
        }
    }
    return bytes;
}

static void cache_count(struct wr_module *module,
                        struct weir_loop_statistics *ret)
{
    const struct cache *cache = cache_of_module(module);

    ret->name_hits = cache->hit_count;
    ret->name_misses = cache->miss_count;
}

static void cache_close(struct wr_module *module)
{
    struct cache *cache = cache_of_module(module);

    wr_assert(wr_list_is_empty(&cache->asked));
    wr_assert(wr_list_is_empty(&cache->kept));
    wr_free(&cache->loop->counting, cache, sizeof(*cache));
}

static void cache_check(const struct wr_module *module)
{
    const struct cache *cache =
        wr_container_of(module, const struct cache, module);
    size_t bytes = 0;

    for (const struct wr_list *link = cache->kept.next; link != &cache->kept;
         link = link->next) {
        const struct cache_entry *entry =
            wr_container_of(link, const struct cache_entry, link);
        wr_assert(cache_is_kept(entry));
        wr_assert(wr_list_is_linked(&entry->bucket));
        wr_assert(entry->own.count > 0);
        bytes += cache_get_size(entry);
    }
    wr_assert(bytes == cache->kept_bytes);
    wr_assert(bytes <= CACHE_BYTES_MAX);
}

static const struct wr_module_ops cache_module_ops = {
    .end = {[WR_END_CANCEL] = cache_end, [WR_END_ABANDON] = cache_end},
    .trim = cache_trim,
    .count = cache_count,
    .close = cache_close,
    .check = cache_check};

static struct cache *cache_make(weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &cache_module_ops);

    if (module) {
        return cache_of_module(module);
    }
    struct cache *cache = wr_alloc(&loop->counting, sizeof(*cache));
    if (!cache) {
        return NULL;
    }
    memset(cache, 0, sizeof(*cache));
    cache->loop = loop;
    wr_list_init(&cache->asked);
    wr_list_init(&cache->kept);
    for (uint32_t i = 0; i < CACHE_BUCKETS; i++) {
        wr_list_init(&cache->buckets[i]);
    }
    wr_loop_add_module(loop, &cache->module, &cache_module_ops);
    return cache;
}

WEIR_MUST_USE static int cache_ask(struct cache *cache, weir_lookup *lookup)
{
    struct cache_entry *entry =
        wr_alloc(&cache->loop->counting, sizeof(*entry));

    wr_require(entry, -ENOMEM);
    memset(entry, 0, sizeof(*entry));
    entry->cache = cache;
    entry->until_ns = UINT64_MAX;
    wr_list_init(&entry->bucket);
    wr_list_init(&entry->link);
    wr_list_init(&entry->lookups);
    wr_lookup_init(&entry->own, cache->loop, cache_own_changed);
    wr_list_push_back(cache_get_bucket(cache, lookup->host), &entry->bucket);
    wr_list_push_back(&cache->asked, &entry->link);
    wr_list_push_back(&entry->lookups, &lookup->sharing);
    lookup->data = entry;
    entry->is_starting = true;
    wr_lookup_ask_for(&entry->own, lookup, cache_part_closed);
    entry->is_starting = false;
    if (wr_lookup_has_ended(&entry->own)) {
        cache_free_entry(entry); /* the lookup was cancelled meanwhile */
    }
    return 0;
}

/* If the resolver's settings have changed, drops all answers. The answers of
 * pending queries will not be kept. */
static void cache_refresh(struct cache *cache)
{
    const uint64_t version = wr_resolver_get_version(cache->loop);

    if (version == cache->version) {
        return;
    }
    cache->version = version;
    cache_drop_kept(cache);
    for (struct wr_list *link = cache->asked.next; link != &cache->asked;
         link = link->next) {
        wr_list_remove(
            &wr_container_of(link, struct cache_entry, link)->bucket);
    }
}

static struct cache_entry *cache_choose(struct cache *cache,
                                        const weir_lookup *lookup)
{
    const uint64_t now_ns = cache->loop->now_ns;
    struct cache_entry *entry = cache_find(cache, lookup, true);

    if (entry && entry->until_ns <= now_ns) {
        wr_ignore(cache_drop(entry) == 0);
    } else if (entry && !lookup->is_fresh) {
        wr_list_remove(&entry->link);
        wr_list_push_back(&cache->kept, &entry->link);
        entry->is_used = true;
        entry->turn++;
        return entry;
    }
    entry = cache_find(cache, lookup, false);
    if (entry && entry->until_ns <= now_ns) {
        wr_list_remove(&entry->bucket); /* a part of its answer has expired */
        return NULL;
    }
    return entry;
}

static int cache_start(void *user, weir_lookup *lookup, const char *host,
                       int family, void **ret_data)
{
    struct cache *cache = cache_make(user);

    wr_require(cache, -ENOMEM);
    cache_refresh(cache);
    struct cache_entry *entry = cache_choose(cache, lookup);
    wr_assert(host == lookup->host);
    wr_assert(ret_data == &lookup->data);
    (void)family;
    if (!entry) {
        cache->miss_count++;
        return cache_ask(cache, lookup);
    }
    cache->hit_count++;
    for (enum wr_lookup_part part = 0; part < WR_LOOKUP_PARTS; part++) {
        if (wr_lookup_is_open(lookup, part) &&
            !wr_lookup_is_open(&entry->own, part)) {
            cache_tell(entry, lookup, part);
        }
    }
    if (lookup->open != 0) {
        wr_list_push_back(&entry->lookups, &lookup->sharing);
        *ret_data = entry;
    }
    return 0;
}

static void cache_cancel(void *user, weir_lookup *lookup, void *data)
{
    struct cache_entry *entry = data;

    wr_assert(user == entry->cache->loop);
    wr_assert(!cache_is_kept(entry));
    wr_list_remove(&lookup->sharing);
    if (!wr_list_is_empty(&entry->lookups)) {
        return;
    }
    wr_list_remove(&entry->bucket);
    wr_lookup_cancel(&entry->own);
    if (!entry->is_starting) {
        cache_free_entry(entry);
    }
}

const struct weir_resolver wr_cache_resolver = {
    .size = sizeof(wr_cache_resolver),
    .start = cache_start,
    .cancel = cache_cancel,
};
