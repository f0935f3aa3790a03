/*
 * The file of a configuration: INI, with the words of words.h as keys.
 *
 *     threads = 2
 *     [database]
 *     listen = tcp://:5432
 *     to = tcp://10.0.0.1:5432
 *     to = tcp://10.0.0.2:5432
 *     weight = 2
 *
 * Lines before the first section are about the program; each section is a
 * service of that name. The order of lines counts, as that of flags does.
 */
#ifndef WEIR_PROXY_FILE_H
#define WEIR_PROXY_FILE_H

#include "config.h"

/* Reads a file into @config. False, with the file's name, the line and what is
 * wrong in @why. */
bool file_read(struct config *config, const char *path, char *why);

#endif
