/*
 * The system calls of a proxy that serves; the kernel refuses all others
 * (seccomp).
 *
 * What goes through a ring of io_uring is no call, and is not seen.
 */
#ifndef WEIR_PROXY_FILTER_H
#define WEIR_PROXY_FILTER_H

/* For this thread, and those that it will make: 0, or a negative errno. */
int filter_install(void);

#endif
