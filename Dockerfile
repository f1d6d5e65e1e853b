# docker build -t ntp-monitor .
# docker run --read-only --cap-drop ALL -p 127.0.0.1:8080:8080 -v ntp-monitor:/var/lib/ntp-monitor \
#     -v ./servers.toml:/etc/ntp-monitor/servers.toml:ro ntp-monitor --config /etc/ntp-monitor/servers.toml
#
# A container has the clock of its host.

FROM node:22-bookworm-slim AS page
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
COPY web/generator/package.json generator/
RUN npm ci --no-audit --no-fund
COPY web ./
RUN npm run build

FROM rust:1.95-bookworm AS program
WORKDIR /build
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY src src
COPY benches benches
COPY config config
COPY --from=page /build/web/dist web/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/build/target \
    cargo build --locked --release --bin ntp-monitor && cp target/release/ntp-monitor /ntp-monitor

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="ntp-monitor" \
      org.opencontainers.image.description="Watches NTP servers and the clock of its host, and says who is wrong" \
      org.opencontainers.image.licenses="MIT"
# The user has a number, so that a volume can be given to it and Kubernetes sees that it is not root.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 8123 --user-group --no-create-home --home-dir /var/lib/ntp-monitor ntp-monitor \
    && install -d -m 750 -o ntp-monitor -g ntp-monitor /var/lib/ntp-monitor \
    && install -d -m 755 /etc/ntp-monitor
COPY --from=program /ntp-monitor /usr/bin/ntp-monitor
# Defaults for a container, which a configuration file and the variables of a user override. The host decides who reaches
# the published port. Anyone who does may read, unless the configuration has tokens.
ENV NTP_MONITOR_DEFAULT__HTTP__LISTEN=0.0.0.0:8080 NTP_MONITOR_DEFAULT__HTTP__PUBLIC_READ=true
# Without a configuration, the service keeps its own in the volume.
ENV STATE_DIRECTORY=/var/lib/ntp-monitor
USER 8123:8123
VOLUME /var/lib/ntp-monitor
EXPOSE 8080
STOPSIGNAL SIGTERM
# It finds the running service, whatever its address, TLS and tokens. Degraded is healthy: a restart would not help.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["/usr/bin/ntp-monitor", "health", "--accept-degraded"]
ENTRYPOINT ["/usr/bin/ntp-monitor"]
CMD []
