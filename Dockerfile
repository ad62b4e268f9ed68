# One image with both programs: `gateway`, and `saver COMMAND`. compose.yaml
# says which one a container runs. There is no shell in it; each program has a
# `healthcheck` command that asks the one that runs beside it.

FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/ ./cmd/gateway ./cmd/saver

FROM scratch
# For rediss://, and for NATS and PostgreSQL over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/ /usr/local/bin/
ENV PATH=/usr/local/bin
USER 65532:65532
CMD ["gateway"]
