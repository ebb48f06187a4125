# A small Java, a shell and the libraries they need: below every RocketMQ image of the lab, and enough to run a
# compiled Java class.
FROM scratch
COPY root /
ENV PATH=/bin:/opt/jre/bin JAVA_HOME=/opt/jre
