#!/usr/bin/env bash
# Runs every test of the repository. Results go to the terminal and to
# test_results.log, coverage to coverage.html. The exit code is 0 only if
# nothing failed; the last line counts what passed, failed and was skipped.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

usage() {
	cat <<'TEXT'
usage: ./test.sh [-short]

  -short   the quick half: needs nothing but Go, takes a few minutes at most

Without -short it also needs a C compiler (race detector), Node.js with npm (web
tests), Chromium (browser tests) and Python 3 with venv (the client in Python).
As root on Debian, or with CI=true, it installs what is missing; elsewhere it
skips those suites and says so.
TEXT
}

short=
for argument in "$@"; do
	case $argument in
	-short | --short) short=yes ;;
	-h | -help | --help) usage; exit 0 ;;
	*)
		printf 'test.sh: unknown argument %s\n  why: the script knows -short and -help only\n  fix: ./test.sh runs everything, ./test.sh -short the quick half; for one package use go test ./pkg/...\n' "$argument" >&2
		exit 2
		;;
	esac
done

if ! command -v go >/dev/null 2>&1; then
	printf 'test.sh: Go is missing\n  why: everything here is built and tested by it\n  fix: install Go %s or newer from https://go.dev/dl and put it on the PATH\n' \
		"$(sed -n 's/^go //p' go.mod)" >&2
	exit 1
fi

python_client=examples/python-client
module=$(sed -n 's/^module //p' go.mod)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export GOWORK=off # a go.work above this folder is not ours
# Every process with the race detector stays for a second after its end, in case that one of its threads still finds a
# race. Ours have waited for their goroutines by then, and there are hundreds of processes.
export GORACE="atexit_sleep_ms=20 ${GORACE:-}"

passed=0 failed=0 skipped=0
failures=() skips=()

# begin notes the name and the start of a step.
begin() {
	step=$1
	started=$SECONDS
}

good() {
	passed=$((passed + 1))
	printf 'ok    %-38s %3ds%s\n' "$step" $((SECONDS - started)) "${1:+  $1}"
}

# bad takes a file with the output that explains the failure.
bad() {
	failed=$((failed + 1))
	failures+=("$step")
	printf 'FAIL  %-38s %3ds\n' "$step" $((SECONDS - started))
	sed 's/^/      /' "$1"
}

# skip NAME REASON
skip() {
	skipped=$((skipped + 1))
	skips+=("$1: $2")
	printf 'skip  %-38s %s\n' "$1" "$2"
}

# check NAME COMMAND... is a step that counts as one test.
check() {
	begin "$1"
	shift
	if "$@" >"$work/out" 2>&1; then good; else bad "$work/out"; fi
}

# suite NAME COMMAND... is a step whose command speaks `go test -json`.
suite() {
	begin "$1"
	shift
	rm -f "$work/totals"
	printf 'run   %s\n' "$step"
	"$@" 2>&1 | "$work/testlog" -module "$module" -totals "$work/totals"
	local code=$? p=0 f=0 s=0
	[ -f "$work/totals" ] && read -r p f s <"$work/totals"
	if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi # died before any test did
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	[ "$f" -eq 0 ] || failures+=("$step ($f)")
	[ "$s" -eq 0 ] || skips+=("$s inside $step, named above")
	printf '%s  %-38s %3ds  %d passed, %d failed, %d skipped\n' "$([ "$f" -eq 0 ] && echo 'ok  ' || echo FAIL)" "$step" $((SECONDS - started)) "$p" "$f" "$s"
}

have() { command -v "$1" >/dev/null 2>&1; }

browser() { have chromium || have chromium-browser || have google-chrome || have headless-shell; }

python() { python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

compiler() { have "$(go env CC | cut -d' ' -f1)"; }

# install fetches Debian packages, quietly, and tries once more when a mirror
# fails. All at once first; one by one if that does not work, so that one
# missing package does not take the others with it.
install() {
	local sudo=
	if [ "$(id -u)" -ne 0 ]; then sudo="sudo -n"; fi
	apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=120 "$@" </dev/null; }
	twice() { "$@" || { sleep 5 && "$@"; }; }
	twice apt update
	twice apt install --no-install-recommends "$@" && return
	local package code=0
	for package in "$@"; do apt install --no-install-recommends "$package" || code=1; done
	return $code
}

# prepare installs what is missing where that is ours to do.
prepare() {
	local missing=()
	compiler || missing+=(gcc libc6-dev)
	if [ -f web/package.json ]; then
		have node || missing+=(nodejs)
		have npm || missing+=(npm)
	fi
	if [ -d tools/browser ] && ! browser; then missing+=(chromium); fi
	if [ -d "$python_client" ] && ! python; then missing+=(python3 python3-venv); fi
	[ ${#missing[@]} -gt 0 ] || return 0
	if have apt-get && { [ "$(id -u)" -eq 0 ] || { [ "${CI:-}" = true ] && sudo -n true 2>/dev/null; }; }; then
		begin "install ${missing[*]}"
		if install "${missing[@]}" >"$work/out" 2>&1; then
			printf 'done  %-38s %3ds\n' "$step" $((SECONDS - started))
		else # the suites that needed it are skipped by name below
			printf 'note  %-38s %3ds  did not work:\n' "$step" $((SECONDS - started))
			tail -n 15 "$work/out" | sed 's/^/      /'
		fi
	else
		printf 'note  missing: %s (on Debian: apt-get install %s)\n' "${missing[*]}" "${missing[*]}"
	fi
}

formatted() {
	local files
	files=$(find . \( -name node_modules -o -name .git -o -path ./bin \) -prune -o -name '*.go' -print0 | xargs -0 "$(go env GOROOT)/bin/gofmt" -l) || return 1
	[ -z "$files" ] && return
	printf 'not formatted:\n%s\nfix: gofmt -w on these files\n' "$files"
	return 1
}

lint() {
	mkdir -p bin
	go build -C tools/lint -buildvcs=false -o "$PWD/bin/staticcheck" honnef.co/go/tools/cmd/staticcheck &&
		bin/staticcheck ./...
}

# covered draws coverage.html and prints the total. Generated messages say
# nothing about our tests.
covered() {
	grep -vE '(\.pb|_gen)\.go:' coverage.out >"$work/coverage" && mv "$work/coverage" coverage.out &&
		go tool cover -html=coverage.out -o coverage.html &&
		go tool cover -func=coverage.out | awk 'END { print "note  coverage.html shows all packages; statements covered: " $NF }'
}

# nested lists the folders below the root that are modules of their own.
nested() {
	find . \( -name node_modules -o -name .git -o -path ./bin \) -prune -o -name go.mod -print | sort | sed 's|^\./||; s|/*go\.mod$||' | grep .
}

# tests prints the test files of the root module with a line that matches $1.
tests() {
	local file folder own modules
	modules=$(nested)
	grep -rlE "$1" --include='*_test.go' --exclude-dir=node_modules --exclude-dir=.git . | sort | while read -r file; do
		own=yes
		for folder in $modules; do
			case $file in "./$folder/"*) own= ;; esac
		done
		[ -z "$own" ] || printf '%s\n' "$file"
	done
}

# fuzzers prints "package function" for every fuzz test of the root module.
fuzzers() {
	local file
	tests '^func Fuzz[A-Z0-9_]' | while read -r file; do
		sed -nE "s|^func (Fuzz[A-Za-z0-9_]*)\(.*|$(dirname "$file") \1|p" "$file"
	done
}

# unraced runs the tests that race builds leave out: those that count
# allocations, because the detector allocates by itself, and those in which a
# library races with itself.
unraced() {
	local files names
	files=$(tests '^//go:build !race')
	names=$(printf '%s\n' "$files" | xargs sed -nE 's/^func (Test[A-Za-z0-9_]*)\(.*/\1/p' | grep -v '^TestMain$' | sort -u | paste -sd '|' -)
	printf '%s\n' "$files" | xargs -n 1 dirname | sort -u | xargs go test -json -timeout 2m -run "^($names)\$"
}

# fuzz runs one fuzz test for a moment. The fuzzing engine sometimes reports
# its own deadline as a failure; that is tried again, a finding is not.
fuzz() {
	local attempt
	for attempt in 1 2 3 4; do
		go test -run '^$' -fuzz "^$2\$" -fuzztime "$3" -fuzzminimizetime 5s "$1" && return
		grep -q 'context deadline exceeded' "$work/out" && ! grep -q 'Failing input' "$work/out" || return
		[ "$attempt" = 4 ] || printf 'the engine ran into its own deadline; once more\n'
	done
	return 1
}

# node_old tells whether Node.js is older than web/package.json asks for.
node_old() {
	node -e '
		const want = (require("./web/package.json").engines?.node ?? ">=0").replace(/[^0-9.]/g, "").split(".").map(Number)
		const have = process.versions.node.split(".").map(Number)
		for (let i = 0; i < want.length; i++) if (have[i] !== want[i]) process.exit(have[i] < want[i] ? 0 : 1)
		process.exit(1)' 2>/dev/null
}

npm_install() {
	[ web/node_modules/.package-lock.json -nt web/package-lock.json ] && return
	(cd web && npm ci --no-audit --no-fund --no-update-notifier --loglevel=error)
}
web_types() { (cd web && npx --no-install tsc --noEmit); }

# web_tests runs the TypeScript tests and counts them: Node.js ends its report
# with a line like "# pass 12" for each outcome.
web_tests() {
	begin "web tests"
	local code p f s
	(cd web && npm test --silent) >"$work/out" 2>&1
	code=$?
	counted() { sed -nE "s/^[^a-z]* ($1) ([0-9]+)\$/\2/p" "$work/out" | awk '{ n += $1 } END { print n + 0 }'; }
	p=$(counted pass) f=$(counted 'fail|cancelled') s=$(counted 'skipped|todo')
	if [ "$code" -ne 0 ] && [ "$f" -eq 0 ]; then f=1; fi
	if [ "$code" -eq 0 ] && [ "$((p + f + s))" -eq 0 ]; then p=1; fi # another runner: one test, like the other steps
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	[ "$s" -eq 0 ] || skips+=("$s inside web tests")
	[ "$f" -eq 0 ] || failures+=("web tests ($f)")
	printf '%s  %-38s %3ds  %d passed, %d failed, %d skipped\n' "$([ "$f" -eq 0 ] && echo 'ok  ' || echo FAIL)" "$step" $((SECONDS - started)) "$p" "$f" "$s"
	[ "$f" -eq 0 ] || sed 's/^/      /' "$work/out"
}

web_suites() {
	if [ ! -f web/package.json ]; then
		skip "web tests" "web/package.json is not there"
	elif [ -n "$short" ]; then
		skip "web tests" "needs npm, left out by -short"
	elif ! have node || ! have npm; then
		skip "web tests" "Node.js or npm is missing: install them from https://nodejs.org"
	elif node_old; then
		skip "web tests" "Node.js $(node --version) is older than web/package.json asks for"
	else
		begin "npm ci"
		if ! npm_install >"$work/out" 2>&1; then
			bad "$work/out"
			skip "web tests" "npm ci failed"
			return
		fi
		good
		check "web types" web_types
		web_tests
	fi
}

web_output() {
	if [ -f web/package.json ] && [ ! -d web/node_modules ]; then
		skip "web output is fresh" "web/node_modules is missing: needs npm ci in web/"
	elif [ -f tools/web/go.mod ]; then
		check "web output is fresh" go run -C tools/web -buildvcs=false . -check
	else
		skip "web output is fresh" "tools/web is not there"
	fi
}

# python_install makes a virtual environment with the pinned packages, once for each list of them.
python_install() {
	cmp -s "$python_client/requirements.txt" bin/python/requirements.txt && bin/python/bin/python -c '' && return
	rm -rf bin/python
	python3 -m venv bin/python &&
		bin/python/bin/python -m pip install --quiet --no-input --disable-pip-version-check --only-binary :all: -r "$python_client/requirements.txt" &&
		cp "$python_client/requirements.txt" bin/python/
}

# python_plays runs the client against a development server, which ends by itself if this script is killed.
python_plays() {
	local server page='' code
	go build -buildvcs=false -o "$work/mmo" ./cmd/mmo || return
	"$work/mmo" -addr 127.0.0.1:0 -walkers 300 -for 2m >"$work/mmo.out" 2>&1 &
	server=$!
	while [ -z "$page" ] && kill -0 "$server" 2>/dev/null; do
		sleep 0.1
		page=$(sed -nE 's|^ *game +(http://[^ ]+).*|\1|p' "$work/mmo.out")
	done
	bin/python/bin/python -B "$python_client/client.py" --json "$page"
	code=$?
	kill "$server" 2>/dev/null
	wait "$server"
	[ "$code" -eq 0 ] || cat "$work/mmo.out"
	return "$code"
}

python_suites() {
	if [ -n "$short" ]; then
		skip "$python_client" "needs packages of Python, left out by -short"
	elif ! python; then
		skip "$python_client" "Python 3.11 or its venv is missing: on Debian apt-get install python3 python3-venv"
	else
		begin "$python_client packages"
		if ! python_install >"$work/out" 2>&1; then
			bad "$work/out"
			skip "$python_client" "its packages could not be installed"
			return
		fi
		good
		check "$python_client vectors" bin/python/bin/python -B -m unittest discover "$python_client"
		check "$python_client" python_plays
	fi
}

nested_suites() {
	local folder
	for folder in $(nested); do
		case $folder in
		tools/lint) continue ;; # holds no code
		esac
		if [ -n "$short" ]; then
			skip "$folder" "a module of its own, left out by -short"
		elif [ "$folder" = tools/browser ] && ! browser; then
			skip "$folder" "Chromium is missing: install it, on Debian with apt-get install chromium"
		else
			check "$folder vet" go vet -C "$folder" ./...
			suite "$folder" go test -C "$folder" -json -timeout 5m ./...
		fi
	done
}

cross_build() { CGO_ENABLED=0 GOOS=$1 GOARCH=$2 go build -buildvcs=false ./...; }

main() {
	printf 'test.sh%s  %s  %s/%s\n' "${short:+ -short}" "$(go env GOVERSION)" "$(go env GOOS)" "$(go env GOARCH)"
	[ -n "$short" ] || prepare

	begin "testlog builds"
	if ! go build -buildvcs=false -o "$work/testlog" ./tools/testlog >"$work/out" 2>&1; then
		bad "$work/out"
		printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
		return 1
	fi

	check "gofmt" formatted
	check "guards" go test ./guard_test.go ./guard_*_test.go
	check "go vet" go vet ./...
	check "staticcheck" lint
	check "assembly is fresh" go run -C tools/asm -buildvcs=false . -check

	local flags=(-json -coverprofile=coverage.out -covermode=atomic) label="tests"
	# Go never caches the result of a shuffled run, so the quick half goes without.
	if [ -n "$short" ]; then flags+=(-short -timeout 2m); else flags+=(-shuffle=on -timeout 10m); fi
	if [ -n "$short" ]; then
		skip "race detector" "takes minutes, left out by -short"
	elif CGO_ENABLED=1 go build -race -buildvcs=false -o "$work/race" ./tools/testlog >/dev/null 2>&1; then
		export CGO_ENABLED=1
		flags+=(-race)
		label="tests with race detector"
	else
		skip "race detector" "needs a C compiler: on Debian apt-get install gcc libc6-dev"
	fi
	suite "$label" go test "${flags[@]}" ./...
	[ ! -s coverage.out ] || covered
	case $label in
	*race*) suite "tests without race detector" unraced ;;
	esac

	local folder name
	if [ -n "$short" ]; then
		skip "fuzzing" "takes minutes, left out by -short: the tests run the seeds"
	else
		fuzzers >"$work/fuzzers"
		while read -r folder name; do
			check "fuzz ${folder#./} $name" fuzz "$folder" "$name" 2s
		done <"$work/fuzzers"
	fi

	web_suites
	web_output
	python_suites
	nested_suites

	check "builds for windows/amd64" cross_build windows amd64
	check "builds for darwin/arm64" cross_build darwin arm64
	check "builds for linux/arm64" cross_build linux arm64

	printf '\n%ds in all\n' "$SECONDS"
	[ ${#skips[@]} -eq 0 ] || printf 'skipped: %s\n' "${skips[@]}"
	[ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
	printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" -eq 0 ]
}

main </dev/null 2>&1 | tee test_results.log
exit "${PIPESTATUS[0]}"
