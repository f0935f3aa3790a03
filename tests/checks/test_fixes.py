"""tools/deps --check-fixes, with an archive that this test makes.

The archive is a folder with a list of source packages, named by WEIR_ARCHIVE;
tools/deps is a copy beside a SECURITY.md and a .deps/ of the test's own. Nothing
is installed and no network is asked.
"""

import gzip
import hashlib
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILT = "5.7.2-0.1+deb13u2"


def changelog(version, numbers):
    text = f"wolfssl ({version}) stable-security; urgency=high\n\n"
    text += "".join(f"  * {number}: mended.\n" for number in numbers)
    text += "\n -- A Name <a@example.org>  Sun, 05 Jul 2026 15:43:31 -0600\n\n"
    return text + ("wolfssl (5.6.4-2) unstable; urgency=medium\n\n"
                   "  * CVE-2019-0001: of a release before.\n")


def pack(files):
    """A tar.gz with these files, name to text."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


class Fixes(unittest.TestCase):
    def setUp(self):
        self.work = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.work)
        top = self.top = self.work / "weir"
        (top / "tools/common").mkdir(parents=True)
        for name in ("tools/deps", "tools/common/archive.sh"):
            shutil.copy(SOURCE / name, top / name)
        (top / "SECURITY.md").write_text("| CVE-2026-0001 | known |\n")
        (top / ".deps").mkdir()
        (top / ".deps/wolfssl.source").write_text(f"{BUILT}\n")
        self.archive = self.work / "archive"
        self.archive.mkdir()

    def offer(self, version, numbers):
        """The archive has wolfssl, in this version, with these fixes."""
        upstream = version.rsplit("-", 1)[0]
        files = {
            f"wolfssl_{upstream}.orig.tar.gz": pack({"wolfssl/README": "x"}),
            f"wolfssl_{version}.debian.tar.gz": pack(
                {"debian/changelog": changelog(version, numbers),
                 "debian/source/format": "3.0 (quilt)\n"}),
        }
        dsc = f"Format: 3.0 (quilt)\nSource: wolfssl\nVersion: {version}\n"
        files[f"wolfssl_{version}.dsc"] = dsc.encode()
        lines = ""
        for name, data in files.items():
            (self.archive / name).write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            lines += f" {digest} {len(data)} {name}\n"
        text = (f"Package: wolfssl\nBinary: libwolfssl-dev\nVersion: {version}\n"
                "Maintainer: A Name <a@example.org>\nArchitecture: any\n"
                "Format: 3.0 (quilt)\nDirectory: .\n"
                f"Checksums-Sha256:\n{lines}\n")
        with gzip.open(self.archive / "Sources.gz", "at") as file:
            file.write(text)

    def ask(self, archive=None):
        listing = self.work / "sources.list"
        listing.write_text(
            f"deb-src [trusted=yes] file:{archive or self.archive} ./\n")
        return subprocess.run(
            [self.top / "tools/deps", "--check-fixes"],
            check=False, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"WEIR_ARCHIVE": str(listing)})

    def test_the_newest_version_is_no_failure(self):
        self.offer(BUILT, ["CVE-2026-0001"])
        done = self.ask()
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"wolfssl {BUILT} is the newest", done.stdout)

    def test_a_newer_revision_is_told_with_the_way_out(self):
        self.offer(BUILT, ["CVE-2026-0001"])
        self.offer("5.7.2-0.1+deb13u3", ["CVE-2026-0001"])
        done = self.ask()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(f"built from {BUILT}, and the archive has "
                      "5.7.2-0.1+deb13u3", done.stdout)
        self.assertIn("tools/deps --renew", done.stdout)

    def test_an_older_archive_is_no_failure(self):
        self.offer("5.7.2-0.1", ["CVE-2026-0001"])
        self.assertEqual(self.ask().returncode, 0)

    def test_a_fix_without_a_row_is_told(self):
        self.offer(BUILT, ["CVE-2026-0001", "CVE-2026-0002"])
        done = self.ask()
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("without a row in SECURITY.md: CVE-2026-0002\n",
                      done.stdout)

    def test_fixes_of_older_releases_need_no_row(self):
        self.offer(BUILT, ["CVE-2026-0001"])
        self.assertNotIn("CVE-2019-0001", self.ask().stdout)

    def test_no_archive_is_told_and_is_no_failure(self):
        done = self.ask(archive=self.work / "nowhere")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("whether there are fixes is not known", done.stdout)

    def test_a_build_older_than_the_least_is_missing(self):
        (self.top / ".deps/wolfssl.source").write_text("5.7.2-0.1+deb13u1\n")
        text = (self.top / "tools/deps").read_text()
        least = text.split("WOLFSSL_SOURCE_MIN=")[1].split("\n")[0]
        done = subprocess.run(
            ["sh", "-c", ". ./tools/common/archive.sh; "
             f'version_is_least "$(cat .deps/wolfssl.source)" "{least}"'],
            cwd=self.top, check=False, env=os.environ | {
                "distribution": "debian", "deps": str(self.top / ".deps")})
        self.assertNotEqual(done.returncode, 0)

    def test_the_security_list_is_read_beside_the_release(self):
        programs = self.work / "bin"
        programs.mkdir()
        fake = programs / "apt-get"
        fake.write_text(
            "#!/bin/sh\ncase $* in *indextargets*)\n"
            "echo Packages bookworm main file:/release/\n"
            "echo Packages bookworm-security main file:/security/ ;;\n"
            "*) exit 100 ;;\nesac\n")
        fake.chmod(0o755)
        keyring = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
        if not keyring.exists():
            self.skipTest("not Debian")
        subprocess.run(
            ["sh", "-c", "die() { echo \"$@\" >&2; exit 1; }; say() { :; }; "
             ". ./tools/common/archive.sh; write_list need"],
            cwd=self.top, check=True, env=os.environ | {
                "PATH": f"{programs}:{os.environ['PATH']}",
                "distribution": "debian", "codename": "bookworm",
                "deps": str(self.top / ".deps")})
        text = (self.top / ".deps/apt/sources.list").read_text()
        self.assertIn("file:/release/ stable main\n", text)
        self.assertIn("file:/security/ stable-security main\n", text)


if __name__ == "__main__":
    if not shutil.which("apt-get") or not shutil.which("dpkg"):
        print("no apt: source packages are those of Debian and Ubuntu")
        sys.exit(77)
    unittest.main()
