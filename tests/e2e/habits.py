"""What people type by habit, and what weir-load makes of it.

The lines are those of users of other tools, with U for a URL, PORT for its port
and the files that they name. A line runs as it is, or it is refused with the
line to write, which a shell takes and which runs then; the few that weir-load
cannot say are refused with the reason.
"""

import os
import re
import shlex
import tempfile

from harness import (PATIENT, WEIR_LOAD, Serve, command, equal, matches, run)

RUNS = object()


class Refused:  # pylint: disable=too-few-public-methods
    """There is no line to write, and this is why."""

    def __init__(self, why):
        self.why = why


HABITS = (
    ('wrk', '-t2 -c10 -d1s U',
     RUNS),
    ('wrk', '-t2 -c10 -d1s --latency U',
     RUNS),
    ('wrk', '-t 2 -c 10 -d 1s --timeout 2s U',
     RUNS),
    ('wrk', "-t2 -c10 -d1s -H 'Authorization: Bearer x' U",
     RUNS),
    ('wrk', '-t2 -c10 -d1s -s post.lua U',
     '-t2 -c10 -d1s -X POST -H \'Content-Type: application/json\' -b \'{"a":1}\' U'),
    ('wrk', '-c 10 -d 1s --script=post.lua --latency U',
     '-c 10 -d 1s -X POST -H \'Content-Type: application/json\' -b \'{"a":1}\' --latency U'),
    ('wrk', '-t2 -c10 -d1s -T2s U',
     '-t2 -c10 -d1s --timeout 2s U'),
    ('wrk', '--threads 2 --connections 10 --duration 1s U',
     RUNS),
    ('wrk2', '-t2 -c10 -d1s -R500 U',
     RUNS),
    ('wrk2', '-t2 -c10 -d1s -R500 -L U',
     RUNS),
    ('wrk2', '-D exp -t2 -c10 -d1s -L -s body.lua U -R 500',
     '--arrival poisson -t2 -c10 -d1s -L -X GET -b a -R 500 U'),
    ('wrk2', '-D fixed -t2 -c10 -d1s -R500 -P U',
     '-t2 -c10 -d1s -R500 --log requests.csv U'),
    ('wrk2', '-t2 -c10 -d1s -R500 --latency --u_latency U',
     RUNS),
    ('wrk2', '-t2 -c10 -d1s -R 500 -U -s post.lua U',
     '-t2 -c10 -d1s -R 500 -U -X POST -H \'Content-Type: application/json\' -b \'{"a":1}\' U'),
    ('oha', 'U',
     RUNS),
    ('oha', '-n 100 -c 10 U',
     RUNS),
    ('oha', '-z 1s -c 10 --no-tui U',
     RUNS),
    ('oha', '-z 1s -c 10 -q 200 --latency-correction --disable-keepalive U',
     '-z 1s -c 10 -R 200 --latency-correction --disable-keepalive U'),
    ('oha', '-c 10 -z 1s -m POST -d \'{"a":1}\' -T application/json U',
     '-c 10 -z 1s -m POST -b \'{"a":1}\' -H \'Content-Type: application/json\' U'),
    ('oha', '-n 100 -c 10 --no-tui -j U',
     RUNS),
    ('oha', '-n 100 -c 10 --no-tui --output-format json U',
     RUNS),
    ('oha', '-n 100 -c 10 --http-version 1.1 U',
     RUNS),
    ('oha', '-n 100 -c 10 --http2 U',
     RUNS),
    ('oha', '-n 100 -c 10 --http-version 2 U',
     RUNS),
    ('oha', '-n 100 -c 10 --json out.json U',
     '-n 100 -c 10 --json --json=out.json U'),
    ('oha', '-n 100 -c 10 --output-format json -o out.json U',
     '-n 100 -c 10 --output-format json --json=out.json U'),
    ('oha', '-n 100 -c 10 -t 5s --insecure U',
     '-n 100 -c 10 --timeout 5s --insecure U'),
    ('oha', '-n 100 -c 10 --host example.com U',
     "-n 100 -c 10 -H 'Host: example.com' U"),
    ('oha', '-n 100 -c 10 -D body.json -m PUT U',
     '-n 100 -c 10 -b @body.json -m PUT U'),
    ('oha', '-z 1m30s -c 10 --no-tui U',
     RUNS),
    ('oha', '-n 100 -c 10 --redirect 0 --disable-compression U',
     '-n 100 -c 10 --disable-compression U'),
    ('oha', "-n 100 -c 10 -H 'A: b' -a user:pass U",
     '-n 100 -c 10 -H \'A: b\' -H "Authorization: Basic $(printf %s user:pass | base64)" U'),
    ('oha', '-n 100 --urls-from-file urls.txt',
     "-n 100 --urls urls.txt http://127.0.0.1:9"),
    ('oha', '-n 100 -p 10 --http2 U',
     RUNS),
    ('oha', '-z 1s -c 10 --burst-delay 1s --burst-rate 10 U',
     Refused("--burst-delay 1s: bursts are not sent; --stages STAGES")),
    ('hey', '-n 200 -c 10 U',
     RUNS),
    ('hey', '-z 1s -c 10 U',
     RUNS),
    ('hey', '-z 1s -c 10 -q 10 U',
     '-z 1s -c 10 -R 10 U'),
    ('hey', "-n 100 -c 10 -m POST -d '{}' -T application/json U",
     "-n 100 -c 10 -m POST -b '{}' -H 'Content-Type: application/json' U"),
    ('hey', '-n 100 -c 10 -D body.json U',
     '-n 100 -c 10 -b @body.json U'),
    ('hey', '-n 100 -c 10 -t 2 U',
     RUNS),
    ('hey', '-n 100 -c 10 -host example.com U',
     "-n 100 -c 10 -H 'Host: example.com' U"),
    ('hey', '-n 100 -c 10 -disable-keepalive U',
     RUNS),
    ('hey', '-n 100 -c 10 -h2 U',
     RUNS),
    ('hey', '-n 100 -c 10 -A text/html -o csv U',
     "-n 100 -c 10 -H 'Accept: text/html' --log requests.csv U"),
    ('hey', '-n 100 -c 10 -a user:pass -disable-compression -disable-redirects U',
     '-n 100 -c 10 -H "Authorization: Basic $(printf %s user:pass | base64)" '
     '-disable-compression -disable-redirects U'),
    ('hey', '-n 100 -c 10 -x http://proxy:3128 U',
     Refused("-x http://proxy:3128: proxies of HTTP are not spoken to")),
    ('hey', '-n 100 -c 10 -cpus 2 U',
     '-n 100 -c 10 -t 2 U'),
    ('ab', '-n 100 -c 10 U',
     RUNS),
    ('ab', '-k -n 100 -c 10 U',
     RUNS),
    ('ab', '-n100 -c10 -k -q U',
     RUNS),
    ('ab', '-t 1 -c 10 U',
     RUNS),
    ('ab', '-n 100 -c 10 -p post.json -T application/json U',
     "-n 100 -c 10 -b @post.json -H 'Content-Type: application/json' U"),
    ('ab', '-n 100 -c 10 -C session=1 -A user:pass U',
     '-n 100 -c 10 -H \'Cookie: session=1\' -H "Authorization: Basic $(printf %s user:pass | '
     'base64)" U'),
    ('ab', '-n 100 -c 10 -i U',
     '-n 100 -c 10 -X HEAD U'),
    ('ab', '-n 100 -c 10 -l -r -s 30 U',
     '-n 100 -c 10 -l --timeout 30 U'),
    ('ab', '-n 100 -c 10 -u put.json -T application/json U',
     "-n 100 -c 10 -X PUT -b @put.json -H 'Content-Type: application/json' U"),
    ('ab', '-n 100 -c 10 -m DELETE U',
     RUNS),
    ('ab', '-n 100 -c 10 -e out.csv -g out.tsv U',
     '-n 100 -c 10 --hgrm out.csv --log out.tsv U'),
    ('bombardier', '-c 10 -d 1s -l U',
     RUNS),
    ('bombardier', '-c 10 -n 100 U',
     RUNS),
    ('bombardier', '-c 10 -d 1s -r 200 --fasthttp -t 2s U',
     '-c 10 -d 1s -R 200 --fasthttp --timeout 2s U'),
    ('bombardier', "-c 10 -n 100 -m POST -b '{}' -H 'Content-Type: application/json' U",
     RUNS),
    ('bombardier', '-c 10 -n 100 -m POST -f body.json --http1 U',
     '-c 10 -n 100 -m POST -b @body.json --http1 U'),
    ('bombardier', '-c 10 -n 100 -o json -p r U',
     '-c 10 -n 100 -o json U'),
    ('bombardier', '-c 10 -d 1s --http2 -k U',
     RUNS),
    ('bombardier', '-c 10 -n 100 -a U',
     '-c 10 -n 100 --disable-keepalive U'),
    ('k6', 'run --vus 10 --duration 1s script.js',
     'run -c 10 --duration 1s http://HOST:PORT/'),
    ('k6', 'run -u 10 -i 100 --out json=out.json script.js',
     'run -c 10 -n 100 --json=out.json http://HOST:PORT/'),
    ('k6', 'run --stage 1s:10,500ms:10,500ms:1 script.js',
     'run --conn-stages 1s:10,500ms:10,500ms:1 http://HOST:PORT/'),
    ('k6', 'run --stage 1s:10 --stage 1s:0 -u 1 script.js',
     'run --conn-stages 1s:10,1s:0 http://HOST:PORT/'),
    ('k6', 'run -s 1s:10,1s:0 script.js',
     'run --conn-stages 1s:10,1s:0 http://HOST:PORT/'),
    ('vegeta', 'attack -duration=1s -rate=200 U',
     '-duration=1s -rate=200 U'),
    ('vegeta', '-rate=200/s -duration=1s -targets=targets.txt',
     "-rate=200/s -duration=1s --urls targets.txt http://127.0.0.1:9"),
    ('vegeta', '-rate=200/1s -duration=1s -connections=10 U',
     RUNS),
    ('vegeta', '-rate=6000/m -duration=1s U',
     RUNS),
    ('vegeta', 'attack -rate=0 -max-workers=10 -keepalive=true -http2=false '
     '-session-tickets=false -lazy=true U',
     '-c 10 U'),
    ('vegeta', '-rate=100 -duration=1s -laddr=127.0.0.1 -max-connections=5 U',
     '-rate=100 -duration=1s --bind 127.0.0.1 -c 5 U'),
    ('vegeta', '-duration=1s -rate=0 -max-workers=10 U',
     '-duration=1s -c 10 U'),
    ('vegeta', "-rate=200 -duration=1s -workers=10 -timeout=2s -body=body.json -header='A: b' "
     "-insecure U",
     "-rate=200 -duration=1s -timeout=2s -b @body.json '-header=A: b' -insecure U"),
    ('vegeta', '-rate=200 -duration=1s -keepalive=false -redirects=-1 -http2=false U',
     '-rate=200 -duration=1s --disable-keepalive U'),
    ('h2load', '-n100 -c10 -m10 U',
     '-n100 -c10 -p 10 --http2 U'),
    ('h2load', '-n100 -c10 -m10 --h1 U',
     '-n100 -c10 -p 10 --h1 U'),
    ('h2load', '-D 1 -c 10 -t 2 --warm-up-time=1 U',
     '-d 1 -c 10 -t 2 --warm-up-time=1 U'),
    ('h2load', "-n100 -c10 -d body.json -H 'A: b' --h1 U",
     "-n100 -c10 -b @body.json -H 'A: b' --h1 U"),
    ('h2load', '-c10 -D1 --rps=10 -T 5 --h1 U',
     '-c10 -d 1 --rps=10 --timeout 5 --h1 U'),
    ('h2load', '-n100 -c10 -p http/1.1 U',
     '-n100 -c10 U'),
    ('h2load', '-n100 -c10 --npn-list=h2,http/1.1 U',
     '-n100 -c10 --http2 U'),
    ('h2load', '-n100 -c10 --alpn-list=http/1.1 U',
     '-n100 -c10 U'),
    ('h2load', '-n2 -c1 --no-tls-proto=h2c U',
     '-n2 -c1 --http2 U'),
    ('h2load', '-n100 -c10 -p h2c U',
     '-n100 -c10 --http2 U'),
    ('h2load', '-D 1 -t 8 -c 8 -m 64 -w 30 -W 30 -f 128K U',
     '-d 1 -t 8 -c 8 -p 64 --http2 U'),
    ('h2load', '-n100 -c10 -m10 --encoder-header-table-size=8K U',
     '-n100 -c10 -p 10 --http2 --header-table 8K U'),
    ('h2load', '-n100 -c10 -m10 --log-file=times.txt --histogram U',
     '-n100 -c10 -p 10 --http2 --log times.txt U'),
    ('iperf3', '-s',
     'serve --mode discard tcp://0.0.0.0:5201'),
    ('iperf3', '-s -p 5202',
     'serve --mode discard tcp://0.0.0.0:5202'),
    ('iperf3', '-c 127.0.0.1 -t 1',
     '--mode stream -c 1 -d 1 tcp://127.0.0.1:5201'),
    ('iperf3', '-c 127.0.0.1 -p 5202 -t 1 -P 4 -R',
     '--mode stream -c 4 --direction down -d 1 tcp://127.0.0.1:5202'),
    ('iperf3', '-u -c 127.0.0.1 -b 100M -t 1 -l 1200',
     '-c 1 -R 10416 -p 64 --send 1200 -d 1 udp://127.0.0.1:5201'),
    ('iperf3', '--client=127.0.0.1 -u --parallel=2 --port=5202',
     '-c 2 -R 208 -p 64 --send 1200 -d 10 udp://127.0.0.1:5202'),
    ('iperf3', '-u -c 127.0.0.1 -b 0 -t 1 -P 2',
     '-c 2 -p 64 --send 1200 -d 1 udp://127.0.0.1:5201'),
    ('iperf3', '-u -c 127.0.0.1 -b 1M/10 -t 1',
     Refused("over UDP each datagram is answered")),
    ('iperf3', '-c 127.0.0.1 -n 1G', Refused("iperf3's streams")),
    ('iperf3', '-c 127.0.0.1 -b 10M', Refused("iperf3's streams")),
    ('iperf3', '-c 127.0.0.1 -t 0', Refused("iperf3's streams")),
    ('iperf3', '-c 127.0.0.1 -t 1 -P 4 -w 256K -l 128K --bidir',
     '--mode stream -c 4 --send 128K --direction both -d 1 tcp://127.0.0.1:5201'),
    ('netperf', '-H 127.0.0.1 -t TCP_RR -l 1 -- -r 64',
     '--mode rr -c 1 --send 64 -d 1 tcp://127.0.0.1:12865'),
    ('netperf', '-t TCP_RR -H 127.0.0.1 -p 1000 -l30 -- -r 64,128',
     '--mode rr -c 1 --send 64 --recv 128 -d 30 tcp://127.0.0.1:1000'),
    ('netperf', '-H localhost -t TCP_CRR',
     '--mode crr -c 1 --send 1 -d 10 tcp://localhost:12865'),
    ('netperf', '-H 127.0.0.1 -l10 -- -m 16384',
     '--mode stream -c 1 --send 16384 -d 10 tcp://127.0.0.1:12865'),
    ('netperf', '-H 127.0.0.1 -t TCP_MAERTS',
     '--mode stream --direction down -c 1 -d 10 tcp://127.0.0.1:12865'),
    ('netperf', '-H 127.0.0.1 -t UDP_RR',
     '--mode rr -c 1 --send 16 -d 10 udp://127.0.0.1:12865'),
    ('netperf', '-H 127.0.0.1 -t UDP_STREAM',
     Refused("netperf's tests are modes")),
    ('sockperf', 'server --tcp -i 0.0.0.0 -p 11111',
     'serve tcp://0.0.0.0:11111'),
    ('sockperf', 'ping-pong -i 127.0.0.1 --tcp -m 350 -t 101 -p 12345 --full-rtt',
     '--mode rr -c 1 --send 350 -d 101 tcp://127.0.0.1:12345'),
    ('sockperf', 'pp -i 127.0.0.1',
     '-c 1 --send 16 -d 1 udp://127.0.0.1:11111'),
    ('sockperf', 'under-load --tcp -i 127.0.0.1 -t 5 --mps=2000 -m 64',
     '--mode rr -c 1 -p 64 -R 2000 --send 64 -d 5 tcp://127.0.0.1:11111'),
    ('sockperf', 'under-load -i 127.0.0.1 --mps=max',
     '-c 1 -p 64 --send 16 -d 1 udp://127.0.0.1:11111'),
    ('sockperf', 'under-load -i 127.0.0.1 --mps=some',
     Refused("sockperf's tests are mode rr")),
    ('sockperf', 'throughput -i 127.0.0.1 --msg-size 1472',
     '-c 1 -p 64 --send 1472 -d 1 udp://127.0.0.1:11111'),
    ('tcpkali', '-c 50 -T 10s -m PING 127.0.0.1:9000',
     '-c 50 -d 10s --request PING --expect len:4 tcp://127.0.0.1:9000'),
    ('tcpkali', "--workers 2 -c 50 -r 100 -T 10s -em 'PING\\r\\n' 127.0.0.1:9000",
     "-c 50 -t 2 -R 5000 -d 10s --request 'PING\\r\\n' --expect len:6 tcp://127.0.0.1:9000"),
    ('tcpkali', "-m 'ping\n' -c 100 --connect-rate=2000 --duration=60s 127.0.0.1:9000",
     "-c 100 --conn-rate 2000 -d 60s --request 'ping\\n' --expect len:5 tcp://127.0.0.1:9000"),
    ('tcpkali', '--ws -c 50 -T 10s -m hello 127.0.0.1:9000',
     '-c 50 -d 10s -b hello ws://127.0.0.1:9000'),
    ('tcpkali', r"-T 10s -em '\x41B\\C\xfe' 127.0.0.1:9000",
     r"-c 1 -d 10s --request 'AB\\C\xfe' --expect len:5 tcp://127.0.0.1:9000"),
    ('tcpkali', r"-T 10s -m 'a\n' 127.0.0.1:9000",
     r"-c 1 -d 10s --request 'a\\n' --expect len:3 tcp://127.0.0.1:9000"),
    ('tcpkali', r"--ws -T 10s -em 'a\x41\\' 127.0.0.1:9000",
     r"-c 1 -d 10s -b 'aA\' ws://127.0.0.1:9000"),
    ('tcpkali', r"-T 10s -em 'a\q' 127.0.0.1:9000",
     Refused("tcpkali's messages")),
    ('tcpkali', '-c some -T 10s -m a 127.0.0.1:9000',
     Refused("tcpkali's messages")),
    ('siege', '-c 10 -t 1S U',
     '-c 10 -d 1s U'),
    ('siege', '-c10 -t30S -b U',
     '-c10 -d 30s U'),
    ('siege', '-b -c 10 -r 10 U',
     '-c 10 -n 100 U'),
    ('siege', '-c 10 -r 10 -f urls.txt -i',
     "-c 10 -n 100 --urls urls.txt http://127.0.0.1:9"),
    ('siege', '-c 10 -t1M -H \'A: b\' --content-type \'application/json\' \'U POST {"a":1}\'',
     '-c 10 -d 1m -H \'A: b\' -H \'Content-Type: application/json\' -X POST -b \'{"a":1}\' U'),
    ('siege', '-b -c 5 -f urls.txt -r once -A UA',
     "-c 5 --urls urls.txt http://127.0.0.1:9 -n 2 -H 'User-Agent: UA'"),
    ('siege', '-c 10 -t 2M --no-follow --internet --file=urls.txt --reps=once',
     '-c 10 -d 2m --urls urls.txt http://127.0.0.1:9 -n 2'),
    ('siege', '--concurrent=10 --reps=20 U',
     '--concurrent=10 -n 200 U'),
    ('siege', '-d 1 -c 10 -r 10 U',
     '-d 1 -c 10 -R 10 U'),
    ('autocannon', '-c 10 -d 1 U',
     RUNS),
    ('autocannon', '-c 10 -d 1 -p 2 -w 2 U',
     RUNS),
    ('autocannon', "-c 10 -a 100 -m POST -b '{}' U",
     "-c 10 -n 100 -m POST -b '{}' U"),
    ('autocannon', '-c 10 -d 1 -R 200 -l -j U',
     RUNS),
    ('autocannon', '-c 10 -d 1 -t 2 --renderStatusCodes -n U',
     '-c 10 -d 1 -t 2 --renderStatusCodes U'),
    ('autocannon', "-c 10 -d 1 -H 'Authorization=Bearer x' U",
     "-c 10 -d 1 -H 'Authorization: Bearer x' U"),
    ('autocannon', "-c 10 -d 1 --headers 'A: b' --header C=d U",
     "-c 10 -d 1 --headers 'A: b' -H 'C: d' U"),
    ('autocannon', '-c 10 -d 1 localhost:PORT/path',
     RUNS),
    ('autocannon', '-i body.json -m PUT -c 10 -a 100 U',
     '-b @body.json -m PUT -c 10 -n 100 U'),
    ('plow', '-c 10 -d 1s U',
     RUNS),
    ('plow', '-c 10 -n 100 --rate 200 U',
     RUNS),
    ('plow', '-c 10 -n 100 --body @body.json -T application/json -m POST U',
     "-c 10 -n 100 --body @body.json -H 'Content-Type: application/json' -m POST U"),
    ('plow', '-c 10 -d 1s --json --summary --listen :18888 U',
     '-c 10 -d 1s --json U'),
    ('locust', '-f locustfile.py --headless -u 10 -r 2 -t 1m --host U',
     '-c 10 -R 2 -d 1m U'),
    ('redis-benchmark', '-h 127.0.0.1 -p 6379 -t get,set -n 1000 -c 10 -P 16',
     "-c 10 -n 1000 -p 16 -b 'GET key' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 1000 -c 100 --csv -d 128 -P 8',
     "-c 100 -n 1000 -p 8 -b PING redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 1000 -c 10 -q',
     Refused("no target; write http://")),
    ('redis-benchmark', '-t SET -n 1000 -r 100000 -d 100',
     "-c 50 -n 1000 -b 'SET key:{rand:1:100000} {letters:100}' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-h localhost -a secret -t lpush,lrange_100 -p 6380',
     "-c 50 -n 100000 -b 'LPUSH mylist {letters:3}' redis://:secret@localhost:6380"),
    ('redis-benchmark', "-h localhost -n 9 -a 'p@ss%41' --user u:v -t RPUSH --tls --dbnum 2 -k 0 "
     "--threads 2",
     "-c 50 -t 2 -n 9 --requests-per-conn 1 -b 'RPUSH mylist {letters:3}' "
     "rediss://u%3Av:p%40ss%2541@localhost:6379/2"),
    ('redis-benchmark', '-n 9 -t sadd -r 10',
     "-c 50 -n 9 -b 'SADD myset element:{rand:1:10}' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 9 -t hset,get',
     "-c 50 -n 9 -b 'HSET myhash element {letters:3}' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 9 -t zadd -r 10',
     "-c 50 -n 9 -b 'ZADD myzset {rand:1:10} element:{rand:1:10}' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 9 -t rpop',
     "-c 50 -n 9 -b 'RPOP mylist' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 9 -t mset -r 10',
     "-c 50 -n 9 -b 'MSET" + 10 * " key:{rand:1:10} {letters:3}" +
     "' redis://127.0.0.1:6379"),
    ('redis-benchmark', '-n 9 -t incr --cluster', Refused("Redis is redis:")),
    ('redis-benchmark', '-n some -t incr', Refused("Redis is redis:")),
    ('memtier', '-s 127.0.0.1 -a user:p:w -n 10 -c 1 -t 1 --tls --select-db=3 --tls-skip-verify',
     "-c 1 -t 1 -n 10 --insecure -b 'GET key:{rand:1:10000000}' "
     "rediss://user:p%3Aw@127.0.0.1:6379/3"),
    ('memtier', '--server=127.0.0.1 --authenticate=pw -n 10 -c 1 -t 1',
     "-c 1 -t 1 -n 10 -b 'GET key:{rand:1:10000000}' redis://:pw@127.0.0.1:6379"),
    ('memtier', '-s 127.0.0.1 -n allkeys', Refused("Redis is redis:")),
    ('memtier', '-s 127.0.0.1 --key-pattern=S:S', Refused("Redis is redis:")),
    ('memtier', '-s 127.0.0.1 -p 6379 --ratio=1:10 -n 1000 -c 10 -t 2',
     "-c 20 -t 2 -n 20000 -b 'GET key:{rand:1:10000000}' redis://127.0.0.1:6379"),
    ('memtier', '--server=127.0.0.1 --port=6379 --protocol=redis --clients=10 --threads=2 '
     '--test-time=1 --data-size=32 --ratio=1:0 --pipeline=8 --key-maximum=100',
     "-c 20 -t 2 -d 1 -p 8 -b 'SET key:{rand:1:100} {letters:32}' redis://127.0.0.1:6379"),
    ('memtier', '-s 127.0.0.1 -p 6379 -t 2 -c 8 --pipeline 32 --test-time 1 --key-minimum 1 '
     '--key-maximum 100',
     "-c 16 -t 2 -d 1 -p 32 -b 'GET key:{rand:1:100}' redis://127.0.0.1:6379"),
    ('memtier', '-s 127.0.0.1 -p 6379 --protocol=resp3 --clients=5 --threads=2 --requests=9 '
     '--command="SET __key__ __data__" --key-pattern=R:R',
     "-c 10 -t 2 -n 90 -b 'SET key:{rand:1:10000000} {letters:32}' "
     "'redis://127.0.0.1:6379/?protocol=3'"),
    ('memtier', '-s 127.0.0.1 -p 6379 -c 1 -t 1 --key-minimum=1 --key-maximum=9 --requests=9 '
     '--command="set __key__ abc"',
     "-c 1 -t 1 -n 9 -b 'set key:{rand:1:9} abc' redis://127.0.0.1:6379"),
    ('memtier', '-s 127.0.0.1 --command="set __key__ {x}"', Refused("Redis is redis:")),
    ('memtier', '-s 127.0.0.1 --key-minimum=7', Refused("Redis is redis:")),
    ('tcpkali', "-c10 -r42 -em 'GET / HTTP/1.0\\r\\n\\r\\n' 127.0.0.1:9",
     r"-c 10 -R 420 -d 10 --request 'GET / HTTP/1.0\r\n\r\n' --expect len:18 tcp://127.0.0.1:9"),
    ('oha', '-z 1s -w -q 100 --latency-correction --no-tui --output-format json U',
     '-z 1s -R 100 --latency-correction --no-tui --output-format json U'),
    ('oha', '-z 1s -c 10 U -w', '-z 1s -c 10 U'),
    ('siege', '-c 10 -t 1M --no-parser -b U', '-c 10 -d 1m U'),
    ('memtier', '-s 127.0.0.1 -P memcache_text',
     Refused("Redis is redis://HOST")),
    ('curl', '-k -X POST -d a=b U',
     '-k -X POST -b a=b U'),
    ('curl', "--request POST --data '{}' -H 'A: b' U",
     "-X POST -b '{}' -H 'A: b' U"),
    ('h2load', '--data=body.json U', '-b @body.json U'),
    ('curl', '-I U',
     '-X HEAD U'),
    ('curl', '-L -s -o /dev/null U',
     '-L U'),
    ('', 'example.com',
     'http://example.com'),
    ('', '127.0.0.1:PORT',
     'http://127.0.0.1:PORT'),
    ('', '127.0.0.1:PORT/path?x=1',
     RUNS),
    ('', 'grpc://127.0.0.1:PORT',
     Refused("messages of gRPC are bodies")),
    ('', 'h2c://127.0.0.1:PORT/',
     '--http2 U'),
    ('', ':PORT', 'http://localhost:PORT'),
    ('', 'PORT', 'http://localhost:PORT'),
    ('', '::1', "'http://[::1]'"),
    ('', "'[::1]:PORT'", "'http://[::1]:PORT'"),
    ('', 'http:127.0.0.1:PORT', 'http://127.0.0.1:PORT'),
    ('', 'http:/127.0.0.1:PORT/x', 'http://127.0.0.1:PORT/x'),
    ('', 'https//127.0.0.1:PORT', 'https://127.0.0.1:PORT'),
    ('', 'http:///127.0.0.1:PORT', 'http://127.0.0.1:PORT'),
    ('', 'http://127.0.0.1:PORT?a=b', "'http://127.0.0.1:PORT/?a=b'"),
    ('', 'http://127.0.0.1:PORT/a#b', 'http://127.0.0.1:PORT/a'),
    ('', "'http://127.0.0.1:PORT/a b'", 'http://127.0.0.1:PORT/a%20b'),
    ('', 'http://u:p@127.0.0.1:PORT/',
     '-H "Authorization: Basic $(printf %s u:p | base64)" U'),
    ('', "'http://u%40x:p%3aw@127.0.0.1:PORT/'",
     '-H "Authorization: Basic $(printf %s u@x:p:w | base64)" U'),
    ('', "'http://u%4:p@127.0.0.1:PORT/'", Refused("a user is a header")),
    ('', "'http://u%00:p@127.0.0.1:PORT/'", Refused("a user is a header")),
    ('', 'http+unix:///tmp/x.sock', '--unix /tmp/x.sock http://localhost/'),
    ('', '-n 10 --url U', '-n 10 U'),
    ('', '--target U -n 10', 'U -n 10'),
    ('', '-n 10 --host 127.0.0.1 --port PORT', '-n 10 http://127.0.0.1:PORT'),
    ('', 'GET U', '-X GET U'),
    ('', 'post U -n 10', '-n 10 -X POST U'),
    ('', 'bench U', 'U'),
    ('', '-X post U', '-X POST U'),
    ('', '--method put U', '-X PUT U'),
    ('', '-n 1,000 U', '-n 1000 U'),
    ('', '--requests 1_000_000 U', '-n 1000000 U'),
    ('', '-c 10 -d 1S U', RUNS),
    ('', '-c 10 -d 1sec --timeout 1M U', RUNS),
    ('', '-c 10 -d 1s -R 1K U', RUNS),
    ('', '--no-keepalive -n 10 U', RUNS),
    ('', '--percentile 99 -n 1000 U', RUNS),
    ('', '--no-warmup -d 1s U', '-w 0 -d 1s U'),
    ('', '--keep-alive -n 10 U', '-n 10 U'),
    ('', '--time 1 U', '-d 1 U'),
    ('', '-2 -n 10 U', '--http2 -n 10 U'),
    ('', '--p95 200ms -n 1000 U', "--slo 'p95<200ms' -n 1000 U"),
    ('', "--slo 'p(95)<200' -n 1000 U", "--slo 'p95<200ms' -n 1000 U"),
    ('', "--threshold 'p(99)<1s' -n 1000 U", "--slo 'p99<1s' -n 1000 U"),
    ('', "--threshold 'p(95)' -n 10 U", Refused("an objective is --slo EXPR")),
    ('', "--slo 'p(95)500' -n 10 U", Refused("objectives are written as")),
    ('', "--threshold 'p(95) < 200' -n 1000 U",
     "--slo 'p95 < 200ms' -n 1000 U"),
    ('', '--threshold errors<1% -n 10 U', "--slo 'errors<1%' -n 10 U"),
    ('', '-A text/html -e http://a.example -n 10 U',
     "-H 'Accept: text/html' -H 'Referer: http://a.example' -n 10 U"),
    ('', '-A Mozilla -n 10 U', "-H 'User-Agent: Mozilla' -n 10 U"),
    ('', '--output json -n 10 U', '--json -n 10 U'),
    ('', '--report page.html -n 10 U', '--json=result.json -n 10 U'),
    ('', '-F a=b U', Refused("a form of several parts is a body")),
    ('', '--ramp-up 10s U', Refused("rates that rise are --stages")),
    ('', 'serve PORT', 'serve http://localhost:PORT'),
    ('', 'serve :PORT', 'serve http://localhost:PORT'),
    ('', 'serve -p PORT', 'serve http://localhost:PORT'),
    ('', 'serve --http --port=PORT',
     'serve --mode http http://localhost:PORT'),
    ('', '-s body.lua U', '-X GET -b a U'),
    ('', '-s none.lua U', 'U'),
    ('', '-s code.lua U', "-X METHOD -H 'NAME: VALUE' -b BODY U"),
    ('', '-s join.lua U', "-X METHOD -H 'NAME: VALUE' -b BODY U"),
    ('', '-s path.lua U', "-X METHOD -H 'NAME: VALUE' -b BODY U"),
    ('', '-s nowhere.lua U', "-X METHOD -H 'NAME: VALUE' -b BODY U"),
    ('', '-f hosts.txt', '--urls hosts.txt http://HOST:PORT/'),
    ('', '-targets=mixed.txt', '--urls mixed.txt http://a.example'),
    ('', '-f nowhere.txt', '--urls nowhere.txt http://HOST:PORT/'),
    ('', '-r 10 U', '-R 10 U'),
    ('', '-c 10 -r 10 -t 1S U', '-c 10 -R 10 -d 1s U'),
    ('', "'U POST <body.json'", '-X POST -b @body.json U'),
    ('', "'U POST'", '-X POST U'),
    ('', '--proxy=http://p:1 U', Refused("proxies of HTTP are not spoken to")),
    ('', '-u user:pw U',
     '-H "Authorization: Basic $(printf %s user:pw | base64)" U'),
    ('', '-ql U', RUNS),
    ('', '--redirect=3 U', 'U'),
    ('', '-t 30s U', '-d 30s U'),
    ('', 'search -T a/b --slo p99<1s U',
     "search -H 'Content-Type: a/b' --slo 'p99<1s' U"),
    ('', 'nowhere', Refused("'nowhere' is not a target; for HTTP write http://")),
)

# What a user has still to fill in.
BLANKS = (("HOST:PORT", "127.0.0.1:9"), ("METHOD", "POST"),
          ("//example.com", "//127.0.0.1"))
FILES = {"body.json": '{"a":1}', "post.json": '{"a":1}', "put.json": '{"a":1}',
         "targets.txt": "GET http://127.0.0.1:9/a?b=c\n",
         "urls.txt": "http://127.0.0.1:9\nhttp://127.0.0.1:9/x/\n",
         "hosts.txt": "http://a.example/\nhttp://b.example/\n",
         "mixed.txt": "POST http://a.example/\nA: b\n@body.json\n\n# x\n",
         "post.lua": '-- as JSON\nwrk.method = "POST"\n'
                     "wrk.body   = '{\"a\":1}' -- the body\n"
                     'wrk.headers["Content-Type"] = "application/json";\n',
         "body.lua": 'wrk.body = "a"\n', "none.lua": "-- nothing\n",
         "code.lua": 'wrk.method = "POST"\nrequest = function()\n'
                     "  return wrk.format(nil)\nend\n",
         "join.lua": 'wrk.body = "a" .. "b"\n',
         "path.lua": 'wrk.path = "/x"\n'}


def is_built_for(line):
    """Whether the library is there that a line needs."""
    if re.search("http2|h2c|-h2|h2,|-version 2|-2 |-m ?10|-m 64", line):
        return command(WEIR_LOAD, "--http2", "--dry-run",
                       "http://127.0.0.1:9/").status == 0
    return "localhost" not in line or "WEIR_WITHOUT_NAMES" not in os.environ


def words_of(line, url):
    """The words of a line of the table."""
    return [re.sub(r"\bPORT\b", url.rsplit(":", 1)[1].strip("/"),
                   re.sub(r"^U(?=$| )", url, word))
            for word in shlex.split(line)]


def plan(words, folder):
    """What a line would do; lines of the table that end by themselves do it."""
    return command(WEIR_LOAD, *words, "--dry-run", cwd=folder)


def check_refused(line, outcome, wanted, url):
    """The whole of the answer, whose last line is the one to write."""
    equal((outcome.status, outcome.out), (2, ""), f"{line}: {outcome.err}")
    lines = outcome.err.splitlines()
    if isinstance(wanted, Refused):
        equal(wanted.why in outcome.err, True, f"{line}: {outcome.err}")
        equal("weir-load: write:" in lines, False, outcome.err)
        return None
    port = url.rsplit(":", 1)[1].strip("/")
    written = re.sub(r"(?<![^ ])U(?= |$)", url, wanted).replace(
        "PORT", port) if "HOST:PORT" not in wanted else wanted
    equal(lines[-2:], ["weir-load: write:", f"weir-load {written}"], line)
    for one in lines[:-1]:
        matches(one, r"^weir-load: ", line)
    return lines[-1]


def check_runs(written, folder):
    """A line that is told is one that a shell and weir-load take."""
    for blank, filled in BLANKS:
        written = written.replace(blank, filled)
    if written.startswith(("weir-load serve ", "weir-load search ")) or (
            re.search(r"--urls (hosts|mixed|nowhere)", written)):
        return
    outcome = command("bash", "-c", written.replace(
        "weir-load", shlex.quote(WEIR_LOAD), 1) + " --dry-run", cwd=folder)
    equal((outcome.status, outcome.err), (0, ""), written)


def write_files(folder):
    for name, text in FILES.items():
        with open(os.path.join(folder, name), "w", encoding="ascii") as file:
            file.write(text)


def with_server(check):
    """Calls it for each line of the table, with what weir-load said of it."""
    with Serve("--mode", "http") as server, \
            tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        url = f"http://127.0.0.1:{server.port}/"
        for tool, line, wanted in filter(lambda row: is_built_for(row[1]),
                                         HABITS):
            check(f"{tool} {line}", words_of(line, url), wanted, url, folder)


def test_habits_run_or_are_answered_with_the_line_to_write():
    def check(line, words, wanted, url, folder):
        outcome = plan(words, folder)
        if wanted is RUNS:
            equal((outcome.status, outcome.err), (0, ""), line)
            if not words[0].startswith("-q") and "-q" not in words:
                matches(outcome.out, r"^Target +http://[\w.]+:\d+/", line)
            return
        written = check_refused(line, command(WEIR_LOAD, *words, cwd=folder),
                                wanted, url)
        if written:
            check_runs(written, folder)

    with_server(check)


GUIDE = os.path.join(os.path.dirname(__file__),
                     "../../include/guide/coming-from.md")
ROW = re.compile(r"^\| `(.*?)` \| (.*?) \|(?: .*)? \|$", re.M)


def read_guide():
    """The rows of its tables: their words, and ours or what is said instead."""
    with open(GUIDE, encoding="utf-8") as file:
        text = file.read()
    rows = [(theirs, ours.strip("`").replace("\\|", "|"))
            for theirs, ours in ROW.findall(text)]
    equal(len(rows), text.count("\n| `"), "rows that are read")
    return text, rows


def test_each_row_of_the_guide_is_as_it_says():
    rows = read_guide()[1]
    equal(len(rows) > 70, True, f"{len(rows)} rows")
    with tempfile.TemporaryDirectory() as folder:
        write_files(folder)
        for theirs, ours in filter(lambda row: is_built_for(row[0]), rows):
            url = "http://127.0.0.1:9/"
            is_whole = ours.startswith("weir-load ") or "://" in ours
            words = shlex.split(theirs) + ([] if is_whole else [url])
            if ours == "the same":
                outcome = plan(words, folder)
                equal((outcome.status, outcome.err), (0, ""), theirs)
                continue
            wanted = (Refused("") if ours == "none" else
                      ours.removeprefix("weir-load ") if is_whole else
                      url if ours == "nothing" else f"{ours} {url}")
            written = check_refused(
                theirs, command(WEIR_LOAD, *words, cwd=folder), wanted, url)
            if written and not is_whole:
                check_runs(written, folder)


def test_the_answer_in_the_guide_is_the_answer():
    example = re.search(r"^\$ weir-load (.*)\n((?:weir-load.*\n)+)",
                        read_guide()[0], re.M)
    outcome = command(WEIR_LOAD, *shlex.split(example[1]))
    equal(outcome.err, example[2], "standard error")


def test_habits_with_a_count_send_as_many_requests():
    def check(line, words, wanted, _url, folder):
        if wanted is RUNS and "-n" in words and "--rate" not in words:
            outcome = command(WEIR_LOAD, *PATIENT, *words, cwd=folder)
            equal((outcome.status, outcome.err), (0, ""), line)

    with_server(check)


run(globals())
