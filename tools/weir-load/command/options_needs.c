/*
 * The conditions in the `need` of a row: an option is refused if the run
 * does not meet its conditions. The mode and the schedule are known by
 * then.
 */
#include "options_rows.h"

struct condition {
    bool is_met;
    int need;
    const char *reason; /* NULL if it is not for this mode */
};

static bool check_conditions(const struct condition *conditions, size_t count,
                             const struct option_list *given,
                             enum run_mode mode)
{
    int missing = 0;

    for (size_t i = 0; i < count; i++) {
        missing |= conditions[i].is_met ? 0 : conditions[i].need;
    }
    for (size_t i = 0; i < given->count; i++) {
        const struct option *option = given->list[i];
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

bool options_check_needs(const struct run_options *options,
                         const struct option_list *given)
{
    const enum run_mode mode = options->mode;
    const bool is_http = mode == RUN_MODE_HTTP || mode == RUN_MODE_WS;
    const bool is_udp = options->targets[0].is_datagram;
    const bool is_open = options->model != RUN_MODEL_CLOSED;
    const bool is_one = options->depth == 1;
    const bool has_requests = options_has_requests(options);
    static const char for_http[] =
        "it is for HTTP; write http://HOST:PORT or --mode http";
    const struct condition conditions[] = {
        {!is_udp, NEED_CONNECTIONS | NEED_PREAMBLE,
         "over udp:// nothing is connected"},
        {!is_udp, NEED_NO_UDP, "it is not for udp://"},
        {is_http, NEED_HTTP, for_http},
        {is_http || mode == RUN_MODE_REDIS, NEED_BODIES, for_http},
        {options->http.body || options->kinds, NEED_BODY,
         "there is no body; see -b"},
        {options_may_speak_http2(options), NEED_HTTP2,
         "it is for HTTP/2; see --http2"},
        {mode == RUN_MODE_WS, NEED_WS, "it is for ws://"},
        {mode != RUN_MODE_WS, NEED_FIELDS,
         "messages of ws:// have no fields of rows"},
        {is_open, NEED_SCHEDULE,
         "there is no schedule to keep; give -R or --stages"},
        {!is_open, NEED_CLOSED_LOOP,
         "the schedule says when requests are sent"},
        {has_requests, NEED_REQUESTS, NULL},
        {is_one, NEED_DEPTH_1, "with -p answers come while it thinks"},
        {is_one || has_requests || mode == RUN_MODE_STREAM, NEED_PIPELINE,
         NULL},
        {is_one || mode != RUN_MODE_CRR, NEED_PIPELINE,
         "in mode crr there is one request for each connection"},
        {is_one || mode != RUN_MODE_RR || !is_udp, NEED_PIPELINE,
         "over udp:// answers of mode rr have no number, so there is one "
         "request at a time"},
        {!options_may_speak_http2(options), NEED_PREAMBLE,
         "over HTTP/2 there is none; write --http 1.1"},
        {mode != RUN_MODE_REDIS, NEED_PREAMBLE,
         "redis:// logs in by its URL, as redis://:PASSWORD@HOST"},
        {mode != RUN_MODE_WS, NEED_PREAMBLE,
         "ws:// begins with a handshake, whose headers are those of -H"},
        {has_requests, NEED_PREAMBLE, "this mode has no requests"},
        {mode != RUN_MODE_IDLE, NEED_WINDOW, NULL},
        {mode == RUN_MODE_RR, NEED_RR, "it is for --mode rr alone"},
        {mode == RUN_MODE_STREAM, NEED_STREAM, "it is for --mode stream alone"},
        {mode != RUN_MODE_STREAM, NEED_NO_STREAM, NULL},
        {options_is_churn(options) || options->requests_per_conn > 0 ||
             options->tls.resume_share <= 0,
         NEED_NEW_CONNECTIONS,
         "connections are made again in --mode crr and connect alone, and with "
         "--requests-per-conn"},
    };

    return check_conditions(
        conditions, sizeof(conditions) / sizeof(conditions[0]), given, mode);
}
