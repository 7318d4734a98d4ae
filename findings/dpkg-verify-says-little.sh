#!/bin/sh
# `dpkg --verify` ends with 0 whatever it finds, and finds neither a redirected link nor a changed mode or owner.
#
# It compares MD5 sums of files, and whether what is listed is there. A link to another program, and a file that became
# setuid, are as the package brought them; where a file was changed or is gone, there is a line and status 0, so a script
# that asks `if dpkg --verify` never sees it. Status 2 is for a file that cannot be read, and the look ends there.
# Seen with dpkg 1.21.23 of Debian 12, amd64. Needs root. Exits 1 when that has changed.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
cd "$place"
apt-get download -q dpkg=1.21.23 >/dev/null 2>&1
dpkg -x dpkg_*.deb unpacked
PATH="$place/unpacked/usr/bin:$PATH"
export PATH
dpkg --version | head -1
mkdir -p one/DEBIAN one/usr/lib/one root/var/lib/dpkg/info root/var/lib/dpkg/updates
printf 'Package: one\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n' >one/DEBIAN/control
for name in program other changed gone; do echo "$name" >"one/usr/lib/one/$name"; done
ln -s program one/usr/lib/one/link
dpkg-deb --root-owner-group --build one one.deb >/dev/null
: >root/var/lib/dpkg/status
here() { dpkg --root="$place/root" --log=/dev/null --force-script-chrootless "$@"; }
here --install one.deb >/dev/null 2>&1
ln -sfn other root/usr/lib/one/link
chown 1:1 root/usr/lib/one/program
chmod 4755 root/usr/lib/one/program
first=$(here --verify one) && status=0 || status=$?
echo "link leads elsewhere, program setuid and of another owner: status $status, says '$first'"
[ "$status" = 0 ] && [ -z "$first" ]
echo x >>root/usr/lib/one/changed
rm root/usr/lib/one/gone
second=$(here --verify one) && status=0 || status=$?
echo "a file changed, another gone: status $status, says"
echo "$second"
[ "$status" = 0 ] && [ "$(echo "$second" | grep -c -e changed -e gone)" = 2 ]
