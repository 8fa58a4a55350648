# What the set-up scripts share. Sourced, never run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tools=$root/target/tools

say() { printf '%s\n' "set-up: $*" >&2; }
die() { say "$*"; exit 1; }

# apt_install PACKAGE...: installs Debian packages, saying so first; sudo where the user is not
# root.
apt_install() {
  command -v apt-get >/dev/null ||
    die "needs $*, and this system has no apt-get: please install them, then run make again"
  local sudo=
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null ||
      die "needs the Debian packages $*: please install them as root, then run make again"
    sudo=sudo
  fi
  say "installing Debian packages with ${sudo:+$sudo }apt-get: $*"
  $sudo apt-get -o DPkg::Lock::Timeout=300 update -qq >&2
  DEBIAN_FRONTEND=noninteractive $sudo apt-get -o DPkg::Lock::Timeout=300 \
    install -y -qq --no-install-recommends "$@" >&2
}

# apt_unpack FOLDER PACKAGE: what is in a Debian package, in a folder, with nothing installed and no
# service started.
apt_unpack() {
  local sudo=
  [ "$(id -u)" = 0 ] || ! command -v sudo >/dev/null || sudo=sudo
  say "fetching the Debian package $2 into ${1#"$root"/}"
  rm -rf "$1"
  mkdir -p "$1"
  (
    cd "$1"
    download() { apt-get -o APT::Sandbox::User= download -qq "$1" >&2; }
    download "$2" || { $sudo apt-get -o DPkg::Lock::Timeout=300 update -qq >&2 && download "$2"; }
    dpkg-deb -x ./*.deb .
    rm -f ./*.deb
  )
}

# pip_install FOLDER REQUIREMENT: a wheel and nothing else, into a folder of its own.
pip_install() {
  if command -v uv >/dev/null; then
    uv pip install --quiet --no-deps --target "$1" "$2" >&2
    return
  fi
  command -v python3 >/dev/null && python3 -m pip --version >/dev/null 2>&1 ||
    apt_install python3 python3-pip
  python3 -m pip install --quiet --disable-pip-version-check --no-deps \
    --root-user-action=ignore --target "$1" "$2" >&2
}

# Two makes at once must not build the same thing into the same place.
lock() {
  mkdir -p "$tools"
  command -v flock >/dev/null || return 0
  exec 9>"$tools/$1.lock"
  flock 9
}
