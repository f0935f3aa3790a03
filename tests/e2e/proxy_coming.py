"""The pages of the guide for users of other proxies: weir-proxy accepts each line of
their tables as a configuration, and nginx, if installed, accepts each of its
directives."""

import os
import re
import shutil
import subprocess
import tempfile

from harness import Skip, command, equal, run
from proxying import PROXY
import manual

GUIDE = os.path.join(manual.TOOLS, "../include/guide")
PAGES = ("from-haproxy.md", "from-nginx.md", "from-stunnel.md")
CERTIFICATES = os.environ.get("WEIR_TLS_CERTIFICATES", "")
# Replacements for N and NAME in a page.
SAMPLES = {"trust": "10.0.0.0/8", "client-allow": "10.0.0.0/8",
           "to-name": "a.example", "route": "a.example", "user": "nobody",
           "group": "nogroup", "client-conns": "10", "client-rate": "10/10s",
           "client-name": "cn:app", "admin": "127.0.0.1:0",
           "handover": "/tmp/weir-proxy-next"}
# Directives that need others, which a row may omit.
NEEDS = {"trust": "accept-proxy = any", "hello-timeout": "accept-proxy = any",
         "queue": "limit = 5",
         "when-down": "check = 2s", "when-back": "check = 2s",
         "client-name": "client-ca = F", "require-client-cert": "client-ca = F"}
OF_TLS = {"cert", "key-passphrase-file", "client-ca", "tls-min", "ciphers", "groups",
          "alpn", "route", "unknown-name", "client-crl", "client-name", "passthrough",
          "handshake-timeout", "send-proxy-tlv"}


def read(name):
    with open(os.path.join(GUIDE, name), encoding="utf-8") as file:
        return file.read()


def rows(page):
    """Returns the two columns of each row of a two-column table."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in
                 re.split(r"(?<!\\) \| ", line.strip("| "))]
        if line.startswith("| ") and len(cells) == 2:
            yield cells


def scopes():
    """Returns the scope of each directive, from --help."""
    found, scope = {}, None
    for line in command(PROXY, "--help").out.splitlines():
        if title := re.match(r"(Program|Service|Route|Target|General)",
                             line):
            scope = title[1]
        elif word := re.match(r"  (?:-\w, | {4})--([\w-]+)", line):
            found[word[1]] = scope
    return found


class Files:
    """Values for the placeholders of the pages."""

    def __init__(self, folder):
        self.folder = folder
        os.mkdir(os.path.join(folder, "conf.d"))
        self.networks = os.path.join(folder, "networks")
        with open(self.networks, "w", encoding="utf-8") as file:
            file.write("192.0.2.0/24\n")
        self.both = os.path.join(folder, "both.pem")
        with open(self.both, "w", encoding="utf-8") as file:
            for name in ("rsa.pem", "rsa.key"):
                with open(os.path.join(CERTIFICATES, name),
                          encoding="utf-8") as part:
                    file.write(part.read())

    def value(self, word, value):
        if re.fullmatch(r"@F", value):
            return "@" + self.networks
        if value in ("F", "C", "site.pem") or value.startswith("/etc/ssl/"):
            name = ("ca.pem" if word.endswith("-ca") else
                    "rsa.key" if word.endswith("key") else
                    self.both)
            return os.path.join(CERTIFICATES, name)
        if value == "K":
            return os.path.join(CERTIFICATES, "rsa.key")
        if value in ("D", "DIR", "FOLDER"):
            return self.folder
        if word in SAMPLES and re.fullmatch(r"[A-Z:]+|N/10s", value):
            return SAMPLES[word]
        return value.replace("tls://…", "tls://a.example:443")


def configuration(spans, scope, files):
    """Returns a complete configuration that contains these directives."""
    said = [(word, files.value(word, value)) for word, value in spans
            if not word.endswith("-crl")]  # of which there is no file here
    words = {word for word, _ in said}
    for word in list(words):
        need = ("check = text" if word in ("check-send", "check-expect") else
                "check = http" if word.startswith("check-") else "")
        more, _, value = NEEDS.get(word, need).partition(" = ")
        if more and more not in words and more in scope:
            said.append((more, files.value(more, value)))
            words.add(more)
    parts = {name: [f"{word} = {value}" for word, value in said
                    if scope[word] == name and word not in ("listen", "to",
                                                             "route")]
             for name in ("Program", "Service", "Route", "Target")}
    has_tls = bool(words & OF_TLS)
    listens = [f"listen = {value}" for word, value in said if word == "listen"]
    routes = [f"route = {value}" for word, value in said if word == "route"]
    targets = [f"to = {value}" for word, value in said if word == "to"]
    lines = parts["Program"] + ["[s]"]
    lines += listens or [f"listen = {'tls' if has_tls else 'tcp'}://127.0.0.1:0"]
    lines += parts["Service"]
    if not words & {"cert", "passthrough"} and ("route-as", "plain") not in said and (
            has_tls or "any://" in str(listens)):
        lines.append("cert = " + files.value("cert", "F"))
    lines += routes + parts["Route"]
    group = re.match(r"to = @(.*)", targets[0]) if targets else None
    lines += targets or ["to = tls://a.example:443" if any(
        word.startswith("to-") for word in words) or ("check", "tls") in said
        else "to = tcp://a.example:1" if words & {"resolve", "resolver"}
        else "to = tcp://127.0.0.1:1"]
    lines += parts["Target"]
    if "when-back" in words:
        lines += ["to = tcp://127.0.0.1:2", "backup = on"]
    if group:
        lines += [f"[targets {group[1]}]", "to = tcp://127.0.0.1:1"]
    return "\n".join(lines) + "\n"


def variants(spans):
    """A directive that a row has twice, if it is not additive, is tested in two
    configurations."""
    found = [spans]
    for word in {word for word, _ in spans} - {"listen", "to", "client-name"}:
        values = [value for name, value in spans if name == word and not
                  (word == "check" and value[0].isdigit())]
        if len(values) > 1:
            found = [[(name, value) for name, value in one if name != word or
                      value not in values or value == chosen]
                     for one in found for chosen in values]
    return found


def fault_of(text, folder, about):
    """Returns the error of -t for an invalid configuration, or nothing."""
    path = os.path.join(folder, "proxy.ini")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    outcome = command(PROXY, "-t", "--config", path)
    return [] if outcome.status == 0 else [f"{about}: {outcome.err}\n{text}"]


def test_each_line_of_the_tables_is_a_configuration():
    if not CERTIFICATES:
        raise Skip("there are no certificates")
    scope = scopes()
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        for name in PAGES:
            count = 0
            for there, here in rows(read(name)):
                spans = re.findall(r"`([a-z][a-z-]*) = ([^`]+)`", here)
                unknown = {word for word, _ in spans} - set(scope)
                equal(unknown, set(), f"words of {name}: {there}")
                if not spans or "or `" in here or (
                        os.geteuid() != 0 and {"user", "chroot", "group"} &
                        {word for word, _ in spans}):
                    continue
                for one in variants(spans):
                    faults += fault_of(configuration(one, scope, files),
                                       folder, f"{name}: {there}")
                count += 1
            equal(count >= 25, True, f"{count} lines of {name}")
    equal(faults, [], "\n".join(faults))


def test_each_configuration_of_the_pages_is_one():
    if not CERTIFICATES:
        raise Skip("there are no certificates")
    with tempfile.TemporaryDirectory() as folder:
        files = Files(folder)
        for name in PAGES:
            blocks = re.findall(r"^```(?:ini\n|\n(?=admin = ))(.*?)^```",
                                read(name), re.M | re.S)
            for block in blocks:
                text = re.sub(r"^([\w-]+) = (/etc/ssl/\S+)", lambda found:
                              f"{found[1]} = "
                              f"{files.value(found[1], found[2])}", block,
                              flags=re.M)
                equal(fault_of(text, folder, name), [], name)
            equal(len(blocks) > 0, True, f"configurations of {name}")


# ---- nginx ----

# Where a row's directive belongs, by its prefix; all others are in server {}.
IN_UPSTREAM = re.compile(r"least_conn|hash |random |zone ")
OF_SERVER = re.compile(r"server |weight=|max_fails=|down$|max_conns=|backup$")
OF_MAIN = re.compile(r"worker_|user |env |error_log")
IN_STREAM = re.compile(r"limit_conn_zone|map |geo|log_format|resolver ")
# Not in the free nginx, incomplete, or an option of its command line.
NO_DIRECTIVE = re.compile(
    r"slow_start|queue|upstream | resolve$|nginx |kill |stub_status|include |so_keepalive|"
    r"access_log|env |worker_connections|ssl_crl|limit_conn_dry_run|default |map |geo$|down|b$|"
    r"ssl_reject_handshake|ssl_alpn|deny all|limit_conn addr|log_format|a\.example|"
    r"\"\"|user |udp_|proxy_ssl_certificate|set_real_ip_from$|error_log$")


def nginx_configuration(directive):
    places = dict.fromkeys(("main", "stream", "upstream", "server"), "")
    listen = "listen 127.0.0.1:1;"
    server = "server 10.0.0.1:5432"
    if OF_SERVER.match(directive):
        server = directive if directive.startswith("server ") else \
            f"{server} {directive}"
    elif directive.startswith("listen"):
        listen = directive + ";"
    elif OF_MAIN.match(directive):
        places["main"] = directive + ";"
    elif IN_STREAM.match(directive):
        places["stream"] = directive + (" zone=a:1m;" if "limit" in directive
                                        else ";")
    elif IN_UPSTREAM.match(directive):
        places["upstream"] = directive + ";"
    else:
        places["server"] = directive + ";"
    if " ssl" in listen or directive.startswith("ssl_"):
        for word, name in (("ssl_certificate", "rsa.pem"),
                           ("ssl_certificate_key", "rsa.key")):
            if not directive.startswith(word + " "):
                places["server"] += f"{word} {CERTIFICATES}/{name};"
    second = "" if "backup" not in server and "hash" not in directive \
        else "server 10.0.0.2:5432;"
    return (f"{places['main']} events {{}} stream {{ {places['stream']} "
            f"upstream u {{ {places['upstream']} {server}; {second} }} "
            f"server {{ {listen} {places['server']} "
            f"{'' if 'proxy_pass ' in directive else 'proxy_pass u;'} }} }}")


def test_nginx_takes_what_is_said_of_it():
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    if not os.path.exists(nginx) or not CERTIFICATES:
        raise Skip("there is no nginx, or no certificate")
    page = read("from-nginx.md")
    page = page[page.index("## Line by line"):page.index("## Other proxies")]
    load = f"load_module {module}; " if os.path.exists(module) else ""
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "nginx.conf")
        for there, _ in rows(page):
            for directive in re.findall(r"`([^`]+)`", there):
                if NO_DIRECTIVE.search(directive):
                    continue
                words = directive
                for letter, name in (("F", "rsa.pem"), ("K", "rsa.key")):
                    words = re.sub(rf" {letter}\b", f" {CERTIFICATES}/{name}",
                                   words)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(f"{load}pid {folder}/pid; error_log stderr; "
                               + nginx_configuration(words))
                outcome = subprocess.run(
                    [nginx, "-t", "-c", path, "-p", folder],
                    capture_output=True, text=True, check=False)
                if "unknown directive \"stream\"" in outcome.stderr:
                    raise Skip("this nginx has no stream")
                equal(outcome.returncode, 0,
                      f"nginx with '{directive}': {outcome.stderr}")
                count += 1
    equal(count > 30, True, f"{count} directives")


run(globals())
