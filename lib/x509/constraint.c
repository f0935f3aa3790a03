/*
 * Name constraints. Each name is compared with the subtrees of its kind. The
 * name must be in a permitted subtree, if there are any, and in no excluded
 * subtree. A kind without subtrees is not constrained.
 */
#include "path.h"

#include "directory.h"
#include "hostname.h"
#include "uring/check.h"

#include <string.h>

static bool constraint_ends_with(struct wr_bytes name, struct wr_bytes end)
{
    return name.size >= end.size &&
           wr_x509_hostname_is_same((const char *)name.data + name.size -
                                        end.size,
                                    (const char *)end.data, end.size);
}

/* If @base has a leading dot, only hosts below it are in its subtree. */
static bool constraint_has_host(struct wr_bytes base, struct wr_bytes host)
{
    if (base.size == 0) {
        return true;
    }
    wr_assert(base.data != NULL);
    return constraint_ends_with(host, base) &&
           (host.size == base.size
                ? base.data[0] != '.'
                : base.data[0] == '.' ||
                      host.data[host.size - base.size - 1] == '.');
}

/* Returns true if the wildcard @name ("*.example.org") could match a name in
 * the subtree of @base. */
static bool constraint_wildcard_meets(struct wr_bytes base,
                                      struct wr_bytes name)
{
    wr_assert(name.data && base.data);
    if (name.size < 2 || name.data[0] != '*') {
        return false;
    }
    const struct wr_bytes parent = {name.data + 1, name.size - 1};
    if (base.size > 0 && base.data[0] == '.') {
        return false; /* the wildcard covers one label only */
    }
    return base.size > parent.size && constraint_ends_with(base, parent) &&
           !memchr(base.data, '.', base.size - parent.size);
}

static bool constraint_has_ip(struct wr_bytes base, struct wr_bytes ip)
{
    wr_assert(base.size == 8 || base.size == 32);
    if (ip.size * 2 != base.size) {
        return false;
    }
    for (size_t i = 0; i < ip.size; i++) {
        if ((ip.data[i] ^ base.data[i]) & base.data[ip.size + i]) {
            return false;
        }
    }
    return true;
}

/* @base is "user@host", a host, or ".domain" for all hosts below it. */
static bool constraint_has_mail(struct wr_bytes base, struct wr_bytes name,
                                bool is_permitted)
{
    wr_assert(name.data && base.data);
    const uint8_t *at = memchr(base.data, '@', base.size);
    const uint8_t *end = memrchr(name.data, '@', name.size);
    if (!end) {
        return !is_permitted; /* not a mail address */
    }
    const size_t user = (size_t)(end - name.data);
    const struct wr_bytes host = {end + 1, name.size - user - 1};
    if (at) {
        const size_t base_user = (size_t)(at - base.data);
        const struct wr_bytes base_host = {at + 1, base.size - base_user - 1};
        return user == base_user && memcmp(name.data, base.data, user) == 0 &&
               host.size == base_host.size &&
               constraint_ends_with(host, base_host);
    }
    if (base.size > 0 && base.data[0] == '.') {
        return constraint_has_host(base, host);
    }
    return base.size == 0 ||
           (host.size == base.size && constraint_ends_with(host, base));
}

static bool constraint_has(uint8_t tag, struct wr_bytes base,
                           struct wr_bytes name, bool is_permitted)
{
    switch (tag) {
    case WR_X509_NAME_TAG_DNS:
        return constraint_has_host(base, name) ||
               (!is_permitted && constraint_wildcard_meets(base, name));
    case WR_X509_NAME_TAG_IP:
        return constraint_has_ip(base, name);
    default:
        wr_assert(tag == WR_X509_NAME_TAG_EMAIL);
        return constraint_has_mail(base, name, is_permitted);
    }
}

static enum wr_x509_directory_match
constraint_match(struct wr_bytes base, struct wr_bytes name, size_t *budget)
{
    wr_assert(base.data && name.data);
    return wr_x509_directory_is_good(base) && wr_x509_directory_is_good(name)
               ? wr_x509_directory_compare(base, name, budget)
               : WR_X509_DIRECTORY_UNSURE;
}

static bool constraint_knows(uint8_t tag)
{
    return tag == WR_X509_NAME_TAG_DNS || tag == WR_X509_NAME_TAG_IP ||
           tag == WR_X509_NAME_TAG_EMAIL || tag == WR_X509_NAME_TAG_DIRECTORY;
}

struct constraint_lists {
    struct wr_bytes lists;
    size_t *budget;
};

struct constraint_found {
    bool has_trees;
    bool is_within;
    bool is_broke; /* the budget is used up; the other fields are invalid */
};

static void constraint_compare(struct constraint_found *found, uint8_t tag,
                               struct wr_bytes base, struct wr_bytes name,
                               bool is_permitted, size_t *budget)
{
    wr_assert(!found->is_broke);
    found->has_trees = true;
    if (tag == WR_X509_NAME_TAG_DIRECTORY) {
        const enum wr_x509_directory_match match =
            constraint_match(base, name, budget);
        found->is_broke = match == WR_X509_DIRECTORY_MANY;
        found->is_within |= is_permitted ? match == WR_X509_DIRECTORY_WITHIN
                                         : match != WR_X509_DIRECTORY_OTHER;
    } else if (constraint_knows(tag)) {
        found->is_within |= constraint_has(tag, base, name, is_permitted);
    }
}

static struct constraint_found
constraint_find(struct wr_bytes trees, uint8_t tag, struct wr_bytes name,
                bool is_permitted, size_t *budget)
{
    struct constraint_found found = {.has_trees = false};
    struct wr_bytes tree;
    struct wr_bytes base;
    uint8_t base_tag = 0;

    wr_assert(name.data != NULL);
    while (!found.is_broke && wr_der_take(&trees, WR_DER_SEQUENCE, &tree)) {
        const bool is_one =
            wr_der_take_any(&tree, &base_tag, &base) && base_tag == tag;
        const size_t bytes = is_one ? name.size + base.size : 0;
        found.is_broke = !wr_x509_budget_pay(budget, 1 + bytes / 64);
        if (is_one && !found.is_broke) {
            constraint_compare(&found, tag, base, name, is_permitted, budget);
        }
    }
    return found;
}

static enum wr_x509_constraint
constraint_check_name(const struct constraint_lists *limits, uint8_t tag,
                      struct wr_bytes name)
{
    struct wr_bytes lists = limits->lists;
    struct wr_bytes trees;
    uint8_t list_tag = 0;

    wr_assert(lists.data && limits->budget);
    while (wr_der_take_any(&lists, &list_tag, &trees)) {
        const bool is_permitted = list_tag == WR_X509_TREES_PERMITTED;
        const struct constraint_found found =
            constraint_find(trees, tag, name, is_permitted, limits->budget);
        if (found.is_broke) {
            return WR_X509_CONSTRAINT_MANY;
        }
        if (found.has_trees && !constraint_knows(tag)) {
            return WR_X509_CONSTRAINT_UNKNOWN;
        }
        if (found.has_trees && found.is_within != is_permitted) {
            return WR_X509_CONSTRAINT_BROKEN;
        }
    }
    return WR_X509_CONSTRAINT_KEPT;
}

/* Mail addresses in a subject must keep the constraints of mail names, too. */
static enum wr_x509_constraint
constraint_check_subject(const struct constraint_lists *limits,
                         struct wr_bytes subject)
{
    struct wr_x509_directory directory;
    struct wr_x509_attribute attribute;
    enum wr_x509_constraint kept = WR_X509_CONSTRAINT_KEPT;

    wr_assert(limits->lists.data != NULL);
    wr_x509_directory_open(&directory, subject);
    if (directory.sets.size > 0) {
        kept =
            constraint_check_name(limits, WR_X509_NAME_TAG_DIRECTORY, subject);
    }
    while (kept == WR_X509_CONSTRAINT_KEPT &&
           wr_x509_directory_next(&directory, &attribute)) {
        if (wr_x509_attribute_is_mail(&attribute)) {
            kept = constraint_check_name(limits, WR_X509_NAME_TAG_EMAIL,
                                         attribute.value);
        }
    }
    return kept;
}

enum wr_x509_constraint
wr_x509_constraint_check(const struct wr_x509 *authority,
                         const struct wr_x509 *x509, size_t *budget)
{
    const struct constraint_lists limits = {authority->constraints, budget};
    struct wr_bytes names = x509->names;
    struct wr_bytes name;
    uint8_t tag = 0;

    wr_assert(authority->constraints.data != NULL);
    enum wr_x509_constraint kept =
        constraint_check_subject(&limits, x509->subject);
    while (kept == WR_X509_CONSTRAINT_KEPT && names.size > 0) {
        const bool is_one = wr_der_take_any(&names, &tag, &name);
        wr_assert(is_one);
        kept = constraint_check_name(&limits, tag, name);
    }
    return kept;
}
