# docker build -t rootly-idp-sync .
# docker run --rm -v "$PWD:/data" -e ROOTLY_SCIM_TOKEN -e OKTA_API_TOKEN rootly-idp-sync plan
#
# /data holds the configuration and, beside it, the ledger; user 65532 must be able to write there.

ARG BUILD_IMAGE=golang:1.26-bookworm
ARG BASE_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# For builds behind a private module proxy.
ARG GOPROXY
ENV GOCACHE=/go/build-cache
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# TAGS=-tags=noentra leaves the Graph SDK out, which takes minutes and gigabytes to compile.
ARG TAGS=
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/go/build-cache \
    CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags='-s -w' ${TAGS} -o /out/rootly-idp-sync ./cmd/rootly-idp-sync
RUN mkdir -p /out/data /out/tmp && cp "$(go env GOROOT)/lib/time/zoneinfo.zip" /out/

FROM ${BASE_IMAGE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/zoneinfo.zip /usr/share/zoneinfo.zip
COPY --from=build /out/rootly-idp-sync /usr/local/bin/rootly-idp-sync
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
ENV ZONEINFO=/usr/share/zoneinfo.zip
WORKDIR /data
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/rootly-idp-sync"]
