/**
 * @file weir.h
 * The public API of libweir and libweir-proxy, for programs that include one
 * header.
 *
 * Each header can also be included alone. The headers of libweir-proxy are not
 * installed if weir was built without it. Programs with TLS also link
 * libweir-tls, and include weir/tls.h, weir/tls_connection.h and, for the
 * fields of certificates, weir/tls_certificate.h.
 */
#ifndef WEIR_H
#define WEIR_H

#include "weir/address.h"
#include "weir/base.h"
#include "weir/buffer.h"
#include "weir/connect.h"
#include "weir/connect_options.h"
#include "weir/datagram.h"
#include "weir/datagram_stream.h"
#include "weir/embed.h"
#include "weir/endpoint.h"
#include "weir/error.h"
#include "weir/executor.h"
#include "weir/file.h"
#include "weir/future.h"
#include "weir/inspect.h"
#include "weir/loop.h"
#include "weir/move.h"
#include "weir/network.h"
#include "weir/pair.h"
#include "weir/pending.h"
#include "weir/pipe.h"
#include "weir/process.h"
#include "weir/protocol.h"
#include "weir/reader.h"
#include "weir/resolver.h"
#include "weir/sendfile.h"
#include "weir/server.h"
#include "weir/sock.h"
#include "weir/start_tls.h"
#include "weir/stream.h"
#include "weir/subprocess.h"
#include "weir/sync.h"
#include "weir/systemd.h"
#include "weir/task.h"
#include "weir/threads.h"
#include "weir/transport.h"
#include "weir/unix.h"
#include "weir/waitable.h"
#include "weir/watch.h"
#include "weir/writer.h"

/* Of libweir-proxy, which is not there with -Dproxy=disabled. */
#if __has_include("weir/relay.h")
#include "weir/client_hello.h"
#include "weir/proxy_protocol.h"
#include "weir/relay.h"
#include "weir/upstream.h"
#include "weir/upstream_check.h"
#endif

#endif
