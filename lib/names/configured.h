/*
 * Which families of addresses this machine has, besides those of loopback.
 *
 * A lookup with configured_only (AI_ADDRCONFIG) leaves out a family that the
 * machine does not have, because its addresses could not be reached.
 */
#ifndef WEIR_LIB_NAMES_CONFIGURED_H
#define WEIR_LIB_NAMES_CONFIGURED_H

/* Returns the families of which this machine has an address, as bits of enum
 * wr_lookup_part, or 0 if it has none or they cannot be read. Must not be
 * called on the stack of a task. */
unsigned wr_configured_families(void);

#endif
