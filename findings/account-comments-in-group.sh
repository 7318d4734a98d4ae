#!/bin/sh
# A line of /etc/group that begins with # still makes its members members of the group when they log in.
#
# glibc's "files" service goes over comments when it looks for a group by name, by number or in a list, but not when it
# looks for all groups of a user (nss_files/files-initgroups.c has a reader of its own): "#sudo:x:27:ada" gives ada group
# 27, which no list of groups shows. An entry of the compat kind without a number, "+x:x::ada", gives group 0.
# Seen with glibc 2.36 of Debian 12. Exits 1 when that has changed. Needs apt-get and the right to change the root
# directory, which a user namespace gives.
set -eu
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
chmod 755 .
apt-get download --quiet=2 libc6=2.36-9+deb12u14 libc-bin=2.36-9+deb12u14 2>/dev/null
for one in *.deb; do dpkg-deb -x "$one" root; done
mkdir -p root/etc
echo 'ada:x:1000:1000::/:/bin/sh' >root/etc/passwd
printf '%s\n' 'root:x:0:' 'ada:x:1000:' 'sudo:x:27:' '#sudo:x:27:ada' '+x:x::ada' >root/etc/group
printf '%s\n' 'passwd: files' 'group: files' >root/etc/nsswitch.conf
ask() { unshare --map-root-user chroot root /usr/bin/getent "$@"; }
unshare --map-root-user chroot root /usr/bin/getent --version | head -1
echo "members of sudo by its name: $(ask group sudo)"
echo "list of groups: $(ask group | tr '\n' ' ')"
groups=$(ask initgroups ada | tr -s ' ')
echo "groups that ada gets at a login: $groups"
[ "$groups" = "ada 27 0" ]
