# The images of the product, for those who build with a container engine (BuildKit):
#
#   docker build --target master -t atlhyper-master .
#   docker build --target agent -t atlhyper-agent .
#   docker build --target atlhyper -t atlhyper .
#
# make image builds the same without one, with a bill of materials inside and the same
# bytes every time. The flags of go build are the same; a test compares them. So that
# the binaries know their version, the context needs .git (a context that is the URL of
# a repository: --build-arg BUILDKIT_CONTEXT_KEEP_GIT_DIR=1).

ARG GO_VERSION=1.26.8

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION}-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ENV GOCACHE=/go/cache CGO_ENABLED=0 GOAMD64=v1 GOARM64=v8.0 GOFLAGS=-mod=readonly GOWORK=off GOFIPS140=off
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/cache \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=true "-ldflags=-s -w" -o /out/ ./cmd/master ./cmd/agent ./cmd/atlhyper

# Labels are what is said here; the binaries know better.
ARG VERSION=
ARG REVISION=
RUN set -eu; for binary in /out/*; do \
      go version -m "$binary" >/tmp/said; \
      version=$(awk '$1 == "mod" { print $3 }' /tmp/said); \
      revision=$(awk -F = '/vcs.revision=/ { print $2 }' /tmp/said); \
      [ "${VERSION:-$version}" = "$version" ] || { echo "VERSION is $VERSION, $binary says $version" >&2; exit 1; }; \
      [ "${REVISION:-$revision}" = "$revision" ] || { echo "REVISION is $REVISION, $binary says $revision" >&2; exit 1; }; \
    done; \
    mkdir -p /rootfs/etc; \
    printf 'root:x:0:\nnonroot:x:65532:\n' >/rootfs/etc/group; \
    printf 'root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n' >/rootfs/etc/passwd; \
    chmod 0444 /rootfs/etc/*; \
    chmod 0555 /out/*

# No shell, no libraries, no certificates: what TLS trusts and the time zones are in the
# binaries (docs/adr/0026-images-hold-a-binary.md).
FROM scratch AS base
COPY --from=build /rootfs/ /
WORKDIR /
USER 65532:65532
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.source="https://github.com/atlhyper/observe" \
      org.opencontainers.image.url="https://github.com/atlhyper/observe"

FROM base AS atlhyper
COPY --from=build /out/atlhyper /atlhyper
ENTRYPOINT ["/atlhyper"]
LABEL org.opencontainers.image.title="AtlHyper Observe operator's tool"

FROM base AS agent
COPY --from=build /out/agent /agent
ENTRYPOINT ["/agent"]
LABEL org.opencontainers.image.title="AtlHyper Observe agent"

FROM base AS master
COPY --from=build /out/master /master
ENTRYPOINT ["/master"]
LABEL org.opencontainers.image.title="AtlHyper Observe master"
