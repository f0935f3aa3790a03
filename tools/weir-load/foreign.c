/*
 * A table: where a flag means different things in several tools, its advice has
 * one for each of them. Advice fits behind "unknown flag -x: " in one line, and
 * names a flag of ours, or says that there is none.
 */
#include "foreign.h"

#define ALWAYS_SHOWN "latencies are always shown; leave it out"
#define ONLY_HTTP1   "HTTP/1.1 is spoken, and nothing newer; leave it out"
#define NO_REDIRECT                                                            \
    "redirects are not followed; leave it out, and write the place that they " \
    "name"
#define NO_PROXY                                                               \
    "proxies of HTTP are not spoken to; --connect-to HOST:PORT goes there "    \
    "with the requests as they are"
#define USER                                                                   \
    "write -H \"Authorization: Basic $(printf %s USER:PASSWORD | base64)\""
#define JSON     "a result as JSON is --json, or --json=FILE"
#define DURATION "a duration is -d TIME"
#define TIMEOUT  "a time-out is --timeout TIME"
#define BODY     "a body is -b TEXT, or -b @FILE"
#define LIST                                                                   \
    "requests of a file are --mix FILE (with weights) or --replay FILE (with " \
    "times)"

const struct option_foreign foreign_flags[] = {
    {"z", DURATION},
    {"m", "a method is -X METHOD; requests under way on a connection are -p N"},
    {"D", DURATION ", and a body of a file -b @FILE"},
    {"T", "a type is -H 'Content-Type: TYPE', and a time-out --timeout TIME"},
    {"A", "write -H 'Accept: TYPE'"},
    {"C", "write -H 'Cookie: NAME=VALUE'"},
    {"r", "a rate is -R RATE"},
    {"s", TIMEOUT ", and a script of wrk is written as --mix or --replay"},
    {"l", ALWAYS_SHOWN},
    {"L", "redirects are not followed, and latencies always shown; leave it "
          "out"},
    {"o", JSON},
    {"f", LIST "; a body of a file is -b @FILE"},
    {"x", NO_PROXY},
    {"u", USER},
    {"a", USER},
    {"N", "a count is -n COUNT, and " TIMEOUT},
    {"proxy", NO_PROXY},
    {"user", USER},
    {"http2", ONLY_HTTP1},
    {"http3", ONLY_HTTP1},
    {"h2", ONLY_HTTP1},
    {"h3", ONLY_HTTP1},
    {"h1", ONLY_HTTP1},
    {"http1", ONLY_HTTP1},
    {"http1.1", ONLY_HTTP1},
    {"http-version", ONLY_HTTP1},
    {"fasthttp", ONLY_HTTP1},
    {"latencies", ALWAYS_SHOWN},
    {"u_latency", ALWAYS_SHOWN},
    {"no-tui", "there is nothing to turn off; -q is quiet"},
    {"latency-correction",
     "with -R times count from when a request was due; leave it out"},
    {"output-format", JSON},
    {"format", JSON},
    {"output", JSON},
    {"output-file", JSON},
    {"vus", "as many users as connections: -c N"},
    {"targets", LIST},
    {"urls-from-file", LIST},
    {"script", LIST},
    {"host", "write -H 'Host: NAME'"},
    {"cookie", "write -H 'Cookie: NAME=VALUE'"},
    {"workers", "threads are -t N, and connections -c N"},
    {"max-workers", "connections are -c N"},
    {"warm-up-time", "a warm-up is -w TIME"},
    {"request-method", "a method is -X METHOD"},
    {"data-binary", BODY},
    {"json-body", BODY},
    {"disable-redirects", NO_REDIRECT},
    {"redirect", NO_REDIRECT},
    {"redirects", NO_REDIRECT},
    {"max-redirects", NO_REDIRECT},
    {"max-redirs", NO_REDIRECT},
    {"location", NO_REDIRECT},
    {"compressed", "write -H 'Accept-Encoding: gzip'"},
    {NULL, NULL},
};
