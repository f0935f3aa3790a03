#!/bin/sh
# Makes the certificates for tests of the TLS engine: one authority, and its
# leaves for localhost. Two leaves have a P-256 key, and one of these expires
# after ten years. Others have RSA keys, the last one only for RSASSA-PSS
# signatures. The key of one has its curve's parameters instead of a name.
#
# Usage: tls_certificates.sh FOLDER
set -eu

mkdir -p "$1"
cd "$1"

# authority: ca.pem, ca.key
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout ca.key -out ca.pem -days 36500 -subj "/CN=weir test authority" \
    -addext "basicConstraints=critical,CA:true" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null

days=36500
# leaf NAME KEY-OPTIONS...: NAME.pem, the chain without the authority; NAME.key
leaf() {
    name=$1
    shift
    openssl req -new "$@" -nodes -keyout "$name.key" -out "$name.csr" \
        -subj "/CN=localhost" 2>/dev/null
    cat >"$name.ext" <<EOF
basicConstraints=critical,CA:false
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1
EOF
    openssl x509 -req -in "$name.csr" -CA ca.pem -CAkey ca.key -days "$days" \
        -CAcreateserial -extfile "$name.ext" -out "$name.pem" 2>/dev/null
    rm -f "$name.csr" "$name.ext"
}

leaf ecdsa -newkey ec -pkeyopt ec_paramgen_curve:P-256
leaf rsa -newkey rsa:2048
leaf rsa3072 -newkey rsa:3072
leaf rsa4096 -newkey rsa:4096
leaf rsapss -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048
leaf explicit -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
    -pkeyopt ec_param_enc:explicit
days=3650
leaf brief -newkey ec -pkeyopt ec_paramgen_curve:P-256
openssl pkey -in rsa.key -pubout -out rsa.pub
