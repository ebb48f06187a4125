//! Name servers, brokers and clients of one version, as plain processes on loopback.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

pub(crate) use rocketmq::model::version::Version;
use rocketmq::remoting::header::Serialization;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::Outcome;

/// How long a process may take to listen, to come to a stage, or to end.
const DEADLINE: Duration = Duration::from_secs(120);

/// What JDK 17 wants to be told, as `tests/images/rocketmq/bin/runjava.sh` does.
const FLAGS: [&str; 12] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xmx256m",
    "-XX:MaxDirectMemorySize=320m",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-exports=java.base/sun.nio.ch=ALL-UNNAMED",
    "--add-opens=java.base/jdk.internal.ref=ALL-UNNAMED",
    "--add-exports=java.base/jdk.internal.ref=ALL-UNNAMED",
    // One address for all, whatever the machine's own is.
    "-Djava.net.preferIPv4Stack=true",
];

/// Which port is whose, counted from the first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports(u16);

impl From<u16> for Ports {
    fn from(first: u16) -> Self {
        Self(first)
    }
}

impl Ports {
    pub(crate) const fn name_server(self) -> u16 {
        self.0
    }

    /// Brokers take the port two below and the one above, too.
    pub(crate) const fn broker(self) -> u16 {
        self.0 + 11
    }

    pub(crate) const fn slave(self) -> u16 {
        self.0 + 31
    }

    /// Where the master finds the name server, and is recorded.
    pub(crate) const fn of_master(self) -> u16 {
        self.0 + 41
    }

    pub(crate) const fn of_clients(self) -> u16 {
        self.0 + 42
    }

    pub(crate) const fn of_clients_to_broker(self) -> u16 {
        self.0 + 43
    }

    pub(crate) const fn of_slave(self) -> u16 {
        self.0 + 44
    }

    pub(crate) const fn of_slave_to_master(self) -> u16 {
        self.0 + 45
    }

    pub(crate) fn address(self, port: u16) -> String {
        format!("127.0.0.1:{port}")
    }
}

/// How processes of one version are started.
#[derive(Debug)]
pub(crate) struct Java {
    lib: PathBuf,
    work: PathBuf,
    version: String,
    serialization: &'static str,
}

impl Java {
    /// `lib` has the jars, `work` is an empty folder for all data.
    pub(crate) fn new(lib: &Path, work: &Path, serialization: Serialization) -> Outcome<Self> {
        let serialization = match serialization {
            Serialization::Json => "JSON",
            Serialization::Binary => "ROCKETMQ",
        };
        let lib = lib.canonicalize()?;
        let names =
            std::fs::read_dir(&lib)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let version = names
            .filter_map(|name| Some(name.strip_prefix("rocketmq-broker-")?.strip_suffix(".jar")?.to_owned()))
            .next()
            .ok_or("LIB has no rocketmq-broker-<version>.jar")?;
        // Without these files 4.x programs do not start. Copied, because answers tell where they are.
        let conf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/images/rocketmq/conf");
        for folder in ["classes", "conf"] {
            std::fs::create_dir_all(work.join(folder))?;
        }
        for file in std::fs::read_dir(conf)? {
            let file = file?;
            std::fs::copy(file.path(), work.join("conf").join(file.file_name()))?;
        }
        Ok(Self { lib, work: work.to_owned(), version, serialization })
    }

    pub(crate) fn version(&self) -> Version {
        self.version.parse().unwrap_or(Version::V4_5_0)
    }

    /// A command that runs a class with its own home below the work folder.
    fn command(&self, name: &str, class: &str) -> Outcome<Command> {
        let home = self.work.join(name);
        std::fs::create_dir_all(&home)?;
        let log = std::fs::File::create(home.join("out"))?;
        let work = self.work.display();
        let class_path = format!("{work}/conf:{work}/classes:{}/*", self.lib.display());
        let mut command = Command::new("nice");
        command.args(["-n", "10", "java"]).args(FLAGS);
        command.arg(format!("-Drocketmq.serialize.type={}", self.serialization));
        command.arg(format!("-Duser.home={}", home.display()));
        command.arg(format!("-Drocketmq.client.localOffsetStoreDir={}", home.display()));
        command.args(["-cp", &class_path, class]).env("ROCKETMQ_HOME", &self.work);
        command.stdout(log.try_clone()?).stderr(log).stdin(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    pub(crate) async fn name_server(&self, ports: Ports) -> Outcome<Process> {
        let file = self.work.join("namesrv.conf");
        std::fs::write(&file, format!("listenPort={}\n", ports.name_server()))?;
        let mut command = self.command("namesrv", "org.apache.rocketmq.namesrv.NamesrvStartup")?;
        command.arg("-c").arg(file);
        Process::start(command, ports.name_server()).await
    }

    /// A broker that finds its name server at the port `list`.
    pub(crate) async fn broker(&self, ports: Ports, name: &str, id: u64, list: u16) -> Outcome<Process> {
        let (port, role) = if id == 0 { (ports.broker(), "ASYNC_MASTER") } else { (ports.slave(), "SLAVE") };
        let home = format!("broker-{id}");
        let store = self.work.join(&home).join("store");
        let mut settings = format!(
            "brokerClusterName=demo\nbrokerName={name}\nbrokerId={id}\nbrokerRole={role}\nlistenPort={port}\n\
             haListenPort={}\nbrokerIP1=127.0.0.1\nbrokerIP2=127.0.0.1\nnamesrvAddr=127.0.0.1:{list}\n\
             forceRegister=false\ntransactionCheckInterval=3000\ntransactionTimeOut=600000\nmappedFileSizeCommitLog=16777216\nmapedFileSizeCommitLog=16777216\n\
             storePathRootDir={store}\nstorePathCommitLog={store}/commitlog\n",
            port + 1,
            store = store.display(),
        );
        if self.version().is_5() {
            // Each flush writes the whole wheel.
            settings += "timerFlushIntervalMs=60000\n";
        }
        let file = self.work.join(format!("broker-{id}.conf"));
        std::fs::write(&file, settings)?;
        let mut command = self.command(&home, "org.apache.rocketmq.broker.BrokerStartup")?;
        command.arg("-c").arg(file);
        Process::start(command, port).await
    }

    /// The program that makes everything that is asked about.
    pub(crate) async fn client(&self, ports: Ports) -> Outcome<Client> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/record");
        let class = if self.version().is_5() { "Golden5" } else { "Golden4" };
        let compiled = Command::new("javac")
            .args(["--release", "8", "-nowarn", "-Xlint:-options", "-XDsuppressNotes", "-d"])
            .arg(self.work.join("classes"))
            .args(["-cp", &format!("{}/*", self.lib.display()), "-sourcepath"])
            .arg(&sources)
            .arg(sources.join(format!("{class}.java")))
            .status()
            .await?;
        if !compiled.success() {
            return Err("javac failed".into());
        }
        let mut command = self.command("client", class)?;
        command.args([
            ports.address(ports.of_clients()),
            ports.address(ports.of_clients_to_broker()),
            self.version.clone(),
        ]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let words = child.stdin.take().ok_or("no stdin")?;
        let lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
        Ok(Client { child, words: Some(words), lines })
    }
}

/// A process that listens.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    async fn start(mut command: Command, port: u16) -> Outcome<Self> {
        let mut child = command.spawn()?;
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Some(status) = child.try_wait()? {
                    return Err(format!("the process for port {port} ended with {status}").into());
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        };
        let waited: Result<Outcome<()>, _> = timeout(DEADLINE, listens).await;
        waited.map_err(|_| format!("nothing listens on {port}"))??;
        Ok(Self { child })
    }

    /// Stops it cleanly.
    pub(crate) async fn stop(mut self) -> Outcome<()> {
        let id = self.child.id().ok_or("the process has ended by itself")?;
        Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        timeout(DEADLINE, self.child.wait()).await.map_err(|_| "the process does not stop")??;
        Ok(())
    }
}

/// The Java program, which stops at each stage until it is told to go on.
#[derive(Debug)]
pub(crate) struct Client {
    child: Child,
    words: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Client {
    /// Lets it go on to the next stage.
    pub(crate) async fn reach(&mut self, stage: &str) -> Outcome<()> {
        self.say("go\n").await?;
        let wanted = format!("reached {stage}");
        loop {
            let line = timeout(DEADLINE, self.lines.next_line()).await;
            let line = line.map_err(|_| format!("the client never was at {stage}"))??;
            let line = line.ok_or_else(|| format!("the client ended before {stage}"))?;
            if line == wanted {
                return Ok(());
            }
        }
    }

    async fn say(&mut self, text: &str) -> Outcome<()> {
        Ok(self.words.as_mut().ok_or("the client is gone")?.write_all(text.as_bytes()).await?)
    }

    /// Lets it end.
    pub(crate) async fn finish(mut self) -> Outcome<()> {
        self.say("go\n").await?;
        self.words = None;
        timeout(DEADLINE, self.child.wait()).await.map_err(|_| "the client does not end")??;
        Ok(())
    }
}
