/*
 * libFuzzer's entry to the PROXY protocol: bytes as the beginning of a
 * connection. A header that is read can be written, and reads back the same.
 *
 *     ninja tests/fuzz/fuzz-proxy-header
 *     tests/fuzz/fuzz-proxy-header CORPUS
 */
#include "tests/fuzz/check.h"

#include <errno.h>
#include <stdlib.h>
#include <weir/proxy_protocol.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct weir_proxy_options long_headers = {
    .size = sizeof(long_headers),
    .header_limit_bytes = WEIR_PROXY_V2_SIZE_MAX,
};

static void look_at_tlvs(const struct weir_proxy_header *header)
{
    struct weir_proxy_tlvs left = header->tlvs;
    struct weir_proxy_tlv tlv;
    while (weir_proxy_tlv_next(&left, &tlv)) {
        struct weir_proxy_ssl ssl = {.size = sizeof(ssl)};
        if (tlv.type == WEIR_PROXY_SSL &&
            weir_proxy_ssl_parse(&tlv, &ssl) == 0) {
            check(!weir_proxy_tlv_find(&ssl.tlvs, 256, &tlv));
        }
    }
    check(left.len == 0);
}

static void write_again(const struct weir_proxy_header *header)
{
    static uint8_t buf[WEIR_PROXY_V2_SIZE_MAX];
    struct weir_proxy_header again = {.size = sizeof(again)};

    const int len = weir_proxy_header_write(header, buf, sizeof(buf));
    check(len > 0);
    check(weir_proxy_header_parse(buf, (size_t)len, &long_headers, &again) ==
          len);
    check(again.version == header->version);
    check(again.is_local == header->is_local);
    check(again.has_checksum == header->has_checksum);
    check(again.socket_type == header->socket_type);
    check(again.tlvs.len == header->tlvs.len);
    check(weir_address_is_equal(&again.source, &header->source));
    check(weir_address_is_equal(&again.destination, &header->destination));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct weir_proxy_header header = {.size = sizeof(header)};
    const int len = weir_proxy_header_parse(data, size, &long_headers, &header);
    check(len != 0 && len <= (int)size);
    if (len < 0) {
        return 0;
    }
    look_at_tlvs(&header);
    write_again(&header);
    struct weir_proxy_header part = {.size = sizeof(part)};
    check(weir_proxy_header_parse(data, (size_t)len - 1, &long_headers,
                                  &part) == -EAGAIN);
    return 0;
}
