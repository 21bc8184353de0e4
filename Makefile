# Every target is one line. `make test` and `make demo` need Go and a C compiler (SQLite is compiled in), nothing else.
export CGO_ENABLED := 1
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
REAL ?= ../shared/data/redirects/mdn-en-us.tsv

.PHONY: all build test race lint bench soak demo demo-real cc
all: lint test build

cc:
	@command -v $${CC:-cc} >/dev/null || { echo "cloudletmig needs a C compiler for SQLite: install gcc (Debian: apt-get install gcc libc6-dev; macOS: xcode-select --install)" >&2; exit 1; }
build: cc
	go build -o bin/cloudletmig ./cmd/cloudletmig
test: cc
	go test -race -timeout 14m ./...
race: test
lint: cc
	$(GOLANGCI) run ./...
bench: build
	go test -run '^$$' -bench . -benchtime 1x -timeout 60m ./cmd/cloudletmig ./internal/...
soak: cc
	SOAK=1 go test -timeout 170m -run 'Kill|Fault|Damage|Base|Changes|Signal|Secret|Hostile|Redirect|EndToEnd' ./... && go test -timeout 60m ./internal/checkpoint -run Flip -flips 2000
demo: build
	bin/cloudletmig demo
demo-real: build
	bin/cloudletmig demo --redirects $(REAL)
