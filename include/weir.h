/**
 * @file weir.h
 * All of weir's public API, for programs that include one header.
 *
 * Each of the headers can be included by itself as well.
 */
#ifndef WEIR_H
#define WEIR_H

#include "weir/address.h"
#include "weir/base.h"
#include "weir/buffer.h"
#include "weir/error.h"
#include "weir/loop.h"
#include "weir/protocol.h"
#include "weir/server.h"
#include "weir/transport.h"

#endif
