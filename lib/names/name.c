/*
 * The rules of host names, and of searching for short ones.
 *
 * The rules are those of RFC 1123, and '_' is allowed, because it is used. A
 * last label of digits only is a mistaken address: a name server asked for
 * "127.1" could answer anything.
 *
 * A name with at least `ndots` dots is first looked up unchanged; other names
 * are looked up in the search domains first, as in the C library.
 */
#include "name.h"

#include "uring/check.h"

#include <string.h>
#include <strings.h>

#define NAME_MAX_LEN  253u
#define LABEL_MAX_LEN 63u

_Static_assert(WR_NAME_SIZE >= NAME_MAX_LEN + sizeof("."),
               "a name and its last dot have room");

static bool name_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* ASCII letters, independent of the locale. */
static bool name_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* True for a valid label; *ret_is_number: it has only digits. */
static bool name_is_label(const char *label, size_t len, bool *ret_is_number)
{
    bool is_number = true;

    if (len == 0 || len > LABEL_MAX_LEN) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const char c = label[i];
        if (!name_is_digit(c)) {
            is_number = false;
            if (!name_is_letter(c) && c != '-' && c != '_') {
                return false;
            }
        }
    }
    *ret_is_number = is_number;
    return true;
}

/* The length without a dot at the end. */
static size_t name_get_len(const char *name)
{
    wr_assert(name != NULL);
    const size_t len = strlen(name);

    return len > 0 && name[len - 1] == '.' ? len - 1 : len;
}

bool wr_name_is_valid(const char *name)
{
    const size_t len = name_get_len(name);
    bool is_number = true;

    if (len > NAME_MAX_LEN) {
        return false;
    }
    for (size_t start = 0; start <= len;) {
        const char *dot = memchr(name + start, '.', len - start);
        const size_t label_len =
            dot ? (size_t)(dot - name) - start : len - start;
        if (!name_is_label(name + start, label_len, &is_number)) {
            return false;
        }
        start += label_len + 1;
    }
    return !is_number;
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

void wr_name_write(const char *name, char ret[WR_NAME_SIZE])
{
    const size_t len = name_get_len(name);

    wr_assert(len <= NAME_MAX_LEN);
    memmove(ret, name, len);
    ret[len] = '\0';
}

void wr_name_read_search(const char *list, struct wr_search_list *search)
{
    static const char between[] = ", \t\r\n";

    search->count = 0;
    for (list += strspn(list, between); *list != '\0';
         list += strspn(list, between)) {
        const size_t len = strcspn(list, between);
        if (len < WR_NAME_SIZE && search->count < WR_SEARCH_MAX) {
            char *domain = search->domains[search->count];
            memcpy(domain, list, len);
            domain[len] = '\0';
            search->count += wr_name_is_valid(domain);
        }
        list += len;
    }
    wr_assert(search->count <= WR_SEARCH_MAX);
}

static size_t name_count_dots(const char *name)
{
    size_t dots = 0;

    for (const char *c = name; *c != '\0'; c++) {
        dots += *c == '.';
    }
    return dots;
}

/* Writes @name below @domain (NULL: @name alone) with a dot at the end; false:
 * too long. */
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

/* The domain of step @index; NULL: the name alone. False: no such step. */
static bool name_find_step(const char *name,
                           const struct wr_search_list *search, size_t index,
                           const char **ret_domain)
{
    const size_t count = wr_name_is_absolute(name) ? 0 : search->count;
    const bool as_is_first =
        count == 0 || name_count_dots(name) >= search->ndots;
    const size_t as_is = as_is_first ? 0 : count;

    wr_assert(count <= WR_SEARCH_MAX);
    wr_assert(as_is <= count);
    if (index > count) {
        return false;
    }
    *ret_domain = index == as_is
                      ? NULL
                      : search->domains[as_is_first ? index - 1 : index];
    return true;
}

bool wr_name_candidate(const char *name, const struct wr_search_list *search,
                       size_t *index, char ret[WR_NAME_SIZE])
{
    const char *domain;

    while (name_find_step(name, search, *index, &domain)) {
        wr_assert(*index <= search->count);
        if (name_join(name, domain, ret) && wr_name_is_valid(ret)) {
            return true;
        }
        ++*index; /* an invalid domain, or the result is too long */
    }
    return false;
}
