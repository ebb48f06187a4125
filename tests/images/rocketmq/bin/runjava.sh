#!/bin/sh
# Like the official scripts it neither execs nor forwards signals, and JAVA_OPT_EXT comes last and wins. Kinder in one
# thing: those preset a heap of gigabytes as Xms, Xmx and Xmn together, so a heap must be given as all three.
# Java 17 needs the opens. 128m of direct memory is too little for transactions on 5.3.3, which then die in silence.
OPENS="--add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
--add-opens=java.base/java.util=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
--add-exports=java.base/sun.nio.ch=ALL-UNNAMED --add-opens=java.base/jdk.internal.ref=ALL-UNNAMED \
--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED"
/opt/jre/bin/java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xms64m -Xmx256m -XX:MaxDirectMemorySize=320m $OPENS \
  $JAVA_OPT_EXT -cp "$ROCKETMQ_HOME/conf:$ROCKETMQ_HOME/lib/*" "$@"
