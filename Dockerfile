# Images for those who have an engine: `docker build --target gateway .`, `docker build --target operator .`
# The targets `agent` and `kommo-stand-in` are for the end-to-end scenarios on a cluster of one's own.
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /toolgate
COPY . .
RUN cargo build --locked --release --bins -p toolgate-gateway -p toolgate-operator

FROM build AS build-e2e
RUN cargo build --locked --release -p toolgate-e2e --bin agent --bin kommo-stand-in

FROM gcr.io/distroless/cc-debian12:nonroot AS agent
COPY --from=build-e2e /toolgate/target/release/agent /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/agent"]

FROM gcr.io/distroless/cc-debian12:nonroot AS kommo-stand-in
COPY --from=build-e2e /toolgate/target/release/kommo-stand-in /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/kommo-stand-in"]

FROM gcr.io/distroless/cc-debian12:nonroot AS gateway
COPY --from=build /toolgate/target/release/toolgate-gateway /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/toolgate-gateway"]

FROM gcr.io/distroless/cc-debian12:nonroot AS operator
COPY --from=build /toolgate/target/release/toolgate-operator /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/toolgate-operator"]
