/*
 * Which families of addresses this machine has, besides those of loopback.
 *
 * A lookup that minds it (AI_ADDRCONFIG) leaves out the one that is missing:
 * its addresses could not be reached from here, and one of the other can.
 */
#ifndef WEIR_LIB_NAMES_CONFIGURED_H
#define WEIR_LIB_NAMES_CONFIGURED_H

/* The parts of an answer, as bits of enum wr_lookup_part, that this machine has
 * an address of; 0: none, or it is not known. Not for the stack of a task. */
unsigned wr_configured_families(void);

#endif
