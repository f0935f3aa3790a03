#!/bin/sh
# Makes certificates for tests of the verifier. Each has a NAME.pem (the chain
# that the peer sends) and a NAME.key. The authority is authority.pem, its list
# of revoked certificates authority.crl. The name says what is wrong with a
# certificate; tests/unit/tls_matrix.c has the expected verdicts.
#
# Usage: tls_matrix.sh FOLDER

# Options of keys are several words.
# shellcheck disable=SC2086
set -eu

rm -rf "$1"
mkdir -p "$1"
cd "$1"
exec 2>openssl.log

touch index.txt
cat >ca.cnf <<EOF
[ca]
default_ca = authority
[authority]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
policy = any
default_md = sha256
default_days = 36500
default_crl_days = 36500
[any]
commonName = optional
organizationName = optional
EOF

# issuer NAME CA-EXTENSIONS KEY-OPTIONS...: a root, NAME.pem (also NAME.crt) and
# NAME.key
issuer() {
    name=$1
    extensions=$2
    shift 2
    openssl req -x509 -nodes -keyout "$name.key" -out "$name.pem" \
        -days 36500 -subj "/CN=$name" -addext "$extensions" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -newkey "$@"
    cp "$name.pem" "$name.crt"
}

# ca ISSUER OPTIONS...
ca() {
    by=$1
    shift
    openssl ca -batch -notext -config ca.cnf -cert "$by.crt" \
        -keyfile "$by.key" "$@"
}

# sign ISSUER NAME EXTENSIONS [CA-OPTIONS...]: NAME.crt from NAME.csr
sign() {
    by=$1
    name=$2
    printf '%b' "$3" >"$name.ext"
    shift 3
    ca "$by" -in "$name.csr" -out "$name.crt" -extfile "$name.ext" "$@"
}

# request NAME KEY-OPTIONS...
request() {
    name=$1
    shift
    openssl req -new -nodes -newkey "$@" -keyout "$name.key" \
        -out "$name.csr" -subj "/${attribute:-CN}=$name"
}

p256="ec -pkeyopt ec_paramgen_curve:P-256"
leaf="basicConstraints=critical,CA:false\n"
signs="keyUsage=critical,digitalSignature\n"
both="extendedKeyUsage=serverAuth,clientAuth\n"
host="subjectAltName=DNS:localhost\n"
plain="$leaf$signs$both"
authority="basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign\n"

# signed ISSUER NAME EXTENSIONS [CA-OPTIONS...]: NAME.crt, on P-256
signed() {
    request "$2" $p256
    sign "$@"
}

# leaf_of ISSUER NAME EXTENSIONS [CA-OPTIONS...]: NAME.pem, on P-256
leaf_of() {
    signed "$@"
    cp "$2.crt" "$2.pem"
}

# leaf NAME EXTENSIONS [CA-OPTIONS...]
leaf() {
    leaf_of authority "$@"
}

# keyed NAME KEY-OPTIONS...: a leaf with another key
keyed() {
    name=$1
    request "$@"
    sign authority "$name" "$plain$host"
    cp "$name.crt" "$name.pem"
}

# below NAME EXTENSIONS-OF-ISSUER [CA-OPTIONS...]: a leaf of an intermediate
# authority, NAME.middle, that has the extensions
below() {
    under=$1
    extensions=$2
    shift 2
    request "$under.middle" ${middle_key:-$p256}
    sign authority "$under.middle" "$extensions" "$@"
    signed "$under.middle" "$under" "$plain${names:-$host}"
    cat "$under.crt" "$under.middle.crt" >"$under.pem"
}

# ---- authorities ----

issuer authority "basicConstraints=critical,CA:true" $p256
issuer stranger "basicConstraints=critical,CA:true" $p256
issuer rsa-authority "basicConstraints=critical,CA:true" rsa:2048
issuer crossed "basicConstraints=critical,CA:true" $p256
issuer uncrossed "basicConstraints=critical,CA:true" $p256
issuer short "basicConstraints=critical,CA:true,pathlen:0" $p256
issuer limited "basicConstraints=critical,CA:true" $p256 \
    -addext "nameConstraints=critical,permitted;DNS:example.org"
issuer small "basicConstraints=critical,CA:true" \
    ec -pkeyopt ec_paramgen_curve:P-224
cat authority.pem rsa-authority.pem crossed.pem short.pem limited.pem small.pem \
    >trusted.pem
# An authority with the name of a trusted one and another key: false.crt.
mkdir kept
mv authority.* kept/
issuer authority "basicConstraints=critical,CA:true" $p256
mv authority.crt false.crt
mv authority.key false.key
mv kept/* .

# ---- good ones ----

leaf good "$plain$host"
leaf good-wildcard "${plain}subjectAltName=DNS:*.example.org\n"
leaf good-ip "${plain}subjectAltName=IP:127.0.0.1,IP:::1\n"
leaf good-idna "${plain}subjectAltName=DNS:xn--bcher-kva.example\n"
keyed good-rsa rsa:2048
wild="subjectAltName=DNS:*.example.org\n"
host=$wild keyed good-wildcard-rsa rsa:2048
keyed good-ed25519 ed25519
below good-chain "$authority"

# chain NAME ISSUER EXTENSIONS-OF-TOP NAMES: a leaf with the names, below
# NAME.middle, below NAME.top, below the issuer
chain() {
    of=$1
    on=$2
    of_top=$3
    of_leaf=$4
    signed "$on" "$of.top" "$of_top"
    signed "$of.top" "$of.middle" "${middle_extensions:-$authority}"
    signed "$of.middle" "$of" "$plain$of_leaf"
    cat "$of.crt" "$of.middle.crt" "$of.top.crt" >"$of.pem"
}

# ---- additional certificates, in any order ----

# send NAME FILE...: a chain of these certificates; the leaf's key is $key
send() {
    name=$1
    shift
    cat "$@" >"$name.pem"
    cp "$key.key" "$name.key"
}

chain good-deep authority "$authority" "$host"
key=good-chain
send orphan good-chain.crt # without its issuer
send good-twice good-chain.crt good-chain.crt good-chain.middle.crt
send good-issuer-twice good-chain.crt good-chain.middle.crt \
    good-chain.middle.crt
send good-root-sent good-chain.crt good-chain.middle.crt authority.pem
send good-stranger good-chain.crt good-chain.middle.crt stranger.pem
send good-stranger-first good-chain.crt stranger.pem good-chain.middle.crt
send good-false-root good-chain.crt good-chain.middle.crt false.crt
send good-other-leaf good-chain.crt good-chain.middle.crt good-rsa.crt
key=good-deep
send good-order good-deep.crt good-deep.top.crt good-deep.middle.crt
send good-order-and-more good-deep.crt authority.pem good-deep.top.crt \
    stranger.pem good-deep.middle.crt good-deep.crt
send issuer-left-out good-deep.crt good-deep.top.crt
send top-left-out good-deep.crt good-deep.middle.crt

# The root of a chain, signed by another root that is also trusted.
# cross NAME [CA-OPTIONS...]: NAME.cross.crt
cross() {
    root=$1
    shift
    openssl req -new -key "$root.key" -subj "/CN=$root" -out "$root.cross.csr"
    sign authority "$root.cross" "$authority" "$@"
}
for root in crossed uncrossed; do
    signed $root $root.middle "$authority"
    signed $root.middle $root.leaf "$plain$host"
done
key=crossed.leaf
cross crossed -startdate 20200101000000Z -enddate 20210101000000Z
send good-cross-expired crossed.leaf.crt crossed.middle.crt crossed.cross.crt
cross crossed -md sha1
send good-cross-sha1 crossed.leaf.crt crossed.middle.crt crossed.cross.crt
key=uncrossed.leaf
cross uncrossed
send good-cross uncrossed.leaf.crt uncrossed.middle.crt uncrossed.cross.crt
send good-cross-and-root uncrossed.leaf.crt uncrossed.middle.crt \
    uncrossed.pem uncrossed.cross.crt
cross uncrossed -startdate 20200101000000Z -enddate 20210101000000Z
send cross-expired uncrossed.leaf.crt uncrossed.middle.crt \
    uncrossed.cross.crt uncrossed.pem
cross uncrossed -md sha1
send cross-sha1 uncrossed.leaf.crt uncrossed.middle.crt uncrossed.cross.crt

# Signed by an issuer with the name of an authority; the chain has the issuer.
signed false false-root "${plain}authorityKeyIdentifier=none\n$host"
cat false-root.crt false.crt >false-root.pem
signed stranger strange-root "$plain$host"
cat strange-root.crt stranger.pem >strange-root.pem

# ---- many issuers ----

# long COUNT: the leaf long.COUNT below COUNT issuers
above=authority
: >long.issuers
for i in 1 2 3 4 5 6 7 8 9 10; do
    signed $above long.$i "$authority"
    cat long.$i.crt long.issuers >long.next
    mv long.next long.issuers
    above=long.$i
    if [ $i -ge 8 ]; then
        signed $above long-$i "$plain$host"
        cat long-$i.crt long.issuers >long-$i.pem
    fi
done

# ---- dates ----

leaf expired "$plain$host" -startdate 20200101000000Z -enddate 20210101000000Z
leaf not-yet "$plain$host" -startdate 20900101000000Z -enddate 20910101000000Z
below issuer-expired "$authority" -startdate 20200101000000Z \
    -enddate 20210101000000Z

# ---- issuers ----

openssl req -x509 -nodes -newkey $p256 -keyout self-signed.key \
    -out self-signed.pem -days 36500 -subj "/CN=self-signed" \
    -addext "basicConstraints=critical,CA:false" \
    -addext "keyUsage=critical,digitalSignature" \
    -addext "subjectAltName=DNS:localhost"
leaf_of stranger wrong-issuer "$plain$host"
below missing-issuer "$authority"
cp missing-issuer.crt missing-issuer.pem
below issuer-is-leaf "$leaf$signs"
below issuer-without-constraints "keyUsage=critical,keyCertSign\n"
below issuer-without-usage \
    "basicConstraints=critical,CA:true\nkeyUsage=critical,digitalSignature\n"
below issuer-for-clients "${authority}extendedKeyUsage=clientAuth\n"
below issuer-constrained \
    "${authority}nameConstraints=critical,permitted;DNS:example.org\n"

# The constraint of an issuer, trusted or not, applies to all certificates below
# it. Common names of issuers are not host names.
org="${authority}nameConstraints=critical,permitted;DNS:example.org\n"
www="subjectAltName=DNS:www.example.org\n"
chain deep-constrained authority "$org" "$host"
chain good-deep-constrained authority "$org" "$www"
chain deep-wildcard authority "$org" "subjectAltName=DNS:*.org\n"
chain good-deep-wildcard authority "$org" "subjectAltName=DNS:*.example.org\n"
chain good-deep-kinds authority "$org" \
    "subjectAltName=DNS:www.example.org,IP:127.0.0.1,email:a@b.example\n"
chain root-constrained limited "$authority" "$host"
chain good-root-constrained limited "$authority" "$www"
middle_extensions="${authority}nameConstraints=critical,excluded;DNS:bad.org\n"
chain middle-excluded authority "$authority" "subjectAltName=DNS:www.bad.org\n"
chain middle-excluded-wildcard authority "$authority" \
    "subjectAltName=DNS:*.org\n"
chain good-middle-excluded authority "$authority" "$host"
chain both-constrained authority "$org" "$host"
middle_extensions=
deny="${authority}nameConstraints=critical,excluded"
allow="${authority}nameConstraints=critical,permitted"
chain deep-excluded authority "$deny;DNS:localhost\n" "$host"
chain good-deep-excluded authority "$deny;DNS:example.org\n" "$host"
local="subjectAltName=IP:127.0.0.1\n"
chain deep-ip authority "$allow;IP:10.0.0.0/255.0.0.0\n" "$local"
chain deep-ip-excluded authority "$deny;IP:127.0.0.0/255.0.0.0\n" "$local"
chain good-deep-ip authority "$allow;IP:127.0.0.0/255.0.0.0\n" "$local"
chain good-deep-ip-absent authority "$allow;IP:10.0.0.0/255.0.0.0\n" "$host"
mail="subjectAltName=DNS:localhost,email:a@mail.example.org\n"
chain deep-mail authority "$allow;email:example.org\n" "$mail"
chain deep-mail-excluded authority "$deny;email:.example.org\n" "$mail"
chain good-deep-mail authority "$allow;email:mail.example.org\n" "$mail"
uri="subjectAltName=DNS:localhost,URI:http://localhost/\n"
chain deep-uri authority "$allow;URI:localhost\n" "$uri"
chain good-deep-uri-absent authority "$allow;URI:localhost\n" "$host"
dir="dirName:dir\n[dir]\nCN=DEEP-directory\n"
chain deep-directory authority "$deny;$dir" "$host"
chain good-deep-directory authority "$deny;$dir" "$host"
chain directory-not-permitted authority "$allow;$dir" "$host"

names="subjectAltName=DNS:www.example.org\n"
below good-constrained \
    "${authority}nameConstraints=critical,permitted;DNS:example.org\n"
names=

# A path with an issuer below one that allows no issuer below it.
signed authority path.top \
    "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign\n"
signed path.top path.middle "$authority"
signed path.middle path-too-long "$plain$host"
cat path-too-long.crt path.middle.crt path.top.crt >path-too-long.pem

chain good-path-length authority "basicConstraints=critical,CA:true,pathlen:1
keyUsage=critical,keyCertSign\n" "$host"
leaf_of short good-short "$plain$host"
signed short root-path-too-long.middle "$authority"
signed root-path-too-long.middle root-path-too-long "$plain$host"
cat root-path-too-long.crt root-path-too-long.middle.crt \
    >root-path-too-long.pem
# A path of three that is good except for its first certificate, sent out of
# order and with additional certificates.
key=path-too-long
send path-too-long-order path-too-long.crt path.top.crt stranger.pem \
    path.middle.crt

# ---- names ----

leaf other-name "${plain}subjectAltName=DNS:example.org\n"
openssl req -new -nodes -newkey $p256 -keyout name-in-subject.key \
    -out name-in-subject.csr -subj "/CN=localhost"
sign authority name-in-subject "$plain"
cp name-in-subject.crt name-in-subject.pem
leaf wildcard-in-label "${plain}subjectAltName=DNS:w*.example.org\n"
leaf wildcard-alone "${plain}subjectAltName=DNS:*\n"
leaf wildcard-of-top "${plain}subjectAltName=DNS:*.org\n"
leaf address-as-name "${plain}subjectAltName=DNS:127.0.0.1\n"
leaf other-address "${plain}subjectAltName=IP:127.0.0.2\n"
leaf mail-name "${plain}subjectAltName=email:localhost\n"
# SEQUENCE { [2] "localhost" NUL ".example.org" }
nul="30:18:82:16:6c:6f:63:61:6c:68:6f:73:74:00"
nul="$nul:2e:65:78:61:6d:70:6c:65:2e:6f:72:67"
leaf short-address "${plain}subjectAltName=DER:30:05:87:03:7f:00:01\n"
leaf nul-in-name "${plain}subjectAltName=DER:$nul\n"

# ---- keys and signatures ----

keyed weak-rsa rsa:1024
keyed weak-curve ec -pkeyopt ec_paramgen_curve:P-224
leaf_of small small-root "$plain$host"
keyed other-curve ec -pkeyopt ec_paramgen_curve:secp256k1
leaf sha1 "$plain$host" -md sha1
leaf_of rsa-authority md5 "$plain$host" -md md5
leaf_of rsa-authority other-authority "$plain$host"
middle_key=rsa:1024
below issuer-weak "$authority"
middle_key=
# forge NAME: NAME.crt with another last byte of the signature
forge() {
    openssl x509 -in "$1.crt" -outform DER -out forged.der
    size=$(wc -c <forged.der)
    head -c $((size - 1)) forged.der >forged.cut
    tail -c 1 forged.der | tr '\000-\377' '\001-\377\000' >>forged.cut
    openssl x509 -inform DER -in forged.cut -out "$1.forged"
}
leaf forged "$plain$host"
forge forged
cp forged.forged forged.pem
forge issuer-constrained
key="issuer-constrained"
send forged-constrained issuer-constrained.forged issuer-constrained.middle.crt
forge good-deep.middle
key=good-deep
send forged-issuer good-deep.crt good-deep.middle.forged good-deep.top.crt
# Extensions that wolfSSL does not read. It reports the same reason as for
# names that it has checked.
forged_leaf="nameConstraints=permitted;DNS:localhost\n$plain$host"
leaf forged-limits "$forged_leaf"
key=forged-limits
send limits-of-leaf forged-limits.crt
forge forged-limits
cp forged-limits.forged forged-limits.pem
below forged-limits-issuer "nameConstraints=permitted;DNS:localhost\n$authority"
key=forged-limits-issuer
send good-limits-first forged-limits-issuer.pem
forge forged-limits-issuer.middle
cat forged-limits-issuer.crt forged-limits-issuer.middle.forged \
    >forged-limits-issuer.pem
forge good-deep
key=good-deep
send forged-order good-deep.forged good-deep.top.crt good-deep.middle.crt \
    stranger.pem

# ---- beyond the limits of a wolfSSL built with default options ----

issuer zero "basicConstraints=critical,CA:true" $p256 -set_serial 0
cat trusted.pem zero.pem >zero-too.pem
chain zero-serial zero "$authority" "$host"
# list COUNT NAME: the section of a configuration with COUNT names
list() {
    i=0
    echo "[$2]"
    while [ $i -lt "$1" ]; do
        echo "${3:-DNS}.$i = a-name-of-one-host-$i.example.org"
        i=$((i + 1))
    done
}
leaf many-names "${plain}subjectAltName=@many\n$(list 200 many)\nDNS.h = localhost\n"
leaf large "${plain}subjectAltName=@many\n$(list 1000 many)\nDNS.h = localhost\n"
below many-limits "${authority}nameConstraints=critical,@many
$(list 200 many 'excluded;DNS')\n"
leaf critical-policy "$plain${host}certificatePolicies=critical,1.2.3.4,1.2.3.5\n"

# ---- usages and extensions ----

leaf for-clients "$leaf$signs${host}extendedKeyUsage=clientAuth\n"
leaf for-servers "$leaf$signs${host}extendedKeyUsage=serverAuth\n"
leaf for-mail "$leaf$signs${host}extendedKeyUsage=emailProtection\n"
leaf no-signature "$leaf$both${host}keyUsage=critical,keyEncipherment\n"
leaf unknown-critical "$plain${host}1.2.3.4=critical,DER:0500\n"

# An issuer with an unknown critical extension; it has issued nothing here.
leaf odd "${authority}1.2.3.4=critical,DER:0500\n"
key=good-chain
send good-odd-last good-chain.crt good-chain.middle.crt odd.crt
send good-odd-first good-chain.crt odd.crt good-chain.middle.crt
send good-weak-beside good-chain.crt issuer-weak.middle.crt \
    good-chain.middle.crt
send good-leaf-beside good-chain.crt issuer-without-usage.middle.crt \
    good-chain.middle.crt

# ---- additional certificates that are not in a path ----

# beside NAME OPTIONS...: good-beside-NAME is a good chain, followed by a
# self-signed certificate
beside() {
    of=beside-$1
    shift
    openssl req -x509 -nodes -keyout "$of.key" -out "$of.crt" -days 36500 \
        -subj "/CN=$of" "$@"
    send "good-$of" good-chain.crt good-chain.middle.crt "$of.crt"
}

beside ed25519 -newkey ed25519
beside ed448 -newkey ed448
beside secp224r1 -newkey ec -pkeyopt ec_paramgen_curve:secp224r1
beside secp256k1 -newkey ec -pkeyopt ec_paramgen_curve:secp256k1
beside brainpool -newkey ec -pkeyopt ec_paramgen_curve:brainpoolP256r1
beside explicit -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:explicit
beside rsa-1024 -newkey rsa:1024
beside rsa-4160 -newkey rsa:4160
beside rsa-pss -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048
beside sha1 -sha1 -newkey $p256
beside sha512 -sha512 -newkey $p256
beside negative -set_serial -5 -newkey $p256
beside long-serial -newkey $p256 \
    -set_serial 0x0123456789abcdef0123456789abcdef0123456789abcdef
beside two-in-a-set -newkey $p256 -multivalue-rdn \
    -subj "/O=Acme+OU=Dept/CN=beside-two-in-a-set"
beside nameless -newkey $p256 -subj "/"
beside no-authority -newkey $p256 -addext "basicConstraints=CA:false"
beside policies -newkey $p256 \
    -addext "policyConstraints=critical,requireExplicitPolicy:0"
beside no-policy -newkey $p256 -addext "inhibitAnyPolicy=critical,0"
beside limits -newkey $p256 \
    -addext "nameConstraints=critical,excluded;DNS:localhost"
beside odd-limits -newkey $p256 \
    -addext "nameConstraints=critical,permitted;RID:1.2.3"
beside odd-names -newkey $p256 \
    -addext "subjectAltName=otherName:1.2.3;UTF8:x,RID:1.2.3,URI:x:y"
beside bad-usage -newkey $p256 -addext "keyUsage=critical,DER:0500"
beside bad-names -newkey $p256 -addext "subjectAltName=DER:0500"
beside bad-key-id -newkey $p256 -addext "2.5.29.35=DER:0500"

# ---- an authority of each kind of key, for tls_forged.c ----

# kind NAME KEY-OPTIONS...: an authority, a leaf of it, an issuer and its leaf,
# and its list
kind() {
    of=$1
    shift
    issuer "$of" "basicConstraints=critical,CA:true" "$@"
    signed "$of" "$of.leaf" "$plain$host"
    signed "$of" "$of.middle" "$authority"
    signed "$of.middle" "$of.below" "$plain$host"
    ca $of -gencrl -out "$of.crl"
}
kind kind-p256 ec -pkeyopt ec_paramgen_curve:P-256
kind kind-p384 ec -pkeyopt ec_paramgen_curve:P-384
kind kind-p521 ec -pkeyopt ec_paramgen_curve:P-521
kind kind-rsa rsa:2048

# ---- revocation ----

leaf revoked "$plain$host"
below revoked-issuer "$authority"
ca authority -revoke revoked.crt
ca authority -revoke revoked-issuer.middle.crt
key=revoked
send revoked-and-more revoked.crt stranger.pem
key=revoked-issuer
send revoked-issuer-and-more revoked-issuer.crt stranger.pem \
    revoked-issuer.middle.crt
ca authority -gencrl -out authority.crl
# Below an authority that is limited to DNS names; a leaf without names conforms.
leaf_of limited good-limited "$plain"
leaf_of limited revoked-limited "$plain"
ca limited -revoke revoked-limited.crt
ca limited -gencrl -out limited.crl
cat authority.crl limited.crl >lists.crl

# ---- lists of an intermediate authority ----

cat >>ca.cnf <<EOF
[critical_list]
1.2.3.4 = critical,DER:0500
[delta_list]
2.5.29.27 = critical,DER:020101
[partial_list]
issuingDistributionPoint = critical,@partial
[partial]
onlyuser = TRUE
EOF

# list_of ISSUER NAME [CA-OPTIONS...]: NAME.crl, and with.NAME.crl, which also
# has the authority's list
list_of() {
    issuer=$1
    name=$2
    shift 2
    ca $issuer -gencrl -out "$name.crl" "$@"
    cat authority.crl "$name.crl" >"with.$name.crl"
}
lists="basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign,cRLSign\n"
below listed "$lists"
signed listed.middle listed-revoked "$plain$host"
cat listed-revoked.crt listed.middle.crt >listed-revoked.pem
below listed-issuer "$lists"
ca authority -revoke listed-revoked.crt
ca authority -revoke listed-issuer.middle.crt
cat authority.pem listed-issuer.middle.crt >listed-issuer.trusted.pem
cat authority.pem good-chain.middle.crt >good-chain.trusted.pem
list_of authority authority
list_of listed-issuer.middle listed-issuer
list_of good-chain.middle without-usage
list_of listed.middle listed
list_of listed.middle old -crl_lastupdate 20200101000000Z \
    -crl_nextupdate 20210101000000Z
list_of listed.middle future -crl_lastupdate 20900101000000Z \
    -crl_nextupdate 20910101000000Z
list_of listed.middle critical -crlexts critical_list
list_of listed.middle delta -crlexts delta_list
list_of listed.middle partial -crlexts partial_list
cat old.crl listed.crl >>with.old.crl
cat old.crl >old-alone.crl
list_of false false
mkdir other
openssl req -x509 -nodes -newkey $p256 -keyout other/listed.key \
    -out other/listed.crt -days 36500 -subj "/CN=listed.middle"
list_of other/listed other
openssl crl -in listed.crl -outform DER -out crl.der
head -c 100 crl.der >crl.cut
{
    echo "-----BEGIN X509 CRL-----"
    openssl base64 -in crl.cut
    echo "-----END X509 CRL-----"
} >cut.crl
rm -f ./*.csr ./*.ext ./*.cut ./*.der
touch done
