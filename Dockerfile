# slipwayd on Debian 12 slim, in two stages. Build: docker build -t slipway .
# Run: docker run -p 8080:8080 -p 5684:5684/udp -v slipway:/data slipway
# With settings: ... -v ./slipway.conf:/etc/slipway/slipway.conf:ro slipway --data /data
#     --config /etc/slipway/slipway.conf --http 0.0.0.0:8080 --dtls 0.0.0.0:5684
FROM debian:12-slim AS build
WORKDIR /src
COPY . .
RUN scripts/setup build \
    && cmake --preset release \
    && cmake --build --preset release --target slipwayd

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libssl3 libsqlite3-0 libmicrohttpd12 \
        libgnutls30 libjansson4 libuv1 libinih1 zlib1g libzip4 libcurl4 ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data slipway \
    && install -d -o slipway -g slipway -m 0700 /data
COPY --from=build /src/build/release/slipwayd /usr/local/bin/slipwayd
COPY --from=build /src/config/slipway.conf.example /etc/slipway/slipway.conf.example
USER slipway
VOLUME /data
EXPOSE 8080/tcp 5684/udp
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
    CMD curl -fso /dev/null http://127.0.0.1:8080/health || curl -fsko /dev/null https://127.0.0.1:8080/health
ENTRYPOINT ["/usr/local/bin/slipwayd"]
CMD ["--data", "/data", "--http", "0.0.0.0:8080", "--dtls", "0.0.0.0:5684"]
