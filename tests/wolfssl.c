/*
 * The one wolfSSL of all test programs.
 *
 * The shared library of this file has the objects of the static wolfSSL, and
 * none of its own: meson wants a source in each library.
 */
_Static_assert(sizeof(void *) == 8, "weir is for machines of 64 bits");
