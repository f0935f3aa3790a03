/*
 * Times of intervals are seconds from the start, their greatest value is in
 * milliseconds: so the libraries have it. The values in the histograms stay
 * nanoseconds.
 */
#include "hlog.h"

#include "hdr.h"

#include "weir/base.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)

void hlog_write_header(uint64_t wall_ns, FILE *out)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_SECOND);
    struct tm parts;
    char text[64] = "";

    if (gmtime_r(&seconds, &parts)) {
        strftime(text, sizeof(text), "%a %b %d %H:%M:%S UTC %Y", &parts);
    }
    fprintf(out,
            "#[Logged with weir-load %s]\n"
            "#[Histogram log format version 1.3]\n"
            "#[StartTime: %.3f (seconds since epoch), %s]\n"
            "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\","
            "\"Interval_Compressed_Histogram\"\n",
            weir_version(), (double)wall_ns / 1e9, text);
}

int hlog_write(uint64_t begin_ns, uint64_t end_ns, const char *tag,
               const struct histogram *h, FILE *out)
{
    char *text = hdr_encode(h);

    if (!text) {
        return -ENOMEM;
    }
    fprintf(out, "%s%s%s%.3f,%.3f,%.3f,%s\n", tag ? "Tag=" : "", tag ? tag : "",
            tag ? "," : "", (double)begin_ns / 1e9,
            (double)(end_ns - begin_ns) / 1e9, (double)h->max / 1e6, text);
    free(text);
    return 0;
}
