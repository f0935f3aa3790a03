/*
 * Applies the lines of files, section by section.
 *
 * [defaults], at any position, has initial values for all services; a directive
 * in a service replaces the values of that directive. [targets NAME] is a group
 * of targets with their directives; a route whose only 'to' is '@NAME' uses the
 * group. Each other section is a service.
 */
#ifndef WEIR_PROXY_SECTIONS_H
#define WEIR_PROXY_SECTIONS_H

#include "file.h"

/* Applies all lines. Returns false with file, line and reason in @why. */
bool sections_say(struct config *config, const struct lines *lines, char *why);

#endif
