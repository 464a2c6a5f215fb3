# The server alone, linked statically: no shell, no libraries, no package manager in the image.
#
#   docker build -t veche .
#   docker run -d --name veche -p 127.0.0.1:8000:8000 -v veche:/data veche

FROM rust:1-alpine AS build
# SQLite, the allocator and the cryptography are C.
RUN apk add --no-cache build-base
WORKDIR /src
COPY . .
# On Alpine the target is musl, and what is built for it is static.
RUN cargo build --release --locked && mkdir /data && install -D target/release/veche /image/veche

FROM scratch
COPY --from=build /image/veche /veche
# Authorities, for the console client and for calls to elsewhere.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A volume gets its first content, and so its owner, from here.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
EXPOSE 8000
ENTRYPOINT ["/veche"]
# A file of settings: -v ./config.toml:/config.toml:ro, and --config /config.toml after these.
CMD ["serve", "--listen", "0.0.0.0:8000", "--data", "/data"]
