/*
 * The channels of c-ares, and their settings.
 *
 * One channel queries servers over UDP. A second one repeats over TCP the
 * queries whose answers were truncated. When a server seems to fail, c-ares
 * moves all queries of the channel to the next server; with two channels, a
 * failure over TCP costs the queries over UDP no tries. With
 * `single-request-reopen`, IPv6 queries have a third channel, and so a socket
 * of their own.
 *
 * resolv_conf.c reads resolv.conf; c-ares is given an empty file instead.
 */
#include "cares.h"

#include <string.h>

/* c-ares has a cache since 1.31. This option disables it, because cache.c keeps
 * the answers. */
#ifdef ARES_OPT_QUERY_CACHE
#define OPT_OWN_CACHE ARES_OPT_QUERY_CACHE
#else
#define OPT_OWN_CACHE 0
#endif

#define TRY_TIMEOUT_MS 2000
#define TRIES_DEFAULT  3
#define TRIES_MAX      100u
#define NDOTS_MAX      127u
#define NS_PER_MS      1000000u
#define SERVER_DEFAULT "127.0.0.1"
#define EMPTY_PATH     "/dev/null"

/* c-ares supports zones of servers since 1.24. */
#define ZONES_VERSION 0x011800

static int cares_channel_error(int status)
{
    wr_assert(status != ARES_SUCCESS);
    return status == ARES_ENOMEM ? -ENOMEM : -EINVAL;
}

WEIR_MUST_USE static int cares_channel_copy(weir_loop *loop, const char *text,
                                            char **ret)
{
    const size_t size = text ? strlen(text) + 1 : 0;

    *ret = NULL;
    if (!text) {
        return 0;
    }
    *ret = wr_alloc(&loop->counting, size);
    wr_require(*ret, -ENOMEM);
    memcpy(*ret, text, size);
    return 0;
}

static void cares_channel_free_text(weir_loop *loop, char *text)
{
    wr_free(&loop->counting, text, text ? strlen(text) + 1 : 0);
}

void wr_cares_free_config(weir_loop *loop, struct cares_config *config)
{
    cares_channel_free_text(loop, config->search);
    cares_channel_free_text(loop, config->resolv_conf);
    cares_channel_free_text(loop, config->hosts);
    *config = (struct cares_config){.search = NULL};
}

int wr_cares_read_config(weir_loop *loop,
                         const struct weir_dns_options *options,
                         struct cares_config *ret)
{
    struct cares_config config = {
        .ndots = options->ndots,
        .tries = (int)options->tries,
    };
    wr_require(options->tries <= TRIES_MAX, -EINVAL);
    wr_require(options->ndots <= NDOTS_MAX, -EINVAL);
    wr_require(options->try_timeout_ns / NS_PER_MS < INT32_MAX, -EINVAL);
    if (options->try_timeout_ns > 0) {
        config.try_timeout_ms =
            (int)wr_max_u64(options->try_timeout_ns / NS_PER_MS, 1);
    }
    if (options->servers) {
        int err = wr_name_servers_read(options->servers, &config.servers);
        wr_require(err >= 0, err);
    }
    int err = cares_channel_copy(loop, options->search, &config.search);
    if (err >= 0) {
        err =
            cares_channel_copy(loop, options->resolv_conf, &config.resolv_conf);
    }
    if (err >= 0) {
        err = cares_channel_copy(loop, options->hosts, &config.hosts);
    }
    if (err < 0) {
        wr_cares_free_config(loop, &config);
        return err;
    }
    *ret = config;
    return 0;
}

static const char *cares_channel_get_path(const struct cares *cares)
{
    const char *own = cares->config.resolv_conf;

    return own ? own : WR_RESOLV_CONF_PATH;
}

WEIR_MUST_USE static int cares_channel_read_system(struct cares *cares)
{
    const struct cares_config *config = &cares->config;

    wr_assert(!cares->dns);
    cares->change_count +=
        wr_system_file_note(&cares->system_file, cares_channel_get_path(cares));
    int err = wr_resolv_conf_read(&cares->loop->counting, &cares->system,
                                  cares_channel_get_path(cares));
    wr_require(err >= 0, err);
    wr_assert(!cares->tcp);
    if (config->search) {
        err = wr_search_read(&cares->loop->counting, config->search,
                             &cares->system.search);
        wr_require(err >= 0, err);
    }
    if (config->ndots > 0) {
        cares->system.search.ndots = config->ndots;
    }
    if (config->servers.count > 0) {
        cares->system.servers = config->servers;
    }
    return cares->system.servers.count > 0
               ? 0
               : wr_name_servers_read(SERVER_DEFAULT, &cares->system.servers);
}

WEIR_MUST_USE static int cares_channel_open_servers(struct cares *cares,
                                                    int flag, ares_channel *ret)
{
    const struct wr_resolv_conf *system = &cares->system;
    int timeout_ms = cares->config.try_timeout_ms;
    int tries = cares->config.tries;
    char lookups[] = "b";
    char path[] = EMPTY_PATH;
    wr_assert(!*ret);
    if (timeout_ms <= 0) {
        timeout_ms = system->timeout_s > 0 ? (int)system->timeout_s * 1000
                                           : TRY_TIMEOUT_MS;
    }
    if (tries <= 0) {
        tries = system->attempts > 0 ? (int)system->attempts : TRIES_DEFAULT;
    }
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | flag,
        .timeout = timeout_ms,
        .tries = tries,
        .lookups = lookups,
        .resolvconf_path = path,
        .sock_state_cb = wr_cares_socket_changed,
        .sock_state_cb_data = cares,
    };

    int status = ares_init_options(
        ret, &options,
        ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
            ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB | OPT_OWN_CACHE |
            ARES_OPT_RESOLVCONF |
            (system->rotate ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE));
    if (status != ARES_SUCCESS) {
        *ret = NULL;
        return cares_channel_error(status);
    }
    wr_cares_use_sockets(cares, *ret);
    char text[WR_NAME_SERVERS_SIZE];
    int version = 0;

    wr_ignore(ares_version(&version));
    wr_name_servers_write(&system->servers, version >= ZONES_VERSION, text);
    status = ares_set_servers_ports_csv(*ret, text);
    return status == ARES_SUCCESS ? 0 : cares_channel_error(status);
}

int wr_cares_open(struct cares *cares)
{
    if (cares->dns) {
        return 0;
    }
    wr_assert(!cares->is_stopping);
    int err = cares_channel_read_system(cares);
    if (err >= 0) {
        err = cares_channel_open_servers(cares, ARES_FLAG_IGNTC, &cares->dns);
    }
    if (err >= 0) {
        err = cares_channel_open_servers(cares, ARES_FLAG_USEVC, &cares->tcp);
    }
    if (err >= 0 && cares->system.reopens && !cares->system.use_vc) {
        err = cares_channel_open_servers(cares, ARES_FLAG_IGNTC, &cares->udp6);
    }
    if (err < 0) {
        wr_cares_close(cares);
    }
    return err;
}

void wr_cares_close(struct cares *cares)
{
    ares_channel dns = cares->dns;
    ares_channel tcp = cares->tcp;
    ares_channel udp6 = cares->udp6;

    wr_timer_cancel(&cares->loop->wheel, &cares->timer);
    if (dns) {
        ares_destroy(dns); /* its callbacks still use the channel */
        cares->dns = NULL;
    }
    if (tcp) {
        ares_destroy(tcp);
        cares->tcp = NULL;
    }
    if (udp6) {
        ares_destroy(udp6);
        cares->udp6 = NULL;
    }
    wr_resolv_conf_clear(&cares->loop->counting, &cares->system);
}

bool wr_cares_is_outdated(struct cares *cares)
{
    return !cares->system.no_reload &&
           wr_system_file_has_changed(&cares->system_file,
                                      cares_channel_get_path(cares),
                                      cares->loop->now_ns);
}
