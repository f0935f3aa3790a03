/*
 * The parts of libweir that libweir-proxy uses besides the public functions.
 *
 * No other file of lib/proxy includes a private header of libweir. The names of
 * these parts that libweir exports are in lib/weir.map.in; their symbol version
 * is the release, so that libweir-proxy works with no other libweir.
 */
#ifndef WEIR_LIB_PROXY_LIBWEIR_H
#define WEIR_LIB_PROXY_LIBWEIR_H

#include "lib/base/address.h"
#include "lib/base/hello.h"
#include "lib/base/options.h"
#include "lib/base/shortage.h"
#include "lib/loop/pending.h"
#include "lib/names/endpoint.h"
#include "lib/names/lookup.h"
#include "lib/names/srv.h"
#include "lib/net/connect/connect.h"
#include "lib/stream/writer.h"
#include "lib/task/own_task.h"
#include "lib/transport/clock.h"
#include "lib/transport/connection.h"
#include "lib/transport/secure.h"
#include "lib/transport/socket.h"
#include "lib/transport/splicing.h"
#include "lib/transport/transport.h"
#include "uring/alloc.h"
#include "uring/check.h"
#include "uring/lease.h"
#include "uring/list.h"
#include "uring/wake.h"

#endif
