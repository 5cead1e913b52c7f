#!/bin/sh
# Debian packages of the real peers that the tests use: mail servers, a browser, promtool, strace, a proxy, what Kafka runs
# on and is brought by, PostgreSQL, and what makes a network of our own.
# Without root or apt this says what will not be proved, and the tests decide what that means.
set -eu
missing=""
for pair in master:postfix dovecot:dovecot-imapd chromium:chromium promtool:prometheus strace:strace caddy:caddy \
  java:openjdk-17-jre-headless mvn:maven ip:iproute2; do
  program=${pair%%:*}; package=${pair##*:}
  [ -x "/usr/lib/postfix/sbin/$program" ] || command -v "$program" >/dev/null 2>&1 || missing="$missing $package"
done
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || missing="$missing postgresql"
case "$missing" in *dovecot-imapd*) missing="$missing dovecot-lmtpd" ;; esac
case "$missing" in *chromium*) missing="$missing fonts-noto-cjk" ;; esac
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
  echo "not installed, and cannot be from here:$missing" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
