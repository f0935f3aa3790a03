/*
 * Writes the header of the PROXY protocol with libweir. It has the addresses of
 * the connection's own socket, so the server sees the same addresses with and
 * without a header.
 */
#include "target.h"

#include <sys/un.h>
#include <weir/proxy_protocol.h>

bool proxy_header_is_built(void)
{
    return true;
}

int proxy_header_write(weir_transport *t, int version)
{
    struct weir_proxy_header header = {
        .size = sizeof(header),
        .version = (enum weir_proxy_version)version,
    };
    char bytes[WEIR_PROXY_V1_SIZE_MAX + 16 + sizeof(struct sockaddr_un) * 2];

    weir_transport_get_sockname(t, &header.source);
    weir_transport_get_peername(t, &header.destination);
    const int len = weir_proxy_header_write(&header, bytes, sizeof(bytes));
    return len < 0 ? len : weir_transport_write(t, bytes, (size_t)len);
}
