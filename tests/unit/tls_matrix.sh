#!/bin/sh
# Certificates that a verifier has to judge, one folder entry each: NAME.pem
# (the chain that the peer sends) and NAME.key. The authority is authority.pem,
# its list of revoked certificates authority.crl. What is wrong with a
# certificate is in its name; tests/unit/tls_matrix.c has the verdicts.
#
# Usage: tls_matrix.sh FOLDER
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

# issuer NAME CA-EXTENSIONS KEY-OPTIONS...: a root, NAME.pem and NAME.key
issuer() {
    name=$1
    extensions=$2
    shift 2
    openssl req -x509 -nodes -newkey "$@" -keyout "$name.key" \
        -out "$name.pem" -days 36500 -subj "/CN=$name" \
        -addext "$extensions" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

# sign ISSUER NAME EXTENSIONS [CA-OPTIONS...]: NAME.crt from NAME.csr
sign() {
    by=$1
    name=$2
    printf '%b' "$3" >"$name.ext"
    shift 3
    openssl ca -batch -notext -config ca.cnf -cert "$by.crt" \
        -keyfile "$by.key" -in "$name.csr" -out "$name.crt" \
        -extfile "$name.ext" "$@"
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

# leaf NAME EXTENSIONS [CA-OPTIONS...]: a leaf of the authority, on P-256
leaf() {
    name=$1
    extensions=$2
    shift 2
    # shellcheck disable=SC2086
    request "$name" $p256
    sign authority "$name" "$extensions" "$@"
    cp "$name.crt" "$name.pem"
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
    # shellcheck disable=SC2086
    request "$under.middle" ${middle_key:-$p256}
    sign authority "$under.middle" "$extensions" "$@"
    # shellcheck disable=SC2086
    request "$under" $p256
    sign "$under.middle" "$under" "$plain${names:-$host}"
    cat "$under.crt" "$under.middle.crt" >"$under.pem"
}

# ---- authorities ----

issuer authority "basicConstraints=critical,CA:true" $p256
issuer stranger "basicConstraints=critical,CA:true" $p256
issuer rsa-authority "basicConstraints=critical,CA:true" rsa:2048
for name in authority stranger rsa-authority; do
    cp $name.pem $name.crt
done
cat authority.pem rsa-authority.pem >trusted.pem

# ---- good ones ----

leaf good "$plain$host"
leaf good-wildcard "${plain}subjectAltName=DNS:*.example.org\n"
leaf good-ip "${plain}subjectAltName=IP:127.0.0.1,IP:::1\n"
leaf good-idna "${plain}subjectAltName=DNS:xn--bcher-kva.example\n"
keyed good-rsa rsa:2048
keyed good-ed25519 ed25519
below good-chain "$authority"
cp good-chain.crt orphan.pem # without its issuer
cp good-chain.key orphan.key

# ---- dates ----

leaf expired "$plain$host" -startdate 20200101000000Z -enddate 20210101000000Z
leaf not-yet "$plain$host" -startdate 20900101000000Z -enddate 20910101000000Z
below issuer-expired "$authority" -startdate 20200101000000Z \
    -enddate 20210101000000Z

# ---- issuers ----

# shellcheck disable=SC2086
openssl req -x509 -nodes -newkey $p256 -keyout self-signed.key \
    -out self-signed.pem -days 36500 -subj "/CN=self-signed" \
    -addext "basicConstraints=critical,CA:false" \
    -addext "keyUsage=critical,digitalSignature" \
    -addext "subjectAltName=DNS:localhost"
# shellcheck disable=SC2086
request wrong-issuer $p256
sign stranger wrong-issuer "$plain$host"
cp wrong-issuer.crt wrong-issuer.pem
below missing-issuer "$authority"
cp missing-issuer.crt missing-issuer.pem
below issuer-is-leaf "$leaf$signs"
below issuer-without-usage \
    "basicConstraints=critical,CA:true\nkeyUsage=critical,digitalSignature\n"
below issuer-for-clients "${authority}extendedKeyUsage=clientAuth\n"
below issuer-constrained \
    "${authority}nameConstraints=critical,permitted;DNS:example.org\n"

# The constraint of an issuer holds for all that are below it. The one in
# between has no name that it could be applied to.
# shellcheck disable=SC2086
request deep.top $p256
sign authority deep.top \
    "${authority}nameConstraints=critical,permitted;DNS:example.org\n"
# shellcheck disable=SC2086
attribute=O request deep.middle $p256
sign deep.top deep.middle "$authority"
# shellcheck disable=SC2086
request deep-constrained $p256
sign deep.middle deep-constrained "$plain$host"
cat deep-constrained.crt deep.middle.crt deep.top.crt >deep-constrained.pem
names="subjectAltName=DNS:www.example.org\n"
below good-constrained \
    "${authority}nameConstraints=critical,permitted;DNS:example.org\n"
names=

# A path of two under an issuer that allows none below it.
# shellcheck disable=SC2086
request path.top $p256
sign authority path.top \
    "basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign\n"
# shellcheck disable=SC2086
request path.middle $p256
sign path.top path.middle "$authority"
# shellcheck disable=SC2086
request path-too-long $p256
sign path.middle path-too-long "$plain$host"
cat path-too-long.crt path.middle.crt path.top.crt >path-too-long.pem

# ---- names ----

leaf other-name "${plain}subjectAltName=DNS:example.org\n"
# shellcheck disable=SC2086
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
leaf nul-in-name "${plain}subjectAltName=DER:$nul\n"

# ---- keys and signatures ----

keyed weak-rsa rsa:1024
keyed weak-curve ec -pkeyopt ec_paramgen_curve:P-224
keyed other-curve ec -pkeyopt ec_paramgen_curve:secp256k1
leaf sha1 "$plain$host" -md sha1
# shellcheck disable=SC2086
request md5 $p256
sign rsa-authority md5 "$plain$host" -md md5
cp md5.crt md5.pem
# shellcheck disable=SC2086
request other-authority $p256
sign rsa-authority other-authority "$plain$host"
cp other-authority.crt other-authority.pem
middle_key=rsa:1024
below issuer-weak "$authority"
middle_key=
leaf forged "$plain$host"
# The last byte of the signature.
openssl x509 -in forged.crt -outform DER -out forged.der
size=$(wc -c <forged.der)
head -c $((size - 1)) forged.der >forged.cut
tail -c 1 forged.der | tr '\000-\377' '\001-\377\000' >>forged.cut
openssl x509 -inform DER -in forged.cut -out forged.pem

# ---- usages and extensions ----

leaf for-clients "$leaf$signs${host}extendedKeyUsage=clientAuth\n"
leaf for-servers "$leaf$signs${host}extendedKeyUsage=serverAuth\n"
leaf for-mail "$leaf$signs${host}extendedKeyUsage=emailProtection\n"
leaf no-signature "$leaf$both${host}keyUsage=critical,keyEncipherment\n"
leaf unknown-critical "$plain${host}1.2.3.4=critical,DER:0500\n"

# ---- revocation ----

leaf revoked "$plain$host"
openssl ca -config ca.cnf -cert authority.crt -keyfile authority.key \
    -revoke revoked.crt
openssl ca -config ca.cnf -cert authority.crt -keyfile authority.key \
    -gencrl -out authority.crl
rm -f ./*.csr ./*.ext ./*.cut ./*.der
touch done
