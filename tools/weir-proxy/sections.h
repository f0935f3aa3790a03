/*
 * What the lines of files say, section by section.
 *
 * [defaults] has what all services begin with, wherever it stands; a service
 * that says a word itself has that alone. [targets NAME] has targets and what
 * is about them; a route whose one 'to' is '@NAME' has these. Each other
 * section is a service.
 */
#ifndef WEIR_PROXY_SECTIONS_H
#define WEIR_PROXY_SECTIONS_H

#include "file.h"

/* Says all lines. False, with the place and what is wrong in @why. */
bool sections_say(struct config *config, const struct lines *lines, char *why);

#endif
