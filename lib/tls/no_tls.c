/*
 * TLS in a build without wolfSSL: there is none.
 *
 * No context can be made, so that nothing else of TLS can be reached: whatever
 * takes a context is given none.
 */
#include "uring/check.h"

#include <weir/error.h>
