"""Command lines of other load tools, and the native lines that mean the same.

A row has a line, and its translation by `weir-load as`: the native line, or the reason
why it is refused. U is a URL, and native lines are checked without sending anything.
The last rows of each tool are lines from public repositories, with other hosts.
"""

import os
import re
import shlex
import tempfile

from harness import WEIR_LOAD, Serve, command, equal, matches, run

GZIP = "-H 'Accept-Encoding: gzip'"
HEY = f"-H 'Content-Type: text/html' {GZIP}"
OHA = "-H 'Accept-Encoding: gzip, compress, deflate, br'"
ATTACK = f"-w 0 --timeout 30s {GZIP} U"


class No(str):
    """The line is refused; this is a part of the reason."""


LINES = (
    ("wrk U", "-t 2 -c 10 -d 10s -w 0 --timeout 2s U"),
    ("wrk --threads 4 --connections=8 -d5 -T 7s U",
     "-t 4 -c 8 -d 5 -w 0 --timeout 7s U"),
    ("wrk -s post.lua U",
     "-H 'Content-Type: application/json' -t 2 -c 10 -d 10s -w 0 --timeout 2s "
     "-X POST -b '{\"a\":1}' U"),
    ("wrk -s long.lua U",
     "-t 2 -c 10 -d 10s -w 0 --timeout 2s -X PUT -b '{\n  \"a\": \"b\"\n}\n' U"),
    ("wrk -s body.lua U",
     "-t 2 -c 10 -d 10s -w 0 --timeout 2s -X GET -b 'a\tb' U"),
    ("wrk -s pipeline.lua U",
     "--urls /dev/fd/3 -t 2 -c 10 -d 10s -w 0 -p 3 --timeout 2s U"),
    ("wrk -s depth.lua U -- 16",
     "-t 2 -c 10 -d 10s -w 0 -p 16 --timeout 2s U"),
    ("wrk -s depth.lua U", "-t 2 -c 10 -d 10s -w 0 --timeout 2s U"),
    ("wrk -s code.lua U", No("-s code.lua: of a script wrk.method, wrk.headers "
                             "and wrk.body are read, and 'request = function()'"
                             " is more")),
    ("wrk -s join.lua U", No("'.. \"b\"' is more")),
    ("wrk -s posts.lua U", No("requests that are pipelined are GET here")),
    ("wrk -s absent.lua U", No("absent.lua: there is no such file")),
    ("wrk -H 'Host: {id}' U", No("Host: {id}: a native line fills such places")),
    ("wrk -d abc U", No("-d abc: it is not a time such as 10s")),
    ("wrk localhost/", No("localhost/: it is not a URL; http:// is missing")),
    ("wrk -x U", No("-x: unknown flag")),
    ("wrk -t", No("-t needs a value")),
    ("wrk", No("there is no URL")),
    ("wrk ftp://127.0.0.1/", No("it loads http:// and https:// here")),
    ("wrk -t1 -c100 -d2s -s pipeline.lua U",
     "--urls /dev/fd/3 -t 1 -c 100 -d 2s -w 0 -p 3 --timeout 2s U"),
    ("wrk -t12 -c100 -d30s http://127.0.0.1:3000",
     "-t 12 -c 100 -d 30s -w 0 --timeout 2s http://127.0.0.1:3000"),
    ("wrk -t4 -c16 -d30s 'Usparql?query=SELECT+*+WHERE+{+%3Fs+%3Fp+}'",
     "-t 4 -c 16 -d 30s -w 0 --timeout 2s "
     "'Usparql?query=SELECT+*+WHERE+{+%3Fs+%3Fp+}'"),
    ("wrk -t12 -c400 -d30s 'U?a=100&b=20'",
     "-t 12 -c 400 -d 30s -w 0 --timeout 2s 'U?a=100&b=20'"),
    ("wrk -t4 -c100 -d30s --latency U",
     "-t 4 -c 100 -d 30s -w 0 --timeout 2s U"),

    ("wrk2 -t2 -c10 -d1s U", No("it requires a rate; add -R RATE")),
    ("wrk2 -D exp -t2 -c10 -d1s -L -R 500 U",
     "--arrival poisson -t 2 -c 10 -d 1s -w 0 -R 500 --timeout 2s U"),
    ("wrk2 -D zipf -R 500 U", No("-D zipf: gaps are fixed or exp")),
    ("wrk2 -P -R 500 U", No("for a line for each request use --log FILE")),
    ("wrk2 -t 8 -c 1000 -d 60s -R 100000 https://127.0.0.1:4433",
     "-t 8 -c 1000 -d 60s -w 0 -R 100000 --timeout 2s -k "
     "https://127.0.0.1:4433"),
    ("wrk2 -t4 -c100 -d60s -R2000 U",
     "-t 4 -c 100 -d 60s -w 0 -R 2000 --timeout 2s U"),
    ("wrk2 -t2 -c50 -d30s -R500 --latency U",
     "-t 2 -c 50 -d 30s -w 0 -R 500 --timeout 2s U"),
    ("wrk2 --latency -t 8 -c 1000 -d 30s U", No("add -R RATE")),
    ("wrk2 -t5 -c200 -d30s -R2k -s post.lua 'U?perPage=100'",
     "-H 'Content-Type: application/json' -t 5 -c 200 -d 30s -w 0 -R 2k "
     "--timeout 2s -X POST -b '{\"a\":1}' 'U?perPage=100'"),

    ("hey U", f"-c 50 -n 200 --timeout 20 {HEY} U"),
    ("hey -n 10000 -q 10 -c 5 U",
     f"-c 5 -n 10000 -R 50 --timeout 20 {HEY} U"),
    ("hey -n=10 --c 5 -t 0 -m post -disable-compression=false U",
     f"-c 5 -n 10 --timeout 1m -X POST {HEY} U"),
    ("hey -n 1000 -c 200 -t 2 U",
     f"-c 200 -n 1000 --timeout 2 {HEY} U"),
    ("hey -z 1s -D body.json -T a/b -disable-compression -h2 -a u:p "
     "https://127.0.0.1/",
     "-c 50 -d 1s -w 0 --timeout 20 -X GET -H 'Content-Type: a/b' "
     "-H 'Authorization: Basic ***' -b @body.json --http auto -k "
     "https://127.0.0.1/"),
    ("hey -H 'content-type: a/b' -m HEAD -disable-keepalive -cpus 2 U",
     "-H 'content-type: a/b' --disable-keepalive -t 2 -c 50 -n 200 "
     "--timeout 20 -X HEAD U"),
    ("hey -n 10 U", No("-n is less than -c, which it refuses")),
    ("hey -z 10 U", No("-z 10: it is not a time with a unit, such as 10s")),
    ("hey -x p:1 U", No("-x p:1: HTTP proxies are not supported")),
    ("hey -o csv U", No("for a line for each request write --log FILE")),
    ("hey -d @x U", No("@x: a native line fills it")),
    ("hey U -n 10", No("only one URL is supported, at the end of the line")),
    ("hey -z 60s -q 500 -c 100 -m POST -T application/json -d '{\"qty\":1}' U",
     "-c 100 -d 60s -w 0 -R 50000 --timeout 20 -X POST "
     f"-H 'Content-Type: application/json' {GZIP} -b '{{\"qty\":1}}' U"),
    ("hey -z 1m -q 10 -c 2 U",
     f"-c 2 -d 1m -w 0 -R 20 --timeout 20 {HEY} U"),
    ("hey -z 20s -c 100 -host service.default.example.com U",
     "-H 'Host: service.default.example.com' -c 100 -d 20s -w 0 --timeout 20 "
     f"{HEY} U"),
    ("hey -n 1000 -c 50 -q 100 U",
     f"-c 50 -n 1000 -R 5000 --timeout 20 {HEY} U"),
    ("hey -z 10s -c 50 'U?term=a&itemCount=10'",
     f"-c 50 -d 10s -w 0 --timeout 20 {HEY} 'U?term=a&itemCount=10'"),

    ("oha U", f"-c 50 -n 200 --timeout 1m {OHA} U"),
    ("oha -n 1m -c=10 -p5 --http-version 2 --disable-compression U",
     "-c 10 -n 1M -p 5 --timeout 1m --http2 U"),
    ("oha -p 5 U", f"-c 50 -n 200 --timeout 1m {OHA} U"),
    ("oha -z 1m30s -t 5s -q 100 --disable-keepalive -j U",
     "--disable-keepalive -c 50 -d 1m30s -w 0 -R 100 --timeout 5s "
     f"{OHA} --json U"),
    ("oha --insecure --ipv4 U", f"-4 -c 50 -n 200 --timeout 1m {OHA} U"),
    ("oha --http-version 3 U", No("only HTTP/1.1 and HTTP/2")),
    ("oha -n 10 -z 1s U", No("-n and -z exclude each other")),
    ("oha --connect-to a:80:b:81 U",
     No("use --connect-to HOST:PORT before the tool")),
    ("oha --burst-delay 2s --burst-rate 4 U",
     No("--burst-rate 4: bursts are not supported; use --stages")),
    ("oha -z 10s -c 50 U", f"-c 50 -d 10s -w 0 --timeout 1m {OHA} U"),
    ("oha -z 20s -c 50 --no-tui -m POST -d '{\"key\":\"load\"}' "
     "-H 'content-type: application/json' -H 'Host: shop.test' U",
     "-H 'content-type: application/json' -H 'Host: shop.test' -c 50 -d 20s "
     f"-w 0 --timeout 1m -X POST {OHA} -b '{{\"key\":\"load\"}}' U"),
    ("oha -z 15s -c 256 -m POST -H 'Authorization: Bearer a' -D body.json U",
     "-H 'Authorization: Bearer a' -c 256 -d 15s -w 0 --timeout 1m -X POST "
     f"{OHA} -b @body.json U"),
    ("oha -z 2s --no-tui --urls-from-file urls.txt -c 100 -w",
     No("for URLs of a file use --urls FILE, or --mix FILE")),
    ("oha -z 60s -c 50 --host backend.localhost Uhealth",
     "-H 'Host: backend.localhost' -c 50 -d 60s -w 0 --timeout 1m "
     f"{OHA} Uhealth"),
    ("oha -z 300s -c 5 -q 4 --latency-correction U",
     f"-c 5 -d 300s -w 0 -R 4 --timeout 1m {OHA} U"),

    ("ab U", "--disable-keepalive -c 1 -n 1 --timeout 30 U"),
    ("ab -t 10 -c 10 -k U", "-c 10 -n 50000 -d 10 -w 0 --timeout 30 U"),
    ("ab -k -n 9 -p body.json U",
     "-c 1 -n 9 --timeout 30 -X POST -H 'Content-Type: text/plain' "
     "-b @body.json U"),
    ("ab -k -n 9 -u body.json -T a/b -C s=1 U",
     "-H 'Cookie: s=1' -c 1 -n 9 --timeout 30 -X PUT -H 'Content-Type: a/b' "
     "-b @body.json U"),
    ("ab -kdSrlq -n 9 -i -s 5 -v 2 -e a.csv -g a.tsv 127.0.0.1/",
     "--hgrm a.csv --log a.tsv -c 1 -n 9 --timeout 5 -X HEAD "
     "http://127.0.0.1/"),
    ("ab -n 10 -c 20 U", No("-n is less than -c, which it refuses")),
    ("ab -n 10 -t 5 U", No("depends on their order and on its version")),
    ("ab -X p:1 U", No("-X p:1: HTTP proxies are not supported")),
    ("ab -p absent U", No("absent: there is no such file")),
    ("ab -n 100 -c 10 Uhealth",
     "--disable-keepalive -c 10 -n 100 --timeout 30 Uhealth"),
    ("ab -n 1000 -c 10 Uapi/v1/users/profile",
     "--disable-keepalive -c 10 -n 1000 --timeout 30 Uapi/v1/users/profile"),
    ("ab -n 100 -c 10 -H 'Authorization: Bearer a' U",
     "-H 'Authorization: Bearer a' --disable-keepalive -c 10 -n 100 "
     "--timeout 30 U"),
    ("ab -n 5000 -c 100 -A foobar:secret U",
     "--disable-keepalive -c 100 -n 5000 --timeout 30 "
     "-H 'Authorization: Basic ***' U"),
    ("ab -c 50 -t 10 -k U", "-c 50 -n 50000 -d 10 -w 0 --timeout 30 U"),

    ("bombardier U", "-c 125 -d 10s -w 0 --timeout 2s U"),
    ("bombardier -n 10 -d 5s -r 100 -a -l --http2 -k https://127.0.0.1/",
     "--disable-keepalive -c 125 -n 10 -R 100 --timeout 2s --http auto -k "
     "https://127.0.0.1/"),
    ("bombardier -m PUT -f body.json -s -H 'A: b' -o j localhost:80",
     "--chunked -H 'A: b' -c 125 -d 10s -w 0 --timeout 2s -X PUT "
     "-b @body.json --json http://localhost:80"),
    ("bombardier -d 10 U", No("-d 10: it is not a time with a unit")),
    ("bombardier -c 1 -n 10000 U", "-c 1 -n 10000 --timeout 2s U"),
    ("bombardier -c 50 -n 5000 U", "-c 50 -n 5000 --timeout 2s U"),
    ("bombardier -c 8 --insecure -d 20s https://127.0.0.1/f -l -o json -p r",
     "-c 8 -d 20s -w 0 --timeout 2s -k --json https://127.0.0.1/f"),
    ("bombardier -c 128 -d 15s U", "-c 128 -d 15s -w 0 --timeout 2s U"),
    ("bombardier -c 256 -d 10s --fasthttp U",
     "-c 256 -d 10s -w 0 --timeout 2s U"),

    ("h2load U", "-c 1 -n 1 --timeout 1m --http2 U"),
    ("h2load -n6400 -c64 -m10 -t2 --h1 U",
     "-t 2 -c 64 -n 6400 -p 10 --timeout 1m U"),
    ("h2load -D 5 -c4 --warm-up-time=2s --rps 10 -N 3 U",
     "-c 4 -d 5 -w 2s -R 40 --timeout 3 --http2 U"),
    ("h2load --alpn-list=h2 -n 1 https://127.0.0.1/",
     "-c 1 -n 1 --timeout 1m --http2 -k https://127.0.0.1/"),
    ("h2load -p http/1.1 -m 4 -d body.json U",
     "-c 1 -n 1 --timeout 1m -X POST -b @body.json U"),
    ("h2load -n 1 -c 2 U", No("-n is less than -c")),
    ("h2load -i urls.txt U", No("for URLs of a file use --urls FILE")),
    ("h2load -w 20 U", No("use --window, --conn-window")),
    ("h2load --npn-list=h3 https://127.0.0.1/", No("only HTTP/1.1 and HTTP/2")),
    ("h2load U Ux", No("only one URL is supported, at the end of the line")),
    ("h2load -n 6400 -c 64 https://127.0.0.1/1m",
     "-c 64 -n 6400 --timeout 1m --http auto -k https://127.0.0.1/1m"),
    ("h2load -n2 -c1 https://127.0.0.1:8443/",
     "-c 1 -n 2 --timeout 1m --http auto -k https://127.0.0.1:8443/"),
    ("h2load -n 1000 -c 1000 https://127.0.0.1:4433",
     "-c 1000 -n 1000 --timeout 1m --http auto -k https://127.0.0.1:4433"),
    ("h2load -n 100000 -c 100 -m 10 https://127.0.0.1/",
     "-c 100 -n 100000 -p 10 --timeout 1m --http auto -k https://127.0.0.1/"),
    ("h2load -n 5000 -c 8 -m 8 -d body.json -H 'content-type: application/grpc'"
     " Usvc",
     "-H 'content-type: application/grpc' -c 8 -n 5000 -p 8 --timeout 1m "
     "-X POST -b @body.json --http2 Usvc"),

    ("vegeta report", No("only its command attack is known")),
    ("vegeta attack -targets=one.txt -duration=2s",
     f"-c 50 -d 2s -R 50 {ATTACK}x".replace("-R 50 -w 0", "-w 0 -R 50")),
    ("vegeta attack -duration=2s -rate=300/1m -keepalive=false -targets one.txt",
     f"--disable-keepalive -c 10 -d 2s -w 0 -R 300/1m --timeout 30s {GZIP} Ux"),
    ("vegeta attack -duration=2s -keepalive=true -http2=false -lazy -targets "
     "tls.txt",
     f"-c 50 -d 2s -w 0 -R 50 --timeout 30s {GZIP} https://127.0.0.1/"),
    ("vegeta attack -duration=2s -targets tls.txt -header 'A: b'",
     f"-H 'A: b' -c 50 -d 2s -w 0 -R 50 --timeout 30s {GZIP} --http auto "
     "https://127.0.0.1/"),
    ("vegeta attack -rate=0 -max-workers=10 -duration=2s -targets one.txt",
     f"-c 10 -d 2s -w 0 --timeout 30s {GZIP} Ux"),
    ("vegeta attack -rate=5000 -duration=2s -targets=many.txt",
     f"--urls many.txt -c 1000 -d 2s -w 0 -R 5000 --timeout 30s {GZIP} O"),
    ("vegeta attack -rate=0 -duration=2s", No("-rate=0 needs -max-workers")),
    ("vegeta attack -rate=x -duration=2s", No("-rate=x: a rate is 100 or")),
    ("vegeta attack -duration=1s -body body.json -targets=many.txt",
     No("-body: write @FILE below each target")),
    ("vegeta attack -duration=1s -targets=filled.txt",
     No("filled.txt: a native line fills places in braces")),
    ("vegeta attack -duration=1s -targets=body.json",
     No("body.json: there is no line GET URL")),
    ("vegeta attack -rate=1/s -duration=1m -targets=one.txt",
     f"-c 10 -d 1m -w 0 -R 1/s --timeout 30s {GZIP} Ux"),
    ("vegeta attack -duration=30s -targets=one.txt",
     f"-c 50 -d 30s -w 0 -R 50 --timeout 30s {GZIP} Ux"),
    ("vegeta attack -rate=50 -duration=5s -targets=./many.txt",
     f"--urls ./many.txt -c 50 -d 5s -w 0 -R 50 --timeout 30s {GZIP} O"),
    ("vegeta attack -targets=./many.txt -rate 100",
     No("it runs until it is stopped; add -duration=30s")),
    ("vegeta attack -insecure -format=json -targets=one.txt -rate=1 "
     "-duration=9s", No("only the format http is supported")),

    ("autocannon U", "-c 10 -d 10 -w 0 --timeout 10 U"),
    ("autocannon -a 100 -d 3 -m POST -H A=b -H 'C: d' -i body.json localhost",
     "-H 'A: b' -H 'C: d' -c 10 -n 100 --timeout 10 -X POST -b @body.json "
     "http://localhost"),
    ("autocannon -w4 -R 100 -l --json -O 50 U",
     "-t 4 -c 10 -n 50 -d 10 -w 0 -R 100 --timeout 10 --json U"),
    ("autocannon -r 5 -E ok -D 7 -n U",
     "--expect text:ok --requests-per-conn 7 -c 10 -d 10 -w 0 -R 50 "
     "--timeout 10 U"),
    ("autocannon -f U", No("-f: endless runs are not supported; use -d 7d")),
    ("autocannon -H nothing U", No("-H nothing: a header is NAME: VALUE")),
    ("autocannon -c 100 -d 30 Uapi/videos/1",
     "-c 100 -d 30 -w 0 --timeout 10 Uapi/videos/1"),
    ("autocannon -c 100 -d 10 -p 10 localhost:3000",
     "-c 100 -d 10 -w 0 -p 10 --timeout 10 http://localhost:3000"),
    ("autocannon -c 1024 -t30 -p 10 -j U",
     "-c 1024 -d 10 -w 0 -p 10 --timeout 30 --json U"),
    ("autocannon -c 50 -d 20 Uapi/orders",
     "-c 50 -d 20 -w 0 --timeout 10 Uapi/orders"),
    ("autocannon -c 5 -d 5 --json -m POST -H 'Content-Type: a/b' U",
     "-H 'Content-Type: a/b' -c 5 -d 5 -w 0 --timeout 10 -X POST --json U"),

    ("siege -c 10 -r 3 -N U",
     "--disable-keepalive -c 10 -n 30 --timeout 30 U"),
    ("siege -b -c10 -t1m -d5 -lfile --no-parser -A me localhost",
     "-H 'User-Agent: me' --disable-keepalive -c 10 -d 1m -w 0 --timeout 30 "
     "http://localhost"),
    ("siege -N -c 10 -d 2 -t 5S U", No("-d 2: it draws each pause below that")),
    ("siege -N -c 10 -t 30 U", No("give its length: -t 30S, -t 5M or -t 1H")),
    ("siege -N -c 10 -r 3 'U POST a=b'", No("-X METHOD and -b BODY")),
    ("siege -N -t 5S U", No("the number of users is in its configuration; add -c N")),
    ("siege -c 50 -t 1M U", No("add --no-parser")),
    ("siege -c 1000 -r 1 U", No("add --no-parser")),
    ("siege -c20 -t30S U", No("add --no-parser")),
    ("siege -c 50 -t 1M --no-parser U",
     "--disable-keepalive -c 50 -d 1m -w 0 --timeout 30 U"),
    ("siege -c 10 -t 2M --no-follow -f urls.txt",
     No("-f urls.txt: for URLs of a file use --urls FILE")),

    ("fortio load U", "-c 4 -d 5s -w 0 -R 8 --timeout 3s U"),
    ("fortio server", No("only its command load is known")),
    ("fortio load -payload a -user u:p -json - U",
     "-c 4 -d 5s -w 0 -R 8 --timeout 3s -X POST -H 'Authorization: Basic ***' "
     "-b a --json U"),
    ("fortio load -keepalive=false -compression -h2 -json a.json -p 50,90 U",
     "--disable-keepalive --percentiles 50,90 -c 4 -d 5s -w 0 -R 8 "
     f"--timeout 3s {GZIP} --http2 --json=a.json U"),
    ("fortio load -grpc U", No("-grpc: it is not supported")),
    ("fortio load -L U", No("-L: redirects are not followed")),
    ("fortio load -c 1 -n 5 -t 10s U", "-c 1 -n 5 -R 8 --timeout 3s U"),
    ("fortio load -k -c 1 -qps 10 -t 0.5m -loglevel Warning U",
     "-c 1 -d 0.5m -w 0 -R 10 --timeout 3s U"),
    ("fortio load -c 2 -qps 0 -n 20 -loglevel Warning Uget",
     "-c 2 -n 20 --timeout 3s Uget"),
    ("fortio load -c 10 -t 30s Uhealth",
     "-c 10 -d 30s -w 0 -R 8 --timeout 3s Uhealth"),
    ("fortio load -c 16 -qps 100 -t 5s -a -r 0.001 -httpbufferkb=128 -labels x "
     "U", No("-a: name the file: -json FILE")),

    ("redis-benchmark -t ping_mbulk",
     "-b PING -c 50 -n 100000 --timeout 1m redis://127.0.0.1:6379/"),
    ("redis-benchmark -h ::1 -p 7 -t SET -k 0 --dbnum 3 -3 --tls --insecure",
     "-k -b 'SET key:__rand_int__ {letters:3}' --requests-per-conn 1 -c 50 "
     "-n 100000 --timeout 1m 'rediss://[::1]:7/3?protocol=3'"),
    ("redis-benchmark -a secret --user me -P 4 --threads 2 -t lpop",
     "-b 'LPOP mylist' -t 2 -c 50 -n 100000 -p 4 --timeout 1m "
     "'redis://***@127.0.0.1:6379/'"),
    ("redis-benchmark -n 9 -r 10 lpush mylist __rand_int__ 'a b'",
     "-b '\"lpush\" \"mylist\" \"{rand:100000000000:100000000009}\" \"a b\" ' "
     "-c 50 -n 9 --timeout 1m redis://127.0.0.1:6379/"),
    ("redis-benchmark -n 9 eval 'return \"x\"' 0",
     No("a command without \" \\ and { in it")),
    ("redis-benchmark -l -t get", No("-l: endless runs")),
    ("redis-benchmark -d 10 -t set,get -q",
     No("each test is a run of its own")),
    ("redis-benchmark -q -n 200000 -c 50 -r 1 GET post:7",
     "-b '\"GET\" \"post:7\" ' -c 50 -n 200000 --timeout 1m "
     "redis://127.0.0.1:6379/"),
    ("redis-benchmark -p 6380 -n 1000 -c 5 -d 128 -r 100000 -t set -q",
     "-b 'SET key:{rand:100000000000:100000099999} {letters:128}' -c 5 -n 1000 "
     "--timeout 1m redis://127.0.0.1:6380/"),
    ("redis-benchmark -n 100000 -q", No("each test is a run of its own")),
    ("redis-benchmark -h 127.0.0.1 -p 6379 -a sec -c 100 -r 10000000 "
     "-n 20000000 -t lpush -q -P 16",
     "-b 'LPUSH mylist {letters:3}' -c 100 -n 20000000 -p 16 --timeout 1m "
     "'redis://***@127.0.0.1:6379/'"),
)

# Native lines with options of other tools, and the tools that are suggested.
OFFERS = (
    ("-n 1000 -c 10 -t 120 -d '{}' U", ["hey"]),
    ("-z 10s -q 10 -c 5 U", ["hey", "oha"]),
    ("-t4 -c100 -d2s -s post.lua U", ["wrk"]),
    ("-k -n 9 -c 3 -g a.tsv U", ["ab"]),
    ("--clients=2 -n 9 U", ["h2load"]),
    ("attack -rate=100 -duration=2s", ["vegeta"]),
    ("load -qps 5 -loglevel Warning U", ["fortio"]),
    ("-h localhost -t set -n 10", ["redis-benchmark"]),
    ("-c 5 --renderStatusCodes U", ["autocannon"]),
    ("-c 5 -l --fasthttp U", ["bombardier"]),
    ("-c 5 --no-parser -t 5S U", ["siege"]),
    ("-c 400 -t 8 -d 20s -h U", []),
    ("--nonsense U", []),
    ("-t 400 U", ["hey", "ab", "autocannon"]),
)

FILES = {
    "post.lua": '-- a post\nwrk.method = "POST"\n'
                "wrk.body   = '{\"a\":1}' -- the body\n"
                'wrk.headers["Content-Type"] = "application/json";\n',
    "long.lua": 'wrk.method = "PUT"\nwrk.body = [[\n{\n  "a": "b"\n}\n]]\n',
    "body.lua": 'wrk.body = "a\\tb"\n',
    "pipeline.lua": "-- pipelining\n\ninit = function(args)\n   local r = {}\n"
                    '   r[1] = wrk.format(nil, "/?foo")\n'
                    '   r[2] = wrk.format(nil, "/?bar")\n'
                    '   r[3] = wrk.format(nil, "/?baz")\n\n'
                    "   req = table.concat(r)\nend\n\n"
                    "request = function()\n   return req\nend\n",
    "depth.lua": "init = function(args)\n  local r = {}\n"
                 "  local depth = tonumber(args[1]) or 1\n"
                 "  for i=1,depth do\n    r[i] = wrk.format()\n  end\n"
                 "  req = table.concat(r)\nend\n\nrequest = function()\n"
                 "  return req\nend\n",
    "code.lua": "request = function()\n  return wrk.format(nil)\nend\n",
    "join.lua": 'wrk.body = "a" .. "b"\n',
    "posts.lua": 'wrk.method = "POST"\ninit = function(args)\n'
                 'local r = {}\nr[1] = wrk.format(nil, "/x")\n'
                 "req = table.concat(r)\nend\n"
                 "request = function()\nreturn req\nend\n",
    "filled.txt": "GET http://127.0.0.1:9/{seq}\nA: b\n",
    "body.json": "{}",
    "urls.txt": "http://127.0.0.1:9/a\nhttp://127.0.0.1:9/b\n",
    "one.txt": "GET http://127.0.0.1:9/x\n",
    "tls.txt": "GET https://127.0.0.1/\n",
    "ratio.txt": "1 SET key{rand:1:9} {letters:32}\n10 GET key{rand:1:9}\n",
    "many.txt": "# two\nGET http://127.0.0.1:9/a?b=c\n\n"
                "POST http://127.0.0.1:9/b\nContent-Type: a/b\n@body.json\n",
}
GUIDE = os.path.join(os.path.dirname(__file__),
                     "../../include/guide/coming-from.md")
URL = "http://127.0.0.1:9/"
HAS_HTTP2 = command(WEIR_LOAD, "--http2", "--dry-run", URL).status == 0


def put_url(line):
    """Returns the words of a line with the URL in it, and its prefix."""
    return [re.sub(r"^U(?!ser)", URL, re.sub("^O$", URL[:-1], word))
            for word in shlex.split(line)]


def dry(folder, *words, text=""):
    return command(WEIR_LOAD, *words, cwd=folder, input=text.encode())


def with_files(check):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            with open(os.path.join(folder, name), "w", encoding="ascii") as file:
                file.write(text)
        check(folder)


def test_a_line_of_another_tool_is_the_native_line_or_refused():
    def check(folder):
        for line, wanted in LINES:
            tool, *words = put_url(line)
            if "http2" in wanted or "auto" in wanted:
                if not HAS_HTTP2:
                    continue
            outcome = dry(folder, "as", "--dry-run", tool, *words)
            begin = f"weir-load: as {tool}: "
            if isinstance(wanted, No):
                equal((outcome.status, outcome.out), (2, ""), line)
                equal(wanted in outcome.err, True, f"{line}: {outcome.err}")
                equal([one for one in outcome.err.splitlines()
                       if not one.startswith(begin)], [], line)
                continue
            first = outcome.err.removeprefix(begin).partition(
                "\nweir-load: warning: other users ")[0]
            equal(shlex.split(first),
                  ["weir-load", "--dry-run", *put_url(wanted)], line)
            equal(outcome.status, 0, f"{line}: {outcome.err}")

    with_files(check)


def test_a_native_line_with_words_of_other_tools_is_answered_with_theirs():
    def check(folder):
        for line, tools in OFFERS:
            words = put_url(line)
            outcome = dry(folder, *words)
            equal((outcome.status, outcome.out), (2, ""), line)
            offered = [shlex.split(one) for one in outcome.err.splitlines()
                       if one.startswith("weir-load as ")]
            equal(offered, [["weir-load", "as", tool, *words]
                            for tool in tools], f"{line}: {outcome.err}")
            equal("write:" in outcome.err, bool(tools), outcome.err)
            for _, _, tool, *rest in offered:
                taken = dry(folder, "as", "--dry-run", tool, *rest,
                            text=f"GET {URL}\n")
                equal(taken.status, 0, f"{line}: {taken.err}")

    with_files(check)


def test_targets_of_vegeta_stand_on_standard_input():
    def check(folder):
        words = ["as", "--dry-run", "vegeta", "attack", "-duration=1s"]
        for text, native in (
                (f"GET {URL}x\n",
                 f"-c 50 -d 1s -w 0 -R 50 --timeout 30s {GZIP} Ux"),
                (FILES["many.txt"],
                 "--urls /dev/fd/3 -c 50 -d 1s -w 0 -R 50 --timeout 30s "
                 f"{GZIP} O")):
            outcome = dry(folder, *words, text=text)
            equal(outcome.status, 0, outcome.err)
            equal(shlex.split(outcome.err)[4:],
                  ["--dry-run", *put_url(native)], text)

    with_files(check)


def test_a_link_with_the_name_of_a_tool_is_the_tool():
    with Serve("--mode", "http") as server, \
            tempfile.TemporaryDirectory() as folder:
        link = os.path.join(folder, "ab")
        os.symlink(WEIR_LOAD, link)
        outcome = command(link, "-n", "3", "-q", f"127.0.0.1:{server.port}/")
        equal(outcome.status, 0, outcome.err)
        equal("Status      200: 3" in outcome.out, True, outcome.out)
        matches(outcome.out, r"\A.* 1 thread, 1 connection, depth 1, 3 requests,")


def test_a_tool_without_a_grammar_is_answered_with_the_page():
    for tool in ("memtier", "iperf3", "k6"):
        outcome = command(WEIR_LOAD, "as", tool, "-c", "10")
        equal((outcome.status, outcome.out), (2, ""), tool)
        equal(outcome.err.startswith(f"weir-load: as {tool}: the tools are wrk, ")
              and "coming-from.md" in outcome.err, True, outcome.err)


def read_guide():
    """Returns the lines of the page's tables, and ours; and the answer of its
    example."""
    with open(GUIDE, encoding="utf-8") as file:
        text = file.read()
    return (re.findall(r"^\| `(.*?)` \| `(.*?)` \|", text, re.M),
            re.search(r"^\$ weir-load as (.*)\n(weir-load.*)\n", text, re.M))


def test_each_line_of_the_guide_is_as_it_says():
    def check(folder):
        rows, example = read_guide()
        equal(len(rows) > 20, True, f"{len(rows)} rows")
        rows += [(example[1], example[2].split(": weir-load ")[1])]
        for theirs, ours in rows:
            tool, *words = shlex.split(theirs)
            if "--http2" in ours and not HAS_HTTP2:
                continue
            if ours.startswith("weir-load "):
                words = shlex.split(ours)[1:]
                if words[0] != "serve":
                    outcome = dry(folder, *words, "--dry-run")
                    equal((outcome.status, outcome.err), (0, ""), ours)
            elif tool != "run" and not tool.startswith("-"):
                outcome = dry(folder, "as", "--dry-run", tool, *words)
                equal(outcome.status, 0, outcome.err)
                equal(shlex.split(outcome.err)[5:], shlex.split(ours), theirs)

    with_files(check)


run(globals())
