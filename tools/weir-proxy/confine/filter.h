/*
 * Allows only the system calls that a serving proxy needs; the kernel refuses
 * all others (seccomp).
 *
 * Operations that go through an io_uring ring are not system calls and are not
 * filtered.
 */
#ifndef WEIR_PROXY_FILTER_H
#define WEIR_PROXY_FILTER_H

/* Filters this thread and threads that it creates. Returns 0 or a negative
 * errno. */
int filter_install(void);

#endif
