//! The binary as users and scripts meet it: help, wrong usage, exit codes, what stands on which stream.

// Clippy sees only the functions marked as tests as tests, not what they share.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Where nothing listens: the discard port of the loopback.
const NOBODY: &str = "http://127.0.0.1:9";

struct Binary {
    home: tempfile::TempDir,
}

struct Ended {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Binary {
    fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A kubeconfig for an API server that is not there.
    fn kubeconfig(&self) -> PathBuf {
        self.file(
            "kubeconfig",
            &format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: gone\n\
                 clusters: [{{name: gone, cluster: {{server: \"{NOBODY}\"}}}}]\n\
                 users: [{{name: me, user: {{token: t}}}}]\n\
                 contexts: [{{name: gone, context: {{cluster: gone, user: me, namespace: mq}}}}]\n"
            ),
        )
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-rocketmq"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .env("TERM", "xterm-256color")
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Ended::from(output)
    }

    /// Runs with the kubeconfig of an API server that is not there.
    fn run_without_server(&self, arguments: &[&str]) -> Ended {
        let kubeconfig = self.kubeconfig();
        let flag = format!("--kubeconfig={}", kubeconfig.display());
        self.run(&[arguments, &[flag.as_str()]].concat())
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

fn assert_no_codes(ended: &Ended) {
    assert!(
        !ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'),
        "{}{}",
        ended.stdout,
        ended.stderr
    );
}

#[test]
fn help_of_every_verb_starts_with_examples() {
    let binary = Binary::new();
    let verbs: [&[&str]; 15] = [
        &[],
        &["apply"],
        &["status"],
        &["scale"],
        &["delete"],
        &["metadata"],
        &["metadata", "export"],
        &["metadata", "diff"],
        &["metadata", "import"],
        &["ops"],
        &["ops", "list"],
        &["ops", "show"],
        &["ops", "resume"],
        &["ops", "undo"],
        &["version"],
    ];
    for verb in verbs {
        let ended = binary.run(&[verb, &["--help"]].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{verb:?}");
        assert_no_codes(&ended);
        let name = if verb.is_empty() { "all".to_owned() } else { verb.join("-") };
        insta::assert_snapshot!(format!("help-{name}"), ended.stdout);
        let (examples, usage) =
            (ended.stdout.find("Examples:"), ended.stdout.find("Usage: kubectl rocketmq"));
        assert!(examples.is_some() && examples < usage, "{}", ended.stdout);
    }
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_wrong() {
    let binary = Binary::new();
    let check = |arguments: &[&str], expected: &str| {
        let ended = binary.run(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{arguments:?}: {}", ended.stderr);
        assert_no_codes(&ended);
    };
    check(&[], "Usage: kubectl rocketmq");
    check(&["frobnicate"], "error: unrecognized subcommand 'frobnicate'");
    check(&["stauts"], "tip: a similar subcommand exists: 'status'");
    check(&["status", "--nonsense"], "error: unexpected argument '--nonsense' found");
    check(
        &["status", "-o", "xml"],
        "invalid value 'xml' for '--output <FORM>': allowed are json, yaml, name, wide and",
    );
    check(
        &["scale", "nameservice", "demo"],
        "error: the following required arguments were not provided:\n  --size <N>",
    );
    check(
        &["scale", "nameservice", "demo", "--size", "three"],
        "error: invalid value 'three' for '--size <N>': not a whole number",
    );
    check(
        &["scale", "nameservice", "demo", "--size", "0"],
        "error: invalid value '0' for '--size <N>': a cluster keeps at least one name server",
    );
    check(&["scale", "nameservice", "demo", "--size", "-1"], "error: unexpected argument '-1' found");
    check(
        &["scale", "pod", "demo", "--size", "3"],
        "error: `pod` is no kind; `nameservice` and `broker` are",
    );
    check(
        &["scale", "broker", "demo", "--size", "0"],
        "error: invalid value '0' for '--size <N>': a cluster keeps at least one broker group",
    );
    check(
        &["scale", "broker", "demo", "--size", "3", "--old-data", "perhaps"],
        "[possible values: keep, aside]",
    );
    check(
        &["scale", "nameservice", "demo", "--size", "3", "--from", "demo-0"],
        "error: `--from` is for broker groups\nnothing was changed",
    );
    check(
        &["scale", "nameservice", "demo", "--size", "1", "--drain-timeout", "1h"],
        "error: `--drain-timeout` is for broker groups\nnothing was changed",
    );
    check(
        &["scale", "broker", "demo", "--size", "1", "--abandon", "38"],
        "error: the following required arguments were not provided:\n  --force",
    );
    check(
        &["scale", "broker", "demo", "--size", "1", "--drain-timeout", "90"],
        "a unit is missing, for example 90s",
    );
    for period in ["500ms", "61m"] {
        check(
            &["scale", "nameservice", "demo", "--size", "1", "--client-route-period", period],
            &format!(
                "error: invalid value '{period}' for '--client-route-period <DURATION>': clients fetch their routes each \
                 1s to 1h"
            ),
        );
    }
    check(
        &["scale", "broker", "demo", "--replicas", "1", "--client-route-period", "1m"],
        "error: the argument '--replicas <N>' cannot be used with '--client-route-period <DURATION>'",
    );
    check(&["apply"], "error: no file is named\n\nhint: kubectl rocketmq apply -f FILE");
    check(&["delete"], "error: nothing is named to delete\nnothing was changed");
    check(&["delete", "broker"], "error: `broker` needs a name, for example `broker demo`");
    check(&["delete", "broker", "demo", "-f", "x.yaml"], "error: name objects or files, not both");
    check(
        &["apply", "-f", "absent.yaml"],
        "error: cannot read `absent.yaml`\ncaused by: No such file or directory",
    );
    check(
        &["metadata", "import", "broker-0-master-0", "absent.tar"],
        "error: cannot read `absent.tar`\ncaused by: No such file or directory",
    );
    check(
        &["metadata", "diff", "broker-0-master-0", "./absent"],
        "error: cannot read `./absent`\ncaused by: No such file or directory",
    );
    check(
        &["metadata", "export", "broker-0-master-0", "--raw", "--include-ordered"],
        "error: the argument '--raw' cannot be used with '--include-ordered'",
    );
    check(
        &["metadata", "export", "broker-0-master-0", "--file", "absent/b.tar"],
        "error: cannot write `absent/b.tar`\ncaused by: No such file or directory",
    );
    check(&["status", "--request-timeout", "5"], "a unit is missing, for example 5s");
    check(&["apply", "-f", "x", "--dry-run=perhaps"], "[possible values: none, client, server]");
    check(&["version", "--log-level", "kube=loudly"], "error: `kube=loudly` is no log level");
}

#[test]
fn wrong_usage_is_a_document_where_a_document_was_asked_for() {
    let binary = Binary::new();
    for arguments in [
        &["scale", "ns", "demo", "--size", "x", "-o", "json"][..],
        &["scale", "pod", "x", "--size=3", "-ojson"],
    ] {
        let ended = binary.run(arguments);
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!((ended.code, ended.stderr.as_str()), (2, ""));
        assert_eq!(document["kind"], "Error");
        assert_eq!((document["reason"].as_str(), document["exitCode"].as_u64()), (Some("usage"), Some(2)));
    }
    insta::assert_snapshot!(binary.run(&["scale", "ns", "demo", "--size", "x", "-o", "json"]).stdout, @r#"
    {
      "apiVersion": "cli.rocketmq.apache.org/v1",
      "kind": "Error",
      "reason": "usage",
      "exitCode": 2,
      "message": "invalid value 'x' for '--size <N>': not a whole number",
      "causes": [],
      "state": "nothing was changed",
      "hint": "kubectl rocketmq --help"
    }
    "#);
}

#[test]
fn a_report_of_an_export_needs_a_file_because_the_bundle_takes_standard_output() {
    let ended = Binary::new().run(&["metadata", "export", "broker-0-master-0", "-o", "yaml"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (2, ""));
    assert!(ended.stdout.contains("the export needs `--file FILE`"), "{}", ended.stdout);
}

#[test]
fn a_file_that_is_no_bundle_is_refused_before_anything_is_asked() {
    let binary = Binary::new();
    let file = binary.file("notes.tar", "hello").display().to_string();
    for verb in ["import", "diff"] {
        let ended = binary.run_without_server(&["metadata", verb, "broker-0-master-0", &file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{verb}: {}", ended.stderr);
        let message = format!("error: `{file}` is no bundle of metadata\ncaused by: ");
        assert!(ended.stderr.starts_with(&message), "{verb}: {}", ended.stderr);
        assert!(ended.stderr.ends_with("hint: kubectl rocketmq metadata export POD --file FILE\n"));
    }
}

#[test]
fn a_failed_export_leaves_no_file() {
    let binary = Binary::new();
    let file = binary.home.path().join("b.tar");
    let flag = format!("--file={}", file.display());
    let ended = binary.run_without_server(&["metadata", "export", "broker-0-master-0", &flag]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    let left: Vec<_> =
        std::fs::read_dir(binary.home.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.iter().all(|path| !path.display().to_string().contains("b.tar")), "{left:?}");
}

#[test]
fn without_a_cluster_every_verb_fails_with_the_reason() {
    let binary = Binary::new();
    let file = binary.file("cluster.yaml", "apiVersion: rocketmq.apache.org/v1alpha1\nkind: NameService\n");
    let file = file.display().to_string();
    let verbs: [&[&str]; 8] = [
        &["status", "demo"],
        &["status", "-A"],
        &["scale", "nameservice", "demo", "--size", "3", "-y"],
        &["delete", "broker", "demo", "-y"],
        &["metadata", "export", "broker-0-master-0"],
        &["metadata", "diff", "broker-0-master-0", "broker-1-master-0"],
        &["ops", "list"],
        &["ops", "undo", "op-1", "-y"],
    ];
    for verb in verbs {
        let ended = binary.run_without_server(verb);
        assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{verb:?}: {}", ended.stderr);
        assert!(ended.stderr.starts_with("error: "), "{verb:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("127.0.0.1:9"), "{verb:?} names the server: {}", ended.stderr);
    }
    assert_ne!(binary.run_without_server(&["apply", "-f", &file, "-y"]).code, 0);
}

#[test]
fn without_a_kubeconfig_the_error_says_so() {
    let ended = Binary::new().run(&["status", "--kubeconfig", "absent"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("absent"), "{}", ended.stderr);
}

#[test]
fn an_unknown_context_is_named() {
    let ended = Binary::new().run_without_server(&["status", "--context", "elsewhere"]);
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("elsewhere"), "{}", ended.stderr);
}

#[test]
fn errors_of_the_cluster_are_documents_too() {
    let ended = Binary::new().run_without_server(&["status", "demo", "-o", "json"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, document["exitCode"].as_u64(), ended.stderr.as_str()), (1, Some(1), ""));
    let yaml = Binary::new().run_without_server(&["status", "demo", "-o", "yaml"]).stdout;
    assert!(
        yaml.starts_with("apiVersion: cli.rocketmq.apache.org/v1\nkind: Error\nreason: failed\n"),
        "{yaml}"
    );
}

#[test]
fn version_needs_no_cluster() {
    let binary = Binary::new();
    let ended = binary.run(&["version", "--client"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    assert!(
        ended.stdout.starts_with(&format!("cli       {}\n", env!("CARGO_PKG_VERSION"))),
        "{}",
        ended.stdout
    );
    let unreachable = binary.run_without_server(&["version", "-o", "json"]);
    let document: Value = serde_json::from_str(&unreachable.stdout).unwrap();
    assert_eq!((unreachable.code, document["cli"].as_str()), (0, Some(env!("CARGO_PKG_VERSION"))));
    assert!(unreachable.stderr.starts_with("warning: "), "{}", unreachable.stderr);
}

#[test]
fn colour_is_only_where_it_is_wanted() {
    let binary = Binary::new();
    assert_no_codes(&binary.run(&["delete"]));
    assert!(binary.run(&["delete", "--color=always"]).stderr.starts_with("\u{1b}[31merror:\u{1b}[0m"));
}

#[cfg(unix)]
#[test]
fn another_name_is_shown_as_it_was_called() {
    let binary = Binary::new();
    let link = binary.home.path().join("rocketmq");
    std::os::unix::fs::symlink(Path::new(env!("CARGO_BIN_EXE_kubectl-rocketmq")), &link).unwrap();
    let output = Command::new(&link).args(["version", "-h"]).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("Usage: rocketmq version"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_while_reading_is_exit_code_130() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let binary = Binary::new();
    // It takes the request and never answers; the request itself tells when the binary is at it.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("--server=http://{}", listener.local_addr().unwrap());
    let kubeconfig = format!("--kubeconfig={}", binary.kubeconfig().display());
    let child = Command::new(env!("CARGO_BIN_EXE_kubectl-rocketmq"))
        .args(["status", "demo", &server, &kubeconfig])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut connection, _) = listener.accept().unwrap();
    std::io::Read::read_exact(&mut connection, &mut [0; 4]).unwrap();
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.stdout.as_str()), (130, ""), "{}", ended.stderr);
    assert_eq!(ended.stderr, "error: interrupted\n");
}
