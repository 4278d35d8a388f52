# The gateway Collector, of the same manifest as the native one. From the repository's root:
#   docker build -f deploy/images/gateway.Dockerfile -t headrace/gateway .
# The defaults are those of deploy/compose/.env and deploy/native/setup/collector.sh; a test holds
# them equal.
ARG GO_IMAGE=golang:1.26.5-bookworm
ARG ALPINE_IMAGE=alpine:3.22.1

FROM ${GO_IMAGE} AS build
ARG OCB=v0.155.0
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-buildvcs=false
RUN go install "go.opentelemetry.io/collector/cmd/builder@${OCB}"
WORKDIR /src
COPY services/gateway/builder.yaml ./
COPY services/gateway/retryinfo retryinfo
RUN builder --config builder.yaml

# Alpine and not an empty image: the health check needs a wget, TLS to Kafka the certificates.
FROM ${ALPINE_IMAGE}
COPY --from=build /src/build/headrace-otelcol /usr/local/bin/headrace-otelcol
COPY services/gateway/gateway.yaml services/gateway/auth-bearer.yaml services/gateway/agent.yaml /etc/headrace/
USER 10001:10001
# OTLP gRPC, OTLP HTTP, health, metrics
EXPOSE 4317 4318 13133 8888
ENTRYPOINT ["headrace-otelcol"]
CMD ["--config", "/etc/headrace/gateway.yaml"]
