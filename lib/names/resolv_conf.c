/*
 * Reading resolv.conf by resolv.conf(5): the last "search" or "domain" counts,
 * and options have limits. Unknown lines are ignored. Without "search" and
 * "domain" the domain of this machine's host name is searched.
 */

#include "system_file.h"
#include "uring/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NDOTS_DEFAULT 1u
#define NDOTS_MAX     15u
#define TIMEOUT_MAX_S 30u
#define ATTEMPTS_MAX  5u
#define PORT_DEFAULT  53u

static const char resolv_conf_blanks[] = " \t\r\n";

void wr_resolv_conf_clear(const struct weir_allocator *allocator,
                          struct wr_resolv_conf *conf)
{
    wr_search_clear(allocator, &conf->search);
    memset(conf, 0, sizeof(*conf));
}

int wr_resolv_conf_init(const struct weir_allocator *allocator,
                        struct wr_resolv_conf *conf, const char *hostname)
{
    const char *dot = hostname ? strchr(hostname, '.') : NULL;

    wr_resolv_conf_clear(allocator, conf);
    conf->search.ndots = NDOTS_DEFAULT;
    wr_assert(conf->search.count == 0);
    return dot ? wr_search_read(allocator, dot + 1, &conf->search) : 0;
}

static bool resolv_conf_add_server(struct wr_name_servers *servers,
                                   const struct weir_address *address)
{
    wr_assert(servers->count <= WR_NAME_SERVERS_MAX);
    wr_assert(address->len > 0);
    if (servers->count == WR_NAME_SERVERS_MAX) {
        return false;
    }
    servers->addresses[servers->count++] = *address;
    return true;
}

static bool resolv_conf_copy_word(const char *word, size_t len, char *ret,
                                  size_t size)
{
    if (len >= size) {
        return false;
    }
    memcpy(ret, word, len);
    ret[len] = '\0';
    return true;
}

int wr_name_servers_read(const char *list, struct wr_name_servers *ret)
{
    static const char between[] = ", \t\r\n";
    struct wr_name_servers servers = {.count = 0};
    struct weir_address address;
    char text[WEIR_ADDRESS_TEXT_SIZE];

    for (list += strspn(list, between); *list != '\0';
         list += strspn(list, between)) {
        const size_t len = strcspn(list, between);
        wr_require(resolv_conf_copy_word(list, len, text, sizeof(text)),
                   -EINVAL);
        int err = weir_address_parse(text, PORT_DEFAULT, &address);

        if (err < 0 && err != -ENODEV) {
            err = weir_address_parse_with_port(text, &address);
        }
        wr_require(err >= 0 || err == -ENODEV, -EINVAL);
        wr_require(err >= 0, err);
        wr_require(resolv_conf_add_server(&servers, &address), -ENOBUFS);
        list += len;
    }
    wr_require(servers.count > 0, -EINVAL);
    *ret = servers;
    return 0;
}

void wr_name_servers_write(const struct wr_name_servers *servers,
                           bool with_zones, char ret[WR_NAME_SERVERS_SIZE])
{
    size_t len = 0;

    wr_assert(servers->count <= WR_NAME_SERVERS_MAX);
    ret[0] = '\0';
    for (size_t i = 0; i < servers->count; i++) {
        struct weir_address address = servers->addresses[i];
        char text[WEIR_ADDRESS_TEXT_SIZE];
        if (!with_zones && address.storage.any.sa_family == AF_INET6) {
            address.storage.inet6.sin6_scope_id = 0;
        }
        weir_address_format(&address, text, sizeof(text));
        len += (size_t)snprintf(ret + len, WR_NAME_SERVERS_SIZE - len, "%s%s",
                                i > 0 ? "," : "", text);
        wr_assert(len < WR_NAME_SERVERS_SIZE);
    }
}

uint32_t wr_name_servers_get_zone(const struct wr_name_servers *servers,
                                  const struct sockaddr_in6 *address)
{
    wr_assert(address->sin6_family == AF_INET6);
    for (size_t i = 0; i < servers->count; i++) {
        const struct sockaddr_in6 *own = &servers->addresses[i].storage.inet6;
        if (own->sin6_family == AF_INET6 &&
            own->sin6_port == address->sin6_port &&
            IN6_ARE_ADDR_EQUAL(&own->sin6_addr, &address->sin6_addr)) {
            return own->sin6_scope_id;
        }
    }
    return 0;
}

static bool resolv_conf_begins(const char *text, const char *word,
                               const char **ret_rest)
{
    const size_t len = strlen(word);
    wr_assert(len > 0);

    if (strncmp(text, word, len) != 0) {
        return false;
    }
    *ret_rest = text + len;
    return true;
}

static bool resolv_conf_has_key(const char *line, const char *key,
                                const char **ret_value)
{
    const char *rest;

    if (!resolv_conf_begins(line, key, &rest) ||
        (*rest != ' ' && *rest != '\t')) {
        return false;
    }
    *ret_value = rest + strspn(rest, resolv_conf_blanks);
    return **ret_value != '\0';
}

static uint32_t resolv_conf_read_number(const char *text, uint32_t max)
{
    uint32_t number = 0;

    for (; *text >= '0' && *text <= '9'; text++) {
        number = number * 10 + (uint32_t)(*text - '0');
        if (number > max) {
            return max;
        }
    }
    wr_assert(number <= max);
    return number;
}

static void resolv_conf_read_option(struct wr_resolv_conf *conf,
                                    const char *text)
{
    const struct {
        const char *word;
        bool *flag;
    } flags[] = {
        {"rotate", &conf->rotate},
        {"use-vc", &conf->use_vc},
        {"no-aaaa", &conf->no_aaaa},
        {"no-reload", &conf->no_reload},
        {"no-tld-query", &conf->search.no_tld_query},
        /* "single-request-reopen" begins like this, and sets both flags. */
        {"single-request", &conf->single_request},
        {"single-request-reopen", &conf->reopens},
    };
    const char *rest;

    if (resolv_conf_begins(text, "ndots:", &rest)) {
        conf->search.ndots = resolv_conf_read_number(rest, NDOTS_MAX);
    } else if (resolv_conf_begins(text, "timeout:", &rest)) {
        conf->timeout_s = resolv_conf_read_number(rest, TIMEOUT_MAX_S);
    } else if (resolv_conf_begins(text, "attempts:", &rest)) {
        conf->attempts = resolv_conf_read_number(rest, ATTEMPTS_MAX);
    }
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        *flags[i].flag |= resolv_conf_begins(text, flags[i].word, &rest);
    }
}

static void resolv_conf_read_options(struct wr_resolv_conf *conf,
                                     const char *text)
{
    for (text += strspn(text, resolv_conf_blanks); *text != '\0';
         text += strspn(text, resolv_conf_blanks)) {
        resolv_conf_read_option(conf, text);
        text += strcspn(text, resolv_conf_blanks);
    }
    wr_assert(conf->search.ndots <= NDOTS_MAX);
}

/* An IPv4 address may have fewer than four numbers, as in "127.1". */
static void resolv_conf_read_server(struct wr_resolv_conf *conf,
                                    const char *text)
{
    char word[WEIR_ADDRESS_TEXT_SIZE];
    struct weir_address address = {.len = sizeof(struct sockaddr_in)};

    if (!resolv_conf_copy_word(text, strcspn(text, ";# \t\r\n"), word,
                               sizeof(word))) {
        return;
    }
    if (inet_aton(word, &address.storage.inet.sin_addr)) {
        address.storage.inet.sin_family = AF_INET;
        address.storage.inet.sin_port = htons(PORT_DEFAULT);
    } else if (weir_address_parse(word, PORT_DEFAULT, &address) < 0) {
        return;
    }
    wr_ignore(!resolv_conf_add_server(&conf->servers, &address));
}

int wr_resolv_conf_read_line(const struct weir_allocator *allocator,
                             struct wr_resolv_conf *conf, const char *line)
{
    char word[WR_NAME_SIZE + 1];
    const char *value;

    if (resolv_conf_has_key(line, "search", &value)) {
        return wr_search_read(allocator, value, &conf->search);
    }
    if (resolv_conf_has_key(line, "domain", &value)) {
        return resolv_conf_copy_word(value, strcspn(value, resolv_conf_blanks),
                                     word, sizeof(word))
                   ? wr_search_read(allocator, word, &conf->search)
                   : 0;
    }
    if (resolv_conf_has_key(line, "nameserver", &value)) {
        resolv_conf_read_server(conf, value);
    } else if (resolv_conf_has_key(line, "options", &value)) {
        resolv_conf_read_options(conf, value);
    }
    return 0;
}

WEIR_MUST_USE static int
resolv_conf_read_file(const struct weir_allocator *allocator,
                      struct wr_resolv_conf *conf, const char *path)
{
    struct wr_system_text text = {.bytes = NULL};
    size_t at = 0;
    wr_assert(conf->servers.count == 0);
    int err = wr_system_text_read(allocator, path, &text);

    for (const char *line;
         err >= 0 && (line = wr_system_text_next(&text, &at));) {
        err = wr_resolv_conf_read_line(allocator, conf, line);
    }
    wr_system_text_free(allocator, &text);
    return err;
}

int wr_resolv_conf_read(const struct weir_allocator *allocator,
                        struct wr_resolv_conf *conf, const char *path)
{
    const char *domains = secure_getenv("LOCALDOMAIN");
    const char *options = secure_getenv("RES_OPTIONS");
    char hostname[WR_NAME_SIZE] = "";

    wr_assert(path != NULL);
    if (gethostname(hostname, sizeof(hostname) - 1) < 0) {
        hostname[0] = '\0';
    }
    int err = wr_resolv_conf_init(allocator, conf, hostname);
    if (err >= 0) {
        err = resolv_conf_read_file(allocator, conf, path);
    }
    if (err >= 0 && domains) {
        err = wr_search_read(allocator, domains, &conf->search);
    }
    if (err >= 0 && options) {
        resolv_conf_read_options(conf, options);
    }
    return err;
}
