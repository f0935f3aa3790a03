/*
 * Which codec a run has, by its mode.
 *
 * There is one line for each; a mode that is no protocol of requests and
 * answers has none.
 */
#include "codec.h"

#include "h2_conn.h"

static const struct codec *const codecs[] = {
    [RUN_MODE_ECHO] = &codec_echo,     [RUN_MODE_CRR] = &codec_echo,
    [RUN_MODE_RR] = &codec_rr,         [RUN_MODE_HTTP] = &codec_http,
    [RUN_MODE_SCRIPT] = &codec_script, [RUN_MODE_REDIS] = &codec_redis,
    [RUN_MODE_WS] = &codec_ws,
};

const struct codec *codec_find(const struct run_options *options)
{
    size_t count = sizeof(codecs) / sizeof(codecs[0]);

    if (options->mode == RUN_MODE_HTTP && options->http.is_v2) {
        return &codec_h2;
    }
    return (size_t)options->mode < count ? codecs[options->mode] : NULL;
}

size_t codec_state_size(const struct codec *codec,
                        const struct run_options *options)
{
    return codec->state_size +
           (codec->more_size ? codec->more_size(options) : 0);
}
