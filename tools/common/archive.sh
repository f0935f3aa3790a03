# The distribution's archive of source packages, for tools/deps, which sources
# this file.
#
# Two of its lists are read: the release and its security updates, so that a fix
# that stands in the second alone is found. apt checks the signature of each list
# against the distribution's keyring and the hash of each file against the signed
# index. apt has state directories under .deps/ for this, so that the system's
# configuration stays as it is.
#
# Uses of tools/deps: $deps, $log, $top, $distribution, $codename, say, die,
# install_packages.

# A company's own archive, or a test's, in the place of the distribution's: a
# file in the format of sources.list(5).
archive_list=${WEIR_ARCHIVE-}

# repository RELEASE...: where apt of this machine finds the first of these.
repository() {
    targets=$(apt-get indextargets --format \
        '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' 2>/dev/null)
    for release in "$@"; do
        echo "$targets" | awk -v release="$release" '$1 == "Packages" &&
            $2 == release && $3 == "main" { print $4; exit }'
    done | head -n 1
}

# What is read: the newest release of Debian that has security support, and of
# Ubuntu the one that is being made, whose libraries are new enough.
case $distribution in
debian) suite=stable ;;
*) suite=devel ;;
esac

# write_list NEED: the sources.list of this script's own apt.
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

# version_of FOLDER: that of the source package which was unpacked there.
version_of() {
    sed -n '1s/^[^ ]* (\([^)]*\)).*/\1/p' "$1/debian/changelog"
}

# fetch_source PACKAGE NEED: leaves the source in .deps/src/PACKAGE, and its
# version in .deps/src/PACKAGE.source; NEED is what a message calls missing.
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

# version_is_least VERSION LEAST, in Debian's order of versions where dpkg is.
version_is_least() {
    if command -v dpkg >/dev/null 2>&1; then
        dpkg --compare-versions "$1" ge "$2"
    else
        [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
    fi
}

# ---- fixes ----

# newest PACKAGE: the highest version that the lists have.
newest() {
    best=
    for version in $(own_apt apt-cache showsrc "$1" 2>/dev/null |
        sed -n 's/^Version: //p'); do
        { [ -n "$best" ] && version_is_least "$best" "$version"; } ||
            best=$version
    done
    echo "$best"
}

# fixes_of PACKAGE: the CVE numbers of its newest version's changelog, down to the
# release of upstream that it is made of.
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

# look_for_fixes PACKAGE...: what the archive has, as lines "PACKAGE VERSION" and
# "PACKAGE CVE-...", kept in .deps/fixes for a day. False: it could not be read.
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

# check_fixes PACKAGE...: compares what was built into .deps/ with the archive,
# and the CVE numbers of wolfSSL's changelog with the table in SECURITY.md. False:
# something is to be done, which a line says.
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
