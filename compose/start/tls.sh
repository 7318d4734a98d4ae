# Sourced by the start scripts: with MIG_TLS=on, puts the certificates that came in the environment into files of /run/mig
# (in memory, mode 0600) and takes them out of the environment. Afterwards $scheme and $amqp say how others are reached.
set -eu
umask 077

tls_file() { # NAME FILE: the variable's base64 into the file
  eval "value=\${$1:-}"
  [ -n "$value" ] || { echo "MIG_TLS is on, but $1 is missing: run ./setup again" >&2; exit 1; }
  printf '%s' "$value" | base64 -d > "/run/mig/$2"
}

case ${MIG_TLS:-off} in
  on)
    scheme=https amqp=amqps amqp_port=5671
    tls_file MIG_TLS_CA ca.pem
    if [ -n "${MIG_TLS_CERTIFICATE:-}" ]; then
      tls_file MIG_TLS_CERTIFICATE certificate.pem
      tls_file MIG_TLS_KEY key.pem
    fi
    ;;
  off) scheme=http amqp=amqp amqp_port=5672 ;;
  *) echo "MIG_TLS must be on or off, is '$MIG_TLS': see compose/.env" >&2; exit 1 ;;
esac
unset MIG_TLS_CERTIFICATE MIG_TLS_KEY
