# Images for those who have an engine: `docker build --target gateway .`, `docker build --target operator .`
FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /toolgate
COPY . .
RUN cargo build --locked --release --bins -p toolgate-gateway -p toolgate-operator

FROM gcr.io/distroless/cc-debian12:nonroot AS gateway
COPY --from=build /toolgate/target/release/toolgate-gateway /toolgate-gateway
ENTRYPOINT ["/toolgate-gateway"]

FROM gcr.io/distroless/cc-debian12:nonroot AS operator
COPY --from=build /toolgate/target/release/toolgate-operator /toolgate-operator
ENTRYPOINT ["/toolgate-operator"]
