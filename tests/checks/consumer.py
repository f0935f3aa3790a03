"""weir can be used by a stranger's program in each of the ways it offers.

The programs are README.md's echo server, so that the example is compiled too,
one that sleeps for a moment, and the example of a server with TLS. They are
built against an installed copy through pkg-config, with shared and with static
libraries, and as a meson project with weir as its subproject: a tarball that
`meson dist` makes of the last commit, through a wrap file. Of an installed copy the
first one has to load, the second one to run with libweir alone, and the third one to
serve a client that knows nothing of weir. With libweir-proxy a fourth one relays. Its
headers lack none that they include. What proxies alone use is all in libweir-proxy,
and nothing of it in libweir; or there is no library, no header, no program and no
page.

And the second one against a build that was not installed, through its
meson-uninstalled/. There the third one and a client are linked once and run with
libweir-tls by wolfSSL and by OpenSSL, which must come to the same verdicts.

Usage: consumer.py installed|uninstalled|exchanged|wrap SOURCE WORK BUILD
The certificates of the server are in the folder WEIR_TLS_CERTIFICATES; without
it the server is built and not run.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading

import promises

# Other tests run beside this one.
NINJA = ("ninja", "-j2", "-C")

# A tar that writes a part of the source package and then kills tools/package.
CUT_OFF = """#!/bin/sh
for word; do
    case $word in *.orig.tar.*) echo part >"$word" && kill -9 $PPID && exit ;; esac
done
exec %s "$@"
"""

# The names alone find weir's wrap file; a fallback names its folder.
PROJECT = """project('wrapped', 'c', default_options: ['c_std=gnu11'])
executable('consumer', 'consumer.c', dependencies: dependency('weir', fallback: 'weir'))
foreach name : %s
  executable('alone-' + name, 'alone.c', dependencies: dependency(name))
endforeach
tls = dependency('weir-tls', required: false)
if tls.found()
  executable('secure', 'tls_echo_server_streams.c', dependencies: tls)
endif
"""

# What needs no more than libweir.
ALONE = """#include <weir.h>

static int sleep_a_little(weir_loop *loop, void *arg)
{
    (void)arg;
    return weir_sleep(loop, 1000);
}

int main(void)
{
    return weir_run(NULL, sleep_a_little, NULL) < 0;
}
"""

# Names the library that does TLS, and then its verdict about the server at each
# port: exchanged AUTHORITIES PORT...
EXCHANGED = """#include "tls_run.h"

#include <stdio.h>
#include <stdlib.h>

static int judge(weir_loop *loop, void *arg)
{
    tls.server_hostname = "localhost";
    for (char **word = arg; *word; word++) {
        struct weir_open_options options = {.size = sizeof(options)};
        weir_reader *reader;
        weir_writer *writer;
        options.connect.tls = &tls;
        int error = weir_open_connection(loop, "127.0.0.1",
                                         (uint16_t)atoi(*word), &options,
                                         &reader, &writer);
        if (error == 0) {
            weir_writer_unref(writer);
        }
        puts(error == 0 ? "accepted" : weir_err_name(error));
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct weir_tls_options options = {.size = sizeof(options)};
    struct weir_tls_library library = {.size = sizeof(library)};
    if (argc < 2 || weir_tls_get_library(&library) < 0) {
        return 1;
    }
    puts(library.name);
    options.authorities.file = argv[1];
    tls.context = make_context(&options);
    return run_task(judge, argv + 2);
}
"""

# Of the certificates of tests/unit/tls_matrix.sh.
VERDICTS = {
    "good": "accepted",
    "good-rsa": "accepted",
    "expired": "WEIR_ETLSEXPIRED",
    "forged": "WEIR_ETLSBADCERT",
    "missing-issuer": "WEIR_ETLSISSUER",
    "other-name": "WEIR_ETLSHOSTNAME",
    "self-signed": "WEIR_ETLSSELFSIGNED",
}

# A program with TLS, and one with a relay, and the headers that they have beside them.
SERVER = ("tls_echo_server_streams.c", "tls_run.h")
RELAY = ("tcp_relay.c", "serve.h")

# The same by CMake, where it is installed.
CMAKE = """cmake_minimum_required(VERSION 3.13)
project(consumer C)
find_package(weir 0.1 REQUIRED)
add_executable(alone alone.c)
target_link_libraries(alone weir::weir)
if(TARGET weir::proxy)
  add_executable(relay tcp_relay.c)
  target_link_libraries(relay weir::proxy)
endif()
if(TARGET weir::tls)
  add_executable(secure tls_echo_server_streams.c)
  target_link_libraries(secure weir::tls)
endif()
"""

# None of them may come with libweir.
FOREIGN = re.compile(r"wolfssl|libcrypto|weir-tls|GPL")

# C without extensions must do: users choose their own flags.
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
          "-Wno-unused-parameter"]

# Frames that skip the guard below a task's stack must not be possible. Every
# gcc and clang that weir knows takes this one.
STACK_FLAG = "-fstack-clash-protection"


def call(*command, env=None, cwd=None):
    run = subprocess.run([str(part) for part in command], text=True, env=env,
                         cwd=cwd, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, check=False)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}:\n{run.stdout}")
    return run.stdout


def example(source):
    readme = (source / "README.md").read_text(encoding="utf-8")
    programs = [block for block in
                re.findall(r"^```c\n(.*?)^```", readme, re.M | re.S)
                if "int main(" in block]
    if not programs:
        raise SystemExit("README.md holds no C program")
    return programs[0]


def write(path, text):
    """A file that has this text is left as it is."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


class Copy:
    """What `meson install` has put below a folder."""

    def __init__(self, work, build):
        self.work, self.root = work, work / "root"
        env = dict(os.environ, DESTDIR=str(self.root))
        call("meson", "install", "-C", build, "--no-rebuild", env=env)
        packages = list(self.root.rglob("weir.pc"))
        if len(packages) != 1:
            raise SystemExit(f"weir.pc installed {len(packages)} times")
        self.packages = packages[0].parent
        self.env = dict(os.environ, PKG_CONFIG_PATH=str(self.packages),
                        PKG_CONFIG_SYSROOT_DIR=str(self.root))
        self.folder = next(self.root.rglob("libweir.so")).parent
        self.has_tls = (self.packages / "weir-tls.pc").exists()
        self.has_proxy = (self.packages / "weir-proxy.pc").exists()
        # A folder without shared libraries.
        self.archives = work / "archives"
        self.archives.mkdir()
        for archive in self.folder.glob("lib*.a"):
            (self.archives / archive.name).symlink_to(archive)

    def ask(self, *words):
        return call("pkg-config", *words, env=self.env).strip()

    def compile(self, name, package, is_static=False):
        """The program, of the file of its name in the folder."""
        static = ["--static"] if is_static else []
        flags = self.ask("--cflags", "--libs", *static, package).split()
        if STACK_FLAG not in flags:
            raise SystemExit(f"{package}.pc lacks {STACK_FLAG}: {flags}")
        program = self.work / f"{name}-{'static' if is_static else 'shared'}"
        first = ["-L", self.archives] if is_static else []
        call("gcc", *STRICT, self.work / f"{name}.c", "-o", program, *first,
             *flags)
        self.check_links(program, package, is_static)
        return program

    def loader(self):
        return dict(os.environ, LD_LIBRARY_PATH=str(self.folder))

    def check_links(self, program, package, is_static):
        """The loader finds all it needs, and nothing that was not installed."""
        linked = call("ldd", program, env=self.loader())
        wanted = [] if is_static else [f"lib{package}.so.0", "libweir.so.0"]
        if "not found" in linked or any(one not in linked for one in wanted):
            raise SystemExit(f"{program} does not load:\n{linked}")
        if is_static and "libweir" in linked:
            raise SystemExit(f"{program} is not static:\n{linked}")
        if package == "weir" and FOREIGN.search(linked):
            raise SystemExit(f"{program} needs more than libweir:\n{linked}")


def installed(source, work, build):
    shutil.rmtree(work)
    work.mkdir()
    copy = Copy(work, build)
    write(work / "consumer.c", example(source))
    write(work / "alone.c", ALONE)
    copy.compile("consumer", "weir")
    for is_static in (False, True):
        call(copy.compile("alone", "weir", is_static), env=copy.loader())
    check_license(copy)
    check_headers(source, copy)
    check_proxy(copy)
    if copy.has_proxy:
        for name in RELAY:
            shutil.copy(source / "tools" / "examples" / name, work)
        for is_static in (False, True):
            pass_on(copy.compile("tcp_relay", "weir-proxy", is_static), copy.loader())
    if copy.has_tls:
        for name in SERVER:
            shutil.copy(source / "tools" / "examples" / name, work)
        for is_static in (False, True):
            serve(copy.compile("tls_echo_server_streams", "weir-tls", is_static),
                  copy.loader())
    if shutil.which("cmake"):
        build_by_cmake(copy)


def uninstalled(_source, work, build):
    env = dict(os.environ, LD_LIBRARY_PATH=str(build),
               PKG_CONFIG_PATH=str(build / "meson-uninstalled"))
    if not (build / "libweir.so").exists():
        print("no shared library was built")
        sys.exit(77)
    write(work / "alone.c", ALONE)
    for package in ["weir"] + [name for name in ("weir-proxy", "weir-tls")
                               if (build / f"lib{name}.so").exists()]:
        flags = call("pkg-config", "--cflags", "--libs", package,
                     env=env).split()
        program = work / f"alone-{package}"
        call("gcc", *STRICT, work / "alone.c", "-o", program, *flags)
        linked = call("ldd", program, env=env)
        if f"{build}/libweir.so.0" not in linked:
            raise SystemExit(f"{program} has another libweir:\n{linked}")
        call(program, env=env)


def answer(listener, context):
    """Handshakes with one client after the other, which may refuse."""
    while True:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError), \
                context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1)


def show(chain, key):
    """The port of a server that shows this certificate until the test ends."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=answer, args=(listener, context),
                     daemon=True).start()
    return listener.getsockname()[1]


def exchanged(source, work, build):
    """Programs that are linked once do TLS by the library of either folder, as
    after a package has taken the place of the other."""
    folders = {"wolfSSL": build, "OpenSSL": build / "lib/tls/openssl"}
    certificates = os.environ.get("WEIR_TLS_CERTIFICATES")
    if not all((folder / "libweir-tls.so.0").exists()
               for folder in folders.values()):
        print("this build has no libweir-tls, or by one library alone")
        sys.exit(77)
    if not certificates:
        print("there are no certificates: openssl is not installed")
        sys.exit(77)
    env = dict(os.environ, PKG_CONFIG_PATH=str(build / "meson-uninstalled"))
    flags = call("pkg-config", "--cflags", "--libs", "weir-tls", env=env).split()
    for name in SERVER:
        shutil.copy(source / "tools" / "examples" / name, work)
    write(work / "exchanged.c", EXCHANGED)
    for name in ("exchanged", "tls_echo_server_streams"):
        call("gcc", *STRICT, work / f"{name}.c", "-o", work / name, *flags)
    matrix = pathlib.Path(certificates) / "tls-matrix"
    ports = [show(matrix / f"{name}.pem", matrix / f"{name}.key")
             for name in VERDICTS]
    for library, folder in folders.items():
        env["LD_LIBRARY_PATH"] = f"{folder}:{build}"
        said = call(work / "exchanged", matrix / "authority.pem", *ports,
                    env=env).split()
        print(*said)
        if said != [library, *VERDICTS.values()]:
            raise SystemExit(f"{library}: not {list(VERDICTS.values())}")
        serve(work / "tls_echo_server_streams", env)


def build_by_cmake(copy):
    """The programs that were compiled by pkg-config, and another version."""
    write(copy.work / "CMakeLists.txt", CMAKE)
    # CMake wants all folders that pkg-config names in this root.
    (copy.root / "usr" / "include").mkdir(parents=True, exist_ok=True)
    configure = ["cmake", "-S", copy.work, "-B", copy.work / "cmake",
                 f"-Dweir_DIR={copy.folder}/cmake/weir"]
    call(*configure, env=copy.env)
    call("cmake", "--build", copy.work / "cmake", env=copy.env)
    call(copy.work / "cmake" / "alone", env=copy.loader())
    if copy.has_proxy:
        pass_on(copy.work / "cmake" / "relay", copy.loader())
    if copy.has_tls:
        serve(copy.work / "cmake" / "secure", copy.loader())
    write(copy.work / "CMakeLists.txt", CMAKE.replace("weir 0.1", "weir 0.2"))
    run = subprocess.run([str(part) for part in configure], text=True,
                         env=copy.env, capture_output=True, check=False)
    if "version: 0.1" not in run.stderr:
        raise SystemExit(f"CMake takes 0.1 for 0.2:\n{run.stderr}")


def check_headers(source, copy):
    for_proxies = promises.proxy_headers(source)
    names = [header.relative_to(source / "include")
             for header in sorted((source / "include").rglob("*.h"))]
    wanted = [name for name in names
              if (copy.has_tls or not name.name.startswith("tls"))
              and (copy.has_proxy or name.name not in for_proxies)]
    for name in names:
        is_there = bool(list(copy.root.rglob(f"include/{name}")))
        if is_there != (name in wanted):
            raise SystemExit(f"{name} is {'' if is_there else 'not '}installed")
    write(copy.work / "headers.c",
          "".join(f"#include <{name}>\n" for name in wanted))
    call("gcc", *STRICT, "-c", copy.work / "headers.c", "-o",
         copy.work / "headers.o", *copy.ask("--cflags", "weir").split())


def check_proxy(copy):
    """Nothing of lib/proxy is in libweir, or is installed without libweir-proxy."""
    found = [line for line in call("ar", "t", copy.folder / "libweir.a").splitlines()
             if "_proxy_" in f"_{line}"]
    if not copy.has_proxy:
        found += copy.root.rglob("*weir-proxy*")
    if found:
        raise SystemExit(f"in libweir, or installed by a build without lib/proxy: {found}")


def check_license(copy):
    """The packages tell of wolfSSL's licence where a library needs wolfSSL."""
    told = copy.ask("--variable=license", "weir")
    text = (copy.packages / "weir.pc").read_text(encoding="utf-8")
    if told != "MIT" or FOREIGN.search(text):
        raise SystemExit(f"weir.pc says license={told}, or more:\n{text}")
    if not copy.has_tls:
        return
    told = copy.ask("--variable=license", "weir-tls")
    if "wolfSSL" in copy.ask("--variable=tls_library", "weir-tls"):
        if "GPL" not in told:
            raise SystemExit("weir-tls.pc says nothing of wolfSSL's licence")
    elif told != "MIT":
        raise SystemExit(f"weir-tls.pc says license={told}")


def pass_on(program, env):
    """The relay passes bytes and ends on, both ways."""
    with socket.create_server(("127.0.0.1", 0)) as target, subprocess.Popen(
            [program, "0", "127.0.0.1", str(target.getsockname()[1])], env=env,
            text=True, stdout=subprocess.PIPE) as relay:
        try:
            port = int(relay.stdout.readline().rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), 60) as client:
                client.sendall(b"there")
                client.shutdown(socket.SHUT_WR)
                with target.accept()[0] as served:
                    passed = read_all(served)
                    served.sendall(b"back")
                passed += read_all(client)
        finally:
            relay.send_signal(signal.SIGTERM)
            relay.communicate() # it prints at its end
    if passed != b"thereback" or relay.returncode != 0:
        raise SystemExit(f"{program} passed {passed}, or ended with {relay.returncode}")


def read_all(connection):
    """The bytes until the end of the stream."""
    with connection.makefile("rb") as stream:
        return stream.read()


def serve(program, env):
    """A client of OpenSSL gets back what it sends."""
    certificates = os.environ.get("WEIR_TLS_CERTIFICATES")
    if not certificates:
        return
    data = os.urandom(50_000)
    context = ssl.create_default_context(cafile=f"{certificates}/ca.pem")
    with subprocess.Popen(
            [program, f"{certificates}/ecdsa.pem", f"{certificates}/ecdsa.key",
             "0"], env=env, text=True, stdout=subprocess.PIPE) as server:
        try:
            port = int(server.stdout.readline().rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port), 60) as plain, \
                    context.wrap_socket(plain,
                                        server_hostname="localhost") as secure:
                secure.sendall(data)
                answer = b""
                while len(answer) < len(data):
                    answer += secure.recv(65536) or b"the end" * len(data)
        finally:
            server.send_signal(signal.SIGTERM)
    if answer != data or server.returncode != 0:
        raise SystemExit(f"{program} gave back other bytes, or ended with "
                         f"{server.returncode}")


def wrap(source, work, build):
    """What is not of weir in the tarball's folder is what tools/deps leaves there;
    the tarball is also a project of its own."""
    if not (source / ".git").exists():
        sys.exit(77)
    shutil.rmtree(work)
    files = work / "subprojects" / "packagefiles"
    files.mkdir(parents=True)
    # By gzip: xz takes as long as all else here.
    call("meson", "dist", "-C", build, "--no-tests", "--allow-dirty",
         "--formats", "gztar")
    tarball, = (build / "meson-dist").glob("weir-*.tar.gz")
    shutil.copy(tarball, files)
    write(work / "subprojects" / "weir.wrap",
          call(source / "tools" / "package", "--wrap", tarball))
    names = [path.stem for path in (build / "meson-private").glob("weir*.pc")]
    write(work / "meson.build", PROJECT % names)
    write(work / "alone.c", ALONE)
    write(work / "consumer.c", example(source))
    for name in SERVER:
        shutil.copy(source / "tools" / "examples" / name, work)
    call("meson", "subprojects", "download", cwd=work)
    tree, = (work / "subprojects").glob("weir-*/")
    (tree / ".deps").symlink_to(source / ".deps")
    env = dict(os.environ, PKG_CONFIG_PATH="")
    setup = ("meson", "setup", "--default-library=static", "--buildtype=plain")
    call(*setup, work / "build", work, env=env)
    call(*NINJA, work / "build")
    for name in names:
        call(work / "build" / f"alone-{name}")
    commands = call("ninja", "-C", work / "build", "-t", "commands", "consumer")
    if not re.search(rf"{STACK_FLAG}.*-c \S*/consumer\.c", commands):
        raise SystemExit(f"the program is compiled without {STACK_FLAG}")
    tests = call("meson", "introspect", "--tests", work / "build")
    if tests.strip() != "[]":
        raise SystemExit("as a subproject weir adds tests:\n" + tests)
    call(*setup, work / "tree", tree, env=env)
    call(*NINJA, work / "tree", "tools/weir-load")
    interrupt_package(source, work)


def interrupt_package(source, work):
    """A package is not at its place before it is whole."""
    write(work / "tar", CUT_OFF % shutil.which("tar"))
    (work / "tar").chmod(0o755)
    done = subprocess.run([source / "tools/package", "--work", work / "package"], check=False,
                          env=dict(os.environ, PATH=f"{work}:{os.environ['PATH']}"))
    if done.returncode != -9 and shutil.which("dpkg-source"):
        raise SystemExit("tools/package was not cut off")
    if (work / "package").exists():
        raise SystemExit("an interrupted tools/package leaves a part of a package")


def main():
    how, *paths = sys.argv[1:]
    source, work, build = (pathlib.Path(path).resolve() for path in paths)
    work.mkdir(parents=True, exist_ok=True)
    {"installed": installed, "uninstalled": uninstalled, "exchanged": exchanged,
     "wrap": wrap}[how](source, work, build)


main()
