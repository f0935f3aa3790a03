/*
 * Maps the mode of a run to its codec. Modes
 * connect, idle and stream have none. An HTTP run
 * may have two.
 */
#include "tools/weir-load/codec/codec.h"

#include "tools/weir-load/http2/http2.h"

#include <stddef.h>

static const struct codec *const codecs[] = {
    [RUN_MODE_ECHO] = &codec_echo,     [RUN_MODE_CRR] = &codec_echo,
    [RUN_MODE_RR] = &codec_rr,         [RUN_MODE_HTTP] = &codec_http,
    [RUN_MODE_SCRIPT] = &codec_script, [RUN_MODE_REDIS] = &codec_redis,
    [RUN_MODE_WS] = &codec_ws,
};

const struct codec *codec_find(const struct run_options *options, size_t way)
{
    size_t count = sizeof(codecs) / sizeof(codecs[0]);
    const enum http_version version = options->mode == RUN_MODE_HTTP
                                          ? options->http.version
                                          : HTTP_VERSION_1_1;

    if (way > 0) {
        return way == 1 && version == HTTP_VERSION_AUTO ? &codec_h2 : NULL;
    }
    if (version == HTTP_VERSION_2) {
        return &codec_h2;
    }
    return (size_t)options->mode < count ? codecs[options->mode] : NULL;
}

size_t codec_state_size(const struct run_options *options, size_t way)
{
    const size_t align = _Alignof(max_align_t);
    size_t size = 0;

    for (size_t i = 0; i < way && codec_find(options, i); i++) {
        const struct codec *codec = codec_find(options, i);
        size += codec->state_size +
                (codec->more_size ? codec->more_size(options) : 0);
        size = (size + align - 1) / align * align;
    }
    return size;
}
