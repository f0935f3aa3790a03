# Functions that read the distribution's archive of source packages, for
# tools/deps, which sources this file.
#
# Two lists of packages are read, of the release and of its security updates,
# because a fix may be only in the second. apt checks the signature of each list
# against the distribution's keyring, and the hash of each file against the
# signed index. Its state directories are under .deps/, so the system's
# configuration is not changed.
#
# tools/deps must define $deps, $log, $top, $distribution, $codename, say, die
# and install_packages.

# A file in the format of sources.list(5), which replaces the distribution's
# archive by another, such as a company's.
archive_list=${WEIR_ARCHIVE-}

# repository RELEASE...: prints apt's URL of the first release that it has.
repository() {
    targets=$(apt-get indextargets --format \
        '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null)
    for release in "$@"; do
        echo "$targets" | awk -v release="$release" '$1 == "Packages" &&
            $2 == release && $3 == "main" { print $4; exit }'
    done | head -n 1
}

# The release to read: Debian's newest one with security support, or Ubuntu's
# development release, whose libraries are new enough.
case $distribution in
debian) suite=stable ;;
*) suite=devel ;;
esac

# write_list NEED: writes apt's sources.list under .deps/; NEED is what is missing.
write_list() {
    rm -rf "$deps/apt"
    mkdir -p "$deps/apt/state/lists/partial" \
        "$deps/apt/cache/archives/partial"
    if [ -n "$archive_list" ]; then
        cp "$archive_list" "$deps/apt/sources.list" ||
            die "WEIR_ARCHIVE names no file that can be read"
        return
    fi
    keyring=/usr/share/keyrings/$distribution-archive-keyring.gpg
    [ -r "$keyring" ] || die "no $keyring, which verifies the source package"
    main=$(repository "$codename" stable oldstable oldoldstable)
    [ -n "$main" ] || die "apt knows no mirror of $distribution $codename;" \
        "missing: $1"
    security=$(repository "$codename-security" stable-security \
        oldstable-security)
    echo "deb-src [signed-by=$keyring] $main $suite main" \
        >"$deps/apt/sources.list"
    if [ -n "$security" ]; then
        echo "deb-src [signed-by=$keyring] $security $suite-security main" \
            >>"$deps/apt/sources.list"
    else
        say "apt knows no security updates of $distribution $codename: only" \
            "its releases are read"
    fi
}

own_apt() { # PROGRAM ARGUMENT...
    program=$1
    shift
    "$program" -q -o Dir::State="$deps/apt/state" \
        -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::Cache="$deps/apt/cache" \
        -o Dir::Etc::sourcelist="$deps/apt/sources.list" \
        -o Dir::Etc::sourceparts=/dev/null \
        -o APT::Sandbox::User="$(id -un)" "$@"
}

archive_is_read=

# read_archive NEED: reads the lists of source packages, once. Returns false if they
# cannot be read.
read_archive() {
    [ -z "$archive_is_read" ] || return 0
    write_list "$1"
    own_apt apt-get -o APT::Update::Error-Mode=any update >>"$log" 2>&1 &&
        archive_is_read=yes
}

# version_of FOLDER: prints the version of the source package in a folder.
version_of() {
    sed -n '1s/^[^ ]* (\([^)]*\)).*/\1/p' "$1/debian/changelog"
}

# fetch_source PACKAGE NEED: writes the source to .deps/src/PACKAGE, and its
# version to .deps/src/PACKAGE.source. NEED is what is missing, for messages.
fetch_source() {
    rm -rf "$deps/src"
    mkdir -p "$deps/src"
    if [ -n "${WEIR_SOURCES-}" ]; then
        cp -R "$WEIR_SOURCES/$1" "$deps/src/$1" ||
            die "$WEIR_SOURCES has no $1; missing: $2"
    else
        read_archive "$2" ||
            die "could not read the source index of $distribution $suite" \
                "(offline?); missing: $2"
        (cd "$deps/src" && own_apt apt-get --download-only source "$1" &&
            dpkg-source --no-check -x "$1"_*.dsc "$1") >>"$log" 2>&1 ||
            die "could not fetch the source package of $1 (offline?);" \
                "missing: $2"
    fi
    version_of "$deps/src/$1" >"$deps/src/$1.source"
}

# version_is_least VERSION LEAST: compares like dpkg, or without it like sort -V.
version_is_least() {
    if command -v dpkg >/dev/null 2>&1; then
        dpkg --compare-versions "$1" ge "$2"
    else
        [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
    fi
}

# ---- fixes ----

# newest PACKAGE: prints the highest version in the lists.
newest() {
    best=
    for version in $(own_apt apt-cache showsrc "$1" 2>/dev/null |
        sed -n 's/^Version: //p'); do
        { [ -n "$best" ] && version_is_least "$best" "$version"; } ||
            best=$version
    done
    echo "$best"
}

# fixes_of PACKAGE: prints the CVE numbers in the changelog's entries about the
# newest version's upstream release.
fixes_of() {
    rm -rf "$deps/src"
    mkdir -p "$deps/src"
    (cd "$deps/src" && own_apt apt-get --download-only --diff-only source "$1") \
        >>"$log" 2>&1 || return
    release=$(newest "$1")
    release=${release%%-*}
    tar -xOf "$deps/src/$1"_*.debian.tar.* debian/changelog 2>>"$log" |
        awk -v start="$1 ($release" '
            /^[a-z]/ && index($0, start) != 1 { exit }
            { print }' | grep -oE 'CVE-[0-9]+-[0-9]+' | sort -u
    rm -rf "$deps/src"
}

# look_for_fixes PACKAGE...: writes lines "PACKAGE VERSION" and "PACKAGE CVE-..." to
# .deps/fixes, which are valid for a day. Returns false if it cannot read the archive.
look_for_fixes() {
    if [ -z "$archive_list" ] &&
        [ -n "$(find "$deps/fixes" -mmin -1440 2>/dev/null)" ]; then
        return
    fi
    : >"$log"
    read_archive "the lists of $distribution $suite" || return
    for package in "$@"; do
        echo "$package $(newest "$package")"
        fixes_of "$package" | sed "s/^/$package /"
    done >"$deps/fixes.new"
    mv "$deps/fixes.new" "$deps/fixes"
    rm -rf "$deps/apt"
}

# check_fixes PACKAGE...: compares the packages built into .deps/ with the
# archive, and the CVE numbers in wolfSSL's changelog with the table in
# SECURITY.md. Returns false after printing a line about each difference.
check_fixes() {
    if ! look_for_fixes "$@"; then
        say "no archive of sources can be read now (offline?): whether there" \
            "are fixes is not known"
        return 0
    fi
    is_current=true
    for package in "$@"; do
        built=$(cat "$deps/$package.source" 2>/dev/null)
        there=$(sed -n "s/^$package \([0-9].*\)/\1/p" "$deps/fixes")
        if [ -z "$built" ] || [ -z "$there" ]; then
            say "$package: built from ${built:-nothing here};" \
                "the archive has ${there:-none}"
        elif version_is_least "$built" "$there"; then
            say "$package $built is the newest that the archive has"
        else
            say "$package: built from $built, and the archive has $there:" \
                "run tools/deps --renew, then build weir again"
            is_current=false
        fi
    done
    unknown=$(sed -n 's/^wolfssl \(CVE-\)/\1/p' "$deps/fixes" |
        while read -r number; do
            grep -q "$number" "$top/SECURITY.md" || echo "$number"
        done)
    if [ -n "$unknown" ]; then
        say "fixes of wolfSSL without a row in SECURITY.md:" $unknown
        is_current=false
    fi
    $is_current
}
