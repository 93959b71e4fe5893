#!/usr/bin/env bash
# Builds the commands of cmd/ into bin/. Needs Go and nothing else.
# The version of a binary is the commit it was built from, stamped by Go:
# read it with `go version -m bin/mmo`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
	cat <<'TEXT'
usage: ./build.sh [command ...]

Builds the named commands of cmd/, or all of them, into bin/.
GOOS, GOARCH and CGO_ENABLED work as with `go build`.
TEXT
}

# refuse says what is wrong, why, and what to do instead.
refuse() {
	printf 'build.sh: %s\n  why: %s\n  fix: %s\n' "$1" "$2" "$3" >&2
	exit 2
}

commands=()
for folder in cmd/*/; do
	[ -d "$folder" ] && ls "$folder"*.go >/dev/null 2>&1 && commands+=("$(basename "$folder")")
done

wanted=()
for argument in "$@"; do
	case $argument in
	-h | -help | --help) usage; exit 0 ;;
	-*) refuse "unknown flag $argument" "the script takes names of commands only" "./build.sh -help shows the usage; settings go through GOOS, GOARCH and CGO_ENABLED" ;;
	esac
	known=
	for name in "${commands[@]+"${commands[@]}"}"; do [ "$name" = "$argument" ] && known=yes; done
	[ -n "$known" ] || refuse "no command $argument" "cmd/ holds: ${commands[*]-nothing yet}" "name one of these, or none to build all"
	wanted+=("./cmd/$argument")
done

if ! command -v go >/dev/null 2>&1; then
	printf 'build.sh: Go is missing\n  why: everything here is built by it\n  fix: install Go %s or newer from https://go.dev/dl and put it on the PATH\n' \
		"$(sed -n 's/^go //p' go.mod)" >&2
	exit 1
fi
if [ ${#commands[@]} -eq 0 ]; then
	printf 'build.sh: nothing to build\n  why: cmd/ holds no command\n  fix: look whether the checkout is complete\n' >&2
	exit 1
fi
[ ${#wanted[@]} -gt 0 ] || for name in "${commands[@]}"; do wanted+=("./cmd/$name"); done

# Stamp the commit where there is one that git lets us read; outside of a clone
# asking for it would be an error. Said explicitly because GOFLAGS may differ.
stamp=false
if git rev-parse --verify -q HEAD >/dev/null 2>&1 && git status --porcelain >/dev/null 2>&1; then
	stamp=true
fi

mkdir -p bin
export GOWORK=off
go build -trimpath -buildvcs="$stamp" -o bin/ "${wanted[@]}"

for path in "${wanted[@]}"; do
	file=bin/$(basename "$path")
	[ -f "$file" ] && [ "$(go env GOOS)" != windows ] || file=$file.exe
	printf 'built  %-24s %6d KiB\n' "$file" "$(($(wc -c <"$file") / 1024))"
done
version=$(go version -m "$file" | awk '$1 == "mod" { print $3 }')
[ "$stamp" = true ] || version="$version (no commit to stamp)"
printf 'version %s  %s/%s  %s\n' "$version" "$(go env GOOS)" "$(go env GOARCH)" "$(go env GOVERSION)"
