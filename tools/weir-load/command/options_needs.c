/*
 * The conditions of `need` in a row. An option is refused if the run does not
 * meet its conditions. Mode and schedule are known, but files of requests are
 * not read yet.
 */
#include "command.h"

#include "tools/weir-load/conn/conn.h"
#include "tools/weir-load/http2/http2.h"
#include "tools/weir-load/target/target.h"

#include <string.h>

/* A block of mode stream must be contiguous. */
#define BLOCK_MAX PAYLOAD_REACH
_Static_assert(BLOCK_MAX == 256U << 10 && EXCHANGE_SIZE_MAX == 65507,
               "reasons below have these numbers");

struct condition {
    bool is_met;
    int need;
    const char *reason; /* NULL: "it is not for mode ..." */
};

static bool check_conditions(const struct condition *conditions, size_t count,
                             const struct option_list *list, enum run_mode mode)
{
    int missing = 0;

    for (size_t i = 0; i < count; i++) {
        missing |= conditions[i].is_met ? 0 : conditions[i].need;
    }
    for (size_t i = 0; i < list->count; i++) {
        const struct option *option = list->list[i];
        for (size_t k = 0; (option->need & missing) && k < count; k++) {
            if (!conditions[k].is_met && (option->need & conditions[k].need)) {
                return conditions[k].reason
                           ? option_say(option, "%s", conditions[k].reason)
                           : option_say(option, "it is not for mode %s",
                                        options_mode_name(mode));
            }
        }
    }
    return true;
}

static bool has_h2(const char *list)
{
    for (const char *at = list; *at; at += at[0] == ',') {
        const size_t len = strcspn(at, ",");
        if (len == 2 && strncmp(at, "h2", 2) == 0) {
            return true;
        }
        at += len;
    }
    return false;
}

struct places {
    bool have_unix; /* a connection goes to a Unix socket */
    bool have_tls;
    bool are_tls;
};

static struct places look_at_targets(const struct run_options *options)
{
    struct places places = {.are_tls = true};

    for (size_t i = 0; i < options->target_count; i++) {
        const struct target *target = &options->targets[i];
        const struct target *place = options_place(options, target);
        places.have_unix |= place->address.storage.any.sa_family == AF_UNIX;
        places.have_tls |= target->is_tls;
        places.are_tls &= target->is_tls;
    }
    return places;
}

static bool check_requests(const struct run_options *options,
                           const struct options_given *given,
                           const struct option_list *list)
{
    const struct http_options *http = &options->http;
    const char *alpn = options->tls.options.alpn;
    const enum run_mode mode = options->mode;
    const bool is_ws = mode == RUN_MODE_WS;
    const bool is_http = mode == RUN_MODE_HTTP || is_ws;
    const bool is_h2 = options_may_speak_http2(options);
    static const char for_http[] =
        "it is for HTTP; write http://HOST:PORT or --mode http";
    static const char for_handshake[] =
        "the WebSocket handshake is a GET of HTTP/1.1";
    const struct condition conditions[] = {
        {is_http, NEED_HTTP, for_http},
        {is_http || mode == RUN_MODE_REDIS, NEED_BODIES, for_http},
        {http->body || given->file, NEED_BODY, "there is no body; see -b"},
        {mode == RUN_MODE_HTTP || mode == RUN_MODE_SCRIPT, NEED_EXPECT,
         "it is for HTTP and --request"},
        {mode != RUN_MODE_SCRIPT || !given->file, NEED_EXPECT,
         "the lines of the file have it"},
        {mode == RUN_MODE_SCRIPT, NEED_SCRIPT, "it is for --request"},
        {is_h2, NEED_HTTP2, "it is for HTTP/2; see --http2"},
        {!is_h2 || h2_is_built(), NEED_VERSION,
         "this weir-load was built without libnghttp2 (-Dhttp2=enabled)"},
        {!is_h2 || !alpn || has_h2(alpn), NEED_ALPN,
         "it does not list h2, which HTTP/2 needs"},
        {is_ws, NEED_WS, "it is for ws://"},
        {!is_ws, NEED_NO_WS,
         "ws:// messages have neither kinds nor fields of --data"},
        {!is_ws, NEED_GET, for_handshake},
        {!is_ws || http->version == HTTP_VERSION_1_1, NEED_VERSION,
         for_handshake},
        {!is_h2, NEED_PREAMBLE,
         "it is not supported over HTTP/2; write --http 1.1"},
        {mode != RUN_MODE_REDIS, NEED_PREAMBLE,
         "redis:// logs in by its URL, as redis://:PASSWORD@HOST"},
        {!is_ws, NEED_PREAMBLE,
         "ws:// begins with a handshake; -H sets its headers"},
        {options_has_requests(options), NEED_PREAMBLE,
         "this mode has no requests"},
    };

    return check_conditions(
        conditions, sizeof(conditions) / sizeof(conditions[0]), list, mode);
}

/* Options about the mode, the schedule and the sockets. */
static bool check_load(const struct run_options *options,
                       const struct option_list *list)
{
    const struct places places = look_at_targets(options);
    const enum run_mode mode = options->mode;
    const bool is_stream = mode == RUN_MODE_STREAM;
    const bool is_udp = options->targets[0].is_datagram;
    const bool is_open = options->model != RUN_MODEL_CLOSED;
    const bool is_one = options->depth == 1;
    const bool has_fixed_send = sizes_is_fixed(&options->send);
    const bool has_requests = options_has_requests(options);
    const struct condition conditions[] = {
        {!is_udp, NEED_CONNECTIONS | NEED_PREAMBLE, "udp:// does not connect"},
        {!is_udp, NEED_NO_UDP, "it is not for udp://"},
        {!is_udp || mode == RUN_MODE_ECHO || mode == RUN_MODE_RR, NEED_MODE,
         "udp:// has only the modes echo and rr"},
        {mode != RUN_MODE_WS || !options->http.body, NEED_SEND,
         "-b has the message"},
        {is_open, NEED_SCHEDULE, "there is no schedule; add -R or --stages"},
        {has_requests, NEED_RATE,
         "this mode has no schedule of requests; see --conn-rate"},
        {!is_open, NEED_THINK, "the schedule sets the times of requests"},
        {is_one, NEED_THINK, "with -p answers arrive during the pause"},
        {has_requests, NEED_REQUESTS, NULL},
        {is_one || has_requests || is_stream, NEED_PIPELINE, NULL},
        {is_one || mode != RUN_MODE_CRR, NEED_PIPELINE,
         "mode crr has one request for each connection"},
        {is_one || mode != RUN_MODE_RR || !is_udp, NEED_PIPELINE,
         "over udp:// answers of mode rr have no number, so there is one "
         "request at a time"},
        {mode != RUN_MODE_IDLE, NEED_WINDOW, NULL},
        {mode == RUN_MODE_RR, NEED_RR, "it is only for --mode rr"},
        {!is_udp || mode != RUN_MODE_RR ||
             (has_fixed_send && sizes_is_fixed(&options->recv)),
         NEED_SEND | NEED_RR,
         "over udp:// sizes of mode rr are always the same"},
        {!is_udp || options->recv.most <= EXCHANGE_SIZE_MAX, NEED_RR,
         "over udp:// a datagram has at most 65507 bytes"},
        {!is_stream || has_fixed_send, NEED_SEND,
         "blocks of mode stream have one size"},
        {!is_stream || options->send.most <= BLOCK_MAX, NEED_SEND,
         "a block of mode stream has at most 256K"},
        {is_stream, NEED_STREAM, "it is only for --mode stream"},
        {!is_stream, NEED_NO_STREAM, NULL},
        {options_is_churn(options) || options->requests_per_conn > 0 ||
             options->tls.resume_share <= 0,
         NEED_NEW_CONNECTIONS,
         "connections are reopened only in --mode crr and connect, and with "
         "--requests-per-conn"},
        {!places.have_tls || options->proxy_version == 0, NEED_PROXY,
         "a target has TLS, which starts at once"},
        {proxy_header_is_built() || options->proxy_version == 0, NEED_PROXY,
         "this weir-load was built without it (-Dproxy=disabled)"},
        {!is_udp || !places.have_unix, NEED_PATH,
         "udp:// cannot be reached by a path"},
        {!is_udp && !places.have_unix, NEED_TCP, "a target has no TCP"},
        {!places.have_unix, NEED_INET, "it is not for Unix sockets"},
        {!is_stream && mode != RUN_MODE_IDLE, NEED_FAST_OPEN, NULL},
        {mode != RUN_MODE_CONNECT || places.are_tls, NEED_FAST_OPEN,
         "in mode connect only TLS sends bytes"},
    };

    return check_conditions(
        conditions, sizeof(conditions) / sizeof(conditions[0]), list, mode);
}

bool options_check_needs(const struct run_options *options,
                         const struct options_given *given,
                         const struct option_list *list)
{
    return check_load(options, list) && check_requests(options, given, list);
}
