/*
 * The families of addresses that this machine has, loopback not counted.
 *
 * A lookup with configured_only (AI_ADDRCONFIG) leaves out a family that the
 * machine does not have, because its addresses could not be reached.
 */
#ifndef WEIR_LIB_NAMES_CONFIGURED_H
#define WEIR_LIB_NAMES_CONFIGURED_H

/* Returns the families as bits of enum wr_lookup_part, or 0 if there are none
 * or they cannot be read. Must not be called on the stack of a task. */
unsigned wr_configured_families(void);

#endif
