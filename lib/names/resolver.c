/*
 * The resolver of a loop, which is the built-in resolver until the program sets
 * another. A lookup keeps the resolver with which it was started, and is
 * cancelled there.
 */
#include "resolver.h"

#include "lib/base/options.h"

#include <string.h>

#define KEEP_NS UINT64_C(60000000000)

struct resolver {
    struct wr_module module;
    weir_loop *loop;
    const struct weir_resolver *table; /* NULL means the built-in resolver */
    void *user;
    bool no_cache;
    uint64_t keep_ns;
    uint64_t version;
};

static struct resolver *resolver_of_module(struct wr_module *module)
{
    return wr_container_of(module, struct resolver, module);
}

static void resolver_close(struct wr_module *module)
{
    struct resolver *resolver = resolver_of_module(module);

    wr_free(&resolver->loop->counting, resolver, sizeof(*resolver));
}

static void resolver_check(const struct wr_module *module)
{
    const struct resolver *resolver =
        wr_container_of(module, const struct resolver, module);

    wr_assert(!resolver->table || resolver->table->start);
    wr_assert(!resolver->table || resolver->table->cancel);
}

static const struct wr_module_ops resolver_module_ops = {
    .close = resolver_close, .check = resolver_check};

static struct resolver *resolver_find(const weir_loop *loop)
{
    struct wr_module *module = wr_loop_find_module(loop, &resolver_module_ops);

    return module ? resolver_of_module(module) : NULL;
}

bool wr_resolver_is_builtin(const weir_loop *loop)
{
    const struct resolver *resolver = resolver_find(loop);

    return !resolver || !resolver->table;
}

const struct weir_resolver *wr_resolver_get(weir_loop *loop, void **ret_user)
{
    const struct resolver *resolver = resolver_find(loop);
    wr_assert(ret_user != NULL);

    if (!resolver || !resolver->table) {
        *ret_user = loop;
        return &wr_resolver_builtin;
    }
    *ret_user = resolver->user;
    return resolver->table;
}

static struct resolver *resolver_make(weir_loop *loop)
{
    struct resolver *resolver = resolver_find(loop);

    if (resolver) {
        return resolver;
    }
    resolver = wr_alloc(&loop->counting, sizeof(*resolver));
    if (!resolver) {
        return NULL;
    }
    memset(resolver, 0, sizeof(*resolver));
    resolver->loop = loop;
    resolver->keep_ns = KEEP_NS;
    wr_loop_add_module(loop, &resolver->module, &resolver_module_ops);
    return resolver;
}

bool wr_resolver_is_shared(const weir_loop *loop)
{
    const struct resolver *resolver = resolver_find(loop);

    return !resolver || (!resolver->no_cache &&
                         (!resolver->table || resolver->table->is_shared));
}

uint64_t wr_resolver_get_keep_ns(const weir_loop *loop)
{
    const struct resolver *resolver = resolver_find(loop);

    return resolver ? resolver->keep_ns : KEEP_NS;
}

uint64_t wr_resolver_get_version(weir_loop *loop)
{
    const struct resolver *resolver = resolver_find(loop);

    return (resolver ? resolver->version : 0) + wr_resolver_count_changes(loop);
}

int weir_loop_set_resolver(weir_loop *loop, const struct weir_resolver *table,
                           void *user)
{
    wr_require_loop(loop);
    if (table) {
        wr_require(table->size >= offsetof(struct weir_resolver, start_srv),
                   -EINVAL);
        wr_require(table->start && table->cancel, -EINVAL);
    }
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct resolver *resolver = resolver_make(loop);
    wr_require(resolver, -ENOMEM);
    wr_assert(resolver->loop == loop);
    resolver->table = table;
    resolver->user = user;
    resolver->version++;
    resolver_check(&resolver->module);
    return 0;
}

int weir_loop_set_dns_options(weir_loop *loop,
                              const struct weir_dns_options *options)
{
    struct weir_dns_options known;

    wr_require_loop(loop);
    int err = wr_options_read(&known, sizeof(known), options);
    wr_require(err >= 0, err);
    wr_require(!wr_loop_is_closing(loop), -ESHUTDOWN);
    struct resolver *resolver = resolver_make(loop);
    wr_require(resolver, -ENOMEM);
    err = wr_resolver_configure(loop, &known);
    if (err >= 0) {
        resolver->no_cache = known.no_cache;
        resolver->keep_ns = known.cache_ns > 0 ? known.cache_ns : KEEP_NS;
        resolver->version++;
    }
    return err;
}
