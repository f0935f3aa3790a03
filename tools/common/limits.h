/*
 * Limits of this machine that a run would meet half-way, looked at before it
 * begins: descriptors and ephemeral ports. What is missing is said together
 * with what to do about it.
 */
#ifndef WEIR_COMMON_LIMITS_H
#define WEIR_COMMON_LIMITS_H

#include <stdbool.h>
#include <stdint.h>

/* Descriptors of the program itself: ring, signals, files, the terminal. */
#define LIMITS_OWN_FDS 64U

/* Raise the soft limit of descriptors so that so many more can be open. False
 * after one line that says what is missing. */
bool limits_raise_fds(uint64_t conn_count);

/* Raise the soft limit as far as it goes, for a server. */
void limits_raise_fds_to_hard(void);

/* The soft limit of descriptors. */
uint64_t limits_get_fds(void);

/* How many ports the kernel has for outgoing connections; 0: not known. */
uint64_t limits_get_ports(void);

/* Are there ports for so many connections to one address? False after one
 * line that says how many there are. */
bool limits_check_ports(uint64_t conn_count_per_target);

#endif
