/*
 * The rules of host names, and the search for short ones.
 *
 * The rules are as in RFC 1123, but '_', and '-' at the ends of a label, are
 * allowed, too. A name of one to four labels, all of them numbers ("127.1"), is
 * refused as a mistaken address.
 *
 * The C library searches in this order, too:
 *
 *     ndots dots or more:  unchanged, domain, domain ...
 *     fewer:               domain, domain ... unchanged
 */
#include "name.h"

#include "uring/check.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN  253u
#define LABEL_MAX_LEN 63u
#define NUMBERS_MAX   4u /* numbers in an IPv4 address */

_Static_assert(WR_NAME_SIZE >= NAME_MAX_LEN + sizeof("."),
               "a name and its last dot have room");

static bool name_is_label(const char *label, size_t len, bool *ret_is_number)
{
    bool is_number = true;

    if (len == 0 || len > LABEL_MAX_LEN) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char c = label[i];
        const bool is_digit = c >= '0' && c <= '9';
        /* ASCII letters, independent of the locale. */
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_digit && !is_letter && c != '-' && c != '_') {
            return false;
        }
        is_number = is_number && is_digit;
    }
    *ret_is_number = is_number;
    return true;
}

static size_t name_get_len(const char *name)
{
    wr_assert(name != NULL);
    const size_t len = strlen(name);

    return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

bool wr_name_is_valid(const char *name)
{
    const size_t len = name_get_len(name);
    size_t labels = 0;
    size_t numbers = 0;

    if (len > NAME_MAX_LEN) {
        return false;
    }
    for (size_t start = 0; start <= len; labels++) {
        bool is_number = true;
        const char *dot = memchr(name + start, '.', len - start);
        const size_t label_len =
            dot ? (size_t)(dot - name) - start : len - start;
        if (!name_is_label(name + start, label_len, &is_number)) {
            return false;
        }
        numbers += is_number;
        start += label_len + 1;
    }
    wr_assert(labels > 0);
    return numbers < labels || labels > NUMBERS_MAX;
}

bool wr_name_is_localhost(const char *name)
{
    static const char localhost[] = "localhost";
    const size_t own_len = sizeof(localhost) - 1;
    const size_t len = name_get_len(name);

    return len >= own_len &&
           strncasecmp(name + len - own_len, localhost, own_len) == 0 &&
           (len == own_len || name[len - own_len - 1] == '.');
}

bool wr_name_is_absolute(const char *name)
{
    return name_get_len(name) != strlen(name);
}

bool wr_name_is_equal(const char *a, const char *b)
{
    const size_t len = name_get_len(a);

    return len == name_get_len(b) && strncasecmp(a, b, len) == 0;
}

uint32_t wr_name_hash(const char *name)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (; *name != '\0'; name++) {
        const bool is_upper = *name >= 'A' && *name <= 'Z';
        hash = (hash ^ (uint8_t)(is_upper ? *name - 'A' + 'a' : *name)) *
               16777619u;
    }
    return hash;
}

void wr_name_write(const char *name, char ret[WR_NAME_SIZE])
{
    const size_t len = name_get_len(name);

    wr_assert(len <= NAME_MAX_LEN);
    memmove(ret, name, len);
    ret[len] = '\0';
}

void wr_search_clear(const struct weir_allocator *allocator,
                     struct wr_search_list *search)
{
    wr_free(allocator, search->domains, search->size);
    search->domains = NULL;
    search->size = 0;
    search->count = 0;
}

int wr_search_read(const struct weir_allocator *allocator, const char *list,
                   struct wr_search_list *search)
{
    static const char between[] = ", \t\r\n";
    wr_assert(list != NULL);
    const size_t size = strlen(list) + 1;
    char *domains = wr_alloc(allocator, size);
    size_t count = 0;
    char *end = domains;

    wr_require(domains, -ENOMEM);
    for (list += strspn(list, between); *list != '\0';
         list += strspn(list, between)) {
        const size_t len = strcspn(list, between);
        const bool is_root = len == 1 && list[0] == '.';
        memcpy(end, list, len);
        end[is_root ? 0 : len] = '\0';
        /* The root is valid, too: it means the unchanged name. */
        if (end[0] == '\0' || wr_name_is_valid(end)) {
            count++;
            end += strlen(end) + 1;
        }
        list += len;
    }
    wr_assert((size_t)(end - domains) <= size);
    wr_search_clear(allocator, search);
    search->domains = domains;
    search->size = size;
    search->count = count;
    return 0;
}

/* @domain may be NULL. Returns false if the text is too long. */
static bool name_join(const char *name, const char *domain,
                      char ret[WR_NAME_SIZE])
{
    const size_t len = name_get_len(name);
    const size_t domain_len = domain ? name_get_len(domain) : 0;
    const size_t dot_len = domain_len > 0;

    wr_assert(len > 0);
    wr_assert(len <= NAME_MAX_LEN);
    if (len + dot_len + domain_len > NAME_MAX_LEN) {
        return false;
    }
    memcpy(ret, name, len);
    if (domain_len > 0) {
        ret[len] = '.';
        memcpy(ret + len + 1, domain, domain_len);
    }
    memcpy(ret + len + dot_len + domain_len, ".", sizeof("."));
    return true;
}

void wr_search_cut(struct wr_search_walk *walk)
{
    wr_assert(walk->has_begun);
    walk->is_cut = true;
}

void wr_search_end(struct wr_search_walk *walk)
{
    wr_assert(walk->has_begun);
    walk->has_ended = true;
}

/* Sets *ret_domain to the domain of the next step, or to NULL for the unchanged
 * name. Returns false if no step is left. */
static bool name_find_step(struct wr_search_walk *walk, const char *name,
                           const struct wr_search_list *search,
                           const char **ret_domain)
{
    const bool is_absolute = wr_name_is_absolute(name);
    size_t dots = 0;

    for (const char *c = name; *c != '\0'; c++) {
        dots += *c == '.';
    }
    const char *domain = search->domains ? search->domains : "";

    wr_assert(walk->index <= search->count);
    wr_assert(walk->has_begun || walk->index == 0);
    *ret_domain = NULL;
    if (!walk->has_begun && (is_absolute || dots >= search->ndots)) {
        walk->was_first = true;
        return true;
    }
    for (size_t i = 0; i < walk->index; i++) {
        domain += strlen(domain) + 1;
    }
    if (!is_absolute && !walk->is_cut && walk->index < search->count) {
        walk->index++;
        *ret_domain = domain[0] == '\0' ? NULL : domain;
        return true;
    }
    return !walk->was_as_is &&
           !(search->no_tld_query && dots == 0 && walk->was_below);
}

bool wr_search_next(struct wr_search_walk *walk, const char *name,
                    const struct wr_search_list *search, char ret[WR_NAME_SIZE])
{
    const char *domain;

    while (!walk->has_ended && name_find_step(walk, name, search, &domain)) {
        const bool is_again = !domain && walk->was_as_is;
        walk->has_begun = true;
        walk->was_as_is |= !domain;
        walk->was_below |= domain != NULL;
        if (!is_again && name_join(name, domain, ret) &&
            wr_name_is_valid(ret)) {
            return true;
        }
    }
    walk->has_begun = true;
    walk->has_ended = true;
    return false;
}
