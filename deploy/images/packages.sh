#!/bin/sh
# Downloads Debian packages with their dependencies and extracts their files to /system; user accounts go to /accounts.
# Runs in the stage `packages` of the Containerfile. usage: packages.sh PACKAGE…
set -eu

# Dependencies for maintainer scripts, and parts of git that an executor does not use (send-email, svn, add -p).
# apt treats them as installed.
mkdir -p /build/archives/partial /system /accounts/etc /folders/data
for name in adduser debconf debianutils dpkg init-system-helpers liberror-perl openssl passwd perl perl-base; do
  printf 'Package: %s\nStatus: install ok installed\nVersion: 9999\nArchitecture: %s\nMulti-Arch: foreign\n' \
    "$name" "$(dpkg --print-architecture)"
  printf 'Provides: awk, debconf-2.0\nMaintainer: none\nDescription: omitted\n\n'
done > /build/status

apt-get -qq update
apt-get -qq --assume-yes --no-install-recommends --download-only \
  -o Dir::State::status=/build/status -o Dir::Cache::archives=/build/archives -o APT::Sandbox::User= install "$@"

# /bin, /lib and the others are links into /usr.
for folder in bin lib lib64 sbin; do
  mkdir -p "/system/usr/$folder"
  ln -s "usr/$folder" "/system/$folder"
done
mkdir -p /system/var/lib/dpkg/status.d
for archive in /build/archives/*.deb; do
  # Tools that scan images for vulnerable packages read these files.
  { dpkg-deb --field "$archive"; echo 'Status: install ok installed'; } \
    > "/system/var/lib/dpkg/status.d/$(dpkg-deb --field "$archive" Package)"
  dpkg-deb --fsys-tarfile "$archive" | tar --extract --directory=/system --keep-directory-symlink \
    --exclude='./usr/share/man' --exclude='./usr/share/info' --exclude='./usr/share/locale' --exclude='./usr/share/lintian' \
    --exclude='./usr/share/bug' --exclude='./usr/share/gitweb' --exclude='./usr/share/perl5' --exclude='*/gconv' \
    --exclude='./usr/share/bash-completion'
done

# Programs that serve or send mail.
for name in git-daemon git-http-backend git-http-push git-imap-send git-shell scalar; do
  rm -f "/system/usr/lib/git-core/$name" "/system/usr/bin/$name"
done
# The licences stay.
find /system/usr/share/doc ! -type d ! -name copyright -delete
find /system -type f -perm /6000 -exec chmod ug-s {} +

mkdir -p /system/etc/ssl/certs
cat /system/usr/share/ca-certificates/*/*.crt /build/certificates.pem > /system/etc/ssl/certs/ca-certificates.crt
rm -rf /system/usr/share/ca-certificates

cat > /accounts/etc/passwd << 'END'
root:x:0:0:root:/root:/bin/bash
cnb:x:1002:1000::/home/cnb:/bin/bash
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
END
printf 'root:x:0:\ncnb:x:1000:\nnogroup:x:65534:\n' > /accounts/etc/group
# Without this file a static program would load libraries that do not exist.
printf 'passwd: files\ngroup: files\nhosts: files dns\n' > /accounts/etc/nsswitch.conf
mkdir -p /accounts/home/cnb /accounts/tmp /system/var/tmp
chown 1002:1000 /accounts/home/cnb
chmod 1777 /accounts/tmp /system/var/tmp
chmod 700 /folders/data
