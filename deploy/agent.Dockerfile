# The agent: one static program, no shell, no libraries, never root.
#
#   RUSTFLAGS="-C target-feature=+crt-static" cargo build --release -p agent --target x86_64-unknown-linux-gnu
#   buildah bud -f deploy/agent.Dockerfile target/x86_64-unknown-linux-gnu/release
FROM scratch
COPY rocketmq-agent /rocketmq-agent
USER 3000:3000
ENTRYPOINT ["/rocketmq-agent"]
