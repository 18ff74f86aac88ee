# syntax=docker/dockerfile:1

# docker build -t rootly-idp-sync .
# docker run --rm -v "$PWD:/data" -e ROOTLY_SCIM_TOKEN -e OKTA_API_TOKEN rootly-idp-sync plan
#
# /data holds the configuration and, beside it, the ledger; user 65532 must be able to write there. Nothing else is written,
# so the root can be read-only (docs/install.md).

# Both bases are arguments, so that a mirror can take their place. Their defaults are stages, because Dependabot raises the
# digests of FROM and reads no ARG; a stage that an argument replaces is not pulled.
ARG BUILD_IMAGE=pinned-build
ARG BASE_IMAGE=pinned-base

FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS pinned-build

FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab AS pinned-base

FROM --platform=$BUILDPLATFORM ${BUILD_IMAGE} AS build
WORKDIR /src
# For builds behind a private module proxy.
ARG GOPROXY
ENV CGO_ENABLED=0 GOCACHE=/go/build-cache GOFLAGS=-buildvcs=false GOTOOLCHAIN=local
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY cmd cmd
COPY config config
COPY connectors connectors
COPY internal internal
COPY reconcile reconcile
COPY scimclient scimclient
# TAGS=-tags=noentra leaves the Graph SDK out, which takes minutes and gigabytes to compile.
ARG TAGS=
ARG VERSION=devel
# For other platforms too the compiler runs on this one: under emulation it takes hours.
ARG TARGETOS
ARG TARGETARCH
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build -trimpath -ldflags="-s -w -X github.com/rootly-idp-sync/rootly-idp-sync/internal/app.version=${VERSION}" ${TAGS} \
      -o /out/rootly-idp-sync ./cmd/rootly-idp-sync && mkdir /out/data

FROM ${BASE_IMAGE}
ARG VERSION=devel
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rootly-idp-sync" \
      org.opencontainers.image.description="Brings the people and groups of a company's directory into Rootly over SCIM" \
      org.opencontainers.image.source="https://github.com/rootly-idp-sync/rootly-idp-sync" \
      org.opencontainers.image.documentation="https://github.com/rootly-idp-sync/rootly-idp-sync/blob/main/docs/install.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/rootly-idp-sync /usr/local/bin/rootly-idp-sync
COPY LICENSE THIRD_PARTY_LICENSES.md /usr/share/doc/rootly-idp-sync/
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /data
USER 65532:65532
# 8081 is health.listen. What the daemon answers there decides, and no shell is needed to ask.
EXPOSE 8081
HEALTHCHECK --interval=30s --timeout=6s --start-period=30s CMD ["/usr/local/bin/rootly-idp-sync", "health"]
ENTRYPOINT ["/usr/local/bin/rootly-idp-sync"]
CMD ["run"]
