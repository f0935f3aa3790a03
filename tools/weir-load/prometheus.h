/*
 * Findings in the text format of Prometheus, version 0.0.4, as the collector of
 * text files and the Pushgateway read it: gauges, whose times are seconds.
 *
 * A figure that is not known is left out, since a number would be taken for
 * one.
 */
#ifndef WEIR_LOAD_PROMETHEUS_H
#define WEIR_LOAD_PROMETHEUS_H

#include "findings.h"

#include <stdio.h>

void prometheus_write(const struct findings *findings, FILE *out);

#endif
