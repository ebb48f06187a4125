# Layout and contract of the official image apache/rocketmq: user 3000, ROCKETMQ_HOME, working folder bin/,
# `sh mqnamesrv|mqbroker|mqadmin ARGUMENTS`.
ARG JAVA
FROM ${JAVA}
ARG VERSION
COPY --chown=3000:3000 home /home
ENV HOME=/home/rocketmq ROCKETMQ_HOME=/home/rocketmq/rocketmq-${VERSION} ROCKETMQ_VERSION=${VERSION}
USER 3000
WORKDIR /home/rocketmq/rocketmq-${VERSION}/bin
